"""What the modules and functions of torch do to nodes, told by their names, and modules that stand in for functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

__all__ = [
    "ASKING",
    "CONCATENATING",
    "JOINING",
    "KEEPING_ZERO",
    "MAPS",
    "MULTIPLYING",
    "REDUCING",
    "Called",
    "kind_of",
    "plain_name",
    "sizes_of",
    "stand_in",
]

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
_RESHAPING = frozenset("unflatten unsqueeze".split())
_FLATTENING = frozenset("flatten view reshape squeeze".split())
_SHUFFLING = frozenset("pixelshuffle pixelunshuffle".split())
JOINING = frozenset("add sub subtract mul multiply truediv div divide maximum minimum".split())
MULTIPLYING = frozenset("mul multiply".split())
CONCATENATING = frozenset("cat concat concatenate".split())
_MIXING = frozenset(
    """softmax softmin logsoftmax softmax2d layernorm groupnorm rmsnorm normalize localresponsenorm crossmaplrn2d
    radialactivation""".split()
)
KEEPING_ZERO = frozenset(  # elementwise and passing ones that make 0 of 0, in eval mode
    """relu relu6 leakyrelu elu selu celu silu gelu mish hardswish softsign softshrink hardshrink tanhshrink tanh prelu
    rrelu identity dropout dropout1d dropout2d dropout3d flatten view reshape maxpool1d maxpool2d maxpool3d
    adaptiveavgpool1d adaptiveavgpool2d adaptiveavgpool3d adaptivemaxpool1d adaptivemaxpool2d
    adaptivemaxpool3d""".split()
)
_CLASSES = {
    name.lower(): getattr(nn, name) for name in (*nn.modules.activation.__all__, "MaxPool1d", "MaxPool2d", "MaxPool3d")
}
REDUCING = frozenset("mean sum amax".split())
MAPS = frozenset("linear conv1d conv2d conv3d matmul".split())
ASKING = frozenset("size dim ndimension numel getattr".split())  # for shapes, which carry no values


def plain_name(name: str) -> str:
    """relu_ -> relu, LeakyReLU and leaky_relu -> leakyrelu, __add__ and iadd -> add."""
    plain = name.replace("_", "").lower()
    return plain[1:] if plain[:1] == "i" and plain[1:] in JOINING else plain


def kind_of(name: str) -> str:
    """What a module or function of that name does: a kind of `nbkit.topology.steps.Step`."""
    plain = plain_name(name)
    tables = {
        "elementwise": _ELEMENTWISE,
        "passing": _PASSING,
        "flattening": _FLATTENING,  # reshaping whose options are looked at
        "shuffling": _SHUFFLING,
        "reshaping": _RESHAPING,
        "mixing": _MIXING,
    }
    return next((kind for kind, names in tables.items() if plain in names), "unsupported")


def sizes_of(args: Sequence) -> tuple:
    """The sizes that a view or reshape is given: one by one, or as a tuple."""
    return tuple(args[0]) if args and isinstance(args[0], (tuple, list)) else tuple(args)


def stand_in(name: str, call: Callable, args: list, kwargs: dict) -> nn.Module | None:
    """A module that does what a function does to its first argument; None for a map without weights.

    Args:
        name: plain, of the function.
        call: the function or method itself.
        args, kwargs: the other arguments, constants all.
    """
    if name in MAPS:
        return _map(name, args, kwargs)
    if name == "flatten":
        return nn.Flatten(*args, **kwargs) if "start_dim" in kwargs or args else nn.Flatten(0, **kwargs)
    if name in ("view", "reshape"):  # one example, or many
        return Called(call, args, kwargs) if sizes_of(args) and sizes_of(args)[0] == -1 else None
    if name in _SHUFFLING:
        return (nn.PixelShuffle if name == "pixelshuffle" else nn.PixelUnshuffle)(*args, **kwargs)
    if name in _CLASSES and not any(isinstance(each, torch.Tensor) for each in (*args, *kwargs.values())):
        try:
            made = _CLASSES[name](*args, **{key: value for key, value in kwargs.items() if key != "_stacklevel"})
        except TypeError:  # the function takes what the module does not
            return Called(call, args, kwargs)
        made.inplace = False
        return made.eval()
    return Called(call, args, kwargs)


class Called(nn.Module):
    """A function or method of one tensor, as a module."""

    def __init__(self, call: Callable, args: list, kwargs: dict) -> None:
        super().__init__()
        self.call, self.args, self.kwargs = call, args, kwargs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.call(x, *self.args, **self.kwargs)


def _map(plain: str, args: list, kwargs: dict) -> nn.Module | None:
    """The module that does linear(x, W, b), conv2d(x, K, b, ...) or x @ W."""
    options = ("weight", "bias", "stride", "padding", "dilation", "groups")
    given = dict(zip(options, args, strict=False)) | kwargs
    weight, bias = given.pop("weight", given.pop("other", None)), given.pop("bias", None)
    if not isinstance(weight, torch.Tensor) or weight.ndim < 2:
        return None
    with torch.device("meta"):
        if plain in ("linear", "matmul"):
            weight = weight.T if plain == "matmul" else weight
            made = nn.Linear(*reversed(weight.shape), bias=False)
        else:
            kind = {"conv1d": nn.Conv1d, "conv2d": nn.Conv2d, "conv3d": nn.Conv3d}[plain]
            n_in = weight.shape[1] * given.get("groups", 1)
            made = kind(n_in, len(weight), tuple(weight.shape[2:]), bias=False, **given)
    made.weight = nn.Parameter(weight.detach(), requires_grad=False)
    made.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
    return made
