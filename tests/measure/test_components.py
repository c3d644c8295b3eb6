"""Spectra of weights on wires, one component at a time, against the dense matrix."""

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.measure.components import component_singular_values
from nbkit.topology import EdgeLayer, Layer, biregular, magnitude_pruned, random_expander
from nbkit.weights import orthogonal, orthogonal_on_edges

from .wires import layers_from

any_layer = st.integers(1, 16).flatmap(layers_from)


def dense(layer: Layer, weights: torch.Tensor) -> np.ndarray:
    """The matrix (n_out, n_in)."""
    matrix = np.zeros((layer.n_out, layer.n_in), dtype=weights.numpy().dtype)
    for (source, target), weight in zip(layer.edge_index().T.tolist(), weights.tolist(), strict=True):
        matrix[target, source] = weight
    return matrix


@settings(max_examples=200, deadline=None)
@given(any_layer, st.integers(0, 99), st.booleans())
def test_they_are_those_of_the_dense_matrix(layer, seed, is_complex):
    draw = np.random.default_rng(seed).standard_normal
    weights = torch.from_numpy(draw(layer.n_edges) + 1j * draw(layer.n_edges) if is_complex else draw(layer.n_edges))
    values = component_singular_values(layer, weights)
    expected = np.linalg.svd(dense(layer, weights), compute_uv=False)
    assert values.dtype == torch.float64 and (values.diff() <= 0).all()
    assert values.numpy() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=6), st.integers(0, 99))
def test_blocks_of_every_shape_and_dead_nodes_in_any_order(shapes, seed):
    rng = np.random.default_rng(seed)
    blocks = [rng.standard_normal(shape) for shape in shapes]
    expected = sum((np.linalg.svd(block, compute_uv=False).tolist() for block in blocks if block.size), [])
    matrix = scipy.linalg.block_diag(*blocks, np.zeros((1, 1)))
    matrix = rng.permutation(rng.permutation(matrix).T).T  # (n_in, n_out)
    layer = EdgeLayer(*matrix.shape, *np.nonzero(matrix))
    values = component_singular_values(layer, torch.from_numpy(matrix[np.nonzero(matrix)])).tolist()
    zeros = [0.0] * (min(matrix.shape) - len(expected))
    assert values == pytest.approx(sorted(expected, reverse=True) + zeros, abs=1e-12)
    assert values[len(expected) :] == zeros  # what has no wire is 0, not nearly 0


def test_explicit_zeros_and_tiny_weights_are_weights():
    layer = EdgeLayer(2, 2, [0, 0, 1], [0, 1, 1])
    values = component_singular_values(layer, torch.tensor([0.0, 1e-200, 1e200], dtype=torch.float64))
    assert values.tolist() == [1e200, 0.0]
    assert component_singular_values(layer, torch.zeros(3, dtype=torch.float64)).tolist() == [0, 0]


def test_no_wire_at_all():
    assert component_singular_values(EdgeLayer(2, 3, [], []), torch.zeros(0, dtype=torch.float64)).tolist() == [0, 0]


def test_an_sao_layer_of_width_16384_costs_its_blocks():
    layer = biregular(16384, 16384, 4)
    values = component_singular_values(layer, orthogonal_on_edges(layer, gain=1.1))
    assert values.numpy() == pytest.approx(np.full(16384, 1.1), abs=1e-13)


def test_a_large_component_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "1MiB")
    layer = random_expander(400, 400, 4)
    with pytest.raises(NbkitError, match=r"^singular_values: .+ Lower the number of nodes in the layer"):
        component_singular_values(layer, torch.ones(layer.n_edges, dtype=torch.float64))
    small = biregular(400, 400, 4)
    assert len(component_singular_values(small, torch.ones(1600, dtype=torch.float64))) == 400


def test_components_of_many_shapes_as_pruning_leaves_them():
    weights = np.random.default_rng(0).standard_normal((200, 150))
    (layer,) = magnitude_pruned([weights], 1 / 150)
    expected = np.linalg.svd(weights * layer.mask().numpy(), compute_uv=False)
    values = component_singular_values(layer, torch.from_numpy(weights.T[layer.biadjacency().numpy()]))
    assert values.numpy() == pytest.approx(expected, abs=1e-12)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
def test_cuda_finds_the_values_of_the_cpu_block_by_block():
    layer = biregular(512, 256, 4)
    weights = orthogonal(layer)[tuple(layer.edge_index().flip(0))]
    values = component_singular_values(layer, weights.cuda())
    assert values.is_cuda and torch.allclose(values.cpu(), component_singular_values(layer, weights), atol=1e-10)
