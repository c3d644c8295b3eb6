"""Configurations: equal density whatever the wires, the variance that the gain says, and what goes together."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.questions import ACTIVATIONS, WEIGHTS, WIRES, Configuration, admissible
from nbkit.questions.configuration import DECAYED
from nbkit.questions.training import DECAY, STRENGTHS, THRESHOLD

BORN = [(wires, weights) for wires in WIRES for weights in admissible(wires=wires)["weights"] if weights != "trained"]


@pytest.mark.parametrize(("wires", "weights"), BORN)
def test_every_admissible_degree_has_its_density_exactly_and_no_weight_beside_its_wires(wires, weights):
    for width in (16, 32):
        for degree in admissible(wires=wires, weights=weights, width=width)["degree"]:
            own = Configuration(wires, weights, width=width, degree=degree, depth=3)
            assert own.density == (1 if wires == "dense" else Fraction(degree, width))
            assert all(Fraction(layer.n_edges, math.prod(layer.shape)) == own.density for layer in own.topology)
            for layer, matrix in zip(own.topology, own.matrices, strict=True):
                assert matrix.shape == layer.shape[::-1] and not matrix[~layer.mask()].any()


@pytest.mark.parametrize("weights", ["Gaussian", "uniform", "discrete"])
@pytest.mark.parametrize("wires", ["RadiX", "X-Net random", "random", "dense"])
def test_weights_of_a_law_have_variance_gain_squared_over_the_in_degree(wires, weights):
    own = Configuration(wires, weights, width=256, degree=16, depth=1, gain=1.5)
    [layer], [matrix] = own.topology, own.matrices
    in_degrees = layer.mask().sum(dim=1, keepdim=True).clamp(min=1)
    squares = (matrix**2 * in_degrees)[layer.mask()] / 1.5**2
    assert abs(float(squares.mean()) - 1) < 5 * float(squares.std()) / math.sqrt(len(squares))


@pytest.mark.parametrize("weights", ["Gaussian", "orthogonal"])
def test_pruning_keeps_the_largest_and_gives_them_the_mean_square_of_the_others(weights):
    own = Configuration("pruned", weights, width=32, degree=4, depth=1, gain=1.5)
    [matrix] = own.matrices
    assert float((matrix**2).sum() / own.topology.n_edges) == pytest.approx(1.5**2 / 4)
    whole = Configuration("pruned", weights, width=32, degree=32, depth=1).matrices[0].abs()  # nothing is pruned
    assert float(whole[~own.topology[0].mask()].max()) <= float(whole[own.topology[0].mask()].min())


@pytest.mark.parametrize("wires", ["RadiX", "SAO random", "SAO shift", "SAO aligned", "dense"])
def test_orthogonal_weights_have_all_singular_values_equal_to_the_gain(wires):
    own = Configuration(wires, "orthogonal", width=32, degree=8, depth=4, gain=0.7)
    for matrix in own.matrices:
        assert np.allclose(matrix.numpy() @ matrix.numpy().T, 0.49 * np.eye(32), atol=1e-12)


def test_the_sign_of_orthogonal_weights_on_radix_wires_is_even():
    """What E ||relu||^2 = ||.||^2 / 2 needs: W and -W are one law, so every weight is as often positive as negative."""
    draws = [Configuration("RadiX", "orthogonal", width=16, degree=4, depth=1, seed=s).matrices[0] for s in range(400)]
    positive = (torch.stack(draws) > 0).double().mean(dim=0)[draws[0] != 0]
    assert float((positive - 0.5).abs().max()) < 5 * 0.5 / math.sqrt(400)


def test_looks_linear_weights_make_an_isometry_times_the_gains():
    own = Configuration("SAO random", "looks-linear", width=32, degree=8, depth=3, gain=1.5)
    x = torch.randn(7, 16, dtype=torch.float64)
    images = own.network()(x)
    assert torch.allclose(own.network()(-x), -images)
    assert torch.allclose(images.norm(dim=1), 1.5**3 * x.norm(dim=1))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_network_is_the_matrices_with_the_activation_behind_each(activation):
    own = Configuration("SAO shift", activation=activation, width=16, degree=4, depth=2)
    x = np.linspace(-1, 1, 16)
    acts = {
        "linear": lambda v: v,
        "ReLU": lambda v: np.maximum(v, 0),
        "tanh": np.tanh,
        "radial": lambda v: v / np.linalg.norm(v) / (1 + np.exp(-np.linalg.norm(v))),
    }
    expected = x
    for matrix in own.matrices:
        expected = acts[activation](matrix.numpy() @ expected)
    assert np.allclose(own.network()(torch.from_numpy(x)[None])[0].detach().numpy(), expected, atol=1e-12)


def test_a_seed_repeats_and_another_draws_other_wires_and_weights():
    own = Configuration("SAO random", width=16, degree=4, depth=2)
    again, other = replace(own), replace(own, seed=1)
    assert all(map(torch.equal, own.matrices, again.matrices))
    assert own.topology != other.topology
    assert torch.equal(own.network(1)[0].weight, other.matrices[0])
    assert own.topology[0] != own.topology[1]


def test_radix_wires_take_the_smallest_dense_width_and_orthogonal_ones_at_least_two():
    assert Configuration("RadiX", width=64, degree=8).dense_width == 1
    assert Configuration("RadiX", width=32, degree=8).dense_width == 2  # 32 is no power of 8, 16 one of 4
    assert Configuration("RadiX", "orthogonal", width=64, degree=8).dense_width == 4  # 16 = 2^4; 32 is no power of 4


def test_preparing_goes_on_where_it_was_left():
    own = Configuration("SAO random", width=16, degree=4, depth=5)
    left = own.prepare()
    assert [next(left)[0] for _ in range(3)] == [0, 1, 2]
    assert [done for done, _, _ in own.prepare()] == [2, 3, 4, 5]
    assert own.topology == replace(own).topology


def test_decay_keeps_the_weights_above_the_threshold_of_the_training_under_it(decayed):
    training = decayed.training
    assert training.is_over and decayed.density == decayed.topology.density_fraction < 1
    for position, (layer, matrix) in enumerate(zip(decayed.topology, decayed.matrices, strict=True)):
        weights = training.weights(position, DECAY)
        assert torch.equal(layer.mask(), weights.abs() > THRESHOLD)
        assert torch.equal(matrix, weights * layer.mask())


def test_the_trained_networks_fit_unless_the_decay_is_strong(decayed):
    losses = decayed.training.losses()[: len(STRENGTHS)]
    assert losses[0] < 1e-6 and (losses.diff() > 0).all()


def test_trained_sparse_weights_stay_on_their_wires():
    own = Configuration("SAO shift", "trained", width=16, degree=4, depth=1)
    assert own.density == Fraction(1, 4) and not own.matrices[0][~own.topology[0].mask()].any()
    assert own.matrices[0].abs().max() > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"wires": "X-Net random", "weights": "orthogonal"}, "weights must be one of Gaussian, uniform"),
        ({"wires": "RadiX", "weights": "orthogonal", "degree": 2}, "degree must be one of 4, 8"),
        ({"degree": 3}, "degree must be one of 2, 4"),
        ({"weights": "looks-linear", "activation": "tanh"}, "activation must be one of ReLU"),
        ({"weights": "looks-linear", "depth": 1}, "depth must be one of 2"),
        ({"wires": DECAYED}, "weights must be one of trained"),
        ({"weights": "trained", "width": 256, "degree": 16}, "width must be one of 16, 32, 64"),
        ({"wires": "X-Net"}, "wires must be one of 'RadiX'"),
        ({"gain": 0}, r"gain must be a finite number in \(0"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"depth": 1.5}, "depth must be an integer"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, message):
    with pytest.raises(NbkitError, match=f"^Configuration: {message}"):
        Configuration(**settings)


def test_admissible_refuses_settings_that_there_are_none_of():
    with pytest.raises(NbkitError, match="^admissible: a setting must be one of 'wires', 'weights'"):
        admissible(colour="blue")


def test_every_kind_of_weights_goes_with_some_wires():
    assert {weights for wires in WIRES for weights in admissible(wires=wires)["weights"]} == set(WEIGHTS)
