"""SAO masks: exactly regular, a union of equal complete blocks, in three placements (SCIENCE 3.1)."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.topology import biregular

PLACEMENTS = ("random", "shift", "aligned")


@st.composite
def masks(draw):
    """(n_in, n_out, degree, placement) that are admissible: wide = degree * blocks, narrow a multiple of the blocks."""
    degree, blocks, repeats = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 5))
    sizes = sorted((degree * blocks, repeats * blocks))
    degree = degree if sizes[1] == degree * blocks else repeats
    if draw(st.booleans()):
        sizes.reverse()
    return *sizes, degree, draw(st.sampled_from(PLACEMENTS))


@settings(max_examples=80, deadline=None)
@given(masks(), st.integers(0, 99))
def test_both_sides_are_exactly_regular_and_components_are_complete_blocks(mask, seed):
    n_in, n_out, degree, placement = mask
    layer = biregular(n_in, n_out, degree, placement=placement, seed=seed)
    narrow, wide = min(n_in, n_out), max(n_in, n_out)
    at_narrow, at_wide = (layer.out_degrees(), layer.in_degrees())[:: 1 if n_in <= n_out else -1]
    assert set(at_narrow) == {degree} and set(at_wide) == {degree * narrow // wide}
    graph = nx.Graph([(("in", u), ("out", v)) for u, v in layer.edge_index().T.tolist()])
    parts = list(nx.connected_components(graph))
    assert len(parts) == wide // degree
    for part in parts:  # K(d, c): every input of the part is wired to every output of it
        inputs = {node for side, node in part if side == "in"}
        outputs = {node for side, node in part if side == "out"}
        assert all(set(layer.successors(node)) == outputs for node in inputs)


@pytest.mark.parametrize("n_in, n_out, degree, c, d, blocks", [
    (256, 256, 4, 4, 4, 64), (8, 12, 3, 3, 2, 4), (12, 8, 3, 2, 3, 4), (1024, 512, 4, 2, 4, 256),
])  # fmt: skip
def test_printed_examples(n_in, n_out, degree, c, d, blocks):  # S1
    layer = biregular(n_in, n_out, degree)
    assert set(layer.out_degrees()) == {c} and set(layer.in_degrees()) == {d}
    assert layer.description == f"SAO random, {blocks} blocks"


def test_printed_sparsities():  # S3
    assert 1 - biregular(256, 256, 2).density == 0.9921875
    assert 1 - biregular(256, 256, 4).density == 0.984375


@pytest.mark.parametrize("n_in, n_out, degree, admissible", [
    (256, 10, 4, "128, 256"), (8, 8, 3, "1, 2, 4, 8"), (7, 7, 2, "1, 7"), (8, 12, 24, "3, 6, 12"), (8, 12, 2, "3, 6, 12"),
])  # fmt: skip
def test_a_degree_that_does_not_divide_is_refused_and_those_that_do_are_listed(n_in, n_out, degree, admissible):  # S2
    wide, narrow = max(n_in, n_out), min(n_in, n_out)
    rule = f"degree must divide {wide} and give {narrow} * degree a multiple of {wide}, got {degree}. Use one of {admissible}."
    with pytest.raises(NbkitError) as caught:
        biregular(n_in, n_out, degree)
    assert str(caught.value) == f"biregular: {rule}"
    for other in map(int, admissible.split(", ")):
        assert biregular(n_in, n_out, other).shape == (n_in, n_out)


def test_shift_feeds_consecutive_nodes():
    layer = biregular(20, 20, 2, placement="shift")
    assert all(layer.successors(j).tolist() == sorted((2 * j + s) % 20 for s in range(2)) for j in range(20))


def test_aligned_blocks_are_residues():
    layer = biregular(8, 12, 3, placement="aligned")
    assert all((layer.successors(j) % 4 == j % 4).all() for j in range(8))


def test_the_random_placement_is_drawn_for_every_layer():
    assert biregular(16, 16, 4, seed=1) == biregular(16, 16, 4, seed=1)
    generator = np.random.default_rng(1)
    assert biregular(16, 16, 4, seed=generator) != biregular(16, 16, 4, seed=generator)
    assert biregular(16, 16, 4, seed=None) != biregular(16, 16, 4, seed=None)
    assert biregular(16, 16, 4, placement="shift", seed=1) == biregular(16, 16, 4, placement="shift", seed=2)


@pytest.mark.parametrize("arguments, options, rule", [
    ((0, 8, 2), {}, "n_in must be an integer between 1 and"), ((8, 8.0, 2), {}, "n_out must be an integer between 1 and"),
    ((8, 8, 0), {}, "degree must be an integer of at least 1, got 0"),
    ((8, 8, "2"), {}, "degree must be an integer of at least 1, got '2'"),
    ((8, 8, 2), {"placement": "de Bruijn"}, "placement must be one of 'random', 'shift', 'aligned', got 'de Bruijn'"),
    ((8, 8, 2), {"seed": "x"}, "seed must be an integer of at least 0, a numpy Generator or None, got 'x'"),
    ((10**12, 10**12, 4), {}, "the result must fit into the memory budget"),
    ((3, 10**15, 4), {}, "the result must fit into the memory budget"),
])  # fmt: skip
def test_wrong_arguments_are_refused(arguments, options, rule):
    with pytest.raises(NbkitError, match=f"^biregular: {rule}"):
        biregular(*arguments, **options)
