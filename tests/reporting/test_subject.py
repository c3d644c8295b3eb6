"""What a report is made of: the module stays as it is, and what is measured is the function that it computes."""

import copy
import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from nbkit.errors import NbkitError
from nbkit.reporting import Report, report
from tests.reporting.networks import mlp


class Pair(nn.Module):
    """Two linear layers, 4 -> 4 -> 2, and one beside them, 4 -> 4."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.side, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.act = nn.ReLU(inplace=True)


@pytest.mark.parametrize(
    ("wrap", "layer", "x"),
    [
        (parametrizations.weight_norm, nn.Linear(4, 4), torch.ones(2, 4)),
        (parametrizations.spectral_norm, nn.Linear(4, 4), torch.ones(2, 4)),
        (parametrizations.orthogonal, nn.Linear(4, 4), torch.ones(2, 4)),
        (parametrizations.spectral_norm, nn.Conv2d(1, 2, 3), torch.ones(2, 1, 5, 5)),
    ],
)
def test_a_parametrized_module_and_its_copies_stay_as_they_are(wrap, layer, x):
    net = nn.Sequential(wrap(copy.deepcopy(layer)), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)).eval()
    net(x)
    copied, kind = copy.deepcopy(net), type(net[0])
    before = net(x)
    found = report(net, x)
    assert found.not_covered == () and type(net[0]) is type(copied[0]) is kind
    assert torch.equal(net(x), before) and torch.equal(copied(x), before)
    found = report(copied, x)
    assert found.n_parameters == sum(each.numel() for each in net.parameters())


def test_a_name_that_begins_like_an_unknown_modules_is_not_inside_it():
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.att, self.att2, self.last = nn.MultiheadAttention(4, 2), nn.Linear(3, 3), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.att(x, x, x)[0])

    found = report(Attending(), torch.randn(2, 5, 4))
    assert [layer.name for layer in found.layers] == ["last", "att.out_proj"]
    assert dict(found.not_covered)["att2"] == "it is not executed on the way from input to output"


@pytest.mark.parametrize("layout", ["sparse_coo", "sparse_csr"])
@pytest.mark.parametrize("kind", ["parameter", "buffer"])
def test_sparse_tensors_are_refused(layout, kind):
    net = mlp(4, 3)
    sparse = torch.eye(3).to_sparse() if layout == "sparse_coo" else torch.eye(3).to_sparse_csr()
    if kind == "parameter":
        net[0].spread = nn.Parameter(sparse)
    else:
        net[0].register_buffer("spread", sparse)
    message = f"report: the weights must be plain tensors, got 0.spread of kind {layout}. Use its to_dense()."
    with pytest.raises(NbkitError, match=re.escape(message)):
        report(net, torch.ones(4))


@pytest.mark.parametrize("kind", [KeyError, AttributeError, ZeroDivisionError, OSError, Exception])
def test_whatever_a_forward_raises_is_told_in_words(kind):
    class Raising(Pair):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise kind("what it lacks")

    with pytest.raises(NbkitError, match="^report: x must be an example that the module takes.*what it lacks"):
        report(Raising(), torch.ones(4))


def test_an_input_with_fields_is_refused_and_nothing_is_printed(capsys):
    class Fields(Pair):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(x.pixel_values)

    with pytest.raises(NbkitError, match="it says: 'Tensor' object has no attribute 'pixel_values'"):
        report(Fields(), torch.ones(4))
    assert capsys.readouterr() == ("", "")


def test_a_mask_may_be_infinite_and_a_running_statistic_may_not():
    class Masked(Pair):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mask", torch.tensor([0.0, 0.0, 0.0, -math.inf]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.softmax(self.first(x) + self.mask, dim=1))

    net = Masked()
    found = report(net, torch.ones(2, 4))
    assert len(found.layers) == 2 and found.jacobian.shape == (2, 2) and "mask" in dict(net.named_buffers())
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    net[1].running_var[0] = math.nan
    with pytest.raises(NbkitError, match="weights must be finite, got NaN or infinite ones in 1.running_var"):
        report(net, torch.ones(4))


class PreActivation(Pair):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return x + self.side(self.act(x))


class Method(Pair):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        h.relu_()
        return self.last(h)


class Function(Pair):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        F.relu_(h)
        return self.last(h)


class Option(Pair):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        F.relu(h, inplace=True)
        return self.last(h)


class Positional(Pair):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        F.relu(h, True)
        return self.last(h)


class Named(Pair):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        self.act(input=h)
        return self.last(h)


class Squared(Pair):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = kept = self.first(x)
        h **= 2
        return self.last(kept)


class Added(Pair):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.first(x)) * 2
        h.add_(self.side(x))
        return self.last(h)


class Assigned(Pair):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = kept = self.first(x)
        h += torch.relu(self.side(x))
        return self.last(kept)


class OnItsInput(Pair):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x.clamp_(min=0)
        return self.last(x + torch.relu(self.first(x)))


class View(Pair):
    """Overwrites what it has just named otherwise: a slice, a reshaping method, or a module."""

    def __init__(self, view: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.view = view

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        self.view(h).relu_()
        return self.last(h)


VIEWS = {
    "slice": lambda h: h[:, :2],
    "view": lambda h: h.view(-1, h.shape[1]),
    "reshape": lambda h: h.reshape(-1, h.shape[1]),
    "flatten": lambda h: torch.flatten(h, 1),
    "squeeze": lambda h: h.squeeze(-1),
    "unsqueeze": lambda h: h.unsqueeze(1),
    "a module": nn.Flatten(),
    "the same": nn.Identity(),
}


def unclear(found: Report) -> set[str]:
    """What is not covered, layers aside that the forward leaves out."""
    return {name for name, why in found.not_covered if not why.startswith("it is not executed")}


def jacobians(net: nn.Module, points: torch.Tensor) -> list:
    net = copy.deepcopy(net).double()
    found = [torch.autograd.functional.jacobian(lambda p: net(p[None].clone())[0], point) for point in points.double()]
    return [np.linalg.svd(each.numpy(), compute_uv=False) for each in found]


def length_of_output(net: nn.Module, points: torch.Tensor) -> float:
    net, (start, end) = copy.deepcopy(net).double(), points[:2].double()
    with torch.no_grad():
        images = net(start + torch.linspace(0, 1, 5_001, dtype=torch.float64)[:, None] * (end - start))
    return float(images.diff(dim=0).norm(dim=1).sum())


IN_PLACE = (PreActivation, Method, Function, Option, Positional, Named, Squared, Added, Assigned, OnItsInput)


@pytest.mark.parametrize("make", IN_PLACE)
def test_what_is_overwritten_in_place_is_measured_as_it_is(make):
    net, x = make(), torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    found, given = report(net, x), x.clone()
    assert unclear(found) == set() and torch.equal(x, given)
    is_bent = make in (OnItsInput, Named, Squared)  # otherwise than in a module whose kinks are known
    assert found.growth.method == ("tangent" if is_bent else "exact")
    assert 10 ** found.jacobian.numpy() == pytest.approx(np.stack(jacobians(net, x)), abs=1e-9)
    assert float(found.growth.lengths[0]) == pytest.approx(float((x[1] - x[0]).norm()), rel=1e-6)
    assert float(found.growth.lengths[-1]) == pytest.approx(length_of_output(net, x), rel=1e-3)
    assert net.act.inplace


@pytest.mark.parametrize("make", [Added, Assigned])
def test_a_branch_that_is_added_in_place_is_heard(make):
    net = make()
    net.first.weight.data.zero_()
    found = report(net, torch.ones(2, 4))
    assert {layer.name for layer in found.layers} == {"first", "side", "last"}
    assert found.reach.matrix.all()


@pytest.mark.parametrize("view", VIEWS)
def test_what_is_overwritten_through_a_view_costs_the_wires_between_layers(view):
    net, x = View(VIEWS[view]), torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    found = report(net, x)
    assert unclear(found) == {"reach", "growth"} and found.reach is None
    assert "read again through another view of it, as View does" in dict(found.not_covered)["reach"]
    assert 10 ** found.jacobian.numpy() == pytest.approx(np.stack(jacobians(net, x)), abs=1e-9)
    assert float(found.growth.lengths[-1]) == pytest.approx(length_of_output(net, x), rel=1e-3)


@pytest.mark.parametrize("is_read", [True, False])
def test_on_an_unknown_way_what_reads_the_overwritten_is_named(is_read):
    class Deciding(Pair):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.first(x if x.sum() > -1e6 else -x)
            out = self.side(self.act(h))
            return h + out if is_read else out

    net, x = Deciding(), torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    found = report(net, x)
    if is_read:
        assert found.jacobian is None and found.growth is None
        assert "overwritten in place" in dict(found.not_covered)["jacobian"]
        assert ("growth", dict(found.not_covered)["jacobian"]) in found.not_covered
    else:
        assert 10 ** found.jacobian.numpy() == pytest.approx(np.stack(jacobians(net, x)), abs=1e-9)
        assert float(found.growth.lengths[-1]) == pytest.approx(length_of_output(net, x), rel=1e-3)


def test_in_place_activations_in_a_residual_network_cost_nothing():
    class Block(Pair):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = self.act(self.first(x))
            out = self.side(out)
            out += x
            return self.act(out)

    blocks, x = nn.Sequential(nn.ReLU(inplace=True), Block(), Block(), nn.Linear(4, 2)), torch.randn(3, 4)
    plain = copy.deepcopy(blocks)
    for each in plain.modules():
        if isinstance(each, nn.ReLU):
            each.inplace = False
    one, other = report(blocks, x), report(plain, x)
    assert unclear(one) == unclear(other) == set() and torch.equal(one.jacobian, other.jacobian)
    assert one.growth.names == other.growth.names and torch.equal(one.growth.lengths, other.growth.lengths)
    assert torch.equal(one.reach.matrix, other.reach.matrix)


@pytest.mark.parametrize("shrink", [lambda h: h.squeeze(-1), lambda h: h.squeeze(), lambda h: h[:, 0]])
@pytest.mark.parametrize("shape", [(5, 4), (1, 4), (4,)])
def test_one_number_an_example_is_a_row_of_one(shrink, shape):
    class Regressor(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return shrink(self.last(F.relu(self.first(x))))

    net, x = Regressor(), torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = report(net, x)
    points = x.view(-1, 4).double().requires_grad_()
    gradients = torch.autograd.grad(net.double()(points).sum(), points)[0].norm(dim=1)
    assert found.jacobian.shape == (len(points), 1)
    assert 10 ** found.jacobian[:, 0].numpy() == pytest.approx(gradients.numpy())
    assert found.growth.lengths[-1] > 0 and len(found.spectra) == 2


def test_what_is_one_number_for_all_examples_is_refused():
    class Mean(Pair):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(x).mean(dim=0)

    with pytest.raises(NbkitError, match="its output is .*, not one row an example"):
        report(Mean(), torch.ones(2, 4))


def test_random_numbers_go_on_as_if_nothing_had_been_drawn():
    class Dropping(Pair):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(F.dropout(F.relu(self.first(x)), 0.5))

    net, x = Dropping(), torch.randn(3, 4)
    before = torch.get_rng_state()
    found = report(net, x)
    list(found.steps())
    assert torch.equal(before, torch.get_rng_state())
    assert "draws random numbers in eval mode" in dict(found.not_covered)["Dropping"]


def test_a_forward_that_makes_halves_is_told_so():
    class Mixed(Pair):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.first(x.half()).float())

    net = Mixed()
    net.first.half()
    with pytest.raises(NbkitError, match="^report: module must run in single precision.*forward that makes halves"):
        report(net, torch.ones(2, 4))
