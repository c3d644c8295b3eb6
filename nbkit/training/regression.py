"""Full-batch descent on samples of a function, a stream: one record every few steps, so that anything can watch or stop it.

`train` draws batches of labelled images and measures accuracies; here every step sees all samples, nothing is drawn, and
the end may be a loss. What a step is belongs to the optimiser: hand in one that projects after each step
(`compress.keep_projected`) and the stream is projected gradient descent. Several networks side by side are several
streams, zipped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from nbkit.device import as_tensor, check_memory
from nbkit.errors import NbkitError, check_choice, check_integer, check_number, show

__all__ = ["OPTIMIZERS", "Descent", "bells", "descend", "grid_points", "make_optimizer"]

OPTIMIZERS = {
    "sgd": lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, foreach=True),
    "momentum": lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, momentum=0.9, foreach=True),
    "adam": lambda parameters, lr: torch.optim.Adam(parameters, lr=lr, foreach=True),
}
"""Plain gradient descent, heavy ball with momentum 0.9, and Adam, by name."""


@dataclass(frozen=True)
class Descent:
    """Where a descent is.

    Attributes:
        step: optimiser steps done.
        loss: mean squared error over samples and outputs after that many steps.
        reached: whether the loss is at most the target; False where there is none.
    """

    step: int
    loss: float
    reached: bool


def grid_points(n: int, dim: int = 1, *, half_width: float = 2.0) -> torch.Tensor:
    """The regular grid of n points a side in [-half_width, half_width]^dim, float32 (n^dim, dim), last coordinate first.

    Raises:
        NbkitError: sizes below 1, more than 64 dimensions, a half width outside (0, 1e38], too many points for the memory budget.
    """
    n, dim = (
        check_integer("grid_points", "n", n, at_least=1),
        check_integer("grid_points", "dim", dim, at_least=1, at_most=64),
    )
    half_width = check_number("grid_points", "half_width", half_width, above=0, at_most=1e38)
    check_memory("grid_points", 8 * n**dim * dim, lower="n or dim")
    side = torch.linspace(-half_width, half_width, n)
    return torch.cartesian_prod(*[side] * dim).reshape(-1, dim)


def bells(x: torch.Tensor) -> torch.Tensor:
    """exp(-x^2) of every coordinate: the targets of the radial networks' three experiments, one in and two dimensions."""
    return torch.exp(-x * x)


def make_optimizer(name: str, net: nn.Module, *, lr: float) -> torch.optim.Optimizer:
    """An optimiser of `OPTIMIZERS` for all parameters of a network, at the constant rate lr above 0."""
    check_choice("make_optimizer", "name", name, OPTIMIZERS)
    _like("make_optimizer", net)
    return OPTIMIZERS[name](net.parameters(), check_number("make_optimizer", "lr", lr, above=0))


def descend(
    net: nn.Module,
    x: object,
    y: object,
    optimizer: torch.optim.Optimizer,
    *,
    max_steps: int,
    target_loss: float | None = None,
    every: int = 1,
) -> Iterator[Descent]:
    """Fit y = net(x) in place by full-batch steps: a record before the first step, every few steps, and at the end.

    It ends at `max_steps`, at the first step whose loss is at most `target_loss`, or where the loss is no longer finite.

    Args:
        net: takes (n, n_in) and gives the shape of y.
        x, y: samples (n, n_in) and values; they are moved to the network's device and dtype.
        optimizer: of the network's parameters, from `make_optimizer` or any other of torch's.
        max_steps: at least 0.
        target_loss: mean squared error to stop at, above 0; None goes on to max_steps.
        every: steps between two records.

    Yields:
        Descent; between two of them the network may be looked at, but not changed.

    Raises:
        NbkitError: at the first `next`: options out of range, an output of another shape than y, no torch optimiser or one that
            takes a closure, nothing to train.

    Example:
        >>> from nbkit.nets import RadialNet
        >>> net, x = RadialNet((1, 6, 7, 1), "shifted_sigmoid"), grid_points(41)
        >>> adam = make_optimizer("adam", net, lr=0.01)
        >>> [record.step for record in descend(net, x, bells(x), adam, max_steps=25, every=10)]
        [0, 10, 20, 25]
    """
    max_steps = check_integer("descend", "max_steps", max_steps, at_least=0)
    every = check_integer("descend", "every", every, at_least=1)
    target = -math.inf if target_loss is None else check_number("descend", "target_loss", target_loss, above=0)
    x, y = _samples(net, x, y, optimizer)
    for step in range(max_steps + 1):
        with torch.enable_grad():
            loss = nn.functional.mse_loss(net(x), y)
        is_due = step % every == 0 or step == max_steps
        if is_due or target_loss is not None:  # reading the loss makes a GPU wait
            value = loss.item()
            is_over = value <= target or not math.isfinite(value) or step == max_steps
            if is_due or is_over:
                yield Descent(step, value, value <= target)
            if is_over:
                return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _samples(net: nn.Module, x: object, y: object, optimizer: object) -> tuple[torch.Tensor, torch.Tensor]:
    """x and y where the network is, which must go together."""
    if not isinstance(optimizer, torch.optim.Optimizer) or isinstance(optimizer, torch.optim.LBFGS):
        raise NbkitError(
            f"descend: optimizer must be one of torch's that takes no closure, got {show(optimizer)}. Use make_optimizer('adam', net, lr=0.01)."
        )
    like = _like("descend", net)
    x, y = as_tensor("descend", "x", x).to(like), as_tensor("descend", "y", y).to(like)
    with torch.no_grad():
        try:
            shape = tuple(net(x[:1]).shape[1:]) if x.ndim and len(x) else ()
        except RuntimeError as error:
            raise NbkitError(
                f"descend: net must take x of the shape {tuple(x.shape)}, got {error}. Give one column for each input."
            ) from None
    if not x.ndim or not y.ndim or y.shape[0] != len(x) or tuple(y.shape[1:]) != shape or not len(x):
        raise NbkitError(
            f"descend: y must be (n, ...) of the network's output for x (n, n_in), n at least 1, got the shapes "
            f"{tuple(y.shape)} and {tuple(x.shape)}, and {shape} for one sample. Give one row of y for each of x."
        )
    return x, y


def _like(who: str, net: object) -> torch.Tensor:
    """A parameter of the network that can be trained, for its device and dtype."""
    parameters = net.parameters() if isinstance(net, nn.Module) else ()
    like = next((each for each in parameters if each.requires_grad), None)
    if like is None:
        raise NbkitError(
            f"{who}: net must be a torch module with parameters to train, got {show(net)}. Use RadialNet((1, 6, 1))."
        )
    return like
