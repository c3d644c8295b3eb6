"""What is reported on: a copy of the module that can be measured, its layers, and the points that it is shown."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.utils import parametrize, prune

from nbkit.device import as_tensor
from nbkit.errors import NbkitError
from nbkit.topology.tracing import RECURRENT, Step, is_linear, takes_images, traced, unwrapped

__all__ = ["Subject", "keeping_random_state"]

_WHO = "report"
_HALF = torch.float16, torch.bfloat16


@dataclass(frozen=True, eq=False)
class Subject:
    """A module ready to be measured.

    Attributes:
        name: of its class.
        net: a copy in eval mode, without gradients, masks and parametrizations written into the weights, half precision
            made single; no module of it works in place, and one number an example is a row.
        n_parameters: of the module as it was given.
        points: the examples as a batch, on the device and in the precision of the copy.
        steps: what is executed, or None where that cannot be followed.
        bare: the copy with modules for its functional activations and maps where it can be followed, else the copy.
        layers: (name, module) of every layer of weights, each once, as they are executed.
        sizes: spatial sizes of the images that each convolution takes, for these examples.
        unclear: (name, why) of what is not covered.
        is_random: whether it draws random numbers even in eval mode.
        is_overwritten: whether its way is not known and something reads what a module has overwritten in place: `net`
            is then another function.
    """

    name: str
    net: nn.Module
    n_parameters: int
    points: torch.Tensor
    steps: tuple[Step, ...] | None
    bare: nn.Module
    layers: tuple[tuple[str, nn.Module], ...]
    sizes: dict[nn.Module, tuple[int, ...]]
    unclear: tuple[tuple[str, str], ...] = field(default=())
    is_random: bool = False
    is_overwritten: bool = False

    @classmethod
    @torch.inference_mode(False)
    @torch.no_grad()
    def of(cls, module: nn.Module, x: object) -> Subject:
        """The subject of a report.

        Raises:
            NbkitError: no module, nothing to measure, recurrent modules, weights that are not there or not finite,
                examples that the module does not take.
        """
        module = unwrapped(module)
        _check_module(module)
        copied = net = _settled(module)
        with keeping_random_state(net):
            points, is_random = _points(net, x, is_half=any(each.dtype in _HALF for each in module.parameters()))
            unclear: list[tuple[str, str]] = []
            sizes: dict[nn.Module, tuple[int, ...]] = {}
            try:
                trace = traced(net)
                _watched(trace.net, points, sizes)
                steps, bare, read = trace.steps, trace.net, trace.read
                net, is_overwritten = bare if trace.is_rewritten else net, False
            except Exception as error:  # of the trace, which may fail where the module does not
                steps, bare, read = None, net, frozenset()
                is_overwritten = _reads_overwritten(net, points)
                unclear.append(("reach", str(error).removeprefix("traced: ").strip().partition("\n")[0]))
                _watched(net, points, sizes)
            layers = _layers(copied, steps, read, unclear)
            if not layers:
                others = sorted({type(each).__name__ for each in module.modules() if not any(each.children())})
                raise NbkitError(
                    f"{_WHO}: module must have linear layers or convolutions to be measured, got none, only "
                    f"{', '.join(others) or 'nothing'}. Give a network with weights."
                )
            for each in copied.modules():
                if hasattr(each, "inplace"):
                    each.inplace = False
            net, bare = (_Framed(each) if _needs_frame(each, points) else each for each in (net, bare))
        if is_random:
            unclear.append((type(module).__name__, "it draws random numbers in eval mode too, one draw is measured"))
        n_parameters, name = sum(each.numel() for each in module.parameters()), type(module).__name__
        return cls(
            name,
            net,
            n_parameters,
            points,
            steps,
            bare,
            tuple(layers),
            sizes,
            tuple(unclear),
            is_random,
            is_overwritten,
        )


@contextlib.contextmanager
def keeping_random_state(net: nn.Module) -> Iterator[None]:
    """Whatever is drawn inside, torch's own random numbers go on behind as if it had not been."""
    device = _like(net).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def _check_module(module: object) -> None:
    if not isinstance(module, nn.Module):
        raise NbkitError(f"{_WHO}: module must be a torch module, got {type(module).__name__}. Wrap it in one.")
    recurrent = [
        f"{type(each).__name__} {name}".strip() for name, each in module.named_modules() if isinstance(each, RECURRENT)
    ]
    if recurrent:
        raise NbkitError(
            f"{_WHO}: module must run from its input to its output once, got the recurrent {recurrent[0]}. "
            "Report on the layers before and behind it."
        )
    for name, values in [*module.named_parameters(), *module.named_buffers()]:
        if isinstance(values, nn.parameter.UninitializedTensorMixin) or values.is_meta:
            raise NbkitError(f"{_WHO}: the weights must be there, got none yet in {name}. Run the network once.")
        if values.layout != torch.strided or values.is_nested or values.is_quantized:
            kind = str(values.layout if values.layout != torch.strided else values.dtype).removeprefix("torch.")
            kind = "nested" if values.is_nested else kind
            raise NbkitError(
                f"{_WHO}: the weights must be plain tensors, got {name} of kind {kind}. Use its to_dense()."
            )
        if _must_be_finite(name, values) and not values.isfinite().all():
            raise NbkitError(f"{_WHO}: the weights must be finite, got NaN or infinite ones in {name}. Train it anew.")


def _must_be_finite(name: str, values: torch.Tensor) -> bool:
    """Whether a tensor is a weight or a running statistic; masks of attention hold -inf."""
    return isinstance(values, nn.Parameter) or name.rpartition(".")[2].startswith("running_")


def _settled(module: nn.Module) -> nn.Module:
    """A copy to measure; the module itself stays as it is."""
    made = {  # by hooks, from other parameters: torch copies no such tensor
        id(value): value.detach().clone()
        for each in module.modules()
        for value in vars(each).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }
    try:
        net = copy.deepcopy(module, made).eval().requires_grad_(False)
    except (TypeError, RuntimeError) as error:
        raise NbkitError(
            f"{_WHO}: module must be one that copy.deepcopy copies, got {type(module).__name__}: {error}. "
            "Take out what it cannot."
        ) from None
    for each in net.modules():
        _bake(each)
        for name, values in list(each.named_buffers(recurse=False)):
            if not values.isfinite().all():  # which measures take for broken weights
                del each._buffers[name]
                setattr(each, name, values)
    is_half = any(each.dtype in _HALF for each in net.parameters())
    return net.float() if is_half else net


def _bake(module: nn.Module) -> None:
    """Masks and parametrizations become plain weights."""
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, prune.BasePruningMethod):
            prune.remove(module, hook._tensor_name)
    if parametrize.is_parametrized(module):
        shared = type(module)  # one class, made for the module itself, of which the copy's weights are taken off
        module.__class__ = type(shared.__name__, shared.__bases__, dict(vars(shared)))
        for name in list(module.parametrizations):
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    module.requires_grad_(False)


def _layers(
    net: nn.Module, steps: tuple[Step, ...] | None, read: frozenset[str], unclear: list[tuple[str, str]]
) -> list[tuple[str, nn.Module]]:
    """Every layer of weights once; those that are not executed are named and left out."""
    for name, each in net.named_modules():
        is_torchs = type(each).__module__.startswith("torch.nn") and not is_linear(each)
        if is_torchs and any(values.ndim > 1 for values in each.parameters(recurse=False)):
            unclear.append((name or type(each).__name__, f"the weights of {type(each).__name__} are in no layer"))
    named = {name or type(each).__name__: each for name, each in net.named_modules() if is_linear(each)}
    if steps is None:
        return list(named.items())
    found = {id(step.module): (step.name, step.module) for step in steps if step.kind == "linear"}
    hidden = [step.name for step in steps if step.kind == "unsupported" and step.module is not None]
    for name, each in named.items():
        if id(each) in found or any(place.rpartition(".")[0] == name for place in read):
            continue  # its weights are those of a function that is a step
        if any(f"{name}.".startswith(f"{outer}.") for outer in hidden):
            found[id(each)] = name, each
        else:
            unclear.append((name, "it is not executed on the way from input to output"))
    return list(found.values())


def _reads_overwritten(net: nn.Module, points: torch.Tensor) -> bool:
    """Whether the output changes where what modules overwrite in place becomes NaN instead."""

    def spoil(module: nn.Module, args: tuple, out: torch.Tensor) -> torch.Tensor:
        kept = out.clone()  # dropout in eval mode gives what it takes
        args[0].fill_(math.nan)
        return kept

    in_place = [each for each in net.modules() if getattr(each, "inplace", False)]
    torch.manual_seed(0)
    expected, handles = net(points.clone()), []
    for each in in_place:
        each.inplace = False
        handles.append(each.register_forward_hook(spoil))
    try:
        torch.manual_seed(0)
        return not torch.allclose(net(points.clone()), expected, equal_nan=True)
    finally:
        for handle in handles:
            handle.remove()


class _Framed(nn.Module):
    """A network that is shown a copy of its input, and whose numbers, one an example, are rows."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.net(x.clone())
        return out if out.ndim > 1 else out.reshape(len(x), 1)


def _needs_frame(net: nn.Module, points: torch.Tensor) -> bool:
    given = points.clone()
    return net(given).ndim < 2 or given._version > 0


def _like(net: nn.Module) -> torch.Tensor:
    return next((each for each in net.parameters() if each.is_floating_point()), torch.empty(0))


def _points(net: nn.Module, x: object, *, is_half: bool) -> tuple[torch.Tensor, bool]:
    """The examples as a batch that the network takes, and whether it draws random numbers."""
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
            reasons.append(str(error).strip().splitlines()[0] if str(error) else type(error).__name__)
            continue
        got = f"a tensor of shape {tuple(out.shape)}" if isinstance(out, torch.Tensor) else type(out).__name__
        reasons.append(f"its output is {got}, not one row an example")
    if is_half and any(name in reasons[0] for name in ("Half", "BFloat16")):
        raise NbkitError(
            f"{_WHO}: module must run in single precision, in which halves are measured, got a forward that makes "
            f"halves itself, of which torch says: {reasons[0]}. Take .half() and .to(dtype) out of it."
        )
    raise NbkitError(
        f"{_WHO}: x must be an example that the module takes, or a batch of them, got shape {tuple(given.shape)}, of "
        f"which it says: {reasons[0]}. Give an input as in training."
    )


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


def _watched(net: nn.Module, points: torch.Tensor, sizes: dict[nn.Module, tuple[int, ...]]) -> object:
    def note(module: nn.Module, args: tuple) -> None:
        sizes[module] = tuple(args[0].shape[2:])

    handles = [each.register_forward_pre_hook(note) for each in net.modules() if is_linear(each)]
    try:
        return net(points.clone())
    finally:
        for handle in handles:
            handle.remove()
