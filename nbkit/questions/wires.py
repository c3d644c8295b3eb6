"""Measures of wires alone: who reaches whom, by how many paths, and how well a layer and a cascade expand."""

import math
from collections.abc import Iterator

import numpy as np

from nbkit.measure import (
    mean_field_reach,
    n_components,
    path_counts,
    reach_fractions,
    reachability,
    singular_values,
)
from nbkit.questions.configuration import DECAYED, Configuration
from nbkit.questions.measured import Measured, prepared
from nbkit.topology import EdgeLayer, Layer, Topology

__all__ = ["dead_units", "measure_paths", "measure_reach", "measure_wires"]

_N_ALIKE, _TRADES = 3, 3  # random masks of equal degrees for each layer, and trades for each row
_CLEAR = 1.2  # times the largest second singular value among these, which differ by a few hundredths


def measure_reach(configuration: Configuration) -> Iterator[Measured]:
    """The fraction of inputs that a node hears against the depth; theory is the mean field of random wires of that degree.

    Numbers: `fraction` at the end, `full_at` the first layer at which everything is joined (inf: none), `least_depth` in
    which `degree` wires a node can join everything, `dead` units that no input reaches or that reach no output, `units`
    inside, `density`.
    """
    own, depths = configuration, np.arange(1.0, configuration.depth + 1)
    yield from prepared("reach", own, depths, _mean_field(own))
    topology = own.topology
    fractions = reach_fractions(topology).numpy()
    n_dead, n_units = dead_units(topology)
    yield Measured("reach", own, depths, fractions, theory=_mean_field(own), progress=(0, 1, "pictures"))
    degree = topology.density * own.width
    numbers = {
        "fraction": float(fractions[-1]),
        "full_at": _full_at(fractions),
        "least_depth": float(math.ceil(math.log(own.width) / math.log(degree) - 1e-9)) if degree > 1 else math.inf,
        "dead": n_dead,
        "units": n_units,
        "density": topology.density,
    }
    matrix = reachability(topology).numpy()
    yield Measured("reach", own, depths, fractions, theory=_mean_field(own), matrix=matrix, numbers=numbers)


def measure_paths(configuration: Configuration) -> Iterator[Measured]:
    """How the paths are shared out among pairs: counts over their mean, in ascending order, against the share of pairs.

    The picture has log10 of 1 + the number of paths. Numbers: `least`, `most`, `mean` paths of a pair, `spread` their
    standard deviation over their mean (0: symmetric), `joined` the share of pairs with a path, `density`.
    """
    own, shares = configuration, np.linspace(0, 1, 101)
    for frame in prepared("paths", own, shares, np.ones(len(shares))):
        yield frame
    full_at = _full_at(reach_fractions(own.topology).numpy())
    yield frame
    counts = path_counts(own.topology).astype(np.float64)
    yield frame
    mean = counts.mean()
    numbers = {
        "least": float(counts.min()),
        "most": float(counts.max()),
        "mean": float(mean),
        "spread": float(counts.std() / mean) if mean else math.nan,
        "joined": float((counts > 0).mean()),
        "full_at": full_at,
        "density": own.topology.density,
    }
    curve = np.quantile(counts, shares) / mean if mean else np.full(len(shares), np.nan)
    matrix = np.log10(1 + counts)
    yield Measured("paths", own, shares, curve, theory=np.ones(len(shares)), matrix=matrix, numbers=numbers)


def measure_wires(configuration: Configuration) -> Iterator[Measured]:
    """Singular values of the layers' 0/1 matrices over the largest; the band holds all layers, theory is Ramanujan's bound.

    Two nulls: random masks of the same density, and random masks in which every node keeps its number of wires, so that
    what is left is neither density nor degrees.

    Numbers: `share` second over first singular value and `second` the second itself, means over layers, `bound` the
    largest second that a Ramanujan graph of the mean `degree` has, 2 sqrt(d - 1); `cascade` second over first of the path
    counts of all layers together; `components` with a wire and `dead` nodes without one, means over layers; `blocks` the
    share of layers that fall into more parts than any mask of the second null; `null` and `null_degrees` the mean share of
    the two nulls; `outliers` how many singular values of a layer beside the first stand clear of the second null, the
    mean over layers; `density`.
    """
    own, measure, index = configuration, "wires' spectrum", np.arange(1.0, configuration.width + 1)
    yield from prepared(measure, own, index)
    topology, draw = own.topology, np.random.default_rng(own.seed)
    degree = topology.density * own.width
    bound = 2 * math.sqrt(max(degree - 1, 0)) if degree else math.nan
    product, rows, facts = np.eye(topology.sizes[0]), [], []
    for layer in topology:
        mask = layer.mask().numpy()
        product = mask @ product / max(layer.largest_in_degree, 1)  # not to overflow
        values = np.pad(singular_values(mask).numpy(), (0, own.width))[: own.width]
        rows.append(values / (values[0] or 1))
        curve, ends = np.mean(rows, axis=0), (np.min(rows, axis=0), np.max(rows, axis=0))
        line, done = np.full(len(index), bound / max(degree, 1e-9)), (len(rows), len(topology) + 1, "layers")
        latest = Measured(measure, own, index, curve, *ends, theory=line, progress=done)
        yield latest
        null = _shares(draw.permuted(mask.ravel()).reshape(mask.shape), 2)[1]
        alike, parts = [], []
        for _ in range(_N_ALIKE):
            other = _same_degrees(mask, draw)
            alike.append(_shares(other, 2)[1])
            targets, sources = other.nonzero()
            parts.append(_parts(EdgeLayer(*reversed(other.shape), sources, targets))[0])
            yield latest
        outliers = int((rows[-1][1:] > _CLEAR * max(alike) + 1e-9).sum())
        n_parts, n_dead = _parts(layer)
        facts.append((n_parts, n_dead, n_parts > max(parts), values[1], null, np.mean(alike), outliers))
    cascade = singular_values(product).numpy()
    names = ("components", "dead", "blocks", "second", "null", "null_degrees", "outliers")
    numbers = dict(zip(names, np.mean(facts, axis=0).tolist(), strict=True))
    numbers |= {"share": float(curve[1]), "bound": bound, "degree": degree, "density": topology.density}
    numbers["cascade"] = float(cascade[1] / cascade[0]) if cascade[0] else math.nan
    yield Measured(measure, own, index, curve, *ends, theory=line, numbers=numbers)


def _same_degrees(mask: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A random mask in which every row and column has as many entries as before: rows trade what only one of them has.

    Source:
        Strona et al. 2014 (the "curveball" trades).
    """
    traded = mask.copy()
    for _ in range(_TRADES * len(mask)):
        one, other = draw.choice(len(mask), 2, replace=False)
        unlike = draw.permutation(np.flatnonzero(traded[one] ^ traded[other]))
        kept = unlike[: int(traded[one, unlike].sum())]
        traded[one, unlike], traded[other, unlike] = False, True
        traded[one, kept], traded[other, kept] = True, False
    return traded


def _full_at(fractions: np.ndarray) -> float:
    """The first layer from which on every pair is joined; random wires may cut some off again."""
    short = np.flatnonzero(fractions < 1)
    first = short[-1] + 2 if len(short) else 1
    return float(first) if first <= len(fractions) else math.inf


def _mean_field(configuration: Configuration) -> np.ndarray | None:
    if configuration.wires == DECAYED:
        return None
    degree = configuration.width if configuration.wires == "dense" else configuration.degree
    return mean_field_reach(configuration.width, degree, configuration.depth).numpy()


def dead_units(topology: Topology) -> tuple[int, int]:
    """Units inside that no input reaches or that reach no output, and how many there are."""
    masks = [layer.mask().double().numpy() for layer in topology]
    heard, hearing = [np.ones(topology.sizes[0])], [np.ones(topology.sizes[-1])]
    for mask in masks[:-1]:
        heard.append(np.sign(mask @ heard[-1]))
    for mask in masks[:0:-1]:
        hearing.append(np.sign(mask.T @ hearing[-1]))
    alive = sum(int((ahead * behind).sum()) for ahead, behind in zip(heard[1:], hearing[:0:-1], strict=True))
    n_units = sum(topology.sizes[1:-1])
    return n_units - alive, n_units


def _shares(mask: np.ndarray, n: int) -> np.ndarray:
    """The first n singular values over the largest, zeros where there are fewer."""
    values = singular_values(mask).numpy()[:n]
    return np.pad(values / (values[0] or 1), (0, n - len(values)))


def _parts(layer: Layer) -> tuple[int, int]:
    """Connected components that have a wire, and nodes without one."""
    n_dead = int((layer.out_degrees() == 0).sum() + (layer.in_degrees() == 0).sum())
    return n_components(layer) - n_dead, n_dead
