"""Layers n -> n of the lab's families at one degree, and weights for them."""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch

from nbkit.topology import (
    Layer,
    biregular,
    cayley_expander,
    dense_layer,
    mixed_radix,
    random_expander,
    random_pruned,
)
from nbkit.weights import Discrete, Gaussian, Law, Uniform, orthogonal, radix_orthogonal, random_on_mask

__all__ = ["LAWS", "divisors", "generator_of", "orthogonal_on", "radix_digits", "random_on", "wires_of"]

LAWS: dict[str, Callable[[float], Law]] = {
    "Gaussian": Gaussian.of_std,
    "uniform": Uniform.of_std,
    "discrete": lambda std: Discrete.of_std(std, how="scale"),
}
"""Of weights with a standard deviation, before division by the root of the in-degree."""


def divisors(width: int) -> tuple[int, ...]:
    return tuple(degree for degree in range(2, width + 1) if width % degree == 0)


def radix_digits(width: int, degree: int, weights: str) -> tuple[int, int] | None:
    """(D, digits): the smallest dense width whose radix degree / D has a power that is width / D."""
    if weights == "looks-linear":
        return radix_digits(width // 2, degree // 2, "orthogonal") if degree % 2 == 0 else None
    for dense in range(2 if weights == "orthogonal" else 1, degree // 2 + 1):
        if degree % dense or width % dense:
            continue
        radix, labels = degree // dense, width // dense
        n_digits = round(math.log(labels, radix))
        if n_digits and radix**n_digits == labels:
            return dense, n_digits
    return None


def generator_of(seed: int, position: int, what: int) -> np.random.Generator:
    """A stream of random numbers for each layer: wires 0, weights 1."""
    return np.random.default_rng([seed, position, what])


@lru_cache(maxsize=500)
def wires_of(wires: str, weights: str, n: int, d: int, position: int, seed: int) -> Layer:
    """A layer n -> n that is drawn or arithmetic."""
    generator = generator_of(seed, position, 0)
    if wires == "RadiX":
        dense, n_digits = radix_digits(n, d, weights)
        system = mixed_radix((d // dense,) * n_digits)
        return system.kron((dense,) * (n_digits + 1))[position % n_digits]
    if wires.startswith("SAO"):
        return biregular(n, n, d, placement=wires.split()[1], seed=generator)
    if wires == "X-Net random":
        return random_expander(n, n, d, regular="in", seed=generator)
    if wires == "X-Net Cayley":  # one set for all layers; 0 and 1 among them make the cascade connected
        others = 2 + generator_of(seed, 0, 0).permutation(n - 2)[: d - 2]
        return cayley_expander(n, (0, 1, *others.tolist()))
    return dense_layer(n, n) if wires == "dense" else random_pruned([np.zeros((n, n))], d / n, seed=generator)[0]


def orthogonal_on(wires: str, layer: Layer, gain: float, seed: np.random.Generator) -> torch.Tensor:
    if wires != "RadiX":
        return orthogonal(layer, gain=gain, seed=seed)
    # signs of outputs keep orthogonality and make the law even, which the mean square behind a ReLU needs
    signs = torch.from_numpy(seed.choice((-1.0, 1.0), size=(layer.n_out, 1)))
    return signs * radix_orthogonal(layer, gain=gain, seed=seed)


def random_on(weights: str, layer: Layer, gain: float, seed: np.random.Generator) -> torch.Tensor:
    return random_on_mask(layer, LAWS[weights](gain), seed=seed)
