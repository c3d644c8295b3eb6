"""Cones: the nodes that one neuron reaches, or that reach it, layer by layer, in closed form for mixed-radix wires."""

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from nbkit.device import check_memory
from nbkit.errors import check_choice, check_integer
from nbkit.topology import Topology
from nbkit.topology.layer import MAX_NODES
from nbkit.topology.radix import PlaceValues, place_values
from nbkit.topology.topology import check_topology

__all__ = ["Cone", "NodeSet", "Progression", "cone", "cone_sizes"]


@dataclass(frozen=True)
class Progression:
    """The nodes x of 0..n_nodes-1 with x = start + k * step (mod modulus) for a k < count: no memory at any size.

    The residues are distinct and modulus divides n_nodes. A Progression answers `size`, `in` and `numpy.asarray`
    (sorted int64, within the memory budget).
    """

    n_nodes: int
    modulus: int
    start: int
    step: int
    count: int

    @property
    def size(self) -> int:
        """The number of nodes."""
        return self.count * (self.n_nodes // self.modulus)

    def __contains__(self, node: object) -> bool:
        if not isinstance(node, numbers.Integral) or not 0 <= node < self.n_nodes:
            return False
        # k * step = difference (mod modulus) is solved by an inverse within the subgroup that step generates.
        divisor = math.gcd(self.step, self.modulus)
        jumps, rest = divmod((int(node) - self.start) % self.modulus, divisor)
        order = self.modulus // divisor
        return rest == 0 and jumps * pow(self.step // divisor, -1, order) % order < self.count

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        check_memory("cone", 24 * self.size, lower="the depth, or ask for size and membership only")
        exact = np.int64 if self.step * self.count <= MAX_NODES else object  # Python integers where int64 overflows
        residues = np.sort((self.start + self.step * np.arange(self.count, dtype=exact)) % self.modulus)
        periods = self.modulus * np.arange(self.n_nodes // self.modulus)
        return (periods[:, None] + residues.astype(np.int64)).ravel().astype(dtype or np.int64)


@dataclass(frozen=True)
class NodeSet:
    """Listed nodes, sorted and distinct, int64; `size`, `in` and `numpy.asarray` as of a Progression."""

    nodes: np.ndarray

    @property
    def size(self) -> int:
        """The number of nodes."""
        return len(self.nodes)

    def __contains__(self, node: object) -> bool:
        if not isinstance(node, numbers.Integral):
            return False
        position = np.searchsorted(self.nodes, node)
        return bool(position < self.size and self.nodes[position] == node)

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return self.nodes.astype(dtype or np.int64)


class Cone(Sequence):
    """One set of nodes for each layer of nodes that the cone crosses, beginning with the neuron itself."""

    def __init__(self, sets: Sequence[Progression | NodeSet]):
        self._sets = tuple(sets)

    def __len__(self) -> int:
        return len(self._sets)

    def __getitem__(self, index: int) -> Progression | NodeSet:
        return self._sets[index]

    @property
    def sizes(self) -> list[int]:
        """The number of nodes in each layer."""
        return [nodes.size for nodes in self._sets]

    def __repr__(self) -> str:
        return f"<Cone, sizes {self.sizes}>"


def cone(topology: Topology, node: int, *, layer: int = 0, direction: str = "forward") -> Cone:
    """The nodes that a neuron reaches ("forward"), or that reach it ("backward"), layer by layer.

    For mixed-radix wires each set is an arithmetic progression with size and membership in closed form, at any number
    of nodes; sets that are no progression, and those of other wires, are listed.

    Args:
        topology: the wires.
        node: the neuron, 0..size of its layer - 1.
        layer: the layer of nodes it stands in, 0..number of layers of wires.
        direction: "forward" or "backward".

    Returns:
        Cone; entry k is the set after k layers of wires in that direction, entry 0 the neuron itself.

    Raises:
        NbkitError: a layer or node that does not exist, or a listed set beyond the memory budget.
    """
    check_topology("cone", topology)
    layer = check_integer("cone", "layer", layer, at_least=0, at_most=len(topology))
    node = check_integer("cone", "node", node, at_least=0, at_most=topology.sizes[layer] - 1)
    check_choice("cone", "direction", direction, ("forward", "backward"))
    sign = 1 if direction == "forward" else -1
    crossed = topology.layers[layer:] if sign == 1 else topology.layers[:layer][::-1]
    values = place_values(Topology(crossed[::sign])) if crossed else None
    sets: list[Progression | NodeSet] = [NodeSet(np.array([node]))]
    for depth, wires in enumerate(crossed, start=1):
        nodes = _closed_form(values, node, depth, sign) if values else None
        if nodes is None:
            follow = wires.successors if sign == 1 else wires.predecessors
            nodes = NodeSet(follow(np.asarray(sets[-1])))
        sets.append(nodes)
    return Cone(sets)


def cone_sizes(topology: Topology, node: int, *, layer: int = 0, direction: str = "forward") -> list[int]:
    """The number of nodes in each layer of a neuron's cone, beginning with 1. Args and errors as `cone`."""
    return cone(topology, node, layer=layer, direction=direction).sizes


def _closed_form(values: PlaceValues, node: int, depth: int, sign: int) -> Progression | None:
    """The set after `depth` layers as one progression, or None where it is none."""
    n_layers = len(values.counts)
    crossed, reached = (slice(0, depth), depth) if sign == 1 else (slice(n_layers - depth, None), n_layers - depth)
    merged = _merge(list(zip(values.steps[crossed], values.counts[crossed])), values.n)
    if merged is None:
        return None
    modulus, step, count = merged
    start = node + sum(values.starts[crossed]) if sign == 1 else node - sum(values.starts[crossed]) - step * (count - 1)
    return Progression(values.n * values.widths[reached], modulus, start % modulus, step, count)


def _merge(terms: list[tuple[int, int]], n: int) -> tuple[int, int, int] | None:
    """(modulus, step, count) with {sum of k_i step_i mod n, k_i < count_i} = {k step mod modulus, k < count}, or None.

    A term that wraps round is the whole subgroup of its step, and all else is seen modulo that subgroup; a longer step
    joins a shorter one that divides it and leaves no gap.
    """
    modulus = n
    while True:
        terms = sorted((step % modulus, count) for step, count in terms if step % modulus and count > 1)
        wrapped = [math.gcd(step, modulus) for step, count in terms if count * math.gcd(step, modulus) >= modulus]
        if wrapped:
            modulus = math.gcd(modulus, *wrapped)
            continue
        pair = next((pair for pair in combinations(terms, 2) if _joins(*pair)), None)
        if pair is None:
            break
        (step, count), (longer, more) = pair
        terms.remove(pair[0])
        terms.remove(pair[1])
        terms.append((step, count + longer // step * (more - 1)))
    if len(terms) > 1:
        return None
    return (modulus, *terms[0]) if terms else (modulus, 1, 1)


def _joins(short: tuple[int, int], long: tuple[int, int]) -> bool:
    return long[0] % short[0] == 0 and long[0] // short[0] <= short[1]
