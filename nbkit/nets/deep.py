"""The fully connected network of the SAO paper, of any depth, dense or on sparse wires."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from nbkit.device import spawn_generators
from nbkit.errors import check_choice, check_integer
from nbkit.nets.activations import ACTIVATIONS
from nbkit.nets.sparse import SparseLinear, SparseSequential
from nbkit.topology import Layer, biregular, cayley_expander, kronecker, mixed_radix, random_expander
from nbkit.topology.kronecker import dense_layer
from nbkit.weights import Gaussian, Uniform, orthogonal, radix_orthogonal, random_on_mask

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
) -> nn.Sequential:
    """n_inputs -> 2 width -> width -> ... -> width -> n_classes, depth - 1 layers of width -> width among them."""
    wires, weights = DEEP_METHODS[check_choice("deep_net", "method", method, DEEP_METHODS)]
    depth = check_integer("deep_net", "depth", depth, at_least=1)
    sizes = [n_inputs, 2 * width, *[width] * depth]
    modules: list[nn.Module] = []
    *inner, last = spawn_generators(seed, len(sizes), who="deep_net")
    place = 0
    for n_in, n_out, generator in zip(sizes, sizes[1:], inner, strict=False):
        layer = _wires(wires, n_in, n_out, degree, place, generator)
        place += n_in == n_out
        matrix = gain * _weights(weights, layer, generator)
        modules += [
            _linear(matrix) if wires == "dense" else SparseLinear(layer, weights=matrix),
            ACTIVATIONS[activation](),
        ]
    top = gain * _weights("orthogonal", dense_layer(width, n_classes), last)
    return SparseSequential(*modules, SparseLinear.from_dense(top, torch.zeros(n_classes)))


def _wires(wires, n_in, n_out, degree, place, generator) -> Layer:
    if wires == "dense":
        return dense_layer(n_in, n_out)
    if wires == "random":
        return random_expander(n_in, n_out, degree, regular="in", seed=generator)
    if wires == "SAO" or n_in != n_out:
        return biregular(n_in, n_out, degree, seed=generator)
    if wires == "Cayley":
        offsets = generator.choice(np.arange(n_in), degree, replace=False)
        return cayley_expander(n_in, sorted(offsets.tolist()))
    half = mixed_radix((2,) * ((n_in // 2).bit_length() - 1))
    return kronecker(half[place % len(half)], 2, 2)


def _weights(weights, layer, generator) -> torch.Tensor:
    if weights == "orthogonal":
        try:
            return orthogonal(layer, seed=generator)
        except ValueError:
            return radix_orthogonal(layer, seed=generator)
    return random_on_mask(layer, _LAWS[weights], seed=generator)


def _linear(matrix: torch.Tensor) -> nn.Linear:
    linear = nn.Linear(*reversed(matrix.shape), device="meta")
    linear.weight = nn.Parameter(matrix.float())
    linear.bias = nn.Parameter(torch.zeros(len(matrix)))
    return linear
