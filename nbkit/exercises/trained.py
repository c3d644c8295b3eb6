"""Exercises of notebook 04: sigma_w of a network as its weights are now."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from nbkit.exercises import exercise
from nbkit.nets import FeedForward
from nbkit.weights import Gaussian

__all__ = []


def _over_layers(weights: Sequence[np.ndarray], scale) -> float:
    return float(np.mean([scale(weight) for weight in weights]))


@exercise(
    "04 sigma_w",
    hint="For every layer the standard deviation of its weights times the root of its number of inputs; then their mean.",
    mistakes={
        "These are standard deviations as they stand; σ_w is that before the division by sqrt(n_in).": (
            lambda weights: _over_layers(weights, np.std)
        ),
        "A weight matrix is (n_out, n_in): shape[0] counts the outputs.": (
            lambda weights: _over_layers(weights, lambda w: np.std(w) * math.sqrt(w.shape[0]))
        ),
        "That is the variance: take its root, and that of n_in.": (
            lambda weights: _over_layers(weights, lambda w: np.var(w) * w.shape[1])
        ),
        "That is the root mean square about 0; a trained layer's weights may have another mean, which std takes off.": (
            lambda weights: _over_layers(weights, lambda w: math.sqrt((w**2).mean() * w.shape[1]))
        ),
    },
)
def sigma_w_cases() -> Iterator[tuple[tuple, float]]:
    # By hand: all entries stand 1 from their mean, and four inputs make that 2; the same with 3 from the mean, 6.
    first, second = [[1.0, 3.0, 1.0, 3.0], [3.0, 1.0, 3.0, 1.0]], [[-3.0, 3.0, 3.0, -3.0]]
    yield ([np.array(first)],), 2.0
    yield ([np.array(first), np.array(second)],), 4.0
    nets = FeedForward((20, 8, 4), Gaussian(1.5), seed=4)
    yield ([weight[0].detach().double().numpy() for weight in nets.weights],), float(nets.sigma_w()[0])
