"""Singular values, eigenvalues and components of wires, and what "Ramanujan" can mean for them."""

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch

from nbkit.device import as_array, as_tensor, check_memory
from nbkit.errors import NbkitError, check_number, show
from nbkit.measure.components import component_singular_values
from nbkit.measure.paths import is_translation_invariant, path_counts
from nbkit.topology import CirculantLayer, EdgeLayer, KroneckerLayer, Layer, Topology, XorLayer, component_labels
from nbkit.topology.layer import check_layer
from nbkit.topology.topology import check_topology

__all__ = [
    "SpectralGap",
    "adjacency_spectrum",
    "multiplicities",
    "n_components",
    "path_singular_values",
    "singular_values",
    "spectral_gap",
]

_SMALL = 64  # below this a decomposition takes no longer than looking for components


def singular_values(matrix_or_layer: object, weights: object | None = None) -> torch.Tensor:
    """The singular values of a matrix, of a layer's 0/1 biadjacency, or of weights on a layer's wires.

    A Cayley layer is diagonalised by the characters of its group and costs one FFT or Walsh-Hadamard transform of
    size n, a Kronecker layer costs its base. Everything else is decomposed one connected component at a time,
    components of one shape together: an SAO layer costs its blocks, not its width, and what has no wire gives exact
    zeros.

    Args:
        matrix_or_layer: a Layer, or a finite 2-D array or tensor, any real or complex dtype.
        weights: of a layer's wires, finite and real: (n_edges,) in the order of `layer.edge_index()`; or, constant
            along an offset, one for each offset of a circulant (or generator of a binary Cayley) layer, ascending.

    Returns:
        float64 (min(n_in, n_out),), descending.

    Raises:
        NbkitError: not a matrix, or NaN or infinite entries; a wrong number of weights; values that overflow, or a
            result beyond the memory budget.
    """
    who = "singular_values"
    if isinstance(matrix_or_layer, Layer):
        layer = matrix_or_layer
        check_memory(who, 64 * min(layer.shape), lower="the number of nodes in the layer")
        given = None if weights is None else _finite(who, "weights", weights, n_axes=1)
        return _fitting(who, _layer_values(layer, given))
    if weights is not None:
        raise NbkitError(
            f"{who}: weights belong to a Layer, got {show(matrix_or_layer)}. Give the layer, or a matrix alone."
        )
    return _fitting(who, _matrix_values(_finite(who, "matrix", matrix_or_layer, n_axes=2)))


def path_singular_values(topology: Topology) -> torch.Tensor:
    """The singular values of the path count matrix of a topology, the product of its layers' matrices.

    Where every layer is a Cayley layer of one group they are products of the layers' eigenvalues, and the matrix is
    never formed; a symmetric topology has one that is not zero.

    Returns:
        float64 (min(n_in, n_out),), descending.

    Raises:
        NbkitError: a result, or for other wires the matrix, beyond the memory budget.
    """
    check_topology("path_singular_values", topology)
    if not is_translation_invariant(topology):
        return singular_values(path_counts(topology).astype(np.float64))
    shape = topology.sizes[0], topology.sizes[-1]
    check_memory("path_singular_values", 64 * min(shape), lower="the number of nodes")
    bases = [layer.base if isinstance(layer, KroneckerLayer) else layer for layer in topology]
    values = reduce(torch.mul, (_characters(base) for base in bases)).abs()
    widths = [size // bases[0].n for size in topology.sizes]
    return _padded(_descending(math.prod(widths[1:-1]) * math.sqrt(widths[0] * widths[-1]) * values), shape)


def multiplicities(values: object, *, tolerance: float = 1e-6) -> list[tuple[float, int]]:
    """Distinct values and how often each occurs, descending; values within the tolerance of their neighbour are one.

    Args:
        values: real numbers in any order, (n,).
        tolerance: largest gap inside one group, > 0.

    Returns:
        (mean of the group, number of members) for each group.

    Raises:
        NbkitError: values that are no list of finite real numbers, or a tolerance that is not positive.
    """
    who = "multiplicities"
    tolerance = check_number(who, "tolerance", tolerance, above=0.0)
    array = as_array(who, "values", values)
    if array.ndim != 1 or array.dtype.kind == "c" or not np.isfinite(array).all():
        raise NbkitError(f"{who}: values must be a list of finite real numbers, got {show(values)}. Flatten it first.")
    ordered = np.sort(array.astype(np.float64))[::-1]
    groups = np.split(ordered, np.flatnonzero(np.diff(ordered) < -tolerance) + 1)
    return [(float(group.mean()), len(group)) for group in groups if len(group)]


def adjacency_spectrum(layer: Layer) -> torch.Tensor:
    """The eigenvalues of the layer's bipartite graph, [[0, B], [B^T, 0]].

    They are plus and minus each singular value of B, and |n_in - n_out| further zeros.

    Returns:
        float64 (n_in + n_out,), descending.

    Source:
        Esguerra et al. 2023, Fig. 7.
    """
    values = singular_values(check_layer("adjacency_spectrum", layer))
    zeros = torch.zeros(abs(layer.n_in - layer.n_out), dtype=torch.float64)
    return torch.cat([values, zeros, -values.flip(0)])


def n_components(layer: Layer) -> int:
    """The number of connected components of the layer's bipartite graph; an isolated node is one of its own.

    In closed form for Cayley and mixed-radix layers: a mixed-radix layer of place value v has v components.
    """
    check_layer("n_components", layer)
    if isinstance(layer, (CirculantLayer, XorLayer)):
        return layer.n_components
    if isinstance(layer, KroneckerLayer):
        return n_components(layer.base)
    return int(component_labels(layer)[0])


@dataclass(frozen=True)
class SpectralGap:
    """What the spectrum of one layer says about expansion.

    Attributes:
        first, second: the two largest singular values, counted with multiplicity.
        bound: sqrt(c - 1) + sqrt(d - 1) for largest out-degree c and in-degree d.
        n_components: connected components; with more than one, second equals first for regular layers.
        is_regular: whether all inputs, and all outputs, have one degree; the bound is about such graphs only.
    """

    first: float
    second: float
    bound: float
    n_components: int
    is_regular: bool

    @property
    def gap(self) -> float:
        """first - second."""
        return self.first - self.second

    @property
    def is_ramanujan(self) -> bool:
        """Whether the layer is a Ramanujan graph: connected, regular, and second <= bound."""
        return self.is_regular and self.n_components == 1 and self.second <= self.bound + 1e-9

    @property
    def statement(self) -> str:
        """The verdict in a sentence; λ1 and λ2 are `first` and `second`, eigenvalues of the bipartite graph."""
        numbers = f"λ1 = {self.first:.4g}, λ2 = {self.second:.4g}, bound {self.bound:.4g}"
        if self.n_components > 1:
            return f"{self.n_components} separate components: no gap, no expander as a whole ({numbers})."
        if not self.is_regular:
            return f"connected, not regular: the Ramanujan bound does not apply ({numbers})."
        return f"connected and {'' if self.is_ramanujan else 'not '}Ramanujan ({numbers})."


def spectral_gap(layer: Layer) -> SpectralGap:
    """The spectral gap of a layer's bipartite graph, with the honest statement about Ramanujan.

    An SAO layer with more than one block has second = first = sqrt(c d): every component is complete bipartite and
    trivially Ramanujan, the layer as a whole has no gap.

    Source:
        Esguerra et al. 2023, section V-A, whose "second eigenvalue 0" counts distinct eigenvalues.
    """
    values = [*singular_values(check_layer("spectral_gap", layer))[:2].tolist(), 0.0][:2]
    degrees = [layer.out_degrees(), layer.in_degrees()]
    return SpectralGap(
        first=values[0],
        second=values[1],
        bound=sum(math.sqrt(max(0, int(degree.max()) - 1)) for degree in degrees),
        n_components=n_components(layer),
        is_regular=all(degree.min() == degree.max() for degree in degrees),
    )


def _finite(who: str, name: str, given: object, *, n_axes: int) -> torch.Tensor:
    """The values in double precision, on the device they are on."""
    tensor = as_tensor(who, name, given)
    tensor = tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)
    is_finite = bool(tensor.sum().isfinite() or tensor.isfinite().all())  # the sum alone is far quicker to look at
    if tensor.ndim != n_axes or not is_finite:
        raise NbkitError(
            f"{who}: {name} must be {n_axes}-D and finite, got shape {tuple(tensor.shape)}"
            f"{'' if is_finite else ' with NaN or infinite entries'}. "
            f"Give {'a Layer or a finite matrix' if n_axes == 2 else 'one finite number for each wire'}."
        )
    return tensor


def _fitting(who: str, values: torch.Tensor) -> torch.Tensor:
    if not values.isfinite().all():
        raise NbkitError(f"{who}: the values must fit into float64, but they overflow. Scale the weights down.")
    return values


def _matrix_values(matrix: torch.Tensor) -> torch.Tensor:
    """By components where at most half of the entries are there: with more of them there is hardly more than one."""
    if min(matrix.shape) < _SMALL or 2 * int(matrix.count_nonzero()) > matrix.numel():
        return torch.linalg.svdvals(matrix)
    rows, columns = matrix.nonzero().T
    order = columns.argsort(stable=True)  # as edges are, by their source
    rows, columns = rows[order], columns[order]
    layer = EdgeLayer(*reversed(matrix.shape), columns.cpu().numpy(), rows.cpu().numpy())
    return component_singular_values(layer, matrix[rows, columns])


def _layer_values(layer: Layer, weights: torch.Tensor | None) -> torch.Tensor:
    base = layer.base if isinstance(layer, KroneckerLayer) else layer
    is_cayley = isinstance(base, (CirculantLayer, XorLayer))
    if is_cayley and (weights is None or len(weights) == base.out_degree != layer.n_edges):
        values = _descending(_characters(base, weights).abs())
        return _padded(math.sqrt(layer.n_in // base.n * (layer.n_out // base.n)) * values, layer.shape)
    if weights is not None and len(weights) != layer.n_edges:
        rule = f"{layer.n_edges} weights, one for each wire"
        rule += f", or {base.out_degree}, one for each offset" if is_cayley else ""
        raise NbkitError(f"singular_values: weights must be {rule}, got {len(weights)}. See layer.edge_index().")
    if weights is None and isinstance(layer, KroneckerLayer):
        return _padded(math.sqrt(layer.blocks_in * layer.blocks_out) * _layer_values(layer.base, None), layer.shape)
    return component_singular_values(
        layer, torch.ones(layer.n_edges, dtype=torch.float64) if weights is None else weights
    )


def _descending(values: torch.Tensor) -> torch.Tensor:
    return values.sort(descending=True).values


def _padded(values: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """The values of one block, and the zeros that a matrix of that shape has besides."""
    return torch.cat([values, values.new_zeros(min(shape) - len(values))])


def _characters(layer: CirculantLayer | XorLayer, weights: torch.Tensor | None = None) -> torch.Tensor:
    """The eigenvalues of a Cayley layer: each character of its group summed over the wires of node 0."""
    is_circulant = isinstance(layer, CirculantLayer)
    sums = torch.zeros(layer.n, dtype=torch.float64) if weights is None else weights.new_zeros(layer.n)
    sums[list(layer.offsets if is_circulant else layer.generators)] = 1.0 if weights is None else weights
    if is_circulant:
        return torch.fft.fft(sums)
    for bit in range(layer.n.bit_length() - 1):
        low, high = sums.view(-1, 2, 1 << bit).unbind(dim=1)
        sums = torch.stack([low + high, low - high], dim=1).flatten()
    return sums
