"""The exercise of notebook 00: density from degree."""

from collections.abc import Iterator

import numpy as np

from nbkit.exercises import exercise

__all__ = []


@exercise(
    "00 density",
    hint="Density is the kept fraction: wires that are there over wires that could be there.",
    mistakes={"That is the share that is missing; density is the kept one.": lambda: 0.75},
)
def density_cases() -> Iterator[tuple[tuple, float]]:
    # The independent route: count the ones of a matrix with three in each row.
    yield (), float(np.mean([[(target - source) % 12 < 3 for target in range(12)] for source in range(12)]))
