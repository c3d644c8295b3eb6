"""Connected components of a layer, and the complete bipartite blocks that an SAO mask is a union of."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

from nbkit.errors import NbkitError
from nbkit.topology.layer import Layer, check_layer

__all__ = ["Blocks", "complete_blocks", "component_labels"]


@dataclass(frozen=True)
class Blocks:
    """Complete bipartite blocks of one shape: in block i every node of inputs[i] feeds every node of outputs[i].

    Attributes:
        inputs: int64 (n_blocks, d), ascending in each block.
        outputs: int64 (n_blocks, c), ascending in each block.
    """

    inputs: np.ndarray
    outputs: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n_blocks, c, d): the blocks as matrices that act on vectors."""
        return len(self.inputs), self.outputs.shape[1], self.inputs.shape[1]


def complete_blocks(layer: Layer, *, who: str = "complete_blocks") -> list[Blocks]:
    """The complete bipartite blocks whose disjoint union a layer is, those of one shape together.

    They are found from the edges: the first output that an input feeds names its block, and an edge count per block
    says whether it is complete. Nodes without an edge belong to no block.

    Args:
        layer: an SAO mask, a dense layer, the last layer of a full mixed-radix system, or any such union.
        who: the public function that was called, for the message.

    Returns:
        One `Blocks` for each shape, the largest blocks first.

    Raises:
        NbkitError: two inputs share some outputs and not others; the message names them.

    Source:
        Esguerra et al. 2023, section V-A, which conjectures it of its masks.

    Example:
        >>> from nbkit.topology import biregular
        >>> [blocks.shape for blocks in complete_blocks(biregular(8, 12, 3))]
        [(4, 3, 2)]
    """
    sources, targets = check_layer(who, layer).edge_index().numpy()
    first = np.ones(len(sources), dtype=bool)  # edges are sorted by source: the first of each source
    first[1:] = sources[1:] != sources[:-1]
    inputs_in, names = sources[first], targets[first]
    is_name = np.zeros(layer.n_out, dtype=bool)
    is_name[names] = True
    label_in = (np.cumsum(is_name) - 1)[names]  # blocks are numbered in the order of their first outputs
    label = label_in[np.cumsum(first) - 1]  # of each edge, seen from its source
    owner = np.full(layer.n_out, -1)
    owner[targets] = label
    outputs_in = np.flatnonzero(owner >= 0)
    label_out, n_blocks = owner[outputs_in], int(is_name.sum())
    n_inputs, n_outputs = (np.bincount(labels, minlength=n_blocks) for labels in (label_in, label_out))
    if (owner[targets] != label).any() or (n_inputs * n_outputs != np.bincount(label, minlength=n_blocks)).any():
        raise NbkitError(_not_complete(who, layer))
    inputs_in, outputs_in = (
        nodes[np.argsort(labels, kind="stable")] for nodes, labels in ((inputs_in, label_in), (outputs_in, label_out))
    )
    starts_in, starts_out = np.cumsum(n_inputs) - n_inputs, np.cumsum(n_outputs) - n_outputs
    found = []
    shapes = set(zip(n_inputs.tolist(), n_outputs.tolist(), strict=True))
    for d, c in sorted(shapes, key=lambda shape: (-shape[0] * shape[1], shape)):
        members = np.flatnonzero((n_inputs == d) & (n_outputs == c))
        found.append(
            Blocks(
                inputs_in[starts_in[members][:, None] + np.arange(d)],
                outputs_in[starts_out[members][:, None] + np.arange(c)],
            )
        )
    return found


def component_labels(layer: Layer) -> tuple[int, np.ndarray]:
    """The number of connected components of the layer's bipartite graph, and each node's: int (n_in + n_out,), inputs first."""
    sources, targets = check_layer("component_labels", layer).edge_index().numpy()
    n_nodes = layer.n_in + layer.n_out
    ones = np.ones(len(sources), dtype=np.int8)
    graph = scipy.sparse.coo_array((ones, (sources, targets + layer.n_in)), shape=(n_nodes, n_nodes))
    return scipy.sparse.csgraph.connected_components(graph, directed=False)


def _not_complete(who: str, layer: Layer) -> str:
    """The message, with two inputs that share some of their outputs and not all."""
    wires = layer.to_scipy()
    for node in range(layer.n_in):
        own = wires[[node]].indices
        others = layer.predecessors(own)
        for other in others:
            theirs = wires[[other]].indices
            if not np.array_equal(own, theirs):
                shared = len(np.intersect1d(own, theirs))
                return (
                    f"{who}: the wires must be a union of complete bipartite blocks, got {layer}, where inputs {node} and "
                    f"{other} share {shared} of their {len(own)} and {len(theirs)} outputs. "
                    "Use biregular(n_in, n_out, degree), or a dense mask."
                )
    raise AssertionError("a layer that is a union of complete blocks was refused")
