"""ReLU networks with skip connections: linear bottlenecks between the layers, or every layer fully connected."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.functional import linear

from nbkit.device import as_tensor, check_memory, spawn_generators
from nbkit.errors import NbkitError, check_integer, check_integers, show
from nbkit.weights import Uniform

__all__ = ["FullSkipNet", "SkipLayer", "SkipNet", "full_counts", "neuron_counts"]


class SkipLayer(nn.Module):
    """x -> V relu(W x - b) + C x + c0: K neurons between d_in and d_out linear nodes, and a skip past them.

    Attributes:
        V: weights out of the neurons, (d_out, K).
        W: weights into the neurons, (K, d_in).
        b: biases, (K,), subtracted.
        C: the skip, (d_out, d_in).
        c0: (d_out,).

    Raises:
        NbkitError: shapes that do not fit each other, entries that are complex or not finite.
    """

    def __init__(self, V: object, W: object, b: object, C: object, c0: object) -> None:
        super().__init__()
        given = {"V": V, "W": W, "b": b, "C": C, "c0": c0}
        tensors = {name: as_tensor("SkipLayer", name, values) for name, values in given.items()}
        dtype = functools.reduce(torch.promote_types, (tensor.dtype for tensor in tensors.values()))
        dtype = dtype if dtype.is_floating_point or dtype.is_complex else torch.float64
        for name, tensor in tensors.items():
            setattr(self, name, nn.Parameter(_finite(name, tensor.to(dtype))))
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if len(shapes["V"]) != 2 or len(shapes["W"]) != 2:
            raise _misfit(shapes)
        (n_out, n_neurons), n_in = shapes["V"], shapes["W"][1]
        wanted = {
            "V": (n_out, n_neurons),
            "W": (n_neurons, n_in),
            "b": (n_neurons,),
            "C": (n_out, n_in),
            "c0": (n_out,),
        }
        if shapes != wanted or not min(n_out, n_neurons, n_in):
            raise _misfit(shapes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., d_in) -> (..., d_out)."""
        return linear(torch.relu(linear(x, self.W, -self.b)), self.V, self.c0) + linear(x, self.C)


class SkipNet(nn.Module):
    """The network of the representer theorem: L layers `SkipLayer`, d_l linear nodes behind each.

    All parameters are born uniform in [-1, 1], as in the paper's experiments.

    Args:
        widths: (d_0, ..., d_L), the linear nodes: inputs, bottlenecks, outputs.
        n_neurons: K, one number for all layers or one for each. The theorem needs no more than N d_l for N samples.
        seed: an int repeats, None is fresh, a Generator advances.

    Raises:
        NbkitError: widths or numbers of neurons below 1, or too many weights for the memory budget.

    Source:
        Parhi, Wolf & Nowak 2021, Theorem 1 and Figure 1.

    Example:
        >>> net = SkipNet((4, 16, 1), 1296)
        >>> sum(parameter.numel() for parameter in net.parameters())
        50641
    """

    def __init__(
        self, widths: Sequence[int], n_neurons: int | Sequence[int], *, seed: int | np.random.Generator | None = 0
    ) -> None:
        super().__init__()
        widths, counts = neuron_counts("SkipNet", widths, n_neurons)
        self.layers = nn.ModuleList()
        generators = spawn_generators(seed, len(counts), who="SkipNet")
        for n_in, n_out, k, generator in zip(widths, widths[1:], counts, generators, strict=False):
            shapes = ((n_out, k), (k, n_in), (k,), (n_out, n_in), (n_out,))
            self.layers.append(SkipLayer(*(_born(shape, generator) for shape in shapes)))

    @classmethod
    def of(cls, layers: Sequence[SkipLayer]) -> SkipNet:
        """The network of these layers, which keep their tensors.

        Raises:
            NbkitError: no layer, or layers whose widths do not chain.
        """
        net = cls.__new__(cls)
        nn.Module.__init__(net)
        made = list(layers) if isinstance(layers, Iterable) else []
        if not made or not all(isinstance(layer, SkipLayer) for layer in made):
            raise NbkitError(
                f"SkipNet.of: layers must be SkipLayers, at least one, got {show(layers)}. "
                "Write [SkipLayer(V, W, b, C, c0)]."
            )
        net.layers = nn.ModuleList(made)
        ends = [(layer.W.shape[1], layer.V.shape[0]) for layer in made]
        if any(here[1] != there[0] for here, there in zip(ends, ends[1:], strict=False)):
            raise NbkitError(
                f"SkipNet.of: layers must chain, got widths in and out {ends}. "
                "Give each layer as many inputs as the one before has outputs."
            )
        return net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, d_0) -> (n, d_L)."""
        for layer in self.layers:
            x = layer(x)
        return x

    @property
    def widths(self) -> tuple[int, ...]:
        """Linear nodes, inputs first."""
        return self.layers[0].W.shape[1], *(layer.V.shape[0] for layer in self.layers)

    @property
    def n_neurons(self) -> tuple[int, ...]:
        """ReLU neurons of each layer."""
        return tuple(layer.V.shape[1] for layer in self.layers)

    @property
    def matrices(self) -> dict[str, torch.Tensor]:
        """V1, W1, V2, W2, ...: the weight matrices whose entries Figure 2 counts, detached."""
        named = {}
        for place, layer in enumerate(self.layers, start=1):
            named |= {f"V{place}": layer.V.detach(), f"W{place}": layer.W.detach()}
        return named

    @property
    def between(self) -> tuple[torch.Tensor, ...]:
        """A^(l+1) = W^(l+1) V^(l), (K, K), from the neurons of one layer to those of the next, of rank at most d_l."""
        pairs = zip(self.layers, self.layers[1:], strict=False)
        return tuple((there.W @ here.V).detach() for here, there in pairs)


class FullSkipNet(nn.Module):
    """The fully connected baseline: A^(l) is a free matrix, and the inputs skip to every layer.

    h_1 = relu(W x - b_1), h_l = relu(A_l h_(l-1) + S_l x - b_l), output V h_L + C x + c0. The paper does not say how the
    skips are wired; these are the usual ones. All parameters are born uniform in [-1, 1].

    Args:
        n_in, n_out: d_0 and d_L.
        n_neurons: (K_1, ..., K_L), at least one.
        seed: an int repeats, None is fresh, a Generator advances.

    Raises:
        NbkitError: sizes below 1, or too many weights for the memory budget.

    Source:
        Parhi, Wolf & Nowak 2021, section 3 and footnote 1.
    """

    def __init__(
        self, n_in: int, n_neurons: Sequence[int], n_out: int, *, seed: int | np.random.Generator | None = 0
    ) -> None:
        super().__init__()
        n_in, counts, n_out = full_counts("FullSkipNet", n_in, n_neurons, n_out)
        *hidden, last = spawn_generators(seed, len(counts) + 1, who="FullSkipNet")
        made = [(_born((k, n_in), draw), _born((k,), draw)) for k, draw in zip(counts, hidden, strict=True)]
        pairs = zip(counts, counts[1:], hidden[1:], strict=False)
        A = [_born((there, here), draw) for here, there, draw in pairs]
        ends = [_born(shape, last) for shape in ((n_out, counts[-1]), (n_out, n_in), (n_out,))]
        self._keep([skip for skip, _ in made], [bias for _, bias in made], A, *ends)

    @classmethod
    def of(cls, skips: Sequence, biases: Sequence, A: Sequence, V, C, c0) -> FullSkipNet:
        """The network of these tensors, which it keeps: (K_l, d_0) and (K_l,) for each layer, (K_l, K_(l-1)) between."""
        net = cls.__new__(cls)
        nn.Module.__init__(net)
        net._keep(skips, biases, A, V, C, c0)
        return net

    def _keep(self, skips, biases, A, V, C, c0) -> None:
        self.skips, self.biases, self.A = nn.ParameterList(skips), nn.ParameterList(biases), nn.ParameterList(A)
        self.V, self.C, self.c0 = nn.Parameter(V), nn.Parameter(C), nn.Parameter(c0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, d_0) -> (n, d_L)."""
        h = torch.relu(linear(x, self.skips[0], -self.biases[0]))
        for between, skip, bias in zip(self.A, self.skips[1:], self.biases[1:], strict=True):
            h = torch.relu(linear(h, between) + linear(x, skip, -bias))
        return linear(h, self.V, self.c0) + linear(x, self.C)

    @property
    def between(self) -> tuple[torch.Tensor, ...]:
        """The free matrices A^(2), ..., A^(L), detached."""
        return tuple(matrix.detach() for matrix in self.A)


def neuron_counts(
    who: str, widths: Sequence[int], n_neurons: int | Sequence[int], *, n_nets: int = 1
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Checked (d_0, ..., d_L) and (K_1, ..., K_L) of `n_nets` networks that fit into memory.

    Raises:
        NbkitError: as `SkipNet`.
    """
    widths = check_integers(who, "widths", widths, at_least=1, minimum_length=2)
    depth = len(widths) - 1
    if isinstance(n_neurons, (int, np.integer)) and not isinstance(n_neurons, bool):
        n_neurons = (n_neurons,) * depth
    counts = check_integers(who, "n_neurons", n_neurons, at_least=1)
    if len(counts) != depth:
        raise NbkitError(
            f"{who}: n_neurons must be one number, or one for each of the {depth} layers, got {show(counts)}. Use 64."
        )
    n_weights = sum(k * (here + there + 1) for k, here, there in zip(counts, widths, widths[1:], strict=False))
    check_memory(who, 8 * n_nets * n_weights, lower="widths or n_neurons")
    return widths, counts


def full_counts(
    who: str, n_in: int, n_neurons: Sequence[int], n_out: int, *, n_nets: int = 1
) -> tuple[int, tuple[int, ...], int]:
    """Checked d_0, (K_1, ..., K_L) and d_L of `n_nets` fully connected networks that fit into memory.

    Raises:
        NbkitError: as `FullSkipNet`.
    """
    n_in = check_integer(who, "n_in", n_in, at_least=1)
    n_out = check_integer(who, "n_out", n_out, at_least=1)
    counts = check_integers(who, "n_neurons", n_neurons, at_least=1)
    between = sum(here * there for here, there in zip(counts, counts[1:], strict=False))
    check_memory(who, 8 * n_nets * (between + sum(counts) * (n_in + 1)), lower="n_neurons")
    return n_in, counts, n_out


def _born(shape: tuple[int, ...], generator: np.random.Generator) -> torch.Tensor:
    return Uniform(1.0).sample(shape, seed=generator).to(torch.get_default_dtype())


def _finite(name: str, tensor: torch.Tensor) -> torch.Tensor:
    if tensor.is_complex():
        raise NbkitError("SkipLayer: the weights must be real, got complex ones. Take their real parts.")
    if not torch.isfinite(tensor).all():
        raise NbkitError(f"SkipLayer: {name} must be finite, got NaN or infinite entries. Lower the learning rate.")
    return tensor


def _misfit(shapes: dict[str, tuple[int, ...]]) -> NbkitError:
    return NbkitError(
        f"SkipLayer: V (d_out, K), W (K, d_in), b (K,), C (d_out, d_in) and c0 (d_out,) must fit together, got the shapes "
        f"{shapes}. Weights into the neurons are W's rows, weights out of them V's columns."
    )
