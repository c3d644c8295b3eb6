"""The explorer: controls that feed a stream, whose frames are drawn while the reader drags."""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ipywidgets
import plotly.graph_objects as go

from nbkit.device import describe_device
from nbkit.errors import NbkitError
from nbkit.explore.cells import remember
from nbkit.explore.controls import Control
from nbkit.explore.exports import Exports
from nbkit.explore.page import Page
from nbkit.explore.panel import Panel, close_widgets
from nbkit.explore.picture import Picture
from nbkit.explore.settings import Settings
from nbkit.explore.worker import Frame, Worker

__all__ = ["Explorer"]

LONG_STREAM_S = 2.0  # from here on Pause and Stop are offered


class Explorer(Exports):
    """Drag a control and see: a subclass declares its controls, builds a picture once, streams frames and draws them.

    A subclass writes `groups` (word -> controls), `presets` (name -> settings), `build`, `stream`, `draw` and, where
    one control limits another, `admissible`. Streams run on a thread of their own, take turns with those of other
    explorers, and are overtaken by newer settings. A value that cannot be used is explained in the status line, in
    `error` and by `settle`; picture and data stay as they were.

    Args:
        settings: values of controls to start with; reset comes back to them.

    Raises:
        NbkitError: a name that is no setting.

    Example:
        >>> from nbkit.explore import WiringExplorer
        >>> explorer = WiringExplorer(radices="2, 2")
        >>> explorer.set(radices="3, 3, 4")
        >>> explorer.settle()
        >>> explorer.data["sizes"]
        (36, 36, 36, 36)
        >>> explorer.close()
    """

    groups: Mapping[str, Sequence[Control]] = {}
    presets: Mapping[str, Mapping[str, Any]] = {}
    height = 420

    def __init__(self, **settings: Any) -> None:
        self._lock = threading.RLock()
        self._settings = Settings(self._who, self.groups, self.admissible)
        self._check_declaration()
        self._settings.check_names(settings)
        self.controls = self._settings.widgets
        self.figure: Picture | None = None
        self.canvases: dict[str, ipywidgets.Widget] = {}
        self.data: Frame | None = None
        self._refused: Exception | None = None
        self._failed: BaseException | None = None
        self._closed, self._told, self._device = False, "", describe_device()
        self.build()
        self._n_traces = 0 if self.figure is None else len(self.figure.data)
        self._lay_out()
        self._worker = Worker(lambda values: self.stream(**values), draw=self._show, tick=self._tick, ended=self._ended)
        remember(self)
        self.set(**settings)
        self._start = self.settings

    # What a subclass writes

    def build(self) -> None:
        """Make `self.figure` (with `figure_widget`) and `self.canvases`; called once, all traces are made here."""
        raise NotImplementedError

    def stream(self, **settings: Any) -> Iterator[Frame | None]:
        """Yield frames, each a new dict of arrays; the first within 30 ms, every step under 100 ms; touch no widget.

        Two keys are told in the status line: "progress", such as (12, 100, "networks"), and "note", a text.
        """
        raise NotImplementedError

    def draw(self, frame: Frame) -> None:
        """Write a frame into the picture: the only place that does."""
        raise NotImplementedError

    def admissible(self, settings: Mapping[str, Any]) -> Mapping[str, Sequence[Any]]:
        """The values that dependent controls may take under these settings; what the reader wished is remembered."""
        return {}

    # What a subclass uses

    def figure_widget(self, figure: go.Figure, *, ghosts: bool = True) -> Picture:
        """The figure as a live picture as wide as the cell; with ghosts its lines can be held."""
        return Picture(figure, lock=self._lock, ghosts=ghosts, height=self.height)

    def grow(self, axis: str, low: float, high: float) -> tuple[float, float]:
        """Widen an axis to show low to high, in data units; it shrinks only at a reset. Returns what it shows then."""
        return self.figure.grow(axis, low, high)

    # What a reader uses

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the controls show."""
        return dict(self._settings.values)

    @property
    def error(self) -> BaseException | None:
        """Why the last settings gave no picture; None after a success."""
        return self._refused or self._failed

    def set(self, **settings: Any) -> None:
        """Change several settings in one update; a value that cannot be used is kept in `error` and told by `settle`.

        Raises:
            NbkitError: a name that is no setting, or a closed explorer.
        """
        self._settings.check_names(settings)
        with self._lock:
            if self._closed:
                raise NbkitError(f"{self._who}: the explorer must be open, got a closed one. Run its cell again.")
            try:
                values, self._refused = self._settings.adopt(settings), None
            except Exception as error:  # in a cell's traceback it would be seen once, and not when a widget asked
                self._refused = error
                self._say()
                return
            self._worker.submit(values)

    def settle(self, timeout: float = 60) -> None:
        """Wait until the stream has ended; an interrupt of the kernel ends it.

        Raises:
            TimeoutError: the stream goes on after `timeout` seconds.
            Exception: whatever the stream or a setting raised.
        """
        try:
            if not self._worker.wait(timeout):
                raise TimeoutError(f"{self._who}: the stream still runs after {timeout:g} s. Give settle more time.")
        except KeyboardInterrupt:
            self._worker.stop()
            raise
        if self.error is not None:
            raise self.error

    def reset(self) -> None:
        """Go back to the settings the explorer was opened with; axes start anew, ghosts go, play buttons stop."""
        with self._lock:
            self._panel.stop_playing()
            self._panel.hold.value = False
            if self.figure is not None:
                self.figure.forget_axes()
            self.set(**self._start)

    def close(self) -> None:
        """End the stream, then close every widget, with layouts and styles."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._worker.close()
        self._panel.close()
        close_widgets(*filter(None, [self.figure]), *self.canvases.values())

    # How it works

    @property
    def widget(self) -> ipywidgets.Widget:
        """The explorer as an ipywidget, to stand beside others."""
        return self._panel.root

    @property
    def _who(self) -> str:
        return type(self).__name__

    def _check_declaration(self) -> None:
        wanted = list(inspect.signature(self.stream).parameters)
        if sorted(wanted) != sorted(self._settings.controls):
            raise TypeError(f"{self._who}: stream takes {wanted}, the controls are {list(self._settings.controls)}")

    def _lay_out(self) -> None:
        self._page = Page()
        canvases = ipywidgets.HBox(list(self.canvases.values()), layout={"flex_flow": "row wrap"})
        pictures = [*filter(None, [self.figure]), canvases, self._page]
        can_hold = self.figure is not None and self.figure.has_ghosts
        self._panel = panel = Panel(self.groups, self.controls, self.presets, pictures, can_hold=can_hold)
        self._settings.observe(lambda name, value: self._guarded(self.set, **{name: value}), self._lock)
        for name, button in panel.presets.items():
            button.on_click(lambda _, name=name: self._guarded(self.set, **self.presets[name]))
        for name, button in panel.menu.items():
            button.on_click(lambda _, name=name: self._guarded(self._choose, name))
        panel.hold.observe(lambda change: self._guarded(self.figure.hold, change["new"]), "value")
        panel.pause.observe(lambda change: self._worker.pause(change["new"]), "value")
        panel.stop.on_click(lambda _: self._worker.stop())

    def _guarded(self, action: Callable[..., None], *arguments: Any, **settings: Any) -> None:
        """Do what a widget asked; an exception in a callback is seen nowhere but in the status line."""
        with self._lock:
            if self._closed:
                return
            try:
                action(*arguments, **settings)
            except Exception as error:
                self._panel.say(_explained(error), is_error=True)

    def _show(self, frame: Frame, computed_ms: float) -> None:
        with self._lock:
            if self._closed:
                return
            with contextlib.nullcontext() if self.figure is None else self.figure.batch_update():
                self.draw(frame)
                if self.figure is not None:
                    self.figure.show_axes()
            if self.figure is not None and len(self.figure.data) != self._n_traces:
                raise TypeError(f"{self._who}: draw must keep the number of traces; a trace that is absent is empty")
            self.data, self._failed = frame, None
            self._told = f"{computed_ms:.3g} ms" if computed_ms < 999.5 else f"{computed_ms / 1000:.3g} s"
            self._say("refining")

    def _tick(self, seconds: float) -> None:
        if seconds >= LONG_STREAM_S:
            with self._lock:
                self._panel.offer_stop(True)

    def _ended(self, error: BaseException | None, stopped: bool) -> None:
        with self._lock:
            self._failed = error
            self._panel.offer_stop(False)
            self._say("stopped at" if stopped else "")

    def _say(self, verb: str = "") -> None:
        """The status line: the error, or device, time and how far the stream is."""
        if self.error is not None:
            self._panel.say(_explained(self.error), is_error=True)
            return
        words, frame = [self._device, self._told], self.data or {}
        done, total, things = frame.get("progress") or (0, 0, "")
        if verb and done < total:
            words.append(f"{verb} {done} of {total} {things}")
        words.append(frame.get("note") or "")
        self._panel.say(" · ".join(filter(None, words)))


def _explained(error: BaseException) -> str:
    return str(error) if isinstance(error, NbkitError) else f"{type(error).__name__}: {error}"
