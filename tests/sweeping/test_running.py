"""A sweep computes every cell once: resumed, interrupted, failing, retried, or watched as a stream."""

import itertools
import json
import math
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np
import pytest
import torch
import toy_cells

import nbkit
from nbkit.errors import NbkitError
from nbkit.sweeping import stream_sweep, sweep


def swept(function, grid, store, threads, **options):
    return sweep(function, grid, store=store, executor=threads, progress=False, **options)


def stored(store):
    return [json.loads(line) for line in store.read_text().splitlines()]


def test_rows_are_in_the_order_of_the_grid(store, threads):
    done = swept(toy_cells.total, {"b": [3, 1, 2], "a": [1, 2]}, store, threads, seeds=2)
    assert [(row["b"], row["a"], row["seed"]) for row in done] == list(itertools.product((3, 1, 2), (1, 2), (0, 1)))
    assert all(row["sum"] == row["a"] + row["b"] and row["noise"] == row["seed"] / 10 for row in done)
    assert all(row["error"] is None and row["seconds"] >= 0 for row in done)
    assert (done.function, done.version, done.names) == ("toy_cells.total", 0, ("b", "a", "seed"))


def test_it_stands_at_the_front_door():
    assert nbkit.sweep is sweep


def test_the_store_has_one_line_a_cell(store, threads):
    swept(toy_cells.total, {"a": [1, 2]}, store, threads)
    lines = stored(store)
    assert sorted(line["cell"]["a"] for line in lines) == [1, 2]
    assert all({*line} == {"function", "version", "cell", "seconds", "result"} for line in lines)


def test_what_is_stored_is_not_repeated_and_a_grid_may_grow(store, threads, tmp_path):
    log = tmp_path / "log"
    swept(toy_cells.counted, {"i": range(5), "log": [str(log)]}, store, threads)
    again = swept(toy_cells.counted, {"log": [str(log)], "i": range(7)}, store, threads)
    assert sorted(map(int, log.read_text().split())) == [*range(7)]
    assert again.column("value").tolist() == [i**2 for i in range(7)]


def test_a_resumed_row_is_the_row_that_was_computed(store, threads):
    values = {"nan": math.nan, "inf": -math.inf, "text": "é\n", "none": None, "yes": True, "int": 2**70, "tiny": 1e-310}

    def gives(a):
        return values | {"numpy": np.float32(0.1), "torch": torch.tensor(3, requires_grad=False)}

    first = swept(gives, {"a": [(1, 2)]}, store, threads).rows
    np.testing.assert_equal(swept(gives, {"a": [[1, 2]]}, store, threads).rows, first)
    np.testing.assert_equal({name: first[0][name] for name in values}, values)
    assert first[0]["numpy"] == float(np.float32(0.1)) and first[0]["torch"] == 3 and first[0]["a"] == (1, 2)


def test_a_failure_is_a_row_and_stays_one_until_it_is_retried(store, threads):
    numbers = iter([4.0, 4.0, 9.0])

    def fails_first(i):
        if i == 1 and next(numbers) == 4.0:
            raise ValueError("not yet")
        return i

    for _ in range(2):
        done = swept(fails_first, {"i": [0, 1]}, store, threads)
        assert done[0]["error"] is None and "value" not in done[1]
        assert done[1]["error"].startswith("ValueError: not yet (test_running.py:")
    assert next(numbers) == 4.0
    done = swept(fails_first, {"i": [0, 1]}, store, threads, retry=True)
    assert done.failures == [] and done.column("value").tolist() == [0, 1]
    assert swept(fails_first, {"i": [0, 1]}, store, threads).failures == []


@pytest.mark.parametrize(
    ("gives", "error"),
    [
        (lambda i: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda i: exit(3), "SystemExit: 3"),
        (lambda i: assert_false(), "AssertionError"),
        (lambda i: [1, 2], "TypeError: the function must return numbers or text by name, got 'value': (1, 2)"),
        (lambda i: {"a": {"b": 1}}, "TypeError: the function must return numbers or text by name, got 'a': {'b': 1}"),
        (lambda i: {1: 1}, "TypeError: the function must return numbers or text by name, got 1: 1"),
        (lambda i: {"i": 1}, "TypeError: the function must not name a result 'i': every row has that name already"),
        (lambda i: {"seconds": 1}, "TypeError: the function must not name a result 'seconds'"),
        (lambda i: 10**5000, "ValueError: Exceeds the limit"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_a_failure(store, threads, gives, error):
    def given(i):
        return gives(i)

    (row,) = swept(given, {"i": [0]}, store, threads)
    assert row["error"].startswith(error)


def assert_false():
    assert False


def test_a_stream_begins_with_what_is_stored_and_computes_nothing_before_it_is_asked(store, threads, tmp_path):
    log = tmp_path / "log"
    grid = {"i": range(4), "log": [str(log)]}
    stream = stream_sweep(toy_cells.counted, grid, store=store, executor=threads)
    assert not log.exists() and not store.exists()
    first = next(stream)
    assert first["value"] == first["i"] ** 2 and stored(store)[0]["cell"]["i"] == first["i"]  # stored before it is seen
    stream.close()
    n_stored = len(stored(store))
    rows = list(stream_sweep(toy_cells.counted, grid, store=store, executor=threads))
    assert sorted(row["i"] for row in rows) == [0, 1, 2, 3]
    assert [row["i"] for row in rows[:n_stored]] == sorted(line["cell"]["i"] for line in stored(store)[:n_stored])


def test_a_stream_that_is_closed_begins_no_further_cell(store):
    begun, go_on = [], threading.Event()

    def waits(i):
        begun.append(i)
        if i > 0:
            go_on.wait(30)
        return i

    with ThreadPoolExecutor(1) as one:
        stream = stream_sweep(waits, {"i": range(50)}, store=store, executor=one)
        assert next(stream)["i"] == 0
        stream.close()
        go_on.set()
    assert len(begun) <= 2
    assert [line["cell"]["i"] for line in stored(store)] == [0]


def test_an_interrupt_keeps_what_is_finished(store, threads):
    class Interrupting(Executor):
        _max_workers, n_taken = 1, 0

        def submit(self, *task):
            self.n_taken += 1
            if self.n_taken > 6:
                raise KeyboardInterrupt
            return threads.submit(*task)

    with pytest.raises(KeyboardInterrupt):
        swept(toy_cells.total, {"a": range(1000)}, store, Interrupting())
    assert 4 <= len(stored(store)) < 1000
    assert len(swept(toy_cells.total, {"a": range(1000)}, store, threads).rows) == 1000
    assert sorted(line["cell"]["a"] for line in stored(store)) == [*range(1000)]


@pytest.mark.parametrize("told", [{}, {"_max_workers": None}])
def test_an_executor_that_does_not_tell_its_workers_gets_work_for_many(store, told):
    class Untold(Executor):
        most = 0

        def submit(self, *task):
            running.append(future := threads.submit(*task))
            self.most = max(self.most, sum(not each.done() for each in running))
            return future

    running, pool = [], Untold()
    vars(pool).update(told)
    with ThreadPoolExecutor(8) as threads:
        assert len(swept(toy_cells.where, {"i": range(16)}, store, pool)) == 16
    assert pool.most >= 8


def test_short_cells_travel_together(store):
    class Counting(ThreadPoolExecutor):
        n_tasks = 0

        def submit(self, *task):
            self.n_tasks += 1
            return super().submit(*task)

    with Counting(2) as threads:
        swept(toy_cells.nothing, {"i": range(1000)}, store, threads)
        assert threads.n_tasks < 100


def test_a_store_of_another_version_or_function_is_refused(store, threads):
    swept(toy_cells.total, {"a": [1]}, store, threads)
    before = store.read_text()
    with pytest.raises(NbkitError, match="sweep: store must be of toy_cells.total, version 1, got .* version 0"):
        swept(toy_cells.total, {"a": [1]}, store, threads, version=1)
    with pytest.raises(NbkitError, match="sweep: store must be of toy_cells.nothing, version 0"):
        swept(toy_cells.nothing, {"i": [1]}, store, threads)
    assert store.read_text() == before


def test_two_sweeps_on_one_store_are_refused(store, threads):
    stream = stream_sweep(toy_cells.total, {"a": [1, 2]}, store=store, executor=threads)
    next(stream)
    with pytest.raises(NbkitError, match="sweep: store must be written by one sweep at a time"):
        swept(toy_cells.total, {"a": [1]}, store, threads)
    stream.close()
    assert len(swept(toy_cells.total, {"a": [1]}, store, threads)) == 1


class Callable:
    def __call__(self, i):
        return i


@pytest.mark.parametrize(
    ("function", "grid", "message"),
    [
        (lambda i: i, {"i": [1]}, "function must have a name, by which its store knows it"),
        (Callable(), {"i": [1]}, "function must have a name"),
        (3, {"i": [1]}, "function must have a name"),
        (toy_cells.root, {"y": [1]}, "function must take the grid's names y, but missing a required argument: 'x'"),
        (toy_cells.root, {"x": [1], "y": [1]}, "function must take .* got an unexpected keyword argument 'y'"),
        (toy_cells.root, {"x": [1, 1]}, "the values of x must differ"),
    ],
)
@pytest.mark.parametrize("sweeper", [sweep, stream_sweep])
def test_a_bad_call_is_refused_before_anything_is_made(sweeper, function, grid, message, store, threads):
    with pytest.raises(NbkitError, match=f"^{sweeper.__name__}: {message}"):
        sweeper(function, grid, store=store, executor=threads)
    assert not store.exists()


@pytest.mark.parametrize("version", [-1, "2", 1.5])
def test_a_version_is_a_whole_number(version, store):
    with pytest.raises(NbkitError, match="sweep: version must be an integer of at least 0"):
        sweep(toy_cells.root, {"x": [1]}, store=store, version=version)


@pytest.mark.parametrize("executor", [2, object(), ThreadPoolExecutor])
def test_an_executor_that_is_none_is_refused(executor, store):
    with pytest.raises(NbkitError, match=r"sweep: executor must be None, an Executor or a scheduler's address, got"):
        sweep(toy_cells.root, {"x": [1]}, store=store, executor=executor)
    assert not store.exists()


def test_an_executor_that_has_ended_is_named(store):
    with ThreadPoolExecutor(1) as ended:
        pass
    with pytest.raises(NbkitError, match="sweep: executor must work until the end, got 'cannot schedule new"):
        swept(toy_cells.root, {"x": [1]}, store, ended)


def test_an_executor_that_cancels_is_named_and_what_is_finished_stays(store, threads):
    class Cancelling(Executor):
        _max_workers, n_taken = 1, 0

        def submit(self, *task):
            self.n_taken += 1
            if self.n_taken <= 2:
                return threads.submit(*task)
            future = Future()
            future.cancel()
            return future

    with pytest.raises(NbkitError, match="sweep: executor must work until the end, got 'that it was cancelled'"):
        swept(toy_cells.where, {"i": range(5)}, store, Cancelling())
    assert 1 <= len(stored(store)) <= 2


def test_the_bar_tells_cells_and_failures(store, threads, capsys):
    sweep(toy_cells.root, {"x": [1, 2, -1]}, store=store, executor=threads)
    assert "root: 100%" in (shown := capsys.readouterr().err) and "3/3" in shown and "failures=1" in shown
    sweep(toy_cells.root, {"x": [1, 2, -1]}, store=store, executor=threads, progress=False)
    assert capsys.readouterr().err == ""
