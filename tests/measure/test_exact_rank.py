"""nbkit.measure.exact_rank against elimination in fractions, which rounds nothing either, and against theory."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.measure.exact_rank import ExactRange


def rank_in_fractions(matrix: list[list[Fraction]]) -> int:
    rows, rank = [list(row) for row in matrix], 0
    for column in range(len(rows[0])):
        pivot = next((i for i in range(rank, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        for i in range(rank + 1, len(rows)):
            ratio = rows[i][column] / rows[rank][column]
            rows[i] = [a - ratio * b for a, b in zip(rows[i], rows[rank], strict=True)]
        rank += 1
    return rank


def product_in_fractions(factors: list[np.ndarray]) -> list[list[Fraction]]:
    product = None
    for factor in factors:
        exact = np.vectorize(Fraction, otypes=[object])(factor)
        product = exact if product is None else exact @ product
    return product.tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=2, max_size=5), st.floats(0.2, 0.9), st.integers(0, 2**32))
def test_the_rank_of_a_product_of_sparse_matrices_is_that_of_fractions(sizes, density, seed):
    rng = np.random.default_rng(seed)
    factors = [
        rng.normal(size=(n_out, n_in)) * (rng.random((n_out, n_in)) < density)
        for n_in, n_out in zip(sizes, sizes[1:], strict=False)
    ]
    assert ExactRange(sizes[0]).behind(factors).rank == rank_in_fractions(product_in_fractions(factors))


def test_factors_may_come_one_at_a_time_and_as_diagonals():
    rng = np.random.default_rng(0)
    factors = [rng.normal(size=(40, 40)) * (rng.random((40, 40)) < 0.05) for _ in range(4)]
    slopes = [(rng.random(40) < 0.7) * 1.0 for _ in factors]
    step = ExactRange(40)
    for factor, slope in zip(factors, slopes, strict=True):
        step = step.behind([factor]).behind([slope])
    matrices = [part for pair in zip(factors, map(np.diag, slopes), strict=True) for part in pair]
    assert 0 < step.rank < 20 and step.rank == ExactRange(40).behind(matrices).rank
    assert step.rank == rank_in_fractions(product_in_fractions(matrices))


@pytest.mark.parametrize("rank", [1, 31, 33, 70])  # on either side of a panel's width
def test_a_product_through_a_bottleneck_has_its_rank(rank):
    rng = np.random.default_rng(rank)
    narrow, wide = rng.normal(size=(rank, 80)), rng.normal(size=(90, rank))
    assert ExactRange(80).behind([narrow, wide]).rank == rank


def test_more_terms_than_can_be_summed_at_once_are_summed_exactly():
    ones, signs = np.ones((600, 1)), np.tile([1.0, -1.0], 300)[None]
    assert ExactRange(1).behind([1e300 * ones, signs]).rank == 0
    assert ExactRange(1).behind([ones, np.abs(signs)]).rank == 1


def test_numbers_of_every_size_have_a_residue():
    largest, least = np.finfo(float).max, 5e-324
    dependent = np.array([[largest, largest / 2], [2 * least, least]])
    assert ExactRange(2).behind([dependent]).rank == 1
    assert ExactRange(2).behind([dependent + [[0, 0], [0, least]]]).rank == 2


def test_equation_5_loses_half_of_its_directions_and_no_more():
    half = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0]
    mirrored = np.block([[half, -half], [-half, half]])
    alive = np.random.default_rng(1).random(16) < 0.5
    slopes = np.concatenate([alive, ~alive]) * 1.0  # of relu(z) and relu(-z) one is on
    assert ExactRange(32).behind([mirrored, slopes] * 5).rank == 16


def test_the_whole_space_needs_no_basis():
    start = ExactRange(5)
    assert start.rank == 5 and start.basis is None
    assert start.behind([np.random.default_rng(0).normal(size=(5, 5))]).basis is None
