"""What the training explorers of notebook 10 share: samples, networks side by side in training, and what was seen of them."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from nbkit.figures import METHODS
from nbkit.nets import SkipNets
from nbkit.training import descend_many
from nbkit.weights import Uniform

__all__ = ["METHOD_KEYS", "STRENGTHS", "Course", "grid_samples", "nets_born_small"]

METHOD_KEYS = {look.text: method for method, look in METHODS.items()}  # as offered -> as `descend_many` has it
STRENGTHS = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1)  # few, so that a training is met again
_LR, _FALL = 1e-2, 100  # Adam's rate at first, and by how much it falls: jitter of its size would hide small weights


class Course:
    """Networks of one training, and what was seen of them every few steps; streams of equal settings share one.

    It ends before its time only where a network diverges; what was seen until then stays.

    Args:
        nets: trained in place; run i under method i of METHODS, over and over.
        x, y: samples (n, d_0) and values (n,).
        strength: lambda of the two penalties.
        n_steps: a multiple of every.
        look: called before the first step and after every few; what it returns is kept.
        every: steps between two looks, a multiple of turn.
        turn: steps after which others have their turn.
    """

    def __init__(
        self, nets: SkipNets, x: torch.Tensor, y: torch.Tensor, strength: float, n_steps: int,
        look: Callable[[], Any], *, every: int, turn: int = 50,
    ) -> None:  # fmt: skip
        penalties = [(method, strength * (method != "none")) for method in METHODS] * (nets.n_runs // len(METHODS))
        self._stream = descend_many(
            nets, x, y, penalties, max_steps=n_steps, lr=_LR, final_lr=_LR / _FALL, every=turn
        )  # its optimiser is made at the first step only: torch looks for its compilers then, which takes a second
        self.n_steps, self._every, self._turn, self._look = n_steps, every, turn, look
        self.seen, self.lost_at = [], None
        self.seen.append(look())
        self._step, self._lock = -1, threading.Lock()

    @property
    def steps(self) -> np.ndarray:
        """Steps that had been done at each look."""
        return self._every * np.arange(len(self.seen))

    @property
    def is_over(self) -> bool:
        """Whether all steps are done, or a network is lost."""
        return self.lost_at is not None or self.steps[-1] == self.n_steps

    def go_on(self) -> Iterator[None]:
        """Until the next look, a turn at a time."""
        step = len(self.seen) * self._every
        while self._step < step and not self.is_over:
            with self._lock:
                if self._step < step and not self.is_over:  # another stream may have been here
                    self._advance()
            yield

    def _advance(self) -> None:
        record = next(self._stream)
        self._step = record.step
        self.lost_at = min((step for step in record.diverged if step is not None), default=None)
        if self._step and self._step % self._every == 0 and self.lost_at is None:
            self.seen.append(self._look())

    @property
    def status(self) -> dict[str, Any]:
        """What a frame tells in the status line."""
        progress = {"progress": (int(self.steps[-1]), self.n_steps, "steps")}
        if self.lost_at is None:
            return progress
        return progress | {"note": f"diverged at step {self.lost_at}: use a smaller strength λ"}


def nets_born_small(widths: Sequence[int], n_neurons: int, scale: float, seed: int, *, n_runs: int = 3) -> SkipNets:
    """Equal networks with parameters uniform in [-scale, scale]; the paper's scale is 1."""
    nets = SkipNets(widths, n_neurons, seeds=(seed,) * n_runs)
    with torch.no_grad():
        for parameters in nets.parameters():
            parameters.mul_(scale)
    return nets


def grid_samples(points: Sequence[float], dim: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """All points of a grid (n, dim) and values uniform in [-1, 1] there, (n,)."""
    x = torch.cartesian_prod(*[torch.tensor(points)] * dim).reshape(-1, dim)
    return x, Uniform(1.0).sample((len(x),), seed=seed).to(x)
