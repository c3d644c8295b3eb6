"""Growth of lines in a report: lengths by many chords, names of the layers, what the line is."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nbkit.reporting import report
from tests.reporting.networks import Deciding, Residual, mlp


def chord_length(function, start: torch.Tensor, end: torch.Tensor) -> float:
    times = torch.linspace(0, 1, 5_001, dtype=torch.float64)
    points = start + times.view(-1, *[1] * start.ndim) * (end - start)
    with torch.no_grad():
        return float(function(points).flatten(1).diff(dim=0).norm(dim=1).sum())


def test_lengths_are_those_behind_every_nonlinear_layer():
    net, x = Residual(density=1.0), torch.randn(4, 6)
    growth = report(net, x).growth
    assert (growth.names, growth.method) == (("input", "relu", "relu_1", "output"), "exact")
    net, (start, end) = net.double(), x[:2].double()
    first = lambda p: F.relu(net.first(p))  # noqa: E731
    expected = [chord_length(f, start, end) for f in (lambda p: p, first, lambda p: F.relu(net.down(first(p))), net)]
    assert growth.lengths.tolist() == pytest.approx(expected, rel=1e-3)
    assert growth.ends == "two of the examples"


def test_the_factor_is_the_mean_over_the_pieces():
    net = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU())
    net[0].weight.data = torch.tensor([[3.0], [-1.0]])
    growth = report(net, torch.tensor([[-1.0], [1.0]])).growth
    assert growth.factor.tolist() == pytest.approx([(3 + 1) / 2])
    assert growth.lengths.tolist() == pytest.approx([2, 3 + 1])
    assert growth.n_pieces == 2


def test_smooth_and_pooling_layers_are_named():
    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.last = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Linear(27, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = F.max_pool2d(F.gelu(self.norm(self.conv(x))), 2)
            return F.log_softmax(self.last(x.flatten(1)), dim=1)

    torch.manual_seed(0)
    net, x = Written(), torch.randn(2, 1, 8, 8)
    growth = report(net, x).growth
    assert growth.names == ("input", "gelu", "max_pool2d", "log_softmax") and growth.method == "tangent"
    assert float(growth.lengths[-1]) == pytest.approx(chord_length(net.double().eval(), *x.double()), rel=1e-2)


def test_attention_is_measured_by_chords():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    x = torch.randn(2, 3, 4)
    found = report(nn.Sequential(nn.Linear(4, 4), layer), x)
    assert found.growth.method == "chords" and found.jacobian.shape == (2, 12)
    whole = nn.Sequential(*found._subject.net).double()
    assert float(found.growth.lengths[-1]) == pytest.approx(chord_length(whole, *x.double()), rel=1e-2)


def test_one_example_is_joined_to_a_random_point_of_its_norm():
    net, x = mlp(5, 8, 2), torch.randn(5)
    growth = report(net, x).growth
    assert growth.ends == "the example and a random point of its norm"
    assert 0 < float(growth.lengths[0]) <= 2 * float(x.norm()) * (1 + 1e-6)
    assert report(net, x, seed=1).growth.lengths[0] != growth.lengths[0] == report(net, x).growth.lengths[0]
    twice = report(net, torch.stack([x, x])).growth
    assert torch.equal(twice.lengths, growth.lengths)


def test_one_number_is_joined_to_its_negative_and_0_to_a_unit_vector():
    assert float(report(mlp(1, 3, 1), torch.tensor([2.0])).growth.lengths[0]) == pytest.approx(4)
    assert float(report(mlp(3, 3, 1), torch.zeros(3)).growth.lengths[0]) == pytest.approx(1)


def test_a_way_that_depends_on_the_data_is_measured_module_by_module():
    found = report(Deciding(), torch.randn(2, 4))
    assert found.growth.names == ("input", "nonlinearity 1", "output")
    assert (
        "growth",
        "lengths are taken behind modules; activations that are functions are not seen",
    ) in found.not_covered
