"""LipConvNet, a network of orthogonal convolutions in which no length grows (Esguerra et al. 2023)."""

import math

import numpy as np
import torch
from torch import nn

from nbkit.device import check_memory, random_generator
from nbkit.errors import NbkitError, check_integer, check_integers, show
from nbkit.nets.activations import MaxMin
from nbkit.nets.chain import chain
from nbkit.nets.convolution import OrthogonalConv2d, SkewConv2d
from nbkit.nets.vanilla_cnn import check_n_blocks
from nbkit.topology import biregular, dense_layer
from nbkit.weights import eco, orthogonal, soc

__all__ = ["lip_conv_net"]

_SKEW_SCALE = 0.5  # rms of ||L x|| / ||x|| at birth; the norm of L is then about 1, to which Singla & Feizi scale it
_BLOCKS, _SKEW_BLOCKS = 5, 2
_MODULE_BYTES = 2**14  # a convolution and its MaxMin without weights


def lip_conv_net(
    depth: int = 5,
    *,
    channels: int = 32,
    widening: int = 2,
    image: tuple[int, int, int] = (3, 32, 32),
    density: float = 1.0,
    n_classes: int | None = None,
    seed: int | np.random.Generator | None = 0,
) -> nn.Sequential:
    """LipConvNet-N: five blocks of depth/5 - 1 convolutions of stride 1 and one of stride 2, MaxMin after each.

    At birth no length grows, at any point: the network is 1-Lipschitz (SOC stays so while it trains, ECO need not). Its
    Jacobian is exactly norm preserving where no layer has fewer numbers than the one before, that is for widening >= 4
    (a stride of 2 leaves a quarter of the pixels) and channels >= those of the image; elsewhere each layer is
    semi-orthogonal and drops directions.

    A reconstruction: the paper's Tables 3 and 4 are lost in its text. Blocks 1 and 2 are SOC (3 x 3, dense, since its
    exponential fills in a mask), blocks 3 to 5 ECO with random SAO masks, as the text says; the channels double in every
    strided convolution as in Singla & Feizi's network. ECO needs a kernel size that divides the image, and 32 x 32
    pixels are 8, 4 and 2 in blocks 3 to 5 (4, 2 and 1 behind the unshuffling of their strided convolution), which 3
    never does. So each kernel is 3 where that divides, else the largest of 4, 2 and 1 that does: 4, 4 and 2, and behind
    the unshuffling 4, 2 and 1.

    Args:
        depth: N, convolutions, a positive multiple of 5.
        channels: of block 1, even; block i has widening^(i-1) times as many, and its last convolution widening times those.
        widening: at least 1.
        image: (channels, height, width), both sizes multiples of 32: five blocks halve them.
        density: kept fraction of the kernels in ECO blocks, 1 / (number of blocks in a mask).
        n_classes: outputs of a classifier behind the blocks, orthogonal rows that keep the network 1-Lipschitz at
            birth; default none.
        seed: an int repeats, None is fresh, a Generator advances.

    Returns:
        nn.Sequential of the five blocks in float64 (`.float()` to train): (batch, *image) ->
        (batch, channels * widening^5, height / 32, width / 32). With a classifier (batch, *image), or rows of as many
        numbers, -> (batch, n_classes).

    Raises:
        NbkitError: a depth, channels or an image that do not divide as above; a density that its masks do not admit
            (the message lists those they do); a network beyond the memory budget.

    Source:
        Esguerra et al. 2023, section III-D.2; Singla & Feizi 2021 and Yu et al. 2022 for what it leaves open.
    """
    who = "lip_conv_net"
    layers = _layer_shapes(
        _check_multiple(who, "depth", depth, _BLOCKS),
        _check_multiple(who, "channels", channels, 2),
        check_integer(who, "widening", widening, at_least=1, at_most=2**10),
        _check_image(who, image),
    )
    n_bytes = sum(_MODULE_BYTES + 72 * max(shape[:2]) ** 2 for block in layers for shape in block)
    check_memory(who, n_bytes, lower="the depth, the channels or widening")
    n_classes = n_classes if n_classes is None else check_integer(who, "n_classes", n_classes, at_least=1)
    n_parts = check_n_blocks(who, density, [c for block in layers[_SKEW_BLOCKS:] for shape in block for c in shape[:2]])
    generator = random_generator(seed, who=who)
    blocks = []
    for i, shapes in enumerate(layers):
        made = (_skew(*shape, generator) if i < _SKEW_BLOCKS else _eco(*shape, n_parts, generator) for shape in shapes)
        blocks.append(nn.Sequential(*(module for convolution in made for module in (convolution, MaxMin()))))
    if n_classes is None:
        return nn.Sequential(*blocks)
    n_features = layers[-1][-1][1] * math.prod(image[1:]) // 4**_BLOCKS
    rows = orthogonal(dense_layer(n_features, n_classes), seed=generator)
    classifier = chain([rows], biases=[torch.zeros(len(rows), dtype=torch.float64)], output="linear")
    return nn.Sequential(nn.Flatten(), nn.Unflatten(1, tuple(image)), *blocks, nn.Flatten(), *classifier)


def _layer_shapes(
    depth: int, channels: int, widening: int, image: tuple[int, ...]
) -> list[list[tuple[int, int, int, int]]]:
    """(c_in, c_out, pixels, stride) of each convolution of each block; c_in and pixels are those behind the stride."""
    now, n, blocks = image[0], math.gcd(*image[1:]), []
    for block in range(_BLOCKS):
        width, shapes = channels * widening**block, []
        for c_out, stride in [(width, 1)] * (depth // _BLOCKS - 1) + [(width * widening, 2)]:
            n //= stride
            shapes.append((now * stride**2, c_out, n, stride))
            now = c_out
        blocks.append(shapes)
    return blocks


def _skew(c_in: int, c_out: int, _n: int, stride: int, generator: np.random.Generator) -> SkewConv2d:
    kernel = soc(max(c_in, c_out), 3, scale=_SKEW_SCALE, seed=generator)
    return SkewConv2d(kernel, c_out=c_out, stride=stride)


def _eco(c_in: int, c_out: int, n: int, stride: int, n_parts: int, generator: np.random.Generator) -> OrthogonalConv2d:
    size = next(k for k in (3, 4, 2, 1) if n % k == 0)
    mask = None if n_parts == 1 else biregular(c_in, c_out, max(c_in, c_out) // n_parts, seed=generator)
    return OrthogonalConv2d(eco((c_in, c_out), size, mask=mask, seed=generator), dilation="eco", stride=stride)


def _check_multiple(who: str, name: str, value: object, of: int) -> int:
    number = check_integer(who, name, value, at_least=of, at_most=2**20)
    if number % of:
        raise NbkitError(f"{who}: {name} must be a multiple of {of}, got {number}. Use {number - number % of}.")
    return number


def _check_image(who: str, image: object) -> tuple[int, ...]:
    sizes, least = check_integers(who, "image", image, at_least=1), 2**_BLOCKS
    if len(sizes) != 3 or any(size % least for size in sizes[1:]):
        raise NbkitError(
            f"{who}: image must be (channels, height, width) with multiples of {least}, got {show(image)}. "
            "Pad the image: five blocks halve it."
        )
    return sizes
