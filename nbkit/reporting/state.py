"""A network from a state dictionary alone: its layers of weights, in a chain that can be measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
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
    takes of each channel; the activation stands between all layers. Batch normalisations are taken along, masks of
    `torch.nn.utils.prune` applied. Wires, spectra of linear layers and what could be removed do not depend on this.

    Args:
        state: a dictionary name -> array, or the path of a .safetensors file.
        sizes: nodes of each layer, input first, channels where it is a convolution; they choose and order the layers, and
            nothing else is taken. Default: every layer, ordered by name, "2.weight" before "10.weight".
        activation: "linear", "relu", "tanh", "silu" or "maxmin".

    Raises:
        NbkitError: a file that cannot be read, no layer, entries that are no such layer (give sizes), sizes that do not
            chain or that no layer has.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
        >>> [type(module).__name__ for module in from_state(net.state_dict())]
        ['Linear', 'ReLU', 'Linear']
    """
    make = ACTIVATIONS[check_choice(_WHO, "activation", activation, ACTIVATIONS)]
    layers, others = _layers(_tensors(state))
    if sizes is not None:
        layers = _chosen(layers, check_integers(_WHO, "sizes", sizes, at_least=1, minimum_length=2))
    elif others:
        raise NbkitError(
            f"{_WHO}: state must hold linear layers, convolutions and batch normalisations only, got {others[0]}. "
            "Give sizes, which choose among the layers."
        )
    if not any(isinstance(layer, (nn.Linear, *_CONVOLUTIONS.values())) for _, layer in layers):
        raise NbkitError(f"{_WHO}: state must hold a layer's weights, got none. Use net.state_dict().")
    return nn.Sequential(*_chain(layers, make)).eval()


def _tensors(state: object) -> dict[str, torch.Tensor]:
    if isinstance(state, Mapping):
        return {str(name): as_tensor(_WHO, str(name), values) for name, values in state.items()}
    if not isinstance(state, (str, Path)):
        raise NbkitError(
            f"{_WHO}: state must be a dictionary or the path of a .safetensors file, got {show(state)}. "
            "Use net.state_dict()."
        )
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(state)
    except (SafetensorError, OSError) as error:
        raise NbkitError(
            f"{_WHO}: state must be a .safetensors file that can be read, got {show(str(state))}: {error}. "
            "Write it with safetensors.torch.save_file(net.state_dict(), path)."
        ) from None


def _layers(tensors: dict[str, torch.Tensor]) -> tuple[list[tuple[str, nn.Module]], list[str]]:
    """(name, module) in the order of their names, and the names of entries that belong to none."""
    given = {name.removesuffix("_orig"): values for name, values in tensors.items() if not name.endswith("_mask")}
    for name, mask in tensors.items():
        if name.endswith("_mask") and name.removesuffix("_mask") in given:
            given[name.removesuffix("_mask")] = given[name.removesuffix("_mask")] * mask
    found, taken = [], set()
    for name in sorted(given, key=lambda name: [(part.isdigit(), part.zfill(9)) for part in re.split(r"(\d+)", name)]):
        if name != "weight" and not name.endswith(".weight"):
            continue
        place = name.removesuffix("weight")
        own = {key.removeprefix(place): values for key, values in given.items() if key.startswith(place)}
        module = _module(own)
        if module is not None:
            found.append((place.removesuffix(".") or "weight", module))
            taken |= {place + key for key in own}
    return found, [name for name in given if name not in taken]


def _module(own: dict[str, torch.Tensor]) -> nn.Module | None:
    weight, bias = own["weight"], own.get("bias")
    if not weight.is_floating_point() or not set(own) <= {"weight", "bias", "running_mean", "running_var"} | _COUNTED:
        return None
    with torch.device("meta"):
        if weight.ndim == 2:
            made = nn.Linear(*reversed(weight.shape), bias=bias is not None)
        elif weight.ndim in _CONVOLUTIONS:
            taps = tuple(weight.shape[2:])
            made = _CONVOLUTIONS[weight.ndim](weight.shape[1], len(weight), taps, padding="same", bias=bias is not None)
        elif weight.ndim == 1 and "running_mean" in own:
            made = _BatchNorm(len(weight))
        else:
            return None
    own.setdefault("num_batches_tracked", torch.tensor(0))
    made.load_state_dict({key: values.detach() for key, values in own.items()}, assign=True, strict=False)
    return made


def _chosen(layers: list[tuple[str, nn.Module]], sizes: tuple[int, ...]) -> list[tuple[str, nn.Module]]:
    """For each pair of sizes the first layer left that has them; flattened images have a multiple of their channels."""
    left = [each for each in layers if not isinstance(each[1], _BatchNorm)]
    chosen: list[tuple[str, nn.Module]] = []
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
                f"{have or 'none'}. Use these sizes."
            )
        chosen.append(each)
        left.remove(each)
    return chosen


def _chain(layers: list[tuple[str, nn.Module]], make: object) -> Iterator[nn.Module]:
    """The modules, with what must stand between them."""
    width, image, is_first = None, 2, True
    for name, module in layers:
        is_norm, axes = isinstance(module, _BatchNorm), module.weight.ndim
        need = module.weight.shape[0 if is_norm else 1]
        if not is_first and not is_norm:
            yield make()
        if image > 2 and axes == 2:
            yield _POOLS[image](_pixels(name, need, width, image - 2))
            yield nn.Flatten()
            width = need
        if width not in (None, need) or (axes > 2 and not is_first and image == 2):
            raise NbkitError(
                f"{_WHO}: each layer must take what the one before gives, got {name} with {need} inputs behind {width}. "
                "Give sizes, which choose and order the layers."
            )
        yield module
        is_first, width = False, len(module.weight)
        image = image if is_norm else axes


def _pixels(name: str, need: int, channels: int, n_axes: int) -> tuple[int, ...]:
    side = round((need / channels) ** (1 / n_axes))
    if channels * side**n_axes != need:
        raise NbkitError(
            f"{_WHO}: {name} must take a square image of each of {channels} channels, got {need} inputs. "
            "Build the module itself and load the state into it."
        )
    return (side,) * n_axes
