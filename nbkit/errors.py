"""The one error the library raises for input it cannot use, and the checks that many rooms share."""

import math
import numbers
from collections.abc import Collection

__all__ = ["NbkitError", "check_choice", "check_integer", "check_integers", "check_number", "show"]

_SHOWN_CHARACTERS = 200


class NbkitError(ValueError):
    """Input that cannot be used: who, which argument, the rule, the value, how to mend it."""


def show(value: object) -> str:
    """A value for a message: its repr on one line, cut short where it is long."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python prints no integer of more than 4300 digits
        text = f"{type(value).__name__} with thousands of digits"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]} ..."


def check_integer(
    who: str, name: str, value: object, *, at_least: int | None = None, at_most: int | None = None
) -> int:
    """The value as a Python int.

    Args:
        who: the public function that was called, for the message.
        name: the argument's name.
        value: a Python or numpy integer; bools and floats are refused.
        at_least, at_most: inclusive bounds, or None.

    Raises:
        NbkitError: not an integer, or outside the bounds.
    """
    rule = "an integer" + _range_text(at_least, at_most)
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise NbkitError(f"{who}: {name} must be {rule}, got {show(value)}. Use a whole number.")
    if (at_least is not None and value < at_least) or (at_most is not None and value > at_most):
        raise NbkitError(f"{who}: {name} must be {rule}, got {show(int(value))}. Use a value in that range.")
    return int(value)


def check_integers(who: str, name: str, values: object, *, at_least: int, minimum_length: int = 1) -> tuple[int, ...]:
    """The values as a tuple of Python ints, each at least `at_least`.

    Raises:
        NbkitError: not a sequence, too short, or an entry that is not such an integer.
    """
    try:
        entries = None if isinstance(values, (str, bytes)) else tuple(values)
    except TypeError:  # not iterable, or an array without a dimension
        entries = None
    if entries is None:
        raise NbkitError(f"{who}: {name} must be a list of integers, got {show(values)}. Write it as (2, 3).")
    if len(entries) < minimum_length:
        raise NbkitError(
            f"{who}: {name} must have a length of at least {minimum_length}, got {len(entries)}. Write it as (2, 3)."
        )
    return tuple(
        check_integer(who, f"entry {position} of {name}", entry, at_least=at_least)
        for position, entry in enumerate(entries, start=1)
    )


def check_number(who: str, name: str, value: object, *, above: float = -math.inf, at_most: float = math.inf) -> float:
    """The value as a finite float with `above < value <= at_most`.

    Raises:
        NbkitError: not a number, NaN or infinite, or outside the interval.
    """
    closing = f"{at_most:g}]" if at_most < math.inf else "inf)"
    rule = f"a finite number in ({above:g}, {closing}"
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, numbers.Real) else float(value)
    except OverflowError:  # an integer beyond the largest float
        number = math.inf
    if not math.isfinite(number):
        raise NbkitError(f"{who}: {name} must be {rule}, got {show(value)}. Use a finite number.")
    if not above < number <= at_most:
        raise NbkitError(f"{who}: {name} must be {rule}, got {show(value)}. Use a value in that interval.")
    return number


def check_choice(who: str, name: str, value: object, choices: Collection[str]) -> str:
    """The value, which must be one of the choices.

    Raises:
        NbkitError: any other value; the message lists the choices.
    """
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise NbkitError(f"{who}: {name} must be one of {listed}, got {show(value)}. Choose one of these.")
    return value


def _range_text(at_least: int | None, at_most: int | None) -> str:
    if at_least is not None and at_most is not None:
        return f" between {at_least} and {at_most}"
    if at_least is not None:
        return f" of at least {at_least}"
    if at_most is not None:
        return f" of at most {at_most}"
    return ""
