"""Spectra and matrices of convolutions against torch's own circular and zero-padded Conv2d (SCIENCE 3.6)."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.measure import conv_frequency_singular_values, conv_matrix, conv_singular_values, multiplicities
from nbkit.topology import biregular
from nbkit.weights import delta_orthogonal, eco


def operator(kernel: torch.Tensor, size: tuple[int, int], dilation: int, padding: str) -> torch.Tensor:
    """torch.nn.Conv2d of every unit image, as columns."""
    c_out, c_in, *taps = kernel.shape
    convolution = torch.nn.Conv2d(
        c_in, c_out, taps, dilation=dilation, padding="same", padding_mode=padding, bias=False, dtype=kernel.dtype
    )
    convolution.weight = torch.nn.Parameter(kernel)
    units = torch.eye(c_in * math.prod(size), dtype=kernel.dtype).reshape(-1, c_in, *size)
    return convolution(units).detach().reshape(len(units), -1).T


def rolled(kernel: torch.Tensor, n: int) -> np.ndarray:
    """The circular convolution of every unit image by rolling it, which no kernel is too large for."""
    c_out, c_in, k, _ = kernel.shape
    units = np.eye(c_in * n * n).reshape(-1, c_in, n, n)
    left = (k - 1) // 2
    images = sum(
        np.einsum("oi,bihw->bohw", kernel[:, :, a, b].numpy(), np.roll(units, (left - a, left - b), axis=(2, 3)))
        for a in range(k)
        for b in range(k)
    )
    return images.reshape(len(units), -1).T


def kernel_of(c_out: int, c_in: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(c_out, c_in, height, width, dtype=torch.float64, generator=generator)


channels = st.integers(1, 3)
sizes = st.tuples(st.integers(3, 5), st.integers(3, 5))


@settings(max_examples=60, deadline=None)
@given(channels, channels, st.integers(1, 3), st.integers(1, 3), sizes, st.integers(1, 2), st.integers(0, 9))
def test_the_matrix_and_the_spectrum_are_those_of_torchs_conv2d(c_out, c_in, height, width, size, dilation, seed):
    kernel = kernel_of(c_out, c_in, height, width, seed)
    for padding in ("circular", "zeros"):
        expected = operator(kernel, size, dilation, padding)
        options = {"dilation": dilation, "padding": padding}
        torch.testing.assert_close(conv_matrix(kernel, size, **options), expected, rtol=0, atol=1e-12)
        values = conv_singular_values(kernel, size, **options)
        assert values.dtype == torch.float64 and (values.diff() <= 0).all()
        torch.testing.assert_close(values, torch.linalg.svdvals(expected), rtol=0, atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(channels, channels, st.integers(1, 9), st.integers(1, 4))
def test_kernels_larger_than_the_image_fold(c_out, c_in, k, n):
    kernel = kernel_of(c_out, c_in, k, k)
    expected = rolled(kernel, n)
    assert conv_matrix(kernel, n).numpy() == pytest.approx(expected, abs=1e-12)
    values = np.linalg.svd(expected, compute_uv=False)
    assert conv_singular_values(kernel, n).numpy() == pytest.approx(values, abs=1e-9)


@pytest.mark.parametrize("n", [1, 2, 5, 6])
@pytest.mark.parametrize("c_out, c_in", [(2, 3), (4, 2)])
def test_each_frequency_has_the_values_of_its_matrix(n, c_out, c_in):
    kernel = kernel_of(c_out, c_in, 1, 1).expand(-1, -1, min(n, 3), min(n, 3)) * kernel_of(1, 1, min(n, 3), min(n, 3))
    expected = np.linalg.svd(np.fft.fft2(kernel.permute(2, 3, 0, 1), (n, n), axes=(0, 1)), compute_uv=False)
    assert conv_frequency_singular_values(kernel, n).numpy() == pytest.approx(expected, abs=1e-12)


def test_an_image_may_be_wider_than_high():
    kernel = kernel_of(2, 3, 2, 3)
    expected = np.linalg.svd(np.fft.fft2(kernel.permute(2, 3, 0, 1), (4, 7), axes=(0, 1)), compute_uv=False)
    assert conv_frequency_singular_values(kernel, (4, 7)).numpy() == pytest.approx(expected, abs=1e-12)


def test_arange_54():  # S15
    kernel = np.arange(54).reshape(3, 3, 2, 3).transpose(2, 3, 0, 1)
    values = conv_singular_values(kernel, 4)
    assert len(values) == 32 and values[0].item() == pytest.approx(585.4143542814, abs=1e-9)


def test_the_matrix_of_figure_12_is_doubly_block_circulant():
    matrix = conv_matrix(kernel_of(1, 1, 3, 3), 4)
    blocks = matrix.reshape(4, 4, 4, 4)  # row, column of the output; row, column of the input
    assert torch.equal(blocks, blocks.roll((1, 1), dims=(0, 2))) and torch.equal(
        blocks, blocks.roll((1, 1), dims=(1, 3))
    )
    assert (matrix != 0).sum(dim=1).tolist() == [9] * 16


def test_the_wires_of_a_3_by_3_convolution_have_the_second_value_of_the_circle():  # S18
    for n in (5, 6, 32):
        second = conv_singular_values(torch.ones(1, 1, 3, 3), n)[1].item()
        assert second == pytest.approx(3 * (1 + 2 * math.cos(2 * math.pi / n)), abs=1e-12)
        assert (second <= 2 * math.sqrt(8)) == (n == 5)


@pytest.mark.parametrize("degree", [1, 2, 4])
def test_kernels_on_a_mask_have_the_values_of_the_whole_operator(degree):
    mask = biregular(8, 12, 3 * degree).mask()[:, :, None, None]
    kernel = kernel_of(12, 8, 3, 3) * mask
    kernel[:, 5] = 0
    expected = torch.linalg.svdvals(operator(kernel, (4, 4), 1, "circular"))
    torch.testing.assert_close(conv_singular_values(kernel, 4), expected, rtol=0, atol=1e-10)
    assert (conv_singular_values(torch.zeros(2, 3, 3, 3), 4) == 0).all()


def test_what_breaks_the_isometry_of_eco():  # S12
    kernel = eco(8, 3)
    assert multiplicities(conv_singular_values(kernel, 6, dilation=2)) == [(pytest.approx(1, abs=1e-12), 36 * 8)]
    assert multiplicities(conv_singular_values(eco(8, 4), (8, 12), dilation=(2, 3)))[0][1] == 96 * 8
    for n, dilation, padding in ((6, 1, "circular"), (6, 2, "zeros"), (7, 2, "circular")):
        values = conv_singular_values(kernel, n, dilation=dilation, padding=padding)
        assert values[0] > 1.1 and values[-1] < 0.5
    delta = conv_singular_values(delta_orthogonal(4, 4, 3), 5, padding="zeros")
    assert multiplicities(delta) == [(pytest.approx(1, abs=1e-12), 100)]


@pytest.mark.parametrize("ask", [conv_singular_values, conv_frequency_singular_values, conv_matrix])
@pytest.mark.parametrize("arguments, options, rule", [
    ((np.zeros((3, 3)), 4), {}, "kernel must be finite and real, (c_out, c_in, k, k), got torch.float64 of shape (3, 3)."),
    ((np.full((1, 1, 2, 2), np.nan), 4), {}, "kernel must be finite and real, (c_out, c_in, k, k), got torch.float64 of shape (1, 1, 2, 2) with NaN"),
    ((np.ones((1, 1, 2, 2)) * 1j, 4), {}, "kernel must be finite and real, (c_out, c_in, k, k), got torch.complex128"),
    ((np.zeros((0, 1, 2, 2)), 4), {}, "kernel must be finite and real"),
    (("kernel", 4), {}, "kernel must be an array of numbers, got 'kernel'"),
    ((np.ones((1, 1, 2, 2)), 0), {}, "size must be an integer between 1 and 1048576, got 0."),
    ((np.ones((1, 1, 2, 2)), (4, 4, 4)), {}, "size must be n or (height, width), got (4, 4, 4)."),
    ((np.ones((1, 1, 2, 2)), 4), {"dilation": 0}, "dilation must be an integer between 1 and 1048576, got 0."),
    ((np.ones((1, 1, 2, 2)), 2**20), {}, "the result must fit into the memory budget"),
])  # fmt: skip
def test_what_has_no_spectrum_is_refused(ask, arguments, options, rule):
    with pytest.raises(NbkitError, match=f"^{re.escape(f'{ask.__name__}: {rule}')}"):
        ask(*arguments, **options)


def test_a_kernel_whose_sums_overflow_is_refused():
    with pytest.raises(NbkitError, match="conv_singular_values: the kernel's sum must fit into float64"):
        conv_singular_values(np.full((1, 1, 3, 3), 1e308), 4)


@pytest.mark.parametrize("ask", [conv_singular_values, conv_matrix])
def test_another_padding_is_refused(ask):
    with pytest.raises(NbkitError, match=f"^{ask.__name__}: padding must be one of 'circular', 'zeros', got 'reflect'"):
        ask(torch.ones(1, 1, 3, 3), 4, padding="reflect")
    with pytest.raises(NbkitError, match=f"^{ask.__name__}: the result must fit .+ Lower the channels or size"):
        ask(torch.ones(1, 1, 3, 3), 2000, padding="zeros")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
@pytest.mark.parametrize(
    "kernel", [kernel_of(5, 3, 3, 2), eco(8, 3, mask=biregular(8, 8, 2))], ids=["dense", "SAO-ECO"]
)
@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_cuda_finds_the_values_of_the_cpu(kernel, padding):
    values = conv_singular_values(kernel.cuda(), 6, padding=padding)
    assert values.is_cuda and torch.allclose(values.cpu(), conv_singular_values(kernel, 6, padding=padding), atol=1e-10)
    matrix = conv_matrix(kernel.cuda(), (4, 5), padding=padding)
    assert matrix.is_cuda and torch.equal(matrix.cpu(), conv_matrix(kernel, (4, 5), padding=padding))
