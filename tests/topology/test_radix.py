"""Mixed-radix and RadiX-Net wires: digits, layers, density, routes, the brain-scale net, and every constraint."""

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.topology import (
    Topology,
    cayley_expander,
    digits,
    label,
    mixed_radix,
    radix_net,
    random_expander,
    route,
)

from .kinds import BRAIN_NODES, BRAIN_RADICES

radix_lists = st.lists(st.integers(2, 5), min_size=1, max_size=4).filter(lambda radices: math.prod(radices) <= 64)


def place_values(radices):
    return [math.prod(radices[:i]) for i in range(len(radices))]


def test_printed_digits():
    assert digits(32, (3, 3, 4)) == (2, 1, 3) and label((2, 1, 3), (3, 3, 4)) == 32  # R1
    assert digits(29, (3, 3, 4)) == (2, 0, 3)  # R2


@given(radix_lists)
def test_digits_and_labels_are_inverse_bijections(radices):
    n = math.prod(radices)
    spelled = [digits(node, radices) for node in range(n)]
    assert len(set(spelled)) == n
    assert [label(word, radices) for word in spelled] == list(range(n))
    assert all(sum(d * v for d, v in zip(word, place_values(radices))) == node for node, word in enumerate(spelled))


def test_printed_layers():
    topology = mixed_radix((3, 3, 4))
    assert topology[1].successors(5).tolist() == [5, 8, 11]  # R3
    assert topology[2].successors(35).tolist() == [8, 17, 26, 35]  # R4
    assert mixed_radix((2, 2, 2)).sizes == (8, 8, 8, 8)  # Fig. 1


@settings(max_examples=40, deadline=None)
@given(radix_lists, st.integers(1, 3))
def test_layer_i_joins_j_to_j_plus_multiples_of_its_place_value(radices, factor):
    n = math.prod(radices) * factor
    for layer, radix, value in zip(mixed_radix(radices, n), radices, place_values(radices)):
        expected = sorted([j, (j + k * value) % n] for j in range(n) for k in range(radix))
        assert layer.edge_index().T.tolist() == expected
        assert set(layer.out_degrees()) == set(layer.in_degrees()) == {radix}


def test_the_wires_are_powers_of_the_transposed_printed_matrix():
    # Equation (2) prints P with P[j + 1, j] = 1; the definition's edges j -> j + k need Q = P transposed.
    p = np.roll(np.eye(7, dtype=int), 1, axis=0)
    printed = sum(np.linalg.matrix_power(p, k) for k in range(3))
    assert np.flatnonzero(printed[0]).tolist() == [0, 5, 6]  # R5
    layer = Topology([cayley_expander(7, range(3))])[0].biadjacency().numpy()
    assert (layer == sum(np.linalg.matrix_power(p.T, k) for k in range(3))).all()


@settings(max_examples=30, deadline=None)
@given(radix_lists)
def test_layer_i_has_as_many_components_as_its_place_value(radices):
    assert [layer.n_components for layer in mixed_radix(radices)] == place_values(radices)


def test_a_radix_net_restarts_the_place_values_in_every_system():
    topology = radix_net([(2, 3), (3, 2)])
    assert topology == mixed_radix((2, 3)) + mixed_radix((3, 2))
    proper = radix_net([(2, 2), (2,)])
    assert proper.sizes == (4, 4, 4, 4) and proper[2].successors(3).tolist() == [0, 3]


def test_widths_are_kronecker_products():
    assert radix_net([(2, 3), (3,)], [1, 2, 3, 5]) == radix_net([(2, 3), (3,)]).kron([1, 2, 3, 5])
    topology = radix_net([(2, 3, 2), (4, 3), (6,)], [1, 2, 1, 3, 1, 2, 5])
    assert topology.sizes == (12, 24, 12, 36, 12, 24, 60)
    assert topology[1].out_degree == 3 * 1 and topology[1].in_degree == 3 * 2  # N_l D_l and N_l D_(l-1)


@st.composite
def nets(draw):
    """Systems and widths that the constraints admit, a last product that is a proper divisor included."""
    radices = draw(radix_lists)
    n = math.prod(radices)
    systems = [draw(st.permutations(radices)) for _ in range(draw(st.integers(0, 2)))] + [radices]
    last = draw(st.lists(st.sampled_from([d for d in range(2, n + 1) if n % d == 0]), min_size=1, max_size=2))
    assume(n % math.prod(last) == 0)
    systems.append(last)
    n_radices = sum(map(len, systems))
    return systems, draw(st.lists(st.integers(1, 3), min_size=n_radices + 1, max_size=n_radices + 1))


@settings(max_examples=60, deadline=None)
@given(nets())
def test_the_density_is_equation_4_and_lies_between_the_radices_over_n(net):
    systems, widths = net
    n, radices = math.prod(systems[0]), [radix for system in systems for radix in system]
    blocks = [a * b for a, b in zip(widths, widths[1:])]
    density = radix_net(systems, widths).density_fraction
    assert density == Fraction(sum(r * b for r, b in zip(radices, blocks)), n * sum(blocks))
    assert Fraction(min(radices), n) <= density <= Fraction(max(radices), n)


def test_printed_densities():
    assert radix_net([(2, 3), (3, 2), (3,)], [1, 2, 3, 1, 2, 1]).density_fraction == Fraction(41, 90)  # R12
    uneven = [radix_net([(2, 8)], widths).density for widths in ((1, 1, 1), (100, 1, 1), (1, 1, 100))]
    assert uneven == pytest.approx([0.3125, 0.1287, 0.4963], abs=5e-5)  # R13


@settings(max_examples=40, deadline=None)
@given(radix_lists, st.integers(1, 3))
def test_equation_5_is_exact_without_widths_and_equals_equation_6(radices, n_systems):
    n, mean = math.prod(radices), Fraction(sum(radices), len(radices))
    assert radix_net([radices] * n_systems).density_fraction == mean / n
    depth = math.log(n) / math.log(mean)
    assert float(mean) ** (1 - depth) == pytest.approx(float(mean / n), rel=1e-12)


@pytest.mark.parametrize("mean, depth, density", [
    (2, 3, 0.25), (2, 10, 0.001953), (3, 4, 0.0370), (10, 2, 0.1), (10, 3, 0.01),
])  # fmt: skip
def test_fig_7(mean, depth, density):
    assert radix_net([(mean,) * depth]).density == pytest.approx(density, abs=5e-5)


@settings(max_examples=60, deadline=None)
@given(radix_lists, st.data())
def test_the_route_of_one_system_is_the_path_that_the_digits_spell(radices, data):
    n = math.prod(radices)
    u, v = data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n - 1))
    path = route(mixed_radix(radices), u, v)
    word = digits((v - u) % n, radices)
    turns = [0, *np.cumsum([d * value for d, value in zip(word, place_values(radices))])]
    assert path == [(u + turn) % n for turn in turns]


@settings(max_examples=60, deadline=None)
@given(nets(), st.data())
def test_a_route_of_a_radix_net_runs_along_its_wires(net, data):
    topology = radix_net(*net)
    u = data.draw(st.integers(0, topology.sizes[0] - 1))
    v = data.draw(st.integers(0, topology.sizes[-1] - 1))
    path = route(topology, u, v)
    assert (path[0], path[-1], len(path)) == (u, v, len(topology) + 1)
    assert all(after in layer.successors(before) for before, after, layer in zip(path, path[1:], topology))


def test_a_slice_routes_to_what_it_reaches_and_refuses_the_rest():
    part = mixed_radix((3, 3, 4))[1:]  # place values 3 and 9
    assert route(part, 2, 35) == [2, 8, 35]
    with pytest.raises(
        NbkitError, match=r"^route: output v must be one that the digits of a single system lead to, got v ="
    ):
        route(part, 2, 3)


@pytest.mark.parametrize("topology, u, v, rule", [
    (mixed_radix((2, 2)), 4, 0, "u must be an integer between 0 and 3, got 4"),
    (mixed_radix((2, 2)), 0, -1, "v must be an integer between 0 and 3, got -1"),
    (mixed_radix((2, 2)), 0.5, 0, "u must be an integer between 0 and 3, got 0.5"),
    (Topology([random_expander(4, 4, 2)]), 0, 0, "topology must be made of mixed-radix layers on one n"),
    (Topology([cayley_expander(4, (0, 1), group="binary")]), 0, 0, "topology must be made of mixed-radix layers"),
    (mixed_radix((2, 2))[0], 0, 0, r"topology must be a Topology, got CirculantLayer\. Wrap layers"),
    (None, 0, 0, "topology must be a Topology, got NoneType"),
], ids=str)  # fmt: skip
def test_a_wrong_route_is_refused(topology, u, v, rule):
    with pytest.raises(NbkitError, match=f"^route: {rule}"):
        route(topology, u, v)


@pytest.mark.parametrize("radices, rule", [
    ((2, 1), "entry 2 of radices must be an integer of at least 2, got 1"),
    ((2, 0), "entry 2 of radices must be an integer of at least 2, got 0"),
    ((2.0, 3), r"entry 1 of radices must be an integer of at least 2, got 2\.0"),
    ((2, "3"), "entry 2 of radices must be an integer of at least 2, got '3'"),
    ((2, None), "entry 2 of radices"), ((2, float("nan")), "entry 2 of radices"), ((True, 2), "entry 1 of radices"),
    ([[2, 3], [3]], r"entry 1 of radices must be an integer of at least 2, got \[2, 3\]"),
    ((), "radices must have a length of at least 1, got 0"),
    ("2,2", "radices must be a list of integers, got '2,2'"), (b"22", "radices must be a list of integers"),
    (None, "radices must be a list of integers, got None"),
], ids=str)  # fmt: skip
def test_wrong_radices_are_refused_everywhere(radices, rule):
    for who, ask in (
        ("mixed_radix", lambda: mixed_radix(radices)),
        ("digits", lambda: digits(0, radices)),
        ("label", lambda: label((0,), radices)),
    ):
        with pytest.raises(NbkitError, match=f"^{who}: {rule}"):
            ask()
    with pytest.raises(NbkitError, match=f"^radix_net: {rule.replace('radices', 'system 2')}"):
        radix_net([(2, 3), radices])


@pytest.mark.parametrize("n, rule", [
    (6, r"the product of radices must divide n = 6, got \(2, 2\) which multiply to 4\. Use a multiple of 4"),
    (0, "n must be an integer between 1 and"), (-4, "n must be an integer"), (4.0, "n must be an integer"),
    ("4", "n must be an integer"), (2**63, "n must be an integer between 1 and"),
])  # fmt: skip
def test_a_wrong_n_is_refused(n, rule):
    with pytest.raises(NbkitError, match=f"^mixed_radix: {rule}"):
        mixed_radix((2, 2), n)


def test_more_labels_than_int64_holds_are_refused():
    with pytest.raises(NbkitError, match="^mixed_radix: the product of radices must be an integer of at most 46116860"):
        mixed_radix((2,) * 63)
    with pytest.raises(
        NbkitError, match="^radix_net: the product of system 1 must be .+ got int with thousands of dig"
    ):
        radix_net([(10**5000,)])


@pytest.mark.parametrize("systems, rule", [
    ([(3, 4), (2, 4), (2,)], r"the radices of system 2 must multiply to 12, got \(2, 4\) which multiply to 8\. Use radi"),
    ([(2, 2), (3,)], r"the radices of the last system must multiply to a divisor of 4, got \(3,\) which multiply to 3"),
    ([(2, 2), (8,)], r"the radices of the last system must multiply to a divisor of 4, got \(8,\) which multiply to 8"),
    ([], r"systems must be a list of radix tuples, got \[\]"), (None, "systems must be a list of radix tuples, got None"),
    ("2,2", "systems must be a list of radix tuples, got '2,2'"), (np.array(3), "systems must be a list of radix tuples"),
    ((2, 2), r"systems must be a list of radix tuples, got \(2, 2\)\. Put it in a list"),
    ([(2, 2), 2], r"systems must be a list of radix tuples, got \[\(2, 2\), 2\]\. Put it in a list"),
    (["22"], "system 1 must be a list of integers, got '22'"), ([()], "system 1 must have a length of at least 1, got 0"),
], ids=str)  # fmt: skip
def test_systems_that_disagree_are_refused(systems, rule):
    with pytest.raises(NbkitError, match=f"^radix_net: {rule}"):
        radix_net(systems)


@pytest.mark.parametrize("widths, rule", [
    ([1, 1], r"widths must have one entry more than there are radices, 3, got 2\. Give 3 widths"),
    ([1, 0, 1], "entry 2 of widths must be an integer of at least 1, got 0"),
    ([1, 1.5, 1], "entry 2 of widths must be an integer of at least 1, got 1.5"),
    ([], "widths must have a length of at least 1, got 0"), ("111", "widths must be a list of integers, got '111'"),
])  # fmt: skip
def test_wrong_widths_are_refused(widths, rule):
    with pytest.raises(NbkitError, match=f"^radix_net: {rule}"):
        radix_net([(2, 2)], widths)


@pytest.mark.parametrize("ask, rule", [
    (lambda: digits(12, (3, 4)), "digits: label must be an integer between 0 and 11, got 12"),
    (lambda: digits(-1, (3, 4)), "digits: label must be an integer between 0 and 11, got -1"),
    (lambda: label((3, 0), (3, 4)), r"label: digits must be one for each radix and below it, got \(3, 0\) for \(3, 4\)\."),
    (lambda: label((0,), (3, 4)), "label: digits must be one for each radix and below it"),
    (lambda: label((0, -1), (3, 4)), "label: entry 2 of digits must be an integer of at least 0, got -1"),
])  # fmt: skip
def test_wrong_digits_are_refused(ask, rule):
    with pytest.raises(NbkitError, match=f"^{rule}"):
        ask()


def test_numpy_radices_and_widths_are_welcome():
    assert radix_net(np.array([[2, 3], [3, 2]]), np.array([1, 2, 1, 1, 1])) == radix_net(
        [(2, 3), (3, 2)], [1, 2, 1, 1, 1]
    )


def test_a_net_of_brain_scale_costs_less_than_a_megabyte():
    tracemalloc.start()
    topology = radix_net([BRAIN_RADICES, BRAIN_RADICES], [1, 2] + [3] * 11)
    path = route(topology, 5, 3 * BRAIN_NODES - 1)
    neighbours = topology[8].successors(2**37 + 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert topology.sizes[:3] == (BRAIN_NODES, 2 * BRAIN_NODES, 3 * BRAIN_NODES)
    assert topology.density_fraction == Fraction(64, BRAIN_NODES) == topology[3].density_fraction
    assert topology.n_edges == 64 * BRAIN_NODES * (2 + 6 + 10 * 9)
    assert len(path) == 13 and (path[0], path[-1]) == (5, 3 * BRAIN_NODES - 1)
    assert len(neighbours) == 64 * 3
    assert peak < 2**20


@pytest.mark.parametrize("layer", [mixed_radix(BRAIN_RADICES)[2], mixed_radix((10**6, 10**6))[0]], ids=repr)
@pytest.mark.parametrize("ask", ["edge_index", "biadjacency", "mask", "to_scipy", "out_degrees", "in_degrees"])
def test_what_would_materialise_2_to_the_36_of_anything_is_refused_with_its_size(layer, ask, monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "100GiB")
    with pytest.raises(
        NbkitError, match=r"memory budget of 100 GiB, but it would take .+ [GTPEZ]iB\. Lower the number of"
    ):
        getattr(layer, ask)()


def listing_of_fig_6(systems: list[tuple[int, ...]], widths: list[int]) -> list[np.ndarray]:
    """The algorithm as printed, but with three names for its one W, an index for D, and P transposed (SCIENCE 1.3)."""
    n = math.prod(systems[0])
    shift = np.roll(np.eye(n, dtype=int), 1, axis=1)
    collected = []
    for radices in systems:
        place_value = 1
        for radix in radices:
            running = np.zeros((n, n), dtype=int)
            for j in range(radix):
                running = running + np.linalg.matrix_power(shift, j * place_value)
            collected.append(running)
            place_value *= radix
    return [np.kron(np.ones(pair, dtype=int), matrix) for matrix, pair in zip(collected, zip(widths, widths[1:]))]


@pytest.mark.parametrize(
    ("systems", "widths"),
    [
        ([(2, 3), (3, 2), (3,)], [1, 2, 3, 1, 2, 1]),
        ([(2, 2), (4,), (2,)], [2, 1, 1, 3, 1]),
        ([(3, 3, 4)], [1, 1, 2, 1]),
    ],
)
def test_the_listing_of_fig_6_builds_the_same_layers(systems, widths):
    net = radix_net(systems, widths)
    for layer, matrix in zip(net, listing_of_fig_6(systems, widths), strict=True):
        assert (layer.biadjacency().numpy() == matrix).all()
