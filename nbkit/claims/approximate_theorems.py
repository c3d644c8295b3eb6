"""Claims of notebook 08 about Theorems 3 and 4: balls, widths, errors, and what the proofs need (radial networks, 4)."""

import itertools
import math
from fractions import Fraction
from functools import cache, partial

import numpy as np
import torch

from nbkit.claims import claim
from nbkit.nets import RadialNet, approximate_affine, approximate_bounded, balls_needed, cover_box

__all__ = []

_EPS = 0.05
_HALF = math.sqrt(math.log(1 / _EPS))  # outside [-_HALF, _HALF] exp(-x^2) is below eps
_claim = partial(claim, notebook="08", paper="radial networks")


def _bell(x: torch.Tensor) -> torch.Tensor:
    return torch.exp(-(x**2))


@cache
def _balls() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    cover = cover_box(-_HALF, _HALF, lipschitz=math.sqrt(2 / math.e), eps=_EPS)
    return cover.centers, cover.radii, _bell(cover.centers)


def _largest_error(net: RadialNet, reach: float) -> float:
    x = torch.linspace(-reach, reach, 4001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        return float((net(x) - _bell(x)).abs().max())


def _step_relu(z: np.ndarray) -> np.ndarray:
    """Equation (3.1)."""
    return z * (np.linalg.norm(z, axis=-1, keepdims=True) >= 1)


@_claim(
    place="section 4.1",
    statement="Sᵢ ∘ ρ ∘ Tᵢ maps what lies in ball i to, and everything else (swallowed points included) to",
    theirs="cᵢ + eᵢ, itself",
)
def one_layer() -> str:
    generator = np.random.default_rng(0)
    for n, earlier in itertools.product((1, 2, 5), (0, 1, 3)):
        centers, radius = generator.standard_normal((earlier + 1, n)), generator.uniform(0.1, 0.9)
        h, width = math.sqrt(1 - radius**2), n + earlier + 1
        center, e = np.pad(centers[-1], (0, earlier + 1)), np.eye(width)[-1]
        steps = generator.standard_normal((200, n))
        steps *= generator.uniform(0, 3 * radius, (200, 1)) / np.linalg.norm(steps, axis=1, keepdims=True)
        swallowed = np.hstack([centers[:-1], np.eye(earlier, earlier + 1)])
        points = np.vstack([np.pad(centers[-1] + steps, ((0, 0), (0, earlier + 1))), swallowed])
        z = _step_relu(points - center + h * e)
        images = z - (1 + 1 / h) * np.outer(z[:, -1], e) + center + e
        inside = np.append(np.linalg.norm(steps, axis=1) < radius, np.zeros(earlier, dtype=bool))
        assert np.abs(images - np.where(inside[:, None], center + e, points)).max() < 1e-12
    return "cᵢ + eᵢ, itself"


@_claim(
    place="Theorem 3",
    statement="hidden widths for functions of Rⁿ and N balls",
    theirs="n + 1, n + 2, ..., n + N",
)
def growing_widths() -> str:
    for n, n_balls in itertools.product((1, 2, 5), (1, 4)):
        net = approximate_affine(np.zeros((n_balls, n)), 0.5, np.zeros(n_balls))
        assert net.widths == (n, *(n + i for i in range(1, n_balls + 1)), 1)
    return "n + 1, n + 2, ..., n + N"


@_claim(
    place="Theorem 3",
    statement="layers of that network",
    theirs="N",
    ours="N + 1",
    correction="N hidden layers, as Theorem 4 says of its own. By section 3 a network with N hidden widths has N + 1 layers.",
)
def number_of_layers() -> str:
    net = approximate_affine(*_balls())
    return {0: "N", 1: "N + 1"}[len(net.linears) - len(_balls()[0])]


@_claim(
    place="Theorem 3",
    statement="exp(−x²), ε = 0.05: |F − f| on the whole line, here |x| <= 6, and F = L = 0 at 10, 10³, 10⁶",
    theirs="below 0.05",
)
def error_of_theorem_3() -> str:
    net = approximate_affine(*_balls())
    far = torch.tensor([[-1e6], [-10.0], [10.0], [1e3], [1e6]], dtype=torch.float64)
    assert _largest_error(net, 6) < _EPS and net(far).abs().max() < 1e-9
    return "below 0.05"


@_claim(
    place="section 4.1",
    statement="|F(x) − f(x)| if |f − f(c)| < ε is asked of the part of a ball inside K: f = 100 x, K = {0}, r = 0.9, ε = "
    "1, x = 1/2",
    theirs="below 1",
    ours="50",
    correction="It must be asked of the whole ball. What sticks out of K is swallowed too: there the error may be anything up "
    "to 3 ε + r |A|, for L(x) = A x + b.",
)
def part_of_the_ball() -> str:
    net = approximate_affine([0.0], 0.9, [0.0], linear=([[100.0]], [0.0]))
    x = torch.tensor([[-0.95], [0.5], [0.95]], dtype=torch.float64)
    errors = (net(x) - 100 * x).abs().flatten().tolist()
    assert max(errors[0], errors[2]) < 1e-9  # outside the ball F is L
    return f"{errors[1]:.0f}"


@_claim(
    place="footnote 2",
    statement="balls enough for f(x) = x on [0, 1], ε = 1/4: ⌈R √n / (2 ε)⌉ⁿ",
    theirs="2",
    ours="3",
    correction="Balls are open: where the ratio is an integer, that many leave a point bare. ⌊R √n / (2 ε)⌋ + 1 along each "
    "axis is enough, as long as radii stay below 1, which the footnote also forgets.",
)
def count_of_the_footnote() -> str:
    # One ball holds no two of these: its points are less than 1/4 from f(c), so less than 1/2 from each other.
    apart = [Fraction(0), Fraction(1, 2), Fraction(1)]
    assert all(b - a >= Fraction(1, 2) for a, b in itertools.pairwise(apart))
    cover = cover_box(0, 1, lipschitz=1, eps=0.25)
    x = torch.linspace(0, 1, 10001, dtype=torch.float64)
    assert len(cover.radii) == len(apart) and bool(((x[:, None] - cover.centers[:, 0]).abs() < 0.25).any(dim=1).all())
    return str(len(cover.radii))


@_claim(
    place="footnote 2",
    statement="balls enough for f = 0.1 x₁ on the unit cube of R⁴, ε = 1",
    theirs="1",
    ours="more than 1",
    correction="Corners are 1 away from the middle and radii must be below 1, for hᵢ = √(1 − r²) is divided by.",
)
def radii_below_1() -> str:
    corners = np.array(list(itertools.product((0, 1), repeat=4)))
    assert np.linalg.norm(corners - 0.5, axis=1).min() >= 1  # and two of them are 2 apart: no other centre does better
    return "more than 1" if balls_needed(np.zeros(4), np.ones(4), lipschitz=0.1, eps=1) > 1 else "1"


@_claim(
    place="Theorem 4",
    statement="hidden widths for functions from Rⁿ to Rᵐ, N of them; |F − f| for exp(−x²) and ε = 0.05",
    theirs="n + m + 1; below 0.05",
)
def bounded_widths() -> str:
    for n, m in itertools.product((1, 2, 5), repeat=2):
        net = approximate_bounded(np.zeros((4, n)), 0.5, np.zeros((4, m)))
        assert net.widths == (n, *[n + m + 1] * 4, m)
    return f"n + m + 1; {'below' if _largest_error(approximate_bounded(*_balls()), 6) < _EPS else 'above'} 0.05"


@_claim(
    place="section 4.2",
    statement="how small s must be, so that different balls do not interfere",
    theirs="not said",
    ours="at most the least |f(cᵢ) − f(cⱼ)|",
    addition="The proof is not in the text at hand, this bound is ours: values that differ land at least 1 apart.",
)
def size_of_s() -> str:
    centers, values, h = np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.3, 1.0]), math.sqrt(1 - 0.4**2)
    told = []
    for s in (0.3, 0.6):  # the least distance between values, and twice that
        z = np.column_stack([centers, np.zeros(3), np.zeros(3)])  # (x, y, theta)
        for center, y in zip(centers, values / s, strict=True):
            t = z[:, 2]
            z = _step_relu(np.column_stack([z[:, 0] - (1 - t) * center, z[:, 1] - t * y, (1 - t) * h]))
            t = 1 - z[:, 2] / h
            z = np.column_stack([z[:, 0] + (1 - t) * center, z[:, 1] + t * y, t])
        told.append(np.allclose(s * z[:, 1], values))
    return "at most the least |f(cᵢ) − f(cⱼ)|" if told == [True, False] else str(told)


@_claim(
    place="section 4.2",
    statement="hidden widths if only a compact K matters; |F − f| on K for exp(−x²) and ε = 0.05",
    theirs="max(n, m) + 1; below 0.05",
)
def compact_widths() -> str:
    for n, m in itertools.product((1, 2, 5), repeat=2):
        net = approximate_bounded(np.zeros((4, n)), 0.5, np.zeros((4, m)), compact=True)
        assert net.widths == (n, *[max(n, m) + 1] * 4, m)
    error = _largest_error(approximate_bounded(*_balls(), compact=True), _HALF)
    return f"max(n, m) + 1; {'below' if error < _EPS else 'above'} 0.05"


@_claim(
    place="section 4.2",
    statement="hidden widths on a compact K with more layers",
    theirs="max(n, m)",
    ours="not 1 for n = m = 1",
    reason="No construction is printed. With the functions of Example 1 there is none for n = m = 1: on the line each of "
    "them is monotone, so is a network of width 1, and exp(−x²) stays 0.47 away from every monotone function.",
)
def width_of_one() -> str:
    generator = np.random.default_rng(0)
    x = torch.linspace(-2, 2, 2001, dtype=torch.float64)[:, None]
    for name in ("step_relu", "squash", "shifted_relu"):
        for _ in range(50):
            weights, biases = generator.standard_normal((9, 1, 1)) * 2, generator.standard_normal((9, 1))
            steps = RadialNet.of(list(weights), list(biases), name)(x).detach().diff(dim=0)
            assert (steps >= -1e-12).all() or (steps <= 1e-12).all()
    # f(0) - f(+-_HALF) = 1 - eps: a monotone F is on the wrong side of one of the three by half of it
    assert 0.47 < (1 - math.exp(-(_HALF**2))) / 2 < 0.48
    return "not 1 for n = m = 1"
