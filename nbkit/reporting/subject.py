"""What is reported on: a copy of the module that can be measured, its layers, and the points that it is shown."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.utils import parametrize, prune

from nbkit.errors import NbkitError
from nbkit.reporting.examples import Framed, keeping_random_state, needs_frame, shown
from nbkit.topology.steps import Step, is_linear
from nbkit.topology.tracing import RECURRENT, traced, unwrapped

__all__ = ["Subject"]

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
        copied = _settled(module)
        with keeping_random_state(copied):
            return cls._of(module, copied, x)

    @classmethod
    def _of(cls, module: nn.Module, net: nn.Module, x: object) -> Subject:
        """The same, of a copy that is settled."""
        name, unclear, sizes = type(module).__name__, [], {}
        points, is_random = shown(net, x, is_half=any(each.dtype in _HALF for each in module.parameters()))
        if is_random:
            unclear.append((name, "it draws random numbers in eval mode too, one draw is measured"))
        steps, read, ways, is_overwritten = None, frozenset(), (net, net), False
        try:
            trace = traced(net)
            _watched(trace.net, points, sizes)
            steps, read, ways = trace.steps, trace.read, (trace.net if trace.is_rewritten else net, trace.net)
        except Exception as error:  # of the trace too, which may fail where the module does not
            _watched(net, points, sizes)
            is_overwritten = _reads_overwritten(net, points)
            unclear.append(("reach", (str(error) or type(error).__name__).removeprefix("traced: ").splitlines()[0]))
        layers = tuple(_layers(net, steps, read, unclear))
        if not layers:
            others = sorted({type(each).__name__ for each in module.modules() if not any(each.children())})
            raise NbkitError(
                f"{_WHO}: module must have linear layers or convolutions to be measured, got none, only "
                f"{', '.join(others) or 'nothing'}. Give a network with weights."
            )
        _in_place_off(net)
        whole, bare = (Framed(each) if needs_frame(each, points) else each for each in ways)
        n = sum(each.numel() for each in module.parameters())
        return cls(name, whole, n, points, steps, bare, layers, sizes, tuple(unclear), is_random, is_overwritten)


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
    """Whether the output changes where what modules overwrite in place becomes NaN instead; then none works in place."""
    versions: dict[nn.Module, int] = {}
    writing: set[nn.Module] = set()

    def before(module: nn.Module, args: tuple, options: dict) -> None:
        versions[module] = _first(args, options)._version

    def after(module: nn.Module, args: tuple, options: dict, out: object) -> None:
        if _first(args, options)._version > versions[module]:
            writing.add(module)

    def spoil(module: nn.Module, args: tuple, options: dict, out: torch.Tensor) -> torch.Tensor:
        kept = out.clone()  # dropout in eval mode gives what it takes
        _first(args, options).fill_(math.nan)
        return kept

    in_place = [each for each in net.modules() if getattr(each, "inplace", False)]
    handles = [each.register_forward_pre_hook(before, with_kwargs=True) for each in in_place]
    handles += [each.register_forward_hook(after, with_kwargs=True) for each in in_place]
    with keeping_random_state(net):  # both draw the same, if they draw
        expected = net(points.clone())
    _in_place_off(net)
    handles += [each.register_forward_hook(spoil, with_kwargs=True) for each in writing]
    with keeping_random_state(net):
        found = net(points.clone())
    for handle in handles:
        handle.remove()
    return not torch.allclose(found, expected, equal_nan=True)


def _first(args: tuple, options: dict) -> torch.Tensor:
    """The tensor that a module was called with."""
    return next((each for each in (*args, *options.values()) if isinstance(each, torch.Tensor)), torch.empty(0))


def _in_place_off(net: nn.Module) -> None:
    for each in net.modules():
        if hasattr(each, "inplace"):
            each.inplace = False


def _watched(net: nn.Module, points: torch.Tensor, sizes: dict[nn.Module, tuple[int, ...]]) -> object:
    def note(module: nn.Module, args: tuple) -> None:
        sizes[module] = tuple(args[0].shape[2:])

    handles = [each.register_forward_pre_hook(note) for each in net.modules() if is_linear(each)]
    try:
        return net(points.clone())
    finally:
        for handle in handles:
            handle.remove()
