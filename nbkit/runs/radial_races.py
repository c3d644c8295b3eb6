"""Races of a radial network against its compressed twin: who reaches a loss sooner, in steps and in seconds.

A step is timed apart from the counting of steps: blocks of the two networks take turns, in seconds of the thread's own
processor time, so that a busy machine slows neither at the other's expense.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nbkit.compress import qr_compress
from nbkit.nets import RadialNet
from nbkit.training import Descent, bells, descend, grid_points, make_optimizer

__all__ = ["EARLY", "NETS", "RACES", "Race", "both", "race_stream", "regimes", "run_once", "time_steps"]

NETS = ("full", "compressed")
EARLY = 20
"""Steps after which a run's loss is stored, for whoever repeats its beginning."""


@dataclass(frozen=True)
class Race:
    """One setting of experiment 3: (t1, t2) -> (exp(-t1^2), exp(-t2^2)) is learned by two networks of one function.

    Attributes:
        widths: of the full network.
        activation: of every hidden layer.
        side, half_width: the samples are a grid of side x side points in [-half_width, half_width]^2.
        optimizer: a name for `make_optimizer`.
        full_rates, compressed_rates: the learning rates that are tried.
    """

    widths: tuple[int, ...] = (2, 16, 64, 128, 16, 2)
    activation: str = "sigmoid"
    side: int = 21
    half_width: float = 2.0
    optimizer: str = "adam"
    full_rates: tuple[float, ...] = (0.01,)
    compressed_rates: tuple[float, ...] = (0.01,)

    def __str__(self) -> str:
        widths = "-".join(map(str, self.widths))
        return f"{widths} {self.activation}, {self.optimizer} on {self.side} x {self.side} points up to {self.half_width:g}"


#: the paper's network first; its other optimisers, activations, samples; then ever wider ones
RACES = (
    Race(full_rates=(0.003, 0.01, 0.03, 0.1), compressed_rates=(0.003, 0.01, 0.03, 0.1)),
    *(Race(optimizer=name, full_rates=(0.1,), compressed_rates=(0.1,)) for name in ("sgd", "momentum")),
    Race(activation="shifted_sigmoid"),
    Race(activation="squash"),
    Race(side=64),
    Race(half_width=1.5),
    Race(half_width=3.0),
    *(Race((2, n, n, n, 2), full_rates=(0.01, 0.03), compressed_rates=(0.01, 0.03, 0.1)) for n in (8, 32, 128)),
    Race((2, 512, 512, 512, 2), full_rates=(0.01,), compressed_rates=(0.01, 0.03, 0.1)),
    Race((2, 64, 256, 512, 64, 2), full_rates=(0.01,), compressed_rates=(0.01, 0.03, 0.1)),
)


def both(widths: Sequence[int], activation: str, seed: int) -> dict[str, RadialNet]:
    """A network at birth and its compressed twin, by the names of `NETS`."""
    net = RadialNet(widths, activation, seed=seed)
    return dict(zip(NETS, (net, qr_compress(net).net), strict=True))


def race_stream(
    net: RadialNet, race: Race, lr: float, *, target_loss: float | None, max_steps: int, every: int = 1
) -> Iterator[Descent]:
    """One runner of a race, as a stream; arguments as `training.descend`."""
    x = grid_points(race.side, 2, half_width=race.half_width)
    optimizer = make_optimizer(race.optimizer, net, lr=lr)
    return descend(net, x, bells(x), optimizer, max_steps=max_steps, target_loss=target_loss, every=every)


def run_once(race: Race, name: str, lr: float, seed: int, *, target_loss: float, max_steps: int) -> dict:
    """One run, full or compressed, as a row: steps, whether the loss was reached, the loss at birth, early and last."""
    net = both(race.widths, race.activation, seed)[name]
    records = race_stream(net, race, lr, target_loss=target_loss, max_steps=max_steps, every=EARLY)
    losses = {record.step: record for record in records}
    last = losses[max(losses)]
    row = {"activation": race.activation, "widths": "-".join(map(str, race.widths)), "side": race.side}
    row |= {
        "half_width": race.half_width,
        "optimizer": race.optimizer,
        "lr": lr,
        "net": name,
        "n_parameters": net.n_parameters,
        "seed": seed,
    }
    row |= {"loss_at_birth": losses[0].loss, f"loss_after_{EARLY}": losses.get(EARLY, last).loss}
    return row | {"steps": last.step, "reached": int(last.reached), "loss": last.loss}


def time_steps(race: Race, *, n_blocks: int, block_steps: int) -> dict[str, dict[str, float]]:
    """Processor seconds a step of both networks, quartiles over blocks that take turns, and those that QR takes once.

    The first block of each warms up and is dropped; a step looks at its loss, as in a run.
    """
    nets = both(race.widths, race.activation, 0)
    started = time.thread_time()
    qr_compress(nets["full"])
    once = {"full": 0.0, "compressed": time.thread_time() - started}
    options = {"target_loss": 1e-30, "max_steps": block_steps * (n_blocks + 1), "every": block_steps}
    streams = {name: race_stream(net, race, 0.001, **options) for name, net in nets.items()}
    taken: dict[str, list[float]] = {name: [] for name in NETS}
    for stream in streams.values():
        next(stream)
    for _ in range(n_blocks + 1):
        for name, stream in streams.items():
            started = time.thread_time()
            next(stream)
            taken[name].append((time.thread_time() - started) / block_steps)
    names = ("seconds_per_step", "lower_quartile", "upper_quartile")
    quartiles = {name: np.percentile(seconds[1:], (50, 25, 75)).tolist() for name, seconds in taken.items()}
    return {name: dict(zip(names, quartiles[name], strict=True)) | {"seconds_once": once[name]} for name in NETS}


def regimes(rows: Sequence[dict]) -> list[dict]:
    """The runs of one race taken together: both networks at each common rate, and each at its own best.

    Best is the rate with most runs that arrive, then the least median seconds. A run that stalled counts as infinitely
    many steps in the medians. Ratios are full / compressed, NaN where neither arrives; sooner counts the seeds whose
    compressed network arrives in fewer seconds.
    """
    groups: dict[str, dict[float, dict]] = {name: {} for name in NETS}
    for row in rows:
        groups[row["net"]].setdefault(row["lr"], []).append(row)
    found = {name: {lr: _together(runs) for lr, runs in group.items()} for name, group in groups.items()}
    best = [min(found[name], key=lambda lr: (-found[name][lr]["reached"], found[name][lr]["seconds"])) for name in NETS]
    common = [lr for lr in found["full"] if lr in found["compressed"]]
    table = []
    for choice, *rates in [*(("same", lr, lr) for lr in common), ("tuned", *best)]:
        row = {key: rows[0][key] for key in ("activation", "widths", "side", "half_width", "optimizer")} | {
            "rates": choice
        }
        full, compressed = (found[name][lr] for name, lr in zip(NETS, rates, strict=True))
        for name, lr, each in zip(NETS, rates, (full, compressed), strict=True):
            row |= {f"lr_{name}": lr} | {f"{key}_{name}": value for key, value in each.items() if key != "runs"}
        row |= {f"{key}_ratio": full[key] / compressed[key] for key in ("steps", "seconds_per_step", "seconds")}
        table.append(row | {"sooner": int((compressed["runs"] < full["runs"]).sum())})
    return table


def _together(runs: Sequence[dict]) -> dict:
    reached = [row["reached"] for row in runs]
    steps = np.array([row["steps"] if row["reached"] else math.inf for row in runs])
    seconds = np.array([row["seconds"] if row["reached"] else math.inf for row in runs])
    return {
        "reached": sum(reached),
        "steps": float(np.median(steps)),
        "seconds_per_step": runs[0]["seconds_per_step"],
        "seconds": float(np.median(seconds)),
        "runs": seconds,
    }
