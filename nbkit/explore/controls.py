"""What a reader can set: small declarations that make an ipywidget, check a value, and offer only admissible ones."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ipywidgets

from nbkit.errors import NbkitError
from nbkit.explore.listed import ListedSlider, fit

__all__ = ["Choice", "Control", "LogSlider", "Slider", "Text", "Toggle"]

_LAYOUT = {"width": "auto", "margin": "1px 0"}
_STYLE = {"description_width": "92px"}


@dataclass(frozen=True)
class Control:
    """One setting of an explorer.

    Args:
        name: the stream's argument.
        label: the word and the paper's letter, such as "degree d".
        value: where it starts.
    """

    name: str
    label: str

    def widget(self) -> ipywidgets.Widget:
        """A new ipywidget whose `value` is the setting."""
        raise NotImplementedError

    def check(self, who: str, value: Any) -> Any:
        """The value as the stream gets it.

        Raises:
            NbkitError: a value outside the control's range.
        """
        raise NotImplementedError

    def offer(self, widget: ipywidgets.Widget, values: Sequence[Any] | None, value: Any) -> None:
        """Show `value` in the widget; with `values` offer only these, without offer everything again."""
        if widget.value != value:
            widget.value = value

    def nearest(self, wish: Any, values: Sequence[Any]) -> Any:
        """The admissible value closest to what the reader wished for."""
        if wish in values:
            return wish
        if all(isinstance(value, numbers.Real) for value in (wish, *values)):
            return min(values, key=lambda value: abs(value - wish))
        return values[0]

    def _refuse(self, who: str, rule: str, value: Any, mend: str) -> NbkitError:
        return NbkitError(f"{who}: {self.name} must be {rule}, got {value!r}. {mend}")


@dataclass(frozen=True)
class Slider(Control):
    """A number: from `low` to `high` in steps, or one of the listed `values`.

    Whole numbers when low, high and step are; `play` adds a button that runs through the values.
    """

    low: float | None = None
    high: float | None = None
    step: float = 1
    values: tuple[Any, ...] | None = None
    value: Any = None
    play: bool = False

    def __post_init__(self) -> None:
        if (self.values is None) == (self.low is None or self.high is None):
            raise TypeError(f"Slider {self.name}: give either low and high, or values")
        if self.values is not None:
            object.__setattr__(self, "values", tuple(self.values))
        if self.value is None:
            object.__setattr__(self, "value", self.low if self.values is None else self.values[0])

    @property
    def is_whole(self) -> bool:
        """Whether the setting is an int."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step))

    def widget(self) -> ipywidgets.Widget:
        common = {"description": self.label, "style": _STYLE}
        if self.values is not None:
            return ListedSlider(self.values, self.value, **common)
        make = ipywidgets.IntSlider if self.is_whole else ipywidgets.FloatSlider
        return make(value=self.value, min=self.low, max=self.high, step=self.step, layout=_LAYOUT, **common)

    def check(self, who: str, value: Any) -> Any:
        if self.values is not None:
            if value not in self.values:
                raise self._refuse(who, f"one of {_listed(self.values)}", value, "Choose one of these.")
            return self.values[self.values.index(value)]
        kind, word = (numbers.Integral, "an integer") if self.is_whole else (numbers.Real, "a number")
        is_number = isinstance(value, kind) and not isinstance(value, bool)
        if not is_number or not self.low <= value <= self.high:
            raise self._refuse(
                who, f"{word} between {self.low:g} and {self.high:g}", value, "Use a value in that range."
            )
        return int(value) if self.is_whole else float(value)

    def offer(self, widget: ipywidgets.Widget, values: Sequence[Any] | None, value: Any) -> None:
        if self.values is not None:
            options = tuple(self.values if values is None else values)
            if widget.options != options:
                widget.offer(options, value)
        else:
            low, high = (self.low, self.high) if values is None else (min(values), max(values))
            fit(widget, low, high, value)
        super().offer(widget, values, value)


@dataclass(frozen=True)
class LogSlider(Control):
    """A positive number on a logarithmic track from `low` to `high`; three digits of it can be dragged to.

    A value between two steps is used as it is, and the handle stands at the nearest step. (ipywidgets' own slider
    would have the browser move it there, and tell the kernel a moment later, over whatever has been set since.)
    """

    low: float = 1e-3
    high: float = 1.0
    value: float = 1.0
    steps_per_decade: int = 20

    @cached_property
    def steps(self) -> tuple[float, ...]:
        """The values that can be dragged to, ascending."""
        n_steps = round(math.log10(self.high / self.low) * self.steps_per_decade)
        return tuple(float(f"{self.low * 10 ** (step / self.steps_per_decade):.3g}") for step in range(n_steps + 1))

    def widget(self) -> ipywidgets.Widget:
        return ListedSlider(self.steps, self._at_a_step(self.value), description=self.label, style=_STYLE)

    def check(self, who: str, value: Any) -> float:
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not is_number or not self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9):
            rule = f"a number between {self.low:g} and {self.high:g}"
            raise self._refuse(who, rule, value, "Use a value in that range.")
        return float(value)

    def offer(self, widget: ipywidgets.Widget, values: Sequence[Any] | None, value: Any) -> None:
        super().offer(widget, values, self._at_a_step(value))

    def _at_a_step(self, value: float) -> float:
        return min(self.steps, key=lambda step: abs(math.log(step / value)))


@dataclass(frozen=True)
class Choice(Control):
    """One of a few words."""

    choices: tuple[str, ...] = ()
    value: str | None = None

    def __post_init__(self) -> None:
        if self.value is None:
            object.__setattr__(self, "value", self.choices[0])

    def widget(self) -> ipywidgets.Widget:
        return ipywidgets.Dropdown(
            options=self.choices, value=self.value, description=self.label, layout=_LAYOUT, style=_STYLE
        )

    def check(self, who: str, value: Any) -> str:
        if value not in self.choices:
            raise self._refuse(who, f"one of {_listed(self.choices)}", value, "Choose one of these.")
        return value

    def offer(self, widget: ipywidgets.Widget, values: Sequence[Any] | None, value: Any) -> None:
        options = tuple(self.choices if values is None else values)
        if tuple(widget.options) != options:
            with widget.hold_sync():
                widget.options, widget.value = options, value
        super().offer(widget, values, value)


@dataclass(frozen=True)
class Text(Control):
    """A line of text, read by the stream, whose NbkitError says what is wrong with it."""

    value: str = ""

    def widget(self) -> ipywidgets.Widget:
        return ipywidgets.Text(value=self.value, description=self.label, layout=_LAYOUT, style=_STYLE)

    def check(self, who: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self._refuse(who, "text", value, f"Write it as {self.value!r}.")
        return value


@dataclass(frozen=True)
class Toggle(Control):
    """Yes or no."""

    value: bool = False

    def widget(self) -> ipywidgets.Widget:
        return ipywidgets.Checkbox(value=self.value, description=self.label, layout=_LAYOUT, style=_STYLE)

    def check(self, who: str, value: Any) -> bool:
        if value not in (True, False):
            raise self._refuse(who, "True or False", value, "Use one of the two.")
        return bool(value)


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(repr(value) for value in values)
