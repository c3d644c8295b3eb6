"""Pruning a network: its largest weights, or a random choice, and nothing of the others (GMP, LMP, LRP, RG)."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from nbkit.device import spawn_generators
from nbkit.errors import NbkitError, check_choice, check_number, show
from nbkit.nets import OrthogonalConv2d, SkewConv2d, SparseLinear, SparseSequential
from nbkit.nets.vanilla_cnn import check_n_blocks
from nbkit.topology import Layer, biregular, magnitude_pruned, random_pruned

__all__ = ["PRUNINGS", "prune"]

PRUNINGS = ("GMP", "LMP", "LRP", "RG")
_CHAINS = nn.Sequential, SparseSequential
_LINEAR = nn.Linear, SparseLinear
_CONVOLUTIONS = nn.Conv2d, OrthogonalConv2d, SkewConv2d


def prune(
    net: nn.Sequential, density: float, method: str = "GMP", *, seed: int | np.random.Generator | None = 0
) -> nn.Sequential:
    """A copy of the network that keeps the given share of its weights, and trains no others.

    In a chain of linear layers single weights are pruned, in all layers but the last. In a network with convolutions
    whole kernels are, by their norm, in all convolutions but the first; its linear layers stay whole, and so do
    skew-orthogonal convolutions, whose exponential would fill a mask in. What stays keeps its value, biases too; nodes
    and whole layers may end up dead.

    Args:
        net: an nn.Sequential, or chains of them, of Linear, SparseLinear, Conv2d, OrthogonalConv2d, SkewConv2d and layers
            without matrices; it is left as it is.
        density: kept fraction of the entries (or kernels) of the pruned layers, in (0, 1]; for RG 1 / (a divisor of all
            their sizes).
        method: "GMP", the largest of the whole network; "LMP", the largest of each layer; "LRP", a random choice in each
            layer; "RG", SAO's mask in each layer, under the weights as they are, so that orthogonality is lost.
        seed: of LRP and RG.

    Returns:
        A network of the same kind. A pruned Linear is a SparseLinear, a pruned Conv2d has a mask as parametrization.

    Raises:
        NbkitError: a network with nothing to prune or with layers that are none of those above, an unknown method, a
            density outside (0, 1], one that RG's masks do not admit, or more weights than an already pruned layer has.

    Source:
        Esguerra et al. 2023, section III-E.

    Example:
        >>> from nbkit.nets import deep_net
        >>> pruned = prune(deep_net(3, "Dense", width=16, n_inputs=64), 1 / 8, "LMP")
        >>> [module.layer.density for module in pruned[::2]]
        [0.125, 0.125, 0.125, 0.125, 1.0]
    """
    check_choice("prune", "method", method, PRUNINGS)
    fraction = check_number("prune", "density", density, above=0.0, at_most=1.0)
    modules = _prunable(net)
    weights = [_weight(module) for module in modules]
    if method == "RG":
        n_blocks = check_n_blocks("prune", density, [n for weight in weights for n in weight.shape[:2]])
        generators = spawn_generators(seed, len(weights), who="prune")
        layers = [_blocks(*weight.shape[:2], n_blocks, each) for weight, each in zip(weights, generators, strict=True)]
    elif method == "LRP":
        layers = random_pruned(weights, fraction, seed=seed)
    else:
        layers = magnitude_pruned(weights, fraction, scope="network" if method == "GMP" else "layer")
    pruned = {}
    for place, (module, layer) in enumerate(zip(modules, layers, strict=True), start=1):
        if (layer.mask() & ~_present(module)).any():
            raise NbkitError(
                f"prune: density must be of weights that are there, got {show(density)} with {method}, which keeps pruned "
                f"ones of prunable layer {place}. Use a smaller density with GMP or LMP, or a network that is dense."
            )
        pruned[id(module)] = _pruned(module, layer)
    return _rebuilt(net, pruned)


def _prunable(net: nn.Module) -> list[nn.Module]:
    """Each module of a chain that is pruned, once."""
    found = list(dict.fromkeys(_leaves(net)))
    convolutions = [module for module in found if isinstance(module, _CONVOLUTIONS)]
    linear = [module for module in found if isinstance(module, _LINEAR)]
    chosen = [m for m in convolutions[1:] if not isinstance(m, SkewConv2d)] if convolutions else linear[:-1]
    if not chosen:
        raise NbkitError(
            f"prune: net must have a layer to prune besides its last linear one or its first convolution, got "
            f"{len(linear)} and {len(convolutions)} of them. Use a deeper network."
        )
    return chosen


def _leaves(net: nn.Module) -> Iterator[nn.Module]:
    if type(net) in _CHAINS:
        for child in net:
            yield from _leaves(child)
    elif isinstance(net, (*_LINEAR, *_CONVOLUTIONS)):
        yield net
    elif not isinstance(net, nn.Module) or any(parameter.ndim > 1 for parameter in net.parameters()):
        raise NbkitError(
            f"prune: net must be an nn.Sequential of linear layers or convolutions, got {type(net).__name__}. "
            "Use nbkit.nets.deep_net or vanilla_cnn, or open it with nn.Sequential(*net)."
        )


def _blocks(n_out: int, n_in: int, n_blocks: int, generator: np.random.Generator) -> Layer:
    return biregular(n_in, n_out, max(n_in, n_out) // n_blocks, seed=generator)


def _weight(module: nn.Module) -> torch.Tensor:
    return (module.to_dense() if isinstance(module, SparseLinear) else module.weight).detach()


def _present(module: nn.Module) -> torch.Tensor:
    """bool (n_out, n_in): the weights that are there to be kept."""
    if isinstance(module, SparseLinear):
        return module.layer.mask()
    if isinstance(module, OrthogonalConv2d):
        return module.mask[:, :, 0, 0].cpu()
    if parametrize.is_parametrized(module, "weight"):
        return module.weight.detach().flatten(2).any(2).cpu()
    return torch.ones(module.weight.shape[:2], dtype=torch.bool)


def _pruned(module: nn.Module, layer: Layer) -> nn.Module:
    if isinstance(module, _LINEAR):
        weight, (sources, targets) = _weight(module), layer.edge_index()
        made = SparseLinear(layer, module.bias is not None).to(weight.device, weight.dtype)
        bias = {} if module.bias is None else {"bias": module.bias}
        made.load_state_dict({"weight": weight[targets, sources], **bias}, strict=False)
        return made
    made, mask = copy.deepcopy(module), layer.mask().to(module.weight.device)
    if isinstance(made, OrthogonalConv2d):
        made.prune(mask)
    else:
        made.weight.data *= mask[:, :, None, None]
        parametrize.register_parametrization(made, "weight", _Masked(mask))
    return made


def _rebuilt(net: nn.Module, pruned: dict[int, nn.Module]) -> nn.Module:
    """A copy of the chain with some modules replaced; a module that stands in it twice stays one."""
    if type(net) in _CHAINS:
        return type(net)(OrderedDict((name, _rebuilt(child, pruned)) for name, child in net._modules.items()))
    if id(net) not in pruned:
        pruned[id(net)] = copy.deepcopy(net)
    return pruned[id(net)]


class _Masked(nn.Module):
    """Kernels that are not in a mask are 0 and stay so."""

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask[:, :, None, None])

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * self.mask
