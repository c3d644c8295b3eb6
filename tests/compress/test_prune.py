"""prune: which weights stay (GMP, LMP, LRP, RG), that nothing else changes, that no other weight ever trains."""

import copy
import math
import re

import numpy as np
import pytest
import torch
from torch import nn

from nbkit.compress import PRUNINGS, prune
from nbkit.errors import NbkitError
from nbkit.measure import reachability
from nbkit.nets import OrthogonalConv2d, SkewConv2d, SparseLinear, deep_net, vanilla_cnn
from nbkit.topology import Topology, complete_blocks
from nbkit.weights import delta_orthogonal, soc


def chain_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(16, 32), nn.Tanh(), nn.Sequential(nn.Linear(32, 8, bias=False), nn.Tanh()), nn.Linear(8, 3)
    ).double()


def conv_net() -> nn.Sequential:
    """The first convolution, one of torch's, one of ours, a skew one, a linear layer."""
    torch.manual_seed(0)
    ours = OrthogonalConv2d(delta_orthogonal(8, 4, 3) + 0.1 * torch.randn(4, 8, 3, 3), padding="zeros")
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.Tanh(), ours, SkewConv2d(soc(4, 3)), nn.Flatten(),
        nn.Linear(64, 3),
    ).double()  # fmt: skip


def matrix(module: nn.Module) -> np.ndarray:
    """(n_out, n_in) or kernels, as they act."""
    weight = module.to_dense() if isinstance(module, SparseLinear) else module.weight
    return weight.detach().numpy()


def prunable(net: nn.Sequential) -> list[nn.Module]:
    kinds = (nn.Conv2d, OrthogonalConv2d)
    found = [m for m in net.modules() if isinstance(m, kinds)][1:]
    return found or [m for m in net.modules() if isinstance(m, (nn.Linear, SparseLinear))][:-1]


def scores(module: nn.Module) -> np.ndarray:
    values = matrix(module)
    return np.abs(values) if values.ndim == 2 else np.sqrt((values**2).sum(axis=(2, 3)))


@pytest.mark.parametrize("make", [chain_net, conv_net])
def test_lmp_keeps_the_largest_of_each_layer_and_gmp_the_largest_of_all(make):
    before = [scores(module) for module in prunable(make())]
    for method, bounds in (
        ("LMP", [np.sort(score.ravel())[-round(score.size / 4)] for score in before]),
        ("GMP", [np.sort(np.concatenate([s.ravel() for s in before]))[-round(sum(s.size for s in before) / 4)]] * 2),
    ):
        after = [scores(module) for module in prunable(prune(make(), 1 / 4, method))]
        for old, new, bound in zip(before, after, bounds, strict=True):
            np.testing.assert_array_equal(new, np.where(old >= bound, old, 0))


@pytest.mark.parametrize("make", [chain_net, conv_net])
def test_lrp_keeps_as_many_of_each_layer_and_rg_a_mask_of_sao_of_the_weights_as_they_are(make):
    before = [matrix(module) for module in prunable(make())]
    for method in ("LRP", "RG"):
        for old, module in zip(before, prunable(prune(make(), 1 / 4, method)), strict=True):
            new, kept = matrix(module), scores(module) != 0
            np.testing.assert_array_equal(new, np.where(kept.reshape(kept.shape + (1,) * (old.ndim - 2)), old, 0))
            assert kept.sum() == kept.size / 4
            in_degrees, out_degrees = kept.sum(axis=1), kept.sum(axis=0)
            regular = np.ptp(in_degrees) == 0 and np.ptp(out_degrees) == 0
            assert regular == (method == "RG")
            if method == "RG" and isinstance(module, SparseLinear):
                assert [blocks.shape[0] for blocks in complete_blocks(module.layer)] == [4]


@pytest.mark.parametrize("method", PRUNINGS)
@pytest.mark.parametrize("make", [chain_net, conv_net])
def test_the_rest_is_kept_and_the_given_network_is_as_it_was(make, method):
    net = make()
    state = copy.deepcopy(net.state_dict())
    pruned = prune(net, 1 / 2, method)
    assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())
    whole = {name for name in state if name not in ("0.weight", "2.0.weight", "2.weight", "4.weight", "4.mask")}
    after = pruned.state_dict()
    assert all(torch.equal(state[name], after[name]) for name in whole - ({"0.weight"} if make is chain_net else set()))
    x = torch.randn(5, *((16,) if make is chain_net else (2, 8, 8)), dtype=torch.float64)
    for module, masked in zip(prunable(net), prunable(pruned), strict=True):
        module.weight.data.copy_(torch.from_numpy(matrix(masked)))
    torch.testing.assert_close(pruned(x), net(x))


@pytest.mark.parametrize(
    "make", [chain_net, conv_net, lambda: vanilla_cnn(4, "Delta", width=8, image=(1, 8, 8)).double()]
)
def test_what_is_pruned_stays_so_while_it_trains(make):
    pruned = prune(make(), 1 / 4, "LMP")
    absent = [scores(module) == 0 for module in prunable(pruned)]
    x = torch.randn(5, *((16,) if make is chain_net else (2, 8, 8) if make is conv_net else (64,)), dtype=torch.float64)
    sgd = torch.optim.SGD(pruned.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        sgd.zero_grad()
        (pruned(x) - 1).square().mean().backward()
        sgd.step()
    for module, gone in zip(prunable(pruned), absent, strict=True):
        np.testing.assert_array_equal(scores(module) == 0, gone)


def test_a_pruned_network_is_pruned_further_and_never_grows():
    for make in (chain_net, conv_net):
        once = prune(make(), 1 / 2, "LMP")
        for a, b in zip(prunable(prune(once, 1 / 4, "LMP")), prunable(prune(make(), 1 / 4, "LMP")), strict=True):
            np.testing.assert_array_equal(matrix(a), matrix(b))
        for method, density in (("LMP", 3 / 4), ("RG", 1 / 2)):
            with pytest.raises(NbkitError, match="^prune: density must be of weights that are there, got .* dense"):
                prune(once, density, method)


def test_a_layer_may_lose_all_its_wires_and_a_module_that_stands_twice_stays_one():
    shared = nn.Linear(4, 4)
    net = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), shared, nn.Tanh(), shared, nn.Linear(4, 2))
    net[0].weight.data *= 1e-3
    pruned = prune(net, 0.2)
    assert pruned[0].layer.n_edges == 0 and pruned[2] is pruned[4] and pruned[2].layer.n_edges == 8
    assert torch.equal(pruned(torch.zeros(1, 6)), pruned(torch.ones(1, 6)))


def test_magnitude_pruning_at_birth_cuts_the_wide_first_layer_off():
    """Why GMP-S cannot train: entries of an orthogonal layer n_in -> n_out <= n_in are about N(0, 1 / n_in).

    One threshold t for all keeps 2 Q(t sqrt(n_in)) of each layer. At SAO's budget, 1.2 % at 20 layers, t is 2.4 deviations of a
    256 -> 256 layer, 3.3 of the 512 -> 256 and 4.7 of the 1024 -> 512 layer, of whose half a million weights about one stays
    (entries of an orthogonal matrix have slightly lighter tails than that). Almost no input pixel is heard at all.
    """
    depth = 20
    sizes = [1024, 512, *[256] * depth]
    budget = 4 * sum(sizes[1:])
    shapes = list(zip(sizes, sizes[1:], strict=False))
    total = sum(a * b for a, b in shapes)

    def kept(threshold: float) -> list[float]:
        return [a * b * math.erfc(threshold * math.sqrt(a / 2)) for a, b in shapes]

    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(kept(middle)) > budget else (low, middle)
    expected = kept(low)
    assert expected[0] < 2 and 50 < expected[1] < 120
    net = prune(deep_net(depth, "Dense"), budget / total, "GMP")
    layers = [module.layer for module in net[:-1:2]]
    found = [layer.n_edges for layer in layers]
    assert sum(found) == budget
    assert found[0] <= 6 and abs(found[1] - expected[1]) < 6 * math.sqrt(expected[1])
    assert np.mean(found[2:]) == pytest.approx(np.mean(expected[2:]), rel=0.002)
    assert int((layers[0].out_degrees() > 0).sum()) <= 6  # at least 1018 of 1024 pixels are dead
    heard = reachability(Topology(layers[:2]))
    assert int(heard.any(1).sum()) <= 1  # and behind the next layer hardly one is left
    sao = Topology([module.layer for module in deep_net(depth, "SAO")[:-1:2]])
    assert sao.n_edges == budget and bool(reachability(sao).all())


@pytest.mark.parametrize("make, settings, rule", [
    (chain_net, {"method": "gmp"}, "method must be one of 'GMP', 'LMP', 'LRP', 'RG', got 'gmp'."),
    (chain_net, {"density": 0}, "density must be a finite number in (0, 1], got 0."),
    (chain_net, {"density": 0.3, "method": "RG"}, "density must be 1 / (a divisor of 8, which all masks have in common), got 0.3."),
    (lambda: nn.Linear(3, 3), {}, "net must have a layer to prune besides its last linear one or its first convolution, got 1 and 0"),
    (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(2, 2), nn.Linear(2, 2)), {}, "net must have a layer to prune"),
    (lambda: nn.Sequential(nn.Linear(3, 3), nn.Bilinear(2, 2, 2)), {}, "net must be an nn.Sequential of linear layers or convolutions, got Bilinear."),
    (lambda: "net", {}, "net must be an nn.Sequential of linear layers or convolutions, got str."),
    (chain_net, {"method": "LRP", "seed": -1}, "seed"),
])  # fmt: skip
def test_what_cannot_be_pruned_is_refused(make, settings, rule):
    with pytest.raises(NbkitError, match="seed" if rule == "seed" else f"^prune: {re.escape(rule)}"):
        prune(make(), **{"density": 1 / 2, **settings})
