"""What is taken away is stored: not computed from other weights, not shared, and not a namesake's."""

import csv
import io

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from nbkit.reporting import report
from tests.reporting.networks import mlp
from tests.reporting.test_removable import row


class Tied(nn.Module):
    """An autoencoder of rank 1 whose decoder is its encoder's transpose."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encode = nn.Linear(20, 20)
        self.encode.weight.data = torch.outer(torch.randn(20), torch.randn(20))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(torch.tanh(self.encode(x)), self.encode.weight.T)


def test_weights_that_layers_share_are_taken_away_once():
    net = Tied()
    assert row(net, "layers of low rank", 20).n_after == 20 + 20 + 20
    assert row(net, "small weights", 20).n_after == 420 - int(
        (net.encode.weight.abs() <= 1e-3 * net.encode.weight.abs().max()).sum()
    )
    assert row(net, "dead units", 20).n_after == 420
    net.encode.weight.data[:10] = 0
    assert row(net, "small weights", 20).n_after <= 20 + 200
    assert row(net, "dead units", 20) is None
    assert "share" in dict(report(net, torch.randn(20)).not_covered)["dead units"]


class Product(nn.Module):
    """A layer whose weights are a product of two factors, and one as they are stored."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Parameter(torch.randn(100, 2)), nn.Parameter(torch.randn(2, 100))
        self.last = nn.Linear(100, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(F.relu(F.linear(x, self.a @ self.b)))


class Factors(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a @ b

    def right_inverse(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.randn(len(weight), 2), torch.randn(2, weight.shape[1])


class Outer(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.outer(values, values)


def parametrized(rule: nn.Module, *given: torch.Tensor) -> nn.Module:
    net = mlp(100, 100, 3)
    if given:
        net[0].weight = nn.Parameter(*given)
    parametrize.register_parametrization(net[0], "weight", rule, unsafe=True)
    return net


@pytest.mark.parametrize(
    "make", [Product, lambda: parametrized(Factors()), lambda: parametrized(Outer(), torch.randn(100))]
)
def test_weights_that_are_computed_are_not_there_to_be_taken_away(make):
    net = make()
    rows = report(net, torch.randn(4, 100)).removable
    n_stored = sum(values.numel() for values in net.parameters())
    assert all(each.n_before == n_stored and n_stored - 3 <= each.n_after <= n_stored for each in rows)
    assert {each.what for each in rows} == {"dead units", "small weights", "layers of low rank"}


def test_dead_units_of_computed_weights_take_the_stored_ones_along():
    net = Product()
    net.last.weight.data[:, :60] = 0
    found = row(net, "dead units", 100)
    assert found.n_before - found.n_after == 3 * 60 and found.lossless
    assert found.how.endswith("what weights are computed from stays")


class Drawn(nn.Module):
    """The second layer's weights are the first one's source."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(8, 8))
        self.register_buffer("m", torch.ones(8, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(torch.tanh(F.linear(x, self.w * self.m)), self.w)


def test_weights_that_others_are_computed_from_are_shared():
    net = Drawn()
    assert row(net, "dead units", 8).n_after == 64
    net.w.data[:, 0] = 0
    assert row(net, "dead units", 8) is None
    assert "share" in dict(report(net, torch.randn(8)).not_covered)["dead units"]


class InPlace(nn.Module):
    """Its weights are parameters that functions take; the first result is overwritten, the last is one number."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Parameter(torch.outer(torch.randn(20), torch.randn(20)))
        self.a, self.last = nn.Parameter(torch.randn(20, 1)), nn.Linear(20, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.linear(x, self.first)
        h.relu_()
        h = F.linear(h, self.a @ self.a.T)
        return self.last(h.add_(1))[:, 0]


def test_what_is_stored_is_known_where_results_are_overwritten_too():
    net = InPlace()
    net.last.weight.data[:, 0] = 0
    found = {each.what: each for each in report(net, torch.randn(4, 20)).removable}
    assert found["layers of low rank"].n_before - found["layers of low rank"].n_after == 400 - 40


class Namesakes(nn.Module):
    """A full rank and a rank of 1, both under the name "linear"."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.w = nn.Linear(40, 40), nn.Parameter(torch.outer(torch.randn(40), torch.randn(40)))
        self.register_buffer("m", torch.ones(40, 40))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(torch.tanh(self.linear(x)), self.w * self.m)


def test_namesakes_keep_their_own_numbers():
    net = Namesakes()
    net.linear.weight.data[:7] = 0
    net.linear.weight.data[:7, :7] = 0.5 * torch.eye(7)
    net.linear.weight.data[39] = 0
    found = report(net, torch.randn(2, 40))
    first, second = csv.DictReader(io.StringIO(found.to_csv()))
    assert (first["numerical_rank"], second["numerical_rank"]) == ("39", "1")
    assert (first["n_dead_units"], second["n_dead_units"]) == ("1", "0")
    assert row(net, "layers of low rank", 40).n_after == net.linear.weight.numel() + 40 + net.w.numel()
