"""The explorer engine where it paints: drags, keys, errors, interrupts, re-runs, widths, downloads."""

import csv
import json
import os
import statistics
import sys
from pathlib import Path

import pytest

from .lab import Notebook, write_notebook

TOY = '''
import time
import numpy as np
import plotly.graph_objects as go
from nbkit.explore import Explorer, Slider, Text

class Toy(Explorer):
    """A line of 1,000 points at the height; step_ms a step, n_steps steps."""
    groups = {"line": [Slider("height", "height h", 0, 100, value=0), Text("text", "text", "ok")],
              "time": [Slider("n_steps", "steps", 1, 2000, value=1), Slider("step_ms", "ms a step", 0, 300, value=0)]}
    def build(self):
        self.figure = self.figure_widget(go.Figure([go.Scatter(name="line")], {"yaxis.range": [0, 110]}))
    def stream(self, *, height, text, n_steps, step_ms):
        for k in range(n_steps):
            time.sleep(step_ms / 1000)
            if text != "ok":
                raise RuntimeError("not <ok>")
            yield {"x": np.arange(1000.0), "y": height + np.sin(np.arange(1000.0) / 50 + k), "height": height,
                   "progress": (k + 1, n_steps, "steps")}
    def draw(self, frame):
        self.figure.data[0].update(x=frame["x"], y=frame["y"], name=str(frame["height"]))
'''
# Every painted frame of every picture: [ms since 1970, the line's name]; a frame counts when the next one is asked for.
RECORD = """() => document.querySelectorAll('.js-plotly-plot').forEach(gd => { if (gd.painted) return; gd.painted = [];
    gd.on('plotly_afterplot', () => requestAnimationFrame(() => gd.painted.push([Date.now(), gd.data[0].name]))); })"""
LINE = "document.querySelectorAll('.js-plotly-plot .scatterlayer .js-line').length"
STATUS = "document.querySelector('.nbkit-status')?.textContent"
PICTURES = "document.querySelectorAll('.js-plotly-plot')"
PRESSES, RERUNS = 21, 5
# Each script that a widget brings takes longer to load than anywidget waits, two seconds.
STALL = """() => { const make = URL.createObjectURL; URL.createObjectURL = blob => {
    if (blob.type === 'text/javascript') for (const end = performance.now() + 2300; performance.now() < end;);
    return make.call(URL, blob); }; }"""


BARE = """bare = go.FigureWidget([go.Scatter(y=[0, 1])], {"yaxis.range": [0, 110], "height": 420, "width": 900})
knob = ipywidgets.IntSlider(0, 0, 100, description="bare")
def move(change):
    with bare.batch_update():
        bare.data[0].update(x=np.arange(1000.0), y=change["new"] + np.sin(np.arange(1000.0) / 50), name=str(change["new"]))
knob.observe(move, "value")
ipywidgets.VBox([knob, bare])"""


def run_toys(notebook, n_pictures):
    """Run all, wait until this many pictures have a line, and begin to record what is painted."""
    notebook.run_all()
    return record(notebook, n_pictures)


def record(notebook, n_pictures):
    """Wait until this many pictures have a line, and begin to record what is painted."""
    notebook.wait_for(f"{LINE} >= {n_pictures}", 60)
    notebook.page.wait_for_timeout(1200)
    notebook.evaluate(RECORD)
    return notebook


@pytest.fixture(scope="module")
def desk(chromium, lab, tmp_path_factory):
    """One notebook for all tests that leave it usable: the explorers a and b, and a cell that is not run."""
    (lab.folder / "toy.py").write_text(TOY)
    path = write_notebook(
        lab.folder / "desk.ipynb", ["import ipywidgets\nfrom toy import *", "a = Toy(); a", "b = Toy(); b", BARE]
    )
    pictures = Path(os.environ.get("NBKIT_SCREENSHOTS") or tmp_path_factory.mktemp("pictures"))
    notebook = Notebook(chromium, lab, path, pictures, width=1500, height=1700)
    for index in range(3):
        notebook.run_cell(index)
    yield record(notebook, 2)
    notebook.close()


@pytest.fixture
def start(desk):
    """start(a={...}, b={...}): the desk with both explorers reset, then settled with these settings."""

    def settle(**settings):
        for name in "ab":
            desk.python(f"{name}.reset(); {name}.set(**{settings.get(name, {})}); {name}.settle()")
        desk.page.wait_for_timeout(300)
        desk.evaluate("() => document.querySelectorAll('.js-plotly-plot').forEach(gd => { gd.painted = []; })")
        return desk

    return settle


def painted(notebook, which=0):
    return notebook.evaluate(f"() => {PICTURES}[{which}].painted")


def slider(notebook, label, which=0):
    return notebook.page.locator(".widget-slider", has_text=label).nth(which)


@pytest.mark.calm
@pytest.mark.parametrize(("n_steps", "step_ms"), [(3, 100), (1, 300)])
def test_pictures_keep_coming_during_a_drag_and_the_last_is_the_last_value(start, capsys, n_steps, step_ms):
    notebook = start(a={"n_steps": n_steps, "step_ms": step_ms})
    moved = []
    handle = slider(notebook, "height h")
    notebook.drag(handle, moves=40, pause_ms=60, each=lambda _: moved.append(notebook.evaluate("() => Date.now()")))
    notebook.wait_for("document.querySelector('.js-plotly-plot').data[0].name === '100'")
    notebook.page.wait_for_timeout(600)
    frames = painted(notebook)
    during = {name for when, name in frames if moved[0] <= when <= moved[-1]}
    first_of_last = next(when for when, name in frames if name == "100")
    with capsys.disabled():
        print(
            f"\n{n_steps} x {step_ms} ms: {len(during)} values painted in a drag of {moved[-1] - moved[0]} ms, "
            f"the last value {first_of_last - moved[-1]} ms after the last move",
            file=sys.stderr,
        )
    assert len(during) >= 4
    assert frames[-1][1] == "100"
    assert first_of_last - moved[-1] <= 700


def test_two_explorers_at_once_both_arrive(start):
    notebook = start(b={"n_steps": 3, "step_ms": 50})
    notebook.python("a.set(n_steps=60, step_ms=20)")
    notebook.drag(slider(notebook, "height h", 1), moves=15, pause_ms=50)
    notebook.python("a.settle(); b.settle()")
    notebook.wait_for(f"{PICTURES}[1].data[0].name === '100'")
    assert notebook.python("import json; print(json.dumps([a.data['progress'][0], b.data['height']]))") == [60, 100]
    assert all(len(painted(notebook, which)) >= 4 for which in (0, 1))
    assert not notebook.page_errors


def test_an_exception_shows_in_the_status_line_and_the_picture_stays(start):
    notebook = start(a={"height": 40})
    box = notebook.page.locator(".widget-text input").first
    box.fill("broken")
    notebook.wait_for(f"{STATUS} === 'RuntimeError: not <ok>'")
    assert notebook.evaluate("() => document.querySelector('.js-plotly-plot').data[0].name") == "40"
    notebook.screenshot("explorer-error")
    box.fill("ok")
    notebook.wait_for(f"{STATUS}.startsWith('cpu')")


def test_an_interrupt_ends_the_stream_and_a_cell_run_again_replaces_its_explorer(lab, open_notebook):
    (lab.folder / "toy.py").write_text(TOY)
    notebook = run_toys(
        open_notebook(
            ["from toy import *", "explorer = Toy(); explorer", "explorer.settle()", "other = Toy(height=3); other"]
        ),
        2,
    )
    stop = notebook.page.get_by_role("button", name="stop", exact=True).first
    notebook.python("explorer.set(n_steps=2000, step_ms=20)")
    notebook.run_cell(2, wait=False)
    stop.wait_for(state="visible", timeout=10_000)
    notebook.screenshot("explorer-refining")
    notebook.interrupt()
    notebook.wait_idle(10)
    assert [line.split(":")[1].strip() for line in notebook.errors()] == ["KeyboardInterrupt"]
    notebook.wait_for(f"{STATUS}.includes('stopped at')")
    notebook.python("explorer.set(n_steps=1999)")
    stop.wait_for(state="visible", timeout=10_000)
    stop.click()
    notebook.wait_for(f"{STATUS}.includes('of 1999 steps')")
    notebook.python("explorer.settle(5)")
    count = "import json; from ipywidgets.widgets import widget; print(json.dumps(len(widget._instances)))"
    before = notebook.python("first = explorer; explorer.set(n_steps=2000); " + count)
    for _ in range(RERUNS):
        notebook.run_cell(1, 30)
    notebook.wait_for(f"{LINE} === 2", 30)
    assert notebook.python(count) == before
    told = notebook.python(
        "import json; print(json.dumps([first._closed, explorer._closed, other._closed, first._worker.wait(1)]))"
    )
    assert told == [True, False, False, True]
    assert notebook.evaluate("() => document.querySelectorAll('.nbkit-explorer').length") == 2


@pytest.mark.calm
def test_a_key_press_is_painted_as_fast_as_by_a_bare_figure(start, capsys):
    notebook = start()
    # Here, where the machine is quiet: plotly's own widget stays empty if it loads for two seconds.
    notebook.run_cell(3)
    record(notebook, 3)
    notebook.evaluate("() => document.addEventListener('keydown', () => { window.pressed = Date.now(); }, true)")
    waits = {"explorer": [], "bare": []}
    for _ in range(PRESSES):
        for which, (name, label) in ((0, ("explorer", "height h")), (2, ("bare", "bare"))):
            handle = slider(notebook, label).locator(".noUi-handle")
            before = len(painted(notebook, which))
            handle.focus()
            handle.press("ArrowRight")
            notebook.wait_for(f"{PICTURES}[{which}].painted.length > {before}")
            waits[name].append(painted(notebook, which)[before][0] - notebook.evaluate("() => window.pressed"))
            notebook.page.wait_for_timeout(250)
    explorer, figure = (statistics.median(waits[name]) for name in ("explorer", "bare"))
    with capsys.disabled():
        print(
            f"\nkey press to painted frame, median of {PRESSES}: "
            f"explorer {explorer:.0f} ms, bare FigureWidget {figure:.0f} ms",
            file=sys.stderr,
        )
    assert explorer <= 1.3 * figure


def test_the_picture_is_as_wide_as_its_cell_and_follows_it(start):
    notebook = start(a={"height": 50})
    widths = """() => { const root = document.querySelector('.nbkit-explorer').getBoundingClientRect();
        const box = document.querySelector('.nbkit-explorer .js-plotly-plot').parentElement.getBoundingClientRect();
        return [box.width, document.querySelector('.nbkit-explorer .main-svg').clientWidth, root.right - box.right]; }"""
    seen = []
    try:
        for width, sidebar in ((1500, False), (900, False), (1500, True)):
            notebook.page.set_viewport_size({"width": width, "height": 1700})
            notebook.evaluate("() => jupyterapp.shell.%s()" % ("expandLeft" if sidebar else "collapseLeft"))
            notebook.page.wait_for_timeout(1000)
            notebook.screenshot(f"explorer-{width}{'-sidebar' * sidebar}")
            box, picture, gap = notebook.evaluate(widths)
            assert abs(box - picture) <= 2 and gap <= 12
            seen.append(box)
    finally:
        notebook.evaluate("() => jupyterapp.shell.collapseLeft()")
    assert seen[1] + 100 < seen[2] < seen[0] - 100


def test_keyboard_reaches_every_control(desk):
    unreachable = desk.evaluate("""() => Array.from(document.querySelectorAll(
        '.nbkit-explorer button, .nbkit-explorer input, .nbkit-explorer select, .nbkit-explorer .noUi-handle'))
        .filter(e => e.tabIndex < 0).map(e => e.outerHTML)""")
    assert unreachable == []


def test_the_menu_saves_a_picture_a_page_and_the_data(start, chromium, tmp_path):
    notebook = start(a={"height": 50})
    notebook.page.get_by_role("button", name="menu", exact=True).first.click()
    saved = {}
    for item in ("picture", "page", "data"):
        with notebook.page.expect_download(timeout=20_000) as download:
            notebook.page.get_by_role("button", name=item, exact=True).first.click()
        saved[item] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[item])
    assert saved["picture"].read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(saved["data"].open()))
    assert len(rows) == 1000 and rows[0]["y"] == "50.0"
    page = chromium.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(saved["page"].as_uri())
    page.wait_for_selector(".js-plotly-plot .scatterlayer .js-line", state="attached", timeout=20_000)
    page.close()
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []


def test_what_was_drawn_before_the_page_could_paint_is_there_after_a_reload(lab, open_notebook):
    (lab.folder / "toy.py").write_text(TOY)
    notebook = run_toys(open_notebook(["from toy import *", "explorer = Toy(); explorer"]), 1)
    notebook.python("explorer.set(height=77); explorer.settle()")
    notebook.evaluate("async () => { await jupyterapp.commands.execute('docmanager:save'); }")
    notebook.page.reload()
    notebook.wait_for("document.querySelector('.js-plotly-plot')?.data?.[0]?.name === '77'", 60)


def test_a_page_too_busy_to_load_in_time_still_shows_what_the_controls_say(open_notebook):
    notebook = open_notebook(["from nbkit import explore", "cone = explore.ConeExplorer(); cone"])
    notebook.run_cell(0)
    notebook.evaluate(STALL)
    notebook.run_cell(1)
    for settings in ({}, {"family": "X-Net Cayley", "depth": 5}):
        told = notebook.python(
            f"import json; cone.set(**{settings}); cone.settle(); traces = cone.figure.data; print(json.dumps("
            "[cone.figure.layout.title.text, cone.canvases['reach'].title, [len(trace.x) for trace in traces]]))"
        )
        notebook.wait_for(
            f"""JSON.stringify([document.querySelector('.js-plotly-plot')._fullLayout.title.text,
            document.querySelector('.nbkit-title').textContent,
            document.querySelector('.js-plotly-plot').data.map(trace => trace.x.length)]) === JSON.stringify({json.dumps(told)})""",
            60,
        )
    assert notebook.page.locator('.modebar-btn[data-title^="Share"]').count() == 0
    with notebook.page.expect_download(timeout=20_000):
        notebook.python("cone._page.save('cone.csv', 'x', 'text/csv')")
