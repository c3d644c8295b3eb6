"""What a reader types into a box: integers, mixed-radix systems, the topology they make."""

import re

from nbkit.errors import NbkitError, show
from nbkit.topology import Topology, radix_net

__all__ = ["MOST_LAYERS", "parse_integers", "parse_systems", "typed_topology"]

MOST_LAYERS = 64  # more columns could not be told apart
_MOST_WIRES = 400_000  # more would take over a tenth of a second to bin and to send


def parse_integers(who: str, name: str, text: str) -> tuple[int, ...]:
    """The integers of a text such as `3, 3, 4`.

    Raises:
        NbkitError: an entry that is no integer.
    """
    entries = [entry.strip() for entry in text.strip().strip("()").rstrip(", ").split(",")]
    if entries == [""]:
        return ()
    for entry in entries:
        if not re.fullmatch(r"-?[0-9]{1,18}", entry):  # no label is longer: they end at 2^62
            raise NbkitError(
                f"{who}: {name} must be integers with commas between, got {show(entry)}. Write it as 3, 3, 4."
            )
    return tuple(map(int, entries))


def parse_systems(who: str, text: str) -> list[tuple[int, ...]]:
    """The mixed-radix systems of a text such as `2, 3; 3, 2`: a semicolon between systems."""
    systems = [parse_integers(who, f"system {i}", part) for i, part in enumerate(text.split(";"), start=1)]
    if () in systems:
        raise NbkitError(f"{who}: system {systems.index(()) + 1} must have a radix, got nothing. Write it as 2, 3.")
    return systems


def typed_topology(radices: str, widths: str) -> Topology:
    """The RadiX-Net of two texts, small enough to be drawn; no widths are all ones.

    Raises:
        NbkitError: texts that are no radices or widths of a RadiX-Net, or more wires than can be drawn.
    """
    systems = parse_systems("radices", radices)
    n_layers = sum(map(len, systems))
    if n_layers > MOST_LAYERS:
        raise NbkitError(f"radices: at most {MOST_LAYERS} layers can be drawn, got {n_layers}. Use fewer radices.")
    topology = radix_net(systems, parse_integers("widths", "widths", widths) or None)
    if topology.n_edges > _MOST_WIRES:
        raise NbkitError(
            f"radices, widths: the wiring must have at most {_MOST_WIRES:,} wires to be drawn, got {topology.n_edges:,}. "
            "Use smaller ones, or `radix_net` in a cell: it has no such limit."
        )
    return topology
