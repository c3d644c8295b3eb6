"""One bipartite layer of wires: a promise of its edges, which materialises only when asked."""

from abc import ABC, abstractmethod
from fractions import Fraction
from functools import cached_property

import numpy as np
import scipy.sparse
import torch

from nbkit.device import as_array, check_memory
from nbkit.errors import NbkitError, check_integer, show

__all__ = ["MAX_NODES", "EdgeLayer", "Layer", "check_layer", "check_nodes"]

MAX_NODES = 2**62  # in one layer of nodes: the sum of two labels is still an int64


class Layer(ABC):
    """The wires between n_in input nodes and n_out output nodes.

    A layer answers `shape`, `n_edges`, `successors` and `predecessors`; the matrices are made on demand and only
    within the memory budget. Layers are immutable and compare equal when they have the same edges.

    Source:
        Robinett & Kepner 2019, section II (adjacency submatrix, rows are inputs).
    """

    shape: tuple[int, int]

    @property
    @abstractmethod
    def n_edges(self) -> int:
        """The number of wires."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What these wires are, in a few words."""

    @abstractmethod
    def edges_from(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Every edge that leaves the input nodes: (positions in `nodes`, ascending; targets), int64."""

    @abstractmethod
    def edges_into(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Every edge that enters the output nodes: (positions in `nodes`, ascending; sources), int64."""

    @abstractmethod
    def out_degrees(self) -> np.ndarray:
        """Edges out of each input node, int64 (n_in,)."""

    @abstractmethod
    def in_degrees(self) -> np.ndarray:
        """Edges into each output node, int64 (n_out,)."""

    @property
    def largest_in_degree(self) -> int:
        """The most edges that enter one output node."""
        return int(self.in_degrees().max())

    @abstractmethod
    def edge_index(self) -> torch.Tensor:
        """All edges as an int64 tensor (2, n_edges), sorted by source, then target.

        Raises:
            NbkitError: the edges do not fit into the memory budget.
        """

    @staticmethod
    def from_biadjacency(matrix: object, *, allow_dead_inputs: bool = False) -> "EdgeLayer":
        """The layer of a 0/1 matrix (n_in, n_out), given as an array, tensor or scipy sparse array.

        A zero column (an output nobody feeds) is allowed; a zero row (a dead input) is not a feed-forward topology
        and is refused, unless `allow_dead_inputs`, which pruned layers need.

        Raises:
            NbkitError: not a 2-D matrix of zeros and ones, empty, or with a zero row.

        Source:
            Robinett & Kepner 2019, section II; the paper prints "no zero column" where its definition needs "row".
        """
        return _from_biadjacency(matrix, allow_dead_inputs)

    @property
    def n_in(self) -> int:
        """The number of input nodes."""
        return self.shape[0]

    @property
    def n_out(self) -> int:
        """The number of output nodes."""
        return self.shape[1]

    @property
    def density_fraction(self) -> Fraction:
        """The kept fraction of the n_in * n_out possible edges, exactly."""
        return Fraction(self.n_edges, self.n_in * self.n_out)

    @property
    def density(self) -> float:
        """The kept fraction of the n_in * n_out possible edges, in [0, 1]."""
        return float(self.density_fraction)

    def successors(self, nodes: int | np.ndarray) -> np.ndarray:
        """The output nodes that the input node(s) feed: sorted, distinct, int64.

        Raises:
            NbkitError: a node outside 0..n_in-1.
        """
        return np.unique(self.edges_from(nodes)[1])

    def predecessors(self, nodes: int | np.ndarray) -> np.ndarray:
        """The input nodes that feed the output node(s): sorted, distinct, int64.

        Raises:
            NbkitError: a node outside 0..n_out-1.
        """
        return np.unique(self.edges_into(nodes)[1])

    def sources_by_target(self) -> tuple[np.ndarray, np.ndarray]:
        """All edges by target: (starts, sources), the sources of output v being sources[starts[v] : starts[v + 1]]."""
        _, sources = self.edges_into(np.arange(self.n_out))
        return np.concatenate([[0], np.cumsum(self.in_degrees())]), sources

    def biadjacency(self) -> torch.Tensor:
        """The bool matrix (n_in, n_out) that is true where an edge runs.

        Raises:
            NbkitError: the matrix does not fit into the memory budget.
        """
        check_memory(
            "biadjacency", self.n_in * self.n_out + 16 * self.n_edges, lower="the number of nodes in the layer"
        )
        matrix = torch.zeros(self.shape, dtype=torch.bool)
        matrix[tuple(self.edge_index())] = True
        return matrix

    def mask(self) -> torch.Tensor:
        """The bool matrix (n_out, n_in) in the orientation of a weight matrix: `biadjacency()` transposed."""
        return self.biadjacency().T.contiguous()

    def to_scipy(self) -> scipy.sparse.csr_array:
        """The biadjacency (n_in, n_out) as a scipy CSR array of int64 ones."""
        return _csr(self.shape, *self.edge_index().numpy())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layer):
            return NotImplemented
        if (self.shape, self.n_edges) != (other.shape, other.n_edges):
            return False
        return torch.equal(self.edge_index(), other.edge_index())

    def __hash__(self) -> int:
        return hash((self.shape, self.n_edges))

    def __repr__(self) -> str:
        return f"<Layer {self.n_in} -> {self.n_out}, {self.n_edges} edges, {self.description}>"


class EdgeLayer(Layer):
    """A layer given by its list of edges, kept in compressed sparse rows.

    Args:
        n_in, n_out: numbers of nodes, at least 1.
        sources, targets: the end points of each edge, int64 (n_edges,), each pair once.
        description: what these wires are.

    Raises:
        NbkitError: an end point outside its layer, lists of different length, or an edge given twice.
    """

    def __init__(
        self, n_in: int, n_out: int, sources: np.ndarray, targets: np.ndarray, *, description: str = "listed edges"
    ):
        self.shape = (
            check_integer("EdgeLayer", "n_in", n_in, at_least=1, at_most=MAX_NODES),
            check_integer("EdgeLayer", "n_out", n_out, at_least=1, at_most=MAX_NODES),
        )
        check_memory("EdgeLayer", 8 * sum(self.shape), lower="the number of nodes")
        sources = check_nodes("EdgeLayer", "sources", sources, n_in)
        targets = check_nodes("EdgeLayer", "targets", targets, n_out)
        if len(sources) != len(targets):
            raise NbkitError(
                f"EdgeLayer: sources and targets must be equally long, got {len(sources)} and {len(targets)}. "
                "Give one target for each source."
            )
        self._by_source = _csr(self.shape, sources, targets)
        if self._by_source.nnz != len(sources):
            raise NbkitError(
                f"EdgeLayer: every edge must be given once, got {len(sources) - self._by_source.nnz} twice. "
                "Remove the repetitions."
            )
        self._description = description

    @cached_property
    def _by_target(self) -> scipy.sparse.csr_array:
        return self._by_source.T.tocsr()

    @property
    def n_edges(self) -> int:
        return self._by_source.nnz

    @property
    def description(self) -> str:
        return self._description

    def edges_from(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _rows(self._by_source, check_nodes("successors", "nodes", nodes, self.n_in))

    def edges_into(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _rows(self._by_target, check_nodes("predecessors", "nodes", nodes, self.n_out))

    def sources_by_target(self) -> tuple[np.ndarray, np.ndarray]:
        return self._by_target.indptr.astype(np.int64), self._by_target.indices

    def out_degrees(self) -> np.ndarray:
        return np.diff(self._by_source.indptr).astype(np.int64)

    def in_degrees(self) -> np.ndarray:
        return np.bincount(self._by_source.indices, minlength=self.n_out)

    def edge_index(self) -> torch.Tensor:
        check_memory("edge_index", 16 * self.n_edges, lower="the number of edges")
        sources = np.repeat(np.arange(self.n_in), self.out_degrees())
        return torch.from_numpy(np.stack([sources, self._by_source.indices.astype(np.int64)]))


def check_nodes(who: str, name: str, nodes: object, n: int) -> np.ndarray:
    """Node indices as a flat int64 array.

    Raises:
        NbkitError: not integers, or outside 0..n-1.
    """
    array = np.atleast_1d(as_array(who, name, nodes))
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise NbkitError(f"{who}: {name} must be a node or a list of nodes, got {show(nodes)}. Use integers.")
    if array.min() < 0 or array.max() >= n:
        wrong = array[(array < 0) | (array >= n)][0]
        raise NbkitError(f"{who}: {name} must lie in 0..{n - 1}, got {wrong}. Use a node of this layer.")
    return array.astype(np.int64)


def check_layer(who: str, layer: object) -> Layer:
    """The layer itself.

    Raises:
        NbkitError: anything else.
    """
    if not isinstance(layer, Layer):
        raise NbkitError(
            f"{who}: layer must be a Layer, got {type(layer).__name__}. "
            "Take one of a topology's layers, or use Layer.from_biadjacency for a matrix."
        )
    return layer


def _from_biadjacency(matrix: object, allow_dead_inputs: bool) -> EdgeLayer:
    who = "Layer.from_biadjacency"
    is_sparse = scipy.sparse.issparse(matrix)
    given = scipy.sparse.coo_array(matrix, copy=True) if is_sparse else as_array(who, "matrix", matrix)
    if given.ndim != 2 or 0 in given.shape:
        raise NbkitError(
            f"{who}: matrix must be 2-D (n_in, n_out) and not empty, got shape {given.shape}. Give a 0/1 matrix."
        )
    if is_sparse:
        given.sum_duplicates()
    entries = given.data if is_sparse else given
    wrong = entries[~np.isin(entries, (0, 1))]
    if wrong.size:
        raise NbkitError(f"{who}: matrix must hold only 0 and 1, got an entry {wrong[0]}. Compare with 0 first.")
    sources, targets = given.nonzero()
    dead = np.flatnonzero(np.bincount(sources, minlength=given.shape[0]) == 0)
    if len(dead) and not allow_dead_inputs:
        raise NbkitError(
            f"{who}: every row of matrix must have a 1 (an input feeds at least one output), got a zero row {dead[0]}. "
            "Give that node an edge, or remove it."
        )
    return EdgeLayer(*given.shape, sources, targets, description="given matrix")


def _csr(shape: tuple[int, int], sources: np.ndarray, targets: np.ndarray) -> scipy.sparse.csr_array:
    ones = np.ones(len(sources), dtype=np.int64)
    matrix = scipy.sparse.csr_array(scipy.sparse.coo_array((ones, (sources, targets)), shape=shape))
    matrix.sum_duplicates()
    return matrix


def _rows(matrix: scipy.sparse.csr_array, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chosen = matrix[nodes]
    positions = np.repeat(np.arange(len(nodes)), np.diff(chosen.indptr))
    return positions, chosen.indices.astype(np.int64)
