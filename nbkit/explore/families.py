"""Families of layers n -> n by name, one degree for all of them, as the explorers of notebook 02 compare them."""

import math
from functools import lru_cache

import numpy as np

from nbkit.device import choose_device, spawn_generators
from nbkit.measure import reach_fractions, reachability
from nbkit.topology import (
    CirculantLayer,
    Layer,
    Topology,
    biregular,
    cayley_expander,
    magnitude_pruned,
    mixed_radix,
    random_expander,
)

__all__ = [
    "BY_CHANCE",
    "DEEPEST",
    "FAMILIES",
    "SINGLES",
    "cascade",
    "cascade_layer",
    "fractions",
    "reach_matrix",
    "refusal",
    "single_layer",
]

DEEPEST = 16  # layers of a cascade

#: Families of cascades and whose colour each has.
FAMILIES = {
    "RadiX": "radix",
    "SAO shift": "sao",
    "SAO random": "sao",
    "SAO aligned": "sao",
    "X-Net random": "xnet",
    "X-Net Cayley": "xnet",
    "pruned": "pruned",
}

#: Those that draw every layer anew; the others repeat.
BY_CHANCE = ("SAO random", "X-Net random", "pruned")

#: Single layers and whose colour each has.
SINGLES = {
    "SAO": "sao",
    "RadiX, first layer": "radix",
    "RadiX, last layer": "radix",
    "random regular": "dense",
    "X-Net random": "xnet",
    "X-Net Cayley": "xnet",
    "pruned": "pruned",
    "3 × 3 convolution": "dense",
}


def refusal(name: str, n: int, degree: int) -> str:
    """Why a family has no cascade n -> n -> ... of this degree, in short lines; empty where it has one."""
    if name == "RadiX" and degree ** round(math.log(n, degree)) != n:
        return f"{n} is no power<br>of {degree}: radices<br>would have to mix"
    if name.startswith("SAO") and n % degree:
        return f"{degree} does not<br>divide {n}"
    return ""


@lru_cache(maxsize=2000)
def cascade_layer(name: str, n: int, degree: int, position: int) -> Layer:
    """Layer `position` of a family's cascade; families without chance repeat one layer, RadiX one system."""
    if name == "RadiX":
        return mixed_radix((degree,) * round(math.log(n, degree)))[position]
    if name in ("SAO shift", "SAO aligned"):
        return biregular(n, n, degree, placement=name.split()[1])
    if name == "X-Net Cayley":
        return cayley_expander(n, _spread_generators(n, degree))
    seed = spawn_generators(0, DEEPEST)[position]
    if name == "SAO random":
        return biregular(n, n, degree, seed=seed)
    if name == "X-Net random":
        return random_expander(n, n, degree, regular="in", seed=seed)
    return magnitude_pruned([seed.standard_normal((n, n))], degree / n)[0]


def _spread_generators(n: int, degree: int) -> tuple[int, ...]:
    """0, 1 and then steps that grow by one factor: the differences generate the group, whatever n is."""
    steps = [0, *(round(n ** (k / (degree - 1))) for k in range(degree - 1))]
    for k in range(1, degree):
        steps[k] = max(steps[k], steps[k - 1] + 1)
    return tuple(steps)


def _period(name: str, n: int, degree: int) -> int:
    """After how many layers a cascade repeats."""
    if name == "RadiX":
        return round(math.log(n, degree))
    return DEEPEST if name in BY_CHANCE else 1


def cascade(name: str, n: int, degree: int, depth: int) -> Topology:
    """The first `depth` layers, at most DEEPEST, of one family at this degree (pruned: mean degree)."""
    return Topology([cascade_layer(name, n, degree, position % _period(name, n, degree)) for position in range(depth)])


def reach_matrix(name: str, n: int, degree: int, depth: int) -> np.ndarray:
    """Who reaches whom after `depth` layers, bool (n, n), computed on the device for live pictures."""
    return reachability(cascade(name, n, degree, depth), device=choose_device()).cpu().numpy()


@lru_cache(maxsize=500)
def fractions(name: str, n: int, degree: int) -> np.ndarray:
    """The fraction of joined pairs after 1..DEEPEST layers."""
    return reach_fractions(cascade(name, n, degree, DEEPEST), device=choose_device()).cpu().numpy()


def single_layer(family: str, n: int, degree: int) -> Layer:
    """One layer n -> n of a key of SINGLES; the convolution is circular on a square of n pixels and ignores the degree."""
    if family == "SAO":
        return cascade_layer("SAO shift", n, degree, 0)
    if family == "RadiX, first layer":
        return mixed_radix((degree,), n)[0]
    if family == "RadiX, last layer":
        return CirculantLayer(n, range(0, n, n // degree))
    if family == "random regular":
        return _random_regular(n, degree)
    if family.startswith("3"):
        side = math.isqrt(n)
        line = CirculantLayer(side, (0, 1, side - 1)).biadjacency().numpy()
        return Layer.from_biadjacency(np.kron(line, line))
    return cascade_layer(family, n, degree, 0)


def _random_regular(n: int, degree: int, seed: int = 0) -> Layer:
    """A random layer n -> n with `degree` wires at every node of both sides: disjoint random permutations.

    Entries of a permutation that would double a wire are swapped with random others until none does.
    """
    generator = spawn_generators(seed, 1)[0]
    nodes, taken = np.arange(n), np.zeros((n, n), dtype=bool)
    for _ in range(degree):
        targets = generator.permutation(n)
        while len(doubled := np.flatnonzero(taken[nodes, targets])):
            one, other = doubled[0], generator.integers(n)
            targets[[one, other]] = targets[[other, one]]
        taken[nodes, targets] = True
    return Layer.from_biadjacency(taken)
