"""Orthogonal convolutions as modules: isometric where SCIENCE 3.6 says so, and trainable without filling a mask in."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.nets import OrthogonalConv2d, SkewConv2d
from nbkit.topology import biregular
from nbkit.weights import delta_orthogonal, eco, soc


def matrix_of(module: torch.nn.Module, channels: int, height: int, width: int) -> torch.Tensor:
    """A linear module as a matrix: what it makes of every unit image, as columns."""
    units = torch.eye(channels * height * width, dtype=torch.float64).reshape(-1, channels, height, width)
    return module(units).detach().reshape(len(units), -1).T


def is_semi_orthogonal(matrix: torch.Tensor) -> bool:
    return bool((torch.linalg.svdvals(matrix) - 1).abs().max() < 1e-12)


@pytest.mark.parametrize("taps", [(3, 3), (2, 4), (5, 2)])
@pytest.mark.parametrize("padding", ["circular", "zeros"])
@pytest.mark.parametrize("dilation", [1, 2])
def test_it_is_torchs_convolution_of_the_same_size(taps, padding, dilation):
    kernel = torch.randn(4, 3, *taps, generator=torch.Generator().manual_seed(0))
    options = {"dilation": dilation, "padding": "same", "padding_mode": padding, "bias": False}
    expected = torch.nn.Conv2d(3, 4, taps, **options)
    expected.weight = torch.nn.Parameter(kernel)
    x = torch.randn(2, 3, 9, 8, generator=torch.Generator().manual_seed(1))
    module = OrthogonalConv2d(kernel, dilation=dilation, padding=padding)
    torch.testing.assert_close(module(x), expected(x))
    torch.testing.assert_close(module(x[0]), expected(x)[0])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.tuples(*[st.integers(1, 2)] * 2))
def test_eco_is_semi_orthogonal_on_every_image_that_its_size_divides(k, c_in, c_out, stride, multiples):
    kernel = eco((c_in * stride**2, c_out), k)
    size = [k * stride * multiple for multiple in multiples]
    module = OrthogonalConv2d(kernel, dilation="eco", stride=stride)
    matrix = matrix_of(module, c_in, *size)
    assert matrix.shape == (c_out * size[0] * size[1] // stride**2, c_in * size[0] * size[1])
    assert is_semi_orthogonal(matrix)


def test_eco_loses_isometry_with_zeros_and_without_dilation():
    kernel = eco(3, 3)
    for options in ({"dilation": 1}, {"dilation": "eco", "padding": "zeros"}):
        values = torch.linalg.svdvals(matrix_of(OrthogonalConv2d(kernel, **options), 3, 6, 6))
        assert values[0] > 1.1 and values[-1] < 0.5


@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_delta_keeps_lengths_on_any_image_and_stride(padding):
    module = OrthogonalConv2d(delta_orthogonal(8, 9, 3), padding=padding, stride=2)
    assert is_semi_orthogonal(matrix_of(module, 2, 6, 4))


def test_a_stride_unshuffles_pixels_into_channels():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    module = OrthogonalConv2d(torch.eye(4)[:, :, None, None], stride=2)
    assert module(x)[0, :, 0, 0].tolist() == [0, 1, 4, 5]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.sampled_from([1, 3, 5]), st.floats(0.1, 2.0), st.sampled_from(["circular", "zeros"]))
def test_soc_is_the_exponential_and_orthogonal_under_both_paddings(channels, k, scale, padding):
    kernel = soc(channels, k, scale=scale)
    skew = matrix_of(OrthogonalConv2d(kernel, padding=padding), channels, 4, 4)
    matrix = matrix_of(SkewConv2d(kernel, padding=padding), channels, 4, 4)
    torch.testing.assert_close(matrix, torch.linalg.matrix_exp(skew), rtol=0, atol=1e-12)
    assert is_semi_orthogonal(matrix)


def test_soc_pads_and_drops_channels():
    assert is_semi_orthogonal(matrix_of(SkewConv2d(soc(4, 3)), 3, 3, 3))
    dropped = matrix_of(SkewConv2d(soc(4, 3), c_out=2, stride=2), 1, 4, 4)
    assert dropped.shape == (8, 16) and is_semi_orthogonal(dropped)


def test_few_terms_of_the_series_are_not_orthogonal():
    values = torch.linalg.svdvals(matrix_of(SkewConv2d(soc(3, 3), n_terms=3), 3, 4, 4))
    assert values[0] > 1.05


def trained(module: torch.nn.Module, channels: int) -> torch.nn.Module:
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    x = torch.randn(8, channels, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        optimizer.zero_grad()
        (module(x) - x.roll(1, dims=3)).square().mean().backward()
        optimizer.step()
    return module


@pytest.mark.parametrize("kernel, options", [
    (delta_orthogonal(8, 8, 3, mask=biregular(8, 8, 2)), {}), (eco(8, 3, mask=biregular(8, 8, 2)), {"dilation": "eco"}),
], ids=["SAO-Delta", "SAO-ECO"])  # fmt: skip
def test_training_keeps_the_mask_and_moves_every_tap_of_a_kept_kernel(kernel, options):
    module = trained(OrthogonalConv2d(kernel, **options), 8)
    kept = kernel.abs().amax(dim=(2, 3)) > 0
    assert (module.weight[kept] != kernel[kept]).all() and (module.weight[~kept] == 0).all()


def test_soc_stays_orthogonal_and_keeps_its_mask_while_it_trains():
    mask = biregular(8, 8, 2, placement="aligned")
    module = SkewConv2d(soc(8, 3, mask=mask, scale=0.5))
    before = matrix_of(module, 8, 3, 3)
    after = matrix_of(trained(module, 8), 8, 3, 3)
    assert is_semi_orthogonal(after) and (after - before).abs().max() > 1e-3
    assert torch.equal(after.reshape(8, 9, 8, 9).abs().amax(dim=(1, 3)) > 0, mask.mask())


def test_the_kernel_is_copied_and_the_state_holds_the_mask():
    kernel = delta_orthogonal(2, 2, 3)
    module = OrthogonalConv2d(kernel)
    with torch.no_grad():
        module.weight.zero_()
    assert kernel.any() and set(module.state_dict()) == {"weight", "mask"}


@pytest.mark.parametrize("shape", [(8, 8), (12, 4), (4, 12)])
@pytest.mark.parametrize("options", [
    {}, {"padding": "zeros"}, {"dilation": 2}, {"padding": "zeros", "stride": 2, "strided": "skip"},
])  # fmt: skip
def test_blocks_of_channels_run_as_groups_with_the_outputs_and_gradients_of_the_whole_kernel(shape, options):
    """The same kernel with a wire more, of weight 0, is no union of blocks and runs as a dense convolution."""
    generator = torch.Generator().manual_seed(0)
    mask = biregular(*shape, max(shape) // 4).mask()[:, :, None, None]
    kernel = mask * torch.randn(shape[1], shape[0], 3, 3, dtype=torch.float64, generator=generator)
    grouped, dense = OrthogonalConv2d(kernel, **options), OrthogonalConv2d(torch.ones_like(kernel), **options)
    assert len(grouped.inputs) == 4 and dense.inputs is None
    dense.weight.data.copy_(kernel)
    x = torch.randn(2, shape[0], 6, 6, dtype=torch.float64, generator=generator)
    images = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    first, second = grouped(images[0]), dense(images[1])
    torch.testing.assert_close(first, second)
    direction = torch.randn(first.shape, dtype=torch.float64, generator=generator)
    (first * direction).sum().backward()
    (second * direction).sum().backward()
    torch.testing.assert_close(images[0].grad, images[1].grad)
    torch.testing.assert_close(grouped.weight.grad, dense.weight.grad * mask)


def test_a_state_brings_its_blocks_along_and_pruning_takes_kernels_out_for_good():
    first, second = (
        OrthogonalConv2d(delta_orthogonal(8, 8, 3, mask=biregular(8, 8, 2, seed=s), seed=s)) for s in (0, 1)
    )
    x = torch.randn(1, 8, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))
    kept = biregular(8, 8, 2, placement="shift").mask()
    dense = OrthogonalConv2d(torch.ones(8, 8, 3, 3, dtype=torch.float64))
    dense.prune(kept)
    assert torch.equal(dense.mask[:, :, 0, 0], kept) and len(dense.inputs) == 4
    dense.prune(first.mask[:, :, 0, 0])
    assert torch.equal(dense.mask, first.mask & kept[:, :, None, None])
    torch.testing.assert_close(dense(x), torch.nn.functional.conv2d(
        torch.nn.functional.pad(x, (1, 1, 1, 1), "circular"), dense.mask.double().expand(8, 8, 3, 3)
    ))  # fmt: skip


@pytest.mark.parametrize("size", [6, 7])
def test_a_stride_that_skips_is_every_second_pixel_of_the_convolution(size):
    kernel = torch.randn(4, 3, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = torch.randn(2, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    skipping = OrthogonalConv2d(kernel, padding="zeros", stride=2, strided="skip")
    torch.testing.assert_close(skipping(x), torch.nn.functional.conv2d(x, kernel, padding=1)[..., ::2, ::2])
    isometric = OrthogonalConv2d(delta_orthogonal(4, 4, 3), padding="zeros", stride=2, strided="skip")
    assert is_semi_orthogonal(matrix_of(isometric, 4, size, size))


@pytest.mark.parametrize("kernel, rule", [
    (torch.zeros(2, 3, 3, 3), "kernel must be (c, c, k, k) with k odd, got (2, 3, 3, 3)."),
    (torch.zeros(2, 2, 2, 2), "kernel must be (c, c, k, k) with k odd, got (2, 2, 2, 2)."),
    (torch.zeros(2, 2, 1, 3), "kernel must be (c, c, k, k) with k odd, got (2, 2, 1, 3)."),
    (torch.zeros(2, 2), "kernel must be finite and real, (c_out, c_in, k, k), got torch.float32 of shape (2, 2)."),
    (soc(4, 3, scale=100), "kernel must be small enough for a series of 64 terms, got one whose norm may be"),
])  # fmt: skip
def test_kernels_that_are_not_of_soc_are_refused(kernel, rule):
    with pytest.raises(NbkitError, match=f"^SkewConv2d: {re.escape(rule)}"):
        SkewConv2d(kernel)


@pytest.mark.parametrize("make, rule", [
    (lambda: OrthogonalConv2d(eco(2, 3), strided="drop"), "OrthogonalConv2d: strided must be one of 'unshuffle', 'skip', got 'drop'."),
    (lambda: OrthogonalConv2d(eco(2, 3), dilation="n/k"), "OrthogonalConv2d: dilation must be an integer of at least 1, got 'n/k'"),
    (lambda: OrthogonalConv2d(eco(2, 3), padding="same"), "OrthogonalConv2d: padding must be one of 'circular', 'zeros', got 'same'"),
    (lambda: OrthogonalConv2d(eco(2, 3), stride=0), "OrthogonalConv2d: stride must be an integer between 1"),
    (lambda: SkewConv2d(soc(2, 3), c_out=3), "SkewConv2d: c_out must be an integer between 1 and 2, got 3"),
    (lambda: SkewConv2d(soc(2, 3), n_terms=0), "SkewConv2d: n_terms must be an integer of at least 1, got 0"),
])  # fmt: skip
def test_wrong_settings_are_refused(make, rule):
    with pytest.raises(NbkitError, match=f"^{re.escape(rule)}"):
        make()


def images(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.float64)


@pytest.mark.parametrize("module, x, rule", [
    (OrthogonalConv2d(eco(2, 3), dilation="eco"), images(1, 2, 8, 8), 'OrthogonalConv2d: with dilation="eco" the kernel size must divide the image, got 3 x 3 taps and 8 x 8 pixels. Use a kernel size of 1, 2, 4, 8 (dilation n / k).'),
    (OrthogonalConv2d(eco(4, 3), dilation="eco", stride=2), images(1, 1, 8, 12), 'OrthogonalConv2d: with dilation="eco" the kernel size must divide the image, got 3 x 3 taps and 4 x 6 pixels behind the stride. Use a kernel size of 1, 2 (dilation n / k).'),
    (OrthogonalConv2d(eco(2, 3)), images(1, 3, 6, 6), "OrthogonalConv2d: x must have 2 channels behind the stride, got 3."),
    (OrthogonalConv2d(eco(2, 3)), images(1, 2, 6, 6).float(), "OrthogonalConv2d: x must be a torch.float64 tensor (batch, channels, height, width), got torch.float32, 4 dimensions."),
    (OrthogonalConv2d(eco(2, 3)), np.zeros((1, 2, 6, 6)), "OrthogonalConv2d: x must be a torch.float64 tensor (batch, channels, height, width), got ndarray."),
    (OrthogonalConv2d(eco(2, 3)), images(2, 6), "OrthogonalConv2d: x must be a torch.float64 tensor"),
    (OrthogonalConv2d(eco(4, 3), stride=2), images(1, 1, 6, 5), "OrthogonalConv2d: x must have a height and width that the stride of 2 divides, got (1, 1, 6, 5)."),
    (OrthogonalConv2d(eco(2, 5)), images(1, 2, 1, 6), "OrthogonalConv2d: the kernel must not reach around the image more than once, got a 5 x 5 kernel with dilation (1, 1) on (1, 2, 1, 6)."),
    (SkewConv2d(soc(2, 3)), images(1, 3, 6, 6), "SkewConv2d: x must have at most 2 channels behind the stride, got 3."),
])  # fmt: skip
def test_images_that_do_not_fit_are_refused(module, x, rule):
    with pytest.raises(NbkitError, match=f"^{re.escape(rule)}"):
        module(x)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
@pytest.mark.parametrize("module", [
    OrthogonalConv2d(eco((8, 6), 3), dilation="eco", stride=2), OrthogonalConv2d(delta_orthogonal(8, 8, 3), padding="zeros", stride=2),
    SkewConv2d(soc(8, 3), stride=2),
], ids=["ECO", "delta", "SOC"])  # fmt: skip
def test_cuda_gives_the_images_of_the_cpu(module):
    x = torch.randn(2, 2, 12, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wanted = module(x)
    torch.testing.assert_close(module.cuda()(x.cuda()).cpu(), wanted, rtol=0, atol=1e-11)
