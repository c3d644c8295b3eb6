"""The SAO paper's vanilla CNN: convolutions and nothing else, of any depth, dense or with whole kernels left out."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from nbkit.device import check_memory, spawn_generators
from nbkit.errors import NbkitError, check_choice, check_integer, check_integers, check_number, show
from nbkit.nets.activations import ACTIVATIONS
from nbkit.nets.chain import chain
from nbkit.nets.convolution import OrthogonalConv2d
from nbkit.topology import Layer, biregular, dense_layer
from nbkit.weights import Gaussian, Uniform, delta_orthogonal, eco, looks_linear_block, orthogonal

__all__ = ["CNN_METHODS", "check_n_blocks", "vanilla_cnn"]

#: (wires, weights) of each method.
CNN_METHODS = {
    "Delta": ("dense", "delta"),
    "ECO": ("dense", "eco"),
    "He": ("dense", "normal"),
    "SAO-Delta": ("SAO", "delta"),
    "SAO-ECO": ("SAO", "eco"),
    "RG-N": ("SAO", "normal"),
    "RG-U": ("SAO", "uniform"),
}
_LAWS = {"normal": Gaussian(1.0), "uniform": Uniform(3**0.5)}
_ECO_SIZES = (3, 4, 2)


def vanilla_cnn(
    depth: int,
    method: str = "SAO-Delta",
    *,
    width: int = 64,
    density: float = 1.0,
    activation: str = "relu",
    image: tuple[int, int, int] = (1, 28, 28),
    n_classes: int = 10,
    pool: bool = True,
    seed: int | np.random.Generator | None = 0,
) -> nn.Sequential:
    """A plain convolutional network: 3 x 3 convolutions, zero padding, the second and third of stride 2, pool, linear.

    Without normalisation, skips or dropout, and without biases in the convolutions. At birth Delta and ECO weights keep
    every singular value of every convolution at 1, on SAO masks as on dense ones; a stride of 2 drops pixels, so those
    two layers are semi-orthogonal. For ReLU their kernels are equation (5), [[H, -H], [-H, H]], the first [W; -W] and the
    classifier [V, -V]: with these ends, which the paper does not print, the whole network is linear at birth. A gain of
    sqrt 2 would keep lengths on average only, so it is for random kernels ("He", "RG-N", "RG-U") alone.

    ECO kernels need circular padding, a dilation and a size that divides the image: 3 where that does, else 4 or 2;
    their strided layers unshuffle the pixels. 28 x 28 pixels become 7 x 7, which no such size divides: pad to 32 x 32.

    Args:
        depth: N, convolutions, at least 3.
        method: Delta, ECO, He (random), or the same on SAO masks, one drawn for each layer: SAO-Delta, SAO-ECO, RG-N
            (normal), RG-U (uniform).
        width: channels, even with "relu" and orthogonal kernels.
        density: kept fraction of the kernels in all convolutions but the first, 1 / (a divisor of the width, or of half
            of it with "relu" and orthogonal kernels); 1 for dense methods.
        activation: "relu" or "tanh", behind every convolution.
        image: (channels, height, width) of an input.
        n_classes: outputs.
        pool: average over all pixels before the classifier, which leaves it little to see at birth (it takes a larger
            learning rate); False puts two more convolutions of stride 2 there (the paper's
            variant for CINIC-10 and CIFAR-100) and classifies all pixels that are left.
        seed: an int repeats, None is fresh, a Generator advances; each layer has a child of its own.

    Returns:
        nn.Sequential in float32: (batch, *image), or rows of as many numbers, -> (batch, n_classes).

    Raises:
        NbkitError: a depth below 3, an unknown method or activation, a density that its masks do not admit (the message
            lists those they do), an odd width, an image that ECO cannot divide, a network beyond the memory budget.

    Source:
        Esguerra et al. 2023, sections III-D.1, III-D.3, III-D.4 and V-D; Xiao et al. 2018.

    Example:
        >>> net = vanilla_cnn(8, "SAO-Delta", width=32, density=1 / 8)
        >>> net(torch.zeros(2, 784)).shape, float(net[4].mask.double().mean())
        (torch.Size([2, 10]), 0.125)
    """
    who = "vanilla_cnn"
    wires, weights = CNN_METHODS[check_choice(who, "method", method, CNN_METHODS)]
    make = ACTIVATIONS[check_choice(who, "activation", activation, ("relu", "tanh"))]
    depth = check_integer(who, "depth", depth, at_least=3, at_most=2**20)
    channels, *sizes = _check_image(who, image)
    n_classes = check_integer(who, "n_classes", n_classes, at_least=1)
    mirrored = activation == "relu" and weights in ("delta", "eco")
    base = _check_width(who, width, 1 + mirrored)
    n_blocks = check_n_blocks(who, density, [base])
    if wires == "dense" and n_blocks > 1:
        raise NbkitError(
            f"{who}: density must be 1 with {method}, got {show(density)}. Use one of the methods with masks, SAO-Delta."
        )
    strides = [1, 2, 2, *[1] * (depth - 3), *([] if pool else [2, 2])]
    check_memory(who, 96 * len(strides) * width**2, lower="the depth or the width")
    *inner, last = spawn_generators(seed, len(strides) + 1, who=who)
    modules: list[nn.Module] = [nn.Flatten(), nn.Unflatten(1, (channels, *sizes))]
    c_in, gain = channels, math.sqrt(2) if activation == "relu" else 1.0
    for place, (stride, generator) in enumerate(zip(strides, inner, strict=True)):
        options = _options(who, weights, sizes, stride)
        sizes = [math.ceil(n / stride) for n in sizes]
        c_in *= stride**2 if weights == "eco" else 1
        layer = _wires(c_in, base, n_blocks if place else 1, generator)
        kernel = _kernel(weights, layer, options.pop("size"), gain, generator)
        if mirrored:
            kernel = looks_linear_block(kernel)[:, : None if place else c_in]
        modules += [OrthogonalConv2d(kernel, stride=stride, **options), make()]
        c_in = base
    modules += [nn.AdaptiveAvgPool2d(1), nn.Flatten()] if pool else [nn.Flatten()]
    top = orthogonal(dense_layer(base if pool else base * math.prod(sizes), n_classes), seed=last)
    top = looks_linear_block(top)[:n_classes] if mirrored else top
    return nn.Sequential(*modules, *chain([top], biases=[torch.zeros(n_classes)], output="linear")).float()


def check_n_blocks(who: str, density: object, sizes: list[int]) -> int:
    """The number of blocks in masks of a density, 1 / density, which must divide all sizes.

    Raises:
        NbkitError: any other density; the message lists those that are admitted.
    """
    number, shared = check_number(who, "density", density, above=0.0, at_most=1.0), math.gcd(*sizes)
    n_blocks = round(1 / number)
    if shared % n_blocks or not math.isclose(number * n_blocks, 1.0, rel_tol=1e-9):
        admitted = ", ".join("1" if m == 1 else f"1/{m}" for m in range(1, shared + 1) if shared % m == 0)
        raise NbkitError(
            f"{who}: density must be 1 / (a divisor of {shared}, which all masks have in common), got {show(density)}. "
            f"Use one of {admitted}."
        )
    return n_blocks


def _options(who: str, weights: str, sizes: list[int], stride: int) -> dict:
    """The kernel size, and how the convolution pads, dilates and strides."""
    if weights != "eco":
        return {"size": 3, "padding": "zeros", "strided": "skip"}
    left, rest = divmod(math.gcd(*sizes), stride)
    size = next((k for k in _ECO_SIZES if left % k == 0 and not rest), None)
    if size is None:
        raise NbkitError(
            f"{who}: with ECO the stride must divide the image in every layer, and 3, 4 or 2 what is left of it, got "
            f"{' x '.join(map(str, sizes))} pixels before a stride of {stride}. Pad the image to 32 x 32 or 24 x 24, or use "
            "Delta."
        )
    return {"size": size, "dilation": "eco"}


def _wires(c_in: int, c_out: int, n_blocks: int, generator: np.random.Generator) -> Layer:
    if n_blocks == 1:
        return dense_layer(c_in, c_out)
    return biregular(c_in, c_out, max(c_in, c_out) // n_blocks, seed=generator)


def _kernel(weights: str, layer: Layer, size: int, gain: float, generator: np.random.Generator) -> torch.Tensor:
    if weights == "delta":
        return delta_orthogonal(*layer.shape, size, mask=layer, seed=generator)
    if weights == "eco":
        return eco(layer.shape, size, mask=layer, seed=generator)
    kernel = _LAWS[weights].sample((layer.n_out, layer.n_in, size, size), seed=generator).double()
    spread = gain / (torch.from_numpy(layer.in_degrees()) * size**2).double().sqrt()
    return kernel * (spread[:, None] * layer.mask())[:, :, None, None]


def _check_width(who: str, width: object, divisor: int) -> int:
    number = check_integer(who, "width", width, at_least=divisor, at_most=2**20)
    if number % divisor:
        raise NbkitError(f"{who}: width must be even for mirrored kernels, got {number}. Use {number + 1}.")
    return number // divisor


def _check_image(who: str, image: object) -> tuple[int, ...]:
    sizes = check_integers(who, "image", image, at_least=1)
    if len(sizes) != 3:
        raise NbkitError(f"{who}: image must be (channels, height, width), got {show(image)}. Write it as (1, 28, 28).")
    return sizes
