"""Families of weights n -> n at one density, and the Jacobians of deep networks of them, for the explorers of notebook 05."""

import copy
import itertools
import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import scipy.sparse
import torch

from nbkit.explore.families import cascade_layer
from nbkit.explore.families import refusal as wires_refusal
from nbkit.measure import DeepProduct
from nbkit.nets import ACTIVATIONS
from nbkit.topology import Layer, biregular, dense_layer, magnitude_pruned, radix_net, random_pruned
from nbkit.weights import Gaussian, Uniform, looks_linear, orthogonal, radix_orthogonal, random_on_mask

__all__ = [
    "BIRTHS",
    "BIRTH_MARKERS",
    "GAINS",
    "LOOKS_LINEAR",
    "MIRRORED",
    "NONLINEAR",
    "as_dense",
    "factors",
    "grow_spectra",
    "in_words",
    "input_point",
    "key_of",
    "layer_weights",
    "refusal",
    "slopes_at",
    "spectrum_at",
]

#: Families of weights and whose colour each has: orthogonal dense and sparse, random on the same wires, pruned dense.
BIRTHS = {
    "dense": "dense",
    "SAO": "sao",
    "RadiX-O": "radix",
    "RG-N": "sao",
    "RG-U": "sao",
    "RadiX-N": "radix",
    "LMP": "pruned",
    "LRP": "pruned",
}
BIRTH_MARKERS = {"RG-N": "circle", "RG-U": "square", "LMP": "circle", "RadiX-N": "circle"}

GAINS = {"1": 1.0, "1.1": 1.1, "√2": math.sqrt(2)}
NONLINEAR = {"linear": "linear", "tanh": "tanh", "ReLU": "relu", "SiLU": "silu"}
MIRRORED, LOOKS_LINEAR = "ReLU, eq. (5)", "ReLU, looks linear"
_LAWS = {"N": Gaussian(1.0), "U": Uniform(math.sqrt(3))}
_RESOLVED = 1e-9  # of the largest: smaller singular values of a plain product have lost digits
_A_STEP = 3  # layers, so that a step of a stream stays far below 100 ms at width 256

Key = tuple[str, int, int, str, str]  # family, n, degree, activation, gain


def refusal(name: str, n: int, degree: int) -> str:
    """Why a family has no layer n -> n of this degree, in a line; empty where it has one."""
    if name == "RadiX-N":
        return "" if not wires_refusal("RadiX", n, degree) else f"n = {n} is no power of d = {degree}"
    if name == "RadiX-O":
        radix, labels = degree // 2, n // 2
        if radix < 2 or degree % 2 or radix ** round(math.log(labels, radix)) != labels:
            return f"n / 2 = {labels} is no power of d / 2 = {degree / 2:g}"
    if name in ("SAO", "RG-N", "RG-U") and n % degree:
        return f"d = {degree} does not divide n = {n}"
    return ""


@lru_cache(maxsize=60)
def _dense(n: int, position: int) -> np.ndarray:
    return orthogonal(dense_layer(n, n), seed=position).numpy()


@lru_cache(maxsize=1500)
def _sparse(name: str, n: int, degree: int, position: int) -> scipy.sparse.csr_array:
    seed = np.random.default_rng([position, 1])  # a stream of its own: wires are drawn from position
    if name in ("LMP", "LRP"):
        values = _dense(n, position)
        pruned = (
            magnitude_pruned([values], degree / n) if name == "LMP" else random_pruned([values], degree / n, seed=seed)
        )
        return _on_wires(pruned[0], values)
    if name == "RadiX-O":  # each label stands for two nodes, so half of the degree is the radix
        n_digits = round(math.log(n // 2, degree // 2))
        wires = radix_net([(degree // 2,) * n_digits], widths=[2] * (n_digits + 1))[position % n_digits]
        return _on_wires(wires, radix_orthogonal(wires, seed=seed))
    if name == "RadiX-N":
        wires = cascade_layer("RadiX", n, degree, position % round(math.log(n, degree)))
    else:
        wires = biregular(n, n, degree, seed=position)
    weights = orthogonal(wires, seed=seed) if name == "SAO" else random_on_mask(wires, _LAWS[name[-1]], seed=seed)
    return _on_wires(wires, weights)


def _on_wires(wires: Layer, weights: object) -> scipy.sparse.csr_array:
    sources, targets = wires.edge_index().numpy()
    return scipy.sparse.csr_array((np.asarray(weights)[targets, sources], (targets, sources)), shape=wires.shape[::-1])


def layer_weights(name: str, n: int, degree: int, position: int) -> np.ndarray | scipy.sparse.csr_array:
    """The weights (n, n) of layer `position`; SAO, RG-N and RG-U share their wires, LMP and LRP prune the dense ones."""
    return _dense(n, position) if name == "dense" else _sparse(name, n, degree, position)


def key_of(name: str, n: int, degree: int, activation: str, gain: str) -> Key:
    """Names one network without end; dense ones do not depend on the degree."""
    return name, n, n if name == "dense" else degree, activation, gain


def input_point(n: int, seed: int = 0) -> np.ndarray:
    """A standard normal input, (n,)."""
    return np.random.default_rng([seed, 2]).standard_normal(n)  # not the numbers that weights are made of


def factors(key: Key) -> Iterator[tuple[np.ndarray | scipy.sparse.csr_array, np.ndarray]]:
    """W_l and the slopes phi'(h_l) at a standard normal input, layer after layer, without end.

    With equation (5) every W is mirrored; in a network that looks linear the first is [W; -W], all others mirrored.
    """
    name, n, degree, activation, gain = key
    x = input_point(2 * n if activation == MIRRORED else n)
    for position in itertools.count():
        weights = GAINS[gain] * layer_weights(name, n, degree, position)
        if activation in (MIRRORED, LOOKS_LINEAR):
            first, middle, _ = looks_linear([as_dense(weights)] * 3)
            weights = (first if activation == LOOKS_LINEAR and position == 0 else middle).numpy()
        x, slopes = slopes_at(activation, weights @ x)
        if activation not in ("tanh", "SiLU"):  # positive factors do not matter to the others, but x may vanish
            x = x / (np.abs(x).max() or 1.0)
        yield weights, slopes


def slopes_at(activation: str, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """phi(h) and phi'(h), for a name that a reader chooses."""
    with torch.enable_grad():
        h = torch.from_numpy(heights).requires_grad_()
        images = ACTIVATIONS[NONLINEAR.get(activation, "relu")]()(h)
        slopes = torch.autograd.grad(images.sum(), h)[0]
    return images.detach().numpy(), slopes.numpy()


class _PlainProduct:
    """As DeepProduct, of a plain product: fast, but small singular values have lost their digits, and are NaN."""

    def __init__(self, n_in: int) -> None:
        self.product, self.log = np.eye(n_in), 0.0

    def multiply(self, factor: np.ndarray | scipy.sparse.csr_array) -> None:
        self.product = factor[:, None] * self.product if factor.ndim == 1 else factor @ self.product
        largest = np.abs(self.product).max() or 1.0
        self.product, self.log = self.product / largest, self.log + math.log10(largest)

    def log10_singular_values(self) -> np.ndarray:
        values = np.linalg.svd(self.product, compute_uv=False)
        is_right = values > _RESOLVED * values[0]
        return np.log10(values, where=is_right, out=np.full(len(values), np.nan)) + self.log


@lru_cache(maxsize=800)
def _found(key: Key, deep: bool) -> dict[int, np.ndarray]:
    return {}


def spectrum_at(key: Key, depth: int, *, deep: bool = True) -> np.ndarray | None:
    """log10 of the singular values behind `depth` layers, descending, -inf for exact zeros; None before `grow_spectra`.

    Those that only a product in the log domain can tell are NaN until it has been made, and always without `deep`.
    """
    plain = _found(key, False).get(depth)
    if plain is None or not deep or not np.isnan(plain).any():
        return plain
    return _found(key, True).get(depth, plain)


def grow_spectra(key: Key, depths: tuple[int, ...], *, deep: bool = False) -> Iterator[int]:
    """Find the spectra at these depths; yields the depth reached now and then.

    Args:
        key: of `key_of`.
        depths: numbers of layers.
        deep: with the values that a plain product loses.
    """
    plain, whole = _found(key, False), _found(key, True)
    missing = {at for at in depths if at not in plain or (deep and at not in whole and np.isnan(plain[at]).any())}
    products: dict[bool, _PlainProduct | DeepProduct] = {}
    for layer, (weights, slopes) in enumerate(itertools.islice(factors(key), max(missing, default=0)), start=1):
        if not products:
            products[False] = _PlainProduct(weights.shape[1])
            products |= {True: DeepProduct(weights.shape[1])} if deep else {}
        for is_deep, product in products.items():
            factor, ended = as_dense(weights) if is_deep else weights, product
            if layer in missing and key[3] == LOOKS_LINEAR:  # such a network ends in [W, -W], the upper half of a layer
                ended = copy.deepcopy(product)
                ended.multiply(factor[: key[1]])
            product.multiply(factor)
            product.multiply(slopes)
            if layer in missing:
                yield layer
                _found(key, is_deep)[layer] = np.asarray(ended.log10_singular_values())
        if layer in missing or deep or layer % _A_STEP == 0:
            yield layer


def in_words(log: float) -> str:
    """A singular value of that decimal logarithm with two digits, or its power of ten alone where float64 has none."""
    return f"{10.0**log:.2g}" if log > -300 else f"1e{log:.0f}"


def as_dense(weights: np.ndarray | scipy.sparse.csr_array) -> np.ndarray:
    """The matrix with its zeros."""
    return weights if isinstance(weights, np.ndarray) else weights.toarray()
