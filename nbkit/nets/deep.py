"""The fully connected network of the SAO paper, of any depth, dense or on sparse wires."""

from __future__ import annotations

import numpy as np
import torch

from nbkit.device import check_memory, spawn_generators
from nbkit.errors import NbkitError, check_choice, check_integer, check_number
from nbkit.nets.activations import ACTIVATIONS
from nbkit.nets.chain import chain
from nbkit.nets.sparse import SparseLinear, SparseSequential
from nbkit.topology import Layer, biregular, cayley_expander, dense_layer, kronecker, radix_net, random_expander
from nbkit.weights import Gaussian, Uniform, looks_linear_block, orthogonal, radix_orthogonal, random_on_mask

__all__ = ["DEEP_METHODS", "deep_net"]

#: (wires, weights) of each method.
DEEP_METHODS = {
    "Dense": ("dense", "orthogonal"),
    "Dense-N": ("dense", "normal"),
    "SAO": ("SAO", "orthogonal"),
    "RG-N": ("SAO", "normal"),
    "RG-U": ("SAO", "uniform"),
    "RadiX": ("RadiX", "orthogonal"),
    "RadiX-N": ("RadiX", "normal"),
    "X-Net random": ("random", "normal"),
    "X-Net Cayley": ("Cayley", "normal"),
}
_LAWS = {"normal": Gaussian(1.0), "uniform": Uniform(3**0.5)}
_ACTIVATIONS = ("tanh", "relu", "silu", "linear")
_MODULE_BYTES = 2**14  # a layer and its activation without weights


def deep_net(
    depth: int,
    method: str = "SAO",
    *,
    degree: int = 4,
    activation: str = "tanh",
    gain: float = 1.1,
    width: int = 256,
    n_inputs: int = 1024,
    n_classes: int = 10,
    seed: int | np.random.Generator | None = 0,
) -> SparseSequential:
    """The fully connected network of depth N, Table 1 of the paper: two layers that scale down, N - 1 alike, a dense one.

    =========== ====================== =======
    layer       n_in x n_out           repeats
    =========== ====================== =======
    input       n_inputs x (2 width)
    downscaling (2 width) x width
    symmetric   width x width          N - 1
    output      width x n_classes
    =========== ====================== =======

    All sparse methods have the same number of wires in every layer: degree at each node of its narrower side. The output
    layer is dense, since 256 -> 10 admits no mask but those of degree 128 and 256. RadiX and Cayley layers need equal
    sizes: there the two layers that scale down have SAO's masks. Orthogonal weights have all singular values at the gain.

    Args:
        depth: N, at least 1.
        method: "Dense" (orthogonal), "Dense-N" (normal); on SAO's masks, drawn anew for each layer, "SAO" (orthogonal),
            "RG-N" (normal), "RG-U" (uniform); on mixed-radix wires with dense widths, one place value a layer, "RadiX"
            (orthogonal, paraunitary), "RadiX-N"; random expanders "X-Net random", normal, each node of the narrower
            side draws; "X-Net Cayley", normal, random offsets for each layer. Random weights have the variance
            1 / in-degree.
        degree: wires at each node of a layer's narrower side, at most the width; no matter for dense methods. RadiX
            takes radix * D for width / D a power of the radix, D >= 2.
        activation: "tanh", "relu", "silu" or "linear", behind every layer but the last. With "relu" orthogonal weights
            are mirrored (equation (5), the first [W; -W], the last [V, -V]): with gain=1 the whole network is
            linear and isometric at birth. That takes an even width and degree.
        gain: > 0, times all weights; the paper's 1.1 is meant for tanh.
        width: of the symmetric layers.
        n_inputs, n_classes: numbers of an image, outputs.
        seed: an int repeats, None is fresh, a Generator advances; each layer has a child of its own.

    Returns:
        SparseSequential in float32, N + 2 linear layers with biases 0: (..., n_inputs) -> (..., n_classes).

    Raises:
        NbkitError: a depth or size below 1, an unknown method or activation, a degree that the wires do not admit (the
            message lists those they do), a network beyond the memory budget.

    Source:
        Esguerra et al. 2023, section III-C and Table 1. RadiX and X-Nets are not in its tables.

    Example:
        >>> net = deep_net(50, "SAO", degree=4)
        >>> [module.layer.n_edges for module in net[::2]][:3], len(net)
        ([2048, 1024, 1024], 103)
    """
    who = "deep_net"
    wires, weights = DEEP_METHODS[check_choice(who, "method", method, DEEP_METHODS)]
    make = ACTIVATIONS[check_choice(who, "activation", activation, _ACTIVATIONS)]
    gain = check_number(who, "gain", gain, above=0.0)
    depth = check_integer(who, "depth", depth, at_least=1, at_most=2**20)
    width, n_inputs, n_classes = (
        check_integer(who, name, n, at_least=1, at_most=2**20)
        for name, n in (("width", width), ("n_inputs", n_inputs), ("n_classes", n_classes))
    )
    degree = check_integer(who, "degree", degree, at_least=1, at_most=width)
    halves = 2 if activation == "relu" and weights == "orthogonal" else 1
    if width % halves:
        raise NbkitError(f"{who}: width must be even with mirrored weights, got {width}. Use {width + 1}.")
    n_bytes = 16 * 2 * width * max(n_inputs, width) + depth * (_MODULE_BYTES + 24 * width * degree)
    check_memory(who, n_bytes + (4 * depth * width**2 if wires == "dense" else 0), lower="the depth or the width")
    sizes = [n_inputs, 2 * width, *[width] * depth]
    modules: list[torch.nn.Module] = []
    *inner, last = spawn_generators(seed, len(sizes), who=who)
    for place, (n_in, n_out, generator) in enumerate(zip(sizes, sizes[1:], inner, strict=False)):
        copies = (halves if place else 1, halves)
        is_radix = wires == "RadiX" and weights == "orthogonal" and place > 1
        layer = _wires(wires, (n_in, n_out), copies, degree, place, generator)
        matrix = gain * _weights("paraunitary" if is_radix else weights, layer, generator)
        if halves > 1:
            matrix = looks_linear_block(matrix)[:, : copies[0] * layer.n_in]
            layer = kronecker(layer, *copies)
        modules += [_linear(matrix) if wires == "dense" else SparseLinear(layer, weights=matrix), make()]
    top = gain * orthogonal(dense_layer(width // halves, n_classes), seed=last)
    top = looks_linear_block(top)[:n_classes] if halves > 1 else top
    return SparseSequential(*modules, SparseLinear.from_dense(top, torch.zeros(n_classes)))


def _wires(
    wires: str, shape: tuple[int, int], copies: tuple[int, int], degree: int, place: int, generator: np.random.Generator
) -> Layer:
    """The wires of which mirroring makes `copies`, so that all together there are degree at the narrower side."""
    n_in, n_out = (n // times for n, times in zip(shape, copies, strict=True))
    if wires == "dense":
        return dense_layer(n_in, n_out)
    each, rest = divmod(degree * min(shape), copies[0] * copies[1] * min(n_in, n_out))
    try:
        if rest:
            raise NbkitError("mirrored weights need an even degree. Use twice as many.")
        if wires == "random":
            return random_expander(n_in, n_out, each, regular="in" if n_out <= n_in else "out", seed=generator)
        if wires == "SAO" or place < 2:
            return biregular(n_in, n_out, each, seed=generator)
        if wires == "Cayley":
            offsets = generator.choice(np.arange(n_in), each, replace=False)
            return cayley_expander(n_in, sorted(offsets.tolist()))
        return _radix_layer(n_in, each, place - 2)
    except NbkitError as error:
        mirrored = f", of which mirrored weights make {copies[0] * copies[1]} copies" if copies[1] > 1 else ""
        raise NbkitError(
            f"deep_net: degree must be one that {wires} wires admit, got {degree}; {n_in} -> {n_out}{mirrored}: {error}"
        ) from None


def _radix_layer(n: int, degree: int, place: int) -> Layer:
    """A layer of the RadiX-Net with n nodes a layer that has this degree, radix * D, with the smallest widths D >= 2."""
    choices: dict[int, tuple[int, int, int]] = {}
    for d in (d for d in range(2, n // 2 + 1) if n % d == 0):
        for length in range(1, (n // d).bit_length()):
            radix = round((n // d) ** (1 / length))
            if radix**length * d == n:
                choices.setdefault(radix * d, (d, radix, length))
    if degree not in choices:
        listed = f"Use one of {', '.join(map(str, sorted(choices)))}" if choices else "This width admits none"
        raise NbkitError(f"degree {degree} is not radix * D with n / D a power of the radix. {listed}.")
    d, radix, length = choices[degree]
    return radix_net([(radix,) * length], widths=[d] * (length + 1))[place % length]


def _weights(weights: str, layer: Layer, generator: np.random.Generator) -> torch.Tensor:
    if weights in _LAWS:
        return random_on_mask(layer, _LAWS[weights], seed=generator)
    return (orthogonal if weights == "orthogonal" else radix_orthogonal)(layer, seed=generator)


def _linear(matrix: torch.Tensor) -> torch.nn.Linear:
    return chain([matrix], biases=[torch.zeros(len(matrix))], output="linear")[0].float()
