"""Networks of one input as functions: exact rational knots, the forward pass, and a linear programme as oracles."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from nbkit.errors import NbkitError
from nbkit.measure import PiecewiseLinear, connecting_spline, piecewise_linear, weight_rtv2
from nbkit.nets import FullSkipNet, SkipLayer, SkipNet, SkipNets, balanced, rbv2_penalty

WIDTHS = [(1, 1), (1, 2, 1), (1, 3, 2, 1), (1, 1, 1, 1, 1)]
seeds = st.integers(0, 10**6)
points = st.lists(st.tuples(st.integers(-8, 8), st.integers(-9, 9)), min_size=2, max_size=9, unique_by=lambda p: p[0])


def shallow(v, w, b, c=0.0, c0=0.0) -> SkipNet:
    columns = [torch.tensor(values, dtype=torch.float64) for values in (v, w, b)]
    return SkipNet.of([SkipLayer(columns[0][None], columns[1][:, None], columns[2], [[c]], [c0])])


def on_a_coarse_grid(widths: tuple, n_neurons: int, seed: int) -> SkipNet:
    """Weights in {-2, ..., 2} / 2: zeros, neurons that share knots, that cancel, that vanish at others' knots."""
    net = SkipNet(widths, n_neurons).double()
    draw = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.tensor(draw.integers(-2, 3, tuple(parameter.shape)) / 2))
    return net


def forward(net: SkipNet, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return net(torch.tensor(x).to(next(net.parameters()))[:, None])[:, 0].double().numpy()


def exact_bends(net: SkipNet) -> dict[Fraction, Fraction]:
    """Knot -> change of slope in rational arithmetic: every crossing of every neuron, then differences of the output."""

    def fractions(tensor):
        return np.vectorize(Fraction, otypes=[object])(tensor.detach().numpy())

    layers = [[fractions(p) for p in (layer.V, layer.W, layer.b, layer.C, layer.c0)] for layer in net.layers]

    def nodes(x, depth):
        z = np.array([x], dtype=object)
        for V, W, b, C, c0 in layers[:depth]:
            z = V @ np.maximum(W @ z - b, Fraction(0)) + C @ z + c0
        return z

    cuts = {Fraction(0)}
    for depth, (_, W, b, _, _) in enumerate(layers):
        ends = sorted(cuts)
        ends = [ends[0] - 10**6, *ends, ends[-1] + 10**6]
        neurons = [W @ nodes(end, depth) - b for end in ends]
        for (left, right), (h, g) in zip(pairwise(ends), pairwise(neurons), strict=True):
            cuts |= {
                left + (right - left) * a / (a - c) for a, c in zip(h, g, strict=True) if a * c < 0 or (a == 0 != c)
            }
            cuts |= {right for a, c in zip(h, g, strict=True) if c == 0 != a}
    ends = sorted(cuts)
    ends = [ends[0] - 1, *ends, ends[-1] + 1]
    y = [nodes(end, len(layers))[0] for end in ends]
    slopes = [(d - c) / (b - a) for (a, b), (c, d) in zip(pairwise(ends), pairwise(y), strict=True)]
    return {t: b - a for t, (a, b) in zip(ends[1:-1], pairwise(slopes), strict=True) if a != b}


@pytest.mark.parametrize("widths", WIDTHS)
@settings(max_examples=40, deadline=None)
@given(seed=seeds, n_neurons=st.integers(1, 4))
def test_knots_and_slopes_are_the_exact_rational_ones(widths, seed, n_neurons):
    net = on_a_coarse_grid(widths, n_neurons, seed)
    expected, found = exact_bends(net), piecewise_linear(net)
    assert found.knots == pytest.approx([float(t) for t in expected], abs=1e-9)
    assert found.changes == pytest.approx([float(change) for change in expected.values()], abs=1e-9)
    assert found.rtv2 == pytest.approx(float(sum(map(abs, expected.values()))), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(WIDTHS), st.integers(1, 40), seeds, st.booleans())
def test_it_is_the_function_that_the_network_computes(widths, n_neurons, seed, coarse):
    net = on_a_coarse_grid(widths, n_neurons, seed) if coarse else SkipNet(widths, n_neurons, seed=seed).double()
    f = piecewise_linear(net)
    x = np.concatenate([np.linspace(-4, 4, 2001), [-1e3, 1e3], f.knots[np.abs(f.knots) < 1e3]])
    y = forward(net, x)
    assert np.abs(f(x) - y).max() <= 1e-11 * (1 + np.abs(y).max() + f.rtv2)
    assert f.values == pytest.approx(f(f.knots))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(WIDTHS), st.integers(1, 12), seeds)
def test_rtv2_is_the_sum_of_second_differences_on_a_grid_with_the_knots(widths, n_neurons, seed):
    net = SkipNet(widths, n_neurons, seed=seed).double()
    f = piecewise_linear(net)
    ends = [f.knots.min(initial=0) - 1, f.knots.max(initial=0) + 1]
    x = np.unique(np.concatenate([np.linspace(-2, 2, 41), f.knots, ends]))
    x = x[np.append(True, np.diff(x) > 1e-6)]
    assert np.abs(np.diff(np.diff(forward(net, x)) / np.diff(x))).sum() == pytest.approx(f.rtv2, rel=1e-3)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), seeds)
def test_of_a_shallow_net_second_differences_on_halves_are_rtv2(n_neurons, seed):
    net = on_a_coarse_grid((1, 1), n_neurons, seed)  # its knots are multiples of 1/2 in [-2, 2]
    changes = np.diff(forward(net, np.arange(-6, 7) / 2), n=2) / 0.5
    assert piecewise_linear(net).rtv2 == pytest.approx(np.abs(changes).sum(), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), seeds, st.booleans())
def test_the_weights_say_at_least_rtv2(n_neurons, seed, coarse):
    net = on_a_coarse_grid((1, 1), n_neurons, seed) if coarse else SkipNet((1, 1), n_neurons, seed=seed).double()
    f, weights = piecewise_linear(net), weight_rtv2(net)
    assert len(f.knots) <= n_neurons
    if coarse:
        assert f.rtv2 <= weights + 1e-12
    else:  # no two knots coincide
        assert f.rtv2 == pytest.approx(weights) and len(f.knots) == n_neurons


def test_neurons_that_cancel_cost_weight_but_do_not_bend():
    net = shallow([1, -1, 2], [1, 3, -1], [0.1, 0.3, 0.5])  # relu(x - .1) - 3 relu(x - .1) + 2 relu(-x - .5)
    f = piecewise_linear(net)
    assert f.knots == pytest.approx([-0.5, 0.1]) and f.changes == pytest.approx([2, -2])
    assert (f.rtv2, weight_rtv2(net)) == pytest.approx((4, 6))
    straight = piecewise_linear(shallow([1, -2], [0.2, 0.1], [0.06, 0.03], c=3.0, c0=1.0))
    assert len(straight.knots) == 0 and straight.rtv2 == 0 and straight([0.0, 2.0]) == pytest.approx([1, 7])


def test_at_balance_the_objective_is_twice_the_weights_and_the_skip():
    net = SkipNet((1, 1), 20, seed=3).double()
    expected = 2 * weight_rtv2(net) + net.layers[0].C.abs().item()
    assert rbv2_penalty(balanced(net)).item() == pytest.approx(expected)
    assert rbv2_penalty(net).item() > expected + 0.1
    assert weight_rtv2(balanced(net)) == pytest.approx(weight_rtv2(net))


@pytest.mark.parametrize("widths", [(1, 1), (1, 3, 1), (1, 3, 2, 1)])
def test_copies_of_neurons_that_cancel_leave_no_knot(widths):
    scale = torch.tensor([0.3, 1.7, 2.9])
    for seed in range(30):
        net = SkipNet(widths, 6, seed=seed).double()
        last = net.layers[-1]
        with torch.no_grad():
            last.W[3:], last.b[3:] = last.W[:3] * scale[:, None], last.b[:3] * scale
            last.V[:, 3:] = -last.V[:, :3] / scale
            last.C.zero_()
        assert len(piecewise_linear(net).knots) == 0


def test_the_skip_tilts_and_does_not_bend():
    level, tilted = (
        piecewise_linear(shallow([1, -2], [1, 1], [0, 1])),
        piecewise_linear(shallow([1, -2], [1, 1], [0, 1], c=5.0)),
    )
    assert tilted.slopes == pytest.approx(level.slopes + 5) and tilted.rtv2 == pytest.approx(level.rtv2)


def test_what_only_touches_zero_or_rests_on_it_is_seen_right():
    # relu(1 - relu(x) - relu(-x)) on top: a hat on [-1, 1]; relu(-(x)^+): touches zero from below and never bends
    hat = SkipNet.of([
        SkipLayer([[-1.0, -1.0]], [[1.0], [-1.0]], [0.0, 0.0], [[0.0]], [1.0]),
        SkipLayer([[1.0]], [[1.0]], [0.0], [[0.0]], [0.0]),
    ])  # fmt: skip
    f = piecewise_linear(hat)
    assert f.knots.tolist() == [-1, 0, 1] and f.slopes.tolist() == [0, 1, -1, 0]
    never = SkipNet.of([
        SkipLayer([[-1.0]], [[1.0]], [0.0], [[0.0]], [0.0]),
        SkipLayer([[1.0]], [[1.0]], [0.0], [[0.0]], [0.0]),
    ])  # fmt: skip
    assert piecewise_linear(never).rtv2 == 0
    ramp = SkipNet.of([
        SkipLayer([[-1.0]], [[1.0]], [0.0], [[0.0]], [0.0]),
        SkipLayer([[1.0]], [[-1.0]], [0.0], [[0.0]], [0.0]),
    ])  # fmt: skip
    assert piecewise_linear(ramp).knots.tolist() == [0] and piecewise_linear(ramp).slopes.tolist() == [0, 1]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("tiny", [0.0, 1e-30, 1e-300, 5e-324])
def test_dead_neurons_with_knots_far_away_spoil_nothing(tiny, side):
    net = shallow([1, 1, 1], [side, side * tiny, -side * tiny], [0.25, 0.5, -0.75], c0=0.125)
    deeper = SkipNet.of([*net.layers, SkipLayer([[1.0, 1.0]], [[1.0], [-1.0]], [1.0, -1.5], [[1.0]], [0.0])])
    x = np.linspace(-3, 3, 601)
    for each, knots in ((net, [0.25]), (deeper, [0.375, 0.875])):
        f = piecewise_linear(each)
        assert f(x) == pytest.approx(forward(each, x), abs=1e-14)
        where, change = f.visible_knots()
        assert np.sort(side * where) == pytest.approx(knots) and change == pytest.approx([1] * len(knots))


def test_many_pairs_of_knots_and_neurons_are_taken_in_blocks():
    net = SkipNet((1, 2, 1), 1100, seed=0).double()  # 1101 x 1100 > 2^20
    f, x = piecewise_linear(net), np.linspace(-3, 3, 201)
    assert f(x) == pytest.approx(forward(net, x), rel=1e-11, abs=1e-8)


def test_thousands_of_neurons_each_have_their_knot():
    net = SkipNet((1, 1), 10_000, seed=1).double()
    f, layer = piecewise_linear(net, tolerance=1e-15), net.layers[0]
    expected = np.sort((layer.b / layer.W[:, 0]).detach().numpy())
    assert len(f.knots) == 10_000 and f.knots == pytest.approx(expected, rel=1e-12)


def test_a_network_in_single_precision_is_read_where_it_stands():
    nets = SkipNets((1, 2, 1), 16, seeds=(0, 1))
    x = np.linspace(-2, 2, 401)
    f = piecewise_linear(nets[1])
    assert f.knots.dtype == np.float64
    assert f(x) == pytest.approx(forward(nets[1], x), rel=1e-4, abs=1e-4)


def test_evaluation_keeps_the_shape_and_goes_straight_on():
    f = PiecewiseLinear(np.array([0.0, 2.0]), np.array([-1.0, 1.0, 0.0]), (1.0, 5.0))
    assert f([[-1, 0], [1, 9]]).tolist() == [[5, 4], [5, 6]] and f(3).shape == () and f([]).shape == (0,)
    assert f.values.tolist() == [4, 6] and f.changes.tolist() == [2, -1] and f.rtv2 == 3
    assert np.isnan(f([np.nan])).all()
    far = PiecewiseLinear(np.array([-1e12]), np.array([0.0, 1.0]), (0.0, 0.1))
    assert far([-0.3]) == pytest.approx([-0.2], abs=1e-15)  # summed from the anchor, not from the knot


def test_visible_knots_are_counted_together_and_only_where_it_bends():
    knots = np.array([0.0, 0.004, 0.012, 1.0, 2.0, 2.001])
    f = PiecewiseLinear(knots, np.cumsum([0, 1.0, 3, 1, 0.5, 2, -2]), (0.0, 0.0))
    where, change = f.visible_knots(tolerance=0.01, threshold=0.5)
    assert where == pytest.approx([0.003, 0.012]) and change.tolist() == [4, 1]  # 0.5 is not above 0.5; 2 - 2 cancel
    where, change = f.visible_knots(tolerance=1e-6, threshold=0.1)
    assert where.tolist() == knots.tolist() and change == pytest.approx(f.changes)


def test_knots_closer_than_the_tolerance_are_one():
    net = shallow([1, 3], [1, 1], [0.5, 0.5004])
    assert piecewise_linear(net).knots.tolist() == [0.5, 0.5004]
    f = piecewise_linear(net, tolerance=1e-3)
    assert f.knots == pytest.approx([0.5003]) and f.slopes == pytest.approx([0, 4])
    assert f([0, 1]) == pytest.approx(forward(net, np.array([0.0, 1.0])))  # the centre of mass: outside nothing moves


def least_rtv2(x: np.ndarray, y: np.ndarray, candidates: np.ndarray) -> tuple[float, SkipNet]:
    """Linear programme: the cheapest shallow net with free skip through the data, and knots among the candidates."""
    relu = np.maximum(x[:, None] - candidates, 0)
    features = np.hstack([relu, -relu, x[:, None], np.ones((len(x), 1))])
    cost = np.append(np.ones(2 * len(candidates)), [0, 0])
    bounds = [(0, None)] * (2 * len(candidates)) + [(None, None)] * 2
    solved = linprog(cost, A_eq=features, b_eq=y, bounds=bounds, method="highs")
    assert solved.status == 0
    plus, minus = np.split(solved.x[:-2], 2)
    return solved.fun, shallow(plus - minus, np.ones(len(candidates)), candidates, *solved.x[-2:])


@settings(max_examples=40, deadline=None)
@given(points)
def test_no_interpolant_has_less_rtv2_than_the_connecting_spline(data):
    x, y = np.array(data, dtype=np.float64).T
    least, net = least_rtv2(x, y, np.arange(-18, 19) / 2)
    spline = connecting_spline(x, y)
    assert spline.rtv2 == pytest.approx(least, abs=1e-7)
    assert weight_rtv2(net) == pytest.approx(least, abs=1e-7) == piecewise_linear(net).rtv2
    assert piecewise_linear(net)(x) == pytest.approx(y, abs=1e-7)


@settings(max_examples=40, deadline=None)
@given(points)
def test_the_spline_meets_the_data_with_at_most_n_minus_2_knots(data):
    x, y = np.array(data, dtype=np.float64).T
    spline = connecting_spline(x, y)
    assert spline(x) == pytest.approx(y) and len(spline.knots) <= len(x) - 2
    order = np.argsort(x)
    slopes = np.diff(y[order]) / np.diff(x[order])
    bent = np.abs(np.diff(slopes)) > 1e-9
    assert spline.knots.tolist() == x[order][1:-1][bent].tolist()
    assert spline.rtv2 == pytest.approx(np.abs(np.diff(slopes)).sum())
    assert spline(x.min() - 1) == pytest.approx(y[order][0] - slopes[0])


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(WIDTHS), st.integers(1, 20), seeds, st.integers(2, 30))
def test_a_network_bends_at_least_as_much_as_the_spline_through_its_values(widths, n_neurons, seed, n):
    f = piecewise_linear(SkipNet(widths, n_neurons, seed=seed).double())
    x = np.linspace(-2, 2, n)
    assert connecting_spline(x, f(x)).rtv2 <= f.rtv2 * (1 + 1e-9) + 1e-9


def test_points_on_a_line_and_points_given_twice_need_no_knot():
    straight = connecting_spline([0.3, 0.1, 0.2, 0.1], [[1.6], [1.2], [1.4], [1.2]])
    assert len(straight.knots) == 0 and straight.rtv2 == 0 and straight(1.0) == pytest.approx(3)


def finite_net(**changed) -> SkipNet:
    net = SkipNet((1, 1), 3)
    with torch.no_grad():
        for name, value in changed.items():
            getattr(net.layers[0], name)[0] = value
    return net


@pytest.mark.parametrize("who", [piecewise_linear, weight_rtv2])
@pytest.mark.parametrize(
    ("net", "rule"),
    [
        (FullSkipNet(1, (4, 4), 1), "net must be a SkipNet"),
        (None, "net must be a SkipNet"),
        (SkipNet((2, 1), 3), r"net must have one input and one output, got widths \(2, 1\)"),
        (SkipNet((1, 4, 2), 3), r"net must have one input and one output, got widths \(1, 4, 2\)"),
        (finite_net(b=torch.nan), "the weights of net must be finite"),
        (finite_net(V=torch.inf), "the weights of net must be finite"),
    ],
)
def test_networks_that_are_no_function_of_one_input_are_refused(who, net, rule):
    with pytest.raises(NbkitError, match=f"^{who.__name__}: {rule}"):
        who(net)


def test_the_weights_of_a_deep_net_have_no_such_sum():
    with pytest.raises(NbkitError, match="^weight_rtv2: net must have one layer, got 2"):
        weight_rtv2(SkipNet((1, 2, 1), 3))


@pytest.mark.parametrize("tolerance", [0, -1.0, np.nan, "1"])
def test_tolerances_must_be_positive(tolerance):
    with pytest.raises(NbkitError, match="^piecewise_linear: tolerance must be a finite number"):
        piecewise_linear(SkipNet((1, 1), 3), tolerance=tolerance)
    with pytest.raises(NbkitError, match="^visible_knots: threshold must be a finite number"):
        connecting_spline([0, 1], [0, 1]).visible_knots(threshold=tolerance)
    with pytest.raises(NbkitError, match="^visible_knots: tolerance must be a finite number"):
        connecting_spline([0, 1], [0, 1]).visible_knots(tolerance=tolerance)


@pytest.mark.parametrize(
    ("x", "y", "rule"),
    [
        ([0, 1, 1], [0, 1, 2], "y must be one value for each x, got 1 and 2 at x = 1"),
        ([1, 1], [1, 2], "y must be one value for each x"),
        ([1], [1], "x must hold at least two distinct points"),
        ([1, 1], [2, 2], "x must hold at least two distinct points"),
        ([], [], "x must hold at least two distinct points"),
        ([0, 1], [0, np.nan], r"y must be finite real numbers \(n,\) or \(n, 1\)"),
        ([0, np.inf], [0, 1], "x must be finite real numbers"),
        ([[0, 1]], [0, 1], "x must be finite real numbers"),
        (3, 4, "x must be finite real numbers"),
        ([0, 1], [0, 1, 2], "x and y must be of one length, got 2 and 3"),
        ([0, 1e-300], [0, 1e300], "slopes must be finite"),
    ],
)
def test_data_that_no_function_interpolates_are_refused(x, y, rule):
    with pytest.raises(NbkitError, match=f"^connecting_spline: {rule}"):
        connecting_spline(x, y)


def test_a_net_too_large_for_the_memory_is_refused(monkeypatch):
    net = SkipNet((1, 1, 1), 200)
    monkeypatch.setenv("NBKIT_MEMORY", "10KiB")
    with pytest.raises(NbkitError, match="^piecewise_linear: the result must fit into the memory budget"):
        piecewise_linear(net)
