"""Exercises of notebook 06: how much a convolution can stretch an image."""

from collections.abc import Iterator

import numpy as np
import torch

from nbkit.exercises import exercise

__all__ = []


@exercise(
    "06 largest stretch",
    hint="At every frequency (u, v) of the n x n image stands one c_out x c_in matrix; the answer is the largest singular "
    "value of them all.",
    mistakes={
        "The kernel must be padded with zeros to n x n before the transform: np.fft.fft2(kernel, (n, n)).": (
            lambda kernel, n: _largest(np.fft.fft2(kernel).transpose(2, 3, 0, 1))
        ),
        "svd decomposes the last two axes, and there your matrices have (n, n). Move the channels to the end first.": (
            lambda kernel, n: _largest(np.fft.fft2(kernel, (n, n)))
        ),
        "fft2 transforms the last two axes unless told otherwise: those must be the taps, not the channels.": (
            lambda kernel, n: _largest(np.fft.fft2(np.moveaxis(kernel, (2, 3), (0, 1)), (n, n)))
        ),
        "That is the kernel flattened to one matrix of c_out rows. One image pixel appears in many windows: use the "
        "frequencies.": (lambda kernel, n: _largest(kernel.reshape(len(kernel), -1))),
        "That is the frequency 0 alone, the sum of the taps: other frequencies can be stretched more.": (
            lambda kernel, n: _largest(kernel.sum(axis=(2, 3)))
        ),
    },
)
def stretch_cases() -> Iterator[tuple[tuple, float]]:
    # The independent route: every unit image through torch's own conv2d, then one svd of the whole operator.
    laplacian = np.array([[[[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]]]])
    yield (laplacian, 6), _stretch(laplacian, 6)
    generator = np.random.default_rng(0)
    for c_in, c_out, k, n in ((2, 3, 3, 5), (4, 2, 2, 4), (3, 3, 5, 8), (3, 3, 3, 3)):
        kernel = generator.standard_normal((c_out, c_in, k, k))
        yield (kernel, n), _stretch(kernel, n)


def _stretch(kernel: np.ndarray, n: int) -> float:
    c_in, k = kernel.shape[1:3]
    images = torch.eye(c_in * n * n, dtype=torch.float64).reshape(-1, c_in, n, n)
    padded = torch.nn.functional.pad(images, (0, k - 1, 0, k - 1), mode="circular")
    outcomes = torch.nn.functional.conv2d(padded, torch.from_numpy(kernel)).reshape(len(images), -1)
    return round(float(torch.linalg.matrix_norm(outcomes, ord=2)), 12)


def _largest(matrices: np.ndarray) -> float:
    return np.linalg.svd(matrices, compute_uv=False).max()
