"""A task that dies costs only the cell that killed it, also where tasks share their workers."""

import threading
from concurrent.futures import Future

import toy_cells

from nbkit.sweeping.cluster import ClusterPool
from nbkit.sweeping.dispatch import computed


class KilledWorker(Exception):
    """As dask says it."""


class SharedWorker(ClusterPool):
    """One worker with places for some tasks; whatever is there dies with a cell whose i is 3."""

    def __init__(self, n_places):
        self._max_workers, self._client, self.lock, self.there, self.deaths = n_places, None, threading.Lock(), {}, []

    def submit(self, function, *arguments):
        cells, future = [cell["i"] for cell in arguments[1]], Future()
        self.there[future] = cells
        threading.Timer(0.02 if 3 in cells else 0.3, self.end, (future, function, arguments)).start()
        return future

    def end(self, future, function, arguments):
        with self.lock:
            if future not in self.there:
                return
            if 3 not in self.there[future]:
                del self.there[future]
                future.set_result(function(*arguments))
                return
            dead, self.there = self.there, {}
            self.deaths.append(sorted(sum(dead.values(), [])))
            for each in dead:
                each.set_exception(KilledWorker("they died"))


def test_the_last_chance_of_a_cell_is_alone():
    pool = SharedWorker(3)
    left = enumerate({"i": i} for i in range(12))
    known = {}
    for task, texts in computed("who", toy_cells.slow, left, pool):
        known.update((cell["i"], text) for (_, cell), text in zip(task, texts))
    assert sorted(known) == [*range(12)]
    assert [i for i, text in known.items() if "error" in text] == [3] and "KilledWorker: they died" in known[3]
    assert len(pool.deaths) == 2 and len(pool.deaths[0]) > 1 and pool.deaths[1] == [3]
