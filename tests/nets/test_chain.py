"""nbkit.nets.chain: the network of given matrices."""

import numpy as np
import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.nets import chain

SHAPES = [(6, 4), (8, 6), (2, 8)]
PHI = {
    "linear": lambda h: h,
    "tanh": np.tanh,
    "relu": lambda h: np.maximum(h, 0),
    "silu": lambda h: h / (1 + np.exp(-h)),
}


@pytest.fixture
def weights():
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in SHAPES]


@pytest.mark.parametrize("activation", PHI)
@pytest.mark.parametrize("output", ["activation", "linear"])
def test_a_chain_is_phi_of_w_z_plus_b_layer_after_layer(weights, activation, output):
    biases = [np.arange(6.0), None, [0.5, -0.5]]
    x = np.random.default_rng(1).normal(size=(5, 4))
    z = x.T
    for layer, (weight, bias) in enumerate(zip(weights, biases)):
        z = weight @ z + (0 if bias is None else np.asarray(bias)[:, None])
        z = z if layer == 2 and output == "linear" else PHI[activation](z)
    net = chain(weights, activation, biases=biases, output=output)
    np.testing.assert_allclose(net(torch.as_tensor(x)).detach().numpy(), z.T, rtol=1e-13, atol=1e-13)


def test_maxmin_chains_keep_lengths(weights):
    orthogonal = [np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))[0] for seed in range(3)]
    x = torch.randn(5, 6, dtype=torch.float64)
    torch.testing.assert_close(chain(orthogonal, "maxmin")(x).norm(dim=1), x.norm(dim=1))


def test_the_given_matrices_are_copied(weights):
    net = chain(weights)
    net[0].weight.data.zero_()
    assert np.all(weights[0] != 0) and net[2].weight.dtype == torch.float64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": []}, "chain: weights must be a list"),
        ({"weights": np.eye(3)}, "chain: weights must be a list"),
        (
            {"weights": [np.ones((3, 2)), np.ones((2, 4))]},
            r"matrix 2 of weights must be \(n_out, 3\), got shape \(2, 4\)",
        ),
        ({"weights": [np.ones(3)]}, r"matrix 1 of weights must be \(n_out, n_in\), got shape \(3,\)"),
        ({"weights": [np.full((2, 2), np.nan)]}, "matrix 1 of weights must be finite real"),
        ({"activation": "sine"}, "chain: activation must be one of 'linear', 'tanh'"),
        ({"output": "softmax"}, "chain: output must be one of"),
        ({"biases": [None]}, "biases must be a list with one for each of the 2 matrices, got 1"),
        ({"biases": 0.5}, "biases must be a list with one for each of the 2 matrices, got 0.5"),
        ({"biases": [None, [1.0]]}, r"bias 2 must be \(3,\), got shape \(1,\)"),
        ({"activation": "maxmin"}, "maxmin pairs the nodes of a layer, got a layer of 3"),
    ],
)
def test_what_is_no_chain_is_refused(change, message):
    with pytest.raises(NbkitError, match=message):
        chain(**{"weights": [np.ones((2, 4)), np.ones((3, 2))]} | change)
