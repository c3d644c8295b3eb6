"""What a training of classifiers consists of between two steps: the checked data and options, one step, one record."""

from __future__ import annotations

import contextlib
import functools
import math
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from nbkit.data.split import as_split
from nbkit.device import memory_budget, random_generator
from nbkit.errors import NbkitError, check_choice, check_integer, check_number
from nbkit.topology import Layer
from nbkit.training.checkpoint import load_checkpoint, save_checkpoint
from nbkit.training.guards import chance_limit, clip_gradients, gradient_norms
from nbkit.training.options import (
    check_classes,
    check_from_0,
    checked_augment,
    checked_probes,
    count_nets,
    count_steps,
    group_by_rate,
    told,
)
from nbkit.training.progress import Progress, accuracy, as_batch, evaluation, module_device
from nbkit.training.schedules import as_schedule

__all__ = ["Training"]

_OPTIMIZERS = {
    "adam": lambda groups, momentum, decay: torch.optim.Adam(groups, weight_decay=decay, foreach=True),
    "sgd": lambda groups, momentum, decay: torch.optim.SGD(
        groups, lr=1.0, momentum=momentum, weight_decay=decay, foreach=True
    ),
}
_NEVER = 2**62  # a step that no training reaches


class Training:
    """A training of `train`, whose arguments these are; `is_whole` is False while parameters change and after a divergence."""

    def __init__(
        self, module, data, *, epochs, steps, batch_size, learning_rate, schedule, optimizer, momentum, weight_decay,
        clip_norm, augment, patience, probes, seed,
    ) -> None:  # fmt: skip
        self.module, self.data = module, as_split("train", data)
        n_train = len(self.data.train_labels)
        self.batch_size = check_integer("train", "batch_size", batch_size, at_least=1, at_most=n_train)
        self.steps_an_epoch = n_train // self.batch_size
        self.n_steps = count_steps(epochs, steps, self.steps_an_epoch)
        self.schedule = as_schedule("train", "schedule", schedule)
        self.augment, self.probes = checked_augment(augment), checked_probes(probes)
        self.clip_norm = None if clip_norm is None else check_number("train", "clip_norm", clip_norm, above=0)
        self.patience = math.inf if patience is None else check_number("train", "patience", patience, above=0)
        self.entropy = int(random_generator(seed, who="train").integers(2**62))
        self.device = module_device(module)
        self.trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        if not self.trained:
            raise NbkitError(
                "train: module must have a parameter to train, got none with requires_grad. "
                "Use module.requires_grad_(True)."
            )
        self.n_nets = count_nets(module, self.data, self.device)
        check_classes(self.data)
        groups = group_by_rate(self.trained, learning_rate)
        make = _OPTIMIZERS[check_choice("train", "optimizer", optimizer, _OPTIMIZERS)]
        momentum, decay = check_from_0("momentum", momentum, 1.0), check_from_0("weight_decay", weight_decay)
        self.optimizer = make(groups, momentum, decay)
        self.options = {
            "optimizer": optimizer,
            "momentum": momentum,
            "weight_decay": decay,
            "clip_norm": self.clip_norm,
            "schedule": self.schedule.told,
            "learning_rate": [group["full_rate"] for group in groups],
            "augment": [told(each) for each in self.augment],
        }
        self._own_parameters = self.n_nets > 1 and all(
            p.ndim and p.shape[0] == self.n_nets for p in self.trained.values()
        )
        self._has_buffers = next(module.buffers(), None) is not None
        self._move_data()
        self.step, self._above_chance, self.is_whole = 0, 0, True
        self._order, self._order_epoch, self._factor = None, None, None
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        self._loss_sum, self._n_summed = torch.zeros(self.n_nets, dtype=dtype, device=self.device), 0
        self._first_bad = torch.full((self.n_nets,), _NEVER, device=self.device)
        self._is_recorded, self._has_gradient, self._norms = False, False, None

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint."""
        running = load_checkpoint("train", path, self.module, self.optimizer, self.facts)
        self.step, self._above_chance, self._n_summed, is_recorded = running.pop("counts").tolist()
        self._is_recorded = bool(is_recorded)
        self._loss_sum.copy_(running["loss_sum"])
        self._first_bad.copy_(running["first_bad"])

    def save(self, path: Path) -> None:
        """Write the checkpoint, unless nothing is left of any network: then the last sound one stays."""
        if self.is_whole and not self.has_diverged:
            counts = torch.tensor([self.step, self._above_chance, self._n_summed, self._is_recorded])
            running = {"counts": counts, "loss_sum": self._loss_sum, "first_bad": self._first_bad}
            save_checkpoint(path, self.module, self.optimizer, self.facts, **running)

    @functools.cached_property
    def facts(self) -> dict[str, object]:
        """What a checkpoint must share with this training, from which everything follows bit for bit."""
        data = [self.data.train_images, self.data.train_labels]
        modules = list(self.module.modules())
        wires = [module.layer.edge_index() for module in modules if isinstance(getattr(module, "layer", None), Layer)]
        held = Counter(getattr(module, "execution", None) for module in modules)
        return {
            "entropy": self.entropy,
            "n_steps": self.n_steps,
            "batch_size": self.batch_size,
            "checksum of the training data": _checksum(data),
            "checksum of the wires": _checksum(wires),
            "executions": {name: n for name, n in sorted(held.items(), key=str) if isinstance(name, str)},
        } | self.options

    @property
    def has_diverged(self) -> bool:
        """Whether no network is left; on a GPU this waits for it."""
        return bool((self._first_bad < _NEVER).all())

    def take_step(self) -> bool:
        """One step, or none where no network's loss is finite any more; whether it was taken.

        On a GPU nothing is read back, so there a divergence is seen at the next record or checkpoint.
        """
        images, labels = self._batch()
        self._set_rate()
        self.is_whole = not self._has_buffers  # a forward pass may change buffers
        losses = self._gradients(images, labels)
        is_bad = ~losses.isfinite()
        self._norms, self._has_gradient = None, True
        if self.clip_norm is not None:
            self._norms = self._gradient_norms()
            is_bad |= clip_gradients([*self.trained.values()], self._norms, self.clip_norm)
        self._first_bad.masked_fill_(is_bad & (self._first_bad == _NEVER), self.step)
        self.is_whole = False
        if self.device.type == "cpu" and self.has_diverged:
            return False
        self.optimizer.step()
        if self._is_recorded:
            self._loss_sum, self._n_summed, self._is_recorded = torch.zeros_like(self._loss_sum), 0, False
        self._loss_sum += losses
        self._n_summed += 1
        self.step += 1
        self.is_whole = True
        return True

    def record(self, n_test: int, every: int) -> Progress:
        """Where the training is now; the last record looks at all test samples."""
        n_all = len(self.data.test_labels)
        n_looked = n_all if self.step == self.n_steps or self.has_diverged else n_test
        labels = self.data.test_labels[:n_looked]
        found = accuracy(self.module, self.data.test_images[:n_looked], labels)
        verdict = self._verdict(found, labels)
        if verdict and n_looked < n_all:
            return self.record(n_all, every)
        self._is_recorded |= self.step % every == 0
        return Progress(
            step=self.step,
            n_steps=self.n_steps,
            epoch=self.step / self.steps_an_epoch,
            loss=self._loss_sum.cpu() / self._n_summed if self._n_summed else torch.full_like(found, math.nan),
            test_accuracy=found,
            gradient_norms=dict(zip(self.trained, self._gradient_norms().cpu(), strict=True)),
            probes=self._probed(),
            diverged=tuple(None if step == _NEVER else step for step in self._first_bad.tolist()),
            verdict=verdict,
        )

    def _gradients(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Set the gradients of a batch; the loss of each network, (n_nets,)."""
        self.optimizer.zero_grad()
        with torch.enable_grad(), self._own_randomness():
            outputs = as_batch(self.module(images))
            targets = labels.expand(self.n_nets, -1)
            losses = cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
            losses = losses.view(self.n_nets, -1).mean(dim=1)
            losses.sum().backward()
        return losses.detach()

    def _verdict(self, found: torch.Tensor, labels: torch.Tensor) -> str | None:
        """What is wrong, if anything, where the test labels that were looked at are these."""
        epoch = f"{self.step / self.steps_an_epoch:.3g}"
        if self.has_diverged:
            step = int(self._first_bad.max())
            return (
                f"diverged at step {step} (epoch {step / self.steps_an_epoch:.3g}): the loss or its gradient is not "
                "finite. Lower learning_rate."
            )
        if (found > chance_limit(labels)).any():
            self._above_chance = self.step
        n_waited = self.step - self._above_chance
        is_over = self.step == self.n_steps or n_waited >= self.patience * self.steps_an_epoch
        if n_waited and is_over:
            return f"did not train: {100 * float(found.max()):.3g} % after {epoch} epochs"
        return None

    def _probed(self) -> dict[str, object]:
        with evaluation(self.module), torch.enable_grad():
            return {name: probe(self.module) for name, probe in self.probes.items()}

    def _gradient_norms(self) -> torch.Tensor:
        """Of the last step, before clipping, (n_parameters, n_nets or 1)."""
        if self._norms is not None:
            return self._norms
        n = self.n_nets if self._own_parameters else 1
        if not self._has_gradient:
            return torch.full((len(self.trained), n), math.nan, dtype=torch.float64)
        return gradient_norms([*self.trained.values()], n)

    def _set_rate(self) -> None:
        factor = self.schedule(self.step, self.n_steps, self.steps_an_epoch)
        if factor == self._factor:
            return
        self._factor = check_from_0("the schedule's factor", factor)
        for group in self.optimizer.param_groups:
            group["lr"] = group["full_rate"] * factor

    @contextlib.contextmanager
    def _own_randomness(self) -> Iterator[None]:
        """Dropout and the like draw what follows from seed and step, on the CPU, and leave torch's own numbers alone."""
        before = torch.default_generator.get_state()
        torch.default_generator.manual_seed((self.entropy + self.step) % 2**63)
        try:
            yield
        finally:
            torch.default_generator.set_state(before)

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        epoch, place = divmod(self.step, self.steps_an_epoch)
        if epoch != self._order_epoch:
            order = np.random.default_rng([self.entropy, 0, epoch]).permutation(len(self.data.train_labels))
            self._order, self._order_epoch = torch.from_numpy(order).to(self.data.train_images.device), epoch
        chosen = self._order[place * self.batch_size : (place + 1) * self.batch_size]
        images = self.data.train_images[chosen]
        shape = tuple(images.shape)
        generator = np.random.default_rng([self.entropy, 1, self.step]) if self.augment else None
        for change in self.augment:
            images = change(images, generator)
            if not isinstance(images, torch.Tensor) or tuple(images.shape) != shape:
                got = tuple(images.shape) if isinstance(images, torch.Tensor) else type(images).__name__
                raise NbkitError(f"train: augment must give a tensor of the shape {shape}, got {got}. Keep the shape.")
        return images.to(self.device), self.data.train_labels[chosen].to(self.device)

    def _move_data(self) -> None:
        """The training set stays on the module's GPU where it fits and no augmentation awaits it on the CPU."""
        images, labels = self.data.train_images, self.data.train_labels
        if self.device.type == "cuda" and not self.augment and images.nbytes <= memory_budget(self.device):
            self.data = replace(self.data, train_images=images.to(self.device), train_labels=labels.to(self.device))


def _checksum(tensors: Iterable[torch.Tensor]) -> int:
    return functools.reduce(lambda sum_, each: zlib.crc32(each.cpu().contiguous().numpy(), sum_), tensors, 0)
