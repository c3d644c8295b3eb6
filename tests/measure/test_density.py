"""Densities, ranks and sorted matrices against counts and numpy's decompositions (SCIENCE 5.3)."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from nbkit.errors import NbkitError
from nbkit.measure import density_above, numerical_rank, sorted_by_norm, stable_rank
from nbkit.nets import SkipNet

small = st_np.array_shapes(min_dims=2, max_dims=2, max_side=6)
matrices = small.flatmap(lambda shape: st_np.arrays(np.float32, shape, elements=st.floats(-9, 9, width=32)))
thresholds = st.sampled_from([2**-10, 0.5, 1.0, 3.0])  # float32 has all of them
MEASURES = [density_above, numerical_rank, stable_rank, sorted_by_norm]


def with_values(values: list[float], shape: tuple[int, int]) -> np.ndarray:
    """A matrix of these singular values between random orthogonal bases."""
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.standard_normal((n, len(values))))[0] for n in shape)
    return left * values @ right.T


@settings(max_examples=100, deadline=None)
@given(matrices, thresholds)
def test_density_is_a_count_of_entries(matrix, threshold):
    count = sum(abs(entry) > threshold for row in matrix.tolist() for entry in row)
    assert density_above(matrix, threshold) == density_above(torch.from_numpy(matrix).T, threshold)
    assert density_above(matrix, threshold) == count / matrix.size


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_an_entry_at_the_threshold_is_not_above_it(dtype):
    entries = torch.tensor([[1e-3, -1e-3, 1.1e-3, -1.1e-3]], dtype=dtype)
    assert density_above(entries) == 0.5


@pytest.mark.parametrize("matrix, expected", [
    ([[0, 2], [-1, 0]], 0.5), (np.eye(4, dtype=bool), 0.25), (torch.tensor([[1j, 0]]), 0.5),
    (torch.ones(2, 3).requires_grad_(), 1.0), (np.zeros((3, 2)), 0.0),
])  # fmt: skip
def test_any_array_of_numbers_is_a_matrix(matrix, expected):
    assert density_above(matrix) == expected
    assert sorted_by_norm(matrix).matrix.shape == np.shape(torch.as_tensor(matrix).detach())


@pytest.mark.parametrize("values, rel, rank", [
    ([1, 1.1e-3, 0.9e-3], 1e-3, 2), ([1e9, 1.1e6, 0.9e6], 1e-3, 2), ([1e-12, 1e-14], 1e-3, 2),
    ([1, 0.6, 0.4], 0.5, 2), ([5.0], 0.999, 1), ([2, 2, 2], 0.999, 3),
])  # fmt: skip
def test_numerical_rank_counts_values_above_rel_times_the_largest(values, rel, rank):
    assert numerical_rank(with_values(values, (5, 7)), rel=rel) == rank


@pytest.mark.parametrize("values", [[3.0], [2, 1], [1, 1, 1, 1], [5, 0.1, 0.01]])
def test_stable_rank_is_the_sum_of_squares_over_the_largest(values):
    matrix = with_values(values, (6, 4))
    assert stable_rank(matrix) == pytest.approx(sum((v / values[0]) ** 2 for v in values), rel=1e-12)
    norms = np.linalg.norm(matrix) ** 2 / np.linalg.norm(matrix, 2) ** 2
    assert stable_rank(matrix) == pytest.approx(norms, rel=1e-12)


@settings(max_examples=50, deadline=None)
@given(matrices)
def test_the_stable_rank_is_at_most_the_rank_and_at_least_1(matrix):
    rank = np.linalg.matrix_rank(matrix.astype(np.float64))
    assert (1 - 1e-12 if matrix.any() else 0) <= stable_rank(matrix) <= rank + 1e-12


def test_a_zero_matrix_has_rank_0():
    assert numerical_rank(np.zeros((3, 5))) == 0 and stable_rank(torch.zeros(3, 5)) == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("width", [1, 4, 16])
def test_between_the_neurons_the_rank_is_d_1_at_birth(width, seed):  # B6
    (between,) = SkipNet((4, width, 1), 64, seed=seed).between
    assert numerical_rank(between) == width and stable_rank(between) <= width + 1e-9


@settings(max_examples=100, deadline=None)
@given(matrices)
def test_sorted_matrices_keep_their_entries_and_fall_in_norm(matrix):
    found = sorted_by_norm(matrix)
    assert torch.equal(found.matrix, torch.from_numpy(matrix)[found.rows][:, found.columns])
    for order, axis in ((found.rows, 1), (found.columns, 0)):
        assert sorted(order.tolist()) == list(range(matrix.shape[1 - axis]))
        norms = np.linalg.norm(found.matrix.double().numpy(), axis=axis)
        assert (np.diff(norms) <= 1e-12 * norms.max()).all()


def test_the_orders_say_where_rows_and_columns_came_from():
    found = sorted_by_norm([[0.0, 0, 1], [0, 0, 0], [2, 0, 9]])
    assert found.matrix.tolist() == [[9, 2, 0], [1, 0, 0], [0, 0, 0]]
    assert (found.rows.tolist(), found.columns.tolist()) == ([2, 0, 1], [2, 0, 1])


def test_equal_norms_keep_their_order():
    found = sorted_by_norm(torch.ones(40, 50))
    assert (found.rows.tolist(), found.columns.tolist()) == (list(range(40)), list(range(50)))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_norms_whose_squares_leave_float32_are_sorted(scale):
    assert sorted_by_norm(scale * torch.diag(torch.arange(1.0, 6))).rows.tolist() == [4, 3, 2, 1, 0]


def test_what_is_given_is_not_changed():
    matrix = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    sorted_by_norm(matrix).matrix.zero_()
    assert matrix.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("entry", [math.nan, math.inf, -math.inf])
def test_nan_and_infinite_entries_are_refused(measure, entry):
    with pytest.raises(NbkitError, match=rf"{measure.__name__}: matrix must be 2-D, finite.*NaN or infinite entries"):
        measure([[1.0, entry], [0.0, 2.0]])


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("matrix", [5.0, [1.0, 2.0], np.ones((2, 2, 2)), np.ones((0, 3)), np.ones((3, 0))])
def test_what_is_no_matrix_is_refused(measure, matrix):
    with pytest.raises(NbkitError, match=rf"{measure.__name__}: matrix must be 2-D, finite and not empty, got shape"):
        measure(matrix)


@pytest.mark.parametrize("measure", MEASURES)
def test_text_is_refused(measure):
    with pytest.raises(NbkitError, match="matrix must be an array of numbers"):
        measure([["a", "b"]])


def test_finite_entries_whose_sum_overflows_are_not_refused():
    assert density_above(torch.full((2, 2), 3e38)) == 1
    assert density_above(torch.full((90, 90), 60000.0, dtype=torch.float16)) == 1


@pytest.mark.parametrize("threshold", [0, -1e-3, math.nan, math.inf, "1e-3", None, True])
def test_a_threshold_is_positive(threshold):
    with pytest.raises(NbkitError, match=r"density_above: threshold must be a finite number in \(0, inf\)"):
        density_above(np.eye(2), threshold)


@pytest.mark.parametrize("rel", [0, -1e-3, 1, 2.0, math.nan, "1e-3", None])
def test_rel_lies_between_0_and_1(rel):
    with pytest.raises(NbkitError, match="numerical_rank: rel must"):
        numerical_rank(np.eye(2), rel)
