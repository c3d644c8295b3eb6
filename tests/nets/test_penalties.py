"""(2) and weight decay are the sums that SCIENCE 5.2 writes; balanced neurons compute the same at the least cost."""

import math

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nbkit.errors import NbkitError
from nbkit.measure import neuron_norms
from nbkit.nets import FullSkipNet, SkipLayer, SkipNet, balanced, rbv2_penalty, weight_decay_penalty


def check_block() -> SkipNet:
    layer = SkipLayer([[1.0, -2], [0.5, 0]], [[1.0, 2], [3, -1]], [1.0, 0], [[1.0, 0], [0, -1]], [0.0, 1])
    return SkipNet.of([layer]).double()


def one_neuron(v: list[float], w: list[float], b: float = 0.0) -> SkipNet:
    d_out, d_in = len(v), len(w)
    V, W = np.array(v)[:, None], np.array(w)[None]
    return SkipNet.of([SkipLayer(V, W, np.array([b]), np.zeros((d_out, d_in)), np.zeros(d_out))])


def by_loops(net: SkipNet) -> tuple[float, float]:
    """(2) / lambda and weight decay / lambda, entry by entry."""
    rbv2 = squares = 0.0
    for layer in net.layers:
        V, W, b, C, c0 = (getattr(layer, name).detach().numpy() for name in ("V", "W", "b", "C", "c0"))
        rbv2 += sum(abs(c) for row in C for c in row)
        for k in range(len(b)):
            rbv2 += sum(abs(v) for v in V[:, k]) ** 2 + sum(w**2 for w in W[k])
        squares += sum(float((array**2).sum()) for array in (V, W, b, C, c0))
    return rbv2, squares


nets = st.builds(
    lambda widths, k, seed: SkipNet(widths, k, seed=seed).double(),
    st.lists(st.integers(1, 4), min_size=2, max_size=4),
    st.integers(1, 5),
    st.integers(0, 9),
)
sizes = st.floats(0.01, 100)


def test_the_check_block():  # B1, B2, B3
    net = check_block()
    assert net(torch.ones(1, 2).double()).tolist() == [[-1, 1]]
    assert rbv2_penalty(net).item() == 23.25
    assert weight_decay_penalty(net).item() == 24.25


@settings(max_examples=50, deadline=None)
@given(nets)
def test_both_penalties_are_their_sums(net):
    assert (rbv2_penalty(net).item(), weight_decay_penalty(net).item()) == pytest.approx(by_loops(net), rel=1e-12)


def test_biases_and_c0_are_free_in_2_and_not_in_weight_decay():
    net = check_block()
    with torch.no_grad():
        net.layers[0].b += 5
        net.layers[0].c0 -= 3
    assert rbv2_penalty(net).item() == 23.25
    assert weight_decay_penalty(net).item() == 24.25 - 1 - 1 + 6**2 + 5**2 + 3**2 + 2**2


def test_gradients_are_those_written_by_hand():
    net = SkipNet((3, 2, 2), 4, seed=1).double()
    rbv2_penalty(net).backward()
    for layer in net.layers:
        V, W, C = (part.detach() for part in (layer.V, layer.W, layer.C))
        torch.testing.assert_close(layer.V.grad, 2 * V.sign() * V.abs().sum(dim=0))
        torch.testing.assert_close(layer.W.grad, 2 * W)
        torch.testing.assert_close(layer.C.grad, C.sign())
        assert layer.b.grad is None and layer.c0.grad is None
    net.zero_grad()
    weight_decay_penalty(net).backward()
    for parameter in net.parameters():
        torch.testing.assert_close(parameter.grad, 2 * parameter.detach())


def test_at_0_the_gradient_is_0():
    net = one_neuron([0.0, 0.0], [0.0])
    rbv2_penalty(net).backward()
    assert not any(getattr(net.layers[0], name).grad.any() for name in "VWC")


def test_weight_decay_is_twice_lambda_in_adam():
    ours, theirs = SkipNet((2, 1), 8), SkipNet((2, 1), 8)
    x, y, strength = torch.rand(9, 2), torch.rand(9, 1), 0.1
    for net, in_adam in ((ours, 0.0), (theirs, 2 * strength)):
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-2, weight_decay=in_adam)
        for _ in range(5):
            optimiser.zero_grad()
            loss = (net(x) - y).square().mean()
            (loss if in_adam else loss + strength * weight_decay_penalty(net)).backward()
            optimiser.step()
    for here, there in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(here, there, rtol=0, atol=1e-5)


def test_weight_decay_counts_the_parameters_of_any_module():
    full = FullSkipNet(2, (3, 4), 1)
    expected = sum(float((p.detach().double() ** 2).sum()) for p in full.parameters())
    assert weight_decay_penalty(full).item() == pytest.approx(expected, rel=1e-6)
    assert weight_decay_penalty(nn.Linear(2, 3).requires_grad_(False)).item() > 0


@pytest.mark.parametrize("norm, least", [(1, 30.0), (2, 2 * math.sqrt(5) * 5)])  # B7, B8
def test_the_least_cost_of_a_neuron_is_twice_the_product_of_its_norms(norm, least):
    v, w = np.array([1.0, -2]), np.array([3.0, 4])

    def cost(log_a: float) -> float:
        a = math.exp(log_a)
        return np.linalg.norm(v / a, norm) ** 2 + np.linalg.norm(a * w) ** 2

    assert scipy.optimize.minimize_scalar(cost).fun == pytest.approx(least, rel=1e-9)
    net = balanced(one_neuron(v.tolist(), w.tolist()), norm=norm)
    penalty = rbv2_penalty if norm == 1 else weight_decay_penalty
    assert penalty(net).item() == pytest.approx(least, rel=1e-12)


@settings(max_examples=50, deadline=None)
@given(nets, st.sampled_from([1, 2]))
def test_balanced_neurons_compute_the_same_and_have_equal_norms(net, norm):
    made = balanced(net, norm=norm)
    x = torch.linspace(-2, 2, 5 * net.widths[0]).double().view(5, -1)
    torch.testing.assert_close(made(x), net(x), rtol=1e-10, atol=1e-12)
    for layer in made.layers:
        out = torch.linalg.vector_norm(layer.V, norm, dim=0)
        torch.testing.assert_close(out, torch.linalg.vector_norm(layer.W, dim=1), rtol=1e-12, atol=0)


@settings(max_examples=50, deadline=None)
@given(nets, st.sampled_from([1, 2]), st.lists(sizes, min_size=5, max_size=5))
def test_no_rescaling_of_neurons_costs_less(net, norm, factors):
    made = balanced(net, norm=norm)
    other = balanced(net, norm=norm)
    scale = torch.tensor(factors).double()
    with torch.no_grad():
        for layer in other.layers:
            layer.V /= scale[: layer.V.shape[1]]
            layer.W *= scale[: layer.V.shape[1], None]

    @torch.no_grad()
    def cost(net: SkipNet) -> float:
        outs = (torch.linalg.vector_norm(layer.V, norm, dim=0).square().sum() for layer in net.layers)
        return float(sum(outs) + sum(layer.W.square().sum() for layer in net.layers))

    assert cost(made) <= cost(other) * (1 + 1e-12) and cost(made) <= cost(net) * (1 + 1e-12)


@settings(max_examples=50, deadline=None)
@given(nets)
def test_2_of_balanced_neurons_is_the_skips_and_twice_the_rbv2_norm(net):
    expected = sum(layer.C.abs().sum() + 2 * neuron_norms(layer, norm=1).sum() for layer in net.layers)
    assert rbv2_penalty(balanced(net)).item() == pytest.approx(float(expected.detach()), rel=1e-12)


def test_with_one_output_both_norms_are_one():
    net = SkipNet((3, 1), 6).double()
    for one, two in zip(balanced(net, norm=1).parameters(), balanced(net, norm=2).parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=0)


@pytest.mark.parametrize("v, w", [([0.0], [2.0, 1.0]), ([3.0], [0.0, 0.0]), ([0.0], [0.0, 0.0])])
def test_a_neuron_without_weights_in_or_out_stays(v, w):
    layer = balanced(one_neuron(v, w, b=-1.0)).layers[0]
    assert (layer.V.tolist(), layer.W.tolist(), layer.b.tolist()) == ([v], [w], [-1.0])


def test_weights_whose_squares_leave_float32_are_balanced():
    layer = SkipLayer(*(torch.tensor(part) for part in ([[1e-30]], [[1e30]], [1e30], [[0.0]], [0.0])))
    made = balanced(SkipNet.of([layer])).layers[0]
    assert (made.V.item(), made.W.item(), made.b.item()) == pytest.approx((1, 1, 1), rel=1e-6)
    assert made.V.dtype == torch.float32


def test_the_given_network_is_not_changed_and_shares_nothing():
    net = check_block()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    made = balanced(net)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.fill_(7)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("net", [FullSkipNet(2, (3,), 1), nn.Linear(2, 2), None])
@pytest.mark.parametrize("function", [rbv2_penalty, balanced])
def test_only_neurons_between_linear_nodes_have_this_penalty(function, net):
    with pytest.raises(NbkitError, match=rf"{function.__name__}: net must be a SkipNet.*got {type(net).__name__}"):
        function(net)


@pytest.mark.parametrize("module", [nn.ReLU(), None, torch.ones(2)])
def test_a_network_with_nothing_has_no_weight_decay(module):
    with pytest.raises(NbkitError, match="weight_decay_penalty: module must be a torch module with parameters"):
        weight_decay_penalty(module)


@pytest.mark.parametrize("norm", [0, 3, math.inf, "1", None, True])
def test_the_norm_is_1_or_2(norm):
    with pytest.raises(NbkitError, match="balanced: norm must be 1 or 2"):
        balanced(check_block(), norm=norm)


def test_a_diverged_network_is_refused():
    net = check_block()
    with torch.no_grad():
        net.layers[0].V[0, 0] = math.nan
    with pytest.raises(NbkitError, match="balanced: the weights must be finite"):
        balanced(net)
