"""Claims of notebook 10 about what is minimised: neurons, (2), weight decay and Theorem 1, by minimisers in numpy."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy.optimize import linprog, minimize_scalar

from nbkit.claims import claim

__all__ = []

_N, _K, _BOTTLENECK = 81, 1296, 16  # samples, neurons a layer and d_1 of the paper's experiments
_NEURON = (1.0, -2.0), (3.0, 4.0)
_claim = partial(claim, notebook="10", paper="RBV²")


def _least(out: Sequence[float], into: Sequence[float], norm: int) -> float:
    """The least |v / a|_norm^2 + |a w|_2^2 over a > 0, looked for on ln a."""
    v, w = (np.asarray(side, dtype=np.float64) for side in (out, into))
    size = np.linalg.norm(v, norm) ** 2, w @ w
    found = minimize_scalar(lambda t: size[0] * np.exp(-2 * t) + size[1] * np.exp(2 * t), bracket=(-1, 1), tol=1e-12)
    return float(found.fun)


def _turning(v: float, w: float, b: float) -> float:
    """Total variation of the slope of x -> v relu(w x - b), RTV^2 in one dimension, from values around its kink."""
    x = b / w + np.linspace(-1, 1, 101)
    slopes = np.diff(v * np.maximum(w * x - b, 0)) / np.diff(x)
    return float(np.abs(np.diff(slopes)).sum())


@_claim(
    place="section 2, (2)",
    statement="a neuron v = (1, -2), w = (3, 4), rescaled at will, costs 2 |v|₁ |w|₂ in (2) (implied)",
    theirs="30",
)
def balance() -> str:
    assert math.isclose(_least(*_NEURON, 1), 2 * 3 * 5, rel_tol=1e-9)
    return f"{_least(*_NEURON, 1):.3g}"


@_claim(
    place="section 2, (2)",
    statement="how many times the RTV² of one neuron (2) takes for it, over λ: one input and output, 20 random neurons",
    theirs="1",
    ours="2",
    correction="(2) regularises with 2λ on the neurons, not λ: a factor 1/2 before the squares is missing. The skips have λ.",
)
def missing_half() -> str:
    neurons = np.random.default_rng(0).normal(size=(20, 3))
    times = {round(_least([v], [w], 1) / _turning(v, w, b), 6) for v, w, b in neurons}
    return ", ".join(f"{value:g}" for value in times)


@_claim(
    place="section 1",
    statement="the least sum of squares of a neuron's weights is that of (2), with one output (20 random neurons)",
    theirs="equal",
)
def single_output() -> str:
    neurons = np.random.default_rng(0).normal(size=(20, 4))
    pairs = [(_least(v[:1], v[1:], 1), _least(v[:1], v[1:], 2)) for v in neurons]
    return "equal" if np.allclose(*zip(*pairs, strict=True), rtol=1e-9) else "different"


@_claim(
    place="abstract",
    statement="what weight decay takes for v = (1, -2), w = (3, 4), at least; 'standard weight decay … corresponds exactly'",
    theirs="30, as (2)",
    ours="22.4",
    correction="It takes 2 |v|₂ |w|₂. The two agree where a neuron has one output; with more, (2) asks for few of them.",
)
def several_outputs() -> str:
    return f"{_least(*_NEURON, 2):.3g}"


@_claim(
    place="abstract; section 3",
    statement="'squared ℓ²-norm on all parameters' takes the same for relu(x) and relu(x - 3), whose RTV² is 1 each (implied)",
    theirs="2 and 2",
    ours="2 and 6.32",
    correction="The bias is a parameter too, so that a kink far from 0 costs more. (2) leaves biases free.",
)
def biases_decay() -> str:
    assert all(math.isclose(_turning(1, 1, bias), 1, rel_tol=1e-9) for bias in (0, 3))
    return " and ".join(f"{_least([1], [1, bias], 2):.3g}" for bias in (0, 3))


@_claim(
    place="below (2)",
    statement="(v, w) are 'the weights into and out of' a neuron; as Theorem 1 writes them, v has one entry for each",
    theirs="input",
    ours="output",
    correction="In Theorem 1 v is a column of V, which stands behind ρ: v leads out, w leads in.",
)
def into_and_out_of() -> str:
    n_in, n_out, n_neurons = 3, 2, 5
    draw = np.random.default_rng(0).normal
    V, W = draw(size=(n_out, n_neurons)), draw(size=(n_neurons, n_in))
    assert (V @ np.maximum(W @ draw(size=n_in), 0)).shape == (n_out,)
    return {n_in: "input", n_out: "output"}[len(V[:, 0])]


@_claim(
    place="section 2, (2); section 3",
    statement="the λ of section 3, with mean squared errors, in units of the λ of (2), with a sum over 81 samples",
    theirs="1 (implied)",
    ours="81",
    correction="Dividing (2) by N leaves the mean and λ / N. Here λ stands beside the mean, as in section 3.",
)
def sum_or_mean() -> str:
    gaps = np.random.default_rng(0).normal(size=_N)
    return f"{(gaps**2).sum() / (gaps**2).mean():.3g}"


@_claim(
    place="section 3",
    statement="the 'sparsity' of a matrix with one entry of 1 and three of 0",
    theirs="0.75, were it one",
    ours="0.25",
    correction="It is a density, the share of entries that stand: in Fig. 2 lower is sparser.",
)
def sparsity_is_a_density() -> str:
    return f"{np.mean(np.abs([[1, 0], [0, 0]]) > 1e-3):g}"


@_claim(
    place="section 3",
    statement="the mean square 0.313 of the outputs is within one standard deviation of what one output a sample gives "
    "(implied)",
    theirs="yes",
)
def one_output() -> str:
    # The square of a uniform number on [-1, 1] has mean 1/3 and variance 1/5 - 1/9; 1,296 outputs would be 2.4 off.
    gap = abs(0.313 - 1 / 3) / math.sqrt(1 / 5 - 1 / 9)
    assert gap * math.sqrt(_N * _BOTTLENECK) > 2.4
    return "yes" if gap * math.sqrt(_N) < 1 else "no"


@_claim(
    place="Theorem 1; section 3",
    statement="K = 1296 is the least width that meets K ≤ N d₁ for certain: 81 samples, d₁ = 16 (implied)",
    theirs="1296",
)
def enough_neurons() -> int:
    return _N * _BOTTLENECK


@_claim(
    place="Theorem 1",
    statement="some best fit needs at most N d_l neurons; one input, one output, one layer, 20 sets of N = 7 points, exact fit",
    theirs="at most 7",
)
def representer() -> str:
    # The simplex method ends in a corner of the neurons' weights; two skips are free. N - 2 = 5 is what it ends with.
    x, kinks = np.linspace(-1, 1, 7), np.linspace(-1, 1, 61)
    neurons = np.maximum(x[:, None] - kinks, 0)
    fits = np.hstack([neurons, -neurons, np.stack([x, -x, np.ones(7), -np.ones(7)], axis=1)])
    cost = np.repeat([1.0, 0.0], [2 * len(kinks), 4])
    counts = []
    for y in np.random.default_rng(0).uniform(-1, 1, size=(20, 7)):
        found = linprog(cost, A_eq=fits, b_eq=y, method="highs-ds")
        slopes = np.diff(y) / np.diff(x)
        assert math.isclose(found.fun, np.abs(np.diff(slopes)).sum(), rel_tol=1e-9)
        counts.append(int((found.x[: 2 * len(kinks)] > 1e-9).sum()))
    return "at most 7" if max(counts) <= 7 else f"up to {max(counts)}"


@_claim(
    place="section 2",
    statement="the rank of A⁽²⁾ = W⁽²⁾V⁽¹⁾ of the paper's size, 1296 × 1296, at birth: bounded by the architecture, before "
    "any training",
    theirs="16",
)
def rank_at_birth() -> int:
    rng = np.random.default_rng(0)
    W, V = rng.uniform(-1, 1, size=(_K, _BOTTLENECK)), rng.uniform(-1, 1, size=(_BOTTLENECK, _K))
    # A = W V has the singular values of R L', the triangles of W and of V transposed.
    return int(np.linalg.matrix_rank(np.linalg.qr(W)[1] @ np.linalg.qr(V.T)[1].T))
