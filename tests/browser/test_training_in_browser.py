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
# Processor seconds, steps and pictures sent over a few seconds: the kernel's, so that sending counts as well.
WATCH = f"""
import json, time
sent, draw = [], explorer.draw
explorer.draw = lambda frame: (draw(frame), sent.append(1))
def now():
    return [time.process_time(), explorer.data["progress"][0], len(sent), 1000 * time.time()]
began = now()
time.sleep({WATCHED_S})
ended = now()
explorer._worker.pause(True)
print(json.dumps([there - here for here, there in zip(began, ended)]))
"""
# The same training without pictures, in this kernel: processor seconds of a step.
ALONE = """
import json, time
from nbkit.device import one_thread
from nbkit.explore import decay
from nbkit.training import descend_many
chosen = {name: value for name, value in explorer.settings.items() if name != "method"}
own = decay._Training(**chosen | {"seed": 9})
penalties = [("rbv2", chosen["strength"]), ("weight_decay", chosen["strength"]), ("none", 0)]
lr, final_lr = decay._RATES[chosen["rate"]]
explorer._worker.pause(True)
time.sleep(1)
with one_thread():
    own.go_on()
    records = descend_many(own.nets, own.x, own.y, penalties, max_steps=10**6, lr=lr, final_lr=final_lr, every=50)
    next(records), next(records)
    began, n_steps = time.process_time(), 0
    while time.process_time() < began + 1:
        n_steps += 50 * (next(records) is not None)
    took = time.process_time() - began
explorer._worker.pause(False)
print(json.dumps(took / n_steps))
"""


@pytest.mark.calm
@pytest.mark.parametrize(
    "settings",
    ["", "n_neurons=1296, bottleneck=16, n_inputs=4, rate='0.001 (paper)'"],
    ids=["small", "paper's size"],
)
def test_training_is_painted_and_hardly_slower_for_it(open_notebook, capsys, settings):
    """By the kernel's processor time, and by what arrives: on a busy machine the training waits, and so does the browser."""
    notebook = open_notebook(["from nbkit import explore", f"explorer = explore.DecayExplorer({settings})\nexplorer"])
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.wait_for("document.querySelector('.js-plotly-plot')?._fullLayout?.xaxis4", 60)
    notebook.python("explorer.set(steps=50_000)")
    notebook.evaluate(RECORD)
    notebook.page.wait_for_timeout(2000)
    before = notebook.python(ALONE)
    notebook.evaluate("() => { window.painted = {plotly: [], canvas: []}; }")
    busy_s, n_steps, n_sent, wall_ms = notebook.python(WATCH)
    notebook.page.wait_for_timeout(3000)
    painted = {kind: len(times) for kind, times in notebook.evaluate("() => window.painted").items()}
    alone = (before + notebook.python(ALONE)) / 2
    notebook.python("explorer._worker.stop()")
    slower = 1 - alone * n_steps / busy_s
    with capsys.disabled():
        rates = f"{1000 * n_sent / wall_ms:.1f} pictures a second, {n_sent / busy_s:.1f} a processor second, painted {painted}"
        print(f"\n{rates} of {n_sent}; {n_steps} steps, {100 * slower:.0f} % slower for it", file=sys.stderr)
    assert n_sent / busy_s >= PICTURES_A_S[0] and 1000 * n_sent / wall_ms <= PICTURES_A_S[1]
    assert min(painted.values()) >= ARRIVED * n_sent
    assert slower < SLOWER
    assert notebook.errors() == notebook.page_errors == []
