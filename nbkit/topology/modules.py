"""The wires of a torch module: a chain of layers where it is one, and else the graph that its layers form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from torch import nn

from nbkit.errors import NbkitError
from nbkit.topology.axes import Axes, axes_behind, axes_of_input, kept_nodes
from nbkit.topology.kronecker import dense_layer
from nbkit.topology.layer import EdgeLayer, Layer
from nbkit.topology.steps import Step, takes_images
from nbkit.topology.topology import Topology
from nbkit.topology.tracing import traced
from nbkit.topology.wires import check_threshold, wires_of

__all__ = ["Wired", "from_module", "wired"]


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
    Where images (or sequences) are flattened in front of a linear layer, a layer of wires hands each channel to its
    pixels (each feature to its times); factors that are 0, of a mask or of batch normalisation, cut wires in a layer of
    their own. Modules with a `layer` (`nbkit.nets.SparseLinear`) are taken as they stand at threshold 0. Normalisation
    and softmax, which join all features without wires of their own, are passed over.

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
    layers: list[Layer] = []
    nodes = wired(who, traced(module, who=who).steps, threshold)
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
    layer_of = layer_of or (lambda module: wires_of(module, threshold, who=who))
    if not any(step.kind == "linear" for step in steps):
        raise NbkitError(f"{who}: module must have linear layers or convolutions, got none. Give one with weights.")
    unknown = next((step for step in steps if step.kind == "unsupported"), None)
    if unknown is not None:
        raise NbkitError(
            f"{who}: the wires of every step must be known, got {unknown.name} ({unknown.what}). "
            "Give the parts before and behind it on their own."
        )
    first, axes = _input(who, steps, layer_of)
    found, known = [Wired(steps[0], n_in or first, (), ())], [axes]
    for step in steps[1:]:
        before, axes = [found[i] for i in step.inputs], [known[i] for i in step.inputs]
        found.append(_wire(who, step, before, axes, layer_of))
        known.append(axes_behind(who, step, axes))
    if known[-1].is_moved:
        raise _moved(who, steps[-1])
    return found


def _input(who: str, steps: Sequence[Step], layer_of: Callable) -> tuple[int, Axes]:
    """The nodes of the module's input, which are what the first layer takes that stands behind it without another."""
    bare = {0: Fraction(1)}  # how many nodes there are for one of the input
    for position, step in enumerate(steps[1:], start=1):
        if step.kind == "concatenation" and bare.keys() >= set(step.inputs):
            bare[position] = sum(bare[i] for i in step.inputs)
        elif step.kind != "concatenation" and bare.keys() & set(step.inputs):
            ratio = next(bare[i] for i in step.inputs if i in bare)
            if step.kind == "linear":
                n_nodes = layer_of(step.module).n_in / (ratio * _unshuffled(step.module))
                if n_nodes.denominator > 1:
                    break
                return int(n_nodes), axes_of_input(step.module, [steps[i] for i in bare])
            bare[position] = ratio * _shuffled(step) if step.kind == "shuffling" else ratio
    raise NbkitError(f"{who}: module must have a layer that takes its input, got none. Give the part behind the first.")


def _wire(who: str, step: Step, before: list[Wired], axes: list[Axes], layer_of: Callable) -> Wired:
    if step.kind == "linear":
        layer = layer_of(step.module)
        spread = _between(who, step, before[0].width, layer.n_in, axes[0])
        return Wired(step, layer.n_out, ((*spread, layer),), (0,))
    if step.kind == "pairs":
        layer = _spread(before[0].width // 2, 2, 2, "pairs")
        return Wired(step, before[0].width, ((layer,),), (0,))
    if step.kind == "shuffling":
        return _rearranged(who, step, before[0].width, axes[0])
    widths = [node.width for node in before]
    if step.kind == "concatenation":
        starts = np.cumsum([0, *widths])
        return Wired(step, int(starts[-1]), ((),) * len(widths), tuple(starts[:-1].tolist()))
    width = max(widths)
    kept = kept_nodes(who, step, width, axes[0])
    if kept is not None:
        nodes = kept.nonzero()[:, 0].numpy()
        return Wired(
            step, width, ((EdgeLayer(width, width, nodes, nodes, description="factors that are not 0"),),), (0,)
        )
    _check_joined(who, step, widths, axes)
    into = tuple(_between(who, step, each, width, axis) for each, axis in zip(widths, axes, strict=True))
    return Wired(step, width, into, (0,) * len(widths))


def _rearranged(who: str, step: Step, width: int, axes: Axes) -> Wired:
    """A pixel shuffle: some channels become one, or one becomes some."""
    ratio = _shuffled(step)
    if ratio is None or axes.is_flat or not axes.is_image or (width * ratio).denominator > 1:
        raise NbkitError(
            f"{who}: {step.name} ({step.what}) must take channels that it can share out, got {width} nodes. "
            "Put it right behind a convolution."
        )
    n_one, n_other = ratio.denominator, ratio.numerator
    layer = _spread(width // n_one, n_one, n_other, f"{n_one} channels to {n_other}")
    return Wired(step, layer.n_out, ((layer,),), (0,))


def _shuffled(step: Step) -> Fraction | None:
    """Channels behind a pixel shuffle, over those before; None where that is not known."""
    if isinstance(step.module, nn.PixelShuffle):
        return Fraction(1, step.module.upscale_factor**2)
    return Fraction(step.module.downscale_factor**2) if isinstance(step.module, nn.PixelUnshuffle) else None


def _check_joined(who: str, step: Step, widths: list[int], axes: list[Axes]) -> None:
    kinds = {each.is_image for width, each in zip(widths, axes, strict=True) if width > 1 and not each.is_flat}
    if len(kinds) > 1:
        raise NbkitError(
            f"{who}: {step.name} ({step.what}) must join channels to channels, got features, which lie along another axis. "
            "Give the parts before and behind it on their own."
        )


def _between(who: str, step: Step, have: int, need: int, axes: Axes) -> tuple[Layer, ...]:
    """What hands `have` nodes on to a step that takes `need`: nothing, or one layer of wires."""
    ratio, is_linear = _unshuffled(step.module), step.kind == "linear"
    wants_images = takes_images(step.module) if is_linear else axes.is_image
    if wants_images != axes.is_image and not axes.is_flat:
        kinds = ("channels", "features") if axes.is_image else ("features", "channels")
        raise NbkitError(
            f"{who}: {step.name} ({step.what}) must take the {kinds[0]} of the steps before, got a layer that takes "
            f"{kinds[1]}: it acts along another axis. Flatten channels and pixels together in between."
        )
    if is_linear and axes.is_moved and not wants_images:
        raise _moved(who, step)
    if have == need:
        return ()
    if type(step.module).__name__ == "SkewConv2d" and have * ratio <= need:  # it fills up with channels of zeros
        nodes = np.arange(have * ratio)
        return (EdgeLayer(have, need, nodes // ratio, nodes, description="channels, and zeros behind them"),)
    if axes.is_flat and not axes.is_even:
        raise NbkitError(
            f"{who}: {step.name} ({step.what}) must take one number of each of {have} nodes, got {need}: which of them "
            "belong to which node is not known behind a pixel shuffle, nor where branches are flattened and then "
            "concatenated. Pool to single pixels before."
        )
    if need % have == 0 and (axes.is_flat or need == have * ratio):
        what = f"each node to its {need // have} places"
        return (_spread(have, 1, need // have, what, is_outer=axes.is_image),)
    if have % need == 0 and axes.is_flat:
        return (_spread(need, have // need, 1, f"{have // need} places to their node", is_outer=wants_images),)
    if have == 1 and step.kind == "joining":
        return (dense_layer(have, need),)
    raise NbkitError(
        f"{who}: {step.name} ({step.what}) must take what the steps before give, got {need} for {have}. "
        "Check the widths of the module."
    )


def _moved(who: str, step: Step) -> NbkitError:
    return NbkitError(
        f"{who}: features that become images must be pooled or padded in front of a convolution only, got them in "
        f"{step.name} ({step.what}). Give the parts before and behind it on their own."
    )


def _unshuffled(module: nn.Module | None) -> int:
    """How many channels a module's own stride makes of one."""
    strided = getattr(module, "strided", "unshuffle" if type(module).__name__ == "SkewConv2d" else None)
    return module.stride**2 if strided == "unshuffle" else 1


def _spread(count: int, n_in: int, n_out: int, description: str, *, is_outer: bool = True) -> Layer:
    """`count` complete blocks of n_in to n_out nodes: neighbours where the block is the outer axis, else every count-th."""
    block, source, target = np.indices((count, n_in, n_out)).reshape(3, -1)
    sources, targets = (
        (block * n_in + source, block * n_out + target)
        if is_outer
        else (source * count + block, target * count + block)
    )
    return EdgeLayer(count * n_in, count * n_out, sources, targets, description=description)
