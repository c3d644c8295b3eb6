"""Exercises of notebook 02: how many layers reach needs."""

import math
from collections.abc import Iterator

from nbkit.exercises import exercise
from nbkit.measure import reach_fractions
from nbkit.topology import Topology, biregular

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
    # The independent route: real cascades, of the placement that attains the bound, until every pair is joined.
    for n, degree in ((16, 2), (256, 2), (255, 3), (256, 4), (125, 5), (1000, 10), (100, 10), (2, 2)):
        shift = biregular(n, n, degree, placement="shift")
        fractions = reach_fractions(Topology([shift] * n.bit_length()))
        yield (n, degree), 1 + int((fractions < 1).sum())
