"""What the trainings of the deep networks say: accuracies, gradients, and the singular values of their Jacobians."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import nn

from nbkit.errors import NbkitError, check_integers
from nbkit.measure import DeepProduct, jacobian_factors, jacobian_singular_values
from nbkit.results import load_result, save_result, sidecar
from nbkit.runs.deep import COMMAND, Settings, cell_folder, deep_network, load_snapshot, train_cell

__all__ = ["N_DIGITS", "run_deep", "spectrum_rows", "tabulate"]

N_DIGITS = 8  # the first test digits, at which Jacobians are taken
_HIDDEN_EPOCHS = (
    0,
    10,
)  # and the last: when the spectrum behind the last hidden layer is taken, which costs seconds a digit
_TRAINS = 0.15  # of the test digits: more than by guessing


def run_deep(
    *,
    work: Path,
    say: Callable[[str], None],
    data: str | Path | None = None,
    depths: object | None = None,
    settings: Settings = Settings(),
    folder: Path | None = None,
) -> None:
    """All trainings and their tables; after an interrupt the next call goes on, and what there is is stored as partial.

    What a longer run has stored is not replaced by a part of this one.

    Args:
        work: folder of checkpoints, records and snapshots, kept until everything is stored.
        say: takes lines of progress.
        data, depths: instead of those in `settings`; data is a folder with the files of the full MNIST.
        settings: default: what is stored.
        folder: of the results, default data/results.

    Raises:
        NbkitError: depths below 1, a folder without the files.
    """
    if depths is not None:
        settings = replace(settings, depths=check_integers("run_deep", "depths", depths, at_least=1))
    settings = settings if data is None else replace(settings, data=str(data))
    settings.split()  # is it there?
    try:
        for depth, method in settings.cells:
            train_cell(settings, depth, method, work=work, say=say)
    except KeyboardInterrupt:
        if sum(_reached(settings, work).values()) >= _stored_steps(settings, folder):
            tabulate(settings, work=work, folder=folder)
        raise
    for path in tabulate(settings, work=work, folder=folder):
        say(f"stored {path}")
    for depth, method in settings.cells:
        shutil.rmtree(cell_folder(settings, depth, method, work))


def tabulate(settings: Settings, *, work: Path, folder: Path | None = None) -> list[Path]:
    """Store the tables of the cells that have begun; their sidecars say which are missing.

    deep_table: one row for each cell; edges counts the weights of all layers but the last, fewest_edges those of the layer
    that has fewest. deep_training: one row for each epoch; gradients are norms of a layer's gradient in the last batch of
    the epoch, of the first layer, the last, and the smallest of all. deep_spectra: singular values of the Jacobian at
    test digits: of the network (ten values, at `N_DIGITS` digits) and of its hidden part (256 values, at one digit),
    both from the pixels on; smallest, log10_smallest and log10_mean in the log domain, -inf where one is exactly 0.

    Args:
        settings: of the run.
        work: folder with the records and snapshots.
        folder: of the results, default data/results.

    Returns:
        The paths of the CSV files; none where no cell has begun, and what was stored before stays.
    """
    reached = _reached(settings, work)
    if not reached:
        return []
    parts = [_Cell(settings, depth, method, work) for depth, method in settings.cells if (depth, method) in reached]
    rows = {
        "table": [part.summary() for part in parts],
        "training": [row for part in parts for row in part.training()],
        "spectra": [row for part in parts for row in part.spectra()],
    }
    split = settings.split()
    missing = [cell for cell in settings.cells if not (cell_folder(settings, *cell, work) / "done").exists()]
    beside = sidecar(
        command=COMMAND,
        seed=settings.seed,
        seconds=sum(part.seconds for part in parts),
        steps=sum(reached.values()),
        status="partial" if missing else "complete",
        missing=[f"{depth} {method}" for depth, method in missing],
        settings=asdict(settings) | {"data": "shipped digits" if settings.data is None else "full MNIST"},
        rates={depth: settings.rate(depth) for depth in settings.depths},
        n_train=len(split.train_labels),
        n_test=len(split.test_labels),
        digits=N_DIGITS,
    )
    return [
        save_result(
            f"{settings.name}_{name}", {key: [row[key] for row in table] for key in table[0]}, beside, folder=folder
        )
        for name, table in rows.items()
    ]


def _reached(settings: Settings, work: Path) -> dict[tuple[int, str], int]:
    """The epoch of every cell that has a record."""
    records = {cell: _records(cell_folder(settings, *cell, work)) for cell in settings.cells}
    return {cell: max(found) for cell, found in records.items() if found}


def _stored_steps(settings: Settings, folder: Path | None) -> int:
    try:
        return load_result(f"{settings.name}_table", folder=folder).sidecar["steps"]
    except NbkitError:  # nothing there, or damaged
        return 0


def _records(folder: Path) -> dict[int, dict]:
    """Epoch -> record. Where a sitting goes on from a checkpoint its first record knows of no loss: the older one counts."""
    log, records = folder / "records.jsonl", {}
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:  # a killed run left a part of it
            continue
        records.setdefault(record["epoch"], record)
    return records


class _Cell:
    """What one training has left."""

    def __init__(self, settings: Settings, depth: int, method: str, work: Path) -> None:
        self.settings, self.depth, self.method, self.work = settings, depth, method, work
        self.folder = cell_folder(settings, depth, method, work)
        self.records = [record for _, record in sorted(_records(self.folder).items())]
        self.about = {"depth": depth, "method": method}

    @property
    def seconds(self) -> float:
        """Of training; a sitting after an interrupt counts from its own beginning."""
        told = [record["seconds"] for record in self.records] + [0.0]
        return sum(here for here, after in zip(told, told[1:], strict=False) if after < here)

    def summary(self) -> dict:
        accuracies, last = [record["accuracy"] for record in self.records], self.records[-1]["epoch"]
        edges = self._edges()
        return self.about | {
            "accuracy": accuracies[-1],
            "best": max(accuracies),
            "epochs": last,
            "verdict": self._verdict() if (self.folder / "done").exists() else f"unfinished: epoch {last}",
            "edges": sum(edges),
            "fewest_edges": min(edges),
        }

    def _verdict(self) -> str:
        if not math.isfinite(self.records[-1]["loss"]):
            return "diverges"
        return "trains" if max(record["accuracy"] for record in self.records) > _TRAINS else "does not train"

    def training(self) -> Iterator[dict]:
        for record in self.records:
            norms = record["gradient_norms"] or [math.nan]
            row = self.about | {name: record[name] for name in ("epoch", "loss", "accuracy", "seconds")}
            row |= {"gradient_first": norms[0], "gradient_last": norms[-1], "gradient_least": min(norms)}
            yield row

    def spectra(self) -> Iterator[dict]:
        """Of every snapshot, kept beside it once computed."""
        paths = sorted(self.folder.glob("epoch_*.npz"))
        for path in paths:
            kept, epoch = path.with_suffix(".json"), int(path.stem[6:])
            is_over = (self.folder / "done").exists()
            with_hidden = epoch in _HIDDEN_EPOCHS or (is_over and path == paths[-1])
            rows = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else []
            if len(rows) < 1 + with_hidden:
                load_snapshot(self._net, path)
                digits = self.settings.split().test_images[:N_DIGITS]
                rows = spectrum_rows(self._net.dense(), digits, with_hidden=with_hidden)
                kept.write_text(json.dumps(rows), encoding="utf-8")
            for row in rows:
                yield self.about | {"epoch": epoch} | row

    @property
    def _net(self) -> nn.Sequential:
        if not hasattr(self, "_made"):
            self._made = deep_network(self.settings, self.depth, self.method, self.work)
        return self._made

    def _edges(self) -> list[int]:
        *hidden, _ = (module for module in self._net if hasattr(module, "weight"))
        return [module.weight.numel() for module in hidden]


def spectrum_rows(net: nn.Sequential, digits: torch.Tensor, *, with_hidden: bool = True) -> list[dict]:
    """Statistics of the singular values of the Jacobian: of a network at digits, and of its hidden part at the first.

    Args:
        net: nn.Linear and activations in turns, nn.Linear last.
        digits: (n, n_inputs).
        with_hidden: whether the hidden part is looked at.

    Returns:
        Rows with part ("network" | "hidden"), mean, variance, smallest, largest, log10_smallest, log10_mean.
    """
    values = jacobian_singular_values(net, digits).flatten()
    rows = [_row("network", values, values.log10())]
    if with_hidden:
        logs = _log10_from_behind(net[:-1], digits[0])
        rows.append(_row("hidden", 10**logs, logs))
    return rows


def _row(part: str, values: torch.Tensor, logs: torch.Tensor) -> dict:
    row = {"part": part, "mean": values.mean(), "variance": values.var(correction=0), "smallest": values.min()}
    row |= {"largest": values.max(), "log10_smallest": logs.min(), "log10_mean": logs.mean()}
    return {name: value if isinstance(value, str) else value.item() for name, value in row.items()}


def _log10_from_behind(net: nn.Sequential, digit: torch.Tensor) -> torch.Tensor:
    """As `jacobian_log10_singular_values`, of the transposed product: 256 columns instead of 1024, a fifth of the time."""
    factors = jacobian_factors(net, digit)
    product = DeepProduct(factors[-1].shape[0])
    for factor in reversed(factors):
        product.multiply(factor.mT if factor.ndim == 2 else factor)
    return product.log10_singular_values()
