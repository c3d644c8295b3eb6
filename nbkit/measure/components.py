"""Singular values of sparse matrices, one connected component of their wires at a time."""

import numpy as np
import torch

from nbkit.device import check_memory
from nbkit.topology import Layer, component_labels

__all__ = ["component_singular_values"]


def component_singular_values(layer: Layer, weights: torch.Tensor) -> torch.Tensor:
    """The singular values of a matrix given by its wires: one batched decomposition for all components of one shape.

    Args:
        layer: the wires.
        weights: float64 or complex128 (n_edges,), in the order of `layer.edge_index()`, on any device.

    Returns:
        float64 (min(n_in, n_out),), descending; nodes without a wire give exact zeros.
    """
    count, labels = component_labels(layer)
    n_inputs = np.bincount(labels[: layer.n_in], minlength=count)
    n_outputs = np.bincount(labels[layer.n_in :], minlength=count)
    within = np.concatenate([_rank_within(labels[: layer.n_in]), _rank_within(labels[layer.n_in :])])
    sources, targets = layer.edge_index().numpy()
    component, sources, targets = labels[sources], within[sources], within[targets + layer.n_in]
    found = []
    for n_in, n_out in sorted(set(zip(n_inputs.tolist(), n_outputs.tolist(), strict=True))):
        members = np.flatnonzero((n_inputs == n_in) & (n_outputs == n_out))
        if not n_in or not n_out:
            continue
        check_memory("singular_values", 24 * len(members) * n_in * n_out, lower="the number of nodes in the layer")
        chosen = np.flatnonzero(np.isin(component, members))
        blocks = weights.new_zeros((len(members), n_in, n_out))
        places = (np.searchsorted(members, component[chosen]), sources[chosen], targets[chosen])
        blocks[tuple(map(torch.from_numpy, places))] = weights[torch.from_numpy(chosen)]
        found.append(torch.linalg.svdvals(blocks).flatten())
    nonzero = torch.cat(found) if found else weights.new_zeros(0).abs()
    zeros = nonzero.new_zeros(min(layer.shape) - len(nonzero))
    return torch.cat([nonzero, zeros]).sort(descending=True).values


def _rank_within(labels: np.ndarray) -> np.ndarray:
    """Each node's position among the nodes of its component."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order])
    ranks = np.empty(len(labels), dtype=np.int64)
    ranks[order] = np.arange(len(labels)) - starts
    return ranks
