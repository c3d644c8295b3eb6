"""How far a training is: its records, and the accuracy of classifiers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from nbkit.errors import NbkitError

__all__ = ["Progress", "accuracy", "as_batch", "evaluation", "module_device"]

_ROWS_AT_ONCE = 500  # of the test set


@dataclass(frozen=True, eq=False)
class Progress:
    """How far training is.

    Attributes:
        step: optimiser steps done.
        n_steps: of the whole training.
        epoch: passes over the training set, step / steps an epoch.
        loss: mean cross-entropy of each network (n_nets,) over the batches since the last record, in nats; NaN at step 0.
        test_accuracy: of each network (n_nets,), in [0, 1], on the first `n_test` test samples.
        gradient_norms: by the parameter's name, the l2 norm of its gradient in the last step, before clipping, float64
            (n_nets,) where each network of a batch has its own parameters, else (1,); NaN before the first step of a run.
        gradient_norm: of the whole gradient of each network, (n_nets,) or (1,).
        probes: what each of the functions `probes` gave, by name.
        diverged: for each network the steps done when its loss was first not finite, None for those that go on.
        verdict: why this is the last record, or what is wrong with the end: "did not train: 10 % after 25 epochs",
            "diverged at step 12 (epoch 0.2): ..."; None where nothing is.
    """

    step: int
    n_steps: int
    epoch: float
    loss: torch.Tensor
    test_accuracy: torch.Tensor
    gradient_norms: dict[str, torch.Tensor]
    probes: dict[str, object]
    diverged: tuple[int | None, ...]
    verdict: str | None

    @property
    def gradient_norm(self) -> torch.Tensor:
        return torch.linalg.vector_norm(torch.stack([*self.gradient_norms.values()]), dim=0)

    @property
    def is_last(self) -> bool:
        return self.step == self.n_steps or self.verdict is not None


@torch.no_grad()
def accuracy(module: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The share of samples each network gets right, float64 (n_nets,); one network gives one number, (1,).

    The module is put into evaluation mode meanwhile, so dropout and batch normalisation act as after training.

    Raises:
        NbkitError: images and labels that are no tensors of one length, a module without parameters.
    """
    device = module_device(module)
    shapes = [tuple(given.shape) if isinstance(given, torch.Tensor) else None for given in (images, labels)]
    if not all(shapes) or len(shapes[1]) != 1 or shapes[0][0] != shapes[1][0] or not shapes[1][0]:
        raise NbkitError(
            "accuracy: images (n, ...) and labels (n,) must be tensors of one n of at least 1, got the shapes "
            f"{shapes[0]} and {shapes[1]}. Use torch.as_tensor, one label for each image."
        )
    with evaluation(module):
        right = [
            as_batch(module(rows.to(device))).argmax(dim=-1).cpu() == targets.cpu()
            for rows, targets in zip(images.split(_ROWS_AT_ONCE), labels.split(_ROWS_AT_ONCE), strict=True)
        ]
    return torch.cat(right, dim=1).double().mean(dim=1)


@contextlib.contextmanager
def evaluation(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode, then in the mode it was in."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


def as_batch(outputs: torch.Tensor) -> torch.Tensor:
    """(n_nets, batch, n_classes), of one network too."""
    return outputs if outputs.ndim == 3 else outputs[None]


def module_device(module: nn.Module) -> torch.device:
    """Where the module's first parameter is; refuses what has none."""
    if not isinstance(module, nn.Module) or next(module.parameters(), None) is None:
        raise NbkitError(
            f"train: module must be a torch.nn.Module with parameters, got {type(module).__name__}. "
            "Use nbkit.nets.FeedForward(...)."
        )
    return next(module.parameters()).device
