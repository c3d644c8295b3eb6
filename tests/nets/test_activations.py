"""nbkit.nets.activations: MaxMin is a permutation at every point."""

import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.nets import MaxMin


@pytest.mark.parametrize("shape", [(3, 6), (2, 4, 5, 5)])
def test_maxmin_sorts_neighbouring_features(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    pairs = x.unflatten(1, (-1, 2)).sort(dim=2, descending=True).values
    assert torch.equal(MaxMin()(x), pairs.flatten(1, 2))


def test_the_jacobian_of_maxmin_is_a_permutation_where_features_are_equal_too():
    x = torch.tensor([[1.0, 1.0, 2.0, 3.0]])
    jacobian = torch.autograd.functional.jacobian(MaxMin(), x)[0, :, 0]
    assert torch.equal(jacobian, torch.eye(4)[[0, 1, 3, 2]])


@pytest.mark.parametrize("shape", [(2, 3), (4,)])
def test_maxmin_refuses_odd_features_and_points_without_a_batch(shape):
    with pytest.raises(NbkitError, match=r"MaxMin: x must be \(batch, features, ...\) with an even number"):
        MaxMin()(torch.zeros(shape))
