"""What every explorer of the notebooks promises: settings alone decide, streams end and touch no widget."""

import html
import threading
import time
from contextlib import ExitStack, closing
from functools import cache, wraps

import ipywidgets
import numpy as np
import pytest

from nbkit import explore
from nbkit.device import one_thread
from nbkit.errors import NbkitError

NAMES = [name for name in explore.__all__ if name.endswith("Explorer") and name != "Explorer"]
LONG = {("TrainDeepExplorer", "a thousand layers")}  # minutes
CASES = [(name, preset) for name in NAMES for preset in (None, *getattr(explore, name).presets)]
CASES = [case for case in CASES if case not in LONG]
LONGEST_S, MOST_FRAMES = 60, 2000
STEP_S = 0.4


def stopwatch(stream, steps):
    """The same stream; how long each of its steps took is noted, in seconds of processor: a busy machine is no slow step."""

    @wraps(stream)
    def timed(self, **settings):
        frames, end = stream(self, **settings), object()
        while True:
            began = time.thread_time()
            frame = next(frames, end)
            steps.append(time.thread_time() - began)
            if frame is end:
                return
            yield frame

    return timed


@pytest.fixture(scope="module")
def opened():
    """opened(name): the explorer of this name, which tests share; it has drawn.

    Its `threads` are those that drew, its `steps` those of all its streams after the first, which imports what it uses.
    """
    with ExitStack() as stack:

        @cache
        def open_one(name):
            class Watched(getattr(explore, name)):
                threads, steps = [], []
                stream = stopwatch(getattr(explore, name).stream, steps)

                def draw(self, frame):
                    self.threads.append(threading.current_thread())
                    super().draw(frame)

            explorer = stack.enter_context(closing(Watched()))
            end = time.monotonic() + LONGEST_S
            while not explorer.threads and time.monotonic() < end:
                time.sleep(0.01)
            explorer._worker.stop()  # the same settings are played to their end by the first test
            explorer.settle(LONGEST_S)
            explorer.opened_with = lines(explorer)
            explorer.steps.clear()
            return explorer

        yield open_one


def assert_equal(one, other):
    """Nested frames: dicts, lists, arrays, exact integers, words."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    else:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def state(explorer):
    """Every picture and control as the browser knows it."""
    canvases = [(c.title, c.shape, c.data, c.lit_row, c.lit_column) for c in explorer.canvases.values()]
    return explorer.figure.to_json(), canvases, explorer.settings, explorer._panel._status.value


def lines(explorer):
    return [trace.type for trace in explorer.figure.data], explorer.figure.layout.uirevision


@pytest.mark.parametrize(("name", "preset"), CASES)
def test_settings_alone_decide_what_is_shown_and_a_stream_ends_and_touches_no_widget(opened, name, preset, monkeypatch):
    one = opened(name)  # it comes from the preset before
    one.reset()
    one.set(**one.presets.get(preset, {}))
    one.settle(LONGEST_S)
    assert sorted(one.steps)[-2] < STEP_S  # the longest but one: what is used for the first time is imported
    with closing(getattr(explore, name)(**one.settings)) as other:  # has shown no picture before
        other._worker.stop()
        other._worker.wait(LONGEST_S)
        before = state(other)
        frame = last_frame_without_widgets(other, monkeypatch)
        assert state(other) == before
        other._show(frame, 0.0)
        assert one.settings == other.settings
        assert_equal(one.data, frame)
        assert [c.matrix.tolist() for c in one.canvases.values()] == [
            c.matrix.tolist() for c in other.canvases.values()
        ]
        assert one.figure.layout.title.text == other.figure.layout.title.text
        # As many traces as it was opened with, and the reader's zoom is kept.
        assert lines(one) == lines(other) == one.opened_with and one.opened_with[1]


def last_frame_without_widgets(explorer, monkeypatch):
    """What its stream ends with, played where no widget may be touched: what a settled explorer shows."""

    def forbidden(*_, **__):
        raise AssertionError("a stream touched a widget")

    with monkeypatch.context() as patch, one_thread():  # as the explorer computes; two add in another order
        for method in ("__init__", "notify_change", "send"):  # a new widget, any trait, any message
            patch.setattr(ipywidgets.Widget, method, forbidden)
        for n_frames, frame in enumerate(explorer.stream(**explorer.settings), start=1):
            assert n_frames <= MOST_FRAMES
    assert isinstance(frame, dict)
    return frame


@pytest.mark.parametrize("text", ["3, 3, x", "1, 2", "2, 2; 3", "", "4096, 4096"])
@pytest.mark.parametrize("hand", ["set", "box"])
def test_text_that_is_no_net_is_told_in_the_status_line_and_the_picture_stays(text, hand):
    with closing(explore.WiringExplorer(radices="3, 3, 4")) as explorer:
        explorer.settle()
        before = explorer.figure.to_json(), explorer.data
        if hand == "set":
            explorer.set(radices=text)
        else:
            explorer.controls["radices"].value = text
        with pytest.raises(NbkitError) as caught:
            explorer.settle()
        status = explorer._panel._status.value
        assert html.escape(str(caught.value)) in status and "nbkit-error" in status
        assert explorer.figure.to_json() == before[0] and explorer.data is before[1]
        assert explorer.controls["radices"].value == text  # what was typed can be mended
        explorer.controls["radices"].value = "3, 3, 4"
        explorer.settle()
        assert explorer.error is None and "nbkit-error" not in explorer._panel._status.value


@pytest.mark.parametrize("name", NAMES)
def test_the_thread_is_a_daemon_and_none_is_left_when_idle(opened, name):
    drawing = opened(name).threads
    assert drawing and all(thread.daemon and thread is not threading.main_thread() for thread in drawing)
    end = time.monotonic() + 5
    while any(thread.is_alive() for thread in drawing) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(thread.is_alive() for thread in drawing)
