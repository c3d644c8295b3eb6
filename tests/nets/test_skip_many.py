"""Networks side by side are the single ones in shared memory; their gradients in closed form are autograd's."""

import math

import numpy as np
import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.nets import FullSkipNet, FullSkipNets, SkipNet, SkipNets

ARCHITECTURES = [((1, 1), 1), ((4, 16, 1), 24), ((2, 3), 7), ((3, 2, 1, 2), (5, 9, 4)), ((2, 5, 5, 5, 1), 6)]
FULL = [(1, (1,), 1), (3, (7,), 2), (4, (9, 11), 1), (2, (4, 6, 5, 3), 3)]
STRENGTHS = {"rbv2": (0.3, 0.0, 0.0), "weight_decay": (0.0, 0.7, 0.0)}


def samples(n_in, n_out, n=13):
    draw = np.random.default_rng(0)
    return torch.tensor(draw.normal(size=(n, n_in))), torch.tensor(draw.normal(size=(n, n_out)))


def skip_formula(nets, x):
    """Each network by the formula, from the tensors that are trained: what autograd differentiates."""
    for inner, outer, skip in zip(nets.inner, nets.outer, nets.skips, strict=True):
        x = x.expand(nets.n_runs, -1, -1)
        h = torch.relu(torch.einsum("rki,rni->rnk", inner[:, :, 1:], x) - inner[:, None, :, 0])
        x = (
            torch.einsum("rok,rnk->rno", outer, h)
            + torch.einsum("roi,rni->rno", skip[:, :, :-1], x)
            + skip[:, None, :, -1]
        )
    return x


def full_formula(nets, x):
    x, h = x.expand(nets.n_runs, -1, -1), None
    for place, inner in enumerate(nets.inner):
        heights = torch.einsum("rki,rni->rnk", inner[:, :, 1:], x) - inner[:, None, :, 0]
        if place:
            heights = heights + torch.einsum("rkj,rnj->rnk", nets.between[place - 1], h)
        h = torch.relu(heights)
    skip = nets.skip
    return torch.einsum("rok,rnk->rno", nets.outer, h) + torch.einsum("roi,rni->rno", skip[:, :, :-1], x) + skip[:, None, :, -1]  # fmt: skip


def penalty_formula(nets, method, strengths):
    """SCIENCE 5.2: (2) without its loss, with the parenthesis around both terms; weight decay of all parameters."""
    strengths = torch.tensor(strengths).double()
    if method == "weight_decay":
        return sum((strengths * values.square().flatten(1).sum(dim=1)).sum() for values in nets.parameters())
    total = 0
    for inner, outer, skip in zip(nets.inner, nets.outer, nets.skips, strict=True):
        per_neuron = outer.abs().sum(dim=1).square() + inner[:, :, 1:].square().sum(dim=2)
        total = total + per_neuron.sum(dim=1) + skip[:, :, :-1].abs().sum(dim=(1, 2))
    return (strengths * total).sum()


def by_autograd(nets, value):
    return torch.autograd.grad(value, list(nets.parameters()), allow_unused=True, materialize_grads=True)


def penalised(nets, y, **strengths):
    """Errors, and the gradients that `gradients` and `penalise` leave."""
    losses = nets.gradients(y.mT.contiguous())
    given = {name: torch.tensor(values).double().view(-1, 1, 1) for name, values in strengths.items()}
    nets.penalise(given.get("rbv2"), given.get("weight_decay"))
    return losses, [values.grad.clone() for values in nets.parameters()]


def assert_same(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11 * max(1, other.abs().max().item()))


def made(architecture, seeds=(0, 1, 2)):
    widths, counts = architecture
    return SkipNets(widths, counts, seeds=seeds).double()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_side_by_side_each_computes_what_it_computes_alone(architecture):
    nets = made(architecture)
    x, _ = samples(*nets.ends)
    for run, values in enumerate(nets(x)):
        torch.testing.assert_close(values, nets[run](x), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(values, SkipNet(*architecture, seed=run).double()(x), rtol=1e-12, atol=1e-12)
    assert len(nets) == nets.n_runs == 3 and nets(x).shape == (3, 13, nets.ends[1])


@pytest.mark.parametrize("architecture", FULL)
def test_fully_connected_ones_too(architecture):
    nets = FullSkipNets(*architecture, seeds=(4, 0)).double()
    x, _ = samples(*nets.ends)
    for seed, values in zip((4, 0), nets(x), strict=True):
        wanted = FullSkipNet(*architecture, seed=seed).double()(x)
        torch.testing.assert_close(values, wanted, rtol=1e-12, atol=1e-12)


def test_one_of_them_shares_memory():
    nets = SkipNets((3, 2, 1), 5, seeds=(0, 1))
    one, x = nets[1], torch.ones(4, 3)
    with torch.no_grad():
        for values in nets.parameters():
            values += 1
    assert torch.equal(one.layers[0].W, nets.inner[0][1, :, 1:]) and torch.equal(
        one.layers[1].c0, nets.skips[1][1, :, -1]
    )
    torch.testing.assert_close(one(x), nets(x)[1])
    with torch.no_grad():
        for values in one.parameters():
            values.zero_()
    assert not nets(x)[1].any() and nets(x)[0].any()
    assert [net.widths for net in nets] == [(3, 2, 1)] * 2 and torch.equal(nets[-1](x), one(x))
    with pytest.raises(IndexError):
        nets[2]


@pytest.mark.parametrize("architecture", FULL)
def test_one_of_the_fully_connected_ones_shares_memory_too(architecture):
    nets = FullSkipNets(*architecture, seeds=(0, 1)).double()
    one, (x, _) = nets[1], samples(*nets.ends)
    with torch.no_grad():
        for values in nets.parameters():
            values += 1
    torch.testing.assert_close(one(x), nets(x)[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", [lambda seeds: SkipNets((4, 3, 1), 9, seeds=seeds), lambda seeds: FullSkipNets(4, (5, 6), 1, seeds=seeds)])  # fmt: skip
def test_equal_seeds_are_born_equal_and_keep_memory_of_their_own(make):
    nets = make((5, 0, 5))
    for values in nets.parameters():
        assert torch.equal(values[0], values[2]) and not torch.equal(values[0], values[1])
    with torch.no_grad():
        next(nets.parameters())[0].zero_()
    assert next(nets.parameters())[2].any()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("n", [1, 13])
def test_gradients_of_the_error_are_autograds(architecture, n):
    nets = made(architecture)
    x, y = samples(*nets.ends, n)
    nets.attach(x)
    losses, found = penalised(nets, y)
    wanted = (skip_formula(nets, x) - y).square().mean(dim=(1, 2))
    torch.testing.assert_close(losses, wanted.detach(), rtol=1e-12, atol=0)
    assert_same(found, by_autograd(nets, wanted.sum()))


@pytest.mark.parametrize("architecture", FULL)
@pytest.mark.parametrize("n", [1, 13])
def test_gradients_of_fully_connected_ones_are_autograds(architecture, n):
    nets = FullSkipNets(*architecture, seeds=(0, 1, 2)).double()
    x, y = samples(*nets.ends, n)
    nets.attach(x)
    strengths = STRENGTHS["weight_decay"]
    losses, found = penalised(nets, y, weight_decay=strengths)
    wanted = (full_formula(nets, x) - y).square().mean(dim=(1, 2))
    torch.testing.assert_close(losses, wanted.detach(), rtol=1e-12, atol=0)
    assert_same(found, by_autograd(nets, wanted.sum() + penalty_formula(nets, "weight_decay", strengths)))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("methods", [("rbv2",), ("weight_decay",), ("rbv2", "weight_decay")])
def test_gradients_of_the_penalties_are_autograds(architecture, methods):
    nets = made(architecture)
    x, y = samples(*nets.ends)
    nets.attach(x)
    _, found = penalised(nets, y, **{name: STRENGTHS[name] for name in methods})
    value = (skip_formula(nets, x) - y).square().mean(dim=(1, 2)).sum()
    value = value + sum(penalty_formula(nets, name, STRENGTHS[name]) for name in methods)
    assert_same(found, by_autograd(nets, value))


def test_b2_and_b3_the_penalties_slopes_on_the_check_block():
    # d/dv of |v|_1^2 = 2 |v|_1 sign(v), by hand; columns of V are (1, .5), (-2, 0)
    nets = SkipNets((2, 2), 2, seeds=(0,)).double()
    with torch.no_grad():
        nets.inner[0][0] = torch.tensor([[1.0, 1, 2], [0, 3, -1]])
        nets.outer[0][0] = torch.tensor([[1, -2], [0.5, 0]])
        nets.skips[0][0] = torch.tensor([[1.0, 0, 0], [0, -1, 1]])
    assert penalty_formula(nets, "rbv2", [1.0]).item() == 23.25
    assert penalty_formula(nets, "weight_decay", [1.0]).item() == 24.25
    nets.attach(torch.ones(1, 2).double())
    one = torch.ones(1, 1, 1).double()
    nets.penalise(one, None)  # on gradients that are 0 after `attach`
    inner, outer, skip = (values.grad[0].tolist() for values in nets.parameters())
    assert inner == [[0, 2, 4], [0, 6, -2]] and outer == [[3, -4], [3, 0]] and skip == [[1, 0, 0], [0, -1, 0]]
    nets.attach(torch.ones(1, 2).double())
    nets.penalise(None, one)
    for values in nets.parameters():
        assert torch.equal(values.grad, 2 * values.detach())


def test_dead_neurons_and_zeros_have_the_gradients_of_torch():
    nets = made(((2, 3, 1), 6))
    x, y = samples(*nets.ends)
    with torch.no_grad():
        nets.inner[0][:, :2, 0] = 100  # never active
        nets.inner[0][:, 2] = 0  # exactly at its threshold
        nets.outer[0][:, 0] = 0
        nets.skips[1][:, :, 0] = 0
    nets.attach(x)
    _, found = penalised(nets, y, rbv2=STRENGTHS["rbv2"])
    value = (skip_formula(nets, x) - y).square().mean(dim=(1, 2)).sum() + penalty_formula(
        nets, "rbv2", STRENGTHS["rbv2"]
    )
    assert_same(found, by_autograd(nets, value))
    assert not found[0][1, :3].any()


@pytest.mark.parametrize("make", [lambda: made(((2, 3, 2), 6)), lambda: FullSkipNets(2, (5, 6), 2, seeds=(0, 1, 2)).double()])  # fmt: skip
def test_gradients_are_finite_differences(make):
    nets = make()
    x, y = samples(*nets.ends)
    nets.attach(x)
    strengths = STRENGTHS if isinstance(nets, SkipNets) else {"weight_decay": STRENGTHS["weight_decay"]}
    _, found = penalised(nets, y, **strengths)
    draw = torch.Generator().manual_seed(0)
    ways = [torch.randn(values.shape, generator=draw, dtype=torch.float64) for values in nets.parameters()]

    def value(step):
        with torch.no_grad():
            for values, way in zip(nets.parameters(), ways, strict=True):
                values += step * way
            total = (nets(x) - y).square().mean(dim=(1, 2)).sum()
            total += sum(penalty_formula(nets, name, given) for name, given in strengths.items())
            for values, way in zip(nets.parameters(), ways, strict=True):
                values -= step * way
        return total.item()

    slope = (value(1e-6) - value(-1e-6)) / 2e-6
    assert sum((grad * way).sum().item() for grad, way in zip(found, ways, strict=True)) == pytest.approx(
        slope, rel=1e-6
    )


def test_other_samples_may_be_attached():
    nets = made(((2, 3, 1), 6))
    for n in (5, 9):
        x, y = samples(*nets.ends, n)
        nets.attach(x)
        losses, found = penalised(nets, y)
        value = (skip_formula(nets, x) - y).square().mean(dim=(1, 2))
        torch.testing.assert_close(losses, value.detach())
        assert_same(found, by_autograd(nets, value.sum()))


def test_fully_connected_layers_have_no_rbv2_penalty():
    nets = FullSkipNets(2, (3,), 1, seeds=(0,))
    nets.attach(torch.ones(1, 2))
    with pytest.raises(NbkitError, match="FullSkipNets: the rbv2 penalty must meet neurons between linear nodes"):
        nets.penalise(torch.ones(1, 1, 1), None)


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: SkipNets((4, 0, 1), 8, seeds=(0,)), "SkipNets: entry 2 of widths must be an integer of at least 1"),
        (lambda: SkipNets((4, 1), 0, seeds=(0,)), "SkipNets: entry 1 of n_neurons"),
        (lambda: SkipNets((4, 1), (8, 8), seeds=(0,)), "SkipNets: n_neurons must be one number"),
        (lambda: SkipNets((4, 1), 8, seeds=()), "SkipNets: seeds must have a length of at least 1"),
        (lambda: SkipNets((4, 1), 8, seeds=(0, -1)), "SkipNets: entry 2 of seeds must be an integer of at least 0"),
        (lambda: SkipNets((4, 1), 8, seeds=7), "SkipNets: seeds must be a list"),
        (lambda: FullSkipNets(4, (8, 0), 1, seeds=(0,)), "FullSkipNets: entry 2 of n_neurons"),
        (lambda: FullSkipNets(0, (8,), 1, seeds=(0,)), "FullSkipNets: n_in must be an integer of at least 1"),
        (lambda: FullSkipNets(4, (8,), 0, seeds=(0,)), "FullSkipNets: n_out must be an integer of at least 1"),
        (lambda: FullSkipNets(4, (8,), 1, seeds=()), "FullSkipNets: seeds must have a length of at least 1"),
    ],
)
def test_networks_refuse(make, said):
    with pytest.raises(NbkitError, match=said):
        make()


def test_all_of_them_must_fit_into_memory(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "100KiB")
    assert SkipNets((4, 1), 1000, seeds=(0,)).n_runs == FullSkipNets(4, (100,), 1, seeds=(0,)).n_runs == 1
    with pytest.raises(NbkitError, match="SkipNets: the result must fit into the memory budget.*widths or n_neurons"):
        SkipNets((4, 1), 1000, seeds=(0,) * 3)
    with pytest.raises(NbkitError, match="FullSkipNets: the result must fit into the memory budget.*Lower n_neurons"):
        FullSkipNets(4, (100,), 1, seeds=(0,) * 30)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
@pytest.mark.parametrize("make", [lambda: made(((4, 16, 2), 64)), lambda: FullSkipNets(4, (64, 32), 2, seeds=(0, 1, 2)).double()])  # fmt: skip
def test_gradients_on_cuda_are_those_of_the_cpu(make):
    x, y = samples(4, 2, 81)
    strengths = {"weight_decay": STRENGTHS["weight_decay"]}
    found = []
    for device in ("cpu", "cuda"):
        nets = make().to(device)
        nets.attach(x.to(device))
        losses = nets.gradients(y.mT.contiguous().to(device))
        lambdas = {name: torch.tensor(given).double().view(-1, 1, 1).to(device) for name, given in strengths.items()}
        nets.penalise(lambdas["weight_decay"] if isinstance(nets, SkipNets) else None, lambdas["weight_decay"])
        found.append([losses.cpu(), *(values.grad.cpu() for values in nets.parameters())])
    for one, other in zip(*found, strict=True):
        assert math.isfinite(one.sum().item())
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10 * other.abs().max().item())
