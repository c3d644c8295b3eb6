"""Exercises of notebook 01: RadiX-Net."""

import math
from collections.abc import Iterator

import numpy as np

from nbkit.exercises import exercise

__all__ = []


def _as_printed(systems: list[tuple[int, ...]]) -> int:
    return math.prod(systems[0]) ** (len(systems) - 1)


@exercise(
    "01 path count",
    hint="Every full system sends each node to each label once; how many choices does one more system add?",
    mistakes={"That is Theorem 1 as printed; the last system need not be full.": _as_printed},
)
def path_count_cases() -> Iterator[tuple[tuple, int]]:
    # The independent route: multiply the layers' matrices, built from the definition j -> j + k * nu (mod n').
    for systems in ([(2, 2)], [(2, 3), (3, 2)], [(2, 3), (6,), (3, 2)], [(2, 2), (4,), (2,)], [(2, 3), (3, 2), (3,)]):
        n = math.prod(systems[0])
        counts = np.eye(n, dtype=int)
        for radices in systems:
            for position, radix in enumerate(radices):
                place_value = math.prod(radices[:position])
                counts = counts @ sum(np.roll(np.eye(n, dtype=int), k * place_value, axis=1) for k in range(radix))
        yield (systems,), int(counts[0, 0])
