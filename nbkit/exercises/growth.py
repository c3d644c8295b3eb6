"""Exercises of notebook 03: the weights at which lengths neither grow nor shrink."""

import math
from collections.abc import Iterator

import scipy.optimize

from nbkit.exercises import exercise
from nbkit.measure import growth_rms
from nbkit.weights import Uniform

__all__ = []


@exercise(
    "03 limit of the weights",
    hint="The rms length grows by σ_w √(α / 2) a layer, depth times. Solve for σ_w; a uniform law has σ_w = C / √3.",
    mistakes={
        "That is σ_w. The limit C of a uniform law is √3 times its standard deviation.": (
            lambda density, growth, depth: math.sqrt(2 / density) * growth ** (1 / depth)
        ),
        "You forgot that the ReLU lets half of the square through: E ||dz'||² is α σ_w² / 2, not α σ_w².": (
            lambda density, growth, depth: math.sqrt(3 / density) * growth ** (1 / depth)
        ),
        "The growth is that of all layers together: each one grows by its depth-th root.": (
            lambda density, growth, depth: math.sqrt(6 / density) * growth
        ),
        "Layers multiply, they do not add: take the depth-th root, do not divide by the depth.": (
            lambda density, growth, depth: math.sqrt(6 / density) * growth / depth
        ),
        "That is the paper's lower bound, which is linear in α: at this C lengths grow by more than was asked for.": (
            lambda density, growth, depth: 4 * math.sqrt(2) / density * growth ** (1 / depth)
        ),
        "α is the density, the fraction that is kept, not 1 - α.": (
            lambda density, growth, depth: math.sqrt(6 / (1 - density)) * growth ** (1 / depth) if density < 1 else ...
        ),
    },
)
def limit_cases() -> Iterator[tuple[tuple, float]]:
    # The independent route: the limit at which the law's rms growth, layer upon layer, comes out as wished.
    for density, growth, depth in ((0.3, 1.0, 10), (0.5, 1.0, 1), (1.0, 8.0, 3), (0.1, 0.5, 20), (0.9, 100.0, 12)):

        def surplus(limit: float, density: float = density, growth: float = growth, depth: int = depth) -> float:
            return depth * math.log(growth_rms(Uniform(limit), density)) - math.log(growth)

        yield (density, growth, depth), scipy.optimize.brentq(surplus, 1e-3, 1e3, xtol=1e-12)
