"""nbkit.measure.products: log10 of the singular values of a product, against mpmath and against theory."""

import math

import mpmath
import numpy as np
import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.measure import DeepProduct
from nbkit.topology import biregular
from nbkit.weights import orthogonal as orthogonal_on_mask
from nbkit.weights import random_on_mask

INFINITE = math.inf


def found(factors):
    product = DeepProduct(np.shape(factors[0])[-1])
    for factor in factors:
        product.multiply(factor)
    return product.log10_singular_values().numpy()


def exact(factors, digits=1500):
    """By mpmath with as many digits as the spectrum spans decades: slow, and independent of all that is tested."""
    with mpmath.workdps(digits):
        product = mpmath.eye(np.shape(factors[0])[-1])
        for factor in factors:
            rows = (np.diag(factor) if np.ndim(factor) == 1 else np.asarray(factor)).tolist()
            product = mpmath.matrix(rows) * product
        values = mpmath.svd_r(product if product.rows >= product.cols else product.T, compute_uv=False)
        zero = max(values) * mpmath.mpf(10) ** (20 - digits)
        return sorted((float(mpmath.log10(value)) if value > zero else -INFINITE for value in values), reverse=True)


def orthogonal(rng, n):
    return np.linalg.qr(rng.normal(size=(n, n)))[0]


def slopes(rng, n, scale):
    return 1 - np.tanh(scale * rng.normal(size=n)) ** 2


def graded(rng, n, decades):
    return 10.0 ** rng.uniform(-decades, 0, n)


def sparse_tanh(rng):
    layers = [random_on_mask(biregular(8, 8, 2, seed=layer), seed=layer).numpy() for layer in range(100)]
    return [factor for layer in layers for factor in (layer, slopes(rng, 8, 2))]


def bottleneck(rng):
    shapes = [(6, 4), (8, 6), (3, 8), (7, 3), (4, 7)]
    return [rng.normal(size=shape) for shape in shapes] + [rng.normal(size=(4, 4)) for _ in range(40)]


CASES = {
    "gaussian": (lambda rng: [rng.normal(size=(5, 5)) for _ in range(1000)], 700),
    "gaussian that underflows": (lambda rng: [1e-3 * rng.normal(size=(4, 4)) for _ in range(1000)], 700),
    "single factors near the ends of float64": (lambda rng: [1e-200 * rng.normal(size=(4, 4)) for _ in range(9)], 100),
    "tanh": (lambda rng: [f for _ in range(150) for f in (orthogonal(rng, 8), slopes(rng, 8, 1))], 300),
    "saturated tanh": (lambda rng: [f for _ in range(150) for f in (orthogonal(rng, 6), slopes(rng, 6, 4))], 900),
    "tanh on sparse wires": (sparse_tanh, 700),
    "relu": (lambda rng: [f for _ in range(5) for f in (rng.normal(size=(12, 12)), rng.normal(size=12) > -1)], 60),
    "rectangular": (lambda rng: [rng.normal(size=s) for s in [(6, 4), (8, 6), (5, 8), (7, 5), (4, 7)] * 40], 300),
    "bottleneck": (bottleneck, 200),
    "graded rows": (lambda rng: [graded(rng, 5, 30)[:, None] * rng.normal(size=(5, 5)) for _ in range(20)], 700),
    "graded columns": (lambda rng: [rng.normal(size=(5, 5)) * graded(rng, 5, 30) for _ in range(20)], 900),
    "graded diagonals": (lambda rng: [f for _ in range(9) for f in (rng.normal(size=(5, 5)), graded(rng, 5, 90))], 999),
    "dead rows and columns": (
        lambda rng: [rng.normal(size=(5, 5)) * (rng.random(5) > 0.1) * (rng.random((5, 1)) > 0.1) for _ in range(9)],
        60,
    ),
    "integers of low rank": (lambda rng: [rng.integers(-1, 2, size=(6, 6)) for _ in range(40)], 200),
    "equal columns": (lambda rng: [np.repeat(rng.normal(size=(6, 3)), 2, axis=1), rng.normal(size=(4, 6))], 60),
    "a matrix and its inverse": (
        lambda rng: [[[1.0, 1e3], [0.0, 1.0]], [[1.0, -1e3], [0.0, 1.0]]] * 100,
        60,
    ),
    "shears": (lambda rng: [[[1.0, 1.0], [0.0, 1.0]]] * 1000, 60),
    "nilpotent": (lambda rng: [np.diag(np.ones(5), 1)] * 4, 60),
}


@pytest.mark.parametrize("name", CASES)
def test_a_product_has_the_singular_values_that_mpmath_finds(name):
    make, digits = CASES[name]
    factors = make(np.random.default_rng(0))
    np.testing.assert_allclose(found(factors), exact(factors, digits + 100), rtol=0, atol=1e-7)


def test_diagonal_factors_add_their_logarithms():
    rng = np.random.default_rng(0)
    factors = [graded(rng, 6, 300) for _ in range(40)]
    factors = [np.diag(factor) if position % 3 else factor for position, factor in enumerate(factors)]
    logs = sum(np.log10(np.diag(factor) if np.ndim(factor) == 2 else factor) for factor in factors)
    np.testing.assert_allclose(found(factors), np.sort(logs)[::-1], rtol=1e-14)


def test_a_thousand_orthogonal_factors_stay_orthogonal():
    rng = np.random.default_rng(0)
    np.testing.assert_allclose(found([orthogonal(rng, 16) for _ in range(1000)]), 0, atol=1e-9)


@pytest.mark.parametrize("spread", [0.01, 0.1, 1])
def test_factors_that_fit_onto_each_other_multiply_their_singular_values(spread):
    """Q_1 S Q_0^T, Q_2 S Q_1^T, ...: the product is Q_L S^L Q_0^T, at widths that mpmath does not reach."""
    rng = np.random.default_rng(0)
    scales = -np.sort(rng.uniform(0, spread, 48))  # in decades
    turns = [orthogonal(rng, 48) for _ in range(201)]
    factors = [after * 10.0**scales @ before.T for before, after in zip(turns, turns[1:])]
    np.testing.assert_allclose(found(factors), 200 * scales, atol=1e-9)


@pytest.mark.parametrize("n_dead", [1, 3, 4])
def test_what_relu_kills_is_an_exact_zero(n_dead):
    rng = np.random.default_rng(n_dead)
    alive = np.arange(4) >= n_dead
    values = found([rng.normal(size=(4, 4)), alive, rng.normal(size=(4, 4))])
    assert np.isneginf(values).tolist() == [False] * (4 - n_dead) + [True] * n_dead


@pytest.mark.parametrize("make", [orthogonal_on_mask, random_on_mask])
def test_what_relus_on_sparse_wires_kill_together_are_exact_zeros(make):
    rng = np.random.default_rng(1)
    factors = []
    for _ in range(20):
        wires = biregular(40, 40, 2, seed=rng)
        factors += [make(wires, seed=rng).numpy(), (rng.random(40) < 0.85) * 1.0]
    values, expected = found(factors), np.array(exact(factors, digits=300))
    assert np.isneginf(expected).sum() == 19  # no factor alone loses as many
    assert np.array_equal(np.isneginf(values), np.isneginf(expected))
    assert values[:21] == pytest.approx(expected[:21], abs=1e-9)


def test_a_direction_lost_in_the_middle_does_not_turn_those_before_it():
    """Ties between rows are broken by how many columns there are; rows of R must not change sign with them."""
    rows = ["0-+-+-", "--0-00", "++-+++", "--+00+", "00000+", "--00+-"]
    matrix = np.array([["-0+".index(entry) - 1 for entry in row] for row in rows])
    wanted = np.linalg.svd(matrix, compute_uv=False)
    assert np.linalg.matrix_rank(matrix) == 5
    np.testing.assert_allclose(10 ** found([matrix])[:5], wanted[:5], rtol=1e-12)
    assert found([matrix])[5] == -INFINITE


@pytest.mark.parametrize("seed", [64, 102, 397, 750])
def test_sums_that_cancel_exactly_leave_exact_zeros(seed):
    """Where an exact 0 is computed as rounding, that looks like a small row: these have rank 1 to 4."""
    rng = np.random.default_rng(seed)
    factors = [(rng.random((6, 6)) < 0.35) * rng.choice([-1, 1], size=(6, 6)) for _ in range(4)]
    rank = np.linalg.matrix_rank(np.linalg.multi_dot(factors[::-1]))  # integers, exact
    assert 0 < rank < 5 and np.isfinite(found(factors)).sum() == rank


def test_a_reading_changes_nothing_and_the_size_is_the_smaller_end():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(7, 4)), rng.normal(size=(2, 7))
    product = DeepProduct(4)
    assert product.log10_singular_values().tolist() == [0, 0, 0, 0]
    product.multiply(torch.tensor(first, dtype=torch.float32))
    assert len(product.log10_singular_values()) == 4
    product.multiply(second)
    wanted = np.linalg.svd(second @ first.astype(np.float32), compute_uv=False)
    np.testing.assert_allclose(10 ** product.log10_singular_values(), wanted, rtol=1e-12)
    product.multiply([0.0, 0.0])
    product.multiply(rng.normal(size=(3, 2)))
    assert product.log10_singular_values().tolist() == [-INFINITE] * 3


def test_factors_may_be_used_again():
    product, factor = DeepProduct(2), torch.tensor([2.0, 4.0])
    for power in range(1, 4):
        factor.fill_(10.0**power)
        product.multiply(factor)
    assert product.log10_singular_values().tolist() == pytest.approx([6, 6])


def test_factors_are_not_changed():
    factors = [torch.full((3, 3), 2.0, dtype=torch.float64), torch.tensor([1e-9, 1.0, 0.0], dtype=torch.float64)]
    before = [factor.clone() for factor in factors]
    found(factors)
    assert all(torch.equal(factor, copy) for factor, copy in zip(factors, before))


@pytest.mark.parametrize(
    "factor, message",
    [
        (np.ones((2, 4)), r"factor must be \(n_out, 3\) or the diagonal \(3,\), got shape \(2, 4\)"),
        (np.ones(2), r"got shape \(2,\)"),
        (np.ones((0, 3)), r"got shape \(0, 3\)"),
        (np.ones((1, 3, 3)), r"got shape \(1, 3, 3\)"),
        ([1.0, math.nan, 1.0], "factor must be finite and real"),
        ([1.0, math.inf, 1.0], "factor must be finite and real"),
        (np.ones((3, 3)) * 1j, "factor must be finite and real"),
        ("text", "factor must be an array of numbers"),
    ],
)
def test_what_is_no_factor_is_refused(factor, message):
    with pytest.raises(NbkitError, match=f"DeepProduct.multiply: .*{message}"):
        DeepProduct(3).multiply(factor)


def test_sizes_are_positive_integers_that_fit(monkeypatch):
    with pytest.raises(NbkitError, match="DeepProduct: n_in must be an integer of at least 1, got 0"):
        DeepProduct(0)
    monkeypatch.setenv("NBKIT_MEMORY", "1MiB")
    with pytest.raises(NbkitError, match="DeepProduct: .* Lower n_in"):
        DeepProduct(1000)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
def test_factors_on_cuda_give_the_values_of_the_cpu():
    factors = [np.random.default_rng(layer).normal(size=(6, 6)) for layer in range(50)]
    on_cuda = found([torch.tensor(factor).cuda() for factor in factors])
    np.testing.assert_allclose(on_cuda, found(factors), atol=1e-12)
