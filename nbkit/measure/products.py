"""Singular values of products of a thousand matrices, in the log domain: right where float64 would underflow."""

import math

import torch

from nbkit.device import as_tensor, check_memory
from nbkit.errors import NbkitError, check_integer
from nbkit.measure.exact_rank import ExactRange

__all__ = ["DeepProduct"]

_LOST = 1e-13  # of what a direction may be behind one factor: less is exactly nothing, whatever is left by rounding
_SAFE = 1e-5  # least |R_jj| of factors that were multiplied together; leaves 11 digits to every direction. A direction
# that falls below it is lost if the product's exact rank says so
_VANISHING = 1e-100  # of the largest entry: two such factors may underflow
_LONGEST = 16  # factors multiplied together at most
_GRADED = 1e6  # ratio of column norms from which on a factor is split into two
_PIECE, _MARGIN = 4 * math.log(10), 4 * math.log(10)  # of a spectrum whose values are computed together
_SWEEPS = 2


class DeepProduct:
    """The singular values of a product of many matrices, each to high relative accuracy.

    The product is held as U diag(e^l) T: orthonormal columns U, logarithms l, a well-conditioned T. A new factor A
    gives A U = Q R with columns sorted by their size; Q is the new U, |R_jj| moves into l, the rest of R into T. So a
    direction that shrinks a thousand times is never added to one that does not. Directions that the product maps to 0
    (rows of zeros, a bottleneck, ReLUs that are off one behind the other, a factor of a rank below full to 13 digits)
    are exact zeros from then on: from the first factor on that loses one, the rank of the product is counted exactly.

    Against mpmath log10 is right to 1e-7, 1000 factors deep and where diagonals span 300 decades. To 1e-5 only where
    hundreds of sparse factors alternate with diagonals of 16 decades; a singular value that is 10^-k of its own factor,
    not by small rows or columns, has 16 - k digits, and from k = 13 on passes for 0.

    Args:
        n_in: columns of the first factor.

    Raises:
        NbkitError: an n_in below 1.

    Source:
        Loh et al. 1992 (the decomposition U D T); that the spectrum may be computed in pieces is argued in `_log_values`.

    Example:
        >>> product = DeepProduct(2)
        >>> for _ in range(1000):
        ...     product.multiply([[0.1, 0.0], [0.0, 1e-3]])
        >>> product.log10_singular_values().round().tolist()
        [-1000.0, -3000.0]
    """

    def __init__(self, n_in: int) -> None:
        self.n_in = self.n_out = check_integer("DeepProduct", "n_in", n_in, at_least=1)
        check_memory("DeepProduct", (48 + 8 * _LONGEST) * self.n_in**2, lower="n_in")
        self._left = self._right = torch.eye(self.n_in, dtype=torch.float64)
        self._logs = torch.zeros(self.n_in, dtype=torch.float64)
        self._pending: list[tuple[torch.Tensor | None, torch.Tensor | None]] = []
        self._length = 4  # how many pending factors are worth a decomposition
        self._range = ExactRange(self.n_in)

    def multiply(self, factor: object) -> None:
        """Put a factor on the left of the product.

        Args:
            factor: finite, (n_out, n_in), or (n,) the diagonal of a diagonal matrix.

        Raises:
            NbkitError: NaN or infinite entries, or a size that the product does not have.
        """
        values = as_tensor("DeepProduct.multiply", "factor", factor)
        if values.is_complex() or not values.isfinite().all():
            raise NbkitError(
                "DeepProduct.multiply: factor must be finite and real, got NaN, infinite or complex entries."
            )
        if values.ndim not in (1, 2) or values.shape[-1] != self.n_out or not values.numel():
            raise NbkitError(
                f"DeepProduct.multiply: factor must be (n_out, {self.n_out}) or the diagonal ({self.n_out},), got shape "
                f"{tuple(values.shape)}. Factors are multiplied from the input on."
            )
        values = values.to("cpu", torch.float64, copy=True)  # it is used later
        if values.ndim == 1:
            self._append_diagonal(values)
        else:
            self._append_matrix(values)
        self.n_out = len(values)
        if not (values if values.ndim == 1 else values.abs().amax(dim=1)).all():
            self._length = 1  # it loses directions: what is pending would be tried together, in vain
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
        image, noise, log_scale = _applied(factors, self._left)
        n, is_followed = len(factors), self._range.basis is not None or len(image) != len(self._left)
        behind = self._range_behind(factors) if is_followed else self._range
        rank = behind.rank if n == 1 and is_followed else None
        left, triangle, kept, safety = _decomposed(image, noise, self._logs, rank=rank)
        is_lossy = len(kept) < len(self._logs) or safety < _SAFE
        if n > 1 and (is_lossy or behind.rank < len(self._logs)):
            self._absorb(factors[: n // 2])
            self._absorb(factors[n // 2 :])
            return
        if is_lossy and not is_followed:  # from here on the rank is counted
            behind = self._range_behind(factors)
            left, triangle, kept, safety = _decomposed(image, noise, self._logs, rank=behind.rank)
        self._range = behind
        self._length = int(min(2 * n, _LONGEST, max(1, n * math.log(_SAFE) / math.log(min(max(safety, _SAFE), 0.5)))))
        logs = triangle[range(len(kept)), kept].abs().log() + self._logs[kept]
        scaled = triangle.sign() * (triangle.abs().log() + self._logs - logs[:, None]).exp()
        right = scaled @ self._right
        norms = right.norm(dim=1)
        self._left, self._right, self._logs = left, right / norms[:, None], logs + norms.log() + log_scale

    def _range_behind(self, factors: list[tuple[torch.Tensor | None, torch.Tensor | None]]) -> ExactRange:
        return self._range.behind([part.numpy() for factor in factors for part in factor if part is not None])


def _ratio(sizes: torch.Tensor) -> float:
    return float(sizes.max() / sizes.min()) if len(sizes) else 1.0


def _applied(
    factors: list[tuple[torch.Tensor | None, torch.Tensor | None]], columns: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """The factors times the columns, scaled to a largest entry of 1; what rounding is relative to; the scale's logarithm.

    Rounding in A u is relative to |A| |u|. That is only computed for a single factor: of several, which are multiplied
    together only where no direction is lost, the product itself is taken.
    """
    log_scale, noise = 0.0, columns.abs()
    for matrix, diagonal in factors:
        if len(factors) == 1:
            noise = noise if matrix is None else matrix.abs() @ noise
            noise = noise if diagonal is None else diagonal.abs()[:, None] * noise
        columns = columns if matrix is None else matrix @ columns
        columns = columns if diagonal is None else diagonal[:, None] * columns
        largest = float(columns.abs().amax())
        if largest:
            columns, noise, log_scale = columns / largest, noise / largest, log_scale + math.log(largest)
    return columns, noise if len(factors) == 1 else columns.abs(), log_scale


def _decomposed(
    image: torch.Tensor, noise: torch.Tensor, logs: torch.Tensor, *, rank: int | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, float]:
    """image = Q R with the columns taken by descending size, without those that depend on columns before them.

    Args:
        image: (n_out, n_columns).
        noise: (n_out, n_columns), what the rounding of each entry is relative to.
        logs: what the columns are to be multiplied by, in logarithms.
        rank: of the image, if it is known to be lower than rounding lets it seem.

    Returns:
        Q (n_out, rank); R (rank, n_columns), its columns in their old order; the columns (rank,) on R's diagonal; and
        the least |R_jj| relative to its column, 0 where columns are so small that they may vanish.
    """
    sizes = image.abs().amax(dim=0)
    column_noise, row_noise = noise.amax(dim=0), noise.amax(dim=1)
    columns = (sizes.log() + logs).argsort(descending=True, stable=True)
    triangle = torch.zeros(min(image.shape), len(columns), dtype=image.dtype)
    while True:
        q, r, rows = _row_wise_qr(image[:, columns])
        bounds = torch.minimum(column_noise[columns], row_noise[rows, None])  # (len(r), n_columns)
        margins = r.diagonal().abs() / bounds.diagonal()
        is_lost = ~(margins > _LOST)
        if rank is not None and len(r) > rank:
            least = margins.argsort()[: len(r) - rank]
            is_lost[least] |= margins[least] < _SAFE
            if not is_lost.any():  # rows that are 0 but for rounding pass for small ones: then what looks like rounding
                likely = (r.diagonal().abs().log() - math.log(torch.finfo(r.dtype).eps)).abs().argmin()
                is_lost[likely] = r[likely, likely].abs() < _SAFE
        lost = is_lost.nonzero()
        if not len(lost):
            break
        first = int(lost[0])  # columns behind may seem to depend on this noise; what depends on those before is known
        depends = r[first:].abs().amax(dim=0) <= _LOST * bounds[first]
        depends[:first], depends[first] = False, True
        triangle[:first, columns[depends]] = r[:first, depends]
        columns = columns[~depends]
    triangle[: len(r), columns] = r
    kept = columns[: len(r)]
    safety = float((r.diagonal().abs() / sizes[kept]).min()) if len(r) and sizes[kept].min() > _VANISHING else 0.0
    return q, triangle[: len(r)], kept, safety


def _row_wise_qr(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Q (n_rows, rank) and R (rank, n_columns) of a matrix, rows of zeros left out; the row that each pivot stands for.

    Rows are taken in the order in which Gaussian elimination with partial pivoting takes them: so the rounding of large
    rows does not wash away what small ones hold (Powell & Reid 1969; Cox & Higham 1998). R has a positive diagonal: then
    its first columns do not depend on those behind them, by whose number ties between rows may be broken.
    """
    row_sizes = matrix.abs().amax(dim=1) if matrix.shape[1] else matrix.sum(dim=1)
    alive = row_sizes.nonzero()[:, 0]
    rows = alive[torch.linalg.lu(matrix[alive])[0].T.nonzero()[:, 1]]
    orthonormal, triangle = torch.linalg.qr(matrix[rows])
    signs = torch.where(triangle.diagonal() < 0, -1.0, 1.0).to(matrix.dtype)
    triangle = signs[:, None] * triangle
    q = torch.zeros(len(matrix), len(triangle), dtype=matrix.dtype)
    q[rows] = orthonormal * signs
    return q, triangle, rows[: len(triangle)]


def _log_values(logs: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Natural logarithms of the singular values of D right, D = diag(e^logs), for a well-conditioned right.

    With rows by descending size and right^T = Q R they are those of R D. They stay so under sweeps R' D = Q^T (R D)^T,
    which shrink R_ij by d_j / d_i: then entries of R D that are m times as large or small as a value change it by m^-4.
    So they are computed piece by piece along the diagonal, each piece with a margin that is thrown away.
    """
    order = logs.argsort(descending=True, stable=True)
    logs = logs[order]
    triangle = torch.linalg.qr(right[order].T)[1]
    if logs[0] - logs[-1] < _PIECE + _MARGIN:
        return torch.linalg.svdvals(triangle * (logs - logs[0]).exp()).log() + logs[0]
    for _ in range(_SWEEPS):
        triangle = torch.linalg.qr((triangle * (logs - logs[:, None]).clamp_max(0).exp()).T)[1]
    values = torch.empty_like(logs)
    start = 0
    while start < len(logs):
        stop = int((logs >= logs[start] - _PIECE).sum())
        low, high = int((logs > logs[start] + _MARGIN).sum()), int((logs >= logs[stop - 1] - _MARGIN).sum())
        piece = triangle[low:high, low:high] * (logs[low:high] - logs[low]).exp()
        values[start:stop] = torch.linalg.svdvals(piece)[start - low : stop - low].log() + logs[low]
        start = stop
    return values
