"""What a traced module executes, node by node, as steps: which operation takes whose result."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

import torch
from torch import fx, nn

from nbkit.topology.layer import Layer
from nbkit.topology.operations import (
    CONCATENATING,
    JOINING,
    MAPS,
    MULTIPLYING,
    REDUCING,
    kind_of,
    plain_name,
    sizes_of,
    stand_in,
)
from nbkit.topology.overwriting import InPlace, is_asking

__all__ = ["CONVOLUTIONS", "TRANSPOSED", "Reader", "Step", "is_linear", "takes_images"]

TRANSPOSED = nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d
CONVOLUTIONS = nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED


@dataclass(frozen=True, eq=False)
class Step:
    """One operation of a module.

    Attributes:
        name: its place in the module, such as "features.0", or its function's name in the trace.
        what: the class or function.
        kind: "input", "linear" (a map with weights), "elementwise", "passing" (every channel to itself: pooling, batch
            normalisation, dropout), "reshaping", "pairs" (MaxMin), "joining" (two results, number by number: residual
            additions), "concatenation" (of channels), "mixing" (every channel to every one, without weights of its own:
            layer normalisation, softmax, radial activations) or "unsupported".
        inputs: positions of the steps that it takes; the module's own input is step 0.
        module: what is executed; for a function with weights an equivalent leaf, for any other function None.
        n_axes: how many a view or reshape gives, where that is known and the first is that of the examples.
    """

    name: str
    what: str
    kind: str
    inputs: tuple[int, ...]
    module: nn.Module | None = None
    n_axes: int | None = None


def is_linear(module: nn.Module) -> bool:
    """Whether a module is a linear map whose weights are its wires: Linear, a convolution, a sparse layer."""
    return isinstance(getattr(module, "layer", None), Layer) or isinstance(module, nn.Linear) or takes_images(module)


def takes_images(module: nn.Module) -> bool:
    """Whether a module is a convolution: its nodes are channels, in front of the axes of pixels."""
    return isinstance(module, CONVOLUTIONS) or type(module).__name__ in ("OrthogonalConv2d", "SkewConv2d")


class _Shape:
    """A size, or what is computed from sizes alone: it carries no value of the input."""


class Reader:
    """Turns the nodes of a trace into steps; what does not depend on the input is computed at once.

    Args:
        root: the module that was traced.

    Attributes:
        steps: of all nodes that depend on the input, in the order of execution.
        stand_ins: modules that do what some nodes' functions do.
        maps: of these, the linear ones, by what they are given.
        values: of a node, the position of its step, what is constant about it, or that it is a size.
        is_rewritten: whether something reads what an in-place operation has overwritten.
    """

    def __init__(self, root: nn.Module) -> None:
        self.root = root
        self.steps: list[Step] = []
        self.stand_ins: dict[fx.Node, nn.Module] = {}
        self.values: dict[fx.Node, object] = {}
        self.maps: dict[str, nn.Module | None] = {}
        self.is_rewritten = False

    def read(self, graph: fx.Graph) -> int | None:
        """The position of the output; None where it is not one tensor that depends on the input."""
        *nodes, output = graph.nodes
        memory = InPlace(graph)
        for node in nodes:
            self.values[node] = self._value(node)
            if isinstance(self.values[node], _Position):
                memory.follow(node, attrgetter(node.target)(self.root) if node.op == "call_module" else None)
        self.is_rewritten = memory.is_rewritten
        last = self.values.get(output.args[0]) if isinstance(output.args[0], fx.Node) else None
        return last.step if isinstance(last, _Position) else None

    def _value(self, node: fx.Node) -> object:
        if node.op == "placeholder":
            return self._add("input", "input", "input", ())
        if node.op == "get_attr":
            return attrgetter(node.target)(self.root)
        given = [self.values[each] for each in node.all_input_nodes]
        positions = tuple(each.step for each in given if isinstance(each, _Position))
        if not positions:
            return _Shape() if any(isinstance(each, _Shape) for each in given) else self._computed(node)
        if node.op == "call_module":
            return self._module(node.target, positions)
        return self._function(node, positions)

    def _add(
        self,
        name: str,
        what: str,
        kind: str,
        inputs: tuple[int, ...],
        module: nn.Module | None = None,
        n_axes: int | None = None,
    ) -> _Position:
        self.steps.append(Step(name, what, kind, inputs, module, n_axes))
        return _Position(len(self.steps) - 1)

    def _computed(self, node: fx.Node) -> object:
        args, kwargs = fx.node.map_arg((node.args, dict(node.kwargs)), lambda each: self.values[each])
        with torch.no_grad():
            if node.op == "call_module":
                return attrgetter(node.target)(self.root)(*args, **kwargs)
            if node.op == "call_method":
                return getattr(args[0], node.target)(*args[1:], **kwargs)
            return node.target(*args, **kwargs)

    def _module(self, path: str, positions: tuple[int, ...]) -> _Position:
        module = attrgetter(path)(self.root)
        name = path.removeprefix("held").removeprefix(".") or type(module).__name__
        what = type(module).__name__.removeprefix("Parametrized")
        if len(positions) > 1:
            kind = "unsupported"
        elif is_linear(module):
            kind = "linear"
        else:
            kind = "pairs" if what == "MaxMin" else kind_of(what)
        return self._add(name, what, kind, positions, module)

    def _function(self, node: fx.Node, positions: tuple[int, ...]) -> object:
        name = getattr(node.target, "__name__", str(node.target)).replace("ipow", "pow")  # h **= 2
        plain = plain_name(name)
        if plain in MULTIPLYING and node.args == 2 * node.args[:1]:
            name = plain = "square"
        if is_asking(node):
            return _Shape()
        if plain in CONCATENATING:
            dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", node.kwargs.get("axis", 0))
            parts = [self.values[each] for each in node.args[0]]
            has_images = any(takes_images(step.module) for step in self.steps)
            is_plain = dim == 1 or dim == -1 and not has_images
            is_plain = is_plain and all(isinstance(each, _Position) for each in parts)
            kind = "concatenation" if is_plain else "unsupported"
            return self._add(node.name, name, kind, tuple(each.step for each in parts) if is_plain else positions)
        if plain in JOINING and len(positions) > 1:
            return self._add(node.name, name, "joining", positions)
        kind = "elementwise" if plain in JOINING else kind_of(name)
        if len(positions) > 1:
            kind = "unsupported"
        elif plain in REDUCING and _is_over_pixels(node):
            kind = "passing"
        elif plain in MAPS:
            kind = "linear"
        made = None if kind == "unsupported" else self._stand_in(plain, node)
        if kind == "linear" and made is None:
            kind = "unsupported"
        if made is not None:
            self.stand_ins[node] = made
        weight = node.args[1] if kind == "linear" and len(node.args) > 1 else None
        own = weight.target if isinstance(weight, fx.Node) and weight.op == "get_attr" else node.name
        n_axes = self._n_axes(node) if plain in ("view", "reshape") else None
        return self._add(own.removeprefix("held."), name, kind, positions, made, n_axes)

    def _n_axes(self, node: fx.Node) -> int | None:
        sizes = sizes_of(node.args[1:])
        is_first_open = bool(sizes) and (sizes[0] == -1 or len(sizes) > 1 and isinstance(sizes[0], fx.Node))
        return len(sizes) if is_first_open else None

    def _is_position(self, given: object) -> bool:
        return isinstance(given, fx.Node) and isinstance(self.values[given], _Position)

    def _stand_in(self, plain: str, node: fx.Node) -> nn.Module | None:
        """A module that does what a function does to one tensor; None where it takes more than that and constants."""
        if any(isinstance(self.values[each], _Shape) for each in node.all_input_nodes) or not node.args:
            return None
        if plain in ("mul", "multiply") and len(node.args) == 2 and not self._is_position(node.args[0]):
            node.args = node.args[::-1]  # c * x is x * c
        first, *args = fx.node.map_arg(node.args, lambda each: self.values[each])
        kwargs = fx.node.map_arg(dict(node.kwargs), lambda each: self.values[each])
        rest = [each for each in node.args[1:] if isinstance(each, fx.Node)] + [*node.kwargs.values()]
        if not isinstance(first, _Position) or node.args[0] in rest or kind_of(plain) == "reshaping":
            return None
        call = getattr(torch.Tensor, node.target) if node.op == "call_method" else node.target
        if plain not in MAPS:
            return stand_in(plain, call, args, kwargs)
        given = fx.node.map_arg((node.args[1:], dict(node.kwargs)), _target)
        key = f"{plain} {given}"  # the same weights twice are one layer
        if key not in self.maps:
            self.maps[key] = stand_in(plain, call, args, kwargs)
        return self.maps[key]


def _target(node: fx.Node) -> object:
    return node.target if node.op == "get_attr" else node


def _is_over_pixels(node: fx.Node) -> bool:
    """Whether a mean or sum leaves every example and every channel on its own."""
    dims = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", ())
    dims = set(dims) if isinstance(dims, (tuple, list)) else {dims}
    return bool(dims) and (dims == {-1, -2} or all(isinstance(each, int) and each >= 2 for each in dims))


@dataclass(frozen=True)
class _Position:
    step: int
