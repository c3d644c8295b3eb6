"""The picture of printed accuracies beside ours: hollow and full, one marker a method, chance below."""

import pytest

from nbkit.errors import NbkitError
from nbkit.figures import FAMILY_COLOURS, conv_tables_figure

PAPER = {("Dense", 1.0, 8): 81.0, ("SAO", 0.5, 8): 79.0, ("SAO", 0.5, 16): 80.0, ("SAO", 0.25, 8): 77.0}


def lines(figure, axis):
    there = [trace for trace in figure.data if trace.yaxis == axis and trace.x is not None and len(trace.x)]
    return [trace for trace in there if trace.mode != "text"]


def test_printed_values_are_hollow_and_named_only_where_ours_are_not():
    figure = conv_tables_figure(PAPER, {("SAO", 0.5, 8): 60.0}, density=0.5, depth=8)
    dense, printed, ours, chance = lines(figure, "y")
    assert (dense.name, printed.name, ours.name, chance.name) == ("Dense", "", "SAO", "chance")
    assert printed.marker.symbol == "circle-open" and printed.y.tolist() == [79, 80] and printed.x.tolist() == [3, 4]
    assert ours.y.tolist() == [60] and ours.mode == "lines+markers" and ours.line.color == FAMILY_COLOURS["sao"]
    assert chance.y.tolist() == [10, 10] and chance.line.dash == "dash"


def test_against_density_the_dense_network_stands_at_1():
    _, sao, _ = lines(conv_tables_figure(PAPER, {}, density=0.5, depth=8), "y2")
    assert sao.x.tolist() == [-2, -1] and sao.y.tolist() == [77, 79]
    dense, *_ = lines(conv_tables_figure(PAPER, {}, density=0.5, depth=8), "y2")
    assert dense.x.tolist() == [0] and dense.y.tolist() == [81]


def test_an_unknown_method_is_refused():
    with pytest.raises(NbkitError, match="conv_tables_figure: method must be one of"):
        conv_tables_figure({("magic", 0.5, 8): 99.0}, {}, density=0.5, depth=8)
