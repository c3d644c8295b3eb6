"""The exercise of notebook 08: what a network of Theorem 3 says at a point, without running it."""

from collections.abc import Iterator, Sequence

import torch

from nbkit.exercises import exercise
from nbkit.nets import approximate_affine

__all__ = []

_FAR = (0.0, 1.0), (0.6, 0.6), (5.0, -3.0), 2.0, 1.0  # centres, radii, values, slope and offset of L
_NEAR = (0.0, 0.3, 0.5), (0.9, 0.2, 0.4), (1.0, 2.0, -4.0), -1.0, 0.5
_TASKS = [(0.7, *_FAR), (0.3, *_NEAR), (2.0, *_FAR), (0.55, *_FAR), (-1.0, *_FAR), (0.85, *_NEAR), (-0.95, *_NEAR)]


def _holding(x: float, centers: Sequence[float], radii: Sequence[float]) -> list[int]:
    return [i for i, (center, radius) in enumerate(zip(centers, radii, strict=True)) if abs(x - center) < radius]


def _last(x, centers, radii, values, slope, offset):
    held = _holding(x, centers, radii)
    return values[held[-1]] if held else slope * x + offset


def _nearest(x, centers, radii, values, slope, offset):
    held = _holding(x, centers, radii)
    return values[min(held, key=lambda i: abs(x - centers[i]))] if held else slope * x + offset


def _sloping(x, centers, radii, values, slope, offset):
    held = _holding(x, centers, radii)
    return values[held[0]] + slope * (x - centers[held[0]]) if held else slope * x + offset


def _readout(x, centers, radii, values, slope, offset):
    held = _holding(x, centers, radii)
    return values[held[0]] - slope * centers[held[0]] - offset if held else slope * x + offset


def _nothing(x, centers, radii, values, slope, offset):
    held = _holding(x, centers, radii)
    return values[held[0]] if held else 0.0


@exercise(
    "08 what the network says",
    hint="The layers stand in the order of the balls, and what is swallowed once stays where it is; what no ball holds "
    "goes through all layers unchanged, to L.",
    mistakes={
        "That is the last ball that holds x. An earlier layer has taken x away before the last one sees it.": _last,
        "That is the nearest centre. The layers know no distances, only their order: the first ball takes x.": _nearest,
        "That follows L inside the ball. All points of a ball are in one place by then, and get one value.": _sloping,
        "f(c) - L(c) is what eᵢ is mapped to. The point is at c + eᵢ, so that L(c) is added again.": _readout,
        "What no ball holds goes through unchanged and is mapped by L, not to 0.": _nothing,
    },
)
def says_cases() -> Iterator[tuple[tuple, float]]:
    # The independent route: the network itself, all of its matrices.
    for x, *balls, slope, offset in _TASKS:
        net = approximate_affine(*balls, linear=([[slope]], [offset]))
        with torch.no_grad():
            yield (x, *balls, slope, offset), net(torch.tensor([x], dtype=torch.float64)).item()
