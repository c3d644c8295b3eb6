"""Radial networks: chains of affine maps and radial rescalings, and their orthogonal symmetry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from nbkit.device import as_tensor, check_memory, spawn_generators
from nbkit.errors import NbkitError, check_integers, show
from nbkit.nets.rescaling import RadialActivation, radial_modules, read_radial
from nbkit.topology import Topology
from nbkit.weights import Uniform, random_on_mask

__all__ = ["RadialNet", "n_radial_parameters"]


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
        dense = (np.ones((n_out, n_in)) for n_in, n_out in zip(sizes, sizes[1:], strict=False))
        masks = list(dense if topology is None else topology)
        weights, biases = [], []
        for mask, generator in zip(masks, spawn_generators(seed, depth, who="RadialNet"), strict=True):
            weight = random_on_mask(mask, Uniform(1.0), seed=generator)
            in_degrees = (weight != 0).sum(dim=1).clamp(min=1)
            bias = Uniform(1.0).sample((len(weight),), seed=generator).double() / in_degrees.sqrt()
            weights, biases = [*weights, weight], [*biases, bias]
        super().__init__(*radial_modules("RadialNet", weights, biases, activation, output))
        self.to(torch.get_default_dtype())
        if topology is not None:
            for linear, mask in zip(self.linears, masks, strict=True):
                linear.register_buffer("wires", mask.mask())
                linear.__class__ = _OnWires

    @classmethod
    def of(
        cls, weights: Sequence[object], biases: Sequence[object], activation: object, *, output: object = "identity"
    ) -> RadialNet:
        """The network of given matrices (n_out, n_in) and biases (n_out,) or None for zeros, copied, in float64.

        Raises:
            NbkitError: sizes that do not chain, NaN or infinite entries, a number of activations that does not fit.
        """
        net = cls.__new__(cls)
        nn.Sequential.__init__(net, *radial_modules("RadialNet.of", weights, biases, activation, output))
        return net

    @classmethod
    def from_modules(cls, net: nn.Module, *, who: str = "RadialNet.from_modules") -> RadialNet:
        """A copy of an nn.Sequential of Linear and RadialActivation modules, nested or not, with every bias written out.

        The identity stands between two Linear without an activation. Dtype and device stay; masks become plain zeros.

        Raises:
            NbkitError: any other module, with the reason; no Linear at all; an activation before the first;
                weights that are not finite, do not chain, or are of several dtypes or devices.
        """
        linears, activations = read_radial(who, net)
        weights, biases = [linear.weight for linear in linears], [linear.bias for linear in linears]
        kinds = {(tensor.dtype, str(tensor.device)) for tensor in weights + biases if tensor is not None}
        if len(kinds) > 1:
            raise NbkitError(
                f"{who}: all weights must have one dtype and device, got {sorted(map(str, kinds))}. Use net.float()."
            )
        copied = cls.__new__(cls)
        nn.Sequential.__init__(copied, *radial_modules(who, weights, biases, activations[:-1], activations[-1]))
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
        own = RadialNet.from_modules(self, who="RadialNet.act")
        rotations = _rotations(rotations, own.widths[1:-1], own.linears[0].weight.detach())
        weights, biases = [], []
        for linear, left, right in zip(own.linears, [*rotations, None], [None, *rotations], strict=True):
            weight, bias = linear.weight.detach(), linear.bias.detach()
            weight = weight if right is None else weight @ right.T
            weights.append(weight if left is None else left @ weight)
            biases.append(bias if left is None else left @ bias)
        return self.like(weights, biases)

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
        linears = RadialNet.from_modules(self, who="RadialNet.embedded").linears
        for linear, n_in, n_out in zip(linears, widths, widths[1:], strict=False):
            weight = linear.weight.detach()
            padding = (0, n_in - weight.shape[1], 0, n_out - len(weight))
            weights.append(nn.functional.pad(weight, padding))
            biases.append(nn.functional.pad(linear.bias.detach(), (0, n_out - len(weight))))
        return self.like(weights, biases)


def n_radial_parameters(widths: Sequence[int]) -> int:
    """sum over layers of (n_in + 1) n_out.

    Raises:
        NbkitError: fewer than two widths, or one below 1.
    """
    widths = check_integers("n_radial_parameters", "widths", widths, at_least=1, minimum_length=2)
    return sum((n_in + 1) * n_out for n_in, n_out in zip(widths, widths[1:], strict=False))


class _OnWires(nn.Linear):
    """A Linear whose weight reads 0 wherever there is no wire, whatever is written there.

    Not torch's parametrize, which adds a module that measures of growth would take for a layer.
    """

    @property
    def weight(self) -> torch.Tensor:
        return self._parameters["weight"] * self.wires


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


def _rotations(given: Sequence[object], sizes: Sequence[int], like: torch.Tensor) -> list[torch.Tensor]:
    if not isinstance(given, (list, tuple)):
        raise NbkitError(
            f"RadialNet.act: rotations must be a list of matrices, got {show(given)}. Write it as [Q1, Q2]."
        )
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
