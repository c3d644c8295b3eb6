"""One training loop, a generator: it yields every few steps, so that anything can watch, stop or resume it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from nbkit.data import Split
from nbkit.data.split import as_split
from nbkit.device import random_generator
from nbkit.errors import NbkitError, check_choice, check_integer, check_number, show
from nbkit.training.checkpoint import load_checkpoint, save_checkpoint

__all__ = ["Progress", "accuracy", "train"]

_OPTIMIZERS = {
    "adam": lambda groups, decay: torch.optim.Adam(groups, weight_decay=decay, foreach=True),
    "sgd": lambda groups, decay: torch.optim.SGD(groups, lr=1.0, momentum=0.9, weight_decay=decay, foreach=True),
}
_SCHEDULES = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}
_ROWS_AT_ONCE = 500  # of the test set

Augment = Callable[[torch.Tensor, np.random.Generator], torch.Tensor]
Rate = Callable[[str, nn.Parameter], float]


@dataclass(frozen=True, eq=False)
class Progress:
    """How far training is.

    Attributes:
        step: optimiser steps done.
        n_steps: of the whole training.
        epoch: passes over the training set, step / steps an epoch.
        loss: mean cross-entropy of each network (n_nets,) over the batches since the last record, in nats; NaN at step 0.
        test_accuracy: of each network (n_nets,), in [0, 1], on the first `n_test` test samples.
    """

    step: int
    n_steps: int
    epoch: float
    loss: torch.Tensor
    test_accuracy: torch.Tensor

    @property
    def is_last(self) -> bool:
        return self.step == self.n_steps


def train(
    module: nn.Module,
    data: Split | tuple,
    *,
    epochs: float | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    learning_rate: float | Rate = 1e-3,
    schedule: str = "constant",
    optimizer: str = "adam",
    weight_decay: float = 0.0,
    augment: Augment | None = None,
    seed: int | np.random.Generator | None = 0,
    every: int = 10,
    n_test: int | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1000,
) -> Iterator[Progress]:
    """Train a classifier, or a batch of independent ones, in place: a record before the first step and every few steps.

    Each network's loss is its own mean cross-entropy and their sum is what is differentiated, so networks of a batch do
    not feel each other, and one that diverges harms no other. All see the same samples in the same order, a fresh
    permutation each epoch; what is left over after whole batches waits for the next one. Random numbers depend on
    (seed, epoch) and (seed, step) alone, so a training that was resumed is the same as one that never stopped.

    Args:
        module: takes (batch, ...) and gives (batch, n_classes), or (n_nets, batch, n_classes) as `nets.FeedForward`.
        data: a Split, or (train_images, train_labels, test_images, test_labels).
        epochs, steps: length of the training; exactly one of the two.
        batch_size: 1 .. number of training samples.
        learning_rate: above 0, or a function (name, parameter) -> rate.
        schedule: "constant", or "cosine" from the full rate to 0 at the end.
        optimizer: "adam", or "sgd" with momentum 0.9.
        weight_decay: at least 0, times each parameter, is added to its gradient.
        augment: (images, generator) -> images, applied to every training batch on the fly; labels stay.
        seed: an int repeats, None is fresh, a Generator advances.
        every: steps between two records.
        n_test: samples at the front of the test set that are looked at for a record; default all. The last record
            always looks at all.
        checkpoint: an .npz file that is written every `checkpoint_every` steps and at the end, and from which training
            goes on if it is there. It holds parameters, optimiser state, step and seed, and no pickled object.
        checkpoint_every: steps.

    Yields:
        Progress; between two of them the module may be looked at and used, but not changed.

    Raises:
        NbkitError: data or options that do not fit (at the first `next`), a checkpoint of another training.

    Example:
        >>> from nbkit.data import mnist_split
        >>> from nbkit.nets import FeedForward
        >>> nets = FeedForward((784, 16, 10), n_nets=2)
        >>> [record.step for record in train(nets, mnist_split(), steps=4, every=2, n_test=100)]
        [0, 2, 4]
    """
    state = _Training(
        module, data, epochs, steps, batch_size, learning_rate, schedule, optimizer, weight_decay, augment, seed
    )
    every = check_integer("train", "every", every, at_least=1)
    checkpoint_every = check_integer("train", "checkpoint_every", checkpoint_every, at_least=1)
    n_all = len(state.data.test_labels)
    n_test = n_all if n_test is None else check_integer("train", "n_test", n_test, at_least=1, at_most=n_all)
    if not isinstance(checkpoint, (str, Path, type(None))):
        raise NbkitError(
            f"train: checkpoint must be the path of an .npz file, got {show(checkpoint)}. Write it as text."
        )
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and path.exists():
        state.step = load_checkpoint(path, module, state.optimizer, state.facts)
    yield state.record(n_test)
    while state.step < state.n_steps:
        state.take_step()
        last = state.step == state.n_steps
        if path is not None and (last or state.step % checkpoint_every == 0):
            save_checkpoint(path, module, state.optimizer, step=state.step, **state.facts)
        if last or state.step % every == 0:
            yield state.record(n_all if last else n_test)


@torch.no_grad()
def accuracy(module: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The share of samples each network gets right, float64 (n_nets,); one network gives one number, (1,).

    The module is put into evaluation mode meanwhile, so dropout and batch normalisation act as after training.

    Raises:
        NbkitError: images and labels that are no tensors of one length, a module without parameters.
    """
    device, training = _device(module), module.training
    shapes = [tuple(given.shape) if isinstance(given, torch.Tensor) else None for given in (images, labels)]
    if not all(shapes) or len(shapes[1]) != 1 or shapes[0][0] != shapes[1][0] or not shapes[1][0]:
        raise NbkitError(
            "accuracy: images (n, ...) and labels (n,) must be tensors of one n of at least 1, got the shapes "
            f"{shapes[0]} and {shapes[1]}. Use torch.as_tensor, one label for each image."
        )
    module.eval()
    try:
        right = [
            _as_batch(module(rows.to(device))).argmax(dim=-1).cpu() == targets.cpu()
            for rows, targets in zip(images.split(_ROWS_AT_ONCE), labels.split(_ROWS_AT_ONCE), strict=True)
        ]
    finally:
        module.train(training)
    return torch.cat(right, dim=1).double().mean(dim=1)


class _Training:
    """Everything a training consists of between two steps."""

    def __init__(
        self, module, data, epochs, steps, batch_size, learning_rate, schedule, optimizer, weight_decay, augment, seed
    ):
        self.module, self.augment = module, augment
        if augment is not None and not callable(augment):
            raise NbkitError(
                f"train: augment must be a function (images, generator) -> images, got {show(augment)}. "
                "Write lambda images, generator: distort(images, seed=generator)."
            )
        self.data = as_split("train", data)
        n_train = len(self.data.train_labels)
        self.batch_size = check_integer("train", "batch_size", batch_size, at_least=1, at_most=n_train)
        self.steps_an_epoch = n_train // self.batch_size
        self.n_steps = _n_steps(epochs, steps, self.steps_an_epoch)
        self.schedule = _SCHEDULES[check_choice("train", "schedule", schedule, _SCHEDULES)]
        self.entropy = int(random_generator(seed, who="train").integers(2**62))
        self.device = _device(module)
        if not any(parameter.requires_grad for parameter in module.parameters()):
            raise NbkitError(
                "train: module must have a parameter to train, got none with requires_grad. "
                "Use module.requires_grad_(True)."
            )
        self.n_nets = self._check_outputs()
        groups = [{"params": [p], "full_rate": _rate(learning_rate, name, p)} for name, p in module.named_parameters()]
        decay = check_number("train", "weight_decay", weight_decay, above=-5e-324)
        self.optimizer = _OPTIMIZERS[check_choice("train", "optimizer", optimizer, _OPTIMIZERS)](groups, decay)
        self.step, self._order, self._order_epoch = 0, None, None
        self._loss_sum, self._n_summed = torch.zeros(self.n_nets, dtype=torch.float64), 0

    def take_step(self) -> None:
        images, labels = self._batch()
        for group in self.optimizer.param_groups:
            group["lr"] = group["full_rate"] * self.schedule(self.step / self.n_steps)
        self.optimizer.zero_grad()
        with torch.enable_grad():
            outputs = _as_batch(self.module(images))
            targets = labels.expand(self.n_nets, -1)
            losses = cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
            losses = losses.view(self.n_nets, -1).mean(dim=1)
            losses.sum().backward()
        self.optimizer.step()
        self.step += 1
        self._loss_sum += losses.detach().double().cpu()
        self._n_summed += 1

    def record(self, n_test: int) -> Progress:
        loss = self._loss_sum / self._n_summed if self._n_summed else torch.full_like(self._loss_sum, math.nan)
        self._loss_sum, self._n_summed = torch.zeros_like(self._loss_sum), 0
        found = accuracy(self.module, self.data.test_images[:n_test], self.data.test_labels[:n_test])
        return Progress(self.step, self.n_steps, self.step / self.steps_an_epoch, loss, found)

    @property
    def facts(self) -> dict[str, int]:
        """What a checkpoint must share with this training."""
        return {"entropy": self.entropy, "n_steps": self.n_steps, "batch_size": self.batch_size}

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        epoch, place = divmod(self.step, self.steps_an_epoch)
        if epoch != self._order_epoch:
            order = np.random.default_rng([self.entropy, 0, epoch]).permutation(len(self.data.train_labels))
            self._order, self._order_epoch = torch.from_numpy(order), epoch
        chosen = self._order[place * self.batch_size : (place + 1) * self.batch_size]
        images = self.data.train_images[chosen]
        if self.augment is not None:
            shape = tuple(images.shape)
            images = self.augment(images, np.random.default_rng([self.entropy, 1, self.step]))
            if not isinstance(images, torch.Tensor) or tuple(images.shape) != shape:
                got = tuple(images.shape) if isinstance(images, torch.Tensor) else type(images).__name__
                raise NbkitError(f"train: augment must give a tensor of the shape {shape}, got {got}. Keep the shape.")
        return images.to(self.device), self.data.train_labels[chosen].to(self.device)

    def _check_outputs(self) -> int:
        """The number of networks; one forward pass shows whether module and data fit together."""
        sample = self.data.test_images[:1].to(self.device)
        try:
            with torch.no_grad():
                outputs = self.module.eval()(sample)
        except NbkitError:
            raise
        except (RuntimeError, ValueError, TypeError) as error:
            raise NbkitError(
                f"train: module must take images of the shape {tuple(sample.shape)}, got {type(error).__name__}: "
                f"{error}. Put nn.Flatten or nn.Unflatten in front."
            ) from None
        finally:
            self.module.train()
        if not isinstance(outputs, torch.Tensor):
            raise NbkitError(
                f"train: module must give one tensor of class scores, got {type(outputs).__name__}. "
                "Wrap it in a module that returns the scores alone."
            )
        if outputs.ndim not in (2, 3) or outputs.shape[-2] != 1:
            raise NbkitError(
                "train: module must give (batch, n_classes) or (n_nets, batch, n_classes), got the shape "
                f"{tuple(outputs.shape)} for one image. Use a classifier."
            )
        if self.data.n_classes > outputs.shape[-1]:
            raise NbkitError(
                f"train: labels must be below the module's {outputs.shape[-1]} outputs, got {self.data.n_classes - 1}. "
                "Give the last layer one output for each class."
            )
        return len(_as_batch(outputs))


def _as_batch(outputs: torch.Tensor) -> torch.Tensor:
    return outputs if outputs.ndim == 3 else outputs[None]


def _device(module: nn.Module) -> torch.device:
    if not isinstance(module, nn.Module) or next(module.parameters(), None) is None:
        raise NbkitError(
            f"train: module must be a torch.nn.Module with parameters, got {type(module).__name__}. "
            "Use nbkit.nets.FeedForward(...)."
        )
    return next(module.parameters()).device


def _rate(learning_rate: float | Rate, name: str, parameter: nn.Parameter) -> float:
    rate = learning_rate(name, parameter) if callable(learning_rate) else learning_rate
    return check_number("train", "learning_rate", rate, above=0)


def _n_steps(epochs: float | None, steps: int | None, steps_an_epoch: int) -> int:
    if (epochs is None) == (steps is None):
        raise NbkitError(f"train: one of epochs and steps must be given, got {epochs} and {steps}. Say epochs=5.")
    if steps is not None:
        return check_integer("train", "steps", steps, at_least=0)
    return max(1, round(check_number("train", "epochs", epochs, above=0) * steps_an_epoch))
