"""Tables 9 and 11 of the SAO paper at a scale that two cores carry: Fashion-MNIST, few images, few epochs, few channels.

Which method still trains at which depth and density is what can be asked here; the paper's accuracies are of CINIC-10 and
CIFAR-10, colour images, whole sets, 128 channels and hundreds of epochs.
"""

from __future__ import annotations

import functools
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

from nbkit.compress import train_pruned
from nbkit.data import Split, full_split
from nbkit.device import one_thread
from nbkit.errors import NbkitError
from nbkit.nets import lip_conv_net, vanilla_cnn
from nbkit.results import load_result, save_result, sidecar
from nbkit.runs.cells import Cells
from nbkit.training import train
from nbkit.training.schedules import warm_up

__all__ = ["COMMAND", "DEBIAN", "Settings", "images", "run_fashion", "table_9", "table_11"]

COMMAND = "python -m nbkit run fashion"
_LISTS = ("cnn_depths", "cnn_densities", "lip_depths", "lip_densities")
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class Settings:
    """What the run is; the defaults are what is stored.

    Attributes:
        data: folder with the four IDX files of Fashion-MNIST.
        seed: of networks, masks and the order of the images.
        n_test: the first test images.
        batch_size: of both tables.
        cnn_n_train, lip_n_train: the first training images, made of mean 0 and variance 1.
        cnn_side: pixels a side; the mean of each 2 x 2 pixels. LipConvNet takes 32, with a margin.
        cnn_depths, cnn_densities: of Table 9; dense networks beside them.
        cnn_width, cnn_rate, cnn_epochs: channels; SGD with momentum 0.9, decay 1e-4, one epoch of warm-up, then a cosine.
        lip_depths, lip_densities: of Table 11.
        lip_channels, lip_rate, lip_epochs: of block 1, doubled in each block; SGD with momentum 0.9, decay 5e-4. -T
            protocols train as long again.
    """

    data: str = str(DEBIAN)
    seed: int = 0
    n_test: int = 1000
    batch_size: int = 32
    cnn_n_train: int = 2000
    cnn_side: int = 14
    cnn_depths: tuple[int, ...] = (8, 16, 32)
    cnn_densities: tuple[float, ...] = (1 / 2, 1 / 4, 1 / 8, 1 / 32)
    cnn_width: int = 64
    cnn_rate: float = 2e-2
    cnn_epochs: int = 6
    lip_n_train: int = 1000
    lip_depths: tuple[int, ...] = (5, 10)
    lip_densities: tuple[float, ...] = (1 / 2, 1 / 8, 1 / 16)
    lip_channels: int = 4
    lip_rate: float = 1e-2
    lip_epochs: int = 5


@one_thread()
def run_fashion(
    *,
    work: Path,
    say: Callable[[str], None],
    data: str | Path | None = None,
    settings: Settings = Settings(),
    folder: Path | None = None,
) -> None:
    """Both tables; after an interrupt the next call goes on, and the finished cells are stored as partial.

    fashion_cnn is Table 9, fashion_lip Table 11: one row for each epoch of each training. density is that of the kernels
    in all convolutions but the first, and in fashion_lip of those in the ECO blocks: its two SOC blocks stay dense. In -T
    protocols the epochs of finetuning count on, and its first row is the pruned network before it.

    Args:
        work: folder for the rows of finished cells until all is stored.
        say: takes a line for each cell.
        data: folder with the files, instead of that in `settings`.
        settings: default: what is stored.
        folder: of the results, default data/results.

    Raises:
        NbkitError: a folder without the files.
    """
    settings = settings if data is None else replace(settings, data=str(data))
    if not Path(settings.data).is_dir():
        raise NbkitError(
            f"run_fashion: data must be a folder with the four files of Fashion-MNIST, got {settings.data}. On Debian "
            f"`apt install dataset-fashion-mnist` puts them at {DEBIAN}; elsewhere fetch them from "
            f"https://github.com/zalandoresearch/fashion-mnist and say `{COMMAND} FOLDER`."
        )
    images(settings.data)  # whole?
    cells = Cells(work / "cells.jsonl", say, apart=("data", *_LISTS))
    for name, make, wanted in _plan(settings):
        finished: list[list[dict]] = []
        try:
            for cell in wanted:
                finished.append(cells.rows(make, settings, *cell))
        except KeyboardInterrupt:
            if len(finished) > _stored_steps(name, folder):
                _store(name, finished, len(wanted), settings, cells.seconds, folder)
            raise
        say(f"stored {_store(name, finished, len(wanted), settings, cells.seconds, folder)}")
    shutil.rmtree(work)


def _plan(settings: Settings) -> list[tuple[str, Callable, list[tuple]]]:
    """Table, function of a cell, and its arguments: depth, method, density."""
    nine = [
        (depth, method, density)
        for depth in settings.cnn_depths
        for density in (1.0, *settings.cnn_densities)
        for method in (("Dense",) if density == 1 else ("SAO", "LMP-S"))
    ]
    eleven = [
        (depth, method, density)
        for depth in settings.lip_depths
        for density in (1.0, *settings.lip_densities)
        for method in (("Dense",) if density == 1 else ("SAO", "LMP-S", "LMP-T", "RG-S"))
    ]
    return [("fashion_cnn", table_9, nine), ("fashion_lip", table_11, eleven)]


def table_9(settings: Settings, depth: int, method: str, density: float) -> list[dict]:
    """A vanilla CNN with ReLU and Delta kernels, as rows of its epochs: "Dense", "SAO" (SAO-Delta) or "LMP-S"."""
    split = images(settings.data)
    parts = {name: _pooled(getattr(split, name), settings.cnn_side) for name in ("train_images", "test_images")}
    data = _first(replace(split, **parts), settings.cnn_n_train, settings.n_test)
    made = {"width": settings.cnn_width, "image": (1, settings.cnn_side, settings.cnn_side), "seed": settings.seed}
    if method == "SAO":
        net = vanilla_cnn(depth, "SAO-Delta", density=density, **made)
    else:
        net = vanilla_cnn(depth, "Delta", **made)
    options = {"epochs": settings.cnn_epochs, "learning_rate": settings.cnn_rate, "weight_decay": 1e-4}
    return _trained(net, data, settings, "9", depth, method, density, options | {"schedule": warm_up(1)})


def table_11(settings: Settings, depth: int, method: str, density: float) -> list[dict]:
    """A LipConvNet, as rows of its epochs: "Dense", "SAO" (SAO-ECO), "LMP-S", "LMP-T" or "RG-S"."""
    data = _first(images(settings.data).padded(32), settings.lip_n_train, settings.n_test)
    made = {"channels": settings.lip_channels, "image": (1, 32, 32), "n_classes": 10, "seed": settings.seed}
    net = lip_conv_net(depth, density=density if method == "SAO" else 1.0, **made).float()
    options = {"epochs": settings.lip_epochs, "learning_rate": settings.lip_rate, "weight_decay": 5e-4}
    return _trained(net, data, settings, "11", depth, method, density, options)


def _trained(net: nn.Module, data: Split, settings: Settings, table, depth, method, density, options) -> list[dict]:
    options |= {"optimizer": "sgd", "batch_size": settings.batch_size, "seed": settings.seed}
    options["every"] = len(data.train_labels) // settings.batch_size
    if method in ("Dense", "SAO"):
        stream = (("train", record) for record in train(net, data, **options))
    else:
        stream = ((part.phase, part.record) for part in train_pruned(net, data, method, density, **options))
    rows = []
    for phase, record in stream:
        epoch = round(record.epoch) + (options["epochs"] if phase == "finetune" else 0)
        row = {"table": table, "depth": depth, "method": method, "density": density, "phase": phase, "epoch": epoch}
        rows.append(row | {"loss": record.loss.item(), "accuracy": record.test_accuracy.item()})
    return rows


@functools.cache
def images(folder: str) -> Split:
    """The whole Fashion-MNIST of a folder."""
    return full_split(folder)


def _first(split: Split, n_train: int, n_test: int) -> Split:
    """The first images, of mean 0 and variance 1 over all pixels of those to train on."""
    train, test = split.train_images[:n_train], split.test_images[:n_test]
    mean, std = train.mean(), train.std()
    return Split((train - mean) / std, split.train_labels[:n_train], (test - mean) / std, split.test_labels[:n_test])


def _pooled(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Square images (n, n_pixels) of which blocks of pixels are averaged, until there are side x side."""
    return adaptive_avg_pool2d(pixels.view(len(pixels), 1, *[math.isqrt(pixels.shape[1])] * 2), side).flatten(1)


def _stored_steps(name: str, folder: Path | None) -> int:
    try:
        return load_result(name, folder=folder).sidecar["steps"]
    except NbkitError:  # nothing there, or damaged
        return 0


def _store(name, finished: list[list[dict]], n_wanted: int, settings: Settings, seconds: float, folder) -> Path:
    rows = [row for cell in finished for row in cell]
    beside = sidecar(
        command=COMMAND,
        seed=settings.seed,
        seconds=seconds,
        steps=len(finished),
        status="complete" if len(finished) == n_wanted else "partial",
        cells=n_wanted,
        settings=asdict(settings) | {"data": "Fashion-MNIST"},
        differs="the paper: CINIC-10 (Table 9) and CIFAR-10 (Table 11), whole sets, 128 channels, 200 epochs, augmentation",
    )
    return save_result(name, {key: [row[key] for row in rows] for key in rows[0]}, beside, folder=folder)
