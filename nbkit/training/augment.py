"""Augmentations on the fly: functions (images, generator) -> images of the same shape, for `train` one after another.

Images are flattened squares (n, side * side) or (n, channels, height, width). Other amounts than the defaults are given
by `functools.partial(crop, padding=2)`; `nbkit.data.distort` shifts, turns and scales.
"""

from __future__ import annotations

import importlib
import math

import numpy as np
import torch
from torch.nn.functional import pad

from nbkit.errors import NbkitError, check_choice, check_integer, check_number, show

__all__ = ["auto_augment", "crop", "flip"]

_POLICIES = ("cifar10", "imagenet", "svhn")


def crop(images: torch.Tensor, generator: np.random.Generator, *, padding: int = 4) -> torch.Tensor:
    """Each image cut from its own random place of itself with `padding` background pixels, 0, on every side.

    Args:
        images: (n, side * side) or (n, channels, height, width).
        generator: of the places; it advances.
        padding: at least 0; every one of the (2 padding + 1)^2 places is equally likely.

    Raises:
        NbkitError: other shapes, a negative padding.
    """
    pictures = _pictures("crop", images)
    padding = check_integer("crop", "padding", padding, at_least=0)
    n, _, height, width = pictures.shape
    places = generator.integers(0, 2 * padding + 1, (2, n, 1))
    rows, columns = (
        torch.from_numpy(starts + np.arange(size)).to(images.device)
        for starts, size in zip(places, (height, width), strict=True)
    )
    each = torch.arange(n, device=images.device).view(n, 1, 1)
    # indices beside a slice: the channels end up last
    cut = pad(pictures, (padding,) * 4)[each, :, rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2).reshape(images.shape)


def flip(images: torch.Tensor, generator: np.random.Generator, *, share: float = 0.5) -> torch.Tensor:
    """Each image mirrored left to right with probability `share`, in [0, 1].

    Raises:
        NbkitError: shapes other than (n, side * side) and (n, channels, height, width), a share outside [0, 1].
    """
    pictures = _pictures("flip", images)
    share = check_number("flip", "share", share, at_most=1)
    if share < 0:
        raise NbkitError(f"flip: share must be at least 0, got {share:g}. It is a probability.")
    is_turned = torch.from_numpy(generator.random(len(pictures)) < share).to(images.device)
    return torch.where(is_turned.view(-1, 1, 1, 1), pictures.flip(-1), pictures).reshape(images.shape)


def auto_augment(images: torch.Tensor, generator: np.random.Generator, *, policy: str = "cifar10") -> torch.Tensor:
    """Each image through two random operations of a learnt policy; needs the package torchvision.

    Args:
        images: (n, side * side) or (n, 1 or 3, height, width), values in [0, 1]; they are rounded to 256 steps.
        generator: of torchvision's random numbers; torch's own stand afterwards where they stood.
        policy: "cifar10", "imagenet" or "svhn".

    Raises:
        NbkitError: torchvision is not installed, other shapes, values outside [0, 1], another policy.

    Source:
        Cubuk et al. 2019, AutoAugment.
    """
    pictures = _pictures("auto_augment", images)
    check_choice("auto_augment", "policy", policy, _POLICIES)
    if pictures.shape[1] not in (1, 3) or not 0 <= float(pictures.min()) <= float(pictures.max()) <= 1:
        raise NbkitError(
            "auto_augment: images must have 1 or 3 channels and values in [0, 1], got "
            f"{pictures.shape[1]} channels from {float(pictures.min()):g} to {float(pictures.max()):g}. Normalise later."
        )
    try:
        transforms = importlib.import_module("torchvision.transforms")
    except ImportError:
        raise NbkitError(
            "auto_augment: the package torchvision must be installed, got none. pip install torchvision, or use "
            "augment=[crop, flip]."
        ) from None
    change = transforms.AutoAugment(transforms.AutoAugmentPolicy(policy))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(generator.integers(2**62)))
        changed = torch.stack([change(picture) for picture in (255 * pictures).round().to(torch.uint8)])
    return (changed.to(images.dtype) / 255).reshape(images.shape)


def _pictures(who: str, images: object) -> torch.Tensor:
    """The images as (n, channels, height, width)."""
    if isinstance(images, torch.Tensor) and images.numel():
        if images.ndim == 4:
            return images
        if images.ndim == 2 and math.isqrt(images.shape[1]) ** 2 == images.shape[1]:
            side = math.isqrt(images.shape[1])
            return images.reshape(-1, 1, side, side)
    got = f"the shape {tuple(images.shape)}" if isinstance(images, torch.Tensor) else f"no tensor but {show(images)}"
    raise NbkitError(
        f"{who}: images must be flattened squares (n, side * side) or (n, channels, height, width), got {got}. "
        "Use images.unflatten(1, (channels, height, width))."
    )
