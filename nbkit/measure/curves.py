"""Curves t in [0, 1] -> points (n, dim), whose length is known in closed form: lines, semicircular arcs, circles."""

import math
from collections.abc import Callable

import numpy as np
import torch

from nbkit.device import as_array, random_generator
from nbkit.errors import NbkitError, check_integer, check_number, show

__all__ = ["Trajectory", "arc", "as_trajectory", "circle", "line"]

_LARGEST = 1e150  # of a coordinate: squares of larger ones overflow


class Trajectory:
    """A curve x(t), the paper's one-dimensional trajectory: call it with t (n,) in [0, 1] to get points (n, dim).

    Args:
        place: t (n,) float64 tensor -> points (n, dim) float64 tensor.
        velocity: its derivative by t, t (n,) -> (n, dim); default: forward-mode differentiation of `place`.
        length: arc length, or None where there is no closed form.

    Raises:
        NbkitError: t outside [0, 1], points of the wrong dimension or not finite.
    """

    def __init__(
        self,
        place: Callable[[torch.Tensor], torch.Tensor],
        velocity: Callable[[torch.Tensor], torch.Tensor] | None = None,
        *,
        length: float | None = None,
    ) -> None:
        for name, function in (("place", place), ("velocity", velocity)):
            if not callable(function) and (name == "place" or function is not None):
                raise NbkitError(
                    f"Trajectory: {name} must be a function t (n,) -> (n, dim), got {show(function)}. Use line(x0, x1)."
                )
        self._place, self._velocity, self.length = place, velocity, length
        self.dim = self(torch.tensor([0.0, 1.0])).shape[1]

    def __call__(self, t: object) -> torch.Tensor:
        return _check_points(self._place(t := _check_times(t)), len(t))

    def derivative(self, t: object) -> torch.Tensor:
        """The velocity dx/dt (n, dim) at t (n,)."""
        t = _check_times(t)
        if self._velocity is not None:
            return _check_points(self._velocity(t), len(t))
        try:
            return _check_points(torch.func.jvp(self._place, (t,), (torch.ones_like(t),))[1], len(t))
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, NbkitError):
                raise
            raise NbkitError(
                f"curve: it must be written in torch for its tangents, got {type(error).__name__}: {error}. "
                "Use torch functions, or method='chords'."
            ) from None


def as_trajectory(who: str, curve: object) -> Trajectory:
    """The curve itself, or a Trajectory around any callable t -> points.

    Raises:
        NbkitError: nothing that can be called, or what its points are refused for.
    """
    if isinstance(curve, Trajectory):
        return curve
    if not callable(curve):
        raise NbkitError(f"{who}: curve must be a function t -> points (n, dim), got {show(curve)}. Use line(x0, x1).")
    return Trajectory(curve)


def line(x0: object, x1: object) -> Trajectory:
    """The straight line from x0 to x1, at constant speed.

    Args:
        x0, x1: (dim,) finite, of one dimension.

    Raises:
        NbkitError: points that are not vectors of one dimension, or not finite.
    """
    x0, x1 = _ends("line", x0, x1)
    step = x1 - x0
    return Trajectory(
        lambda t: x0 + t[:, None] * step,
        lambda t: step.expand(len(t), -1),
        length=float(torch.linalg.vector_norm(step)),
    )


def arc(x0: object, x1: object, *, n_planes: int, seed: int | np.random.Generator | None = 0) -> Trajectory:
    """The line from x0 to x1 bent to a semicircle in n_planes randomly chosen, disjoint coordinate planes.

    End points are kept and the speed is constant. Of length sqrt(pi^2 / 4 * (sum of squared differences in the chosen
    coordinates) + (sum of those in the others)).

    Args:
        x0, x1: (dim,) finite.
        n_planes: 0..dim // 2.
        seed: of the choice of planes.

    Raises:
        NbkitError: points as `line` refuses them, more planes than fit.

    Source:
        Price & Tanner 2019, Fig. 5 c, d; the paper's "semi-circular arc in 100 randomly chosen hyperplanes" is read as
        100 planes of two coordinates.
    """
    x0, x1 = _ends("arc", x0, x1)
    n_planes = check_integer("arc", "n_planes", n_planes, at_least=0, at_most=len(x0) // 2)
    chosen = torch.from_numpy(random_generator(seed, who="arc").permutation(len(x0))[: 2 * n_planes].copy())
    first, second = chosen[:n_planes], chosen[n_planes:]
    centre, half = (x0 + x1) / 2, (x1 - x0) / 2
    across = torch.zeros_like(half)
    across[first], across[second] = -half[second], half[first]
    bent = torch.zeros_like(half)
    bent[chosen] = 1.0

    def place(t: torch.Tensor) -> torch.Tensor:
        straight = x0 + t[:, None] * (x1 - x0)
        angle = math.pi * t[:, None]
        return torch.where(bent > 0, centre - torch.cos(angle) * half + torch.sin(angle) * across, straight)

    def velocity(t: torch.Tensor) -> torch.Tensor:
        angle = math.pi * t[:, None]
        turning = math.pi * (torch.sin(angle) * half + torch.cos(angle) * across)
        return torch.where(bent > 0, turning, 2 * half)

    squares = (2 * half) ** 2
    length = math.sqrt(float((squares * (1 + bent * (math.pi**2 / 4 - 1))).sum()))
    return Trajectory(place, velocity, length=length)


def circle(dim: int, *, radius: float = 1.0, seed: int | np.random.Generator | None = 0) -> Trajectory:
    """The circle about the origin in a random plane, once around.

    Args:
        dim: at least 2.
        radius: above 0.
        seed: of the plane, uniform among all planes.

    Raises:
        NbkitError: a dimension below 2, a radius that is not above 0.

    Source:
        Price & Tanner 2019, Fig. 1.
    """
    dim = check_integer("circle", "dim", dim, at_least=2, at_most=10**7)
    radius = check_number("circle", "radius", radius, above=0)
    frame = np.linalg.qr(random_generator(seed, who="circle").standard_normal((dim, 2)))[0]
    one, other = radius * torch.from_numpy(frame.T.copy())

    def place(t: torch.Tensor) -> torch.Tensor:
        angle = 2 * math.pi * t[:, None]
        return torch.cos(angle) * one + torch.sin(angle) * other

    def velocity(t: torch.Tensor) -> torch.Tensor:
        angle = 2 * math.pi * t[:, None]
        return 2 * math.pi * (torch.cos(angle) * other - torch.sin(angle) * one)

    return Trajectory(place, velocity, length=2 * math.pi * radius)


def _ends(who: str, x0: object, x1: object) -> tuple[torch.Tensor, torch.Tensor]:
    ends = [_real(who, name, x).detach().cpu().clone() for name, x in (("x0", x0), ("x1", x1))]
    for name, end in zip(("x0", "x1"), ends, strict=True):
        if end.ndim != 1 or not len(end):
            raise NbkitError(f"{who}: {name} must be a vector (dim,), got the shape {tuple(end.shape)}. Flatten it.")
        if not torch.isfinite(end).all():
            raise NbkitError(f"{who}: {name} must be finite, got NaN or infinite entries. Mend the data first.")
    if len(ends[0]) != len(ends[1]):
        raise NbkitError(
            f"{who}: x0 and x1 must have one dimension, got {len(ends[0])} and {len(ends[1])}. Use points of one space."
        )
    return ends[0], ends[1]


def _check_times(t: object) -> torch.Tensor:
    times = _real("curve", "t", t)
    if times.ndim != 1 or not bool(((times >= 0) & (times <= 1)).all()):
        raise NbkitError(f"curve: t must be a vector of numbers in [0, 1], got {show(t)}. Use torch.linspace(0, 1, n).")
    return times


def _check_points(points: object, n: int) -> torch.Tensor:
    points = _real("curve", "points", points).detach()
    if points.ndim != 2 or len(points) != n or not points.shape[1]:
        raise NbkitError(
            f"curve: {n} values of t must give points ({n}, dim), got the shape {tuple(points.shape)}. "
            "Return one row for each t."
        )
    if not torch.isfinite(points).all():
        raise NbkitError("curve: points must be finite, got NaN or infinite entries. Mend the curve.")
    if points.numel() and (largest := float(points.abs().max())) > _LARGEST:
        raise NbkitError(
            f"curve: points and velocities must be below {_LARGEST:g}, got {largest:.3g}. Scale the curve down."
        )
    return points


def _real(who: str, name: str, values: object) -> torch.Tensor:
    """The values as a float64 tensor."""
    values = values if isinstance(values, torch.Tensor) else torch.from_numpy(as_array(who, name, values))
    if values.is_complex():
        raise NbkitError(f"{who}: {name} must be real numbers, got complex ones. Take their real part or modulus.")
    return values.to(torch.float64)
