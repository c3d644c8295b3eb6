"""Activations by name, and MaxMin, which only reorders what it is given."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import nn

from nbkit.errors import NbkitError

__all__ = ["ACTIVATIONS", "MaxMin"]


class MaxMin(nn.Module):
    """Features (2i, 2i + 1) become (their maximum, their minimum).

    At every point a permutation of the features, so no length shrinks and the Jacobian is orthogonal. Where two
    features of a pair are equal they stay in place.

    Source:
        Anil, Lucas & Grosse 2019 (GroupSort of groups of two); LipConvNet's activation in the SAO paper.

    Example:
        >>> MaxMin()(torch.tensor([[1.0, 2.0, 4.0, 3.0]])).tolist()
        [[2.0, 1.0, 4.0, 3.0]]
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, features, ...) of an even number of features -> the same shape.

        Raises:
            NbkitError: an odd number of features, or no dimension for them.
        """
        if x.ndim < 2 or x.shape[1] % 2:
            raise NbkitError(
                f"MaxMin: x must be (batch, features, ...) with an even number of features, got {tuple(x.shape)}. "
                "Use an even width, or give one point as a batch of 1."
            )
        first, second = x[:, 0::2], x[:, 1::2]
        swapped = second > first  # where both are equal amax would halve their gradients
        pairs = torch.where(swapped, second, first), torch.where(swapped, first, second)
        return torch.stack(pairs, dim=2).flatten(1, 2)


ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = MappingProxyType(
    {"linear": nn.Identity, "tanh": nn.Tanh, "relu": nn.ReLU, "silu": nn.SiLU, "maxmin": MaxMin}
)
