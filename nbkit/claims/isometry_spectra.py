"""Claims of notebook 05 about spectra: the singular values of layers and of end-to-end Jacobians."""

import itertools
from collections.abc import Sequence
from functools import cache, partial

import numpy as np
import torch
from scipy.stats import ks_2samp

from nbkit.claims import claim
from nbkit.device import one_thread, spawn_generators
from nbkit.topology import biregular, magnitude_pruned, random_pruned
from nbkit.weights import Gaussian, Uniform, looks_linear_block, orthogonal, random_on_mask

__all__ = []

_N = 256
_PHI = {
    "linear": (lambda h: h, np.ones_like),
    "tanh": (np.tanh, lambda h: 1 - np.tanh(h) ** 2),
    "ReLU": (lambda h: np.maximum(h, 0), lambda h: 1.0 * (h > 0)),
    "SiLU": (lambda h: h / (1 + np.exp(-h)), lambda h: (1 + np.exp(-h) * (1 + h)) / (1 + np.exp(-h)) ** 2),
}
_claim = partial(claim, notebook="05", paper="SAO")


def _haar(n: int, generator: np.random.Generator) -> np.ndarray:
    """A dense orthogonal matrix, by hand."""
    q, r = torch.linalg.qr(torch.from_numpy(generator.standard_normal((n, n))))
    return (q * r.diagonal().sign()).numpy()


@cache
@one_thread()
def _layers(method: str, depth: int, degree: int = 4, gain: float = 1.0) -> tuple[np.ndarray, ...]:
    """Square layers of one of the methods that Table 6 compares, all of one density but the dense ones."""
    return tuple(gain * _layer(method, degree, seed) for seed in spawn_generators(0, depth))


def _layer(method: str, degree: int, seed: np.random.Generator) -> np.ndarray:
    if method in ("SAO", "RG-N", "RG-U"):
        mask = biregular(_N, _N, degree, seed=seed)
        law = Uniform.of_std(1.0) if method == "RG-U" else Gaussian(1.0)
        return (orthogonal(mask, seed=seed) if method == "SAO" else random_on_mask(mask, law, seed=seed)).numpy()
    dense = _haar(_N, seed)
    if method == "LMP":
        return dense * magnitude_pruned([dense], degree / _N)[0].mask().numpy()
    if method == "LRP":
        return dense * random_pruned([dense], degree / _N, seed=seed)[0].mask().numpy()
    return dense


@one_thread()
def _jacobian_values(weights: Sequence[np.ndarray], activation: str, scale: float = 1.0) -> np.ndarray:
    """Singular values of the end-to-end Jacobian at a Gaussian input, equation (3) multiplied out."""
    phi, slope = _PHI[activation]
    x = scale * _input(weights[0].shape[1])
    product = torch.eye(len(x), dtype=torch.float64)
    for matrix in weights:
        h = matrix @ x
        product, x = torch.from_numpy(slope(h))[:, None] * (torch.from_numpy(matrix) @ product), phi(h)
    return torch.linalg.svdvals(product).numpy()


def _input(n: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(n)


def _linear_values(weights: Sequence[np.ndarray]) -> str:
    return _in_words(_jacobian_values(weights, "linear"))


def _in_words(values: np.ndarray) -> str:
    return " and ".join(f"{value:.3g}" for value in np.unique(values.round(9))[::-1])


@_claim(
    place="section II-B",
    statement="an orthogonal matrix with one entry set to 0 has a Gram matrix that",
    theirs="is no longer the identity",
)
def zeroing_an_entry() -> str:
    matrix = _haar(16, np.random.default_rng(0))
    for i, j in itertools.product(range(16), repeat=2):
        pruned = matrix.copy()
        pruned[i, j] = 0
        if np.abs(pruned @ pruned.T - np.eye(16)).max() < 1e-9:
            return "may stay the identity"
    return "is no longer the identity"


@_claim(
    place="section III-B",
    statement="singular values of a linear network of 50 orthogonal layers; on SAO masks, d = 4",
    theirs="1; 1",
)
def linear_isometry() -> str:
    return "; ".join(_linear_values(_layers(method, 50)) for method in ("dense", "SAO"))


@_claim(
    place="section III-C",
    statement="with all weights scaled by 1.1, singular values of 60 orthogonal layers, linear",
    theirs="not given",
    ours="304",
    addition="Scaled, no layer is an isometry: 1.1 to the power of the depth. The paper scales tanh networks, where the "
    "factor works against slopes below 1, and the singular values spread instead of vanishing.",
)
def scaled_weights() -> str:
    return _linear_values(_layers("SAO", 60, gain=1.1))


@_claim(
    place="section V-B",
    statement="singular values that nonlinear activations introduce, with orthogonal weights: tanh, ReLU, SiLU",
    theirs="above and below 1",
    ours="below 1, below 1, above and below 1",
    correction="The slopes of tanh and ReLU are at most 1, so no singular value exceeds 1 at any depth. The slope of "
    "SiLU reaches 1.1. Values above 1 come from random weights, from pruned ones, or from a gain.",
)
def above_and_below_one() -> str:
    told = []
    for activation in ("tanh", "ReLU", "SiLU"):
        values = np.concatenate([_jacobian_values(_layers("SAO", depth), activation) for depth in (1, 10)])
        told.append("above and below 1" if values.max() > 1 + 1e-9 else "below 1")
    return ", ".join(told)


@_claim(
    place="section V-B",
    statement="sigmoidal activations can bring most singular values near unity: 20 tanh layers, inputs of size 0.01",
    theirs="near 1",
)
def small_inputs() -> str:
    values = _jacobian_values(_layers("SAO", 20), "tanh", scale=0.01)
    return "near 1" if np.median(values) > 0.99 else f"{np.median(values):.2f}"


@_claim(
    place="section V-B",
    statement="null singular values of one layer with orthogonal weights: ReLU, SiLU",
    theirs="sizeable, none",
)
def null_values_of_relu() -> str:
    shares = [(_jacobian_values(_layers("SAO", 1), activation) < 1e-9).mean() for activation in ("ReLU", "SiLU")]
    return ", ".join("sizeable" if 0.4 < share < 0.6 else "none" if share == 0 else f"{share:.2f}" for share in shares)


@_claim(
    place="equation (5)",
    statement="[[H, -H], [-H, H]] with an orthonormal H is an orthonormal matrix: its singular values",
    theirs="1",
    ours="2 and 0",
    correction="Half of its directions are lost, by itself it is no isometry. Its use is between mirrored layers: relu(z) "
    "- relu(-z) = z.",
)
def mirrored_matrix() -> str:
    return _linear_values([looks_linear_block(_haar(8, np.random.default_rng(0))).numpy()])


@_claim(
    place="equation (5)",
    statement="with it in every layer, and a ReLU behind each, the Jacobian's singular values at depth 1, 2, 5, 20",
    theirs="not given",
    ours="1.41 and 0",
    addition="At every depth, half of them each. With a first layer [W; -W] and a last [W, -W], which the paper does not "
    "mention, the whole network has singular values 1 only.",
)
def mirrored_network() -> str:
    told, generator = set(), np.random.default_rng(0)
    for depth in (1, 2, 5, 20):
        halves = [_haar(8, generator) for _ in range(depth)]
        values = _jacobian_values([np.kron([[1, -1], [-1, 1]], half) for half in halves], "ReLU")
        told.add(_in_words(values))
        first, last = np.vstack([halves[0], -halves[0]]), np.hstack([halves[-1], -halves[-1]])
        behind = [np.kron([[1, -1], [-1, 1]], half) for half in halves[1:]]
        x, product = generator.standard_normal(8), np.eye(8)
        for matrix in (first, *behind):
            h = matrix @ x
            x, product = np.maximum(h, 0), (h > 0)[:, None] * (matrix @ product)
        assert np.allclose(np.linalg.svd(last @ product, compute_uv=False), 1)
    return "; ".join(told)


@_claim(
    place="Fig. 9",
    statement="methods that give a linear layer null singular values at 99.2 % sparsity",
    theirs="LMP, LRP, RG-N, RG-U",
    ours="LMP, LRP",
    correction="Random weights on a regular mask make blocks that are singular with probability 0: small singular "
    "values, no null ones. Pruning leaves dead rows and columns, and those are null.",
)
def null_values() -> str:
    methods = ("LMP", "LRP", "RG-N", "RG-U")
    return ", ".join(m for m in methods if _jacobian_values(_layers(m, 1, 2), "linear")[-1] < 1e-9)


@_claim(
    place="Fig. 10, Table 6",
    statement="one SAO layer, d = 2, has the singular values of a dense orthogonal one (KS test, p > 0.05): linear, tanh, ReLU",
    theirs="alike, alike, alike",
)
def indistinguishable() -> str:
    told = []
    for activation in ("linear", "tanh", "ReLU"):
        dense, sao = (_jacobian_values(_layers(method, 1, 2), activation).round(6) for method in ("dense", "SAO"))
        told.append("alike" if ks_2samp(dense, sao).pvalue > 0.05 else "different")
    return ", ".join(told)


@_claim(
    place="Fig. 10, Table 6",
    statement="what that says about the sparse weights",
    theirs="they keep the training dynamics",
    ours="nothing, a permutation does the same",
    correction="For every square orthogonal W, dense, sparse or a permutation, the singular values of D W are |φ'(h)| "
    "exactly. Only products of layers tell such weights apart.",
)
def automatic() -> str:
    generator = np.random.default_rng(0)
    for weights in (_layers("dense", 1)[0], _layers("SAO", 1, 2)[0], np.eye(_N)[generator.permutation(_N)]):
        for activation, (_, slope) in _PHI.items():
            steep = np.abs(slope(weights @ _input(_N)))
            if not np.allclose(_jacobian_values([weights], activation), np.sort(steep)[::-1], rtol=0, atol=1e-12):
                return "they keep the training dynamics"
    return "nothing, a permutation does the same"


@_claim(
    place="Table 6",
    statement="p-value of the KS test between dense and SAO, linear",
    theirs="lost",
    ours="1",
    addition="The table's numbers are missing in the text at hand. Both samples are 1 plus rounding noise, so that the raw "
    "test compares two algorithms and can say anything; here they are rounded to six digits first.",
)
def p_value_linear() -> str:
    dense, sao = (_jacobian_values(_layers(method, 1, 2), "linear").round(6) for method in ("dense", "SAO"))
    return f"{ks_2samp(dense, sao).pvalue:.3g}"


@_claim(
    place="Table 6",
    statement="all other techniques differ from dense (p < 0.001; linear, tanh and ReLU): RG-N, RG-U, LMP, LRP",
    theirs="RG-N, RG-U, LMP, LRP",
)
def distinguishable() -> str:
    differ = []
    for method in ("RG-N", "RG-U", "LMP", "LRP"):
        p_values = []
        for activation in ("linear", "tanh", "ReLU"):
            pair = (_jacobian_values(_layers(m, 1, 2), activation).round(6) for m in ("dense", method))
            p_values.append(ks_2samp(*pair).pvalue)
        differ += [method] if max(p_values) < 0.001 else []
    return ", ".join(differ)


@_claim(
    place="Fig. 11",
    statement="whose Jacobians have singular values of higher variance than both dense and SAO, tanh, d = 4, 10 and 50 layers, "
    "at birth",
    theirs="RG-U, RG-N",
)
def variances_at_birth() -> str:
    spread = {method: [values.var() for values in _deep_values(method)] for method in ("dense", "SAO", "RG-U", "RG-N")}
    lowest = np.maximum(spread["dense"], spread["SAO"])
    return ", ".join(method for method in ("RG-U", "RG-N") if (spread[method] > lowest).all())


@_claim(
    place="Fig. 11",
    statement="mean of the singular values of RG-N networks, tanh, d = 4, 10 and 50 layers",
    theirs="close to 1",
    ours="below dense and SAO, falling",
    reason="Fig. 11 has trained networks, a later notebook; here they are at birth. A mean near 1 (0.8) is what one RG "
    "layer has; of a deep product most singular values are tiny and a few are large.",
)
def means_at_birth() -> str:
    means = {method: [values.mean() for values in _deep_values(method)] for method in ("dense", "SAO", "RG-N")}
    falling = means["RG-N"][1] < means["RG-N"][0] / 2
    below = (np.array(means["RG-N"]) < np.minimum(means["dense"], means["SAO"])).all()
    return "below dense and SAO, falling" if falling and below else "not so"


def _deep_values(method: str) -> list[np.ndarray]:
    """Of 10 tanh layers, and of 50."""
    return [_jacobian_values(_layers(method, 50)[:depth], "tanh") for depth in (10, 50)]
