"""How the learning rate moves: constant, along a half cosine, in steps, after a warm-up; each a function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nbkit.errors import NbkitError, check_choice, check_number, show

__all__ = ["SCHEDULES", "Schedule", "as_schedule", "constant", "cosine", "steps", "warm_up"]


@dataclass(frozen=True)
class Schedule:
    """A factor of the learning rate for every step.

    Attributes:
        told: how it was made, in words; a checkpoint of another schedule is refused by it.
        factor: (step, n_steps, steps_an_epoch) -> factor of at least 0, where step 0 is the first.
    """

    told: str
    factor: Callable[[int, int, int], float]

    def __call__(self, step: int, n_steps: int, steps_an_epoch: int) -> float:
        return self.factor(step, n_steps, steps_an_epoch)


def constant() -> Schedule:
    """The full rate at every step."""
    return Schedule("constant", lambda step, n_steps, steps_an_epoch: 1.0)


def cosine() -> Schedule:
    """(1 + cos(pi step / n_steps)) / 2: from the full rate at the first step to 0 after the last."""
    return Schedule("cosine", lambda step, n_steps, steps_an_epoch: (1 + math.cos(math.pi * step / n_steps)) / 2)


def steps(at: Sequence[float] = (50, 150), *, factor: float = 0.1) -> Schedule:
    """The rate times `factor` from each of these epochs on.

    Args:
        at: epochs, above 0 and rising.
        factor: above 0; several of them multiply.

    Raises:
        NbkitError: epochs that do not rise, a factor that is not above 0.

    Source:
        The convolutional networks of the SAO paper: times 0.1 at epochs 50 and 150.

    Example:
        >>> schedule = steps((2, 3))
        >>> [round(schedule(step, 8, 2), 3) for step in range(8)]
        [1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    """
    try:
        given = None if isinstance(at, str) else tuple(at)
    except TypeError:
        given = None
    if not given:
        raise NbkitError(f"steps: at must be a list of epochs, got {show(at)}. Write it as (50, 150).")
    epochs = [check_number("steps", "each epoch of at", epoch, above=0) for epoch in given]
    if epochs != sorted(set(epochs)):
        raise NbkitError(f"steps: at must be epochs that rise, got {show(at)}. Write it as (50, 150).")
    factor = check_number("steps", "factor", factor, above=0)
    return Schedule(
        f"steps({', '.join(f'{epoch:g}' for epoch in epochs)}; {factor:g})",
        lambda step, n_steps, steps_an_epoch: factor ** sum(step >= round(epoch * steps_an_epoch) for epoch in epochs),
    )


def warm_up(epochs: float, then: str | Callable = "cosine") -> Schedule:
    """The rate rises by equal steps to the full one within some epochs, then follows another schedule from its beginning.

    Args:
        epochs: of the rise, above 0; it takes one step at least.
        then: as the schedule of `train`. Its epochs and its end are counted from the end of the rise.

    Raises:
        NbkitError: a length that is not above 0, or no schedule.

    Source:
        The deepest convolutional networks of the SAO paper: 10 epochs, or 1, then a cosine.

    Example:
        >>> schedule = warm_up(2, cosine())
        >>> [round(schedule(step, 8, 2), 3) for step in range(8)]
        [0.25, 0.5, 0.75, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    epochs = check_number("warm_up", "epochs", epochs, above=0)
    after = as_schedule("warm_up", "then", then)

    def factor(step: int, n_steps: int, steps_an_epoch: int) -> float:
        n_rising = max(1, round(epochs * steps_an_epoch))
        if step < n_rising:
            return (step + 1) / n_rising
        return after(step - n_rising, n_steps - n_rising, steps_an_epoch)

    return Schedule(f"warm_up({epochs:g}, {after.told})", factor)


SCHEDULES = {"constant": constant(), "cosine": cosine()}
"""Schedules that a name is enough for."""


def as_schedule(who: str, name: str, schedule: object) -> Schedule:
    """A Schedule, one of `SCHEDULES` by its name, or a function of the share of the training that is done, in [0, 1).

    Raises:
        NbkitError: anything else.
    """
    if isinstance(schedule, Schedule):
        return schedule
    if callable(schedule):
        told = getattr(schedule, "__qualname__", type(schedule).__qualname__)
        return Schedule(told, lambda step, n_steps, steps_an_epoch: schedule(step / n_steps))
    return SCHEDULES[check_choice(who, name, schedule, SCHEDULES)]
