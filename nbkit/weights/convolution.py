"""Orthogonal convolution kernels at birth: delta, ECO and SOC, dense or on masks over channels (SAO-Delta, SAO-ECO)."""

import numpy as np
import torch

from nbkit.device import as_tensor, check_memory, random_generator
from nbkit.errors import NbkitError, check_integer, check_integers, check_number, show
from nbkit.topology import Layer, complete_blocks, dense_layer
from nbkit.weights.orthogonal import as_layer, looks_linear_block, orthogonal

__all__ = ["check_kernel", "delta_orthogonal", "eco", "n_free_slices", "slice_of_frequency", "soc"]

_MAX_SIZE = 2**20


def delta_orthogonal(
    c_in: int,
    c_out: int,
    kernel_size: int,
    *,
    mask: object | None = None,
    gain: float = 1.0,
    looks_linear: bool = False,
    seed: int | np.random.Generator | None = 0,
) -> torch.Tensor:
    """Delta-orthogonal kernels: an orthogonal matrix over the channels at the central tap, zeros elsewhere.

    All singular values of the convolution are the gain, with circular and with zero padding alike. On a mask over the
    channels this is SAO-Delta: a kernel that the mask leaves out is wholly zero, and stays so in `OrthogonalConv2d`.
    Which masks keep it isometric is said at `orthogonal`; those of `biregular` do.

    Args:
        c_in, c_out: channels, at least 1.
        kernel_size: k, odd: an even kernel has no central tap.
        mask: over channels, a Layer or a (c_out, c_in) array of 0 and 1, a union of complete blocks; default dense.
            With looks_linear it is the mask of H0, over half of the channels on either side.
        gain: every singular value, > 0.
        looks_linear: the matrix is [[H0, -H0], [-H0, H0]], for a layer between two ReLUs. By itself that is not
            orthogonal, its singular values are 2 and 0, half each: see `nbkit.weights.looks_linear`.
        seed: an int repeats, None is fresh, a Generator advances.

    Returns:
        float64 (c_out, c_in, k, k).

    Raises:
        NbkitError: an even kernel size, odd channels with looks_linear, a mask of another shape or no such union.

    Source:
        Esguerra et al. 2023, section III-D.3, Table 5, equation (5), Fig. 5; Xiao et al. 2018.

    Example:
        >>> delta_orthogonal(3, 8, 3).shape
        torch.Size([8, 3, 3, 3])
    """
    who = "delta_orthogonal"
    for name, channels in (("c_in", c_in), ("c_out", c_out)):
        check_integer(who, name, channels, at_least=1, at_most=_MAX_SIZE)
    size = _check_odd(who, kernel_size, "An even kernel has no centre")
    gain = check_number(who, "gain", gain, above=0.0)
    halves = 2 if looks_linear else 1
    if c_in % halves or c_out % halves:
        raise NbkitError(
            f"{who}: c_in and c_out must be even with looks_linear, got {c_in} and {c_out}. Use one channel more."
        )
    check_memory(who, 8 * c_in * c_out * size**2, lower="the channels or kernel_size")
    layer = _check_mask(who, mask, c_in // halves, c_out // halves)
    matrix = orthogonal(layer, gain=gain, seed=random_generator(seed, who=who))
    kernel = torch.zeros(c_out, c_in, size, size, dtype=torch.float64)
    kernel[:, :, size // 2, size // 2] = looks_linear_block(matrix) if looks_linear else matrix
    return kernel


def n_free_slices(kernel_size: int) -> int:
    """The number of matrices that an ECO kernel is made of: (k^2 + 1) / 2 for odd k, (k^2 + 4) / 2 for even k.

    Of the k^2 frequencies (p, q) those and (-p, -q) share one, so that the kernel is real.

    Source:
        Esguerra et al. 2023, section IV-C. Its Fig. 6 speaks of four for a 3 x 3 kernel; they are five.

    Example:
        >>> [n_free_slices(k) for k in (1, 2, 3, 4, 5, 6)]
        [1, 4, 5, 10, 13, 20]
    """
    size = check_integer("n_free_slices", "kernel_size", kernel_size, at_least=1, at_most=_MAX_SIZE)
    return (size**2 + (1 if size % 2 else 4)) // 2


def slice_of_frequency(kernel_size: int) -> np.ndarray:
    """(k, k) the number, from 0, of the free slice that frequency (p, q) takes, which (-p, -q) takes as well.

    Args and errors as `n_free_slices`.
    """
    size = check_integer("slice_of_frequency", "kernel_size", kernel_size, at_least=1, at_most=_MAX_SIZE)
    p, q = np.divmod(np.arange(size**2), size)
    first = np.minimum(size * p + q, size * (-p % size) + -q % size)  # of each pair (p, q), (-p, -q)
    return np.unique(first, return_inverse=True)[1].reshape(size, size)


def eco(
    channels: int | tuple[int, int],
    kernel_size: int,
    *,
    mask: object | None = None,
    seed: int | np.random.Generator | None = 0,
) -> torch.Tensor:
    """Explicitly constructed orthogonal kernels: the inverse Fourier transform of one orthogonal matrix a frequency.

    All singular values are 1 for an n x n image with dilation n / k and circular padding, which needs k to divide n:
    `OrthogonalConv2d(kernel, dilation="eco")`. Without the dilation, with zero padding or where k does not divide n
    they are not. On a mask over the channels this is SAO-ECO: all frequencies share the mask, so that a whole kernel
    is zero exactly where the mask is. With c_in != c_out the matrices are semi-orthogonal; their law is that of the
    first c_in columns, or c_out rows, of square ones, which is how the paper has it (it pads or drops channels).

    Args:
        channels: c, or (c_in, c_out), at least 1.
        kernel_size: k, at least 1.
        mask: a Layer or a (c_out, c_in) array of 0 and 1, a union of complete blocks; default dense.
        seed: an int repeats, None is fresh, a Generator advances.

    Returns:
        float64 (c_out, c_in, k, k).

    Raises:
        NbkitError: channels or a kernel size below 1, a mask of another shape or no such union.

    Source:
        Esguerra et al. 2023, sections III-D.4 and IV-C, Fig. 6; Yu et al. 2022.

    Example:
        >>> eco((16, 32), 4).shape
        torch.Size([32, 16, 4, 4])
    """
    who = "eco"
    c_in, c_out = _check_channels(who, channels)
    size = check_integer(who, "kernel_size", kernel_size, at_least=1, at_most=_MAX_SIZE)
    check_memory(who, 48 * c_in * c_out * size**2, lower="the channels or kernel_size")
    layer = _check_mask(who, mask, c_in, c_out)
    generator = random_generator(seed, who=who)
    slices = torch.stack([orthogonal(layer, seed=generator) for _ in range(n_free_slices(size))])
    spectrum = slices[torch.from_numpy(slice_of_frequency(size))]
    return torch.fft.ifft2(spectrum, dim=(0, 1)).real.permute(2, 3, 0, 1).contiguous()


def soc(
    channels: int,
    kernel_size: int,
    *,
    mask: object | None = None,
    scale: float = 1.0,
    seed: int | np.random.Generator | None = 0,
) -> torch.Tensor:
    """The Gaussian kernel of a skew-orthogonal convolution, skew-symmetrised: L[s, t, a, b] = -L[t, s, -a, -b].

    Its convolution is a skew-symmetric matrix, with circular and with zero padding, and the exponential of that,
    `SkewConv2d`, is orthogonal. The exponential keeps a mask only where every block of it maps channels to the same
    channels, as the aligned placement of `biregular` does; other masks it would fill in, so they are refused.

    Args:
        channels: c, of input and output, at least 1.
        kernel_size: k, odd.
        mask: a Layer or a (c, c) array of 0 and 1; default dense.
        scale: rms of ||L x|| / ||x||, > 0; the largest singular value of L is about twice that.
        seed: an int repeats, None is fresh, a Generator advances.

    Returns:
        float64 (c, c, k, k).

    Raises:
        NbkitError: an even kernel size, a mask of another shape or one that the exponential would fill in.

    Source:
        Singla & Feizi 2021; Esguerra et al. 2023, section III-D.2, which gives no more than the name.
    """
    who = "soc"
    channels = check_integer(who, "channels", channels, at_least=1, at_most=_MAX_SIZE)
    size = _check_odd(who, kernel_size, "The mirror image of an even kernel lies elsewhere")
    scale = check_number(who, "scale", scale, above=0.0)
    check_memory(who, 24 * channels**2 * size**2, lower="the channels or kernel_size")
    layer = _check_mask(who, mask, channels, channels)
    _check_aligned(who, layer)
    normal = torch.from_numpy(random_generator(seed, who=who).standard_normal((channels, channels, size, size)))
    normal *= layer.mask()[:, :, None, None]
    spread = torch.from_numpy(layer.in_degrees()).double().mul(2 * size**2).sqrt()
    return scale * (normal - normal.transpose(0, 1).flip(2, 3)) / spread[:, None, None, None]


def check_kernel(who: str, kernel: object) -> torch.Tensor:
    """The kernels as a floating-point tensor (c_out, c_in, k, k), detached, on the device they are on.

    Raises:
        NbkitError: not 4-D, empty, complex, or NaN or infinite entries.
    """
    tensor = as_tensor(who, "kernel", kernel)
    tensor = tensor if tensor.is_floating_point() or tensor.is_complex() else tensor.double()
    if tensor.ndim != 4 or not tensor.numel() or tensor.is_complex() or not tensor.isfinite().all():
        wrong = "" if tensor.isfinite().all() else " with NaN or infinite entries"
        raise NbkitError(
            f"{who}: kernel must be finite and real, (c_out, c_in, k, k), got {tensor.dtype} of shape "
            f"{tuple(tensor.shape)}{wrong}. Kernels written (k, k, c_out, c_in) need permute(2, 3, 0, 1)."
        )
    return tensor


def _check_channels(who: str, channels: object) -> tuple[int, int]:
    if not isinstance(channels, (tuple, list)):
        return (check_integer(who, "channels", channels, at_least=1, at_most=_MAX_SIZE),) * 2
    given = check_integers(who, "channels", channels, at_least=1)
    if len(given) != 2:
        raise NbkitError(f"{who}: channels must be c or (c_in, c_out), got {show(channels)}. Write it as (16, 32).")
    return given


def _check_odd(who: str, kernel_size: object, reason: str) -> int:
    size = check_integer(who, "kernel_size", kernel_size, at_least=1, at_most=_MAX_SIZE)
    if size % 2 == 0:
        raise NbkitError(f"{who}: kernel_size must be odd, got {size}. {reason}: use {size + 1}, or eco.")
    return size


def _check_mask(who: str, mask: object | None, c_in: int, c_out: int) -> Layer:
    if mask is None:
        return dense_layer(c_in, c_out)
    layer = as_layer(who, mask)
    if layer.shape != (c_in, c_out):
        raise NbkitError(
            f"{who}: mask must be over {c_in} input and {c_out} output channels, got {layer}. "
            f"Use biregular({c_in}, {c_out}, degree), or an array of shape ({c_out}, {c_in})."
        )
    complete_blocks(layer, who=who)
    return layer


def _check_aligned(who: str, layer: Layer) -> None:
    found = complete_blocks(layer, who=who)
    aligned = all(np.array_equal(blocks.inputs, blocks.outputs) for blocks in found)
    if not aligned or sum(blocks.inputs.size for blocks in found) < layer.n_in:
        raise NbkitError(
            f"{who}: every block of the mask must map channels to the same channels, got {layer}, which the exponential "
            'would fill in. Use biregular(c, c, degree, placement="aligned"), or no mask.'
        )
