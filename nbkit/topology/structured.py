"""Layers that are arithmetic: circulant and XOR wires and their Kronecker product with dense blocks cost no memory."""

import math

import numpy as np
import scipy.sparse
import torch

from nbkit.device import check_memory
from nbkit.errors import NbkitError, check_integer
from nbkit.topology.layer import EdgeLayer, Layer, check_nodes

__all__ = ["CirculantLayer", "KroneckerLayer", "RegularLayer", "XorLayer", "dense_layer", "kronecker"]


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
        n: nodes on each side, at least 1.
        offsets: distinct integers in 0..n-1; a `range` stays a range.

    Raises:
        NbkitError: no offset, or one that is repeated or outside 0..n-1.
    """

    def __init__(self, n: int, offsets: range | tuple[int, ...]):
        self.n = check_integer("CirculantLayer", "n", n, at_least=1)
        self.offsets = offsets if isinstance(offsets, range) else _as_range(tuple(sorted(offsets)))
        distinct = isinstance(self.offsets, range) or len(set(self.offsets)) == len(self.offsets)
        if not len(self.offsets) or not distinct or self.offsets[0] < 0 or self.offsets[-1] >= n:
            raise NbkitError(
                f"CirculantLayer: offsets must be distinct integers in 0..{n - 1}, got {offsets!r}. "
                "Reduce them modulo n and leave out repetitions."
            )
        self.shape = (self.n, self.n)
        self.out_degree = self.in_degree = len(self.offsets)

    @property
    def description(self) -> str:
        if isinstance(self.offsets, range) and self.offsets.start == 0:
            return f"radix {len(self.offsets)}, place value {self.offsets.step}"
        return "cyclic Cayley layer, offsets " + ", ".join(map(str, self.offsets[:8]))

    def edges_from(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        column, positions = self._expand("successors", nodes, self.n, self.out_degree)
        return positions, ((column + self._offset_array()) % self.n).ravel()

    def edges_into(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        column, positions = self._expand("predecessors", nodes, self.n, self.in_degree)
        return positions, ((column - self._offset_array()) % self.n).ravel()

    def _offset_array(self) -> np.ndarray:
        if isinstance(self.offsets, range):
            return np.arange(self.offsets.start, self.offsets.stop, self.offsets.step, dtype=np.int64)
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

    def __init__(self, n: int, generators: tuple[int, ...]):
        self.n = check_integer("XorLayer", "n", n, at_least=1)
        if self.n & (self.n - 1):
            raise NbkitError(f"XorLayer: n must be a power of two, got {n}. Use {1 << n.bit_length()}.")
        self.generators = tuple(sorted(generators))
        if not generators or len(set(generators)) < len(generators) or not 0 <= self.generators[0] <= max(generators) < n:
            raise NbkitError(
                f"XorLayer: generators must be distinct integers in 0..{n - 1}, got {generators!r}. Leave out repetitions."
            )
        self.shape = (self.n, self.n)
        self.out_degree = self.in_degree = len(self.generators)

    @property
    def description(self) -> str:
        return "binary Cayley layer, generators " + ", ".join(map(str, self.generators[:8]))

    def edges_from(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        column, positions = self._expand("successors", nodes, self.n, self.out_degree)
        return positions, (column ^ np.asarray(self.generators, dtype=np.int64)).ravel()

    def edges_into(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.edges_from(nodes)

    def _write_targets(self, out: torch.Tensor) -> None:
        out.copy_((torch.arange(self.n)[:, None] ^ torch.tensor(self.generators)).sort(dim=1).values)


class KroneckerLayer(RegularLayer):
    """The Kronecker product of a dense block pattern (blocks_in, blocks_out) with a regular layer.

    Node (block, label) has index block * n + label; it feeds every successor of its label in every block.

    Source:
        Robinett & Kepner 2019, equation (3).
    """

    def __init__(self, base: RegularLayer, blocks_in: int, blocks_out: int):
        self.base, self.blocks_in, self.blocks_out = base, blocks_in, blocks_out
        self.shape = (blocks_in * base.n_in, blocks_out * base.n_out)
        self.out_degree = base.out_degree * blocks_out
        self.in_degree = base.in_degree * blocks_in

    @property
    def description(self) -> str:
        return f"{self.blocks_in} x {self.blocks_out} blocks of ({self.base.description})"

    def edges_from(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        column, _ = self._expand("successors", nodes, self.n_in, self.out_degree)
        positions, targets = self.base.edges_from(column[:, 0] % self.base.n_in)
        return _repeat_blocks(positions, targets, self.base.n_out, self.blocks_out)

    def edges_into(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        column, _ = self._expand("predecessors", nodes, self.n_out, self.in_degree)
        positions, sources = self.base.edges_into(column[:, 0] % self.base.n_out)
        return _repeat_blocks(positions, sources, self.base.n_in, self.blocks_in)

    def _write_targets(self, out: torch.Tensor) -> None:
        blocks = out.view(self.blocks_in, self.base.n_in, self.blocks_out, self.base.out_degree)
        first = torch.empty((self.base.n_in, self.base.out_degree), dtype=torch.int64)
        self.base._write_targets(first)
        torch.add(first[:, None, :], self.base.n_out * torch.arange(self.blocks_out)[:, None], out=blocks[0])
        blocks[1:] = blocks[0]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, KroneckerLayer) and self.shape == other.shape and self.base.shape == other.base.shape:
            return self.base == other.base
        return super().__eq__(other)

    __hash__ = Layer.__hash__


def kronecker(layer: Layer, blocks_in: int, blocks_out: int) -> Layer:
    """The Kronecker product ones(blocks_in, blocks_out) x layer, shape (blocks_in * n_in, blocks_out * n_out).

    Raises:
        NbkitError: a number of blocks below 1.
    """
    blocks_in = check_integer("kronecker", "blocks_in", blocks_in, at_least=1)
    blocks_out = check_integer("kronecker", "blocks_out", blocks_out, at_least=1)
    if blocks_in == blocks_out == 1:
        return layer
    if isinstance(layer, KroneckerLayer):
        return KroneckerLayer(layer.base, blocks_in * layer.blocks_in, blocks_out * layer.blocks_out)
    if isinstance(layer, RegularLayer):
        return KroneckerLayer(layer, blocks_in, blocks_out)
    check_memory("kronecker", 64 * layer.n_edges * blocks_in * blocks_out, lower="the widths")
    product = scipy.sparse.kron(np.ones((blocks_in, blocks_out), dtype=np.int64), layer.to_scipy(), format="coo")
    description = f"{blocks_in} x {blocks_out} blocks of ({layer.description})"
    return EdgeLayer(*product.shape, *product.coords, description=description)


def dense_layer(n_in: int, n_out: int) -> Layer:
    """The layer in which every input feeds every output."""
    return kronecker(CirculantLayer(1, range(1)), n_in, n_out)


def _as_range(offsets: tuple[int, ...]) -> range | tuple[int, ...]:
    """An arithmetic progression as a range, so that it is recognised as one; anything else unchanged."""
    if len(offsets) < 2 or offsets[1] == offsets[0]:
        return range(offsets[0], offsets[0] + 1) if len(offsets) == 1 else offsets
    candidate = range(offsets[0], offsets[-1] + 1, offsets[1] - offsets[0])
    return candidate if tuple(candidate) == offsets else offsets


def _repeat_blocks(positions: np.ndarray, labels: np.ndarray, n: int, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    nodes = labels[:, None] + n * np.arange(blocks)
    return np.repeat(positions, blocks), nodes.ravel()
