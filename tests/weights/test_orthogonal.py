"""Orthogonal weights: exact on every union of blocks, Haar in each; looks-linear networks; the numbers of SCIENCE 3.4, 3.5, 7.1."""

import functools
import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.device import spawn_generators
from nbkit.errors import NbkitError
from nbkit.topology import EdgeLayer, Layer, biregular, dense_layer, magnitude_pruned, mixed_radix, random_pruned
from nbkit.weights import (
    Discrete,
    Gaussian,
    Uniform,
    looks_linear,
    looks_linear_block,
    orthogonal,
    orthogonal_on_edges,
    random_on_mask,
)

SEEDS = range(8)
relu, tanh = torch.relu, torch.tanh


sizes = st.integers(1, 5)
placements = st.sampled_from(["random", "shift", "aligned"])


@st.composite
def unions(draw) -> Layer:
    """Disjoint complete blocks of unequal shapes and dead nodes, rows and columns shuffled."""
    shapes = draw(st.lists(st.tuples(sizes, sizes), min_size=1, max_size=5))
    dead = np.zeros((draw(st.integers(0, 2)), draw(st.integers(0, 2))))
    matrix = scipy.linalg.block_diag(*map(np.ones, shapes), dead)
    shuffle = np.random.default_rng(draw(st.integers(0, 999))).permutation
    return Layer.from_biadjacency(shuffle(shuffle(matrix).T).T, allow_dead_inputs=True)


def singular(matrix: torch.Tensor) -> np.ndarray:
    return torch.linalg.svdvals(matrix).numpy()


def gram(matrix: torch.Tensor) -> np.ndarray:
    """S^T S or S S^T, the smaller one."""
    s = matrix.numpy()
    return s.T @ s if s.shape[1] <= s.shape[0] else s @ s.T


# S^T S = I or S S^T = I


@settings(max_examples=100, deadline=None)
@given(sizes, sizes, sizes, placements, st.integers(0, 99), st.sampled_from([1.0, math.sqrt(2), 1.1, 1e-3]))
def test_sao_weights_are_orthogonal_on_the_narrower_side_and_0_off_the_mask(
    c, d, n_blocks, placement, seed, gain
):  # S6
    n_in, n_out = d * n_blocks, c * n_blocks
    layer = biregular(n_in, n_out, max(c, d), placement=placement, seed=seed)
    weights = orthogonal(layer, gain=gain, seed=seed)
    assert weights.shape == (n_out, n_in) and weights.dtype == torch.float64
    assert np.abs(gram(weights) / gain**2 - np.eye(min(n_in, n_out))).max() < 1e-12
    assert torch.equal(weights != 0, layer.mask())


@settings(max_examples=150, deadline=None)
@given(unions(), st.integers(0, 99))
def test_on_any_union_every_singular_value_of_a_block_is_the_gain_and_the_rest_is_0(layer, seed):
    rows = np.unique(layer.biadjacency().numpy(), axis=0)  # of the dense mask: one row a block, and the dead inputs'
    rows = rows[rows.any(axis=1)]
    inputs = [int((layer.biadjacency().numpy() == row).all(axis=1).sum()) for row in rows]
    outputs = rows.sum(axis=1).tolist()
    weights = orthogonal(layer, gain=3.0, seed=seed)
    assert torch.equal(weights != 0, layer.mask())
    rank = sum(map(min, inputs, outputs))
    assert singular(weights) == pytest.approx([3.0] * rank + [0.0] * (min(layer.shape) - rank), abs=1e-12)
    if all(d <= c for d, c in zip(inputs, outputs)) and layer.out_degrees().all():
        assert (weights.T @ weights).numpy() == pytest.approx(9 * np.eye(layer.n_in), abs=1e-12)
    if all(d >= c for d, c in zip(inputs, outputs)) and layer.in_degrees().all():
        assert (weights @ weights.T).numpy() == pytest.approx(9 * np.eye(layer.n_out), abs=1e-12)


def test_a_square_mask_is_no_guarantee():
    mask = torch.tensor([[1, 1, 0], [0, 0, 1], [0, 0, 1]])
    assert singular(orthogonal(mask)) == pytest.approx([1, 1, 0])


@pytest.mark.parametrize("n_in, n_out", [(7, 7), (5, 9), (9, 5), (1, 4), (4, 1), (1, 1)])
def test_a_dense_mask_gives_a_semi_orthogonal_matrix_without_zeros(n_in, n_out):
    for mask in (dense_layer(n_in, n_out), np.ones((n_out, n_in)), torch.ones(n_out, n_in, dtype=torch.bool)):
        weights = orthogonal(mask)
        assert (
            np.abs(gram(weights) - np.eye(min(n_in, n_out))).max() < 1e-13 and weights.count_nonzero() == n_in * n_out
        )


@settings(max_examples=60, deadline=None)
@given(unions(), st.integers(0, 99))
def test_weights_on_edges_are_the_entries_of_the_matrix(layer, seed):
    sources, targets = layer.edge_index()
    values = orthogonal_on_edges(layer, gain=1.5, seed=seed)
    assert torch.equal(values, orthogonal(layer, gain=1.5, seed=seed)[targets, sources])


def test_an_array_is_the_mask_of_its_layer():
    layer = biregular(8, 12, 3)
    for mask in (layer.mask(), layer.mask().numpy().astype(float), layer.mask().tolist()):
        assert torch.equal(orthogonal(mask), orthogonal(layer))
        assert torch.equal(random_on_mask(mask), random_on_mask(layer))


def test_a_layer_of_a_hundred_thousand_nodes_gets_weights_on_its_edges():
    layer = biregular(10**5, 10**5, 2, placement="aligned")
    blocks = orthogonal_on_edges(layer).numpy().reshape(2, -1, 2)  # sources b and b + n / 2, each with its 2 targets
    assert np.abs(np.einsum("dbc,ebc->bde", blocks, blocks) - np.eye(2)).max() < 1e-12
    with pytest.raises(NbkitError, match="^orthogonal: .+ Lower the number of nodes, or use orthogonal_on_edges"):
        orthogonal(biregular(2**18, 2**18, 1))


# Haar


@pytest.fixture(scope="module")
def haar() -> np.ndarray:
    """20,000 orthogonal 4 x 4 blocks of one aligned layer, (block, output, input)."""
    n = 4 * 20_000
    edges = orthogonal_on_edges(biregular(n, n, 4, placement="aligned"), seed=1)
    return edges.numpy().reshape(4, -1, 4).transpose(1, 2, 0)


def test_traces_and_determinants_are_those_of_the_haar_measure(haar):
    trace = np.trace(haar, axis1=1, axis2=2)
    noise = 5 / math.sqrt(len(haar))
    assert trace.mean() == pytest.approx(0, abs=noise)  # a QR whose signs are left alone has a mean far from 0
    assert (trace**2).mean() == pytest.approx(1, abs=2 * noise)
    assert np.trace(haar @ haar, axis1=1, axis2=2).mean() == pytest.approx(1, abs=2 * noise)
    assert np.linalg.det(haar).mean() == pytest.approx(0, abs=noise)
    assert (trace[np.linalg.det(haar) < 0] ** 2).mean() == pytest.approx(1, abs=3 * noise)


def test_every_entry_has_the_moments_of_a_coordinate_on_the_sphere(haar):
    noise = 6 / math.sqrt(len(haar))
    assert np.abs(haar.mean(axis=0)).max() < noise * 0.5
    assert np.abs((haar**2).mean(axis=0) - 1 / 4).max() < noise * 0.25
    assert np.abs((haar**4).mean(axis=0) - 3 / (4 * 6)).max() < noise * 0.25
    mixed = (haar[:, 0, 0] * haar[:, 1, 1] * haar[:, 0, 1] * haar[:, 1, 0]).mean()
    assert mixed == pytest.approx(-1 / (3 * 4 * 6), abs=noise * 0.06)  # Weingarten: -1 / ((n - 1) n (n + 2))


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_rotation_does_not_change_the_law(haar, side):
    rotation = scipy.stats.ortho_group.rvs(4, random_state=3)
    first, second = np.split(haar, 2)
    rotated = rotation @ second if side == "left" else second @ rotation
    for statistic in (lambda q: q[:, 0, 0], lambda q: q[:, 3, 2], lambda q: np.trace(q, axis1=1, axis2=2)):
        assert scipy.stats.ks_2samp(statistic(first), statistic(rotated)).pvalue > 1e-4


def test_blocks_of_one_layer_are_independent(haar):
    assert abs((haar[:-1] * haar[1:]).mean()) < 6 / math.sqrt(haar.size) / 4


@pytest.mark.parametrize("c, d", [(3, 1), (1, 3), (5, 2), (2, 5)])
def test_the_long_vectors_of_a_block_that_is_not_square_are_uniform_on_the_sphere(c, d):
    blocks = 10_000
    layer = biregular(d * blocks, c * blocks, max(c, d), placement="aligned")
    values = orthogonal_on_edges(layer).numpy().reshape(d, blocks, c)
    size, noise = max(c, d), 6 / math.sqrt(blocks)
    assert np.abs(values.mean(axis=1)).max() < noise / math.sqrt(size)
    assert np.abs((values**2).mean(axis=1) - 1 / size).max() < noise / size
    assert np.abs((values**4).mean(axis=1) - 3 / (size * (size + 2))).max() < 2 * noise / size


def test_a_block_of_one_wire_is_plus_or_minus_one_alike():
    values = orthogonal_on_edges(biregular(10_000, 10_000, 1))
    assert set(values.tolist()) == {-1.0, 1.0} and abs(values.mean()) < 0.05


# seeds


def test_seeds_repeat_advance_and_differ():
    layer = biregular(16, 16, 4)
    for make in (orthogonal, orthogonal_on_edges, random_on_mask):
        assert torch.equal(make(layer, seed=3), make(layer, seed=3))
        assert not torch.equal(make(layer, seed=3), make(layer, seed=4))
        assert not torch.equal(make(layer, seed=None), make(layer, seed=None))
        generator = np.random.default_rng(3)
        assert torch.equal(make(layer, seed=generator), make(layer, seed=3))
        assert not torch.equal(make(layer, seed=generator), make(layer, seed=3))


def test_layers_of_equal_shape_with_spawned_seeds_differ():
    layer = biregular(16, 16, 4)
    made = [orthogonal(layer, seed=generator) for generator in spawn_generators(0, 4)]
    assert all((a - b).abs().max() > 0.1 for a, b in itertools.combinations(made, 2))


# RG-N, RG-U


@pytest.mark.parametrize("law, std", [(Gaussian(1.0), 1.0), (Uniform(math.sqrt(3)), 1.0), (Gaussian(2.0), 2.0)])
@pytest.mark.parametrize("n_in, n_out, degree", [(512, 512, 8), (1024, 512, 8), (512, 1024, 8)])
def test_random_weights_have_the_std_of_the_law_over_the_root_of_the_in_degree(law, std, n_in, n_out, degree):
    layer = biregular(n_in, n_out, degree)
    weights, mask = random_on_mask(layer, law), layer.mask()
    in_degree = n_in * degree // max(n_in, n_out)
    assert (weights[~mask] == 0).all() and weights.dtype == torch.float64
    assert weights[mask].std() * math.sqrt(in_degree) == pytest.approx(std, rel=0.04)
    assert weights[mask].mean().abs() < 5 * std / math.sqrt(in_degree * layer.n_edges)
    if isinstance(law, Uniform):
        assert weights.abs().max() <= math.sqrt(3 / in_degree)


def test_random_weights_keep_the_mean_square_length_of_a_square_layer():
    x = np.random.default_rng(1).standard_normal(64)
    squares = [((random_on_mask(biregular(64, 64, 4), seed=s).numpy() @ x) ** 2).sum() for s in range(400)]
    assert np.mean(squares) / (x @ x) == pytest.approx(1, abs=0.05)


def test_random_weights_need_no_blocks_and_admit_dead_nodes():
    mask = torch.tensor([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    assert torch.equal(random_on_mask(mask) != 0, mask.bool())
    signs = random_on_mask(mask, Discrete((-1, 1)))
    assert signs.abs() == pytest.approx(np.array([[1, 1, 0, 0], [0, 2**0.5, 0, 0], [0] * 4]) / 2**0.5)


def test_the_mean_singular_value_of_gaussian_2_by_2_blocks_is_its_closed_form():
    # s1 + s2 = 2 max(a, b) of two independent Rayleigh lengths of scale 1 / sqrt 2
    values = singular(random_on_mask(biregular(1024, 1024, 2)))
    assert (values**2).mean() == pytest.approx(1, abs=0.1)
    assert values.mean() == pytest.approx(math.sqrt(math.pi) / 2 * (2 - math.sqrt(0.5)) / math.sqrt(2), abs=0.04)


# one layer's Jacobian: SCIENCE 3.5, n = 256, 99.2 % sparse, the page's own numbers are one draw each

SLOPES = {
    "linear": lambda h: torch.ones_like(h), "tanh": lambda h: 1 - tanh(h) ** 2, "relu": lambda h: (h > 0).double(),
}  # fmt: skip


@functools.cache
def one_layer(kind: str, seed: int, n: int = 256) -> torch.Tensor:
    layer = biregular(n, n, 2, seed=seed)
    gaussian = random_on_mask(dense_layer(n, n), seed=seed)
    return {
        "dense": lambda: orthogonal(dense_layer(n, n), seed=seed),
        "SAO": lambda: orthogonal(layer, seed=seed),
        "RG-N": lambda: random_on_mask(layer, seed=seed),
        "RG-U": lambda: random_on_mask(layer, Uniform(math.sqrt(3)), seed=seed),
        "LMP": lambda: gaussian * magnitude_pruned([gaussian], 2 / n)[0].mask(),
        "LRP": lambda: gaussian * random_pruned([gaussian], 2 / n, seed=seed)[0].mask(),
    }[kind]()


@pytest.mark.parametrize("activation, kind, mean, variance, zeros", [
    ("linear", "dense", 1, 0, 0), ("linear", "SAO", 1, 0, 0), ("linear", "RG-N", 0.813, 0.378, 0),
    ("linear", "RG-U", 0.862, 0.307, 0), ("linear", "LMP", 0.205, 0.027, 0.207), ("linear", "LRP", 0.061, 0.004, 0.215),
    ("tanh", "dense", 0.637, 0.091, 0), ("tanh", "SAO", 0.634, 0.093, 0), ("tanh", "RG-N", 0.480, 0.178, 0),
    ("tanh", "LMP", 0.191, None, None), ("tanh", "LRP", 0.060, None, None), ("relu", "dense", 0.465, None, 0.535),
    ("relu", "SAO", 0.520, None, 0.480), ("relu", "RG-N", 0.380, 0.309, None),
])  # fmt: skip
def test_the_spectra_of_one_layer_are_those_that_were_measured(activation, kind, mean, variance, zeros):
    found = []
    for seed in SEEDS:
        weights = one_layer(kind, seed)
        x = torch.from_numpy(np.random.default_rng(100 + seed).standard_normal(256))
        values = singular(SLOPES[activation](weights @ x)[:, None] * weights)
        found.append((values.mean(), values.var(), (values < 1e-6).mean()))
    for ours, theirs in zip(np.transpose(found), (mean, variance, zeros)):
        if theirs is not None:  # one more draw lies within 4 standard deviations, and the last printed digit
            assert abs(ours.mean() - theirs) <= 4 * ours.std(ddof=1) + 6e-4


@pytest.mark.parametrize("activation", SLOPES)
@pytest.mark.parametrize("kind", ["dense", "SAO"])
def test_the_jacobian_of_one_orthogonal_layer_has_the_slopes_as_its_singular_values(activation, kind):
    weights = one_layer(kind, 1)
    slopes = SLOPES[activation](weights @ torch.from_numpy(np.random.default_rng(0).standard_normal(256)))
    assert singular(slopes[:, None] * weights) == pytest.approx(np.sort(slopes.abs().numpy())[::-1], abs=1e-13)


# growth: SCIENCE 7.1


def relu_growth(make, n_in: int, n_out: int, n: int = 200) -> float:
    """The rms of ||D W v|| / ||v|| over fresh weights, points and tangents."""
    squares, rng = [], np.random.default_rng(5)
    for seed in range(n):
        weights, (x, v) = make(seed), torch.from_numpy(rng.standard_normal((2, n_in)))
        squares.append(float(((weights @ v)[weights @ x > 0] ** 2).sum() / (v @ v)))
    return math.sqrt(np.mean(squares))


@pytest.mark.parametrize("n_in, n_out, expected", [(64, 64, 1), (64, 128, 1), (128, 64, math.sqrt(1 / 2))])
def test_a_relu_layer_of_sao_weights_grows_by_its_rms(n_in, n_out, expected):
    def make(gain):
        return lambda seed: orthogonal(biregular(n_in, n_out, 4, seed=seed), gain=gain, seed=seed)

    assert relu_growth(make(1.0), n_in, n_out) == pytest.approx(expected / math.sqrt(2), rel=0.03)
    assert relu_growth(make(math.sqrt(2)), n_in, n_out) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("n_in, n_out, out_degree, in_degree", [(64, 64, 4, 4), (64, 128, 4, 2), (128, 64, 2, 4)])
def test_random_weights_grow_by_the_out_degree(n_in, n_out, out_degree, in_degree):
    found = relu_growth(lambda s: random_on_mask(biregular(n_in, n_out, 4, seed=s), seed=s), n_in, n_out)
    assert found == pytest.approx(math.sqrt(out_degree / in_degree / 2), rel=0.03)


def test_gain_root_2_keeps_lengths_through_ten_relu_layers():
    rng, squares = np.random.default_rng(2), []
    for seed in range(40):
        x, v = torch.from_numpy(rng.standard_normal((2, 256)))
        start = v @ v
        for generator in spawn_generators(seed, 10):
            weights = orthogonal(biregular(256, 256, 4, seed=generator), gain=math.sqrt(2), seed=generator)
            v = (weights @ v) * (weights @ x > 0)
            x = relu(weights @ x)
        squares.append(float(v @ v / start))
    assert math.sqrt(np.mean(squares)) ** (1 / 10) == pytest.approx(1, abs=0.02)


# looks-linear


def relu_net(weights: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    for weight in weights[:-1]:
        x = relu(weight @ x)
    return weights[-1] @ x


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=3, max_size=7), st.integers(0, 99))
def test_a_looks_linear_network_is_the_product_of_its_matrices_at_every_input(sizes, seed):
    rng = np.random.default_rng(seed)
    matrices = [torch.from_numpy(rng.standard_normal((m, n))) for n, m in itertools.pairwise(sizes)]
    weights = looks_linear(matrices)
    assert [tuple(w.shape) for w in weights] == [
        (m * (1 + (i < len(matrices) - 1)), n * (1 + (i > 0))) for i, (n, m) in enumerate(itertools.pairwise(sizes))
    ]
    x = torch.from_numpy(rng.standard_normal((sizes[0], 5)))
    expected = torch.linalg.multi_dot([*reversed(matrices), x])
    scale = math.prod(float(torch.linalg.matrix_norm(m)) for m in matrices) * float(x.abs().max())
    assert (relu_net(weights, x) - expected).abs().max() <= 1e-12 * max(1.0, scale)


@pytest.mark.parametrize("depth", [2, 5, 20])
def test_with_first_and_last_layer_mirrored_a_relu_net_is_exactly_isometric(depth):  # S16
    made = [orthogonal(biregular(12, 12, 3, seed=g), seed=g) for g in spawn_generators(0, depth)]
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(12))
    jacobian = torch.autograd.functional.jacobian(lambda x: relu_net(looks_linear(made), x), x)
    assert singular(jacobian) == pytest.approx(np.ones(12), abs=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 5, 20])
@pytest.mark.parametrize("sparse", [False, True])
def test_the_middle_alone_has_singular_values_root_2_and_0_at_every_depth(depth, sparse):  # S16
    layer = biregular(8, 8, 2) if sparse else dense_layer(8, 8)
    x = jacobian = torch.from_numpy(np.random.default_rng(0).standard_normal(16))
    jacobian = torch.eye(16, dtype=torch.float64)
    for generator in spawn_generators(1, depth):
        weights = looks_linear_block(orthogonal(layer, seed=generator))
        h = weights @ x
        jacobian, x = (h > 0).double()[:, None] * (weights @ jacobian), relu(h)
    assert singular(jacobian) == pytest.approx([math.sqrt(2)] * 8 + [0] * 8, abs=1e-12)


@pytest.mark.parametrize("layer", [dense_layer(5, 5), biregular(12, 12, 3), biregular(8, 12, 3), biregular(12, 8, 3)])
def test_the_mirrored_block_is_not_orthogonal(layer):  # S17
    narrow = min(layer.shape)
    h = orthogonal(layer)
    block = looks_linear_block(h)
    assert torch.equal(block, torch.kron(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]), h))
    assert singular(block) == pytest.approx([2] * narrow + [0] * narrow, abs=1e-12)


def test_kernels_are_mirrored_over_their_channels():
    rng = np.random.default_rng(4)
    kernels = [torch.from_numpy(rng.standard_normal(shape)) for shape in [(4, 2, 3, 3), (3, 4, 3, 3), (5, 3, 1, 1)]]
    image = torch.from_numpy(rng.standard_normal((2, 2, 6, 6)))

    def run(kernels, activation):
        x = image
        for position, kernel in enumerate(kernels, start=1):
            x = torch.nn.functional.conv2d(x, kernel, padding=kernel.shape[-1] // 2)
            x = activation(x) if position < len(kernels) else x
        return x

    assert torch.allclose(run(looks_linear(kernels), relu), run(kernels, lambda x: x), rtol=0, atol=1e-11)
    assert [w.shape[:2] for w in looks_linear(kernels)] == [(8, 2), (6, 8), (5, 6)]
    assert torch.equal(looks_linear_block(kernels[0])[4:, 2:], kernels[0])
    assert torch.equal(looks_linear_block(kernels[0])[:4, 2:], -kernels[0])


def test_looks_linear_keeps_the_precision_and_takes_arrays_and_lists():
    assert looks_linear_block(torch.ones(1, 1, dtype=torch.float32)).dtype == torch.float32
    assert looks_linear_block([[1]]).tolist() == [[1, -1], [-1, 1]]
    assert [w.tolist() for w in looks_linear([np.ones((1, 1)), [[2.0]]])] == [[[1], [-1]], [[2, -2]]]


# bad input


@pytest.mark.parametrize("make", [orthogonal, random_on_mask])
@pytest.mark.parametrize("mask", [
    [[0.5, 1]], [[1, float("nan")]], [[1, -1]], [1, 0], [], [[]], np.ones((2, 2, 2)), None, mixed_radix((2, 2)), "ab",
], ids=str)  # fmt: skip
def test_what_is_no_mask_is_refused(make, mask):
    with pytest.raises(NbkitError, match=f"^{make.__name__}: mask must be "):
        make(mask)


@pytest.mark.parametrize("make", [orthogonal, random_on_mask, orthogonal_on_edges])
def test_a_mask_without_an_edge_is_refused(make):
    with pytest.raises(NbkitError, match=f"^{make.__name__}: mask must have an edge, got <Layer 2 -> 3, 0 edges"):
        make(EdgeLayer(2, 3, [], []))


def test_weights_on_edges_need_a_layer():
    with pytest.raises(NbkitError, match="^orthogonal_on_edges: layer must be a Layer, got Tensor"):
        orthogonal_on_edges(torch.eye(2))


@pytest.mark.parametrize("make", [orthogonal, orthogonal_on_edges])
def test_wires_that_are_no_union_are_refused_and_two_inputs_named(make):
    with pytest.raises(NbkitError, match=rf"^{make.__name__}: the wires must be a union .+ inputs 0 and 1 share 1 of"):
        make(mixed_radix((2, 3))[0])


@pytest.mark.parametrize("make", [orthogonal, orthogonal_on_edges])
@pytest.mark.parametrize("gain", [0, -1.0, float("nan"), float("inf"), True, None, "1", 1j], ids=str)
def test_a_wrong_gain_is_refused(make, gain):
    with pytest.raises(NbkitError, match=rf"^{make.__name__}: gain must be a finite number in \(0, inf\)"):
        make(biregular(4, 4, 2), gain=gain)


@pytest.mark.parametrize("make", [orthogonal, orthogonal_on_edges, random_on_mask])
def test_a_wrong_seed_is_refused(make):
    with pytest.raises(NbkitError, match=f"^{make.__name__}: seed must be an integer of at least 0"):
        make(biregular(4, 4, 2), seed=-1)


@pytest.mark.parametrize("law", [None, 1.0, "normal", Gaussian])
def test_what_is_no_law_is_refused(law):
    with pytest.raises(NbkitError, match="^random_on_mask: law must be a law such as"):
        random_on_mask(biregular(4, 4, 2), law)


@pytest.mark.parametrize("weights, rule", [
    ([np.eye(2), [[1, float("nan")]]], r"entry 2 of weights must be finite and real.+ of shape \(1, 2\) with NaN"),
    ([np.ones(3), np.eye(3)], r"entry 1 of weights must be finite and real, .+ of shape \(3,\)\. Give"),
    ([np.eye(2) * 1j, np.eye(2)], "entry 1 of weights must be finite and real, .+ got torch.complex128"),
    ([np.ones((2, 0)), np.eye(2)], "entry 1 of weights must be finite and real"),
    ([np.eye(2), "ab"], "entry 2 of weights must be an array of numbers"),
    ([np.eye(2)], "weights must be a list of at least two arrays"), ([], "weights must be a list of at least two"),
    (None, "weights must be a list of at least two"), (torch.ones(3, 2, 2), "weights must be a list of at least two"),
    ([np.ones((3, 2)), np.ones((2, 2))], r"weights must chain, got \(3, 2\) before \(2, 2\) \(entries 1, 2\)"),
    ([np.eye(2), np.ones((2, 2, 3, 3))], r"weights must chain, got \(2, 2\) before \(2, 2, 3, 3\)"),
], ids=str)  # fmt: skip
def test_wrong_looks_linear_weights_are_refused(weights, rule):
    with pytest.raises(NbkitError, match=f"^looks_linear: {rule}"):
        looks_linear(weights)


@pytest.mark.parametrize("weights", [[1.0], [[float("inf")]], np.ones((1, 1, 1)), None, np.eye(2) + 1j], ids=str)
def test_a_wrong_looks_linear_block_is_refused(weights):
    with pytest.raises(NbkitError, match="^looks_linear_block: weights must be "):
        looks_linear_block(weights)


def test_the_layer_is_not_changed_and_neither_are_the_weights():
    layer, weights = biregular(6, 6, 2), np.ones((2, 2))
    edges = layer.edge_index().clone()
    orthogonal(layer)[0, 0] = 7.0
    looks_linear_block(weights)[0, 0] = 7.0
    assert torch.equal(layer.edge_index(), edges) and (weights == 1).all()
    assert isinstance(layer, Layer) and torch.equal(orthogonal(layer), orthogonal(layer))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
def test_weights_moved_to_cuda_stay_orthogonal():
    weights = orthogonal(biregular(256, 256, 4), seed=3).cuda()
    assert torch.equal(weights.cpu(), orthogonal(biregular(256, 256, 4), seed=3))  # drawn on the CPU: the same numbers
    assert (weights @ weights.T - torch.eye(256, device="cuda")).abs().max() < 1e-12
    assert looks_linear_block(weights).is_cuda
