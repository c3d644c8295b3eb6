"""Curves, spectra, trees and the density surface hold the numbers they were given, in the house's look."""

import subprocess
import sys

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import (
    FAMILY_COLOURS,
    Curve,
    curve_traces,
    curves_figure,
    decision_trees_figure,
    density_surface_figure,
    matrix_figure,
    spectrum_figure,
    spectrum_traces,
    wiring_figure,
)
from nbkit.figures.curves import label_places

X = np.arange(5.0)


def figure_of(*curves, **options):
    return curves_figure(curves, x_label="depth d", y_label="arc length ℓ", **options)


def test_a_curve_keeps_its_points_and_its_band_goes_there_and_back():
    curve = Curve("RadiX", X, X**2, lower=X**2 - 1, upper=X**2 + 2)
    band, line, labels = figure_of(curve).data
    assert band.mode == "lines"  # plotly would mark the few points of a short band
    assert np.array_equal(line.x, X)
    assert np.array_equal(line.y, X**2)
    assert np.array_equal(band.y, [*(X**2 + 2), *(X**2 - 1)[::-1]])
    assert band.fillcolor == "rgba(0, 114, 178, 0.2)"
    assert (labels.x[0], labels.y[0], labels.text[0].strip()) == (4, 16, "RadiX")


def test_measured_is_solid_theory_dashed_and_the_papers_values_are_hollow_markers():
    kinds = [Curve(kind, X, X + 1, kind=kind) for kind in ("measured", "theory", "paper")]
    measured, theory, paper = figure_of(*kinds).data[3:6]
    assert (measured.mode, measured.line.dash) == ("lines", None)
    assert theory.line.dash == "dash"
    assert (paper.mode, paper.marker.symbol) == ("markers", "circle-open")


def test_a_family_has_its_colour_and_variants_differ_by_marker():
    curves = [Curve("a", X, X, family="sao"), Curve("b", X, 2 * X, family="sao", marker="square")]
    figure = figure_of(*curves)
    assert {trace.line.color for trace in figure.data[2:4]} == {FAMILY_COLOURS["sao"]}
    assert figure.data[3].marker.symbol == "square"
    assert set(figure.data[4].textfont.color) == {FAMILY_COLOURS["sao"]}


def test_a_log_axis_says_so():
    figure = figure_of(Curve("a", X + 1, X + 1), log_x=True, log_y=True)
    assert figure.layout.xaxis.title.text == "depth d (log)"
    assert figure.layout.yaxis.type == "log"
    assert figure_of(Curve("a", X, X)).layout.yaxis.title.text == "arc length ℓ"


def test_the_number_of_traces_is_constant_and_an_empty_curve_has_no_label():
    later = curve_traces([Curve("a", X, X), Curve("later", [], [])])
    assert len(later) == len(figure_of(Curve("a", X, X), Curve("later", [], [])).data) == 5
    assert [text.strip() for text in later[-1]["text"]] == ["a"]
    gap = curve_traces([Curve("a", X, [1, 2, 3, np.nan, np.nan])])
    assert (gap[-1]["x"][0], gap[-1]["y"][0]) == (2, 3)


@pytest.mark.parametrize("log", [False, True])
def test_labels_never_cover_each_other_and_keep_the_order_of_their_lines(log):
    ends = np.array([1.0, 1.0, 1.001, 9.0, 0.999, 10.0])
    places = label_places(ends, [np.array([0.1, 10.0])], log=log)
    placed = np.log10(places) if log else places
    gap = (2.0 if log else 9.9) * 17 / 300
    assert (np.diff(np.sort(placed)) >= gap * (1 - 1e-9)).all()
    assert np.array_equal(np.argsort(placed, kind="stable"), np.argsort(ends, kind="stable"))


@pytest.mark.parametrize(("value", "log", "span"), [(2.0, False, 2.0), (0.0, False, 1.0), (50.0, True, 1.0)])
def test_labels_keep_apart_where_all_that_is_drawn_is_equal(value, log, span):
    places = label_places([value] * 5, [np.full(3, value)], log=log)
    placed = np.log10(places) if log else places
    assert np.allclose(np.diff(placed), span * 17 / 300)


def test_labels_keep_apart_on_the_axis_that_is_shown():
    curves = [Curve(name, X, np.full(len(X), 0.5) + 1e-9) for name in "abc"]
    labels = curve_traces(curves, y_range=(0.0, 3.0))[-1]
    assert np.allclose(np.diff(labels["y"]), 3.0 * 17 / 300)


def test_labels_with_room_stay_at_their_lines():
    assert np.allclose(label_places([1.0, 5.0, 9.0], [np.array([0.0, 10.0])]), [1, 5, 9])


@pytest.mark.parametrize(
    ("curve", "options", "rule"),
    [
        (Curve("a", X, X[:3]), {}, "equally long"),
        (Curve("a", X, X, kind="guess"), {}, "kind must be one of"),
        (Curve("a", X, X, family="blue"), {}, "family must be one of"),
        (Curve("a", X, X), {"log_y": True}, "y must be above 0 on a log axis"),
        (Curve("a", X, X + 1), {"log_x": True}, "x must be above 0 on a log axis"),
        (Curve("a", X, X + np.inf), {}, "infinite"),
        (Curve("a", X, X, lower=X), {}, "given together"),
        (Curve("a", X, X, lower=X[:2], upper=X), {}, "5 entries as x"),
        (Curve("a", X, X, lower=X + 1, upper=X), {}, "upside down"),
        (Curve("a", X, [["x"] * 5]), {}, "y must be an array of numbers"),
    ],
)
def test_a_curve_that_cannot_be_drawn_is_refused_by_name(curve, options, rule):
    with pytest.raises(NbkitError, match=f"curve 'a'.*{rule}"):
        figure_of(curve, **options)


def test_no_curve_is_refused():
    with pytest.raises(NbkitError, match="at least one Curve"):
        figure_of()


def test_a_spectrum_is_drawn_exactly_with_its_multiplicities():
    # SAO 12 x 8, c = 3: adjacency sqrt(6) x 4, -sqrt(6) x 4, 0 x 12
    values = np.sqrt(6) * np.repeat([1.0, 0.0, -1.0], [4, 12, 4])
    traces = spectrum_traces({"SAO": values}, bounds={"bound": 2.414})
    assert np.array_equal(traces[0]["y"][:-1], values)
    assert traces[2]["text"] == ["2.449 × 4", "0 × 12", "−2.449 × 4"]
    assert np.array_equal(traces[2]["x"], [2, 10, 18])
    assert np.array_equal(traces[0]["customdata"][:-1], np.repeat([4, 12, 4], [4, 12, 4]))
    assert np.array_equal(traces[3]["y"][:2], [2.414, 2.414])


def test_rounding_does_not_split_a_plateau_nor_blur_the_zeros():
    noisy = np.sort(np.repeat([4.0, 0.0], [8, 24]) + 1e-9 * np.random.default_rng(0).random(32))[::-1]
    assert spectrum_traces({"a": noisy})[2]["text"] == ["4 × 8", "0 × 24"]


def test_spectra_have_their_familys_colour_and_bounds_are_dashed():
    figure = spectrum_figure({"a": [2.0, 1.0], "b": [3.0]}, families={"a": "sao", "b": "xnet"}, bounds={"2√(d−1)": 2.0})
    assert [trace.line.color for trace in figure.data[:2]] == [FAMILY_COLOURS["sao"], FAMILY_COLOURS["xnet"]]
    assert figure.data[4].line.dash == "dash"
    assert "2√(d−1)" in figure.data[4].text
    assert len(figure.data) == 2 + 3


@pytest.mark.parametrize(
    ("spectra", "rule"),
    [
        ({}, "at least one entry"),
        ({"a": []}, "at least one"),
        ({"a": [1, 2]}, "descend"),
        ({"a": [1, np.nan]}, "finite"),
    ],
)
def test_what_is_no_spectrum_is_refused(spectra, rule):
    with pytest.raises(NbkitError, match=f"spectrum_figure.*{rule}"):
        spectrum_figure(spectra)


def binary_layers():
    nodes = np.arange(8)
    return [np.stack([np.repeat(nodes, 2), (np.repeat(nodes, 2) + np.tile([0, v], 8)) % 8]) for v in (1, 2, 4)]


def test_the_tree_of_a_node_has_every_output_once_as_a_leaf():
    figure = decision_trees_figure([8] * 4, binary_layers(), root=3)
    marks = figure.data[3]
    leaves = [int(text) for text, x in zip(marks.text, marks.x, strict=True) if x == 3]
    assert sorted(leaves) == list(range(8))
    assert len(figure.data[0].x) == 3 * (2 + 4 + 8)  # wires of one tree
    assert len(figure.data[1].x) == 3 * 48  # of all trees: every wire of the topology


def test_a_tree_that_is_too_large_or_has_no_root_is_refused():
    with pytest.raises(NbkitError, match="at most 64 paths"):
        decision_trees_figure([8] * 8, [np.argwhere(np.ones((8, 8))).T] * 7)
    with pytest.raises(NbkitError, match="root must be an integer between 0 and 7"):
        decision_trees_figure([8] * 4, binary_layers(), root=8)


def test_the_density_surface_is_logarithmic_and_hover_says_the_density():
    means, depths = np.array([2.0, 10.0]), np.array([2.0, 3.0, 4.0])
    densities = means ** (1 - depths[:, None])
    surface = density_surface_figure(means, depths, densities).data[0]
    assert surface.z[1][1] == pytest.approx(-2)  # mu = 10, d = 3: 0.01
    assert surface.customdata[0][0] == pytest.approx(0.5)
    for wrong in (densities.T, -densities):
        with pytest.raises(NbkitError, match="densities must be above 0 with shape"):
            density_surface_figure(means, depths, wrong)


def test_every_figure_has_the_shared_template_and_a_light_card():
    figures = [
        figure_of(Curve("a", X, X), title="A finding"),
        spectrum_figure({"a": [1.0]}, title="A finding"),
        matrix_figure(np.eye(2), title="A finding"),
        wiring_figure((2, 2), [np.array([[0, 1], [1, 0]])], title="A finding"),
        decision_trees_figure([8] * 4, binary_layers(), title="A finding"),
    ]
    for figure in figures:
        assert figure.layout.title.text == "A finding"
        assert figure.layout.template.layout.paper_bgcolor == "#FDFCFA"
        assert figure.layout.uirevision == "keep"
        assert figure.layout.height >= 150


def test_the_look_is_the_style_sheets():
    assert dict(FAMILY_COLOURS) == {
        "radix": "#0072B2",
        "sao": "#D55E00",
        "xnet": "#009E73",
        "pruned": "#CC79A7",
        "dense": "#333333",
        "radial": "#E69F00",
        "decay": "#56B4E9",
    }


def test_a_long_title_is_wrapped_and_has_room():
    short, long = (figure_of(Curve("a", X, X), title=title) for title in ("Short", "word " * 30))
    assert "<br>" in long.layout.title.text
    assert long.layout.margin.t > short.layout.margin.t


def test_figures_need_neither_torch_nor_widgets():
    code = "import sys, nbkit.figures; print(sorted({'torch', 'ipywidgets', 'anywidget'} & set(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert output.stdout.strip() == "[]"


def test_no_picture_may_upload_itself():
    assert "sendChartToCloud" in figure_of(Curve("a", X, X)).layout.template.layout.modebar.remove


@pytest.mark.parametrize("log", [False, True])
def test_labels_stay_within_the_axis_that_is_shown(log):
    axis, ends = [np.array([1.0, 100.0])], [100.0, 100.0, 100.0, 1.0, 1.0, 50.0]
    places = np.sort(label_places(ends, axis, log=log, inside=True))
    assert places[0] >= 1 - 1e-9 and places[-1] <= 100 * (1 + 1e-9)
    gaps = np.diff(np.log10(places)) / 2 if log else np.diff(places) / 99
    assert gaps.min() * 300 > 16.9  # px, the height of a label


def test_a_curve_without_a_name_takes_no_room_from_labels():
    named, nameless = Curve("RadiX", X, X), Curve("", X, X)
    labels = curve_traces([nameless, named, nameless])[-1]
    assert list(labels["text"]) == [" RadiX"] and list(labels["y"]) == [4.0]
