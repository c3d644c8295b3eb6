"""Pictures of notebook 09: a network that shrinks, panels of curves, sparse matrices before and after QR, stored races."""

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import (
    Curve,
    CurvePanel,
    compression_figure,
    compression_layout,
    compression_traces,
    log_tick,
    race_figure,
    sparsity_figure,
    sparsity_layout,
    sparsity_traces,
    stacked_figure,
    stacked_ranges,
    stacked_traces,
)
from nbkit.figures.compress import _LEVELS, _painted

WIDTHS, KEPT = (1, 4, 4, 1), (1, 2, 3, 1)
MATRICES = [np.ones((4, 2)), np.ones((4, 5)), np.ones((1, 5))]
RUNS = {
    "net": ["full", "full", "compressed", "compressed"],
    "seed": [0, 1, 0, 1],
    "steps": [100, 300, 200, 3000],
    "reached": [1, 1, 1, 0],
    "seconds_per_step": [0.004, 0.004, 0.002, 0.002],
    "seconds": [0.4, 1.2, 0.4, 6.0],
}


def named(figure):
    return {trace.name: trace for trace in figure.data}


def test_only_what_is_kept_is_drawn_as_nodes_and_every_pair_is_wired():
    traces = named(compression_figure(WIDTHS, KEPT, MATRICES))
    assert np.bincount(traces["nodes"].x).tolist() == list(KEPT)
    assert len(traces["wires"].x) == 3 * (1 * 2 + 2 * 3 + 3 * 1)
    assert list(traces["widths"].text) == ["1", "4 → <b>2</b>", "4 → <b>3</b>", "1"]
    assert list(traces["turned"].text) == ["4 × 2", "4 × 5", "1 × 5"]
    assert list(traces["kept"].text) == ["2 × 2", "3 × 3", "1 × 4"]
    gone = traces["taken away"]
    assert gone.x[::3].tolist() == [1, 2] and np.allclose(gone.y[1::3] - gone.y[::3], 1)  # the widest fill the height


def test_of_a_wide_layer_sixteen_nodes_are_drawn():
    *_, nodes, _, _, _ = compression_traces((2, 200, 2), (2, 200, 2))
    assert np.bincount(nodes["x"]).tolist() == [2, 16, 2]


def test_the_frame_stands_round_the_kept_block():
    layout = compression_layout(WIDTHS, KEPT, MATRICES)
    assert len(layout["images"]) == 6 and len(layout["shapes"]) == 12
    whole, block = layout["shapes"][2:4]  # of the second matrix: 3 of 4 rows, 3 of 5 columns
    assert (block["x1"] - block["x0"]) / (whole["x1"] - whole["x0"]) == pytest.approx(3 / 5)
    assert (block["y0"] - block["y1"]) / (whole["y0"] - whole["y1"]) == pytest.approx(3 / 4)


def test_zeros_are_blank_and_what_multiplies_zeros_is_pale(monkeypatch):
    painted = []
    monkeypatch.setattr("nbkit.figures.compress.encode_png", lambda levels, *_, **__: painted.append(levels) or b"")
    _painted(np.array([[4.0, 1.0, -4.0], [0.0, 1e-13, 1.0]]), (1, 2))
    top, half = _LEVELS - 1, round(0.75 * (_LEVELS - 1))  # sqrt(1 / 4) of the way from white to the end
    assert painted[0].tolist() == [[top, half, _LEVELS], [2 * _LEVELS, 2 * _LEVELS, _LEVELS + half]]


@pytest.mark.parametrize(
    ("widths", "kept", "matrices", "told"),
    [
        ((1, 4, 4, 1), (1, 5, 3, 1), MATRICES, "kept must be at most"),
        ((1, 4, 4, 1), (1, 2, 1), MATRICES, "kept must be at most"),
        ((1, 4, 4, 1), KEPT, MATRICES[:2], r"matrices must be \(n_out, 1 \+ n_in\)"),
        ((1, 0, 1), (1, 0, 1), MATRICES, "widths"),
    ],
)
def test_widths_and_matrices_that_do_not_fit_are_refused(widths, kept, matrices, told):
    with pytest.raises(NbkitError, match=told):
        compression_figure(widths, kept, matrices)


PANELS = [
    CurvePanel([Curve("a", [0, 10], [1.0, 2.0], "radial"), Curve("b", [0, 4], [1.0, 2.0], "radial", marker="circle")], "x", "y"),
    CurvePanel([Curve("gap", [0, 10], [1e-8, np.nan], "radial")], "steps", "gap", log_y=True, height=100),
]  # fmt: skip


def test_each_panel_has_axes_of_its_own_from_top_to_bottom():
    figure = stacked_figure(PANELS)
    assert [trace.xaxis for trace in figure.data] == ["x"] * 5 + ["x2"] * 3
    assert figure.layout.yaxis2.type == "log" and figure.layout.xaxis2.title.text == "steps"
    assert figure.layout.yaxis.domain[0] > figure.layout.yaxis2.domain[1] and figure.layout.yaxis2.domain[0] == 0
    assert len(stacked_traces(PANELS)) == len(figure.data)


def test_labels_of_lines_that_end_together_keep_apart_in_one_column():
    figure = stacked_figure(PANELS)
    labels = figure.data[4]
    assert list(labels.text) == [" a", " b"] and list(labels.x) == [10, 10]
    # 17 px of a panel of 200 px that shows 1 to 2
    assert abs(labels.y[1] - labels.y[0]) == pytest.approx(17 / 200)
    wide = stacked_traces(PANELS, y_ranges=[(0.0, 10.0), (1e-9, 1e-7)])[4]["y"]
    assert abs(wide[1] - wide[0]) == pytest.approx(10 * 17 / 200)


def test_ranges_hold_all_that_is_drawn_and_a_log_axis_more_than_a_decade():
    (x, y), (_, gap) = stacked_ranges(PANELS)
    assert x[0] < 0 and x[1] > 10 and y[0] < 1 and y[1] > 2
    assert gap[0] < 1e-8 < gap[1] and gap[1] / gap[0] > 10
    assert stacked_ranges([CurvePanel([Curve("", [], [])], "x", "y")]) == [(None, None)]


@pytest.mark.parametrize(("shown", "decades"), [((1e-3, 1.0), 1), ((1e-16, 1.0), 5), ((0.5, 1.0), 1)])
def test_labels_of_a_log_axis_have_thirty_pixels_each(shown, decades):
    assert log_tick(PANELS[1], shown) == decades  # of 100 px


def test_no_panel_is_refused():
    with pytest.raises(NbkitError, match="at least one"):
        stacked_figure([])


def test_sparse_matrices_stand_over_compressed_ones():
    curves = [Curve("sparse", [0.1, 1.0], [10.0, 100.0], "radial")]
    before, after = [np.ones((4, 2)), np.ones((3, 5))], [np.ones((2, 2)), np.ones((3, 3))]
    figure = sparsity_figure(curves, before, after)
    traces = named(figure)
    assert list(traces["before"].text) == ["4 × 2", "3 × 5"] and list(traces["after"].text) == ["2 × 2", "3 × 3"]
    assert [image.yref for image in figure.layout.images] == ["y2", "y2", "y3", "y3"]
    assert len(sparsity_traces(curves)) == len(figure.data)
    with pytest.raises(NbkitError, match="after must have one matrix for each of the 2"):
        sparsity_layout(before, after[:1])


def test_a_race_pairs_seeds_marks_stalls_and_counts_them_as_infinite_in_medians():
    figure = race_figure(RUNS | {"lr": [0.01] * 4})
    lines, arrived, stalled, medians = figure.data[:4]
    np.testing.assert_array_equal(lines.y, [100, 200, np.nan, 300, 3000, np.nan])
    assert list(arrived.y) == [100, 300, 200] and list(stalled.y) == [3000]
    np.testing.assert_array_equal(medians.y, [200, np.nan])
    assert list(figure.data[4 + 1].y) == [4, 4, 2] and list(figure.data[4 + 3].y) == [4, 2]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"net": ["full", "full", "small", "small"]}, "one of full, compressed"),
        ({"seed": [0, 0, 0, 1]}, "one of each network and seed"),
        ({"steps": [0, 1, 1, 1]}, "above 0"),
        ({"steps": [1, 1]}, "one length"),
    ],
)
def test_runs_of_no_single_race_are_refused(change, told):
    with pytest.raises(NbkitError, match=told):
        race_figure(RUNS | change)
    with pytest.raises(NbkitError, match="got none of"):
        race_figure({"net": []})
