"""Who can hear whom: reachability in the boolean semiring, bit-packed, and its growth with depth."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from nbkit.device import check_memory, choose_device
from nbkit.errors import check_integer
from nbkit.measure.cones import cone
from nbkit.measure.paths import is_translation_invariant
from nbkit.topology import Layer, RegularLayer, Topology
from nbkit.topology.topology import check_topology

__all__ = ["is_path_connected", "reach_fractions", "reachability"]

_WORD = 64  # start nodes in one int64 word
_DENSE_DEGREE = 128  # above this in-degree a float matrix product beats OR over the wires


def reachability(
    topology: Topology, start: int = 0, stop: int | None = None, *, device: str | torch.device = "cpu"
) -> torch.Tensor:
    """Which nodes of layer `start` reach which nodes of layer `stop`: true where at least one path runs.

    Args:
        topology: the wires.
        start, stop: layers of nodes, 0 <= start < stop <= number of layers of wires (default the last).
        device: where it is computed and returned.

    Returns:
        bool (n_start, n_stop), rows are the nodes of `start`.

    Raises:
        NbkitError: layers out of order, no such device, or a matrix beyond the memory budget.

    Source:
        Esguerra et al. 2023, section IV-B, in the boolean semiring; the paper's products in F_2 lose every pair with
        an even number of paths.
    """
    who = "reachability"
    check_topology(who, topology)
    start = check_integer(who, "start", start, at_least=0, at_most=len(topology) - 1)
    stop = len(topology) if stop is None else stop
    stop = check_integer(who, "stop", stop, at_least=start + 1, at_most=len(topology))
    part = topology[start:stop]
    _check_reach_memory(who, part, part.sizes[-1])
    for words in _reach_words(part, choose_device(device)):
        pass
    return _unpack(words)[:, : part.sizes[0]].T.contiguous()


def reach_fractions(topology: Topology, *, device: str | torch.device = "cpu") -> torch.Tensor:
    """The fraction of (input, node) pairs that are joined, after 1, 2, ... layers.

    Returns:
        float64 (number of layers,), each in [0, 1].

    Raises:
        NbkitError: no such device, or a matrix beyond the memory budget.

    Source:
        Esguerra et al. 2023, Fig. 8.
    """
    check_topology("reach_fractions", topology)
    _check_reach_memory("reach_fractions", topology, max(topology.sizes))
    n_in = topology.sizes[0]
    counts = [int(_unpack(words).sum()) for words in _reach_words(topology, choose_device(device))]
    return torch.tensor([count / (n_in * n) for count, n in zip(counts, topology.sizes[1:])], dtype=torch.float64)


def is_path_connected(topology: Topology) -> bool:
    """Whether every input reaches every output.

    Forms no more than is needed: one cone where all inputs are alike (RadiX-Nets and Cayley cascades of any size),
    else 64 inputs at a time, stopping at the first that fails.

    Raises:
        NbkitError: the cone of a Cayley cascade that has to be listed and is beyond the memory budget.

    Source:
        Robinett & Kepner 2019, section II (path-connectedness).
    """
    check_topology("is_path_connected", topology)
    n_in, n_out = topology.sizes[0], topology.sizes[-1]
    if is_translation_invariant(topology):
        return cone(topology, 0)[-1].size == n_out
    plans = [_GatherPlan.of(layer, torch.device("cpu")) for layer in topology]
    for first in range(0, n_in, _WORD):
        inputs = torch.arange(first, min(first + _WORD, n_in))
        words = torch.zeros((n_in, 1), dtype=torch.int64)
        words[inputs, 0] = _bits(inputs - first)
        for layer, plan in zip(topology, plans):
            words = _advance(words, layer, plan)
        if not (words == _bits(inputs - first).sum()).all():
            return False
    return True


def _check_reach_memory(who: str, topology: Topology, n_unpacked: int) -> None:
    """Words in and out, the widest matrix that is unpacked, every layer's plan, and the floats of a dense layer."""
    n_start = topology.sizes[0]
    n_bytes = n_start * max(topology.sizes) // 2 + 3 * n_start * n_unpacked
    n_bytes += 16 * sum(layer.n_edges for layer in topology)
    check_memory(who, n_bytes, lower="the number of nodes")
    floats = (5 * layer.n_in * layer.n_out + 24 * n_start * max(layer.shape) for layer in topology if _is_dense(layer))
    check_memory(who, n_bytes + max(floats, default=0), lower="the number of nodes")


def _is_dense(layer: Layer) -> bool:
    """Whether some output has so many predecessors that the float product is faster."""
    return layer.largest_in_degree > _DENSE_DEGREE


def _reach_words(topology: Topology, device: torch.device) -> Iterator[torch.Tensor]:
    """After each layer, (nodes, words): bit b of word w says that start node 64 w + b reaches the node."""
    n = topology.sizes[0]
    nodes = torch.arange(n, device=device)
    words = torch.zeros((n, -(-n // _WORD)), dtype=torch.int64, device=device)
    words[nodes, nodes // _WORD] = _bits(nodes % _WORD)
    plans: dict[object, _GatherPlan | None] = {}
    for layer in topology:
        key = layer if isinstance(layer, RegularLayer) else id(layer)  # equal arithmetic layers share a plan
        if key not in plans:
            plans[key] = _GatherPlan.of(layer, device)
        words = _advance(words, layer, plans[key])
        yield words


@dataclass(frozen=True)
class _GatherPlan:
    """A layer's predecessors by rank: `inputs[k]` is the k-th predecessor of the outputs that have more than k.

    The outputs are taken by falling in-degree, so that each rank is a prefix; `position` leads back to their order.
    """

    inputs: tuple[torch.Tensor, ...]
    position: torch.Tensor

    @classmethod
    def of(cls, layer: Layer, device: torch.device) -> "_GatherPlan | None":
        """The plan, or None for a dense layer."""
        if _is_dense(layer):
            return None
        starts, sources = layer.sources_by_target()
        degrees = np.diff(starts)
        order = np.argsort(-degrees, kind="stable")
        first = starts[:-1][order]
        lengths = np.searchsorted(-degrees[order], -np.arange(degrees.max())).tolist()
        ranked = np.concatenate([first[:length] + k for k, length in enumerate(lengths)] or [first[:0]])
        inputs = torch.from_numpy(sources[ranked].astype(np.int64, copy=False)).to(device)
        return cls(inputs.split(lengths), torch.from_numpy(np.argsort(order)).to(device))


def _advance(words: torch.Tensor, layer: Layer, plan: _GatherPlan | None) -> torch.Tensor:
    """One layer further: every output is the OR of its predecessors' words."""
    if plan is None:
        return _advance_dense(words, layer)
    reached = torch.zeros((layer.n_out, words.shape[1]), dtype=torch.int64, device=words.device)
    for inputs in plan.inputs:
        reached[: len(inputs)] |= words.index_select(0, inputs)
    return reached.index_select(0, plan.position)


def _advance_dense(words: torch.Tensor, layer: Layer) -> torch.Tensor:
    """The same by a float product: sums of non-negative terms never round to zero."""
    bits = _unpack(words).to(torch.float32)
    return _pack(layer.mask().to(words.device, torch.float32) @ bits > 0)


def _bits(positions: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(positions) << positions


def _unpack(words: torch.Tensor) -> torch.Tensor:
    """Words (n, w) as bools (n, 64 w): each octet looks up its eight bools, which are one int64."""
    octets = words.contiguous().view(torch.uint8).flatten().to(torch.int32)
    values = torch.arange(256, device=words.device)
    table = ((values[:, None] >> torch.arange(8, device=words.device)) & 1).to(torch.uint8).view(torch.int64).flatten()
    return table.index_select(0, octets).view(torch.bool).view(len(words), -1)


def _pack(bits: torch.Tensor) -> torch.Tensor:
    """Bools (n, 64 w) as words (n, w)."""
    shifts = torch.arange(_WORD, device=bits.device)
    return (bits.view(len(bits), -1, _WORD).to(torch.int64) << shifts).sum(dim=2)
