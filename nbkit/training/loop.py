"""One training loop, a generator: it yields every few steps, so that anything can watch, stop or resume it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nbkit.data import Split
from nbkit.errors import check_integer
from nbkit.training.checkpoint import check_path
from nbkit.training.classifier import Training
from nbkit.training.guards import undisturbed
from nbkit.training.progress import Progress
from nbkit.training.schedules import Schedule

__all__ = ["train"]

Augment = Callable[[torch.Tensor, np.random.Generator], torch.Tensor]
Rate = Callable[[str, nn.Parameter], float]


def train(
    module: nn.Module,
    data: Split | tuple,
    *,
    epochs: float | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    learning_rate: float | Rate = 1e-3,
    schedule: str | Schedule | Callable[[float], float] = "constant",
    optimizer: str = "adam",
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    clip_norm: float | None = None,
    augment: Augment | Sequence[Augment] | None = None,
    patience: float | None = None,
    probes: Mapping[str, Callable[[nn.Module], object]] | None = None,
    seed: int | np.random.Generator | None = 0,
    every: int = 10,
    n_test: int | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1000,
) -> Iterator[Progress]:
    """Train a classifier, or a batch of independent ones, in place: a record before the first step and every few steps.

    Each network's loss is its own mean cross-entropy and their sum is what is differentiated, so networks of a batch do
    not feel each other, and one that diverges harms no other. All see the same samples in the same order, a fresh
    permutation each epoch; what is left over after whole batches waits for the next one. Random numbers, dropout's on the
    CPU too, depend on (seed, epoch) and (seed, step) alone, so on the CPU a training that was killed and resumed is bit
    for bit the one that never stopped.

    It ends early, with a verdict in the last record, when no network's loss is finite any more, and then before the step
    that this loss asks for (a GPU is asked at records only), or when `patience` runs out. Accuracy is at chance while it is
    at most p + 4 sqrt(p (1 - p) / n), p being the largest class's share of the n test samples that are looked at.

    Args:
        module: takes (batch, ...) and gives (batch, n_classes), or (n_nets, batch, n_classes) as `nets.FeedForward`.
        data: a Split, or (train_images, train_labels, test_images, test_labels); a class of the test set must be one of
            the training set.
        epochs, steps: length of the training; exactly one of the two.
        batch_size: 1 .. number of training samples.
        learning_rate: above 0, or a function (name, parameter) -> rate.
        schedule: of `schedules`: "constant", "cosine", `steps`, `warm_up`; or a function of the share of all steps that
            is done, in [0, 1), -> factor of the rate.
        optimizer: "adam", or "sgd".
        momentum: of "sgd", in [0, 1).
        weight_decay: at least 0, times each parameter, is added to its gradient.
        clip_norm: above 0; a longer gradient of a network is shortened to this norm. Networks of a batch that share a
            parameter are clipped as one.
        augment: (images, generator) -> images, or a list of such, applied in turn to every training batch on the fly;
            labels stay. See `augment`.
        patience: epochs, above 0, after which a training whose accuracy has been at chance in all records since, for
            every network, ends.
        probes: functions of the module by name; each record has what they give. They see the module in evaluation mode.
        seed: an int repeats, None is fresh, a Generator advances.
        every: steps between two records.
        n_test: samples at the front of the test set that are looked at for a record; default all. The last record
            always looks at all.
        checkpoint: a .safetensors file that is written every `checkpoint_every` steps, at the end, and when the stream is
            closed or interrupted, and from which training goes on if it is there. It is the old file or the whole new one
            at any time. An interrupt from the keyboard waits for the end of a step.
        checkpoint_every: steps.

    Yields:
        Progress; between two of them the module may be looked at and used, but not changed.

    Raises:
        NbkitError: data or options that do not fit (at the first `next`); a checkpoint that is damaged, of another network
            or of other settings, which is left as it is.

    Example:
        >>> from nbkit.data import mnist_split
        >>> from nbkit.nets import FeedForward
        >>> nets = FeedForward((784, 16, 10), n_nets=2)
        >>> [record.step for record in train(nets, mnist_split(), steps=4, every=2, n_test=100)]
        [0, 2, 4]
    """
    state = Training(
        module, data, epochs=epochs, steps=steps, batch_size=batch_size, learning_rate=learning_rate, schedule=schedule,
        optimizer=optimizer, momentum=momentum, weight_decay=weight_decay, clip_norm=clip_norm, augment=augment,
        patience=patience, probes=probes, seed=seed,
    )  # fmt: skip
    every = check_integer("train", "every", every, at_least=1)
    checkpoint_every = check_integer("train", "checkpoint_every", checkpoint_every, at_least=1)
    n_all = len(state.data.test_labels)
    n_test = n_all if n_test is None else check_integer("train", "n_test", n_test, at_least=1, at_most=n_all)
    path = check_path("train", checkpoint)
    if path is not None and path.exists():
        state.resume(path)
    saved = state.step
    try:
        yield (record := state.record(n_test, every))
        while not record.is_last:
            with undisturbed():
                is_over = not state.take_step() or state.step == state.n_steps
                if path is not None and (is_over or state.step % checkpoint_every == 0):
                    state.save(path)
                    saved = state.step
            if is_over or state.step % every == 0:
                yield (record := state.record(n_test, every))
    finally:
        if path is not None and state.step > saved:
            with undisturbed():
                state.save(path)
