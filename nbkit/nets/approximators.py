"""Radial networks that approximate: the explicit weights of both universal approximation theorems (radial networks)."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.spatial import cKDTree

from nbkit.device import check_memory
from nbkit.errors import NbkitError, check_number, show
from nbkit.nets.covers import check_balls, check_finite
from nbkit.nets.radial import RadialNet, n_radial_parameters

__all__ = ["approximate_affine", "approximate_bounded", "capture"]

_SAME = 1e-9  # of the largest |value - L(0)|: values that agree to this count as one


def approximate_affine(
    centers: object, radii: object, values: object, *, linear: tuple[object, object] | None = None
) -> RadialNet:
    """The Step-ReLU network of Theorem 3: the value of the first ball that holds x, else L(x) = A x + b.

    Hidden layer i swallows ball i: what lies in it moves to c_i + e_i, everything else stays, and what was swallowed
    is at least 1 away from every later centre. So |F - f| < eps on R^n wherever the values are f(c_i), |f - L| < eps
    outside the balls and |f(x) - f(c_i)| < eps on each WHOLE ball (`ball_condition`), its part outside K included: the
    paper asks it of the part inside K only, which leaves an error of up to 3 eps + r |A|. None of these is checked.
    Within rounding of a sphere the network and `capture` may disagree.

    Args:
        centers: (N, n), or (N,) for n = 1. They may coincide.
        radii: of the open balls, one number or (N,), in (0, 1), at least 1e-7.
        values: (N, m), or (N,) for m = 1.
        linear: (A, b) of shapes (m, n) and (m,); default zeros. With it N = 0 is allowed: L alone.

    Returns:
        RadialNet of widths (n, n + 1, ..., n + N, m), in float64.

    Raises:
        NbkitError: shapes that do not fit each other, NaN, radii outside (0, 1), no balls and no linear; more than fits
            the memory budget (N^3 / 3 weights).

    Source:
        Radial networks, Theorem 3 and its footnote; "N layers" there means N hidden layers.

    Example:
        >>> net = approximate_affine([0, 1], 0.6, [5, -3], linear=([[2]], [1]))
        >>> net.widths, [round(y, 9) for y in net(torch.tensor([[0.0], [0.7], [2.0]]).double()).flatten().tolist()]
        ((1, 2, 3, 1), [5.0, -3.0, 5.0])
    """
    who = "approximate_affine"
    centers, radii, values, (matrix, offset) = _check_task(who, centers, radii, values, linear)
    n_balls, n = centers.shape
    widths = (n, *range(n + 1, n + n_balls + 1), len(offset))
    check_memory(who, 16 * n_radial_parameters(widths), lower="the number of balls, or use approximate_bounded")
    heights = _heights(radii)
    weights, biases = [], []
    back, shift = torch.eye(n, dtype=torch.float64), centers.new_zeros(n)  # S_0; S_i z = back z + shift
    for i, (center, height) in enumerate(zip(centers, heights, strict=True)):
        weights.append(torch.nn.functional.pad(back, (0, 0, 0, 1)))
        biases.append(torch.cat([shift[:n] - center, shift[n:], height[None]]))
        back = torch.eye(n + i + 1, dtype=torch.float64)
        back[-1, -1] = -1 / height
        shift = torch.cat([center, centers.new_zeros(i), centers.new_ones(1)])
    readout = torch.column_stack([matrix, (values - centers @ matrix.T - offset).T])
    return RadialNet.of([*weights, readout @ back], [*biases, readout @ shift + offset], "step_relu")


def approximate_bounded(
    centers: object,
    radii: object,
    values: object,
    *,
    linear: tuple[object, object] | None = None,
    compact: bool = False,
    scale: float | None = None,
) -> RadialNet:
    """The Step-ReLU network of Theorem 4: the function of `approximate_affine` with every hidden layer n + m + 1 wide.

    Points are (x, y, t): layer i moves what lies in ball i from (x, 0, 0) to (0, y_i, 1), y_i = (value_i - L(0)) / s,
    and different y_i are at least 1 apart, so that no ball swallows again. Values that agree to 1e-9 of the largest
    |value - L(0)| count as equal, are given as one of them and may swallow each other. With `compact` x and y share
    their coordinates: hidden layers are max(n, m) + 1 wide, and outside all balls the network means nothing.

    Args:
        centers, radii, values: as in `approximate_affine`.
        linear: (A, b) of shapes (m, n) and (m,); default zeros. With it N = 0 is allowed. Not with `compact`.
        compact: only points inside the balls matter.
        scale: s > 0, at most the least distance between different values; default half of it. Any s > 0 where all
            values agree. At the least distance itself rounding decides; a small s makes spheres less sharp.

    Returns:
        RadialNet with N hidden layers, in float64.

    Raises:
        NbkitError: as `approximate_affine`; a scale above the least distance or below rounding; linear with compact.

    Source:
        Radial networks, Theorem 4 and section 4.2. The paper's proof is not printed; further claims of section 4.2
        (max(n, m) with more layers) have no construction.

    Example:
        >>> approximate_bounded([0, 1], 0.6, [5, -3], linear=([[2]], [1])).widths
        (1, 3, 3, 1)
        >>> approximate_bounded([0, 1], 0.6, [5, -3], compact=True).widths
        (1, 2, 2, 1)
    """
    who = "approximate_bounded"
    if not isinstance(compact, (bool, np.bool_)):
        raise NbkitError(f"{who}: compact must be True or False, got {show(compact)}. Use one of the two.")
    if compact and linear is not None:
        raise NbkitError(f"{who}: linear must be None with compact=True, got {show(linear)}. Leave one of them out.")
    centers, radii, values, (matrix, offset) = _check_task(who, centers, radii, values, linear)
    (n_balls, n), m = centers.shape, len(offset)
    if not n_balls:
        return RadialNet.of([matrix], [offset], "step_relu")
    width = max(n, m) if compact else n + m
    check_memory(who, 16 * n_balls * (width + 1) * (width + 2), lower="the number of balls")
    offset = values[0] if compact else offset
    scale, images = _images(who, values - offset, scale)
    starts = torch.nn.functional.pad(centers, (0, width - n))
    images = torch.nn.functional.pad(images, (0, width - m) if compact else (n, 0))
    readout = scale * torch.eye(m, width, dtype=torch.float64)
    if not compact:
        readout = torch.column_stack([matrix, scale * torch.eye(m, dtype=torch.float64)])
    return _bounded(starts, images, _heights(radii), n, readout, offset)


def capture(centers: object, radii: object, x: object) -> torch.Tensor:
    """The first ball that holds each point: |x - c_i| < r_i.

    Args:
        centers, radii: as in `approximate_affine`.
        x: (batch, n), or (batch,) for n = 1.

    Returns:
        int64 (batch,), on the CPU: the ball's index from 0, or -1 where no ball holds the point.

    Raises:
        NbkitError: shapes that do not fit each other, NaN, radii outside (0, 1), more than the memory budget.

    Example:
        >>> capture([0, 1], 0.6, [0, 0.55, 0.7, 1.6, -1])
        tensor([ 0,  0,  1, -1, -1])
    """
    points = check_finite("capture", "x", x)
    points = points[:, None] if points.ndim == 1 else points
    if points.ndim != 2:
        raise NbkitError(f"capture: x must be (batch, n), got shape {tuple(points.shape)}. One row a point.")
    centers, radii = check_balls("capture", centers, radii, dim=points.shape[1])
    check_memory("capture", 10 * len(points) * len(centers), lower="the number of points")
    distances = torch.cdist(points, centers, compute_mode="donot_use_mm_for_euclid_dist")  # the other one rounds more
    outside = torch.ones(len(points), 1, dtype=torch.bool)
    first = torch.cat([distances < radii, outside], dim=1).to(torch.uint8).argmax(dim=1)
    return torch.where(first == len(centers), -1, first)


def _check_task(
    who: str, centers: object, radii: object, values: object, linear: tuple[object, object] | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Centres (N, n), radii (N,), values (N, m), (A, b), all float64 and of sizes that fit."""
    matrix, offset = (None, None) if linear is None else _check_linear(who, linear)
    centers, radii = check_balls(who, centers, radii, dim=None if linear is None else matrix.shape[1])
    if linear is None and not len(centers):
        raise NbkitError(f"{who}: centers must hold a ball where there is no linear, got none. Give linear=(A, b).")
    values = check_finite(who, "values", values)
    values = values[:, None] if values.ndim == 1 else values
    m = None if linear is None else len(offset)
    if m is not None and values.shape[:1] == (0,):
        values = values.new_zeros(0, m)
    if values.ndim != 2 or len(values) != len(centers) or m not in (None, values.shape[1]) or not values.shape[1]:
        raise NbkitError(
            f"{who}: values must be ({len(centers)}, {m or 'm'}), got shape {tuple(values.shape)}. "
            "One row a ball, or (N,) for m = 1."
        )
    if linear is None:
        matrix, offset = values.new_zeros(values.shape[1], centers.shape[1]), values.new_zeros(values.shape[1])
    return centers, radii, values, (matrix, offset)


def _check_linear(who: str, linear: tuple[object, object]) -> tuple[torch.Tensor, torch.Tensor]:
    try:
        matrix, offset = linear
    except (TypeError, ValueError):
        raise NbkitError(
            f"{who}: linear must be a pair (A, b), got {show(linear)}. Write it as ([[2]], [1])."
        ) from None
    matrix, offset = check_finite(who, "A of linear", matrix), check_finite(who, "b of linear", offset)
    if matrix.ndim != 2 or not matrix.numel() or offset.shape != matrix.shape[:1]:
        raise NbkitError(
            f"{who}: linear must be (A, b) of shapes (m, n) and (m,), got {tuple(matrix.shape)} and {tuple(offset.shape)}. "
            "A has a row for each output."
        )
    return matrix, offset


def _heights(radii: torch.Tensor) -> torch.Tensor:
    """h = sqrt(1 - r^2), without losing digits near r = 1."""
    return ((1 - radii) * (1 + radii)).sqrt()


def _images(who: str, values: torch.Tensor, scale: float | None) -> tuple[float, torch.Tensor]:
    """s and y_i = values_i / s, different ones at least 1 apart; values that differ by rounding only become one."""
    largest = values.abs().max().item() or 1.0
    images = (values / largest).numpy()
    tree, chosen, is_open = cKDTree(images), [], np.ones(len(images), dtype=bool)
    images = images.copy()
    for i, image in enumerate(tree.data):
        if is_open[i]:
            near = np.array(tree.query_ball_point(image, _SAME))
            near = near[is_open[near]]
            images[near], is_open[near] = image, False
            chosen.append(i)
    gap = math.inf
    if len(chosen) > 1:
        gap = largest * float(cKDTree(images[chosen]).query(images[chosen], k=2)[0][:, 1].min())
    if scale is None:
        scale = gap / 2 if len(chosen) > 1 else largest
    scale = check_number(who, "scale", scale, above=0)
    smallest = _SAME * largest / 2 if len(chosen) > 1 else 0.0
    if not smallest <= scale <= gap:
        raise NbkitError(
            f"{who}: scale must be in [{smallest:.3g}, {gap:.9g}], got {scale:g}: above, the least distance between "
            "different values, balls swallow each other's points; below, rounding hides them. Leave it None."
        )
    return scale, torch.from_numpy(images) * (largest / scale)


def _bounded(
    starts: torch.Tensor,
    images: torch.Tensor,
    heights: torch.Tensor,
    n: int,
    readout: torch.Tensor,
    offset: torch.Tensor,
) -> RadialNet:
    """T_i(z, t) = (z - (1 - t) c_i - t y_i, (1 - t) h_i) behind the inverse of the one before, for each ball.

    In u = 1 - t = t' / h_(i-1) that is z' + u (c_(i-1) - c_i) + (1 - u) (y_(i-1) - y_i) and u h_i: no product of
    matrices, whose rounding would pile up.
    """
    width = readout.shape[1]
    weights = [torch.eye(width + 1, n, dtype=torch.float64)]
    biases = [torch.cat([-starts[0], heights[:1]])]
    moves, turns = -starts.diff(dim=0), -images.diff(dim=0)
    for i, (move, turn) in enumerate(zip(moves, turns, strict=True)):
        weight = torch.eye(width + 1, dtype=torch.float64)
        weight[:, -1] = torch.cat([move - turn, heights[i + 1, None]]) / heights[i]
        weights.append(weight)
        biases.append(torch.nn.functional.pad(turn, (0, 1)))
    last = readout @ ((starts[-1] - images[-1]) / heights[-1])
    weights.append(torch.column_stack([readout, last]))
    return RadialNet.of(weights, [*biases, readout @ images[-1] + offset], "step_relu")
