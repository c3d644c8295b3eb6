"""Expressive power as it can be measured: how well dense and RadiX-sparse ReLU networks fit functions with Lipschitz constant 1.

The paper's conjecture (RadiX-Net, section IV) asks for sup over f of inf over networks of sup |f - g|, against the depth N.
Over all continuous f that is 0 or infinite; over the Lipschitz ball it is a number. Here the sup is over a few random
functions of that ball, and in place of the inf stands the best fit that was found by training.
"""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from nbkit.device import one_thread
from nbkit.errors import check_choice
from nbkit.nets import FeedForward
from nbkit.results import save_result, sidecar
from nbkit.runs.cells import Cells
from nbkit.runs.lipschitz import Target, lipschitz_target
from nbkit.runs.power_laws import power_laws
from nbkit.topology import Topology, dense_layer, radix_net
from nbkit.weights import Gaussian, Uniform

__all__ = [
    "EARLY", "NETS", "Settings", "born", "fit_cell", "fit_stream", "grid_errors", "n_parameters", "run_expressive",
    "samples", "wires",
]  # fmt: skip

COMMAND = "python -m nbkit run expressive"
NETS = ("dense", "radix", "narrow")
"""All wires; RadiX wires of the same width; all wires of a width with as many parameters as RadiX has."""
EARLY = 20
"""Steps after which a fit's loss is stored, for whoever repeats its beginning."""


@dataclass(frozen=True)
class Settings:
    """What the run is; the defaults are what is stored.

    Attributes:
        seeds: each has functions, samples and networks of its own.
        depths: N, hidden layers; layers 2 to N are sparse, the first sees both inputs and the last is read by one output.
        width: of the hidden layers, the product of `radices`.
        radices: of every mixed-radix system.
        family: (kind, n) of `lipschitz_target`, the functions of one seed.
        restarts: networks at birth for each function; the best one counts.
        steps: of Adam, whose rate falls along a half cosine from `lr` to `final_lr`.
        n_points, batch: random samples of [0, 1]^2 for one fit, and how many of them a step sees, in turns.
        powers: the loss is the p-norm of the errors, p the first power in the first half of the steps, then the second.
        grid: points a side on which errors are measured.
    """

    seeds: tuple[int, ...] = tuple(range(4))
    depths: tuple[int, ...] = (2, 3, 4, 6, 8, 12)
    width: int = 16
    radices: tuple[int, ...] = (4, 4)
    family: tuple[tuple[str, int], ...] = (("cones", 4), ("cones", 16), ("cones", 64), ("waves", 8))
    restarts: int = 3
    steps: int = 4000
    n_points: int = 8192
    batch: int = 256
    lr: float = 5e-3
    final_lr: float = 5e-5
    powers: tuple[int, int] = (2, 4)
    grid: int = 129


@one_thread()
def run_expressive(
    *, work: Path, say: Callable[[str], None], settings: Settings = Settings(), folder: Path | None = None
) -> None:
    """The whole run; two tables.

    expressive_fits: one row for each fit, with its largest and its root mean square error on the grid. expressive_slopes:
    the power laws in the depth that `power_laws` finds in them.

    Args:
        work: folder for the rows of finished cells until all is stored; a run that was stopped goes on from them.
        say: takes lines of progress.
        settings: default: what is stored.
        folder: of the results, default data/results.
    """
    cells = Cells(work / "cells.jsonl", say, apart=("seeds", "depths"))
    places = itertools.product(settings.seeds, settings.depths, NETS)
    fits = [row for seed, depth, net in places for row in cells.rows(fit_cell, settings, net, depth, seed)]
    tables = {"expressive_fits": fits, "expressive_slopes": power_laws(_columns(fits))}
    beside = sidecar(
        command=COMMAND,
        seed=settings.seeds[0],
        seconds=cells.seconds,
        steps=len(fits) * settings.steps,
        settings=asdict(settings),
    )
    for name, rows in tables.items():
        say(f"stored {save_result(name, _columns(rows), beside, folder=folder)}")
    shutil.rmtree(work)


def _columns(rows: Sequence[dict]) -> dict[str, list]:
    return {key: [row[key] for row in rows] for key in rows[0]}


def fit_cell(settings: Settings, net: str, depth: int, seed: int) -> list[dict]:
    """All fits of one kind of network, depth and seed, which train side by side: every function, every restart."""
    targets = [lipschitz_target(kind, n, seed=seed) for kind, n in settings.family]
    topology = wires(net, depth, settings)
    nets = born(topology, len(targets) * settings.restarts, seed=seed)
    x, y = samples(targets, settings.restarts, seed, settings)
    for step, losses in fit_stream(nets, x, y, settings):
        if step == EARLY:
            early = losses.tolist()
    errors = grid_errors(nets, targets, settings).flatten(1)
    facts = {
        "net": net,
        "depth": depth,
        "width": topology.sizes[1],
        "n_parameters": n_parameters(topology),
        "seed": seed,
    }
    fits = itertools.product(targets, range(settings.restarts))
    return [
        facts | {"target": target.name, "restart": restart, "sup": worst, "rms": rms, f"loss_after_{EARLY}": loss}
        for (target, restart), worst, rms, loss in zip(
            fits, errors.abs().amax(1).tolist(), errors.square().mean(1).sqrt().tolist(), early, strict=True
        )
    ]


def wires(net: str, depth: int, settings: Settings = Settings()) -> Topology:
    """The wires of one kind of network: 2 inputs, `depth` hidden layers, one output.

    All are symmetric: every input reaches the output by the same number of paths, as the conjecture asks of both.

    Args:
        net: one of NETS.
        depth: N, at least 1.
        settings: width and radices.

    Raises:
        NbkitError: a name that is not in NETS.
    """
    check_choice("wires", "net", net, NETS)
    n_systems = math.ceil(max(1, depth - 1) / len(settings.radices))
    radix = _between(radix_net([settings.radices] * n_systems).layers[: depth - 1], settings.width)
    if net == "radix":
        return radix
    dense = {width: _dense(width, depth) for width in range(1, settings.width + 1)}
    wanted = n_parameters(radix)
    fitting = min(dense, key=lambda width: abs(n_parameters(dense[width]) - wanted))
    return dense[settings.width if net == "dense" else fitting]


def _dense(width: int, depth: int) -> Topology:
    return _between([dense_layer(width, width)] * (depth - 1), width)


def _between(layers: Sequence, width: int) -> Topology:
    return Topology([dense_layer(2, width), *layers, dense_layer(width, 1)])


def n_parameters(topology: Topology) -> int:
    """Weights on wires, and a bias for every node behind the inputs."""
    return topology.n_edges + sum(topology.sizes[1:])


def born(topology: Topology, n_nets: int, *, seed: int) -> FeedForward:
    """Networks at birth: weights of variance 2 / in-degree (1 / in-degree into the output), biases uniform in ±0.3."""
    gains = [math.sqrt(2)] * (len(topology) - 1) + [1.0]
    laws = [
        Gaussian(gain * math.sqrt(layer.n_in / layer.largest_in_degree))
        for gain, layer in zip(gains, topology, strict=True)
    ]
    own = np.random.default_rng([seed, len(topology)])
    masked = None if topology.density == 1 else topology
    return FeedForward(topology.sizes, laws, n_nets=n_nets, bias=Uniform(0.3), seed=own, topology=masked)


def samples(
    targets: Sequence[Target], restarts: int, seed: int, settings: Settings = Settings()
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random points of the square, float32 (n_points, 2), and values (len(targets) * restarts, n_points)."""
    x = torch.from_numpy(np.random.default_rng([seed, 1]).random((settings.n_points, 2)))
    y = torch.stack([target(x) for target in targets]).repeat_interleave(restarts, dim=0)
    return x.float(), y.float()


def fit_stream(
    nets: FeedForward, x: torch.Tensor, y: torch.Tensor, settings: Settings = Settings()
) -> Iterator[tuple[int, torch.Tensor]]:
    """Train networks side by side, each on values of its own: after every step its number, and the losses it began from.

    Args:
        nets: trained in place; they do not feel each other. Inputs are stretched to [-1, 1]^2.
        x, y: as from `samples`.
        settings: steps, batch, rates, powers.

    Yields:
        (step from 1 on, (n_nets,) p-norms of the errors of the batch).
    """
    adam = torch.optim.Adam(nets.parameters(), lr=settings.lr, fused=True)
    n_batches = len(x) // settings.batch
    x, y = 2 * x[: n_batches * settings.batch] - 1, y[:, : n_batches * settings.batch]
    batches = [*zip(x.split(settings.batch), y.split(settings.batch, dim=1), strict=True)]
    for step in range(settings.steps):
        share = 0.5 + 0.5 * math.cos(math.pi * step / settings.steps)
        adam.param_groups[0]["lr"] = settings.final_lr + (settings.lr - settings.final_lr) * share
        inputs, wanted = batches[step % n_batches]
        power = settings.powers[2 * step >= settings.steps]
        with torch.enable_grad():
            gaps = nets(inputs)[..., 0] - wanted
            losses = torch.linalg.vector_norm(gaps, ord=power, dim=1) / settings.batch ** (1 / power)
            adam.zero_grad()
            losses.sum().backward()
        adam.step()
        yield step + 1, losses.detach()


def grid_errors(nets: FeedForward, targets: Sequence[Target], settings: Settings = Settings()) -> torch.Tensor:
    """f - g on the grid of the square, float32 (n_nets, grid, grid), first coordinate first; networks as in `samples`."""
    side = torch.linspace(0, 1, settings.grid, dtype=torch.float64)
    x = torch.cartesian_prod(side, side)
    wanted = (
        torch.stack([target(x) for target in targets]).float().repeat_interleave(nets.n_nets // len(targets), dim=0)
    )
    with torch.no_grad():
        return (wanted - nets((2 * x - 1).float())[..., 0]).unflatten(1, (settings.grid, settings.grid))
