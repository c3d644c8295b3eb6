"""What a measure of a configuration says, and how the measures stream it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from torch import nn

from nbkit.questions.configuration import Configuration

__all__ = ["Measured", "each_network", "prepared"]


@dataclass(frozen=True, eq=False)
class Measured:
    """A measure of a configuration as far as it is known.

    Attributes:
        measure: of `MEASURES`.
        configuration: what was measured.
        x, y: the curve, float64 (n,); y is NaN where nothing is known yet, or where its logarithm would be minus infinity.
        low, high: the band about y, (n,), or None.
        theory: what y must be, (n,), or None where nothing is known.
        matrix: (rows, columns) to be drawn as a picture, or None.
        numbers: what the answers are made of, by name; empty as long as there is nothing to tell.
        samples: some of these network by network, (n,), NaN where one has none; the k-th networks of two configurations
            take the same input.
        progress: (done, of how many, of what).
    """

    measure: str
    configuration: Configuration
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    theory: np.ndarray | None = None
    matrix: np.ndarray | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    samples: dict[str, np.ndarray] = field(default_factory=dict)
    progress: tuple[int, int, str] = (1, 1, "steps")

    @property
    def is_whole(self) -> bool:
        """Whether nothing more comes."""
        return self.progress[0] >= self.progress[1]


def prepared(
    measure: str, configuration: Configuration, x: np.ndarray, theory: np.ndarray | None = None
) -> Iterator[Measured]:
    """Empty curves while layers are made or trained; afterwards the configuration is ready."""
    for done, total, what in configuration.prepare():
        nothing = np.full(len(x), np.nan)
        yield Measured(measure, configuration, x, nothing, theory=theory, progress=(done, total, what))


def each_network(configuration: Configuration) -> Iterator[tuple[int, nn.Sequential | None]]:
    """(number, network) for as many seeds as a mean is taken over; of a trained configuration always its own.

    While a network after the first is made, layer by layer, its number comes with None, so that no step is long.
    """
    for number in range(configuration.n_networks):
        if configuration.is_trained or not number:
            yield number, configuration.network()
            continue
        other = replace(configuration, seed=configuration.seed + number)
        for _ in other.prepare():
            yield number, None
        yield number, other.network()
