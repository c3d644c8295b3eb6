"""deep_net: the paper's Table 1, equal wires for all methods, orthogonal weights, and the mirrored ones for ReLU."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from nbkit.device import one_thread
from nbkit.errors import NbkitError
from nbkit.measure import path_counts
from nbkit.nets import DEEP_METHODS, SparseLinear, deep_net
from nbkit.topology import Topology

SMALL = {"width": 32, "n_inputs": 128}
SPARSE = [method for method, (wires, _) in DEEP_METHODS.items() if wires != "dense"]
ORTHOGONAL = [method for method, (_, weights) in DEEP_METHODS.items() if weights == "orthogonal"]


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    with one_thread():
        yield


def matrices(net: nn.Sequential) -> list[np.ndarray]:
    linear = [module for module in net if isinstance(module, (nn.Linear, SparseLinear))]
    weights = [module.to_dense() if isinstance(module, SparseLinear) else module.weight for module in linear]
    return [weight.detach().double().numpy() for weight in weights]


@pytest.mark.parametrize("method", DEEP_METHODS)
def test_the_layers_are_those_of_table_1(method):
    net = deep_net(4, method, **SMALL)
    assert [m.shape[::-1] for m in matrices(net)] == [(128, 64), (64, 32), (32, 32), (32, 32), (32, 32), (32, 10)]
    assert all(type(module) is nn.Tanh for module in net[1::2]) and len(net) == 11
    assert all(not module.bias.any() for module in net[::2])
    assert net(torch.zeros(3, 128)).shape == (3, 10) and net[0].weight.dtype == torch.float32


def test_all_sparse_methods_have_as_many_wires_in_every_layer_as_sao():
    """degree wires at each node of the narrower side: 4 x 64, 4 x 32, 4 x 32, and a dense output layer."""
    for method in SPARSE:
        assert [module.layer.n_edges for module in deep_net(3, method, **SMALL)[::2]] == [256, *[128] * 3, 320], method
    wide = [deep_net(2, method, n_inputs=16, width=32)[0].layer for method in SPARSE]
    assert {layer.n_edges for layer in wide} == {64} and all(layer.out_degrees().tolist() == [4] * 16 for layer in wide)


@pytest.mark.parametrize("method", ORTHOGONAL)
def test_every_singular_value_of_every_layer_is_the_gain(method):
    for matrix in matrices(deep_net(8, method, degree=8, **SMALL)):
        np.testing.assert_allclose(np.linalg.svd(matrix, compute_uv=False), 1.1, atol=1e-6)


@pytest.mark.parametrize("method", sorted(set(DEEP_METHODS) - set(ORTHOGONAL)))
def test_random_weights_have_the_variance_gain_squared_by_in_degree(method):
    matrix = matrices(deep_net(2, method, gain=2.0, **SMALL))[2]
    scaled = (matrix * np.sqrt((matrix != 0).sum(axis=1))[:, None])[matrix != 0] / 2
    error = 6 * np.sqrt(2 / scaled.size)  # six deviations of a Gaussian's mean square
    assert abs(np.mean(scaled**2) - 1) < error
    assert (np.abs(scaled).max() < np.sqrt(3)) == (method == "RG-U")


@pytest.mark.parametrize("method", DEEP_METHODS)
def test_the_network_is_tanh_of_its_matrices(method):
    net, x = deep_net(3, method, **SMALL), np.random.default_rng(0).normal(size=(5, 128))
    *hidden, last = matrices(net)
    z = x.T
    for matrix in hidden:
        z = np.tanh(matrix @ z)
    np.testing.assert_allclose(net(torch.from_numpy(x).float()).detach().numpy(), (last @ z).T, atol=1e-5)


@pytest.mark.parametrize("method", DEEP_METHODS)
def test_layers_of_one_shape_differ_and_the_seed_repeats(method):
    first, again, other = (matrices(deep_net(4, method, seed=seed, **SMALL)) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[2], other[2])
    assert not np.array_equal(first[2], first[3]) and not np.array_equal(first[3], first[4])


@pytest.mark.parametrize(("degree", "length", "d"), [(4, 4, 2), (8, 2, 2), (16, 2, 8)])
def test_the_symmetric_layers_of_radix_are_full_systems_with_widths(degree, length, d):
    """Theorem 1: with widths D a full system on n labels joins each pair by D^(L - 1) paths, here n = 32 / D."""
    layers = [module.layer for module in deep_net(length + 1, "RadiX", degree=degree, **SMALL)[4:-1:2]]
    assert all((layer.in_degrees() == degree).all() for layer in layers) and len(layers) == length
    assert (path_counts(Topology(layers)) == d ** (length - 1)).all()


@pytest.mark.parametrize(("method", "degree"), [("Dense", 4), ("SAO", 4), ("RadiX", 8)])
def test_with_mirrored_weights_a_relu_network_is_linear_and_isometric_at_birth(method, degree):
    net = deep_net(6, method, degree=degree, activation="relu", gain=1.0, **SMALL).double()
    x, y = torch.randn(2, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(net(x + 3 * y), net(x) + 3 * net(y), atol=1e-6, rtol=0)
    jacobian = torch.autograd.functional.jacobian(net, x)
    np.testing.assert_allclose(np.linalg.svd(jacobian.numpy(), compute_uv=False), 1, atol=1e-6)
    if method != "Dense":
        plain = deep_net(6, method, degree=degree, **SMALL)
        assert [m.layer.n_edges for m in net[::2]] == [m.layer.n_edges for m in plain[::2]]


@pytest.mark.parametrize("settings, rule", [
    ({"depth": 0}, "depth must be an integer between 1 and 1048576, got 0."),
    ({"method": "sao"}, "method must be one of 'Dense'"),
    ({"activation": "maxmin"}, "activation must be one of 'tanh', 'relu', 'silu', 'linear', got 'maxmin'."),
    ({"gain": 0}, "gain must be a finite number in (0, inf), got 0."),
    ({"width": 0}, "width must be an integer between 1 and 1048576, got 0."),
    ({"n_inputs": 0}, "n_inputs must be an integer"),
    ({"n_classes": 0}, "n_classes must be an integer"),
    ({"degree": 33}, "degree must be an integer between 1 and 32, got 33."),
    ({"degree": 3}, "degree must be one that SAO wires admit, got 3; 128 -> 64: biregular: degree must divide 128 and give 64 * degree a multiple of 128, got 3. Use one of 2, 4, 8, 16, 32, 64, 128."),
    ({"method": "RadiX", "degree": 2}, "degree must be one that RadiX wires admit, got 2; 32 -> 32: degree 2 is not radix * D with n / D a power of the radix. Use one of 4, 8, 16, 32."),
    ({"method": "RadiX", "width": 7, "degree": 2, "n_inputs": 14}, "degree must be one that RadiX wires admit, got 2; 7 -> 7: degree 2 is not radix * D with n / D a power of the radix. This width admits none."),
    ({"method": "RadiX", "activation": "relu"}, "degree must be one that RadiX wires admit, got 4; 16 -> 16, of which mirrored weights make 4 copies: degree 2 is not radix"),
    ({"activation": "relu", "degree": 3, "width": 18, "n_inputs": 54}, "degree must be one that SAO wires admit, got 3; 18 -> 9, of which mirrored weights make 4 copies: mirrored weights need an even degree."),
    ({"width": 33, "activation": "relu"}, "width must be even with mirrored weights, got 33. Use 34."),
    ({"seed": "a"}, "seed must be an integer of at least 0"),
])  # fmt: skip
def test_what_makes_no_network_is_refused(settings, rule):
    with pytest.raises(NbkitError, match=f"^deep_net: {re.escape(rule)}"):
        deep_net(**{"depth": 3, **SMALL, **settings})


def test_a_network_that_does_not_fit_is_refused_before_any_layer_is_made():
    with pytest.raises(NbkitError, match="^deep_net: the result must fit .* Lower the depth or the width"):
        deep_net(2**20, "Dense", width=2**15)
