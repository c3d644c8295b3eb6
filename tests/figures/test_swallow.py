"""Pictures of balls that swallow points: on a line, and in the plane beside the function and its error."""

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import disks_figure, swallow_figure
from nbkit.figures.template import FAINT

X = np.linspace(-1, 1, 5)
CURVES = {"x": X, "f": X**2, "F": np.zeros(5), "eps": 0.1}
BALLS = np.array([-0.5, 0.0, 0.5]), np.full(3, 0.3)


def test_points_stand_where_they_are_now_and_those_of_the_present_ball_are_joined_with_where_they_were():
    owners = np.array([-1, 0, 1, -1, -1])
    places = np.array([[-1.0, 0], [-0.5, 1], [0.1, 2], [0.5, 0], [1.0, 0]])
    figure = swallow_figure(CURVES, BALLS, (X, places, owners), layer=2)
    band, f, output, waiting, done, now, paths, free, taken, present = figure.data
    np.testing.assert_allclose(band.y[:5] - band.y[5:][::-1], 0.2)
    assert (list(f.y), list(output.y)) == (list(X**2), [0] * 5)
    for trace, centre in ((waiting, 0.5), (done, -0.5), (now, 0.0)):
        np.testing.assert_allclose(trace.x, [centre - 0.3, centre + 0.3, np.nan])
    np.testing.assert_array_equal(paths.x, [0.0, 0.1, np.nan])
    np.testing.assert_array_equal(paths.y, [0.0, 2.0, np.nan])
    assert (list(free.x), list(taken.x), list(present.x)) == ([-1, 0.5, 1], [-0.5], [0.1])
    assert (list(taken.y), list(present.y)) == ([1], [2])


def test_before_the_first_layer_every_ball_waits():
    figure = swallow_figure(CURVES, BALLS, (X, np.stack([X, 0 * X], axis=1), np.full(5, -1)), layer=0)
    assert [np.isfinite(figure.data[i].x).sum() for i in (3, 4, 5)] == [6, 0, 0] and len(figure.data[6].x) == 0


def test_a_line_with_points_of_another_number_is_refused():
    with pytest.raises(NbkitError, match="swallow_figure: x, f and F, centres and radii, points, places and owners"):
        swallow_figure(CURVES, BALLS, (X, np.zeros((4, 2)), np.zeros(5)), layer=1)


def test_disks_are_circles_in_order_and_points_have_the_colour_of_theirs():
    side, f = np.array([-1.0, 0.0, 1.0]), np.arange(9.0).reshape(3, 3)
    centers, points = np.array([[-0.5, 0.0], [0.5, 0.2]]), np.array([[-0.5, 0.0], [0.5, 0.0], [1.0, 1.0]])
    figure = disks_figure(
        side, {"f": f, "F": f - 2}, (centers, np.full(2, 0.4)), (points, np.array([0, 1, -1])), layer=1, eps=0.5
    )
    error, waiting, done, now, dots = figure.data[2:]
    assert np.array_equal(figure.data[1].z, f - 2) and (np.asarray(error.z) == 2).all()
    at = np.isfinite(waiting.x)
    np.testing.assert_allclose(np.hypot(waiting.x[at] - 0.5, waiting.y[at] - 0.2), 0.4)
    assert len(done.x) == 0 and np.nanmin(now.x) == pytest.approx(-0.9)
    colours = list(dots.marker.color)
    assert len(set(colours)) == 3 and colours[2] == FAINT
    assert (figure.layout.coloraxis2.cmax, figure.layout.coloraxis.cmax) == (1.0, 8.0)


def test_a_plane_with_maps_of_another_size_is_refused():
    empty = np.empty((0, 2)), np.empty(0)
    with pytest.raises(NbkitError, match=r"disks_figure: f and F must be \(3, 3\)"):
        disks_figure(np.arange(3.0), {"f": np.ones((3, 3)), "F": np.ones((2, 3))}, empty, empty, layer=0, eps=1)
