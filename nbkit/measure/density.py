"""How much of a matrix stands: density above a threshold, ranks, and the order of rows and columns that shows it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nbkit.device import as_tensor
from nbkit.errors import NbkitError, check_number, show
from nbkit.measure.spectrum import singular_values

__all__ = [
    "SortedMatrix",
    "density_above",
    "numerical_rank",
    "sorted_by_norm",
    "stable_rank",
]


def density_above(matrix: object, threshold: float = 1e-3) -> float:
    """The fraction of entries with |entry| > threshold, in [0, 1].

    The comparison is strict and made in the matrix's own precision: an entry 1e-3 is not above 1e-3.

    Args:
        matrix: finite, (n_rows, n_columns), not empty.
        threshold: > 0.

    Raises:
        NbkitError: not such a matrix, or a threshold that is not positive.

    Source:
        Parhi, Wolf & Nowak 2021, section 3, which calls this density "sparsity".

    Example:
        >>> density_above([[1.0, 0.0, -0.5, 1e-3]])
        0.5
    """
    above = entries_above("density_above", "matrix", matrix, threshold)
    return int(torch.count_nonzero(above)) / above.numel()


def numerical_rank(matrix: object, rel: float = 1e-3) -> int:
    """The number of singular values above rel times the largest; 0 for a zero matrix.

    Args:
        matrix: finite, (n_rows, n_columns), not empty.
        rel: in (0, 1).

    Raises:
        NbkitError: not such a matrix, or rel outside (0, 1).

    Example:
        >>> numerical_rank([[1.0, 0.0], [0.0, 1e-4]])
        1
    """
    who = "numerical_rank"
    rel = check_number(who, "rel", rel, above=0.0)
    if rel >= 1:
        raise NbkitError(f"{who}: rel must lie in (0, 1), got {show(rel)}. Use 1e-3.")
    values = singular_values(check_matrix(who, "matrix", matrix))
    return int((values > rel * values[0]).sum())


def stable_rank(matrix: object) -> float:
    """|A|_F^2 / |A|_2^2, the sum of (s_i / s_1)^2: a rank without a threshold, between 1 and the rank; 0 for zero.

    Raises:
        NbkitError: not a finite matrix (n_rows, n_columns), or an empty one.

    Example:
        >>> stable_rank([[2.0, 0.0], [0.0, 1.0]])
        1.25
    """
    values = singular_values(check_matrix("stable_rank", "matrix", matrix))
    return float((values / values[0]).square().sum()) if values[0] > 0 else 0.0


@dataclass(frozen=True, eq=False)
class SortedMatrix:
    """A matrix whose rows and columns stand by decreasing 2-norm.

    Attributes:
        matrix: entry (i, j) is entry (rows[i], columns[j]) of the given one.
        rows: int64 (n_rows,), the given row that stands at i.
        columns: int64 (n_columns,), the given column that stands at j.
    """

    matrix: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor


def sorted_by_norm(matrix: object) -> SortedMatrix:
    """Rows and columns reordered by decreasing 2-norm, equal ones in their given order; both orders are kept.

    Args:
        matrix: finite, (n_rows, n_columns), not empty.

    Raises:
        NbkitError: not such a matrix.

    Source:
        Parhi, Wolf & Nowak 2021, Figure 3.
    """
    given = check_matrix("sorted_by_norm", "matrix", matrix)
    dtype = torch.promote_types(given.dtype, torch.float64)  # squares of float32 entries neither over- nor underflow
    norms = (torch.linalg.vector_norm(given, dim=axis, dtype=dtype) for axis in (1, 0))
    rows, columns = (norm.argsort(descending=True, stable=True) for norm in norms)
    return SortedMatrix(given.index_select(0, rows).index_select(1, columns), rows, columns)


def check_matrix(who: str, name: str, matrix: object) -> torch.Tensor:
    """The matrix as a tensor of floats or complex numbers, in its own precision where it has one.

    Raises:
        NbkitError: not 2-D, empty, or with NaN or infinite entries.
    """
    tensor = as_tensor(who, name, matrix)
    tensor = tensor if tensor.is_floating_point() or tensor.is_complex() else tensor.double()
    is_finite = bool(tensor.sum().isfinite() or tensor.isfinite().all())  # the sum alone is far quicker to look at
    if tensor.ndim != 2 or not tensor.numel() or not is_finite:
        raise NbkitError(
            f"{who}: {name} must be 2-D, finite and not empty, got shape {tuple(tensor.shape)}"
            f"{'' if is_finite else ' with NaN or infinite entries'}. Give a weight matrix (n_out, n_in)."
        )
    return tensor


def entries_above(who: str, name: str, matrix: object, threshold: object) -> torch.Tensor:
    """Where |entry| > threshold, a bool tensor of the matrix's shape.

    Raises:
        NbkitError: as `density_above`.
    """
    threshold = check_number(who, "threshold", threshold, above=0.0)
    return check_matrix(who, name, matrix).abs() > threshold
