"""SparseLinear holds weights on its wires only; SparseSequential computes what nn.Sequential does."""

import copy

import pytest
import torch
from torch import nn

from nbkit.errors import NbkitError
from nbkit.measure import jacobian_factors, jacobian_log10_singular_values, jacobian_singular_values
from nbkit.nets import MaxMin, SparseLinear, SparseSequential, deep_net, dense_copy
from nbkit.topology import (
    CirculantLayer,
    EdgeLayer,
    biregular,
    cayley_expander,
    kronecker,
    mixed_radix,
    random_expander,
)
from nbkit.weights import random_on_edges, random_on_mask

RADIX = mixed_radix((4, 6))[0]
SAO = biregular(24, 24, 3, seed=1)
RANDOM = random_expander(24, 24, 2, seed=2)


def network() -> SparseSequential:
    """Every execution, in and out of order, with modules between that need rows."""
    torch.manual_seed(0)
    return SparseSequential(
        nn.Flatten(),
        SparseLinear(SAO, seed=1),
        nn.Tanh(),
        SparseLinear(SAO, seed=2),
        nn.ReLU(inplace=True),
        SparseLinear(RADIX, execution="windows", seed=3),
        nn.GELU(),
        SparseSequential(SparseLinear(RANDOM, seed=4), nn.LayerNorm(24), SparseLinear(SAO, bias=False, seed=5)),
        MaxMin(),
        nn.Sequential(SparseLinear(RANDOM, execution="dense", seed=6), nn.Dropout(0.5)),
        nn.Linear(24, 24),
        nn.Tanh(),
        SparseLinear(biregular(24, 12, 4), seed=7),
    ).double()


def points(n=5):
    return torch.randn(n, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_default_weights_are_those_of_random_on_mask_and_no_matrix_is_made(monkeypatch):
    wanted = random_on_mask(RADIX, seed=3)
    sources, targets = RADIX.edge_index()
    assert torch.equal(random_on_edges(RADIX, seed=3), wanted[targets, sources])
    assert torch.equal(SparseLinear(RADIX, seed=3).to_dense(), wanted.float())
    monkeypatch.setenv("NBKIT_MEMORY", "64MiB")
    huge = SparseLinear(CirculantLayer(2**18, range(0, 64, 32)))
    assert huge(torch.ones(1, 2**18)).shape == (1, 2**18)
    with pytest.raises(NbkitError, match=r"SparseLinear.to_dense: the result must fit into the memory budget"):
        huge.to_dense()
    with pytest.raises(NbkitError, match="dense_copy: the result must fit"):
        SparseSequential(huge).dense()
    with pytest.raises(NbkitError, match="the result must fit into the memory budget.*Lower the number of nodes"):
        SparseLinear(CirculantLayer(2**24, range(2)))


@pytest.mark.parametrize("layer", [SAO, RADIX, RANDOM])
def test_weights_given_as_a_matrix_or_by_edge_are_held_and_returned(layer):
    matrix = random_on_mask(layer, seed=9).float()
    sources, targets = layer.edge_index()
    for given in (matrix, matrix.numpy(), matrix[targets, sources]):
        module = SparseLinear(layer, weights=given)
        assert torch.equal(module.to_dense(), matrix)
        assert torch.equal(module.edge_weights, matrix[targets, sources])
    assert sum(each.numel() for each in module.parameters()) == layer.n_edges + layer.n_out


def test_a_matrix_becomes_a_layer_with_a_wire_wherever_it_is_not_0():
    matrix = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    module = SparseLinear.from_dense(matrix, [1.0, -1.0])
    assert torch.equal(module.layer.mask(), matrix != 0)
    assert torch.equal(module.to_dense(), matrix)
    assert torch.equal(module(torch.tensor([1.0, 3.0, 5.0])), torch.tensor([7.0, -1.0]))
    assert SparseLinear.from_dense(matrix).bias is None
    assert SparseLinear.from_dense(torch.zeros(2, 3))(torch.ones(4, 3)).shape == (4, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SparseLinear(RADIX, weights=torch.ones(24, 24)), "weights must be 0 off the wires .* got 480 that are not, the first from input 1 to output 0"),
        (lambda: SparseLinear(RADIX, weights=torch.ones(24, 20)), r"weights must be \(n_out, n_in\) = \(24, 24\) or \(n_edges,\) = \(96,\), got shape \(24, 20\)"),
        (lambda: SparseLinear(RADIX, weights=torch.full((96,), torch.nan)), "weights must be finite real numbers"),
        (lambda: SparseLinear(RADIX, weights="many"), "weights must be an array of numbers"),
        (lambda: SparseLinear.from_dense([1.0, 2.0]), r"weights must be \(n_out, n_in\), got shape \(2,\)"),
        (lambda: SparseLinear.from_dense([[1.0, torch.inf]]), "weights must be finite"),
        (lambda: SparseLinear.from_dense([[1.0, 2.0]], [0.0, 0.0]), r"bias must be \(1,\), got \(2,\)"),
        (lambda: SparseLinear(RADIX)(torch.ones(2, 23)), r"x must be \(..., 24\), torch.float32 on cpu .* got \(..., 23\)"),
        (lambda: SparseLinear(RADIX)(torch.ones(2, 24).double()), "float32 on cpu as the weights are, got .* torch.float64"),
        (lambda: SparseLinear(RADIX)(torch.ones(2, 24, device="meta")), "on cpu as the weights are, got .* on meta"),
        (lambda: SparseLinear(RADIX)(1.0), "x must be a tensor"),
        (lambda: SparseSequential(SparseLinear(RADIX), SparseLinear(biregular(8, 8, 2)))(torch.ones(24)), r"x must be \(..., 8\), .* got \(..., 24\)"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(make, message):
    with pytest.raises(NbkitError, match=f"SparseLinear.*: .*{message}"):
        make()


def test_a_chain_computes_what_nn_sequential_does_forward_and_backward():
    net = network().eval()
    dense = net.dense()
    assert type(dense) is nn.Sequential and not any(isinstance(each, SparseLinear) for each in dense.modules())
    for n in (5, 1, 0):
        torch.testing.assert_close(net(points(n)), dense(points(n)), rtol=1e-12, atol=1e-12)
    net(points()).square().sum().backward()
    dense(points()).square().sum().backward()
    for one, other in zip(net.modules(), dense.modules(), strict=True):
        if isinstance(one, SparseLinear):
            sources, targets = one.layer.edge_index()
            in_edge_order = one.weight.grad.flatten()[torch.from_numpy(one._run.edges_back)]
            torch.testing.assert_close(in_edge_order, other.weight.grad[targets, sources])
            if one.bias is not None:
                torch.testing.assert_close(one.bias.grad, other.bias.grad)


def test_dense_copies_are_copies():
    net = network()
    dense = dense_copy(net)
    wanted = net.eval()(points())
    with torch.no_grad():
        for values in dense.parameters():
            values.zero_()
    assert torch.equal(net(points()), wanted)
    assert isinstance(dense_copy(net[1]), nn.Linear)
    assert net.train().dense().training


def test_dropout_draws_what_it_would_in_nn_sequential():
    net, dense = network(), network().dense()
    torch.manual_seed(1)
    found = net(points())
    torch.manual_seed(1)
    torch.testing.assert_close(found, dense(points()))


def test_slices_and_edits_run_as_they_read():
    net = network().eval()
    assert type(net[:3]) is SparseSequential
    torch.testing.assert_close(net[:3](points()), net.dense()[:3](points()))
    net(points())
    net[1] = SparseLinear(RANDOM, seed=8).double()
    net[3] = SparseLinear(biregular(24, 24, 2, seed=5)).double()
    net.append(nn.Tanh())
    net.append(SparseLinear(biregular(12, 12, 2)).double())
    torch.testing.assert_close(net(points()), net.dense()(points()))


def test_hooks_of_a_chain_inside_a_chain_are_called():
    inner = nn.Sequential(SparseLinear(biregular(8, 8, 2)), nn.Tanh())
    net, seen = SparseSequential(inner, SparseLinear(biregular(8, 8, 2))), []
    inner.register_forward_hook(lambda _, args, result: seen.append(result))
    x = torch.randn(3, 8)
    with torch.no_grad():
        torch.testing.assert_close(net(x), dense_copy(net)(x))
    assert [result.shape for result in seen] == [(3, 8)] * 2


def test_a_matrix_beyond_the_memory_budget_is_refused(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "1M")
    with pytest.raises(NbkitError, match="SparseLinear.*leave execution out"):
        SparseLinear(mixed_radix((2,) * 10)[0], execution="dense")


def test_hooks_see_rows_in_the_nodes_own_order():
    net, seen = network().eval(), []
    handle = net[2].register_forward_hook(lambda _, args, result: seen.append(result))
    found = net(points())
    torch.testing.assert_close(seen[0], net.dense()[:3](points()))
    handle.remove()
    torch.testing.assert_close(net(points()), found)


def test_nothing_is_kept_for_gradients_under_no_grad():
    with torch.no_grad():
        assert network()(points()).grad_fn is None
    net = network().requires_grad_(False)
    assert net(points()).grad_fn is None
    x = points().requires_grad_()
    net(x).sum().backward()
    assert x.grad.isfinite().all() and net[1].weight.grad is None


def test_states_fit_every_execution_of_the_same_wires():
    saved = SparseLinear(RADIX, execution="windows", seed=1)
    nn.init.normal_(saved.bias)
    state = saved.state_dict()
    assert torch.equal(state["weight"], saved.edge_weights)
    for execution in ("csr", "dense", "windows"):
        other = SparseLinear(RADIX, execution=execution, seed=2)
        other.load_state_dict(state)
        assert torch.equal(other.to_dense(), saved.to_dense())
        assert torch.equal(other.bias, saved.bias)
    net, other = network(), network()
    with torch.no_grad():
        for values in other.parameters():
            values.add_(1.0)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other.eval()(points()), net.eval()(points()))


def test_states_of_other_wires_are_refused():
    module = SparseLinear(biregular(24, 24, 4))
    with pytest.raises(
        NbkitError, match=r"load_state_dict: weight must be of the same wires.* got weights of shape \(72,\)"
    ):
        module.load_state_dict(SparseLinear(SAO).state_dict())
    with pytest.raises(NbkitError, match="0.weight must be of the same wires.* got as many weights on other wires"):
        SparseSequential(module).load_state_dict(SparseSequential(SparseLinear(RADIX)).state_dict())


def test_copies_and_dtypes_follow_the_module():
    net = network().eval()
    wanted = net(points())
    assert torch.equal(copy.deepcopy(net)(points()), wanted)
    torch.testing.assert_close(copy.deepcopy(net).float()(points().float()).double(), wanted, rtol=1e-4, atol=1e-4)
    assert net.float().double()[1].wires.dtype == torch.int64


def test_compiled_networks_give_the_same_without_a_compiler():
    net = SparseSequential(SparseLinear(SAO), nn.Tanh(), SparseLinear(RANDOM), nn.Tanh(), SparseLinear(SAO, seed=2))
    compiled = torch.compile(copy.deepcopy(net), backend="eager")
    x = points().flatten(1).float()
    wanted, found = net(x), compiled(x)
    torch.testing.assert_close(found, wanted)
    wanted.square().sum().backward()
    found.square().sum().backward()
    for one, other in zip(net.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_jacobians_are_those_of_the_dense_network():
    net = network().eval()
    x = points(1)[0].flatten()
    chain = SparseSequential(*net[1:])
    wanted = jacobian_singular_values(chain.dense(), x)
    torch.testing.assert_close(jacobian_singular_values(chain, x), wanted, rtol=1e-10, atol=1e-12)
    found = jacobian_log10_singular_values(chain, x)
    torch.testing.assert_close(found, wanted.log10(), rtol=0, atol=1e-6)
    factors = jacobian_factors(chain, x)
    assert torch.equal(factors[0], net[1].to_dense())
    nested = nn.Sequential(net[1], nn.Sequential(net[2], net[3]))
    torch.testing.assert_close(
        jacobian_singular_values(nested, x), jacobian_singular_values(dense_copy(nested), x), rtol=1e-10, atol=1e-12
    )


def test_a_deep_sao_network_without_activation_keeps_every_length():
    net = deep_net(40, "SAO", activation="linear", gain=1.0, width=32, n_inputs=64)[2:-1]
    found = jacobian_log10_singular_values(net, torch.ones(64))
    torch.testing.assert_close(found, torch.zeros(32, dtype=torch.float64), rtol=0, atol=1e-5)


def test_kronecker_and_cayley_layers_are_recognised_by_their_layer():
    for layer in (kronecker(RADIX, 2, 2), cayley_expander(24, [0, 1, 7]), EdgeLayer(2, 2, [0, 1], [1, 0])):
        assert SparseLinear(layer).layer == layer
