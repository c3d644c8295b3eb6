"""Pruning a network: its largest weights, or a random choice, and nothing of the others (GMP, LMP, LRP)."""

from __future__ import annotations

import numpy as np
from torch import nn

from nbkit.errors import NbkitError, check_choice
from nbkit.nets.sparse import SparseLinear, SparseSequential
from nbkit.topology import magnitude_pruned, random_pruned

__all__ = ["PRUNINGS", "prune"]

PRUNINGS = ("GMP", "LMP", "LRP")


def prune(
    net: nn.Sequential, density: float, method: str = "GMP", *, seed: int | np.random.Generator | None = 0
) -> SparseSequential:
    """The network with the given share of its wires, all linear layers but the last pruned."""
    check_choice("prune", "method", method, PRUNINGS)
    if not isinstance(net, nn.Sequential):
        raise NbkitError(f"prune: net must be an nn.Sequential, got {type(net).__name__}. Use nbkit.nets.deep_net.")
    linear = [module for module in net if isinstance(module, (nn.Linear, SparseLinear))][:-1]
    weights = [_matrix(module) for module in linear]
    if method == "LRP":
        layers = random_pruned(weights, density, seed=seed)
    else:
        layers = magnitude_pruned(weights, density, scope="network" if method == "GMP" else "layer")
    pruned = {}
    for module, matrix, layer in zip(linear, weights, layers, strict=True):
        pruned[module] = SparseLinear(layer, weights=matrix)
        pruned[module].bias.data.copy_(module.bias.detach())
    return SparseSequential(*(pruned.get(module, module) for module in net))


def _matrix(module: nn.Module):
    return (module.to_dense() if isinstance(module, SparseLinear) else module.weight).detach()
