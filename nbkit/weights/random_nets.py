"""An ensemble of random sparse ReLU networks: one description, any network's weights on demand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from nbkit.device import check_memory, choose_device, random_generator
from nbkit.errors import NbkitError, check_integer, check_integers, check_number, show
from nbkit.topology import Topology
from nbkit.weights.laws import Discrete, Gaussian, Law, Uniform, check_law
from nbkit.weights.noise import RANKS, layer_noise

__all__ = ["PAPER_BIAS", "RandomNets"]

_SMALLEST = 1e-25
PAPER_BIAS = 0.01  # of the paper's experiments: N(0, .01^2), U(-.01, .01), {-.01, .01}


class RandomNets:
    """Random networks z -> relu(W z + b), W = (law's sample) / sqrt(n_in), each weight kept with probability alpha.

    Nothing is stored: weights come from counters (seed, network, layer), so network 7 is the same in every ensemble of
    this seed and shape. Masks are nested in the density and weights are shared across scales, so moving either moves
    every result smoothly; what was drawn is kept as far as the memory budget allows. Biases are never made sparse.

    Args:
        widths: nodes of each layer, input first, at least two entries.
        law: of the weights, before division by sqrt(n_in); or one a layer.
        density: alpha in (0, 1], or one a layer. The draw resolves it to 1 / 65536. Ignored where `topology` is given.
        bias: "paper" (N(0, .01^2), U(-.01, .01) or {-.01, .01} to match the law), a law, or None for zero biases.
        seed: an int repeats, None is fresh, a Generator advances.
        topology: fixed wires instead of a random mask; then widths may be None.

    Raises:
        NbkitError: widths, laws, densities or wires that do not chain or lie outside their ranges.

    Source:
        Price & Tanner 2019, Definitions 1 to 4, the Remark to Theorem 2 and section 4.

    Example:
        >>> from nbkit.weights import Gaussian
        >>> nets = RandomNets((784, 100, 100), Gaussian(2.0), 0.5)
        >>> nets.weights(3, 0).shape
        torch.Size([100, 784])
    """

    def __init__(
        self,
        widths: Sequence[int] | None,
        law: Law | Sequence[Law],
        density: float | Sequence[float] = 1.0,
        *,
        bias: str | Law | None = "paper",
        seed: int | np.random.Generator | None = 0,
        topology: Topology | None = None,
        who: str = "RandomNets",
    ) -> None:
        self.topology = topology
        self.widths = _check_widths(who, widths, topology)
        self.laws = [_sized(who, "law", one) for one in _each_layer(who, "law", law, self.depth)]
        densities = [1.0] * self.depth if topology is not None else _each_layer(who, "density", density, self.depth)
        # the densities that the draw can meet: the exact mean square below is about these
        self.densities = [
            max(1, round(check_number(who, "density", one, above=0, at_most=1) * RANKS)) / RANKS for one in densities
        ]
        self.biases_law = [_bias_law(who, bias, one) for one in self.laws]
        self.entropy = int(random_generator(seed, who=who).integers(2**62)) if not _is_int(seed) else int(seed)
        random_generator(self.entropy, who=who)
        check_memory(
            who, 14 * max(a * b for a, b in zip(self.widths, self.widths[1:], strict=False)), lower="the widths"
        )
        self._masks: dict[tuple[int, str], torch.Tensor] = {}
        self._scratch: dict[tuple, torch.Tensor] = {}

    @property
    def depth(self) -> int:
        """Number of layers of weights."""
        return len(self.widths) - 1

    def weights(self, net: int, layer: int, *, device: torch.device | str = "cpu") -> torch.Tensor:
        """The weights of one layer of one network, float32 (n_out, n_in), already divided by sqrt(n_in)."""
        net, layer = self._place("weights", net, layer)
        return self.stacked_weights(range(net, net + 1), layer, device=choose_device(device))[0].clone()

    def stacked_weights(self, nets: range, layer: int, *, device: torch.device | str = "cpu") -> torch.Tensor:
        """One layer of several networks, float32 (n_nets, n_out, n_in), in memory that the next call overwrites.

        Fresh memory for every layer would take longer to fault in than the layer takes to compute.
        """
        n_in, n_out = self.widths[layer : layer + 2]
        key = (len(nets), n_out, n_in, str(device))
        if key not in self._scratch:
            self._scratch[key] = torch.empty(2, *key[:3], dtype=torch.float32, device=device)
        weights, kept = self._scratch[key]
        law = self.laws[layer].scaled(1 / math.sqrt(n_in))
        for row, net in enumerate(nets):
            noise = self._noise(net, layer, device)
            law.from_noise(noise.values, out=weights[row])
            if self.topology is None and self.densities[layer] < 1:
                # kept is written as numbers: multiplying by a mask of bools takes several times as long
                torch.lt(noise.ranks, round(self.densities[layer] * RANKS) - RANKS // 2, out=kept[row])
                weights[row].mul_(kept[row])
        return weights if self.topology is None else weights.mul_(self.mask(layer, device=device))

    def bias(self, net: int, layer: int, *, device: torch.device | str = "cpu") -> torch.Tensor | None:
        """The biases of one layer of one network, float32 (n_out,), or None where they are zero."""
        net, layer = self._place("bias", net, layer)
        law = self.biases_law[layer]
        return None if law is None else law.from_noise(self._noise(net, layer, device).biases)

    def mask(self, layer: int, *, device: torch.device | str = "cpu") -> torch.Tensor:
        """The fixed wires of a layer, float32 (n_out, n_in) of 0 and 1.

        Raises:
            NbkitError: random masks, which are not kept.
        """
        if self.topology is None:
            raise NbkitError("RandomNets.mask: topology must be given, got random masks. Look where weights are not 0.")
        _, layer = self._place("mask", 0, layer)
        key = (layer, str(device))
        if key not in self._masks:
            self._masks[key] = self.topology[layer].mask().to(device, torch.float32)
        return self._masks[key]

    def mean_square(self, layer: int) -> float:
        """E w^2 of one possible weight, or with fixed wires of one wire: alpha std^2 / n_in."""
        return self.densities[layer] * self.laws[layer].std ** 2 / self.widths[layer]

    def network(self, net: int) -> torch.nn.Sequential:
        """One network as an ordinary module, float64: Linear, ReLU, Linear, ReLU, ..."""
        modules = []
        for layer in range(self.depth):
            bias = self.bias(net, layer)
            linear = torch.nn.Linear(*self.widths[layer : layer + 2], bias=bias is not None, dtype=torch.float64)
            with torch.no_grad():
                linear.weight.copy_(self.weights(net, layer))
                if bias is not None:
                    linear.bias.copy_(bias)
            modules += [linear, torch.nn.ReLU()]
        return torch.nn.Sequential(*modules)

    def _place(self, method: str, net: object, layer: object) -> tuple[int, int]:
        """(net, layer), which must be there."""
        who = f"RandomNets.{method}"
        net = check_integer(who, "net", net, at_least=0, at_most=2**31 - 1)
        return net, check_integer(who, "layer", layer, at_least=0, at_most=self.depth - 1)

    def _noise(self, net: int, layer: int, device: torch.device | str):
        kinds = self.laws[layer].noise, (self.biases_law[layer] or self.laws[layer]).noise
        return layer_noise(self.entropy, net, layer, self.widths, kinds, torch.device(device))


def _is_int(seed: object) -> bool:
    return isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)


def _check_widths(who: str, widths: Sequence[int] | None, topology: Topology | None) -> tuple[int, ...]:
    if topology is not None and not isinstance(topology, Topology):
        raise NbkitError(
            f"{who}: topology must be a Topology, got {show(topology)}. Use radix_net(...) or Topology([...])."
        )
    if widths is None and topology is not None:
        return topology.sizes
    widths = check_integers(who, "widths", widths, at_least=1, minimum_length=2)
    if topology is not None and widths != topology.sizes:
        raise NbkitError(f"{who}: widths must chain with topology, {topology.sizes}, got {widths}. Leave widths out.")
    return widths


def _each_layer(who: str, name: str, given: object, depth: int) -> list:
    """One entry a layer: the same for all, or those of a list."""
    if isinstance(given, np.ndarray):
        given = given.tolist()  # a number where the array has no dimension
    if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
        return [given] * depth
    if len(given) != depth:
        raise NbkitError(
            f"{who}: {name} must have one entry for each of {depth} layers, got {len(given)}. Give {depth}."
        )
    return list(given)


def _bias_law(who: str, bias: str | Law | None, law: Law) -> Law | None:
    if bias is None:
        return None
    if isinstance(bias, str) and bias == "paper":
        if isinstance(law, Gaussian):
            return Gaussian(PAPER_BIAS)
        return Uniform(PAPER_BIAS) if isinstance(law, Uniform) else Discrete((-PAPER_BIAS, PAPER_BIAS))
    if isinstance(bias, str):
        raise NbkitError(f"{who}: bias must be 'paper', a law or None, got {bias!r}. Use 'paper'.")
    return _sized(who, "bias", bias)


def _sized(who: str, name: str, law: object) -> Law:
    """A law whose weights single precision holds."""
    if not _SMALLEST <= check_law(who, name, law).std <= 1 / _SMALLEST:
        raise NbkitError(
            f"{who}: {name} must have a standard deviation in [{_SMALLEST:g}, {1 / _SMALLEST:g}], got {law.std:.3g}: "
            "weights are single precision. Use one nearer to 1."
        )
    return law
