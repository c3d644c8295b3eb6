"""What the reader wished for and what the controls show: checked, narrowed to what is admissible, remembered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import ipywidgets

from nbkit.errors import NbkitError
from nbkit.explore.controls import Control

__all__ = ["Settings"]

Admissible = Callable[[Mapping[str, Any]], Mapping[str, Sequence[Any]]]


class Settings:
    """The settings of one explorer and the widgets that show them.

    A dependent control shows the admissible value nearest to what was wished, and comes back to the wish as soon as
    the other settings allow it.

    Args:
        who: the explorer's name, for messages.
        groups: word -> controls.
        admissible: settings -> the values that dependent controls may take.
    """

    def __init__(self, who: str, groups: Mapping[str, Sequence[Control]], admissible: Admissible) -> None:
        self._who, self._admissible, self._writing = who, admissible, False
        self.controls = {control.name: control for group in groups.values() for control in group}
        self.values: dict[str, Any] = {name: control.value for name, control in self.controls.items()}
        self.wishes = dict(self.values)
        self._options: Mapping[str, Sequence[Any]] = {}  # what dependent controls offer now

    @cached_property
    def widgets(self) -> dict[str, ipywidgets.Widget]:
        """The ipywidget of every setting, made when first asked for: an explorer that is refused leaves none."""
        return {name: control.widget() for name, control in self.controls.items()}

    def check_names(self, names: Mapping[str, Any]) -> None:
        """Refuse names that are no setting.

        Raises:
            NbkitError: lists the valid names.
        """
        if unknown := [name for name in names if name not in self.controls]:
            listed = ", ".join(self.controls)
            raise NbkitError(
                f"{self._who}: settings must be among {listed}, got {', '.join(unknown)}. Use these names."
            )

    def adopt(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Take new values of some settings in one update and return all of them, as the stream gets them.

        Raises:
            NbkitError: a value its control does not offer, which changes nothing; or a text from which the other
                controls cannot be derived, which stands in its box until it is mended.
            Exception: whatever `admissible` raised, taken as such a text, or a control, which changes nothing.
        """
        checked = {name: self.controls[name].check(self._who, value) for name, value in given.items()}
        wishes = self.wishes | checked
        try:
            values, options = self._narrow(wishes)
        except Exception:
            self.wishes = wishes
            self._write(checked, {})
            raise
        self._check_offered(checked, options)
        try:
            self._write(values, options)
        except Exception:  # a widget refused: none may stand apart from the picture
            self._write(self.values, self._options)
            raise
        self.wishes, self.values, self._options = wishes, values, options
        return dict(values)

    def observe(self, changed: Callable[[str, Any], None], lock: threading.RLock) -> None:
        """Call changed(name, value), under the lock, when a reader moves a control; not when `adopt` does."""

        def hear(name: str, value: Any) -> None:
            with lock:  # first, or a reader's move during another thread's update would pass for that update's own
                if not self._writing:
                    changed(name, value)

        for name, widget in self.widgets.items():
            widget.observe(lambda change, name=name: hear(name, change["new"]), "value")

    def _narrow(self, wishes: Mapping[str, Any]) -> tuple[dict[str, Any], Mapping[str, Sequence[Any]]]:
        values, options = dict(wishes), {}
        for _ in self.controls:  # one control may limit a second, and that a third
            options = self._admissible(dict(values))
            self._check_some(options)
            narrowed = {name: self.controls[name].nearest(wishes[name], options[name]) for name in options}
            if values == wishes | narrowed:
                break
            values = wishes | narrowed
        return values, options

    def _check_some(self, options: Mapping[str, Sequence[Any]]) -> None:
        if empty := [name for name in options if not len(options[name])]:
            raise NbkitError(
                f"{self._who}: {empty[0]} must have an admissible value with the other settings, got none. "
                "Change the others."
            )

    def _check_offered(self, checked: Mapping[str, Any], options: Mapping[str, Sequence[Any]]) -> None:
        for name, value in checked.items():
            if name in options and value not in options[name]:
                offered = options[name]
                rule = (
                    f"in {offered[0]}..{offered[-1]}"
                    if isinstance(offered, range) and offered
                    else f"one of {', '.join(map(repr, offered))}"
                )
                raise NbkitError(
                    f"{self._who}: {name} must be {rule} with the other settings, got {value!r}. "
                    "Choose one of these, or change the others."
                )

    def _write(self, values: Mapping[str, Any], options: Mapping[str, Sequence[Any]]) -> None:
        self._writing = True
        try:
            for name, value in values.items():
                self.controls[name].offer(self.widgets[name], options.get(name), value)
        finally:
            self._writing = False
