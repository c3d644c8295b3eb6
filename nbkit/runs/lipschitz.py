"""Random functions on the unit square with Lipschitz constant 1: cones, which bend wherever they may, and smooth waves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from nbkit.errors import check_choice, check_integer

__all__ = ["KINDS", "Target", "lipschitz_target"]

KINDS = ("cones", "waves")
_FINE = 257  # points a side of the grid on which the steepest slope of waves is looked for
_MIDDLE = torch.full((1, 2), 0.5, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Target:
    """A function of the square, 0 in its middle; so its values lie in [-0.71, 0.71].

    Attributes:
        name: such as "cones 16".
        height: float64 (n, 2) -> (n,), the function up to a constant.
    """

    name: str
    height: Callable[[torch.Tensor], torch.Tensor]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Values (n,) at points (n, 2), float64."""
        return self.height(x) - self.height(_MIDDLE)


def lipschitz_target(kind: str, n: int, *, seed: int) -> Target:
    """A random function with |f(x) - f(y)| <= |x - y|, and no smaller constant.

    "cones": f(x) = min over i of |x - c_i| + a_i, n tips c_i uniform in the square, a_i uniform in [0, 1 / (4 sqrt n)].
    Its slope is 1 almost everywhere: no function of the ball is steeper anywhere. "waves": n cosines with
    frequencies uniform in [-2, 2]^2 periods, together divided by their steepest slope, which is found on a fine grid
    (to a relative 1e-3).

    Args:
        kind: one of KINDS.
        n: tips or waves, at least 1.
        seed: repeats.

    Raises:
        NbkitError: another kind, n below 1, a negative seed.
    """
    check_choice("lipschitz_target", "kind", kind, KINDS)
    n = check_integer("lipschitz_target", "n", n, at_least=1)
    seed = check_integer("lipschitz_target", "seed", seed, at_least=0)
    own = np.random.default_rng([seed, n, KINDS.index(kind)])
    return Target(f"{kind} {n}", _cones(n, own) if kind == "cones" else _waves(n, own))


def _cones(n: int, own: np.random.Generator) -> Callable[[torch.Tensor], torch.Tensor]:
    tips, lifts = torch.from_numpy(own.random((n, 2))), torch.from_numpy(own.random(n) / (4 * math.sqrt(n)))
    return lambda x: (torch.cdist(x, tips, compute_mode="donot_use_mm_for_euclid_dist") + lifts).amin(1)


def _waves(n: int, own: np.random.Generator) -> Callable[[torch.Tensor], torch.Tensor]:
    turns = torch.from_numpy(2 * math.pi * own.uniform(-2, 2, (n, 2)))
    phases = torch.from_numpy(own.uniform(0, 2 * math.pi, n))
    sizes = torch.from_numpy(own.standard_normal(n)) / turns.norm(dim=1)
    side = torch.linspace(0, 1, _FINE, dtype=torch.float64)
    slopes = -(sizes * torch.sin(torch.cartesian_prod(side, side) @ turns.mT + phases)) @ turns
    sizes = sizes / slopes.norm(dim=1).max()
    return lambda x: torch.cos(x @ turns.mT + phases) @ sizes
