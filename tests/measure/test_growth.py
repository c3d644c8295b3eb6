"""Growth through random networks: SCIENCE 2.3 by number, an independent loop in numpy, agreement of the methods, bounds."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.measure import (
    Trajectory,
    arc,
    growth,
    growth_delta,
    growth_lower_bound,
    growth_rms,
    growth_rms_through,
    growth_through,
    line,
    random_line,
    stream_growth,
    weight_scale,
)
from nbkit.nets import FeedForward
from nbkit.topology import Topology, biregular, magnitude_pruned, mixed_radix, random_expander, random_pruned
from nbkit.weights import Discrete, Gaussian, RandomNets, Uniform, noise

MATCHED = {"Gaussian": Gaussian(2.0), "uniform": Uniform(2 * math.sqrt(3)), "discrete": Discrete(3)}
FINE = 4.5  # standard errors


def ends(dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((2, dim))


def close(estimate, value: float, *, also: float = 0.0) -> bool:
    return bool(((estimate.mean - value).abs() < FINE * (estimate.sem**2 + also**2) ** 0.5).all())


# --- the numbers of SCIENCE 2.3 and 2.4 ------------------------------------------------------------------------------

TABLE = {"Gaussian": (0.449, 0.995, 1.413), "uniform": (0.448, 0.997, 1.402), "discrete": (0.443, 0.993, 1.404)}


@pytest.mark.parametrize("name", TABLE)
def test_the_table_at_width_200(name):
    law = MATCHED[name]
    for density, printed in zip((0.1, 0.5, 1.0), TABLE[name], strict=True):
        result = growth(law, density, 200, 6, n_nets=12)
        assert close(result.growth_estimate(), printed, also=0.006)
        assert result.controlled_mean == pytest.approx(
            growth_delta(law, density, 200), abs=FINE * result.controlled_sem
        )
        assert growth_lower_bound(law, density) < result.controlled_mean < growth_rms(law, density)


@pytest.mark.parametrize(
    ("width", "printed", "n_nets"), [(4, 0.762, 400), (10, 0.921, 200), (30, 0.988, 100), (100, 0.994, 30)]
)
def test_the_table_of_widths(width, printed, n_nets):
    # printed from runs whose errors are not; a layer alone, where no network has died before
    result = growth(Gaussian(2.0), 0.5, width, 1, n_nets=n_nets, n_points=2)
    assert close(result.growth_estimate(), printed, also=0.006)


@pytest.mark.parametrize(
    ("width", "density", "within"), [(10, 0.5, 0.01), (40, 0.125, 0.01), (100, 0.05, 0.001), (10, 0.1, 0.07)]
)
def test_the_delta_method_is_as_good_as_it_says(width, density, within):
    result = growth(Gaussian(2.0), density, width, 1, n_nets=100, n_points=4)
    expected = growth_delta(Gaussian(2.0), density, width)
    assert abs(result.controlled_mean - expected) < within * expected + FINE * result.controlled_sem


@pytest.mark.parametrize(("sigma", "printed"), [(1, 0.497), (4, 2.03), (12, 6.14), (20, 9.93)])
def test_growth_is_linear_in_the_scale(sigma, printed):
    result, double = (growth(Gaussian(scale), 0.5, 100, 5, n_nets=10) for scale in (sigma, 2 * sigma))
    assert close(result.growth_estimate(), printed, also=0.02 * sigma / 2)
    # the same networks, so twice the scale doubles every factor but for the biases
    assert double.controlled_mean == pytest.approx(2 * result.controlled_mean, rel=2e-3)
    unbiased = [growth(Gaussian(scale), 0.5, 20, 5, n_nets=3, bias=None).factor for scale in (sigma, 2 * sigma)]
    assert unbiased[1].numpy() == pytest.approx(2 * unbiased[0].numpy(), rel=1e-5)


def test_the_mean_square_of_four_layers_of_width_8():
    exact = math.exp(4 * math.log(growth_rms(Gaussian(2.0), 0.3375) ** 2))
    assert exact == pytest.approx(0.2076, abs=1e-4)  # alpha sigma^2 / 2 = .675
    result = growth(
        Gaussian(2.0), 0.3375, 8, 4, n_nets=300, n_points=2, curve=line(ends(8)[0], ends(8)[0] + 1e-3 * ends(8)[1])
    )
    squares = torch.exp(2 * (result.log_length[:, 4] - result.log_length[:, 0]))
    assert abs(squares.mean() - exact) < FINE * squares.std() / math.sqrt(300)


@pytest.mark.parametrize(("width", "printed", "n_nets"), [(64, 0.779, 60), (256, 0.922, 8)])
def test_the_mean_length_shrinks_under_he_scaling(width, printed, n_nets):
    result = growth(Gaussian(weight_scale(0.5)), 0.5, width, 20, n_nets=n_nets)
    estimate = result.length_estimate()
    ratio, error = estimate.mean[20] / estimate.mean[0], estimate.sem[20] / estimate.mean[0]
    assert abs(ratio - printed) < FINE * error + 0.02
    assert ratio < 1 and result.log_rms_length[0, 20] == pytest.approx(float(result.log_rms_length[0, 0]), abs=1e-3)


def test_zero_bias_at_width_1_attains_the_bound():
    result = growth(Gaussian(2.0), 0.2, (1, 1), n_nets=1000, bias=None, n_points=2, curve=line([0.2], [1.0]))
    assert growth_lower_bound(Gaussian(2.0), 0.2) == pytest.approx(0.1596, abs=5e-5)
    assert abs(result.mean - 0.1596) < FINE * result.sem and close(result.growth_estimate(), 0.1596)


def test_a_discrete_law_can_lose_the_bound_at_a_special_point():
    there = Trajectory(
        lambda t: torch.ones(len(t), 2, dtype=torch.float64),
        lambda t: torch.tensor([[1.0, -1.0]], dtype=torch.float64).expand(len(t), 2),
    )
    nets = RandomNets((2, 2), Discrete((-1, 1)), bias=None)
    assert all(growth_through(nets.network(net), there, n_points=2).factor == 0 for net in range(30))
    # on a null set of t only: the line through the same point grows as it should
    result = growth(Discrete((-1, 1)), 1.0, (2, 2), n_nets=300, bias=None, curve=line([0.5, 1.5], [1.5, 0.5]))
    squares = torch.exp(2 * (result.log_length[:, 1] - result.log_length[:, 0]))
    assert result.mean > growth_lower_bound(Discrete((-1, 1))) and squares.mean() < 0.5 + 0.05


def test_a_ray_without_biases_grows_as_any_line():
    x = ends(60)[0]
    ray = growth(Gaussian(2.0), 0.5, 60, 4, n_nets=60, bias=None, curve=line(x, 2 * x))
    other = growth(Gaussian(2.0), 0.5, 60, 4, n_nets=60, bias=None, seed=1)
    estimate = ray.growth_estimate()
    assert close(estimate, growth_delta(Gaussian(2.0), 0.5, 60), also=0.002)
    assert close(estimate, other.controlled_mean, also=other.controlled_sem)


# --- independent oracles ---------------------------------------------------------------------------------------------


def numpy_factors(widths, laws, densities, biases, x0, x1, n_nets: int, seed: int) -> np.ndarray:
    """||dz'|| / ||dz|| at a uniform t in each layer of n_nets networks of their own, NaN where dead: (n_nets, depth)."""
    rng, factors = np.random.default_rng(seed), []
    z = x0 + rng.random((n_nets, 1)) * (x1 - x0)
    dz = np.tile(x1 - x0, (n_nets, 1))
    for layer, (n_in, n_out) in enumerate(zip(widths, widths[1:], strict=False)):
        shape = (n_nets, n_out, n_in)
        weights = laws[layer](rng, shape) * (rng.random(shape) < densities[layer]) / math.sqrt(n_in)
        h = np.einsum("nji,ni->nj", weights, z) + biases[layer](rng, (n_nets, n_out))
        moved = np.where(h > 0, np.einsum("nji,ni->nj", weights, dz), 0)
        before = np.linalg.norm(dz, axis=1)
        factors.append(np.linalg.norm(moved, axis=1) / np.where(before > 0, before, np.nan))
        z, dz = np.maximum(h, 0), moved
    return np.stack(factors, axis=1)


def normal(std: float):
    return lambda rng, shape: std * rng.standard_normal(shape)


def uniform(limit: float):
    return lambda rng, shape: rng.uniform(-limit, limit, shape)


def choice(*values: float):
    return lambda rng, shape: rng.choice(values, shape)


@pytest.mark.parametrize("seed", [0, 1])
def test_widths_laws_and_densities_that_vary_by_layer_against_a_loop_in_numpy(seed):
    widths, densities = (7, 12, 5, 9), (0.4, 1.0, 0.8)
    x0, x1 = ends(7)
    oracle = numpy_factors(
        widths, (normal(1.5), uniform(2.0), choice(-1, 0, 1)), densities, (normal(0.01), uniform(0.01), choice(-0.01, 0.01)),
        x0, x1, 10_000, seed,
    )  # fmt: skip
    laws = (Gaussian(1.5), Uniform(2.0), Discrete(1))
    result = growth(laws, densities, widths, n_nets=300, curve=line(x0, x1), seed=seed)
    estimate, count = result.factor_estimate(), (~np.isnan(oracle)).sum(axis=0)
    errors = np.sqrt(estimate.sem.numpy() ** 2 + np.nanvar(oracle, axis=0) / count)
    assert (np.abs(estimate.mean.numpy() - np.nanmean(oracle, axis=0)) < FINE * errors).all()
    dead = result.n_skipped.double().mean(dim=0) / 8
    assert dead.numpy() == pytest.approx(1 - count / 10_000, abs=0.02)


def test_large_biases_against_a_loop_in_numpy():
    x0, x1 = ends(6)
    oracle = numpy_factors((6,) * 4, [uniform(2.0)] * 3, [0.6] * 3, [normal(1.0)] * 3, x0, x1, 10_000, 3)
    estimate = growth(Uniform(2.0), 0.6, 6, 3, n_nets=300, curve=line(x0, x1), bias=Gaussian(1.0)).factor_estimate()
    errors = np.sqrt(estimate.sem.numpy() ** 2 + np.nanvar(oracle, axis=0) / 9_500)
    assert (np.abs(estimate.mean.numpy() - np.nanmean(oracle, axis=0)) < FINE * errors).all()


def test_depth_1000_is_that_of_a_rescaled_loop_in_double_precision():
    for sigma in (0.4, 3.0):
        x = ends(16)[0]
        result = growth(Gaussian(sigma), 1.0, 16, 1000, n_nets=1, bias=None, curve=line(x, 2 * x))
        nets = RandomNets((16,) * 1001, Gaussian(sigma), bias=None)
        z, log = x, [math.log(np.linalg.norm(x))]
        for layer in range(1000):
            z = np.maximum(0, nets.weights(0, layer).double().numpy() @ (z / np.linalg.norm(z)))
            log.append(log[-1] + math.log(np.linalg.norm(z)))
        assert result.log_length[0].numpy() == pytest.approx(np.array(log), rel=1e-4, abs=1e-3)
        assert abs(result.log_length[0, -1]) > 200 and math.isfinite(result.mean)
    assert math.isfinite(result.log_mean_length[-1]) and torch.isfinite(result.growth_estimate().mean)


def test_depth_1000_with_biases_is_finite():
    for sigma in (0.4, 3.0):
        result = growth(Gaussian(sigma), 0.9, 16, 1000, n_nets=1)
        assert torch.isfinite(result.log_length).all() or result.n_skipped.sum() > 0
        assert not result.log_length.isnan().any() and math.isfinite(result.mean)


@pytest.mark.parametrize("widths", [(5,) * 6, (30, 20, 40)])
def test_tangents_chords_and_exact_agree_on_every_network(widths):
    curve = line(*ends(widths[0]))
    results = {
        method: growth(Uniform(3.0), 0.6, widths, n_nets=4, method=method, n_points=n_points, curve=curve)
        for method, n_points in (("tangent", 3000), ("chords", 10_001), ("exact", None))
    }
    exact = results.pop("exact")
    for result in results.values():
        assert result.length.numpy() == pytest.approx(exact.length.numpy(), rel=5e-3, abs=1e-3)
        assert result.factor.nan_to_num(nan=-1).numpy() == pytest.approx(
            exact.factor.nan_to_num(nan=-1).numpy(), abs=5e-3
        )


def test_an_arc_has_tangents_and_chords_that_agree():
    curve = arc(*ends(12), n_planes=5)
    tangent, chords = (growth(Gaussian(2.0), 0.7, 12, 3, n_nets=3, curve=curve, method=method, n_points=5001)
                       for method in ("tangent", "chords"))  # fmt: skip
    assert tangent.length.numpy() == pytest.approx(chords.length.numpy(), rel=2e-3)
    assert tangent.length[:, 0].numpy() == pytest.approx(curve.length)


def test_dead_pieces_are_counted_and_left_out():
    curve = line(*ends(4))
    result = growth(Gaussian(2.0), 0.3, 4, 4, n_nets=12, n_points=400, curve=curve)
    t = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    for net in range(12):
        points, velocity = curve(t), curve.derivative(t)
        for layer in range(4):
            weights = RandomNets((4,) * 5, Gaussian(2.0), 0.3).weights(net, layer).double()
            bias = RandomNets((4,) * 5, Gaussian(2.0), 0.3).bias(net, layer).double()
            alive = velocity.norm(dim=1) > 0
            height = points @ weights.T + bias
            moved = (velocity @ weights.T) * (height > 0)
            assert float(result.n_skipped[net, layer]) / 400 == pytest.approx(
                1 - alive.double().mean().item(), abs=0.01
            )
            if alive.any():
                expected = (moved[alive].norm(dim=1) / velocity[alive].norm(dim=1)).mean().item()
                assert float(result.factor[net, layer]) == pytest.approx(expected, abs=0.03)
            else:
                assert result.factor[net, layer].isnan()
            points, velocity = height.clamp(min=0), moved
    assert 0 < int((result.n_skipped == 400).sum()) < 48


# --- ensembles and streams -------------------------------------------------------------------------------------------


def test_a_network_is_the_same_whatever_its_company():
    few, many = (growth(Gaussian(2.0), 0.5, 30, 4, n_nets=n) for n in (3, 70))
    assert few.log_length.numpy() == pytest.approx(many.log_length[:3].numpy(), abs=1e-5)
    assert few.factor.numpy() == pytest.approx(many.factor[:3].numpy(), rel=1e-4)


@pytest.mark.parametrize("method", ["tangent", "chords", "exact"])
def test_every_result_of_a_stream_is_that_of_so_many_networks_and_the_last_is_growths(method):
    n_points = None if method == "exact" else 16
    options = {"curve": random_line(370), "method": method, "n_points": n_points}
    results = list(stream_growth(Gaussian(2.0), 0.5, 370, 2, n_nets=4, **options))
    assert [result.n_nets for result in results] == [2, 3, 4]
    for result in results:
        alone = growth(Gaussian(2.0), 0.5, 370, 2, n_nets=result.n_nets, **options)
        assert result.log_length.numpy() == pytest.approx(alone.log_length.numpy(), abs=1e-6)
        assert result.factor.numpy() == pytest.approx(alone.factor.numpy(), rel=1e-5)
        assert result.n_pieces == alone.n_pieces


def test_a_stream_of_one_network_yields_once():
    (only,) = stream_growth(Gaussian(2.0), 0.5, 20, 2, n_nets=1)
    assert only.n_nets == 1 and math.isnan(only.sem) and math.isfinite(only.controlled_mean)


def test_a_stream_leaves_gradients_and_threads_as_they_were():
    torch.set_num_threads(2)
    for _ in stream_growth(Gaussian(2.0), 0.5, 20, 2, n_nets=60):
        assert torch.is_grad_enabled() and torch.get_num_threads() == 2


def test_growth_moves_smoothly_with_scale_and_density():
    means = [growth(Gaussian(2.0), density, 60, 3, n_nets=4).mean for density in (0.5, 0.501, 0.502)]
    assert np.abs(np.diff(means)).max() < 0.02
    scales = [growth(Gaussian(scale), 0.5, 60, 3, n_nets=4).mean for scale in (2.0, 2.002)]
    assert scales[1] == pytest.approx(1.001 * scales[0], rel=1e-3)


def test_results_do_not_depend_on_the_room_for_noise(monkeypatch):
    roomy = growth(Gaussian(2.0), 0.5, 40, 3, n_nets=5)
    monkeypatch.setattr(noise, "_KEPT", {})
    monkeypatch.setattr(noise, "memory_budget", lambda device: 0)
    assert torch.equal(growth(Gaussian(2.0), 0.5, 40, 3, n_nets=5).log_length, roomy.log_length)


def test_small_and_large_curves_are_measured_alike():
    x0, x1 = ends(8)
    plain = growth(Gaussian(2.0), 0.8, 8, 3, n_nets=5, bias=None, curve=line(x0, x1))
    for scale in (1e-30, 1e30):
        scaled = growth(Gaussian(2.0), 0.8, 8, 3, n_nets=5, bias=None, curve=line(scale * x0, scale * x1))
        assert (scaled.log_length - math.log(scale)).numpy() == pytest.approx(plain.log_length.numpy(), abs=1e-4)
    tiny = growth(Gaussian(2.0), 0.8, 8, 3, n_nets=5, curve=line(1e-25 * x0, 1e-25 * x1))  # biases outweigh the curve
    oracle = [
        growth_through(RandomNets((8,) * 4, Gaussian(2.0), 0.8).network(i), line(1e-25 * x0, 1e-25 * x1))
        for i in range(5)
    ]
    assert tiny.log_length.numpy() == pytest.approx(torch.cat([one.log_length for one in oracle]).numpy(), abs=1e-4)


def test_a_curve_that_rests_at_the_origin_is_dead_there():
    curve = lambda t: (t[:, None] - 0.5).clamp(min=0) * torch.ones(6, dtype=torch.float64)  # noqa: E731
    result = growth(Gaussian(2.0), 0.8, 6, 2, n_nets=4, curve=curve)
    assert (result.n_skipped[:, 0] == 4).all() and torch.isfinite(result.factor[:, 0]).all()
    assert not result.log_length.isnan().any()


# --- fixed wires -----------------------------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
WIRES = {
    "radix": mixed_radix((2, 3, 2)),
    "sao": Topology([biregular(12, 8, 3), biregular(8, 4, 4)]),
    "sao shift": Topology([biregular(6, 9, 3, placement="shift"), biregular(9, 6, 3, placement="shift")]),
    "x-net": Topology([random_expander(10, 7, 3, regular="in", seed=1), random_expander(7, 9, 2, seed=2)]),
    "magnitude": Topology(magnitude_pruned([RNG.standard_normal((8, 6)), RNG.standard_normal((7, 8))], 0.5)),
    "random": Topology(random_pruned([np.ones((8, 6)), np.ones((7, 8))], 0.5, seed=3)),
}


@pytest.mark.parametrize("wires", WIRES.values(), ids=WIRES)
def test_the_mean_square_through_wires_is_exact(wires):
    x, u = ends(wires.sizes[0], 1)
    result = growth(Uniform(2.5), n_nets=300, n_points=2, topology=wires, curve=line(x, x + 1e-4 * u))
    exact = growth_rms_through(wires, Uniform(2.5), u)
    squares = torch.exp(2 * (result.log_length - result.log_length[:, :1]))
    assert ((squares.mean(dim=0) - exact**2).abs() <= FINE * squares.std(dim=0) / math.sqrt(300) + 1e-6).all()
    assert torch.exp(result.log_rms_length - result.log_rms_length[:, :1]).numpy() == pytest.approx(
        np.tile(exact.numpy(), (300, 1)), rel=1e-6
    )
    control = result.factor_control
    assert (control.nan_to_num().mean(dim=0).abs() < FINE * control.nan_to_num().std(dim=0) / math.sqrt(300)).all()


def test_graph_and_mask_give_the_same_growth_where_the_mask_is_full():
    full = Topology([biregular(10, 10, 10)] * 3)
    wired, free = growth(Gaussian(2.0), n_nets=9, topology=full), growth(Gaussian(2.0), 1.0, 10, 3, n_nets=9)
    assert wired.log_length.numpy() == pytest.approx(free.log_length.numpy(), abs=1e-5)
    assert wired.controlled_mean == pytest.approx(free.controlled_mean, rel=1e-5)


# --- bounds ----------------------------------------------------------------------------------------------------------


@st.composite
def laws(draw):
    scale = draw(st.floats(0.2, 8))
    return draw(st.sampled_from([Gaussian(scale), Uniform(scale), Discrete(1, scale), Discrete((-3, -1, 1, 3), scale)]))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(laws(), st.floats(0.2, 1), st.integers(3, 30), st.integers(1, 4), st.integers(0, 10**6))
def test_the_bounds_hold_for_any_law_density_scale_width_and_depth(law, density, width, depth, seed):
    result = growth(law, density, width, depth, n_nets=60, seed=seed)
    lower, upper = growth_lower_bound(law, density), growth_rms(law, density)
    factors, lengths = result.factor_estimate(), result.length_estimate()
    many = (~result.factor.isnan()).sum(dim=0) >= 20  # alive, so that their spread says how well the mean is known
    assert ((factors.mean > lower - 6 * factors.sem) | ~many).all()
    assert ((factors.mean < upper + 6 * factors.sem) | ~many).all()
    powers, start = np.arange(depth + 1), float(lengths.mean[0])
    assert start == pytest.approx(random_line(width, seed=seed).length)
    mean, slack = lengths.mean.numpy(), 6 * lengths.sem.numpy() + 1e-6 * start
    assert (start * lower**powers - slack < mean).all() and (mean < start * upper**powers + slack).all()


def test_the_bounds_of_layers_that_differ_are_products():
    widths, laws, densities = (20, 40, 10, 30), (Gaussian(1.0), Uniform(4.0), Discrete(2)), (0.5, 0.9, 0.3)
    lengths = growth(laws, densities, widths, n_nets=100).length_estimate()
    for function, sign in ((growth_lower_bound, 1), (growth_rms, -1)):
        products = np.cumprod([function(a, d, shape=s) for a, d, s in zip(laws, densities, zip(widths, widths[1:]))])
        assert (sign * (lengths.mean[1:] / lengths.mean[0]).numpy() > sign * products).all()


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [0, -1, 1.2, math.nan, "half", [0.5, 0.5]])
def test_densities_lie_in_0_to_1(density):
    with pytest.raises(NbkitError, match="growth: .*density must"):
        growth(Gaussian(1.0), density, 5, 3)


@pytest.mark.parametrize(
    ("width", "depth", "rule"),
    [
        (None, None, "width and depth must be given"),
        (5, None, "width and depth must be given"),
        (None, 3, "width and depth must be given"),
        (0, 3, "width must be an integer"),
        (5.0, 3, "width must be an integer"),
        (np.array(0), 3, "width must be an integer"),
        ("5", 3, "width must be an integer"),
        (5, 0, "depth must be an integer"),
        (5, 2.5, "depth must be an integer"),
        ((5, 6, 7), 3, "width must have one entry more than depth, 3, got 3"),
        ((5, 6, 7), "2", "width must have one entry more than depth"),
        ((5,), None, "widths must have a length of at least 2"),
        ((5, 0), None, "entry 2 of widths"),
    ],
)
def test_widths_chain(width, depth, rule):
    with pytest.raises(NbkitError, match=f"growth: .*{rule}"):
        growth(Gaussian(1.0), 0.5, width, depth)


def test_widths_may_be_an_array_with_or_without_dimension():
    for width, depth in ((np.array([5, 5, 5]), None), (np.array(5), 2), (np.int64(5), 2), ([5, 5, 5], 2)):
        assert growth(Gaussian(1.0), 0.5, width, depth, n_nets=2).log_length.shape == (2, 3)


def test_a_curve_has_the_dimension_of_the_input():
    with pytest.raises(NbkitError, match="growth: curve must have the dimension of the input, 5, got 4"):
        growth(Gaussian(1.0), 0.5, 5, 3, curve=line(*ends(4)))


@pytest.mark.parametrize("curve", [3, "line", np.zeros((2, 5))])
def test_a_curve_is_a_function(curve):
    with pytest.raises(NbkitError, match="growth: curve must be a function"):
        growth(Gaussian(1.0), 0.5, 5, 3, curve=curve)


@pytest.mark.parametrize("method", ["tangent", "chords"])
@pytest.mark.parametrize("n_points", [1, 0, 2.0, "8"])
def test_points_are_at_least_two(method, n_points):
    with pytest.raises(NbkitError, match="growth: n_points must be an integer of at least 2"):
        growth(Gaussian(1.0), 0.5, 5, 3, method=method, n_points=n_points)


def test_exact_takes_no_points_and_no_curves_that_bend():
    with pytest.raises(NbkitError, match="growth: n_points must be left out"):
        growth(Gaussian(1.0), 0.5, 5, 3, method="exact", n_points=8)
    with pytest.raises(NbkitError, match="growth: .*the curve must be straight"):
        growth(Gaussian(1.0), 0.5, 5, 3, method="exact", curve=arc(*ends(5), n_planes=1))


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"method": "arc"}, "method must be one of"),
        ({"n_nets": 0}, "n_nets must be an integer"),
        ({"n_nets": 2.0}, "n_nets must be an integer"),
        ({"seed": -1}, "seed must be"),
        ({"bias": "none"}, "bias must be"),
        ({"topology": "radix"}, "topology must be a Topology"),
        ({"device": "banana"}, "name .or NBKIT_DEVICE. must be cpu, cuda or mps"),
        ({"topology": mixed_radix((2, 2))}, "widths must chain with topology"),
    ],
)
def test_options_are_checked(options, rule):
    with pytest.raises(NbkitError, match=rule):
        growth(Gaussian(1.0), 0.5, 5, 3, **options)


def test_a_law_is_a_law():
    with pytest.raises(NbkitError, match="growth: law must be a law"):
        growth(2.0, 0.5, 5, 3)


def test_points_beyond_memory_are_refused():
    with pytest.raises(NbkitError, match="growth: .*Lower n_points or the width"):
        growth(Gaussian(1.0), 0.5, 50, 3, n_points=10**12)


# --- CUDA ------------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
@pytest.mark.parametrize("name", MATCHED)
@pytest.mark.parametrize("wires", [None, "radix", "sao"])
def test_cuda_finds_what_the_cpu_finds(name, wires):
    setting = {"topology": WIRES[wires]} if wires else {"density": 0.5, "width": 300, "depth": 4}
    cpu, cuda = (growth(MATCHED[name], **setting, n_nets=20, device=device) for device in ("cpu", "cuda"))
    assert not cuda.log_length.is_cuda
    # a unit whose height is rounding alone may fall on either side of 0; it counts for little
    assert cuda.length.numpy() == pytest.approx(cpu.length.numpy(), rel=1e-3, abs=1e-6)
    assert cuda.mean == pytest.approx(cpu.mean, rel=1e-4) and cuda.controlled_mean == pytest.approx(
        cpu.controlled_mean, rel=1e-4
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
def test_networks_on_cuda_are_those_of_the_cpu():
    for law in MATCHED.values():
        nets = RandomNets((40, 50), law, 0.4)
        assert torch.allclose(nets.weights(3, 0, device="cuda").cpu(), nets.weights(3, 0), rtol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
def test_growth_on_cuda_needs_no_notebook_package():
    assert not imported_after("growth(Gaussian(2.0), .5, 20, 2, n_nets=2, device='cuda')")


def test_growth_needs_no_notebook_package():
    assert not imported_after("growth(Gaussian(2.0), .5, 20, 2, n_nets=2)")


def imported_after(line: str) -> set[str]:
    """Which packages of the notebooks a fresh Python has imported after this line."""
    code = (
        "import sys; from nbkit.measure import growth; from nbkit.weights import Gaussian; " + line + "; "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return {"plotly", "ipywidgets", "anywidget", "IPython", "jupyterlab", "traitlets", "matplotlib"} & set(found)


def test_a_random_line_has_a_length_in_every_dimension():
    assert all(random_line(dim, seed=seed).length > 0 for dim in (1, 2, 3) for seed in range(20))
    assert random_line(1).length == 2


@pytest.mark.parametrize("method", ["tangent", "chords"])
def test_a_batch_of_networks_is_measured_as_each_by_itself(method):
    nets, curve = FeedForward((20, 16, 16, 5), Gaussian(2.0), n_nets=3), random_line(20)
    together = growth_through(nets, curve, method=method, n_points=50)
    assert (together.n_nets, together.depth) == (3, 3)
    for i in range(3):
        alone = growth_through(nets.network(i), curve, method=method, n_points=50)
        torch.testing.assert_close(together.length[[i]], alone.length, rtol=1e-5, atol=0)
        torch.testing.assert_close(together.factor[[i]], alone.factor, rtol=1e-5, atol=0)


@pytest.mark.parametrize("method", ["tangent", "chords", "exact"])
def test_a_batch_with_a_weight_that_is_no_number_or_a_curve_of_another_dimension_is_refused(method):
    nets = FeedForward((20, 16, 5), n_nets=2)
    with pytest.raises(NbkitError, match=r"^(growth_through|FeedForward): .*19"):
        growth_through(nets, random_line(19), method=method)
    with torch.no_grad():
        nets.weights[0][1, 0, 0] = math.nan
    with pytest.raises(NbkitError, match=r"^growth_through: the network's outputs must be finite"):
        growth_through(nets, random_line(20), method=method)


def test_a_random_line_has_a_dimension_that_memory_holds():
    with pytest.raises(NbkitError, match="random_line: dim must be an integer between 1"):
        random_line(10**12)
