"""Processes of this machine: one torch thread each, replaced when they die, and gone when the sweep is."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import active_children, get_context
from pathlib import Path

import pytest
import toy_cells

from nbkit.errors import NbkitError
from nbkit.sweeping import stream_sweep, sweep

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def swept(function, grid, store, **options):
    return sweep(function, grid, store=store, progress=False, **options)


def test_torch_has_one_thread_there(store):
    assert swept(toy_cells.torch_threads, {"i": [0]}, store).column("value").tolist() == [1]


def test_there_is_a_process_for_each_core(store):
    done = swept(toy_cells.where, {"i": range(8)}, store)
    assert os.getpid() not in done.axis("pid")
    assert len(done.axis("pid")) == min(8, len(os.sched_getaffinity(0)))
    assert active_children() == []


def test_a_cell_that_kills_its_workers_is_a_failure_and_the_others_are_not(store):
    done = swept(toy_cells.deadly, {"i": range(200)}, store)
    assert [row["i"] for row in done.failures] == [3]
    assert done[3]["error"] == "BrokenExecutor: its process ended with exit code -9" and done[3]["seconds"] is None
    assert [row["value"] for row in done if row["error"] is None] == [i for i in range(200) if i != 3]
    assert sorted(json.loads(line)["cell"]["i"] for line in store.read_text().splitlines()) == [*range(200)]


def test_a_cell_whose_worker_died_once_is_computed_by_another(store, tmp_path):
    done = swept(toy_cells.dies_once, {"i": range(6), "mark": [str(tmp_path / "mark")]}, store)
    assert done.failures == [] and done.column("value").tolist() == [*range(6)]


def test_a_function_that_exits_is_a_failure(store):
    assert swept(toy_cells.leaves, {"i": [0]}, store)[0]["error"].startswith("SystemExit: 3")


@pytest.mark.parametrize("where", ["processes", "threads"])
@pytest.mark.parametrize(("kind", "error"), [("speechless", "Speechless"), ("cancelled", "CancelledError: no more")])
def test_whatever_a_function_raises_is_a_failure(store, where, kind, error):
    with ThreadPoolExecutor(2) as threads:
        executor = None if where == "processes" else threads
        done = swept(toy_cells.raises, {"i": range(4), "kind": [kind]}, store, executor=executor)
    assert [row["i"] for row in done.failures] == [1] and done[1]["error"].startswith(f"{error} (toy_cells.py:")


def test_a_worker_that_dies_is_seen_though_a_child_of_its_own_lives(store, tmp_path):
    begun = time.monotonic()
    done = swept(toy_cells.dies_with_a_child, {"i": range(3), "log": [str(tmp_path / "children")]}, store)
    assert [row["i"] for row in done.failures] == [1] and time.monotonic() - begun < 60
    for child in map(int, (tmp_path / "children").read_text().split()):
        os.kill(child, signal.SIGKILL)


def test_a_stream_that_is_closed_leaves_no_process(store):
    others = set(active_children())  # a cluster of another test may still be closing
    stream = stream_sweep(toy_cells.where, {"i": range(100)}, store=store)
    next(stream)
    assert set(active_children()) - others
    stream.close()
    assert not set(active_children()) - others


def test_a_function_that_another_process_cannot_import_is_refused(store):
    def inside(i):
        return i

    with pytest.raises(NbkitError, match=r"sweep: function must be one that another process can import.*ThreadPoolEx"):
        swept(inside, {"i": [0]}, store)
    assert not store.exists()


def test_a_pool_of_someone_else_that_breaks_is_named_and_what_is_finished_stays(store):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(NbkitError, match="sweep: executor must work until the end, got .*terminated abruptly"):
            swept(toy_cells.deadly, {"i": range(5)}, store, executor=pool)
    assert swept(toy_cells.deadly, {"i": range(5)}, store).column("value").tolist()[4] == 4


def run(code, **options):
    """A script in a process of its own; it stands in the folder of toy_cells."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"}
    return subprocess.Popen(
        [sys.executable, *code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_a_function_of_a_notebook_is_refused(store):
    code = (
        "from nbkit.sweeping import sweep\n"
        "def here(i): return i\n"
        f"try: sweep(here, {{'i': [0]}}, store={str(store)!r})\n"
        "except ValueError as error: print(error)"
    )
    said, _ = run(["-c", code]).communicate(timeout=60)
    assert said.startswith("sweep: function must be one that another process can import, got <function here")
    assert not store.exists()


def script(tmp_path, store, body, guard="if __name__ == '__main__':"):
    path = tmp_path / "script.py"
    path.write_text(f"import toy_cells\nfrom nbkit.sweeping import sweep\nstore = {str(store)!r}\n{guard}\n" + textwrap.indent(body, "    "))  # fmt: skip
    return [str(path)]


def test_a_script_that_does_not_guard_itself_is_told_so(store, tmp_path):
    call = "sweep(toy_cells.nothing, {'i': [0]}, store=store, progress=False)\n"
    _, said = run(script(tmp_path, store, call, guard="if True:")).communicate(timeout=60)
    hint = "In a script, call it under `if __name__ == '__main__':`"
    assert f"sweep: executor's processes must start, but end before they begin. {hint}" in said
    assert f"sweep: the call must be made once, got it from a process that imports the script. {hint}" in said
    assert "one sweep at a time" not in said and not store.read_text()


@pytest.fixture
def half_done(store, tmp_path):
    """half_done(signal): a sweep of 60 cells in two processes that got the signal in the middle."""
    log = tmp_path / "log"
    grid = {"i": range(60), "log": [str(log)]}

    def half(name):
        two_cores = "import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])\n"
        body = f"sweep(toy_cells.counted, {grid!r}, store=store, progress=False)\n"
        process = run(script(tmp_path, store, two_cores + body))
        while not store.exists() or store.read_bytes().count(b"\n") < 10:
            time.sleep(0.01)
            assert process.poll() is None, process.stderr.read()
        os.kill(process.pid, name)
        said = process.communicate(timeout=30)[1]
        return process.returncode, said, [json.loads(line)["cell"]["i"] for line in store.read_text().splitlines()]

    return half, grid, log


@pytest.mark.parametrize("name", [signal.SIGKILL, signal.SIGINT], ids=["kill", "interrupt"])
def test_a_sweep_that_is_stopped_resumes_and_repeats_nothing_that_is_finished(half_done, store, name):
    half, grid, log = half_done
    code, said, finished = half(name)
    assert 10 <= len(finished) < 60
    assert code == -signal.SIGKILL if name == signal.SIGKILL else "KeyboardInterrupt" in said
    done = swept(toy_cells.counted, grid, store)
    assert done.column("value").tolist() == [i**2 for i in range(60)]
    times = [log.read_text().split().count(str(i)) for i in range(60)]
    assert all(times[i] == 1 for i in finished)
    assert min(times) == 1 and sum(times) - 60 <= 8  # two tasks of up to four short cells were under way


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    body = (
        "for row in stream_sweep(toy_cells.where, {'i': range(1000)}, store=store): print(row['pid'], flush=True)\n"
    ).replace("stream_sweep", "__import__('nbkit').sweeping.stream_sweep")
    process = run(script(tmp_path, tmp_path / "sweep.jsonl", body))
    worker = int(process.stdout.readline())
    process.kill()
    process.communicate(timeout=30)
    deadline = time.monotonic() + 30
    while is_running(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
    except FileNotFoundError:
        return False
