"""Claims of notebook 03: the steps of Theorem 2's proof and its lemmas, enumerated or integrated."""

import itertools
import math
from collections import Counter
from functools import partial

import numpy as np
from scipy.integrate import dblquad, quad
from scipy.optimize import brentq
from scipy.stats import binom, multivariate_normal

from nbkit.claims import claim
from nbkit.measure import growth_lower_bound, growth_rms, khintchine_lower, khintchine_upper
from nbkit.weights import Discrete

__all__ = []

_BIAS = (-0.01, 0.01)
_claim = partial(claim, notebook="03", paper="trajectory growth")


def _rows(
    law: Discrete, density: float, k: int, biases: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every row of k sparse weights with its bias: weights (n, k), biases (n,), probabilities (n,)."""
    entries = [(0.0, 1 - density), *((value, density / len(law.values)) for value in law.values)]
    rows = list(itertools.product(*[entries] * k, [(bias, 1 / len(biases)) for bias in biases]))
    values = np.array([[value for value, _ in row] for row in rows])
    return values[:, :k], values[:, k], np.array([math.prod(chance for _, chance in row) for row in rows])


def _mean_length(squares: np.ndarray, chances: np.ndarray, n_rows: int) -> float:
    """E sqrt(sum of n_rows independent squares), over all combinations."""
    total, weight = squares, chances
    for _ in range(n_rows - 1):
        total, weight = np.add.outer(total, squares).ravel(), np.multiply.outer(weight, chances).ravel()
    return float(weight @ np.sqrt(total))


def _least_mean(law: Discrete, k: int, n_vectors: int) -> float:
    """The least E |u.w| of n_vectors unit vectors u in R^k, each over all values of w."""
    weights, _, chances = _rows(law, 1.0, k, (0.0,))
    u = np.vstack([np.eye(k), np.tri(k), np.random.default_rng(0).standard_normal((n_vectors, k))])
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    return float((chances @ np.abs(weights @ u.T)).min())


@_claim(
    place="Theorem 2",
    statement="E ||dz'|| >= α M √k / 2 ||dz||: all weights of two or three units enumerated, {-1, 1} and {-1, 0, 1}, "
    "α = 0.3 and 1, 60 directions",
    theirs="holds",
)
def theorem_2() -> str:
    generator, ratios = np.random.default_rng(0), []
    for values, density, k in itertools.product(((-1, 1), (-1, 0, 1)), (0.3, 1.0), (2, 3)):
        law = Discrete(values)
        weights, bias, chances = _rows(law, density, k, _BIAS)
        for z, dz in generator.standard_normal((15, 2, k)):
            squares = np.where(weights @ z + bias > 0, weights @ dz, 0.0) ** 2
            distinct, place = np.unique(squares.round(12), return_inverse=True)
            mean = _mean_length(distinct, np.bincount(place, chances), k) / np.linalg.norm(dz)
            ratios.append(mean / (growth_lower_bound(law, density) * math.sqrt(k)))
    return "holds" if min(ratios) >= 1 else "fails"


@_claim(
    place="Appendix B (further work)",
    statement="E ||dz'||² is exactly α σ_w² k / 2 ||dz||², for {-1, 0, 1} and {-3..3}, α = 0.3 and 1, biases ±0.01",
    theirs="left open",
    ours="exact",
    correction="Evenness gives E[X² 1{Y > 0}] = E[X²] / 2 for every unit, so the rms factor is known where the paper has "
    "only bounds: σ_w √(α / 2) with weights over √k.",
)
def exact_mean_square() -> str:
    generator, gaps = np.random.default_rng(1), []
    for limit, density in itertools.product((1, 3), (0.3, 1.0)):
        weights, bias, chances = _rows(law := Discrete(limit), density, 3, _BIAS)
        for z, dz in generator.standard_normal((20, 2, 3)):
            mean = 3 * float(chances @ np.where(weights @ z + bias > 0, weights @ dz, 0.0) ** 2)
            gaps.append(mean / (growth_rms(law, density) ** 2 * 3 * (dz @ dz)) - 1)
    return "exact" if max(map(abs, gaps)) < 1e-12 else f"off by {max(map(abs, gaps)):.1g}"


@_claim(
    place="section 3, stage 2",
    statement="the number of active units is binomial with mean k / 2: P(h_j > 0), {-1, 0, 1}, k = 3, α = 0.4, biases ±0.01",
    theirs="0.5",
)
def half_are_active() -> str:
    weights, bias, chances = _rows(Discrete(1), 0.4, 3, _BIAS)
    return f"{chances @ (weights @ np.array([0.3, -0.7, 0.9]) + bias > 0):.3g}"


@_claim(
    place="Remark to Theorem 2",
    statement="the bounds hold with zero biases; the proof then has P(h_j > 0) = 1/2, for one Gaussian weight, α = 0.5",
    theirs="0.5",
    ours="0.25",
    correction="A row of zeros is not active: P = (1 - (1 - α)^k) / 2. The bound holds all the same, with equality here, since "
    "such a row has X = 0 as well.",
)
def zero_bias() -> str:
    density, std = 0.5, 2.0
    active, moved = density * 0.5, density * quad(lambda w: w * math.exp(-((w / std) ** 2) / 2), 0, 40)[0]
    mean = moved / (std * math.sqrt(2 * math.pi))
    assert math.isclose(mean, density * std * math.sqrt(2 / math.pi) / 2)
    return f"{active:.3g}"


@_claim(
    place="section 1.1",
    statement="curves must leave the ray through the origin: rms growth along a ray, σ_w √(α / 2) = 1, zero biases",
    theirs="excluded",
    ours="1",
    correction="The condition only serves an inverse matrix in the proof. For dz = z, X = Y, and evenness gives the same half.",
)
def along_a_ray() -> str:
    law, density, z = Discrete((-2, 2)), 0.5, np.array([0.2, 0.5, -1.0])
    weights, _, chances = _rows(law, density, 3, (0.0,))
    return f"{math.sqrt(chances @ np.maximum(weights @ z, 0) ** 2 / (z @ z)):.3g}"


@_claim(
    place="Lemmas 1 to 4",
    statement="an even joint law stays even under an invertible map and as the law of some of its entries: enumerated for "
    "a law on {-2..2}² that is not uniform; integrated for one with a density",
    theirs="even",
)
def evenness() -> str:
    chance = {w: 1.0 + abs(w[0] + 2 * w[1]) for w in itertools.product(range(-2, 3), repeat=2)}
    mapped, marginal = Counter(), Counter()
    for (a, b), weight in chance.items():
        mapped[2 * a - b, a + 3 * b] += weight
        marginal[a] += weight
    discrete = all(math.isclose(c[_minus(at)], c[at]) for c in (mapped, marginal) for at in c)

    def density(a: float, b: float) -> float:
        return math.exp(-(a**2) - abs(a + b))

    def mapped_density(x: float, y: float) -> float:
        return density((3 * x + y) / 7, (2 * y - x) / 7) / 7

    smooth = math.isclose(mapped_density(0.4, -1.1), mapped_density(-0.4, 1.1))
    sides = [quad(lambda b, a=a: density(a, b), -40, 40, points=[-a])[0] for a in (-0.7, 0.7)]
    return "even" if discrete and smooth and math.isclose(*sides, rel_tol=1e-6) else "not even"


def _minus(at: int | tuple[int, ...]) -> int | tuple[int, ...]:
    return tuple(-entry for entry in at) if isinstance(at, tuple) else -at


@_claim(
    place="Lemma 5",
    statement="E[|X| | Y > 0] = E|X|: standard normal X, Y of correlation 0.6",
    theirs="0.798",
)
def conditioning_changes_nothing() -> str:
    joint = multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]])
    return f"{2 * dblquad(lambda x, y: abs(x) * joint.pdf((x, y)), 0, 8, -8, 8, epsabs=1e-5)[0]:.3f}"


@_claim(
    place="Lemma 6",
    statement="the same for discrete weights: {-1, 1}, z = (1, 1), dz = (1, -1), biases ±0.01: E[|X| | Y > 0], E|X|",
    theirs="1, 1",
)
def conditioning_discrete() -> str:
    return ", ".join(f"{value:.3g}" for value in _conditioned(_BIAS))


@_claim(
    place="before Lemma 6",
    statement="z chosen with knowledge of the weights' values can break it: the same without biases",
    theirs="a discrepancy",
)
def adversary() -> str:
    given, plain = _conditioned((0.0,))
    return "a discrepancy" if (given, plain) == (0.0, 1.0) else "none"


def _conditioned(biases: tuple[float, ...]) -> tuple[float, float]:
    """E[|X| | Y > 0] and E|X| of weights ±1, z = (1, 1), dz = (1, -1)."""
    weights, bias, chances = _rows(Discrete((-1, 1)), 1.0, 2, biases)
    x, y = np.abs(weights @ (1, -1)), weights @ (1, 1) + bias
    return float(chances @ (x * (y > 0)) / (chances @ (y > 0))), float(chances @ x)


@_claim(
    place="before Lemma 6",
    statement="for z that does not know the weights P(Y = 0) = 0: rows of {-3..3}, k = 3, with Y = 0, of 1,000 random z",
    theirs="0",
)
def no_ties() -> str:
    weights, bias, _ = _rows(Discrete(3), 1.0, 3, _BIAS)
    z = np.random.default_rng(0).standard_normal((3, 1000))
    return str(int((weights @ z + bias[:, None] == 0).sum()))


@_claim(
    place="Lemma 7, inequality (46)",
    statement="α ||u|| <= E ||u_J|| <= √α ||u||: all subsets of 8 entries, 20 random u, α = 0.1, 0.5, 0.9",
    theirs="holds",
)
def subvector_bounds() -> str:
    vectors = np.random.default_rng(0).standard_normal((8, 20))
    means = {a: _mean_subvector(vectors, a) for a in (0.1, 0.5, 0.9)}
    return "holds" if all((a <= m).all() and (m <= math.sqrt(a)).all() for a, m in means.items()) else "fails"


def _mean_subvector(vectors: np.ndarray, density: float) -> np.ndarray:
    """E ||u_J|| / ||u|| of every column u, all index sets J enumerated."""
    kept = np.array(list(itertools.product((0, 1), repeat=len(vectors))))
    norms = np.sqrt(kept @ vectors**2)
    chances = density ** kept.sum(axis=1) * (1 - density) ** (len(vectors) - kept.sum(axis=1))
    return chances @ norms / norms[-1]


@_claim(
    place="Fig. 4b",
    statement="the lower bound is attained by u = (1, 0, ..., 0): E ||u_J|| at α = 0.3",
    theirs="0.3",
)
def single_entry() -> str:
    return f"{_mean_subvector(np.eye(8)[:, :1], 0.3)[0]:.3g}"


@_claim(
    place="Lemma 8",
    statement="A_p E(ΣX²)^(p/2) <= E|ΣX|^p <= B_p E(ΣX²)^(p/2): signs ±a_i enumerated, 60 random a in R^10, p = 1, 1.5, 3, 4",
    theirs="holds",
)
def marcinkiewicz_zygmund() -> str:
    signs = np.array(list(itertools.product((-1, 1), repeat=10)))
    a = np.vstack([np.ones(10), np.random.default_rng(0).standard_normal((59, 10))])
    sums, norms = np.abs(signs @ a.T), np.linalg.norm(a, axis=1)
    means = {p: (sums**p).mean(axis=0) / norms**p for p in (1, 1.5, 3, 4)}
    inside = [khintchine_lower(p) <= m.min() and m.max() <= khintchine_upper(p) for p, m in means.items()]
    return "holds" if all(inside) else "fails"


@_claim(
    place="Lemmas 8, 9",
    statement="for centred independent X_i, E|ΣX| / E √(ΣX²) is at most B_1: 100 variables, each 1 with chance 0.001 or "
    "else -0.001 / 0.999",
    theirs="1",
    ours="1.7",
    correction="These constants need symmetric X_i (Khintchine's inequality). The paper uses them for symmetric ones only.",
)
def centred_is_not_enough() -> str:
    n, chance = 100, 0.001
    hits, low = np.arange(n + 1), chance / (1 - chance)
    chances = binom.pmf(hits, n, chance)
    sums, squares = np.abs(hits - (n - hits) * low), hits + (n - hits) * low**2
    return f"{chances @ sums / (chances @ np.sqrt(squares)):.1f}"


@_claim(
    place="Lemma 9",
    statement="p_0, where the two formulas of the best A_p meet",
    theirs="1.84742",
)
def where_the_constants_meet() -> str:
    def gap(p: float) -> float:
        moment = quad(lambda g: 2 * g**p * math.exp(-g * g / 2), 0, 40)[0] / math.sqrt(2 * math.pi)
        return moment - 2 ** (p / 2 - 1)

    return f"{brentq(gap, 1.5, 1.95):.5f}"


@_claim(
    place="Lemma 9",
    statement="A_1 = 1 / √2 is the best constant: E|w_1 + w_2| / √2 for w_i = ±1",
    theirs="0.707",
)
def attained() -> str:
    return f"{_least_mean(Discrete((-1, 1)), 2, 0):.3f}"


@_claim(
    place="Lemma 10",
    statement="E|Σ a w| >= C ||a|| / (2 √2) for uniform w: 40 random a in R^1 to R^8, by the characteristic function",
    theirs="holds",
)
def uniform_sums() -> str:
    generator = np.random.default_rng(0)
    vectors = [generator.standard_normal(1 + i % 8) for i in range(40)]
    least = min(_mean_of_uniform_sum(a / np.linalg.norm(a)) for a in vectors)
    return "holds" if least >= 1 / (2 * math.sqrt(2)) else "fails"


def _mean_of_uniform_sum(a: np.ndarray) -> float:
    """E|Σ a w| = 2 / π ∫ (1 - φ(t)) / t² dt over t > 0, φ the characteristic function, w uniform on [-1, 1]."""
    t = (np.arange(40_000) + 0.5) / 200
    phi = np.prod(np.sinc(np.outer(a, t) / math.pi), axis=0)
    return 2 / math.pi * (float(((1 - phi) / t**2).sum()) / 200 + 1 / 200)  # beyond t = 200 only 1 / t² counts


@_claim(
    place="Lemma 11",
    statement="E|Σ a w| >= (Σ|w|) ||a|| / (√2 N_w), all w enumerated: {-1, 0, 1} and {-3..3}, 500 random a in R^4",
    theirs="holds",
)
def discrete_sums() -> str:
    least = {limit: _least_mean(Discrete(limit), 4, 500) for limit in (1, 3)}
    return "holds" if least[1] >= 2 / (3 * math.sqrt(2)) and least[3] >= 12 / (7 * math.sqrt(2)) else "fails"


@_claim(
    place="Lemma 12",
    statement="a one-to-one map of a uniform discrete vector is uniform on its image: {-1, 0, 1}³ under x -> (x1 + 2 x2, x2 - x3, x1³ + x3)",
    theirs="uniform",
)
def one_to_one() -> str:
    image = Counter((a + 2 * b, b - c, a**3 + c) for a, b, c in itertools.product((-1, 0, 1), repeat=3))
    return "uniform" if len(image) == 27 and set(image.values()) == {1} else f"{len(image)} of 27 images"
