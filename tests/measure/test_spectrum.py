"""Spectra against numpy's, and what the SAO paper says of them as corrected (SCIENCE 1.7 and 3.2)."""

import math

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.measure import (
    adjacency_spectrum,
    multiplicities,
    n_components,
    path_singular_values,
    singular_values,
    spectral_gap,
)
from nbkit.topology import (
    CirculantLayer,
    EdgeLayer,
    Layer,
    Topology,
    XorLayer,
    biregular,
    dense_layer,
    kronecker,
    magnitude_pruned,
    mixed_radix,
    random_expander,
)
from nbkit.weights import orthogonal_on_edges, random_on_mask

from .wires import BRAIN, dense_paths, layers_from, topologies


def bipartite(layer: Layer) -> np.ndarray:
    """[[0, B], [B^T, 0]]."""
    matrix = layer.biadjacency().numpy().astype(float)
    return np.block([[np.zeros((layer.n_in,) * 2), matrix], [matrix.T, np.zeros((layer.n_out,) * 2)]])


any_layer = st.integers(1, 16).flatmap(layers_from)


@settings(max_examples=150, deadline=None)
@given(any_layer)
def test_singular_values_are_numpys(layer):
    values = singular_values(layer)
    expected = np.linalg.svd(layer.biadjacency().numpy().astype(float), compute_uv=False)
    assert values.dtype == torch.float64 and (values.diff() <= 0).all()
    assert values.numpy() == pytest.approx(expected, abs=1e-10)


@settings(max_examples=100, deadline=None)
@given(any_layer)
def test_the_adjacency_spectrum_is_that_of_the_bipartite_graph(layer):
    spectrum = adjacency_spectrum(layer)
    assert spectrum.shape == (layer.n_in + layer.n_out,) and (spectrum.diff() <= 0).all()
    assert spectrum.numpy() == pytest.approx(np.linalg.eigvalsh(bipartite(layer))[::-1], abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(any_layer)
def test_components_are_networkxs(layer):
    assert n_components(layer) == nx.number_connected_components(nx.from_numpy_array(bipartite(layer)))


@pytest.mark.parametrize("matrix", [
    np.random.default_rng(0).standard_normal((5, 8)), np.random.default_rng(1).standard_normal((8, 5)) * 1j,
    np.arange(12).reshape(3, 4), np.eye(3, dtype=bool), np.arange(4, dtype=object).reshape(2, 2), [[1, 2], [3, 4]],
    torch.arange(6.0).reshape(2, 3).requires_grad_(), np.zeros((3, 2)),
], ids=lambda matrix: type(matrix).__name__)  # fmt: skip
def test_singular_values_of_a_matrix_are_numpys(matrix):
    values = singular_values(matrix)
    array = matrix.detach().numpy() if isinstance(matrix, torch.Tensor) else np.array(matrix)
    expected = np.linalg.svd(array.astype(complex), compute_uv=False)
    assert values.dtype == torch.float64 and not values.requires_grad
    assert values.numpy() == pytest.approx(expected, abs=1e-12)


def test_the_rows_of_the_paper_are_the_rows_of_the_mask():
    layer = biregular(8, 12, 3)
    assert singular_values(layer).numpy() == pytest.approx(singular_values(layer.mask()).numpy(), abs=1e-12)


@pytest.mark.parametrize(
    "n_in, n_out, degree", [(8, 12, 3), (12, 8, 3), (16, 16, 4), (9, 6, 3), (16, 16, 16), (6, 6, 1)]
)
def test_sao_eigenvalues_are_plus_and_minus_the_root_of_cd_once_a_block(n_in, n_out, degree):  # S4, S5
    layer = biregular(n_in, n_out, degree)
    c, d, blocks = int(layer.out_degrees()[0]), int(layer.in_degrees()[0]), max(n_in, n_out) // degree
    groups = multiplicities(adjacency_spectrum(layer))
    zeros = n_in + n_out - 2 * blocks
    expected = [(math.sqrt(c * d), blocks), *([(0.0, zeros)] if zeros else []), (-math.sqrt(c * d), blocks)]
    assert [count for _, count in groups] == [count for _, count in expected]
    assert [value for value, _ in groups] == pytest.approx([value for value, _ in expected], abs=1e-12)
    assert n_components(layer) == blocks


@pytest.mark.parametrize("n", [128, 256, 512, 1024])
def test_fig_7(n):
    groups = multiplicities(adjacency_spectrum(biregular(n, n, 4)))
    assert [(round(value, 9), count) for value, count in groups] == [(4, n // 4), (0, 2 * n - n // 2), (-4, n // 4)]


@pytest.mark.parametrize("degree", [2, 3, 4, 6])
def test_an_sao_layer_of_several_blocks_has_no_gap_and_is_not_ramanujan(degree):
    gap = spectral_gap(biregular(12, 12, degree))
    assert gap.gap == pytest.approx(0, abs=1e-12) and gap.second == pytest.approx(degree)
    assert gap.bound == pytest.approx(2 * math.sqrt(degree - 1)) and gap.n_components == 12 // degree
    assert not gap.is_ramanujan and f"{12 // degree} separate components: no gap" in gap.statement
    assert (gap.second <= gap.bound + 1e-9) == (degree == 2)  # sqrt(cd) <= sqrt(c-1) + sqrt(d-1) iff c = d = 2


def test_a_dense_layer_has_second_value_zero_and_is_ramanujan():
    gap = spectral_gap(dense_layer(4, 9))
    assert (gap.first, gap.second) == pytest.approx((6, 0), abs=1e-12)
    assert gap.is_ramanujan and gap.statement.startswith("connected and Ramanujan (λ1 = ")


def test_a_layer_with_one_value_has_second_value_zero():
    gap = spectral_gap(dense_layer(1, 5))
    assert gap.first == pytest.approx(math.sqrt(5)) and gap.second == 0.0


def test_an_irregular_layer_is_not_held_to_the_bound():
    gap = spectral_gap(Layer.from_biadjacency([[1, 1], [1, 0]]))
    assert not gap.is_regular and not gap.is_ramanujan and "the Ramanujan bound does not apply" in gap.statement
    assert gap.first == pytest.approx((1 + math.sqrt(5)) / 2)  # the golden ratio


@pytest.mark.parametrize("radices, second, bound", [((16, 16), 15.898, 7.746), ((4, 4, 4, 4), 3.9985, 3.464)])
def test_single_radix_layers_are_bad_expanders(radices, second, bound):
    gap = spectral_gap(mixed_radix(radices)[0])
    assert gap.n_components == 1 and not gap.is_ramanujan and "connected and not Ramanujan" in gap.statement
    assert gap.second == pytest.approx(second, abs=5e-4) and gap.bound == pytest.approx(bound, abs=5e-4)


@pytest.mark.parametrize("radices, components", [((2, 2, 2), [1, 2, 4]), ((3, 3, 4), [1, 3, 9])])
def test_radix_layers_have_as_many_components_as_their_place_value(radices, components):
    topology = mixed_radix(radices)
    assert [n_components(layer) for layer in topology] == components
    for layer, radix, count in zip(topology, radices, components):
        top, multiplicity = multiplicities(singular_values(layer))[0]
        assert top == pytest.approx(radix, abs=1e-12) and multiplicity == count


@pytest.mark.parametrize("n", [5, 6, 8, 16])
def test_a_3_by_3_circular_convolution_is_ramanujan_only_for_small_images(n):  # S18
    row = CirculantLayer(n, (0, 1, n - 1)).biadjacency().numpy().astype(int)
    gap = spectral_gap(Layer.from_biadjacency(np.kron(row, row)))
    assert gap.second == pytest.approx(3 * (1 + 2 * math.cos(2 * math.pi / n)), abs=1e-9)
    assert gap.first == pytest.approx(9) and gap.bound == pytest.approx(2 * math.sqrt(8))
    assert gap.is_ramanujan == (n < 6)


def test_a_convolution_of_3_in_one_dimension_fails_from_16_on():
    verdicts = {n: spectral_gap(CirculantLayer(n, (0, 1, n - 1))).is_ramanujan for n in range(4, 40)}
    assert [n for n, is_ramanujan in verdicts.items() if not is_ramanujan] == list(range(16, 40))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
def test_cuda_finds_the_singular_values_of_the_cpu():
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(80, 140, dtype=torch.float64, generator=generator)
    for asked in (matrix, matrix * biregular(140, 80, 7).mask()):
        values = singular_values(asked.cuda())
        assert values.is_cuda and torch.allclose(values.cpu(), singular_values(asked), atol=1e-10)
    for layer in (
        biregular(96, 64, 3),
        CirculantLayer(48, (0, 5, 7)),
        XorLayer(32, (1, 6)),
        kronecker(XorLayer(8, (1, 2)), 2, 3),
    ):
        for n_weights in {layer.n_edges, getattr(layer, "out_degree", layer.n_edges)} - {6}:
            weights = torch.randn(n_weights, dtype=torch.float64, generator=generator)
            values = singular_values(layer, weights.cuda())
            assert values.is_cuda and torch.allclose(values.cpu(), singular_values(layer, weights), atol=1e-10)


def dense_weights(layer: Layer, weights: np.ndarray) -> np.ndarray:
    """The matrix (n_in, n_out) of weights in the order source, then target."""
    matrix = np.zeros(layer.shape, dtype=weights.dtype)
    matrix[layer.biadjacency().numpy()] = weights  # row by row: by source, then by target
    return matrix


@settings(max_examples=150, deadline=None)
@given(any_layer, st.integers(0, 99), st.sampled_from([np.float64, np.float32, np.complex128]))
def test_weights_on_the_wires_give_the_dense_matrixs_values(layer, seed, dtype):
    weights = np.random.default_rng(seed).standard_normal(layer.n_edges).astype(dtype)
    weights = weights * np.exp(1j * seed) if dtype is np.complex128 else weights
    values = singular_values(layer, weights)
    assert values.dtype == torch.float64 and len(values) == min(layer.shape)
    expected = np.linalg.svd(dense_weights(layer, weights).astype(np.complex128), compute_uv=False)
    assert values.numpy() == pytest.approx(expected, abs=1e-10)
    assert torch.equal(singular_values(layer, torch.from_numpy(weights)), values)


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 24), st.integers(0, 99), st.integers(1, 3), st.integers(1, 3), st.data())
def test_weights_constant_along_an_offset_give_the_dense_circulants_values(n, seed, blocks_in, blocks_out, data):
    offsets = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    weights = np.random.default_rng(seed).standard_normal(len(offsets))
    matrix = np.zeros((n, n))
    for offset, weight in zip(sorted(offsets), weights):  # ascending, however the offsets were given
        matrix[np.arange(n), (np.arange(n) + offset) % n] = weight
    for layer, dense in (
        (CirculantLayer(n, offsets), matrix),
        (
            kronecker(CirculantLayer(n, offsets), blocks_in, blocks_out),
            np.kron(np.ones((blocks_in, blocks_out)), matrix),
        ),
    ):
        found = singular_values(layer, weights).numpy()
        assert found == pytest.approx(np.linalg.svd(dense, compute_uv=False), abs=1e-10)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(0, 99), st.integers(1, 3), st.data())
def test_weights_constant_along_a_generator_give_the_dense_xor_layers_values(bits, seed, blocks_out, data):
    n = 2**bits
    generators = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    weights = np.random.default_rng(seed).standard_normal(len(generators))
    matrix = np.zeros((n, n))
    for generator, weight in zip(sorted(generators), weights):
        matrix[np.arange(n), np.arange(n) ^ generator] = weight
    found = singular_values(kronecker(XorLayer(n, generators), 1, blocks_out), weights).numpy()
    assert found == pytest.approx(np.linalg.svd(np.tile(matrix, blocks_out), compute_uv=False), abs=1e-10)


@settings(max_examples=40, deadline=None)
@given(st.integers(64, 90), st.integers(64, 90), st.floats(0, 0.03), st.integers(0, 99), st.booleans())
def test_a_large_sparse_matrix_has_numpys_values_and_exact_zeros(n_out, n_in, density, seed, is_complex):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((n_out, n_in)) * (rng.random((n_out, n_in)) < density) * (1j if is_complex else 1)
    values = singular_values(matrix).numpy()
    assert values == pytest.approx(np.linalg.svd(matrix, compute_uv=False), abs=1e-11)
    least = min(n_out, n_in) - min((matrix != 0).any(axis=0).sum(), (matrix != 0).any(axis=1).sum())
    assert (values == 0).sum() >= least


@pytest.mark.parametrize("n_in, n_out, degree", [(96, 96, 4), (64, 128, 8), (128, 64, 8)])
def test_sao_weights_have_the_values_of_their_matrix_both_ways(n_in, n_out, degree):
    layer = biregular(n_in, n_out, degree)
    weights = random_on_mask(layer)
    on_edges = weights[tuple(layer.edge_index().flip(0))]
    expected = np.linalg.svd(weights.numpy(), compute_uv=False)
    assert singular_values(weights).numpy() == pytest.approx(expected, abs=1e-12)
    assert singular_values(layer, on_edges).numpy() == pytest.approx(expected, abs=1e-12)
    assert singular_values(layer, orthogonal_on_edges(layer)).numpy() == pytest.approx(
        np.ones(64 if n_in != n_out else 96)
    )


def test_a_mixed_radix_layer_of_width_2_to_the_20_costs_an_fft():
    values = singular_values(mixed_radix((4,) * 10)[3], [1.0, -1.0, 1.0, -1.0])
    assert values[0] == pytest.approx(4) and len(values) == 4**10


@pytest.mark.parametrize("layer, weights, rule", [
    (CirculantLayer(6, (0, 2, 3)), np.ones(4), "weights must be 18 weights, one for each wire, or 3, one for each offset, got 4"),
    (XorLayer(4, (0, 1)), [1.0], "weights must be 8 weights, one for each wire, or 2, one for each offset, got 1"),
    (kronecker(CirculantLayer(6, (0, 1)), 2, 1), np.ones(4), "weights must be 24 weights, one for each wire, or 2"),
    (biregular(6, 6, 2), np.ones(2), r"weights must be 12 weights, one for each wire, got 2\. See layer.edge_index"),
    (biregular(6, 6, 2), [], "weights must be 12 weights, one for each wire, got 0"),
    (biregular(6, 6, 2), np.ones((6, 6)), r"weights must be 1-D and finite, got shape \(6, 6\)\. Give one finite number"),
    (biregular(6, 6, 2), [float("nan")] * 12, r"weights must be 1-D and finite, got shape \(12,\) with NaN or infinite"),
    (biregular(6, 6, 2), [1.0] * 11 + [float("inf")], "weights must be 1-D and finite"),
    (biregular(6, 6, 2), "ab", "weights must be an array of numbers"),
    (np.eye(3), np.ones(3), "weights belong to a Layer, got array"), (biregular(6, 6, 2), 1.0, "weights must be 1-D"),
], ids=str)  # fmt: skip
def test_wrong_weights_are_refused(layer, weights, rule):
    with pytest.raises(NbkitError, match=f"^singular_values: {rule}"):
        singular_values(layer, weights)


def test_infinities_that_cancel_are_seen_and_large_finite_entries_are_not_refused():
    with pytest.raises(NbkitError, match="^singular_values: matrix must be 2-D and finite"):
        singular_values([[float("inf"), -float("inf")], [0.0, 1.0]])
    assert singular_values(np.diag([1e308, 1e308])).tolist() == pytest.approx([1e308, 1e308])


def test_a_kronecker_layer_has_one_value_for_each_of_its_base():
    base = CirculantLayer(6, (0, 1))
    values = singular_values(kronecker(base, 2, 3))
    assert values[:6].numpy() == pytest.approx(math.sqrt(6) * singular_values(base).numpy(), abs=1e-12)
    assert (values[6:] == 0).all() and len(values) == 12


def test_pruned_layers_with_dead_nodes_keep_their_zeros():
    (layer,) = magnitude_pruned([np.diag([3.0, 2.0, 1.0, 0.5])], 2 / 16)
    assert singular_values(layer).tolist() == pytest.approx([1, 1, 0, 0]) and n_components(layer) == 6
    empty = EdgeLayer(2, 3, [], [])
    assert singular_values(empty).tolist() == [0, 0] and n_components(empty) == 5 and spectral_gap(empty).first == 0


@pytest.mark.parametrize("values, groups", [
    ([], []), ([2.0], [(2.0, 1)]), ([1.0, 3.0, 1.0 + 1e-9, 3.0, 3.0], [(3.0, 3), (1.0, 2)]),
    (torch.tensor([0.0, -1.0, 0.0]), [(0.0, 2), (-1.0, 1)]),
], ids=str)  # fmt: skip
def test_multiplicities_group_equal_values_and_descend(values, groups):
    found = multiplicities(values)
    assert [count for _, count in found] == [count for _, count in groups]
    assert [value for value, _ in found] == pytest.approx([value for value, _ in groups], abs=1e-6)


def test_the_tolerance_decides_what_is_equal():
    assert len(multiplicities([0.0, 0.1, 0.25], tolerance=0.12)) == 2
    assert len(multiplicities([0.0, 0.1, 0.25], tolerance=0.2)) == 1
    assert len(multiplicities([0.0, 0.1, 0.25], tolerance=0.01)) == 3


@pytest.mark.parametrize("values", [[float("nan")], [float("inf")], [[1.0], [2.0]], 1.0, [1j], None])
def test_values_that_cannot_be_counted_are_refused(values):
    with pytest.raises(NbkitError, match="^multiplicities: values must be a list of finite real numbers, got "):
        multiplicities(values)


def test_text_is_no_list_of_values():
    with pytest.raises(NbkitError, match="^multiplicities: values must be an array of numbers, got '1,2'"):
        multiplicities("1,2")


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("nan"), None])
def test_a_wrong_tolerance_is_refused(tolerance):
    with pytest.raises(NbkitError, match=r"^multiplicities: tolerance must be a finite number in \(0, inf\), got "):
        multiplicities([1.0], tolerance=tolerance)


@pytest.mark.parametrize("matrix, rule", [
    ([1.0, 2.0], r"matrix must be 2-D and finite, got shape \(2,\)"), (None, "matrix must be 2-D and finite"),
    ([[1.0, float("nan")]], r"matrix must be 2-D and finite, got shape \(1, 2\) with NaN or infinite entries"),
    (np.full((2, 2), np.inf), "matrix must be 2-D and finite"), ([[1], [2, 3]], "matrix must be an array of numbers"),
    ("2,2", "matrix must be an array of numbers"), (mixed_radix((2, 2)), "matrix must be"),
], ids=str)  # fmt: skip
def test_what_is_no_matrix_is_refused(matrix, rule):
    with pytest.raises(NbkitError, match=f"^singular_values: {rule}"):
        singular_values(matrix)


@pytest.mark.parametrize("ask", [adjacency_spectrum, spectral_gap, n_components])
@pytest.mark.parametrize("wrong", [np.eye(2), None, mixed_radix((2, 2))], ids=["matrix", "None", "topology"])
def test_what_is_no_layer_is_refused(ask, wrong):
    with pytest.raises(NbkitError, match=f"^{ask.__name__}: layer must be a Layer, got {type(wrong).__name__}"):
        ask(wrong)


def test_a_layer_of_brain_scale_is_refused_but_for_its_components():
    assert n_components(BRAIN[3]) == 64**3 and n_components(Topology([BRAIN[2]]).kron((2, 3))[0]) == 64**2
    for ask in (singular_values, adjacency_spectrum, spectral_gap):
        with pytest.raises(
            NbkitError, match=r"^singular_values: .+ but it would take 4 TiB\. Lower the number of nodes"
        ):
            ask(BRAIN[0])


def test_components_that_do_not_fit_are_refused(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "1MiB")
    with pytest.raises(NbkitError, match="^singular_values: .+ Lower the number of nodes in the layer"):
        singular_values(random_expander(400, 400, 4))


@settings(max_examples=60, deadline=None)
@given(topologies())
def test_the_spectrum_of_the_path_counts_is_that_of_the_dense_product(topology):
    counts = dense_paths(topology).astype(np.float64)
    values = path_singular_values(topology).numpy()
    np.testing.assert_allclose(values, np.linalg.svd(counts, compute_uv=False), atol=1e-9 * max(1.0, counts.sum()))


def test_the_spectrum_of_paths_is_checked_before_it_is_made():
    with pytest.raises(NbkitError, match="^path_singular_values: .+ Lower the number of nodes"):
        path_singular_values(BRAIN)
    with pytest.raises(NbkitError, match="^path_singular_values: topology must be a Topology"):
        path_singular_values(np.eye(2))


@pytest.mark.parametrize("arguments", [(np.full((2, 2), 1.7e308),), (CirculantLayer(4, (0, 1)), [1.7e308, 1.7e308])])
def test_values_that_overflow_are_said(arguments):
    with pytest.raises(NbkitError, match="singular_values: the values must fit into float64, but they overflow"):
        singular_values(*arguments)
