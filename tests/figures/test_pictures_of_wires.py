"""Wiring pictures hold exactly the wires, and can be moved in place."""

import numpy as np
import plotly.graph_objects as go
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import FAMILY_COLOURS, wiring_axes, wiring_figure, wiring_traces

SIZES = (4, 6, 3)
GENERATOR = np.random.default_rng(0)
EDGES = [np.argwhere(GENERATOR.random((4, 6)) < 0.4).T, np.argwhere(GENERATOR.random((6, 3)) < 0.5).T]


def drawn(trace, sizes):
    """The wires that a line trace shows, as (layer, source, target)."""
    x, y = np.asarray(trace["x"]).reshape(-1, 3), np.asarray(trace["y"]).reshape(-1, 3)
    assert np.isnan(x[:, 2]).all() or not x.size
    layers = x[:, 0].astype(int)
    sources = y[:, 0] * np.array(sizes)[layers] - 0.5
    targets = y[:, 1] * np.array(sizes)[layers + 1] - 0.5
    return {(int(i), round(float(u)), round(float(v))) for i, u, v in zip(layers, sources, targets, strict=True)}


def wires(edges):
    return {(i, int(u), int(v)) for i, wire in enumerate(edges) for u, v in wire.T}


def test_every_wire_is_one_segment_and_nothing_else_is():
    density, lines, lit, nodes, lit_nodes = wiring_traces(SIZES, EDGES)
    assert drawn(lines, SIZES) == wires(EDGES)
    assert len(lines["x"]) == 3 * sum(wire.shape[1] for wire in EDGES)
    assert len(lit["x"]) == len(lit_nodes["x"]) == len(density["z"]) == 0


def test_every_neuron_can_be_clicked_and_says_its_layer_and_label():
    nodes = wiring_traces(SIZES, EDGES)[3]
    assert [tuple(pair) for pair in nodes["customdata"]] == [(i, u) for i, n in enumerate(SIZES) for u in range(n)]
    assert (np.diff(nodes["y"][:4]) > 0).all()  # with the axis reversed, node 0 stands at the top
    assert wiring_axes(SIZES)["yaxis"]["range"][0] > wiring_axes(SIZES)["yaxis"]["range"][1]


def test_lit_wires_are_those_between_lit_neurons():
    lit = [[0, 2], [1, 3, 5]]
    expected = {(0, u, v) for _, u, v in wires(EDGES[:1]) if u in lit[0] and v in lit[1]}
    traces = wiring_traces(SIZES, EDGES, lit_nodes=lit)
    assert drawn(traces[2], SIZES) == expected
    assert [tuple(pair) for pair in traces[4]["customdata"]] == [(0, 0), (0, 2), (1, 1), (1, 3), (1, 5)]


def test_lit_wires_can_be_given_one_by_one():
    masks = [np.arange(wire.shape[1]) == 1 for wire in EDGES]
    traces = wiring_traces(SIZES, EDGES, lit_edges=masks)
    assert drawn(traces[2], SIZES) == wires([wire[:, 1:2] for wire in EDGES])


def test_the_picture_has_five_traces_in_both_modes_and_is_moved_in_place():
    few, many = wiring_figure(SIZES, EDGES), wiring_figure((100, 100), [np.tile(np.arange(100), (2, 1))])
    assert [trace.name for trace in few.data] == [trace.name for trace in many.data]
    assert len(few.data) == 5
    for trace, values in zip(few.data, wiring_traces((100, 100), [np.tile(np.arange(100), (2, 1))]), strict=True):
        trace.update(values)
    assert few.data[0].visible is True
    assert len(few.data[1].x) == 0


@pytest.mark.parametrize("sizes", [(128, 256), (100, 70), (3, 200)])
def test_a_density_picture_adds_up_to_the_wires(sizes):
    pairs = np.argwhere(np.random.default_rng(1).random(sizes) < 0.2).T
    z = wiring_traces(sizes, [pairs])[0]["z"]
    assert max(z.shape) <= 64
    if all(size % 64 == 0 for size in sizes):  # equal ranges: the mean of the cells is the density
        assert z.mean() == pytest.approx(pairs.shape[1] / np.prod(sizes), rel=1e-12)
    assert ((z >= 0) & (z <= 1)).all()
    dense = np.argwhere(np.ones(sizes)).T
    assert (wiring_traces(sizes, [dense])[0]["z"] == 1).all()


def test_too_many_wires_become_a_density_picture_even_between_few_neurons():
    dense = np.argwhere(np.ones((64, 64))).T
    assert wiring_traces((64, 64), [dense])[0]["visible"] is False
    assert wiring_traces((64, 64, 64), [dense, dense])[0]["visible"] is True


def test_a_long_column_keeps_64_marks_that_can_be_clicked():
    nodes = wiring_traces((1000, 2), [np.array([[0], [0]])])[3]
    labels = nodes["customdata"][nodes["customdata"][:, 0] == 0, 1]
    assert len(labels) == 64
    assert labels[0] == 0


def test_lit_wires_have_the_familys_colour():
    for family in ("sao", "radix"):
        figure = wiring_figure(SIZES, EDGES, lit_nodes=[[0]], family=family)
        assert figure.data[2].line.color == figure.data[4].marker.color == FAMILY_COLOURS[family]
    assert isinstance(figure, go.Figure)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (((4, 6), EDGES), "edges must have one array for each of the 1 layers"),
        (((4, 5, 3), EDGES), "targets below 5"),
        (((4, 0, 3), EDGES), "entry 2 of sizes"),
        (((4, 6, 3), [EDGES[0].T, EDGES[1]]), r"\(2, n_edges\)"),
        (((4, 6, 3), [EDGES[0] - 1, EDGES[1]]), "sources below 4"),
        (((4, 6, 3), [EDGES[0].astype(float), EDGES[1]]), "integer array"),
    ],
)
def test_sizes_and_edges_that_disagree_are_refused(arguments, rule):
    with pytest.raises(NbkitError, match=rule):
        wiring_figure(*arguments)


@pytest.mark.parametrize(
    ("lit", "rule"),
    [
        ({"lit_nodes": [[4]]}, "labels below 4"),
        ({"lit_nodes": [[-1]]}, "labels below 4"),
        ({"lit_nodes": [[0]] * 4}, "at most 3 arrays"),
        ({"lit_edges": [np.ones(1, dtype=bool)] * 2}, "one bool array a layer"),
        ({"family": "blue"}, "family must be one of"),
    ],
)
def test_what_cannot_be_lit_is_refused(lit, rule):
    with pytest.raises(NbkitError, match=rule):
        wiring_figure(SIZES, EDGES, **lit)
