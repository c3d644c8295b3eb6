"""What every layer promises, for a layer of each kind: its lists, its matrices and its degrees tell of the same wires."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings

from nbkit.errors import NbkitError
from nbkit.topology import EdgeLayer, Layer, dense_layer

from .kinds import LAYERS, matrices


@pytest.fixture(params=LAYERS.values(), ids=LAYERS.keys())
def layer(request) -> Layer:
    return request.param


def wires(layer: Layer) -> np.ndarray:
    """The 0/1 matrix put together wire by wire from `successors` of single nodes."""
    matrix = np.zeros(layer.shape, dtype=int)
    for node in range(layer.n_in):
        matrix[node, layer.successors(node)] = 1
    return matrix


def test_edge_index_is_sorted_by_source_then_target_and_distinct(layer):
    edges = layer.edge_index()
    pairs = list(map(tuple, edges.T.tolist()))
    assert edges.dtype == torch.int64 and edges.shape == (2, layer.n_edges)
    assert pairs == sorted(set(pairs))


def test_successors_are_the_rows_of_the_biadjacency(layer):
    matrix = layer.biadjacency()
    assert matrix.dtype == torch.bool and matrix.shape == layer.shape
    assert (matrix.numpy() == wires(layer)).all()


def test_predecessors_are_its_columns(layer):
    matrix = wires(layer)
    for node in range(layer.n_out):
        assert layer.predecessors(node).tolist() == np.flatnonzero(matrix[:, node]).tolist()


def test_several_nodes_give_the_sorted_distinct_union(layer):
    nodes = np.array([layer.n_in - 1, 0, layer.n_in - 1])
    found = layer.successors(nodes)
    assert found.dtype == np.int64
    assert found.tolist() == np.flatnonzero(wires(layer)[[0, layer.n_in - 1]].any(axis=0)).tolist()
    into = layer.predecessors([layer.n_out - 1, 0])
    assert into.tolist() == np.flatnonzero(wires(layer)[:, [0, layer.n_out - 1]].any(axis=1)).tolist()


def test_no_node_has_no_neighbour(layer):
    assert layer.successors([]).tolist() == layer.predecessors(np.zeros(0, dtype=int)).tolist() == []


def test_edges_from_and_into_keep_the_position_of_each_node(layer):
    nodes = np.array([layer.n_in - 1, 0, 0])
    positions, targets = layer.edges_from(nodes)
    assert (np.diff(positions) >= 0).all()
    for position, node in enumerate(nodes):
        assert sorted(targets[positions == position]) == np.flatnonzero(wires(layer)[node]).tolist()
    positions, sources = layer.edges_into([layer.n_out - 1, 0])
    assert (np.diff(positions) >= 0).all()
    for position, node in enumerate([layer.n_out - 1, 0]):
        assert sorted(sources[positions == position]) == np.flatnonzero(wires(layer)[:, node]).tolist()


def test_the_mask_is_the_biadjacency_transposed(layer):
    mask = layer.mask()
    assert mask.shape == (layer.n_out, layer.n_in) and mask.is_contiguous()
    assert (mask.numpy() == wires(layer).T).all()


def test_degrees_and_density_are_counted_from_the_wires(layer):
    matrix = wires(layer)
    assert layer.n_edges == matrix.sum()
    assert layer.out_degrees().tolist() == matrix.sum(axis=1).tolist() and layer.out_degrees().dtype == np.int64
    assert layer.in_degrees().tolist() == matrix.sum(axis=0).tolist() and layer.in_degrees().dtype == np.int64
    assert layer.largest_in_degree == matrix.sum(axis=0).max()
    assert layer.density_fraction == Fraction(int(matrix.sum()), matrix.size)
    assert layer.density == matrix.mean()


def test_scipy_gets_the_same_matrix(layer):
    assert (layer.to_scipy().toarray() == wires(layer)).all()


def test_layers_with_the_same_wires_are_equal_whatever_made_them(layer):
    listed = EdgeLayer(*layer.shape, *layer.edge_index().numpy())
    assert layer == listed and listed == layer and hash(layer) == hash(listed)


def test_a_layer_differs_from_every_other_kind_and_from_what_is_no_layer(layer):
    assert sum(layer == other for other in LAYERS.values()) == 1
    assert layer != "a layer"


def test_the_repr_tells_sizes_and_edges(layer):
    assert repr(layer).startswith(f"<Layer {layer.n_in} -> {layer.n_out}, {layer.n_edges} edges, ")


@settings(max_examples=60, deadline=None)
@given(matrices())
def test_a_matrix_comes_back_from_its_layer(matrix):
    layer = Layer.from_biadjacency(matrix, allow_dead_inputs=True)
    assert (layer.biadjacency().numpy() == matrix).all() and (wires(layer) == matrix).all()
    assert (layer.out_degrees() == matrix.sum(axis=1)).all() and (layer.in_degrees() == matrix.sum(axis=0)).all()


MATRIX = np.array([[1, 0, 1], [0, 1, 0]])


@pytest.mark.parametrize("matrix", [
    MATRIX, MATRIX.astype(bool), MATRIX.astype(np.float16), MATRIX.astype(object), MATRIX.tolist(),
    torch.tensor(MATRIX), torch.tensor(MATRIX, dtype=torch.bfloat16),
    scipy.sparse.csr_array(MATRIX), scipy.sparse.coo_matrix(MATRIX),
    scipy.sparse.coo_array(([1, 1, 1, 0], ([0, 0, 1, 1], [0, 2, 1, 2])), shape=(2, 3)),
], ids=str)  # fmt: skip
def test_a_layer_can_be_made_of_any_kind_of_matrix(matrix):
    assert Layer.from_biadjacency(matrix).biadjacency().int().tolist() == MATRIX.tolist()


def test_a_large_sparse_matrix_is_never_made_dense():
    n = 10**5
    matrix = scipy.sparse.csr_array((np.ones(n), (np.arange(n), np.arange(n)[::-1])), shape=(n, n))
    layer = Layer.from_biadjacency(matrix)  # 80 GB as a dense array
    assert layer.n_edges == n and layer.successors(3).tolist() == [n - 4]


def test_a_zero_column_is_allowed_and_a_zero_row_refused():
    assert Layer.from_biadjacency([[1, 0], [1, 0]]).in_degrees().tolist() == [2, 0]
    with pytest.raises(
        NbkitError, match=r"^Layer\.from_biadjacency: every row of matrix must have a 1 .+ zero row 1\. G"
    ):
        Layer.from_biadjacency([[1, 0], [0, 0]])


def test_a_zero_row_is_allowed_where_it_is_asked_for():
    layer = Layer.from_biadjacency([[1, 0], [0, 0]], allow_dead_inputs=True)
    assert layer.out_degrees().tolist() == [1, 0] and layer.successors(1).tolist() == []


def test_the_given_matrix_is_not_changed_and_not_kept():
    matrix = MATRIX.copy()
    layer = Layer.from_biadjacency(matrix)
    matrix[:] = 0
    assert layer.n_edges == 3


@pytest.mark.parametrize("matrix, rule", [
    ([[1, 2]], "hold only 0 and 1, got an entry 2"),
    ([[1, float("nan")]], "hold only 0 and 1, got an entry nan"),
    ([[1, -1]], "hold only 0 and 1, got an entry -1"),
    (scipy.sparse.coo_array(([1, 1], ([0, 0], [0, 0])), shape=(1, 1)), "hold only 0 and 1, got an entry 2"),
    ([1, 0], r"be 2-D \(n_in, n_out\) and not empty, got shape \(2,\)"),
    (np.zeros((2, 0)), r"be 2-D \(n_in, n_out\) and not empty, got shape \(2, 0\)"),
    (1, r"be 2-D \(n_in, n_out\) and not empty, got shape \(\)"),
    ([[1, 0], [1]], "be an array of numbers"),
    ("1,0", "be an array of numbers"),
], ids=str)  # fmt: skip
def test_what_is_no_matrix_of_zeros_and_ones_is_refused(matrix, rule):
    with pytest.raises(NbkitError, match=rf"^Layer\.from_biadjacency: matrix must {rule}.*\. \w+"):
        Layer.from_biadjacency(matrix)


@pytest.mark.parametrize("arguments, rule", [
    ((0, 3, [], []), "n_in must be an integer between 1 and"),
    ((3, 2.5, [], []), "n_out must be an integer between 1 and"),
    ((2, 3, [0, 2], [0, 0]), r"sources must lie in 0\.\.1, got 2"),
    ((2, 3, [0], [-1]), r"targets must lie in 0\.\.2, got -1"),
    ((2, 3, [0.0], [1]), "sources must be a node or a list of nodes"),
    ((2, 3, [0, 1], [1]), "sources and targets must be equally long, got 2 and 1"),
    ((2, 3, [0, 1, 0], [1, 1, 1]), "every edge must be given once, got 1 twice"),
    ((2**63, 3, [0], [1]), "n_in must be an integer between 1 and 4611686018427387904"),
    ((10**15, 3, [0], [1]), "the result must fit into the memory budget"),
])  # fmt: skip
def test_wrong_edges_are_refused(arguments, rule):
    with pytest.raises(NbkitError, match=f"^EdgeLayer: {rule}"):
        EdgeLayer(*arguments)


@pytest.mark.parametrize("nodes, rule", [
    (-1, "lie in 0..{last}, got -1"), (10**30, "be a node or a list of nodes"), ([0, 99], "lie in 0..{last}, got 99"),
    (2**63, "lie in 0..{last}, got 9223372036854775808"), (0.5, "be a node or a list of nodes, got 0.5"),
    ("0", "be an array of numbers, got '0'"), (None, "be a node"), (True, "be a node"), ([[0]], "be a node"),
    ([0, [1]], "be an array"),
])  # fmt: skip
def test_nodes_that_do_not_exist_are_refused(layer, nodes, rule):
    for who, ask, n in (
        ("successors", layer.successors, layer.n_in),
        ("predecessors", layer.predecessors, layer.n_out),
    ):
        with pytest.raises(NbkitError) as caught:
            ask(nodes)
        assert str(caught.value).startswith(f"{who}: nodes must {rule.format(last=n - 1)}")


def test_a_matrix_beyond_the_budget_is_refused_with_its_size(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "1KiB")
    layer = dense_layer(64, 64)
    for who, make in (
        ("biadjacency", layer.biadjacency),
        ("biadjacency", layer.mask),
        ("edge_index", layer.edge_index),
    ):
        with pytest.raises(
            NbkitError, match=rf"^{who}: .+budget of 1 KiB, but it would take 6[48](\.\d)? KiB\. Lower "
        ):
            make()
