"""Two sides under one measure: shared axes, the other's curve faint, matrices on one scale."""

import base64

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import (
    FAMILY_COLOURS,
    LabAxes,
    LabSide,
    lab_figure,
    lab_layout,
    lab_ranges,
    lab_ticks,
    lab_title,
    lab_top,
    lab_traces,
)

DEPTHS = np.arange(4)
A = LabSide("RadiX", "radix", x=DEPTHS, y=2.0**DEPTHS, low=1.5**DEPTHS, high=3.0**DEPTHS, theory=2.1**DEPTHS)
B = LabSide("SAO", "sao", x=DEPTHS[:2], y=[1.0, 0.5])
LINEAR, LOG = LabAxes("depth L", "length"), LabAxes("depth L", "length", log_y=True)
INK = np.eye(4, dtype=bool)


def test_each_panel_has_its_own_curve_and_the_others_faint():
    figure = lab_figure(A, B, LINEAR)
    by_name = {trace.name: trace for trace in figure.data}
    assert list(by_name) == ["A band", "A other", "A theory", "A", "B band", "B other", "B theory", "B"]
    assert by_name["A"].y.tolist() == by_name["B other"].y.tolist() == [1, 2, 4, 8]
    assert by_name["B"].y.tolist() == by_name["A other"].y.tolist() == [1, 0.5]
    assert by_name["A"].line.color == by_name["B other"].line.color == FAMILY_COLOURS["radix"]
    assert {trace.xaxis for trace in figure.data[:4]} == {"x"} and {trace.xaxis for trace in figure.data[4:]} == {"x2"}


def test_both_panels_share_one_scale_that_shows_every_part():
    figure = lab_figure(A, B, LINEAR)
    assert figure.layout.xaxis2.matches == "x" and figure.layout.yaxis2.matches == "y"
    ranges = lab_ranges(A, B, LINEAR)
    (left, right), (low, high) = ranges["x"], ranges["y"]
    assert left < 0 and right > 3 and low < 0.5 and high > 27
    assert figure.layout.yaxis.range == figure.layout.yaxis2.range == (low, high)


def test_a_band_is_one_outline_along_its_upper_edge_and_back():
    band = lab_traces(A, B, LINEAR)[0]
    assert band["x"].tolist() == [0, 1, 2, 3, 3, 2, 1, 0]
    assert np.allclose(band["y"], [1, 3, 9, 27, 1.5**3, 1.5**2, 1.5, 1])


def test_a_log_axis_leaves_out_what_is_not_above_0_and_keeps_the_band_open_below():
    dying = LabSide("dies", "dense", x=[0, 1, 2], y=[1.0, 0.5, 0.0], low=[1.0, 0.0, 0.0], high=[1.0, 1.0, 1.0])
    band, _, _, line = lab_traces(dying, B, LOG)[:4]
    assert np.isnan(line["y"][2]) and line["y"][:2].tolist() == [1, 0.5]
    assert (band["y"] > 0).all() and band["y"].min() <= 0.5 / 100
    low, high = lab_ranges(dying, B, LOG)["y"]
    assert np.log10(0.5 / 1000) > low > -5 and 0 < high < 1


def test_matrices_stand_above_the_curves_on_one_scale():
    one, other = (LabSide(name, "xnet", x=[0], y=[1], matrix=INK * size) for name, size in (("x", 2.0), ("y", 8.0)))
    figure = lab_figure(one, other, LabAxes("depth L", "share", picture="paths"))
    assert figure.layout.yaxis.domain == figure.layout.yaxis2.domain and figure.layout.yaxis.domain[1] < 0.5
    assert all(image.y - image.sizey > figure.layout.yaxis.domain[1] for image in figure.layout.images)
    assert [image.x for image in figure.layout.images] == [figure.layout[f"xaxis{k}"].domain[0] for k in ("", 2)]
    caption = figure.layout.annotations[-1].text
    assert caption.startswith("paths: 0 ") and caption.endswith(" 8")
    sources = [base64.b64decode(image.source.split(",")[1]) for image in figure.layout.images]
    assert sources[0] != sources[1]  # on one scale 2 is darker than 8


def test_without_matrices_curves_have_the_whole_height():
    assert lab_figure(A, B, LINEAR).layout.yaxis.domain == (0, 1)


def test_0_and_1_are_ink_and_need_no_scale():
    layout = lab_layout(
        LabSide("x", "xnet", matrix=INK), LabSide("y", "sao", matrix=~INK), LabAxes("v", "u", picture="who")
    )
    assert layout["annotations"][-1]["text"] == "who"
    png = base64.b64decode(layout["images"][0]["source"].split(",")[1])
    assert png[24] == 1  # bits a pixel


def test_a_side_that_is_not_there_yet_leaves_its_panel_empty():
    figure = lab_figure(A, LabSide("later", "sao"), LOG)
    assert len(figure.data) == 8 and not figure.data[7].x.size
    assert lab_ranges(LabSide("later", "sao"), LabSide("later", "sao"), LOG) == {}
    assert [note.text for note in figure.layout.annotations] == ["<b>A · RadiX</b>", "<b>B · later</b>"]


@pytest.mark.parametrize(("ends", "dtick"), [((-0.2, 0.1), "D1"), ((-1.0, 1.0), "D2"), ((-11.0, 1.0), 2)])
def test_a_log_axis_names_as_many_values_as_there_is_room_for(ends, dtick):
    assert lab_ticks(ends, log=True) == {"range": ends, "tickmode": "linear", "dtick": dtick}
    assert lab_ticks(ends, log=False)["dtick"] is None


def test_a_long_title_gets_its_room_and_keeps_it():
    short, long = "<br>".join("abc"), "<br>".join("abcdefgh")
    assert lab_top(short) == lab_top("") < lab_top(long) == lab_top(short, lab_top(long))


def test_the_title_is_the_question_in_bold_and_its_answer_in_lines_that_fit():
    title = lab_title("Which?", "word " * 30, height=500)["text"].split("<br>")
    assert title[0] == "<b>Which?</b>" and len(title) == 4 and max(map(len, title)) < 70


def test_what_does_not_fit_is_refused():
    with pytest.raises(NbkitError, match=r"lab_figure \('x'\): low must have 2 entries as x, got 1"):
        lab_traces(LabSide("x", "sao", x=[0, 1], y=[0, 1], low=[0], high=[1, 2]), B, LINEAR)
    with pytest.raises(NbkitError, match="lab_figure: matrix must have at least one row"):
        lab_layout(LabSide("x", "sao", matrix=np.empty((0, 2))), B, LINEAR)
    with pytest.raises(NbkitError, match="family must be one of"):
        lab_figure(LabSide("x", "nobody"), B, LINEAR)
