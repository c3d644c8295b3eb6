"""The picture of phase diagrams: cells where they belong, unknown ones empty, lines and their names."""

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import PhasePanel, phase_axes, phase_figure, phase_traces

X, Y = np.array([1.0, 4.0, 16.0]), np.array([1.0, 100.0])
VALUES = np.array([[1.0, 2.0, np.nan], [0.5, 0.0, 8.0]])
LINES = ("measured", "law")
PANEL = PhasePanel("live", X, Y, VALUES, lines={"measured": (X, [50.0, 20, 5]), "law": (X, [0.01, 2, 20])})
LABELS = {"x_label": "α", "y_label": "σ", "value_label": "growth"}


def test_cells_meet_halfway_on_a_logarithmic_axis_and_unknown_ones_are_empty():
    cells = phase_traces([PANEL], LINES)[0]
    np.testing.assert_allclose(cells["x"], [0.5, 2, 8, 32])
    np.testing.assert_allclose(cells["y"], [0.1, 10, 1000])
    assert cells["z"] == [[1.0, 2.0, None], [0.5, 0.0, 8.0]]
    assert cells["text"][0][1] == "2 at 1, 4"
    assert phase_axes([PANEL])["xaxis"] == pytest.approx((0.5, 32))


def test_a_signed_map_is_white_at_1_and_ends_at_4():
    figure = phase_figure([PANEL], LINES, **LABELS, signed=True)
    assert list(figure.data[0].z[0][:2]) == [0, 1] and figure.data[0].z[1][2] == 3.0
    axis = figure.layout.coloraxis
    assert (axis.cmin, axis.cmax) == (-2, 2) and axis.colorscale[1][1].upper() == "#FFFFFF"
    assert list(axis.colorbar.ticktext)[2:4] == ["1", "2"] and list(axis.colorbar.tickvals)[2:4] == [0, 1]


def test_lines_are_solid_then_dashed_and_those_that_are_there_are_named_below_one_another():
    figure = phase_figure([PANEL], LINES, **LABELS)
    solid, dashed, words = figure.data[1:]
    assert (solid.line.dash, dashed.line.dash) == ("solid", "dash")
    assert [text.strip() for text in words.text] == ["── measured", "- - law"] and words.y[0] > words.y[1] > 0.1
    alone = PhasePanel("live", X, Y, VALUES, lines={"law": PANEL.lines["law"]})
    assert [text.strip() for text in phase_traces([alone], LINES)[-1]["text"]] == ["- - law"]


def test_axes_are_logarithmic_and_say_so_and_panels_are_named():
    figure = phase_figure([PANEL, PhasePanel("stored")], LINES, **LABELS, title="It grows")
    assert figure.layout.xaxis2.type == figure.layout.yaxis.type == "log"
    assert figure.layout.xaxis.title.text == "α (log)" and figure.layout.xaxis.range == pytest.approx(
        np.log10([0.5, 32])
    )
    assert [note.text for note in figure.layout.annotations] == ["live", "stored"]


def test_an_empty_panel_has_as_many_traces():
    assert len(phase_traces([PhasePanel()], LINES)) == len(phase_traces([PANEL], LINES)) == 4
    assert len(phase_figure([PhasePanel()] * 2, LINES, **LABELS).data) == 8


@pytest.mark.parametrize(
    ("panel", "told"),
    [
        (PhasePanel("a", X, Y, VALUES.T), r"panel 'a'.*values must have the shape \(2, 3\).*got \(3, 2\)"),
        (PhasePanel("a", X[::-1], Y, VALUES), "x and y must be above 0 and ascend"),
        (PhasePanel("a", X, Y - 1, VALUES), "x and y must be above 0 and ascend"),
    ],
)
def test_shapes_that_do_not_fit_are_told(panel, told):
    with pytest.raises(NbkitError, match=told):
        phase_figure([panel], LINES, **LABELS)
