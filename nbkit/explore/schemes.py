"""Convolution kernels by the name of their scheme, and their operators' spectra, as the explorers of notebook 06 compare them."""

from functools import lru_cache

import numpy as np
import torch

from nbkit.device import spawn_generators
from nbkit.measure import conv_frequency_singular_values, conv_matrix
from nbkit.measure.convolution import folded_kernel
from nbkit.topology import Layer, biregular, magnitude_pruned
from nbkit.weights import delta_orthogonal, eco, random_on_mask, soc

__all__ = [
    "CHANNELS",
    "DENSITIES",
    "SCHEMES",
    "SIZES",
    "admitted",
    "dilation_of",
    "frequency_values",
    "kernel_of",
    "mask_of",
    "operator_of",
    "wave_gains",
]

#: Schemes and whose colour each has.
SCHEMES = {
    "delta": "dense",
    "SAO-Delta": "sao",
    "ECO": "dense",
    "SAO-ECO": "sao",
    "SOC": "sao",
    "Gaussian": "dense",
    "pruned delta": "pruned",
    "pruned ECO": "pruned",
}
CHANNELS = (4, 8, 16, 32)
DENSITIES = (0.03125, 0.0625, 0.125, 0.25, 0.5, 1.0)
SIZES = (4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 18, 20, 24, 28, 30, 32)

_MOST_ROWS = {"SOC": 400}  # of an explicit matrix: its SVD, or for SOC its exponential, takes one step
_OTHER_ROWS = 600
_SOC_SIDE = 384  # channels times pixels a side: an exponential a frequency


def admitted(scheme: str, channels: int, kernel_size: int, padding: str) -> dict[str, list]:
    """The channels, kernel sizes, image sizes and densities that a scheme admits with the other settings."""
    most = np.inf if padding == "circular" else _MOST_ROWS.get(scheme, _OTHER_ROWS)
    wide = [c for c in CHANNELS if c * SIZES[0] ** 2 <= most]
    channels = min(channels, wide[-1])
    sizes = [n for n in SIZES if n * n * channels <= most and (scheme != "SOC" or channels * n <= _SOC_SIDE)]
    odd = scheme == "SOC" or "elta" in scheme
    kernels = [k for k in range(1, 6) if k <= sizes[-1] and (k % 2 or not odd)]
    return {
        "channels": wide,
        "kernel_size": kernels,
        "size": [n for n in sizes if n >= min(kernel_size, kernels[-1])],
        "density": [1.0] if scheme in ("delta", "ECO") else [part for part in DENSITIES if part * channels >= 1],
    }


def dilation_of(dilation: str, size: int, kernel_size: int) -> int:
    """The number of pixels between taps; "n/k" is rounded down where k does not divide n."""
    return size // kernel_size if dilation == "n/k" else 1


@lru_cache(maxsize=300)
def kernel_of(scheme: str, channels: int, kernel_size: int, density: float, seed: int = 0) -> torch.Tensor:
    """The kernels of a scheme, (c, c, k, k); of SOC those whose exponential is the layer."""
    if scheme.startswith("pruned"):
        whole = kernel_of(scheme.split()[1], channels, kernel_size, 1.0, seed)
        return whole * magnitude_pruned([whole], density)[0].mask()[:, :, None, None]
    mask = mask_of(scheme, channels, density, seed)
    if "elta" in scheme:
        return delta_orthogonal(channels, channels, kernel_size, mask=mask, seed=seed)
    if "ECO" in scheme:
        return eco(channels, kernel_size, mask=mask, seed=seed)
    if scheme == "SOC":
        return soc(channels, kernel_size, mask=mask, seed=seed)
    taps = [random_on_mask(mask, seed=generator) for generator in spawn_generators(seed, kernel_size**2)]
    he = np.sqrt(2) / kernel_size
    return he * torch.stack(taps, dim=-1).reshape(channels, channels, kernel_size, kernel_size)


def mask_of(scheme: str, channels: int, density: float, seed: int = 0) -> Layer:
    """The mask over channels that a scheme's kernels are made on."""
    placement = "aligned" if scheme == "SOC" else "random"
    return biregular(channels, channels, round(density * channels), placement=placement, seed=seed)


def frequency_values(scheme: str, kernel: torch.Tensor, size: int, dilation: int) -> np.ndarray:
    """The singular values of every frequency with circular padding, (n, n, c); of SOC those of the exponential."""
    if scheme != "SOC":
        return conv_frequency_singular_values(kernel, size, dilation=dilation).numpy()
    middle = kernel.shape[-1] // 2 * dilation  # an exponential, unlike singular values, knows where the kernel stands
    image = folded_kernel(kernel, (size, size), (dilation, dilation)).roll((-middle, -middle), dims=(2, 3))
    at_frequency = torch.fft.fft2(image).permute(2, 3, 0, 1)
    return torch.linalg.svdvals(torch.linalg.matrix_exp(at_frequency)).numpy()


def operator_of(scheme: str, kernel: torch.Tensor, size: int, dilation: int) -> torch.Tensor:
    """The layer with zero padding as a matrix (c n^2, c n^2); of SOC the exponential."""
    matrix = conv_matrix(kernel, size, dilation=dilation, padding="zeros")
    return torch.linalg.matrix_exp(matrix) if scheme == "SOC" else matrix


def wave_gains(matrix: torch.Tensor, size: int) -> np.ndarray:
    """How much an operator stretches the plane waves of each frequency, (n, n, c): of a circular one its singular values.

    Zero padding mixes frequencies, so that these lie within the operator's singular values and are not all of them.
    """
    waves = torch.fft.fft2(matrix.reshape(len(matrix), -1, size, size), norm="ortho")
    return torch.linalg.svdvals(waves.permute(2, 3, 0, 1)).numpy()
