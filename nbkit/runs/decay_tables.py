"""The nine paper-scale trainings and what their snapshots say: three tables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from nbkit.errors import NbkitError
from nbkit.measure import (
    active_neurons,
    bottleneck_singular_values,
    density_above,
    neuron_groups,
    singular_values,
    sorted_by_norm,
)
from nbkit.nets import FullSkipNet, FullSkipNets, SkipNet, SkipNets
from nbkit.results import load_result, save_result, sidecar
from nbkit.runs.decay import COMMAND, Settings, factored_nets, full_nets, train_decay

__all__ = ["N_BLOCKS", "run_decay", "tabulate"]

N_BLOCKS = 54  # a side of the stored pictures of A^(2): the largest entry of each block of the sorted matrix
_REL = 1e-3  # numerical rank counts singular values above this share of the largest


def run_decay(
    *, work: Path, say: Callable[[str], None], settings: Settings = Settings(), folder: Path | None = None
) -> None:
    """The whole run; an interrupt stores what there is, marked as partial, and the next call goes on from there.

    What a longer run has stored is not replaced by a part of this one.

    Args:
        work: folder of checkpoints and snapshots, kept until everything is stored.
        say: takes lines of progress.
        settings: default: what is stored.
        folder: of the results, default data/results.
    """
    try:
        train_decay(settings, work=work, say=say)
    except KeyboardInterrupt:
        if sum(part.epochs[-1] for part in _parts(settings, work) if part.epochs) >= _stored_steps(folder):
            tabulate(settings, work=work, folder=folder)
        raise
    for path in tabulate(settings, work=work, folder=folder):
        say(f"stored {path}")
    shutil.rmtree(work)


def _stored_steps(folder: Path | None) -> int:
    try:
        return load_result("decay_training", folder=folder).sidecar["steps"]
    except NbkitError:  # nothing there, or damaged
        return 0


def tabulate(settings: Settings, *, work: Path, folder: Path | None = None) -> list[Path]:
    """Store the tables of whatever snapshots there are; their sidecars say how far the trainings have come.

    decay_training: one row for each network and snapshot; the rank of A^(2) is 0 where none of its entries stands.
    decay_spectra: singular values of A^(2), of the fully connected networks at birth and at the end only. decay_matrices:
    |A^(2)| sorted by decreasing norms of rows and columns, in blocks, at lambda of Figure 3, when the fully connected
    trainings end and when all do.

    Args:
        settings: of the run.
        work: folder with the snapshots.
        folder: of the results, default data/results.

    Returns:
        The paths of the CSV files; none where there is no snapshot yet, and what was stored before stays.
    """
    parts = [part for part in _parts(settings, work) if part.epochs]
    if not parts:
        return []
    rows = {
        "decay_training": [row for part in parts for row in part.training()],
        "decay_spectra": [row for part in parts for row in part.spectra()],
        "decay_matrices": [row for part in parts for row in part.matrices()],
    }
    reached = {part.name: part.epochs[-1] for part in parts}
    beside = sidecar(
        command=COMMAND,
        seed=settings.seed,
        seconds=sum(part.seconds for part in parts),
        steps=sum(reached.values()),
        status="complete" if reached == settings.epochs else "partial",
        reached=reached,
        settings=asdict(settings),
        blocks=N_BLOCKS,
    )
    return [
        save_result(name, {key: [row[key] for row in table] for key in table[0]}, beside, folder=folder)
        for name, table in rows.items()
    ]


class _Part:
    """The snapshots of one batch of trainings."""

    def __init__(self, name: str, nets: SkipNets | FullSkipNets, penalties, settings: Settings, work: Path) -> None:
        self.name, self.nets, self.penalties, self.settings = name, nets, penalties, settings
        self._paths = {int(path.stem[6:]): path for path in (work / name).glob("epoch_*.npz")}
        log = work / name / "records.jsonl"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        self._records = [record for line in lines if (record := _whole(line)) is not None]
        told = {record["epoch"] for record in self._records}
        self.epochs = sorted(epoch for epoch in self._paths if epoch in told)

    @property
    def seconds(self) -> float:
        """Of training, over all sittings; each counts from its own beginning."""
        told = [record["seconds"] for record in self._records] + [0.0]
        return sum(here for here, after in zip(told, told[1:], strict=False) if after < here)

    def training(self) -> Iterator[dict]:
        # where a sitting began its median knows of one step only: the record of the sitting before it counts
        records = {record["epoch"]: record for record in reversed(self._records)}
        for epoch, run, net, about in self._each(self.epochs):
            losses, medians = records[epoch]["losses"], records[epoch]["median_losses"]
            yield about | {"loss": losses[run], "median_loss": medians[run]} | _densities(net)

    def spectra(self) -> Iterator[dict]:
        epochs = self.epochs if self.name == "factored" else sorted({self.epochs[0], self.epochs[-1]})
        for _, _, net, about in self._each(epochs):
            for index, value in enumerate(_spectrum(net).tolist()):
                yield about | {"index": index, "singular_value": value}

    def matrices(self) -> Iterator[dict]:
        chosen = {self.epochs[-1], self.settings.full_epochs} & set(self.epochs)
        for _, _, net, about in self._each(sorted(chosen)):
            if about["lambda"] not in (self.settings.full_strength, 0.0):
                continue
            blocks = _blocks(sorted_by_norm(net.between[0]).matrix.abs())
            for (row, column), value in np.ndenumerate(blocks.numpy()):
                yield about | {"row": row, "column": column, "value": float(f"{value:.3g}")}

    def _each(self, epochs: list[int]) -> Iterator[tuple[int, int, SkipNet | FullSkipNet, dict]]:
        """Every network of these snapshots: epoch, run, network, what its rows begin with."""
        for epoch in epochs:
            with np.load(self._paths[epoch], allow_pickle=False) as file:
                self.nets.load_state_dict({name: torch.from_numpy(file[name]) for name in file.files})
            for run, (method, strength) in enumerate(self.penalties):
                about = {"net": self.name, "method": method, "lambda": strength, "epoch": epoch}
                yield epoch, run, self.nets[run], about


def _whole(line: str) -> dict | None:
    """The record on a line, or None where a killed run left a part of one."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _parts(settings: Settings, work: Path) -> list[_Part]:
    return [
        _Part("factored", factored_nets(settings), settings.penalties, settings, work),
        _Part("full", full_nets(settings), settings.full_penalties, settings, work),
    ]


def _densities(net: SkipNet | FullSkipNet) -> dict[str, float]:
    """Of each weight matrix and their mean, and the neurons: what a fully connected network does not have is NaN."""
    nan = float("nan")
    if isinstance(net, FullSkipNet):
        named = {"V1": nan, "W1": density_above(net.skips[0]), "V2": density_above(net.V), "W2": nan}
        between = density_above(net.between[0])
        neurons = {"active_1": nan, "active_2": nan, "groups_1": nan, "rank_A2": nan}
        mean = float(np.mean([named["W1"], between, named["V2"]]))
    else:
        named = {name: density_above(matrix) for name, matrix in net.matrices.items()}
        between, mean = density_above(net.between[0]), float(np.mean(list(named.values())))
        spectrum = _spectrum(net)
        neurons = {f"active_{place}": int(active_neurons(net.layers[place - 1]).sum()) for place in (1, 2)}
        neurons |= {"groups_1": int(neuron_groups(net.layers[0]).max()) + 1}
        # what is left of a matrix of which no entry stands is noise, of any rank
        neurons |= {"rank_A2": int((spectrum > _REL * spectrum[0]).sum()) if between else 0}
    columns = {f"density_{name}": value for name, value in named.items()}
    return columns | {"density_A2": between, "mean_density": mean} | neurons


def _spectrum(net: SkipNet | FullSkipNet) -> torch.Tensor:
    if isinstance(net, FullSkipNet):
        return singular_values(net.between[0])
    return bottleneck_singular_values(net.layers[1].W, net.layers[0].V)


def _blocks(matrix: torch.Tensor) -> torch.Tensor:
    """The largest entry of each of at most N_BLOCKS x N_BLOCKS blocks."""
    side = -(-max(matrix.shape) // N_BLOCKS)
    return torch.nn.functional.max_pool2d(matrix[None, None], side, ceil_mode=True)[0, 0]
