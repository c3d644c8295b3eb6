"""Pruning masks: exact counts, the largest weights, repeatable ties, whole kernels, nested densities."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.topology import magnitude_pruned, random_pruned

SHAPES = [(9, 11), (5, 9), (9, 11)]
WEIGHTS = [np.random.default_rng(seed).standard_normal(shape) for seed, shape in enumerate(SHAPES)]
densities = st.one_of(st.floats(0.001, 1.0), st.sampled_from([0.5, 0.25, 0.1, 1.0]))


@settings(max_examples=40, deadline=None)
@given(densities)
def test_every_layer_keeps_exactly_its_share(density):
    expected = [round(Fraction(str(density)) * n * m) for m, n in SHAPES]
    assert [layer.n_edges for layer in magnitude_pruned(WEIGHTS, density)] == expected
    assert [layer.n_edges for layer in random_pruned(WEIGHTS, density)] == expected
    total = round(Fraction(str(density)) * sum(n * m for m, n in SHAPES))
    assert sum(layer.n_edges for layer in magnitude_pruned(WEIGHTS, density, scope="network")) == total


def test_layers_have_the_orientation_of_wires():
    assert [layer.shape for layer in magnitude_pruned(WEIGHTS, 0.3)] == [(11, 9), (9, 5), (11, 9)]
    (layer,) = magnitude_pruned([[[0, 5, 0], [1, 0, 0]]], 1 / 3)
    assert layer.edge_index().tolist() == [[0, 1], [1, 0]]  # weight (1, 0) is the wire 0 -> 1


@pytest.mark.parametrize("scope", ["layer", "network"])
def test_nothing_that_goes_is_larger_than_what_stays(scope):
    kept = magnitude_pruned(WEIGHTS, 0.3, scope=scope)
    scopes = [[pair] for pair in zip(WEIGHTS, kept)] if scope == "layer" else [list(zip(WEIGHTS, kept))]
    for pairs in scopes:
        stays = np.concatenate([np.abs(weight)[layer.mask().numpy()] for weight, layer in pairs])
        goes = np.concatenate([np.abs(weight)[~layer.mask().numpy()] for weight, layer in pairs])
        assert goes.max() <= stays.min()


def test_of_equal_magnitudes_the_earlier_stays():
    (layer,) = magnitude_pruned([np.array([[1.0, -1.0, 1.0], [-1.0, 1.0, 2.0]])], 0.5)
    assert layer.mask().int().tolist() == [[1, 1, 0], [0, 0, 1]]
    first, second = magnitude_pruned([np.ones((2, 2)), np.ones((2, 2))], 0.5, scope="network")
    assert (first.n_edges, second.n_edges) == (4, 0)


@pytest.mark.parametrize("scope", ["layer", "network"])
def test_a_lower_density_keeps_a_part_of_a_higher_one(scope):
    before = None
    for density in (0.9, 0.5, 0.2, 0.01):
        masks = [layer.mask() for layer in magnitude_pruned(WEIGHTS, density, scope=scope)]
        assert before is None or all((small <= large).all() for small, large in zip(masks, before))
        before = masks


def test_kernels_go_or_stay_whole_by_their_norm():
    kernels = np.zeros((2, 3, 3, 3))
    kernels[0, 1] = 1.0  # norm 3
    kernels[1, 2, 0, 0] = 2.9  # the largest single weight, norm 2.9
    kernels[1, 0] = 0.5  # norm 1.5
    (one,) = magnitude_pruned([kernels], 1 / 6)
    (two,) = magnitude_pruned([kernels], 2 / 6)
    assert one.shape == (3, 2) and one.edge_index().T.tolist() == [[1, 0]]
    assert two.edge_index().T.tolist() == [[1, 0], [2, 1]]


@pytest.mark.parametrize("weight", [
    np.array([[0, 3], [200, 1]], dtype=np.uint8), np.array([[0, 3], [-128, 1]], dtype=np.int8),
    torch.tensor([[0.0, 3.0], [-200.0, 1.0]], requires_grad=True), torch.tensor([[0, 3], [-200, 1]], dtype=torch.bfloat16),
    np.array([[0, 3], [200j, 1]]), np.array([[False, True], [True, False]]), [[0, 3], [200, 1]],
], ids=str)  # fmt: skip
def test_weights_of_any_dtype_are_pruned_by_magnitude(weight):
    (layer,) = magnitude_pruned([weight], 0.5)
    assert layer.mask().int().tolist() == [[0, 1], [1, 0]]


def test_random_masks_do_not_look_at_the_weights():
    assert random_pruned(WEIGHTS, 0.3) == random_pruned([10 * weight for weight in WEIGHTS], 0.3)


def test_random_masks_of_equal_shape_differ_and_seeds_repeat():
    masks = random_pruned(WEIGHTS, 0.3, seed=4)
    assert masks[0] != masks[2]
    assert masks == random_pruned(WEIGHTS, 0.3, seed=4) != random_pruned(WEIGHTS, 0.3, seed=5)
    generator = np.random.default_rng(4)
    assert random_pruned(WEIGHTS, 0.3, seed=generator) == masks != random_pruned(WEIGHTS, 0.3, seed=generator)
    assert random_pruned(WEIGHTS, 0.3, seed=None) != random_pruned(WEIGHTS, 0.3, seed=None)


def test_the_weights_are_not_changed():
    weight = WEIGHTS[0].copy()
    magnitude_pruned([weight], 0.1)
    assert (weight == WEIGHTS[0]).all()


@pytest.mark.parametrize("weights, rule", [
    ([], r"weights must be a list with one array a layer, got \[\]"), (None, "weights must be a list with one array"),
    (np.eye(2), r"weights must be a list with one array a layer, got array.+Put a single array in a list"),
    ("ab", "weights must be a list with one array"), (3, "weights must be a list with one array"),
    ([np.eye(2), np.ones(3)], r"entry 2 of weights must be finite, \(n_out, n_in\) or \(c_out, c_in, k, k\), got shape"),
    ([np.full((2, 2), np.nan)], "entry 1 of weights must be finite"), ([np.full((2, 2), np.inf)], "entry 1 of weights"),
    ([np.ones((0, 3))], "entry 1 of weights must be finite"), ([[[1, 2], [3]]], "entry 1 of weights must be an array of n"),
    ([None], "entry 1 of weights must be finite"), (["ab"], "entry 1 of weights must be an array of numbers, got 'ab'"),
], ids=str)  # fmt: skip
def test_wrong_weights_are_refused(weights, rule):
    for who, prune in (("magnitude_pruned", magnitude_pruned), ("random_pruned", random_pruned)):
        with pytest.raises(NbkitError, match=f"^{who}: {rule}"):
            prune(weights, 0.5)


@pytest.mark.parametrize("density", [0.0, -0.5, 1.5, float("nan"), None, "0.5", True])
def test_a_wrong_density_is_refused(density):
    for who, prune in (("magnitude_pruned", magnitude_pruned), ("random_pruned", random_pruned)):
        with pytest.raises(NbkitError, match=rf"^{who}: density must be a finite number in \(0, 1\], got "):
            prune(WEIGHTS, density)


def test_a_wrong_scope_or_seed_is_refused():
    with pytest.raises(NbkitError, match="^magnitude_pruned: scope must be one of 'layer', 'network', got 'all'"):
        magnitude_pruned(WEIGHTS, 0.5, scope="all")
    with pytest.raises(NbkitError, match="^random_pruned: seed must be an integer of at least 0"):
        random_pruned(WEIGHTS, 0.5, seed=-1)


@pytest.mark.parametrize("n_kept", range(1, 17))
def test_equal_magnitudes_across_layers_fill_the_earlier_layers_first(n_kept):
    weights = [np.full((2, 2), -3.0), np.full((2, 4), 3.0), np.full((2, 2, 1, 1), 3.0)]
    kept = magnitude_pruned(weights, n_kept / 16, scope="network")
    flat = np.concatenate([layer.mask().numpy().ravel() for layer in kept])
    assert flat.tolist() == [True] * n_kept + [False] * (16 - n_kept)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99), densities)
def test_the_choice_over_the_network_is_that_of_one_sorted_list(seed, density):
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-3, 4, shape).astype(float) for shape in SHAPES]  # many ties
    flat = [(-abs(w), position) for position, w in enumerate(np.concatenate([w.ravel() for w in weights]))]
    chosen = {position for _, position in sorted(flat)[: round(Fraction(str(density)) * len(flat))]}
    kept = np.concatenate(
        [layer.mask().numpy().ravel() for layer in magnitude_pruned(weights, density, scope="network")]
    )
    assert set(np.flatnonzero(kept)) == chosen


def test_single_and_double_precision_are_compared_as_the_numbers_they_are():
    third = np.float32(1 / 3)  # above 1 / 3 as a double
    first, second = magnitude_pruned([np.array([[1 / 3]]), np.array([[third]])], 0.5, scope="network")
    assert float(third) > 1 / 3 and (first.n_edges, second.n_edges) == (0, 1)
    first, second = magnitude_pruned([np.array([[third]]), torch.tensor([[1 / 3]])], 0.5, scope="network")
    assert (first.n_edges, second.n_edges) == (1, 0)  # equal: the earlier


def test_both_zeros_are_one_magnitude():
    (layer,) = magnitude_pruned([np.array([[-0.0, 0.0, -0.0, 1e-300]])], 0.5)
    assert layer.mask().int().tolist() == [[1, 0, 0, 1]]


@pytest.mark.parametrize("scope", ["layer", "network"])
def test_a_density_too_small_for_one_entry_keeps_none(scope):
    layers = magnitude_pruned(WEIGHTS, 1e-9, scope=scope)
    assert [layer.n_edges for layer in layers] == [0, 0, 0]
    assert [layer.shape for layer in layers] == [(11, 9), (9, 5), (11, 9)]
    assert [layer.n_edges for layer in random_pruned(WEIGHTS, 1e-9)] == [0, 0, 0]
    assert [layer.n_edges for layer in magnitude_pruned(WEIGHTS, 1.0, scope=scope)] == [99, 45, 99]


def test_kernels_of_different_sizes_count_as_one_each_over_the_network():
    small, large, linear = np.full((2, 2, 1, 1), 2.0), np.full((2, 3, 3, 3), 1.0), np.full((1, 4), 2.5)
    first, second, third = magnitude_pruned([small, large, linear], 10 / 14, scope="network")  # norms 2, 3, 2.5
    assert (first.n_edges, second.n_edges, third.n_edges) == (0, 6, 4)
    first, second, third = magnitude_pruned([small, large, linear], 11 / 14, scope="network")
    assert (first.n_edges, second.n_edges, third.n_edges) == (1, 6, 4)


def test_a_layer_left_out_of_the_list_does_not_change_the_choice_within_the_others():
    assert magnitude_pruned(WEIGHTS[1:], 0.3) == magnitude_pruned(WEIGHTS, 0.3)[1:]
    total = sum(layer.n_edges for layer in magnitude_pruned(WEIGHTS[1:], 0.3, scope="network"))
    assert total == round(Fraction("0.3") * (45 + 99))


def test_random_masks_of_kernels_are_over_channels_and_every_entry_is_as_likely():
    kernels = np.ones((4, 6, 3, 3))
    kept = sum(random_pruned([kernels], 0.25, seed=seed)[0].mask().double() for seed in range(2000)) / 2000
    assert kept.shape == (4, 6) and kept.numpy() == pytest.approx(np.full((4, 6), 0.25), abs=0.05)
