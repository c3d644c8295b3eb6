"""Fig. 6 of Price & Tanner 2019 on real digits: a hundred networks trained together, lines through them and two controls.

Ten layers are ten matrices of weights, 784-32-...-32-10: nine hidden ReLU layers and a linear output. Growth is the mean
factor over the eight layers 32 -> 32, where a random network's is about sigma_w / sqrt 2; the first layer, 784 -> 32, and
the output, 32 -> 10, have other factors (sqrt(n_out / n_in) times that), and show in the lengths.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from nbkit.data import Split, distort, mnist_split
from nbkit.data.split import unit_norm
from nbkit.device import one_thread
from nbkit.errors import NbkitError
from nbkit.nets import FeedForward
from nbkit.results import save_result, sidecar
from nbkit.runs.growth_lines import LINE_COLUMNS, choose_lines, measure_growth, random_controls
from nbkit.training import Progress, accuracy, train
from nbkit.weights import Gaussian

__all__ = ["Settings", "birth", "run_trained_growth", "training"]

COMMAND = "python -m nbkit run trained_growth"
PHASES = ("distorted", "plain")


@dataclass(frozen=True)
class Settings:
    """What the run is; the defaults are what is stored.

    Attributes:
        sigmas: sigma_w at birth, one group of networks each.
        n_nets: networks of each sigma_w.
        widths: of all layers of nodes.
        epochs, plain_epochs: passes over the training digits, with distorted digits and with the digits as they are.
        batch_size: of the training.
        learning_rate: of Adam for layers with 32 inputs and biases. Adam moves each weight by about its rate whatever
            the layer, which in units of sigma_w is sqrt(n_in) times as much; the rate of a layer is therefore divided by
            sqrt(n_in / 32), so that all layers leave their sigma_w at one pace. It falls to 0 along a cosine.
        every: steps between two records; the first eight and every tenth are logged.
        n_lines: lines within a class, and as many between two classes.
        n_points: tangents along a line.
        seed: of everything.
    """

    sigmas: tuple[float, ...] = (1.0, 1.5, 2.0, 2.5, 3.0)
    n_nets: int = 20
    widths: tuple[int, ...] = (784, *(32,) * 9, 10)
    epochs: int = 300
    plain_epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 3e-3
    every: int = 25
    n_lines: int = 10
    n_points: int = 500
    seed: int = 0

    @property
    def sigma_of_net(self) -> np.ndarray:
        """sigma_w at birth of every network of the batch."""
        return np.repeat(self.sigmas, self.n_nets)


@one_thread()
def run_trained_growth(*, work: Path, say: Callable[[str], None], settings: Settings = Settings(), folder=None) -> None:
    """The whole run: train with distorted digits, train again without, measure, store four tables.

    trained_growth: one row for each sigma_w, network, line and kind of network. trained_growth_nets: accuracies and
    sigma_w of every network. trained_growth_lines: the lines. trained_growth_log: the training, from its first steps.

    Args:
        work: folder for checkpoints and the log until all is stored.
        say: takes lines of progress.
        settings: default: the paper's scale.
        folder: of the results, default data/results.
    """
    _check_work(work, settings)
    trained, plain = (_trained(settings, phase, work, say) for phase in PHASES)
    started = time.perf_counter()
    lines = choose_lines(settings.n_lines, settings.seed)
    kinds = {"trained": trained, "trained_plain": plain, "untrained": birth(settings)}
    kinds |= random_controls(trained, seed=settings.seed)
    columns = measure_growth(kinds, lines, n_points=settings.n_points, say=say)
    columns["sigma_start"] = settings.sigma_of_net[columns["net"]]
    log = _read_log(work)
    seconds = sum(entry["seconds"] for entry in log) + time.perf_counter() - started
    beside = sidecar(
        command=COMMAND,
        seed=settings.seed,
        seconds=seconds,
        steps=max(entry["step"] for entry in log),
        settings=asdict(settings),
    )
    split = mnist_split().unit()
    tables = {
        "trained_growth": columns,
        "trained_growth_nets": _net_columns(settings, trained, plain, split),
        "trained_growth_lines": dict(zip(LINE_COLUMNS, zip(*lines, strict=True), strict=True)),
        "trained_growth_log": _log_columns(settings, log),
    }
    for name, table in tables.items():
        say(f"stored {save_result(name, table, beside, folder=folder)}")
    shutil.rmtree(work)


def birth(settings: Settings) -> FeedForward:
    """All networks of the run as they are born, in one batch: groups of one sigma_w, one after another."""
    return FeedForward.joined(
        [
            FeedForward(settings.widths, Gaussian(sigma), n_nets=settings.n_nets, seed=_child(settings.seed, group))
            for group, sigma in enumerate(settings.sigmas)
        ]
    )


def training(
    settings: Settings, module: FeedForward, phase: str = "distorted", *, checkpoint: Path | None = None
) -> Iterator[Progress]:
    """The run's own training of a batch, as a stream; `phase` is "distorted" or "plain".

    Distorted digits are shifted by up to 2 pixels, turned by up to 12 degrees and scaled by up to 10 %, each time anew;
    all images have unit l2 norm, as the ends of the lines.
    """
    return train(
        module,
        mnist_split().unit(),
        epochs=settings.epochs if phase == "distorted" else settings.plain_epochs,
        batch_size=settings.batch_size,
        learning_rate=lambda name, parameter: _rate(settings, name, parameter),
        schedule="cosine",
        augment=(lambda images, generator: unit_norm(distort(images, seed=generator)))
        if phase == "distorted"
        else None,
        seed=_child(settings.seed, 1000),
        every=settings.every,
        n_test=500,
        checkpoint=checkpoint,
    )


def _check_work(work: Path, settings: Settings) -> None:
    """A folder whose checkpoints, if any, are of these settings."""
    path, text = work / "settings.json", json.dumps(asdict(settings))
    work.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise NbkitError(
            f"run_trained_growth: work must hold checkpoints of these settings, got {work} with others. "
            "Use another folder, or delete it to start anew."
        )
    path.write_text(text, encoding="utf-8")


def _child(seed: int, key: int) -> int:
    """A seed of its own for each purpose."""
    return int(np.random.SeedSequence(seed, spawn_key=(key,)).generate_state(1)[0])


def _rate(settings: Settings, name: str, parameter: torch.nn.Parameter) -> float:
    n_in = parameter.shape[2] if name.startswith("weights") else settings.widths[1]
    return settings.learning_rate * math.sqrt(settings.widths[1] / n_in)


def _trained(settings: Settings, phase: str, work: Path, say: Callable[[str], None]) -> FeedForward:
    """The networks after one phase of training, from the checkpoint where there is one; every record is logged."""
    module, started = birth(settings), time.perf_counter()
    for number, record in enumerate(training(settings, module, phase, checkpoint=work / f"{phase}.safetensors")):
        is_new = number > 0 or record.step == 0
        place = record.step // settings.every
        if is_new and (place <= 8 or place % 10 == 0 or record.is_last):
            now = time.perf_counter()
            groups = record.loss.view(-1, settings.n_nets).mean(dim=1), record.test_accuracy.view(-1, settings.n_nets)
            entry = {"phase": phase, "step": record.step, "seconds": now - started, "loss": groups[0].tolist()}
            entry |= {"mean": groups[1].mean(dim=1).tolist(), "least": groups[1].amin(dim=1).tolist()}
            with (work / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
            started = now
            least = ", ".join(f"{share:.3f}" for share in entry["least"])
            say(f"{phase}: step {record.step:,} of {record.n_steps:,}, least accuracy {least}")
    return module


def _read_log(work: Path) -> list[dict]:
    """The log's entries, the later one where a stopped run wrote a step twice."""
    lines = (work / "log.jsonl").read_text(encoding="utf-8").splitlines()
    entries = {(entry["phase"], entry["step"]): entry for entry in map(json.loads, lines)}
    return [entries[key] for key in sorted(entries)]


def _log_columns(settings: Settings, log: list[dict]) -> dict[str, list]:
    rows = [
        (entry["phase"], entry["step"], sigma, entry["loss"][group], entry["mean"][group], entry["least"][group])
        for entry in log
        for group, sigma in enumerate(settings.sigmas)
    ]
    names = ("phase", "step", "sigma_start", "loss", "mean_accuracy", "least_accuracy")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _net_columns(settings: Settings, trained: FeedForward, plain: FeedForward, split: Split) -> dict:
    images, labels = split.test_images, split.test_labels
    layers = trained.layer_sigma_w()
    return {
        "sigma_start": settings.sigma_of_net,
        "net": np.arange(trained.n_nets),
        "test_accuracy": accuracy(trained, images, labels),
        "test_accuracy_plain": accuracy(plain, images, labels),
        "train_accuracy": accuracy(trained, split.train_images, split.train_labels),
        "sigma_born": birth(settings).sigma_w(),
        "sigma_trained": trained.sigma_w(),
        "sigma_trained_plain": plain.sigma_w(),
    } | {f"sigma_layer_{layer}": layers[:, layer - 1] for layer in range(1, trained.depth + 1)}
