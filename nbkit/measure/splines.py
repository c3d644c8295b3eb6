"""ReLU networks of one input seen as functions: knots, slopes, and how much the slope turns (paper 004)."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from nbkit.device import as_array, check_memory
from nbkit.errors import NbkitError, check_number, show
from nbkit.nets import SkipNet

__all__ = ["PiecewiseLinear", "connecting_spline", "piecewise_linear", "weight_rtv2"]

_ROUNDING = 1e-12  # a change of slope below this share of the slopes that are added up is rounding
_FAR = 1e100  # nothing bends beyond: there W x - b cannot be told from W x
_BLOCK = 2**20  # (point, neuron) pairs looked at together
_NAMES = ("V", "W", "b", "C", "c0")


@dataclass(frozen=True, eq=False)
class PiecewiseLinear:
    """A continuous piecewise linear function R -> R; call it with an array of any shape to evaluate it.

    Attributes:
        knots: where the slope changes, ascending, float64 (m,).
        slopes: the slope left of the first knot, between neighbours, right of the last, float64 (m + 1,).
        anchor: one point (x, f(x)) of the graph.

    Example:
        >>> connecting_spline([0, 1, 2, 3], [0, 0, 1, 0]).slopes
        array([ 0.,  1., -1.])
    """

    knots: np.ndarray
    slopes: np.ndarray
    anchor: tuple[float, float]

    def __call__(self, x: object) -> np.ndarray:
        """f(x), float64 in the shape of x."""
        x = as_array("PiecewiseLinear", "x", x).astype(np.float64)
        points, values, slopes = _anchored(self.knots, self.slopes, *self.anchor)
        piece = np.searchsorted(points, x)
        left, right = np.maximum(piece - 1, 0), np.minimum(piece, len(points) - 1)
        near = np.where(np.abs(x - points[left]) <= np.abs(points[right] - x), left, right)
        return values[near] + slopes[piece] * (x - points[near])

    @property
    def values(self) -> np.ndarray:
        """f at the knots, (m,)."""
        return self(self.knots)

    @property
    def changes(self) -> np.ndarray:
        """By how much the slope changes at each knot, (m,)."""
        return np.diff(self.slopes)

    @property
    def rtv2(self) -> float:
        """RTV^2(f), in one dimension the total variation of the derivative: the sum of |change of slope|."""
        return float(np.abs(self.changes).sum())

    def visible_knots(self, *, tolerance: float = 1e-3, threshold: float = 1e-3) -> tuple[np.ndarray, np.ndarray]:
        """Knots as one would count them by eye: close ones are one, and what hardly bends is none.

        Args:
            tolerance: knots in an interval of this length are one, at the mean weighted by |change|; > 0.
            threshold: the smallest |change of slope| that counts, exclusive; > 0.

        Returns:
            Where they are, ascending (n,), and the change of slope at each (n,).

        Raises:
            NbkitError: a tolerance or threshold that is not positive.
        """
        threshold = check_number("visible_knots", "threshold", threshold, above=0.0)
        tolerance = check_number("visible_knots", "tolerance", tolerance, above=0.0)
        knots, changes = _merged(self.knots, self.changes, tolerance)
        seen = np.abs(changes) > threshold
        return knots[seen], changes[seen]


def piecewise_linear(net: SkipNet, *, tolerance: float = 1e-9) -> PiecewiseLinear:
    """The function that a network of one input and one output computes, with all of its knots.

    Layer by layer: where each neuron crosses zero on each piece of what the layers before compute. Exact up to rounding
    in float64, whatever dtype the network has; knots at which neurons cancel each other are none. A shallow network has
    at most K of them. Theorem 1 says that some best fit to N samples is a network with K <= N d_l neurons a layer; for one
    input and one layer N - 2 are enough, see `connecting_spline`.

    Args:
        net: SkipNet of any depth with widths (1, ..., 1).
        tolerance: knots in an interval of this length are one, at the mean weighted by |change of slope|; > 0.

    Raises:
        NbkitError: another module, more than one input or output, weights that are NaN or infinite, a
            tolerance that is not positive; more knots than fit into the memory budget.

    Source:
        Parhi, Wolf & Nowak 2021, Theorem 1; the knots are exact refinement, ours.

    Example:
        >>> from nbkit.nets import SkipLayer
        >>> net = SkipNet.of([SkipLayer([[1.0, -1.0]], [[1.0], [2.0]], [0.0, 2.0], [[0.0]], [0.0])])
        >>> f = piecewise_linear(net)
        >>> f.knots, f.slopes, f.rtv2
        (array([0., 1.]), array([ 0.,  1., -1.]), 3.0)
    """
    who = "piecewise_linear"
    tolerance = check_number(who, "tolerance", tolerance, above=0.0)
    knots, slopes, at_zero = np.empty(0), np.ones((1, 1)), np.zeros(1)
    for layer in _weights(who, net):
        V, W, _, C, _ = layer
        steepest = np.abs(slopes).max(axis=0)
        knots, slopes, at_zero = _through(who, layer, knots, slopes, at_zero)
        size = np.abs(V) @ (np.abs(W) @ steepest) + np.abs(C) @ steepest  # of what is added up, before it cancels
    return _cleaned(knots, slopes[:, 0], (0.0, float(at_zero[0])), tolerance, size)


def weight_rtv2(net: SkipNet) -> float:
    """sum_k |v_k| |w_k| over the neurons of a shallow network of one input and one output.

    At least RTV^2 of its function; equal to it unless neurons of opposite signs of v share a knot and cancel. At balance,
    |v_k| = |w_k|, the neurons' share of the objective (2), and of weight decay without biases, is twice this.

    Raises:
        NbkitError: another module, more than one layer, input or output, weights that are NaN or infinite.

    Source:
        Parhi, Wolf & Nowak 2021, section 2; Savarese et al. 2019.
    """
    layers = _weights("weight_rtv2", net)
    if len(layers) != 1:
        raise NbkitError(
            f"weight_rtv2: net must have one layer, got {len(layers)}. Of a deeper one take piecewise_linear(net).rtv2."
        )
    V, W, *_ = layers[0]
    return float(np.abs(V[0] * W[:, 0]).sum())


def connecting_spline(x: object, y: object) -> PiecewiseLinear:
    """The linear spline through data, straight on beyond the outermost points: no interpolant has less RTV^2.

    By the mean value theorem the derivative of any interpolant takes, between neighbouring points, values on both sides
    of their secant's slope, so that its total variation is at least that of the secants. Hence the least sum_k |v_k||w_k|
    of a shallow network with a free skip that interpolates N distinct points is `.rtv2`, and at most N - 2 neurons
    suffice for it. The spline need not be the only minimiser, nor the one with fewest knots. Without the skip a function f
    costs max(RTV^2(f), |f'(-inf) + f'(inf)|).

    Args:
        x, y: the data in any order, (n,) or (n, 1); a point may be given twice.

    Returns:
        PiecewiseLinear with knots at those inner x where the slope changes.

    Raises:
        NbkitError: other shapes, NaN or infinite numbers, fewer than two distinct x, one x with two y, x so close that
            a slope overflows.

    Source:
        Savarese et al. 2019; Parhi & Nowak 2020: Theorem 1 of paper 004 for one input, one output and one layer.
    """
    who = "connecting_spline"
    x, y = _column(who, "x", x), _column(who, "y", y)
    if len(x) != len(y):
        raise NbkitError(f"{who}: x and y must be of one length, got {len(x)} and {len(y)}. Give each x its y.")
    x, y = np.unique(np.stack([x, y]), axis=1)
    if len(x) == 0 or x[0] == x[-1] and y[0] == y[-1]:
        raise NbkitError(f"{who}: x must hold at least two distinct points, got {show(x)}. Add another one.")
    if (twice := np.flatnonzero(np.diff(x) == 0)).size:
        pair = y[twice[0]], y[twice[0] + 1]
        raise NbkitError(
            f"{who}: y must be one value for each x, got {pair[0]:g} and {pair[1]:g} at x = {x[twice[0]]:g}. Drop one."
        )
    with np.errstate(over="ignore"):
        slopes = np.diff(y) / np.diff(x)
    if not np.isfinite(slopes).all():
        raise NbkitError(f"{who}: slopes must be finite, got infinity between two x. Scale x up or y down.")
    return _cleaned(x[1:-1], slopes, (float(x[0]), float(y[0])), 0.0, np.abs(slopes).max())


def _through(
    who: str, layer: list[np.ndarray], knots: np.ndarray, slopes: np.ndarray, at_zero: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Knots (m,), slopes (m + 1, d_in) and value at 0 (d_in,) of the nodes before a layer -> of those behind it."""
    V, W, b, C, c0 = layer
    points, values, slopes = _anchored(knots, slopes, 0.0, at_zero)
    check_memory(who, 64 * len(points) * (len(V) + W.shape[1]), lower="n_neurons or the depth")
    first, changes = C @ slopes[0], np.diff(slopes, axis=0) @ C.T
    new_knots, new_changes = [points], []
    step = max(1, _BLOCK // len(points))
    for start in range(0, len(W), step):
        some = slice(start, start + step)
        h, s = values @ W[some].T - b[some], slopes @ W[some].T
        left_end, bends, crossings, neurons, turns = _relu_bends(points, h, s)
        first = first + V[:, some] @ left_end
        changes += bends @ V[:, some].T
        new_knots.append(crossings)
        new_changes.append(turns[:, None] * V[:, some].T[neurons])
    knots, changes = np.concatenate(new_knots), np.concatenate([changes, *new_changes])
    order = np.argsort(knots, kind="stable")
    slopes = first + np.concatenate([np.zeros((1, len(V))), np.cumsum(changes[order], axis=0)])
    return knots[order], slopes, V @ np.maximum(W @ at_zero - b, 0) + C @ at_zero + c0


def _relu_bends(points: np.ndarray, h: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, ...]:
    """How relu turns K piecewise linear functions, h at m points and slopes s on m + 1 pieces, one a column.

    The state of a neuron on a piece is read off the signs at its two ends alone, so that rounding cannot make the
    changes of slope disagree with each other.

    Returns:
        The slopes at -inf (K,); changes at the points (m, K); where the crossings are (n,), of which column (n,), and
        the change of slope there (n,).
    """
    sign = np.sign(np.concatenate([-s[:1], h, s[-1:]]))
    here = sign[1:-1]
    before = (here > 0) | ((here == 0) & (sign[:-2] > 0))
    after = (here > 0) | ((here == 0) & (sign[2:] > 0))
    piece, column = np.nonzero(sign[:-1] * sign[1:] < 0)
    left, right = np.maximum(piece - 1, 0), np.minimum(piece, len(points) - 1)
    near = np.where(np.abs(h[left, column]) <= np.abs(h[right, column]), left, right)
    slope = s[piece, column]
    with np.errstate(divide="ignore", over="ignore"):
        crossing = points[near] - h[near, column] / slope
    turn = sign[piece + 1, column] * slope
    kept = np.abs(crossing) < _FAR
    return (sign[0] > 0) * s[0], after * s[1:] - before * s[:-1], crossing[kept], column[kept], turn[kept]


def _anchored(
    knots: np.ndarray, slopes: np.ndarray, x0: float, y0: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Knots and anchor as points (m + 1,), the values there, and the slopes around them (m + 2, ...).

    Summed outward from the anchor: the rounding of knots far away, where dead neurons have theirs, stays far away.
    """
    place = int(np.searchsorted(knots, x0))
    points, slopes = np.insert(knots, place, x0), np.insert(slopes, place, slopes[place], axis=0)
    rises = (slopes[1:-1].T * np.diff(points)).T
    below, above = -np.cumsum(rises[:place][::-1], axis=0)[::-1], np.cumsum(rises[place:], axis=0)
    return points, np.concatenate([below, np.zeros_like(slopes[:1]), above]) + y0, slopes


def _cleaned(
    knots: np.ndarray, slopes: np.ndarray, anchor: tuple[float, float], tolerance: float, size: float
) -> PiecewiseLinear:
    knots, changes = _merged(knots, np.diff(slopes), tolerance)
    real = np.abs(changes) > _ROUNDING * size
    return PiecewiseLinear(knots[real], slopes[0] + np.append(0.0, np.cumsum(changes[real])), anchor)


def _merged(knots: np.ndarray, changes: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """From the left, all knots within the tolerance of the first of them become one."""
    if not (np.diff(knots) <= tolerance).any():
        return knots, changes
    starts, listed, place = [], knots.tolist(), 0
    while place < len(listed):
        starts.append(place)
        place = bisect_right(listed, listed[place] + tolerance, place + 1)
    firsts = np.repeat(knots[starts], np.diff([*starts, len(knots)]))
    weights = np.add.reduceat(np.abs(changes), starts)
    moments = np.add.reduceat(np.abs(changes) * (knots - firsts), starts)
    shifts = np.divide(moments, weights, out=np.zeros_like(moments), where=weights > 0)
    return knots[starts] + shifts, np.add.reduceat(changes, starts)


def _weights(who: str, net: SkipNet) -> list[list[np.ndarray]]:
    if not isinstance(net, SkipNet):
        raise NbkitError(f"{who}: net must be a SkipNet, got {show(net)}. Use SkipNet((1, 1), 64), or one of SkipNets.")
    if net.widths[0] != 1 or net.widths[-1] != 1:
        raise NbkitError(
            f"{who}: net must have one input and one output, got widths {net.widths}. Use widths (1, ..., 1)."
        )
    layers = [[as_array(who, name, getattr(layer, name)).astype(np.float64) for name in _NAMES] for layer in net.layers]
    if not all(np.isfinite(weights).all() for layer in layers for weights in layer):
        raise NbkitError(f"{who}: the weights of net must be finite, got NaN or infinity. Lower the learning rate.")
    return layers


def _column(who: str, name: str, values: object) -> np.ndarray:
    array = as_array(who, name, values)
    if array.ndim not in (1, 2) or array.size != len(array) or array.dtype.kind == "c" or not np.isfinite(array).all():
        raise NbkitError(
            f"{who}: {name} must be finite real numbers (n,) or (n, 1), got {show(values)}. Give one a point."
        )
    return array.reshape(-1).astype(np.float64)
