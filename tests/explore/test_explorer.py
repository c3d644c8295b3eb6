"""The explorer engine without a browser: every promise of a stream, on a toy that draws one line."""

import _thread
import contextlib
import csv
import io
import shutil
import struct
import subprocess
import sys
import threading
import time
import weakref

import ipywidgets
import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.explore import Choice, CircleExplorer, Explorer, GrowthExplorer, MatrixCanvas, Slider, Text
from nbkit.explore.exports import frame_csv, still_png
from nbkit.explore.worker import DRAW_GAP_S, STEPS

WIDGETS = ipywidgets.widgets.widget._instances
FINE_S = 0.02  # clocks and sleeping threads are this good at least


class ToyExplorer(Explorer):
    """y = height at `n_frames` frames of `step_s` seconds; text that is no number, or height 7, raises."""

    groups = {
        "line": [Slider("height", "height h", 0, 1000, value=1), Text("text", "text", "1")],
        "time": [Slider("n_frames", "frames", 1, 1000, value=3), Slider("step_s", "step", 0.0, 1.0, step=0.01)],
    }
    presets = {"high": {"height": 9}}

    def build(self):
        self.drawn, self.began = [], []
        self.figure = self.figure_widget(go.Figure([go.Scatter(name="y"), go.Scatter(name="empty")]))

    def stream(self, *, height, text, n_frames, step_s):
        self.began.append(height)
        if not text.isdigit():
            raise NbkitError(f"toy: text must be a number, got {text!r}. Write it as 1.")
        for k in range(n_frames):
            time.sleep(step_s)
            if height == 7:
                raise ZeroDivisionError("seven")
            yield {"y": np.full(4, float(height)), "k": k, "progress": (k + 1, n_frames, "nets")}

    def draw(self, frame):
        self.drawn.append((frame["y"][0], frame["k"], time.monotonic()))
        self.figure.data[0].y = frame["y"]
        self.grow("yaxis", 0, frame["y"].max())


@pytest.fixture
def explore():
    made = []

    def make(kind=ToyExplorer, **settings):
        made.append(kind(**settings))
        return made[-1]

    yield make
    for explorer in made:
        explorer.close()


def status(explorer):
    """The words of the status line."""
    import html
    import re

    return html.unescape(re.sub("<[^>]*>", "", explorer._panel._status.value))


# The public surface


def test_the_room_is_imported_without_torch():
    code = "import sys, nbkit.explore; print('torch' in sys.modules, 'Explorer' in dir(nbkit.explore))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_a_new_explorer_draws_its_settings_and_settles(explore):
    explorer = explore(height=5)
    explorer.settle()
    assert explorer.data["y"].tolist() == [5.0] * 4
    assert explorer.figure.data[0].y.tolist() == [5.0] * 4
    assert explorer.error is None


def test_controls_are_widgets_named_as_the_streams_arguments(explore):
    explorer = explore()
    assert list(explorer.controls) == ["height", "text", "n_frames", "step_s"]
    explorer.controls["height"].value = 4
    explorer.settle()
    assert explorer.data["y"][0] == 4


def test_set_is_one_update(explore):
    explorer = explore()
    explorer.settle()
    explorer.began.clear()
    explorer.set(height=3, text="2", n_frames=2)
    explorer.settle()
    assert explorer.began == [3]
    assert explorer.controls["height"].value == 3 and explorer.controls["text"].value == "2"


@pytest.mark.parametrize("call", ["construct", "set"])
def test_an_unknown_name_is_refused_with_the_valid_ones(explore, call):
    before = len(WIDGETS)
    with pytest.raises(
        NbkitError, match=r"ToyExplorer: settings must be among height, text, n_frames, step_s, got hight"
    ):
        explore(hight=3) if call == "construct" else explore().set(hight=3)
    assert call == "set" or len(WIDGETS) == before


def test_controls_must_be_the_streams_arguments():
    class Wrong(ToyExplorer):
        groups = {"line": [Slider("width", "width n", 0, 9)]}

    before = len(WIDGETS)
    with pytest.raises(TypeError, match="stream takes"):
        Wrong()
    assert len(WIDGETS) == before


def test_an_idle_explorer_has_no_thread(explore):
    explorer = explore()
    explorer.settle()
    for _ in range(50):
        if not any(thread.name == "nbkit-explorer" for thread in threading.enumerate()):
            return
        time.sleep(0.02)
    pytest.fail("a thread outlived its stream")


# Streams: what is drawn, what is cancelled


def test_first_and_last_frame_of_a_settled_stream_are_drawn_and_none_too_soon(explore):
    explorer = explore(n_frames=40, step_s=0.01)
    explorer.settle()
    steps = [k for _, k, _ in explorer.drawn]
    assert steps[0] == 0 and steps[-1] == 39
    assert 2 < len(steps) < 40
    assert np.diff([when for *_, when in explorer.drawn]).min() >= DRAW_GAP_S - FINE_S / 4


def test_draws_keep_their_distance_across_streams(explore):
    explorer = explore(n_frames=1)
    for height in range(10, 40):
        explorer.set(height=height)
        time.sleep(0.01)
    explorer.settle()
    assert np.diff([when for *_, when in explorer.drawn]).min() >= DRAW_GAP_S - FINE_S / 4
    assert explorer.data["y"][0] == 39


def test_pictures_keep_coming_while_values_change_and_the_last_value_wins(explore):
    explorer = explore(n_frames=5, step_s=0.06)
    explorer.settle()
    explorer.drawn.clear()
    for height in range(100, 140):
        explorer.set(height=height)
        time.sleep(0.02)
    explorer.settle()
    heights = [height for height, *_ in explorer.drawn]
    assert len(set(heights)) > 3  # a drag shows several of its values
    assert heights == sorted(heights) and heights[-1] == 139
    assert len(explorer.began) < 25  # and most values were never begun: nothing queues up


def test_a_stream_is_cancelled_only_after_it_has_drawn(explore):
    explorer = explore(n_frames=1000, step_s=0.02)
    explorer.set(height=2)  # at once: the first stream has not drawn yet
    time.sleep(0.1)
    explorer.set(height=3, n_frames=2)
    explorer.settle(5)
    assert {height for height, *_ in explorer.drawn} == set(map(float, explorer.began))
    assert explorer.drawn[-1][:2] == (3.0, 1)


def test_explorers_take_turns_step_by_step(explore):
    turns, inside = [], []

    class Turn(ToyExplorer):
        def stream(self, *, height, text, n_frames, step_s):
            for k in range(n_frames):
                inside.append(height)
                assert len(inside) == 1, "two steps at once"
                turns.append(height)
                time.sleep(step_s)
                inside.remove(height)
                yield {"y": np.full(4, float(height)), "k": k}

    explorers = [explore(Turn, height=h, n_frames=20, step_s=0.02) for h in (1, 2)]
    for explorer in explorers:
        explorer.settle()
    both = turns[turns.index(2) : len(turns) - turns[::-1].index(1)]
    changes = sum(a != b for a, b in zip(both, both[1:], strict=False))
    assert changes >= 0.7 * (len(both) - 1)


def test_whoever_is_interrupted_while_waiting_for_a_turn_lets_the_others_have_theirs():
    over, others = threading.Event(), threading.Event()

    def hold():
        with STEPS:
            threading.Timer(0.3, _thread.interrupt_main).start()
            over.wait(30)

    def follow():
        with STEPS:
            others.set()

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    try:
        with pytest.raises(KeyboardInterrupt), STEPS:
            raise AssertionError("the turn is the other thread's")
    finally:
        over.set()
    threading.Thread(target=follow, daemon=True).start()
    assert others.wait(30)


def test_a_bare_yield_passes_the_turn_and_draws_nothing(explore):
    class Slow(ToyExplorer):
        def stream(self, *, height, text, n_frames, step_s):
            yield None
            yield {"y": np.full(4, 2.0), "k": 0}
            yield None

    explorer = explore(Slow)
    explorer.settle()
    assert [k for _, k, _ in explorer.drawn] == [0]


def test_the_gradient_mode_of_a_stream_stays_its_own(explore):
    seen = {"step": [], "draw": []}

    class Gradients(ToyExplorer):
        def stream(self, *, height, text, n_frames, step_s):
            with torch.no_grad():  # what a stream should not do, and must not hurt
                for k in range(3):
                    seen["step"].append(torch.is_grad_enabled())
                    yield {"y": np.full(4, float(height)), "k": k}
            seen["step"].append(torch.is_grad_enabled())

        def draw(self, frame):
            seen["draw"].append(torch.is_grad_enabled())

    explore(Gradients).settle()
    assert seen["step"] == [False, False, False, True]
    assert set(seen["draw"]) == {True} and torch.is_grad_enabled()


# Settling, pausing, stopping, interrupting


def test_settle_gives_up_after_its_time(explore):
    explorer = explore(n_frames=1000, step_s=0.02)
    with pytest.raises(TimeoutError, match="still runs after 0.1 s"):
        explorer.settle(0.1)


def test_an_interrupt_during_settle_ends_the_stream(explore, monkeypatch):
    explorer = explore(n_frames=1000, step_s=0.02)
    time.sleep(0.2)

    def interrupted(timeout):
        raise KeyboardInterrupt

    monkeypatch.setattr(explorer._worker, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        explorer.settle()
    monkeypatch.undo()
    explorer.settle(5)
    assert explorer.data["k"] < 999


def test_pause_and_stop_appear_only_for_long_streams(explore, monkeypatch):
    monkeypatch.setattr("nbkit.explore.explorer.LONG_STREAM_S", 0.2)
    explorer = explore(n_frames=2)
    explorer.settle()
    running = explorer._panel._running.layout
    assert running.visibility == "hidden"
    explorer.set(n_frames=1000, step_s=0.02)
    time.sleep(0.6)
    assert running.visibility == "visible"
    explorer._panel.pause.value = True
    time.sleep(0.1)
    count = len(explorer.drawn)
    time.sleep(0.3)
    assert len(explorer.drawn) == count
    explorer._panel.pause.value = False
    time.sleep(0.3)
    assert len(explorer.drawn) > count
    explorer._panel.stop.click()
    explorer.settle(5)
    assert running.visibility == "hidden"
    assert f"stopped at {explorer.data['k'] + 1} of 1000 nets" in status(explorer)


def test_settle_lets_a_paused_stream_go_on(explore):
    explorer = explore(n_frames=20, step_s=0.02)
    explorer._worker.pause()
    explorer.settle(10)
    assert explorer.data["k"] == 19


# Errors


def test_an_error_in_the_stream_is_told_and_the_picture_stays(explore):
    explorer = explore(height=5)
    explorer.settle()
    explorer.set(text="x")
    with pytest.raises(NbkitError, match="text must be a number, got 'x'"):
        explorer.settle()
    assert status(explorer) == "toy: text must be a number, got 'x'. Write it as 1."
    assert isinstance(explorer.error, NbkitError)
    assert explorer.data["y"][0] == 5 == explorer.figure.data[0].y[0]


def test_a_foreign_exception_is_told_by_name_and_raised_by_settle(explore):
    explorer = explore(height=7)
    with pytest.raises(ZeroDivisionError):
        explorer.settle()
    assert status(explorer) == "ZeroDivisionError: seven"


def test_a_success_clears_the_error(explore):
    explorer = explore(text="x")
    with pytest.raises(NbkitError):
        explorer.settle()
    explorer.controls["text"].value = "2"
    explorer.settle()
    assert explorer.error is None and "must be" not in status(explorer)


def test_a_value_its_control_cannot_show_is_told_and_changes_nothing(explore):
    explorer = explore(height=5)
    explorer.settle()
    explorer.set(height=2000, n_frames=9)
    assert "height must be an integer between 0 and 1000, got 2000" in status(explorer)
    with pytest.raises(NbkitError):
        explorer.settle()
    assert explorer.settings["n_frames"] == 3 and explorer.controls["height"].value == 5
    assert explorer.data["y"][0] == 5
    explorer.set(height=6)
    explorer.settle()
    assert explorer.data["y"][0] == 6


def test_a_refused_value_is_told_although_an_older_stream_still_succeeds(explore):
    explorer = explore(n_frames=20, step_s=0.02)
    explorer.set(height=2000)
    with pytest.raises(NbkitError, match="got 2000"):
        explorer.settle()
    assert "got 2000" in status(explorer)


def test_an_error_in_a_button_is_told(explore, monkeypatch):
    explorer = explore()
    explorer.settle()
    monkeypatch.setattr(explorer, "to_csv", lambda: 1 / 0)
    explorer._panel.menu["data"].click()
    assert status(explorer) == "ZeroDivisionError: division by zero"


# Dependent controls, presets, reset, hold


class DividingExplorer(ToyExplorer):
    """The degree divides n, and the placement `pair` exists for degree 2 only."""

    groups = {
        "wires": [
            Text("n", "neurons n", "16"),
            Slider("degree", "degree d", values=(2, 3, 4, 8), value=8),
            Choice("placement", "placement", ("random", "pair")),
        ]
    }

    def admissible(self, settings):
        if not settings["n"].isdigit():
            raise NbkitError(f"toy: n must be a number, got {settings['n']!r}. Write it as 16.")
        degrees = [degree for degree in (2, 3, 4, 8) if int(settings["n"]) % degree == 0]
        return {"degree": degrees, "placement": ("random", "pair") if settings["degree"] == 2 else ("random",)}

    def stream(self, *, n, degree, placement):
        yield {"y": np.full(4, float(degree)), "k": 0}


def test_dependent_controls_offer_only_what_is_admissible_and_remember_the_wish(explore):
    explorer = explore(DividingExplorer)
    degree = explorer.controls["degree"]
    assert (degree.options, degree.value) == ((2, 4, 8), 8)
    explorer.controls["n"].value = "12"
    assert (degree.options, degree.value) == ((2, 3, 4), 4)
    explorer.controls["n"].value = "16"
    assert degree.value == 8
    explorer.settle()
    assert explorer.data["y"][0] == 8


def test_one_dependent_control_may_limit_another(explore):
    explorer = explore(DividingExplorer, degree=2, placement="pair")
    assert explorer.settings["placement"] == "pair"
    explorer.set(n="9")
    assert explorer.settings == {"n": "9", "degree": 3, "placement": "random"}
    explorer.set(n="2")
    assert explorer.settings == {"n": "2", "degree": 2, "placement": "pair"}


def test_an_inadmissible_value_is_told_with_those_that_are(explore):
    explorer = explore(DividingExplorer)
    explorer.set(degree=3)
    with pytest.raises(NbkitError, match=r"degree must be one of 2, 4, 8 with the other settings, got 3"):
        explorer.settle()
    assert explorer.settings["degree"] == 8


class FaultyExplorer(ToyExplorer):
    """Its `admissible` is at fault: ValueError for a text that is no number, and no height for text 0."""

    def admissible(self, settings):
        return {"height": range(int(settings["text"]) * 10)}


@pytest.mark.parametrize(
    ("text", "raised", "told"),
    [
        ("x", ValueError, "ValueError: invalid literal for int() with base 10: 'x'"),
        ("0", NbkitError, "FaultyExplorer: height must have an admissible value with the other settings, got none. "),
    ],
)
@pytest.mark.parametrize("hand", ["set", "box"])
def test_a_fault_in_admissible_is_told_and_never_escapes_into_the_cell(explore, text, raised, told, hand):
    explorer = explore(FaultyExplorer, height=5)
    explorer.settle()
    if hand == "set":
        explorer.set(text=text)
    else:
        explorer.controls["text"].value = text
    assert type(explorer.error) is raised and status(explorer).startswith(told)
    with pytest.raises(raised):
        explorer.settle()
    assert (explorer.data["y"][0], explorer.figure.data[0].y[0], explorer.settings["text"]) == (5, 5, "1")
    explorer.set(text="3", height=29)
    explorer.settle()
    assert explorer.error is None and explorer.data["y"][0] == 29


def test_a_fault_in_a_control_is_told_and_changes_nothing(explore):
    explorer = explore(DividingExplorer)
    explorer.settle()
    explorer.set(n="12", degree=np.array([2, 4]))  # `in` on an array raises ValueError
    assert type(explorer.error) is ValueError and status(explorer).startswith("ValueError: ")
    with pytest.raises(ValueError, match="ambiguous"):
        explorer.settle()
    assert explorer.settings == {"n": "16", "degree": 8, "placement": "random"}
    assert explorer.controls["n"].value == "16" and explorer.data["y"][0] == 8


def test_a_widget_that_refuses_leaves_all_widgets_as_they_were(explore):
    class Stubborn(Choice):
        def offer(self, widget, values, value):
            if len(values) < 2:
                raise ValueError("one is no choice")
            super().offer(widget, values, value)

    class Refusing(DividingExplorer):
        wires = DividingExplorer.groups["wires"]
        groups = {"wires": [*wires[:2], Stubborn("placement", "placement", ("random", "pair"))]}

    explorer = explore(Refusing, degree=2, placement="pair")
    explorer.settle()
    explorer.set(n="9")  # only degree 3, and so only one placement
    assert status(explorer) == "ValueError: one is no choice"
    assert explorer.settings == {"n": "16", "degree": 2, "placement": "pair"}
    assert {name: widget.value for name, widget in explorer.controls.items()} == explorer.settings
    assert explorer.controls["degree"].options == (2, 4, 8) and explorer.data["y"][0] == 2


def test_a_text_that_cannot_be_read_stays_in_its_box_until_mended(explore):
    explorer = explore(DividingExplorer)
    explorer.settle()
    explorer.set(n="x")
    explorer.set(degree=4)
    assert explorer.controls["n"].value == "x"
    assert "n must be a number" in status(explorer)
    explorer.set(n="8")
    explorer.settle()
    assert explorer.settings["degree"] == 4 and explorer.error is None


def test_a_preset_is_one_click_and_reset_comes_back_to_the_start(explore):
    explorer = explore(height=2)
    explorer.settle()
    explorer._panel.presets["high"].click()
    explorer.settle()
    assert explorer.data["y"][0] == 9
    explorer._panel.menu["reset"].click()
    explorer.settle()
    assert explorer.settings["height"] == 2 and explorer.data["y"][0] == 2


def test_reset_stops_a_playing_button(opened):
    explorer = opened(CircleExplorer)
    [play] = [widget for widget in WIDGETS.values() if isinstance(widget, ipywidgets.Play)]
    play.playing = True
    explorer.reset()
    assert not play.playing


def test_axes_only_grow_until_reset(explore):
    explorer = explore(height=2)
    tops = []
    for height in (10, 4):
        explorer.set(height=height)
        explorer.settle()
        tops.append(explorer.figure.layout.yaxis.range[1])
    explorer.reset()
    explorer.settle()
    assert [*tops, explorer.figure.layout.yaxis.range[1]] == [10, 10, 2]


def test_two_resets_in_a_row_leave_no_axis_automatic(opened):
    explorer = opened(GrowthExplorer, n_nets=10, width=20, depth=3, curve="circle")
    explorer.reset()
    explorer.reset()
    explorer.settle()
    axes = [explorer.figure.layout[axis] for axis in ("xaxis", "yaxis", "yaxis2")]
    assert all(axis.range is not None and axis.autorange is not True for axis in axes)


def test_a_zoomed_reader_keeps_the_zoom_until_reset(explore):
    explorer = explore(height=2)
    explorer.settle()
    explorer.figure.layout.yaxis.range = (0.5, 0.6)  # as the browser reports it
    explorer.set(height=50)
    explorer.settle()
    assert explorer.figure.layout.yaxis.range == (0.5, 0.6)
    explorer.reset()
    explorer.settle()
    assert explorer.figure.layout.yaxis.range == (0, 2)


def test_reset_forgets_a_zoom_on_axes_that_never_grow_each_time(explore):
    explorer = explore()
    explorer.settle()
    layout, made = explorer.figure.layout, explorer.figure.layout.xaxis.range
    for _ in range(2):
        layout.xaxis.range = (0.2, 0.4)  # as the browser reports it
        explorer.reset()
        explorer.settle()
        assert (layout.xaxis.range, layout.xaxis.autorange) == (made, True if made is None else None)


def test_hold_keeps_the_present_line_as_a_ghost_and_the_traces_stay_as_many(explore):
    explorer = explore(height=2)
    explorer.settle()
    n_traces = len(explorer.figure.data)
    explorer._panel.hold.value = True
    explorer.set(height=5)
    explorer.settle()
    ghost = explorer.figure.data[2]
    assert (ghost.y[0], explorer.figure.data[0].y[0]) == (2, 5)
    assert ghost.zorder is None  # with one, plotly draws the axes twice and loses their images
    explorer._panel.hold.value = False
    explorer.figure.data[0].line.color = "#123456"
    explorer._panel.hold.value = True
    assert (ghost.line.color, ghost.y[0]) == ("#123456", 5)
    explorer._panel.hold.value = False
    assert len(explorer.figure.data[2].y) == 0
    assert len(explorer.figure.data) == n_traces


def test_drawing_a_new_trace_is_refused(explore):
    class Adding(ToyExplorer):
        def draw(self, frame):
            self.figure.add_scatter(y=frame["y"])

    with pytest.raises(TypeError, match="keep the number of traces"):
        explore(Adding).settle()


# What leaves an explorer


def test_copied_settings_recreate_the_view(explore):
    explorer = explore(height=5, text="12")
    explorer.settle()
    copied = explorer.copy_settings()
    assert copied == 'ToyExplorer(height=5, text="12", n_frames=3, step_s=0.0)'
    explorer._panel.menu["copy settings"].click()
    assert status(explorer) == f"copied {copied}"


def test_copied_settings_run_below_the_notebooks_import():
    from nbkit import explore as room

    with contextlib.closing(room.WiringExplorer(radices="2, 3; 3, 2", layer=1, neuron=4)) as explorer:
        copied = explorer.copy_settings()
        assert copied.startswith('explore.WiringExplorer(radices="2, 3; 3, 2", widths="", ')
        assert explorer._repr_mimebundle_()["text/plain"] == copied.removeprefix("explore.")
        names = {"explore": room}
        exec(f"again = {copied}", names)
        with contextlib.closing(names["again"]) as again:
            assert again.settings == explorer.settings


def test_csv_has_a_column_for_each_array_of_the_last_frame(explore):
    class Matrix(ToyExplorer):
        def stream(self, *, height, text, n_frames, step_s):
            yield {"y": torch.tensor([1.0, 2.0, 3.0]), "m": np.array([[1, 2], [3, 4]]), "k": 5, "progress": (1, 1, "")}

        def draw(self, frame):
            pass

    explorer = explore(Matrix)
    explorer.settle()
    rows = list(csv.reader(io.StringIO(explorer.to_csv())))
    assert rows == [["y", "m[0]", "m[1]", "k"], ["1.0", "1", "2", "5"], ["2.0", "3", "4", ""], ["3.0", "", "", ""]]


def test_lists_of_unequal_arrays_and_words_have_columns_too():
    text = frame_csv({"edges": [np.arange(3), torch.arange(2)], "law": {"name": "Gauß", "std": 1.5}, "none": None})
    rows = list(csv.reader(io.StringIO(text)))
    assert rows == [
        ["edges[0]", "edges[1]", "law.name", "law.std"],
        ["0", "0", "Gauß", "1.5"],
        ["1", "1", "", ""],
        ["2", "", "", ""],
    ]


def test_a_list_of_edges_goes_down_the_page_and_not_across_it():
    edges = np.array([[0, 0, 1], [4, 5, 6]])
    rows = list(csv.reader(io.StringIO(frame_csv({"edges": edges}))))
    assert rows == [["edges[0,:]", "edges[1,:]"], ["0", "4"], ["0", "5"], ["1", "6"]]
    deep = frame_csv({"curves": np.arange(12).reshape(2, 3, 2)}).splitlines()
    assert deep == [
        '"curves[0,:,0]","curves[0,:,1]","curves[1,:,0]","curves[1,:,1]"',
        "0,1,6,7",
        "2,3,8,9",
        "4,5,10,11",
    ]


def test_the_page_needs_no_network(explore):
    explorer = explore()
    explorer.settle()
    page = explorer.to_html()
    assert "Plotly.newPlot" in page and len(page) > 4_000_000
    assert '<script src="' not in page and '<script charset="utf-8" src=' not in page
    assert explorer.copy_settings().replace('"', "&quot;") in page


def test_displayed_live_it_is_a_widget_with_its_call_as_text(explore):
    explorer = explore()
    bundle = explorer._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.widget.model_id
    assert bundle["text/plain"] == explorer.copy_settings()


def test_displayed_for_the_store_it_settles_and_is_a_png_with_its_call(explore, monkeypatch):
    monkeypatch.setenv("NBKIT_STORE", "1")
    monkeypatch.setattr(ToyExplorer, "to_png", lambda self: b"\x89PNG" + bytes([int(self.data["k"])]))
    explorer = explore(n_frames=5, step_s=0.02)
    bundle = explorer._repr_mimebundle_()
    assert bundle == {"text/plain": explorer.copy_settings(), "image/png": "iVBORwQ="}


def test_the_still_picture_has_the_canvases_below_the_figure_and_repeats_byte_for_byte():
    pytest.importorskip("kaleido")
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))):
        pytest.skip("kaleido needs a chromium or google-chrome on PATH")
    figure = go.Figure(go.Scatter(y=[1, 2]), {"height": 300})
    canvas = MatrixCanvas(np.eye(4), title="the identity")
    alone = still_png(figure, {})
    both = [still_png(figure, {"eye": canvas}) for _ in range(2)]
    canvas.close()
    assert struct.unpack(">II", alone[16:24]) == (900, 300)
    assert struct.unpack(">II", both[0][16:24]) == (900, 300 + 34 + 400)
    assert both[0] == both[1]
    assert still_png(None, {"eye": canvas}) == canvas.png()


# Layout


class ManyExplorer(ToyExplorer):
    """Nine controls under two words; the first can be played."""

    groups = {
        "first": [Slider("a", "a", 0, 5, play=True), Slider("b", "b", values=(1, 2), play=True)],
        "then": [Slider(name, name, 0, 5) for name in "cdefghi"],
    }

    def stream(self, *, a, b, c, d, e, f, g, h, i):
        yield {"y": np.full(4, float(a)), "k": 0}


def widgets_below(widget):
    return [widget, *(inner for child in getattr(widget, "children", ()) for inner in widgets_below(child))]


def test_seven_controls_are_in_view_and_the_rest_is_folded(explore):
    explorer = explore(ManyExplorer)
    (fold,) = [w for w in widgets_below(explorer.widget) if isinstance(w, ipywidgets.Accordion)]
    assert fold.selected_index is None
    assert [name for name, widget in explorer.controls.items() if widget in widgets_below(fold)] == ["h", "i"]


def test_play_moves_its_slider_in_the_browser_and_is_closed_with_the_rest():
    ToyExplorer().close()  # the script that all pictures share stays
    before = len(WIDGETS)
    explorer = ManyExplorer()
    linked = [(w.source, w.target) for w in WIDGETS.values() if type(w).__name__ == "Link"]
    pairs = {(source[0].description, source[1], target[1]) for source, target in linked}
    explorer.close()
    assert pairs == {(label, what, what) for label in "ab" for what in ("value", "min", "max")}
    assert len(WIDGETS) == before


# Closing


def test_thirty_explorers_leave_nothing_behind():
    ToyExplorer().close()
    before, threads = len(WIDGETS), threading.active_count()
    for height in range(30):
        explorer = ToyExplorer(height=height)
        explorer.close()
    assert len(WIDGETS) == before
    assert threading.active_count() <= threads


def test_closing_ends_the_stream_and_draws_no_more(explore):
    explorer = explore(n_frames=1000, step_s=0.02)
    time.sleep(0.1)
    explorer.close()
    count = len(explorer.drawn)
    time.sleep(0.3)
    assert len(explorer.drawn) == count
    explorer.settle(1)
    with pytest.raises(NbkitError, match="closed"):
        explorer.set(height=2)


def test_a_closed_explorer_can_be_forgotten():
    import gc

    explorer = ToyExplorer()
    explorer.settle()
    explorer.close()
    gone = weakref.ref(explorer)
    del explorer
    gc.collect()
    assert gone() is None


def test_running_a_cell_again_closes_what_it_made():
    """A real kernel is sent cell ids, as JupyterLab does; without one nothing is superseded."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=60)
    try:
        toy = (
            "import numpy, plotly.graph_objects as go\nfrom nbkit.explore import Explorer, Slider\nmade = []\n"
            "class Toy(Explorer):\n    groups = {'a': [Slider('h', 'h', 0, 9)]}\n"
            "    def build(self): self.figure = self.figure_widget(go.Figure(go.Scatter()))\n"
            "    def stream(self, *, h): yield {'y': numpy.full(3, h)}\n"
            "    def draw(self, frame): self.figure.data[0].y = frame['y']\n"
        )
        make = "made += [Toy(), Toy()]; [toy.settle() for toy in made if not toy._closed]"
        _run(client, toy)
        for cell in ("one", "two", "one", None, None):
            _run(client, make, cell)
        told = _run(client, "print([toy._closed for toy in made])", "three")
        assert told.strip() == str([True] * 2 + [False] * 8)
        count = "from ipywidgets.widgets import widget\nprint(len(widget._instances), threading.active_count())"
        before = _run(client, "import threading\n" + count, "four")
        for _ in range(30):
            _run(client, make, "two")
        assert _run(client, count, "four") == before
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _run(client, code, cell=None):
    """Execute code as the cell with this id and return what it printed."""
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    message = client.session.msg(
        "execute_request", content | {"stop_on_error": True}, metadata={"cellId": cell} if cell else {}
    )
    client.shell_channel.send(message)
    printed = ""
    while True:
        reply = client.get_iopub_msg(timeout=60)
        if reply["parent_header"].get("msg_id") != message["header"]["msg_id"]:
            continue
        assert reply["msg_type"] != "error", reply["content"]
        if reply["msg_type"] == "stream":
            printed += reply["content"]["text"]
        if reply["msg_type"] == "status" and reply["content"]["execution_state"] == "idle":
            return printed
