"""What the training explorers of notebook 09 share: the task, and networks that train in step."""

import math
import threading
import time
from collections.abc import Iterator, Sequence

import torch

from nbkit.compress import keep_projected
from nbkit.errors import NbkitError
from nbkit.explore.compress import typed_widths
from nbkit.nets import RadialNet
from nbkit.training import bells, descend, grid_points, make_optimizer

__all__ = ["DESCENTS", "Lane", "samples", "typed_task"]

DESCENTS = {"gradient descent": "sgd", "momentum": "momentum", "Adam": "adam"}  # as told, as `make_optimizer` has them
_SIDES = {1: 101, 2: 21, 3: 7, 4: 5}  # points a side of the samples' grid on [-2, 2]^dim, as the stored runs have them
_MOST_PARAMETERS = 20_000  # above, one step of one network takes too long to be watched
_MOST_STEPS = 10**6


class Lane:
    """One network in training: its loss, and the seconds of computing its steps have taken, after 0, 1, 2, ... steps.

    It ends by itself only where the loss is no longer finite; that loss is left out.

    Args:
        net: trained in place.
        x, y: all samples and their values.
        optimizer: a key of `DESCENTS`.
        lr: its rate.
        projected: reduced widths to project to after each step, or None.
    """

    def __init__(
        self, net: RadialNet, x: torch.Tensor, y: torch.Tensor, optimizer: str, lr: float,
        projected: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        self.net, self._turn = net, threading.Lock()  # streams of several explorers may share a lane
        like = net.linears[0].weight
        with torch.no_grad():
            self.losses = [torch.nn.functional.mse_loss(net(x.to(like)), y.to(like)).item()]
        self.seconds, self.is_over = [0.0], False
        self._steps = self._descend(x, y, DESCENTS[optimizer], lr, projected)

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.losses) - 1

    def advance(self, step: int) -> None:
        """Go on until so many steps are done in all."""
        with self._turn:
            while self.step < step and not self.is_over:
                self.is_over = next(self._steps, None) is None

    def _descend(
        self, x: torch.Tensor, y: torch.Tensor, optimizer: str, lr: float, projected: Sequence[int] | None
    ) -> Iterator[int]:
        # made at the first step only: torch looks for its compilers then, which takes a second
        made = make_optimizer(optimizer, self.net, lr=lr)
        if projected is not None:
            keep_projected(made, self.net, projected)
        records = descend(self.net, x, y, made, max_steps=_MOST_STEPS)
        next(records)
        while True:
            began = time.thread_time()
            record = next(records, None)
            if record is None or not math.isfinite(record.loss):
                return
            self.losses.append(record.loss)
            self.seconds.append(self.seconds[-1] + time.thread_time() - began)
            yield record.step


def typed_task(who: str, text: str) -> tuple[int, ...]:
    """Widths of a network that can learn exp(-x^2), coordinate by coordinate: as many outputs as inputs.

    Raises:
        NbkitError: as `typed_widths`, or another number of outputs than of inputs, or more than four.
    """
    widths = typed_widths(who, text, most_parameters=_MOST_PARAMETERS)
    if widths[0] != widths[-1] or widths[0] not in _SIDES:
        raise NbkitError(
            f"{who}: the first and the last of widths must be one number of at most {max(_SIDES)}, got {widths[0]} and "
            f"{widths[-1]}: exp(-x²) is learned in every coordinate. Write it as 1, 6, 7, 1."
        )
    return widths


def samples(dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A grid on [-2, 2]^dim and exp(-x^2) there, dim from 1 to 4."""
    x = grid_points(_SIDES[dim], dim)
    return x, bells(x)
