"""What a report says could be removed is removed, and the rest counted and compared."""

import copy

import pytest
import torch
from torch import nn

from nbkit.nets import MaxMin, RadialNet, SparseLinear, SparseSequential
from nbkit.reporting import Removable, report
from nbkit.topology.operations import KEEPING_ZERO
from tests.reporting.networks import Residual, mlp, sparse_mlp


def row(net: nn.Module, what: str, *shape: int, **options) -> Removable:
    found = [each for each in report(net, torch.randn(2, *shape), **options).removable if each.what == what]
    assert len(found) <= 1
    return found[0] if found else None


def without_dead_units(net: nn.Sequential, x: torch.Tensor) -> nn.Sequential:
    """The chain with constants moved into the next biases, and units left out that nothing or nobody hears."""
    net = nn.Sequential(*(module for module in net)).double()
    linear = list(net[::2])
    masks = [(module.weight != 0).double() for module in linear]
    reached = [torch.ones(masks[0].shape[1])]
    for mask in masks:
        reached.append((mask @ reached[-1].double() > 0).double())
    heard = [torch.ones(masks[-1].shape[0]).double()]
    for mask in masks[::-1]:
        heard.append((mask.T @ heard[-1] > 0).double())
    alive = [(r.bool() & h.bool()) for r, h in zip(reached, heard[::-1], strict=True)]
    alive[0], alive[-1] = (torch.ones_like(each) for each in (alive[0], alive[-1]))
    modules, constants = [], torch.zeros(masks[0].shape[1]).double()
    for module, before, behind in zip(linear, alive, alive[1:], strict=False):
        smaller = nn.Linear(int(before.sum()), int(behind.sum())).double()
        shift = module.bias + module.weight[:, ~before] @ constants[~before]
        smaller.weight.data, smaller.bias.data = module.weight[behind][:, before], shift[behind]
        constants = torch.relu(shift)
        modules += [smaller, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def test_dead_units_go_and_the_function_stays():
    net = sparse_mlp(6, 9, 9, 9, 4)
    found = row(net, "dead units", 6)
    x = torch.randn(50, 6, dtype=torch.float64)
    smaller = without_dead_units(net, x)
    assert torch.allclose(smaller(x), net.double()(x), atol=1e-12)
    n_after = sum(values.numel() for values in smaller.parameters())
    assert found == Removable("dead units", found.n_before, n_after, True, "constants move into the next biases")
    assert found.n_after < found.n_before == sum(values.numel() for values in net.parameters())


def test_of_a_layer_used_twice_only_what_neither_use_needs_goes():
    linear = nn.Linear(4, 4)
    linear.weight.data[:, 2] = 0
    found = row(nn.Sequential(linear, nn.ReLU(), linear), "dead units", 4)
    assert found.n_after == found.n_before


class Shared(nn.Module):
    """3 -> 3 -> 3 -> 2 of two layers, or of three that share a bias; unit 0 is a constant."""

    def __init__(self, constant: float, *, is_layer: bool = True, act: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 2)
        self.a.weight.data[0], self.a.bias.data[0] = 0, constant
        self.again = self.a if is_layer else nn.Linear(3, 3)
        self.again.bias, self.act = self.a.bias, act or nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.act(self.again(self.act(self.a(x)))))


@pytest.mark.parametrize("is_layer", [True, False])
def test_a_bias_that_serves_two_layers_takes_no_constant(is_layer):
    found = row(Shared(1.0, is_layer=is_layer), "dead units", 3)
    assert found.n_after == found.n_before
    assert found.how == "units that reach no output or are 0; other constants stay"


def test_a_unit_that_is_0_in_both_uses_of_its_layer_goes_and_the_function_stays():
    net, x = Shared(0.0), torch.randn(50, 3)
    (w, b), (v, c) = ((layer.weight, layer.bias) for layer in (net.a, net.b))
    hidden = torch.relu(torch.relu(x @ w[1:].T + b[1:]) @ w[1:, 1:].T + b[1:])
    assert torch.allclose(hidden @ v[:, 1:].T + c, net(x), atol=1e-6)
    found = row(net, "dead units", 3)
    assert (found.n_before, found.n_after, found.lossless) == (20, w[1:].numel() + 2 + v[:, 1:].numel() + 2, True)
    assert row(Shared(0.0, act=nn.Sigmoid()), "dead units", 3).n_after == 20  # which makes a half of 0


def test_above_a_threshold_dead_units_are_a_loss():
    assert not row(mlp(4, 6, 2), "dead units", 4, threshold=0.3).lossless


def test_of_sparse_layers_only_the_weights_that_are_there_are_counted():
    dense = sparse_mlp(6, 9, 4)
    net = SparseSequential(
        *(SparseLinear.from_dense(m.weight.detach(), m.bias) if i % 2 == 0 else m for i, m in enumerate(dense))
    )
    masks = [module.layer.mask() for module in net[::2]]
    alive = masks[0].any(dim=1) & masks[1].any(dim=0)
    n_gone = int(masks[0][~alive].sum() + masks[1][:, ~alive].sum()) + int((~alive).sum())
    found = row(net, "dead units", 6)
    assert n_gone and found.n_before - found.n_after == n_gone


@pytest.mark.parametrize(
    "net", [Residual(), nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3))]
)
def test_constants_stay_where_they_cannot_move(net):
    shape = (6,) if isinstance(net, Residual) else (6, 8, 8)
    if len(shape) == 3:
        net[0].weight.data[0] = 0  # constant, but its edge is seen as zeros by nobody; it stays
        net[2].weight.data[:, 1] = 0  # heard by nobody: it goes
    found = row(net, "dead units", *shape)
    assert found.how == "units that reach no output; constants stay"
    if len(shape) == 3:
        assert found.n_before - found.n_after == 6 * 9 + 1 + 4 * 9


NAMED = {name.lower(): getattr(nn, name) for name in dir(nn) if name[0].isupper()}


@pytest.mark.parametrize("name", sorted(KEEPING_ZERO & NAMED.keys()))
def test_what_is_said_to_keep_0_makes_0_of_0(name):
    options = {"maxpool": (2,), "adaptive": (1,)}
    given = next((each for begin, each in options.items() if name.startswith(begin)), ())
    assert not NAMED[name](*given).eval()(torch.zeros(1, *[4] * int(name[-2] if name[-1] == "d" else 1), 4)).any()


def test_names_that_keep_0_are_those_of_modules_or_of_reshapings():
    assert KEEPING_ZERO - NAMED.keys() == {"view", "reshape"}


def pairing() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), MaxMin(), nn.Linear(6, 2))
    net[0].weight.data[0] = 0
    return net


def growing(*between: nn.Module) -> nn.Sequential:
    """Images of which channel 0 of the first layer is 1 everywhere."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 1), nn.ReLU(), *between)
    net[0].weight.data[0], net[0].bias.data[0] = 0, 1
    return net


UNEVEN = {
    "pairs": (pairing, (4,)),
    "overlapping": (lambda: growing(nn.ConvTranspose2d(4, 2, 3, stride=2)), (2, 4, 4)),
    "tap by tap": (lambda: growing(nn.ConvTranspose2d(4, 2, 2, stride=2)), (2, 4, 4)),
    "shuffled": (lambda: growing(nn.PixelShuffle(2), nn.Conv2d(1, 2, 1)), (2, 4, 4)),
}


@pytest.mark.parametrize("name", UNEVEN)
def test_constants_stay_where_they_add_what_no_bias_can(name):
    make, shape = UNEVEN[name]
    net, x = make(), torch.randn(64, *shape)
    without = make()
    last = without[-1]  # its bias takes what the constant adds on average: the best that a bias can do
    without[0].bias.data[0] = 0
    last.bias.data += (net(x) - without(x)).transpose(0, 1).flatten(1).mean(dim=1)
    assert not torch.allclose(net(x), without(x), atol=1e-2)
    found = row(net, "dead units", *shape)
    assert found.n_after == found.n_before and found.how == "units that reach no output; constants stay"


def test_an_output_that_is_an_addition_stays_with_all_its_branches():
    class Ending(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)

        def forward(self, x):
            return x + self.second(torch.relu(self.first(x)))

    net = Ending()
    net.second.weight.data[:, 2] = 0
    found = report(net, torch.randn(5, 6))
    assert (found.removable[0].what, found.removable[0].n_before - found.removable[0].n_after) == ("dead units", 13)
    assert found.not_covered == ()


def test_constants_move_through_a_transposed_convolution_of_single_pixels():
    net, x = growing(nn.ConvTranspose2d(4, 2, 1)), torch.randn(2, 2, 4, 4)
    assert row(net, "dead units", 2, 4, 4).n_after == row(net, "dead units", 2, 4, 4).n_before - 3 - 2
    expected = net(x)
    net[2].bias.data += net[2].weight.data[0, :, 0, 0]
    net[0].bias.data[0] = 0
    assert torch.allclose(net(x), expected, atol=1e-6)


def n_unfelt(net: nn.Module, *shape: int) -> int:
    """Parameters that the output does not depend on, by autograd; of all weights the sizes, so that nothing cancels."""
    net = copy.deepcopy(net)
    for values in net.parameters():
        values.data.abs_()
    net.eval()(torch.rand(4, *shape)).sum().backward()
    return sum(int((values.grad == 0).sum()) for values in net.parameters())


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("groups", [8, 2, 1])
def test_of_grouped_kernels_only_the_taps_that_are_there_are_counted(kind, groups):
    middle = kind(8, 8, 3, groups=groups, padding=1)
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), middle, nn.ReLU(), nn.Conv2d(8, 4, 1))
    net[4].weight.data[:, 0] = 0
    found = row(net, "dead units", 3, 8, 8)
    assert found.n_before - found.n_after == n_unfelt(net, 3, 8, 8) + 4
    assert groups < 8 or (found.n_before, found.n_after) == (148, 130)


class Again(nn.Module):
    """One normalisation behind two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.bn = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 3), nn.BatchNorm1d(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c(self.bn(self.b(self.bn(self.a(x)))))


def test_of_a_normalisation_used_twice_only_what_neither_use_needs_goes():
    net = Again()
    net.c.weight.data[:, 0] = 0
    found = row(net, "dead units", 4)
    assert found.n_before - found.n_after == n_unfelt(net, 4) + 3 == 5 + 1 + 3
    net.b.weight.data[:, 0] = 0
    found = row(net, "dead units", 4)
    assert found.n_before - found.n_after == n_unfelt(net, 4) + 3 + 4


def test_units_that_a_normalisation_hears_are_not_dead():
    net = nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.Linear(5, 3))
    assert row(net, "dead units", 4).n_after == row(net, "dead units", 4).n_before
    net[2].weight.data[:, 2] = 0
    assert row(net, "dead units", 4) is None
    assert "1 (LayerNorm), which joins all of them" in dict(report(net, torch.randn(4)).not_covered)["dead units"]


def test_normalisations_go_with_their_units():
    net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
    net[3].weight.data[:, 2] = 0
    found = row(net, "dead units", 4)
    assert found.n_before - found.n_after == 4 + 1 + 2 + 3


def test_zeros_that_are_stored_are_no_loss_small_weights_are():
    net = mlp(4, 6, 2)
    net[0].weight.data[:2] = 0
    n_small = sum(int((m.weight.abs() <= 1e-3 * m.weight.abs().max()).sum()) for m in net[::2])
    found = row(net, "small weights", 4)
    assert (found.n_before - found.n_after, found.lossless) == (n_small, True) and n_small >= 8
    net[0].weight.data[0, 0] = 1e-6
    assert not row(net, "small weights", 4).lossless


def test_low_ranks_are_factored_where_that_saves():
    net = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 3)).double()
    net[0].weight.data = torch.randn(30, 4, dtype=torch.float64) @ torch.randn(4, 20, dtype=torch.float64)
    found = row(net, "layers of low rank", 20)
    assert (found.n_before - found.n_after, found.lossless) == (600 - 4 * 50, True)
    net[0].weight.data += 1e-5 * torch.randn(30, 20, dtype=torch.float64)
    found = row(net, "layers of low rank", 20)
    assert (found.n_before - found.n_after, found.lossless) == (600 - 4 * 50, False)


def test_a_kernel_of_low_rank_is_two_convolutions():
    net = nn.Conv2d(8, 16, 3).double()
    net.weight.data = (torch.randn(16, 2).double() @ torch.randn(2, 72).double()).view(16, 8, 3, 3)
    found = row(net, "layers of low rank", 8, 6, 6)
    first, second = nn.Conv2d(8, 2, 3, bias=False), nn.Conv2d(2, 16, 1)
    n_factors = first.weight.numel() + second.weight.numel()
    assert found.n_before - found.n_after == net.weight.numel() - n_factors


def test_radial_networks_lose_their_axes_and_others_are_told_why_not():
    found = row(RadialNet((2, 16, 16, 1), "squash"), "axes of radial layers", 2)
    assert (found.n_after, found.lossless) == (2 * 3 + 3 + 3 * 4 + 4 + 4 + 1, True)
    mixed = nn.Sequential(*RadialNet((2, 4, 4, 1), "squash"), nn.Tanh()).double()
    unclear = dict(report(mixed, torch.randn(2, 2)).not_covered)
    assert "axes of radial layers" in unclear and row(mixed, "axes of radial layers", 2) is None
    assert row(mlp(2, 4, 1), "axes of radial layers", 2) is None
