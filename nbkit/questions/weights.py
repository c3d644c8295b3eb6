"""Measures of networks: singular values of weights and of the Jacobian."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from nbkit.errors import NbkitError
from nbkit.measure import (
    DeepProduct,
    jacobian_factors,
    reachability,
    singular_values,
)
from nbkit.questions.configuration import Configuration
from nbkit.questions.measured import Measured, each_network, prepared
from nbkit.questions.wires import dead_units
from nbkit.topology import Layer, mixed_radix
from nbkit.weights import radix_orthogonal

__all__ = ["measure_jacobian", "measure_weights"]

_ZERO = 1e-3  # of the largest singular value


def measure_weights(configuration: Configuration) -> Iterator[Measured]:
    """The singular values of the weights: mean over layers, the band holds all; theory where they are orthogonal, or dense.

    Theory is the gain for orthogonal weights, and for independent ones on dense wires the quarter circle law of wide layers.

    Layers of fewer nodes than `width` have zeros besides. Numbers: `largest`, `smallest` over all layers; `deviation` the largest |s - gain|; `zeros` the share below 1e-3 of the
    largest; of RadiX wires `dense_width` D, and `admitting`, how many of `layers` have orthogonal weights if D is 1 (NaN
    where no RadiX-Net of that degree has D = 1).
    """
    own, measure, rows = configuration, "weights' spectrum", []
    index, theory = np.arange(1.0, own.width + 1), _known_spectrum(own)
    yield from prepared(measure, own, index, theory)
    numbers = {"dense_width": own.dense_width, "layers": own.depth, "admitting": _admitting(own)}
    for matrix in own.matrices:
        values = singular_values(matrix).numpy()
        rows.append(np.pad(values, (0, own.width - len(values))))
        found = np.concatenate(rows)
        numbers |= {"largest": found.max(), "smallest": found.min(), "deviation": np.abs(found - own.gain).max()}
        numbers |= {"zeros": (found < _ZERO * found.max()).mean()}
        ends, told = (np.mean(rows, axis=0), np.min(rows, axis=0), np.max(rows, axis=0)), _floats(numbers)
        yield Measured(measure, own, index, *ends, theory, numbers=told, progress=(len(rows), own.depth, "layers"))


def _floats(numbers: dict[str, object]) -> dict[str, float]:
    return {name: float(value) for name, value in numbers.items()}


def measure_jacobian(configuration: Configuration) -> Iterator[Measured]:
    """log10 of the singular values of the Jacobian at a standard normal input: the median over networks and its middle two thirds.

    What no network has (exact zeros) is NaN. Theory is exact: for looks-linear weights, and for orthogonal ones between
    linear or activations.

    Numbers: `mean` of log10 of the values that are not 0, `spread` their standard deviation within a network, `largest`,
    all means over networks; `zeros` the share of exact zeros or of less than 1e-3 of the largest; `dead` of the `units`
    inside, `joined` the share of pairs that the wires join; `nets`. Samples: `mean` and `spread` of each network.
    """
    own = configuration
    n = own.width // 2 if own.weights == "looks-linear" else own.width
    index, rows = np.arange(1.0, n + 1), []
    theory = _known_jacobian(own, n)
    yield from prepared("Jacobian", own, index, theory)
    n_dead, n_units = dead_units(own.topology)
    latest = Measured(
        "Jacobian", own, index, np.full(n, np.nan), theory=theory, progress=(0, own.n_networks, "networks")
    )
    yield latest
    wires = {"dead": n_dead, "units": n_units, "joined": float(reachability(own.topology).double().mean())}
    yield latest
    for number, network in each_network(own):
        if network is not None:
            point = torch.from_numpy(np.random.default_rng(number).standard_normal(n))
            product = DeepProduct(n)
            for module in network:
                for factor in jacobian_factors(nn.Sequential(module), point):
                    product.multiply(factor)
                    yield latest
                point = module(point[None])[0].detach()
            rows.append(product.log10_singular_values().numpy())
            latest = _spectra_so_far(own, index, np.stack(rows), theory, wires)
        yield latest


def _spectra_so_far(own: Configuration, index: np.ndarray, rows: np.ndarray, theory, wires: dict) -> Measured:
    alive = [row[np.isfinite(row)] for row in rows]
    every = np.array([(row.mean(), row.std(), row[0]) if len(row) else (np.nan,) * 3 for row in alive])
    facts = every[~np.isnan(every[:, 0])] if any(map(len, alive)) else every[:1]
    mean, spread, largest = facts.mean(axis=0)
    lost = np.mean([(~(row > row[0] + math.log10(_ZERO))).mean() for row in rows])
    numbers = {
        "mean": mean,
        "spread": spread,
        "largest": largest,
        "zeros": lost,
        "nets": len(rows),
    }
    low, middle, high = (_above_nothing(np.quantile(rows, q, axis=0, method="nearest")) for q in (1 / 6, 1 / 2, 5 / 6))
    done = (len(rows), own.n_networks, "points" if own.is_trained else "networks")
    told, samples = _floats(numbers | wires), {"mean": every[:, 0], "spread": every[:, 1]}
    return Measured("Jacobian", own, index, middle, low, high, theory, None, told, samples, done)


def _above_nothing(logs: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(logs), logs, np.nan)


def _known_spectrum(own: Configuration) -> np.ndarray | None:
    if own.weights == "orthogonal" and own.wires != "pruned":
        return np.full(own.width, own.gain)
    if own.wires != "dense" or own.weights not in ("Gaussian", "uniform", "discrete"):
        return None
    values = np.linspace(0, 2, 2001)  # over the gain; density sqrt(4 - s^2) / pi
    below = (values * np.sqrt(4 - values**2) / 2 + 2 * np.arcsin(values / 2)) / math.pi
    return own.gain * np.interp((np.arange(own.width, 0, -1) - 0.5) / own.width, below, values)


def _known_jacobian(own: Configuration, n: int) -> np.ndarray | None:
    if own.wires == "pruned" or own.weights not in ("orthogonal", "looks-linear"):
        return None
    if own.weights == "looks-linear" or own.activation == "linear":
        return np.full(n, own.depth * math.log10(own.gain))
    return None


def _admitting(own: Configuration) -> float:
    """How many layers of the RadiX-Net without dense widths have orthogonal weights, NaN where there is none."""
    n_digits = round(math.log(own.width, own.degree))
    if own.wires != "RadiX" or own.degree**n_digits != own.width:
        return math.nan
    system = mixed_radix((own.degree,) * n_digits)
    return float(sum(_has_orthogonal(system[position % n_digits]) for position in range(own.depth)))


def _has_orthogonal(layer: Layer) -> bool:
    try:
        radix_orthogonal(layer)
    except NbkitError:
        return False
    return True
