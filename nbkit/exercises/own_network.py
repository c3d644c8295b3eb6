"""Exercise of notebook 12: dead units, from the masks of a network alone."""

from collections.abc import Callable, Iterator, Sequence

import networkx as nx
import numpy as np

from nbkit.exercises import exercise

__all__ = []

Masks = Sequence[np.ndarray]


def _count(masks: Masks, is_alive: Callable[[Masks, int, int], bool]) -> int:
    """Hidden units that are not alive."""
    return sum(not is_alive(masks, i, u) for i in range(1, len(masks)) for u in range(len(masks[i])))


def _has_wires(masks: Masks, layer: int, unit: int) -> bool:
    return bool(masks[layer - 1][:, unit].any() and masks[layer][unit].any())


def _is_reached(masks: Masks, layer: int, unit: int) -> bool:
    found = np.ones(len(masks[0]), dtype=int)
    for mask in masks[:layer]:
        found = (found @ mask > 0).astype(int)
    return bool(found[unit])


def _is_heard(masks: Masks, layer: int, unit: int) -> bool:
    return _is_reached([mask.T for mask in masks[::-1]], len(masks) - layer, unit)


@exercise(
    "12 dead units",
    hint="A hidden unit is alive if an input reaches it and it reaches an output. Forward: found @ mask > 0, layer by "
    "layer; backward: mask @ found > 0.",
    mistakes={
        "A unit with wires on both sides can still be dead: those it hears may be dead themselves. Go layer by layer.": (
            lambda masks: _count(masks, _has_wires)
        ),
        "You counted units that no input reaches. Those that reach no output are dead as well.": (
            lambda masks: _count(masks, _is_reached)
        ),
        "You counted units that reach no output. Those that no input reaches are dead as well.": (
            lambda masks: _count(masks, _is_heard)
        ),
        "That is how many are alive.": (
            lambda masks: _count(masks, lambda *at: not (_is_reached(*at) and _is_heard(*at)))
        ),
    },
)
def dead_units_cases() -> Iterator[tuple[tuple, int]]:
    # The independent route: descendants and ancestors in a graph.
    for seed, density, sizes in ((7, 0.25, (4, 5, 5, 3)), (0, 0.2, (6, 8, 8, 8, 4))):
        rng = np.random.default_rng(seed)
        masks = [rng.random(shape) < density for shape in zip(sizes, sizes[1:])]
        graph = nx.DiGraph(
            ((i, u), (i + 1, v))
            for i, mask in enumerate(masks)
            for u, v in zip(*map(np.ndarray.tolist, mask.nonzero()))
        )
        units = {(i, u) for i, size in enumerate(sizes) for u in range(size)}
        graph.add_nodes_from(units)
        ends = [{unit for unit in units if unit[0] == layer} for layer in (0, len(masks))]
        reached = ends[0].union(*(nx.descendants(graph, unit) for unit in ends[0]))
        heard = ends[1].union(*(nx.ancestors(graph, unit) for unit in ends[1]))
        yield (masks,), len(units - (reached & heard) - ends[0] - ends[1])
