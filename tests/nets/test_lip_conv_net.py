"""LipConvNet as it can be reconstructed: no length grows, and none shrinks where no layer is narrower than the last."""

import re
from collections.abc import Iterator

import pytest
import torch

from nbkit.device import one_thread
from nbkit.errors import NbkitError
from nbkit.nets import MaxMin, OrthogonalConv2d, SkewConv2d, lip_conv_net


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    with one_thread():
        yield


def random_image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("depth, density", [(5, 1 / 4), (10, 1 / 8)])
def test_the_jacobian_is_exactly_isometric_where_no_layer_shrinks(depth, density):
    """||J v|| = ||v|| for a random v: v^T (J^T J - I) v vanishes at almost no v unless it does at all."""
    net = lip_conv_net(depth, channels=2, widening=4, image=(1, 32, 32), density=density)
    x, directions = random_image(1, 1, 32, 32), random_image(2, 1, 1, 32, 32, seed=1)
    for v in directions:
        _, image = torch.func.jvp(net, (x,), (v,))
        assert image.shape == (1, 2048, 1, 1)
        assert image.norm().item() == pytest.approx(v.norm().item(), rel=1e-12)


def test_elsewhere_no_length_grows_and_every_convolution_is_semi_orthogonal():
    net = lip_conv_net(10, channels=2, image=(1, 32, 32))
    x = random_image(1, 1, 32, 32)
    jacobian = torch.func.jacrev(net)(x).detach().reshape(64, 1024)
    values = torch.linalg.svdvals(jacobian)
    assert values[0] < 1 + 1e-10 and values[-1] < 0.9
    for convolution in (module for block in net for module in block[::2]):
        image, back = torch.func.vjp(convolution, x)
        if image.numel() >= x.numel():
            assert image.norm().item() == pytest.approx(x.norm().item(), rel=1e-12)
        else:
            u = random_image(*image.shape, seed=2)
            assert back(u)[0].norm().item() == pytest.approx(u.norm().item(), rel=1e-12)
        x = random_image(*image.shape, seed=3)


@pytest.mark.parametrize("depth", [5, 15])
def test_five_blocks_of_a_fifth_of_the_depth_end_in_a_stride(depth):
    net = lip_conv_net(depth, channels=2)
    for i, block in enumerate(net):
        kind = SkewConv2d if i < 2 else OrthogonalConv2d
        assert len(block) == 2 * depth // 5 and all(type(module) is kind for module in block[::2])
        assert all(type(module) is MaxMin for module in block[1::2])
        assert [module.stride for module in block[::2]] == [1] * (depth // 5 - 1) + [2]
    assert net(torch.zeros(2, 3, 32, 32, dtype=torch.float64)).shape == (2, 64, 1, 1)
    assert net.float()(torch.zeros(1, 3, 32, 32)).dtype == torch.float32


@pytest.mark.parametrize("size, kernel_sizes", [(32, [4, 4, 4, 2, 2, 1]), (96, [3] * 6), (64, [4, 4, 4, 4, 4, 2])])
def test_the_kernel_sizes_of_eco_divide_their_images(size, kernel_sizes):
    net = lip_conv_net(10, channels=2, image=(3, size, size))
    assert [module.weight.shape[2] for block in net[2:] for module in block[::2]] == kernel_sizes
    assert net(torch.zeros(1, 3, size, size, dtype=torch.float64)).shape[2] == size // 32


def test_the_density_is_that_of_the_kernels_in_eco_blocks():
    net = lip_conv_net(10, channels=4, density=1 / 8)
    densities = [float(module.mask.double().mean()) for block in net for module in block[::2]]
    assert densities == [1.0] * 4 + [0.125] * 6
    assert not torch.equal(net[2][0].mask, net[2][0].mask.transpose(0, 1))


def test_a_classifier_is_orthogonal_rows_on_the_same_blocks():
    net, blocks = (lip_conv_net(channels=2, image=(1, 32, 64), n_classes=n) for n in (10, None))
    x = random_image(3, 1, 32, 64)
    torch.testing.assert_close(net(x), blocks(x).flatten(1) @ net[-1].weight.T)
    torch.testing.assert_close(net[-1].weight @ net[-1].weight.T, torch.eye(10, dtype=torch.float64))
    assert torch.equal(net(x.flatten(1)), net(x))


def test_the_seed_repeats():
    x = torch.ones(1, 3, 32, 32, dtype=torch.float64)
    first, again, other = (lip_conv_net(channels=2, seed=seed)(x) for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("settings, rule", [
    ({"depth": 7}, "depth must be a multiple of 5, got 7. Use 5."),
    ({"depth": 0}, "depth must be an integer between 5 and 1048576, got 0."),
    ({"channels": 3}, "channels must be a multiple of 2, got 3. Use 2."),
    ({"widening": 0}, "widening must be an integer between 1 and 1024, got 0."),
    ({"image": (1, 28, 28)}, "image must be (channels, height, width) with multiples of 32, got (1, 28, 28)."),
    ({"image": (32, 32)}, "image must be (channels, height, width) with multiples of 32, got (32, 32)."),
    ({"density": 0.3, "channels": 2}, "density must be 1 / (a divisor of 16, which all masks have in common), got 0.3. Use one of 1, 1/2, 1/4, 1/8, 1/16."),
    ({"density": 1 / 3}, "density must be 1 / (a divisor of 256"),
    ({"density": 0}, "density must be a finite number in (0, 1], got 0."),
    ({"n_classes": 0}, "n_classes must be an integer of at least 1, got 0."),
    ({"seed": "a"}, "seed must be an integer of at least 0"),
])  # fmt: skip
def test_what_makes_no_network_is_refused(settings, rule):
    with pytest.raises(NbkitError, match=f"^lip_conv_net: {re.escape(rule)}"):
        lip_conv_net(**settings)


def test_a_network_that_does_not_fit_is_refused_before_any_layer_is_made():
    with pytest.raises(
        NbkitError, match="^lip_conv_net: the result must fit .* Lower the depth, the channels or widening"
    ):
        lip_conv_net(5 * 2**17, channels=1024)
