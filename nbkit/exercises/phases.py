"""Exercises of notebook 13: how long a sweep takes on several workers."""

import heapq
from collections.abc import Iterator, Sequence

from nbkit.exercises import exercise

__all__ = []

_CASES = (
    ([3.0, 1.0, 1.0, 1.0, 4.0], 2),
    ([1.0, 1.0, 5.0, 2.0, 2.0, 2.0], 3),
    ([2.0, 3.0], 4),
    ([0.5, 0.25, 4.0, 1.0, 1.0, 1.0, 3.5], 2),
)


def _greedy(cells: Sequence[float], n_workers: int) -> list[float]:
    """When each worker is done: a cell goes to the one that is free first."""
    free_at = [0.0] * n_workers
    for seconds in cells:
        free_at[free_at.index(min(free_at))] += seconds
    return free_at


@exercise(
    "13 until done",
    hint="Keep for each worker the time at which it is free. A cell goes to the smallest; in the end the largest counts.",
    mistakes={
        "That is the work divided by the workers. A cell cannot be divided: the last one may keep a single worker busy.": (
            lambda cells, n_workers: sum(cells) / n_workers
        ),
        "You dealt the cells out in turn. Who has a long one is left out until it is free.": (
            lambda cells, n_workers: max(sum(cells[i::n_workers]) for i in range(n_workers))
        ),
        "Then the first worker is idle, and others still compute: the last one counts.": (
            lambda cells, n_workers: min(_greedy(cells, n_workers))
        ),
        "Cells go out in the order of the grid; nobody knows beforehand which are long.": (
            lambda cells, n_workers: max(_greedy(sorted(cells, reverse=True), n_workers))
        ),
        "That is one worker's time: the others are idle.": lambda cells, n_workers: sum(cells),
    },
)
def until_done_cases() -> Iterator[tuple[tuple, float]]:
    # The independent route: the ends of what runs, in the order of time.
    for cells, n_workers in _CASES:
        running, now = [], 0.0
        for seconds in cells:
            if len(running) == n_workers:
                now = heapq.heappop(running)
            heapq.heappush(running, now + seconds)
        yield (cells, n_workers), max(running)
