"""Checkpoints of a training: one .npz file without pickled objects, replaced only when its successor is whole."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nbkit.errors import NbkitError

__all__ = ["load_checkpoint", "save_checkpoint"]


def save_checkpoint(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, **facts: int) -> None:
    """Write parameters, buffers and the optimiser's state, and beside them `facts`, the step among them."""
    arrays = {f"module.{name}": value for name, value in module.state_dict().items()}
    for place, entries in optimizer.state_dict()["state"].items():
        arrays |= {f"optimizer.{place}.{name}": torch.as_tensor(value) for name, value in entries.items()}
    partial = path.with_name(f"{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("wb") as file:
        np.savez(file, **{name: value.detach().cpu().numpy() for name, value in arrays.items()}, **facts)
    os.replace(partial, path)


def load_checkpoint(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, facts: Mapping[str, int]) -> int:
    """Bring module and optimiser to where the checkpoint is.

    Args:
        path: an .npz file that `save_checkpoint` wrote.
        module, optimizer: changed in place.
        facts: what the checkpoint must say of its training.

    Returns:
        The step.

    Raises:
        NbkitError: a file that is damaged, or a checkpoint of another training.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _error(path, f"{type(error).__name__}: {error}") from None
    other = [f"{name} {arrays.get(name)} for {value}" for name, value in facts.items() if arrays.get(name) != value]
    if other or "step" not in arrays:
        raise _error(path, ", ".join(other) or "no step")
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, values in arrays.items():
        if name.startswith("optimizer."):
            _, place, key = name.split(".", 2)
            state.setdefault(int(place), {})[key] = torch.from_numpy(values)
    born = {name[7:]: torch.from_numpy(values) for name, values in arrays.items() if name.startswith("module.")}
    try:
        module.load_state_dict(born)
    except RuntimeError as error:
        raise _error(path, " ".join(str(error).split())[:200]) from None
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return int(arrays["step"])


def _error(path: Path, found: str) -> NbkitError:
    return NbkitError(
        f"train: the checkpoint {path} must come from this very training, got {found}. Delete it to start anew."
    )
