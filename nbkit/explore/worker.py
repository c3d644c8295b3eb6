"""One explorer's stream on a thread of its own: the newest settings win, and explorers take turns step by step."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from nbkit.device import one_thread

__all__ = ["DRAW_GAP_S", "Frame", "Worker"]

Frame = dict[str, Any]
DRAW_GAP_S = 0.1  # the browser has no back-pressure: faster than this it is still painting seconds later
_POLL_S = 0.2  # a wait without limit cannot be interrupted everywhere
_END = object()


class _Turns:
    """A lock handed on in the order of asking; a plain lock goes back to the thread that has just released it."""

    def __init__(self) -> None:
        self._condition, self._queue = threading.Condition(), deque()

    def __enter__(self) -> None:
        ticket = object()
        with self._condition:
            self._queue.append(ticket)
            try:
                while not self._condition.wait_for(lambda: self._queue[0] is ticket, _POLL_S):
                    pass
            except BaseException:  # interrupted: those behind would wait for it for ever
                self._queue.remove(ticket)
                self._condition.notify_all()
                raise

    def __exit__(self, *_: object) -> None:
        with self._condition:
            self._queue.popleft()
            self._condition.notify_all()


STEPS = _Turns()  # one for the process: eight threads of SVDs are no faster than one


class _GradientMode:
    """A generator's own gradient mode, put in place for each of its steps and taken away after it.

    The mode belongs to the thread: a generator suspended inside `torch.no_grad()` would leave it off for the
    drawing and for the next stream.
    """

    def __init__(self) -> None:
        self._inside = self._outside = True

    def __enter__(self) -> None:
        if torch := sys.modules.get("torch"):
            self._outside = torch.is_grad_enabled()
            torch.set_grad_enabled(self._inside)

    def __exit__(self, *_: object) -> None:
        if torch := sys.modules.get("torch"):
            self._inside = torch.is_grad_enabled()
            torch.set_grad_enabled(self._outside)


class Worker:
    """Plays streams for one explorer: a daemon thread while there is something to play, one pending slot, no queue.

    Draws are at least DRAW_GAP_S apart, also across streams. The first frame of every stream is drawn, and the last
    one unless a newer value waits. A stream is cancelled at a yield once a newer value waits and one of its frames
    was drawn: cancelling on every value would show nothing during a drag.

    Args:
        stream: settings -> iterator of frames; None instead of a frame only passes the turn on.
        draw: called with a frame and the milliseconds its stream has computed, on the worker's thread.
        tick: called with the seconds since the stream began, after each step.
        ended: called with the exception or None, and whether the stream was stopped by hand.
    """

    def __init__(
        self,
        stream: Callable[[dict[str, Any]], Iterator[Frame | None]],
        *,
        draw: Callable[[Frame, float], None],
        tick: Callable[[float], None],
        ended: Callable[[BaseException | None, bool], None],
    ) -> None:
        self._stream, self._draw, self._tick, self._ended = stream, draw, tick, ended
        self._condition = threading.Condition()
        self._pending: dict[str, Any] | None = None
        self._thread: threading.Thread | None = None
        self._paused = self._stopped = self._closed = False
        self._next_draw = 0.0

    def submit(self, settings: dict[str, Any]) -> None:
        """Play a stream of these settings next, instead of any that waits."""
        with self._condition:
            if self._closed:
                return
            self._pending, self._paused, self._stopped = settings, False, False
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="nbkit-explorer", daemon=True)
                self._thread.start()
            self._condition.notify_all()

    def pause(self, paused: bool = True) -> None:
        """Hold the stream at its next yield, or let it go on."""
        self._tell(_paused=paused)

    def stop(self) -> None:
        """End the stream at its next yield and forget what waits; the last frame computed is drawn."""
        self._tell(_stopped=True, _pending=None)

    def wait(self, timeout: float) -> bool:
        """Wait until nothing plays and nothing waits; False when the time is up. A paused stream goes on."""
        self.pause(False)
        end = time.monotonic() + timeout
        with self._condition:
            while self._thread is not None and (left := end - time.monotonic()) > 0:
                self._condition.wait(min(left, _POLL_S))
            return self._thread is None

    def close(self, timeout: float = 1.0) -> None:
        """End the stream at its next yield; nothing is drawn and nothing accepted afterwards."""
        thread = self._thread
        self._tell(_closed=True, _pending=None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _tell(self, **flags: Any) -> None:
        with self._condition:
            for name, value in flags.items():
                setattr(self, name, value)
            self._condition.notify_all()

    def _work(self) -> None:
        while (settings := self._take()) is not None:
            error = None
            try:
                self._play(settings)
            except BaseException as raised:  # on this thread nobody else would ever see it
                error = raised
            if not self._closed:
                self._ended(error, self._stopped)

    def _take(self) -> dict[str, Any] | None:
        """The settings that wait; without any the thread is over, which is said in the same breath."""
        with self._condition:
            settings, self._pending = self._pending, None
            if settings is None:
                self._thread = None
                self._condition.notify_all()
            return settings

    def _play(self, settings: dict[str, Any]) -> None:
        mode, began = _GradientMode(), time.monotonic()
        held, drawn, computed_ms = None, False, 0.0
        frames = self._stream(settings)
        try:
            while self._goes_on(drawn):
                with STEPS, mode, one_thread():
                    step_began = time.perf_counter()
                    frame = next(frames, _END)
                    computed_ms += 1000 * (time.perf_counter() - step_began)
                if frame is _END:
                    break
                held = held if frame is None else frame
                if held is not None and (not drawn or time.monotonic() >= self._next_draw):
                    drawn, held = self._paint(held, computed_ms, first=not drawn) or drawn, None
                self._tick(time.monotonic() - began)
            if held is not None:
                self._paint(held, computed_ms, first=not drawn)
        finally:
            with STEPS, mode:
                frames.close()

    def _goes_on(self, drawn: bool) -> bool:
        with self._condition:
            self._condition.wait_for(
                lambda: not self._paused or self._stopped or self._closed or self._pending is not None
            )
            return not (self._stopped or self._closed or (drawn and self._pending is not None))

    def _paint(self, frame: Frame, computed_ms: float, *, first: bool) -> bool:
        """Draw once the gap has passed; given up when closed or, unless it is the first frame, overtaken."""

        def given_up() -> bool:
            return self._closed or (not first and self._pending is not None)

        with self._condition:
            if self._condition.wait_for(given_up, timeout=max(0.0, self._next_draw - time.monotonic())):
                return False
        self._draw(frame, computed_ms)
        self._next_draw = time.monotonic() + DRAW_GAP_S
        return True
