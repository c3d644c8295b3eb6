"""Common random numbers: what a network's weights are made from, drawn from counters, kept where they fit."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
import torch

from nbkit.device import memory_budget

__all__ = ["Noise", "RANKS", "layer_noise"]

#: Ranks are whole numbers below this; a weight is kept under density alpha when its rank is below alpha * RANKS.
RANKS = 2**16

Key = tuple


class Noise:
    """The numbers behind one layer: `values` (n_out, n_in) float32, `ranks` (n_out, n_in) int16, shifted to start at
    -RANKS / 2, and `biases` (n_out,), all independent. None of them depends on the density or the scale of the weights,
    so masks are nested in the density and weights are shared across scales.
    """

    def __init__(self, entropy: int, net: int, layer: int, shape: tuple[int, int], kinds: tuple[str, str]) -> None:
        seeds = np.random.SeedSequence(entropy, spawn_key=(net, layer)).spawn(3)
        n_in, n_out = shape
        self.values = _draw(seeds[0], (n_out, n_in), kinds[0])
        self.biases = _draw(seeds[1], (n_out,), kinds[1])
        generator = np.random.Generator(np.random.SFC64(seeds[2]))
        self.ranks = torch.from_numpy(generator.integers(-RANKS // 2, RANKS // 2, (n_out, n_in), dtype=np.int16))

    def to(self, device: torch.device) -> Noise:
        """The same numbers on another device, drawn on the CPU all the same."""
        for name in ("values", "biases", "ranks"):
            setattr(self, name, getattr(self, name).to(device))
        return self

    @property
    def n_bytes(self) -> int:
        """What it takes in memory."""
        return 4 * self.values.numel() + 2 * self.ranks.numel() + 4 * self.biases.numel()


def _draw(seed: np.random.SeedSequence, shape: tuple[int, ...], kind: str) -> torch.Tensor:
    if kind == "uniform":
        return torch.from_numpy(np.random.Generator(np.random.SFC64(seed)).random(shape, dtype=np.float32))
    # torch draws normal numbers about twice as fast as numpy
    generator = torch.Generator().manual_seed(int(seed.generate_state(1, np.uint64)[0] >> np.uint64(1)))
    return torch.empty(shape, dtype=torch.float32).normal_(generator=generator)


class _Kept:
    """Noise that was drawn before: a family (one seed and shape) keeps its first networks, as many as fit.

    Networks are walked through in order, again and again; dropping the least recently used one would always drop the
    one that is needed next. So what does not fit is drawn anew each time, and other families make room first.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._families: OrderedDict[Key, dict[Key, Noise]] = OrderedDict()
        self._lock, self._n_bytes = threading.Lock(), 0

    def find(self, family: Key, member: Key) -> Noise | None:
        with self._lock:
            if family in self._families:
                self._families.move_to_end(family)
            return self._families.get(family, {}).get(member)

    def keep(self, family: Key, member: Key, noise: Noise) -> None:
        with self._lock:
            # about half of the budget; what is kept here is not free any more, and is reckoned in again
            room = (memory_budget(self._device) + self._n_bytes // 4) // 2
            while self._n_bytes + noise.n_bytes > room and next(iter(self._families), family) != family:
                _, dropped = self._families.popitem(last=False)
                self._n_bytes -= sum(entry.n_bytes for entry in dropped.values())
            # another thread may have kept the same noise meanwhile
            if self._n_bytes + noise.n_bytes <= room and member not in self._families.setdefault(family, {}):
                self._families[family][member] = noise
                self._families.move_to_end(family)
                self._n_bytes += noise.n_bytes


_KEPT: dict[torch.device, _Kept] = {}  # one for each device, which has its own memory


def layer_noise(
    entropy: int, net: int, layer: int, widths: tuple[int, ...], kinds: tuple[str, str], device: torch.device
) -> Noise:
    """The noise of layer `layer` of network `net`: the same whenever it is asked for, on every device.

    Args:
        entropy: the ensemble's seed, an integer of at least 0.
        net, layer: counters, at least 0.
        widths: of all layers of nodes.
        kinds: "normal" or "uniform", of the weights and of the biases.
        device: where it is wanted.
    """
    shape = widths[layer : layer + 2]
    family, member = (entropy, max(widths), kinds[0]), (net, layer, shape, kinds)  # whatever the depth
    kept = _KEPT.setdefault(device, _Kept(device))
    noise = kept.find(family, member)
    if noise is None:
        noise = Noise(entropy, net, layer, shape, kinds).to(device)
        kept.keep(family, member, noise)
    return noise
