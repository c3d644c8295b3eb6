"""A feed-forward topology: a chain of layers of wires, each starting where the one before it ends."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from html import escape
from typing import overload

import networkx as nx
from torch import nn

from nbkit.device import check_memory
from nbkit.errors import NbkitError, check_integers, show
from nbkit.topology.kronecker import kronecker
from nbkit.topology.layer import Layer

__all__ = ["Topology", "check_topology"]

_GRAPH_BYTES = 600  # of each node and each edge, measured on networkx's dictionaries


class Topology(Sequence[Layer]):
    """A chain of layers, itself a sequence: `len`, index, slice (a shorter chain), `+` (concatenation).

    Args:
        layers: layers whose sizes chain, at least one.

    Raises:
        NbkitError: no layer, something that is no Layer, or sizes that do not chain.

    Source:
        Robinett & Kepner 2019, section II (feed-forward neural network topology).
    """

    def __init__(self, layers: Sequence[Layer]):
        try:
            self.layers = tuple(layers)
        except TypeError:
            raise NbkitError(
                f"Topology: layers must be a list of layers, got {show(layers)}. Put it in a list."
            ) from None
        if not self.layers:
            raise NbkitError("Topology: layers must hold at least one layer, got none. Give a list of layers.")
        for position, layer in enumerate(self.layers, start=1):
            if not isinstance(layer, Layer):
                raise NbkitError(
                    f"Topology: entry {position} of layers must be a Layer, got {type(layer).__name__}. "
                    "Use Layer.from_biadjacency for a matrix."
                )
        for position, (before, after) in enumerate(zip(self.layers, self.layers[1:]), start=1):
            if before.n_out != after.n_in:
                raise NbkitError(
                    f"Topology: layer {position + 1} must start where layer {position} ends, "
                    f"got {before.n_out} outputs and {after.n_in} inputs. Make the sizes chain."
                )

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> "Topology": ...
    def __getitem__(self, index: int | slice) -> "Layer | Topology":
        return Topology(self.layers[index]) if isinstance(index, slice) else self.layers[index]

    def __add__(self, other: "Topology") -> "Topology":
        if not isinstance(other, Topology):
            return NotImplemented
        return Topology(self.layers + other.layers)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Topology):
            return NotImplemented
        return self.layers == other.layers

    def __hash__(self) -> int:
        return hash(self.layers)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Nodes in each layer of nodes, one more than there are layers of wires."""
        return (self.layers[0].n_in, *(layer.n_out for layer in self.layers))

    @property
    def n_edges(self) -> int:
        """The number of wires in all layers."""
        return sum(layer.n_edges for layer in self.layers)

    @property
    def density_fraction(self) -> Fraction:
        """Edges over the edges of the dense topology on the same nodes, exactly (RadiX-Net, section II)."""
        return Fraction(self.n_edges, self._n_dense_edges())

    @property
    def density(self) -> float:
        """Edges over the edges of the dense topology on the same nodes, in [0, 1]."""
        return float(self.density_fraction)

    @property
    def density_range(self) -> tuple[Fraction, Fraction]:
        """The smallest density with an edge out of every node, and the largest, 1, on the same nodes."""
        return Fraction(sum(layer.n_in for layer in self.layers), self._n_dense_edges()), Fraction(1)

    def _n_dense_edges(self) -> int:
        return sum(layer.n_in * layer.n_out for layer in self.layers)

    def kron(self, widths: Sequence[int]) -> "Topology":
        """Each layer's Kronecker product with dense blocks: layer sizes become widths[i] * sizes[i].

        Raises:
            NbkitError: a wrong number of widths, or a width below 1.

        Source:
            Robinett & Kepner 2019, equation (3) and Fig. 5.
        """
        widths = check_integers("Topology.kron", "widths", widths, at_least=1)
        if len(widths) != len(self) + 1:
            raise NbkitError(
                f"Topology.kron: widths must have one entry for each of the {len(self) + 1} layers of nodes, "
                f"got {len(widths)}. Give {len(self) + 1} widths."
            )
        return Topology([kronecker(layer, *pair) for layer, pair in zip(self.layers, zip(widths, widths[1:]))])

    @staticmethod
    def from_module(module: nn.Module, threshold: float = 0.0) -> "Topology":
        """The wires of a torch module that is a chain of layers; see `nbkit.topology.modules.from_module`."""
        from nbkit.topology.modules import from_module

        return from_module(module, threshold)

    def to_networkx(self) -> nx.DiGraph:
        """The directed graph with nodes (layer, label).

        Nodes carry `layer`, `label` and `bipartite` (the parity of the layer: edges join only unlike parities).

        Raises:
            NbkitError: the graph does not fit into the memory budget.
        """
        n_bytes = _GRAPH_BYTES * (sum(self.sizes) + self.n_edges)
        check_memory("Topology.to_networkx", n_bytes, lower="the number of nodes")
        graph = nx.DiGraph()
        for depth, size in enumerate(self.sizes):
            for node in range(size):
                graph.add_node((depth, node), layer=depth, label=node, bipartite=depth % 2)
        for depth, layer in enumerate(self.layers):
            graph.add_edges_from(((depth, u), (depth + 1, v)) for u, v in layer.edge_index().T.tolist())
        return graph

    def __repr__(self) -> str:
        return f"<Topology {' -> '.join(map(str, self.sizes))}, {self.n_edges} edges, density {self.density:.4g}>"

    def _repr_html_(self) -> str:
        header = "<tr><th>layer</th><th>in</th><th>out</th><th>edges</th><th>density</th><th>wires</th></tr>"
        rows = [
            f"<tr><td>{position}</td><td>{layer.n_in}</td><td>{layer.n_out}</td><td>{layer.n_edges}</td>"
            f"<td>{layer.density:.3g}</td><td>{escape(layer.description)}</td></tr>"
            for position, layer in enumerate(self.layers, start=1)
        ]
        total = f"<tr><th>all</th><td></td><td></td><td>{self.n_edges}</td><td>{self.density:.3g}</td><td></td></tr>"
        return f"<table>{header}{''.join(rows)}{total}</table>"


def check_topology(who: str, topology: object) -> Topology:
    """The topology itself.

    Raises:
        NbkitError: anything else; a single layer must be wrapped.
    """
    if not isinstance(topology, Topology):
        raise NbkitError(
            f"{who}: topology must be a Topology, got {type(topology).__name__}. Wrap layers: Topology([layer])."
        )
    return topology
