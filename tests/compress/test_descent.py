"""Theorem 7: descent commutes with the orthogonal symmetry, and projected descent is the compressed network's own."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import prune

from nbkit.compress import keep_projected, project, qr_compress, reduced_widths
from nbkit.errors import NbkitError
from nbkit.nets import RADIAL_FUNCTIONS, RadialNet
from nbkit.topology import Layer, Topology

WIDTHS = (2, 7, 9, 4, 2)
ACTIVATIONS = ["squash", "sigmoid", "shifted_relu"]
DESCENTS = {
    "gradient descent": lambda parameters: torch.optim.SGD(parameters, lr=0.05),
    "heavy ball": lambda parameters: torch.optim.SGD(parameters, lr=0.02, momentum=0.9),
}


def net_and_data(activation: str, seed: int = 0) -> tuple[RadialNet, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    drawn = [1.5 * rng.standard_normal((n, m + 1)) / m**0.5 for m, n in zip(WIDTHS, WIDTHS[1:])]
    net = RadialNet.of([a[:, 1:] for a in drawn], [a[:, 0] for a in drawn], activation)
    return net, torch.from_numpy(rng.standard_normal((30, 2))), torch.from_numpy(rng.standard_normal((30, 2)))


def loss(net: RadialNet, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (net(x) - y).square().sum(dim=1).mean()


def train(net: RadialNet, x: torch.Tensor, y: torch.Tensor, steps: torch.optim.Optimizer, n: int = 50) -> float:
    for _ in range(n):
        steps.zero_grad()
        loss(net, x, y).backward()
        steps.step()
    return loss(net, x, y).item()


def trained(net: RadialNet, x: torch.Tensor, y: torch.Tensor, descent, widths=None, n: int = 50) -> RadialNet:
    """A trained copy, projected after each step where widths are given."""
    net = copy.deepcopy(net)
    steps = descent(net.parameters())
    train(net, x, y, steps if widths is None else keep_projected(steps, net, widths), n)
    return net


def gap(one: RadialNet, other: RadialNet) -> float:
    return max((a - b).abs().max().item() for a, b in zip(one.parameters(), other.parameters(), strict=True))


def by_hand(net: RadialNet, x: torch.Tensor, y: torch.Tensor, widths: tuple[int, ...], lr: float, n: int) -> RadialNet:
    """Projected gradient descent as written: W - lr dW, then zeros in the lower left block and the lower bias."""
    net = copy.deepcopy(net)
    for _ in range(n):
        gradients = torch.autograd.grad(loss(net, x, y), list(net.parameters()))
        with torch.no_grad():
            for values, gradient in zip(net.parameters(), gradients, strict=True):
                values -= lr * gradient
            for i, linear in enumerate(net.linears):
                linear.weight[widths[i + 1] :, : widths[i]] = 0
                linear.bias[widths[i + 1] :] = 0
    return net


@pytest.mark.parametrize("descent", DESCENTS.values(), ids=DESCENTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_theorem_7a_training_and_turning_commute(activation, descent):
    net, x, y = net_and_data(activation)
    found = qr_compress(net)
    end = trained(net, x, y, descent)
    assert gap(end, net) > 0.01
    assert gap(end, trained(found.transformed, x, y, descent).act(found.rotations)) < 1e-12


@pytest.mark.parametrize("descent", DESCENTS.values(), ids=DESCENTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_theorem_7b_projected_descent_is_the_compressed_networks_and_u_stays(activation, descent):
    net, x, y = net_and_data(activation)
    found = qr_compress(net)
    start = found.net.embedded(WIDTHS)
    end = trained(found.transformed, x, y, descent, found.widths)
    small = trained(found.net, x, y, descent)
    assert gap(small, found.net) > 0.01
    embedded = small.embedded(WIDTHS)
    for now, then, first, last, n_in in zip(
        end.linears, found.transformed.linears, start.linears, embedded.linears, found.widths, strict=False
    ):
        torch.testing.assert_close(now.weight - last.weight, then.weight - first.weight, rtol=0, atol=1e-13)
        torch.testing.assert_close(now.bias, last.bias, rtol=0, atol=1e-13)
        u = (then.weight - first.weight).detach()
        assert u[:, :n_in].abs().max() < 1e-13
        assert n_in == then.in_features or u[:, n_in:].abs().max() > 0.1
    assert loss(end, x, y).item() == pytest.approx(loss(small, x, y).item(), abs=1e-13)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=6),
    st.sampled_from([*RADIAL_FUNCTIONS, torch.tanh]),
    st.sampled_from([0.0, 0.9]),
    st.integers(0, 1000),
)
def test_theorem_7_for_any_depth_widths_and_activation(widths, h, momentum, seed):
    def descent(parameters):
        return torch.optim.SGD(parameters, lr=0.005, momentum=momentum)

    rng = np.random.default_rng(seed)
    net = RadialNet(widths, h, seed=seed).double()
    x, y = (torch.from_numpy(rng.standard_normal((10, n))) for n in (widths[0], widths[-1]))
    found = qr_compress(net)
    end = trained(net, x, y, descent, n=8)
    assert gap(end, net) > 1e-6
    assert gap(end, trained(found.transformed, x, y, descent, n=8).act(found.rotations)) < 1e-10
    kept = trained(found.transformed, x, y, descent, found.widths, n=8)
    moved = trained(found.net, x, y, descent, n=8).embedded(widths)
    start = found.net.embedded(widths)
    for now, then, last, first in zip(
        *(each.parameters() for each in (kept, found.transformed, moved, start)), strict=True
    ):
        torch.testing.assert_close(now - last, then - first, rtol=0, atol=1e-10)


def test_the_hook_does_what_the_paper_means_learning_rate_included():
    net, x, y = net_and_data("squash", seed=1)
    start, widths = qr_compress(net).transformed, reduced_widths(WIDTHS)
    ours = trained(start, x, y, DESCENTS["gradient descent"], widths, 20)
    assert gap(ours, by_hand(start, x, y, widths, 0.05, 20)) < 1e-14
    assert gap(ours, by_hand(start, x, y, widths, 1.0, 20)) > 0.1  # as printed, without eta


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_full_descent_is_not_projected_descent(activation):
    """App. D.6: compress and train is not train and compress."""
    net, x, y = net_and_data(activation)
    found = qr_compress(net)
    descent = DESCENTS["gradient descent"]
    whole, small = trained(net, x, y, descent), trained(found.net, x, y, descent)
    assert loss(qr_compress(whole).net, x, y).item() == pytest.approx(loss(whole, x, y).item(), abs=1e-12)
    assert abs(loss(small, x, y).item() - loss(whole, x, y).item()) > 1e-3  # either may be ahead


def test_adam_breaks_the_first_half_of_theorem_7_and_keeps_the_second():
    net, x, y = net_and_data("squash")
    found = qr_compress(net)

    def adam(parameters):
        return torch.optim.Adam(parameters, lr=0.01)

    whole, turned = (loss(trained(start, x, y, adam), x, y).item() for start in (net, found.transformed))
    assert abs(whole - turned) > 1e-3
    small = trained(found.net, x, y, adam)
    kept = trained(found.transformed, x, y, adam, found.widths)
    assert loss(kept, x, y).item() == pytest.approx(loss(small, x, y).item(), abs=1e-6)


def test_projecting_zeroes_just_the_lower_left_blocks_and_lower_biases():
    net, _, _ = net_and_data("squash")
    before, widths = copy.deepcopy(net), reduced_widths(WIDTHS)
    project(net, widths)
    for linear, old, n_in, n_out in zip(net.linears, before.linears, widths, widths[1:]):
        expected, bias = old.weight.detach().clone(), old.bias.detach().clone()
        expected[n_out:, :n_in] = 0
        bias[n_out:] = 0
        assert torch.equal(linear.weight, expected) and torch.equal(linear.bias, bias)
    once = copy.deepcopy(net)
    project(net, widths)
    assert gap(net, once) == 0
    project(before, WIDTHS)
    assert gap(before, net_and_data("squash")[0]) == 0


def test_on_sparse_wires_blocks_are_zeroed_too():
    masks = Topology([Layer.from_biadjacency(np.ones((m, n))) for m, n in zip((2, 5, 2), (5, 2))])
    net = RadialNet(None, topology=masks)
    project(net, (2, 3, 2))
    assert not net[0].weight[3:].any() and not net[0].bias[3:].any() and net[0].weight[:3].all()


@pytest.mark.parametrize(
    "widths", [(2, 3, 4, 4), (2, 8, 4, 4, 2), (3, 3, 4, 4, 2), (2, 3, 4, 4, 1), (2, 3, 4, 0, 2), None]
)
def test_widths_that_do_not_fit_are_refused(widths):
    net, _, _ = net_and_data("squash")
    with pytest.raises(NbkitError, match="^project: .*widths must be"):
        project(net, widths)
    with pytest.raises(NbkitError, match="^keep_projected: .*widths must be"):
        keep_projected(torch.optim.SGD(net.parameters()), net, widths)


def test_only_a_radial_network_is_projected():
    net, said = torch.nn.Linear(2, 2), "net must be a RadialNet, got Linear. Use RadialNet.from_modules"
    with pytest.raises(NbkitError, match=f"^project: {said}"):
        project(net, (2, 2))
    with pytest.raises(NbkitError, match=f"^keep_projected: {said}"):
        keep_projected(torch.optim.SGD(net.parameters()), net, (2, 2))


def _without_bias(net):
    net[2].bias = None


@pytest.mark.parametrize(
    "change",
    [
        _without_bias,
        lambda net: torch.nn.utils.parametrizations.orthogonal(net[2]),
        lambda net: prune.random_unstructured(net[2], "weight", amount=0.5),
    ],
)
def test_what_is_projected_must_be_a_weight_of_its_own(change):
    net = RadialNet((2, 5, 5, 1))
    change(net)
    with pytest.raises(NbkitError, match="project: net must hold a weight and a bias in each Linear"):
        project(net, (2, 3, 4, 1))


def test_only_an_optimizer_is_kept_projected():
    with pytest.raises(NbkitError, match="keep_projected: optimizer must be one of torch's, got None. Use"):
        keep_projected(None, RadialNet((2, 5, 1)), (2, 3, 1))


def test_groups_schedules_and_closures_keep_theorem_7b():
    x, y = torch.randn(30, 2, generator=torch.Generator().manual_seed(0)).double(), torch.ones(30, 1).double()
    found = qr_compress(RadialNet((2, 6, 8, 1), "squash").double())
    for net in (found.transformed, found.net):
        groups = [
            {"params": [linear.weight for linear in net.linears], "lr": 0.1},
            {"params": [linear.bias for linear in net.linears], "lr": 0.02},
        ]
        sgd = torch.optim.SGD(groups, momentum=0.9)
        if net is found.transformed:
            keep_projected(sgd, net, found.widths)
        schedule = torch.optim.lr_scheduler.ExponentialLR(sgd, 0.8)

        def loss(net=net, sgd=sgd):
            sgd.zero_grad()
            value = (net(x) - y).square().mean()
            value.backward()
            return value

        before = loss().item()
        for _ in range(10):
            sgd.step(loss)
            schedule.step()
        assert loss().item() < 0.5 * before
    torch.testing.assert_close(found.transformed(x), found.net(x), rtol=0, atol=1e-12)
