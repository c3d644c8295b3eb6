"""Reach where the nodes lie along different axes or are multiplied by constants, against derivatives."""

import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nbkit.errors import NbkitError
from nbkit.reporting import report
from nbkit.topology import Topology


class Forward(nn.Module):
    """A hand-written forward of some modules: give(self, x)."""

    def __init__(self, give: Callable, **modules: nn.Module | torch.Tensor) -> None:
        super().__init__()
        self.give = give
        for name, each in modules.items():
            self.register_buffer(name, each) if isinstance(each, torch.Tensor) else self.add_module(name, each)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.give(self, x)


def squared(h: torch.Tensor) -> torch.Tensor:
    return h * h


def cut(net: nn.Module, seed: int, density: float = 0.3) -> nn.Module:
    """With most weights 0 and the others positive, no biases: what can be joined is joined, and nothing cancels."""
    generator = torch.Generator().manual_seed(seed)
    for each in net.modules():
        if isinstance(each, nn.Linear | nn.Conv1d | nn.Conv2d):
            drawn = torch.rand(2, *each.weight.shape, generator=generator)
            each.weight.data, each.bias.data = (0.1 + drawn[0]) * (drawn[1] < density), 0 * each.bias.data
    return net.double().eval()


def half(*shape: int) -> torch.Tensor:
    return (torch.arange(8) < 4).float().reshape(shape)


def norm_with_zeros(kind: type[nn.Module]) -> nn.Module:
    norm = kind(8)
    norm.weight.data, norm.bias.data = half(8), half(8)
    return norm


S, L = nn.Sequential, nn.Linear
ABOUT_AXES = {
    "one pixel": (
        lambda: Forward(lambda s, x: s.b(torch.flatten(s.pool(s.a(x)), 1)), a=nn.Conv2d(3, 16, 1), b=L(16, 5), pool=nn.AdaptiveAvgPool2d(1)),
        (3, 4, 4),
    ),
    "mean that keeps its axes": (
        lambda: Forward(lambda s, x: s.b(s.a(x).mean((2, 3), keepdim=True)).flatten(1), a=nn.Conv2d(3, 8, 1), b=nn.Conv2d(8, 5, 1)),
        (3, 4, 4),
    ),
    "mean over pixels": (lambda: Forward(lambda s, x: s.b(s.a(x).mean((2, 3))), a=nn.Conv2d(3, 8, 1), b=L(8, 5)), (3, 8, 8)),
    "mean axis by axis": (
        lambda: Forward(lambda s, x: s.b(s.a(x).mean(2).mean(2)), a=nn.Conv2d(3, 8, 1), b=L(8, 5)),
        (3, 8, 8),
    ),
    "flat pixels, their mean": (
        lambda: Forward(lambda s, x: s.b(s.a(x).flatten(2).mean(2)), a=nn.Conv2d(3, 8, 1), b=L(8, 5)),
        (3, 4, 2),
    ),
    "pixels by view, their mean": (
        lambda: Forward(lambda s, x: s.b(s.a(x).view(x.size(0), 8, -1).mean(2)), a=nn.Conv2d(3, 8, 1), b=L(8, 5)),
        (3, 4, 2),
    ),
    "pool of an image of features": (
        lambda: S(L(6, 32), nn.Unflatten(1, (8, 2, 2)), nn.AvgPool2d(2), nn.Conv2d(8, 5, 1)),
        (6,),
    ),
    "all pixels by view": (
        lambda: Forward(lambda s, x: s.b(s.a(x).view(-1, 32)), a=nn.Conv2d(3, 8, 1), b=L(32, 5)),
        (3, 2, 2),
    ),
    "two squeezes": (
        lambda: Forward(lambda s, x: s.b(s.a(x).squeeze(3).squeeze(2)), a=nn.Conv2d(3, 8, (4, 2)), b=L(8, 5)),
        (3, 4, 2),
    ),
    "pixel shuffle": (lambda: S(nn.Conv2d(2, 8, 1), nn.PixelShuffle(2), nn.Conv2d(2, 6, 3)), (2, 3, 3)),
    "pixel shuffle first": (lambda: S(nn.PixelShuffle(2), nn.Conv2d(2, 6, 3)), (8, 3, 3)),
    "pixel unshuffle": (lambda: S(nn.Conv2d(3, 2, 1), nn.PixelUnshuffle(2), nn.Flatten(), L(32, 6)), (3, 4, 4)),
    "pixel unshuffle, function": (
        lambda: Forward(lambda s, x: s.b(F.pixel_unshuffle(s.a(x), 2)), a=nn.Conv2d(3, 2, 1), b=nn.Conv2d(8, 6, 1)),
        (3, 4, 4),
    ),
    "late fusion": (
        lambda: Forward(
            lambda s, x: s.c(torch.cat([s.pool(s.a(x)).flatten(1), s.pool(s.b(x)).flatten(1)], 1)),
            a=nn.Conv2d(3, 8, 1), b=nn.Conv2d(3, 4, 3), c=L(12, 5), pool=nn.AdaptiveAvgPool2d(1),
        ),
        (3, 4, 4),
    ),
    "one part": (lambda: Forward(lambda s, x: s.a(torch.cat([x], 1)), a=L(6, 5)), (6,)),
    "its square": (lambda: Forward(lambda s, x: s.b(squared(s.a(x))), a=L(6, 8), b=L(8, 5)), (6,)),
    "the input twice": (lambda: Forward(lambda s, x: s.a(torch.cat([x, x**2], 1)), a=L(12, 5)), (6,)),
    "mask of units": (lambda: Forward(lambda s, x: s.b(F.relu(s.a(x)) * s.m), a=L(6, 8), b=L(8, 5), m=half(8)), (6,)),
    "no unit": (lambda: Forward(lambda s, x: s.b(F.relu(s.a(x)) * s.m), a=L(6, 8), b=L(8, 5), m=0 * half(8)), (6,)),
    "zero": (lambda: Forward(lambda s, x: s.b(s.a(x).mul(0)), a=L(6, 8), b=L(8, 5)), (6,)),
    "a number": (lambda: Forward(lambda s, x: s.b(s.a(x) * 0.5), a=L(6, 8), b=L(8, 5)), (6,)),
    "mask of channels": (
        lambda: Forward(lambda s, x: s.b(s.a(x) * s.m).mean((2, 3)), a=nn.Conv2d(3, 8, 1), b=nn.Conv2d(8, 5, 1), m=half(8, 1, 1)),
        (3, 8, 8),
    ),
    "mask of columns": (
        lambda: Forward(lambda s, x: s.b(s.a(x) * s.m).mean((2, 3)), a=nn.Conv2d(3, 8, 1), b=nn.Conv2d(8, 5, 1), m=half(8)),
        (3, 8, 8),
    ),
    "mask at the end": (lambda: Forward(lambda s, x: s.a(x) * s.m, a=L(6, 8), m=half(8)), (6,)),
    "norm": (lambda: S(L(6, 8), norm_with_zeros(nn.BatchNorm1d), L(8, 5)), (6,)),
    "norm of channels": (
        lambda: S(nn.Conv2d(3, 8, 1), norm_with_zeros(nn.BatchNorm2d), nn.ReLU(), nn.Flatten(), L(32, 5)),
        (3, 2, 2),
    ),
    "norm, function": (
        lambda: Forward(
            lambda s, x: s.b(F.batch_norm(s.a(x), s.mean, s.var, s.m)), a=L(6, 8), b=L(8, 5), m=half(8), mean=0 * half(8), var=1 + half(8)
        ),
        (6,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ABOUT_AXES)
def test_reach_is_that_of_the_derivatives_whatever_axis_the_nodes_lie_along(name):
    make, shape = ABOUT_AXES[name]
    for seed in range(4):
        net = cut(make(), seed)
        x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1
        jacobian = torch.autograd.functional.jacobian(net, x[:1])[0]
        n_out = 5 if jacobian.shape[0] == 5 else len(jacobian)
        expected = (jacobian.reshape(n_out, -1, shape[0], x[0, 0].numel()) > 0).any(dim=3).any(dim=1)
        found = report(net, x)
        assert found.reach is not None, found.not_covered
        assert torch.equal(found.reach.matrix, expected.T)


def test_units_that_a_mask_takes_away_are_dead():
    net = ABOUT_AXES["mask of units"][0]()
    found = report(net, torch.rand(3, 6)).reach
    assert [unit.n_dead for unit in found.units] == [4, 0] and [unit.n_unheard for unit in found.units] == [4, 0]
    found = report(ABOUT_AXES["no unit"][0](), torch.rand(3, 6)).reach
    assert [unit.n_dead for unit in found.units] == [8, 5] and not found.matrix.any()
    found = report(ABOUT_AXES["norm"][0](), torch.rand(3, 6)).reach
    assert [unit.n_dead for unit in found.units] == [4, 0]


def along_pixels() -> nn.Module:
    """Only channel 0 has weights, and the last layer takes pixel 0 of none."""
    net = S(nn.Conv2d(3, 16, 1), nn.Flatten(2), L(16, 5))
    net[0].weight.data[1:], net[2].weight.data[:, 0] = 0, 0
    return net


UNCLEAR = {
    "pixels": (along_pixels, (3, 4, 4), "along another axis"),
    "four pixels a channel": (lambda: S(nn.Conv2d(3, 16, 1), nn.Flatten(2), L(64, 5)), (3, 8, 8), "along another axis"),
    "flat pixels, function": (
        lambda: Forward(lambda s, x: s.b(torch.flatten(s.a(x), start_dim=2)), a=nn.Conv2d(3, 16, 1), b=L(16, 5)),
        (3, 4, 4), "along another axis",
    ),
    "pixels by view": (
        lambda: Forward(lambda s, x: s.b(s.a(x).reshape(-1, 16, 16)), a=nn.Conv2d(3, 16, 1), b=L(16, 5)),
        (3, 4, 4), "along another axis",
    ),
    "channels and rows": (
        lambda: Forward(lambda s, x: s.b(s.a(x).flatten(1, 2)), a=nn.Conv2d(3, 8, 1), b=L(8, 5)),
        (3, 8, 8), "along another axis",
    ),
    "mean of rows": (
        lambda: Forward(lambda s, x: s.b(s.a(x).mean(dim=2)), a=nn.Conv2d(3, 8, 1), b=L(8, 5)),
        (3, 8, 8), "along another axis",
    ),
    "one squeeze": (
        lambda: Forward(lambda s, x: s.b(s.a(x).squeeze(3)), a=nn.Conv2d(3, 8, (1, 2)), b=L(8, 5)),
        (3, 8, 2), "along another axis",
    ),
    "pool of features": (lambda: S(L(6, 8), nn.MaxPool1d(3, 1, 1), L(8, 5)), (6,), "along another axis"),
    "pool of an image of features": (
        lambda: S(L(6, 32), nn.Unflatten(1, (8, 2, 2)), nn.AvgPool2d(2), nn.Flatten(), L(8, 5)),
        (6,), "in front of a convolution only",
    ),
    "pool at the end": (
        lambda: S(L(6, 32), nn.Unflatten(1, (8, 2, 2)), nn.AvgPool2d(2)), (6,), "in front of a convolution only",
    ),
    "norm along another axis": (lambda: S(L(8, 4), norm_with_zeros(nn.BatchNorm2d)), (8, 4, 8), "along another axis"),
    "mask of numbers that become an image": (
        lambda: Forward(lambda s, x: s.b((x * s.m).view(-1, 2, 2, 2)), b=nn.Conv2d(2, 5, 2), m=half(8)),
        (8,), "must be those of whole nodes",
    ),
    "mask of pixels in one axis": (
        lambda: Forward(lambda s, x: s.b(x.view(-1, 8, 8) * s.m), b=nn.Conv1d(8, 5, 1), m=half(8)),
        (8, 4, 2), "must be those of whole nodes",
    ),
    "mask of an image that is flattened": (
        lambda: Forward(lambda s, x: s.b((x * s.m).flatten(1)), b=L(32, 5), m=half(8, 1, 1)),
        (8, 2, 2), "must be those of whole nodes",
    ),
    "mean of features": (
        lambda: Forward(lambda s, x: s.b(s.a(x).mean(dim=2)), a=L(6, 8), b=L(8, 5)),
        (8, 6), "along another axis",
    ),
    "pool of channels": (lambda: S(nn.Conv1d(3, 8, 1), nn.AvgPool2d(3, 1, 1), nn.Conv1d(8, 5, 1)), (3, 8), "another axis"),
    "features along pixels": (
        lambda: Forward(lambda s, x: s.b(s.a(x).view(x.size(0), 8, -1)), a=nn.Conv2d(3, 8, 1), b=L(16, 5)),
        (3, 4, 4), "acts along another axis",
    ),
    "mean of flattened pixels": (
        lambda: Forward(lambda s, x: s.b(s.u(s.a(x).flatten(1)).mean(2)), a=nn.Conv2d(3, 8, 1), b=L(4, 5), u=nn.Unflatten(1, (4, 32))),
        (3, 4, 4), "along another axis",
    ),
    "channels and features": (
        lambda: Forward(lambda s, x: s.c(s.a(x) + s.b(s.a(x).mean((2, 3)))), a=nn.Conv2d(3, 8, 1), b=L(8, 8), c=nn.Conv2d(8, 5, 1)),
        (3, 8, 8), "must join channels to channels",
    ),
    "pixel shuffle": (
        lambda: S(nn.Conv2d(2, 8, 1), nn.PixelShuffle(2), nn.Flatten(), L(32, 6)), (2, 2, 2), "behind a pixel shuffle",
    ),
    "branches of several pixels": (
        lambda: Forward(
            lambda s, x: s.c(torch.cat([s.a(x).flatten(1), s.b(x).flatten(1)], 1)),
            a=nn.Conv2d(3, 4, 4), b=nn.Conv2d(3, 4, (4, 2)), c=L(16, 5),
        ),
        (3, 4, 4), "flattened and then concatenated",
    ),
    "computed factor": (lambda: Forward(lambda s, x: s.b(s.a(x) * x.size(0)), a=L(6, 8), b=L(8, 5)), (6,), "a factor must be known"),
    "mask of pixels and channels at once": (
        lambda: Forward(lambda s, x: s.b(s.a(x).flatten(1) * s.m), a=nn.Conv2d(3, 2, 1), b=L(8, 5), m=half(8)),
        (3, 2, 2), "must be those of whole nodes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNCLEAR)
def test_what_acts_along_another_axis_than_that_of_the_nodes_is_named_also_when_the_sizes_agree(name):
    make, shape, why = UNCLEAR[name]
    found = report(make(), torch.rand(8, *shape))
    assert found.reach is None and "dead units" not in [row.what for row in found.removable]
    assert any(name == "reach" and re.search(why, text) for name, text in found.not_covered), found.not_covered
    with pytest.raises(NbkitError, match=re.compile(why)):
        Topology.from_module(make())


def test_a_layer_without_outputs_is_refused_by_whoever_is_asked():
    with pytest.raises(
        NbkitError, match=r"^Topology.from_module: every layer must have weights, got the shape \(0, 4\)"
    ):
        Topology.from_module(nn.Linear(4, 0))
    with pytest.raises(NbkitError, match=r"^report: "):
        _ = report(nn.Linear(4, 0), torch.rand(3, 4)).layers


def test_zeros_of_a_normalisation_are_a_layer_of_wires():
    topology = Topology.from_module(ABOUT_AXES["norm"][0]())
    assert topology.sizes == (6, 8, 8, 5) and topology[1].mask().diagonal().tolist() == 4 * [True] + 4 * [False]


def test_a_constant_factor_may_stand_in_front():
    net = Forward(lambda s, x: s.b(s.m * F.relu(s.a(0.1 * x))), a=L(4, 8), b=L(8, 3), m=half(8))
    found = report(net, torch.randn(5, 4))
    assert found.not_covered == () and [unit.n_dead for unit in found.reach.units] == [4, 0]
