"""Training that is watched: four panels and a matrix move some times a second, and the networks hardly wait for it."""

import sys

import pytest

PICTURES_A_S, SLOWER, ARRIVED = (5, 10), 0.2, 0.8
WATCHED_S = 5

# When each picture was painted, in ms since 1970: plotly tells, a canvas is overheard.
RECORD = """() => { window.painted = {plotly: [], canvas: []};
    const note = kind => requestAnimationFrame(() => window.painted[kind].push(Date.now()));
    document.querySelector('.js-plotly-plot').on('plotly_afterplot', () => note('plotly'));
    const paper = CanvasRenderingContext2D.prototype, draw = paper.drawImage;
    paper.drawImage = function (...given) { note('canvas'); return draw.apply(this, given); }; }"""
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


@pytest.mark.calm
@pytest.mark.parametrize(
    "settings",
    ["", "n_neurons=1296, bottleneck=16, n_inputs=4, rate='0.001 (paper)'"],
    ids=["small", "paper's size"],
)
def test_training_is_painted_and_hardly_slower_for_it(open_notebook, capsys, settings):
    """By the thread's processor time, and by what arrives: on a busy machine the training waits, and so does the browser."""
    notebook = open_notebook(["from nbkit import explore", f"explorer = explore.DecayExplorer({settings})\nexplorer"])
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.wait_for("document.querySelector('.js-plotly-plot')?._fullLayout?.xaxis4", 60)
    notebook.python("explorer.set(steps=50_000)")
    notebook.evaluate(RECORD)
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
