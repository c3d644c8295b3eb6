"""The picture of best fits against depth holds curves, rates, stars and what fits miss, each where it belongs."""

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import (
    FIT_LOOKS,
    ErrorCurve,
    ExpressiveView,
    expressive_figure,
    expressive_ranges,
    expressive_titles,
    expressive_traces,
)

DEPTHS = np.array([2, 4, 8])


def curve(scale, power):
    middle = scale * DEPTHS.astype(float) ** power
    return ErrorCurve(DEPTHS, 10 * DEPTHS, middle, 0.5 * middle, 2 * middle)


def view(**changes):
    gap = np.array([[0.0, 0.1], [-0.2, 0.0]])
    whole = {
        "curves": {"dense": curve(0.1, -0.5), "radix": curve(0.2, -0.25)},
        "live": {"dense": (4, 40, 0.3), "radix": (4, 30, 0.4)},
        "target": np.array([[0.0, 0.5], [-0.3, 0.1]]),
        "gaps": {"dense": gap, "radix": gap / 2, "narrow": gap / 4},
    }
    return ExpressiveView(**whole | changes)


def traces(figure, axis):
    return {trace.name: trace for trace in figure.data if trace.xaxis == axis}


def test_errors_stand_against_depth_and_against_parameters_with_their_bands():
    figure = expressive_figure(view(), title="a finding")
    lines = {axis: [t for t in figure.data if t.xaxis == axis and "lines" in t.mode] for axis in ("x", "x2")}
    for axis, x in (("x", DEPTHS), ("x2", 10 * DEPTHS)):
        bands, drawn = lines[axis][: len(lines[axis]) // 2], lines[axis][len(lines[axis]) // 2 :]
        np.testing.assert_array_equal(drawn[1].x, x)
        np.testing.assert_allclose(drawn[1].y, 0.2 * DEPTHS**-0.25)
        assert drawn[1].line.color == "#0072B2" and drawn[0].line.color == drawn[2].line.color == "#333333"
        np.testing.assert_allclose(bands[1].y[:3] / bands[1].y[:2:-1], 4)  # up to twice, down to half
        assert not drawn[2].y.size  # no narrow networks: empty, but there
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == figure.layout.xaxis2.type == "log"


def test_the_rates_start_where_dense_does_and_fall_as_they_are_called():
    figure = expressive_figure(view())
    dashed = [trace for trace in figure.data if trace.xaxis == "x" and trace.line.dash == "dash"]
    slopes = [np.diff(np.log(trace.y))[0] / np.diff(np.log(trace.x))[0] for trace in dashed]
    assert slopes == pytest.approx([-0.5, -1.0]) and {trace.y[0] for trace in dashed} == {0.1 * 2**-0.5}


def test_a_star_marks_a_fit_in_training_in_both_panels():
    for axis, x in (("x", (4, 4)), ("x2", (40, 30))):
        star = traces(expressive_figure(view()), axis)["in training"]
        assert tuple(star.x) == x and tuple(star.y) == (0.3, 0.4)
        assert tuple(star.marker.color) == ("#333333", "#0072B2") and tuple(star.text) == ("dense", "RadiX")


def test_pictures_have_the_first_coordinate_across_and_share_a_scale():
    pictures = [trace for trace in expressive_figure(view()).data if trace.type == "heatmap"]
    np.testing.assert_array_equal(pictures[0].z, [[0.0, -0.3], [0.5, 0.1]])
    np.testing.assert_allclose(pictures[2].z, [[0.0, -0.1], [0.05, 0.0]])
    assert [trace.zmax for trace in pictures] == pytest.approx([0.5, 0.2, 0.2, 0.2])
    assert all(trace.zmin == -trace.zmax for trace in pictures)
    titles = [note.text for note in expressive_figure(view()).layout.annotations]
    assert titles == ["function f", "dense: 0.2", "RadiX: 0.1", "narrow: 0.05"]


def test_what_is_absent_is_empty_and_the_number_of_traces_stays():
    empty = ExpressiveView()
    assert len(expressive_traces(empty)) == len(expressive_traces(view())) == len(expressive_figure(empty).data)
    assert expressive_titles(empty) == [""] * 4


def test_the_axis_shows_curves_bands_and_rates_but_waits_for_stars():
    low, high = expressive_ranges(view(live={"dense": (4, 40, 50.0)}))["yaxis"]
    assert 0.01 < low < 0.1 * 2**-0.5 / 4 and 2 * 0.2 * 2**-0.25 < high < 1  # the rate N^-1 ends lowest


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"curves": {"pruned": curve(1, -1)}}, "networks must be of dense, radix, narrow, got .'pruned'"),
        ({"target": np.zeros((2, 3))}, "square and of one size"),
        ({"target": np.zeros((3, 3))}, "square and of one size"),
        ({"target": np.zeros(4)}, "target must have 2 axes"),
        ({"curves": {"dense": curve(-1, -1)}}, "above 0 on a log axis"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, told):
    with pytest.raises(NbkitError, match=told):
        expressive_figure(view(**change))


def test_every_kind_of_the_run_has_a_look():
    from nbkit.runs.expressive import NETS

    assert tuple(FIT_LOOKS) == NETS
