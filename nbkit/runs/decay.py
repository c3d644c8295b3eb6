"""The experiments on weight decay and the RBV^2 penalty at the paper's size: nine trainings of 4 inputs and 81 samples.

Targets and seeds are not public; `Settings` stands in for them. The seven networks with bottlenecks train side by side, and
so do the two fully connected ones.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nbkit.device import choose_device, one_thread
from nbkit.nets import FullSkipNets, SkipNets
from nbkit.training import descend_many
from nbkit.weights import Uniform

__all__ = ["COMMAND", "Settings", "factored_nets", "full_nets", "samples", "train_decay"]

COMMAND = "python -m nbkit run decay"


@dataclass(frozen=True)
class Settings:
    """What the run is; the defaults are what is stored.

    Attributes:
        seed: of targets and of all networks at birth; the seven start as one network, and so do the two.
        n_neurons: K of both layers.
        bottleneck: d_1.
        strengths: lambda of Figure 2, for both penalties; lambda of Figures 3 and 4 must be among them.
        full_strength: lambda of the fully connected baseline.
        lr: Adam's constant rate.
        factored_epochs, full_epochs: an epoch is one full-batch step.
        every: epochs between two records; medians of the errors are taken over as many.
        snapshots, full_snapshots: epochs between two snapshots, beside those at 100, 200, 500, 1000, 2000, ...
    """

    seed: int = 0
    n_neurons: int = 1296
    bottleneck: int = 16
    strengths: tuple[float, ...] = (1e-1, 1e-3, 1e-5)
    full_strength: float = 1e-3
    lr: float = 1e-3
    factored_epochs: int = 200_000
    full_epochs: int = 50_000
    every: int = 100
    snapshots: int = 5000
    full_snapshots: int = 10_000

    @property
    def penalties(self) -> list[tuple[str, float]]:
        """Of the seven trainings of Figure 2."""
        return [*itertools.product(("rbv2", "weight_decay"), self.strengths), ("none", 0.0)]

    @property
    def epochs(self) -> dict[str, int]:
        """Of both batches of trainings."""
        return {"factored": self.factored_epochs, "full": self.full_epochs}

    @property
    def full_penalties(self) -> list[tuple[str, float]]:
        """Of the two fully connected ones."""
        return [("weight_decay", self.full_strength), ("none", 0.0)]


def samples(settings: Settings) -> tuple[torch.Tensor, torch.Tensor]:
    """The grid {0, 1/2, 1}^4, float32 (81, 4), and 81 targets uniform in [-1, 1]."""
    x = torch.cartesian_prod(*[torch.tensor([0.0, 0.5, 1.0])] * 4)
    return x, Uniform(1.0).sample((len(x),), seed=settings.seed).float()


def factored_nets(settings: Settings) -> SkipNets:
    """The seven networks with bottlenecks at birth: the settings of Figure 2."""
    n_runs = len(settings.penalties)
    return SkipNets((4, settings.bottleneck, 1), settings.n_neurons, seeds=(settings.seed,) * n_runs)


def full_nets(settings: Settings) -> FullSkipNets:
    """The two fully connected networks at birth: the baselines of Figures 3 and 4."""
    n_runs = len(settings.full_penalties)
    return FullSkipNets(4, (settings.n_neurons,) * 2, 1, seeds=(settings.seed,) * n_runs)


def train_decay(settings: Settings, *, work: Path, say: Callable[[str], None]) -> None:
    """All nine trainings, from the beginning or from where they were stopped; snapshots of their weights in `work`."""
    factored, full = factored_nets(settings), full_nets(settings)
    _train("factored", factored, settings.penalties, settings.snapshots, settings, work, say)
    _train("full", full, settings.full_penalties, settings.full_snapshots, settings, work, say)


@one_thread()
def _train(name, nets, penalties, apart, settings, work: Path, say: Callable[[str], None]) -> None:
    folder, epochs = work / name, settings.epochs[name]
    kept, started = set(_snapshot_epochs(epochs, apart)), time.perf_counter()
    options = {"max_steps": epochs, "lr": settings.lr, "every": settings.every, "checkpoint_every": 10 * settings.every}
    folder.mkdir(parents=True, exist_ok=True)
    nets.to(choose_device())
    for record in descend_many(
        nets, *samples(settings), penalties, **options, checkpoint=folder / "checkpoint.safetensors"
    ):
        if record.step in kept:
            _save(folder / f"epoch_{record.step:06d}.npz", nets)
        row = {"epoch": record.step, "seconds": time.perf_counter() - started, "diverged": record.diverged}
        row |= {"losses": record.losses.tolist(), "median_losses": record.median_losses.tolist()}
        with (folder / "records.jsonl").open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(row))  # a line of its own, whatever a killed run left
        if record.step % (10 * settings.every) == 0:
            say(f"{name}: epoch {record.step} of {epochs}, {row['seconds']:.0f} s")


def _snapshot_epochs(epochs: int, apart: int) -> Iterator[int]:
    yield from (each for each in (0, 100, 200, 500, 1000, 2000, epochs) if each <= epochs)
    yield from range(apart, epochs, apart)


def _save(path: Path, nets: torch.nn.Module) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **{name: value.cpu().numpy() for name, value in nets.state_dict().items()})
    os.replace(partial, path)
