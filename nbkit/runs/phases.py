"""Phase diagrams, each point a cell of a sweep: where lengths grow, over (density, scale), and what trains, over (degree, depth)."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import avg_pool2d

from nbkit.data import Split, mnist_split
from nbkit.device import one_thread
from nbkit.errors import check_choice
from nbkit.measure import growth, stable_rank
from nbkit.nets import deep_net
from nbkit.results import save_result, sidecar
from nbkit.sweeping import sweep
from nbkit.training import train
from nbkit.weights import Gaussian

__all__ = ["TRAINED_WEIGHTS", "Settings", "growth_cell", "level_line", "run_phases", "trainability_cell"]

COMMAND = "python -m nbkit run phases"
#: weights on one and the same SAO mask -> the method of `deep_net`.
TRAINED_WEIGHTS = {"orthogonal": "SAO", "Gaussian": "RG-N"}

_SIDE = 16  # pixels: wires of degree 2 reach all of them
_BATCH, _GAIN = 64, 1.1
_RATE, _MOST_RATE = 1.0, 0.01


@dataclass(frozen=True)
class Settings:
    """What the run is; the defaults are what is stored.

    Attributes:
        densities, scales: alpha and sigma_w of the growth diagram.
        widths: k, one growth diagram each.
        growth_depth: layers that a line goes through.
        degrees, depths: d and N of the diagram of what trains.
        steps: of each training.
        n_seeds: of every cell.
    """

    densities: tuple[float, ...] = (
        *(0.01, 0.0126, 0.0158, 0.02, 0.0251, 0.0316, 0.0398, 0.0501, 0.0631, 0.0794, 0.1),
        *(0.126, 0.158, 0.2, 0.251, 0.316, 0.398, 0.501, 0.631, 0.794, 1.0),
    )
    scales: tuple[float, ...] = (
        *(0.5, 0.616, 0.758, 0.933, 1.15, 1.41, 1.74, 2.14, 2.64, 3.25, 4.0),
        *(4.92, 6.06, 7.46, 9.19, 11.3, 13.9, 17.1, 21.1, 26.0, 32.0),
    )
    widths: tuple[int, ...] = (32, 784)
    growth_depth: int = 10
    degrees: tuple[int, ...] = (2, 4, 8, 16, 32, 64)
    depths: tuple[int, ...] = (2, 5, 10, 20, 50, 100, 200)
    steps: int = 100
    n_seeds: int = 3


def growth_cell(density: float, sigma_w: float, seed: int, width: int = 784, depth: int = 10) -> dict[str, float]:
    """How a random line grows a layer in one random sparse ReLU network: the mean factor of its pieces, and its rate.

    growth is the mean of ||dz'|| / ||dz|| over pieces and layers; rate is (length at the end / at the input)^(1 / depth),
    0 where the network has died. Weights are N(0, sigma_w^2 / width), kept with probability alpha.

    Args:
        density: alpha in (0, 1].
        sigma_w: standard deviation before division by sqrt(width), above 0.
        seed: of the network; one seed has the same random numbers at every density and scale.
        width, depth: k nodes a layer, layers.

    Raises:
        NbkitError: as `growth`.

    Example:
        >>> cell = growth_cell(0.5, 2.0, seed=0, width=100)
        >>> 0.9 < cell["growth"] < 1.1
        True
    """
    found = growth(Gaussian(sigma_w), density, width, depth, n_nets=1, seed=seed)
    first, last = found.log_length[0, [0, -1]].tolist()
    return {"growth": found.mean, "rate": math.exp((last - first) / depth)}


@one_thread()
def trainability_cell(
    degree: int, depth: int, weights: str, seed: int, width: int = 64, steps: int = 100
) -> dict[str, float]:
    """What a deep tanh network on SAO masks has learned of the digits after some steps of Adam.

    Its rate is 1 / (depth * degree), at most 0.01: a step of Adam changes each weight by at most that, and so a layer with
    degree wires at each node by at most 1 / depth in spectral norm, whatever the degree.

    Args:
        degree: d, wires at each node of a hidden layer; divides the width.
        depth: N; N - 1 layers are width x width.
        weights: "orthogonal", or "Gaussian" of variance 1 / d; both times the gain 1.1.
        seed: of wires, weights and the order of the digits; the wires do not depend on the weights.
        width: of the square layers.
        steps: of the training, batches of 64 digits on 16 x 16 pixels.

    Returns:
        accuracy: share of all test digits; loss: mean over the steps, in nats; directions: the stable rank
        ||J||_F^2 / ||J||_2^2 of the product J of the square layers' weights at birth, 1 .. width.

    Raises:
        NbkitError: other weights, and what `deep_net` refuses.
    """
    method = TRAINED_WEIGHTS[check_choice("trainability_cell", "weights", weights, TRAINED_WEIGHTS)]
    net = deep_net(depth, method, degree=degree, gain=_GAIN, width=width, n_inputs=_SIDE**2, seed=seed)
    directions = _directions(net, width)
    rate = min(_MOST_RATE, _RATE / (depth * degree))
    *_, last = train(
        net, _digits(), steps=steps, batch_size=_BATCH, learning_rate=rate, every=max(1, steps), n_test=1, seed=seed
    )
    return {"accuracy": float(last.test_accuracy), "loss": float(last.loss), "directions": directions}


def run_phases(
    *, work: Path, say: Callable[[str], None], settings: Settings = Settings(), folder: Path | None = None
) -> None:
    """Both sweeps on one core; after a stop the next call goes on, and repeats no cell that was finished.

    phases_growth: one row a cell of `growth_cell`; phases_training: one row a cell of `trainability_cell`.

    Args:
        work: folder of the sweeps' stores until all is stored.
        say: takes lines of progress.
        settings: default: what is stored.
        folder: of the results, default data/results.
    """
    grids = {
        "growth": (
            growth_cell,
            {"width": settings.widths, "depth": [settings.growth_depth]}
            | {"density": settings.densities, "sigma_w": settings.scales},
        ),
        "training": (
            trainability_cell,
            {"depth": settings.depths, "weights": [*TRAINED_WEIGHTS]}
            | {"degree": settings.degrees, "steps": [settings.steps]},
        ),
    }
    with ThreadPoolExecutor(1) as one:
        for name, (function, grid) in grids.items():
            done = sweep(function, grid, seeds=settings.n_seeds, store=work / f"{name}.jsonl", executor=one)
            names = [column for column in done.columns if column not in ("seconds", "error")]
            beside = sidecar(
                command=COMMAND,
                seed=0,
                seconds=sum(row["seconds"] for row in done),
                steps=len(done),
                settings=asdict(settings),
            )
            columns = {column: [row[column] for row in done] for column in names}
            say(f"stored {save_result(f'phases_{name}', columns, beside, folder=folder)}")
    shutil.rmtree(work)


@lru_cache(maxsize=1)
def _digits() -> Split:
    """The digits on 16 x 16 pixels: of the background around 28 x 28, four pixels are one."""
    data = mnist_split().padded(2 * _SIDE)
    parts = {}
    for name in ("train_images", "test_images"):
        images = getattr(data, name).view(-1, 1, 2 * _SIDE, 2 * _SIDE)
        parts[name] = avg_pool2d(images, 2).flatten(1)
    return replace(data, **parts)


def _directions(net: torch.nn.Sequential, width: int) -> float:
    product = torch.eye(width, dtype=torch.float64)
    for module in net[4:-1:2]:  # behind the two that scale down
        product = module.to_dense().detach().double() @ product
        product /= product.norm()
    return stable_rank(product)


def level_line(y: object, values: object, level: float) -> np.ndarray:
    """Where each column of values crosses a level, between neighbours that are known.

    Linear in log y; a quantity that is a power of y is met exactly if logarithms are given.

    Args:
        y: (m,), above 0 and ascending.
        values: (m, n); NaN is not known.
        level: that is crossed.

    Returns:
        (n,) the first crossing, NaN where there is none.
    """
    logs, found = np.log(np.asarray(y, dtype=np.float64)), []
    for column in np.asarray(values, dtype=np.float64).T:
        known = np.isfinite(column)
        at, above = logs[known], column[known] - level
        places = np.flatnonzero(np.diff(above >= 0))[:1]
        found += [np.exp(at[i] + (at[i + 1] - at[i]) * above[i] / (above[i] - above[i + 1])) for i in places]
        found += [np.nan] * (1 - len(places))
    return np.array(found)
