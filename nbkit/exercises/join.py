"""Exercise of notebook 11: how much a line grows through any wires."""

from collections.abc import Iterator
from itertools import product

import numpy as np

from nbkit.exercises import exercise

__all__ = []

_WIRES = {  # (n_in, n_out)
    "every degree 2": [[1, 0, 0, 1], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]],
    "wide to narrow": [[1, 0], [1, 1], [0, 1], [1, 0]],
    "out-degrees 1, 3": [[1, 0, 0], [1, 1, 1]],
    "a mute input": [[0, 0], [1, 1], [1, 0]],
}
_STEPS = ([1.0, -2.0, 0.5, 1.0], [0.6, 0.0, -0.8, 1.0], [1.0, 1.0], [3.0, 0.0, 1.0])
_VARIANCES = (0.25, 1.0, 0.5, 0.04)


@exercise(
    "11 growth through wires",
    hint="Each input node hands its dz on along its own wires, and a ReLU lets half of the squares through.",
    mistakes={
        "Wires leave a node along its row: wires are (inputs, outputs), so the out-degrees are the sums of rows.": (
            lambda wires, variance, dz: variance / 2 * (np.resize(np.sum(wires, axis=0), len(dz)) * np.square(dz)).sum()
        ),
        "You left out the ReLU: it is open for half of all signs of the weights.": (
            lambda wires, variance, dz: variance * (np.sum(wires, axis=1) * np.square(dz)).sum()
        ),
        "That is the root of it: the squared length is asked for.": (
            lambda wires, variance, dz: np.sqrt(variance / 2 * (np.sum(wires, axis=1) * np.square(dz)).sum())
        ),
        "Variances multiply squares: take the squares of dz.": (
            lambda wires, variance, dz: variance / 2 * (np.sum(wires, axis=1) * np.abs(dz)).sum()
        ),
        "That holds where every node has as many wires; here each dz counts with its own out-degree.": (
            lambda wires, variance, dz: variance / 2 * np.sum(wires, axis=1).mean() * np.square(dz).sum()
        ),
    },
)
def growth_cases() -> Iterator[tuple[tuple, float]]:
    # The independent route: all signs that the weights of an output can have, each as probable as the others.
    for wires, dz, variance in zip(_WIRES.values(), _STEPS, _VARIANCES, strict=True):
        at, squares = np.arange(1.0, len(dz) + 1) ** 0.7, 0.0  # a point where no sum of the weights is 0
        for column in np.transpose(wires):
            heard = np.flatnonzero(column)
            signs = np.array(list(product((-1, 1), repeat=len(heard)))) * variance**0.5
            squares += np.mean((signs @ at[heard] > 0) * (signs @ np.array(dz)[heard]) ** 2)
        yield (np.array(wires), variance, np.array(dz)), round(float(squares), 12)
