"""Exercises of notebook 09: how large a radial network is after compression, from its widths alone."""

import itertools
from collections.abc import Iterator

from nbkit.compress import qr_compress, reduced_widths
from nbkit.exercises import exercise
from nbkit.nets import RadialNet, n_radial_parameters

__all__ = []

_CASES = (1, 4, 4, 1), (1, 8, 16, 8, 1), (5, 3, 2, 4, 1), (2, 16, 64, 128, 16, 2), (3, 3, 10, 2, 9, 2), (1, 2, 1, 6)


@exercise(
    "09 parameters after compression",
    hint="Widths first, one after the other: n_i^red = min(n_i, n_(i-1)^red + 1), input and output stay. Then the sum of "
    "(n_(i-1)^red + 1) n_i^red.",
    mistakes={
        "That is the network as it was: reduce the hidden widths first.": n_radial_parameters,
        "You left out the biases: each layer has n_in + 1 numbers for each of its outputs.": (
            lambda widths: n_radial_parameters(reduced_widths(widths)) - sum(reduced_widths(widths)[1:])
        ),
        "You left out the bias as a direction: a layer needs n_(i-1)^red directions for the columns of W, and one for b.": (
            lambda widths: n_radial_parameters((*itertools.accumulate(widths[:-1], min), widths[-1]))
        ),
        "Compare with the reduced width of the layer before, not with its width in the original.": (
            lambda widths: n_radial_parameters(
                (widths[0], *(min(n, before + 1) for before, n in zip(widths, widths[1:-1], strict=False)), widths[-1])
            )
        ),
        "A layer never gets wider: take the minimum with its own width.": (
            lambda widths: n_radial_parameters((*range(widths[0], widths[0] + len(widths) - 1), widths[-1]))
        ),
        "The output keeps its width, which the task decides.": (
            lambda widths: n_radial_parameters(reduced_widths((*widths, 1))[:-1])
        ),
    },
)
def parameter_cases() -> Iterator[tuple[tuple, int]]:
    # The independent route: a real network is compressed and its numbers are counted.
    for widths in _CASES:
        yield (widths,), sum(numbers.numel() for numbers in qr_compress(RadialNet(widths)).net.parameters())
