"""The sweep itself: cells go out a few at a time, and what comes back is stored before anybody sees it."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

from nbkit.errors import NbkitError, check_integer, show
from nbkit.sweeping.cells import Cells, from_json, key_of
from nbkit.sweeping.dispatch import computed
from nbkit.sweeping.stores import Store
from nbkit.sweeping.table import Sweep
from nbkit.sweeping.workers import LocalPool, check_is_guarded, workers

__all__ = ["stream_sweep", "sweep"]

Grid = Mapping[str, Sequence] | Sequence[Mapping[str, object]]


def sweep(
    function: Callable[..., object],
    grid: Grid,
    *,
    store: str | Path,
    seeds: int | Sequence[int] | None = None,
    executor: Executor | str | None = None,
    version: int = 0,
    retry: bool = False,
    progress: bool = True,
) -> Sweep:
    """The function on every cell of a grid, each once: what the store has already is not computed again.

    A cell that is finished is one line in the store, whatever happens afterwards: Ctrl-C, a kill, a full disk, a worker
    that dies. A cell whose function raises is finished too; its row tells the error and where it was raised, and the
    others go on. A cell whose worker dies is tried again, and is a failure when it has killed two. Dask itself tries it
    on four workers (`distributed.scheduler.allowed-failures`), which may have died of another cell there: it is then
    tried once more at the end, with no other cell beside it, and is a failure when that has killed four as well.

    In a script, call it under `if __name__ == '__main__':`, because the processes of this machine import the script.

    Args:
        function: takes a cell's values by name and returns a number or a flat dictionary of numbers and texts. The store
            knows it by its qualified name: what it closes over, or the object that it is a method of, is no part of that.
        grid: name -> values, of which every combination is a cell; or a list of cells, each name -> value. Values are
            numbers, texts, True, False, None, or lists of these, which arrive as tuples.
        store: path of the file of finished cells (JSON lines), of this function and version alone.
        seeds: n for the seeds 0..n-1, or a list; every cell is computed with each, as its argument `seed`.
        executor: None for processes of this machine, one a core, with one torch thread each; any
            `concurrent.futures.Executor`; or the address of a dask scheduler such as "tcp://host:8786", or a cluster
            that has one, such as dask's LocalCluster.
        version: raise it when the function's results change; its store must then be another one.
        retry: compute stored failures again.
        progress: show a bar with the time left.

    Returns:
        Sweep, its rows in the order of the grid.

    Raises:
        NbkitError: a grid with equal cells or none, values that JSON cannot hold, a function without a name of its own
            or that its workers cannot find or that takes other arguments, a store of another function or version or that
            another sweep is writing to, a disk that is full, a scheduler that does not answer within five seconds.

    Example:
        >>> import tempfile
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> grid = {"number": [0.123, 4.567], "ndigits": [0, 1]}
        >>> with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as threads:
        ...     done = sweep(round, grid, store=f"{folder}/round.jsonl", executor=threads, progress=False)
        >>> done.array("value", "number", "ndigits")
        array([[0. , 0.1],
               [5. , 4.6]])
    """
    from tqdm.auto import tqdm

    job = _Job("sweep", function, grid, store, seeds, executor, version, retry)
    rows: list[dict | None] = [None] * len(job.cells)
    n_failures = 0
    with (
        contextlib.closing(job.stream()) as stream,
        tqdm(total=len(rows), desc=function.__qualname__, unit="cell", disable=not progress) as bar,
    ):
        for place, row, is_new in stream:
            rows[place] = row
            if progress and not is_new:
                bar.initial += 1  # what was stored says nothing about the time left
            if row["error"] is not None:
                n_failures += 1
                bar.set_postfix(failures=n_failures, refresh=False)
            bar.update()
    return Sweep(job.store.function, job.store.version, job.cells.names, rows)


def stream_sweep(
    function: Callable[..., object],
    grid: Grid,
    *,
    store: str | Path,
    seeds: int | Sequence[int] | None = None,
    executor: Executor | str | None = None,
    version: int = 0,
    retry: bool = False,
) -> Iterator[dict]:
    """The rows of a sweep as they are finished: those of the store first, in the grid's order, then each new one.

    Nothing is computed before the first row is asked for; closing the generator cancels what is not finished. It holds
    no rows, so that a grid may have a million cells. Arguments and errors are those of `sweep`.

    Returns:
        Generator of rows: the cell's values and the result's by name, "seconds", and "error" (None, or its text).
    """
    job = _Job("stream_sweep", function, grid, store, seeds, executor, version, retry)

    def rows() -> Iterator[dict]:
        with contextlib.closing(job.stream()) as stream:
            for _, row, _ in stream:
                yield row

    return rows()


class _Job:
    """One call of `sweep`, checked: its cells, its store, and who computes."""

    def __init__(self, who, function, grid, store, seeds, executor, version, retry) -> None:
        self.who, self.function, self.executor, self.retry = who, function, executor, retry
        name = _qualified_name(who, function)
        self.cells = Cells(who, grid, seeds)
        self.store = Store(who, store, name, check_integer(who, "version", version, at_least=0))
        _check_arguments(who, function, self.cells.names)
        if executor is None or isinstance(executor, LocalPool):
            check_is_guarded(who)
            _check_importable(who, function)

    def stream(self) -> Iterator[tuple[int, dict, bool]]:
        """Every cell once: its place, its row, whether it was computed now."""
        with workers(self.who, self.executor, len(self.cells)) as pool, self.store as store:
            is_left = bytearray(b"\1") * len(self.cells)
            for place, cell in enumerate(self.cells if store.finished else ()):
                known = store.finished.pop(key_of(cell), None)
                if known and not (self.retry and "error" in known):
                    is_left[place] = False
                    yield place, _row(cell, known), False
            left = ((place, cell) for place, cell in enumerate(self.cells) if is_left[place])
            for task, texts in computed(self.who, self.function, left, pool):
                store.append([cell for _, cell in task], texts)
                for (place, cell), text in zip(task, texts):
                    yield place, _row(cell, json.loads(text)), True


def _row(cell: dict, known: dict) -> dict:
    return cell | from_json(known.get("result", {})) | {"seconds": known["seconds"], "error": known.get("error")}


def _qualified_name(who: str, function: object) -> str:
    name = getattr(function, "__qualname__", None)
    module = getattr(function, "__module__", None)  # methods of built-in types have none
    if not callable(function) or not isinstance(name, str) or not isinstance(module, str) or "<lambda>" in name:
        raise NbkitError(
            f"{who}: function must have a name, by which its store knows it, got {show(function)}. "
            "Define it with def; what stays the same in all cells may stand in the grid as a list of one."
        )
    return f"{module}.{name}"


def _check_arguments(who: str, function: Callable[..., object], names: tuple[str, ...]) -> None:
    try:
        inspect.signature(function).bind(**dict.fromkeys(names))
    except ValueError:  # some built in C do not tell their arguments
        pass
    except TypeError as error:
        raise NbkitError(
            f"{who}: function must take the grid's names {', '.join(names) or '(none)'}, but {error}. "
            "Use the names of its arguments."
        ) from None


def _check_importable(who: str, function: Callable[..., object]) -> None:
    module = sys.modules.get(function.__module__)
    found = module
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    if found != function or (
        function.__module__ == "__main__" and not os.path.isfile(getattr(module, "__file__", None) or "")
    ):
        raise NbkitError(
            f"{who}: function must be one that another process can import, got {show(function)}, defined in a notebook "
            "or inside another function. Put it into a .py file and import it, or use "
            "executor=ThreadPoolExecutor(2) or local_cluster(2)."
        )
