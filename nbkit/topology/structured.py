"""Layers that are arithmetic, Cayley layers of the cyclic and the binary group: they cost no memory at any size."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from nbkit.device import check_memory
from nbkit.errors import NbkitError, check_integer, check_integers, show
from nbkit.topology.layer import MAX_NODES, Layer, check_nodes

__all__ = ["CirculantLayer", "RegularLayer", "XorLayer", "check_elements"]


class RegularLayer(Layer):
    """A layer whose nodes all have the same out-degree and the same in-degree."""

    out_degree: int
    in_degree: int

    @property
    def n_edges(self) -> int:
        return self.n_in * self.out_degree

    def out_degrees(self) -> np.ndarray:
        check_memory("out_degrees", 8 * self.n_in, lower="the number of nodes in the layer")
        return np.full(self.n_in, self.out_degree, dtype=np.int64)

    def in_degrees(self) -> np.ndarray:
        check_memory("in_degrees", 8 * self.n_out, lower="the number of nodes in the layer")
        return np.full(self.n_out, self.in_degree, dtype=np.int64)

    @property
    def largest_in_degree(self) -> int:
        return self.in_degree

    def edge_index(self) -> torch.Tensor:
        check_memory("edge_index", 16 * self.n_edges, lower="the number of nodes or the degree")
        edges = torch.empty((2, self.n_in, self.out_degree), dtype=torch.int64)
        edges[0] = torch.arange(self.n_in)[:, None]
        self._write_targets(edges[1])
        return edges.view(2, -1)

    def _write_targets(self, out: torch.Tensor) -> None:
        """Fill (n_in, out_degree) with each node's targets in ascending order."""
        raise NotImplementedError

    def _expand(self, who: str, nodes: object, n: int, degree: int) -> tuple[np.ndarray, np.ndarray]:
        """The nodes as a column and the position of each of their edges, once the edges are known to fit."""
        nodes = check_nodes(who, "nodes", nodes, n)
        check_memory(who, 24 * len(nodes) * degree, lower="the number of nodes or the degree")
        return nodes[:, None], np.repeat(np.arange(len(nodes)), degree)


class CirculantLayer(RegularLayer):
    """Node j feeds nodes (j + s) mod n for every offset s: a Cayley layer of the cyclic group.

    A mixed-radix layer is the case of offsets 0, v, 2v, ..., kept as a `range`, so that it costs no memory at any n.

    Args:
        n: nodes on each side, 1..2^62.
        offsets: distinct integers in 0..n-1; a `range` stays a range.

    Raises:
        NbkitError: no offset, or one that is repeated or outside 0..n-1.
    """

    def __init__(self, n: int, offsets: range | Sequence[int]):
        self.n = check_integer("CirculantLayer", "n", n, at_least=1, at_most=MAX_NODES)
        self.offsets = check_elements("CirculantLayer", "offsets", offsets, self.n)
        self.shape = (self.n, self.n)
        self.out_degree = self.in_degree = len(self.offsets)

    @property
    def description(self) -> str:
        offsets = self.offsets
        if isinstance(offsets, range) and not offsets.start and not self.n % (offsets.step * len(offsets)):
            return f"radix {len(offsets)}, place value {offsets.step}"
        return "cyclic Cayley layer, offsets " + ", ".join(map(str, self.offsets[:8]))

    @property
    def n_components(self) -> int:
        """Connected components: the cosets of the subgroup that the differences of the offsets generate."""
        if isinstance(self.offsets, range):
            return math.gcd(self.n, self.offsets.step) if len(self.offsets) > 1 else self.n
        return math.gcd(self.n, *(offset - self.offsets[0] for offset in self.offsets))

    def edges_from(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        column, positions = self._expand("successors", nodes, self.n, self.out_degree)
        return positions, ((column + self._offset_array()) % self.n).ravel()

    def edges_into(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        column, positions = self._expand("predecessors", nodes, self.n, self.in_degree)
        return positions, ((column - self._offset_array()) % self.n).ravel()

    def _offset_array(self) -> np.ndarray:
        if isinstance(self.offsets, range):
            return self.offsets.start + self.offsets.step * np.arange(len(self.offsets), dtype=np.int64)
        return np.array(self.offsets, dtype=np.int64)

    def _write_targets(self, out: torch.Tensor) -> None:
        # With g the common divisor of n and the offsets, node q g + r reaches r + g ((q + offsets / g) mod n / g):
        # only a table over q is sorted, and only its rows that wrap around.
        offsets = self._offset_array()
        step = math.gcd(self.n, int(np.gcd.reduce(offsets)))
        n_rows = self.n // step
        jumps = torch.from_numpy(offsets // step)
        n_plain = n_rows - int(jumps[-1])
        targets = out.view(n_rows, step, self.out_degree)
        torch.add(torch.arange(n_plain * step).view(n_plain, step, 1), step * jumps, out=targets[:n_plain])
        wrapped = ((torch.arange(n_plain, n_rows)[:, None] + jumps) % n_rows).sort(dim=1).values
        torch.add(torch.arange(step).view(1, step, 1), step * wrapped[:, None, :], out=targets[n_plain:])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, CirculantLayer):
            return self.n == other.n and self.offsets == other.offsets
        return super().__eq__(other)

    __hash__ = Layer.__hash__


class XorLayer(RegularLayer):
    """Node j feeds nodes j XOR s for every generator s: a Cayley layer of the binary group, n a power of two.

    Raises:
        NbkitError: n is no power of two, or a generator is missing, repeated or outside 0..n-1.
    """

    def __init__(self, n: int, generators: Sequence[int]):
        self.n = check_integer("XorLayer", "n", n, at_least=1, at_most=MAX_NODES)
        if self.n & (self.n - 1):
            raise NbkitError(f"XorLayer: n must be a power of two, got {n}. Use {1 << self.n.bit_length()}.")
        self.generators = tuple(check_elements("XorLayer", "generators", generators, self.n))
        self.shape = (self.n, self.n)
        self.out_degree = self.in_degree = len(self.generators)

    @property
    def description(self) -> str:
        return "binary Cayley layer, generators " + ", ".join(map(str, self.generators[:8]))

    @property
    def n_components(self) -> int:
        """Connected components: the cosets of the subgroup that the generators' XOR differences span."""
        return self.n >> _binary_rank([element ^ self.generators[0] for element in self.generators])

    def edges_from(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._neighbours("successors", nodes)

    def edges_into(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._neighbours("predecessors", nodes)

    def _neighbours(self, who: str, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both ways alike: every element of the group is its own inverse."""
        column, positions = self._expand(who, nodes, self.n, self.out_degree)
        return positions, (column ^ np.asarray(self.generators, dtype=np.int64)).ravel()

    def _write_targets(self, out: torch.Tensor) -> None:
        out.copy_((torch.arange(self.n)[:, None] ^ torch.tensor(self.generators)).sort(dim=1).values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, XorLayer):
            return (self.n, self.generators) == (other.n, other.generators)
        return super().__eq__(other)

    __hash__ = Layer.__hash__


def _binary_rank(elements: Sequence[int]) -> int:
    """The dimension over F_2 of the span of the elements' bits."""
    pivots: dict[int, int] = {}
    for element in elements:
        while element and element.bit_length() in pivots:
            element ^= pivots[element.bit_length()]
        if element:
            pivots[element.bit_length()] = element
    return len(pivots)


def check_elements(who: str, name: str, elements: range | Sequence[int], n: int) -> range | tuple[int, ...]:
    """Distinct elements of 0..n-1, ascending; an arithmetic progression as a range, so that it is recognised as one.

    Raises:
        NbkitError: no element, no integer, or one that is repeated or outside 0..n-1.
    """
    if isinstance(elements, range) and elements:
        ascending: range | tuple[int, ...] = elements if elements.step > 0 else elements[::-1]
        distinct = True
    else:
        ascending = tuple(sorted(check_integers(who, name, elements, at_least=0)))
        distinct = len(set(ascending)) == len(ascending)
    if not distinct or ascending[0] < 0 or ascending[-1] >= n:
        raise NbkitError(
            f"{who}: {name} must be distinct integers in 0..{n - 1}, got {show(elements)}. "
            "Take them modulo n and leave out repetitions."
        )
    step = ascending[1] - ascending[0] if len(ascending) > 1 else 1
    progression = range(ascending[0], ascending[-1] + 1, step)
    if isinstance(ascending, range) or (len(progression) == len(ascending) and tuple(progression) == ascending):
        return progression
    return ascending
