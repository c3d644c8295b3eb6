"""When to prune: at birth and then train (-S), or train, prune and train as long again (-T) (Esguerra et al. 2023)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from nbkit.compress.prune import PRUNINGS, prune
from nbkit.data import Split
from nbkit.errors import check_choice
from nbkit.training import Progress, train
from nbkit.training.checkpoint import check_path

__all__ = ["PROTOCOLS", "PrunedTraining", "train_pruned"]

PROTOCOLS = tuple(f"{method}-{when}" for method in PRUNINGS for when in "ST")


@dataclass(frozen=True, eq=False)
class PrunedTraining:
    """How far a training with pruning is.

    Attributes:
        phase: "train" or "finetune".
        net: what is trained in that phase; pruned in a -S protocol from the first record on, in a -T protocol while
            finetuning.
        record: of that phase, as `nbkit.training.train` gives it.
    """

    phase: str
    net: nn.Sequential
    record: Progress


def train_pruned(
    net: nn.Sequential,
    data: Split | tuple,
    protocol: str = "GMP-T",
    density: float = 0.1,
    *,
    epochs: float | None = None,
    steps: int | None = None,
    seed: int | np.random.Generator | None = 0,
    checkpoint: str | Path | None = None,
    **options: object,
) -> Iterator[PrunedTraining]:
    """Train a network that is pruned at birth (-S), or train, prune and finetune a copy of it for as long again (-T).

    So a -S protocol has half the epochs of its -T protocol, as in the paper. The given network is left as it is.

    Args:
        net: as `prune`.
        data, epochs, steps: as `train`, of each phase.
        protocol: GMP-S, GMP-T, LMP-S, LMP-T, LRP-S, LRP-T, RG-S or RG-T.
        density: as `prune`.
        seed: of the batches of both phases and of what is pruned at random.
        checkpoint: a .safetensors file; a phase adds its name, so that a stopped training goes on in the right one.
        options: of `train`, for both phases.

    Yields:
        PrunedTraining for each record of each phase.

    Raises:
        NbkitError: another protocol, what `prune` and `train` refuse (at the first `next`).

    Source:
        Esguerra et al. 2023, section III-E and Fig. 1.
    """
    method, when = check_choice("train_pruned", "protocol", protocol, PROTOCOLS).rsplit("-", 1)
    whole = check_path("train_pruned", checkpoint)
    pruned = prune(net, density, method, seed=seed)  # in a -T protocol too: what it refuses it refuses before training
    net = pruned if when == "S" else copy.deepcopy(net)
    for phase in ("train", "finetune")[: 1 + (when == "T")]:
        if phase == "finetune":
            net = prune(net, density, method, seed=seed)
        path = None if whole is None else whole.with_stem(f"{whole.stem}.{phase}")
        for record in train(net, data, epochs=epochs, steps=steps, seed=seed, checkpoint=path, **options):
            yield PrunedTraining(phase, net, record)
