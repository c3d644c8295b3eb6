"""Path counts: Lemmas 1 and 2 and Theorem 1 as corrected (SCIENCE 1.4), and the dense product for every topology."""

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.measure import is_path_connected, is_symmetric, is_translation_invariant, path_count, path_counts
from nbkit.topology import (
    CirculantLayer,
    Topology,
    biregular,
    cayley_expander,
    dense_layer,
    magnitude_pruned,
    mixed_radix,
    radix_net,
    random_expander,
)

from .wires import BRAIN, BRAIN_NODES, cascade, dense_paths, radix_systems, topologies


@settings(max_examples=120, deadline=None)
@given(topologies())
def test_path_counts_are_the_product_of_the_biadjacencies(topology):
    counts = path_counts(topology)
    assert counts.dtype == object and counts.shape == (topology.sizes[0], topology.sizes[-1])
    assert all(type(entry) is int for entry in counts.ravel())
    assert (counts == dense_paths(topology)).all()


@settings(max_examples=80, deadline=None)
@given(topologies(), st.data())
def test_the_count_of_one_pair_is_its_entry(topology, data):
    u = data.draw(st.integers(0, topology.sizes[0] - 1))
    v = data.draw(st.integers(0, topology.sizes[-1] - 1))
    count = path_count(topology, u, v)
    assert type(count) is int and count == dense_paths(topology)[u, v]


@settings(max_examples=80, deadline=None)
@given(topologies())
def test_symmetric_and_path_connected_are_their_definitions(topology):
    counts = dense_paths(topology)
    assert is_symmetric(topology) == (counts.min() == counts.max() > 0)
    assert is_path_connected(topology) == (counts > 0).all()


def test_the_counts_are_the_top_right_block_of_the_power_of_the_whole_adjacency():
    topology = Topology([random_expander(4, 6, 3, seed=1), random_expander(6, 5, 2, seed=2)])
    nodes = [(depth, node) for depth, size in enumerate(topology.sizes) for node in range(size)]
    adjacency = nx.to_numpy_array(topology.to_networkx(), nodelist=nodes, dtype=int)
    power = np.linalg.matrix_power(adjacency, len(topology))
    assert (path_counts(topology) == power[:4, -5:]).all()
    assert power[4:].sum() == power[:, :-5].sum() == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(2, 4), min_size=1, max_size=4).filter(lambda radices: math.prod(radices) <= 48))
def test_lemma_1_one_system_joins_every_pair_by_one_path(radices):
    topology = mixed_radix(radices)
    assert (dense_paths(topology) == 1).all() and (path_counts(topology) == 1).all()
    assert is_symmetric(topology) and is_path_connected(topology)


@settings(max_examples=40, deadline=None)
@given(radix_systems(), st.data())
def test_lemma_2_and_theorem_1_as_corrected(systems, data):
    n, last, radices = math.prod(systems[0]), math.prod(systems[-1]), [r for system in systems for r in system]
    widths = data.draw(st.lists(st.integers(1, 3), min_size=len(radices) + 1, max_size=len(radices) + 1))
    expected = n ** (len(systems) - 2) * last * math.prod(widths[1:-1])
    assert expected == math.prod(radices) // n * math.prod(widths[1:-1])  # the uniform statement
    topology = radix_net(systems, widths)
    assert (dense_paths(topology) == expected).all() and (path_counts(topology) == expected).all()
    assert path_count(topology, topology.sizes[0] - 1, 0) == expected
    assert is_symmetric(topology) and is_path_connected(topology)


@pytest.mark.parametrize("systems, widths, count, printed", [
    ([(2, 3), (6,), (3, 2)], None, 36, 36),  # R7
    ([(2, 2), (2,)], None, 2, 4),
    ([(2, 2), (4,), (2,)], None, 8, 16),
    ([(2, 3), (3, 2), (3,)], None, 18, 36),  # R8
    ([(2, 3), (3, 2), (3,)], (1, 2, 3, 1, 2, 1), 216, 432),  # R9
    ([(2, 2), (2,)], (3, 1, 2, 2), 4, 8),
    ([(2, 3, 2), (4, 3), (6,)], (1, 2, 1, 3, 1, 2, 5), 864, 1728),  # R10
    ([(10, 10, 10), (10, 10, 10), (10,)], None, 10**4, 10**6),
], ids=str)  # fmt: skip
def test_check_values_and_what_is_printed_for_them(systems, widths, count, printed):
    topology = radix_net(systems, widths)
    inner = math.prod(widths[1:-1]) if widths else 1
    assert math.prod(systems[0]) ** (len(systems) - 1) * inner == printed
    assert path_count(topology, 1, 0) == count and is_symmetric(topology)
    if topology.sizes[0] < 100:
        assert (dense_paths(topology) == count).all()


def test_the_net_of_check_value_10_has_12_inputs_and_60_outputs():
    assert path_counts(radix_net([(2, 3, 2), (4, 3), (6,)], (1, 2, 1, 3, 1, 2, 5))).shape == (12, 60)


def test_one_system_on_a_multiple_of_its_product_is_not_path_connected():
    topology = mixed_radix((2, 2), 8)
    counts = path_counts(topology)
    assert (counts.sum(axis=1) == 4).all() and set(counts.ravel()) == {0, 1}  # R11: 4 of 8
    assert not is_path_connected(topology) and not is_symmetric(topology)


@pytest.mark.parametrize("n, counts", [(4, {1, 3}), (8, {0, 1, 3})])
def test_without_a_full_system_counts_differ(n, counts):
    topology = mixed_radix((2,), n) + mixed_radix((2,), n) + mixed_radix((2,), n)
    assert set(path_counts(topology).ravel()) == counts and not is_symmetric(topology)
    assert is_path_connected(topology) == (0 not in counts)


@pytest.mark.parametrize("systems, n, count", [
    ([(2, 3), (4,)], 6, 4), ([(2, 2), (3,)], 4, 3),  # divisibility is sufficient, not necessary
    ([(2, 3), (2,), (6,)], 6, 12),  # a proper divisor before the last system
], ids=str)  # fmt: skip
def test_systems_outside_the_constraints_that_are_symmetric_all_the_same(systems, n, count):
    layers = []
    for system in systems:
        values = [math.prod(system[:i]) for i in range(len(system))]
        layers += [CirculantLayer(n, [k * v % n for k in range(r)]) for r, v in zip(system, values)]
    topology = Topology(layers)
    assert set(path_counts(topology).ravel()) == set(dense_paths(topology).ravel()) == {count}
    assert is_symmetric(topology) and path_count(topology, 0, n - 1) == count


def test_counts_beyond_int64_are_exact():
    topology = cascade(lambda seed: random_expander(12, 12, 5, seed=seed), 60)
    counts = path_counts(topology)
    assert counts.max() > 2**120 and (counts == dense_paths(topology)).all()
    assert (counts.sum(axis=1) == 5**60).all()
    assert path_count(topology, 3, 4) == counts[3, 4]


@pytest.mark.parametrize("depth", [20, 21, 22, 30, 31, 32])
def test_counts_are_exact_around_the_largest_int64(depth):
    assert (path_counts(Topology([dense_layer(8, 8)] * depth)) == 8 ** (depth - 1)).all()
    lopsided = Topology([random_expander(7, 7, 7, seed=0), *[biregular(7, 7, 7)] * (depth - 1)])
    assert (path_counts(lopsided) == 7 ** (depth - 1)).all()


def test_shift_cascades_have_equal_counts_where_n_is_a_power_of_the_degree():
    assert (path_counts(cascade(lambda _: biregular(64, 64, 4, placement="shift"), 3)) == 1).all()
    assert is_symmetric(cascade(lambda _: biregular(64, 64, 4, placement="shift"), 3))
    assert not is_symmetric(cascade(lambda _: biregular(96, 96, 4, placement="shift"), 4))


def test_cayley_cascades_are_in_general_not_symmetric():
    topology = Topology([cayley_expander(16, (0, 1, 4, 9))] * 4)
    assert is_path_connected(topology) and not is_symmetric(topology)


def test_a_binary_cascade_that_spells_every_bit_is_symmetric():
    topology = Topology([cayley_expander(8, (0, bit), group="binary") for bit in (1, 2, 4, 2, 1)])
    assert (dense_paths(topology) == 4).all() and is_symmetric(topology) and path_count(topology, 3, 5) == 4
    assert not is_symmetric(Topology([cayley_expander(8, (0, bit), group="binary") for bit in (1, 2, 1, 2)]))


def test_a_dead_node_makes_it_neither():
    topology = Topology(magnitude_pruned([np.diag([3.0, 2.0, 1.0])], 2 / 9))
    assert path_counts(topology).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert not is_symmetric(topology) and not is_path_connected(topology) and path_count(topology, 2, 2) == 0


def test_only_cascades_of_one_group_are_alike_from_everywhere():
    assert is_translation_invariant(radix_net([(2, 3), (3,)], (1, 2, 3, 1)))
    assert is_translation_invariant(Topology([cayley_expander(8, (0, 3), group="binary")] * 2))
    assert not is_translation_invariant(
        Topology([cayley_expander(8, (0, 3), group="binary"), cayley_expander(8, (0, 3))])
    )
    assert not is_translation_invariant(Topology([dense_layer(3, 8), cayley_expander(8, (0, 3))]))
    assert not is_translation_invariant(Topology([biregular(8, 8, 2)]))


def test_a_net_of_brain_scale_is_counted_in_closed_form():
    assert path_count(BRAIN, 5, 77) == 1 and is_symmetric(BRAIN) and is_path_connected(BRAIN)
    wide = radix_net([(64,) * 6, (64,) * 6, (64,)], [1] + [2] * 12 + [1])
    assert path_count(wide, BRAIN_NODES - 1, 0) == BRAIN_NODES * 64 * 2**12 and is_symmetric(wide)


def test_a_part_of_a_net_of_brain_scale_is_counted_where_its_cones_meet():
    part = BRAIN[:3]  # place values 1, 64, 64^2
    assert path_count(part, 0, 64**3 - 1) == 1 and path_count(part, 0, 64**3) == 0
    assert not is_symmetric(part) and not is_path_connected(part)
    cayley = Topology([cayley_expander(BRAIN_NODES, (0, 1, 1000, 10**6))] * 4)
    assert path_count(cayley, 7, 7 + 2 * 1000 + 1) == math.factorial(4) // 2  # orders of {1000, 1000, 1, 0}
    assert not is_symmetric(cayley)


def test_what_would_form_all_pairs_is_refused_with_its_size():
    with pytest.raises(NbkitError, match=r"^path_counts: .+ but it would take 160 ZiB\. Lower the number of nodes"):
        path_counts(BRAIN)
    with pytest.raises(NbkitError, match=r"^path_counts: .+ but it would take .+\. Lower the number of nodes"):
        path_counts(Topology([dense_layer(10**6, 10**6)]))


@pytest.mark.parametrize("u, v, rule", [
    (4, 0, "u must be an integer between 0 and 3, got 4"), (0, -1, "v must be an integer between 0 and 3, got -1"),
    (0, 1.5, r"v must be an integer between 0 and 3, got 1\.5"), ("0", 0, "u must be an integer between 0 and 3, got '0'"),
])  # fmt: skip
def test_a_pair_that_does_not_exist_is_refused(u, v, rule):
    with pytest.raises(NbkitError, match=f"^path_count: {rule}"):
        path_count(mixed_radix((2, 2)), u, v)


@pytest.mark.parametrize("wrong", [None, BRAIN[0], [BRAIN[0]], np.eye(2)], ids=repr)
@pytest.mark.parametrize("ask", [path_counts, is_symmetric, is_path_connected, is_translation_invariant,
    lambda topology: path_count(topology, 0, 0)])  # fmt: skip
def test_what_is_no_topology_is_refused(ask, wrong):
    with pytest.raises(
        NbkitError, match=r"^\w+: topology must be a Topology, got \w+\. Wrap layers: Topology\(\[layer\]\)"
    ):
        ask(wrong)
