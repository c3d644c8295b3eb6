"""The digits as training and test data: a split that never changes, distortions of images, lines between two digits."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.functional import affine_grid, grid_sample, pad

from nbkit.data.shipped import mnist_digits
from nbkit.device import as_array, random_generator
from nbkit.errors import NbkitError, check_integer, check_number, show
from nbkit.measure import Trajectory, line

__all__ = ["Split", "as_split", "digit_line", "distort", "mnist_split", "unit_norm"]

_N_TEST = 2_000
_SPLIT_SEED = 20_191_125  # of the permutation below; another number would be another data set


@dataclass(frozen=True, eq=False)
class Split:
    """Training and test data.

    Attributes:
        train_images, test_images: float32 tensors (n, n_pixels).
        train_labels, test_labels: int64 tensors (n,), from 0 on.
    """

    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor

    @property
    def n_classes(self) -> int:
        """One more than the largest label."""
        return 1 + int(max(self.train_labels.max(), self.test_labels.max()))

    def unit(self) -> Split:
        """The same with every image divided by its l2 norm, as the lines of `digit_line`."""
        return replace(self, train_images=unit_norm(self.train_images), test_images=unit_norm(self.test_images))

    def padded(self, side: int) -> Split:
        """The same with every square image in the middle of side x side pixels, background around it."""
        parts = {}
        for name in ("train_images", "test_images"):
            images = getattr(self, name)
            old = math.isqrt(images[0].numel())
            if old * old != images[0].numel() or old > side:
                raise NbkitError(f"padded: side must be at least that of square images, got {side} for {old}. Use 32.")
            before, more = divmod(side - old, 2)
            parts[name] = pad(images.view(-1, old, old), (before, before + more) * 2).flatten(1)
        return replace(self, **parts)


@functools.cache
def mnist_split() -> Split:
    """The shipped digits: 8,000 to train on, 2,000 to test with, the same two sets in every version.

    A fixed permutation is cut once; its test set has between 174 and 221 digits of each class. The paper trains on
    60,000 digits and tests with 10,000, which `full_split` reads where the files are at hand.

    Returns:
        Split of images (n, 784) in [0, 1], row by row from the top. It is kept: do not change it in place.

    Raises:
        NbkitError: as `mnist_digits`.
    """
    images, labels = mnist_digits()
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(images))
    pixels = torch.from_numpy(images[order].reshape(len(images), -1).astype(np.float32) / 255)
    classes = torch.from_numpy(labels[order].astype(np.int64))
    return Split(pixels[_N_TEST:], classes[_N_TEST:], pixels[:_N_TEST], classes[:_N_TEST])


def unit_norm(images: torch.Tensor) -> torch.Tensor:
    """Rows of l2 norm 1; an empty image stays empty."""
    norms = torch.linalg.vector_norm(images, dim=1, keepdim=True)
    return images / torch.where(norms > 0, norms, 1.0)


def digit_line(first: int, second: int, *, split: Split | None = None) -> Trajectory:
    """The straight line between two test digits, each divided by its l2 norm.

    The paper joins the 101st and 1001st test digits of MNIST and says that any two do as well. Which of the shipped
    digits these are cannot be told: the shipped file has its own order and keeps no record of the original one. So any
    two digits can be chosen, and none is called the paper's.

    Args:
        first, second: positions among the test digits, 0..1999 in the shipped ones, not the same.
        split: default `mnist_split()`.

    Returns:
        Trajectory in R^784.

    Raises:
        NbkitError: a position outside the test digits, two equal ones, or an image that is empty or the same.

    Source:
        Price & Tanner 2019, section 4, whose "normalised" is read as unit l2 norm.

    Example:
        >>> digit_line(100, 1000).dim
        784
    """
    if split is not None and not isinstance(split, Split):
        raise NbkitError(f"digit_line: split must be a Split, got {show(split)}. Use mnist_split() or full_split(...).")
    images = (mnist_split() if split is None else split).test_images
    ends = [
        check_integer("digit_line", name, place, at_least=0, at_most=len(images) - 1)
        for name, place in (("first", first), ("second", second))
    ]
    if ends[0] == ends[1]:
        raise NbkitError(f"digit_line: first and second must differ, got {ends[0]} twice. Choose two digits.")
    x0, x1 = unit_norm(images[ends].double())
    if not x0.any() or not x1.any() or torch.equal(x0, x1):
        raise NbkitError(
            f"digit_line: the two images must be different and not empty, got such at {ends}. Choose two others."
        )
    return line(x0, x1)


def distort(
    images: torch.Tensor,
    *,
    shift: float = 2.0,
    degrees: float = 12.0,
    scale: float = 0.1,
    seed: int | np.random.Generator | None = 0,
) -> torch.Tensor:
    """Each square image a little shifted, turned and scaled, by its own random amounts; what enters is background.

    Labels stay true for small amounts. With all amounts 0 images stay as they are, to rounding.

    Args:
        images: (n, side * side).
        shift: largest shift in pixels, along either axis.
        degrees: largest angle.
        scale: largest relative change of size, below 1.
        seed: an int repeats, None is fresh, a Generator advances.

    Returns:
        float32 (n, side * side); values lie between those of neighbouring pixels.

    Raises:
        NbkitError: images that are not square, negative amounts, a scale of 1 or more.
    """
    is_tensor = isinstance(images, torch.Tensor)
    n, n_pixels = images.shape if is_tensor and images.ndim == 2 else (0, 0)
    side = math.isqrt(n_pixels)
    if not n or not side or side * side != n_pixels:
        got = f"the shape {tuple(images.shape)}" if is_tensor else f"no tensor but {type(images).__name__}"
        raise NbkitError(
            f"distort: images must be square and flattened, (n, side * side), got {got}. Use images.flatten(1)."
        )
    amounts = {"shift": (shift, side), "degrees": (degrees, 180), "scale": (scale, 0.99)}
    limits = [check_number("distort", name, value, at_most=most) for name, (value, most) in amounts.items()]
    if min(limits) < 0:
        raise NbkitError(
            f"distort: shift, degrees and scale must not be negative, got {limits}. They are largest amounts."
        )
    shift_x, shift_y, turn, grow = random_generator(seed, who="distort").uniform(-1, 1, (4, n))
    angle, size = np.radians(limits[1] * turn), 1 + limits[2] * grow
    rows = [
        [size * np.cos(angle), -size * np.sin(angle), 2 * limits[0] / side * shift_x],
        [size * np.sin(angle), size * np.cos(angle), 2 * limits[0] / side * shift_y],
    ]
    maps = torch.from_numpy(np.asarray(rows, dtype=np.float32)).permute(2, 0, 1).to(images.device)
    grid = affine_grid(maps, [n, 1, side, side], align_corners=False)
    return grid_sample(images.float().view(n, 1, side, side), grid, align_corners=False).flatten(1)


def as_split(who: str, data: object) -> Split:
    """The data as a checked Split: a Split, or the four arrays that make one.

    Raises:
        NbkitError: not four arrays, sizes that do not fit together, NaN or infinite images, labels that are no whole
            numbers from 0 on.
    """
    if isinstance(data, Split):
        arrays = [data.train_images, data.train_labels, data.test_images, data.test_labels]
    else:
        arrays = list(data) if isinstance(data, (tuple, list)) else []
    if len(arrays) != 4:
        raise NbkitError(
            f"{who}: data must be a Split or (train_images, train_labels, test_images, test_labels), got {show(data)}. "
            "Use mnist_split()."
        )
    train, train_labels = _checked_pair(who, "train", *arrays[:2])
    test, test_labels = _checked_pair(who, "test", *arrays[2:])
    if train.shape[1:] != test.shape[1:]:
        raise NbkitError(
            f"{who}: train and test images must have one shape, got {tuple(train.shape[1:])} and "
            f"{tuple(test.shape[1:])}. Prepare both alike."
        )
    return Split(train, train_labels, test, test_labels)


def _checked_pair(who: str, name: str, images: object, labels: object) -> tuple[torch.Tensor, torch.Tensor]:
    if not isinstance(images, torch.Tensor):
        images = torch.from_numpy(as_array(who, f"{name} images", images))
    if not isinstance(labels, torch.Tensor):
        labels = torch.from_numpy(as_array(who, f"{name} labels", labels))
    if images.ndim < 2 or labels.ndim != 1 or len(images) != len(labels) or not len(images):
        raise NbkitError(
            f"{who}: {name} images (n, ...) and labels (n,) must have one n of at least 1, got the shapes {tuple(images.shape)} and "
            f"{tuple(labels.shape)}. Give one label for each image."
        )
    if not torch.isfinite(images).all():
        raise NbkitError(f"{who}: {name} images must be finite, got NaN or infinite entries. Mend the data first.")
    if labels.is_floating_point() or labels.dtype == torch.bool or int(labels.min()) < 0:
        raise NbkitError(
            f"{who}: {name} labels must be whole numbers from 0 on, got {show(labels[:5].tolist())} of {labels.dtype}. "
            "Number the classes."
        )
    return images.float(), labels.long()
