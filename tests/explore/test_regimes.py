"""The explorers on what the approximation theorems need and cost: the ball condition, and three widths at one task."""

import numpy as np
import pytest

from nbkit.explore import ConditionExplorer, RegimesExplorer
from nbkit.explore.regimes import _RADIUS, _data
from nbkit.nets import approximate_affine, approximate_bounded


def told(explorer):
    return explorer.figure.layout.title.text.replace("<br>", " ").replace("\N{NO-BREAK SPACE}", " ")


def test_the_counter_example_meets_the_papers_condition_and_is_off_by_50_at_one_half(opened):
    explorer = opened(ConditionExplorer)
    frame = explorer.data
    at = np.argmin(np.abs(frame["x"] - 0.5))
    assert (frame["x"][at], frame["F"][at], frame["f"][at]) == pytest.approx((0.5, 0, 50))
    assert frame["on_part"] == 0 and frame["on_ball"] == pytest.approx(90, rel=1e-5)
    assert frame["error"].max() < frame["bound"] == pytest.approx(3 * 0.1 + 0.9 * 100)
    assert told(explorer).startswith("The paper's condition holds, the whole ball's does not: |F − f| is up to 90")


@pytest.mark.parametrize("radius", [0.05, 0.1, 0.5, 0.95])
def test_the_error_is_below_eps_just_where_the_whole_ball_meets_the_condition(opened, radius):
    explorer = opened(ConditionExplorer, slope=2, eps=0.2, radius=radius, half=0.01)
    small = 2 * radius <= 0.2
    assert (explorer.data["error"].max() < 0.2) == small == told(explorer).startswith("Both conditions hold")


def test_the_ball_covers_k(opened):
    explorer = opened(ConditionExplorer, slope=10, eps=0.05, radius=0.6, half=0.5)
    assert told(explorer).startswith("Neither condition holds")
    explorer.set(radius=0.15)
    explorer.settle()
    assert explorer.settings["half"] == 0.1


def test_the_network_jumps_on_the_sphere_and_is_drawn_with_gaps(opened):
    explorer = opened(ConditionExplorer, slope=1, radius=0.5)
    drawn = np.asarray(explorer.figure.data[4].y)
    assert np.isnan(drawn).sum() >= 2 and np.nanmax(np.abs(np.diff(drawn))) < 0.01


@pytest.mark.parametrize(("n", "m", "n_balls"), [(1, 1, 2), (2, 3, 10), (5, 2, 64)])
def test_three_widths_are_one_function_and_parameters_are_those_of_the_networks(opened, n, m, n_balls):
    explorer = opened(RegimesExplorer, n=n, m=m, n_balls=n_balls)
    frame, (centers, values, linear, _) = explorer.data, _data(n, m)
    balls = centers[:n_balls], _RADIUS, values[:n_balls]
    nets = {
        "Theorem 3": approximate_affine(*balls, linear=linear),
        "Theorem 4": approximate_bounded(*balls, linear=linear),
        "compact": approximate_bounded(*balls, compact=True),
    }
    for name, net in nets.items():
        assert frame["widths"][name] == net.widths
        assert frame["parameters"][name][n_balls - 1] == net.n_parameters == sum(p.numel() for p in net.parameters())
    assert max(frame["differences"].values()) < 1e-9 and "the same function" in told(explorer)


@pytest.mark.parametrize(("n", "m"), [(2, 1), (3, 2)])
@pytest.mark.parametrize("fraction", [0.95, 1.05, 1.5])
def test_too_large_a_scale_lets_later_balls_swallow_again(opened, n, m, fraction):
    frame = opened(RegimesExplorer, n=n, m=m, n_balls=20, fraction=fraction).data
    centers, values, _, points = _data(n, m)
    gaps = np.linalg.norm(values[:20, None] - values[:20], axis=2)
    assert frame["gap"] == pytest.approx(gaps[gaps > 0].min())
    n_wrong = 0
    for point in points:
        inside = np.linalg.norm(centers[:20] - point, axis=1) < _RADIUS
        if not inside.any():
            continue
        first = owner = int(inside.argmax())
        for later in range(first + 1, 20):  # a carried y is at least 1 from the next one, or is taken for the origin
            owner = later if gaps[owner, later] < fraction * frame["gap"] else owner
        n_wrong += gaps[first, owner] > 0
    assert frame["n_wrong"][fraction] == n_wrong and (n_wrong > 0) == (fraction > 1)


def test_a_scale_that_is_refused_says_why_and_shows_what_it_breaks(opened):
    explorer = opened(RegimesExplorer, fraction=1.5)
    wrong = explorer.data["n_wrong"][1.5]
    assert f"s = 1.5 gaps is refused; built all the same, Theorem 4 gets {wrong} of 400 outputs wrong" in told(explorer)
    assert explorer.data["note"].startswith("approximate_bounded: scale must be in") and explorer.error is None
    explorer.set(fraction=0.25)
    explorer.settle()
    assert "note" not in explorer.data and explorer.data["by_scale"][0.25] < 1e-9 < 0.5 < explorer.data["by_scale"][1.5]
