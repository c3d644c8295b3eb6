"""How the length of a line grows through a configuration, and what is known about it beforehand."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from nbkit.measure import (
    Trajectory,
    growth_through,
    random_line,
)
from nbkit.questions.configuration import DECAYED, Configuration
from nbkit.questions.measured import Measured, each_network, prepared
from nbkit.questions.training import STRENGTHS

__all__ = ["measure_growth", "radial_lengths"]

_N_TANGENTS = 32
_N_RESAMPLES = 400  # of the bootstrap
_N_LINES = 8  # through networks of every strength of decay


def measure_growth(configuration: Configuration) -> Iterator[Measured]:
    """The length of a random line behind each layer over its own: mean over networks, the middle two thirds as the band.

    Theory is the exact root mean square of a step where weights are drawn or orthogonal (linear, ReLU), and for radial
    activations the length if all weights were orthogonal. A trained network is one, and the lines through it are many.

    Numbers: `factor` of a layer, exp of the mean log-length over the depth; `rms` and `theory`, the same of the root mean
    square as it is and must be; `spread` the standard deviation of the log-length at the end of lines that have one,
    `spread_error` its standard error by the bootstrap; `nets`; `shrunk` how many lines are a point at the end; of weight
    decay also `born`, and `factor at ...` and `sigma_w at ...` for each lambda.
    """
    own, depths = configuration, np.arange(configuration.depth + 1.0)
    yield from prepared("growth", own, depths, _rms_growth(own))
    more = _under_decay(own) if own.wires == DECAYED else {}
    logs, radial, latest = [], [], None
    for number, network in each_network(own):
        if network is not None:
            curve = random_line(network[0].in_features, seed=number)
            logs.append(_log_lengths(network, curve))
            if own.activation == "radial":
                radial.append(radial_lengths(curve, own.gain, own.depth))
            theory = np.mean(radial, axis=0) if radial else _rms_growth(own)
            latest = _grown(own, depths, np.stack(logs), theory, more)
        yield latest


def radial_lengths(curve: Trajectory, gain: float, depth: int) -> np.ndarray:
    """The length of a curve behind each layer z -> h(gain |z|) W z / |z| of orthogonal W and the sigmoid h, over its own.

    Such layers rotate and rescale, so the network is a rotation of x -> H(|x|) x / |x| with H = h(gain h(... gain |x|)),
    whatever the wires: of a velocity the part along x is multiplied by H'(|x|), the rest by H(|x|) / |x|.

    Args:
        curve: that keeps away from 0.
        gain: all singular values of W.
        depth: layers.

    Returns:
        float64 (depth + 1,), starts with 1.
    """
    times = (torch.arange(400, dtype=torch.float64) + 0.5) / 400
    points, velocity = curve(times), curve.derivative(times)
    radius = torch.linalg.vector_norm(points, dim=1)
    along = (points * velocity).sum(dim=1) / radius
    across = (velocity.square().sum(dim=1) - along**2).clamp(min=0)
    image, slope, lengths = radius, torch.ones_like(radius), []
    for _ in range(depth + 1):
        lengths.append(float(torch.sqrt((slope * along) ** 2 + (image / radius) ** 2 * across).mean()))
        image = torch.sigmoid(gain * image)
        slope = slope * gain * image * (1 - image)
    return np.array(lengths) / lengths[0]


def _rms_growth(configuration: Configuration) -> np.ndarray | None:
    """The exact root mean square of a step behind each layer over that before the first, where there is one.

    Each output takes gain^2 / in-degree times the squares that it hears, on average gain^2 / n of all, if it hears any;
    of random wires some outputs hear none.
    """
    own = configuration
    if own.is_trained or own.wires == "pruned" or own.activation in ("tanh", "radial"):
        return None
    square = own.gain**2 / (2 if own.activation == "ReLU" and own.weights != "looks-linear" else 1)
    if own.wires == "random":
        n, taken = own.width, np.arange(own.width)
        square *= 1 - np.prod(1 - n * own.degree / (n**2 - taken))  # an output's n places are all among the empty ones
    return np.sqrt(square) ** np.arange(own.depth + 1.0)


@torch.no_grad()
def _log_lengths(network: nn.Sequential, curve: Trajectory) -> np.ndarray:
    """log of the length behind each layer over that at the input, (depth + 1,); linear layers count as the others do.

    Tangents by the chain rule: torch's dual numbers are as exact, and take a second to import.
    """
    times = (torch.arange(_N_TANGENTS, dtype=torch.float64) + 0.5) / _N_TANGENTS
    image, tangent = curve(times), curve.derivative(times)
    lengths, modules = [torch.linalg.vector_norm(tangent, dim=1).mean()], list(network)
    for module in modules:
        before, image = image, module(image)
        tangent = _moved(module, before, image, tangent)
        if not isinstance(module, nn.Linear) or module is modules[-1]:
            lengths.append(torch.linalg.vector_norm(tangent, dim=1).mean())
    return (torch.stack(lengths).log() - lengths[0].log()).numpy()


def _moved(module: nn.Module, before: torch.Tensor, image: torch.Tensor, tangent: torch.Tensor) -> torch.Tensor:
    """The tangent behind a module of a `Configuration`, that is before -> image."""
    if isinstance(module, nn.Linear):
        return tangent @ module.weight.T
    if isinstance(module, nn.ReLU):
        return tangent * (before > 0)
    if isinstance(module, nn.Tanh):
        return tangent * (1 - image**2)
    if isinstance(module, nn.Identity):
        return tangent
    radius, rescaled = (torch.linalg.vector_norm(each, dim=1, keepdim=True) for each in (before, image))
    along = (before * tangent).sum(dim=1, keepdim=True) * before / radius**2
    return rescaled / radius * (tangent - along) + rescaled * (1 - rescaled) * along  # h' = h (1 - h) of the sigmoid


def _grown(own: Configuration, depths: np.ndarray, logs: np.ndarray, theory, more: dict[str, float]) -> Measured:
    """The measure of the networks so far, logs (n_nets, depth + 1)."""
    lengths, n, depth = np.exp(logs), len(logs), own.depth
    ends = logs[np.isfinite(logs[:, -1]), -1]
    spread = float(ends.std(ddof=1)) if len(ends) > 1 else math.nan
    numbers = {
        "factor": float(np.exp(ends.mean() / depth)) if len(ends) else 0.0,
        "rms": float(np.sqrt((lengths[:, -1] ** 2).mean()) ** (1 / depth)),
        "theory": math.nan if theory is None else float(theory[-1] ** (1 / depth)),
        "spread": spread,
        "spread_error": _error_of_spread(ends),
        "nets": n,
        "shrunk": n - len(ends),
        "length": float(lengths[:, -1].mean()),
    }
    low, high = np.quantile(lengths, (1 / 6, 5 / 6), axis=0)
    done = (n, own.n_networks, "lines" if own.is_trained else "networks")
    return Measured("growth", own, depths, lengths.mean(axis=0), low, high, theory, None, numbers | more, progress=done)


def _error_of_spread(values: np.ndarray) -> float:
    """The standard error of a standard deviation by the bootstrap: logs of lengths have heavier tails than normal numbers."""
    if len(values) < 2:
        return math.nan
    drawn = np.random.default_rng(0).integers(len(values), size=(_N_RESAMPLES, len(values)))
    return float(values[drawn].std(axis=1, ddof=1).std())


def _under_decay(configuration: Configuration) -> dict[str, float]:
    """sigma_w and growth of the networks behind the training, for each lambda, and of the one that they were born as."""
    training, depth, numbers = configuration.training, configuration.depth, {}
    curves = [random_line(configuration.width, seed=seed) for seed in range(_N_LINES)]
    for when, nets in (("born", training.born), ("at", training.nets)):
        logs = torch.stack([growth_through(nets, curve, n_points=_N_TANGENTS).log_length for curve in curves])
        factors = torch.exp((logs[:, :, depth] - logs[:, :, 0]).mean(dim=0) / depth)
        sigmas = nets.layer_sigma_w()[:, :depth].mean(dim=1)
        for strength, factor, sigma in zip(STRENGTHS, factors.tolist(), sigmas.tolist(), strict=False):
            name = f"at {strength:g}" if when == "at" else when
            numbers |= {f"factor {name}": factor, f"sigma_w {name}": sigma}
    return numbers
