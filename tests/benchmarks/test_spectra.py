"""The benchmark of spectra still runs, on sizes too small to time, and measures what it says."""

import random

import numpy as np
import pytest
import torch

from . import spectra


def test_every_ratio_is_taken_of_equal_values():
    ratios = [
        *spectra.spectra_against_dense(64), *spectra.weights_against_loops(16, 4, 2),
        *spectra.convolution_against_bare(4, 6),
    ]  # fmt: skip
    assert [ratio.promised for ratio in ratios] == [50, 50, 50, 100, None, 1 / 1.5]
    assert all(ratio.ratio > 0 and "ratio" in str(ratio) for ratio in ratios)


@pytest.mark.parametrize("n, degree", [(8, 2), (16, 4), (6, 6), (5, 1)])
def test_the_published_loops_make_an_orthogonal_matrix_of_that_degree(n, degree):
    weights = spectra.published_weights(n, degree, lambda: np.zeros((n, n)), seed=3)
    assert np.abs(weights @ weights.T - np.eye(n)).max() < 1e-12
    assert set((weights != 0).sum(axis=0)) == set((weights != 0).sum(axis=1)) == {degree}
    vectors = np.array(spectra.orthogonal_vectors(degree, random.Random(1)))
    assert np.abs(vectors @ vectors.T - np.eye(degree)).max() < 1e-12


def test_results_that_differ_are_not_compared_for_speed():
    with pytest.raises(AssertionError, match="some: results differ by 1e-06"):
        spectra.same(torch.ones(3), torch.ones(3) + 1e-6 * torch.eye(3)[0].double(), "some")


def test_every_slope_is_taken():
    found = spectra.slopes(largest=256)
    assert len(found) == 3
    assert all(np.isfinite(exponent) and len(taken) == 3 for exponent, taken in found.values())
