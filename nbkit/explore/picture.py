"""The plotly picture of an explorer: as wide as its cell, safe between threads, with ghosts and growing axes."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import ipywidgets
import plotly.graph_objects as go
import traitlets

from nbkit.explore.hearing import HEAR, Hearing
from nbkit.figures.template import TITLE_LINE_PX, wrapped_title

__all__ = ["Picture"]

GHOST_COLOUR = "#8A8F98"  # for a line that leaves its colour to plotly
_FIXED = ("template", "width", "height", "autosize")  # a size said again would end plotly's following of its column
_CONFIG = {
    "responsive": True,
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "png", "scale": 2},
}
# plotly asks whether there is nbformat, which checks with jsonschema, which parses the grammar of all web addresses if
# it finds it: a second, a third of the wait for the first picture, and nobody here asks what is one.
_GRAMMAR = "rfc3987_syntax"
_hides = _GRAMMAR not in sys.modules
if _hides:
    sys.modules[_GRAMMAR] = None
try:
    FigureWidget = go.FigureWidget  # is imported when asked for
finally:
    if _hides:
        del sys.modules[_GRAMMAR]


class Picture(Hearing, FigureWidget):
    """A FigureWidget made of `figure`; every line has an empty twin, which `hold` fills.

    The twins come after the figure's own traces, so that `data[i]` stays what it was.

    What is sent before a view can draw is lost to it. So the page is told of a picture once it is made, and each view,
    once drawn, asks for what it has missed.
    """

    _esm = HEAR + Path(__file__).with_name("picture.js").read_text(encoding="utf-8")
    _script = traitlets.Unicode().tag(sync=True)  # the model id of the script that all pictures share
    _is_made = False

    def __init__(self, figure: go.Figure, *, lock: threading.RLock, ghosts: bool, height: int) -> None:
        figure = go.Figure(figure)
        lines = [i for i, trace in enumerate(figure.data) if trace.type == "scatter" and not trace.fill]
        self._sources = lines if ghosts else []
        self._first_ghost, self._guard = len(figure.data), lock
        self._extents: dict[str, tuple[float, float]] = {}
        self._assigned: dict[str, tuple[float, float]] = {}
        self._grown: set[str] = set()
        if not figure.layout.title.text:  # it comes with the first frame, and may need two lines: nothing jumps then
            figure.layout.margin.t = (figure.layout.margin.t or 0) + 2 * TITLE_LINE_PX
        figure.add_traces([_ghost(figure.data[i]) for i in self._sources])
        figure.update_layout(autosize=True, width=None, height=figure.layout.height or height, uirevision="kept")
        super().__init__(figure)
        self._told: set[str] = set()  # what traces may have where a view drew them: it must be taken away by name
        self._made = {axis: self.layout[axis].range for axis in self.layout if axis[1:5] == "axis"}
        self._config, self._script, self._is_made = _CONFIG, _Script.of_all().model_id, True
        self.refresh()
        self.open()

    def open(self) -> None:
        if self._is_made:
            super().open()

    @property
    def has_ghosts(self) -> bool:
        """Whether there is a line that can be held."""
        return bool(self._sources)

    def redraw(self, traces: Sequence[Mapping[str, Any]]) -> None:
        """Write one update into each of the figure's own traces, or into the first of them; ghosts stay."""
        for trace, values in zip(self.data[: min(len(traces), self._first_ghost)], traces, strict=True):
            trace.update(values)

    def retitle(self, title: str) -> None:
        """Write the title, which says what is to be seen, in lines that fit."""
        self.layout.title.text = wrapped_title(title)

    def hold(self, held: bool) -> None:
        """Leave the present lines as ghosts, or take the ghosts away."""
        with self.batch_update():
            for position, source in enumerate(self._sources):
                ghost, trace = self.data[self._first_ghost + position], self.data[source]
                x, y = (trace.x, trace.y) if held else ((), ())
                line, marker = _colours(trace)
                ghost.update(x=x, y=y, line=line, marker=marker)

    def grow(self, axis: str, low: float, high: float) -> tuple[float, float]:
        """Widen an axis ("xaxis", "yaxis2", ...) until it shows low to high, in data units; it never shrinks.

        Returns what it shows then, in data units: labels keep apart on that.
        """
        is_log = self.layout[axis].type == "log"
        if is_log:
            low, high = math.log10(low), math.log10(high)
        before = self._extents.get(axis, (low, high))
        self._extents[axis] = low, high = min(low, before[0]), max(high, before[1])
        return (10.0**low, 10.0**high) if is_log else (low, high)

    def show_axes(self) -> None:
        """Draw the axes as far as they have grown; a reader who has zoomed keeps the zoom until the next reset."""
        for axis, extent in self._extents.items():
            part, last = self.layout[axis], self._assigned.get(axis)
            zoomed = last is not None and part.range is not None and tuple(part.range) != last
            if not zoomed and last != extent:
                part.range = self._assigned[axis] = extent

    def forget_axes(self) -> None:
        """Let the axes start again with what is drawn next; a reader's zoom goes."""
        self._grown |= set(self._extents)  # for good: of two resets in a row the second finds no extents
        self._extents.clear()
        self._assigned.clear()
        for axis, made in self._made.items():
            part = self.layout[axis]
            if axis in self._grown or (part.range == made and part.autorange is not True):
                continue
            if made is not None:
                part.range = made
            elif part.range is not None:
                part.update(range=None, autorange=None)  # or a second reset would say nothing new
                part.autorange = True

    def refresh(self) -> None:
        """Say again what is drawn to whoever opens the picture from here on; plotly says it only when made."""
        self._told |= {key for trace in self._data for key in trace}
        self._widget_layout, self._widget_data = deepcopy(self._layout_obj._props), deepcopy(self._data)

    def plain(self) -> go.Figure:
        """The picture as a figure of its own, without a size."""
        figure = go.Figure({"data": list(self._data), "layout": dict(self._layout)})
        return figure.update_traces(uid=None)

    @traitlets.observe("_js2py_traceDeltas")
    def _handler_js2py_traceDeltas(self, change: dict[str, Any]) -> None:  # noqa: N802, plotly's name
        # What the browser made of each trace is not looked at here; plotly would write it down at each picture, and
        # stumble over arrays: a traceback that nobody sees, which takes half of the kernel's time.
        if change["new"]:
            self._trace_edit_in_process = False
            self._js2py_traceDeltas = None

    def _handle_msg(self, msg: dict[str, Any]) -> None:
        # messages from the browser arrive on other threads while a stream draws
        with self._guard:
            super()._handle_msg(msg)

    def _say_all(self) -> None:
        self._told |= {key for trace in self._data for key in trace}
        self._send_update_msg(
            {key: [trace.get(key) for trace in self._data] for key in sorted(self._told - {"type", "uid"})},
            {key: value for key, value in self._layout.items() if key not in _FIXED},
            list(range(len(self._data))),
        )


class _Script(ipywidgets.Widget):
    """plotly's script, 5 MB; with each picture it would take longer than to draw it."""

    source = traitlets.Unicode(str(FigureWidget._esm)).tag(sync=True)
    _made: _Script | None = None

    @classmethod
    def of_all(cls) -> _Script:
        if cls._made is None or cls._made.comm is None:  # whoever closes all widgets closes this one
            cls._made = cls()
        return cls._made


def _ghost(trace: go.Scatter) -> go.Scatter:
    # no zorder: plotly would draw the axes a second time, without their images
    line, marker = _colours(trace)
    return go.Scatter(
        x=(), y=(), mode=trace.mode, xaxis=trace.xaxis, yaxis=trace.yaxis, opacity=0.38,
        marker={**marker, "size": trace.marker.size},
        line={**line, "width": trace.line.width, "shape": trace.line.shape, "dash": trace.line.dash},
        name=f"{trace.name or ''} held".strip(), showlegend=False, hoverinfo="skip",
    )  # fmt: skip


def _colours(trace: go.Scatter) -> tuple[dict[str, str], dict[str, str]]:
    """What colours a ghost's line and markers have: those of its line now."""
    colour = trace.line.color or GHOST_COLOUR
    marker = trace.marker.color if isinstance(trace.marker.color, str) else colour
    return {"color": colour}, {"color": marker}
