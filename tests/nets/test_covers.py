"""Covers hold the whole closed box with as few balls as they say; what a function does on a whole ball is found."""

import itertools
import math
import re
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nbkit.device import one_thread
from nbkit.errors import NbkitError
from nbkit.nets import approximate_affine, approximate_bounded, ball_condition, balls_needed, cover_box, grid_error

NAN = math.nan


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    with one_thread():
        yield


def farthest(cover, low, high) -> float:
    """From the nearest centre: of a grid of cells, the corners of the cells are farthest, the box's own included."""
    axes = []
    for column, start, end in zip(cover.centers.numpy().T, low, high, strict=True):
        ticks = np.unique(column)
        axes.append([start, *(ticks[1:] + ticks[:-1]) / 2, end])
    corners = np.array(list(itertools.product(*axes)))
    return np.linalg.norm(corners[:, None] - cover.centers.numpy(), axis=2).min(axis=1).max()


@settings(max_examples=60, deadline=None)
@given(
    sides=st.lists(st.floats(0.01, 5), min_size=1, max_size=4),
    start=st.floats(-10, 10),
    lipschitz=st.floats(0, 4),
    eps=st.floats(0.1, 3),
)
def test_the_balls_cover_the_closed_box_and_are_small_enough_for_the_proof(sides, start, lipschitz, eps):
    low, high = np.full(len(sides), start), start + np.array(sides)
    n_balls = balls_needed(low, high, lipschitz=lipschitz, eps=eps)
    assume(n_balls <= 500)
    cover = cover_box(low, high, lipschitz=lipschitz, eps=eps)
    assert cover.centers.shape == (n_balls, len(sides)) and cover.radii.shape == (n_balls,)
    radius = cover.radii[0].item()
    assert 0 < radius < 1 and lipschitz * radius <= eps * (1 + 1e-15) and (cover.radii == radius).all()
    assert farthest(cover, low, high) < radius * (1 - 5e-7)


@pytest.mark.parametrize("n, per_axis", [(1, 1), (1, 2), (1, 7), (2, 2), (3, 2)])
def test_corners_are_covered_where_the_ratio_is_an_integer(n, per_axis):
    """R sqrt(n) / (2 eps) = per_axis: cells of that many touch their spheres at the corners."""
    eps = math.sqrt(n) / (2 * per_axis)
    cover = cover_box([0] * n, [1] * n, lipschitz=1, eps=eps)
    assert len(cover.centers) > per_axis**n and farthest(cover, [0] * n, [1] * n) < cover.radii[0] <= eps


def test_a_flat_box_and_a_constant_function_need_few_balls():
    for high in ((1, 1e-3), (1e-3, 1)):
        assert balls_needed(0, high, lipschitz=1, eps=0.1) == len(cover_box(0, high, lipschitz=1, eps=0.1).centers) == 6
    cover = cover_box(-0.5, 0.5, lipschitz=0, eps=1e-30)
    assert cover.centers.tolist() == [[0]] and cover.radii.tolist() == [0.99]


def footnote(n: int, lipschitz: float, eps: float) -> int:
    """The paper's count for the unit cube."""
    return math.ceil(lipschitz * math.sqrt(n) / (2 * eps)) ** n


def test_the_footnotes_count_fails_where_the_ratio_is_an_integer():
    """n = 1, R = 1, eps = 1/4: 0, 1/2 and 1 are 2 r apart, no open ball holds two of them; so 2 balls do not do."""
    assert footnote(1, 1, 0.25) == 2
    points = np.array([0, 0.5, 1])
    assert max((np.abs(points - c) < 0.25).sum() for c in np.linspace(0, 1, 1001)) == 1
    assert balls_needed(0, 1, lipschitz=1, eps=0.25) == 3


def test_the_footnotes_count_forgets_that_radii_are_below_1():
    """n = 5, R = 1/2, eps = 1: one ball is said to do, but opposite corners are sqrt 5 > 2 apart."""
    assert footnote(5, 0.5, 1) == 1 and math.dist([0] * 5, [1] * 5) > 2
    cover = cover_box([0] * 5, [1] * 5, lipschitz=0.5, eps=1)
    assert len(cover.centers) == 4 and farthest(cover, [0] * 5, [1] * 5) < 0.99


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.floats(0.1, 50), st.floats(0.01, 2))
def test_elsewhere_the_footnotes_count_is_enough(n, lipschitz, eps):
    ratio = lipschitz * math.sqrt(n) / (2 * eps)
    assume(eps < 0.99 * lipschitz and math.ceil(ratio) - ratio > 1e-5 * ratio)
    assert balls_needed([0] * n, [1] * n, lipschitz=lipschitz, eps=eps) <= footnote(n, lipschitz, eps)


def bell(x: torch.Tensor) -> torch.Tensor:
    return torch.exp(-(x**2).sum(dim=1))


@pytest.mark.parametrize("n, eps, edge", [(1, 0.05, 1.731), (1, 0.01, 2.146), (2, 0.3, 1.098)])
def test_a_cover_makes_the_theorem_true_on_all_of_space(n, eps, edge):
    """|f| < eps outside [-edge, edge]^n, and the steepest slope of the bell is sqrt(2 / e), whatever n."""
    cover = cover_box([-edge] * n, [edge] * n, lipschitz=math.sqrt(2 / math.e), eps=eps)
    assert bell(torch.tensor([[edge] + [0.0] * (n - 1)])) < eps
    assert ball_condition(bell, cover.centers, cover.radii, eps).holds
    net = approximate_bounded(cover.centers, cover.radii, bell(cover.centers))
    assert 0.8 * eps < grid_error(net, bell, [-4] * n, [4] * n, 4001 if n == 1 else 101) < eps


def test_a_straight_line_needs_every_bit_of_the_condition():
    """f = 2 x: |f(x) - f(c)| < 2 r = eps on the open ball, and no smaller eps would do."""
    cover = cover_box(0, 1, lipschitz=2, eps=0.1)
    found = ball_condition(lambda x: 2 * x, cover.centers, cover.radii, 0.1)
    assert found.holds and found.largest.numpy() == pytest.approx([0.1] * len(cover.centers), rel=2e-6)
    assert not ball_condition(lambda x: 2 * x, cover.centers, cover.radii, 0.0999).holds


def test_the_condition_looks_at_the_whole_ball():
    """The paper's counter-example: on K = {0} nothing moves, on the ball f = 100 x moves by 90."""
    found = ball_condition(lambda x: 100 * x, [0], 0.9, 1)
    assert not found.holds and found.largest.item() == pytest.approx(90, rel=2e-6)


@pytest.mark.parametrize("n", [2, 3])
def test_the_condition_finds_the_longest_way_of_a_linear_map(n):
    """sup over the ball = r times the largest singular value; 2000 directions find it to a hundredth."""
    matrix = torch.from_numpy(np.random.default_rng(0).normal(size=(4, n)))
    found = ball_condition(lambda x: x @ matrix.T, torch.zeros(2, n), [0.2, 0.5], 1e9, n_points=4000)
    wanted = torch.linalg.svdvals(matrix)[0] * torch.tensor([0.2, 0.5])
    assert (found.largest <= wanted).all() and (found.largest > 0.99 * wanted).all()


def test_the_points_of_the_condition_lie_inside_the_balls_and_repeat():
    seen = []
    for seed in (0, 0, 1):
        ball_condition(lambda x: seen.append(x) or x, [[1.0, 2.0], [3.0, 4.0]], 0.5, 1, n_points=50, seed=seed)
    assert torch.equal(seen[0], seen[2]) and not torch.equal(seen[0], seen[4])
    distances = (seen[0].reshape(2, 50, 2) - torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])).norm(dim=2)
    assert (distances < 0.5).all() and (distances > 0.4999).sum() >= 50 and distances.min() < 0.25


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_grid_error_is_the_largest_distance(dtype):
    """(2 x + y, x) against itself plus (3, 4) x y / 25: 1/5 at the corner (1, 1)."""
    net = approximate_affine([], 0.5, [], linear=([[2, 1], [1, 0]], [0, 0])).to(dtype)

    def f(x):
        return torch.stack([2 * x[:, 0] + x[:, 1], x[:, 0]], dim=1) + torch.tensor([3, 4]) / 25 * x.prod(
            1, keepdim=True
        )

    assert grid_error(net, f, (0, 0), (1, 1), 30) == pytest.approx(0.2, abs=1e-6)
    assert grid_error(net, f, 0, (1, 1), 2) == pytest.approx(0.2, abs=1e-6)
    assert grid_error(net, f, -0.5, (0.5, 0.5), 70) == pytest.approx(0.05, abs=1e-6)


BOX = {"low": 0, "high": 1, "lipschitz": 1, "eps": 0.1}


@pytest.mark.parametrize("measure", [cover_box, balls_needed])
@pytest.mark.parametrize("change, rule", [
    ({"low": NAN}, "low must be finite real numbers"), ({"high": "a"}, "high must be an array of numbers"),
    ({"low": 1}, "low must be below high in every coordinate, got [1.0] and [1.0]."),
    ({"low": (0, 2), "high": (1, 1)}, "low must be below high in every coordinate, got [0.0, 2.0] and [1.0, 1.0]."),
    ({"low": (0, 0), "high": (1, 1, 1)}, "low and high must be numbers or two lists of one length, got shapes (2,) and (3,)."),
    ({"low": [[0]]}, "low and high must be numbers or two lists of one length, got shapes (1, 1) and ()."),
    ({"low": []}, "low and high must be numbers or two lists of one length, got shapes (0,) and ()."),
    ({"lipschitz": -1}, "lipschitz must be at least 0, got -1."), ({"lipschitz": NAN}, "lipschitz must be a finite number"),
    ({"eps": 0}, "eps must be a finite number in (0, inf), got 0."), ({"eps": -0.1}, "eps must be a finite number in (0, inf), got -0.1."),
    ({"eps": 1e-9}, "eps must be at least 1e-07 lipschitz = 1e-07, got 1e-09: rounding hides smaller balls."),
])  # fmt: skip
def test_boxes_and_slopes_that_make_no_sense_are_refused(measure, change, rule):
    with pytest.raises(NbkitError, match=f"^{re.escape(f'{measure.__name__}: {rule}')}.+"):
        measure(**(BOX | change))


@pytest.mark.parametrize("high, max_balls, needed", [
    (1, 5, "6"), (1e4, 10_000, "50,001"), ([1] * 3000, 10_000, "about 10^7312"), (1e300, 10_000, "about 10^300"),
])  # fmt: skip
def test_more_balls_than_the_budget_are_refused_with_their_number(high, max_balls, needed):
    rule = f"cover_box: max_balls must be at least {needed} for balls of radius 0.1, got {max_balls:,}."
    with pytest.raises(NbkitError, match=f"^{re.escape(rule)}"):
        cover_box(0, high, lipschitz=1, eps=0.1, max_balls=max_balls)
    assert len(cover_box(0, 1, lipschitz=1, eps=0.1, max_balls=6).centers) == 6


def test_a_budget_of_no_balls_is_refused():
    with pytest.raises(NbkitError, match=r"^cover_box: max_balls must be an integer of at least 1, got 0\."):
        cover_box(**BOX, max_balls=0)


@pytest.mark.parametrize("change, rule", [
    ({"radii": 1}, "radii must lie in (0, 1)"), ({"eps": 0}, "eps must be a finite number in (0, inf), got 0."),
    ({"n_points": 1}, "n_points must be an integer of at least 2, got 1."), ({"seed": -1}, "seed must be an integer of at least 0"),
    ({"f": lambda x: x.sum()}, "f(x) must be (batch, m), got shape () for x of shape (1000, 1)."),
    ({"f": lambda x: x * NAN}, "f(x) must be finite real numbers"), ({"f": 1}, "f must be a function x (batch, n) -> (batch, m), got 1."),
])  # fmt: skip
def test_conditions_that_cannot_be_looked_at_are_refused(change, rule):
    settings = {"f": torch.sin, "centers": [0, 1], "radii": 0.5, "eps": 0.1} | change
    with pytest.raises(NbkitError, match=f"^ball_condition: {re.escape(rule)}"):
        ball_condition(**settings)


@pytest.mark.parametrize("change, rule", [
    ({"high": 0}, "low must be below high"), ({"n_points": 1}, "n_points must be an integer of at least 2, got 1."),
    ({"f": lambda x: x.repeat(1, 2)}, "f must give (batch, 1) as the net does, got (batch, 2)."),
    ({"low": (0, 0)}, "net must take (batch, 2), got mat1 and mat2 shapes cannot be multiplied"),
    ({"net": torch.sin}, "net must be a torch module, got <built-in method sin"), ({"f": None}, "f must be a function"),
])  # fmt: skip
def test_errors_that_cannot_be_measured_are_refused(change, rule):
    settings = {"net": approximate_affine([0], 0.5, [1]), "f": torch.sin, "low": 0, "high": 1, "n_points": 5} | change
    with pytest.raises(NbkitError, match=f"^grid_error: {re.escape(rule)}"):
        grid_error(**settings)


def test_what_would_not_fit_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "100KiB")
    with pytest.raises(NbkitError, match=r"^cover_box: .+ Lower max_balls, or raise NBKIT_MEMORY"):
        cover_box(0, 1000, lipschitz=1, eps=0.1)
    with pytest.raises(NbkitError, match=r"^ball_condition: .+ Lower n_points, or raise NBKIT_MEMORY"):
        ball_condition(torch.sin, [0, 1], 0.5, 0.1, n_points=10_000)
    with pytest.raises(NbkitError, match=r"^grid_error: .+ Lower n_points, or raise NBKIT_MEMORY"):
        grid_error(approximate_affine([0], 0.5, [1]), torch.sin, 0, 1, 10_000)
