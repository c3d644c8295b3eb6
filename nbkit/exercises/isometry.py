"""Exercises of notebook 05: the singular values of a layer without decomposing anything."""

from collections.abc import Iterator

import numpy as np

from nbkit.exercises import exercise
from nbkit.topology import biregular
from nbkit.weights import orthogonal

__all__ = []

_CASES = (
    ([1.0, 0.6, 0.6, 0.2], 1.0),
    ([0.1, 0.9, 0.4, 1.0], 1.0),
    ([1.0, 0.0, 0.0, 1.0, 1.0, 0.0], 2**0.5),
    ([0.5, -0.1, 1.1, 0.0], 1.1),
)


@exercise(
    "05 singular values of a layer",
    hint="An orthogonal matrix changes no singular value. What is left is the diagonal matrix of the slopes, times the gain.",
    mistakes={
        "Singular values descend: sort them.": lambda slopes, gain: gain * np.abs(slopes),
        "They descend, the largest first.": lambda slopes, gain: gain * np.sort(np.abs(slopes)),
        "Singular values are never negative: a slope below 0, which SiLU has, counts by its size.": (
            lambda slopes, gain: gain * np.sort(slopes)[::-1]
        ),
        "You left out the gain: every weight is multiplied by it.": (
            lambda slopes, gain: np.sort(np.abs(slopes))[::-1]
        ),
        "Those of the weights alone: the slopes of the activation multiply them.": (
            lambda slopes, gain: gain * np.ones(len(slopes))
        ),
        "Singular values of D W, not their squares: those are the eigenvalues of D W Wᵀ D.": (
            lambda slopes, gain: np.sort((gain * np.asarray(slopes)) ** 2)[::-1]
        ),
    },
)
def layer_cases() -> Iterator[tuple[tuple, np.ndarray]]:
    # The independent route: a real sparse layer, decomposed.
    for slopes, gain in _CASES:
        weights = orthogonal(biregular(len(slopes), len(slopes), 2), gain=gain).numpy()
        yield (slopes, gain), np.linalg.svd(np.diag(slopes) @ weights, compute_uv=False)
