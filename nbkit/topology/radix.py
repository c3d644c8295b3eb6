"""Mixed-radix and RadiX-Net topologies, digits of labels, and the path that the digits spell (Robinett & Kepner 2019)."""

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from nbkit.errors import NbkitError, check_integer, check_integers, show
from nbkit.topology.kronecker import KroneckerLayer
from nbkit.topology.layer import MAX_NODES, Layer
from nbkit.topology.structured import CirculantLayer
from nbkit.topology.topology import Topology, check_topology

__all__ = [
    "PlaceValues", "digits", "label", "longest_system", "mixed_radix", "place_values", "radix_net", "route",
]  # fmt: skip


def mixed_radix(radices: Sequence[int], n: int | None = None) -> Topology:
    """The mixed-radix topology of one system: layer i joins j to (j + k v_i) mod n, k = 0..N_i - 1.

    With n the product of the radices every input reaches every output by exactly one path (Lemma 1). With n a proper
    multiple it is not path-connected: each input reaches as many labels as the product, each by one path.

    Args:
        radices: N_1..N_L, integers >= 2, least significant digit first.
        n: nodes a layer, a multiple of the product, at most 2^62; default the product.

    Returns:
        Topology of L layers, all of shape (n, n).

    Raises:
        NbkitError: a radix below 2, no radix, or a product that does not divide n.

    Source:
        Robinett & Kepner 2019, section III.A and Lemma 1.

    Example:
        >>> mixed_radix((3, 3, 4))[1].successors(5)
        array([ 5,  8, 11])
    """
    radices = _check_radices("mixed_radix", "radices", radices)
    product = math.prod(radices)
    check_integer("mixed_radix", "the product of radices", product, at_most=MAX_NODES)
    n = product if n is None else check_integer("mixed_radix", "n", n, at_least=1, at_most=MAX_NODES)
    if n % product:
        raise NbkitError(
            f"mixed_radix: the product of radices must divide n = {n}, got {show(radices)} which multiply to "
            f"{product}. Use a multiple of {product} for n."
        )
    return Topology(_system_layers(radices, n))


def radix_net(systems: Sequence[Sequence[int]], widths: Sequence[int] | None = None) -> Topology:
    """The RadiX-Net topology of a list of mixed-radix systems.

    Symmetric for two systems or more (and for one): every input reaches every output by the same number of paths,
    (product of all radices) / n * (product of the inner widths).

    Args:
        systems: radices of each system, integers >= 2; all but the last multiply to n, the last divides n. With one
            system n is its product.
        widths: dense widths D, one more than there are radices, integers >= 1; default all 1.

    Returns:
        Topology with layer sizes n * widths[i].

    Raises:
        NbkitError: no system, a radix below 2, products that disagree, a wrong number of widths.

    Source:
        Robinett & Kepner 2019, section III and Theorem 1; the printed path count holds only when the last system is
        full (multiplies to n).

    Example:
        >>> radix_net([(2, 3), (3, 2)]).density
        0.4166666666666667
    """
    systems = _check_systems(systems)
    n = math.prod(systems[0])
    topology = Topology([layer for radices in systems for layer in _system_layers(radices, n)])
    if widths is None:
        return topology
    widths = check_integers("radix_net", "widths", widths, at_least=1)
    if len(widths) != len(topology) + 1:
        raise NbkitError(
            f"radix_net: widths must have one entry more than there are radices, {len(topology) + 1}, "
            f"got {len(widths)}. Give {len(topology) + 1} widths."
        )
    return topology.kron(widths)


def digits(label: int, radices: Sequence[int]) -> tuple[int, ...]:
    """The mixed-radix digits of a label, least significant first.

    Raises:
        NbkitError: a label outside 0..product-1, or bad radices.

    Example:
        >>> digits(32, (3, 3, 4))
        (2, 1, 3)
    """
    radices = _check_radices("digits", "radices", radices)
    rest = check_integer("digits", "label", label, at_least=0, at_most=math.prod(radices) - 1)
    found = []
    for radix in radices:
        rest, digit = divmod(rest, radix)
        found.append(digit)
    return tuple(found)


def label(digits: Sequence[int], radices: Sequence[int]) -> int:
    """The label whose mixed-radix digits are given, least significant first: the inverse of `digits`.

    Raises:
        NbkitError: a digit outside 0..radix-1, or not one digit for each radix.
    """
    radices = _check_radices("label", "radices", radices)
    digits = check_integers("label", "digits", digits, at_least=0)
    if len(digits) != len(radices) or any(digit >= radix for digit, radix in zip(digits, radices)):
        raise NbkitError(
            f"label: digits must be one for each radix and below it, got {show(digits)} for {show(radices)}. "
            f"Use digits up to {show(tuple(radix - 1 for radix in radices))}."
        )
    return sum(digit * value for digit, value in zip(digits, _values(radices)))


@dataclass(frozen=True)
class PlaceValues:
    """What a chain of arithmetic layers is made of: offsets start + k * step, k < count, mod n, and dense widths.

    Attributes:
        n: labels in every layer.
        starts, steps, counts: one entry a layer; for a mixed-radix layer 0, its place value and its radix.
        widths: dense widths, one more than there are layers.
    """

    n: int
    starts: tuple[int, ...]
    steps: tuple[int, ...]
    counts: tuple[int, ...]
    widths: tuple[int, ...]


def place_values(topology: Topology) -> PlaceValues | None:
    """The arithmetic of a topology whose layers are all progressions on one n; None for any other topology."""
    bases = [layer.base if isinstance(layer, KroneckerLayer) else layer for layer in topology]
    if not all(isinstance(base, CirculantLayer) and isinstance(base.offsets, range) for base in bases):
        return None
    n = bases[0].n
    if any(base.n != n for base in bases):
        return None
    offsets = [base.offsets for base in bases]
    return PlaceValues(
        n=n,
        starts=tuple(each.start for each in offsets),
        steps=tuple(each.step if len(each) > 1 else 0 for each in offsets),
        counts=tuple(len(each) for each in offsets),
        widths=tuple(size // n for size in topology.sizes),
    )


def longest_system(values: PlaceValues) -> tuple[int, ...]:
    """The layers whose place values chain (each the one before times its radix), from the smallest up, the longest.

    The chain is a full system, and reaches every label exactly once, when it starts at 1 and ends at n.
    """
    steps = [step for step in values.steps if step]
    if not steps:
        return ()
    chains: dict[int, tuple[int, ...]] = {min(steps): ()}
    frontier = [min(steps)]
    while frontier:
        value = frontier.pop()
        for layer, (step, count) in enumerate(zip(values.steps, values.counts)):
            if step == value and step * count not in chains:
                chains[step * count] = (*chains[value], layer)
                frontier.append(step * count)
    return chains[max(chains)]


def route(topology: Topology, u: int, v: int) -> list[int]:
    """A path from input u to output v read off the digits of (v - u) mod n: one node for each layer of nodes.

    The one path of Lemma 1 for a single system; with several systems or widths it is the path that turns in one
    system only (every other digit, and every inner block, is 0). Works at any n, without forming a layer.

    Raises:
        NbkitError: not a RadiX-Net, a node outside its layer, or an output that the digits of the longest system in
            the topology do not spell.

    Source:
        Robinett & Kepner 2019, Lemma 1.
    """
    values = place_values(check_topology("route", topology))
    if values is None:
        raise NbkitError(
            "route: topology must be made of mixed-radix layers on one n, got other layers. Use radix_net."
        )
    u = check_integer("route", "u", u, at_least=0, at_most=topology.sizes[0] - 1)
    v = check_integer("route", "v", v, at_least=0, at_most=topology.sizes[-1] - 1)
    turns = [0] * len(topology)
    rest = (v - u - sum(values.starts)) % values.n
    for layer in reversed(longest_system(values)):
        turns[layer] = min(rest // values.steps[layer], values.counts[layer] - 1)
        rest -= turns[layer] * values.steps[layer]
    if rest:
        raise NbkitError(
            f"route: output v must be one that the digits of a single system lead to, got v = {v} from u = {u}. "
            "Choose another v, or a topology with a full system."
        )
    jumps = (start + turn * step for start, turn, step in zip(values.starts, turns, values.steps))
    path = list(accumulate(jumps, lambda node, jump: (node + jump) % values.n, initial=u % values.n))
    path[0] = u
    path[-1] = v
    return path


def _check_radices(who: str, name: str, radices: Sequence[int]) -> tuple[int, ...]:
    return check_integers(who, name, radices, at_least=2)


def _check_systems(systems: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    who = "radix_net"
    try:
        given = [] if isinstance(systems, (str, bytes)) else list(systems)
    except TypeError:
        given = []
    if not given:
        raise NbkitError(f"{who}: systems must be a list of radix tuples, got {show(systems)}. Write [(2, 3), (3, 2)].")
    if any(isinstance(radices, numbers.Number) for radices in given):
        raise NbkitError(
            f"{who}: systems must be a list of radix tuples, got {show(systems)}. Put it in a list: [(2, 2)]."
        )
    checked = [_check_radices(who, f"system {i}", radices) for i, radices in enumerate(given, start=1)]
    n = check_integer(who, "the product of system 1", math.prod(checked[0]), at_most=MAX_NODES)
    for position, radices in enumerate(checked[1:-1], start=2):
        if math.prod(radices) != n:
            raise NbkitError(
                f"{who}: the radices of system {position} must multiply to {n}, got {show(radices)} which multiply to "
                f"{show(math.prod(radices))}. Use radices whose product is {n}."
            )
    if n % math.prod(checked[-1]):
        raise NbkitError(
            f"{who}: the radices of the last system must multiply to a divisor of {n}, got {show(checked[-1])} which "
            f"multiply to {show(math.prod(checked[-1]))}. Use radices whose product divides {n}."
        )
    return checked


def _values(radices: Sequence[int]) -> list[int]:
    """The place values 1, N_1, N_1 N_2, ... of the radices."""
    return list(accumulate(radices[:-1], lambda value, radix: value * radix, initial=1))


def _system_layers(radices: Sequence[int], n: int) -> list[Layer]:
    return [CirculantLayer(n, range(0, value * radix, value)) for value, radix in zip(_values(radices), radices)]
