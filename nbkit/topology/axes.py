"""Along which axis of a tensor the nodes lie, step by step, and which of them a constant factor lets through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from nbkit.errors import NbkitError
from nbkit.topology.operations import MULTIPLYING, REDUCING, Called, plain_name
from nbkit.topology.steps import CONVOLUTIONS, Step, takes_images

__all__ = ["Axes", "axes_behind", "axes_of_input", "kept_nodes"]

_MOVING = "pool", "pad", "upsampl", "interpolate"  # in names: what joins or moves pixels


class Axes(NamedTuple):
    """How the nodes of a step lie in its tensors.

    Attributes:
        is_image: they are channels, the axis before all pixels; else features, the last axis.
        is_flat: the tensor was reshaped since: each node has one or more places in its last axis, or the next layer
            finds its own.
        n_pixels: axes of pixels behind the channels; None where there are none, or where that is not known.
        is_even: each node has places of its own, as many as every other; not behind a pixel shuffle, nor where
            flattened branches are concatenated.
        is_moved: features became images whose pixels were then joined or moved: only a convolution finds its nodes.
    """

    is_image: bool
    is_flat: bool = False
    n_pixels: int | None = None
    is_even: bool = True
    is_moved: bool = False


def axes_of_input(module: nn.Module, before: Sequence[Step]) -> Axes:
    """Of the module's input: from its first layer, and from the steps before that."""
    is_flat = any(step.kind in ("flattening", "reshaping") for step in before)
    if takes_images(module):
        return Axes(True, is_flat, None if is_flat else _n_pixels(module))
    moving = [step for step in before if _moves(step) or plain_name(step.what) in REDUCING]
    return Axes(bool(moving), is_flat and not moving, _named_axes(moving[0]) if moving else None)


def axes_behind(who: str, step: Step, given: Sequence[Axes]) -> Axes:
    """Of what a step gives, from those of what it takes.

    Raises:
        NbkitError: a step that acts along the axis of the nodes where it should act along another.
    """
    axes = given[0]
    if step.kind == "linear":
        return Axes(True, n_pixels=_n_pixels(step.module)) if takes_images(step.module) else Axes(False)
    if step.kind in ("joining", "concatenation") and len(given) > 1:
        return _axes_of_several(step, given)
    if step.kind == "shuffling":
        is_even = axes.is_even and plain_name(step.what) == "pixelunshuffle"
        return axes._replace(is_even=is_even)
    if step.kind == "flattening":
        return _flattened(who, step, axes)
    if step.kind == "reshaping":
        if isinstance(step.module, nn.Unflatten) and axes.is_image and not axes.is_flat and step.module.dim > 1:
            return axes._replace(n_pixels=axes.n_pixels and axes.n_pixels + len(step.module.unflattened_size) - 1)
        return axes._replace(is_flat=True, n_pixels=None)
    if plain_name(step.what) in REDUCING:
        return _reduced(who, step, axes)
    if _moves(step) and axes.is_flat:
        return axes._replace(is_moved=not axes.is_image)
    if _moves(step) and (not axes.is_image or _named_axes(step) not in (None, axes.n_pixels or _named_axes(step))):
        raise _along_nodes(who, step)
    return axes


def kept_nodes(who: str, step: Step, width: int, axes: Axes) -> torch.Tensor | None:
    """bool (width,): the nodes that a step multiplies by numbers other than 0; None where it lets all through.

    Raises:
        NbkitError: a factor that is not known, or zeros that are not those of nodes.
    """
    plain = plain_name(step.what)
    is_norm = plain.startswith(("batchnorm", "syncbatchnorm", "instancenorm"))
    if not is_norm and (plain not in MULTIPLYING or len(step.inputs) > 1):
        return None
    if step.module is None:
        raise NbkitError(
            f"{who}: a factor must be known, got one that is computed in {step.name} ({step.what}). "
            "Multiply by a constant."
        )
    factor = _factor(step.module, is_norm)
    if factor is None:
        return None
    kept = torch.as_tensor(factor).detach().cpu() != 0
    if kept.all() or not kept.any():
        return None if kept.all() else torch.zeros(width, dtype=torch.bool)
    if is_norm and not axes.is_image and not axes.is_flat and _named_axes(step) not in (None, 1):
        raise _along_nodes(who, step)
    if not is_norm and not axes.is_flat and (axes.n_pixels is not None or not axes.is_image):
        n_behind = axes.n_pixels if axes.is_image else 0
        if kept.ndim <= n_behind or kept.shape[-1 - n_behind] == 1:
            return None  # zeros of single pixels
        kept = kept.movedim(-1 - n_behind, 0).flatten(1).any(dim=1) if kept.ndim > 1 else kept
    if kept.shape != (width,) or (axes.is_flat and axes.is_image and not is_norm):
        raise NbkitError(
            f"{who}: the zeros among the factors of {step.name} ({step.what}) must be those of whole nodes, got "
            f"factors of shape {tuple(torch.as_tensor(factor).shape)} for {width} nodes. Give one factor a node."
        )
    return kept


def _factor(module: nn.Module, is_norm: bool) -> object:
    if not isinstance(module, Called):
        return getattr(module, "weight", None)
    name, place = ("weight", 2) if is_norm else ("other", 0)
    return module.kwargs.get(name, module.args[place] if len(module.args) > place else None)


def _axes_of_several(step: Step, given: Sequence[Axes]) -> Axes:
    is_even, is_moved = all(each.is_even for each in given), any(each.is_moved for each in given)
    known = next((each for each in given if not each.is_flat), None)
    if step.kind == "joining":
        return (known or given[0])._replace(is_even=is_even, is_moved=is_moved)
    has_flat = any(each.is_flat for each in given)
    if known is not None and known.is_image:
        return known._replace(is_even=is_even, is_moved=is_moved)
    return Axes(given[0].is_image, is_flat=has_flat, is_even=is_even and not has_flat, is_moved=is_moved)


def _flattened(who: str, step: Step, axes: Axes) -> Axes:
    plain = plain_name(step.what)
    if not axes.is_image or axes.is_flat:
        return axes._replace(is_flat=axes.is_flat or plain != "squeeze")
    flat = axes._replace(is_flat=True, n_pixels=None)
    if plain in ("view", "reshape"):
        n_left = (step.n_axes or 0) - 2
        return axes._replace(n_pixels=n_left) if n_left > 0 else flat
    if axes.n_pixels is None or step.module is None:
        return flat
    if plain == "squeeze":
        given = [*step.module.args, *step.module.kwargs.values()]
        n_left = axes.n_pixels - sum(len(each) if isinstance(each, tuple) else 1 for each in given)
        return axes._replace(n_pixels=n_left) if given and n_left > 0 else flat
    n_axes = axes.n_pixels + 2
    start, end = step.module.start_dim % n_axes, step.module.end_dim % n_axes
    if start >= 2:
        return axes._replace(n_pixels=axes.n_pixels - (end - start))
    if (start, end) == (1, n_axes - 1):
        return flat
    raise _along_nodes(who, step)


def _reduced(who: str, step: Step, axes: Axes) -> Axes:
    """Behind a mean or sum over some of the pixels, or all of them."""
    options = dict(zip(("dim", "keepdim"), getattr(step.module, "args", ()), strict=False))
    options |= getattr(step.module, "kwargs", {})
    if not axes.is_image or axes.is_flat:
        raise _along_nodes(who, step)
    if options.get("keepdim", False):
        return axes
    dims = options.get("dim")
    n_dims = len(dims) if isinstance(dims, (tuple, list)) else 1
    n_left = (axes.n_pixels or 2) - n_dims
    return axes._replace(n_pixels=n_left) if n_left > 0 else Axes(False)


def _n_pixels(module: nn.Module) -> int:
    return module.weight.ndim - 2 if isinstance(module, CONVOLUTIONS) else 2


def _moves(step: Step) -> bool:
    return step.kind == "passing" and any(part in plain_name(step.what) for part in _MOVING)


def _named_axes(step: Step) -> int | None:
    """2 of MaxPool2d."""
    name = plain_name(step.what)
    return int(name[-2]) if name[-2:] in ("1d", "2d", "3d") else None


def _along_nodes(who: str, step: Step) -> NbkitError:
    return NbkitError(
        f"{who}: {step.name} ({step.what}) must act along the pixels, got one that acts along another axis, that of the "
        "features or channels. Give the parts before and behind it on their own."
    )
