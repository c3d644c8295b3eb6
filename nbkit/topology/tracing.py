"""Any torch module as a list of steps: what is executed, in which order, and which step takes whose result (torch.fx)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import fx, nn

from nbkit.errors import NbkitError
from nbkit.topology.layer import Layer
from nbkit.topology.overwriting import Value
from nbkit.topology.steps import CONVOLUTIONS, Reader, Step

__all__ = ["RECURRENT", "Trace", "traced", "unwrapped"]

RECURRENT = nn.RNNBase, nn.RNNCellBase

_PARALLEL = nn.DataParallel, nn.parallel.DistributedDataParallel
_ONE_AT_A_TIME = threading.RLock()  # torch.fx patches nn.Module itself, and takes the patches off in its own order
_LEAVES = frozenset("MaxMin RadialActivation OrthogonalConv2d SkewConv2d".split())  # of nbkit.nets, whole as they are


@dataclass(frozen=True, eq=False)
class Trace:
    """What a module executes.

    Attributes:
        steps: the input first, the output last; steps that lead nowhere are left out.
        net: the same function, its weights shared, in which functional activations and maps are modules.
        read: names of the parameters and buffers that functions read.
        is_rewritten: whether something reads what an in-place operation has overwritten, of which only `steps` and `net`
            are right when no module works in place.
    """

    steps: tuple[Step, ...]
    net: nn.Module
    read: frozenset[str]
    is_rewritten: bool


def traced(module: nn.Module, *, who: str = "traced") -> Trace:
    """The steps of a module as it is executed.

    Leaves are the modules of torch.nn, and all with a `layer`; functional activations, hand-written forwards, weights
    that are computed (parametrizations), modules that are used twice, and in-place operations are followed.

    Args:
        module: of one tensor to one tensor.
        who: the public function that was called, for messages.

    Raises:
        NbkitError: no module, one that takes more than one tensor or returns other than one, one whose way depends on
            its data, or one that reads a view of what it has overwritten.
    """
    if not isinstance(module, nn.Module):
        raise NbkitError(f"{who}: module must be a torch module, got {type(module).__name__}. Wrap it in one.")
    held = _Held(unwrapped(module))
    try:
        with _ONE_AT_A_TIME:
            graph = _Tracer().trace(held)
        reader = Reader(held)
        last = reader.read(graph)
        net = _of_modules(held, graph, reader.stand_ins)
    except NbkitError as error:
        raise NbkitError(f"{who}: {error}, as {type(module).__name__} does. Write it without in-place calls.") from None
    except Exception as error:  # a hand-written forward may raise anything
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NbkitError(
            f"{who}: the way through {type(module).__name__} must not depend on its data, but torch.fx says: {line.rstrip('.')}. "
            "Write its forward without `if` on tensors, with one tensor in and one out."
        ) from None
    if last is None:
        raise NbkitError(
            f"{who}: {type(module).__name__} must return one tensor that depends on its input, got another result. "
            "Wrap it in a module that does."
        )
    read = frozenset(node.target.removeprefix("held.") for node in reader.values if node.op == "get_attr")
    return Trace(_leading_to(reader.steps, last), net, read, reader.is_rewritten)


def unwrapped(module: nn.Module) -> nn.Module:
    """The module inside what torch.compile or a parallel run wraps around it."""
    while hasattr(module, "_orig_mod") or isinstance(module, _PARALLEL):
        module = module._orig_mod if hasattr(module, "_orig_mod") else module.module
    return module


class _Held(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.held = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.held(x)


class _Tracer(fx.Tracer):
    """Follows what its own thread does; modules that others call meanwhile, such as a drawing explorer, just run."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return Value(node, self)

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        is_own = type(module).__name__ in _LEAVES or isinstance(getattr(module, "layer", None), Layer)
        is_inherited = any(type(module).forward is kind.forward for kind in (nn.Linear, *CONVOLUTIONS))
        return is_own or is_inherited or super().is_leaf_module(module, name)

    def call_module(self, module: nn.Module, forward: Callable, args: tuple, kwargs: dict) -> object:
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        if isinstance(module, nn.Sequential) and type(module).__module__.startswith("nbkit."):
            forward = partial(_in_order, module)  # whatever short cuts its own takes between layers
        return super().call_module(module, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: object, parameter_proxy_cache: dict) -> object:
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


def _in_order(chain: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    for module in chain:
        x = module(x)
    return x


def _of_modules(root: nn.Module, graph: fx.Graph, stand_ins: dict[fx.Node, nn.Module]) -> nn.Module:
    """The traced module, with modules where it calls functions."""
    for node, module in stand_ins.items():
        root.add_module(f"called_{node.name}", module)
        with graph.inserting_after(node):
            made = graph.call_module(f"called_{node.name}", (node.args[0],))
        node.replace_all_uses_with(made)
        graph.erase_node(node)
    return fx.GraphModule(root, graph)


def _leading_to(steps: list[Step], last: int) -> tuple[Step, ...]:
    """The steps that the last one needs, renumbered; the input stays first."""
    needed = {last, 0}
    for position in range(last, 0, -1):
        if position in needed:
            needed |= set(steps[position].inputs)
    order = {old: new for new, old in enumerate(sorted(needed))}
    return tuple(
        replace(step, inputs=tuple(order[i] for i in step.inputs)) for step in (steps[old] for old in sorted(needed))
    )
