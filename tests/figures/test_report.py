"""Pictures of a report: every part holds its numbers in the same traces, whatever the network's size."""

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import REPORT_PARTS, report_figure, report_layout, report_panels, report_traces

NAMES = ["first", "second", "third"]
MASK = np.array([[1, 0, 0, 1], [0, 0, 1, 0]], dtype=bool)
DATA = {
    "wires": {
        "names": NAMES,
        "density": np.array([0.5, 0.25, 1.0]),
        "n_edges": [4, 2, 8],
        "n_possible": [8, 8, 8],
        "n_dead": [0, 3, 0],
        "mask": MASK,
    },
    "reach": {
        "names": NAMES,
        "matrix": MASK,
        "fraction": np.array([0.2, 0.5, 0.75]),
        "n_dead": [0, 2, 0],
        "n_units": [4, 8, 4],
    },
    "spectra": {"names": NAMES, "values": [np.array([1.0, 3.0]), np.array([2.0, 0.0, 1.0]), np.array([0.5])]},
    "jacobian": {"log10": np.array([[1.0, 0.0, -np.inf], [3.0, -2.0, -4.0]])},
    "growth": {"names": ["input", *NAMES], "length": np.array([2.0, 1.0, 0.0, 0.0]), "factor": np.array([0.5, 0, np.nan])},
    "removable": {"what": ["dead", "small"], "before": [100, 100], "after": [80, 100], "lossless": [True, False]},
}  # fmt: skip


def drawn(part, layer=2):
    """(left, right): name of the trace -> what it holds."""
    traces = report_figure(part, DATA[part], layer=layer).data
    return [{trace.name: trace for trace in half} for half in (traces[:8], traces[8:])]


@pytest.mark.parametrize("part", [*REPORT_PARTS])
def test_every_part_has_the_same_sixteen_traces_and_finite_axes(part):
    figure, empty = report_figure(part, DATA[part]), report_figure(part, None)
    assert [(t.name, t.xaxis) for t in figure.data] == [(t.name, t.xaxis) for t in empty.data] and len(
        figure.data
    ) == 16
    assert all(np.isfinite(figure.layout[axis].range).all() for axis in ("xaxis", "yaxis", "xaxis2", "yaxis2"))
    assert sum(len(t.x) for t in empty.data) == 0 < sum(len(t.x) for t in figure.data)


def test_bars_are_as_high_as_densities_and_the_layer_looked_at_has_a_ring():
    left, right = drawn("wires")
    assert right["kept"].y[2::6].tolist() == [0.5, 0.25, 1.0] and right["all"].y[2::6].tolist() == [1, 1, 1]
    assert (right["this layer"].x.tolist(), right["this layer"].y.tolist()) == ([2], [0.25])
    assert right["values"].customdata[1] == "second: 2 of 8 wires<br>3 nodes without"
    assert left["words"].text == ()


def test_a_matrix_is_drawn_row_by_row_and_told_where_it_is_missing():
    layout = report_layout(report_panels("wires", DATA["wires"]))
    [image] = layout["images"]
    assert (image["sizex"], image["sizey"]) == (4, 2) and layout["yaxis"]["range"] == [1.5, -0.5]
    without = report_panels("wires", DATA["wires"] | {"mask": None})
    assert report_layout(without)["images"] == [] and without[0].words[2] == ["not a matrix that can be drawn"]


def test_reach_shows_shares_joined_and_dead():
    _, right = drawn("reach")
    assert right["line"].y.tolist() == [0.2, 0.5, 0.75]
    assert right["all"].y[2::6].tolist() == [0, 0.25, 0] and list(right["words"].text) == ["2"]


def test_a_spectrum_descends_and_zeros_are_no_points_of_a_log_axis():
    left, right = drawn("spectra")
    np.testing.assert_array_equal(left["line"].y, [2, 1, np.nan])
    assert np.nanmax(left["others"].y) == 3 and right["values"].y.tolist() == [2, 1.5, 0.5]  # medians of what is not 0
    assert right["others"].y[:2].tolist() == [1, 3]


def test_jacobian_lines_are_points_and_the_dark_one_their_median():
    left, right = drawn("jacobian")
    np.testing.assert_array_equal(left["others"].y, [1, 0, np.nan, np.nan, 3, -2, -4, np.nan])
    np.testing.assert_array_equal(left["line"].y, [2, -1, np.nan])  # of 0 and another value, in the middle 0
    assert len(right["line"].x) == 0


def test_the_median_counts_zeros_and_never_rises():
    ranks = [3, 11, 6]
    logs = np.full((3, 64), -np.inf)
    for row, (rank, top) in zip(logs, zip(ranks, (0, 2, 1))):
        row[:rank] = top - 0.1 * np.arange(rank)
    [panel] = report_panels("jacobian", {"log10": logs})
    middle = panel.line[1]
    assert np.isfinite(middle).tolist() == [True] * 6 + [False] * 58
    assert (np.diff(middle[:6]) <= 0).all()


def test_growth_ends_where_the_line_has_become_a_point():
    left, right = drawn("growth")
    np.testing.assert_array_equal(left["line"].y, [2, 1, np.nan, np.nan])
    np.testing.assert_array_equal(right["line"].y, [0.5, 0, np.nan])


def test_what_goes_is_told_in_words_and_bars():
    left, _ = drawn("removable")
    assert left["kept"].x[1::6].tolist() == [80, 100] and left["all"].x[1::6].tolist() == [100, 100]
    assert list(left["words"].text) == ["<b>dead</b>: 100 → 80, nothing is lost", "<b>small</b>: none"]


@pytest.mark.parametrize("n", [1, 40, 1000])
def test_networks_of_any_depth_have_as_many_traces(n):
    data = {"names": [f"layers.{k}" for k in range(n)], "values": [np.ones(3)] * n}
    panels = report_panels("spectra", data, layer=n)
    assert len(report_traces(panels)) == 16
    assert (panels[1].x_ticks is None) == (n > 11)


def test_other_data_are_refused():
    with pytest.raises(NbkitError, match="report_figure: part must be one of 'wires'"):
        report_panels("sound", None)
    with pytest.raises(NbkitError, match="report_figure: data must be those of 'growth' with at least 1 layers"):
        report_panels("growth", DATA["wires"])
    with pytest.raises(NbkitError, match="with at least 4 layers"):
        report_panels("wires", DATA["wires"], layer=4)
