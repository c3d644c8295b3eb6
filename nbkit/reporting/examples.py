"""The examples that a network is shown: as a batch that it takes, and with a row of its output for each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import nn

from nbkit.device import as_tensor
from nbkit.errors import NbkitError
from nbkit.topology.steps import is_linear, takes_images

__all__ = ["Framed", "keeping_random_state", "needs_frame", "shown"]

_WHO = "report"


def shown(net: nn.Module, x: object, *, is_half: bool) -> tuple[torch.Tensor, bool]:
    """The examples as a batch that the network takes, and whether it draws random numbers.

    Args:
        x: one example or a batch of them.
        is_half: whether the network was made single from half precision.

    Raises:
        NbkitError: the network does not take them, gives no tensor, or not one row, or one number, for each.
    """
    given, like = as_tensor(_WHO, "x", x), _like(net)
    if not given.numel() or not given.ndim or given.is_complex() or not given.isfinite().all():
        raise NbkitError(
            f"{_WHO}: x must be one example or a batch of finite real numbers, got {given.dtype}, shape "
            f"{tuple(given.shape)}{'' if given.isfinite().all() else ', NaN or infinite'}. Give x[:8] of your data."
        )
    kinds = [like.dtype] if given.is_floating_point() else [like.dtype, given.dtype]  # numbers of words stay integers
    reasons = []
    for points in (points for kind in kinds for points in _readings(net, given.to(like.device, kind, copy=True))):
        before = _random_state(like.device)
        try:
            out = net(points.clone())
            if _is_of_rows(net, points, out):
                return points, not torch.equal(before, _random_state(like.device))
        except Exception as error:  # the module's own code may raise anything
            reasons.append((str(error).strip() or type(error).__name__).splitlines()[0])
            continue
        if not isinstance(out, torch.Tensor):
            raise NbkitError(
                f"{_WHO}: module must return one tensor, got {type(out).__name__}. "
                f"Wrap it in a module whose forward returns {_tensor_of(out)}."
            )
        reasons.append(f"its output is a tensor of shape {tuple(out.shape)}, not one row an example")
    if is_half and any(name in reasons[0] for name in ("Half", "BFloat16")):
        raise NbkitError(
            f"{_WHO}: module must run in single precision, in which halves are measured, got a forward that makes "
            f"halves itself, of which torch says: {reasons[0]}. Take .half() and .to(dtype) out of it."
        )
    raise NbkitError(
        f"{_WHO}: x must be an example that the module takes, or a batch of them, got shape {tuple(given.shape)}, of "
        f"which it says: {reasons[0]}. Give an input as in training."
    )


def _tensor_of(out: object) -> str:
    """How the first tensor of a result is had, in words."""
    entries = out.items() if isinstance(out, Mapping) else enumerate(out if isinstance(out, (tuple, list)) else ())
    keys = [key for key, each in entries if isinstance(each, torch.Tensor)]
    return f"model(x)[{keys[0]!r}]" if keys else "one tensor"


def _random_state(device: torch.device) -> torch.Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _is_of_rows(net: nn.Module, points: torch.Tensor, out: object) -> bool:
    """Whether an output is one row, or one number, an example: of numbers twice as many examples give twice as many."""
    if not isinstance(out, torch.Tensor):
        return False
    if out.ndim > 1:
        return len(out) == len(points)
    return out.numel() == len(points) and net(torch.cat([points, points])).shape == (2 * len(points),)


def _readings(net: nn.Module, given: torch.Tensor) -> Iterator[torch.Tensor]:
    """As a batch and as one example, the likelier first."""
    first = next((each for each in net.modules() if is_linear(each)), None)
    is_image = first is not None and takes_images(first) and given.ndim == first.weight.ndim - 1
    if given.ndim > 1 and not is_image:
        yield given
    yield given[None]
    if is_image:
        yield given


def _like(net: nn.Module) -> torch.Tensor:
    return next((each for each in net.parameters() if each.is_floating_point()), torch.empty(0))


class Framed(nn.Module):
    """A network that is shown a copy of its input, and whose numbers, one an example, are rows."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.net(x.clone())
        return out if out.ndim > 1 else out.reshape(len(x), 1)


def needs_frame(net: nn.Module, points: torch.Tensor) -> bool:
    """Whether a network overwrites its input, or gives numbers in place of rows."""
    given = points[:1].clone()
    return net(given).ndim < 2 or given._version > 0


@contextlib.contextmanager
def keeping_random_state(net: nn.Module) -> Iterator[None]:
    """Whatever is drawn inside, torch's own random numbers go on behind as if it had not been."""
    device = _like(net).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
