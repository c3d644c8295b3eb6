"""Exercise of notebook 07: which rows a layer gathers when the one before has left its units in another order."""

from collections.abc import Iterator

import numpy as np

from nbkit.exercises import exercise
from nbkit.topology import biregular, complete_blocks

__all__ = []


@exercise(
    "07 folded gather",
    hint="Row k of the memory holds unit order[k]. For each wanted unit say in which row it lies: that is the inverse "
    "permutation, taken at the units wanted.",
    mistakes={
        "These are the units. They lie in other rows of the memory now.": lambda order, wanted: list(wanted),
        "order[k] says which unit lies in row k. You need the row in which unit k lies: the inverse.": (
            lambda order, wanted: [order[unit] for unit in wanted]
        ),
        "That is where all units lie. Take it at the units that are wanted.": (
            lambda order, wanted: np.argsort(order).tolist()
        ),
    },
)
def gather_cases() -> Iterator[tuple[tuple, list[int]]]:
    # The independent route: units are written into memory in their order and looked for.
    cases = [([2, 0, 1], [2, 1]), ([2, 0, 3, 1], [0, 1, 2, 3])]
    for seed in (0, 1):
        before, after = (complete_blocks(biregular(12, 12, 3, seed=seed + k))[0] for k in (0, 7))
        cases.append((before.outputs.ravel().tolist(), after.inputs.ravel().tolist()))
    for order, wanted in cases:
        memory = list(order)
        yield (order, wanted), [memory.index(unit) for unit in wanted]
