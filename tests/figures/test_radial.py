"""Pictures of radial activations: two orders of turn and activation on a grid, and the functions on the line."""

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import radial_functions_figure, rescaling_figure


def test_two_orders_stand_on_one_grid_and_what_differs_is_joined():
    grid = np.array([[0.0, 0.0], [0.1, 0.0], [0.2, 0.0]])
    other = grid + [0.0, 0.3]
    figure = rescaling_figure(grid, {"pointwise": (grid, other), "radial": (grid, grid)})
    traces = figure.data
    assert len(traces) == 8 and [trace.xaxis for trace in traces] == ["x"] * 4 + ["x2"] * 4
    for trace, points in zip(traces, (grid, grid, other), strict=False):
        np.testing.assert_array_equal(np.stack([trace.x, trace.y], axis=1), points)
    np.testing.assert_array_equal(traces[3].y, [0.0, 0.3, np.nan])
    assert len(traces[7].x) == 0


def test_an_image_that_leaps_has_a_gap_and_no_line():
    grid = np.array([[0.9, 0.0], [0.99, 0.0], [1.08, 0.0]])
    kept = np.where(grid[:, :1] < 1, 0.0, grid)
    figure = rescaling_figure(grid, {"pointwise": (grid, grid), "radial": (kept, kept)})
    np.testing.assert_array_equal(figure.data[5].x, [0.0, 0.0, np.nan, 1.08])
    assert len(figure.data[1].x) == 3


def test_a_grid_and_images_of_other_lengths_are_refused():
    grid = np.zeros((3, 2))
    with pytest.raises(NbkitError, match=r"rescaling_figure: grid and images must be \(n, 2\)"):
        rescaling_figure(grid, {"pointwise": (grid, grid[:2]), "radial": (grid, grid)})


def test_a_function_that_jumps_at_0_is_two_branches_and_a_dot():
    v = np.arange(-4, 5) / 4
    image = np.sign(v)
    factor = 1 / np.where(v == 0, np.nan, np.abs(v))
    figure = radial_functions_figure(v, {"unit": (image, factor)}, jumps={"unit": [0.0]}, point=0.52)
    line, scale, dot, mark = figure.data
    assert np.isnan(np.asarray(line.y)).tolist() == [False] * 4 + [True, False, True] + [False] * 4
    assert (dot.x.tolist(), dot.y.tolist()) == ([0.0], [0.0]) and (mark.x[0], mark.y[0]) == (0.5, 1.0)
    assert np.asarray(scale.y)[0] == 1 and np.nanmax(scale.y) == 4


def test_images_of_another_length_than_v_are_refused():
    with pytest.raises(NbkitError, match="radial_functions_figure: unit must have 3 values as v, got 2 and 3"):
        radial_functions_figure(np.arange(3), {"unit": (np.ones(2), np.ones(3))}, jumps={}, point=0.0)
