"""Singular values of convolutions, frequency by frequency, and the matrix that a convolution is."""

import torch

from nbkit.device import check_memory
from nbkit.errors import NbkitError, check_choice, check_integer, check_integers, show
from nbkit.measure.spectrum import singular_values
from nbkit.topology import Layer, component_labels
from nbkit.weights.convolution import check_kernel

__all__ = ["conv_frequency_singular_values", "conv_matrix", "conv_singular_values"]

_PADDINGS = ("circular", "zeros")
_MAX_SIZE = 2**20


def conv_singular_values(
    kernel: object,
    size: int | tuple[int, int],
    *,
    dilation: int | tuple[int, int] = 1,
    padding: str = "circular",
) -> torch.Tensor:
    """All singular values of a convolution that keeps the size of its image.

    With circular padding they are those of one c_out x c_in matrix for each frequency (Sedghi's theorem). Zero padding
    has no such theorem and goes by `conv_matrix`, which only small images admit.

    Args:
        kernel: (c_out, c_in, k, k), finite and real, array or tensor; it may be larger than the image.
        size: n, or (height, width).
        dilation: between taps, at least 1, or one for each axis.
        padding: "circular" or "zeros".

    Returns:
        float64 (n^2 min(c_out, c_in),), descending, on the kernel's device.

    Raises:
        NbkitError: no kernel, sizes below 1, another padding; a result beyond the memory budget.

    Source:
        Sedghi, Gupta & Long 2019, Theorem 6; Esguerra et al. 2023, equation (6).

    Example:
        >>> conv_singular_values([[[[0.0, 1.0, 0.0]]]], 2).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    who = "conv_singular_values"
    if check_choice(who, "padding", padding, _PADDINGS) == "zeros":
        return singular_values(_matrix(who, kernel, size, dilation, padding))
    return _by_frequency(who, kernel, size, dilation).flatten().sort(descending=True).values


def conv_frequency_singular_values(
    kernel: object, size: int | tuple[int, int], *, dilation: int | tuple[int, int] = 1
) -> torch.Tensor:
    """The singular values of a convolution with circular padding, at each frequency (u, v) of the image.

    Args and errors as `conv_singular_values`. A real kernel has the same values at (u, v) and (-u, -v), so only half
    of the frequencies are decomposed.

    Returns:
        float64 (n, n, min(c_out, c_in)), descending along the last axis; frequency 0 at [0, 0], as in `numpy.fft`.
    """
    return _by_frequency("conv_frequency_singular_values", kernel, size, dilation)


def conv_matrix(
    kernel: object,
    size: int | tuple[int, int],
    *,
    dilation: int | tuple[int, int] = 1,
    padding: str = "circular",
) -> torch.Tensor:
    """The matrix that a convolution applies to the flattened image, channel first, then row, then column.

    With circular padding every c_out x c_in block is doubly block-circulant; with zeros it is doubly Toeplitz. The
    pads are `dilation * (k - 1)` pixels in all, the smaller half of an odd number before the image, as torch has it.

    Args and errors as `conv_singular_values`.

    Returns:
        float64 (c_out n^2, c_in n^2), on the kernel's device.

    Source:
        Esguerra et al. 2023, Fig. 12.
    """
    check_choice("conv_matrix", "padding", padding, _PADDINGS)
    return _matrix("conv_matrix", kernel, size, dilation, padding)


def _by_frequency(who: str, kernel: object, size: object, dilation: object) -> torch.Tensor:
    """(height, width, min(c_out, c_in)): the decomposed half, then its mirror image."""
    kernel = check_kernel(who, kernel).double()
    (height, width), spread = _check_pair(who, "size", size), _check_pair(who, "dilation", dilation)
    c_out, c_in = kernel.shape[:2]
    half = width // 2 + 1
    if not kernel.abs().sum().isfinite():
        raise NbkitError(f"{who}: the kernel's sum must fit into float64, but it overflows. Scale the weights down.")
    check_memory(who, 72 * c_out * c_in * height * half, lower="the channels or size")
    folded = folded_kernel(kernel, (height, width), spread)
    values = _channel_values(torch.fft.rfft2(folded).permute(2, 3, 0, 1), (kernel != 0).any(3).any(2))
    mirrored = values[-torch.arange(height) % height][:, width - torch.arange(half, width)]
    return torch.cat([values, mirrored], dim=1)


def folded_kernel(kernel: torch.Tensor, size: tuple[int, int], dilation: tuple[int, int]) -> torch.Tensor:
    """The taps of a kernel (c_out, c_in, k, k) on an image, the first one in its corner; those that meet are added.

    The Fourier transform of each pair of channels holds the matrices of all frequencies.
    """
    for axis, (n, d) in enumerate(zip(size, dilation, strict=True), start=2):
        pixels = torch.arange(kernel.shape[axis], device=kernel.device) * d % n
        wide = (*kernel.shape[:axis], n, *kernel.shape[axis + 1 :])
        kernel = kernel.new_zeros(wide).index_add_(axis, pixels, kernel)
    return kernel


def _channel_values(matrices: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """The singular values of matrices (..., c_out, c_in) that share one mask, by its connected components."""
    c_out, c_in = kept.shape
    if 2 * int(kept.sum()) > kept.numel():
        return torch.linalg.svdvals(matrices)
    count, labels = component_labels(Layer.from_biadjacency(kept.T.cpu(), allow_dead_inputs=True))
    labels = torch.from_numpy(labels).to(kept.device)
    columns, rows = ([torch.nonzero(part == i)[:, 0] for i in range(count)] for part in (labels[:c_in], labels[c_in:]))
    blocks = [matrices[..., r[:, None], c] for r, c in zip(rows, columns, strict=True) if len(r) and len(c)]
    found = (
        torch.cat([torch.linalg.svdvals(block) for block in blocks], dim=-1) if blocks else matrices.real[..., :0, 0]
    )
    zeros = found.new_zeros(*found.shape[:-1], min(c_out, c_in) - found.shape[-1])
    return torch.cat([found, zeros], dim=-1).sort(dim=-1, descending=True).values


def _matrix(who: str, kernel: object, size: object, dilation: object, padding: str) -> torch.Tensor:
    kernel = check_kernel(who, kernel).double()
    (height, width), spread = _check_pair(who, "size", size), _check_pair(who, "dilation", dilation)
    c_out, c_in, *taps = kernel.shape
    pixels = height * width
    check_memory(who, 8 * c_out * c_in * pixels**2, lower="the channels or size")
    matrix = kernel.new_zeros(c_out, pixels, c_in, pixels)
    y, x = torch.arange(height, device=kernel.device)[:, None], torch.arange(width, device=kernel.device)
    for a in range(taps[0]):
        for b in range(taps[1]):
            from_y = y + a * spread[0] - spread[0] * (taps[0] - 1) // 2
            from_x = x + b * spread[1] - spread[1] * (taps[1] - 1) // 2
            inside = (0 <= from_y) & (from_y < height) & (0 <= from_x) & (from_x < width)
            kept = (inside | (padding == "circular")).flatten().nonzero()[:, 0]
            source = (from_y % height * width + from_x % width).flatten()[kept]
            matrix[:, kept, :, source] += kernel[:, :, a, b]
    return matrix.reshape(c_out * pixels, c_in * pixels)


def _check_pair(who: str, name: str, value: object) -> tuple[int, int]:
    if not isinstance(value, (tuple, list)):
        return (check_integer(who, name, value, at_least=1, at_most=_MAX_SIZE),) * 2
    pair = check_integers(who, name, value, at_least=1)
    if len(pair) != 2:
        raise NbkitError(f"{who}: {name} must be n or (height, width), got {show(value)}. Write it as (28, 28).")
    return pair
