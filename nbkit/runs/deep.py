"""Table 7 and Figure 11 of the SAO paper on the digits: which of the deep networks train, and their Jacobians meanwhile."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nbkit.compress import prune
from nbkit.data import Split, full_split, mnist_split
from nbkit.device import choose_device, one_thread
from nbkit.nets import deep_net
from nbkit.training import Progress, train

__all__ = ["COMMAND", "METHODS", "Settings", "cell_folder", "deep_network", "load_snapshot", "train_cell"]

COMMAND = "python -m nbkit run deep"
METHODS = (
    *("Dense", "SAO", "RG-N", "RG-U", "GMP-S", "GMP-T"),  # the paper's, and at equal density what it does not have:
    *("RadiX", "RadiX-N", "X-Net random", "X-Net Cayley"),
)
_SNAPSHOTS = (0, 1, 2, 5, 10, 20, 50, 100)
# From this depth on: the paper's Table 2, which is silent between its depths.
_RATES = ((600, 1e-4), (200, 1e-3), (1, 1e-2))


@dataclass(frozen=True)
class Settings:
    """What the run is; the defaults are what is stored.

    The paper's table is `Settings(depths=(50, 200, 400, 600, 800, 1000), data=folder)`: all 60,000 digits.

    Attributes:
        depths: N; each network has N - 1 layers of 256 -> 256 and three others.
        methods: see `METHODS`; GMP-T needs Dense, which must stand before it.
        data: folder with the four IDX files of the full MNIST, as `nbkit.data.full_split` reads it; default the shipped
            digits, 8,000 to train on.
        seed: of wires, weights and the order of the digits.
        epochs, batch_size, weight_decay: of SGD with momentum 0.9.
        degree: d, weights into a hidden neuron. GMP keeps as many in all.
        gain: of all weights at birth.
        patience: epochs after which a network that only guesses is given up.
    """

    depths: tuple[int, ...] = (50, 200)
    methods: tuple[str, ...] = METHODS
    data: str | None = None
    seed: int = 0
    epochs: int = 100
    batch_size: int = 128
    weight_decay: float = 1e-4
    degree: int = 4
    gain: float = 1.1
    patience: int = 25

    @property
    def cells(self) -> list[tuple[int, str]]:
        """(depth, method) of every training; X-Nets are trained at the first depth alone, which keeps the run short."""
        return [(n, m) for n in self.depths for m in self.methods if n == self.depths[0] or not m.startswith("X-Net")]

    @property
    def name(self) -> str:
        """What the names of the stored tables begin with: those of other depths or data do not replace the shipped ones."""
        depths = "" if self.depths == Settings.depths else "_" + "_".join(map(str, self.depths))
        return f"deep{depths}{'' if self.data is None else '_full'}"

    def rate(self, depth: int) -> float:
        """The learning rate, constant through the training."""
        return next(rate for least, rate in _RATES if depth >= least)

    def split(self) -> Split:
        """The digits on 32 x 32 pixels."""
        return (mnist_split() if self.data is None else full_split(self.data)).padded(32)


def cell_folder(settings: Settings, depth: int, method: str, work: Path) -> Path:
    """Where a cell's checkpoint, records and snapshots are."""
    return work / f"{depth}_{method.replace(' ', '_')}{'' if settings.data is None else '_full'}"


def deep_network(settings: Settings, depth: int, method: str, work: Path) -> nn.Sequential:
    """The network of a cell as its training begins; for GMP-T, the trained dense one of `work`, pruned."""
    options = {"degree": settings.degree, "gain": settings.gain, "seed": settings.seed}
    if not method.startswith("GMP"):
        return deep_net(depth, method, **options)
    dense = deep_net(depth, "Dense", **options)
    if method == "GMP-T":
        load_snapshot(dense, max(cell_folder(settings, depth, "Dense", work).glob("epoch_*.npz")))
    return prune(dense, _sao_density(depth, options), "GMP")


def _sao_density(depth: int, options: dict) -> float:
    """The share of hidden wires that SAO keeps."""
    layers = [module.layer for module in deep_net(depth, "SAO", **options) if hasattr(module, "layer")][:-1]
    return sum(layer.n_edges for layer in layers) / sum(layer.n_in * layer.n_out for layer in layers)


@one_thread()
def train_cell(settings: Settings, depth: int, method: str, *, work: Path, say: Callable[[str], None]) -> None:
    """Train one cell of the table, from the beginning or from where it was stopped; snapshots and records in `work`."""
    folder = cell_folder(settings, depth, method, work)
    if (folder / "done").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    net = deep_network(settings, depth, method, work).to(choose_device())
    data, started = settings.split(), time.perf_counter()
    options = _options(settings, depth, len(data.train_labels) // settings.batch_size)
    for record in train(net, data, **options, checkpoint=folder / "checkpoint.safetensors"):
        epoch, seconds = round(record.epoch), time.perf_counter() - started
        if epoch in _SNAPSHOTS or record.is_last:
            _save(folder / f"epoch_{epoch:03d}.npz", net)
        _note(folder, record, epoch, seconds)
        if epoch % 5 == 0:
            say(f"{depth} {method}: epoch {epoch}, accuracy {record.test_accuracy.item():.1%}, {seconds:.0f} s")
    (folder / "done").touch()


def _options(settings: Settings, depth: int, steps: int) -> dict:
    return {
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "learning_rate": settings.rate(depth),
        "optimizer": "sgd",
        "weight_decay": settings.weight_decay,
        "patience": settings.patience,
        "seed": settings.seed,
        "every": steps,
        "checkpoint_every": 5 * steps,
    }


def _note(folder: Path, record: Progress, epoch: int, seconds: float) -> None:
    """A line of the cell's records, with the norm of the gradient of each layer's weights in the last batch."""
    norms = [value.item() for name, value in record.gradient_norms.items() if name.endswith("weight")]
    row = {"epoch": epoch, "loss": record.loss.item(), "accuracy": record.test_accuracy.item()}
    with (folder / "records.jsonl").open("a", encoding="utf-8") as file:
        # A line of its own, whatever a killed run left.
        file.write("\n" + json.dumps(row | {"gradient_norms": norms, "seconds": seconds}))


def _save(path: Path, net: nn.Module) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        state = {name: value.cpu().numpy() for name, value in net.state_dict().items()}
        np.savez(file, **{name: value for name, value in state.items() if not name.endswith("wires")})
    os.replace(partial, path)


def load_snapshot(net: nn.Module, path: Path) -> None:
    """Give a network the weights that a snapshot holds."""
    with np.load(path, allow_pickle=False) as file:
        weights = {name: torch.from_numpy(file[name]) for name in file.files}
    net.load_state_dict(net.state_dict() | weights)  # the wires are the network's own
