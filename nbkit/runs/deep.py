"""Table 7 of the SAO paper on the ten thousand digits: which of the deep networks train."""

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

from nbkit.compress.prune import prune
from nbkit.data import mnist_split
from nbkit.device import choose_device, one_thread
from nbkit.nets.deep import deep_net
from nbkit.training import train

__all__ = ["COMMAND", "Settings", "train_deep"]

COMMAND = "python -m nbkit run deep"
_SNAPSHOTS = (0, 1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Settings:
    """What the run is; the defaults are what is stored."""

    seed: int = 0
    epochs: int = 100
    batch_size: int = 128
    degree: int = 4
    weight_decay: float = 1e-4
    rates: tuple[tuple[int, float], ...] = ((50, 1e-2), (200, 1e-3))
    methods: tuple[str, ...] = (
        "Dense",
        "SAO",
        "RG-N",
        "RG-U",
        "GMP-S",
        "GMP-T",
        "RadiX",
        "RadiX-N",
        "X-Net random",
        "X-Net Cayley",
        "Dense-N",
    )
    patience: int = 25


def density(settings: Settings, depth: int) -> float:
    """The share of hidden wires that SAO keeps."""
    sao = [module.layer for module in deep_net(depth, degree=settings.degree) if hasattr(module, "layer")][:-1]
    return sum(layer.n_edges for layer in sao) / sum(layer.n_in * layer.n_out for layer in sao)


@one_thread()
def train_cell(settings: Settings, depth: int, method: str, *, work: Path, say: Callable[[str], None]) -> None:
    """One cell of the table, from the beginning or from where it was stopped."""
    folder = work / f"{depth}_{method.replace(' ', '_')}"
    if (folder / "done").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    if method.startswith("GMP"):
        net = deep_net(depth, "Dense", degree=settings.degree, seed=settings.seed)
        if method == "GMP-T":
            with np.load(work / f"{depth}_Dense" / f"epoch_{settings.epochs:03d}.npz") as file:
                net.load_state_dict({name: torch.from_numpy(file[name]) for name in file.files})
        net = prune(net, density(settings, depth), "GMP")
    else:
        net = deep_net(depth, method, degree=settings.degree, seed=settings.seed)
    net.to(choose_device())
    data, started = mnist_split().padded(32), time.perf_counter()
    steps = len(data.train_labels) // settings.batch_size
    options = {
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "learning_rate": dict(settings.rates)[depth],
        "optimizer": "sgd",
        "weight_decay": settings.weight_decay,
        "seed": settings.seed,
        "every": steps,
    }
    best = 0.0
    for record in train(net, data, **options, checkpoint=folder / "checkpoint.npz", checkpoint_every=5 * steps):
        epoch = record.step // steps
        if epoch in _SNAPSHOTS:
            _save(folder / f"epoch_{epoch:03d}.npz", net)
        norms = [float(p.grad.norm()) for n, p in net.named_parameters() if p.grad is not None and n.endswith("weight")]
        row = {
            "epoch": epoch,
            "loss": record.loss.item(),
            "accuracy": record.test_accuracy.item(),
            "gradient_norms": norms,
        }
        row["seconds"] = time.perf_counter() - started
        with (folder / "records.jsonl").open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(row))
        best = max(best, row["accuracy"])
        if epoch % 5 == 0:
            say(
                f"{depth} {method}: epoch {epoch}, loss {row['loss']:.3f}, accuracy {row['accuracy']:.3f}, {row['seconds']:.0f} s"
            )
        if epoch == settings.patience and best < 0.15:
            say(f"{depth} {method}: did not train, {best:.1%} after {epoch} epochs")
            break
    _save(folder / f"epoch_{epoch:03d}.npz", net)
    (folder / "done").write_text(f"{epoch}")


def _save(path: Path, net: nn.Module) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **{name: value.cpu().numpy() for name, value in net.state_dict().items()})
    os.replace(partial, path)
