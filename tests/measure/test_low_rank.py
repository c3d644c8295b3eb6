"""Singular values through a bottleneck: those of the product, in every shape, and no others."""

import numpy as np
import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.measure import bottleneck_singular_values


@pytest.mark.parametrize("m, d, n", [(40, 3, 30), (5, 8, 6), (2, 4, 9), (9, 4, 2), (1, 1, 1)])
def test_they_are_those_of_the_product(m, d, n):
    draw = np.random.default_rng(m + d + n)
    left, right = draw.normal(size=(m, d)), draw.normal(size=(d, n))
    wanted = np.linalg.svd(left @ right, compute_uv=False)[: min(m, d, n)]
    np.testing.assert_allclose(bottleneck_singular_values(left, right), wanted, rtol=1e-12, atol=1e-12 * wanted[0])


def test_dependent_columns_and_zeros_give_zeros():
    left = torch.ones(6, 3)
    right = torch.eye(3, 5)
    np.testing.assert_allclose(bottleneck_singular_values(left, right), [18**0.5, 0, 0], atol=1e-14)
    assert bottleneck_singular_values(torch.zeros(6, 3), right).tolist() == [0, 0, 0]


def test_complex_matrices_have_those_of_the_product_too():
    draw = np.random.default_rng(0)
    left, right = (draw.normal(size=size) + 1j * draw.normal(size=size) for size in ((7, 3), (3, 6)))
    wanted = np.linalg.svd(left @ right, compute_uv=False)[:3]
    np.testing.assert_allclose(bottleneck_singular_values(left, right), wanted, rtol=1e-12)


@pytest.mark.parametrize(
    "left, right, words",
    [
        (torch.ones(3, 2), torch.ones(3, 2), "matrices of one d"),
        (torch.ones(3), torch.ones(3, 2), "left must be 2-D"),
        (torch.ones(3, 0), torch.ones(0, 2), "not empty"),
        (torch.full((3, 2), float("nan")), torch.ones(2, 2), "finite"),
        (torch.ones(3, 2), torch.full((2, 2), float("inf")), "finite"),
    ],
)
def test_what_cannot_be_used_is_refused(left, right, words):
    with pytest.raises(NbkitError, match=words):
        bottleneck_singular_values(left, right)
