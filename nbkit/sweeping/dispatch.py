"""Cells go out to an executor a few at a time and come back once each, whichever workers die."""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future

from nbkit.errors import NbkitError, show
from nbkit.sweeping.cells import to_json
from nbkit.sweeping.cluster import ClusterPool
from nbkit.sweeping.failures import told
from nbkit.sweeping.workers import evaluate

__all__ = ["computed"]

_AWAY_S = 0.05  # a task is about as long where cells are shorter: fetching a result costs a hundredth of it
_MOST_CELLS = 100  # in a task
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
    bench, run, most = _Bench(left, isinstance(pool, ClusterPool)), uuid.uuid4().hex, _places(pool)
    try:
        for ticket in itertools.count():
            if len(away) < next(most) and (task := bench.next_task(not away)):
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
    """The cells that wait, and how many of them make a task.

    A task that dies is one more chance for its cells, each by itself. Where tasks share their workers, as on a cluster,
    any of these may have died of another one, so that their last chance is at the very end, one at a time.
    """

    def __init__(self, left: Iterator[tuple[int, dict]], is_shared: bool) -> None:
        self._left, self._is_shared, self._size = left, is_shared, 1
        self._again: deque[Task] = deque()
        self._alone: deque[Task] = deque()
        self._on_last_chance: set[int] = set()

    def next_task(self, is_idle: bool) -> Task:
        """The next one; none where the executor must be idle first, or nothing waits."""
        if self._again:
            return self._again.popleft()
        task = list(itertools.islice(self._left, self._size))
        return self._alone.popleft() if not task and is_idle and self._alone else task

    def take_back(self, task: Task, texts: list[str], death: str | None) -> tuple[Task, list[str]]:
        """The finished cells of a task; the others wait again."""
        if death:
            return self._take_back_dead(task, death)
        mean = sum(json.loads(text)["seconds"] for text in texts) / len(texts)
        self._size = max(1, min(_MOST_CELLS, int(_AWAY_S / (mean + _AWAY_S / _MOST_CELLS))))
        rest = task[len(texts) :]
        self._again.extend(rest[first : first + self._size] for first in range(0, len(rest), self._size))
        return task[: len(texts)], texts

    def _take_back_dead(self, task: Task, death: str) -> tuple[Task, list[str]]:
        places = {place for place, _ in task}
        if places <= self._on_last_chance:
            return task, [to_json({"seconds": None, "error": death})]
        if self._is_shared or len(task) == 1:
            self._on_last_chance |= places
        (self._alone if self._is_shared else self._again).extend([cell] for cell in task)
        return [], []


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
