"""Singular values of products of a thousand matrices, in the log domain: right where float64 would underflow."""

import math

import numpy as np
import torch
from scipy.linalg.lapack import dgejsv

from nbkit.device import as_array, check_memory
from nbkit.errors import NbkitError, check_integer

__all__ = ["DeepProduct"]

_LOST = 1e-13  # of its column and of its row: what is left of a direction that is exactly lost, in float64
_SAFE = 1e-6  # least |R_jj| of factors that were multiplied together; leaves 10 digits to every direction
_VANISHING = 1e-100  # of the largest entry: two such factors may underflow
_LONGEST = 64  # factors multiplied together at most
_GRADED = 1e6  # ratio of column norms from which on a factor is split into two
_PLAIN, _CORE, _MARGIN = (decades * math.log(10) for decades in (6, 200, 20))  # of singular values; see _log_values


class DeepProduct:
    """The singular values of a product of many matrices, each to high relative accuracy.

    The product is held as U diag(e^l) T: orthonormal columns U, logarithms l, a well-conditioned T. A new factor A
    gives A U = Q R with columns sorted by their size; Q is the new U, |R_jj| moves into l, the rest of R into T. So a
    direction that shrinks a thousand times is never added to one that does not. Directions that a factor maps to 0
    (rows of zeros, a bottleneck, a rank below full to 13 digits) are exact zeros from then on.

    Args:
        n_in: columns of the first factor.

    Raises:
        NbkitError: an n_in below 1.

    Source:
        Loh et al. 1992 (the decomposition U D T); Drmac & Veselic 2008 (the Jacobi method at the end); that one may
        split the spectrum there in pieces is argued in `_log_values`.

    Example:
        >>> product = DeepProduct(2)
        >>> for _ in range(1000):
        ...     product.multiply([[0.1, 0.0], [0.0, 1e-3]])
        >>> product.log10_singular_values().round().tolist()
        [-1000.0, -3000.0]
    """

    def __init__(self, n_in: int) -> None:
        self.n_in = self.n_out = check_integer("DeepProduct", "n_in", n_in, at_least=1)
        check_memory("DeepProduct", 48 * self.n_in**2, lower="n_in")
        self._left = self._right = torch.eye(self.n_in, dtype=torch.float64)
        self._logs = torch.zeros(self.n_in, dtype=torch.float64)
        self._pending: list[tuple[torch.Tensor | None, torch.Tensor | None]] = []
        self._length = 1  # how many pending factors are worth a decomposition

    def multiply(self, factor: object) -> None:
        """Put a factor on the left of the product.

        Args:
            factor: finite, (n_out, n_in), or (n,) the diagonal of a diagonal matrix. It is not copied.

        Raises:
            NbkitError: NaN or infinite entries, or a size that the product does not have.
        """
        given = (
            factor.detach() if isinstance(factor, torch.Tensor) else as_array("DeepProduct.multiply", "factor", factor)
        )
        values = torch.as_tensor(given)
        if values.is_complex() or not values.isfinite().all():
            raise NbkitError(
                "DeepProduct.multiply: factor must be finite and real, got NaN, infinite or complex entries."
            )
        if values.ndim not in (1, 2) or values.shape[-1] != self.n_out or not values.numel():
            raise NbkitError(
                f"DeepProduct.multiply: factor must be (n_out, {self.n_out}) or the diagonal ({self.n_out},), got shape "
                f"{tuple(values.shape)}. Factors are multiplied from the input on."
            )
        values = values.double()
        if values.ndim == 1:
            self._append_diagonal(values)
        else:
            self._append_matrix(values)
        self.n_out = len(values)
        if len(self._pending) > self._length:
            self._absorb(self._pending[:-1])
            del self._pending[:-1]

    def log10_singular_values(self) -> torch.Tensor:
        """log10 of the singular values of the product so far: float64 (min(n_in, n_out),), descending, -inf for 0."""
        self._absorb(self._pending)
        self._pending = []
        values = torch.full((min(self.n_in, self.n_out),), -math.inf, dtype=torch.float64)
        if len(self._logs):
            values[: len(self._logs)] = _log_values(self._logs, self._right) / math.log(10)
        return values

    def _append_diagonal(self, values: torch.Tensor) -> None:
        """A diagonal joins the matrix before it, unless that would hide small rows of the one behind those of the other."""
        sizes = values.abs()[values != 0]
        if self._pending and self._pending[-1][1] is None and _ratio(sizes) <= _GRADED**2:
            self._pending[-1] = self._pending[-1][0], values
        else:
            self._pending.append((None, values))

    def _append_matrix(self, values: torch.Tensor) -> None:
        """A matrix whose columns are of very different size is split: A = (A / sizes) diag(sizes), or small ones drown."""
        sizes = values.abs().amax(dim=0)
        if _ratio(sizes[sizes > 0]) > _GRADED:
            sizes[sizes == 0] = 1.0
            self._append_diagonal(sizes)
            values = values / sizes
        self._pending.append((values, None))

    def _absorb(self, factors: list[tuple[torch.Tensor | None, torch.Tensor | None]]) -> None:
        """Multiply factors into U diag(e^l) T: all of them by one decomposition where that is safe, or in halves."""
        if not factors or not len(self._logs):
            return
        image, log_scale = _applied(factors, self._left)
        left, triangle, kept, safety = _decomposed(image, self._logs)
        n = len(factors)
        if n > 1 and (len(kept) < len(self._logs) or safety < _SAFE):
            self._absorb(factors[: n // 2])
            self._absorb(factors[n // 2 :])
            return
        self._length = int(min(2 * n, _LONGEST, max(1, n * math.log(_SAFE) / math.log(min(max(safety, _SAFE), 0.5)))))
        logs = triangle[range(len(kept)), kept].abs().log() + self._logs[kept]
        scaled = triangle.sign() * (triangle.abs().log() + self._logs - logs[:, None]).exp()
        right = scaled @ self._right
        norms = right.norm(dim=1)
        self._left, self._right, self._logs = left, right / norms[:, None], logs + norms.log() + log_scale


def _ratio(sizes: torch.Tensor) -> float:
    return float(sizes.max() / sizes.min()) if len(sizes) else 1.0


def _applied(
    factors: list[tuple[torch.Tensor | None, torch.Tensor | None]], columns: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """The factors times the columns, scaled to a largest entry of 1, and the logarithm of the scale."""
    log_scale = 0.0
    for matrix, diagonal in factors:
        columns = columns if matrix is None else matrix @ columns
        columns = columns if diagonal is None else diagonal[:, None] * columns
        largest = float(columns.abs().amax())
        if largest:
            columns, log_scale = columns / largest, log_scale + math.log(largest)
    return columns, log_scale


def _decomposed(image: torch.Tensor, logs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, float]:
    """image = Q R with the columns taken by descending size, without those that depend on columns before them.

    Rows are taken in the order in which Gaussian elimination with partial pivoting takes them: so large rows, which
    only round, do not wash away what small ones hold (Powell & Reid 1969; Cox & Higham 1998).

    Returns:
        Q (n_out, rank); R (rank, n_columns), its columns in their old order; the columns (rank,) on R's diagonal; and
        the least |R_jj| relative to its column and its row, 0 where entries are so small that they may vanish.
    """
    sizes, row_sizes = image.abs().amax(dim=0), image.abs().amax(dim=1)
    alive = row_sizes.nonzero()[:, 0]
    columns = (sizes.log() + logs).argsort(descending=True, stable=True)
    triangle = torch.zeros(min(len(alive), len(columns)), len(columns), dtype=image.dtype)
    while True:
        taken = image[alive][:, columns]
        rows = torch.linalg.lu(taken)[0].T.nonzero()[:, 1]
        q, r = torch.linalg.qr(taken[rows])
        rank = len(r)
        bounds = torch.minimum(sizes[columns[:rank]], row_sizes[alive[rows[:rank]]])
        relative = r.diagonal().abs() / bounds
        lost = (~(relative > _LOST)).nonzero()
        if not len(lost):
            break
        first = int(lost[0])  # the columns behind may depend on this noise; what depends on those before it is known
        bound = _LOST * torch.minimum(sizes[columns], row_sizes[alive[rows[first]]])
        depends = (r[first:].abs().amax(dim=0) <= bound) & (torch.arange(len(columns)) >= first)
        depends[first] = True
        triangle[:first, columns[depends]] = r[:first, depends]
        columns = columns[~depends]
    triangle[:rank, columns] = r
    left = torch.zeros(len(image), rank, dtype=image.dtype)
    left[alive[rows]] = q
    safety = float(relative.min()) if rank and float(bounds.min()) > _VANISHING else 0.0
    return left, triangle[:rank], columns[:rank], safety


def _log_values(logs: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Natural logarithms of the singular values of diag(e^logs) right, for a well-conditioned right.

    With rows by descending size and right^T = Q R they are those of R diag(e^logs), upper triangular. Rows and columns
    there that are a factor m larger or smaller than a value change it by m^-2, relatively: so they are computed
    piecewise, each piece with a margin of 20 decades that is thrown away.
    """
    order = logs.argsort(descending=True, stable=True)
    logs = logs[order]
    triangle = torch.linalg.qr(right[order].T)[1]
    if logs[0] - logs[-1] < _PLAIN:
        return torch.linalg.svdvals(triangle * (logs - logs[0]).exp()).log() + logs[0]
    values = torch.empty_like(logs)
    start = 0
    while start < len(logs):
        stop = int((logs >= logs[start] - _CORE).sum())
        low, high = int((logs > logs[start] + _MARGIN).sum()), int((logs >= logs[stop - 1] - _MARGIN).sum())
        middle = (logs[low] + logs[high - 1]) / 2
        piece = triangle[low:high, low:high] * (logs[low:high] - middle).exp()
        values[start:stop] = _jacobi_log_values(piece.numpy())[start - low : stop - low] + middle
        start = stop
    return values


def _jacobi_log_values(columns: np.ndarray) -> torch.Tensor:
    """Logarithms of the singular values of C D, each to the relative accuracy that the conditioning of C allows."""
    values, _, _, scales, _, failed = dgejsv(columns, joba=0, jobu=3, jobv=3, jobr=0, jobt=1)
    assert failed == 0, f"dgejsv: {failed}"
    return torch.as_tensor(np.log(values) + math.log(scales[0] / scales[1]))
