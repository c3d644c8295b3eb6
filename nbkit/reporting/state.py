"""A network from a state dictionary alone: its layers of weights, in a chain that can be measured."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise, zip_longest
from pathlib import Path

import torch
from torch import nn

from nbkit.device import as_tensor
from nbkit.errors import NbkitError, check_choice, check_integers, show
from nbkit.nets import ACTIVATIONS

__all__ = ["from_state"]

_WHO = "from_state"
_CONVOLUTIONS = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
_POOLS = {3: nn.AdaptiveAvgPool1d, 4: nn.AdaptiveAvgPool2d, 5: nn.AdaptiveAvgPool3d}
_COUNTED = {"num_batches_tracked"}
_NORMALISED = {"weight", "bias", "running_mean", "running_var"}
_OF_TORCH = {".pt", ".pth", ".bin", ".ckpt"}

_Named = list[tuple[str, nn.Module]]


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation of whatever number of axes: a state does not say how many."""

    def _check_input_dim(self, input: torch.Tensor) -> None:
        pass


def from_state(
    state: str | Path | Mapping[str, object], sizes: Sequence[int] | None = None, *, activation: str = "relu"
) -> nn.Sequential:
    """The chain of linear layers and convolutions whose weights a state dictionary holds.

    Weights say neither how images shrink nor what stands between layers. So convolutions keep the size of their image
    (stride 1, zeros around it); in front of the first linear layer the image is averaged to as many pixels as that layer
    takes of each channel; the activation stands in front of each layer but the first. Batch normalisations are taken
    along, masks of `torch.nn.utils.prune` applied. Wires and spectra of linear layers do not depend on this. Spectra of
    convolutions do (the image has another size), Jacobian and growth do, and what could be removed does: a unit that no
    input reaches is a constant, and with zeros around images it stays.

    Not checked: branches whose widths happen to fit are taken one behind the other, and a transposed kernel as a plain one
    (out channels first), unless its bias tells. Measure the module itself where there are such.

    Args:
        state: a dictionary name -> array, or the path of a .safetensors file.
        sizes: nodes of each layer, input first, channels where it is a convolution; they choose and order the layers, and
            nothing else is taken. Default: every layer in the dictionary's own order, which is that of definition in
            `net.state_dict()`. A file holds names in alphabetical order only (so may a dictionary): then layers are ordered
            by name, digits as numbers, "layers.2" before "layers.10" and "conv2" before "fc1", but also "decoder" before
            "encoder".
        activation: "linear", "relu", "tanh", "silu" or "maxmin".

    Raises:
        NbkitError: a file that cannot be read, no layer, entries that are no such layer (give sizes), layers or sizes that
            do not chain, sizes that no layer has, a normalisation of a file that has no number of its own.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
        >>> [type(module).__name__ for module in from_state(net.state_dict())]
        ['Linear', 'ReLU', 'Linear']
    """
    make = ACTIVATIONS[check_choice(_WHO, "activation", activation, ACTIVATIONS)]
    given = _unmasked(_tensors(state))
    by_name = _is_alphabetical(given)  # their order tells no more than their names
    layers, misfits, others = _layers(dict(sorted(given.items(), key=_by_number)) if by_name else given)
    if sizes is not None:
        layers = _chosen(layers, misfits, check_integers(_WHO, "sizes", sizes, at_least=1, minimum_length=2))
    elif misfits:
        raise NbkitError(
            f"{_WHO}: a bias must have a number for each row of the weights, got {misfits[0]}. "
            "Measure the module itself, or give sizes, which choose among the layers."
        )
    elif others:
        raise NbkitError(
            f"{_WHO}: state must hold linear layers, convolutions and batch normalisations only, got {others[0]}. "
            "Give sizes, which choose among the layers."
        )
    elif by_name:
        _check_numbered(layers)
    if not any(isinstance(layer, (nn.Linear, *_CONVOLUTIONS.values())) for _, layer in layers):
        raise NbkitError(f"{_WHO}: state must hold a layer's weights, got none. Use net.state_dict().")
    return nn.Sequential(*_chain(layers, make)).eval()


def _tensors(state: object) -> dict[str, torch.Tensor]:
    if isinstance(state, Mapping):
        for name, values in state.items():
            if isinstance(values, Mapping) and any(isinstance(each, torch.Tensor) for each in values.values()):
                raise NbkitError(
                    f"{_WHO}: state must hold arrays by name, got a dictionary of arrays as {show(name)}. "
                    f"Give state[{show(name)}]."
                )
        return {str(name): as_tensor(_WHO, str(name), values) for name, values in state.items()}
    if not isinstance(state, (str, Path)):
        raise NbkitError(
            f"{_WHO}: state must be a dictionary or the path of a .safetensors file, got {show(state)}. "
            "Use net.state_dict()."
        )
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(sorted(load_file(state).items()))
    except (SafetensorError, OSError) as error:
        mend = "Write it with safetensors.torch.save_file(net.state_dict(), path)."
        if Path(state).suffix in _OF_TORCH:
            mend = "Load it with torch.load(path, weights_only=True) and give the dictionary."
        raise NbkitError(
            f"{_WHO}: state must be a .safetensors file that can be read, got {show(str(state))}: {error}. {mend}"
        ) from None


def _unmasked(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    given = {name.removesuffix("_orig"): values for name, values in tensors.items() if not name.endswith("_mask")}
    for name, mask in tensors.items():
        if name.endswith("_mask") and name.removesuffix("_mask") in given:
            given[name.removesuffix("_mask")] = given[name.removesuffix("_mask")] * mask
    return given


def _is_alphabetical(given: dict[str, torch.Tensor]) -> bool:
    names = [name for name in given if name.rpartition(".")[2] not in _COUNTED]  # integers stand first in a file
    return names == sorted(names)


def _by_number(entry: tuple[str, object]) -> list[list[str | int]]:
    """A key to sort by: between the dots of the name, texts and numbers by turns."""
    parts = (re.split("([0-9]+)", part) for part in entry[0].split("."))
    return [[int(piece) if odd % 2 else piece for odd, piece in enumerate(part)] for part in parts]


def _layers(given: dict[str, torch.Tensor]) -> tuple[_Named, list[str], list[str]]:
    """(name, module) in the order given, layers with a bias of another length, and names of entries that belong to none."""
    found, misfits, taken = [], [], set()
    for name in given:
        if name != "weight" and not name.endswith(".weight"):
            continue
        place = name.removesuffix("weight")
        own = {key.removeprefix(place): values for key, values in given.items() if key.startswith(place)}
        shown = place.removesuffix(".") or "weight"
        weight, bias = own["weight"], own.get("bias")
        if 2 <= weight.ndim <= 5 and bias is not None and bias.shape != weight.shape[:1]:
            shapes = f"weights of shape {tuple(weight.shape)} and a bias of shape {tuple(bias.shape)}"
            misfits.append(f"{shown} with {shapes}" + ", as a transposed convolution has" * (weight.ndim > 2))
            continue
        module = _module(own)
        if module is not None:
            found.append((shown, module))
            taken |= {place + key for key in own}
    return found, misfits, [name for name in given if name not in taken]


def _check_numbered(layers: _Named) -> None:
    for (before, _), (name, module) in pairwise([("", None), *layers]):
        differing = (new for old, new in zip_longest(before.split("."), name.split("."), fillvalue="") if old != new)
        if isinstance(module, _BatchNorm) and not next(differing, "").isdigit():
            raise NbkitError(
                f"{_WHO}: names in alphabetical order, as those of a file, must tell by numbers where a normalisation "
                f"stands, got {name}. Give a dictionary in the order of execution (net.state_dict()), or sizes, which "
                "leave normalisations out."
            )


def _module(own: dict[str, torch.Tensor]) -> nn.Module | None:
    weight, bias = own["weight"], own.get("bias")
    if not weight.is_floating_point() or not set(own) <= _NORMALISED | _COUNTED:
        return None
    with torch.device("meta"):
        if weight.ndim == 2:
            made = nn.Linear(*reversed(weight.shape), bias=bias is not None)
        elif weight.ndim in _CONVOLUTIONS:
            taps = tuple(weight.shape[2:])
            made = _CONVOLUTIONS[weight.ndim](weight.shape[1], len(weight), taps, padding="same", bias=bias is not None)
        elif weight.ndim == 1 and all(key in own and own[key].shape == weight.shape for key in _NORMALISED):
            made = _BatchNorm(len(weight))
        else:
            return None
    own.setdefault("num_batches_tracked", torch.tensor(0))
    made.load_state_dict({key: values.detach() for key, values in own.items()}, assign=True, strict=False)
    return made


def _chosen(layers: _Named, misfits: list[str], sizes: tuple[int, ...]) -> _Named:
    """For each pair of sizes the first layer left that has them; flattened images have a multiple of their channels."""
    left = [each for each in layers if not isinstance(each[1], _BatchNorm)]
    chosen: _Named = []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        was_image = bool(chosen) and chosen[-1][1].weight.ndim > 2
        for each in left:
            have_out, have_in = each[1].weight.shape[:2]
            if have_out == n_out and (have_in == n_in or was_image and not have_in % n_in and each[1].weight.ndim == 2):
                break
        else:
            have = ", ".join(f"{name} {module.weight.shape[1]} -> {len(module.weight)}" for name, module in left)
            raise NbkitError(
                f"{_WHO}: sizes must be those of layers in the state, got {n_in} -> {n_out}, and left are "
                f"{have or 'none'}{f'; never taken is {misfits[0]}' if misfits else ''}. Use these sizes."
            )
        chosen.append(each)
        left.remove(each)
    return chosen


def _chain(layers: _Named, make: Callable[[], nn.Module]) -> Iterator[nn.Module]:
    """The modules, with what must stand between them."""
    width, axes, before = None, None, None  # what flows: units, axes of the last weights, the last layer in words
    for name, module in layers:
        is_norm, n_axes = isinstance(module, _BatchNorm), module.weight.ndim
        need = module.weight.shape[0 if is_norm else 1]
        shown = (
            f"{name} ({f'normalises {need}' if is_norm else f'{type(module).__name__} {need} -> {len(module.weight)}'})"
        )
        if axes is not None and not is_norm:
            yield make()
        if n_axes == 2 and axes in _POOLS:
            yield _POOLS[axes](_pixels(name, need, width, axes - 2))
            yield nn.Flatten()
            width, axes = need, 2
        if width not in (None, need) or (not is_norm and axes not in (None, n_axes)):
            raise NbkitError(
                f"{_WHO}: each layer must take what the one before gives, got {shown} behind {before}. Give sizes, which "
                "choose and order the layers, or, where there are branches, groups or transposed kernels (a state does not "
                "tell these from plain ones), measure the module itself."
            )
        yield module
        width, before = len(module.weight), shown
        axes = axes if is_norm else n_axes


def _pixels(name: str, need: int, channels: int, n_axes: int) -> tuple[int, ...]:
    side = round((need / channels) ** (1 / n_axes))
    if channels * side**n_axes != need:
        raise NbkitError(
            f"{_WHO}: {name} must take a square image of each of {channels} channels, got {need} inputs. "
            "Build the module itself and load the state into it."
        )
    return (side,) * n_axes
