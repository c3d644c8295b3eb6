"""What a sweep costs beyond its work: `python -m tests.benchmarks.sweeps` prints ratios against named baselines."""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from nbkit.sweeping import local_cluster, sweep

if TYPE_CHECKING:  # otherwise where it is needed: the worker processes open this module too, and torch takes seconds
    from .wires import Ratio

CELL_S = 0.2
PROMISED_S = 0.002  # a cell that does nothing


def nothing(i: int) -> None:
    """The cell whose whole time is the sweep's."""


def sleeping(i: int, amount: float) -> None:
    time.sleep(amount)


def computing(i: int, amount: int) -> int:
    return sum(k * k % 7 for k in range(amount))


def turns(wanted: float = CELL_S) -> int:
    """The amount that takes `computing` as many seconds here, while nothing else of ours runs."""
    from .wires import seconds

    (taken,) = seconds(lambda: computing(0, 10**5))
    return max(1, round(10**5 * wanted / taken))


def run(function: Callable, grid: dict, executor: Executor | None = None) -> Callable[[], object]:
    """A sweep on a store of its own each time."""

    def once() -> None:
        with tempfile.TemporaryDirectory() as folder:
            done = sweep(function, grid, store=Path(folder) / "sweep.jsonl", executor=executor, progress=False)
        assert not done.failures and len(done) == len(grid["i"])

    return once


def empty_cells(n: int = 1000, executor: Executor | None = None) -> Ratio:
    """A cell that does nothing, the start of the processes included."""
    from .wires import Ratio, seconds

    (taken,) = seconds(run(nothing, {"i": range(n)}, executor))
    return Ratio(f"an empty cell of {n:,}", taken / n, "what is promised", PROMISED_S, promised=1)


def two_workers_against_one(
    n: int = 20,
    cell: float = CELL_S,
    cluster: Callable[[int], AbstractContextManager[Executor]] = local_cluster,
    repeats: int = 3,
) -> list[Ratio]:
    """A cluster of two against one of one, on cells that wait and on cells that keep a core busy."""
    from .wires import Ratio, seconds

    ratios = []
    amounts = {sleeping: cell, computing: turns(cell)}
    with cluster(1) as one, cluster(2) as two:
        for executor, _ in itertools.product((one, two), range(2)):
            run(nothing, {"i": range(100)}, executor)()  # every worker has opened what it needs
        for function, amount in amounts.items():
            grid = {"i": range(n), "amount": [amount]}
            ours, theirs = seconds(run(function, grid, two), run(function, grid, one), repeats=repeats)
            name = f"{n} cells of {1e3 * cell:g} ms, {function.__name__}, two workers"
            ratios.append(Ratio(name, ours, "one worker", theirs, promised=1.7))
    return ratios


def resumed(n: int, executor: Executor | None = None) -> Callable[[], object]:
    """A sweep that is finished already, on a store of n cells."""
    folder = tempfile.TemporaryDirectory()
    grid = {"i": range(n)}
    store = Path(folder.name) / "sweep.jsonl"
    sweep(nothing, grid, store=store, executor=executor, progress=False)

    def again(_keep: object = folder) -> None:
        sweep(nothing, grid, store=store, progress=False)

    return again


def slopes(largest: int = 16000, executor: Executor | None = None) -> dict[str, tuple[float, dict[int, float]]]:
    """How cost grows with the number of cells: the slope, and seconds by size."""
    from .wires import slope

    sizes = [largest // 16, largest // 4, largest]
    return {
        "empty cells (each once: 1)": slope(sizes, lambda n: run(nothing, {"i": range(n)}, executor)),
        "finished cells, read again (each once: 1)": slope(sizes, lambda n: resumed(n, executor)),
    }


def main() -> int:
    from nbkit.device import describe_device

    from .wires import tell

    print(describe_device("cpu"))
    return tell([empty_cells(), *two_workers_against_one()], slopes())


if __name__ == "__main__":
    sys.exit(main())
