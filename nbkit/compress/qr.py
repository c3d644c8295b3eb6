"""Lossless compression of radial networks: the orthogonal symmetry of every hidden layer is factored out by QR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn
from torch.nn.functional import pad

from nbkit.errors import NbkitError, check_integer, check_integers
from nbkit.nets import RadialNet

__all__ = ["Compression", "qr_compress", "reduced_widths"]


@dataclass(frozen=True)
class Compression:
    """What `qr_compress` found: a smaller network of the same function, and how it sits in the given one.

    Attributes:
        net: the compressed network.
        original: a copy of the given one.
        reflectors: Q_1 ... Q_(L-1) as `torch.geqrf` gives them; `rotations` writes them out.
    """

    net: RadialNet
    original: RadialNet
    reflectors: tuple[tuple[torch.Tensor, torch.Tensor], ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the compressed network."""
        return self.net.widths

    @property
    def n_parameters(self) -> int:
        """Parameters of the compressed network."""
        return self.net.n_parameters

    @property
    def n_parameters_before(self) -> int:
        """Parameters of the original network."""
        return self.original.n_parameters

    @cached_property
    def rotations(self) -> tuple[torch.Tensor, ...]:
        """Orthogonal Q_1 ... Q_(L-1), (n_i, n_i), of determinant 1 or -1.

        Behind layer i the original has Q_i Inc_i of what the compressed net has, Inc_i filling up with zeros. QR leaves
        signs open: compare functions between libraries, never entries.
        """
        return tuple(
            torch.linalg.householder_product(pad(packed, (0, len(packed) - packed.shape[1])), scales)
            for packed, scales in self.reflectors
        )

    @cached_property
    def transformed(self) -> RadialNet:
        """The original in the axes Q: the same widths and function, the compressed matrices top left.

        Below them stand zeros, to rounding. `transformed` minus `net.embedded(original.widths)` is the U of Theorem 7; it
        is 0 left of column n_(i-1)^red.
        """
        return self.original.act([rotation.T for rotation in self.rotations])

    def step(self, n_layers: int) -> RadialNet:
        """The network after the first n_layers rounds of Algorithm 1; it computes the same for every 0 <= n_layers < L.

        Raises:
            NbkitError: n_layers outside 0 .. L - 1.
        """
        done = check_integer("Compression.step", "n_layers", n_layers, at_least=0, at_most=len(self.reflectors))
        linears = self.net.linears[:done] + self.original.linears[done:]
        weights = [linear.weight.detach() for linear in linears]
        biases = [linear.bias.detach() for linear in linears]
        if done:
            weights[done] = weights[done] @ self.rotations[done - 1][:, : self.widths[done]]
        return self.original.like(weights, biases)


def reduced_widths(widths: Sequence[int]) -> tuple[int, ...]:
    """The widths after compression: n_i^red = min(n_i, n_(i-1)^red + 1), input and output as they are.

    Raises:
        NbkitError: fewer than two widths, or one below 1.

    Source:
        Radial networks, section 5.2.

    Example:
        >>> reduced_widths((1, 8, 16, 8, 1))
        (1, 2, 3, 4, 1)
    """
    widths = check_integers("reduced_widths", "widths", widths, at_least=1, minimum_length=2)
    reduced = [widths[0]]
    for width in widths[1:-1]:
        reduced.append(min(width, reduced[-1] + 1))
    return *reduced, widths[-1]


def qr_compress(net: nn.Sequential) -> Compression:
    """The smaller radial network of the same function (Algorithm 1): one QR decomposition a hidden layer.

    Lossless to rounding for every radial activation, depth and width vector, with zero biases and dependent columns
    too. Where the norm before an activation lies within rounding of a jump of h (Step-ReLU at 1, the sigmoids at 0)
    the two networks may land on different sides. Only a hidden layer wider than its reduced predecessor plus one
    shrinks: a network whose widths nowhere grow (an encoder) stays as large as it is.

    Args:
        net: a RadialNet, or an nn.Sequential of Linear and RadialActivation, in float32 or float64, on any device;
            it is left as it is. Zeros of sparse layers are not kept.

    Raises:
        NbkitError: pointwise activations or other modules, forward hooks, weights that are NaN or infinite or so large
            that lengths overflow, half precision.

    Source:
        Radial networks, section 5.2, Algorithm 1 and Theorem 5.

    Example:
        >>> found = qr_compress(RadialNet((1, 8, 16, 8, 1), "squash"))
        >>> found.widths, found.n_parameters_before, found.n_parameters
        ((1, 2, 3, 4, 1), 305, 34)
    """
    original = RadialNet.from_modules(net, who="qr_compress")
    like = original.linears[0].weight
    if like.dtype not in (torch.float32, torch.float64):
        raise NbkitError(f"qr_compress: net must be in float32 or float64, got {like.dtype}. Use net.float() first.")
    reduced = reduced_widths(original.widths)
    reflectors, weights, biases = [], [], []
    for linear, n_in, n_out in zip(original.linears, reduced, reduced[1:], strict=False):
        weight = linear.weight.detach()
        if reflectors:
            weight = torch.ormqr(*reflectors[-1], weight, left=False)[:, :n_in]  # W_i Q_(i-1) Inc_(i-1)
        factor = torch.column_stack([linear.bias.detach(), weight])
        if linear is not original.linears[-1]:
            factor, scales = torch.geqrf(factor)
            reflectors.append((factor[:, : len(scales)], scales))
            factor = factor[:n_out].triu()
        biases.append(factor[:, 0])
        weights.append(factor[:, 1:])
    try:
        small = original.like(weights, biases)
    except NbkitError:
        raise NbkitError(
            f"qr_compress: net must have weights whose lengths are finite in {like.dtype}, got larger ones. "
            "Use net.double(), or scale them."
        ) from None
    return Compression(small, original, tuple(reflectors))
