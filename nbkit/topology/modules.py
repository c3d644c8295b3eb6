"""The wires of a torch module: a chain of layers where it is one, and else the graph that its layers form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from nbkit.device import check_memory
from nbkit.errors import NbkitError, check_number
from nbkit.topology.kronecker import dense_layer
from nbkit.topology.layer import EdgeLayer, Layer
from nbkit.topology.topology import Topology
from nbkit.topology.tracing import TRANSPOSED, Step, traced

__all__ = ["Wired", "check_threshold", "effective_weight", "from_module", "wired", "wires_of"]


@dataclass(frozen=True, eq=False)
class Wired:
    """The wires that lead into one step, from each step that it takes.

    Attributes:
        step: what is executed.
        width: nodes (features, or channels of images) behind it.
        into: one for each of `step.inputs`: layers of wires, one behind the other; an empty tuple where node i simply
            becomes node i.
        start: the first node that each of `step.inputs` feeds: above 0 only in a concatenation.
    """

    step: Step
    width: int
    into: tuple[tuple[Layer, ...], ...]
    start: tuple[int, ...]


def from_module(module: nn.Module, threshold: float = 0.0) -> Topology:
    """The wires of a chain of linear and convolutional layers, in the order in which they are executed.

    There is a wire where |weight| > threshold; convolutions are wired by channels, where the kernel has such an entry.
    Where images are flattened in front of a linear layer, a layer of wires hands each channel to its pixels. Modules
    with a `layer` (`nbkit.nets.SparseLinear`) are taken as they stand at threshold 0. Normalisation and softmax, which
    join all features without wires of their own, are passed over.

    Args:
        module: any module that `torch.fx` can follow: chains, hand-written forwards, functional activations, pruned by
            `torch.nn.utils.prune`, parametrized.
        threshold: at least 0.

    Raises:
        NbkitError: no module, no layer with weights, branches, steps whose wires are not known, weights that are not
            finite.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))
        >>> from_module(net).sizes
        (1, 4, 144, 10)
    """
    who = "Topology.from_module"
    if not isinstance(module, nn.Module):
        raise NbkitError(f"{who}: module must be a torch module, got {type(module).__name__}. Wrap it in one.")
    layers: list[Layer] = []
    nodes = wired(who, traced(module).steps, threshold)
    for position, node in enumerate(nodes):
        if position and node.step.inputs != (position - 1,):
            raise NbkitError(
                f"{who}: module must be a chain, got branches that meet in {node.step.name} ({node.step.what}). "
                "Use nbkit.report(module, x), which follows them."
            )
        layers += [layer for path in node.into for layer in path]
    return Topology(layers)


def wired(
    who: str,
    steps: Sequence[Step],
    threshold: float = 0.0,
    *,
    layer_of: Callable | None = None,
    n_in: int | None = None,
) -> list[Wired]:
    """The wires between the steps of a module, from its input on.

    Args:
        who: for messages.
        steps: of `traced`.
        threshold: as `from_module`.
        layer_of: the wires of a linear module; default `wires_of`.
        n_in: nodes of the module's input; default what its first layer takes.

    Raises:
        NbkitError: no linear step, an unsupported one, or widths that do not fit.
    """
    check_threshold(who, threshold)
    layer_of = layer_of or (lambda module: wires_of(module, threshold))
    if not any(step.kind == "linear" for step in steps):
        raise NbkitError(f"{who}: module must have linear layers or convolutions, got none. Give one with weights.")
    unknown = next((step for step in steps if step.kind == "unsupported"), None)
    if unknown is not None:
        raise NbkitError(
            f"{who}: the wires of every step must be known, got {unknown.name} ({unknown.what}). "
            "Give the parts before and behind it on their own."
        )
    found = [Wired(steps[0], n_in or _input_width(steps, layer_of), (), ())]
    is_flat = [False]  # whether a step's nodes were reshaped since they came about
    for step in steps[1:]:
        before = [found[i] for i in step.inputs]
        reshaped = any(is_flat[i] for i in step.inputs)
        found.append(_wire(who, step, before, reshaped, layer_of))
        is_flat.append(step.kind == "reshaping" or (reshaped and step.kind not in ("linear", "concatenation")))
    return found


def check_threshold(who: str, threshold: object) -> float:
    """The threshold as a float.

    Raises:
        NbkitError: no finite number of at least 0.
    """
    threshold = check_number(who, "threshold", threshold)
    if threshold < 0:
        raise NbkitError(f"{who}: threshold must be at least 0, got {threshold:g}. Use 0 for all that is not 0.")
    return threshold


def wires_of(module: nn.Module, threshold: float = 0.0) -> Layer:
    """The wires of one linear module: channels where it is a convolution.

    Raises:
        NbkitError: weights that are not finite, or not there yet.
    """
    layer = getattr(module, "layer", None)
    if isinstance(layer, Layer):
        if threshold <= 0 or not hasattr(module, "edge_weights"):
            return layer
        kept = (module.edge_weights.detach().abs() > threshold).cpu()
        return EdgeLayer(*layer.shape, *layer.edge_index()[:, kept].numpy(), description=_above(threshold))
    kept = _entries(module, threshold)
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


def _entries(module: nn.Module, threshold: float) -> torch.Tensor:
    """bool (n_out, n_in): where a weight, or an entry of a kernel, is above the threshold."""
    weight = effective_weight(module)
    if weight.is_meta or not weight.isfinite().all():
        raise NbkitError(
            f"Topology.from_module: weights must be finite, got NaN or infinite ones in a {type(module).__name__}. "
            "Train it anew."
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


def _input_width(steps: Sequence[Step], layer_of: Callable) -> int:
    """The nodes of the module's input: what the first layer takes that stands behind it without another one between."""
    bare = {0}
    for position, step in enumerate(steps[1:], start=1):
        if bare.intersection(step.inputs):
            if step.kind == "linear":
                return layer_of(step.module).n_in // _unshuffled(step.module)
            bare.add(position)
    raise AssertionError("a module whose layers do not depend on its input")


def _wire(who: str, step: Step, before: list[Wired], is_flat: bool, layer_of: Callable) -> Wired:
    if step.kind == "linear":
        layer = layer_of(step.module)
        spread = _between(who, step, before[0].width, layer.n_in, is_flat)
        return Wired(step, layer.n_out, ((*spread, layer),), (0,))
    if step.kind == "pairs":
        layer = _blocks(before[0].width // 2, 2, 2, "pairs")
        return Wired(step, before[0].width, ((layer,),), (0,))
    widths = [node.width for node in before]
    if step.kind == "concatenation":
        starts = np.cumsum([0, *widths])
        return Wired(step, int(starts[-1]), ((),) * len(widths), tuple(starts[:-1].tolist()))
    width = max(widths)
    into = tuple(() if each == width else _between(who, step, each, width, is_flat) for each in widths)
    return Wired(step, width, into, (0,) * len(widths))


def _between(who: str, step: Step, have: int, need: int, is_flat: bool) -> tuple[Layer, ...]:
    """What hands `have` nodes on to a step that takes `need`: nothing, or one layer of wires."""
    ratio = _unshuffled(step.module)
    if have == need:
        return ()
    if type(step.module).__name__ == "SkewConv2d" and have * ratio <= need:  # it fills up with channels of zeros
        nodes = np.arange(have * ratio)
        return (EdgeLayer(have, need, nodes // ratio, nodes, description="channels, and zeros behind them"),)
    if need % have == 0 and (is_flat or need == have * ratio):
        return (_blocks(have, 1, need // have, f"each channel to its {need // have} pixels"),)
    if have % need == 0 and is_flat:
        return (_blocks(need, have // need, 1, f"{have // need} features to the channel they are pixels of"),)
    if have == 1 or need == 1 and step.kind == "joining":
        return (dense_layer(have, need),)
    raise NbkitError(
        f"{who}: {step.name} ({step.what}) must take what the steps before give, got {need} for {have}. "
        "Check the widths of the module."
    )


def _unshuffled(module: nn.Module | None) -> int:
    """How many channels a module's own stride makes of one."""
    strided = getattr(module, "strided", "unshuffle" if type(module).__name__ == "SkewConv2d" else None)
    return module.stride**2 if strided == "unshuffle" else 1


def _blocks(count: int, n_in: int, n_out: int, description: str) -> Layer:
    """`count` complete blocks of n_in to n_out neighbouring nodes."""
    nodes = np.arange(count * n_in * n_out)
    block = nodes // (n_in * n_out)
    sources = block * n_in + nodes // n_out % n_in
    return EdgeLayer(count * n_in, count * n_out, sources, block * n_out + nodes % n_out, description=description)
