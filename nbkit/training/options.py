"""What `train` is given, checked: the module's outputs, classes, functions, learning rates, lengths."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping

import torch
from torch import nn

from nbkit.data import Split
from nbkit.errors import NbkitError, check_integer, check_number, show
from nbkit.training.progress import as_batch

__all__ = [
    "check_classes",
    "check_from_0",
    "checked_augment",
    "checked_probes",
    "count_nets",
    "count_steps",
    "group_by_rate",
    "told",
]


def count_nets(module: nn.Module, data: Split, device: torch.device) -> int:
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
    return len(as_batch(outputs))


def check_classes(data: Split) -> None:
    """Refuse a class of the test set that nothing is trained on."""
    unseen = sorted(set(data.test_labels.tolist()) - set(data.train_labels.tolist()))
    if unseen:
        raise NbkitError(
            f"train: every class of the test set must be in the training set, got test labels {show(unseen)} without "
            "one training image. Leave these test images out, or train on all classes."
        )


def checked_augment(augment: object) -> tuple[Callable, ...]:
    """None, one function or a list of them, as functions one after another."""
    functions = () if augment is None else tuple(augment) if isinstance(augment, (list, tuple)) else (augment,)
    if not all(map(callable, functions)):
        raise NbkitError(
            f"train: augment must be a function (images, generator) -> images, or a list of such, got {show(augment)}. "
            "Write lambda images, generator: distort(images, seed=generator)."
        )
    return functions


def checked_probes(probes: object) -> dict[str, Callable]:
    """Functions of the module by name; none for None."""
    given = {} if probes is None else probes
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and callable(given[name]) for name in given):
        raise NbkitError(
            f"train: probes must be functions of the module by name, got {show(probes)}. "
            "Write {'spectrum': lambda module: jacobian_singular_values(module, x)}."
        )
    return dict(given)


def group_by_rate(parameters: Mapping[str, nn.Parameter], learning_rate: object) -> list[dict]:
    """The optimiser's groups: one for each learning rate, since a group costs time at every step."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        rate = learning_rate(name, parameter) if callable(learning_rate) else learning_rate
        groups.setdefault(check_number("train", "learning_rate", rate, above=0), []).append(parameter)
    return [{"params": held, "full_rate": rate} for rate, held in groups.items()]


def told(function: Callable) -> str:
    """A function in words that are the same in another process."""
    if isinstance(function, functools.partial):
        return f"{told(function.func)}{function.args}{sorted(function.keywords.items())}"
    return getattr(function, "__qualname__", type(function).__qualname__)


def check_from_0(name: str, value: object, below: float = math.inf) -> float:
    """A number of at least 0."""
    number = check_number("train", name, value)
    if not 0 <= number < below:
        raise NbkitError(f"train: {name} must be in [0, {below:g}), got {number:g}. Use 0 for none.")
    return number


def count_steps(epochs: float | None, steps: int | None, steps_an_epoch: int) -> int:
    """The length of a training in steps, of which exactly one of epochs and steps is given."""
    if (epochs is None) == (steps is None):
        raise NbkitError(f"train: one of epochs and steps must be given, got {epochs} and {steps}. Say epochs=5.")
    if steps is not None:
        return check_integer("train", "steps", steps, at_least=0)
    return max(1, round(check_number("train", "epochs", epochs, above=0) * steps_an_epoch))
