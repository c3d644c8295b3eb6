"""The explorers of the notebooks under a reader's hand: a click, a zoom, every button, and how soon they paint."""

import json
import os
import statistics
import sys
from pathlib import Path

import pytest

from .lab import Notebook, write_notebook
from .test_every_notebook import SHOW_CELL, await_rest, await_still, move

# name -> the slider that is timed
SLIDERS = {
    "Wiring": "depth lit",
    "Cone": "neuron u",
    "Paths": "radix N1",
    "Density": "radix N1",
    "Sigmoids": "terms N",
    "Reach": "depth L",
    "Gap": "nodes n",
    "Growth": "scale σ_w",
    "Circle": "layer d",
    "Factor": "density α",
    "Subvector": "entries k",
    "MaskGrowth": "rms growth",
    "Length": "depth L",
    "Trained": "lengths σ_w",
    "Construction": "step",
    "Depth": "depth L",
    "Layer": "input x",
    "Spectrum": "degree d",
    "Frequency": "image size n",
    "Operator": "output pixel",
    "RamanujanConv": "image size n",
    "Compress": "seed",
    "Lossless": "Adam's steps",
    "Descent": "steps",
    "Race": "target loss",
    "Sparsity": "density",
    "Slice": "step",
    "Swallow": "layer i",
    "Disks": "layer i",
    "Rescaling": "angle °",
    "RadialFunctions": "vector v",
    "Condition": "radius r",
    "Regimes": "balls N",
    "Decay": "strength λ",
    "PaperDecay": "strength λ",
    "Spline": "strength λ",
    "Balance": "factor a",
    "Widths": "seed",
    "Threshold": "threshold",
    "TrainDeep": "epochs",
    "DeepTable": "depth N",
    "Speed": "width n",
    "ConvTables": "density",
    "Pruning": "seed",
    "Lab": "depth L",
    "Phase": "depth L",
    "Trainability": "accuracy",
    "Expressive": "depth N",
    "Report": "layer i",
}
# name -> how it is opened, where the promise is about more than its defaults: fifty layers, or widths, of 256
OPENED = {
    "Spectrum": "n=256, depth=50",
    "Compress": "widths='2, 256, 256, 256, 2'",
    "Decay": "steps=2000",  # as many as its longest steps need
    "TrainDeep": "depth=10, epochs=1",
}
CELLS = {name: index for index, name in enumerate(SLIDERS, start=1)}
PRESSES, TARGET_MS, STEP_MS = 3, 150, 400
PAINTED_MS = 400  # the slowest take 180 to 250 ms on a quiet machine; on a busy one all take twice as long

# When the pictures of the shown cell were painted, in ms since 1970: plotly tells, a canvas is overheard.
RECORD = """() => { const note = () => requestAnimationFrame(() => window.painted.push(Date.now()));
    const events = ['plotly_afterplot', 'plotly_update', 'plotly_restyle', 'plotly_relayout'];
    document.querySelectorAll('.js-plotly-plot').forEach(gd => {
        if (gd.heard !== gd.on) { gd.heard = gd.on; events.forEach(event => gd.on(event, note)); } });
    if (window.pressed !== undefined) return;
    window.pressed = 0; window.painted = [];
    const paper = CanvasRenderingContext2D.prototype, draw = paper.drawImage;
    paper.drawImage = function (...given) { note(); return draw.apply(this, given); };
    document.addEventListener('keydown', () => { window.pressed = Date.now(); window.painted = []; }, true); }"""
PICTURE = "document.querySelector('[data-shown=\"%d\"] .js-plotly-plot')"
# The place on the page of a point given in data units.
PLACE = """([cell, x, y]) => { const gd = document.querySelector(`[data-shown="${cell}"] .js-plotly-plot`);
    const box = gd.getBoundingClientRect(), {xaxis, yaxis} = gd._fullLayout;
    return [box.left + xaxis._offset + xaxis.d2p(x), box.top + yaxis._offset + yaxis.d2p(y)]; }"""
LONGEST_STEP = """
import time
from nbkit.device import one_thread
steps = []
for chosen in ({}, *explorer.presets.values()):
    frames = explorer.stream(**explorer.settings | chosen)
    over, opened = False, time.perf_counter()
    while not over and time.perf_counter() < opened + 1:  # steps of one stream are alike
        began = time.thread_time()  # of the processor: a busy machine is no slow step
        with one_thread():  # as an explorer's own thread computes
            over = next(frames, frames) is frames
        steps.append(time.thread_time() - began)
print(1000 * sorted(steps)[-2])  # the longest but one: what is used for the first time is imported
"""


@pytest.fixture(scope="module")
def desk(chromium, lab, tmp_path_factory):
    """One notebook with one explorer a cell, which `show` runs when it is asked for."""
    chromium.grant_permissions(["clipboard-read", "clipboard-write"], origin=lab.url)
    cells = [f"{name.lower()} = explore.{name}Explorer({OPENED.get(name, '')})\n{name.lower()}" for name in SLIDERS]
    path = write_notebook(lab.folder / "real.ipynb", ["from nbkit import explore", *cells])
    pictures = Path(os.environ.get("NBKIT_SCREENSHOTS") or tmp_path_factory.mktemp("pictures"))
    notebook = Notebook(chromium, lab, path, pictures, width=1500, height=1000)
    notebook.run_cell(0)
    yield notebook
    notebook.close()


@pytest.fixture
def show(desk):
    """show(name): the explorer's cell, in view, its picture painted and at rest; no error is left behind."""

    def show_cell(name, *, to_its_end=True):
        index = CELLS[name]
        is_open = bool(desk.outputs()[index])
        if not is_open:
            desk.run_cell(index)
        stop = "" if to_its_end else f"{name.lower()}._worker.stop(); "
        desk.python(f"{name.lower()}.reset(); " * is_open + stop + f"{name.lower()}.settle()")
        desk.evaluate(SHOW_CELL, index)
        desk.wait_for(f"{PICTURE % index}?._fullLayout?.xaxis", 30)
        (await_rest if to_its_end else await_still)(desk, index)
        title = json.dumps(ask(desk, f"{name.lower()}.figure.layout.title.text"))
        desk.wait_for(f"{PICTURE % index}._fullLayout.title.text === {title}", 30)  # a busy browser draws later
        return desk.page.locator(f'[data-shown="{index}"]')

    yield show_cell
    assert desk.page.locator(".nbkit-error").all_inner_texts() == []
    assert desk.errors() == desk.page_errors == []


def ask(notebook, expression):
    """The value of a Python expression in the kernel."""
    return notebook.python(f"import json; print(json.dumps({expression}))")


def test_a_click_on_a_neuron_lights_its_cone(desk, show):
    show("Wiring")
    lit = f"JSON.stringify({PICTURE % CELLS['Wiring']}._fullData.slice(2, 5).map(trace => Array.from(trace.x || [])))"
    before = desk.evaluate(lit)
    traces = ask(desk, "[(list(map(float, t.x)), list(map(float, t.y)), [list(map(int, c)) for c in t.customdata])"
                       " for t in wiring.figure.data[3:4]]")  # fmt: skip
    xs, ys, nodes = traces[0]
    at = nodes.index([1, 5])
    desk.page.mouse.move(*desk.evaluate(PLACE, [CELLS["Wiring"], xs[at], ys[at]]))
    desk.page.wait_for_timeout(200)
    desk.page.mouse.down()
    desk.page.mouse.up()
    desk.wait_for(f"{lit} !== {json.dumps(before)}")
    assert ask(desk, "[wiring.settings['layer'], wiring.settings['neuron'], wiring.data['cone_sizes'].tolist()]") == [
        1, 5, [1, 2, 4],
    ]  # fmt: skip


def zoom_in(desk, cell) -> None:
    """Draw a box in the first plot of a cell, as a reader zooms."""
    box = cell.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    left, top, width, height = (box[side] for side in ("x", "y", "width", "height"))
    desk.page.mouse.move(left + 0.3 * width, top + 0.3 * height)
    desk.page.mouse.down()
    desk.page.mouse.move(left + 0.7 * width, top + 0.8 * height, steps=6)
    desk.page.mouse.up()


def test_a_readers_zoom_survives_the_next_move_of_a_slider(desk, show):
    cell = show("Density")
    picture = PICTURE % CELLS["Density"]
    ranges = f"['xaxis', 'yaxis'].map(axis => {picture}._fullLayout[axis].range)"
    whole = desk.evaluate(ranges)
    zoom_in(desk, cell)
    desk.wait_for(f"JSON.stringify({ranges}) !== {json.dumps(json.dumps(whole, separators=(',', ':')))}")
    desk.page.wait_for_timeout(500)
    zoomed = desk.evaluate(ranges)
    title = desk.evaluate(f"{picture}._fullLayout.title.text")
    move(desk, cell.locator(".widget-slider", has_text=SLIDERS["Density"]).locator(".noUi-handle"))
    desk.wait_for(f"{picture}._fullLayout.title.text !== {json.dumps(title)}")
    await_rest(desk, CELLS["Density"])
    assert desk.evaluate(ranges) == zoomed
    assert abs(zoomed[0][1] - zoomed[0][0]) < 0.5 * abs(whole[0][1] - whole[0][0])


def test_every_button_does_what_it_says(desk, show, chromium, tmp_path):
    cell = show("Paths")

    def press(name):
        cell.get_by_role("button", name=name, exact=True).click()
        desk.wait_idle()

    opened = ask(desk, "paths.settings")
    press("hold")
    press("Lemma 1")
    assert ask(desk, "(paths.settle(), paths.settings)[1]") == opened | ask(desk, "paths.presets['Lemma 1']")
    ghosts = "[len(t.x) for t in paths.figure.data if (t.name or '').endswith('held')]"
    assert any(ask(desk, ghosts))
    press("menu")
    press("copy settings")
    desk.page.wait_for_function("async () => (await navigator.clipboard.readText()).startsWith('explore.')")
    copied = desk.evaluate("() => navigator.clipboard.readText()")
    assert copied == ask(desk, "paths.copy_settings()") and copied.startswith("explore.PathsExplorer(radix_1=3")
    with desk.page.expect_download(timeout=20_000) as download:
        press("page")
    download.value.save_as(tmp_path / "page.html")
    press("reset")
    assert ask(desk, "(paths.settle(), paths.settings)[1]") == opened
    assert not any(ask(desk, ghosts))
    assert opens_offline(chromium, tmp_path / "page.html") == 2


def opens_offline(chromium, path):
    """How many matrices a saved page shows beside its plotly picture; it may ask the network for nothing."""
    page, asked = chromium.new_page(), []
    try:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector(".js-plotly-plot .main-svg", state="attached", timeout=20_000)
        assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []
        assert page.locator('.modebar-btn[data-title^="Share"]').count() == 0
        return page.evaluate("() => [...document.images].filter(image => image.naturalWidth >= 36).length")
    finally:
        page.close()


def test_play_runs_through_the_values(desk, show):
    cell = show("Cone")
    desk.python("cone.set(depth=1)")
    cell.locator(".widget-play button").first.click()
    depth = cell.locator(".widget-slider", has_text="depth L").locator(".noUi-handle")
    desk.page.wait_for_function(
        "handle => Number(handle.getAttribute('aria-valuenow')) === 8", arg=depth.element_handle()
    )
    desk.page.wait_for_timeout(300)
    assert ask(desk, "(cone.settle(), cone.settings['depth'], len(cone.data['cone_sizes']))[1:]") == [8, 9]


@pytest.mark.parametrize("name", SLIDERS)
def test_an_explorer_opens_and_is_painted(show, name):
    """Before the test that times it: beside that one nobody else may run."""
    show(name, to_its_end=False)


@pytest.mark.calm
@pytest.mark.parametrize("name", SLIDERS)
def test_an_explorer_paints_soon_after_a_key(desk, show, capsys, name):
    cell, waits = show(name, to_its_end=False), []
    desk.evaluate(RECORD)
    handle = cell.locator(".widget-slider", has_text=SLIDERS[name]).locator(".noUi-handle").first
    for _ in range(PRESSES):
        move(desk, handle)
        desk.wait_for("window.painted.length")
        waits.append(desk.evaluate("() => window.painted[0] - window.pressed"))
        desk.python(f"{name.lower()}._worker.stop(); {name.lower()}.settle()")  # the first picture is what counts
        desk.page.wait_for_timeout(120)
    tell(capsys, f"{name}Explorer: key press to painted frame {statistics.median(waits):.0f} ms, wanted {TARGET_MS}")
    assert statistics.median(waits) < PAINTED_MS


@pytest.mark.parametrize("name", OPENED)  # as all open by themselves their steps are timed in tests/explore
def test_no_step_of_a_stream_is_long(desk, show, capsys, name):
    show(name, to_its_end=False)
    step = desk.python(f"explorer = {name.lower()}" + LONGEST_STEP)
    tell(capsys, f"{name}Explorer: longest step of a stream {step:.0f} ms of processor")
    assert step < STEP_MS


def tell(capsys, line):
    with capsys.disabled():
        print(f"\n{line}", file=sys.stderr)


def slider_of(cell, label):
    return cell.locator(".widget-slider", has_text=label).first


def shown(desk, explorer, cell, labels):
    """The settings once all is at rest, with what the handles of the whole-number sliders show."""
    await_rest(desk, CELLS[explorer])
    desk.page.wait_for_timeout(500)
    at = {
        name: int(float(slider_of(cell, label).locator(".noUi-handle").get_attribute("aria-valuenow")))
        for name, label in labels.items()
    }
    return ask(desk, f"({explorer.lower()}.settle(), {explorer.lower()}.settings)[1]"), at


@pytest.mark.parametrize(
    ("explorer", "before", "label", "preset"),
    [
        ("Cone", {"n": 27, "degree": 3}, "neuron u", "Fig. 3"),
        ("Wiring", {"radices": "16, 16, 16"}, "neuron u", "Fig. 1"),
    ],
)
def test_a_preset_after_a_drag_lands_on_its_own_settings(desk, show, explorer, before, label, preset):
    cell, name = show(explorer), explorer.lower()
    desk.python(f"{name}.set(**{before!r}); {name}.settle()")
    await_rest(desk, CELLS[explorer])
    desk.drag(slider_of(cell, label), moves=10, stop=0.7)
    await_rest(desk, CELLS[explorer])
    dragged = ask(desk, f"{name}.settings['neuron']")
    assert dragged > 15
    cell.get_by_role("button", name=preset, exact=True).click()
    wanted = ask(desk, f"{name}.presets[{preset!r}]")
    settings, at = shown(desk, explorer, cell, {"neuron": label})
    assert settings == wanted and at == {"neuron": wanted["neuron"]}
    desk.python(f"{name}.set(**{before | {'neuron': dragged}!r})")
    settings, at = shown(desk, explorer, cell, {"neuron": label})
    assert settings["neuron"] == at["neuron"] == dragged


def test_a_listed_slider_follows_when_other_values_are_offered(desk, show):
    cell = show("Gap")
    degree = slider_of(cell, "degree d")
    readout = degree.locator("xpath=..").locator(".widget-label.widget-readout")
    desk.python("gap.set(family='SAO', n=81, degree=3); gap.settle()")
    await_rest(desk, CELLS["Gap"])
    assert readout.inner_text() == "3"
    desk.python("gap.set(family='3 × 3 convolution', n=256); gap.settle()")
    await_rest(desk, CELLS["Gap"])
    assert readout.inner_text() == "9" and ask(desk, "gap.settings['degree']") == 9
    desk.python("gap.set(family='random regular', n=256, degree=4); gap.settle()")
    last = ask(desk, "gap.controls['degree'].options[-1]")
    await_rest(desk, CELLS["Gap"])
    desk.drag(degree, moves=10)
    await_rest(desk, CELLS["Gap"])
    assert (ask(desk, "gap.settings['degree']"), readout.inner_text()) == (last, str(last))
    degree.locator(".noUi-handle").press("ArrowLeft")
    await_rest(desk, CELLS["Gap"])
    before = ask(desk, "gap.controls['degree'].options[-2]")
    assert (ask(desk, "gap.settings['degree']"), readout.inner_text()) == (before, str(before))


def test_hold_leaves_every_matrix_in_the_picture(desk, show):
    cell = show("Reach")
    images = cell.locator(".js-plotly-plot .imagelayer image, .js-plotly-plot .layer-below image")
    images.nth(6).wait_for(state="attached")
    before = images.count()
    cell.get_by_role("button", name="hold", exact=True).click()
    await_rest(desk, CELLS["Reach"])
    desk.page.wait_for_timeout(500)
    assert images.count() == before and images.last.is_visible()


@pytest.mark.parametrize("explorer", ["Reach", "Density"])
def test_reset_forgets_the_readers_zoom_on_every_axis_each_time(desk, show, explorer):
    cell = show(explorer)
    axes = f"""JSON.stringify(Object.entries({PICTURE % CELLS[explorer]}._fullLayout)
        .filter(([name]) => /^[xy]axis/.test(name)).map(([name, axis]) => [name, axis.range]))"""
    whole = desk.evaluate(axes)
    for _ in range(2):
        zoom_in(desk, cell)
        desk.wait_for(f"{axes} !== {json.dumps(whole)}")
        desk.page.wait_for_timeout(500)
        desk.python(f"{explorer.lower()}.reset(); {explorer.lower()}.settle()")
        desk.wait_for(f"{axes} === {json.dumps(whole)}")


def test_reset_draws_whole_matrices_again(desk, show):
    cell = show("Construction")
    frames = f"""JSON.stringify([...{PICTURE % CELLS["Construction"]}.querySelectorAll('.shapelayer path')]
        .map(path => path.getAttribute('d')))"""
    opened = desk.evaluate(frames)
    cell.get_by_role("button", name="more inputs", exact=True).click()
    desk.wait_for(f"{frames} !== {json.dumps(opened)}")
    await_rest(desk, CELLS["Construction"])
    desk.python("construction.reset(); construction.settle()")
    desk.wait_for(f"{frames} === {json.dumps(opened)}")


def test_no_picture_offers_to_upload_itself(desk, show):
    cell = show("Density")
    titles = [button.get_attribute("data-title") for button in cell.locator(".modebar-btn").all()]
    assert any(title.startswith("Download") for title in titles) and not any("Share" in title for title in titles)
