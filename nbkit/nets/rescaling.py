"""Radial rescaling: activations that change the length of a vector and keep its direction, and chains that hold them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import torch
from torch import nn

from nbkit.errors import NbkitError, check_choice, check_number, show
from nbkit.nets.chain import chain

__all__ = ["RADIAL_FUNCTIONS", "SHIFTED_FUNCTIONS", "RadialActivation", "radial_modules", "read_radial"]

RADIAL_FUNCTIONS: Mapping[str, Callable[..., torch.Tensor]] = MappingProxyType(
    {
        "step_relu": lambda r: torch.where(r >= 1, r, 0.0),
        # r * r / (r * r + 1), which overflows from 256 on in float16 and from 1e19 on in float32
        "squash": lambda r: (r / torch.hypot(r, torch.ones_like(r))).square(),
        "shifted_relu": lambda r, shift: torch.relu(r - shift),
        "sigmoid": torch.sigmoid,
        "shifted_sigmoid": lambda r, shift: torch.sigmoid(r - shift),
        "identity": lambda r: r,
    }
)
"""h(r) by name; the two shifted ones take their shift too."""

SHIFTED_FUNCTIONS = "shifted_relu", "shifted_sigmoid"
"""Those of them that take a shift."""

_PROBES = torch.cat([torch.zeros(1), torch.logspace(-6, 3, 500)]).double()[:, None]


class RadialActivation(nn.Module):
    """The radial rescaling v -> h(|v|) v / |v| of the last dimension, 0 at 0: all coordinates share one factor.

    It commutes with every orthogonal map. Value and gradient at v = 0 are 0, never NaN. Where h(0) is not 0 (both
    sigmoids, a shifted ReLU of negative shift) the map jumps at 0, and Step-ReLU jumps on the unit sphere, which it
    keeps: there rounding decides. Norms are right where their squares neither underflow nor overflow; one below the
    smallest normal number of the dtype counts as 0.

    Args:
        h: "step_relu", "squash", "shifted_relu", "sigmoid", "shifted_sigmoid", "identity", or any function of a tensor
            of norms r >= 0 that gives a finite tensor of the same shape.
        shift: b of max(0, r - b) or s of 1 / (1 + exp(-r + s)), any finite number; default 1. The paper gives no s.

    Attributes:
        name: of h.
        h: the function itself, of a tensor of norms.

    Raises:
        NbkitError: an unknown name, a shift for a function that has none, an h that is not finite on [0, 1000], fails
            there or writes into r.

    Source:
        Radial networks, section 3 and Example 1.

    Example:
        >>> RadialActivation("squash")(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.5769, 0.7692],
                [0.0000, 0.0000]])
    """

    def __init__(self, h: str | Callable[[torch.Tensor], torch.Tensor] = "squash", *, shift: float | None = None):
        super().__init__()
        if shift is not None and not (isinstance(h, str) and h in SHIFTED_FUNCTIONS):
            raise NbkitError(
                f"RadialActivation: shift belongs to {' and '.join(SHIFTED_FUNCTIONS)}, got {show(shift)} for {show(h)}. Leave it out."
            )
        self.shift = None
        if callable(h):
            self.name, self.h = getattr(h, "__name__", type(h).__name__), h
            _check_h(h)
            return
        self.name = check_choice("RadialActivation", "h", h, RADIAL_FUNCTIONS)
        self.h = RADIAL_FUNCTIONS[h]
        if h in SHIFTED_FUNCTIONS:
            self.shift = check_number("RadialActivation", "shift", 1.0 if shift is None else shift)
            self.h = partial(self.h, shift=self.shift)

    @property
    def is_identity(self) -> bool:
        """Whether it is the one by the name "identity", which gives back what it gets."""
        return self.h is RADIAL_FUNCTIONS["identity"]

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        """(..., n) -> the same shape."""
        if self.is_identity:
            return v
        is_zero = torch.linalg.vector_norm(v.detach(), dim=-1, keepdim=True) < torch.finfo(v.dtype).tiny
        # Rows of zeros become ones before the norm: what is masked must have a finite gradient, or 0 times it is NaN.
        norm = torch.linalg.vector_norm(v + is_zero, dim=-1, keepdim=True)
        return (self.h(norm) / norm).masked_fill(is_zero, 0) * v

    def extra_repr(self) -> str:
        """The name of h and its shift, for print."""
        return self.name if self.shift is None else f"{self.name}, shift={self.shift:g}"


def _check_h(h: Callable[[torch.Tensor], torch.Tensor]) -> None:
    own = next(h.parameters(), _PROBES) if isinstance(h, nn.Module) else _PROBES
    probes = _PROBES.to(own, copy=True)
    bad = None
    try:
        values = h(probes)
        if not isinstance(values, torch.Tensor) or values.shape != probes.shape or values.is_complex():
            bad = "no such tensor"
        elif not values.isfinite().all():
            bad = f"h({_PROBES[~values.isfinite().cpu()][0]:.3g}) that is not finite"
        elif not torch.equal(probes, _PROBES.to(own)):
            bad = "one that writes into r"
    except Exception as error:  # whatever a function of the reader's does is an answer
        bad = f"{type(error).__name__}: {error}"
    if bad is not None:
        raise NbkitError(
            f"RadialActivation: h must give a finite tensor of the shape of r on 0 <= r <= 1000, got {bad}. "
            "Write it with torch functions, as lambda r: r / (1 + r)."
        )


def radial_modules(
    who: str, weights: Sequence[object], biases: Sequence[object], activation: object, output: object
) -> list[nn.Module]:
    """Linear, RadialActivation, ..., Linear and, unless it is the identity, the output's activation."""
    try:
        linears = list(chain(weights, "linear", biases=biases, output="linear"))[::2]
    except NbkitError as error:
        raise NbkitError(str(error).replace("chain:", f"{who}:", 1)) from None
    for linear in linears:
        if linear.bias is None:
            linear.bias = nn.Parameter(linear.weight.new_zeros(linear.out_features))
    hidden = list(activation) if isinstance(activation, (list, tuple)) else [activation] * (len(linears) - 1)
    if len(hidden) != len(linears) - 1:
        raise NbkitError(
            f"{who}: activation must be one for each of the {len(linears) - 1} hidden layers, got {len(hidden)}. "
            "Give a single one for all, and the last layer's as output=."
        )
    modules: list[nn.Module] = []
    for linear, each in zip(linears, [*hidden, output], strict=True):
        modules += [linear, copy.deepcopy(each) if isinstance(each, RadialActivation) else RadialActivation(each)]
    return modules[:-1] if modules[-1].is_identity else modules


def read_radial(who: str, net: nn.Module) -> tuple[list[nn.Linear], list[RadialActivation]]:
    """The affine maps of a chain, nested or not, and what follows each; the identity where nothing does."""
    if not _is(net, nn.Sequential):
        raise NbkitError(
            f"{who}: net must be an nn.Sequential of Linear and RadialActivation, got {type(net).__name__}. "
            "Write it as nn.Sequential(nn.Linear(2, 8), RadialActivation('squash'), nn.Linear(8, 1))."
        )
    linears: list[nn.Linear] = []
    activations: list[RadialActivation | None] = []
    for module in _flat(net):
        if module._forward_hooks or module._forward_pre_hooks:
            raise NbkitError(
                f"{who}: net must compute from its weights alone, got a {type(module).__name__} with forward hooks. "
                "Remove them: torch.nn.utils.prune.remove(module, 'weight'), or handle.remove()."
            )
        if _is(module, nn.Linear):
            linears.append(module)
            activations.append(None)
        elif _is(module, RadialActivation) and activations and activations[-1] is None:
            activations[-1] = module
        elif not _is(module, nn.Identity):
            raise NbkitError(f"{who}: {_reason(module)}")
    if not linears:
        raise NbkitError(f"{who}: net must hold at least one Linear, got none. Add nn.Linear(n_in, n_out).")
    return linears, [each or RadialActivation("identity") for each in activations]


def _is(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether it is of that kind and computes as it: a child with a forward of its own does something else."""
    return isinstance(module, kind) and type(module).forward is kind.forward


def _flat(net: nn.Sequential) -> list[nn.Module]:
    return [inner for module in net for inner in (_flat(module) if _is(module, nn.Sequential) else [module])]


def _reason(module: nn.Module) -> str:
    if _is(module, RadialActivation):
        return "each RadialActivation must follow a Linear of its own, got one that does not. Leave it out."
    return (
        f"net must consist of Linear and RadialActivation, got {type(module).__name__}. A pointwise activation treats "
        "every coordinate by itself and does not commute with rotations of a layer, nor does most else; use "
        "RadialActivation('squash') in its place."
    )
