"""Radial networks: activations that change the length of a vector and keep its direction, and their orthogonal symmetry."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from nbkit.device import as_tensor, check_memory, spawn_generators
from nbkit.errors import NbkitError, check_choice, check_integers, check_number, show
from nbkit.nets.chain import chain
from nbkit.topology import Topology
from nbkit.weights import Uniform, random_on_mask

__all__ = ["RADIAL_FUNCTIONS", "RadialActivation", "RadialNet", "n_radial_parameters"]

RADIAL_FUNCTIONS: Mapping[str, Callable[..., torch.Tensor]] = MappingProxyType(
    {
        "step_relu": lambda r: torch.where(r >= 1, r, 0.0),
        "squash": lambda r: r * r / (r * r + 1),
        "shifted_relu": lambda r, b: torch.relu(r - b),
        "sigmoid": torch.sigmoid,
        "shifted_sigmoid": lambda r, s: torch.sigmoid(r - s),
        "identity": lambda r: r,
    }
)
"""h(r) by name; the two shifted ones take their shift too."""

_SHIFTED = "shifted_relu", "shifted_sigmoid"
_PROBES = torch.cat([torch.zeros(1), torch.logspace(-6, 3, 500)]).double()[:, None]


class RadialActivation(nn.Module):
    """The radial rescaling v -> h(|v|) v / |v| of the last dimension, 0 at 0: all coordinates share one factor.

    It commutes with every orthogonal map. Value and gradient at v = 0 are 0, never NaN; a norm that underflows counts
    as 0. Where h(0) is not 0 (both sigmoids, a shifted ReLU of negative shift) the map jumps at 0, and Step-ReLU jumps
    on the unit sphere, which it keeps: there rounding decides.

    Args:
        h: "step_relu", "squash", "shifted_relu", "sigmoid", "shifted_sigmoid", "identity", or any function of a tensor
            of norms r >= 0 that gives a finite tensor of the same shape.
        shift: b of max(0, r - b) or s of 1 / (1 + exp(-r + s)), any finite number; default 1. The paper gives no s.

    Attributes:
        name: of h.
        h: the function itself, of a tensor of norms.

    Raises:
        NbkitError: an unknown name, a shift for a function that has none, an h that is not finite on [0, 1000].

    Source:
        Radial networks, section 3 and Example 1.

    Example:
        >>> RadialActivation("squash")(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.5769230723381042, 0.7692307829856873], [0.0, 0.0]]
    """

    def __init__(self, h: str | Callable[[torch.Tensor], torch.Tensor] = "squash", *, shift: float | None = None):
        super().__init__()
        if shift is not None and h not in _SHIFTED:
            raise NbkitError(
                f"RadialActivation: shift belongs to {' and '.join(_SHIFTED)}, got {show(shift)} for {show(h)}. Leave it out."
            )
        if callable(h):
            self.name, self.h = getattr(h, "__name__", type(h).__name__), h
            _check_h(h)
            return
        self.name = check_choice("RadialActivation", "h", h, RADIAL_FUNCTIONS)
        self.h = function = RADIAL_FUNCTIONS[h]
        self.shift = None
        if h in _SHIFTED:
            self.shift = check_number("RadialActivation", "shift", 1.0 if shift is None else shift)
            self.h = lambda r: function(r, self.shift)

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        """(..., n) -> the same shape."""
        if self.name == "identity":
            return v
        norm = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
        is_zero = norm == 0
        # The gradient of the branch that is not taken must be finite too: 0 times infinity would be NaN.
        norm = torch.linalg.vector_norm(torch.where(is_zero, torch.ones_like(v), v), dim=-1, keepdim=True)
        return torch.where(is_zero, torch.zeros_like(v), self.h(norm) / norm * v)

    def extra_repr(self) -> str:
        """The name of h and its shift, for print."""
        return self.name + (f", shift={self.shift:g}" if getattr(self, "shift", None) is not None else "")


class RadialNet(nn.Sequential):
    """A radial network x -> W_L h(... h(W_1 x + b_1) ...) + b_L: Linear, RadialActivation, Linear, ..., Linear.

    Born with weights and biases uniform in (-1/sqrt(n), 1/sqrt(n)), n = the in-degree of the node (n_in where all
    wires are there), as torch's own Linear; the paper does not say how it starts. In torch's default dtype.

    Args:
        widths: nodes of each layer, input first, at least two entries, each at least 1.
        activation: a name or function h for `RadialActivation`, or a RadialActivation; or a list, one a hidden layer.
        output: what follows the last matrix, as `activation`; default the identity, without which a target of norm
            above sup h cannot be reached.
        topology: the wires; weights elsewhere are 0 and stay 0 in training. Then widths may be None.
        seed: an int repeats, None is fresh, a Generator advances.

    Raises:
        NbkitError: widths below 1 or that are not those of the topology, a number of activations that does not fit,
            too many weights for the memory budget, and what `RadialActivation` refuses.

    Source:
        Radial networks, section 3.

    Example:
        >>> net = RadialNet((1, 8, 16, 8, 1), "squash")
        >>> net.widths, net.n_parameters
        ((1, 8, 16, 8, 1), 305)
    """

    def __init__(
        self,
        widths: Sequence[int] | None,
        activation: object = "squash",
        *,
        output: object = "identity",
        topology: Topology | None = None,
        seed: int | np.random.Generator | None = 0,
    ) -> None:
        sizes = _sizes(widths, topology)
        depth = len(sizes) - 1
        check_memory("RadialNet", 8 * n_radial_parameters(sizes), lower="the widths")
        masks = [np.ones((n_out, n_in)) for n_in, n_out in zip(sizes, sizes[1:], strict=False)]
        masks = masks if topology is None else list(topology)
        weights, biases = [], []
        for mask, generator in zip(masks, spawn_generators(seed, depth, who="RadialNet"), strict=True):
            weight = random_on_mask(mask, Uniform(1.0), seed=generator)
            in_degrees = (weight != 0).sum(dim=1).clamp(min=1)
            bias = Uniform(1.0).sample((len(weight),), seed=generator).double() / in_degrees.sqrt()
            weights, biases = [*weights, weight], [*biases, bias]
        super().__init__(*_modules("RadialNet", weights, biases, activation, output))
        self.to(torch.get_default_dtype())
        if topology is not None:
            for linear, mask in zip(self.linears, masks, strict=True):
                parametrize.register_parametrization(linear, "weight", _OnWires(mask.mask()))

    @classmethod
    def of(
        cls, weights: Sequence[object], biases: Sequence[object], activation: object, *, output: object = "identity"
    ) -> RadialNet:
        """The network of given matrices (n_out, n_in) and biases (n_out,) or None, copied, in float64.

        Raises:
            NbkitError: sizes that do not chain, NaN or infinite entries, a number of activations that does not fit.
        """
        net = cls.__new__(cls)
        nn.Sequential.__init__(net, *_modules("RadialNet.of", weights, biases, activation, output))
        return net

    @classmethod
    def from_modules(cls, net: nn.Module, *, who: str = "RadialNet.from_modules") -> RadialNet:
        """A copy of an nn.Sequential of Linear and RadialActivation modules, nested or not, with every bias written out.

        The identity stands between two Linear without an activation. Dtype and device stay; masks become plain zeros.

        Raises:
            NbkitError: any other module, with the reason; no Linear at all; an activation before the first;
                weights that are not finite, do not chain, or are of several dtypes or devices.
        """
        if not isinstance(net, nn.Sequential):
            raise NbkitError(
                f"{who}: net must be an nn.Sequential of Linear and RadialActivation, got {type(net).__name__}. "
                "Write it as nn.Sequential(nn.Linear(2, 8), RadialActivation('squash'), nn.Linear(8, 1))."
            )
        linears, activations = _read(who, net)
        weights = [linear.weight.detach() for linear in linears]
        biases = [weight.new_zeros(len(weight)) if linear.bias is None else linear.bias.detach()
                  for linear, weight in zip(linears, weights, strict=True)]  # fmt: skip
        kinds = {(tensor.dtype, str(tensor.device)) for tensor in weights + biases}
        if len(kinds) > 1:
            raise NbkitError(
                f"{who}: all weights must have one dtype and device, got {sorted(map(str, kinds))}. Use net.float()."
            )
        copied = cls.__new__(cls)
        nn.Sequential.__init__(copied, *_modules(who, weights, biases, activations[:-1], activations[-1]))
        return copied.to(weights[0])

    def __getitem__(self, index: int | slice) -> nn.Module:
        """A module, or a chain of some of them as an ordinary nn.Sequential."""
        return nn.Sequential(*list(self)[index]) if isinstance(index, slice) else super().__getitem__(index)

    @property
    def linears(self) -> list[nn.Linear]:
        """The affine maps, input first."""
        return [module for module in self if isinstance(module, nn.Linear)]

    @property
    def activations(self) -> list[RadialActivation]:
        """What follows each affine map, the identity behind the last one included where nothing stands there."""
        hidden = [module for module in self if isinstance(module, RadialActivation)]
        return hidden if len(hidden) == len(self.linears) else [*hidden, RadialActivation("identity")]

    @property
    def widths(self) -> tuple[int, ...]:
        """Nodes of each layer, input first."""
        linears = self.linears
        return linears[0].in_features, *(linear.out_features for linear in linears)

    @property
    def n_parameters(self) -> int:
        """Entries of all matrices and biases, zeros and all."""
        return n_radial_parameters(self.widths)

    def act(self, rotations: Sequence[object]) -> RadialNet:
        """The network in other axes of its hidden layers: W_i -> Q_i W_i Q_(i-1)^T, b_i -> Q_i b_i. It computes the same.

        Args:
            rotations: orthogonal Q_1 ... Q_(L-1), one (n_i, n_i) for each hidden layer.

        Raises:
            NbkitError: another number of them, other shapes, matrices that are not orthogonal.

        Source:
            Radial networks, section 5.1.
        """
        weights = [linear.weight.detach() for linear in self.linears]
        rotations = _rotations(rotations, self.widths[1:-1], weights[0])
        lefts = [*rotations, None]
        rights = [None, *rotations]
        turned, biases = [], []
        for linear, weight, left, right in zip(self.linears, weights, lefts, rights, strict=True):
            bias = linear.bias.detach()
            weight = weight if right is None else weight @ right.T
            turned.append(weight if left is None else left @ weight)
            biases.append(bias if left is None else left @ bias)
        return self.like(turned, biases)

    def like(self, weights: Sequence[torch.Tensor], biases: Sequence[torch.Tensor]) -> RadialNet:
        """A network of other matrices and biases, of any widths, with these activations, dtype and device."""
        *hidden, last = self.activations
        return RadialNet.of(weights, biases, hidden, output=last).to(self.linears[0].weight)

    def embedded(self, widths: Sequence[int]) -> RadialNet:
        """The same function in a wider network: matrices and biases stand top left, zeros fill the rest.

        Raises:
            NbkitError: another depth, other sizes of input or output, a layer that would be narrower.
        """
        widths = check_integers("RadialNet.embedded", "widths", widths, at_least=1)
        own = self.widths
        fits = len(widths) == len(own) and all(wide >= n for wide, n in zip(widths, own, strict=True))
        if not fits or (widths[0], widths[-1]) != (own[0], own[-1]):
            raise NbkitError(
                f"RadialNet.embedded: widths must be at least {own}, with the same input and output, got {widths}. "
                "Widen hidden layers only."
            )
        weights, biases = [], []
        for linear, n_in, n_out in zip(self.linears, widths, widths[1:], strict=False):
            weight = linear.weight.detach()
            padding = (0, n_in - weight.shape[1], 0, n_out - len(weight))
            weights.append(nn.functional.pad(weight, padding))
            biases.append(nn.functional.pad(linear.bias.detach(), (0, n_out - len(weight))))
        return self.like(weights, biases)


def n_radial_parameters(widths: Sequence[int]) -> int:
    """sum over layers of (n_in + 1) n_out."""
    return sum((n_in + 1) * n_out for n_in, n_out in zip(widths, widths[1:], strict=False))


class _OnWires(nn.Module):
    """Keeps a weight 0 wherever there is no wire."""

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * self.mask


def _check_h(h: Callable[[torch.Tensor], torch.Tensor]) -> None:
    values = h(_PROBES)
    is_tensor = isinstance(values, torch.Tensor) and values.shape == _PROBES.shape
    if not is_tensor or not values.isfinite().all():
        bad = "no such tensor" if not is_tensor else f"h({_PROBES[~values.isfinite()][0]:.3g}) that is not finite"
        raise NbkitError(
            f"RadialActivation: h must give a finite tensor of the shape of r on 0 <= r <= 1000, got {bad}. "
            "Write it with torch functions, as lambda r: r / (1 + r)."
        )


def _sizes(widths: Sequence[int] | None, topology: Topology | None) -> tuple[int, ...]:
    if topology is None:
        return check_integers("RadialNet", "widths", widths, at_least=1, minimum_length=2)
    if not isinstance(topology, Topology):
        raise NbkitError(
            f"RadialNet: topology must be a Topology or None, got {show(topology)}. Use radix_net(...) or Topology([...])."
        )
    if widths is not None and check_integers("RadialNet", "widths", widths, at_least=1) != topology.sizes:
        raise NbkitError(
            f"RadialNet: widths must be those of the topology, {topology.sizes}, got {show(widths)}. Leave them None."
        )
    return topology.sizes


def _modules(
    who: str, weights: Sequence[object], biases: Sequence[object], activation: object, output: object
) -> list[nn.Module]:
    """Linear, RadialActivation, ..., Linear and, unless it is the identity, the output's activation."""
    linears = list(chain(weights, "linear", biases=list(biases), output="linear"))[::2]
    hidden = list(activation) if isinstance(activation, (list, tuple)) else [activation] * (len(linears) - 1)
    if len(hidden) != len(linears) - 1:
        raise NbkitError(
            f"{who}: activation must be one for each of the {len(linears) - 1} hidden layers, got {len(hidden)}. "
            "Give a single one for all, and the last layer's as output=."
        )
    modules: list[nn.Module] = []
    for linear, each in zip(linears, [*hidden, output], strict=True):
        modules += [linear, copy.deepcopy(each) if isinstance(each, RadialActivation) else RadialActivation(each)]
    return modules if modules[-1].name != "identity" else modules[:-1]


def _read(who: str, net: nn.Sequential) -> tuple[list[nn.Linear], list[RadialActivation]]:
    """The affine maps of a chain and what follows each."""
    linears: list[nn.Linear] = []
    activations: list[RadialActivation | None] = []
    for module in _flat(net):
        if isinstance(module, nn.Linear):
            linears.append(module)
            activations.append(None)
        elif isinstance(module, RadialActivation) and activations and activations[-1] is None:
            activations[-1] = module
        elif not isinstance(module, nn.Identity):
            raise NbkitError(f"{who}: {_reason(module)}")
    if not linears:
        raise NbkitError(f"{who}: net must hold at least one Linear, got none. Add nn.Linear(n_in, n_out).")
    return linears, [each or RadialActivation("identity") for each in activations]


def _flat(net: nn.Sequential) -> list[nn.Module]:
    return [inner for module in net for inner in (_flat(module) if isinstance(module, nn.Sequential) else [module])]


def _reason(module: nn.Module) -> str:
    name = type(module).__name__
    if isinstance(module, RadialActivation):
        return "each RadialActivation must follow a Linear of its own, got one that does not. Leave it out."
    return (
        f"net must consist of Linear and RadialActivation, got {name}. A pointwise activation treats every coordinate "
        "by itself and does not commute with rotations of a layer; use RadialActivation('squash') in its place."
    )


def _rotations(given: Sequence[object], sizes: Sequence[int], like: torch.Tensor) -> list[torch.Tensor]:
    rotations = [as_tensor("RadialNet.act", f"rotation {i}", each).to(like) for i, each in enumerate(given, start=1)]
    shapes = [tuple(rotation.shape) for rotation in rotations]
    if shapes != [(n, n) for n in sizes]:
        raise NbkitError(
            f"RadialNet.act: rotations must be one (n, n) for each hidden layer of {tuple(sizes)}, got {shapes}. "
            "Give them in the order of the layers."
        )
    tolerance = 1e-9 if like.dtype == torch.float64 else 1e-3
    for i, rotation in enumerate(rotations, start=1):
        gap = (rotation.T @ rotation - torch.eye(len(rotation)).to(like)).abs().max().item()
        if not gap <= tolerance:
            raise NbkitError(
                f"RadialNet.act: rotation {i} must be orthogonal, got one with |Q^T Q - I| = {gap:.2g}. "
                "Take Q of torch.linalg.qr, or nbkit.weights.orthogonal of a dense mask."
            )
    return rotations
