"""The canvas in a real browser: the hovered entry is the array's and the painted one, keys work, and it is fast."""

import os
import statistics
import sys
from pathlib import Path

import numpy as np
import pytest

from .lab import Notebook, write_notebook

MATRIX = "(numpy.arange(30 * 50).reshape(30, 50) * 37 % 251).astype('uint8')"
SHOW = f"""import numpy
from nbkit.explore.canvas import MatrixCanvas
canvas = MatrixCanvas({MATRIX}, title="Thirty by fifty")
canvas"""
ARRAY = np.arange(30 * 50).reshape(30, 50) * 37 % 251
SIDE = 420 / 50  # px an entry, unzoomed: square, the longer side fills the box

ALLOWED = {512: 1.5, 2048: 2.0}  # size -> how much longer than the bare canvas ours may take

#: The bare canvas of the same drawn size: unpack, put, nothing else.
BARE = """import anywidget, traitlets
class Bare(anywidget.AnyWidget):
    _esm = '''export default { render({model, el}) {
      const c = document.createElement('canvas'); el.appendChild(c);
      c.style.cssText = 'image-rendering: pixelated; width: 420px';
      const ctx = c.getContext('2d'); let img = null;
      function draw() { const n = model.get('n'), v = model.get('data'); if (!v || !v.byteLength) return;
        const b = new Uint8Array(v.buffer, v.byteOffset, v.byteLength);
        if (c.width !== n || !img) { c.width = n; c.height = n; img = ctx.createImageData(n, n); }
        const px = new Uint32Array(img.data.buffer);
        for (let i = 0; i < n * n; i++) px[i] = (b[i >> 3] >> (7 - (i & 7))) & 1 ? 0xffb04a1f : 0xfff4f4f4;
        ctx.putImageData(img, 0, 0); }
      model.on('change:data', draw); draw(); return () => model.off('change:data', draw); } };'''
    n = traitlets.Int(256).tag(sync=True); data = traitlets.Bytes(b'').tag(sync=True)"""

FEED = """import ipywidgets, numpy
from nbkit.explore.canvas import MatrixCanvas
generator = numpy.random.default_rng(0)
bank = [generator.random((SIZE, SIZE)) < 0.1 for _ in range(3)]
ours, bare = MatrixCanvas(bank[0]), Bare(n=SIZE, data=numpy.packbits(bank[0]).tobytes())
slider = ipywidgets.IntSlider(0, 0, 200)
def feed(change):
    matrix = bank[change.new % 3]
    if change.new % 2:
        bare.data = numpy.packbits(matrix).tobytes()
    else:
        ours.show(matrix)
slider.observe(feed, "value")
ipywidgets.VBox([slider, ipywidgets.HBox([ours, bare])])"""

#: Stamps each key press and the beginning of the frame after the one that carries its picture.
STOPWATCH = """() => {
  window.painted = []; let pressed = 0;
  document.addEventListener('keydown', () => { pressed = performance.now(); }, true);
  const put = CanvasRenderingContext2D.prototype.putImageData;
  CanvasRenderingContext2D.prototype.putImageData = function (...given) {
    put.apply(this, given);
    requestAnimationFrame(() => requestAnimationFrame(() => window.painted.push(performance.now() - pressed)));
  }; }"""


@pytest.fixture(scope="module")
def desk(chromium, lab, tmp_path_factory):
    """One notebook for the tests that look at one canvas; `shown` makes it anew."""
    path = write_notebook(lab.folder / "canvas.ipynb", [SHOW])
    pictures = Path(os.environ.get("NBKIT_SCREENSHOTS") or tmp_path_factory.mktemp("pictures"))
    notebook = Notebook(chromium, lab, path, pictures, width=1500, height=1000)
    yield notebook
    notebook.close()


@pytest.fixture
def shown(desk):
    desk.page.set_viewport_size({"width": 1500, "height": 1000})
    desk.page.mouse.move(0, 0)
    desk.run_all()
    desk.wait_for("document.querySelector('.nbkit-matrix canvas')?.width > 100")
    desk.wait_for("document.querySelector('.nbkit-title').textContent === 'Thirty by fifty'")
    return desk


def hovered(notebook):
    """What Python knows, once the throttle of 100 ms has passed."""
    notebook.page.wait_for_timeout(350)
    entry = notebook.python("import json; print(json.dumps(canvas.hovered))")
    return entry and tuple(entry)


def painted(notebook, x, y):
    """The value whose colour is painted at a point of the page."""
    colour = notebook.evaluate(
        """([x, y]) => { const c = document.querySelector('.nbkit-matrix canvas'), b = c.getBoundingClientRect();
        const r = c.width / b.width, context = c.getContext('2d');
        return Array.from(context.getImageData((x - b.left) * r, (y - b.top) * r, 1, 1).data); }""",
        [x, y],
    )
    colours = notebook.python("print(json.dumps(list(canvas.colours)))")
    return {i for i in range(256) if colours[4 * i : 4 * i + 4] == colour}


def shown_px(notebook):
    return notebook.page.locator(".nbkit-box").bounding_box()["width"]


def corner(notebook):
    box = notebook.page.locator(".nbkit-matrix canvas").bounding_box()
    assert shown_px(notebook) == pytest.approx(420, abs=1)
    return box["x"], box["y"]


def test_hovered_entry_is_the_arrays_also_after_zoom_and_drag(shown):
    x, y = corner(shown)
    generator = np.random.default_rng(1)
    cells = [*zip(generator.integers(0, 30, 4), generator.integers(0, 50, 4), strict=True), (15, 20)]
    for row, column in cells:
        at = x + (column + 0.3) * SIDE, y + (row + 0.3) * SIDE
        shown.page.mouse.move(*at)
        assert hovered(shown) == (row, column, ARRAY[row, column])
        text = shown.page.locator(".nbkit-says").text_content()
        assert text == f"input node u {row} · output node v {column} · {ARRAY[row, column]}"
    shown.page.mouse.wheel(0, -400)  # about the cursor: the same entry stays under it
    assert hovered(shown) == (row, column, ARRAY[row, column])
    for step in ((40, 25), (-55, 30)):
        shown.page.mouse.move(at[0] + step[0], at[1] + step[1])
        there = hovered(shown)
        assert there[2] == ARRAY[there[:2]]
        shown.page.wait_for_timeout(100)
    inside = shown.page.mouse
    inside.down()
    inside.move(at[0] - 20, at[1] + 10, steps=5)
    inside.up()
    assert hovered(shown) == there  # what was grabbed is still under the pointer
    inside.dblclick(x + 100, y + 100)
    assert hovered(shown)[:2] == (int(100 / SIDE), int(100 / SIDE))
    inside.move(x - 60, y - 60)
    assert hovered(shown) is None


def test_the_painted_colour_is_the_hovered_values(shown):
    x, y = corner(shown)
    for zoom in (0, -300, -300):
        shown.page.mouse.move(x + 201, y + 133)
        shown.page.mouse.wheel(0, zoom)
        for dx, dy in ((0, 0), (73, -41), (-80, 59)):
            shown.page.mouse.move(x + 201 + dx, y + 133 + dy)
            there = hovered(shown)
            shown.page.mouse.move(x - 60, y - 60)  # the frame of the cursor is gone, the entry's own colour remains
            shown.page.wait_for_timeout(150)
            assert there[2] in painted(shown, x + 201 + dx, y + 133 + dy)
            assert there[2] == ARRAY[there[:2]]


def test_the_keyboard_reads_zooms_and_leaves_the_cell_alone(shown):
    canvas = shown.page.locator(".nbkit-matrix canvas")
    canvas.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "+", "+", "ArrowDown"):
        shown.page.keyboard.press(key)
    assert hovered(shown) == (2, 1, ARRAY[2, 1])
    assert "(0–29)" not in shown.page.locator(".nbkit-rows").text_content()
    shown.page.keyboard.press("0")
    shown.page.wait_for_timeout(100)
    assert "(0–29)" in shown.page.locator(".nbkit-rows").text_content()
    assert "30 rows, 50 columns" in canvas.get_attribute("aria-label")
    assert shown.evaluate("document.activeElement.tagName") == "CANVAS"


def test_a_new_shape_and_a_lit_row_arrive_and_a_narrow_cell_shrinks_it(shown):
    shown.python("canvas.show(numpy.eye(4, 3), title='Four by three'); canvas.lit_row = 2")
    shown.wait_for("document.querySelector('.nbkit-title').textContent === 'Four by three'")
    x, y = corner(shown)
    shown.page.mouse.move(x + 150, y + 150)
    assert hovered(shown) == (1, 1, 1)
    shown.screenshot("canvas-light", shown.page.locator(".nbkit-matrix"))
    shown.page.set_viewport_size({"width": 460, "height": 800})
    shown.page.wait_for_timeout(500)
    assert shown_px(shown) < 400
    box = shown.page.locator(".nbkit-matrix canvas").bounding_box()
    assert 4 * box["width"] == pytest.approx(3 * box["height"], abs=6)  # entries stay square


@pytest.fixture(scope="module")
def races(chromium, lab, tmp_path_factory):
    """size -> a notebook that shows our canvas beside a bare one, both of that size and painted."""
    pictures, opened = tmp_path_factory.mktemp("races"), {}
    for size in ALLOWED:
        path = write_notebook(lab.folder / f"race-{size}.ipynb", [BARE, FEED.replace("SIZE", str(size))])
        opened[size] = Notebook(chromium, lab, path, pictures, width=1500, height=1400)
        opened[size].run_all()
        opened[size].wait_for("document.querySelectorAll('.jp-OutputArea canvas').length === 2")
    yield opened
    for notebook in opened.values():
        notebook.close()


@pytest.mark.parametrize("size", ALLOWED)
def test_both_canvases_open_without_an_error(races, size):
    """Before the test that times them: beside that one nobody else may run."""
    assert races[size].errors() == races[size].page_errors == []


@pytest.mark.calm
@pytest.mark.parametrize("size", ALLOWED)
def test_key_press_to_painted_frame_against_a_bare_canvas(races, size, capsys):
    notebook = races[size]
    notebook.page.bring_to_front()
    notebook.evaluate(STOPWATCH)
    notebook.page.locator(".widget-slider .noUi-handle").focus()
    times, generator = [], np.random.default_rng(0)
    for press in range(68):  # odd values feed the bare canvas, even ones ours: both under the same load
        notebook.page.keyboard.press("ArrowRight")
        notebook.wait_for(f"window.painted.length === {press + 1}")
        times.append(notebook.evaluate("window.painted.at(-1)"))
        notebook.page.wait_for_timeout(
            generator.uniform(150, 210)
        )  # the message before has been answered, and never in step
    bare, ours = statistics.median(times[8::2]), statistics.median(times[9::2])
    with capsys.disabled():
        print(
            f"\nkey press to painted frame, {size} x {size}: "
            f"canvas {ours:.0f} ms, bare {bare:.0f} ms, ratio {ours / bare:.2f}",
            file=sys.stderr,
        )
    assert ours < ALLOWED[size] * bare
