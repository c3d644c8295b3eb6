"""Balls that cover a box, and what a function does on them: what the approximation theorems of radial networks ask."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import nn

from nbkit.device import as_tensor, check_memory, random_generator
from nbkit.errors import NbkitError, check_integer, check_number, show

__all__ = ["BallCondition", "Cover", "ball_condition", "balls_needed", "cover_box", "grid_error"]

SMALLEST_RADIUS = 1e-7
"""A network sees |x - c|^2 beside 1, so that float64 tells no smaller ball from nothing."""
LARGEST_RADIUS = 0.99
"""Of a cover; the theorems ask for r < 1, and 1 / sqrt(1 - r^2) is a weight."""

_MARGIN = 1e-6  # by which half a cell's diagonal stays below r, so that rounding leaves no corner bare
_BATCH = 4096  # points that a network sees at once


@dataclass(frozen=True)
class Cover:
    """Open balls whose union holds a closed box.

    Attributes:
        centers: float64 (N, n), the last coordinate runs first.
        radii: float64 (N,), all equal.
    """

    centers: torch.Tensor
    radii: torch.Tensor


@dataclass(frozen=True)
class BallCondition:
    """What `ball_condition` found.

    Attributes:
        largest: float64 (N,), the largest |f(x) - f(c_i)| among the points of each ball.
        holds: whether all are below eps.
    """

    largest: torch.Tensor
    holds: bool


def cover_box(low: object, high: object, *, lipschitz: float, eps: float, max_balls: int = 10_000) -> Cover:
    """A grid of equal open balls that cover the closed box, small enough for Theorems 3 and 4.

    Their radius is r = eps / lipschitz, at most 0.99: so |f(x) - f(c)| < eps on each WHOLE ball, its part outside the
    box included, for every f of that Lipschitz constant there (not checked; `ball_condition` looks). Half the diagonal
    of a cell is below r by a millionth at least.

    Args:
        low, high: opposite corners, numbers or (n,), low < high.
        lipschitz: constant of f, >= 0; 0 is a constant function.
        eps: > 0.
        max_balls: the most that are made; each is a layer of the network.

    Raises:
        NbkitError: corners that are no box, a negative Lipschitz constant, eps that is not positive or below
            1e-7 lipschitz, more balls than max_balls (the message says how many).

    Source:
        Radial networks, section 4.1. Its footnote's count ceil(R sqrt(n) / (2 eps))^n fails where the ratio is an
        integer, for the balls are open, and forgets that r < 1.

    Example:
        >>> cover_box(0, 1, lipschitz=1, eps=0.25).centers.flatten()
        tensor([0.1667, 0.5000, 0.8333], dtype=torch.float64)
    """
    low, high, radius = _check_cover("cover_box", low, high, lipschitz, eps)
    cells = _cells(low, high, radius)
    n_balls = math.prod(cells)
    budget = check_integer("cover_box", "max_balls", max_balls, at_least=1)
    if n_balls > budget:
        needed = f"{n_balls:,}" if n_balls < 10**15 else f"about 10^{math.floor(math.log10(n_balls))}"
        raise NbkitError(
            f"cover_box: max_balls must be at least {needed} for balls of radius {radius:.3g}, got {budget:,}. "
            "Raise it, or eps, or take a smaller box."
        )
    check_memory("cover_box", 24 * n_balls * len(cells), lower="max_balls")
    axes = [
        start + (torch.arange(k, dtype=torch.float64) + 0.5) / k * (end - start)
        for start, end, k in zip(low, high, cells, strict=True)
    ]
    centers = torch.cartesian_prod(*axes).reshape(-1, len(cells))
    return Cover(centers, torch.full((n_balls,), radius, dtype=torch.float64))


def balls_needed(low: object, high: object, *, lipschitz: float, eps: float) -> int:
    """How many balls `cover_box` takes for the same arguments, without making them.

    Raises:
        NbkitError: as `cover_box`, but for the budget.

    Example:
        >>> balls_needed(0, 1, lipschitz=1, eps=0.25), balls_needed((0, 0, 0), (1, 1, 1), lipschitz=1, eps=0.25)
        (3, 48)
    """
    return math.prod(_cells(*_check_cover("balls_needed", low, high, lipschitz, eps)))


def ball_condition(
    f: Callable[[torch.Tensor], object],
    centers: object,
    radii: object,
    eps: float,
    *,
    n_points: int = 500,
    seed: int | np.random.Generator | None = 0,
) -> BallCondition:
    """Whether |f(x) - f(c)| < eps on the whole of each ball, as Theorems 3 and 4 need: on points, so found, not proved.

    Args:
        f: float64 (batch, n) -> (batch, m) or (batch,).
        centers, radii: as in `approximate_affine`.
        eps: > 0.
        n_points: in each ball, half of them spread in it and half just inside its sphere.
        seed: of the points, the same ones in every ball.

    Raises:
        NbkitError: balls that `approximate_affine` refuses, values of f that do not fit, more than the memory budget.

    Source:
        Radial networks, section 4.1, which asks this of the part of the ball inside K only: too little (see
        `approximate_affine`).

    Example:
        >>> ball_condition(lambda x: 100 * x, [0], 0.9, 1).largest
        tensor([89.9999], dtype=torch.float64)
    """
    centers, radii = check_balls("ball_condition", centers, radii)
    eps = check_number("ball_condition", "eps", eps, above=0)
    n_points = check_integer("ball_condition", "n_points", n_points, at_least=2)
    n_balls, n = centers.shape
    check_memory("ball_condition", 24 * n_balls * n_points * n, lower="n_points")
    generator = random_generator(seed, who="ball_condition")
    offsets = generator.standard_normal((n_points, n))
    lengths = np.where(np.arange(n_points) % 2, generator.random(n_points) ** (1 / n), 1 - _MARGIN)
    offsets = torch.from_numpy(offsets * (lengths / np.linalg.norm(offsets, axis=1))[:, None])
    points = centers[:, None] + radii[:, None, None] * offsets
    values = _values("ball_condition", f, points.reshape(-1, n)).unflatten(0, (n_balls, n_points))
    middles = _values("ball_condition", f, centers)
    largest = torch.linalg.vector_norm(values - middles[:, None], dim=-1).amax(dim=1)
    return BallCondition(largest, bool((largest < eps).all()))


def grid_error(
    net: nn.Module, f: Callable[[torch.Tensor], object], low: object, high: object, n_points: int = 1001
) -> float:
    """The largest |F(x) - f(x)| on a grid over a box, corners included; f in float64, F in the net's own dtype.

    Args:
        net: (batch, n) -> (batch, m), such as a RadialNet.
        f: float64 (batch, n) -> (batch, m) or (batch,).
        low, high: opposite corners, numbers or (n,), low < high.
        n_points: along each axis, >= 2.

    Raises:
        NbkitError: corners that are no box, values of f that do not fit the net's, more than the memory budget.

    Example:
        >>> from nbkit.nets import approximate_affine
        >>> cover = cover_box(0, 1, lipschitz=1, eps=0.25)
        >>> net = approximate_affine(cover.centers, cover.radii, cover.centers)
        >>> 0.2 < grid_error(net, lambda x: x, 0, 1) < 0.25
        True
    """
    who = "grid_error"
    if not isinstance(net, nn.Module):
        raise NbkitError(f"{who}: net must be a torch module, got {show(net)}. Use approximate_affine(...).")
    low, high = _check_box(who, low, high)
    n_points = check_integer(who, "n_points", n_points, at_least=2)
    check_memory(who, 24 * len(low) * n_points ** len(low), lower="n_points")
    axes = [torch.linspace(start, end, n_points, dtype=torch.float64) for start, end in zip(low, high, strict=True)]
    points = torch.cartesian_prod(*axes).reshape(-1, len(axes))
    like = next(net.parameters(), points)
    try:
        with torch.no_grad():
            outputs = torch.cat([net(batch.to(like)).cpu().double() for batch in points.split(_BATCH)])
    except RuntimeError as error:
        raise NbkitError(
            f"{who}: net must take (batch, {len(axes)}), got {error}. Give corners that it takes."
        ) from None
    values = _values(who, f, points)
    if outputs.shape != values.shape:
        raise NbkitError(
            f"{who}: f must give (batch, {outputs.shape[-1]}) as the net does, got (batch, {values.shape[1]}). "
            "Compare a net with the function it is made for."
        )
    return torch.linalg.vector_norm(outputs - values, dim=1).max().item()


def check_balls(
    who: str, centers: object, radii: object, *, dim: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres (N, n) and radii (N,) in float64; n = dim where it is given.

    Raises:
        NbkitError: other shapes, NaN, radii outside (0, 1) or below SMALLEST_RADIUS.
    """
    centers = check_finite(who, "centers", centers)
    centers = centers[:, None] if centers.ndim == 1 else centers
    if centers.ndim == 2 and not len(centers) and dim is not None:
        centers = centers.new_zeros(0, dim)
    if centers.ndim != 2 or not centers.shape[1] or dim not in (None, centers.shape[1]):
        raise NbkitError(
            f"{who}: centers must be (N, {dim or 'n'}), got shape {tuple(centers.shape)}. "
            "One row a ball, or (N,) for n = 1."
        )
    radii = check_finite(who, "radii", radii)
    if radii.ndim and radii.shape != centers.shape[:1]:
        raise NbkitError(
            f"{who}: radii must be one number or one for each of {len(centers)} balls, got shape {tuple(radii.shape)}. "
            "Give as many as centers."
        )
    is_bad = (radii < SMALLEST_RADIUS) | (radii >= 1)
    if is_bad.any():
        raise NbkitError(
            f"{who}: radii must lie in (0, 1), and rounding hides any below {SMALLEST_RADIUS:g}, "
            f"got {radii[is_bad].flatten()[0]:g}. Scale x, or use more and smaller balls."
        )
    return centers, radii.expand(len(centers))


def check_finite(who: str, name: str, given: object) -> torch.Tensor:
    """The numbers as a float64 tensor on the CPU.

    Raises:
        NbkitError: no array of numbers, NaN, infinite or complex ones.
    """
    values = as_tensor(who, name, given)
    if values.is_complex() or not values.isfinite().all():
        raise NbkitError(f"{who}: {name} must be finite real numbers, got NaN, infinite or complex ones. Check it.")
    return values.to("cpu", torch.float64)


def _check_cover(
    who: str, low: object, high: object, lipschitz: float, eps: float
) -> tuple[list[float], list[float], float]:
    """The corners and the radius."""
    low, high = _check_box(who, low, high)
    eps = check_number(who, "eps", eps, above=0)
    lipschitz = check_number(who, "lipschitz", lipschitz)
    if lipschitz < 0:
        raise NbkitError(f"{who}: lipschitz must be at least 0, got {lipschitz:g}. Use 0 for a constant function.")
    radius = eps / lipschitz if eps < LARGEST_RADIUS * lipschitz else LARGEST_RADIUS
    if radius < SMALLEST_RADIUS:
        raise NbkitError(
            f"{who}: eps must be at least {SMALLEST_RADIUS:g} lipschitz = {SMALLEST_RADIUS * lipschitz:.3g}, got {eps:g}: "
            "rounding hides smaller balls. Scale x."
        )
    return low, high, radius


def _check_box(who: str, low: object, high: object) -> tuple[list[float], list[float]]:
    low, high = check_finite(who, "low", low), check_finite(who, "high", high)
    shapes = {tuple(corner.shape) for corner in (low, high) if corner.ndim}
    if len(shapes) > 1 or any(len(shape) != 1 or not shape[0] for shape in shapes):
        raise NbkitError(
            f"{who}: low and high must be numbers or two lists of one length, got shapes {tuple(low.shape)} and "
            f"{tuple(high.shape)}. Write them as (0, 0), (1, 1)."
        )
    low, high = torch.broadcast_tensors(torch.atleast_1d(low), torch.atleast_1d(high))
    if not (low < high).all():
        raise NbkitError(
            f"{who}: low must be below high in every coordinate, got {show(low.tolist())} and {show(high.tolist())}. "
            "Swap them."
        )
    return low.tolist(), high.tolist()


def _cells(low: list[float], high: list[float], radius: float) -> list[int]:
    """Cells along each axis, so that half a cell's diagonal is below the radius.

    A narrow axis does not use up its share of the diagonal: the others, taken after it, get the rest.
    """
    cells = [0] * len(low)
    widths = [Fraction(end) - Fraction(start) for start, end in zip(low, high, strict=True)]
    left = (2 * radius * (1 - _MARGIN)) ** 2
    order = sorted(range(len(widths)), key=widths.__getitem__)
    for n_left, axis in zip(range(len(order), 0, -1), order, strict=True):
        cells[axis] = math.floor(widths[axis] / Fraction(math.sqrt(left / n_left))) + 1
        left -= float(widths[axis] / cells[axis]) ** 2
    return cells


def _values(who: str, f: Callable[[torch.Tensor], object], points: torch.Tensor) -> torch.Tensor:
    """(batch, m) in float64."""
    if not callable(f):
        raise NbkitError(f"{who}: f must be a function x (batch, n) -> (batch, m), got {show(f)}. Use lambda x: x * x.")
    values = check_finite(who, "f(x)", f(points))
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or len(values) != len(points):
        raise NbkitError(
            f"{who}: f(x) must be (batch, m), got shape {tuple(values.shape)} for x of shape {tuple(points.shape)}. "
            "f takes a row for each point."
        )
    return values
