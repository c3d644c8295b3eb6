"""The singular values of a product through a bottleneck, without the product."""

from __future__ import annotations

import torch

from nbkit.device import as_tensor
from nbkit.errors import NbkitError

__all__ = ["bottleneck_singular_values"]


def bottleneck_singular_values(left: object, right: object) -> torch.Tensor:
    """The singular values of left @ right that the width between them leaves room for; all others are 0.

    For A^(l+1) = W^(l+1) V^(l) of a SkipNet that is (K, d) @ (d, K): two thin QR decompositions and one of a (d, d) matrix
    instead of one of (K, K), a millisecond instead of a second at K = 1296. Values are right to rounding relative to the
    largest.

    Args:
        left: (m, d), finite.
        right: (d, n), finite.

    Returns:
        float64 (min(m, d, n),), descending.

    Raises:
        NbkitError: not two matrices that can be multiplied, NaN or infinite entries.

    Example:
        >>> bottleneck_singular_values([[3.0], [4.0]], [[0.0, 2.0]])
        tensor([10.], dtype=torch.float64)
    """
    left, right = (
        as_tensor("bottleneck_singular_values", name, values).double()
        for name, values in (("left", left), ("right", right))
    )
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0] or not min(*left.shape, *right.shape):
        raise NbkitError(
            "bottleneck_singular_values: left (m, d) and right (d, n) must be matrices of one d, got the shapes "
            f"{tuple(left.shape)} and {tuple(right.shape)}. Give W of a layer and V of the one before."
        )
    if not (left.isfinite().all() and right.isfinite().all()):
        raise NbkitError(
            "bottleneck_singular_values: left and right must be finite, got NaN or infinite entries. Lower the learning rate."
        )
    before, after = torch.linalg.qr(left, mode="r").R, torch.linalg.qr(right.mT, mode="r").R
    return torch.linalg.svdvals(before @ after.mT)
