"""Arc lengths behind networks: a check by hand, a numpy refinement, fine chords, and what modules must survive (SCIENCE 2.5)."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nbkit.errors import NbkitError
from nbkit.measure import arc, arc_length, circle, growth_through, line, random_line
from nbkit.nets import FeedForward
from nbkit.weights import Gaussian, RandomNets


def linear(weight, bias) -> nn.Linear:
    weight = torch.tensor(weight, dtype=torch.float64)
    module = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
    with torch.no_grad():
        module.weight.copy_(weight)
        module.bias.copy_(torch.tensor(bias, dtype=torch.float64))
    return module


def seeded(make, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().double()


def relu_lengths(module: nn.Sequential, x0: np.ndarray, x1: np.ndarray) -> list[float]:
    """Exact lengths behind each ReLU, in numpy: breakpoints layer by layer, the images of the line between them."""
    t, z = np.array([0.0, 1.0]), np.stack([x0, x1])
    lengths = []
    for layer in module[::2]:
        h = z @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        new = [t]
        for unit in h.T:
            for i in np.flatnonzero(unit[:-1] * unit[1:] < 0):
                new.append([t[i] + (t[i + 1] - t[i]) * unit[i] / (unit[i] - unit[i + 1])])
        finer = np.unique(np.concatenate(new))
        h = np.stack([np.interp(finer, t, unit) for unit in h.T], axis=1)
        t, z = finer, np.maximum(h, 0)
        lengths.append(np.linalg.norm(np.diff(z, axis=0), axis=1).sum())
    return lengths


def random_net(widths: tuple, sigma: float = 2.0, density: float = 1.0, seed: int = 0) -> nn.Sequential:
    return RandomNets(widths, Gaussian(sigma), density, seed=seed, bias=Gaussian(0.1)).network(0)


def random_ends(dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((2, dim))


HAND = nn.Sequential(linear([[1, -1], [-1, 1]], [0, 0]), nn.ReLU(), linear([[1, 1], [1, -1]], [-0.5, 0]), nn.ReLU())


@pytest.mark.parametrize(("method", "n_points"), [("exact", None), ("chords", 1_000_001), ("tangent", 1000)])
def test_the_check_by_hand(method, n_points):
    lengths = growth_through(HAND, line([0, 1], [1, 0]), method=method, n_points=n_points).length[0]
    assert lengths[1:].numpy() == pytest.approx([2, 1 + 1 / math.sqrt(2)], rel=1e-5)


def test_two_neurons_that_vanish_together_leave_one_breakpoint():
    net = nn.Sequential(linear([[1, 0], [2, 0], [-1, 0], [0, 1]], [-0.5, -1, 0.5, 0]), nn.ReLU())
    result = growth_through(net, line([0, 0], [1, 1]), method="exact")
    assert result.n_pieces == (2,)
    assert arc_length(line([0, 0], [1, 1]), net, method="exact") == pytest.approx(
        math.sqrt(0.25 + 0.25) + math.sqrt(0.25 + 1 + 0.25)
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.floats(0.3, 1), st.integers(0, 10**6))
def test_exact_is_the_refinement_in_numpy_and_bounds_chords_that_grow_on_nested_grids(widths, density, seed):
    net, (x0, x1) = random_net(tuple(widths), density=density, seed=seed), random_ends(widths[0], seed)
    curve = line(x0, x1)
    exact = growth_through(net, curve, method="exact").length[0].numpy()
    assert exact[1:] == pytest.approx(relu_lengths(net, x0, x1), rel=1e-9, abs=1e-12)
    chords = [growth_through(net, curve, method="chords", n_points=n).length[0].numpy() for n in (2, 5, 17, 129)]
    for coarse, fine in zip(chords, [*chords[1:], exact], strict=True):
        assert (coarse <= fine * (1 + 1e-9) + 1e-12).all()


def test_the_error_of_chords_falls_like_one_over_their_number():
    errors = []
    for seed in range(12):
        net, curve = random_net((20,) * 6, seed=seed), line(*random_ends(20, seed))
        exact = arc_length(curve, net, method="exact")
        chords = [arc_length(curve, net, method="chords", n_points=n + 1) for n in (30, 300, 3000)]
        errors.append([1 - found / exact for found in chords])
    slopes = np.diff(np.log10(np.mean(errors, axis=0)))
    assert slopes == pytest.approx([-1, -1], abs=0.25)


class Skip(nn.Module):
    """Adds its input to what it hides, on a copy or in place."""

    def __init__(self, dim: int, *, in_place: bool = False) -> None:
        super().__init__()
        self.first, self.second, self.relu = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.ReLU(inplace=in_place)
        self.in_place = in_place

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.relu(self.first(x))
        if self.in_place:
            hidden += x
        else:
            hidden = hidden + x
        return self.relu(self.second(hidden))


PIECEWISE_LINEAR = {
    "relu": lambda: nn.Sequential(nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3)),
    "width 3": lambda: nn.Sequential(nn.Linear(8, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU()),
    "leaky": lambda: nn.Sequential(nn.Linear(8, 9), nn.LeakyReLU(0.2), nn.Linear(9, 3), nn.LeakyReLU(0.5)),
    "prelu": lambda: nn.Sequential(nn.Linear(8, 9), nn.PReLU(9), nn.Linear(9, 3), nn.PReLU()),
    "rrelu": lambda: nn.Sequential(nn.Linear(8, 9), nn.RReLU()),
    "hardtanh": lambda: nn.Sequential(nn.Linear(8, 9), nn.Hardtanh(-0.3, 0.2), nn.Linear(9, 3), nn.Hardtanh()),
    "far hardtanh": lambda: nn.Sequential(Scale(300), nn.Linear(8, 9), nn.Hardtanh(-100, 100), nn.Linear(9, 3)),
    "relu6": lambda: nn.Sequential(Scale(30), nn.Linear(8, 9), nn.ReLU6(), nn.Linear(9, 3), nn.ReLU6()),
    "hardsigmoid": lambda: nn.Sequential(Scale(30), nn.Linear(8, 9), nn.Hardsigmoid(), nn.Linear(9, 3)),
    "skip": lambda: nn.Sequential(Skip(8), Skip(8)),
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 2, 2)),
        nn.Conv2d(2, 3, 2, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(3, 2),
    ),
    "normalised": lambda: nn.Sequential(
        nn.Linear(8, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Dropout(0.5), nn.Linear(9, 2)
    ),
}


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x


@pytest.mark.parametrize("make", PIECEWISE_LINEAR.values(), ids=PIECEWISE_LINEAR)
def test_exact_through_any_piecewise_linear_module_is_the_limit_of_chords(make):
    net, curve = seeded(make), line(*random_ends(8))
    exact = growth_through(net, curve, method="exact")
    chords = growth_through(net, curve, method="chords", n_points=200_001)
    assert exact.length.numpy() == pytest.approx(chords.length.numpy(), rel=2e-5)
    assert exact.factor.numpy() == pytest.approx(chords.factor.numpy(), rel=1e-3)
    assert (exact.length >= chords.length * (1 - 1e-9)).all()


@pytest.mark.parametrize("width", range(1, 30))
def test_a_relu_is_seen_at_every_width(width):
    net = random_net((4, width, 4), seed=width)
    assert growth_through(net, line(*random_ends(4)), n_points=4).depth == 2


def test_linear_layers_are_no_layers_of_their_own():
    net = seeded(lambda: nn.Sequential(nn.Linear(4, 9), nn.Identity(), nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 2)))
    assert growth_through(net, line(*random_ends(4)), n_points=4).depth == 2
    assert growth_through(net[:3], line(*random_ends(4)), n_points=4).depth == 1


def test_an_output_written_in_place_changes_no_layer_before_it():
    in_place, copied = seeded(lambda: Skip(3, in_place=True)), seeded(lambda: Skip(3))
    curve = line(*random_ends(3))
    for method in ("tangent", "chords", "exact"):
        lengths = [growth_through(net, curve, method=method).log_length.numpy() for net in (in_place, copied)]
        assert lengths[0] == pytest.approx(lengths[1], rel=1e-12) and lengths[0].shape == (1, 3)


def test_in_place_activations_and_modes_are_left_as_they_were():
    net = seeded(lambda: nn.Sequential(nn.Linear(4, 9), nn.BatchNorm1d(9), nn.ReLU(inplace=True), nn.Dropout(0.5)))
    net[1].eval()
    before, state = [module.training for module in net.modules()], copy.deepcopy(net.state_dict())
    for method in ("tangent", "chords", "exact"):
        lengths = {arc_length(line(*random_ends(4)), net, method=method) for _ in range(2)}
        assert len(lengths) == 1
    assert [module.training for module in net.modules()] == before and net[2].inplace
    assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())
    assert net[0].weight.dtype == torch.float64 and net[0].weight.requires_grad


def test_everything_is_left_as_it_was_after_an_error_too():
    net = nn.Sequential(nn.Linear(4, 9), nn.ReLU(inplace=True), nn.Linear(3, 3))
    with pytest.raises(NbkitError):
        arc_length(line(*random_ends(4)), net)
    assert net.training and net[1].inplace and not any(module._forward_hooks for module in net.modules())


def test_single_precision_networks_are_measured_and_stay_single():
    single = random_net((10, 20, 20)).float()
    double = copy.deepcopy(single).double()
    for method in ("tangent", "chords", "exact"):
        found, expected = (arc_length(line(*random_ends(10)), net, method=method) for net in (single, double))
        assert found == pytest.approx(expected, rel=1e-4)
    assert single[0].weight.dtype == torch.float32


@pytest.mark.parametrize("method", ["tangent", "chords"])
def test_a_curve_through_a_linear_map_has_the_length_of_its_image(method):
    matrix = np.random.default_rng(0).standard_normal((3, 2))
    orthogonal = np.linalg.qr(matrix)[0]
    assert arc_length(circle(2, radius=2.0), linear(3 * orthogonal, [1, 1, 1]), method=method) == pytest.approx(
        12 * math.pi, rel=1e-6
    )


def test_curved_input_and_smooth_networks_have_tangents_that_chords_approach():
    net, curve = (
        seeded(lambda: nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 3))),
        arc(*random_ends(6), n_planes=3),
    )
    tangent = growth_through(net, curve, n_points=2000)
    chords = growth_through(net, curve, method="chords", n_points=20_001)
    assert tangent.log_length.numpy() == pytest.approx(chords.log_length.numpy(), rel=1e-5)
    assert tangent.factor.numpy() == pytest.approx(chords.factor.numpy(), rel=1e-4)


class Radial(nn.Module):
    """x h(|x|) / |x|, one leaf."""

    def __init__(self, h) -> None:
        super().__init__()
        self.h = h

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        radius = x.norm(dim=1, keepdim=True)
        return x * self.h(radius) / radius


@pytest.mark.parametrize("h", [lambda r: F.relu(r - 1), torch.tanh, lambda r: r**2 / (1 + r**2)])
def test_a_radial_activation_is_a_layer_with_tangents(h):
    net = seeded(lambda: nn.Sequential(nn.Linear(4, 5), Radial(h), nn.Linear(5, 3), Radial(h), nn.Linear(3, 2)), seed=2)
    curve = line(*(2 * random_ends(4)))
    tangent = growth_through(net, curve, n_points=4000)
    chords = growth_through(net, curve, method="chords", n_points=40_001)
    assert tangent.depth == 3
    assert tangent.length.numpy() == pytest.approx(chords.length.numpy(), rel=1e-3)


def test_a_radial_activation_turns_lengths_as_its_derivatives_say():
    # a circle of radius R about the origin only shrinks, by h(R) / R; a ray by h'
    net = nn.Sequential(Radial(torch.tanh))
    assert arc_length(circle(3, radius=2.0), net) == pytest.approx(2 * math.pi * math.tanh(2))
    assert arc_length(line([1.0, 0, 0], [2.0, 0, 0]), net) == pytest.approx(math.tanh(2) - math.tanh(1), rel=1e-6)


def test_a_radial_step_is_a_layer_though_it_is_linear_far_out():
    net = nn.Sequential(
        nn.Linear(20, 20, dtype=torch.float64), Radial(lambda r: r * (r >= 1)), nn.Linear(20, 2).double()
    )
    assert growth_through(net, line(*random_ends(20)), n_points=4).depth == 2


@pytest.mark.parametrize("activation", [nn.Tanh(), nn.GELU(), Radial(torch.tanh), nn.MaxPool1d(2), nn.Hardshrink()])
def test_exact_refuses_what_it_does_not_know(activation):
    net = seeded(lambda: nn.Sequential(nn.Linear(4, 20), activation))
    with pytest.raises(NbkitError, match="method='exact' net must be piecewise linear.*layer 1.*'tangent' or 'chords'"):
        arc_length(line(*(5 * random_ends(4))), net, method="exact")


def test_exact_refuses_a_kink_that_no_module_shows():
    class Hidden(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.relu(x[:, :2] - 0.1) + x[:, 2:].abs()

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.relu(self.first(x)) + 1

    for net in (Hidden(), seeded(Outer)):
        with pytest.raises(NbkitError, match="must be piecewise linear in known modules"):
            arc_length(line([-1, 2, 1, -1], [1, -1, -3, 2]), net, method="exact")


def test_exact_refuses_curves_that_bend():
    net = random_net((4, 5))
    for curve in (arc(*random_ends(4), n_planes=1), circle(4), lambda t: t[:, None] ** 2 * torch.ones(4)):
        with pytest.raises(NbkitError, match="method='exact' the curve must be straight"):
            arc_length(curve, net, method="exact")


def test_exact_takes_a_straight_line_from_numpy():
    x0, x1 = random_ends(4)
    net = random_net((4, 5, 5))
    found = arc_length(lambda t: x0 + np.asarray(t)[:, None] * (x1 - x0), net, method="exact")
    assert found == pytest.approx(arc_length(line(x0, x1), net, method="exact"))


def test_a_network_of_zeros_has_length_0_and_every_piece_dead():
    net = nn.Sequential(linear(np.zeros((3, 2)), [0.0, 0, 0]), nn.ReLU(), linear(np.ones((2, 3)), [0.0, 0]), nn.ReLU())
    for method, n_points in (("tangent", 10), ("chords", 11), ("exact", None)):
        result = growth_through(net, line([0, 1], [1, 0]), method=method, n_points=n_points)
        assert result.length[0, 1:].tolist() == [0, 0] and result.n_skipped.tolist() == [[0, result.n_pieces[0]]]
        assert result.factor[0, 0] == 0 and math.isnan(result.factor[0, 1]) and result.mean == 0


def test_exact_counts_a_piece_that_died_as_dead_whatever_rounding_says():
    # one unit lives until t = 1/3; behind it nothing moves, and no ratio of rounding errors enters the mean
    for seed in range(20):
        scale = np.random.default_rng(seed).uniform(0.3, 3, 3)
        net = nn.Sequential(
            linear([[-scale[0]]], [scale[0] / 3]), nn.ReLU(), linear([[scale[1]]], [scale[2]]), nn.ReLU()
        )
        result = growth_through(net, line([0.0], [1.0]), method="exact")
        assert result.factor[0].numpy() == pytest.approx([scale[0] / 3, scale[1]]) and result.n_skipped[0, 1] == 1


@pytest.mark.parametrize("method", ["tangent", "chords", "exact"])
def test_weights_that_are_not_numbers_are_refused(method):
    net = random_net((4, 5))
    with torch.no_grad():
        net[0].weight[0, 0] = math.nan
    with pytest.raises(NbkitError, match="outputs must be finite"):
        arc_length(line(*random_ends(4)), net, method=method)


@pytest.mark.parametrize("method", ["tangent", "chords", "exact"])
def test_a_curve_of_another_dimension_is_refused(method):
    with pytest.raises(NbkitError, match=r"arc_length: net must take points of the shape \(\d+, 3\)"):
        arc_length(line(*random_ends(3)), random_net((4, 5)), method=method)


@pytest.mark.parametrize("n_points", [1, 0, -3, 2.0, True, "10"])
def test_a_length_needs_two_points(n_points):
    for method in ("tangent", "chords"):
        with pytest.raises(NbkitError, match="n_points must be an integer of at least 2"):
            arc_length(line([0], [1]), method=method, n_points=n_points)


def test_exact_finds_its_own_points():
    with pytest.raises(NbkitError, match="n_points must be left out with method='exact'"):
        arc_length(line([0], [1]), method="exact", n_points=10)


def test_methods_are_three():
    with pytest.raises(NbkitError, match="method must be one of 'tangent', 'chords', 'exact', got 'arc'"):
        arc_length(line([0], [1]), method="arc")


@pytest.mark.parametrize("net", [lambda x: x, 3, np.eye(2)])
def test_a_net_is_a_module(net):
    with pytest.raises(NbkitError, match="net must be a torch.nn.Module"):
        arc_length(line([0, 0], [1, 1]), net)


def test_more_points_than_memory_holds_are_refused():
    with pytest.raises(NbkitError, match="memory budget.*Lower n_points"):
        arc_length(line([0] * 100, [1] * 100), method="chords", n_points=10**13)


@pytest.mark.parametrize(("method", "n_points"), [("tangent", 300), ("chords", 301), ("exact", None)])
def test_little_memory_changes_nothing(monkeypatch, method, n_points):
    net, curve = random_net((10, 20, 20, 5)), line(*random_ends(10))
    whole = growth_through(net, curve, method=method, n_points=n_points)
    monkeypatch.setattr("nbkit.measure.lengths.memory_budget", lambda: 64 * 55 * 7)  # seven points at a time
    parts = growth_through(net, curve, method=method, n_points=n_points)
    assert parts.log_length.numpy() == pytest.approx(whole.log_length.numpy(), rel=1e-12)
    assert parts.factor.numpy() == pytest.approx(whole.factor.numpy(), rel=1e-9) and parts.n_pieces == whole.n_pieces


def test_linear_layers_of_half_precision_are_linear():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).bfloat16()
    assert growth_through(net, random_line(8), n_points=10).depth == 2  # the ReLU, and the output behind it


class Returning(nn.Module):
    """A network that gives whatever it was told to make of its output."""

    def __init__(self, make):
        super().__init__()
        self.linear, self.make = nn.Linear(2, 3), make

    def forward(self, x):
        return self.make(self.linear(x))


@pytest.mark.parametrize("method", ["tangent", "chords", "exact"])
@pytest.mark.parametrize(
    "make, got",
    [
        (lambda out: (out, out), "tuple"),
        (lambda out: {"scores": out}, "dict"),
        (lambda out: None, "NoneType"),
        (lambda out: out.sum(), "the shape \\(\\)"),
        (lambda out: out.sum(dim=1), "the shape"),
        (lambda out: out[None], "the shape"),
    ],
)
def test_a_network_gives_one_tensor_with_a_row_for_each_point(method, make, got):
    net = Returning(make).train()
    with pytest.raises(NbkitError, match=f"arc_length: net must give one tensor .* got {got}"):
        arc_length(line([0.0, 1.0], [1.0, 0.0]), net, method=method)
    assert net.training and not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize("method", ["tangent", "chords", "exact"])
@pytest.mark.parametrize("n_nets", [1, 2])
def test_a_batch_of_networks_has_no_one_length(method, n_nets):
    with pytest.raises(NbkitError, match="of a FeedForward use network"):
        arc_length(line([0.0, 1.0], [1.0, 0.0]), FeedForward((2, 3, 2), n_nets=n_nets).double(), method=method)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_layer_without_units_has_length_0():
    assert arc_length(line([0.0, 1.0], [1.0, 0.0]), nn.Linear(2, 0), method="exact") == 0
