"""The picture of several families' reach: one panel each, names with percentages, places that fill up."""

import base64
import struct
import zlib

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import Curve, ReachPanel, reach_figure, reach_layout

FULL = np.ones((4, 4), dtype=bool)
HALF = np.array([[1, 0], [0, 1]])
CURVES = [Curve("one", [1, 2], [0.5, 1.0])]


def headings(layout):
    return [entry["text"] for entry in layout["annotations"]]


def test_each_panel_has_its_name_its_percentage_and_its_picture():
    layout = reach_layout([ReachPanel("full", "radix", FULL), ReachPanel("half", "sao", HALF)], depth=3)
    assert headings(layout) == ["full<br><b>100 %</b>", "half<br><b>50 %</b>"]
    assert [(image["sizex"], image["sizey"], image["xref"]) for image in layout["images"]] == [
        (4, 4, "x2"),
        (2, 2, "x3"),
    ]
    for image in layout["images"]:
        assert base64.b64decode(image["source"].split(",")[1]).startswith(b"\x89PNG")


def test_a_hundred_per_cent_is_said_only_of_a_full_matrix():
    nearly = np.ones((100, 100), dtype=bool)
    nearly[0, 0] = False
    assert headings(reach_layout([ReachPanel("nearly", "sao", nearly)], depth=1)) == ["nearly<br><b>99.9 %</b>"]


def test_a_refused_family_says_why_in_its_empty_panel():
    layout = reach_layout([ReachPanel("RadiX", "radix", None, "256 is no power of 3")], depth=1)
    assert layout["images"] == [] and headings(layout) == ["RadiX", "256 is no power of 3"]


def test_a_hidden_panel_leaves_its_place_to_the_others():
    panels = [
        ReachPanel("a", "radix", FULL, is_shown=False),
        ReachPanel("b", "sao", FULL),
        ReachPanel("c", "xnet", FULL),
    ]
    alone = reach_layout(panels[1:], depth=1)
    layout = reach_layout(panels, depth=1)
    assert not layout["xaxis2"]["visible"] and len(layout["images"]) == 2
    assert [layout[f"xaxis{k}"]["domain"] for k in (3, 4)] == [alone[f"xaxis{k}"]["domain"] for k in (2, 3)]


def test_panels_do_not_overlap_and_stay_left_of_the_curves():
    panels = [ReachPanel(str(k), "sao", FULL) for k in range(7)]
    figure = reach_figure(panels, CURVES, depth=2)
    boxes = [(figure.layout[f"xaxis{k}"].domain, figure.layout[f"yaxis{k}"].domain) for k in range(2, 9)]
    for i, (x, y) in enumerate(boxes):
        assert x[1] < figure.layout.xaxis.domain[0] and 0 <= y[0] < y[1] <= 1
        for other_x, other_y in boxes[:i]:
            assert x[1] <= other_x[0] or other_x[1] <= x[0] or y[1] <= other_y[0] or other_y[1] <= y[0]


def test_the_number_of_traces_depends_on_the_panels_alone_and_the_line_stands_at_the_depth():
    hidden = [ReachPanel("a", "radix", is_shown=False), ReachPanel("b", "sao", FULL)]
    shown = [ReachPanel("a", "radix", FULL), ReachPanel("b", "sao", FULL)]
    first, second = reach_figure(hidden, CURVES, depth=2), reach_figure(shown, CURVES, depth=5)
    assert len(first.data) == len(second.data) == 2 * len(CURVES) + 1 + 2
    assert second.layout.shapes[0].x0 == second.layout.shapes[0].x1 == 5


def test_unknown_family_and_empty_matrix_are_refused():
    with pytest.raises(NbkitError, match="reach_figure: family must be one of"):
        reach_layout([ReachPanel("a", "nobody", FULL)], depth=1)
    with pytest.raises(NbkitError, match="reach_figure: matrix must"):
        reach_layout([ReachPanel("a", "sao", np.empty((0, 4)))], depth=1)


def test_a_large_matrix_is_drawn_in_shades_and_its_fraction_stays_exact():
    stripes = np.zeros((256, 256), dtype=bool)
    stripes[::2] = True
    layout = reach_layout([ReachPanel("stripes", "sao", stripes)], depth=1)
    png = base64.b64decode(layout["images"][0]["source"].split(",")[1])
    width, height, bits = struct.unpack(">IIB", png[16:25])
    assert (width, height, bits) == (128, 128, 8) and headings(layout) == ["stripes<br><b>50 %</b>"]
    palette = np.frombuffer(png[png.index(b"PLTE") + 4 :][:15], dtype=np.uint8).reshape(5, 3)
    pixels = np.frombuffer(zlib.decompress(png[png.index(b"IDAT") + 4 :]), dtype=np.uint8).reshape(128, 129)
    assert (pixels[:, 1:] == 2).all()  # every two by two entries hold two, half way between paper and ink
    assert np.abs(palette[2].astype(int) - (palette[0].astype(int) + palette[4]) / 2).max() <= 1
