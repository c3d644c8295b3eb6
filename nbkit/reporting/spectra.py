"""Singular values of layers, whatever their kind, and of the Jacobian at the examples."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn

from nbkit.device import check_memory
from nbkit.errors import NbkitError
from nbkit.measure import (
    conv_singular_values,
    jacobian_log10_singular_values,
    jacobian_singular_values,
    singular_values,
)
from nbkit.measure.convolution import folded_kernel
from nbkit.nets import SkewConv2d, SparseSequential
from nbkit.reporting.parts import Spectrum
from nbkit.topology.steps import TRANSPOSED
from nbkit.topology.wires import effective_weight

__all__ = ["jacobian_rows", "layer_spectrum"]

_RANK = 1e-3  # of the largest: what numerical_rank counts
_DEEP = 32  # modules of a chain from which on a product may underflow
_WIDE = 256  # of wider ones the product that cannot underflow takes many seconds
_CIRCULAR = "circular padding assumed"
_EXACT = 512  # numbers in, and numbers out, up to which the matrix itself is decomposed: a tenth of a second at most


def layer_spectrum(name: str, module: nn.Module, size: tuple[int, ...]) -> Spectrum:
    """The spectrum of one layer; `size` is that of the images it takes."""
    values, note = _values(module, size)
    values = values.cpu()
    largest, smallest = float(values[0]), float(values[-1])
    is_singular = smallest <= torch.finfo(values.dtype).eps * len(values) * largest  # by rounding alone
    return Spectrum(
        name=name,
        singular_values=values,
        condition=math.inf if is_singular else largest / smallest,
        numerical_rank=int((values > _RANK * largest).sum()),
        stable_rank=float((values / largest).square().sum()) if largest > 0 else 0.0,
        note=note,
    )


def jacobian_rows(net: nn.Module, points: torch.Tensor) -> Iterator[torch.Tensor]:
    """log10 of the singular values of the Jacobian, float64 (k,), at one point after another.

    In an nn.Sequential of more than 32 modules, none wider than 256, every value is right; elsewhere those below the
    rounding of the largest are taken for 0, -inf.
    """
    is_small = all(values.numel() <= _WIDE**2 for values in net.parameters())
    is_deep = type(net) in (nn.Sequential, SparseSequential) and len(net) > _DEEP and is_small
    if points.ndim not in (2, 4):
        net, points = nn.Sequential(nn.Unflatten(1, points.shape[1:]), net), points.flatten(1)
    for point in points.split(1):
        if is_deep:
            yield jacobian_log10_singular_values(net, point)[0].cpu()
            continue
        values = jacobian_singular_values(net, point)[0].cpu()
        rounding = torch.finfo(values.dtype).eps * len(values) * values[:1]
        yield torch.where(values > rounding, values, 0.0).log10()


def _values(module: nn.Module, size: tuple[int, ...]) -> tuple[torch.Tensor, str]:
    if hasattr(module, "edge_weights"):
        return singular_values(module.layer, module.edge_weights.detach().double()), ""
    kernel = effective_weight(module).double()
    if kernel.ndim == 2:
        return singular_values(kernel), ""
    if kernel.ndim > 4 or not size:
        raise NbkitError(f"report: spectra are those of vectors and images, got a {type(module).__name__}.")
    strides, spread = _pair(module.stride), module.dilation if hasattr(module, "dilation") else 1
    if kernel.ndim == 3:
        kernel, size = kernel[:, :, None], (1, *size)
        strides, spread = (1, strides[0]), (1, _pair(spread)[0])
    if getattr(module, "strided", "skip") == "unshuffle" or isinstance(module, SkewConv2d):
        size, strides = tuple(n // s for n, s in zip(size, strides, strict=True)), (1, 1)
    spread = tuple(n // k for n, k in zip(size, kernel.shape[2:], strict=True)) if spread == "eco" else _pair(spread)
    reach = tuple((n - 1) * d + 1 for n, d in zip(kernel.shape[2:], spread, strict=True))
    pads = _pads(module, reach)
    size, counts = _sizes(module, size, strides, pads, reach)
    if isinstance(module, TRANSPOSED):
        kernel = kernel.transpose(0, 1)
    strides = tuple(  # of one pixel alone any stride gives the same
        max(s, r) if n == 1 and p == 0 else s for n, s, p, r in zip(counts, strides, pads, reach, strict=True)
    )
    own = tuple(p == 0 and r <= s for s, p, r in zip(strides, pads, reach, strict=True))  # windows do not overlap
    notes = [] if _has_no_edges(module, reach, own, pads) else [_CIRCULAR]
    if isinstance(module, SkewConv2d):
        return _exponential_values(module, size), ", ".join(notes)
    is_strided = strides != (1, 1)
    whole = counts if isinstance(module, TRANSPOSED) else size
    if is_strided:
        whole = tuple(n * s for n, s in zip(counts, strides, strict=True))
        if any(a != b and not is_own for a, b, is_own in zip(whole, size, own, strict=True)):
            notes.append(f"of images of {' x '.join(map(str, whole))}, which the stride divides")
    n_in, n_out = kernel.shape[1] * math.prod(size), len(kernel) * math.prod(counts)
    if notes and max(n_in, n_out) <= _EXACT:
        return singular_values(_matrix(module, kernel, size, counts, strides, spread, pads)), ""
    values = (
        strided_singular_values(kernel, whole, strides, spread)
        if is_strided
        else conv_singular_values(kernel, whole, dilation=spread)
    )
    n_values = min(n_in, n_out)
    if not notes:  # pixels that no tap sees are zeros
        values = nn.functional.pad(values, (0, n_values - len(values)))
    elif len(values) != n_values:
        notes.append(f"with {len(values):,} values in place of {n_values:,}")
    return values, ", ".join(notes)


def _matrix(
    module: nn.Module,
    kernel: torch.Tensor,
    size: tuple[int, int],
    counts: tuple[int, int],
    strides: tuple[int, int],
    spread: tuple[int, int],
    pads: tuple[int, int],
) -> torch.Tensor:
    """(inputs, outputs): what a convolution, or the transpose of a transposed one, makes of each pixel alone."""
    mode = getattr(module, "padding_mode", module.padding)
    sides = [side for n in reversed(pads) for side in (n // 2, n - n // 2)]
    n_in = kernel.shape[1] * math.prod(size)
    images = torch.eye(n_in, dtype=kernel.dtype, device=kernel.device).view(n_in, kernel.shape[1], *size)
    images = nn.functional.pad(images, sides, mode="constant" if mode == "zeros" else mode)
    out = nn.functional.conv2d(images, kernel, stride=strides, dilation=spread)
    return out[:, :, : counts[0], : counts[1]].flatten(1)


def strided_singular_values(
    kernel: torch.Tensor, size: tuple[int, int], strides: tuple[int, int], dilation: tuple[int, int]
) -> torch.Tensor:
    """All singular values of a circular convolution of which every s-th pixel is kept.

    Frequencies that fall together on the coarse image make one (c_out, c_in s^2) matrix, divided by s: Sedghi's theorem
    and the Poisson sum.

    Returns:
        float64 (pixels kept * min(c_out, c_in s^2),), descending; the sizes are multiples of the strides.
    """
    (height, width), (a, b), (c_out, c_in) = size, strides, kernel.shape[:2]
    check_memory("report", 48 * c_out * c_in * height * width, lower="the channels or size")
    transform = torch.fft.fft2(folded_kernel(kernel, size, dilation))
    aliases = transform.view(c_out, c_in, a, height // a, b, width // b)
    matrices = aliases.permute(3, 5, 0, 1, 2, 4).flatten(3) / math.sqrt(a * b)
    return torch.linalg.svdvals(matrices).flatten().sort(descending=True).values


def _exponential_values(module: SkewConv2d, size: tuple[int, int]) -> torch.Tensor:
    """Of the exponential of a skew convolution, frequency by frequency."""
    kernel = module._skew().detach().double()
    centre = [-(n // 2) for n in kernel.shape[2:]]
    transform = torch.fft.fft2(folded_kernel(kernel, size, (1, 1)).roll(centre, dims=(2, 3)))
    matrices = torch.matrix_exp(transform.permute(2, 3, 0, 1))[..., : module.c_out, :]
    return torch.linalg.svdvals(matrices).flatten().sort(descending=True).values


def _sizes(
    module: nn.Module, size: tuple[int, int], strides: tuple[int, int], pads: tuple[int, int], reach: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The image that a convolution takes and the one that it gives; of a transposed one those of its transpose."""
    axes = list(zip(size, strides, pads, reach, strict=True))
    if not isinstance(module, TRANSPOSED):
        return size, tuple((n + p - r) // s + 1 for n, s, p, r in axes)
    extra = (0, *module.output_padding)[-2:]
    return tuple((n - 1) * s - p + r + more for (n, s, p, r), more in zip(axes, extra, strict=True)), size


def _pads(module: nn.Module, reach: tuple[int, int]) -> tuple[int, int]:
    """Pixels that an image is padded with along each axis, both sides together."""
    if isinstance(module.padding, str):
        return (0, 0) if module.padding == "valid" else tuple(n - 1 for n in reach)
    return tuple(2 * n for n in (0, *_pair(module.padding)[: module.weight.ndim - 2])[-2:])


def _has_no_edges(module: nn.Module, reach: tuple[int, int], own: tuple[bool, bool], pads: tuple[int, int]) -> bool:
    """Whether nothing is assumed: along each axis the pads close a circle, or each pixel taken has taps of its own."""
    is_circular = "circular" in (module.padding, getattr(module, "padding_mode", None))
    return all(is_own or (is_circular and p == n - 1) for n, is_own, p in zip(reach, own, pads, strict=True))


def _pair(value: object) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value) * (2 if len(value) == 1 else 1)
