"""Exercises of notebook 02: how many layers reach needs."""

import math
from collections.abc import Iterator

from nbkit.exercises import exercise

__all__ = []


@exercise(
    "02 fewest layers",
    hint="After L layers one input reaches at most degree ** L outputs; which L is the first with degree ** L >= n?",
    mistakes={
        "The floating-point logarithm of an exact power can come out a hair too large: count with whole numbers.": (
            lambda n, degree: math.ceil(math.log(n) / math.log(degree))
        ),
        "That is log_d n rounded down: a part of the outputs is still missing.": (
            lambda n, degree: math.floor(math.log(n, degree) + 1e-9)
        ),
        "That is one layer too many where n is a power of the degree.": (
            lambda n, degree: math.floor(math.log(n, degree) + 1e-9) + 1
        ),
        "That is n / d: the layers multiply, they do not add.": (lambda n, degree: math.ceil(n / degree)),
    },
)
def fewest_layers_cases() -> Iterator[tuple[tuple, int]]:
    # The independent route: the widest possible cone, grown layer by layer in whole numbers.
    for n, degree in ((16, 2), (256, 2), (256, 3), (256, 4), (125, 5), (1000, 10), (100, 10), (2, 2)):
        reached, layers = 1, 0
        while reached < n:
            reached, layers = reached * degree, layers + 1
        yield (n, degree), layers
