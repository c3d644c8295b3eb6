"""What is known about growth without drawing: SCIENCE 2.2 to 2.4 by number, by direct sampling, by mpmath."""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.measure import (
    growth_delta,
    growth_lower_bound,
    growth_rms,
    growth_rms_through,
    khintchine_lower,
    khintchine_p0,
    khintchine_upper,
    subvector_norm,
    weight_scale,
)
from nbkit.topology import Layer, Topology, biregular, mixed_radix, radix_net, random_expander
from nbkit.weights import Discrete, Gaussian, Uniform

MATCHED = [Gaussian(2.0), Uniform(2 * math.sqrt(3)), Discrete(3)]


@pytest.mark.parametrize(
    ("law", "density", "base"),
    [
        (Gaussian(2.0), 0.5, 0.39894),  # T1
        (Uniform(2 * math.sqrt(3)), 1.0, 0.61237),  # T3
        (Discrete(3), 0.5, 0.30305),  # T4
        (Gaussian(2.0), 0.1, 0.080),
        (Uniform(2 * math.sqrt(3)), 0.1, 0.061),
        (Discrete(3), 0.1, 0.061),
        (Gaussian(2.0), 1.0, 0.798),
        (Discrete(3), 1.0, 0.606),
    ],
)
def test_the_lower_bound_has_the_labelled_values(law, density, base):
    assert growth_lower_bound(law, density) == pytest.approx(
        base, abs=5e-4 if base in (0.080, 0.061) else 1e-5, rel=1e-3
    )


def test_the_lower_bound_of_weights_that_are_not_divided():
    assert growth_lower_bound(Gaussian(0.3), 0.25) * math.sqrt(100) == pytest.approx(0.29921, abs=1e-5)  # T2


@pytest.mark.parametrize(("density", "rms"), [(0.1, 1.342), (0.3, 2.324), (0.5, 3.0), (0.7, 3.550), (0.9, 4.025)])
def test_the_slopes_of_figure_2(density, rms):
    assert growth_rms(Gaussian(6.0), density) == pytest.approx(rms, abs=5e-4)
    assert growth_lower_bound(Gaussian(6.0), density) == pytest.approx(2.394 * density, abs=5e-4)


def test_the_bound_in_terms_of_the_std():
    constants = [growth_lower_bound(law) / law.std for law in (Gaussian(3.0), Uniform(3.0), Discrete(200))]
    assert constants == pytest.approx([0.39894, 0.30619, 0.30619], abs=1e-5)


def test_layers_of_unequal_widths_widen_by_the_root_of_their_ratio():
    for function in (growth_lower_bound, growth_rms):
        assert function(Gaussian(2.0), 0.5, shape=(100, 400)) == pytest.approx(2 * function(Gaussian(2.0), 0.5))
        assert function(Gaussian(2.0), 0.5, shape=(400, 100)) == pytest.approx(function(Gaussian(2.0), 0.5) / 2)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from([*MATCHED, Discrete((-1, 1)), Discrete((-5, -0.1, 0.1, 5))]), st.floats(0.01, 1))
def test_the_lower_bound_is_below_the_rms(law, density):
    assert growth_lower_bound(law, density) < growth_rms(law, density)


def test_common_initialisations():
    assert growth_rms(Uniform(1.0)) == pytest.approx(0.408, abs=5e-4)  # torch's U(-1, 1) / sqrt k
    assert growth_rms(Uniform.of_std(1.0)) == pytest.approx(1 / math.sqrt(2))  # Glorot's, sqrt 6 / sqrt(2 k)
    assert math.sqrt(6) / math.sqrt(2 * 50) * math.sqrt(50) == pytest.approx(Uniform.of_std(1.0).limit)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.001, 1), st.floats(0.01, 10))
def test_a_weight_scale_gives_its_growth(density, growth):
    assert growth_rms(Gaussian(weight_scale(density, growth=growth)), density) == pytest.approx(growth)
    assert weight_scale(density) * math.sqrt(density) == pytest.approx(math.sqrt(2))  # He's


@pytest.mark.parametrize(("width", "value"), [(4, 0.750), (10, 0.919), (30, 0.977), (100, 0.994)])
def test_the_delta_method_has_the_bracketed_values(width, value):
    assert growth_delta(Gaussian(2.0), 0.5, width) == pytest.approx(value, abs=5e-4)


def one_layer(values: np.ndarray, z: np.ndarray, u: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """||dz'|| of many layers: weights (n, k, k) already divided by sqrt k."""
    heights, moved = values @ z + bias, values @ u
    return np.linalg.norm(moved * (heights > 0), axis=1)


@pytest.mark.parametrize("law", MATCHED, ids=lambda law: law.name)
@pytest.mark.parametrize("density", [0.3, 1.0])
def test_rms_is_exact_and_delta_close_at_a_small_width(law, density):
    k, n, rng = 12, 20_000, np.random.default_rng(5)
    u = rng.standard_normal(k)
    u /= np.linalg.norm(u)
    weights = law.sample((n, k, k), seed=rng).numpy() * (rng.random((n, k, k)) < density) / math.sqrt(k)
    lengths = one_layer(weights, rng.standard_normal(k), u, 0.1 * rng.standard_normal((n, k)))
    squares = lengths**2
    assert abs(squares.mean() - growth_rms(law, density) ** 2) < 4.5 * squares.std() / math.sqrt(n)
    assert growth_lower_bound(law, density) < lengths.mean() < growth_rms(law, density)
    assert growth_delta(law, density, k, fourth=(u**4).sum()) == pytest.approx(lengths.mean(), rel=0.01)


def test_delta_takes_the_mean_fourth_powers_of_a_random_direction():
    u = np.random.default_rng(0).standard_normal((100_000, 5))
    fourth = ((u / np.linalg.norm(u, axis=1, keepdims=True)) ** 4).sum(axis=1).mean()
    assert growth_delta(Uniform(1.0), 0.2, 5) == pytest.approx(
        growth_delta(Uniform(1.0), 0.2, 5, fourth=fourth), rel=2e-3
    )


def test_delta_tends_to_the_rms():
    gaps = [1 - growth_delta(Uniform(1.0), 0.4, k) / growth_rms(Uniform(1.0), 0.4) for k in (100, 1000, 10_000)]
    assert gaps == pytest.approx([5 / 800, 5 / 8000, 5 / 80_000], rel=0.05)
    assert growth_delta(Gaussian(1.0), 1.0, 1) == pytest.approx(growth_rms(Gaussian(1.0)) * 3 / 8)


# --- fixed wires -----------------------------------------------------------------------------------------------------


def brute_force_squares(masks: list[np.ndarray], law, direction: np.ndarray, n: int) -> np.ndarray:
    """||dz||^2 / ||dz_0||^2 behind each layer of n random networks on the masks (n_out, n_in), from their definition."""
    rng, z, dz, squares = np.random.default_rng(1), None, np.tile(direction, (n, 1)), []
    z = np.tile(rng.standard_normal(len(direction)), (n, 1))
    for mask in masks:
        weights = law.sample((n, *mask.shape), seed=rng).numpy() * mask / math.sqrt(mask.shape[1])
        active = np.einsum("nji,ni->nj", weights, z) + 0.01 * rng.standard_normal((n, mask.shape[0])) > 0
        z = np.einsum("nji,ni->nj", weights, z) * active
        dz = np.einsum("nji,ni->nj", weights, dz) * active
        squares.append((dz**2).sum(axis=1))
    return np.array(squares) / (direction**2).sum()


def random_wires(seed: int = 0) -> Topology:
    rng = np.random.default_rng(seed)
    matrices = [rng.random(shape) < 0.4 for shape in ((6, 9), (9, 5), (5, 7))]
    for matrix in matrices:
        matrix[:, 0] = True
    return Topology([Layer.from_biadjacency(matrix) for matrix in matrices])


WIRES = {
    "random": random_wires(),
    "radix": mixed_radix((3, 4)),
    "sao narrowing": Topology([biregular(12, 8, 3), biregular(8, 4, 4)]),
    "sao shift": Topology([biregular(6, 9, 3, placement="shift")]),
    "x-net": Topology([random_expander(10, 8, 3, regular="in", seed=1), random_expander(8, 10, 2, seed=2)]),
}


@pytest.mark.parametrize("wires", WIRES.values(), ids=WIRES)
def test_rms_through_wires_is_the_brute_force_mean_square(wires):
    direction = np.random.default_rng(3).standard_normal(wires.sizes[0])
    masks = [layer.biadjacency().numpy().T for layer in wires]
    squares = brute_force_squares(masks, Uniform(2.0), direction, 20_000)
    found = growth_rms_through(wires, Uniform(2.0), direction)
    assert found[0] == 1 and found.dtype == torch.float64
    errors = np.abs(squares.mean(axis=1) - found[1:].numpy() ** 2)
    assert (errors < 4.5 * squares.std(axis=1) / math.sqrt(20_000)).all()


@pytest.mark.parametrize("wires", [mixed_radix((3, 4)), Topology([biregular(12, 8, 3), biregular(8, 4, 4)])])
def test_rms_through_regular_wires_is_the_root_of_half_the_variance_times_the_out_degree(wires):
    direction = np.random.default_rng(3).standard_normal(wires.sizes[0])
    found = growth_rms_through(wires, Gaussian(1.5), direction)
    for layer, factor in zip(wires, found[1:] / found[:-1], strict=True):
        degrees = layer.biadjacency().numpy().sum(axis=1)  # out-degrees; with m != n not the fan-in
        assert len(set(degrees)) == 1
        assert float(factor) == pytest.approx(math.sqrt(1.5**2 / layer.shape[0] * degrees[0] / 2))


def test_rms_through_very_many_layers_neither_overflows_nor_vanishes():
    deep = Topology(mixed_radix((2, 2)).layers * 150)
    for sigma in (0.02, 200.0):
        found = growth_rms_through(deep, Gaussian(sigma), np.ones(4))
        assert torch.log(found)[40].item() == pytest.approx(40 * math.log(sigma * math.sqrt(2 / 4 / 2)))
        assert not found.isnan().any()


def test_a_direction_that_no_wire_carries_on_has_rms_0():
    wires = Topology([Layer.from_biadjacency(np.array([[1, 1], [0, 0]]), allow_dead_inputs=True)])
    assert growth_rms_through(wires, Gaussian(1.0), [0, 1]).tolist() == [1, 0]


# --- lemmas ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "value"), [(1, 0.3), (2, 0.35738), (10, 0.49410), (100, 0.54287), (784, 0.54711)])
def test_the_subvector_norm_has_the_labelled_values(k, value):
    assert subvector_norm(k, 0.3) == pytest.approx(value, abs=5e-6)  # T10, T11


def test_the_subvector_norm_in_high_precision():
    with mpmath.workdps(30):
        for k, alpha in ((3, 0.7), (50, 0.01), (784, 0.3)):
            exact = mpmath.nsum(
                lambda m: mpmath.binomial(k, m) * mpmath.mpf(alpha) ** m * (1 - mpmath.mpf(alpha)) ** (k - m)
                * mpmath.gamma((m + 1) / 2) * mpmath.gamma(mpmath.mpf(k) / 2)
                / mpmath.gamma(m / 2) / mpmath.gamma(mpmath.mpf(k + 1) / 2),
                [1, k],
            )  # fmt: skip
            assert subvector_norm(k, alpha) == pytest.approx(float(exact), rel=1e-10)


def test_the_subvector_norm_by_drawing():
    rng, n, k, alpha = np.random.default_rng(0), 40_000, 6, 0.4
    u = rng.standard_normal((n, k))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    norms = np.linalg.norm(u * (rng.random((n, k)) < alpha), axis=1)
    assert abs(norms.mean() - subvector_norm(k, alpha)) < 4.5 * norms.std() / math.sqrt(n)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 2000), st.floats(0.001, 1))
def test_lemma_7_bounds_the_subvector_norm(k, alpha):
    assert alpha * (1 - 1e-9) <= subvector_norm(k, alpha) <= math.sqrt(alpha) * (1 + 1e-9)


def test_the_subvector_norm_tends_to_the_root_of_the_density():
    assert subvector_norm(10**6, 0.3) == pytest.approx(math.sqrt(0.3), abs=1e-6)
    assert subvector_norm(17, 1.0) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=7).filter(any), st.floats(0.05, 1))
def test_lemma_7_holds_for_every_vector_by_enumeration(entries, alpha):
    u, kept = np.array(entries), (np.arange(2 ** len(entries))[:, None] >> np.arange(len(entries))) % 2
    chances = np.prod(np.where(kept, alpha, 1 - alpha), axis=1)
    mean = (chances * np.linalg.norm(kept * u, axis=1)).sum()
    norm = np.linalg.norm(u)
    assert alpha * norm * (1 - 1e-9) <= mean <= math.sqrt(alpha) * norm * (1 + 1e-9)


def test_p0_solves_its_equation():
    with mpmath.workdps(30):
        p0 = mpmath.findroot(lambda p: mpmath.gamma((p + 1) / 2) - mpmath.sqrt(mpmath.pi) / 2, 1.85)
    assert khintchine_p0() == pytest.approx(float(p0), abs=1e-9) == pytest.approx(1.847416, abs=1e-6)


def test_the_constant_used_is_one_over_root_2():
    assert khintchine_lower(1) == pytest.approx(1 / math.sqrt(2)) and khintchine_upper(1) == 1


def test_the_constants_are_continuous():
    p0 = khintchine_p0()
    assert khintchine_lower(p0 - 1e-9) == pytest.approx(khintchine_lower(p0 + 1e-9), abs=1e-8)
    assert khintchine_lower(2 - 1e-9) == pytest.approx(khintchine_lower(2), abs=1e-8) == 1
    assert khintchine_upper(2 + 1e-9) == pytest.approx(khintchine_upper(2), abs=1e-8)


@pytest.mark.parametrize("p", [1.9, 1.99, 2.5, 3.0, 7.3, 250.0])
def test_the_constants_are_moments_of_a_normal_number(p):
    moment = float(mpmath.quad(lambda x: 2 * abs(x) ** p * mpmath.npdf(x), [0, 1, 5, 20, 60]))
    assert (khintchine_lower if p < 2 else khintchine_upper)(p) == pytest.approx(moment, rel=1e-8)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=8).filter(lambda a: max(map(abs, a)) > 1e-3), st.floats(0.1, 6))
def test_khintchines_inequality_by_enumeration_of_signs(entries, p):
    a = np.array(entries)
    signs = 1 - 2 * ((np.arange(2 ** len(a))[:, None] >> np.arange(len(a))) % 2)
    moment, scale = (np.abs(signs @ a) ** p).mean(), np.linalg.norm(a) ** p
    assert khintchine_lower(p) * scale * (1 - 1e-9) <= moment <= khintchine_upper(p) * scale * (1 + 1e-9)


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [0, -0.1, 1.2, math.nan, "1", None, True])
def test_densities_lie_in_0_to_1(density):
    for function in (
        lambda: growth_lower_bound(Gaussian(1.0), density),
        lambda: growth_rms(Gaussian(1.0), density),
        lambda: growth_delta(Gaussian(1.0), density, 5),
        lambda: weight_scale(density),
        lambda: subvector_norm(5, density),
    ):
        with pytest.raises(NbkitError, match=r"density must be a finite number in \(0, 1\]"):
            function()


@pytest.mark.parametrize("law", [None, 2.0, "gaussian"])
def test_laws_are_laws(law):
    for function in (
        lambda: growth_lower_bound(law),
        lambda: growth_rms(law),
        lambda: growth_delta(law, 0.5, 5),
        lambda: growth_rms_through(WIRES["radix"], law, np.ones(12)),
    ):
        with pytest.raises(NbkitError, match="law must be a law"):
            function()


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5), (0, 3), 3, (2.5, 1)])
def test_a_shape_is_two_sizes(shape):
    for function in (growth_lower_bound, growth_rms):
        with pytest.raises(NbkitError, match="shape"):
            function(Gaussian(1.0), shape=shape)


@pytest.mark.parametrize("width", [0, -1, 2.0, True])
def test_widths_are_whole(width):
    with pytest.raises(NbkitError, match="growth_delta: width must be"):
        growth_delta(Gaussian(1.0), 0.5, width)
    with pytest.raises(NbkitError, match="subvector_norm: dimension must be"):
        subvector_norm(width, 0.5)


@pytest.mark.parametrize("fourth", [0, 1.5, math.nan])
def test_the_fourth_powers_sum_to_at_most_1(fourth):
    with pytest.raises(NbkitError, match="fourth must be"):
        growth_delta(Gaussian(1.0), 0.5, 5, fourth=fourth)


@pytest.mark.parametrize("growth", [0, -1, math.nan])
def test_a_growth_to_reach_is_above_0(growth):
    with pytest.raises(NbkitError, match="growth must be"):
        weight_scale(0.5, growth=growth)


@pytest.mark.parametrize("p", [0, -1, math.nan, "2"])
def test_powers_are_above_0(p):
    for function in (khintchine_lower, khintchine_upper):
        with pytest.raises(NbkitError, match="p must be"):
            function(p)
    with pytest.raises(NbkitError, match="p must be"):
        khintchine_upper(301)


@pytest.mark.parametrize("direction", [np.zeros(12), np.ones(11), np.ones((12, 1)), [math.nan] * 12, "abc"])
def test_a_direction_is_a_vector_of_the_input(direction):
    with pytest.raises(NbkitError, match="direction must be"):
        growth_rms_through(WIRES["radix"], Gaussian(1.0), direction)


def test_wires_are_a_topology():
    with pytest.raises(NbkitError, match="topology must be a Topology"):
        growth_rms_through(WIRES["radix"][0], Gaussian(1.0), np.ones(12))


def test_what_a_float_cannot_hold_and_what_is_not_real_is_refused():
    with pytest.raises(NbkitError, match="growth_delta: width must be an integer between 1"):
        growth_delta(Gaussian(), 0.5, 10**400)
    with pytest.raises(NbkitError, match="growth_rms_through: direction must be real"):
        growth_rms_through(radix_net([(2, 2)]), Gaussian(), [1j, 1, 1, 1])
