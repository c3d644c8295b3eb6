"""Spectra of a report: those of the maps themselves, taken apart by autograd and decomposed by numpy."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from nbkit.nets import OrthogonalConv2d, SkewConv2d, SparseLinear, SparseSequential
from nbkit.reporting import report
from nbkit.topology import biregular
from nbkit.weights import delta_orthogonal, eco, soc
from tests.reporting.networks import Residual, mlp


def matrix_of(module: nn.Module, *shape: int) -> np.ndarray:
    """The linear map of a module on inputs of a shape, as a matrix."""
    x = torch.zeros(1, *shape, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(module, x)
    return jacobian.reshape(-1, x.numel()).numpy()


def circular(*args, **options) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(*args, padding_mode="circular", **options)


MAPS = {
    "linear": (lambda: nn.Linear(7, 4), (7,)),
    "sparse": (lambda: SparseSequential(SparseLinear(biregular(12, 8, 3))), (12,)),
    "conv": (lambda: circular(2, 3, 3, padding=1), (2, 5, 6)),
    "even": (lambda: circular(2, 3, 2, padding="same"), (2, 5, 6)),
    "dilated": (lambda: circular(2, 3, 3, padding=2, dilation=2), (2, 6, 6)),
    "grouped": (lambda: circular(4, 6, 3, padding=1, groups=2), (4, 4, 4)),
    "strided": (lambda: circular(2, 5, 3, padding=1, stride=2), (2, 6, 4)),
    "strided, grouped": (lambda: circular(4, 6, 3, padding=1, stride=(2, 3), groups=2), (4, 4, 6)),
    "strided, dilated": (lambda: circular(2, 3, 3, padding=2, dilation=2, stride=2), (2, 8, 8)),
    "patches": (lambda: nn.Conv2d(2, 5, 2, stride=2), (2, 6, 4)),
    "patches, pixels left over": (lambda: nn.Conv2d(3, 4, 2, stride=2), (3, 5, 5)),
    "patches, wide, pixels left over": (lambda: nn.Conv2d(2, 20, 2, stride=2), (2, 5, 5)),
    "sampled": (lambda: nn.Conv2d(3, 8, 1, stride=2), (3, 5, 5)),
    "whole image": (lambda: nn.Conv2d(2, 3, 5), (2, 5, 5)),
    "whole image, wide, dilated": (lambda: nn.Conv2d(2, 30, 2, dilation=3), (2, 4, 4)),
    "whole rows, circular columns": (lambda: circular(2, 3, (3, 5), padding=(1, 0)), (2, 4, 5)),
    "strided columns, patches of rows": (lambda: circular(2, 3, (2, 3), padding=(0, 1), stride=2), (2, 5, 6)),
    "whole sequence": (lambda: nn.Conv1d(2, 3, 5), (2, 5)),
    "circular, one pixel to spare": (lambda: circular(2, 3, 5, padding=2), (2, 5, 6)),
    "one pixel": (lambda: nn.Conv2d(3, 4, 1), (3, 4, 4)),
    "one pixel, valid": (lambda: nn.Conv2d(3, 4, 1, padding="valid"), (3, 4, 4)),
    "grown from one pixel": (lambda: nn.ConvTranspose2d(6, 3, 4), (6, 1, 1)),
    "transposed, more pixels": (lambda: nn.ConvTranspose2d(4, 3, 2, stride=3, output_padding=1), (4, 3, 3)),
    "conv1d": (lambda: nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular"), (2, 7)),
    "conv1d, strided": (lambda: nn.Conv1d(2, 3, 3, padding=1, stride=2, padding_mode="circular"), (2, 8)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 3, 2, stride=2), (4, 3, 3)),
    "transposed, a pixel more": (lambda: nn.ConvTranspose1d(4, 2, 1, dilation=2, output_padding=1), (4, 3)),
    "delta": (lambda: OrthogonalConv2d(delta_orthogonal(6, 4, 3) + 0.1), (6, 5, 5)),
    "eco": (lambda: OrthogonalConv2d(eco((8, 8), 2), dilation="eco", stride=2), (2, 4, 4)),
    "eco, strided": (lambda: OrthogonalConv2d(eco((8, 8), 2), dilation="eco", stride=2, strided="skip"), (8, 4, 4)),
    "unpadded": (lambda: nn.Conv2d(2, 3, 3), (2, 6, 5)),
    "zeros": (lambda: nn.Conv2d(2, 3, 3, padding=1, bias=True), (2, 6, 5)),
    "zeros, even": (lambda: nn.Conv2d(2, 3, (2, 4), padding="same", dilation=2), (2, 6, 7)),
    "zeros, strided, grouped": (lambda: nn.Conv2d(4, 6, 3, padding=(1, 0), stride=(2, 1), groups=2), (4, 7, 6)),
    "reflected": (lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (2, 6, 5)),
    "replicated": (lambda: nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode="replicate"), (2, 6, 5)),
    "circular, pads that shrink": (lambda: circular(2, 2, 3, padding=(1, 0)), (2, 6, 6)),
    "circular, pads that grow": (lambda: circular(2, 2, 3, padding=2), (2, 6, 6)),
    "circular, pixels left over": (lambda: circular(1, 2, 3, stride=2, padding=1), (1, 7, 6)),
    "conv1d, unpadded": (lambda: nn.Conv1d(1, 1, 5), (1, 8)),
    "transposed, overlapping": (
        lambda: nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1, output_padding=1, groups=2),
        (4, 3, 4),
    ),
    "transposed, dilated": (lambda: nn.ConvTranspose1d(2, 3, 3, dilation=2, output_padding=1), (2, 5)),
    "delta, zeros": (lambda: OrthogonalConv2d(delta_orthogonal(6, 4, 3) + 0.1, padding="zeros"), (6, 5, 5)),
    "eco, zeros": (lambda: OrthogonalConv2d(eco((8, 8), 2), dilation="eco", stride=2, padding="zeros"), (2, 4, 4)),
    "skew": (lambda: SkewConv2d(soc(4, 3)), (4, 5, 5)),
    "skew, strided": (lambda: SkewConv2d(soc(8, 3), c_out=5, stride=2), (2, 6, 6)),
}


@pytest.mark.parametrize("name", MAPS)
def test_a_layers_values_are_those_of_its_map(name):
    make, shape = MAPS[name]
    module = make().double()
    expected = np.linalg.svd(matrix_of(module, *shape), compute_uv=False)
    (found,) = report(module, torch.randn(2, *shape)).spectra
    assert found.singular_values.numpy() == pytest.approx(expected, abs=1e-9)
    assert found.note == ""


def test_numbers_of_a_spectrum():
    linear = nn.Linear(3, 4, bias=False)
    linear.weight.data = torch.tensor([[3.0, 0, 0], [0, 4.0, 0], [0, 0, 1e-3], [0, 0, 0]])
    (found,) = report(linear, torch.ones(3)).spectra
    assert found.condition == pytest.approx(4000) and found.numerical_rank == 2
    assert found.stable_rank == pytest.approx(25 / 16)
    linear.weight.data[2, 2] = 0
    assert report(linear, torch.ones(3)).spectra[0].condition == math.inf
    linear.weight.data.zero_()
    (zero,) = report(linear, torch.ones(3)).spectra
    assert (zero.condition, zero.numerical_rank, zero.stable_rank) == (math.inf, 0, 0.0)


def test_what_is_assumed_of_padding_and_stride_is_said():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 3, stride=2))
    first, second = report(net, torch.randn(1, 1, 37, 37)).spectra
    assert first.note == "circular padding assumed"
    zeros = OrthogonalConv2d(eco((8, 8), 2), dilation="eco", stride=2, padding="zeros")
    assert report(zeros, torch.randn(2, 32, 32)).spectra[0].note == "circular padding assumed"
    assert second.note == "circular padding assumed, of images of 36 x 36, which the stride divides"
    same = nn.Conv2d(1, 2, 3, stride=2, padding=1)
    assert (
        report(same, torch.randn(1, 37, 37)).spectra[0].note.endswith("of images of 38 x 38, which the stride divides")
    )
    odd = circular(1, 2, 3, stride=2, padding=1)
    assert report(odd, torch.randn(1, 37, 36)).spectra[0].note == "of images of 38 x 36, which the stride divides"


@pytest.mark.parametrize(("padding", "n_out"), [(0, 34 * 34), (2, 38 * 38), ((1, 0), 36 * 34)])
def test_a_circle_with_other_values_than_the_layer_says_so(padding, n_out):
    (found,) = report(circular(1, 1, 3, padding=padding), torch.randn(1, 36, 36)).spectra
    more = f", with 1,296 values in place of {n_out:,}" if n_out < 1296 else ""
    assert found.note == f"circular padding assumed{more}"


def test_a_small_layer_has_as_many_values_as_its_map():
    net = nn.Sequential(nn.Conv1d(1, 1, 5), nn.Flatten(), nn.Linear(4, 2))
    first, _ = report(net, torch.randn(2, 1, 8)).spectra
    assert (len(first.singular_values), first.numerical_rank, first.note) == (4, 4, "")


def test_the_jacobian_is_that_of_the_whole_at_each_point():
    net, x = Residual(density=1.0), torch.randn(10, 6)
    found = report(net, x).jacobian
    double = Residual(density=1.0).double()
    for row, point in zip(found, x[:8].double(), strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda p: double(p[None])[0], point)
        assert 10 ** row.numpy() == pytest.approx(np.linalg.svd(jacobian.numpy(), compute_uv=False), rel=1e-9)


def test_images_and_sequences_have_a_jacobian_too():
    for net, shape in (
        (nn.Conv1d(2, 3, 3), (2, 6)),
        (nn.Conv3d(1, 2, 2), (1, 3, 3, 3)),
        (nn.Conv2d(1, 2, 3), (1, 4, 4)),
    ):
        row = report(net.double(), torch.randn(2, *shape)).jacobian[0]
        assert 10 ** row.numpy() == pytest.approx(np.linalg.svd(matrix_of(net, *shape), compute_uv=False), rel=1e-9)


def test_a_deep_chain_does_not_underflow():
    net = nn.Sequential(*(module for _ in range(200) for module in (nn.Linear(2, 2, bias=False), nn.Identity())))
    for module in net[::2]:
        module.weight.data = torch.diag(torch.tensor([0.1, 0.01]))
    assert report(net.double(), torch.ones(2)).jacobian[0].tolist() == pytest.approx([-200, -400], rel=1e-6)


def test_what_rounding_hides_is_zero():
    net = mlp(4, 6, 3)
    net[2].weight.data[1:] = net[2].weight.data[0]
    row = report(net, torch.randn(4)).jacobian[0]
    assert row[0] > -3 and (row[1:] == -math.inf).all()
