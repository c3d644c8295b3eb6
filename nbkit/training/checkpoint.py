"""Checkpoints of a training: one safetensors file, replaced only when its successor is whole and on the disk."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from nbkit.errors import NbkitError, show

__all__ = ["check_path", "load_checkpoint", "save_checkpoint"]

_FORMAT = {"format": "pt", "nbkit": "training"}


def check_path(who: str, checkpoint: object) -> Path | None:
    """The path of a checkpoint, in a folder that exists from now on; None stays None.

    Raises:
        NbkitError: no path of a file, or a folder that cannot be made.
    """
    if checkpoint is None:
        return None
    if not isinstance(checkpoint, (str, Path)):
        raise NbkitError(
            f"{who}: checkpoint must be the path of a .safetensors file, got {show(checkpoint)}. Write it as text."
        )
    path = Path(checkpoint)
    if path.is_dir():
        raise NbkitError(
            f"{who}: checkpoint must be the path of a file, got the folder {path}. Add a name.safetensors."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NbkitError(
            f"{who}: checkpoint must be in a folder that can be made, got {path} ({error.strerror}). Choose another."
        ) from None
    return path


def save_checkpoint(
    path: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    facts: Mapping[str, object],
    **running: int | torch.Tensor,
) -> None:
    """Write parameters, buffers and the optimiser's state, the running values of the training, and what training it is.

    Args:
        path: of the file; it is the old one or the whole new one, whenever the process or the machine stops.
        module, optimizer: as they are; optimiser states go by their parameter's name and keep its own layout.
        facts: what says which training this is, as JSON knows it.
        running: the step among them.
    """
    from safetensors.torch import save

    tensors = {f"module.{name}": value for name, value in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if value is not None:
                tensors[f"optimizer.{key}.{name}"] = torch.as_tensor(value)
    tensors |= {f"running.{name}": torch.as_tensor(value) for name, value in running.items()}
    # clones, since tied parameters may not share memory in the file
    whole = {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
    content = save(whole, _FORMAT | {"facts": json.dumps(facts)})
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def load_checkpoint(
    who: str, path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, facts: Mapping[str, object]
) -> dict[str, torch.Tensor]:
    """Bring module and optimiser to where the checkpoint is; on an error neither they nor the file are touched.

    Args:
        who: the public function, for messages.
        path: a file that `save_checkpoint` wrote.
        module, optimizer: changed in place.
        facts: what the checkpoint must say of its training.

    Returns:
        The running values by name, the step among them.

    Raises:
        NbkitError: a file that is empty, cut, or no safetensors file; a checkpoint of another training or network.
    """
    tensors, found = _read(who, path)
    parts: dict[str, dict] = {"module": {}, "optimizer": {}, "running": {}}
    for name, value in tensors.items():
        kind, _, rest = name.partition(".")
        parts.setdefault(kind, {})[rest] = value
    wanted = json.loads(json.dumps(facts))
    other = [
        f"{name} {show(found.get(name))} for {show(value)}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
    other = other or _other_network(parts, module)
    if other:
        raise _error(who, path, ", ".join(other[:3]))
    module.load_state_dict(parts["module"])
    places = {
        id(each): place for place, each in enumerate(p for group in optimizer.param_groups for p in group["params"])
    }
    parameters = dict(module.named_parameters())
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in parts["optimizer"].items():
        key, _, parameter = name.partition(".")
        state.setdefault(places[id(parameters[parameter])], {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return parts["running"]


def _read(who: str, path: Path) -> tuple[dict[str, torch.Tensor], dict]:
    from safetensors import SafetensorError, safe_open

    try:
        if not path.stat().st_size:
            raise _error(who, path, "an empty file")
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "null"))
            if not isinstance(facts, dict):
                raise _error(who, path, "a safetensors file that is no checkpoint of a training")
            # clones, since these tensors are pages of the file
            return {name: file.get_tensor(name).clone() for name in file.keys()}, facts  # noqa: SIM118 (not a dict)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise _error(who, path, f"a file that is damaged or no safetensors file ({error})") from None
    except OSError as error:
        raise _error(who, path, f"a file that cannot be read ({error.strerror})") from None


def _other_network(parts: Mapping[str, Mapping[str, torch.Tensor]], module: nn.Module) -> list[str]:
    """What of the checkpoint's tensors does not fit the module, in words."""
    here, there = (
        {name: f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}" for name, value in tensors.items()}
        for tensors in (module.state_dict(), parts["module"])
    )
    other = [
        f"{name} {there.get(name, 'missing')} for {here.get(name, 'none')}"
        for name in [*here, *(there.keys() - here.keys())]
        if there.get(name) != here.get(name)
    ]
    held = {name: parameter.shape for name, parameter in module.named_parameters()}
    for name, value in parts["optimizer"].items():
        key, _, parameter = name.partition(".")
        if parameter not in held or value.ndim and value.shape != held[parameter]:
            other.append(f"{key} of {parameter} in another layout")
    return other


def _error(who: str, path: Path, found: str) -> NbkitError:
    return NbkitError(
        f"{who}: the checkpoint {path} must come from this very training, got {found}. Delete it to start anew."
    )
