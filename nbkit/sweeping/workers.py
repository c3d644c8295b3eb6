"""Who computes a sweep: processes of this machine, any executor, or a dask cluster behind an address."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nbkit.errors import NbkitError, check_integer, show
from nbkit.sweeping.cells import RESERVED, SCALARS, plain, to_json
from nbkit.sweeping.cluster import ClusterPool, is_dasks
from nbkit.sweeping.failures import told, where

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["LocalPool", "check_is_guarded", "evaluate", "local_cluster", "workers"]

_PATIENCE_S = 2.0  # for a scheduler to take a call, and as long to answer: within five seconds the reader knows
_REPLACED_S = 10.0  # for a worker that has died to be replaced
_LOOK_S = 1.0  # between two looks at whether a process that computes is alive
_GUARD = (
    "In a script, call it under `if __name__ == '__main__':`, because the processes of this machine import the script."
)
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def evaluate(function: Callable[..., object], cells: list[dict], seconds: float, _ticket: object) -> list[str]:
    """What the function gives for the first of these cells, as JSON: runs where the worker is.

    Args:
        function: takes a cell's values by name.
        cells: at least one; no further one is begun when `seconds` are over.
        seconds: about how long to be away.
        _ticket: differs from call to call, because dask computes equal calls once.

    Returns:
        One text a cell: its seconds and its result, or its seconds and its error with the line that raised it.
    """
    texts, begin = [], time.perf_counter()
    for cell in cells:
        start = time.perf_counter()
        try:
            found = function(**cell)
            took = time.perf_counter() - start
            texts.append(to_json({"seconds": round(took, 6), "result": _flat(found, cell)}))
        except KeyboardInterrupt:  # of whoever computes, not of the cell
            raise
        except BaseException as error:
            failure = {"seconds": round(time.perf_counter() - start, 6), "error": told(error) + where(error)}
            texts.append(to_json(failure))
        if time.perf_counter() - begin > seconds:
            break
    return texts


def _flat(found: object, cell: dict) -> dict:
    result = found if isinstance(found, dict) else {"value": found}
    result = {name: plain(value) for name, value in result.items()}
    for name, value in result.items():
        if not isinstance(name, str) or not isinstance(value, SCALARS):
            raise TypeError(f"the function must return numbers or text by name, got {show(name)}: {show(value)}")
        if name in cell or name in RESERVED:
            raise TypeError(f"the function must not name a result {name!r}: every row has that name already")
    return result


class LocalPool(ThreadPoolExecutor):
    """Processes of this machine with one torch thread each; one that dies takes only its own task with it.

    Each thread of this pool asks a process of its own, which it starts with its first task, and again after a death.
    """

    def __init__(self, n_workers: int) -> None:
        super().__init__(n_workers, thread_name_prefix="nbkit-sweep")
        self._own, self._lock, self._processes, self._is_ended = threading.local(), threading.Lock(), [], False

    def submit(self, function: Callable[..., object], /, *arguments: object) -> Future:
        return super().submit(self._ask, function, arguments)

    def _ask(self, function: Callable[..., object], arguments: tuple) -> object:
        if not hasattr(self._own, "worker"):
            self._own.worker = self._start()
        process, pipe = self._own.worker
        try:
            pipe.send((function, arguments))
            while not pipe.poll(_LOOK_S):  # a child that it has forked may hold the pipe open when it has died
                if not process.is_alive():
                    raise EOFError
            is_fine, value = pipe.recv()
        except (EOFError, OSError):
            del self._own.worker
            process.join()
            raise BrokenExecutor(f"its process ended with exit code {process.exitcode}") from None
        if not is_fine:
            raise RuntimeError(value)
        return value

    def _start(self) -> tuple[multiprocessing.Process, Connection]:
        context = multiprocessing.get_context("spawn")
        pipe, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,))
        with self._lock:
            if self._is_ended:
                raise BrokenExecutor("the pool has ended")
            process.start()
            self._processes = [*filter(multiprocessing.Process.is_alive, self._processes), process]
        theirs.close()
        try:
            pipe.recv()
        except (EOFError, OSError):
            raise NbkitError(f"executor's processes must start, but end before they begin. {_GUARD}") from None
        return process, pipe

    def __exit__(self, *_: object) -> None:
        """End at once, whatever is being computed."""
        self.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._is_ended = True
        for process in self._processes:
            process.kill()
            process.join()


def check_is_guarded(who: str) -> None:
    """Refuse a call that a script makes while a new process imports it: the process that started it makes the same.

    Raises:
        NbkitError: such a call.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise NbkitError(f"{who}: the call must be made once, got it from a process that imports the script. {_GUARD}")


def _serve(pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    os.environ.update(dict.fromkeys(_THREAD_SETTINGS, "1"))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        pipe.send("ready")
        while True:
            try:
                function, arguments = pipe.recv()
                reply = True, function(*arguments)
            except EOFError:
                raise
            except Exception as error:
                reply = False, told(error)
            pipe.send(reply)


@contextlib.contextmanager
def workers(who: str, executor: object, n_cells: int) -> Iterator[Executor]:
    """The executor itself, the one behind a scheduler's address, or for None a pool of this machine.

    Raises:
        NbkitError: no executor, a scheduler that does not answer, dask that is not installed.
    """
    executor = getattr(executor, "scheduler_address", executor)  # of a dask cluster
    if isinstance(executor, Executor):
        yield ClusterPool(executor) if is_dasks(executor) else executor
    elif isinstance(executor, str):
        with _client(who, executor) as client:
            yield ClusterPool(client.get_executor())
    elif executor is None:
        with LocalPool(max(1, min(_n_cores(), n_cells))) as pool:
            yield pool
    else:
        raise NbkitError(
            f"{who}: executor must be None, an Executor or a scheduler's address, got {show(executor)}. "
            "Of a dask Client use client.get_executor(), of a cluster its scheduler_address."
        )


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _client(who: str, address: str) -> Client:
    """A dask client of the scheduler at that address, once it is known to answer: by itself dask may wait for ever."""
    if find_spec("distributed") is None:
        raise NbkitError(
            f"{who}: executor must be None or an Executor where dask is not installed, got {address!r}. "
            "Install it: pip install 'dask[distributed]'."
        )
    try:
        parts = urlsplit(address)
        _within(_PATIENCE_S, lambda: socket.create_connection((parts.hostname, parts.port), _PATIENCE_S).close())
        import asyncio

        from distributed import Client  # takes seconds, which are not the scheduler's

        kind = _within(_PATIENCE_S, lambda: asyncio.run(_kind(address)))
        if kind != "Scheduler":
            raise ValueError(f"a {kind} answers")
    except Exception as error:
        raise NbkitError(
            f"{who}: executor must be the address of a scheduler that answers, got {show(address)} "
            f"({show(str(error) or 'no answer')}). Write it as 'tcp://host:8786', or leave executor out."
        ) from None
    return Client(address, set_as_default=False)


def _within(seconds: float, ask: Callable[[], object]) -> object:
    """What `ask` gives, or TimeoutError: looking up a name cannot be told when to give up."""
    answer: Future = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer.result(seconds)


async def _kind(address: str) -> str:
    from distributed.core import rpc
    from distributed.security import Security

    async with rpc(address, connection_args=Security().get_connection_args("client")) as other:
        return (await other.identity())["type"]


@contextlib.contextmanager
def local_cluster(n_workers: int = 2) -> Iterator[Executor]:
    """An executor with some worker processes on this machine, for trying what a cluster will do; prints which.

    It is a real dask scheduler with its workers where dask is installed, otherwise a pool of processes.

    Raises:
        NbkitError: n_workers below 1.
    """
    n_workers = check_integer("local_cluster", "n_workers", n_workers, at_least=1)
    if find_spec("distributed") is None:
        print(f"local_cluster: {n_workers} process{'es' * (n_workers > 1)} of this machine (dask is not installed)")
        with LocalPool(n_workers) as pool:
            yield pool
        return
    from distributed import Client, LocalCluster

    print(f"local_cluster: a dask scheduler and {n_workers} worker process{'es' * (n_workers > 1)}")
    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "silence_logs": logging.ERROR}
    with LocalCluster(n_workers=n_workers, **options) as cluster, Client(cluster, set_as_default=False) as client:
        yield client.get_executor()
        with contextlib.suppress(TimeoutError):  # dask cannot close a cluster that is replacing a worker
            client.wait_for_workers(n_workers, timeout=_REPLACED_S)
