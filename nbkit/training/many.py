"""Many regularised trainings in one: methods, strengths and seeds side by side, full batch, as a stream."""

from __future__ import annotations

import contextlib
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from nbkit.device import as_tensor, check_memory, one_thread
from nbkit.errors import NbkitError, check_choice, check_integer, check_number, show
from nbkit.nets import FullSkipNets, SkipNets
from nbkit.training.checkpoint import check_path, load_checkpoint, save_checkpoint

__all__ = ["PENALTIES", "DescentOfMany", "descend_many"]

PENALTIES = ("rbv2", "weight_decay", "none")
"""lambda (sum |C| + sum over neurons |v|_1^2 + |w|_2^2), lambda times the sum of squares of all parameters, nothing."""


_PLAIN_STEPS = 3
_SMALL = 2**15  # activations of a layer in all networks: from here on torch itself divides sums among cores


@dataclass(frozen=True)
class DescentOfMany:
    """Where the trainings are.

    Attributes:
        step: optimiser steps done.
        losses: each run's mean squared error after that many steps, float64 (n_runs,) on the CPU.
        median_losses: the median over the steps since the last record, (n_runs,): Adam's late spikes are not seen in it.
        diverged: for each run the first step at which its error was not finite; None for those that go on.
    """

    step: int
    losses: torch.Tensor
    median_losses: torch.Tensor
    diverged: tuple[int | None, ...]


def descend_many(
    nets: SkipNets | FullSkipNets,
    x: object,
    y: object,
    penalties: Sequence[tuple[str, float]],
    *,
    max_steps: int,
    lr: float = 1e-3,
    final_lr: float | None = None,
    every: int = 100,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 5000,
) -> Iterator[DescentOfMany]:
    """Fit y = net(x) for many networks at once by Adam, each under a penalty of its own; a record every few steps.

    The loss is the mean squared error over samples and outputs; the penalty comes on top of it. Networks do not feel each
    other, and one that diverges harms no other. Parameters change between two records only, all together, so that the
    networks can be used whenever the stream was stopped, by an interrupt too.

    Args:
        nets: trained in place, where they are: on CUDA a step is one graph.
        x, y: samples (n, d_0) and values (n, d_L) or, for one output, (n,).
        penalties: one (name of PENALTIES, lambda of at least 0) for each network; lambda of "none" is 0.
        max_steps: at least 0.
        lr, final_lr: Adam's rate; it falls along a half cosine to final_lr at the last step, or stays.
        every: steps between two records.
        checkpoint: a .safetensors file, written every `checkpoint_every` steps and at the end, from which training goes on if
            it is there.

    Yields:
        DescentOfMany, before the first step, every few steps, and at the end: after max_steps or where all diverged.

    Raises:
        NbkitError: at the first `next`: options out of range, shapes that do not fit, a checkpoint of another training,
            more samples, or steps between two records, than fit into the memory budget.

    Source:
        Parhi, Wolf & Nowak 2021, section 3.

    Example:
        >>> nets = SkipNets((1, 4, 1), 16, seeds=(0, 0))
        >>> x = torch.linspace(-1, 1, 5)[:, None]
        >>> runs = descend_many(nets, x, x.abs(), [("rbv2", 1e-3), ("none", 0)], max_steps=250)
        >>> [record.step for record in runs]
        [0, 100, 200, 250]
    """
    every = check_integer("descend_many", "every", every, at_least=1)
    checkpoint_every = check_integer("descend_many", "checkpoint_every", checkpoint_every, at_least=1)
    path = check_path("descend_many", checkpoint)
    runs = _Runs(nets, x, y, penalties, max_steps, lr, final_lr, every)
    if path is not None and path.exists():
        runs.resume(path)
    while True:
        yield (record := runs.record())
        if record.step >= runs.max_steps or None not in record.diverged:
            return
        with one_thread() if runs.is_small else contextlib.nullcontext():
            for _ in range(min(every - record.step % every, runs.max_steps - record.step)):
                runs.take_step()
                if path is not None and (runs.step % checkpoint_every == 0 or runs.step == runs.max_steps):
                    save_checkpoint(path, nets, runs.optimizer, runs.facts, step=runs.step)


class _Runs:
    """Everything the trainings consist of between two steps."""

    def __init__(self, nets, x, y, penalties, max_steps, lr, final_lr, every) -> None:
        if not isinstance(nets, (SkipNets, FullSkipNets)):
            raise NbkitError(
                f"descend_many: nets must be SkipNets or FullSkipNets, got {show(nets)}. "
                "Use SkipNets((4, 16, 1), 64, seeds=(0, 0)); for any other module there is descend."
            )
        self.nets, self.step = nets, 0
        self.max_steps = check_integer("descend_many", "max_steps", max_steps, at_least=0)
        self.lr = check_number("descend_many", "lr", lr, above=0)
        self.final_lr = self.lr if final_lr is None else check_number("descend_many", "final_lr", final_lr, above=0)
        like = next(nets.parameters())
        self.x, self.y = _samples(nets, x, y, like)
        self.penalties = _checked_penalties(penalties, nets.n_runs)
        strengths = {name: [value * (name == method) for method, value in self.penalties] for name in PENALTIES[:2]}
        self._strengths = {
            name: like.new_tensor(values).view(-1, 1, 1) if any(values) else None for name, values in strengths.items()
        }
        n_held = 2 * len(self.x) * sum(inner.shape[1] for inner in nets.inner) + min(every, self.max_steps)
        check_memory("descend_many", like.element_size() * nets.n_runs * n_held, lower="the number of samples or every")
        nets.attach(self.x)
        nets.penalise(**self._strengths)  # what cannot be penalised is refused before the first step
        on_cuda = like.device.type == "cuda"
        rate = torch.tensor(self.lr, device=like.device) if on_cuda else self.lr  # a graph reads its rate from memory
        self.optimizer = torch.optim.Adam(nets.parameters(), lr=rate, fused=True, capturable=on_cuda)
        self._history = like.new_full((min(every, self.max_steps), nets.n_runs), math.nan)
        self._n_seen, self._diverged = 0, [None] * nets.n_runs
        self._losses, self._advance = None, self._captured if on_cuda else self._plain
        self._graph, self._n_plain = None, 0

    @property
    def is_small(self) -> bool:
        """Whether a second core would cost more than it gives: on a busy machine up to thirty times the time."""
        return self.nets.n_runs * len(self.x) * max(inner.shape[1] for inner in self.nets.inner) < _SMALL

    def resume(self, path: Path) -> None:
        self.step = int(load_checkpoint("descend_many", path, self.nets, self.optimizer, self.facts)["step"])

    def take_step(self) -> None:
        self._set_rate()
        self._advance()
        self._history[self._n_seen] = self._losses
        self._n_seen += 1
        self.step += 1

    def record(self) -> DescentOfMany:
        """Where the runs are now; the steps since the last record are looked through."""
        with torch.no_grad():
            losses = (self.nets(self.x) - self.y.mT).square().mean(dim=(1, 2)).double().cpu()
        seen = torch.cat([self._history[: self._n_seen].double().cpu(), losses[None]])
        first = self.step - self._n_seen
        for run, is_lost in enumerate(~seen.isfinite().all(dim=0)):
            if is_lost and self._diverged[run] is None:
                self._diverged[run] = first + int((~seen[:, run].isfinite()).nonzero()[0])
        self._n_seen = 0
        return DescentOfMany(self.step, losses, seen.quantile(0.5, dim=0), tuple(self._diverged))

    @property
    def facts(self) -> dict[str, int]:
        """What a checkpoint must share with this training."""
        told = repr((self.penalties, self.lr, self.final_lr, tuple(self.x.shape), tuple(self.y.shape))).encode()
        for values in (self.x, self.y):
            told += values.cpu().numpy().tobytes()
        facts = {"training": zlib.crc32(told)}
        return facts if self.lr == self.final_lr else facts | {"max_steps": self.max_steps}

    def _plain(self) -> None:
        self._losses = self.nets.gradients(self.y)
        self.nets.penalise(**self._strengths)
        self.optimizer.step()

    def _captured(self) -> None:
        """The first steps as they are, so that everything exists; then one is recorded, and replayed from then on."""
        if self._n_plain < _PLAIN_STEPS:
            self._n_plain += 1
            self._plain()
            return
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            # recorded, not run; a cell may use CUDA meanwhile
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._plain()
        self._graph.replay()

    def _set_rate(self) -> None:
        if self.final_lr == self.lr:
            return
        share = 0.5 + 0.5 * math.cos(math.pi * self.step / self.max_steps)
        rate = self.final_lr + (self.lr - self.final_lr) * share
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def _samples(nets, x: object, y: object, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """x (n, d_0) and y (d_L, n) where the networks are."""
    x, y = (as_tensor("descend_many", name, values).to(like, copy=True) for name, values in (("x", x), ("y", y)))
    y = y[:, None] if y.ndim == 1 else y
    n_in, n_out = nets.ends
    if x.ndim != 2 or x.shape[1] != n_in or not len(x) or tuple(y.shape) != (len(x), n_out):
        raise NbkitError(
            f"descend_many: x must be (n, {n_in}) and y (n, {n_out}) with one n of at least 1, got the shapes "
            f"{tuple(x.shape)} and {tuple(y.shape)}. Give one row of y for each row of x."
        )
    for name, values in (("x", x), ("y", y)):
        if not values.isfinite().all():
            raise NbkitError(f"descend_many: {name} must be finite, got NaN or infinite entries. Drop these samples.")
    return x, y.mT.contiguous()


def _checked_penalties(penalties: object, n_runs: int) -> tuple[tuple[str, float], ...]:
    try:
        pairs = [(name, strength) for name, strength in penalties]
    except (TypeError, ValueError):
        pairs = []
    if len(pairs) != n_runs:
        raise NbkitError(
            f"descend_many: penalties must be one (name, lambda) for each of the {n_runs} networks, got "
            f"{show(penalties)}. Write [('rbv2', 0.001), ('none', 0)]."
        )
    checked = []
    for name, strength in pairs:
        check_choice("descend_many", "a penalty's name", name, PENALTIES)
        strength = check_number("descend_many", "a penalty's lambda", strength)
        if strength < 0 or (name == "none" and strength):
            raise NbkitError(
                f"descend_many: a penalty's lambda must be at least 0, and 0 for 'none', got {strength:g} for {name!r}. "
                "A negative one rewards large weights without bound."
            )
        checked.append((name, strength))
    return tuple(checked)
