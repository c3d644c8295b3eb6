"""nbkit.measure.jacobian: singular values of the Jacobian of a network at a point."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from nbkit.errors import NbkitError
from nbkit.measure import jacobian_factors, jacobian_log10_singular_values, jacobian_singular_values
from nbkit.nets import FeedForward, MaxMin, OrthogonalConv2d, SkewConv2d, chain
from nbkit.topology import biregular
from nbkit.weights import delta_orthogonal, looks_linear, looks_linear_block, orthogonal, random_on_mask, soc

SLOPES = {
    "linear": np.ones_like,
    "tanh": lambda h: 1 - np.tanh(h) ** 2,
    "relu": lambda h: (h > 0) * 1.0,
    "silu": lambda h: (1 + h / (1 + np.exp(h))) / (1 + np.exp(-h)),
    "maxmin": np.ones_like,  # a permutation
}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def dense(width, depth, seed=0):
    return [orthogonal(np.ones((width, width)), seed=seed + layer) for layer in range(depth)]


def image_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(inplace=True), MaxMin()),
        nn.BatchNorm2d(4, track_running_stats=True),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(4 * 5 * 6, 10),
        nn.Tanh(),
    )


@pytest.mark.parametrize("activation", SLOPES)
def test_behind_one_square_orthogonal_matrix_they_are_the_slopes_of_phi(activation):
    weight, x = dense(16, 1)[0], 2 * normal(16)
    wanted = np.sort(np.abs(SLOPES[activation](weight.numpy() @ x)))[::-1]
    np.testing.assert_allclose(jacobian_singular_values(chain([weight], activation), x), wanted, atol=1e-14)


@pytest.mark.parametrize("activation", ["linear", "tanh", "relu", "silu"])
def test_a_chain_has_those_of_the_product_of_its_slopes_and_matrices(activation):
    weights, z, product = [normal(6, 4), normal(5, 6), normal(7, 5)], normal(4), np.eye(4)
    net = chain(weights, activation)
    x = z
    for weight in weights:
        h = weight @ z
        product, z = SLOPES[activation](h)[:, None] * (weight @ product), net[1](torch.as_tensor(h)).numpy()
    wanted = np.linalg.svd(product, compute_uv=False)
    np.testing.assert_allclose(jacobian_singular_values(net, x), wanted, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(10 ** jacobian_log10_singular_values(net, x), wanted, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("x", [normal(2, 5, 6), normal(3, 2, 5, 6), normal(2, 5, 6).astype(np.float32)])
def test_any_module_has_those_of_autograds_jacobian_in_eval_mode(x):
    net = image_net()
    double = image_net().double().eval()
    wanted = [
        torch.linalg.svdvals(
            torch.autograd.functional.jacobian(double, torch.as_tensor(point)[None].double()).reshape(10, -1)
        )
        for point in (x if x.ndim == 4 else x[None])
    ]
    wanted = torch.stack(wanted) if x.ndim == 4 else wanted[0]
    torch.testing.assert_close(jacobian_singular_values(net, x), wanted, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(10 ** jacobian_log10_singular_values(net, x), wanted, rtol=1e-6, atol=1e-9)


def test_orthogonal_convolutions_between_maxmin_keep_every_length():  # LipConvNet's ingredients
    net = nn.Sequential(
        SkewConv2d(soc(4, 3), n_terms=20), MaxMin(), OrthogonalConv2d(delta_orthogonal(4, 4, 3)), MaxMin(), nn.Flatten()
    )
    np.testing.assert_allclose(jacobian_singular_values(net, normal(2, 4, 5, 5)), 1, atol=1e-6)
    np.testing.assert_allclose(jacobian_log10_singular_values(net, normal(4, 5, 5)), 0, atol=1e-6)


def test_the_network_stays_as_it_was():
    net = image_net()
    net(torch.ones(2, 2, 5, 6)).sum().backward()
    before = {name: values.clone() for name, values in net.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in net.parameters()]
    with torch.no_grad():
        jacobian_singular_values(net, normal(2, 5, 6))
        jacobian_log10_singular_values(net, normal(2, 5, 6))
    assert all(torch.equal(values, before[name]) for name, values in net.state_dict().items())
    assert all(torch.equal(parameter.grad, gradient) for parameter, gradient in zip(net.parameters(), gradients))
    assert all(module.training for module in net.modules()) and net[0][1].inplace


def test_the_factors_multiply_to_the_jacobian_and_say_which_are_diagonal():
    weights = [normal(6, 4), normal(8, 6)]
    net, x = chain(weights, "maxmin"), torch.as_tensor(normal(4))
    first, swap, second, _ = factors = jacobian_factors(net, x)
    assert [tuple(factor.shape) for factor in factors] == [(6, 4), (6, 6), (8, 6), (8, 8)]
    assert torch.equal(first, net[0].weight) and torch.equal(swap @ swap.T, torch.eye(6, dtype=torch.float64))
    jacobian = torch.autograd.functional.jacobian(lambda point: net(point[None])[0], x)
    torch.testing.assert_close(torch.linalg.multi_dot(factors[::-1]), jacobian)
    assert jacobian_factors(chain(weights, "tanh"), x)[1].shape == (6,)


@pytest.mark.parametrize("depth", [1, 2, 5, 20])
def test_mirrored_blocks_give_sqrt_2_and_0_at_every_depth(depth):  # S16
    blocks = [looks_linear_block(weight) for weight in dense(6, depth)]
    wanted = [math.sqrt(2)] * 6 + [0] * 6
    found = jacobian_singular_values(chain(blocks, "relu"), normal(12))
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    logs = jacobian_log10_singular_values(chain(blocks, "relu"), normal(12))
    np.testing.assert_allclose(logs[:6], math.log10(2) / 2, atol=1e-12)
    assert (logs[6:] == -math.inf).all()


@pytest.mark.parametrize("depth", [2, 5, 20])
def test_looks_linear_relu_networks_are_exactly_isometric(depth):  # S16
    net = chain(looks_linear(dense(6, depth)), "relu", output="linear")
    np.testing.assert_allclose(jacobian_singular_values(net, normal(4, 6)), 1, atol=1e-12)
    np.testing.assert_allclose(jacobian_log10_singular_values(net, normal(6)), 0, atol=1e-12)


def test_a_mirrored_block_alone_is_not_orthogonal():  # S17
    block = looks_linear_block(dense(6, 1)[0])
    found = jacobian_singular_values(chain([block], "linear"), np.zeros(12))
    np.testing.assert_allclose(found, [2] * 6 + [0] * 6, atol=1e-12)


@pytest.mark.parametrize("activation, mean, variance", [("linear", 1, 0), ("tanh", 0.61, 0.1), ("relu", 0.5, 0.25)])
def test_sao_looks_like_dense_for_one_layer(activation, mean, variance):
    """SCIENCE 3.5: tanh dense .637/.091, SAO .634/.093; ReLU .465, .520 of ones: 256 draws of phi'(h), h about N(0, 1)."""
    x = normal(256, seed=10**6)
    for mask in (np.ones((256, 256)), biregular(256, 256, 2)):
        values = jacobian_singular_values(chain([orthogonal(mask)], activation), x)
        assert float(values.mean()) == pytest.approx(mean, abs=0.08)
        assert float(values.var()) == pytest.approx(variance, abs=0.03)


@pytest.mark.parametrize(
    "degree, depth, mean, variance",
    [(256, 10, 0.217, 0.023), (256, 50, 0.102, 0.006), (4, 10, 0.251, 0.034), (4, 50, 0.098, 0.007)],
)
def test_deep_tanh_networks_shrink_alike_with_dense_and_sao_weights(degree, depth, mean, variance):  # SCIENCE 3.5
    weights = [orthogonal(biregular(256, 256, degree, seed=layer), seed=layer) for layer in range(depth)]
    values = jacobian_singular_values(chain(weights, "tanh"), normal(256, seed=10**6))
    assert float(values.mean()) == pytest.approx(mean, rel=0.2)  # one draw here, one there: 6 % each
    assert float(values.var()) == pytest.approx(variance, rel=0.4)


def test_deep_tanh_networks_with_gaussian_weights_on_the_same_wires_shrink_faster():  # SCIENCE 3.5: .104, max 1.97
    weights = [random_on_mask(biregular(256, 256, 4, seed=layer), seed=layer) for layer in range(10)]
    values = jacobian_singular_values(chain(weights, "tanh"), normal(256, seed=10**6))
    assert float(values.mean()) == pytest.approx(0.104, rel=0.3) and float(values.max()) > 1.2


def test_a_thousand_layers_are_right_where_float64_underflows():
    weights = [1e-3 * weight for weight in dense(4, 1000)]
    net = chain(weights, "maxmin")
    assert float(jacobian_singular_values(net, normal(4)).max()) == 0
    np.testing.assert_allclose(jacobian_log10_singular_values(net, normal(4)), -3000, atol=1e-9)


def test_relu_slopes_are_right_where_the_activations_underflow():
    weights = looks_linear([1e-3 * weight for weight in dense(4, 200)])
    found = jacobian_log10_singular_values(chain(weights, "relu", output="linear"), normal(4))
    np.testing.assert_allclose(found, -600, atol=1e-9)


def test_one_network_of_a_feed_forward_batch_is_measured_and_so_is_a_batch_of_one():
    nets = FeedForward((6, 5, 4))
    expected = jacobian_singular_values(nets.network(0), normal(6))
    np.testing.assert_allclose(jacobian_singular_values(nets, normal(6)), expected, rtol=1e-12)


@pytest.mark.parametrize("function", [jacobian_singular_values, jacobian_log10_singular_values, jacobian_factors])
@pytest.mark.parametrize(
    "net, x, message",
    [
        (chain([np.eye(3)]), [1.0, math.nan, 0.0], "x must be finite real numbers .* NaN or infinite"),
        (chain([np.eye(3)]), np.ones((0, 3)), r"x must be finite real numbers .* shape \(0, 3\)"),
        (chain([np.eye(3)]), 1.0, "x must be finite real numbers"),
        (chain([np.eye(3)]), np.ones(4), r"net must take x as points of shape \(4,\), but .* says: "),
        (chain([np.eye(4)], "relu"), np.ones((2, 3, 3)), r"net must take x as points of shape \(2, 3, 3\), but"),
        (np.eye(3), np.ones(3), "net must be a torch module, got ndarray"),
    ],
)
def test_what_cannot_be_measured_is_refused(function, net, x, message):
    with pytest.raises(NbkitError, match=f"{function.__name__}: {message}"):
        function(net, x)


def test_weights_that_are_nan_are_refused_by_name():
    net = chain([np.eye(3), np.eye(3)])
    net[2].weight.data[0, 0] = math.nan
    with pytest.raises(NbkitError, match="got NaN or infinite ones in 2.weight"):
        jacobian_singular_values(net, np.ones(3))


class Cut(nn.Module):
    def forward(self, x):
        return x.detach()


class Joined(nn.Module):
    def forward(self, x):
        return x.sum(dim=0)


@pytest.mark.parametrize("module", [Cut(), Joined()])
def test_what_is_no_differentiable_map_of_points_is_refused(module):
    with pytest.raises(NbkitError, match="must map a batch of points to as many, differentiably"):
        jacobian_singular_values(module, np.ones(3))


class Several(nn.Module):
    def forward(self, x):
        return x, x


class Waves(nn.Module):
    def forward(self, x):
        return 1j * x


class Nothing(nn.Module):
    def forward(self, x):
        return x[:, :0]


@pytest.mark.parametrize(
    "module, got",
    [(Several(), "got tuple"), (Waves(), "got torch.complex128"), (Nothing(), r"got torch.float64, \(1, 0\)")],
)
@pytest.mark.parametrize("function", [jacobian_singular_values, jacobian_factors])
def test_outputs_that_are_no_real_numbers_are_refused(function, module, got):
    with pytest.raises(NbkitError, match=f"must map a batch of points.*{got}"):
        function(nn.Sequential(module), np.ones(3))


def test_weights_that_are_not_there_yet_are_refused():
    with pytest.raises(NbkitError, match="the weights must be there, got none yet in 0.weight"):
        jacobian_singular_values(nn.Sequential(nn.LazyLinear(3)), np.ones(2))


def test_slopes_of_saturated_tanh_keep_their_digits():
    """1 / cosh(h)^2 = 4 e^(-2h) / (1 + e^(-2h))^2."""
    h = np.array([0.5, 15.0, 25.0, 150.0])
    wanted = math.log10(4) - 2 * h / math.log(10) - 2 * np.log10(1 + np.exp(-2 * h))
    found = jacobian_log10_singular_values(chain([np.eye(4)], "tanh"), h)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("function", [jacobian_singular_values, jacobian_log10_singular_values])
def test_inference_mode_changes_nothing(function):
    net = chain([np.eye(3), np.ones((2, 3))], "silu").float()
    wanted = function(net, torch.ones(3))
    with torch.inference_mode():
        found = function(net, torch.ones(3))
    assert torch.equal(found, wanted)


def test_factors_are_those_of_a_chain_at_one_point():
    with pytest.raises(NbkitError, match="net must be an nn.Sequential.*got FeedForward"):
        jacobian_factors(FeedForward((3, 2)), np.ones(3))
    with pytest.raises(NbkitError, match=r"x must be one point, got a batch of shape \(2, 3\)"):
        jacobian_factors(chain([np.eye(3)]), np.ones((2, 3)))


def test_overflow_is_said_and_not_measured():
    net = chain([1e200 * np.eye(2)] * 2, "linear")
    with pytest.raises(NbkitError, match="it overflows. Use jacobian_log10_singular_values"):
        jacobian_singular_values(net, np.ones(2))
    np.testing.assert_allclose(jacobian_log10_singular_values(net, np.ones(2)), 400)
    with pytest.raises(NbkitError, match="activations must be finite, but they overflow"):
        jacobian_log10_singular_values(chain([1e200 * np.eye(2)] * 3, "silu"), np.ones(2))


def test_what_does_not_fit_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "1MiB")
    with pytest.raises(NbkitError, match="jacobian_singular_values: .* Lower the number of points or the width"):
        jacobian_singular_values(chain([np.eye(300)]), np.ones(300))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
@pytest.mark.parametrize("function", [jacobian_singular_values, jacobian_log10_singular_values])
def test_cuda_finds_the_values_of_the_cpu(function):
    x, wanted = normal(2, 2, 5, 6), function(image_net(), normal(2, 2, 5, 6))
    found = function(image_net().cuda(), x)
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), wanted, rtol=1e-9, atol=1e-12)
