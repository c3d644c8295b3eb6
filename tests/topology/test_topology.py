"""A topology is a sequence of layers whose sizes chain: slices, concatenation, widths, graph, equality, representation."""

from fractions import Fraction

import networkx as nx
import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.topology import (
    EdgeLayer,
    Topology,
    biregular,
    cayley_expander,
    dense_layer,
    mixed_radix,
    radix_net,
    random_expander,
)

from .kinds import BRAIN_RADICES

MIXED = Topology([biregular(8, 12, 3), random_expander(12, 5, 2, seed=1), dense_layer(5, 7)])


def test_it_is_a_sequence_of_its_layers():
    assert len(MIXED) == 3 and list(MIXED) == list(MIXED.layers) and MIXED[-1] is MIXED.layers[2]
    assert MIXED[1] in MIXED and MIXED.index(MIXED[1]) == 1
    with pytest.raises(IndexError):
        MIXED[3]


def test_sizes_are_one_more_than_the_layers():
    assert MIXED.sizes == (8, 12, 5, 7)


def test_a_slice_is_a_shorter_chain():
    part = MIXED[1:]
    assert isinstance(part, Topology) and part.sizes == (12, 5, 7) and part.layers == MIXED.layers[1:]


def test_the_sum_is_the_concatenation():
    both = mixed_radix((2, 3)) + mixed_radix((3, 2))
    assert both == radix_net([(2, 3), (3, 2)]) and both.sizes == (6,) * 5
    with pytest.raises(TypeError):
        both + [mixed_radix((2, 3))]


def test_the_density_counts_edges_exactly():
    edges, dense = 24 + 24 + 35, 8 * 12 + 12 * 5 + 5 * 7
    assert MIXED.n_edges == edges and MIXED.density_fraction == Fraction(edges, dense)
    assert MIXED.density == pytest.approx(edges / dense, abs=1e-15)


def test_the_density_range_is_one_edge_out_of_every_node_to_all():
    assert MIXED.density_range == (Fraction(8 + 12 + 5, 96 + 60 + 35), 1)
    single = Topology([EdgeLayer(3, 2, [0, 1, 2], [0, 0, 0])])
    assert single.density_fraction == single.density_range[0]


def test_widths_multiply_the_sizes_and_every_layer_is_a_kronecker_product():
    wide = MIXED.kron((2, 1, 3, 2))
    assert wide.sizes == (16, 12, 15, 14)
    for layer, base, blocks in zip(wide, MIXED, ((2, 1), (1, 3), (3, 2))):
        assert (layer.biadjacency().numpy() == np.kron(np.ones(blocks, dtype=bool), base.biadjacency().numpy())).all()


def test_the_graph_has_the_wires_and_tells_layer_label_and_side():
    graph = MIXED.to_networkx()
    assert isinstance(graph, nx.DiGraph)
    assert graph.number_of_nodes() == sum(MIXED.sizes) and graph.number_of_edges() == MIXED.n_edges
    assert graph.nodes[1, 11] == {"layer": 1, "label": 11, "bipartite": 1}
    assert {(u, v) for (depth, u), (_, v) in graph.edges if depth == 1} == set(
        map(tuple, MIXED[1].edge_index().T.tolist())
    )
    sides = nx.get_node_attributes(graph, "bipartite")
    assert all(sides[u] != sides[v] for u, v in graph.edges)


def test_isolated_nodes_are_in_the_graph():
    graph = Topology([EdgeLayer(3, 4, [0], [0])]).to_networkx()
    assert graph.number_of_nodes() == 7 and graph.number_of_edges() == 1


def test_equality_is_that_of_the_layers():
    again = Topology([biregular(8, 12, 3), random_expander(12, 5, 2, seed=1), dense_layer(5, 7)])
    assert MIXED == again and hash(MIXED) == hash(again)
    assert MIXED != MIXED[:2] and MIXED != "a topology"
    assert MIXED != Topology([biregular(8, 12, 3, seed=1), *MIXED.layers[1:]])
    assert mixed_radix(BRAIN_RADICES) == mixed_radix(BRAIN_RADICES)


def test_it_is_told_in_one_line_and_in_a_table():
    assert repr(MIXED) == "<Topology 8 -> 12 -> 5 -> 7, 83 edges, density 0.4346>"
    html = MIXED._repr_html_()
    assert html.count("<tr>") == len(MIXED) + 2 and "SAO random, 4 blocks" in html and "83" in html
    named = Topology([EdgeLayer(1, 1, [0], [0], description="<b>mine</b>")])
    assert "<b>" not in named._repr_html_() and "&lt;b&gt;mine" in named._repr_html_()


@pytest.mark.parametrize("layers, rule", [
    ([], "layers must hold at least one layer, got none"),
    (None, "layers must be a list of layers, got None"),
    (3, "layers must be a list of layers, got 3"),
    (dense_layer(2, 2), "layers must be a list of layers, got <Layer"),
    (np.array(3), "layers must be a list of layers, got array"),
    ([np.eye(2)], "entry 1 of layers must be a Layer, got ndarray. Use Layer.from_biadjacency"),
    ("ab", "entry 1 of layers must be a Layer, got str"),
    ([dense_layer(2, 3), dense_layer(2, 3)], "layer 2 must start where layer 1 ends, got 3 outputs and 2 inputs. Make"),
], ids=str)  # fmt: skip
def test_what_is_no_chain_is_refused(layers, rule):
    with pytest.raises(NbkitError) as caught:
        Topology(layers)
    assert str(caught.value).startswith(f"Topology: {rule}")


def test_an_empty_slice_is_refused():
    with pytest.raises(NbkitError, match="^Topology: layers must hold at least one layer"):
        MIXED[2:2]


@pytest.mark.parametrize("widths, rule", [
    ((1, 2), "widths must have one entry for each of the 4 layers of nodes, got 2. Give 4 widths"),
    ((1, 2, 0, 1), "entry 3 of widths must be an integer of at least 1, got 0"),
    ((1, 2, 1.5, 1), "entry 3 of widths must be an integer of at least 1, got 1.5"),
    (None, "widths must be a list of integers, got None"),
    ("1,2", "widths must be a list of integers, got '1,2'"),
    ([], "widths must have a length of at least 1, got 0"),
], ids=str)  # fmt: skip
def test_wrong_widths_are_refused(widths, rule):
    with pytest.raises(NbkitError) as caught:
        MIXED.kron(widths)
    assert str(caught.value).startswith(f"Topology.kron: {rule}")


@pytest.mark.parametrize("topology", [
    mixed_radix(BRAIN_RADICES), mixed_radix((10**6, 10**6)), Topology([cayley_expander(10**12, (0, 1))]),
], ids=repr)  # fmt: skip
def test_a_graph_of_10_to_the_12_nodes_is_refused_with_its_size(topology):
    with pytest.raises(
        NbkitError, match=r"^Topology\.to_networkx: .+ but it would take .+[TPEZ]iB\. Lower the number of n"
    ):
        topology.to_networkx()
