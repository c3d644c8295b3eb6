"""Laws of one weight: moments and constants against sums, integrals and enumeration (SCIENCE 2.2 and 2.3)."""

import itertools
import math

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.weights import Discrete, Gaussian, Uniform

INTEGERS = {3: (-3, -2, -1, 0, 1, 2, 3), 1: (-1, 0, 1)}
LAWS = [
    (Gaussian(1.7), scipy.stats.norm(scale=1.7)),
    (Uniform(2.5), scipy.stats.uniform(-2.5, 5.0)),
]
DISCRETE = [
    (Discrete(1), (-1, 0, 1)),
    (Discrete(3), (-3, -2, -1, 0, 1, 2, 3)),
    (Discrete((-1, 1)), (-1, 1)),
    (Discrete((2, -0.5, 0.5, -2), 3.0), (-6, -1.5, 1.5, 6)),
    (Discrete((0, -4, 4)), (-4, 0, 4)),
]


def mean_absolute_sum(values: tuple, u: np.ndarray) -> float:
    """E|u.w| by enumeration of all w."""
    sums = np.zeros(1)
    for entry in u:
        sums = (sums[:, None] + entry * np.array(values, dtype=float)[None]).ravel()
    return float(np.abs(sums).mean() / np.linalg.norm(u))


@pytest.mark.parametrize(("law", "oracle"), LAWS)
def test_moments_of_a_continuous_law_are_its_integrals(law, oracle):
    assert law.std == pytest.approx(oracle.std())
    assert law.kurtosis == pytest.approx(oracle.stats("k") + 3)
    assert law.density == 1


@pytest.mark.parametrize(("law", "values"), DISCRETE)
def test_moments_of_a_discrete_law_are_its_sums(law, values):
    values = np.array(values, dtype=float)
    assert law.values == pytest.approx(sorted(values))
    assert law.std == pytest.approx(values.std())
    assert law.kurtosis == pytest.approx((values**4).mean() / (values**2).mean() ** 2)
    assert law.M == pytest.approx(np.abs(values).sum() / (math.sqrt(2) * len(values)))
    assert law.density == np.mean(values != 0)


def test_the_stds_of_the_integers_are_those_of_the_variance_matching():
    stds = [Discrete(limit).std for limit in range(1, 7)]
    assert stds == pytest.approx([0.8165, 1.4142, 2.0, 2.5820, 3.1623, 3.7417], abs=5e-5)
    assert Uniform(2 * math.sqrt(3)).std == pytest.approx(2)


def test_the_true_density_leaves_out_the_zeros_of_the_set():
    assert 0.5 * Discrete(1).density == pytest.approx(0.333, abs=5e-4)
    assert 0.5 * Discrete(3).density == pytest.approx(0.429, abs=5e-4)


def test_M_of_the_gaussian_is_attained_by_every_vector():
    oracle = scipy.stats.norm(scale=1.7).expect(np.abs)
    assert Gaussian(1.7).M == pytest.approx(oracle)


def test_M_of_the_uniform_is_30_percent_under_the_best_constant():
    best = math.sqrt(2 / (3 * math.pi))  # the Gaussian limit of many equal entries
    single = scipy.integrate.quad(abs, -1, 1)[0] / 2
    pair = scipy.integrate.dblquad(lambda a, b: abs(a + b), -1, 1, -1, 1)[0] / 4 / math.sqrt(2)
    limit = math.sqrt(2 / math.pi) * Uniform(1).std
    assert limit == pytest.approx(best) and single > pair > best == pytest.approx(0.4607, abs=1e-4)
    assert best / Uniform(1).M == pytest.approx(1.30, abs=0.005)


@pytest.mark.parametrize(("limit", "best"), [(1, 0.6285), (3, 1.596)])
def test_M_of_the_integers_is_below_the_enumerated_minimum(limit, best):
    values, rng = INTEGERS[limit], np.random.default_rng(limit)
    starts = [np.ones(n) for n in range(1, 6)] + list(rng.uniform(0, 1, (3, 3)))
    found = [mean_absolute_sum(values, u) for u in starts]
    found += [
        scipy.optimize.minimize(lambda u: mean_absolute_sum(values, u), start, options={"maxiter": 20}).fun
        for start in starts
        if len(start) < 4
    ]
    assert min(found) > Discrete(limit).M
    if limit == 1:
        assert min(found) == pytest.approx(best, abs=1e-4)
    # for wider sets the minimum is that of many equal entries, sqrt(2 / pi) std, met from above
    assert min(found) >= best - 1e-3
    assert min(best, math.sqrt(2 / math.pi) * Discrete(limit).std) == pytest.approx(best, abs=1e-3)


def test_M_of_plus_minus_one_is_attained_by_two_equal_entries():
    u = np.array([1.0, 1.0])
    assert mean_absolute_sum((-1, 1), u) == pytest.approx(Discrete((-1, 1)).M) == pytest.approx(1 / math.sqrt(2))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.01, 10), min_size=1, max_size=3),
    st.booleans(),
    st.lists(st.floats(-1, 1), min_size=1, max_size=4).filter(lambda u: np.linalg.norm(u) > 1e-3),
)
def test_M_bounds_the_mean_of_any_weighted_sum(positive, with_zero, u):
    values = sorted({*positive, *(-value for value in positive), *([0.0] if with_zero else [])})
    assert mean_absolute_sum(values, np.array(u)) >= Discrete(tuple(values)).M * (1 - 1e-12)


@pytest.mark.parametrize("std", [0.3, 0.8165, 2.0, 17.3])
def test_laws_of_one_std_are_matched(std):
    for law in (Gaussian.of_std(std), Uniform.of_std(std), Discrete.of_std(std, how="scale", limit=2)):
        assert law.std == pytest.approx(std)


@settings(max_examples=100, deadline=None)
@given(st.floats(0.01, 300))
def test_snapping_finds_the_nearest_integer_law(std):
    snapped = Discrete.of_std(std)
    nearest = min(abs(math.sqrt(limit * (limit + 1) / 3) - std) for limit in range(1, 600))
    assert abs(snapped.std - std) == pytest.approx(nearest, abs=1e-9)
    assert snapped.scale == 1


def test_the_name_says_whether_the_grid_was_scaled():
    assert Discrete.of_std(2.2).name == "integers ±3"
    assert Discrete.of_std(2.2, how="scale").name == "integers ±3, scaled by 1.1"
    assert Discrete((-1, 1)).name == "values (-1.0, 1.0)"
    assert Gaussian(2).name == "Gaussian, std 2" and Uniform(3.4641).name == "uniform on ±3.46"


@pytest.mark.parametrize("law", [law for law, _ in LAWS + DISCRETE])
def test_a_scaled_law_scales_its_std_and_its_constant(law):
    scaled = law.scaled(0.37)
    assert scaled.std == pytest.approx(0.37 * law.std) and scaled.M == pytest.approx(0.37 * law.M)
    assert scaled.kurtosis == pytest.approx(law.kurtosis) and scaled.density == law.density


@pytest.mark.parametrize(("law", "oracle"), LAWS)
def test_samples_follow_a_continuous_law(law, oracle):
    sample = law.sample((200, 100), seed=1)
    assert sample.shape == (200, 100) and sample.dtype == torch.float64
    assert scipy.stats.kstest(sample.ravel().numpy(), oracle.cdf).pvalue > 1e-3


@pytest.mark.parametrize(("law", "values"), DISCRETE)
def test_samples_are_uniform_on_exactly_the_values(law, values):
    sample = law.sample(20_000, seed=2).numpy()
    found, counts = np.unique(sample, return_counts=True)
    assert found == pytest.approx(sorted(values))
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_a_seed_repeats_none_is_fresh_and_a_generator_advances():
    law, generator = Gaussian(), np.random.default_rng(0)
    assert torch.equal(law.sample(5, seed=3), law.sample(5, seed=3))
    assert not torch.equal(law.sample(5, seed=None), law.sample(5, seed=None))
    assert not torch.equal(law.sample(5, seed=generator), law.sample(5, seed=generator))


@pytest.mark.parametrize(("law", "values"), DISCRETE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ends_of_the_noise_give_the_ends_of_a_discrete_law(law, values, dtype):
    below_one = torch.nextafter(torch.tensor(1.0, dtype=dtype), torch.tensor(0.0, dtype=dtype))
    ends = law.from_noise(torch.stack([torch.zeros((), dtype=dtype), below_one]))
    assert ends.tolist() == pytest.approx([min(values), max(values)])


def test_single_precision_noise_reaches_the_last_value_of_the_widest_grid():
    below_one = torch.tensor([1 - 2.0**-24], dtype=torch.float32)
    assert Discrete(2**15).from_noise(below_one).tolist() == [2**15]


def test_every_noise_cell_of_a_discrete_law_is_of_one_size():
    noise = (torch.arange(7000, dtype=torch.float32) + 0.5) / 7000
    for law in (Discrete(3), Discrete((-3, -2, -1, 0, 1, 2, 3))):
        _, counts = torch.unique(law.from_noise(noise), return_counts=True)
        assert counts.tolist() == [1000] * 7


def test_uniform_noise_stays_within_the_limit():
    ends = Uniform(2.0).from_noise(torch.tensor([0.0, 0.25, 0.5, 1 - 2.0**-24]))
    assert ends[:3].tolist() == [-2.0, -1.0, 0.0] and 1.99 < ends[3] <= 2.0


@pytest.mark.parametrize("law", [law for law, _ in LAWS + DISCRETE])
def test_from_noise_writes_into_out_and_leaves_the_noise(law):
    noise = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    before, out = noise.clone(), torch.empty(3, 4)
    plain = law.from_noise(noise)
    law.from_noise(noise, out=out)
    assert torch.equal(noise, before) and torch.equal(out, plain)


@pytest.mark.parametrize("law", [Uniform(1.0), *(law for law, _ in DISCRETE)])
def test_a_law_is_even_in_its_noise(law):
    noise = (torch.arange(1260) + 0.5).double() / 1260
    weights = law.from_noise(noise)
    assert torch.allclose(weights, -law.from_noise(1 - noise), atol=1e-12)


def test_equal_laws_compare_equal_and_can_be_keys():
    assert Discrete([1, -1]) == Discrete((-1.0, 1.0)) and len({Discrete(3), Discrete(3), Gaussian(), Gaussian(1)}) == 2


@pytest.mark.parametrize("std", [0, -1, math.nan, math.inf, True, "2", None])
def test_a_scale_must_be_a_number_above_0(std):
    for make in (Gaussian, Uniform, Gaussian.of_std, Uniform.of_std, Discrete.of_std, Gaussian(1).scaled):
        with pytest.raises(NbkitError, match="must be a finite number"):
            make(std)


@pytest.mark.parametrize("scale", [0, -2.0, math.nan, "1"])
def test_a_grid_must_be_scaled_by_a_number_above_0(scale):
    with pytest.raises(NbkitError, match="scale must be"):
        Discrete(3, scale)


@pytest.mark.parametrize("limit", [0, -1, True, 2.5, math.nan, 2**15 + 1])
def test_an_integer_limit_is_at_least_1(limit):
    with pytest.raises(NbkitError, match="limit must be an integer"):
        Discrete(limit)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ((), "at least two values"),
        ((-1, 2), "symmetric about 0"),
        ((1,), "symmetric about 0"),
        ((0,), "other than 0"),
        ((-1, math.nan, 1), "finite"),
        ((-math.inf, math.inf), "finite"),
        ("ab", "array of numbers"),
        (((-1, 1), (2,)), "array of numbers"),
        (None, "values must be"),
    ],
)
def test_values_must_be_a_finite_symmetric_set(values, rule):
    with pytest.raises(NbkitError, match=rule):
        Discrete(values)


def test_of_std_knows_two_ways():
    with pytest.raises(NbkitError, match="how must be one of 'snap', 'scale'"):
        Discrete.of_std(2.0, how="round")
    with pytest.raises(NbkitError, match="limit must be an integer of at least 1"):
        Discrete.of_std(2.0, how="scale", limit=0)


def test_lemma_12_a_one_to_one_map_of_a_uniform_vector_is_uniform_on_its_image():
    vectors = np.array(list(itertools.product(INTEGERS[1], repeat=3)))
    matrix = np.array([[1, 2, 0], [0, 1, -1], [1, 0, 1]])
    assert np.linalg.det(matrix) != 0
    _, counts = np.unique(vectors @ matrix.T, axis=0, return_counts=True)
    assert (counts == 1).all() and len(counts) == 27


@pytest.mark.parametrize("shape", ["a", b"x", float("nan"), -1, (2, -1), 1j, None])
def test_a_shape_to_sample_is_whole_numbers(shape):
    with pytest.raises(NbkitError, match="Gaussian.sample: .*shape must"):
        Gaussian().sample(shape)


def test_a_sample_beyond_memory_is_refused():
    with pytest.raises(NbkitError, match="Gaussian.sample: the result must fit"):
        Gaussian().sample((10**9, 10**9))


@pytest.mark.parametrize("make", [lambda: Discrete(1, 1e-100), lambda: Discrete((-1e90, 1e90))])
def test_values_whose_powers_leave_the_floats_are_refused(make):
    with pytest.raises(NbkitError, match="Discrete: the largest value must lie in"):
        make()


def test_complex_values_are_refused():
    with pytest.raises(NbkitError, match="Discrete: values must be real numbers"):
        Discrete((-1j, 1j))
