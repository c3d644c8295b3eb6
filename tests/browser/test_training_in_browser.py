"""Training that is watched: four panels and a matrix move some times a second, and the networks hardly wait for it."""

import os
import sys
from pathlib import Path

import pytest

from .lab import Notebook, write_notebook
from .test_every_notebook import SHOW_CELL

SETTINGS = {"small": "", "paper's size": "n_neurons=1296, bottleneck=16, n_inputs=4, rate='0.001 (paper)'"}
PICTURES_A_S, SLOWER, ARRIVED = (5, 10), 0.2, 0.8
WATCHED_S = 5

PICTURE = "document.querySelector('[data-shown=\"%d\"] .js-plotly-plot')"
# When each picture was painted, in ms since 1970: plotly tells, a canvas is overheard.
RECORD = """picture => { const is_first = !window.painted;
    window.painted = {plotly: [], canvas: []};
    const note = kind => requestAnimationFrame(() => window.painted[kind].push(Date.now()));
    picture.on('plotly_afterplot', () => note('plotly'));
    const paper = CanvasRenderingContext2D.prototype, draw = paper.drawImage;
    if (is_first) paper.drawImage = function (...given) { note('canvas'); return draw.apply(this, given); }; }"""
# Between two of the pictures sent over a few seconds: processor seconds of the thread that trains and draws, those of the
# training itself, and those of the whole kernel, which hears from the browser as well; then pictures and seconds.
WATCH = f"""
import json, time
from nbkit.explore import decay
while not (explorer.data["progress"][0] and explorer.data["progress"][1] == 50_000):
    time.sleep(0.1)  # torch looks for its compilers at the first step
chosen = {{name: value for name, value in explorer.settings.items() if name != "method"}}
training = decay._training(*(chosen[name] for name in
    ("strength", "n_neurons", "bottleneck", "n_inputs", "seed", "steps", "rate")))
sent, spent, draw, records = [], [0.0], explorer.draw, training._records
def timed():
    while True:
        began = time.thread_time()
        record = next(records)
        spent.append(time.thread_time() - began)
        yield record
training._records = timed()
def drawing(frame):
    draw(frame)
    sent.append([time.thread_time(), sum(spent), time.process_time()])
explorer.draw = drawing
time.sleep({WATCHED_S})
explorer._worker.pause(True)
print(json.dumps([*(there - here for here, there in zip(sent[0], sent[-1])), len(sent) - 1, {WATCHED_S}]))
"""


@pytest.fixture(scope="module")
def desk(chromium, lab, tmp_path_factory):
    """One notebook for both sizes: its cells 1 and 2 made the explorers that `sizes` holds, and their pictures are painted."""
    cells = [f"sizes[{size!r}] = explore.DecayExplorer({given}); sizes[{size!r}]" for size, given in SETTINGS.items()]
    path = write_notebook(lab.folder / "training.ipynb", ["from nbkit import explore; sizes = {}", *cells])
    pictures = Path(os.environ.get("NBKIT_SCREENSHOTS") or tmp_path_factory.mktemp("pictures"))
    notebook = Notebook(chromium, lab, path, pictures, width=1500, height=1000)
    notebook.run_cell(0)
    for index, size in enumerate(SETTINGS, start=1):
        notebook.run_cell(index)
        notebook.python(f"sizes[{size!r}]._worker.stop(); sizes[{size!r}].settle()")
        notebook.evaluate(SHOW_CELL, index)
        notebook.wait_for(f"{PICTURE % index}?._fullLayout?.xaxis4", 60)
    yield notebook
    notebook.close()


def test_both_sizes_open_without_an_error(desk):
    """Before the tests that time them: beside those nobody else may run."""
    assert desk.errors() == desk.page_errors == []


@pytest.mark.calm
@pytest.mark.parametrize("size", SETTINGS)
def test_training_is_painted_and_hardly_slower_for_it(desk, capsys, size):
    """By the thread's processor time, and by what arrives: on a busy machine the training waits, and so does the browser."""
    notebook, index = desk, list(SETTINGS).index(size) + 1
    notebook.evaluate(SHOW_CELL, index)
    notebook.wait_for(f"{PICTURE % index}?._fullLayout?.xaxis4", 60)
    notebook.python(f"explorer = sizes[{size!r}]")
    notebook.python("explorer.set(steps=50_000)")
    notebook.evaluate(f"() => ({RECORD})({PICTURE % index})")
    notebook.page.wait_for_timeout(2000)
    notebook.evaluate("() => { window.painted = {plotly: [], canvas: []}; }")
    busy_s, trained_s, kernel_s, n_sent, wall_s = notebook.python(WATCH)
    notebook.page.wait_for_timeout(3000)
    painted = {kind: len(times) for kind, times in notebook.evaluate("() => window.painted").items()}
    notebook.python("explorer._worker.stop()")
    slower = 1 - trained_s / busy_s
    with capsys.disabled():
        rates = f"{n_sent / wall_s:.1f} pictures a second, {n_sent / busy_s:.1f} a processor second, painted {painted}"
        print(
            f"\n{rates} of {n_sent}; {100 * slower:.0f} % of the thread and {100 * (1 - trained_s / kernel_s):.0f} % of the kernel for them",
            file=sys.stderr,
        )
    assert n_sent / busy_s >= PICTURES_A_S[0] and n_sent / wall_s <= PICTURES_A_S[1]
    assert min(painted.values()) >= ARRIVED * n_sent
    assert slower < SLOWER
    assert notebook.errors() == notebook.page_errors == []
