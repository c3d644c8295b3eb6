"""The three experiments of the radial networks' paper (section 7), and where training the compressed network pays.

Optimisers, rates, data and numbers of steps are in an appendix that is not public; `Settings` stands in for them.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from nbkit.compress import keep_projected, qr_compress
from nbkit.device import one_thread
from nbkit.nets import RadialNet
from nbkit.results import save_result, sidecar
from nbkit.runs.cells import Cells
from nbkit.runs.radial_races import NETS, RACES, Race, regimes, run_once, time_steps
from nbkit.training import bells, descend, grid_points, make_optimizer

__all__ = ["Settings", "lossless", "projected", "run_radial_training"]

COMMAND = "python -m nbkit run radial_training"


@dataclass(frozen=True)
class Settings:
    """What the run is; the defaults are what is stored.

    Attributes:
        seeds: of the networks at birth; each experiment repeats for all of them.
        line_widths: of the network that learns exp(-x^2), experiments 1 and 2.
        line_activation: in experiment 1; the shift is 1.
        line_points: samples, evenly in [-2, 2].
        line_steps: of every training in experiments 1 and 2.
        sgd_rate, adam_rate: of the trainings of experiment 1.
        descents: activation and rate of experiment 2. Rounding stays rounding while the steps do not stretch distances;
            the sigmoids bend the loss without bound where a layer's vectors come near 0, where h jumps, and a rate of
            0.1 is too large there: two networks that differ by 1e-16 part by a factor of about 3 a step.
        every: steps between two records of experiment 2.
        races: of experiment 3.
        target_loss: mean over points and outputs, at which a race is won.
        max_steps: after which a run of a race counts as stalled.
        n_blocks, block_steps: how long both networks of a race take turns to be timed.
    """

    seeds: tuple[int, ...] = tuple(range(10))
    line_widths: tuple[int, ...] = (1, 6, 7, 1)
    line_activation: str = "shifted_sigmoid"
    line_points: int = 101
    line_steps: int = 1000
    sgd_rate: float = 0.1
    adam_rate: float = 0.01
    descents: tuple[tuple[str, float], ...] = (("shifted_sigmoid", 0.02), ("shifted_sigmoid", 0.1), ("squash", 0.1))
    every: int = 50
    races: tuple[Race, ...] = RACES
    target_loss: float = 0.01
    max_steps: int = 3000
    n_blocks: int = 20
    block_steps: int = 5


@one_thread()
def run_radial_training(
    *, work: Path, say: Callable[[str], None], settings: Settings = Settings(), folder: Path | None = None
) -> None:
    """The whole run; four tables.

    radial_lossless: |F - F_red| of each network, at birth and trained. radial_projected: the losses of projected,
    compressed and full gradient descent along training. radial_races: one row for each race, network, rate and seed.
    radial_regimes: one row for each race and choice of rates, all seeds taken together.

    Args:
        work: folder for the rows of finished cells until all is stored; a run that was stopped goes on from them.
        say: takes lines of progress.
        settings: default: what is stored.
        folder: of the results, default data/results.
    """
    cells = Cells(work / "cells.jsonl", say, apart=("races", "seeds"))
    races = [_race(cells, settings, race) for race in settings.races]
    tables = {
        "radial_lossless": [row for seed in settings.seeds for row in cells.rows(lossless, settings, seed)],
        "radial_projected": [row for seed in settings.seeds for row in cells.rows(projected, settings, seed)],
        "radial_races": [row for runs in races for row in runs],
        "radial_regimes": [row for runs in races for row in regimes(runs)],
    }
    beside = sidecar(
        command=COMMAND,
        seed=settings.seeds[0],
        seconds=cells.seconds,
        steps=sum(row["steps"] for row in tables["radial_races"]),
        settings=asdict(settings),
    )
    for name, rows in tables.items():
        columns = {key: [row[key] for row in rows] for key in rows[0]}
        say(f"stored {save_result(name, columns, beside, folder=folder)}")
    shutil.rmtree(work)


def lossless(settings: Settings, seed: int) -> list[dict]:
    """Experiment 1, in float32 as torch computes by default: at birth, after gradient descent, and after Adam."""
    x = grid_points(settings.line_points)
    rows = []
    for name, lr in (("sgd", settings.sgd_rate), ("adam", settings.adam_rate)):
        net = RadialNet(settings.line_widths, settings.line_activation, seed=seed)
        optimizer = make_optimizer(name, net, lr=lr)
        for record in descend(net, x, bells(x), optimizer, max_steps=settings.line_steps, every=settings.line_steps):
            if record.step or not rows:
                with torch.no_grad():
                    gap = (net(x) - qr_compress(net).net(x)).abs()
                row = {"seed": seed, "trained_by": name if record.step else "nothing", "step": record.step}
                row |= {"loss": record.loss, "mean_gap": gap.mean().item(), "max_gap": gap.max().item()}
                rows.append(row)
    return rows


def projected(settings: Settings, seed: int) -> list[dict]:
    """Experiment 2: gradient descent, plain and projected, of three networks that start as one function."""
    cases = itertools.product(settings.descents, ("float32", "float64"))
    return [row for (name, lr), dtype in cases for row in _descents(settings, seed, name, lr, dtype)]


def _descents(settings: Settings, seed: int, activation: str, lr: float, dtype: str) -> list[dict]:
    x = grid_points(settings.line_points).to(getattr(torch, dtype))
    net = RadialNet(settings.line_widths, activation, seed=seed).to(x)
    found = qr_compress(net)
    nets = {"projected": found.transformed, "compressed": found.net, "full": net}
    optimizers = {each: make_optimizer("sgd", nets[each], lr=lr) for each in nets}
    keep_projected(optimizers["projected"], nets["projected"], found.widths)
    options = {"max_steps": settings.line_steps, "every": settings.every}
    rows = []
    for records in zip(*(descend(nets[each], x, bells(x), optimizers[each], **options) for each in nets), strict=True):
        row = {"activation": activation, "lr": lr, "seed": seed, "dtype": dtype, "step": records[0].step}
        row |= {f"loss_{each}": record.loss for each, record in zip(nets, records, strict=True)}
        rows.append(row | {"gap": abs(row["loss_projected"] - row["loss_compressed"])})
    return rows


def _race(cells: Cells, settings: Settings, race: Race) -> list[dict]:
    """All runs of one race, each with the seconds that its steps take."""
    (speed,) = cells.rows(_timed, settings, race)
    rows = []
    for net, rates in zip(NETS, (race.full_rates, race.compressed_rates), strict=True):
        for lr, seed in itertools.product(rates, settings.seeds):
            (run,) = cells.rows(_run, settings, race, net, lr, seed)
            seconds = run["steps"] * speed[net]["seconds_per_step"] + speed[net]["seconds_once"]
            rows.append(run | speed[net] | {"seconds": seconds})
    return rows


def _timed(settings: Settings, race: Race) -> list[dict]:
    return [time_steps(race, n_blocks=settings.n_blocks, block_steps=settings.block_steps)]


def _run(settings: Settings, race: Race, net: str, lr: float, seed: int) -> list[dict]:
    options = {"target_loss": settings.target_loss, "max_steps": settings.max_steps}
    return [run_once(race, net, lr, seed, **options)]
