"""Any torch module as a list of steps: what is executed, in which order, and which step takes whose result (torch.fx)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import fx, nn

from nbkit.errors import NbkitError
from nbkit.topology.layer import Layer

__all__ = ["CONVOLUTIONS", "RECURRENT", "TRANSPOSED", "Step", "is_linear", "traced"]

TRANSPOSED = nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d
CONVOLUTIONS = nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED
RECURRENT = nn.RNNBase, nn.RNNCellBase

# Names of modules and of functions alike, small letters only: ReLU, relu, F.relu and x.relu_() are "relu".
_ELEMENTWISE = frozenset(
    """relu relu6 leakyrelu elu selu celu silu gelu mish sigmoid logsigmoid hardsigmoid hardswish hardtanh softplus
    softsign softshrink hardshrink tanhshrink threshold tanh prelu rrelu abs absolute square pow exp exp2 expm1 log log1p
    sqrt rsqrt reciprocal neg negative clamp clampmin clampmax clip sin cos erf sign""".split()
)
_PASSING = frozenset(
    """identity dropout dropout1d dropout2d dropout3d alphadropout featurealphadropout batchnorm batchnorm1d batchnorm2d
    batchnorm3d syncbatchnorm instancenorm instancenorm1d instancenorm2d instancenorm3d maxpool1d maxpool2d maxpool3d
    avgpool1d avgpool2d avgpool3d lppool1d lppool2d lppool3d adaptiveavgpool1d adaptiveavgpool2d adaptiveavgpool3d
    adaptivemaxpool1d adaptivemaxpool2d adaptivemaxpool3d upsample upsamplingnearest2d upsamplingbilinear2d interpolate
    pad zeropad1d zeropad2d zeropad3d constantpad1d constantpad2d reflectionpad1d reflectionpad2d replicationpad1d
    replicationpad2d circularpad1d circularpad2d contiguous clone detach float double half bfloat16 to type typeas""".split()
)
_RESHAPING = frozenset("flatten unflatten view reshape squeeze unsqueeze pixelshuffle pixelunshuffle".split())
_JOINING = frozenset("add sub subtract mul multiply truediv div divide maximum minimum".split())
_CONCATENATING = frozenset("cat concat concatenate".split())
_MIXING = frozenset(
    """softmax softmin logsoftmax softmax2d layernorm groupnorm rmsnorm normalize localresponsenorm crossmaplrn2d
    radialactivation""".split()
)
_ASKING = frozenset("size dim ndimension numel getattr".split())  # for shapes, which carry no values
_LEAVES = frozenset("MaxMin RadialActivation OrthogonalConv2d SkewConv2d".split())  # of nbkit.nets, whole as they are


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
    """

    name: str
    what: str
    kind: str
    inputs: tuple[int, ...]
    module: nn.Module | None = None


def is_linear(module: nn.Module) -> bool:
    """Whether a module is a linear map whose weights are its wires: Linear, a convolution, a sparse layer."""
    return (
        isinstance(getattr(module, "layer", None), Layer)
        or isinstance(module, (nn.Linear, *CONVOLUTIONS))
        or type(module).__name__ in ("OrthogonalConv2d", "SkewConv2d")
    )


def traced(module: nn.Module) -> tuple[Step, ...]:
    """The steps of a module as it is executed, its input first, its output last; steps that lead nowhere are left out.

    Leaves are the modules of torch.nn, and all with a `layer`; functional activations, hand-written forwards, weights
    that are computed (parametrizations), and modules that are used twice are followed.

    Raises:
        NbkitError: no module, one that takes more than one tensor or returns other than one, or one whose way depends
            on its data.
    """
    if not isinstance(module, nn.Module):
        raise NbkitError(f"traced: module must be a torch module, got {type(module).__name__}. Wrap it in one.")
    try:
        graph = _Tracer().trace(_Held(module))
    except Exception as error:  # a hand-written forward may raise anything
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NbkitError(
            f"traced: module must be one whose way does not depend on its data, got {type(module).__name__}, of which "
            f"torch.fx says: {line} Write it without `if` on tensors, with one tensor in and one out."
        ) from None
    steps, last = _Reader(module).read(graph)
    return _leading_to(steps, last)


class _Held(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.held = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.held(x)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        is_own = type(module).__name__ in _LEAVES or isinstance(getattr(module, "layer", None), Layer)
        is_inherited = any(type(module).forward is kind.forward for kind in (nn.Linear, *CONVOLUTIONS))
        return is_own or is_inherited or super().is_leaf_module(module, name)

    def call_module(self, module: nn.Module, forward: Callable, args: tuple, kwargs: dict) -> object:
        if isinstance(module, nn.Sequential) and type(module).__module__.startswith("nbkit."):
            forward = _In_order(module)  # whatever short cuts its forward takes between layers
        return super().call_module(module, forward, args, kwargs)


class _In_order:
    def __init__(self, chain: nn.Sequential) -> None:
        self.chain = chain

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        for module in self.chain:
            x = module(x)
        return x


class _Shape:
    """A size, or what is computed from sizes alone: it carries no value of the input."""


class _Reader:
    """Turns the nodes of a trace into steps; what does not depend on the input is computed at once."""

    def __init__(self, module: nn.Module) -> None:
        self.root = _Held(module)
        self.steps: list[Step] = []
        self.values: dict[fx.Node, object] = {}  # position of a step as _Position, a constant, or a _Shape

    def read(self, graph: fx.Graph) -> tuple[list[Step], int]:
        for node in graph.nodes:
            if node.op == "output":
                last = self.values.get(node.args[0]) if isinstance(node.args[0], fx.Node) else None
                if not isinstance(last, _Position):
                    raise NbkitError(
                        "traced: module must return one tensor, got several or none. Wrap it in one that does."
                    )
                return self.steps, last.step
            self.values[node] = self._value(node)
        raise AssertionError("a trace without an output")

    def _value(self, node: fx.Node) -> object:
        if node.op == "placeholder":
            return self._add("input", "input", "input", ())
        if node.op == "get_attr":
            return _attribute(self.root, node.target)
        given = [self.values[each] for each in node.all_input_nodes]
        positions = tuple(each.step for each in given if isinstance(each, _Position))
        if not positions:
            return _Shape() if any(isinstance(each, _Shape) for each in given) else self._computed(node)
        if node.op == "call_module":
            return self._module(node.target, positions)
        return self._function(node, positions)

    def _add(
        self, name: str, what: str, kind: str, inputs: tuple[int, ...], module: nn.Module | None = None
    ) -> _Position:
        self.steps.append(Step(name, what, kind, inputs, module))
        return _Position(len(self.steps) - 1)

    def _computed(self, node: fx.Node) -> object:
        args, kwargs = fx.node.map_arg((node.args, dict(node.kwargs)), lambda each: self.values[each])
        with torch.no_grad():
            if node.op == "call_module":
                return _attribute(self.root, node.target)(*args, **kwargs)
            if node.op == "call_method":
                return getattr(args[0], node.target)(*args[1:], **kwargs)
            return node.target(*args, **kwargs)

    def _module(self, path: str, positions: tuple[int, ...]) -> _Position:
        module = _attribute(self.root, path)
        name = path.removeprefix("held").removeprefix(".") or type(module).__name__
        what = type(module).__name__.removeprefix("Parametrized")
        if len(positions) > 1:
            kind = "unsupported"
        elif is_linear(module):
            kind = "linear"
        else:
            kind = "pairs" if what == "MaxMin" else _kind(what)
        return self._add(name, what, kind, positions, module)

    def _function(self, node: fx.Node, positions: tuple[int, ...]) -> object:
        name = getattr(node.target, "__name__", str(node.target))
        plain = _plain(name)
        if plain in _ASKING and (plain != "getattr" or node.args[1] in ("shape", "ndim", "dtype", "device")):
            return _Shape()
        kind, stand_in = _kind(name), None
        if plain in _JOINING:
            kind = "joining" if len(positions) > 1 else "elementwise"
        elif plain in _CONCATENATING:
            dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", node.kwargs.get("axis", 0))
            kind = "concatenation" if dim in (1, -1) else "unsupported"
            positions = tuple(
                self.values[each].step for each in node.args[0] if isinstance(self.values[each], _Position)
            )
        elif len(positions) > 1:
            kind = "unsupported"
        elif plain in ("mean", "sum", "amax"):
            dims = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", ())
            dims = dims if isinstance(dims, (tuple, list)) else (dims,)
            kind = (
                "passing" if dims and all(isinstance(d, int) and (d >= 2 or d == -1) for d in dims) else "unsupported"
            )
            kind = "passing" if set(dims) == {-1, -2} else kind
        elif plain in ("linear", "conv1d", "conv2d", "conv3d", "matmul"):
            stand_in = self._stand_in(plain, node)
            kind = "unsupported" if stand_in is None else "linear"
        return self._add(node.name, name, kind, positions, stand_in)

    def _stand_in(self, plain: str, node: fx.Node) -> nn.Module | None:
        """A module that does what linear(x, W, b), conv2d(x, K, b, ...) or x @ W does."""
        options = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
        given = dict(zip(options, node.args, strict=False)) | dict(node.kwargs)
        given = {key: self.values[value] if isinstance(value, fx.Node) else value for key, value in given.items()}
        weight, bias = given.get("weight", given.get("other")), given.get("bias")
        if not isinstance(weight, torch.Tensor) or weight.ndim < 2 or not isinstance(given["input"], _Position):
            return None
        with torch.device("meta"):
            if plain in ("linear", "matmul"):
                weight = weight.T if plain == "matmul" else weight
                made = nn.Linear(*reversed(weight.shape), bias=bias is not None)
            else:
                groups = given.get("groups", 1)
                kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[weight.ndim - 2]
                rest = {key: given[key] for key in ("stride", "padding", "dilation") if key in given}
                made = kind(weight.shape[1] * groups, len(weight), tuple(weight.shape[2:]), groups=groups, **rest)
        made.weight = nn.Parameter(weight.detach(), requires_grad=False)
        made.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
        return made


@dataclass(frozen=True)
class _Position:
    step: int


def _attribute(root: nn.Module, path: str) -> object:
    for name in path.split("."):
        root = getattr(root, name)
    return root


def _plain(name: str) -> str:
    """relu_ -> relu, LeakyReLU and leaky_relu -> leakyrelu, __add__ and iadd -> add."""
    plain = name.replace("_", "").lower()
    return plain[1:] if plain[:1] == "i" and plain[1:] in _JOINING else plain


def _kind(name: str) -> str:
    plain = _plain(name)
    tables = {"elementwise": _ELEMENTWISE, "passing": _PASSING, "reshaping": _RESHAPING, "mixing": _MIXING}
    return next((kind for kind, names in tables.items() if plain in names), "unsupported")


def _leading_to(steps: list[Step], last: int) -> tuple[Step, ...]:
    """The steps that the last one needs, renumbered; the input stays first."""
    needed = {last, 0}
    for position in range(last, 0, -1):
        if position in needed:
            needed |= set(steps[position].inputs)
    order = {old: new for new, old in enumerate(sorted(needed))}
    return tuple(
        Step(s.name, s.what, s.kind, tuple(order[i] for i in s.inputs), s.module)
        for s in (steps[old] for old in sorted(needed))
    )
