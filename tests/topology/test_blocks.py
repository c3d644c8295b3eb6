"""Complete blocks and components found from the edges, against networkx and dense 0/1 matrices (SCIENCE 3.1, S5)."""

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.topology import (
    CirculantLayer,
    EdgeLayer,
    Layer,
    biregular,
    complete_blocks,
    component_labels,
    dense_layer,
    mixed_radix,
    radix_net,
)

from .kinds import LAYERS, matrices


def graph_of(layer: Layer) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(range(layer.n_in + layer.n_out))
    graph.add_edges_from((u, layer.n_in + v) for u, v in layer.edge_index().T.tolist())
    return graph


def parts_of(layer: Layer) -> list[tuple[list[int], list[int]]]:
    """networkx's components that have an edge: sorted inputs, sorted outputs."""
    parts = [sorted(part) for part in nx.connected_components(graph_of(layer)) if len(part) > 1]
    return [([u for u in part if u < layer.n_in], [u - layer.n_in for u in part if u >= layer.n_in]) for part in parts]


def is_union(layer: Layer) -> bool:
    """Whether any two inputs have the same outputs, or none in common: the definition, on the dense matrix."""
    rows = layer.biadjacency().numpy()
    return all((a == b).all() or not (a & b).any() for a in rows for b in rows)


@st.composite
def unions(draw) -> Layer:
    """Disjoint complete blocks of unequal shapes and dead nodes, rows and columns shuffled."""
    shapes = draw(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=5))
    dead = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    matrix = np.zeros([sum(sizes) + more for sizes, more in zip(zip(*shapes), dead)], dtype=int)
    row = column = 0
    for d, c in shapes:
        matrix[row : row + d, column : column + c] = 1
        row, column = row + d, column + c
    shuffle = np.random.default_rng(draw(st.integers(0, 999))).permutation
    return Layer.from_biadjacency(shuffle(shuffle(matrix).T).T, allow_dead_inputs=True)


@settings(max_examples=150, deadline=None)
@given(unions())
def test_the_blocks_of_a_union_are_networkxs_components(layer):
    found = complete_blocks(layer)
    listed = [pair for blocks in found for pair in zip(blocks.inputs.tolist(), blocks.outputs.tolist())]
    assert sorted(listed) == sorted(parts_of(layer))
    assert all(blocks.inputs.dtype == blocks.outputs.dtype == np.int64 for blocks in found)
    shapes = [blocks.shape[1:] for blocks in found]
    assert len(set(shapes)) == len(shapes)  # those of one shape are together
    assert [c * d for c, d in shapes] == sorted((c * d for c, d in shapes), reverse=True)


@settings(max_examples=300, deadline=None)
@given(matrices(5))
def test_a_mask_is_taken_exactly_if_it_is_a_union_and_else_two_inputs_are_named(matrix):
    layer = Layer.from_biadjacency(matrix, allow_dead_inputs=True)
    if is_union(layer):
        assert sum(np.prod(blocks.shape) for blocks in complete_blocks(layer)) == layer.n_edges
        return
    with pytest.raises(NbkitError) as caught:
        complete_blocks(layer, who="somebody")
    message = str(caught.value)
    assert message.startswith("somebody: the wires must be a union of complete bipartite blocks, got <Layer ")
    first, second = map(int, message.split("where inputs ")[1].split(" share ")[0].split(" and "))
    shared = int((matrix[first] & matrix[second]).sum())
    degrees = matrix[first].sum(), matrix[second].sum()
    assert shared and (matrix[first] != matrix[second]).any()
    assert f"share {shared} of their {degrees[0]} and {degrees[1]} outputs" in message


@settings(max_examples=150, deadline=None)
@given(matrices())
def test_components_are_networkxs_and_every_node_knows_its_own(matrix):
    layer = Layer.from_biadjacency(matrix, allow_dead_inputs=True)
    count, labels = component_labels(layer)
    parts = list(nx.connected_components(graph_of(layer)))
    assert count == len(parts) and len(labels) == layer.n_in + layer.n_out
    assert all(len({labels[node] for node in part}) == 1 for part in parts) and len(set(labels)) == count


@pytest.mark.parametrize("name", LAYERS)
def test_every_kind_of_layer_is_decided_by_its_matrix(name):
    layer = LAYERS[name]
    if is_union(layer):
        assert sum(np.prod(blocks.shape) for blocks in complete_blocks(layer)) == layer.n_edges
    else:
        with pytest.raises(NbkitError, match="^complete_blocks: the wires must be a union"):
            complete_blocks(layer)
    assert component_labels(layer)[0] == nx.number_connected_components(graph_of(layer))


@pytest.mark.parametrize("n_in, n_out, degree, shape", [
    (256, 256, 4, (64, 4, 4)), (8, 12, 3, (4, 3, 2)), (12, 8, 3, (4, 2, 3)), (1024, 512, 4, (256, 2, 4)),
])  # fmt: skip
@pytest.mark.parametrize("placement", ["random", "shift", "aligned"])
def test_sao_masks_are_n_over_d_blocks_of_c_by_d(n_in, n_out, degree, shape, placement):  # S1, S5
    layer = biregular(n_in, n_out, degree, placement=placement)
    assert [blocks.shape for blocks in complete_blocks(layer)] == [shape]
    assert component_labels(layer)[0] == shape[0]


def test_a_dense_layer_is_one_block():
    (blocks,) = complete_blocks(dense_layer(3, 5))
    assert (blocks.inputs.tolist(), blocks.outputs.tolist()) == ([[0, 1, 2]], [[0, 1, 2, 3, 4]])


@pytest.mark.parametrize("radices, complete", [((2, 2, 2), [0, 0, 1]), ((3, 3, 4), [0, 0, 1]), ((6,), [1])])
def test_of_a_full_system_the_last_layer_alone_is_a_union(radices, complete):  # SCIENCE 7.3
    for widths in ([1] * (len(radices) + 1), [2] * (len(radices) + 1)):
        for layer, expected in zip(radix_net([radices], widths), complete, strict=True):
            assert is_union(layer) == bool(expected)
            if not expected:
                with pytest.raises(NbkitError, match="^complete_blocks: "):
                    complete_blocks(layer)
            else:
                (blocks,) = complete_blocks(layer)
                assert blocks.shape[1:] == (radices[-1] * widths[-1], radices[-1] * widths[-2])


def test_a_single_missing_wire_at_the_end_of_a_wide_layer_is_found():
    mask = biregular(4096, 4096, 4, placement="aligned").edge_index()
    layer = EdgeLayer(4096, 4096, *mask[:, :-1].numpy())
    with pytest.raises(NbkitError, match=r"where inputs 1023 and 4095 share 3 of their 4 and 3 outputs"):
        complete_blocks(layer)


def test_blocks_that_meet_in_one_output_are_refused():
    with pytest.raises(NbkitError, match="inputs 0 and 1 share 1 of their 2 and 2 outputs"):
        complete_blocks(EdgeLayer(2, 3, [0, 0, 1, 1], [0, 1, 1, 2]))
    with pytest.raises(NbkitError, match="inputs 0 and 1 share 1 of their 1 and 2 outputs"):
        complete_blocks(EdgeLayer(2, 2, [0, 1, 1], [1, 0, 1]))


def test_a_layer_without_an_edge_has_no_block():
    assert complete_blocks(EdgeLayer(2, 3, [], [])) == []
    count, labels = component_labels(EdgeLayer(2, 3, [], []))
    assert count == 5 and sorted(labels) == [0, 1, 2, 3, 4]


def test_isolated_nodes_belong_to_no_block():
    (blocks,) = complete_blocks(Layer.from_biadjacency([[0, 0, 0], [0, 1, 0]], allow_dead_inputs=True))
    assert (blocks.inputs.tolist(), blocks.outputs.tolist()) == ([[1]], [[1]])


@pytest.mark.parametrize("ask", [complete_blocks, component_labels])
@pytest.mark.parametrize("wrong", [np.eye(2), None, torch.eye(2), mixed_radix((2, 2))], ids=lambda w: type(w).__name__)
def test_what_is_no_layer_is_refused(ask, wrong):
    with pytest.raises(NbkitError, match=f"^{ask.__name__}: layer must be a Layer, got {type(wrong).__name__}"):
        ask(wrong)


def test_cosets_are_blocks_too():
    (blocks,) = complete_blocks(CirculantLayer(12, (2, 6, 10)))
    assert (
        blocks.shape == (4, 3, 3)
        and blocks.inputs[0].tolist() == [2, 6, 10]
        and blocks.outputs[0].tolist() == [0, 4, 8]
    )
