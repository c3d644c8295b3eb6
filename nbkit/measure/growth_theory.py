"""What is known about growth without drawing a network: the paper's bounds, the exact mean square, the lemmas' constants."""

import math
from collections.abc import Sequence

import numpy as np
import scipy.optimize
import scipy.special
import torch

from nbkit.device import as_array
from nbkit.errors import NbkitError, check_integer, check_integers, check_number, show
from nbkit.topology import Topology
from nbkit.weights import Law
from nbkit.weights.laws import check_law

__all__ = [
    "growth_delta",
    "growth_lower_bound",
    "growth_rms",
    "growth_rms_through",
    "khintchine_lower",
    "khintchine_p0",
    "khintchine_upper",
    "log_mean_squares",
    "subvector_norm",
    "weight_scale",
]


def growth_lower_bound(law: Law, density: float = 1.0, *, shape: Sequence[int] | None = None) -> float:
    """The paper's lower bound of the mean growth of a piece of curve in one layer: alpha M sqrt(n_out / n_in) / 2.

    Lengths grow at least by its depth-th power; where layers differ, by the product of theirs (the Remark).

    Args:
        law: of the weights before they are divided by sqrt(n_in).
        density: alpha in (0, 1].
        shape: (n_in, n_out) of the layer; default a square one. For weights that are not divided, as in Definitions
            2 to 4, multiply by sqrt(n_in).

    Raises:
        NbkitError: no law, a density outside (0, 1].

    Source:
        Price & Tanner 2019, Theorem 2; Corollaries 1 to 3 are this with the three laws' M. For the discrete law the
        main text prints half of the sum of |w| over N_w, the proof gives that over sqrt 2.
    """
    who = "growth_lower_bound"
    return _density(who, density) * check_law(who, "law", law).M / 2 * _widening(who, shape)


def growth_rms(law: Law, density: float = 1.0, *, shape: Sequence[int] | None = None) -> float:
    """The exact root-mean-square growth of a piece of curve in one layer: sigma_w sqrt(alpha / 2 * n_out / n_in).

    For fixed z, dz and any even law with P(h_j = 0) = 0, E ||dz'||^2 = alpha sigma_w^2 / 2 ||dz||^2: evenness gives
    E[X^2 1{Y > 0}] = E[X^2] / 2. It depends neither on the law nor on the biases nor on the width, lies above the mean
    growth at every width, and is its limit for wide layers. Not in the paper.

    Args:
        law, density, shape: as in `growth_lower_bound`.

    Raises:
        NbkitError: as `growth_lower_bound`.
    """
    who = "growth_rms"
    return check_law(who, "law", law).std * math.sqrt(_density(who, density) / 2) * _widening(who, shape)


def growth_delta(law: Law, density: float, width: int, *, fourth: float | None = None) -> float:
    """The mean growth in a square layer of finite width, to first order in 1 / width.

    sigma_w sqrt(alpha / 2) [1 - (5 + 2 S4 (kurtosis / alpha - 3)) / (8 width)], S4 = sum of u_i^4 of the unit tangent u
    (default: 3 / (width + 2), the mean over uniform random directions). Good to about 1 % where density * width is 5 or
    more, to .1 % if width is 100 or more as well, to 7 % at density * width = 1; of no use below, where it falls under 0.

    Args:
        law, density: as in `growth_lower_bound`.
        width: k, 1..10^12.
        fourth: S4 in (0, 1].

    Raises:
        NbkitError: arguments outside their ranges.
    """
    who = "growth_delta"
    width = check_integer(who, "width", width, at_least=1, at_most=10**12)
    fourth = 3 / (width + 2) if fourth is None else check_number(who, "fourth", fourth, above=0, at_most=1)
    excess = check_law(who, "law", law).kurtosis / _density(who, density) - 3
    return growth_rms(law, density) * (1 - (5 + 2 * fourth * excess) / (8 * width))


def weight_scale(density: float, *, growth: float = 1.0) -> float:
    """The sigma_w (std before division by sqrt(n_in)) at which the rms growth of square layers is `growth`.

    growth * sqrt(2 / alpha); for growth 1 this is He's initialisation with the density taken into account.

    Raises:
        NbkitError: a density outside (0, 1], a growth that is not above 0.
    """
    growth = check_number("weight_scale", "growth", growth, above=0)
    return growth * math.sqrt(2 / _density("weight_scale", density))


def growth_rms_through(topology: Topology, law: Law, direction: object) -> torch.Tensor:
    """The exact rms length of a tangent behind each layer of fixed wires with random weights, relative to its start.

    Through any fixed mask E dz'_j^2 = (v / 2) sum over j's predecessors i of E dz_i^2, v = sigma_w^2 / n_in: linear in
    the squares. Where every input of a layer has c wires out, the factor is sqrt(v c / 2), whatever the direction.

    Args:
        topology: L layers of wires; independent even weights on them.
        law: of the weights before division by sqrt(n_in).
        direction: dz at the input, (n_in,), not all 0.

    Returns:
        float64 (L + 1,), starts with 1.

    Raises:
        NbkitError: no Topology or Law, a direction of another size or without length.
    """
    who = "growth_rms_through"
    check_law(who, "law", law)
    if not isinstance(topology, Topology):
        raise NbkitError(
            f"{who}: topology must be a Topology, got {topology!r}. Use radix_net(...) or Topology([...])."
        )
    given = as_array(who, "direction", direction)
    if np.iscomplexobj(given):
        raise NbkitError(f"{who}: direction must be real numbers, got {show(direction)}. Take one part of them.")
    start = torch.from_numpy(given.astype(np.float64))
    if start.shape != (topology.sizes[0],) or not torch.isfinite(start).all() or not start.any():
        raise NbkitError(
            f"{who}: direction must be {topology.sizes[0]} finite numbers, not all 0, got the shape "
            f"{tuple(start.shape)}. Use the difference of two inputs."
        )
    masks = [layer.mask().to(torch.float64) for layer in topology]
    logs = log_mean_squares([(law.std**2 / mask.shape[1], mask) for mask in masks], start[None])
    return torch.exp((logs[:, 0] - logs[0, 0]) / 2)


def log_mean_squares(layers: Sequence[tuple[float, torch.Tensor]], velocity: torch.Tensor) -> torch.Tensor:
    """Natural log of E ||dz||^2 behind every layer of ReLU units, exactly.

    Args:
        layers: (E w^2 of one possible weight, n_out as a 0-d tensor or the fixed mask (n_out, n_in)) of each layer.
        velocity: dz at the input, (n, n_in).

    Returns:
        (len(layers) + 1, n); -inf where the velocity is 0.
    """
    squares = velocity.to(torch.float64) ** 2
    total = squares.sum(dim=1)
    logs = [torch.log(total)]
    squares = squares / total.clamp(min=torch.finfo(torch.float64).tiny)[:, None]
    for mean_square, wires in layers:
        if wires.ndim:
            squares = squares @ wires.to(squares.dtype).T
            factor = squares.sum(dim=1)
            squares = squares / factor.clamp(min=torch.finfo(torch.float64).tiny)[:, None]
        else:
            factor = wires.to(torch.float64)
        logs.append(logs[-1] + torch.log(mean_square / 2 * factor))
    return torch.stack(logs)


def subvector_norm(dimension: int, density: float) -> float:
    """E ||u_J|| of a uniform random unit vector u when each of its entries is kept with probability alpha (Lemma 7).

    sum over m of C(k, m) alpha^m (1 - alpha)^(k - m) Gamma((m + 1) / 2) Gamma(k / 2) / (Gamma(m / 2) Gamma((k + 1) / 2)).
    Between alpha, which u = e_1 attains, and sqrt(alpha), the limit for large k.

    Args:
        dimension: k, 1..10^6.
        density: alpha in (0, 1].

    Raises:
        NbkitError: arguments outside their ranges.

    Source:
        Price & Tanner 2019, Lemma 7 and Fig. 4; the closed form is ours.
    """
    k = check_integer("subvector_norm", "dimension", dimension, at_least=1, at_most=10**6)
    alpha = _density("subvector_norm", density)
    if alpha == 1:
        return 1.0
    m, log_gamma = np.arange(1, k + 1), scipy.special.gammaln
    log_chosen = log_gamma(k + 1) - log_gamma(m + 1) - log_gamma(k - m + 1)
    log_chosen += m * math.log(alpha) + (k - m) * math.log1p(-alpha)
    log_norm = log_gamma((m + 1) / 2) + log_gamma(k / 2) - log_gamma(m / 2) - log_gamma((k + 1) / 2)
    return float(np.exp(log_chosen + log_norm).sum())


def khintchine_p0() -> float:
    """Where the two formulas of the constant A_p meet: Gamma((p + 1) / 2) = sqrt(pi) / 2 in (1, 2); 1.847416..."""
    return float(scipy.optimize.brentq(lambda p: scipy.special.gamma((p + 1) / 2) - math.sqrt(math.pi) / 2, 1.5, 1.95))


def khintchine_lower(p: float) -> float:
    """The best A_p in A_p E(sum X_i^2)^(p/2) <= E|sum X_i|^p for independent symmetric X_i; A_1 = 1 / sqrt 2.

    Raises:
        NbkitError: a p that is not above 0.

    Source:
        Price & Tanner 2019, Lemmas 8 and 9 (Khintchine's inequality, Haagerup's constants).
    """
    p = check_number("khintchine_lower", "p", p, above=0)
    if p >= 2:
        return 1.0
    return 2 ** (p / 2 - 1) if p <= khintchine_p0() else _gaussian_moment(p)


def khintchine_upper(p: float) -> float:
    """The best B_p in E|sum X_i|^p <= B_p E(sum X_i^2)^(p/2) for independent symmetric X_i.

    Raises:
        NbkitError: a p outside (0, 300].

    Source:
        as `khintchine_lower`.
    """
    p = check_number("khintchine_upper", "p", p, above=0, at_most=300)
    return 1.0 if p <= 2 else _gaussian_moment(p)


def _gaussian_moment(p: float) -> float:
    """E|g|^p of a standard normal g."""
    return 2 ** (p / 2) * float(scipy.special.gamma((p + 1) / 2)) / math.sqrt(math.pi)


def _density(who: str, density: float) -> float:
    return check_number(who, "density", density, above=0, at_most=1)


def _widening(who: str, shape: Sequence[int] | None) -> float:
    """sqrt(n_out / n_in): weights are divided by the root of the inputs, squares summed over the outputs."""
    if shape is None:
        return 1.0
    sizes = check_integers(who, "shape", shape, at_least=1, minimum_length=2)
    if len(sizes) != 2:
        raise NbkitError(f"{who}: shape must be (n_in, n_out), got {sizes}. Give one layer's two sizes.")
    return math.sqrt(sizes[1] / sizes[0])
