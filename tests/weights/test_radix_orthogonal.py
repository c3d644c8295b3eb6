"""Orthogonal weights on RadiX wires: where they exist, exact and without a zero; elsewhere an error that is true (SCIENCE 7.3)."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.device import spawn_generators
from nbkit.errors import NbkitError
from nbkit.topology import CirculantLayer, Layer, biregular, dense_layer, kronecker, mixed_radix, radix_net
from nbkit.weights import radix_orthogonal


def error(weights: torch.Tensor) -> float:
    """How far S^T S, or S S^T of a wide S, is from the identity."""
    s = weights.numpy() if weights.shape[0] >= weights.shape[1] else weights.numpy().T
    return float(np.abs(s.T @ s - np.eye(s.shape[1])).max())


@st.composite
def systems(draw) -> list[list[int]]:
    radices = draw(st.lists(st.integers(2, 4), min_size=1, max_size=3).filter(lambda r: math.prod(r) <= 24))
    last = draw(st.sampled_from([[d] for d in range(2, 25) if math.prod(radices) % d == 0]))
    return [radices, draw(st.permutations(radices)), last]


@settings(max_examples=60, deadline=None)
@given(systems(), st.integers(0, 99), st.data())
def test_every_layer_with_a_dense_width_of_2_or_more_has_them(radices, seed, data):
    n_widths = sum(map(len, radices)) + 1
    widths = data.draw(st.lists(st.integers(1, 3), min_size=n_widths, max_size=n_widths))
    for layer, (d_in, d_out) in zip(radix_net(radices, widths), itertools.pairwise(widths), strict=True):
        if max(d_in, d_out) == 1:
            continue
        weights = radix_orthogonal(layer, seed=seed)
        assert weights.shape == (layer.n_out, layer.n_in) and weights.dtype == torch.float64
        assert torch.equal(weights != 0, layer.mask())  # full support, nothing besides
        assert error(weights) < 1e-12
        assert error(radix_orthogonal(layer, gain=1.7, seed=seed) / 1.7) < 1e-12


def test_two_dense_copies_of_radix_3_on_9_labels():  # 7.3
    layer = radix_net([(3, 3)], [2, 2, 2])[0]
    weights = radix_orthogonal(layer)
    assert weights.shape == (18, 18) and error(weights) < 5e-15 and torch.equal(weights != 0, layer.mask())


@pytest.mark.parametrize("radices", [(2, 2, 2), (3, 3, 4)])
def test_without_dense_copies_the_last_layer_alone_has_them(radices):  # 7.3: F, F, T
    *earlier, last = mixed_radix(radices)
    for layer in earlier:
        with pytest.raises(
            NbkitError, match="^radix_orthogonal: layer must be the last of a full system or have a dense"
        ):
            radix_orthogonal(layer)
    weights = radix_orthogonal(last)
    assert error(weights) < 1e-14 and torch.equal(weights != 0, last.mask())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 4), min_size=1, max_size=3), st.integers(1, 3))
def test_the_reason_is_true_two_outputs_share_exactly_one_input(radices, factor):
    n = math.prod(radices) * factor
    for layer in mixed_radix(radices, n):
        try:
            assert error(radix_orthogonal(layer)) < 1e-12
        except NbkitError as refusal:
            assert str(refusal).startswith("radix_orthogonal: layer must be the last of a full system or have a dense")
            distance = int(str(refusal).split("outputs v and v + ")[1].split()[0])
            mask = layer.mask().numpy().astype(int)
            shared = mask @ mask.T
            assert {int(shared[v, (v + distance) % n]) for v in range(n)} == {1}


@pytest.mark.parametrize("d_in, d_out", [(1, 2), (2, 1), (2, 3), (3, 2), (1, 3), (4, 1)])
def test_unequal_widths_are_orthogonal_on_the_narrower_side(d_in, d_out):
    layer = kronecker(mixed_radix((3, 4))[0], d_in, d_out)
    weights = radix_orthogonal(layer, gain=2.0)
    values = torch.linalg.svdvals(weights).numpy()
    assert values == pytest.approx(2 * np.ones(12 * min(d_in, d_out)), abs=1e-12)
    assert torch.equal(weights != 0, layer.mask())


def test_an_orthogonal_radix_net_keeps_every_length_through_all_its_layers():
    net = radix_net([(2, 3), (3, 2)], [2] * 5)
    product = torch.eye(12, dtype=torch.float64)
    for layer, generator in zip(net, spawn_generators(0, len(net.layers)), strict=True):
        product = radix_orthogonal(layer, seed=generator) @ product
    assert error(product) < 1e-13


def test_weights_are_constant_along_an_offset():
    layer = radix_net([(3, 3)], [2, 2, 2])[0]
    blocks = radix_orthogonal(layer).numpy().reshape(2, 9, 2, 9)
    for offset in (0, 1, 2):
        taps = np.stack([blocks[:, (label + offset) % 9, :, label] for label in range(9)])
        assert (taps == taps[0]).all()


def test_seeds_repeat_advance_and_differ():
    for layer in (radix_net([(3, 3)], [2, 2, 2])[0], mixed_radix((3, 3))[1]):
        generator = np.random.default_rng(3)
        assert torch.equal(radix_orthogonal(layer, seed=3), radix_orthogonal(layer, seed=generator))
        assert not torch.equal(radix_orthogonal(layer, seed=3), radix_orthogonal(layer, seed=generator))
        assert not torch.equal(radix_orthogonal(layer, seed=None), radix_orthogonal(layer, seed=None))


@pytest.mark.parametrize("layer", [
    biregular(8, 8, 2), dense_layer(3, 3), CirculantLayer(12, (0, 1, 5)), CirculantLayer(12, (1, 2)),
    CirculantLayer(12, range(0, 8, 2)), CirculantLayer(5, (0,)), CirculantLayer(7, range(3)),
    kronecker(CirculantLayer(12, range(0, 8, 2)), 2, 2), Layer.from_biadjacency([[1]]),
], ids=str)  # fmt: skip
def test_wires_that_are_no_mixed_radix_layer_are_refused(layer):
    with pytest.raises(NbkitError, match="^radix_orthogonal: layer must be a layer of mixed_radix or radix_net, got <"):
        radix_orthogonal(layer)


@pytest.mark.parametrize("wrong", [np.eye(2), None, mixed_radix((2, 2))], ids=["matrix", "None", "topology"])
def test_what_is_no_layer_is_refused(wrong):
    with pytest.raises(NbkitError, match=f"^radix_orthogonal: layer must be a Layer, got {type(wrong).__name__}"):
        radix_orthogonal(wrong)


@pytest.mark.parametrize("layer", [mixed_radix((3, 3))[1], radix_net([(3, 3)], [2, 2, 2])[0]])
@pytest.mark.parametrize("options, rule", [
    ({"gain": 0}, "gain must be a finite number"), ({"gain": -1}, "gain must be a finite"),
    ({"gain": float("nan")}, "gain must be a finite"), ({"gain": True}, "gain must be a finite"),
    ({"seed": -1}, "seed must be an integer of at least 0"), ({"seed": "x"}, "seed must be an integer"),
], ids=str)  # fmt: skip
def test_a_wrong_gain_or_seed_is_refused(layer, options, rule):
    with pytest.raises(NbkitError, match=f"^radix_orthogonal: {rule}"):
        radix_orthogonal(layer, **options)


def test_a_matrix_beyond_memory_is_refused_and_the_reason_comes_first():
    with pytest.raises(NbkitError, match="hear exactly one input in common"):
        radix_orthogonal(mixed_radix((2**10, 2**10))[0])
    for layer in (mixed_radix((2**10, 2**10))[1], radix_net([(2**10, 2**10)], [2, 2, 2])[0]):
        with pytest.raises(NbkitError, match="^radix_orthogonal: the result must fit into the memory budget"):
            radix_orthogonal(layer)
