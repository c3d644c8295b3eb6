"""The singular values of a product through a bottleneck, without the product."""

from __future__ import annotations

import torch

from nbkit.errors import NbkitError
from nbkit.measure.density import check_matrix

__all__ = ["bottleneck_singular_values"]


def bottleneck_singular_values(left: object, right: object) -> torch.Tensor:
    """The singular values of left @ right that the width between them leaves room for; all others are 0.

    For A^(l+1) = W^(l+1) V^(l) of a SkipNet that is (K, d) @ (d, K): two thin QR decompositions and one of a (d, d) matrix
    instead of one of (K, K), a millisecond instead of a second at K = 1296. Values are right to rounding relative to the
    largest.

    Args:
        left: (m, d), finite, real or complex.
        right: (d, n), as well.

    Returns:
        float64 (min(m, d, n),), descending.

    Raises:
        NbkitError: not two matrices that can be multiplied, empty ones, NaN or infinite entries.

    Example:
        >>> bottleneck_singular_values([[3.0], [4.0]], [[0.0, 2.0]])
        tensor([10.], dtype=torch.float64)
    """
    who = "bottleneck_singular_values"
    left, right = check_matrix(who, "left", left), check_matrix(who, "right", right)
    if left.shape[1] != right.shape[0]:
        raise NbkitError(
            f"{who}: left (m, d) and right (d, n) must be matrices of one d, got the shapes {tuple(left.shape)} and "
            f"{tuple(right.shape)}. Give W of a layer and V of the one before."
        )
    dtype = torch.promote_types(torch.promote_types(left.dtype, right.dtype), torch.float64)
    left, right = left.to(dtype), right.to(dtype)
    before, after = torch.linalg.qr(left, mode="r").R, torch.linalg.qr(right.mT, mode="r").R
    return torch.linalg.svdvals(before @ after.mT)
