"""Pictures of lengths and of a circle's image: what they draw, where labels stand, what they refuse."""

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import Curve, circle_figure, circle_traces, curves_figure, length_figure, length_traces


@pytest.fixture
def curves():
    depth = np.arange(4)
    measured = Curve("measured", depth, 2.0**depth, "dense", lower=0.9 * 2.0**depth, upper=1.1 * 2.0**depth)
    theory = Curve("rms law", depth, 2.1**depth, "dense", kind="theory")
    return [measured, theory], Curve("ratio", depth, (2 / 2.1) ** depth, "dense")


def test_the_ratio_stands_below_the_lengths_over_one_depth_axis(curves):
    figure = length_figure(*curves)
    *above, band, ratio, one = figure.data
    assert all(trace.yaxis == "y2" and trace.xaxis == "x" for trace in (band, ratio, one))
    assert all(trace.yaxis is None for trace in above)
    assert figure.layout.yaxis2.domain[1] < figure.layout.yaxis.domain[0] and figure.layout.xaxis.anchor == "y2"
    assert figure.layout.yaxis.type == "log" and figure.layout.yaxis2.type is None
    assert np.array_equal(ratio.y, curves[1].y) and np.array_equal(one.y, [1, 1]) and np.array_equal(one.x, [0, 3])


def test_the_traces_of_lengths_are_those_of_curves_and_three_more(curves):
    assert len(length_figure(*curves).data) == len(curves_figure(curves[0], x_label="", y_label="").data) + 3
    assert len(length_traces(*curves)) == len(length_figure(*curves).data)


def test_labels_keep_apart_within_the_part_of_the_height_that_lengths_have():
    depth = np.arange(3)
    pair = [Curve(name, depth, np.full(3, 5.0)) for name in ("one", "other")]
    ratio = Curve("ratio", depth, np.ones(3))
    places = length_traces(pair, ratio, y_range=(1.0, 100.0))[4]["y"]
    alone = length_figure(pair, ratio).layout.yaxis.domain
    apart = np.ptp(np.log10(places)) / 2 * (alone[1] - alone[0])  # of the picture's height
    assert apart == pytest.approx(17 / 300)


def test_a_length_of_zero_is_refused(curves):
    depth = np.arange(2)
    with pytest.raises(NbkitError, match="above 0"):
        length_figure([Curve("dead", depth, np.array([1.0, 0.0]))], Curve("ratio", depth, np.ones(2)))


def test_no_curve_yet_is_an_empty_picture():
    nothing = Curve("later", (), ())
    assert [len(trace.x) for trace in length_figure([nothing], nothing).data[:3]] == [0, 0, 0]


def test_the_circle_is_drawn_in_two_and_three_dimensions_with_equal_scales():
    times = np.linspace(0, 1, 5)
    points = np.stack([np.cos(2 * np.pi * times), np.sin(2 * np.pi * times), 0 * times], axis=1)
    figure = circle_figure(times, points)
    flat, solid = figure.data
    assert (flat.type, solid.type) == ("scatter", "scatter3d")
    assert np.array_equal(flat.x, points[:, 0]) and np.array_equal(solid.z, points[:, 2])
    assert np.array_equal(flat.marker.color, times) and np.array_equal(solid.line.color, times)
    scale = flat.marker.colorscale
    assert scale[0][1] == scale[-1][1] and (flat.marker.cmin, flat.marker.cmax) == (0, 1)  # t = 0 and 1 are one place
    assert figure.layout.yaxis.scaleanchor == "x" and figure.layout.scene.aspectmode == "cube"
    assert figure.layout.yaxis.range == figure.layout.scene.zaxis.range


@pytest.mark.parametrize("shape", [(5, 2), (4, 3), (3, 5)])
def test_points_that_are_not_one_row_of_three_for_each_time_are_refused(shape):
    with pytest.raises(NbkitError, match=r"points must be \(5, 3\)"):
        circle_figure(np.linspace(0, 1, 5), np.zeros(shape))


def test_points_that_are_not_rows_of_three_are_refused():
    with pytest.raises(NbkitError, match="3"):
        circle_traces(np.zeros((4, 2)))
