"""The mean field of a random regular cascade: its recursion by another route, its ends, its errors."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from nbkit.device import spawn_generators
from nbkit.errors import NbkitError
from nbkit.measure import mean_field_reach, reach_fractions
from nbkit.topology import Topology, biregular, magnitude_pruned


def test_values_of_the_recursion_in_exact_fractions():
    # Only the first step has a whole n (1 - f), where math.comb applies; the later ones are written out.
    expected = [Fraction(4, 256), 1 - Fraction(comb(252, 4), comb(256, 4))]
    for _ in range(3):
        deaf = 256 * (1 - expected[-1])
        expected.append(1 - deaf * (deaf - 1) * (deaf - 2) * (deaf - 3) / (256 * 255 * 254 * 253))
    assert mean_field_reach(256, 4, 5).tolist() == pytest.approx([float(f) for f in expected], abs=1e-14)


def test_degree_one_stays_and_a_dense_layer_is_full():
    assert mean_field_reach(10, 1, 3).tolist() == pytest.approx([0.1, 0.1, 0.1])
    assert mean_field_reach(10, 10, 2).tolist() == [1.0, 1.0]


def test_it_never_falls_and_never_exceeds_one():
    values = mean_field_reach(37, 3, 30).numpy()
    assert (np.diff(values) >= 0).all() and values[-1] <= 1


def test_a_random_cascade_follows_it():
    layers = [biregular(1024, 1024, 4, seed=seed) for seed in spawn_generators(0, 8)]
    measured = reach_fractions(Topology(layers)).numpy()
    assert np.abs(measured - mean_field_reach(1024, 4, 8).numpy()).max() < 0.02


def test_at_256_and_4_the_recursion_gives_225_642_984():
    # .229, .652, .986, which are in circulation as the mean field, are what one draw of the masks may measure.
    theory = mean_field_reach(256, 4, 6).numpy()
    assert theory[2:5].round(3).tolist() == [0.225, 0.642, 0.984]
    assert np.abs(theory[2:5] - [0.229, 0.652, 0.986]).min() > 0.0015


@pytest.mark.parametrize(
    ("kind", "after_5", "after_8"),
    [("Gaussian", (0.81, 0.86), (0.94, 0.98)), ("orthogonal", (0.87, 0.92), (0.975, 1))],
)
def test_pruned_orthogonal_weights_reach_more_than_pruned_gaussian_ones(kind, after_5, after_8):
    # 256 x 256, density 4 / 256: Haar orthogonal rows have one length, so fewer of them lose every weight.
    for seed in range(4):
        weights = [generator.standard_normal((256, 256)) for generator in spawn_generators(seed, 8)]
        if kind == "orthogonal":
            weights = [q * np.sign(np.diag(r)) for q, r in map(np.linalg.qr, weights)]
        reach = reach_fractions(Topology(magnitude_pruned(weights, 4 / 256))).numpy()
        assert after_5[0] < reach[4] < after_5[1]
        assert after_8[0] < reach[7] < after_8[1]


@pytest.mark.parametrize("arguments", [(0, 1, 1), (8, 0, 1), (8, 9, 1), (8, 2, 0), (8, 2.5, 1)])
def test_sizes_outside_their_range_are_refused(arguments):
    with pytest.raises(NbkitError, match="mean_field_reach: (n|degree|depth) must"):
        mean_field_reach(*arguments)
