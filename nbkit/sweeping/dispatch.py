"""Cells go out to an executor a few at a time and come back once each, whichever workers die."""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future

from nbkit.errors import NbkitError, show
from nbkit.sweeping.cells import to_json
from nbkit.sweeping.workers import evaluate, told

__all__ = ["computed"]

_AWAY_S = 0.05  # a task is about as long where cells are shorter: fetching a result costs a hundredth of it
_MOST_CELLS = 100  # in a task
_DEATHS = 2  # of workers alone with a cell, after which it is a failure
_UNTOLD = 32  # workers of an executor that does not tell
_COUNT_S = 1.0  # between two looks at how many workers a cluster has by now

Task = list[tuple[int, dict]]  # cells and their places in the grid


def computed(
    who: str, function: Callable[..., object], left: Iterator[tuple[int, dict]], pool: Executor
) -> Iterator[tuple[Task, list[str]]]:
    """Cells as they are finished, each exactly once, and the JSON of what is known of each.

    Raises:
        NbkitError: an executor that has ended, or whose workers cannot run the function.
    """
    away: dict[Future, Task] = {}
    ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
    bench, run, most = _Bench(left), uuid.uuid4().hex, _places(pool)
    try:
        for ticket in itertools.count():
            if len(away) < next(most) and (task := bench.next_task()):
                future = _submitted(who, pool, function, task, (run, ticket))
                away[future] = task
                future.add_done_callback(ended.put)
            elif away:
                future = ended.get()
                yield bench.take_back(away.pop(future), *_outcome(who, future))
            else:
                return
    finally:
        for future in away:
            future.cancel()


class _Bench:
    """The cells that wait, and how many of them make a task."""

    def __init__(self, left: Iterator[tuple[int, dict]]) -> None:
        self._left, self._again, self._size = left, deque(), 1
        self._deaths: Counter[int] = Counter()

    def next_task(self) -> Task:
        return self._again.popleft() if self._again else list(itertools.islice(self._left, self._size))

    def take_back(self, task: Task, texts: list[str], death: str | None) -> tuple[Task, list[str]]:
        """The finished cells of a task; the others wait again, each by itself when their worker has died."""
        if texts:
            mean = sum(json.loads(text)["seconds"] for text in texts) / len(texts)
            self._size = max(1, min(_MOST_CELLS, int(_AWAY_S / (mean + _AWAY_S / _MOST_CELLS))))
        elif len(task) == 1:
            place = task[0][0]
            self._deaths[place] += 1
            if self._deaths[place] == _DEATHS:
                texts = [to_json({"seconds": None, "error": death})]
        rest, step = task[len(texts) :], 1 if death else self._size
        self._again.extend(rest[first : first + step] for first in range(0, len(rest), step))
        return task[: len(texts)], texts


def _places(pool: Executor) -> Iterator[int]:
    """How many tasks the executor should have: two a worker, so that none waits for its next one."""
    client, counted = getattr(pool, "_client", None), float("-inf")
    n_workers = getattr(pool, "_max_workers", None) or _UNTOLD
    while True:
        if client and time.monotonic() > counted + _COUNT_S:  # workers of a dask cluster come and go
            counted = time.monotonic()
            with contextlib.suppress(OSError):  # a scheduler that is gone: its tasks tell
                n_workers = sum(client.nthreads().values())
        yield max(2, 2 * n_workers)


def _submitted(who: str, pool: Executor, function: Callable[..., object], task: Task, ticket: tuple) -> Future:
    try:
        return pool.submit(evaluate, function, [cell for _, cell in task], _AWAY_S, ticket)
    except (RuntimeError, OSError) as error:
        raise _has_ended(who, error) from None
    except Exception as error:  # dask sends at once, and not everything can be sent
        raise _cannot_run(who, error) from None


def _has_ended(who: str, error: Exception) -> NbkitError:
    return NbkitError(
        f"{who}: executor must work until the end, got {show(str(error) or 'that it was cancelled')}. "
        "What is finished is stored: call again with a new one."
    )


def _outcome(who: str, future: Future) -> tuple[list[str], str | None]:
    """What a task gave, or nothing and how its worker died."""
    try:
        return future.result(), None
    except CancelledError as error:  # by someone else, or by dask when its scheduler is gone
        raise _has_ended(who, error) from None
    except NbkitError as error:
        raise NbkitError(f"{who}: {error}") from None
    except Exception as error:
        if isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker":  # the latter is dask's
            return [], told(error)
        raise _cannot_run(who, error) from None


def _cannot_run(who: str, error: Exception) -> NbkitError:
    return NbkitError(
        f"{who}: executor must be able to run the function, got {show(told(error))}. Its workers need nbkit and the "
        "function's module; what is finished is stored."
    )
