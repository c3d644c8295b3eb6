"""A real dask cluster: a scheduler and two worker processes, of which one is killed in the middle."""

import itertools
import json
import os
import signal
import socket
import time
from types import SimpleNamespace

import dask
import numpy as np
import pytest
import toy_cells
from distributed import Client, KilledWorker, LocalCluster

from nbkit.errors import NbkitError
from nbkit.sweeping import local_cluster, stream_sweep, sweep, workers


@pytest.fixture(scope="module")
def cluster():
    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    patience = {"distributed.comm.timeouts.connect": "10s"}  # 30 by itself, for a worker that was killed a moment ago
    with dask.config.set(patience), LocalCluster(n_workers=2, **options) as cluster:
        yield cluster
        with Client(cluster, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)  # dask cannot close a cluster that is replacing a worker


@pytest.fixture
def executor(cluster):
    with Client(cluster, set_as_default=False) as client:
        yield client.get_executor()


def swept(function, grid, store, executor, **options):
    return sweep(function, grid, store=store, executor=executor, progress=False, **options)


def test_both_workers_work_and_short_cells_travel_together(store, executor):
    assert len(swept(toy_cells.where, {"i": range(8)}, store, executor).axis("pid")) == 2
    done = swept(toy_cells.root, {"x": range(1000)}, store.with_name("roots.jsonl"), executor)
    assert done.column("value").tolist() == [x**0.5 for x in range(1000)]


def test_a_function_of_a_notebook_runs_there_and_equal_cells_are_computed_anew(store, executor, tmp_path):
    factor = 3

    def inside(i):
        if not (tmp_path / "mark").exists():
            raise ValueError("not yet")
        return factor * i

    assert len(swept(inside, {"i": [1, 2]}, store, executor).failures) == 2
    (tmp_path / "mark").touch()
    assert swept(inside, {"i": [1, 2]}, store, executor, retry=True).column("value").tolist() == [3, 6]


def test_the_address_of_a_scheduler_will_do(store, cluster):
    assert swept(toy_cells.root, {"x": [4, 9]}, store, cluster.scheduler_address).column("value").tolist() == [2, 3]


def test_an_address_that_is_a_workers_is_refused(store, executor, cluster):
    address = next(iter(cluster.scheduler_info["workers"]))
    with pytest.raises(NbkitError, match="must be the address of a scheduler that answers, got .*a Worker answers"):
        swept(toy_cells.root, {"x": [4]}, store, address)


@pytest.fixture
def deaf():
    """The address of a port that takes calls and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"tcp://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.timeout(60)  # by itself dask asks a deaf one for ever
@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:1", "deaf", "tcp://no.such.host.invalid:8786", "tcp://host:port", "banana", ""]
)
def test_a_scheduler_that_cannot_be_reached_is_told_and_nothing_is_written(tmp_path, deaf, address):
    with pytest.raises(NbkitError, match="sweep: executor must be the address of a scheduler that answers, got"):
        swept(toy_cells.root, {"x": [4]}, tmp_path / "new" / "sweep.jsonl", deaf if address == "deaf" else address)
    assert list(tmp_path.iterdir()) == []
    assert 2 * workers._PATIENCE_S < 5  # it is waited for twice: to take the call, and to answer


def test_where_dask_is_missing_an_address_says_what_to_install(store, monkeypatch):
    monkeypatch.setattr("nbkit.sweeping.workers.find_spec", lambda name: None)
    with pytest.raises(NbkitError, match=r"where dask is not installed, got 'tcp://a:1'\. Install it: pip install"):
        swept(toy_cells.root, {"x": [4]}, store, "tcp://a:1")


def test_local_cluster_is_dasks(store, capsys):
    with local_cluster(1) as executor:
        assert swept(toy_cells.root, {"x": [4]}, store, executor).column("value").tolist() == [2]
    assert type(executor).__name__ == "ClientExecutor"
    assert capsys.readouterr().out == "local_cluster: a dask scheduler and 1 worker process\n"


def test_local_cluster_is_processes_where_dask_is_missing(store, capsys, monkeypatch):
    monkeypatch.setattr("nbkit.sweeping.workers.find_spec", lambda name: None)
    with local_cluster(2) as executor:
        assert len(swept(toy_cells.where, {"i": range(8)}, store, executor).axis("pid")) == 2
    assert capsys.readouterr().out == "local_cluster: 2 processes of this machine (dask is not installed)\n"


@pytest.mark.parametrize("n_workers", [0, 1.5])
def test_a_cluster_has_workers(n_workers):
    with pytest.raises(NbkitError, match="local_cluster: n_workers must be an integer of at least 1"):
        with local_cluster(n_workers):
            pass


def test_a_result_that_is_lost_as_it_arrives_is_a_result(store, executor, monkeypatch):
    gather = executor._client._gather

    async def losing(futures, *arguments, **options):
        found = await gather(futures, *arguments, **options)
        for future in np.atleast_1d(futures):
            future._state.lose()  # what the client does when it hears that the worker has died
        return found

    monkeypatch.setattr(executor._client, "_gather", losing)
    done = swept(toy_cells.root, {"x": [4, 9]}, store, executor)
    assert done.column("value").tolist() == [2, 3] and done.failures == []


@pytest.mark.timeout(60)  # dask's own executor never ends such a future
def test_a_task_whose_workers_die_while_its_result_is_fetched_is_computed_again(store, executor, monkeypatch):
    gather, times = executor._client._gather, itertools.count()

    async def fetching(*arguments, **options):
        if next(times) < 2:
            raise KilledWorker("evaluate", SimpleNamespace(address="tcp://a:1"), 3)
        return await gather(*arguments, **options)

    monkeypatch.setattr(executor._client, "_gather", fetching)
    assert swept(toy_cells.root, {"x": [4, 9, 16]}, store, executor).column("value").tolist() == [2, 3, 4]


@pytest.mark.timeout(60)
def test_a_client_that_is_closed_in_the_middle_is_named(store, cluster):
    with Client(cluster, set_as_default=False) as client:
        stream = stream_sweep(toy_cells.where, {"i": range(100)}, store=store, executor=client.get_executor())
        next(stream)
        client.close()
        with pytest.raises(NbkitError, match="stream_sweep: executor must work until the end, got 'the client is"):
            list(stream)


def test_an_executor_that_was_shut_down_is_named(store, executor):
    executor.shutdown()
    with pytest.raises(NbkitError, match="sweep: executor must work until the end, got 'cannot schedule new futures"):
        swept(toy_cells.root, {"x": [4]}, store, executor)


def test_a_stream_that_is_closed_cancels_what_is_on_the_cluster(store, cluster, executor):
    stream = stream_sweep(toy_cells.where, {"i": range(100)}, store=store, executor=executor)
    next(stream)
    stream.close()
    deadline = time.monotonic() + 30
    while cluster.scheduler.tasks:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_cell_that_kills_its_workers_is_a_failure_and_the_others_are_not(store, cluster):
    done = swept(toy_cells.deadly, {"i": range(6)}, store, cluster)  # of a cluster the scheduler's address is taken
    assert [row["i"] for row in done.failures] == [3] and done[3]["seconds"] is None
    assert done[3]["error"].startswith("KilledWorker: Attempted to run task")
    assert [row["value"] for row in done if row["error"] is None] == [0, 1, 2, 4, 5]


# The last one, because a busy machine may take minutes to replace the worker.
def test_every_cell_arrives_once_though_a_worker_is_killed_in_the_middle(store, executor):
    rows = []
    for row in stream_sweep(toy_cells.where, {"i": range(60)}, store=store, executor=executor):
        rows.append(row)
        if len(rows) == 10:
            os.kill(row["pid"], signal.SIGKILL)
            killed = row["pid"]
    assert sorted(row["i"] for row in rows) == [*range(60)]
    assert sorted(json.loads(line)["cell"]["i"] for line in store.read_text().splitlines()) == [*range(60)]
    assert all(row["error"] is None for row in rows)
    assert {row["pid"] for row in rows[20:]} - {killed}
