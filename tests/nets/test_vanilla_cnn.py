"""vanilla_cnn: the paper's plain network, what it is at birth, and masks that stay."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from nbkit.device import one_thread
from nbkit.errors import NbkitError
from nbkit.nets import CNN_METHODS, OrthogonalConv2d, vanilla_cnn

SMALL = {"width": 8, "image": (1, 8, 8)}
MASKED = [method for method, (wires, _) in CNN_METHODS.items() if wires == "SAO"]


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    with one_thread():
        yield


def convolutions(net: nn.Sequential) -> list[OrthogonalConv2d]:
    return [module for module in net if isinstance(module, OrthogonalConv2d)]


def operator(module: nn.Module, *shape: int) -> np.ndarray:
    """The matrix of a linear module, column by column."""
    basis = torch.eye(int(np.prod(shape)), dtype=torch.float64).view(-1, *shape)
    return module.double()(basis).detach().flatten(1).T.numpy()


def random_images(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("pool", [True, False])
def test_the_second_and_third_convolution_halve_the_image_and_two_more_may_stand_for_the_pool(pool):
    net = vanilla_cnn(6, width=8, image=(3, 28, 28), pool=pool)
    sizes, x = [], torch.zeros(1, 3, 28, 28)
    for module in net:
        x = module(x)
        sizes += [tuple(x.shape[1:])] if isinstance(module, OrthogonalConv2d) else []
    halves = [] if pool else [(8, 4, 4), (8, 2, 2)]
    assert sizes == [(8, 28, 28), (8, 14, 14), *[(8, 7, 7)] * 4, *halves] and x.shape == (1, 10)
    assert net[-1].in_features == (8 if pool else 32) and not net[-1].bias.any()
    assert torch.equal(net(torch.ones(2, 3 * 28 * 28)), net(torch.ones(2, 3, 28, 28)))


@pytest.mark.parametrize("method", ["Delta", "He", "SAO-Delta", "RG-N", "RG-U"])
@pytest.mark.parametrize("activation, phi", [("relu", torch.relu), ("tanh", torch.tanh)])
def test_it_is_what_torch_makes_of_its_kernels(method, activation, phi):
    density = 1 / 4 if method in MASKED else 1
    net = vanilla_cnn(4, method, density=density, activation=activation, **SMALL).double()
    x = y = random_images(3, 1, 8, 8)
    for convolution, stride in zip(convolutions(net), [1, 2, 2, 1], strict=True):
        y = phi(conv2d(y, convolution.weight * convolution.mask, padding=1, stride=stride))
    expected = y.mean(dim=(2, 3)) @ net[-1].weight.T
    torch.testing.assert_close(net(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", ["Delta", "SAO-Delta", "ECO", "SAO-ECO"])
def test_at_birth_every_singular_value_of_every_convolution_is_1(method):
    """Of the two with a stride too, which drop directions: those that they keep, they keep in length."""
    net = vanilla_cnn(4, method, density=1 / 4 if method in MASKED else 1, activation="tanh", **SMALL)
    x = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    for convolution in convolutions(net):
        values = np.linalg.svd(operator(convolution, *x.shape[1:]), compute_uv=False)
        np.testing.assert_allclose(values, 1, atol=1e-6)
        x = convolution(x)


@pytest.mark.parametrize("method", ["Delta", "SAO-Delta", "ECO", "SAO-ECO"])
def test_with_relu_it_is_linear_at_birth_and_no_length_grows(method):
    """relu(z) - relu(-z) = z; delta kernels keep the length of each pixel that the strides do, 2 x 2 of them."""
    net = vanilla_cnn(5, method, density=1 / 4 if method in MASKED else 1, **SMALL).double()
    x, y = random_images(2, 1, 64)
    torch.testing.assert_close(net(x + 3 * y), net(x) + 3 * net(y), atol=1e-6, rtol=0)
    up_to_last = net[: list(net).index(convolutions(net)[-1]) + 1]
    jacobian = torch.autograd.functional.jacobian(up_to_last, x).view(-1, 64)
    values = np.linalg.svd(jacobian.numpy(), compute_uv=False)
    assert values[0] < np.sqrt(2) + 1e-6
    if "Delta" in method:  # sqrt 2: z and -z both
        np.testing.assert_allclose(values[:4], np.sqrt(2), atol=1e-6)
        np.testing.assert_allclose(values[4:], 0, atol=1e-6)


def test_kernels_for_relu_are_those_of_equation_5():
    first, second, *_ = (c.weight.detach() for c in convolutions(vanilla_cnn(3, density=1 / 2, **SMALL)))
    h = second[:4, :4]
    assert torch.equal(second, torch.cat([torch.cat([h, -h], 1), torch.cat([-h, h], 1)])) and torch.equal(
        first[:4], -first[4:]
    )
    np.testing.assert_allclose((h[..., 1, 1] @ h[..., 1, 1].T).numpy(), np.eye(4), atol=1e-6)


@pytest.mark.parametrize("activation, mean_square", [("relu", 2), ("tanh", 1)])
@pytest.mark.parametrize("method", ["He", "RG-N", "RG-U"])
def test_random_kernels_have_the_variance_of_he(method, activation, mean_square):
    net = vanilla_cnn(4, method, width=32, density=1 if method == "He" else 1 / 4, activation=activation)
    weight = convolutions(net)[2].weight.detach()
    kept = weight[weight != 0] * np.sqrt(9 * 32 * (1 if method == "He" else 1 / 4))
    assert abs(float((kept**2).mean()) - mean_square) < 6 * mean_square * np.sqrt(2 / kept.numel())


@pytest.mark.parametrize("method", MASKED)
def test_kernels_that_the_mask_leaves_out_stay_zero_while_it_trains(method):
    net = vanilla_cnn(4, method, density=1 / 4, **SMALL)
    masks = [convolution.mask.clone() for convolution in convolutions(net)]
    assert [float(mask.double().mean()) for mask in masks] == [1, *[0.25] * 3]
    assert not torch.equal(masks[2], masks[3])
    before = convolutions(net)[2].weight.detach().clone()
    sgd = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        sgd.zero_grad()
        net(random_images(4, 64).float()).square().sum().backward()
        sgd.step()
    for convolution, mask in zip(convolutions(net), masks, strict=True):
        assert not (convolution.weight * ~mask).any() and torch.equal(convolution.mask, mask)
    after = convolutions(net)[2].weight.detach()
    assert (after != before)[masks[2].expand_as(after)].all()


@pytest.mark.parametrize("method", CNN_METHODS)
def test_the_seed_repeats_and_layers_of_one_shape_differ(method):
    first, again, other = (convolutions(vanilla_cnn(5, method, seed=seed, **SMALL)) for seed in (3, 3, 4))
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[3].weight, other[3].weight) and not torch.equal(first[3].weight, first[4].weight)


@pytest.mark.parametrize("settings, rule", [
    ({"depth": 2}, "depth must be an integer between 3 and 1048576, got 2."),
    ({"method": "SAO"}, "method must be one of 'Delta', 'ECO', 'He'"),
    ({"activation": "silu"}, "activation must be one of 'relu', 'tanh', got 'silu'."),
    ({"width": 7}, "width must be even for mirrored kernels, got 7. Use 8."),
    ({"image": (28, 28)}, "image must be (channels, height, width), got (28, 28)."),
    ({"n_classes": 0}, "n_classes must be an integer of at least 1, got 0."),
    ({"density": 0.3}, "density must be 1 / (a divisor of 4, which all masks have in common), got 0.3. Use one of 1, 1/2, 1/4."),
    ({"density": 1 / 8}, "density must be 1 / (a divisor of 4"),
    ({"density": 0}, "density must be a finite number in (0, 1], got 0."),
    ({"method": "Delta", "density": 1 / 2}, "density must be 1 with Delta, got 0.5."),
    ({"method": "ECO", "image": (1, 28, 28)}, "with ECO the stride must divide the image in every layer, and 3, 4 or 2 what is left of it, got 14 x 14 pixels before a stride of 2."),
    ({"method": "ECO", "image": (1, 30, 30)}, "with ECO the stride must divide the image in every layer, and 3, 4 or 2 what is left of it, got 15 x 15 pixels before a stride of 2."),
    ({"seed": "a"}, "seed must be an integer of at least 0"),
    ({"width": 2**18}, "the result must fit"),
])  # fmt: skip
def test_what_makes_no_network_is_refused(settings, rule):
    with pytest.raises(NbkitError, match=f"^vanilla_cnn: {re.escape(rule)}"):
        vanilla_cnn(**{"depth": 4, **SMALL, **settings})
