"""What a reader types into a box: integers, mixed-radix systems, the topology they make."""

from nbkit.errors import NbkitError
from nbkit.topology import Topology, radix_net

__all__ = ["parse_integers", "parse_systems", "typed_topology"]

_MOST_WIRES = 400_000  # more would take over a tenth of a second to bin and to send


def parse_integers(who: str, name: str, text: str) -> tuple[int, ...]:
    """The integers of a text such as `3, 3, 4`.

    Raises:
        NbkitError: an entry that is no integer.
    """
    entries = [entry.strip() for entry in text.replace("(", "").replace(")", "").split(",") if entry.strip()]
    for entry in entries:
        if not entry.lstrip("-").isdigit():
            raise NbkitError(f"{who}: {name} must be integers with commas between, got {entry!r}. Write it as 3, 3, 4.")
    return tuple(map(int, entries))


def parse_systems(who: str, text: str) -> list[tuple[int, ...]]:
    """The mixed-radix systems of a text such as `2, 3; 3, 2`: a semicolon between systems."""
    return [parse_integers(who, f"system {i}", part) for i, part in enumerate(text.split(";"), start=1)]


def typed_topology(radices: str, widths: str) -> Topology:
    """The RadiX-Net of two texts, small enough to be drawn; no widths are all ones.

    Raises:
        NbkitError: texts that are no radices or widths of a RadiX-Net, or more wires than can be drawn.
    """
    topology = radix_net(parse_systems("radices", radices), parse_integers("widths", "widths", widths) or None)
    if topology.n_edges > _MOST_WIRES:
        raise NbkitError(
            f"radices: the wiring must have at most {_MOST_WIRES:,} wires to be drawn, got {topology.n_edges:,}. "
            "Use smaller radices, or `mixed_radix` in a cell: it has no such limit."
        )
    return topology
