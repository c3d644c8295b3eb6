"""The wires of one layer of weights, and its weights as they act."""

from __future__ import annotations

import torch
from torch import nn

from nbkit.device import check_memory
from nbkit.errors import NbkitError, check_number
from nbkit.topology.kronecker import dense_layer
from nbkit.topology.layer import EdgeLayer, Layer
from nbkit.topology.steps import TRANSPOSED

__all__ = ["check_threshold", "effective_weight", "wires_of"]


def check_threshold(who: str, threshold: object) -> float:
    """The threshold as a float.

    Raises:
        NbkitError: no finite number of at least 0.
    """
    threshold = check_number(who, "threshold", threshold)
    if threshold < 0:
        raise NbkitError(f"{who}: threshold must be at least 0, got {threshold:g}. Use 0 for all that is not 0.")
    return threshold


def wires_of(module: nn.Module, threshold: float = 0.0, *, who: str = "report") -> Layer:
    """The wires of one linear module: channels where it is a convolution.

    Args:
        who: the public function that was called, for messages.

    Raises:
        NbkitError: no weights, or weights that are not finite, or not there yet.
    """
    layer = getattr(module, "layer", None)
    if isinstance(layer, Layer):
        if threshold <= 0 or not hasattr(module, "edge_weights"):
            return layer
        kept = (module.edge_weights.detach().abs() > threshold).cpu()
        return EdgeLayer(*layer.shape, *layer.edge_index()[:, kept].numpy(), description=_above(threshold))
    kept = _entries(who, module, threshold)
    if kept.all():
        return dense_layer(kept.shape[1], kept.shape[0])
    sources, targets = kept.T.contiguous().cpu().numpy().nonzero()
    return EdgeLayer(kept.shape[1], kept.shape[0], sources, targets, description=_above(threshold))


def effective_weight(module: nn.Module) -> torch.Tensor:
    """The weights of a linear module as they are used, detached: (n_out, n_in) or kernels (c_out, c_in, taps ...).

    A mask of `torch.nn.utils.prune` or of ours is applied, groups are written out as zeros between channels that do
    not meet, and kernels of transposed convolutions are turned round.
    """
    weight = module.weight
    if hasattr(module, "weight_orig") and hasattr(module, "weight_mask"):  # else as old as the last forward pass
        weight = module.weight_orig * module.weight_mask
    mask = getattr(module, "mask", None)
    weight = weight.detach() if mask is None else weight.detach() * mask
    if isinstance(module, TRANSPOSED):
        weight = torch.cat([part.transpose(0, 1) for part in weight.chunk(module.groups)])
    groups = getattr(module, "groups", 1)
    if groups == 1:
        return weight
    n_in = weight.shape[1] * groups
    check_memory("report", weight.element_size() * weight.numel() * groups, lower="the channels")
    whole = weight.new_zeros(len(weight), n_in, *weight.shape[2:])
    for rows, columns in zip(torch.arange(len(weight)).chunk(groups), torch.arange(n_in).chunk(groups), strict=True):
        whole[rows[:, None], columns] = weight[rows]
    return whole


def _entries(who: str, module: nn.Module, threshold: float) -> torch.Tensor:
    """bool (n_out, n_in): where a weight, or an entry of a kernel, is above the threshold."""
    weight = effective_weight(module)
    if not weight.numel():
        raise NbkitError(
            f"{who}: every layer must have weights, got the shape {tuple(weight.shape)} in a {type(module).__name__}. "
            "Give it inputs and outputs."
        )
    if weight.is_meta or not weight.isfinite().all():
        raise NbkitError(
            f"{who}: weights must be finite, got NaN or infinite ones in a {type(module).__name__}. Train it anew."
        )
    kept = (weight.abs() > threshold).flatten(2).any(dim=2) if weight.ndim > 2 else weight.abs() > threshold
    if type(module).__name__ != "SkewConv2d":
        return kept
    closed = kept | kept.T | torch.eye(len(kept), dtype=torch.bool, device=kept.device)
    for _ in range(len(kept).bit_length()):  # the exponential joins all that any power of the kernel joins
        closed = closed.double() @ closed.double() > 0
    return closed[: module.c_out]


def _above(threshold: float) -> str:
    return f"|weight| > {threshold:g}" if threshold else "the weights that are not 0"
