"""A slider over listed values that follows when other values are offered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets
import traitlets

__all__ = ["ListedSlider", "fit"]


class ListedSlider(ipywidgets.HBox):
    """A slider whose `value` is one of `options`, with the value beside it.

    ipywidgets' own SelectionSlider keeps its old track in the page when its options change; this one moves a plain
    slider over the positions, `slider`, whose track follows.

    Raises:
        traitlets.TraitError: a value that is not offered.
    """

    value = traitlets.Any(help="one of the options")

    def __init__(self, options: Sequence[Any], value: Any, **slider: Any) -> None:
        self.options, self._moving = tuple(options), False
        super().__init__(layout={"width": "auto"})
        layout = {"width": "auto", "flex": "1 1 auto", "min_width": "0", "margin": "1px 0"}
        self.slider = ipywidgets.IntSlider(min=0, max=1, readout=False, layout=layout, **slider)
        self._readout = ipywidgets.Label(layout={"flex": "0 0 auto"})
        self._readout.add_class("widget-readout")
        self.children = (self.slider, self._readout)
        self.observe(lambda _: self._show(), "value")
        self.slider.observe(lambda _: self._slid(), "value")
        self.offer(options, value)

    @property
    def description(self) -> str:
        """The label left of the track."""
        return self.slider.description

    def offer(self, options: Sequence[Any], value: Any) -> None:
        """Offer these values, at least one, and show `value`, one of them."""
        self.options = tuple(options)
        self.value = value
        self._show()

    @traitlets.validate("value")
    def _is_offered(self, proposal: dict[str, Any]) -> Any:
        if proposal["value"] not in self.options:
            raise traitlets.TraitError(f"Invalid selection: {proposal['value']!r} is none of {self.options!r}")
        return proposal["value"]

    def _show(self) -> None:
        self._moving = True
        try:
            alone = len(self.options) == 1  # a track needs two ends
            fit(self.slider, 0, 1 if alone else len(self.options) - 1, self.options.index(self.value))
            self.slider.disabled = alone
            self._readout.value = str(self.value)
        finally:
            self._moving = False

    def _slid(self) -> None:
        if not self._moving:
            self.value = self.options[min(self.slider.value, len(self.options) - 1)]
            self._show()


def fit(slider: ipywidgets.Widget, low: float, high: float, value: float) -> None:
    """Give a slider a range and a value in it, so that at no time the value it shows lies outside its range.

    The page clamps what it shows to a new range and tells that back as if the reader had moved. So what is new is said
    in messages of their own: first the range widens, then the value moves, then the range narrows.
    """
    slider.min, slider.max = min(low, slider.min), max(high, slider.max)
    slider.value = value
    slider.min, slider.max = low, high
