"""Theorems 3 and 4 of the radial paper as networks: F is the value of the first ball that holds x, else L(x)."""

import math
import re
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.device import one_thread
from nbkit.errors import NbkitError
from nbkit.nets import RadialNet, approximate_affine, approximate_bounded, capture, grid_error

NAN = math.nan
LINE = ([[2.0]], [1.0])


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    with one_thread():
        yield


def bell(x: torch.Tensor) -> torch.Tensor:
    return torch.exp(-(x**2))


def first_ball(centers, radii, x) -> np.ndarray:
    found = np.full(len(x), -1)
    for row, point in enumerate(x):
        for i in range(len(centers)):
            if math.dist(point, centers[i]) < radii[i]:
                found[row] = i
                break
    return found


def first_value(centers, radii, values, matrix, offset, x) -> np.ndarray:
    found = first_ball(centers, radii, x)
    return np.array([values[i] if i >= 0 else matrix @ point + offset for i, point in zip(found, x, strict=True)])


def task(seed: int, *, n: int, m: int, n_balls: int, spread: float = 1.0):
    """Centres (some twice), radii, values (some twice), A, b and points away from every sphere."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform(-spread, spread, (n_balls, n))
    values = rng.normal(size=(n_balls, m)) * 10 ** rng.uniform(-2, 2)
    centers[n_balls // 2 :: 3] = centers[: len(centers[n_balls // 2 :: 3])]
    values[n_balls // 3 :: 2] = values[: len(values[n_balls // 3 :: 2])]
    radii = rng.uniform(0.05, 0.99, n_balls)
    near = np.repeat(centers, 9, axis=0) + rng.normal(size=(9 * n_balls, n)) * 0.3
    points = np.concatenate([centers, near, rng.uniform(-3 * spread, 3 * spread, (60, n))])
    gaps = np.abs(np.linalg.norm(points[:, None] - centers, axis=2) - radii)
    points = points[(gaps > 1e-9).all(axis=1)]
    return centers, radii, values, rng.normal(size=(m, n)), rng.normal(size=m), points


TASKS = {"n": st.integers(1, 3), "m": st.integers(1, 3), "n_balls": st.integers(1, 12), "seed": st.integers(0, 10**6)}


def run(net: RadialNet, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return net(torch.from_numpy(x)).numpy()


def within(values: np.ndarray) -> dict:
    return {"rtol": 0, "atol": 1e-9 * max(1, np.abs(values).max())}


@settings(max_examples=40, deadline=None)
@given(**TASKS)
def test_theorem_3_gives_the_value_of_the_first_ball_else_the_affine_map(n, m, n_balls, seed):
    centers, radii, values, matrix, offset, x = task(seed, n=n, m=m, n_balls=n_balls)
    net = approximate_affine(centers, radii, values, linear=(matrix, offset))
    assert net.widths == (n, *range(n + 1, n + n_balls + 1), m) and net.linears[0].weight.dtype == torch.float64
    assert {activation.name for activation in net.activations[:-1]} == {"step_relu"}
    wanted = first_value(centers, radii, values, matrix, offset, x)
    np.testing.assert_allclose(run(net, x), wanted, **within(wanted))


@settings(max_examples=40, deadline=None)
@given(**TASKS, share=st.none() | st.floats(0.01, 0.999))
def test_theorem_4_gives_the_same_function_in_constant_width(n, m, n_balls, seed, share):
    centers, radii, values, matrix, offset, x = task(seed, n=n, m=m, n_balls=n_balls)
    scale = None if share is None else share * least_gap(values)
    net = approximate_bounded(centers, radii, values, linear=(matrix, offset), scale=scale)
    assert net.widths == (n, *[n + m + 1] * n_balls, m)
    wanted = first_value(centers, radii, values, matrix, offset, x)
    np.testing.assert_allclose(run(net, x), wanted, **within(wanted))


@settings(max_examples=40, deadline=None)
@given(**TASKS)
def test_the_compact_variant_gives_the_values_inside_the_balls(n, m, n_balls, seed):
    centers, radii, values, matrix, offset, x = task(seed, n=n, m=m, n_balls=n_balls)
    net = approximate_bounded(centers, radii, values, compact=True)
    assert net.widths == (n, *[max(n, m) + 1] * n_balls, m)
    x = x[first_ball(centers, radii, x) >= 0]
    wanted = first_value(centers, radii, values, matrix, offset, x)
    np.testing.assert_allclose(run(net, x), wanted, **within(wanted))


def least_gap(values: np.ndarray) -> float:
    distances = [math.dist(a, b) for a in values for b in values if math.dist(a, b) > 0]
    return min(distances, default=1.0)


@settings(max_examples=20, deadline=None)
@given(**TASKS)
def test_behind_layer_i_a_point_is_where_it_was_or_on_the_ball_that_took_it_first(n, m, n_balls, seed):
    """S_i of layer i's output is x, or c_j + e_j for the first j <= i that holds x; later balls leave that alone."""
    centers, radii, values, *_, x = task(seed, n=n, m=m, n_balls=n_balls)
    net = approximate_affine(centers, radii, values)
    z = torch.from_numpy(x)
    for i in range(1, n_balls + 1):
        with torch.no_grad():
            z = net[2 * i - 2 : 2 * i](z)
        back = z.numpy().copy()
        back[:, -1] -= (1 + 1 / math.sqrt(1 - radii[i - 1] ** 2)) * back[:, -1]
        back += np.concatenate([centers[i - 1], np.eye(i)[i - 1]])
        wanted = np.pad(x, ((0, 0), (0, i)))
        taken = first_ball(centers[:i], radii[:i], x)
        for row in np.flatnonzero(taken >= 0):
            wanted[row] = np.concatenate([centers[taken[row]], np.eye(i)[taken[row]]])
        np.testing.assert_allclose(back, wanted, rtol=0, atol=1e-11)


def from_maps(centers, radii, images, readout, offset) -> RadialNet:
    """T_i as a matrix (the identity but for its last column) and S_i as its inverse, multiplied out by numpy."""
    d, n = np.shape(images)[1], len(centers[0])
    centers = np.pad(centers, ((0, 0), (0, d - n)))
    weights, biases = [], []
    inverse, back = np.eye(d + 1, n), np.zeros(d + 1)
    for center, radius, image in zip(centers, radii, images, strict=True):
        height = math.sqrt(1 - radius**2)
        forth, shift = np.eye(d + 1), np.append(-center, height)
        forth[:, -1] = np.append(center - image, -height)
        weights, biases = [*weights, forth @ inverse], [*biases, forth @ back + shift]
        inverse = np.linalg.inv(forth)
        back = -inverse @ shift
    readout = np.pad(readout, ((0, 0), (0, 1)))
    return RadialNet.of([*weights, readout @ inverse], [*biases, readout @ back + offset], "step_relu")


@pytest.mark.parametrize("n, m", [(1, 1), (2, 1), (1, 3)])
def test_the_weights_are_those_of_the_maps_t_and_their_inverses(n, m):
    centers, radii, values, matrix, offset, _ = task(5, n=n, m=m, n_balls=6)
    scale = least_gap(values) / 2
    images = np.pad((values - offset) / scale, ((0, 0), (n, 0)))
    wide = from_maps(centers, radii, images, np.column_stack([matrix, scale * np.eye(m)]), offset)
    slim = from_maps(centers, radii, np.pad((values - values[0]) / scale, ((0, 0), (0, max(n, m) - m))),
                     scale * np.eye(m, max(n, m)), values[0])  # fmt: skip
    found = approximate_bounded(centers, radii, values, linear=(matrix, offset))
    found_slim = approximate_bounded(centers, radii, values, compact=True)
    for ours, theirs in [(found, wide), (found_slim, slim)]:
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9 * images.max())


def test_the_weights_of_theorem_3_are_those_written_down():
    """W_i = [I - (1 + 1/h) e e^T; 0], b_i = [c_(i-1) + e_(i-1) - c_i; h_i]; (r, h) = (0.6, 0.8), (0.8, 0.6)."""
    net = approximate_affine([0, 1], [0.6, 0.8], [5, -3], linear=LINE)
    wanted = [
        ([[1], [0]], [0, 0.8]),
        ([[1, 0], [0, -1.25], [0, 0]], [-1, 1, 0.6]),
        ([[2, 4, 6 / 0.6]], [2 * 1 - 6 + 1]),  # Phi = [2 | 5 - 1, -3 - 3]
    ]
    for linear, (weight, bias) in zip(net.linears, wanted, strict=True):
        np.testing.assert_allclose(linear.weight.detach(), weight, rtol=1e-12)
        np.testing.assert_allclose(linear.bias.detach(), bias, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("build, inside_only", [
    (lambda *balls: approximate_affine(*balls, linear=LINE), False),
    (lambda *balls: approximate_bounded(*balls, linear=LINE), False),
    (lambda *balls: approximate_bounded(*balls, compact=True), True),
], ids=["Theorem 3", "Theorem 4", "compact"])  # fmt: skip
def test_known_values(build, inside_only):
    """Q9, Q10: L = 2 x + 1, c = (0, 1), r = .6, f = (5, -3)."""
    x, wanted = [0, 0.55, 0.7, 1.5, 2, -1], [5, 5, -3, -3, 5, -1]
    n_points = 4 if inside_only else 6
    for balls in [([0, 1], 0.6, [5, -3]), (torch.tensor([[0.0], [1.0]]), np.full(2, 0.6), [[5], [-3]])]:
        found = run(build(*balls), np.array(x, dtype=float)[:n_points, None])
        np.testing.assert_allclose(found[:, 0], wanted[:n_points], rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_balls, radius, dtype, wanted", [
    (63, 0.0554, torch.float64, 0.0465), (64, 0.056, torch.float32, 0.0471),
])  # fmt: skip
def test_the_bell_to_a_twentieth(n_balls, radius, dtype, wanted):
    """.0465 (N = 63) and .0471 (N = 64, float32) on 2001 points of [-6, 6]; the supremum itself is .0475 and .0480."""
    centers = -1.731 + radius * (torch.arange(n_balls, dtype=torch.float64) + 0.5)
    net = approximate_affine(centers, radius, bell(centers)).to(dtype)
    bounded = approximate_bounded(centers, radius, bell(centers)).to(dtype)
    compact = approximate_bounded(centers, radius, bell(centers), compact=True).to(dtype)
    assert net.n_parameters > 20 * bounded.n_parameters
    assert grid_error(net, bell, -6, 6, 2001) == pytest.approx(wanted, abs=5e-5)
    assert grid_error(bounded, bell, -6, 6, 2001) == pytest.approx(wanted, abs=5e-5)
    assert grid_error(compact, bell, -1.731, 1.731, 2001) < 0.05
    steepest = math.sqrt(2 / math.e) * radius
    assert 0.99 * steepest < grid_error(net, bell, -2, 2, 5001) <= steepest < 0.05


def test_an_affine_map_with_a_bump_in_the_plane():
    """81 balls, 1500 points, not one mismatch."""
    axis = np.linspace(-1, 1, 9)
    centers = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    matrix, offset = np.array([[1.0, -2.0]]), np.array([0.5])
    values = centers @ matrix.T + offset + np.exp(-4 * (centers**2).sum(axis=1, keepdims=True))
    x = np.random.default_rng(0).uniform(-2, 2, (1500, 2))
    wanted = first_value(centers, [0.2] * 81, values, matrix, offset, x)
    for build in (approximate_affine, approximate_bounded):
        found = run(build(centers, 0.2, values, linear=(matrix, offset)), x)
        assert (np.abs(found - wanted) > 1e-9).sum() == 0
    assert 0 < (first_ball(centers, [0.2] * 81, x) < 0).sum() < 1500


def test_the_papers_condition_on_balls_is_too_weak():
    """f(x) = 100 x, K = {0}, r = .9: f(B and K) is one point, yet F(.5) = 0 where f is 50."""
    net = approximate_affine([0], 0.9, [0], linear=([[100]], [0]))
    assert run(net, np.array([[0.5]])) == 0 and run(net, np.array([[0.95]])) == pytest.approx(95)


@pytest.mark.parametrize("seed", range(4))
def test_with_it_the_error_is_at_most_three_eps_and_the_slope_times_the_radius(seed):
    """On B \\ K: 3 eps + r |A|, half the slope's share of 3 eps + 2 r |A|, and nothing below that share would do.

    The way from c to x leaves K at some k, so |f(x) - f(c)| <= |f(x) - L(x)| + |A| |x - k| + |L(k) - f(k)| + |f(k) - f(c)|.
    """
    rng = np.random.default_rng(seed)
    eps, radius, small = 0.1, 0.9, 1e-3
    matrix = rng.normal(size=(2, 2)) * 10
    slope = np.linalg.norm(matrix, 2)

    def f(x):
        return x @ matrix.T + 0.3 * eps * np.sin(7 * x)

    inside = rng.uniform(-small / slope, small / slope, (200, 2))
    assert np.linalg.norm(f(inside) - f(np.zeros((1, 2))), axis=1).max() < eps
    net = approximate_affine(np.zeros((1, 2)), radius, f(np.zeros((1, 2))), linear=(matrix, np.zeros(2)))
    angle = np.linspace(0, 2 * np.pi, 2000)
    x = np.concatenate([share * radius * np.stack([np.cos(angle), np.sin(angle)], axis=1) for share in (0.3, 0.999)])
    error = np.linalg.norm(run(net, x) - f(x), axis=1).max()
    assert 0.99 * radius * slope - eps < error < 3 * eps + radius * slope


def test_a_scale_above_the_least_gap_breaks_theorem_4():
    """Values 0 and .3 at 0 and 1; with s = 2 gap the second ball swallows the first one's points: F(0) = .3."""
    with pytest.raises(NbkitError, match=r"^approximate_bounded: scale must be in .*, 0\.3\], got 0\.6: "):
        approximate_bounded([0, 1], 0.6, [0, 0.3], scale=0.6)
    x = np.array([[0.0]])
    for scale, wanted in [(0.6, 0.3), (0.15, 0.0)]:
        net = from_maps([[0], [1]], [0.6] * 2, [[0, 0], [0, 0.3 / scale]], np.array([[0, scale]]), np.zeros(1))
        assert run(net, x).item() == pytest.approx(wanted, abs=1e-12)
    assert run(approximate_bounded([0, 1], 0.6, [0, 0.3]), x).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("scale", [None, 1e-6, 1.0, 1e6])
@pytest.mark.parametrize("centers", [[0.0], [0.0, 0.3, 0.0, 2.0]])
def test_any_scale_will_do_where_all_values_agree(scale, centers):
    net = approximate_bounded(centers, 0.6, [0.7] * len(centers), linear=LINE, scale=scale)
    x = np.array([[0.1], [0.55], [1.0], [-1.0]])
    wanted = first_value(np.array(centers)[:, None], [0.6] * len(centers), [[0.7]] * 4, np.array([[2.0]]), [1.0], x)
    np.testing.assert_allclose(run(net, x), wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("compact", [False, True])
def test_values_that_differ_by_rounding_count_as_one(compact):
    """f(c) and f(-c) of an even function differ in the last digit; taken as different they would make s 1e-17."""
    centers = torch.linspace(-1.1, 1.3, 49, dtype=torch.float64)
    values = bell(centers) * (1 + 1e-15 * torch.arange(49) % 3)
    net = approximate_bounded(centers, 0.06, values, compact=compact)
    assert max(parameter.abs().max() for parameter in net.parameters()) < 1e8
    x = np.random.default_rng(0).uniform(-1.1, 1.3, (400, 1))
    wanted = first_value(centers[:, None].numpy(), [0.06] * 49, values[:, None].numpy(), None, None, x)
    np.testing.assert_allclose(run(net, x), wanted, rtol=0, atol=2e-9)


def test_values_that_creep_up_by_rounding_do_not_carry_a_point_along():
    """A hundred balls on one spot, each a 0.4e-9 higher than the last: the first one's value is met to 1e-9."""
    values = np.append(0.4e-9 * np.arange(100), 1)
    net = approximate_bounded([0.0] * 100 + [3.0], 0.5, values)
    assert abs(run(net, np.array([[0.1]])).item()) <= 1e-9 and run(net, np.array([[3.1]])).item() == pytest.approx(1)


@pytest.mark.parametrize("radius", [1e-7, 1e-4, 1 - 1e-12])
@pytest.mark.parametrize("build", [approximate_affine, approximate_bounded])
def test_the_smallest_and_the_largest_balls_are_seen(build, radius):
    net = build([0.0, 3.0], radius, [5, -3], linear=LINE)
    x = np.array([[0.0], [radius / 2], [3 - radius / 2], [1.5 * radius], [3 + 1.5 * radius]])
    wanted = first_value(np.array([[0.0], [3.0]]), [radius] * 2, [[5], [-3]], np.array([[2.0]]), [1.0], x)
    np.testing.assert_allclose(run(net, x), wanted, rtol=0, atol=1e-6)


def test_on_a_sphere_rounding_decides():
    x = np.array([[0.5], [-0.5]])
    assert set(run(approximate_affine([0], 0.5, [7]), x).ravel().round(12)) <= {0, 7}
    assert capture([0], 0.5, x).tolist() == [-1, -1]


def test_two_hundred_layers_lose_nothing():
    centers, radii, values, matrix, offset, x = task(1, n=2, m=2, n_balls=200, spread=4.0)
    radii = radii / 3
    x = x[(np.abs(np.linalg.norm(x[:, None] - centers, axis=2) - radii) > 1e-9).all(axis=1)][-200:]
    wanted = first_value(centers, radii, values, matrix, offset, x)
    for build in (approximate_affine, approximate_bounded):
        found = run(build(centers, radii, values, linear=(matrix, offset)), x)
        np.testing.assert_allclose(found, wanted, **within(wanted))


@pytest.mark.parametrize("build", [approximate_affine, approximate_bounded])
def test_no_ball_leaves_the_affine_map(build):
    for centers, values in [([], []), (np.zeros((0, 2)), np.zeros((0, 1)))]:
        net = build(centers, 0.5, values, linear=([[1, 2]], [3]))
        assert net.widths == (2, 1) and run(net, np.array([[1.0, 1.0]])) == 6


@settings(max_examples=40, deadline=None)
@given(n=TASKS["n"], n_balls=st.integers(0, 12), seed=TASKS["seed"])
def test_capture_is_the_first_ball(n, n_balls, seed):
    centers, radii, *_, x = task(seed, n=n, m=1, n_balls=n_balls)
    found = capture(torch.from_numpy(centers), radii, x.astype(np.float64))
    assert found.dtype == torch.int64 and found.tolist() == first_ball(centers, radii, x).tolist()


TWO = ([0, 1], 0.6, [5, -3])
BOTH = approximate_affine, approximate_bounded


@pytest.mark.parametrize("build", BOTH)
@pytest.mark.parametrize("balls, linear, rule", [
    (([0, NAN], 0.6, [5, -3]), None, "centers must be finite real numbers"),
    (([0, 1], 0.6, [5, NAN]), None, "values must be finite real numbers"),
    (([0, 1], NAN, [5, -3]), None, "radii must be finite real numbers"),
    (TWO, ([[math.inf]], [1]), "A of linear must be finite real numbers"),
    (TWO, ([[2]], [1j]), "b of linear must be finite real numbers"),
    (([0, "a"], 0.6, [5, -3]), None, "centers must be an array of numbers"),
    (([0, 1], 0.0, [5, -3]), None, "radii must lie in (0, 1), and rounding hides any below 1e-07, got 0."),
    (([0, 1], [0.5, 1.0], [5, -3]), None, "radii must lie in (0, 1), and rounding hides any below 1e-07, got 1."),
    (([0, 1], -0.5, [5, -3]), None, "radii must lie in (0, 1), and rounding hides any below 1e-07, got -0.5."),
    (([0, 1], 1e-8, [5, -3]), None, "radii must lie in (0, 1), and rounding hides any below 1e-07, got 1e-08."),
    (([0, 1], [0.5] * 3, [5, -3]), None, "radii must be one number or one for each of 2 balls, got shape (3,)."),
    ((0.5, 0.6, [5, -3]), None, "centers must be (N, n), got shape ()."),
    ((np.zeros((2, 0)), 0.6, [5, -3]), None, "centers must be (N, n), got shape (2, 0)."),
    (([[0, 1], [2, 3]], 0.6, [5, -3]), ([[2]], [1]), "centers must be (N, 1), got shape (2, 2)."),
    (([0, 1], 0.6, [5, -3, 0]), None, "values must be (2, m), got shape (3, 1)."),
    (([0, 1], 0.6, [[5, 0], [-3, 0]]), ([[2]], [1]), "values must be (2, 1), got shape (2, 2)."),
    (TWO, ([2], [1]), "linear must be (A, b) of shapes (m, n) and (m,), got (1,) and (1,)."),
    (TWO, ([[2]], [1, 2]), "linear must be (A, b) of shapes (m, n) and (m,), got (1, 1) and (2,)."),
    (TWO, 2.0, "linear must be a pair (A, b), got 2.0."),
    (([], 0.5, []), None, "centers must hold a ball where there is no linear, got none."),
])  # fmt: skip
def test_balls_that_do_not_fit_are_refused(build, balls, linear, rule):
    with pytest.raises(NbkitError, match=f"^{re.escape(f'{build.__name__}: {rule}')}.+[.]$"):
        build(*balls, linear=linear)


@pytest.mark.parametrize("scale, rule", [
    (0, "scale must be a finite number in (0, inf), got 0."), (-1, "scale must be a finite number in (0, inf), got -1."),
    (NAN, "scale must be a finite number"), (8.01, "scale must be in [2.5e-09, 8], got 8.01: "),
    (1e-12, "scale must be in [2.5e-09, 8], got 1e-12: "),
])  # fmt: skip
def test_scales_that_let_balls_swallow_again_are_refused(scale, rule):
    with pytest.raises(NbkitError, match=f"^approximate_bounded: {re.escape(rule)}"):
        approximate_bounded(*TWO, scale=scale)
    assert approximate_bounded(*TWO, scale=7.9).widths == (1, 3, 3, 1)


@pytest.mark.parametrize("compact", [None, "no", 1, torch.ones(2)])
def test_compact_is_true_or_false(compact):
    with pytest.raises(
        NbkitError, match=r"^approximate_bounded: compact must be True or False, got .+ Use one of the two"
    ):
        approximate_bounded(*TWO, compact=compact)


def test_the_compact_variant_knows_no_affine_map():
    with pytest.raises(NbkitError, match=r"^approximate_bounded: linear must be None with compact=True, got \("):
        approximate_bounded(*TWO, linear=LINE, compact=True)


@pytest.mark.parametrize("x, rule", [
    (1.0, "x must be (batch, n), got shape ()."), (np.zeros((3, 2)), "centers must be (N, 2), got shape (2, 1)."),
    ([NAN], "x must be finite real numbers"),
])  # fmt: skip
def test_points_that_do_not_fit_the_balls_are_refused(x, rule):
    with pytest.raises(NbkitError, match=f"^capture: {re.escape(rule)}"):
        capture([0, 1], 0.6, x)


def test_what_would_not_fit_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "100KiB")
    centers = np.linspace(0, 1, 60)
    with pytest.raises(
        NbkitError, match=r"^approximate_affine: .+ Lower the number of balls, or use approximate_bounded"
    ):
        approximate_affine(centers, 0.1, centers)
    assert len(approximate_bounded(centers, 0.1, centers)) == 121
    with pytest.raises(NbkitError, match=r"^approximate_bounded: .+ Lower the number of balls"):
        approximate_bounded(np.linspace(0, 1, 6000), 0.1, np.zeros(6000))
    with pytest.raises(NbkitError, match=r"^capture: .+ Lower the number of points"):
        capture(centers, 0.1, np.zeros(1000))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
@pytest.mark.parametrize("options", [None, {}, {"compact": True}], ids=["Theorem 3", "Theorem 4", "compact"])
def test_cuda_gives_the_outputs_of_the_cpu(options):
    centers, radii, values, *_, x = task(0, n=2, m=2, n_balls=12)
    x = torch.from_numpy(x)
    net = (
        approximate_affine(centers, radii, values)
        if options is None
        else approximate_bounded(centers, radii, values, **options)
    )
    wanted = net(x)
    torch.testing.assert_close(net.cuda()(x.cuda()).cpu(), wanted, rtol=0, atol=1e-9)
    balls = torch.from_numpy(centers).cuda(), torch.from_numpy(radii).cuda()
    assert capture(*balls, x.cuda()).tolist() == first_ball(centers, radii, x.numpy()).tolist()
