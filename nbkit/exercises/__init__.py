"""Exercise checks: right, or wrong and why. A chapter's exercises stand in the module beside this one."""

import html
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from nbkit.errors import NbkitError

__all__ = ["Exercise", "Verdict", "all_exercises", "check", "exercise"]

Case = tuple[tuple, object]  # arguments of the reader's function, and the right answer

_REGISTERED: dict[str, "Exercise"] = {}


@dataclass(frozen=True)
class Exercise:
    """What is asked, the cases that decide, and the usual mistakes with what to say about each."""

    name: str
    cases: Callable[[], Iterable[Case]]
    hint: str
    mistakes: Mapping[str, Callable] = field(default_factory=dict)
    tolerance: float = 1e-6


@dataclass(frozen=True, repr=False)
class Verdict:
    """The outcome of a check; true when the answer is right."""

    state: str  # "right", "wrong" or "open"
    message: str

    def __bool__(self) -> bool:
        return self.state == "right"

    def __repr__(self) -> str:
        return self.message

    def _repr_html_(self) -> str:
        mark, colour = {"right": ("✓", "#009E73"), "wrong": ("✗", "#D55E00"), "open": ("…", "#E69F00")}[self.state]
        style = f"border-left: 6px solid {colour}; padding: 0.4em 0.8em"
        return f"<div style='{style}'><b>{mark}</b> {html.escape(self.message)}</div>"


def exercise(
    name: str, *, hint: str, mistakes: Mapping[str, Callable] | None = None, tolerance: float = 1e-6
) -> Callable[[Callable[[], Iterable[Case]]], Callable[[], Iterable[Case]]]:
    """Register a function that yields an exercise's cases, computed by another route than the reader is asked for.

    Args:
        name: what the notebook calls it, such as "01 path count".
        hint: said about a wrong answer that is no usual mistake.
        mistakes: what to say, for each function that makes a usual mistake.
        tolerance: largest relative difference of numbers that are not whole.
    """

    def register(cases: Callable[[], Iterable[Case]]) -> Callable[[], Iterable[Case]]:
        _REGISTERED[name] = Exercise(name, cases, hint, mistakes or {}, tolerance)
        return cases

    return register


def all_exercises() -> dict[str, Exercise]:
    """Every registered exercise by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(_REGISTERED)


def check(name: str, answer: object) -> Verdict:
    """Say whether an answer is right, or wrong and why; a wrong answer is never a traceback.

    Args:
        name: the exercise's name.
        answer: the reader's function, or the value itself where the exercise asks for a value; `...` is not answered yet.

    Raises:
        NbkitError: no exercise of that name.
    """
    known = all_exercises()
    if name not in known:
        listed = ", ".join(repr(entry) for entry in sorted(known))
        raise NbkitError(f"check: name must be one of {listed}, got {name!r}. Use the name in the notebook.")
    task = known[name]
    cases = list(task.cases())
    for number, (arguments, expected) in enumerate(cases):
        problem = _problem(task, answer, arguments, expected)
        if problem is None:
            continue
        if problem.state == "wrong" and number:
            return Verdict("wrong", f"{problem.message} (The {number} before it came out right.)")
        return problem
    return Verdict("right", "Right." if len(cases) == 1 else f"Right, in all {len(cases)} cases.")


def _problem(task: Exercise, answer: object, arguments: tuple, expected: object) -> Verdict | None:
    """What is wrong with the answer in one case, or None."""
    call = f"for ({', '.join(map(_short, arguments))}) " if callable(answer) else ""
    try:
        got = answer(*arguments) if callable(answer) else answer
    except Exception as error:  # whatever the reader's function does is an answer, never our traceback
        if "ellipsis" in str(error):
            return Verdict("open", "Not answered yet: replace the ... by your answer.")
        return Verdict("wrong", f"Not yet: {call}your function stopped with {type(error).__name__}: {error}.")
    if got is ...:
        return Verdict("open", "Not answered yet: replace the ... by your answer.")
    if got is None:
        return Verdict("wrong", f"Not yet: {call}your answer is None. Does the function end in a return?")
    if _agrees(got, expected, task.tolerance):
        return None
    return Verdict(
        "wrong", f"Not yet: {call}you say {_short(got)}, it is {_short(expected)}. {_why(task, arguments, got)}"
    )


def _why(task: Exercise, arguments: tuple, got: object) -> str:
    for explanation, mistaken in task.mistakes.items():
        if _agrees(got, mistaken(*arguments), task.tolerance):
            return explanation
    return task.hint


def _agrees(got: object, expected: object, tolerance: float) -> bool:
    """Equal, or within the relative tolerance where numbers are not whole; anything incomparable is unequal."""
    try:
        got, expected = np.asarray(got), np.asarray(expected)
        if got.shape != expected.shape:
            return False
        if expected.dtype.kind == "f":
            return bool(np.allclose(got.astype(float), expected, rtol=tolerance, atol=tolerance))
        return bool(np.all(got == expected))
    except (TypeError, ValueError):
        return False


def _short(value: object) -> str:
    text = " ".join(repr(value.item() if isinstance(value, np.generic) else value).split())
    return text if len(text) <= 80 else text[:77] + "..."
