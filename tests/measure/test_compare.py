"""Two spectra compared: scipy's test where values are apart, the rounding trap where they are not (SCIENCE 3.5, Table 6)."""

import functools
import math
import warnings

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.measure import ks_two_sample
from nbkit.topology import biregular, dense_layer, magnitude_pruned, random_pruned
from nbkit.weights import orthogonal, random_on_mask

values = st.lists(st.integers(-50, 50), min_size=1, max_size=40)


def noisy(level: float, n: int, seed: int, dtype=np.float64) -> np.ndarray:
    """n values at one level up to rounding, as singular values come out of two algorithms."""
    eps = np.finfo(dtype).eps
    return (level * (1 + eps * np.random.default_rng(seed).integers(-6, 7, n))).astype(dtype)


@settings(max_examples=100, deadline=None)
@given(values, values)
def test_values_that_are_apart_are_scipys(first, second):
    found, expected = ks_two_sample(first, second), scipy.stats.ks_2samp(first, second)
    assert (found.statistic, found.p_value) == (expected.statistic, pytest.approx(expected.pvalue))


@pytest.mark.parametrize(
    "n, m, shift", [(256, 256, 0.0), (256, 256, 0.2), (100, 300, 0.1), (1, 1, 0), (2000, 3000, 0.05)]
)
def test_continuous_values_are_scipys(n, m, shift):
    rng = np.random.default_rng(n)
    first, second = rng.standard_normal(n), rng.standard_normal(m) + shift
    found, expected = ks_two_sample(first, second, digits=12), scipy.stats.ks_2samp(first, second)
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert ks_two_sample(first, second).statistic == pytest.approx(expected.statistic, abs=2 / min(n, m))


@pytest.mark.parametrize("scale", [1e-318, 1e-300, 1e-9, 1e9, 1e300])
def test_the_scale_does_not_matter(scale):
    rng = np.random.default_rng(2)
    first, second = rng.integers(-99, 99, 60).astype(float), rng.integers(-79, 99, 50).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ks_two_sample(scale * first, scale * second) == ks_two_sample(first, second)


@settings(max_examples=60, deadline=None)
@given(values, values)
def test_order_and_sides_do_not_matter(first, second):
    assert ks_two_sample(first, second) == ks_two_sample(first[::-1], second) == ks_two_sample(second, first)


@settings(max_examples=200, deadline=None)
@given(st.floats(1e-9, 1e9), st.sampled_from([np.float32, np.float64]))
def test_rounding_noise_at_any_level_is_no_difference(level, dtype):
    found = ks_two_sample(noisy(level, 256, 0, dtype), noisy(level, 200, 1, dtype))
    assert (found.statistic, found.p_value) == (0, 1)


@pytest.mark.parametrize("edge", [0.50005, 0.500005, 0.5000005, 0.123455])
def test_noise_at_the_edge_of_a_decimal_is_no_difference_either(edge):
    first = np.concatenate([noisy(1.0, 50, 0), noisy(edge, 50, 1), 1e-17 * np.ones(5)])
    second = np.concatenate([noisy(1.0, 50, 2), noisy(edge, 50, 3), np.zeros(5)])
    assert ks_two_sample(first, second).p_value == 1
    assert scipy.stats.ks_2samp(first, second).pvalue < 1  # which the raw test sees


def test_a_fixed_grid_of_decimals_would_cut_through_the_noise():
    level = 7.123455e-9  # between two decimals of its own size
    first, second = noisy(level, 256, 0), noisy(level, 256, 1) - 3e-24
    grid = scipy.stats.ks_2samp(np.round(first, 14), np.round(second, 14))
    assert grid.pvalue < 0.5 and ks_two_sample(first, second).p_value == 1


def test_the_raw_test_is_fooled_by_the_noise_of_two_decompositions():
    dense, sao = (orthogonal(layer).float() for layer in (dense_layer(256, 256), biregular(256, 256, 2)))
    first, second = (torch.linalg.svdvals(w).numpy() for w in (dense, sao))
    assert scipy.stats.ks_2samp(first, second).pvalue < 1  # how far below is the machine's affair: 2e-7 was seen
    assert ks_two_sample(first, second).p_value == 1
    assert ks_two_sample(first.astype(float), torch.linalg.svdvals(sao.double())).p_value == 1


def test_digits_say_what_counts_as_one():
    first, second = [1.0] * 50 + [1.001] * 50, [1.0] * 100
    assert ks_two_sample(first, second, digits=2).p_value == 1
    assert ks_two_sample(first, second, digits=4).statistic == 0.5
    chain = np.linspace(0, 1, 1001)  # neighbours closer than the tolerance do not all become one
    assert ks_two_sample(chain[:500], chain[500:], digits=2).statistic > 0.95


@pytest.mark.parametrize("activation, sao, rg, pruned", [
    ("linear", 1, 1e-30, 1e-100), ("tanh", 0.01, 1e-4, 1e-30), ("relu", 0.01, 1e-4, 1e-20),
])  # fmt: skip
def test_table_6_at_256_nodes_and_degree_2(activation, sao, rg, pruned):
    # measured for the page: SAO 1, .90, .84; RG-N 7e-56, 1e-10, 5e-12; LMP and LRP 4e-153 (linear); here in orders
    n, layer = 256, biregular(256, 256, 2, seed=1)  # seeds differ: x of the dense weights' own seed is their first row
    dense = orthogonal(dense_layer(n, n), seed=2)
    x = torch.from_numpy(np.random.default_rng(3).standard_normal(n))

    @functools.cache
    def spectrum(weights: torch.Tensor) -> torch.Tensor:
        h = weights @ x
        slopes = {"linear": torch.ones_like(h), "tanh": 1 - h.tanh() ** 2, "relu": (h > 0).double()}[activation]
        return torch.linalg.svdvals(slopes[:, None] * weights)

    assert ks_two_sample(spectrum(orthogonal(layer, seed=4)), spectrum(dense)).p_value >= sao
    assert ks_two_sample(spectrum(random_on_mask(layer, seed=5)), spectrum(dense)).p_value < rg
    for (mask,) in (magnitude_pruned([dense], 2 / n), random_pruned([dense], 2 / n)):
        found = ks_two_sample(spectrum(dense * mask.mask()), spectrum(dense))
        assert found.p_value < pruned
        if activation == "linear":  # no value of a pruned layer reaches 1: 4e-153
            assert found.statistic == 1 and found.p_value == pytest.approx(2 / math.comb(512, 256), rel=1e-6)


def test_zeros_and_ones_are_compared_without_a_warning(recwarn):
    generator = np.random.default_rng(0)
    for _ in range(20):  # the slopes of ReLU: for some of these scipy has no exact p-value, and says so
        assert 0 < ks_two_sample(*(generator.random((2, 256)) < 0.5)).p_value <= 1
    assert not recwarn


def test_one_value_each_is_never_a_proof():
    assert ks_two_sample([1.0], [2.0]) == ks_two_sample(torch.tensor([3]), np.array([1], dtype=np.float32))
    assert ks_two_sample([1.0], [2.0]).p_value == 1 == ks_two_sample([0.0, 0.0], [0.0]).p_value


@pytest.mark.parametrize("wrong", [
    [], [1.0, float("nan")], [float("inf")], [[1.0], [2.0]], 1.0, [1j], None, "ab", np.array([])
], ids=str)  # fmt: skip
def test_what_is_no_spectrum_is_refused(wrong):
    for name, arguments in (("first", (wrong, [1.0])), ("second", ([1.0], wrong))):
        with pytest.raises(NbkitError, match=f"^ks_two_sample: {name} must be a"):
            ks_two_sample(*arguments)


@pytest.mark.parametrize("digits", [0, 16, 2.0, True, None])
def test_wrong_digits_are_refused(digits):
    with pytest.raises(NbkitError, match="^ks_two_sample: digits must be an integer between 1 and 15, got "):
        ks_two_sample([1.0], [1.0], digits=digits)
