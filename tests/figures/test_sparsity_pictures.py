"""Pictures of what weight decay minimises: splines, one neuron rescaled, counts against the width, cuts."""

import numpy as np
import plotly.graph_objects as go
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import (
    METHODS,
    BalanceView,
    SplineView,
    ThresholdView,
    WidthsView,
    balance_figure,
    balance_traces,
    spline_figure,
    spline_ranges,
    spline_traces,
    threshold_figure,
    threshold_traces,
    widths_figure,
    widths_traces,
)

RISING = np.array([4.0, 3.0, 2.0])
OF_METHODS = {method: RISING + place for place, method in enumerate(METHODS)}
SPLINE = SplineView(
    "weight_decay",
    samples=np.array([[-1.0, 0.0, 1.0, 2.0], [0.0, 1.0, 0.0, 1.0]]),
    line=np.array([[-1.0, 0.0, 1.0, 2.0], [0.1, 0.9, 0.1, 0.9]]),
    knots=np.array([[0.0, 1.0], [0.9, 0.1]]),
    steps=np.array([0.0, 100.0, 200.0]),
    n_knots=OF_METHODS,
    n_neurons=np.array([9.0, 8.0, 7.0]),
    rtv2=OF_METHODS,
    weights=RISING,
    least=4.0,
)
BALANCE = BalanceView(
    scales=np.array([0.1, 1.0, 10.0]),
    costs={"rbv2": np.array([900.0, 34.0, 2500.0]), "weight_decay": np.array([500.0, 30.0, 2500.0])},
    least={"rbv2": 30.0, "weight_decay": 22.36},
    now=1.0,
    now_costs={"rbv2": 34.0, "weight_decay": 30.0},
    line=np.array([-1.0, 0.0, 1.0]),
    before=np.array([[0.0, 0.0, 5.0], [0.0, 0.0, -10.0]]),
    after=np.array([[0.0, 0.0, 5.0], [0.0, 0.0, -10.0]]),
    inside=np.array([0.0, 0.0, 5.0]),
    strengths=np.array([-1.0, 0.0, 1.0]),
    fixed=np.array([34.0, 25.0, 34.0]),
    free=np.array([30.0, 0.0, 30.0]),
)
WIDTHS = WidthsView(
    np.array([8, 16, 32]),
    active={method: np.array([8, 9, 10]) for method in METHODS},
    groups={method: np.array([4, 4, 0]) for method in METHODS},
    n_samples=9,
    bottleneck=4,
)
THRESHOLD = ThresholdView(
    "none",
    sizes=(2, 3, 1),
    edges=[np.array([[0, 1, 1], [0, 1, 2]]), np.array([[0, 1], [0, 0]])],
    alive=[np.array([0, 1]), np.array([0, 1]), np.array([0])],
    names=("inputs", "neurons", "output"),
    thresholds=np.array([1e-6, 1e-3, 1.0]),
    densities={name: np.array([1.0, 0.5, 0.0]) for name in ("V1", "W1", "V2", "W2")},
    errors=np.array([1e-4, 1e-4, 1.0]),
    now=0.01,
)
PICTURES = {
    "spline": (spline_figure, spline_traces, SplineView(), SPLINE),
    "balance": (balance_figure, balance_traces, BalanceView(), BALANCE),
    "widths": (widths_figure, widths_traces, WidthsView(), WIDTHS),
    "threshold": (threshold_figure, threshold_traces, ThresholdView(), THRESHOLD),
}


def trace(figure, name, place=0) -> go.Scatter:
    return [one for one in figure.data if one.name == name][place]


def labels(figure, name="labels", place=0) -> dict[str, float]:
    one = trace(figure, name, place)
    return {text.strip(): y for text, y in zip(one.text, one.y, strict=True)}


@pytest.mark.parametrize("name", PICTURES)
def test_the_traces_of_a_picture_move_it_from_empty_to_full(name):
    make, traces, empty, full = PICTURES[name]
    figure, wanted = make(empty, title="a"), make(full, title="a")
    assert len(figure.data) == len(wanted.data) == len(traces(full))
    for one, values in zip(figure.data, traces(full), strict=True):
        one.update(values)
    for one, other in zip(figure.data, wanted.data, strict=True):
        assert one.to_plotly_json().keys() == other.to_plotly_json().keys()
        for part in "xy":
            np.testing.assert_array_equal(np.array(one[part], dtype=float), np.array(other[part], dtype=float))


@pytest.mark.parametrize("name", PICTURES)
def test_every_axis_has_a_title_and_names_stay_inside(name):
    make, _, _, full = PICTURES[name]
    figure = make(full)
    shown = [
        figure.layout[axis] for axis in figure.layout if axis[1:5] == "axis" and figure.layout[axis].matches is None
    ]
    untitled = [axis for axis in shown if not axis.title.text]
    assert len(untitled) == (name == "threshold")  # its layers have names of their own
    for one in figure.data:
        if one.mode == "text" and len(one.y):
            axis = figure.layout["yaxis" + (one.yaxis or "y")[1:]]
            low, high = sorted(10.0 ** np.array(axis.range) if axis.type == "log" else axis.range)
            assert low <= min(one.y) and max(one.y) <= high, one.name


def test_the_spline_joins_the_data_and_bounds_are_n_and_two_less():
    figure = spline_figure(SPLINE)
    np.testing.assert_array_equal(trace(figure, "connecting spline").y, SPLINE.samples[1])
    assert trace(figure, "N").y.tolist() == [4, 4] and trace(figure, "N − 2").y.tolist() == [2, 2]
    assert trace(figure, "spline").y.tolist() == [4, 4]
    blue = METHODS["weight_decay"].colour
    assert trace(figure, "f").line.color == trace(figure, "neurons").line.color == blue
    assert {"N = 4", "N − 2 = 2", "(2)", "weight decay", "none", "neurons"} == set(labels(figure, "knot labels"))


def test_the_axes_of_the_spline_follow_the_data_and_not_a_wild_function():
    wild = SplineView(samples=SPLINE.samples, line=np.array([[-1.0, 2.0], [-1e6, 1e6]]))
    low, high = spline_ranges(wild)["yaxis"]
    assert (low, high) == (-0.5, 1.5)


def test_a_method_that_does_not_exist_is_refused():
    with pytest.raises(NbkitError, match="method"):
        spline_figure(SplineView("ridge"))


def test_no_knots_have_no_place_on_a_log_axis():
    figure = spline_figure(
        SplineView(samples=SPLINE.samples, steps=SPLINE.steps, n_knots={"rbv2": np.array([5, 1, 0])})
    )
    assert np.isnan(trace(figure, "(2)").y[-1])


def test_both_penalties_stand_at_the_present_a_over_their_least_values():
    figure = balance_figure(BALANCE)
    assert trace(figure, "now").y.tolist() == [34, 30] and trace(figure, "now").x.tolist() == [1, 1]
    assert trace(figure, "least of (2)").y.tolist() == [30, 30]
    assert {"(2)", "weight decay", "least 30", "least 22.36"} == set(labels(figure, "cost labels"))
    for place, output in enumerate(BALANCE.before, start=1):
        np.testing.assert_array_equal(trace(figure, f"output {place}").y, output)
    assert not len(trace(figure, "output 3").y)


def test_counts_stand_between_the_lines_of_k_of_n_and_of_theorem_1():
    figure = widths_figure(WIDTHS)
    diagonal = trace(figure, "K")
    np.testing.assert_array_equal(diagonal.x, diagonal.y)
    assert set(trace(figure, "N d₁").y) == {36} and set(trace(figure, "N").y) == {9}
    assert {"K", "N d₁ = 36", "N = 9", "(2)", "weight decay", "none"} == set(labels(figure))
    assert 0 < trace(figure, "(2)", 1).y[-1] < 1  # no neuron at all is drawn at the axis' end
    plain = widths_figure(WidthsView(WIDTHS.widths, n_samples=9, bottleneck=1))
    assert not len(trace(plain, "N d₁").y) and len(trace(plain, "N").y) == 2  # one line for both


def test_wires_on_no_way_are_faint_and_the_paper_has_its_line():
    figure = threshold_figure(THRESHOLD)
    n_drawn = [len(trace(figure, name).x) // 3 for name in ("dead wires", "living wires")]
    assert n_drawn == [5, 4] and len(trace(figure, "living nodes").x) == 5
    assert trace(figure, "living wires").line.color == METHODS["none"].colour
    for place in range(2):
        assert trace(figure, "paper", place).x.tolist() == [1e-3, 1e-3]
        assert trace(figure, "now", place).x.tolist() == [0.01, 0.01]
    assert figure.layout.xaxis.ticktext == ("inputs", "neurons", "output")
