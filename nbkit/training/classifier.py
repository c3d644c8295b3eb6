"""What a training of classifiers consists of between two steps: the checked data and options, one step, one record."""

from __future__ import annotations

import contextlib
import functools
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from nbkit.data.split import Split, as_split
from nbkit.device import memory_budget, random_generator
from nbkit.errors import NbkitError, check_choice, check_integer, check_number, show
from nbkit.topology import Layer
from nbkit.training.checkpoint import load_checkpoint, save_checkpoint
from nbkit.training.guards import chance_limit, clip_gradients, gradient_norms
from nbkit.training.schedules import as_schedule

__all__ = ["Progress", "Training", "accuracy"]

_OPTIMIZERS = {
    "adam": lambda groups, momentum, decay: torch.optim.Adam(groups, weight_decay=decay, foreach=True),
    "sgd": lambda groups, momentum, decay: torch.optim.SGD(
        groups, lr=1.0, momentum=momentum, weight_decay=decay, foreach=True
    ),
}
_ROWS_AT_ONCE = 500  # of the test set
_NEVER = 2**62  # a step that no training reaches


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
    device = _device(module)
    shapes = [tuple(given.shape) if isinstance(given, torch.Tensor) else None for given in (images, labels)]
    if not all(shapes) or len(shapes[1]) != 1 or shapes[0][0] != shapes[1][0] or not shapes[1][0]:
        raise NbkitError(
            "accuracy: images (n, ...) and labels (n,) must be tensors of one n of at least 1, got the shapes "
            f"{shapes[0]} and {shapes[1]}. Use torch.as_tensor, one label for each image."
        )
    with _evaluation(module):
        right = [
            _as_batch(module(rows.to(device))).argmax(dim=-1).cpu() == targets.cpu()
            for rows, targets in zip(images.split(_ROWS_AT_ONCE), labels.split(_ROWS_AT_ONCE), strict=True)
        ]
    return torch.cat(right, dim=1).double().mean(dim=1)


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
        self.n_steps = _n_steps(epochs, steps, self.steps_an_epoch)
        self.schedule = as_schedule("train", "schedule", schedule)
        self.augment, self.probes = _checked_augment(augment), _checked_probes(probes)
        self.clip_norm = None if clip_norm is None else check_number("train", "clip_norm", clip_norm, above=0)
        self.patience = math.inf if patience is None else check_number("train", "patience", patience, above=0)
        self.entropy = int(random_generator(seed, who="train").integers(2**62))
        self.device = _device(module)
        self.trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        if not self.trained:
            raise NbkitError(
                "train: module must have a parameter to train, got none with requires_grad. "
                "Use module.requires_grad_(True)."
            )
        self.n_nets = _check_outputs(module, self.data, self.device)
        _check_classes(self.data)
        groups = _groups(self.trained, learning_rate)
        make = _OPTIMIZERS[check_choice("train", "optimizer", optimizer, _OPTIMIZERS)]
        momentum, decay = _from_0("momentum", momentum, 1.0), _from_0("weight_decay", weight_decay)
        self.optimizer = make(groups, momentum, decay)
        self.options = {
            "optimizer": optimizer,
            "momentum": momentum,
            "weight_decay": decay,
            "clip_norm": self.clip_norm,
            "schedule": self.schedule.told,
            "learning_rate": [group["full_rate"] for group in groups],
            "augment": [_told(each) for each in self.augment],
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
        self.optimizer.zero_grad()
        with torch.enable_grad(), self._own_randomness():
            outputs = _as_batch(self.module(images))
            targets = labels.expand(self.n_nets, -1)
            losses = cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
            losses = losses.view(self.n_nets, -1).mean(dim=1)
            losses.sum().backward()
        is_bad = ~losses.detach().isfinite()
        self._norms, self._has_gradient = None, True
        if self.clip_norm is not None:
            self._norms = self._gradient_norms()
            is_bad |= clip_gradients([*self.trained.values()], self._norms, self.clip_norm)
        self._first_bad.masked_fill_(is_bad & (self._first_bad == _NEVER), self.step)
        if self.device.type == "cpu" and self.has_diverged:
            self.is_whole = False
            return False
        if self._is_recorded:
            self._loss_sum, self._n_summed, self._is_recorded = torch.zeros_like(self._loss_sum), 0, False
        self.is_whole = False
        self.optimizer.step()
        self._loss_sum += losses.detach()
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
        with _evaluation(self.module), torch.enable_grad():
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
        self._factor = _from_0("the schedule's factor", factor)
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


@contextlib.contextmanager
def _evaluation(module: nn.Module) -> Iterator[None]:
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


def _check_outputs(module: nn.Module, data: Split, device: torch.device) -> int:
    """The number of networks; one forward pass shows whether module and data fit together."""
    sample = data.test_images[:1].to(device)
    try:
        with torch.no_grad():
            outputs = module.eval()(sample)
    except NbkitError:
        raise
    except (RuntimeError, ValueError, TypeError) as error:
        raise NbkitError(
            f"train: module must take images of the shape {tuple(sample.shape)}, got {type(error).__name__}: "
            f"{error}. Put nn.Flatten or nn.Unflatten in front."
        ) from None
    finally:
        module.train()
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
    if data.n_classes > outputs.shape[-1]:
        raise NbkitError(
            f"train: labels must be below the module's {outputs.shape[-1]} outputs, got {data.n_classes - 1}. "
            "Give the last layer one output for each class."
        )
    return len(_as_batch(outputs))


def _check_classes(data: Split) -> None:
    unseen = sorted(set(data.test_labels.tolist()) - set(data.train_labels.tolist()))
    if unseen:
        raise NbkitError(
            f"train: every class of the test set must be in the training set, got test labels {show(unseen)} without "
            "one training image. Leave these test images out, or train on all classes."
        )


def _checked_augment(augment: object) -> tuple[Callable, ...]:
    functions = () if augment is None else tuple(augment) if isinstance(augment, (list, tuple)) else (augment,)
    if not all(map(callable, functions)):
        raise NbkitError(
            f"train: augment must be a function (images, generator) -> images, or a list of such, got {show(augment)}. "
            "Write lambda images, generator: distort(images, seed=generator)."
        )
    return functions


def _checked_probes(probes: object) -> dict[str, Callable]:
    given = {} if probes is None else probes
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and callable(given[name]) for name in given):
        raise NbkitError(
            f"train: probes must be functions of the module by name, got {show(probes)}. "
            "Write {'spectrum': lambda module: jacobian_singular_values(module, x)}."
        )
    return dict(given)


def _groups(parameters: Mapping[str, nn.Parameter], learning_rate: object) -> list[dict]:
    """The optimiser's groups: one for each learning rate, since a group costs time at every step."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        rate = learning_rate(name, parameter) if callable(learning_rate) else learning_rate
        groups.setdefault(check_number("train", "learning_rate", rate, above=0), []).append(parameter)
    return [{"params": held, "full_rate": rate} for rate, held in groups.items()]


def _told(function: Callable) -> str:
    """A function in words that are the same in another process."""
    if isinstance(function, functools.partial):
        return f"{_told(function.func)}{function.args}{sorted(function.keywords.items())}"
    return getattr(function, "__qualname__", type(function).__qualname__)


def _checksum(tensors: Iterable[torch.Tensor]) -> int:
    return functools.reduce(lambda sum_, each: zlib.crc32(each.cpu().contiguous().numpy(), sum_), tensors, 0)


def _as_batch(outputs: torch.Tensor) -> torch.Tensor:
    return outputs if outputs.ndim == 3 else outputs[None]


def _device(module: nn.Module) -> torch.device:
    if not isinstance(module, nn.Module) or next(module.parameters(), None) is None:
        raise NbkitError(
            f"train: module must be a torch.nn.Module with parameters, got {type(module).__name__}. "
            "Use nbkit.nets.FeedForward(...)."
        )
    return next(module.parameters()).device


def _from_0(name: str, value: object, below: float = math.inf) -> float:
    number = check_number("train", name, value)
    if not 0 <= number < below:
        raise NbkitError(f"train: {name} must be in [0, {below:g}), got {number:g}. Use 0 for none.")
    return number


def _n_steps(epochs: float | None, steps: int | None, steps_an_epoch: int) -> int:
    if (epochs is None) == (steps is None):
        raise NbkitError(f"train: one of epochs and steps must be given, got {epochs} and {steps}. Say epochs=5.")
    if steps is not None:
        return check_integer("train", "steps", steps, at_least=0)
    return max(1, round(check_number("train", "epochs", epochs, above=0) * steps_an_epoch))
