"""Cones are rows of reach, forwards and backwards, and arithmetic progressions at any size of a mixed-radix net."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.measure import Cone, NodeSet, Progression, cone, cone_sizes
from nbkit.topology import CirculantLayer, Topology, cayley_expander, mixed_radix, radix_net

from .wires import BRAIN, BRAIN_NODES, dense_paths, topologies


@settings(max_examples=120, deadline=None)
@given(topologies(), st.data())
def test_a_forward_cone_is_a_row_of_reach(topology, data):
    layer = data.draw(st.integers(0, len(topology)))
    node = data.draw(st.integers(0, topology.sizes[layer] - 1))
    found = cone(topology, node, layer=layer)
    assert len(found) == len(topology) - layer + 1 and np.asarray(found[0]).tolist() == [node]
    for depth in range(1, len(found)):
        check(
            found[depth],
            np.flatnonzero(dense_paths(topology[layer : layer + depth])[node]),
            topology.sizes[layer + depth],
        )


@settings(max_examples=120, deadline=None)
@given(topologies(), st.data())
def test_a_backward_cone_is_a_column_of_reach(topology, data):
    layer = data.draw(st.integers(0, len(topology)))
    node = data.draw(st.integers(0, topology.sizes[layer] - 1))
    found = cone(topology, node, layer=layer, direction="backward")
    assert len(found) == layer + 1 and np.asarray(found[0]).tolist() == [node]
    for depth in range(1, len(found)):
        paths = dense_paths(topology[layer - depth : layer])
        check(found[depth], np.flatnonzero(paths[:, node]), topology.sizes[layer - depth])


def check(found: Progression | NodeSet, expected: np.ndarray, n: int) -> None:
    listed = np.asarray(found)
    assert listed.dtype == np.int64 and listed.tolist() == expected.tolist()
    assert found.size == len(expected)
    assert [node for node in range(-2, n + 2) if node in found] == expected.tolist()


@settings(max_examples=40, deadline=None)
@given(topologies(), st.data())
def test_sizes_are_those_of_the_sets(topology, data):
    node = data.draw(st.integers(0, topology.sizes[0] - 1))
    reached = [len(np.flatnonzero(dense_paths(topology[:depth])[node])) for depth in range(1, len(topology) + 1)]
    assert cone_sizes(topology, node) == cone(topology, node).sizes == [1, *reached]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 5), min_size=1, max_size=5), st.data())
def test_mixed_radix_cones_are_progressions_of_the_products_of_the_radices(radices, data):
    n = math.prod(radices)
    node = data.draw(st.integers(0, n - 1))
    forward = cone(mixed_radix(radices), node)
    assert all(isinstance(nodes, Progression) for nodes in forward[1:])
    assert forward.sizes == [math.prod(radices[:depth]) for depth in range(len(radices) + 1)]
    backward = cone(mixed_radix(radices), node, layer=len(radices), direction="backward")
    assert all(isinstance(nodes, Progression) for nodes in backward[1:])
    assert backward.sizes == [math.prod(radices[len(radices) - depth :]) for depth in range(len(radices) + 1)]


def test_membership_takes_any_integer_and_nothing_else():
    for nodes in (cone(mixed_radix((2, 3)), 1)[1], cone(Topology([cayley_expander(6, (0, 1, 3))]), 1)[1]):
        assert np.int64(2) in nodes and 5 not in nodes and -1 not in nodes and 10**30 not in nodes
        assert all(other not in nodes for other in (None, "2", 2.5, [2], np.array([2, 1])))


def test_a_cone_of_brain_scale_costs_less_than_a_megabyte():
    tracemalloc.start()
    forward = cone(BRAIN, 5)
    backward = cone(BRAIN, 5, layer=6, direction="backward")
    members = [5 + 63 in forward[1], 5 + 64 in forward[1], 5 + 64 * 64 - 1 in forward[2], 4 in forward[2]]
    sizes = cone_sizes(radix_net([(64,) * 6, (64,) * 3], [1, 2] + [3] * 8), 5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert forward.sizes == backward.sizes == [64**depth for depth in range(7)]
    assert members == [True, False, True, False]
    assert (5 - 2**30) % BRAIN_NODES in backward[1] and 6 not in backward[1]
    assert sizes[:3] == [1, 64 * 2, 64**2 * 3] and sizes[-1] == 3 * BRAIN_NODES
    assert peak < 2**20


def test_a_widened_cone_reaches_every_block():
    topology = radix_net([(2, 3)], [3, 2, 4])
    assert np.asarray(cone(topology, 2 * 6 + 5)[1]).tolist() == [0, 5, 6, 11]


def test_steps_beyond_int64_are_listed_exactly():
    n, step = 2**61, 2**60 + 1
    found = cone(Topology([CirculantLayer(n, (0, step))] * 20), 3)[-1]
    assert isinstance(found, Progression) and found.size == 21
    assert np.asarray(found).tolist() == sorted((3 + k * step) % n for k in range(21))
    assert all((3 + k * step) % n in found for k in range(21)) and (3 + 21 * step) % n not in found


def test_a_cone_reads_well():
    assert repr(cone(mixed_radix((2, 3)), 0)) == "<Cone, sizes [1, 2, 6]>"
    assert isinstance(cone(mixed_radix((2, 3)), 0), Cone)


def test_listing_a_set_of_brain_scale_is_refused_with_its_size():
    with pytest.raises(
        NbkitError, match=r"^cone: .+ but it would take 1\.5 TiB\. Lower the depth, or ask for size and mem"
    ):
        np.asarray(cone(BRAIN, 0)[-1])


@pytest.mark.parametrize("node, options, rule", [
    (6, {}, "node must be an integer between 0 and 5, got 6"), (-1, {}, "node must be an integer between 0 and 5, got -1"),
    (1.0, {}, r"node must be an integer between 0 and 5, got 1\.0"), (None, {}, "node must be an integer"),
    (0, {"layer": 3}, "layer must be an integer between 0 and 2, got 3"), (0, {"layer": "0"}, "layer must be an integer"),
    (0, {"direction": "up"}, "direction must be one of 'forward', 'backward', got 'up'"),
], ids=str)  # fmt: skip
def test_a_neuron_that_does_not_exist_is_refused(node, options, rule):
    for ask in (cone, cone_sizes):
        with pytest.raises(NbkitError, match=f"^cone: {rule}"):
            ask(mixed_radix((2, 3)), node, **options)


def test_a_layer_is_no_topology():
    with pytest.raises(NbkitError, match="^cone: topology must be a Topology, got CirculantLayer"):
        cone(BRAIN[0], 0)
