"""X-Net layers: what is regular, what is drawn uniformly, when a cascade of Cayley layers reaches everything."""

import math

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.topology import (
    CirculantLayer,
    XorLayer,
    admitted_degrees,
    biregular,
    cayley_expander,
    is_cascade_connected,
    mixed_radix,
    radix_net,
    random_expander,
)


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (6, 6), (40, 1)], ids=str)
def test_the_drawing_side_is_regular(shape):
    for degree in range(1, shape[1] + 1):
        assert set(random_expander(*shape, degree).out_degrees()) == {degree}
    for degree in range(1, shape[0] + 1):
        assert set(random_expander(*shape, degree, regular="in").in_degrees()) == {degree}


def test_the_other_side_is_not_regular():
    assert len(set(random_expander(64, 64, 3).in_degrees())) > 1
    assert len(set(random_expander(64, 64, 3, regular="in").out_degrees())) > 1


@pytest.mark.parametrize("n_out, degree", [(300, 2), (5, 2), (5, 3)])
def test_neighbours_are_drawn_uniformly_over_subsets(n_out, degree):
    # 300 outputs are looked up among the draws, 5 in a table; outputs are folded to 5 classes where there are 300.
    draws = random_expander(20_000, n_out, degree, seed=3).edge_index()[1].view(-1, degree).numpy()
    classes, counts = np.unique(draws, axis=0, return_counts=True)
    if n_out == 5:
        assert len(classes) == math.comb(5, degree)
        expected = 20_000 / len(classes)
        assert ((counts - expected) ** 2 / expected).sum() < 27.9  # chi-square, 9 degrees of freedom, p = 0.001
    else:
        first = np.bincount(draws.ravel(), minlength=n_out)
        expected = 20_000 * degree / n_out
        assert ((first - expected) ** 2 / expected).sum() < 378  # 299 degrees of freedom, p = 0.001


def test_dead_inputs_are_as_likely_as_computed():
    n_in, n_out, degree, n_layers = 16, 24, 2, 400
    generator = np.random.default_rng(0)
    layers = [random_expander(n_in, n_out, degree, regular="in", seed=generator) for _ in range(n_layers)]
    dead = np.mean([(layer.out_degrees() == 0).mean() for layer in layers])
    expected = (1 - degree / n_in) ** n_out
    sigma = math.sqrt(expected * (1 - expected) / (n_in * n_layers))  # deaths exclude each other a little: at most this
    assert dead == pytest.approx(expected, abs=4 * sigma)


def test_an_integer_repeats_none_is_fresh_and_a_generator_advances():
    assert random_expander(20, 30, 4, seed=5) == random_expander(20, 30, 4, seed=5)
    assert random_expander(20, 30, 4, seed=5) != random_expander(20, 30, 4, seed=6)
    assert random_expander(20, 30, 4, seed=None) != random_expander(20, 30, 4, seed=None)
    generator = np.random.default_rng(5)
    assert random_expander(20, 30, 4, seed=generator) == random_expander(20, 30, 4, seed=5)
    assert random_expander(20, 30, 4, seed=generator) != random_expander(20, 30, 4, seed=5)


@pytest.mark.parametrize("arguments, options, rule", [
    ((0, 4, 2), {}, "n_in must be an integer between 1 and"), ((4, -1, 2), {}, "n_out must be an integer between 1 and"),
    ((4, 2.5, 2), {}, "n_out must be an integer"), ((4, "4", 2), {}, "n_out must be an integer"),
    ((4, 5, 6), {}, "degree must be an integer between 1 and 5, got 6"),
    ((4, 5, 0), {}, "degree must be an integer between 1 and 5, got 0"),
    ((4, 5, 5), {"regular": "in"}, "degree must be an integer between 1 and 4, got 5"),
    ((4, 5, float("nan")), {}, "degree must be an integer between 1 and 5, got nan"),
    ((4, 5, 2), {"regular": "both"}, "regular must be one of 'out', 'in', got 'both'"),
    ((4, 5, 2), {"seed": -1}, "seed must be an integer of at least 0, a numpy Generator or None, got -1"),
    ((10**12, 4, 2), {}, "the result must fit into the memory budget"),
    ((10**12, 4, 2), {"regular": "in"}, "the result must fit into the memory budget"),
])  # fmt: skip
def test_wrong_arguments_of_a_random_layer_are_refused(arguments, options, rule):
    with pytest.raises(NbkitError, match=f"^random_expander: {rule}"):
        random_expander(*arguments, **options)


def test_a_cayley_layer_adds_every_generator():
    cyclic = cayley_expander(12, (0, 1, 5))
    assert isinstance(cyclic, CirculantLayer) and cyclic.successors(11).tolist() == [0, 4, 11]
    binary = cayley_expander(16, (0, 3, 8), group="binary")
    assert isinstance(binary, XorLayer) and binary.successors(5).tolist() == [5, 6, 13]


def test_mixed_radix_layers_are_cayley_layers():
    for layer, generators in zip(mixed_radix((3, 3, 4)), ((0, 1, 2), (0, 3, 6), (0, 9, 18, 27))):
        assert layer == cayley_expander(36, generators)


@pytest.mark.parametrize("arguments, group, rule", [
    (((8, 12), (0, 1)), "cyclic", r"n must be one integer, since a Cayley layer has n_in = n_out .+ got \(8, 12\)\. Use r"),
    ((0, (0,)), "cyclic", "n must be an integer between 1 and"), ((8.0, (0,)), "binary", "n must be an integer between"),
    ((8, ()), "cyclic", "generators must have a length of at least 1, got 0"),
    ((8, (1, 1)), "binary", r"generators must be distinct integers in 0\.\.7, got \(1, 1\)"),
    ((8, (0, 8)), "cyclic", r"generators must be distinct integers in 0\.\.7, got \(0, 8\)"),
    ((8, (0, -1)), "cyclic", "entry 2 of generators must be an integer of at least 0, got -1"),
    ((8, "01"), "cyclic", "generators must be a list of integers, got '01'"),
    ((12, (0, 1)), "binary", r"n must be a power of two for the binary group, got 12\. Use 16\."),
    ((8, (0, 1)), "dihedral", "group must be one of 'cyclic', 'binary', got 'dihedral'"),
], ids=str)  # fmt: skip
def test_wrong_arguments_of_a_cayley_layer_are_refused(arguments, group, rule):
    for who, ask in (("cayley_expander", cayley_expander), ("is_cascade_connected", is_cascade_connected)):
        with pytest.raises(NbkitError, match=f"^{who}: {rule}"):
            ask(*arguments, group=group)


def fill_depths(n: int, group: str) -> np.ndarray:
    """For every subset of 0..n-1 (a bit mask), the layers until 0 reaches all n elements, or -1: by brute force."""
    subsets = np.arange(1 << n)
    sets = np.arange(1 << n)
    moved = np.empty((1 << n, n), dtype=np.int64)  # every set of elements, moved by every element
    for element in range(n):
        targets = [(j ^ element) if group == "binary" else (j + element) % n for j in range(n)]
        moved[:, element] = sum(((sets >> j) & 1) << target for j, target in enumerate(targets))
    reached = np.ones(1 << n, dtype=np.int64)
    depths = np.full(1 << n, -1)
    for depth in range(1, n + 1):
        reached = sum_of_moves(reached, subsets, moved, n)
        depths[(depths < 0) & (reached == (1 << n) - 1)] = depth
    return depths


def sum_of_moves(reached: np.ndarray, subsets: np.ndarray, moved: np.ndarray, n: int) -> np.ndarray:
    following = np.zeros_like(reached)
    for element in range(n):
        following |= np.where((subsets >> element) & 1, moved[reached, element], 0)
    return following


@pytest.mark.parametrize("group, n", [*(("cyclic", n) for n in range(1, 13)), ("binary", 8), ("binary", 16)])
def test_the_condition_for_a_cascade_to_reach_everything_is_exact(group, n):
    depths = fill_depths(n, group)
    for subset in range(1, 1 << n):
        generators = [element for element in range(n) if subset >> element & 1]
        assert is_cascade_connected(n, generators, group=group) == (depths[subset] > 0)


def layers_until_full(n: int, generators: tuple[int, ...], group: str) -> int | None:
    layer = cayley_expander(n, generators, group=group)
    reached = np.array([0])
    for depth in range(1, n + 1):
        reached = layer.successors(reached)
        if len(reached) == n:
            return depth
    return None


@pytest.mark.parametrize("n, generators, group, depth", [
    (16, (1, 2, 4, 8), "binary", None), (16, (0, 1, 2, 4, 8), "binary", 4),
    (16, (1, 3, 5, 7), "cyclic", None), (16, (0, 1), "cyclic", 15), (16, (0, 1, 4, 9), "cyclic", 4),
    (256, (0, 1, 16, 100), "cyclic", 14),
])  # fmt: skip
def test_printed_cascades_fill_at_the_printed_depth(n, generators, group, depth):
    assert layers_until_full(n, generators, group) == depth
    assert is_cascade_connected(n, generators, group=group) == (depth is not None)


def test_that_the_generators_generate_the_group_is_not_enough():
    assert not is_cascade_connected(16, (1, 2, 4, 8), group="binary")  # a basis
    assert math.gcd(16, 1, 3, 5, 7) == 1 and not is_cascade_connected(16, (1, 3, 5, 7))


@pytest.mark.parametrize("shape", [(8, 12), (12, 8), (6, 6), (7, 5)], ids=str)
def test_admitted_degrees_are_those_for_which_a_layer_can_be_made(shape):
    n_in, n_out = shape
    sao = set()
    for degree in range(1, max(shape) + 1):
        try:
            sao.add(int(biregular(n_in, n_out, degree).out_degrees()[0]))
        except NbkitError:
            pass
    assert admitted_degrees("sao", n_in, n_out) == sorted(sao)
    radix = {
        int(radix_net([(radix, n // radix) if radix < n else (radix,)], [n_in // n, n_out // n, 1][: 3 - (radix == n)])[0].out_degree)
        for n in range(2, min(shape) + 1) if n_in % n == n_out % n == 0
        for radix in range(2, n + 1) if n % radix == 0
    }  # fmt: skip
    assert admitted_degrees("radix", n_in, n_out) == sorted(radix)
    assert admitted_degrees("random", n_in, n_out) == list(range(1, n_out + 1))
    assert admitted_degrees("cayley", n_in, n_out) == (list(range(1, n_out + 1)) if n_in == n_out else [])


def test_radix_wires_admit_shapes_that_cayley_wires_do_not():
    assert admitted_degrees("radix", 8, 12) == [6, 12] and admitted_degrees("cayley", 8, 12) == []
    assert admitted_degrees("sao", 256, 10) == [5, 10]  # at the inputs: 128 and 256 edges into each output


@pytest.mark.parametrize("arguments, rule", [
    (("tree", 4, 4), "family must be one of 'radix', 'sao', 'cayley', 'random', got 'tree'"),
    (("sao", 0, 4), "n_in must be an integer between 1 and"), (("sao", 4, 2**41), "n_out must be an integer between 1 and"),
    (("random", 4, 2**40), "the result must fit into the memory budget"),
])  # fmt: skip
def test_wrong_families_and_sizes_are_refused(arguments, rule):
    with pytest.raises(NbkitError, match=f"^admitted_degrees: {rule}"):
        admitted_degrees(*arguments)
