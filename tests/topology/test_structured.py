"""Cayley layers: the wires of their definition, components as cosets, and no memory at any size."""

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.topology import CirculantLayer, KroneckerLayer, Layer, XorLayer, cayley_expander, mixed_radix

from .kinds import cayley_layers


def components(layer: Layer) -> int:
    graph = nx.Graph()
    graph.add_nodes_from([("in", node) for node in range(layer.n_in)] + [("out", node) for node in range(layer.n_out)])
    graph.add_edges_from((("in", u), ("out", v)) for u, v in layer.edge_index().T.tolist())
    return nx.number_connected_components(graph)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_circulant_layer_joins_j_to_j_plus_every_offset(data):
    n = data.draw(st.integers(1, 30))
    offsets = data.draw(st.sets(st.integers(0, n - 1), min_size=1))
    edges = CirculantLayer(n, list(offsets)).edge_index().T.tolist()
    assert edges == sorted([j, (j + s) % n] for j in range(n) for s in offsets)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_an_xor_layer_joins_j_to_j_xor_every_generator(data):
    n = 2 ** data.draw(st.integers(0, 5))
    generators = data.draw(st.sets(st.integers(0, n - 1), min_size=1))
    edges = XorLayer(n, list(generators)).edge_index().T.tolist()
    assert edges == sorted([j, j ^ s] for j in range(n) for s in generators)


@settings(max_examples=60, deadline=None)
@given(cayley_layers())
def test_components_are_the_cosets(layer):
    assert layer.n_components == components(layer)


@pytest.mark.parametrize(
    "offsets", [range(0, 8, 2), range(6, -1, -2), (6, 2, 0, 4), [0, 2, 4, 6], np.array([4, 6, 0, 2])]
)
def test_a_progression_is_recognised_however_it_is_written(offsets):
    layer = CirculantLayer(12, offsets)
    assert layer.offsets == range(0, 8, 2) and isinstance(layer.offsets, range)
    assert layer.successors(11).tolist() == [1, 3, 5, 11]
    assert layer.description == "cyclic Cayley layer, offsets 0, 2, 4, 6"  # 8 does not divide 12: no radix layer


@pytest.mark.parametrize("offsets", [(1, 2, 4), (0, 2, 3)])
def test_other_offsets_stay_listed(offsets):
    assert CirculantLayer(12, offsets).offsets == offsets


def test_a_layer_of_2_to_the_60_nodes_costs_nothing_and_its_labels_do_not_overflow():
    n = 3 * 2**60
    layer = CirculantLayer(n, range(0, n, 2**58))
    last = layer.successors(n - 1)
    assert last.tolist() == sorted((n - 1 + k * 2**58) % n for k in range(12))
    assert layer.n_edges == 12 * n and layer.density == 12 / n and layer.n_components == 2**58
    assert XorLayer(2**62, (1, 2**61)).successors(2**62 - 1).tolist() == [2**61 - 1, 2**62 - 2]


def test_more_nodes_than_labels_hold_are_refused():
    for kind in (CirculantLayer, XorLayer):
        with pytest.raises(
            NbkitError, match=f"^{kind.__name__}: n must be an integer between 1 and {2**62}, got {2**63}"
        ):
            kind(2**63, (0, 1))


def test_equal_layers_at_any_size_are_recognised_without_their_wires():
    assert CirculantLayer(2**40, (0, 1, 5)) == CirculantLayer(2**40, (5, 1, 0)) != CirculantLayer(2**40, (0, 1, 4))
    assert XorLayer(2**40, (0, 1, 5)) == XorLayer(2**40, (5, 1, 0)) != XorLayer(2**40, (0, 1, 4))
    base = CirculantLayer(2**40, range(4))
    assert KroneckerLayer(base, 2, 3) == KroneckerLayer(CirculantLayer(2**40, (0, 1, 2, 3)), 2, 3)


def test_a_full_circulant_layer_equals_a_full_xor_layer():
    assert CirculantLayer(8, range(8)) == XorLayer(8, range(8))


@pytest.mark.parametrize("elements, rule", [
    ((), "have a length of at least 1, got 0"), (range(3, 3), "have a length of at least 1, got 0"),
    ((1, 1), r"be distinct integers in 0\.\.7, got \(1, 1\)\. Take them modulo n"),
    ((0, 8), r"be distinct integers in 0\.\.7, got \(0, 8\)"),
    (range(0, 9, 4), r"be distinct integers in 0\.\.7"), (range(-2, 2), r"be distinct integers in 0\.\.7"),
    (range(8, 0, -4), r"be distinct integers in 0\.\.7"),
    (None, "be a list of integers, got None"), ("01", "be a list of integers"), (3, "be a list of integers, got 3"),
], ids=str)  # fmt: skip
def test_wrong_elements_are_refused(elements, rule):
    for name, make in (("CirculantLayer: offsets", CirculantLayer), ("XorLayer: generators", XorLayer)):
        with pytest.raises(NbkitError, match=f"^{name} must {rule}"):
            make(8, elements)


@pytest.mark.parametrize("entry", [-1, 0.5, None, "1"])
def test_a_wrong_element_is_named(entry):
    with pytest.raises(NbkitError, match="^CirculantLayer: entry 2 of offsets must be an integer of at least 0, got "):
        CirculantLayer(8, (0, entry))


def test_an_xor_layer_needs_a_power_of_two():
    with pytest.raises(NbkitError, match=r"^XorLayer: n must be a power of two, got 12\. Use 16\."):
        XorLayer(12, (0, 1))


@pytest.mark.parametrize("kind", [CirculantLayer, XorLayer])
@pytest.mark.parametrize("n", [0, -4, 2.0, "8", None])
def test_a_wrong_number_of_nodes_is_refused(kind, n):
    with pytest.raises(NbkitError, match=f"^{kind.__name__}: n must be an integer between 1 and"):
        kind(n, (0,))


def test_gcds_are_those_of_the_theorem():
    assert CirculantLayer(12, (1, 4, 10)).n_components == math.gcd(12, 3, 9) == 3
    assert XorLayer(16, (1, 2, 4, 8)).n_components == 2


def test_far_apart_elements_are_no_reason_to_list_what_lies_between():
    layer = cayley_expander(2**36, [0, 1, *(2**bit for bit in range(1, 36))], group="binary")
    assert layer.out_degree == 37 and layer.successors(0)[-1] == 2**35
    assert cayley_expander(10**12, (0, 1, 5 * 10**11)).out_degree == 3


def test_only_a_layer_that_can_belong_to_a_system_is_described_by_its_radix():
    assert mixed_radix((3, 4))[1].description == "radix 4, place value 3"
    assert cayley_expander(16, (0, 5)).description == "cyclic Cayley layer, offsets 0, 5"
