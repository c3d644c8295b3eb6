"""Orthogonal kernels against the operator that torch's conv2d applies to unit images (SCIENCE 3.6)."""

import itertools
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.topology import biregular
from nbkit.weights import delta_orthogonal, eco, looks_linear, n_free_slices, soc


def operator(kernel: torch.Tensor, n: int, *, padding: str = "circular", dilation: int = 1) -> torch.Tensor:
    """The convolution of an n x n image as a matrix: torch's conv2d of every unit image."""
    c_out, c_in, k, _ = kernel.shape
    units = torch.eye(c_in * n * n, dtype=kernel.dtype).reshape(-1, c_in, n, n)
    before = dilation * (k - 1) // 2
    sides = (before, dilation * (k - 1) - before) * 2
    padded = torch.nn.functional.pad(units, sides, mode="circular" if padding == "circular" else "constant")
    return torch.nn.functional.conv2d(padded, kernel, dilation=dilation).reshape(len(units), -1).T


def spectrum(kernel: torch.Tensor, n: int, **options: object) -> torch.Tensor:
    return torch.linalg.svdvals(operator(kernel, n, **options))


def is_constant(values: torch.Tensor, value: float) -> bool:
    return bool((values - value).abs().max() < 1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3, 5]), st.sampled_from(["circular", "zeros"]))
def test_delta_is_isometric_under_both_paddings(c_in, c_out, k, padding):  # S14
    kernel = delta_orthogonal(c_in, c_out, k, seed=c_in)
    assert kernel.shape == (c_out, c_in, k, k) and kernel.dtype == torch.float64
    assert is_constant(spectrum(kernel, 4, padding=padding), 1)


def test_delta_is_zero_but_at_the_centre_and_scales_with_the_gain():
    kernel = delta_orthogonal(3, 4, 5, gain=2.0)
    assert kernel[:, :, 2, 2].all() and kernel.count_nonzero() == 12
    assert is_constant(spectrum(kernel, 5), 2)


@pytest.mark.parametrize("c_in, c_out, degree", [(8, 12, 3), (12, 8, 3), (8, 8, 2)])
@pytest.mark.parametrize("placement", ["random", "shift", "aligned"])
def test_sao_kernels_are_isometric_and_zero_exactly_where_the_mask_is(c_in, c_out, degree, placement):
    mask = biregular(c_in, c_out, degree, placement=placement)
    for kernel, options in (
        (delta_orthogonal(c_in, c_out, 3, mask=mask), {"padding": "zeros"}),
        (eco((c_in, c_out), 3, mask=mask), {"dilation": 2}),
    ):
        assert torch.equal(kernel.abs().amax(dim=(2, 3)) > 0, mask.mask())
        assert is_constant(spectrum(kernel, 6, **options), 1)


def test_a_mask_may_be_an_array_of_outputs_by_inputs():
    mask = biregular(4, 6, 3)
    assert torch.equal(eco((4, 6), 2, mask=mask), eco((4, 6), 2, mask=mask.mask().numpy()))


def test_equation_5_alone_is_not_orthogonal():  # S17
    mask = biregular(4, 4, 2)
    for kernel in (
        delta_orthogonal(8, 8, 3, looks_linear=True),
        delta_orthogonal(8, 8, 3, mask=mask, looks_linear=True),
    ):
        values = spectrum(kernel, 3)
        assert is_constant(values[:36], 2) and is_constant(values[36:], 0)
    assert (kernel[:4, :4].abs().amax(dim=(2, 3)) > 0).equal(mask.mask())


def rectified(kernels: list[torch.Tensor], n: int, *, last: bool) -> torch.Tensor:
    """The singular values of the Jacobian at a random image, with a ReLU after each layer (the last too, or not)."""
    z = torch.randn(kernels[0].shape[1] * n * n, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    jacobian = torch.eye(len(z), dtype=torch.float64)
    for layer, kernel in enumerate(kernels, start=1):
        matrix = operator(kernel, n)
        z, jacobian = matrix @ z, matrix @ jacobian
        if last or layer < len(kernels):
            jacobian = (z > 0)[:, None] * jacobian
            z = z.relu()
    return torch.linalg.svdvals(jacobian)


@pytest.mark.parametrize("depth", [1, 2, 5, 20])
def test_equation_5_with_relu_has_root_2_and_0_at_every_depth(depth):  # S16
    kernels = [delta_orthogonal(4, 4, 3, looks_linear=True, seed=seed) for seed in range(depth)]
    values = rectified(kernels, 3, last=True)
    assert is_constant(values[:18], 2**0.5) and is_constant(values[18:], 0)


def test_with_mirrored_ends_a_relu_net_of_convolutions_is_isometric():
    kernels = looks_linear([delta_orthogonal(2, 2, 3, seed=seed) for seed in range(5)])
    assert is_constant(rectified(kernels, 3, last=False), 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(1, 2), st.integers(0, 99))
def test_eco_is_isometric_where_k_divides_n(c_in, c_out, k, dilation, seed):
    kernel = eco((c_in, c_out), k, seed=seed)
    assert kernel.shape == (c_out, c_in, k, k) and kernel.dtype == torch.float64
    assert is_constant(spectrum(kernel, k * dilation, dilation=dilation), 1)


def test_eco_is_not_isometric_without_dilation_with_zeros_or_where_k_does_not_divide_n():  # S12
    kernel = eco(4, 3)
    for broken in ({"n": 6}, {"n": 6, "dilation": 2, "padding": "zeros"}, {"n": 7, "dilation": 2}):
        values = spectrum(kernel, **broken)
        assert values[0] > 1.1 and values[-1] < 0.5


def test_the_slices_of_eco_are_orthogonal_and_shared_by_opposite_frequencies():
    slices = torch.fft.fft2(eco(3, 4)).permute(2, 3, 0, 1)
    assert slices.imag.abs().max() < 1e-14
    distinct = {tuple(matrix.round(decimals=8).flatten().tolist()) for matrix in slices.real.flatten(0, 1)}
    assert len(distinct) == 10
    for p, q in itertools.product(range(4), repeat=2):
        assert torch.allclose(slices[p, q], slices[-p % 4, -q % 4], atol=1e-14)
        assert torch.allclose(slices[p, q].real @ slices[p, q].real.T, torch.eye(3, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("k", range(1, 9))
def test_free_slices_are_the_pairs_of_opposite_frequencies(k):  # S13
    pairs = {frozenset({(p, q), (-p % k, -q % k)}) for p, q in itertools.product(range(k), repeat=2)}
    assert n_free_slices(k) == len(pairs)
    assert [n_free_slices(k) for k in range(1, 7)] == [1, 4, 5, 10, 13, 20]


@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_soc_is_skew_symmetric_and_its_exponential_orthogonal(padding):
    matrix = operator(soc(3, 3), 4, padding=padding)
    assert torch.equal(matrix, -matrix.T)
    assert is_constant(torch.linalg.svdvals(torch.linalg.matrix_exp(matrix)), 1)


def test_the_scale_of_soc_is_the_rms_length():
    matrix = operator(soc(16, 3, scale=0.5), 3)
    assert (matrix.square().sum() / len(matrix)).sqrt() == pytest.approx(0.5, rel=0.05)


def channels_density(kernel: torch.Tensor) -> float:
    matrix = torch.linalg.matrix_exp(operator(kernel, 3)).reshape(8, 9, 8, 9)
    return float((matrix.abs().amax(dim=(1, 3)) > 1e-12).double().mean())


def test_the_exponential_keeps_an_aligned_mask_and_fills_in_a_shifted_one():
    assert channels_density(soc(8, 3, mask=biregular(8, 8, 2, placement="aligned"))) == 0.25
    shifted = biregular(8, 8, 2, placement="shift").mask()
    full = soc(8, 3) * (shifted | shifted.T)[:, :, None, None]
    assert channels_density(full) == 1.0


@pytest.mark.parametrize("mask", [biregular(8, 8, 2, placement="shift"), np.diag([1, 1, 1, 0]), np.eye(3)[[1, 2, 0]]])
def test_soc_refuses_masks_that_the_exponential_would_fill_in(mask):
    channels = 8 if not isinstance(mask, np.ndarray) else len(mask)
    with pytest.raises(NbkitError, match="^soc: every block of the mask must map channels to the same channels, got"):
        soc(channels, 3, mask=mask)


@pytest.mark.parametrize("make", [
    lambda seed: delta_orthogonal(4, 4, 3, seed=seed), lambda seed: eco(4, 3, seed=seed), lambda seed: soc(4, 3, seed=seed)
], ids=["delta", "eco", "soc"])  # fmt: skip
def test_an_integer_repeats_and_a_generator_advances(make):
    generator = np.random.default_rng(0)
    first, second = make(generator), make(generator)
    assert torch.equal(make(0), first) and not torch.equal(first, second)
    with pytest.raises(NbkitError, match=r"^(delta_orthogonal|eco|soc): seed must be an integer"):
        make(-1)


@pytest.mark.parametrize("call, message", [
    (lambda: delta_orthogonal(4, 4, 2), "delta_orthogonal: kernel_size must be odd, got 2. An even kernel has no centre: use 3, or eco."),
    (lambda: soc(4, 4), "soc: kernel_size must be odd, got 4."),
    (lambda: delta_orthogonal(4, 3, 3, looks_linear=True), "delta_orthogonal: c_in and c_out must be even with looks_linear, got 4 and 3."),
    (lambda: delta_orthogonal(4, 0, 3), "delta_orthogonal: c_out must be an integer between 1 and 1048576, got 0."),
    (lambda: delta_orthogonal(4, 4, 3, gain=0), "delta_orthogonal: gain must be a finite number in (0, inf), got 0."),
    (lambda: soc(4, 3, scale=-1), "soc: scale must be a finite number in (0, inf), got -1."),
    (lambda: eco((4, 4, 4), 3), "eco: channels must be c or (c_in, c_out), got (4, 4, 4)."),
    (lambda: eco("4", 3), "eco: channels must be an integer between 1 and 1048576, got '4'."),
    (lambda: eco(4, 0), "eco: kernel_size must be an integer between 1 and 1048576, got 0."),
    (lambda: n_free_slices(2.5), "n_free_slices: kernel_size must be an integer between 1 and 1048576, got 2.5."),
    (lambda: eco((8, 4), 3, mask=biregular(4, 8, 2)), "eco: mask must be over 8 input and 4 output channels, got <Layer 4 -> 8"),
    (lambda: eco(3, 3, mask=[[1, 1, 0], [0, 1, 1], [1, 0, 1]]), "eco: the wires must be a union of complete bipartite blocks"),
    (lambda: soc(2, 3, mask=[[1, 2], [0, 1]]), "soc: mask must be a Layer or an (n_out, n_in) array of 0 and 1"),
    (lambda: delta_orthogonal(2**20, 2**20, 3), "delta_orthogonal: the result must fit into the memory budget"),
    (lambda: eco(2**19, 3), "eco: the result must fit into the memory budget"),
    (lambda: soc(2**19, 3), "soc: the result must fit into the memory budget"),
], ids=lambda value: value[:60] if isinstance(value, str) else "")  # fmt: skip
def test_what_makes_no_kernel_is_refused_with_the_reason(call, message):
    with pytest.raises(NbkitError, match=f"^{re.escape(message)}"):
        call()
