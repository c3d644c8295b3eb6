"""What a report holds: plain numbers, tensors on the CPU, and the wires of each layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nbkit.topology import Layer

__all__ = ["GrowthReport", "LayerReport", "ReachReport", "Removable", "Spectrum", "UnitReport"]


@dataclass(frozen=True, eq=False)
class LayerReport:
    """One layer of weights. Nodes are features, or channels where it is a convolution.

    Attributes:
        name: its place in the module.
        kind: its class, such as "Conv2d".
        n_in, n_out: nodes.
        n_weights: stored weights, without biases.
        n_kept: weights above the threshold; a kernel has several for one wire.
        n_edges: wires.
        density: kept fraction of the n_in * n_out wires, in [0, 1].
        n_dead_in: nodes that feed nothing.
        n_dead_out: nodes that nothing feeds.
        n_components: connected components of its wires; a node without a wire is one of its own.
        wires: the wires themselves.
    """

    name: str
    kind: str
    n_in: int
    n_out: int
    n_weights: int
    n_kept: int
    n_edges: int
    density: float
    n_dead_in: int
    n_dead_out: int
    n_components: int
    wires: Layer


@dataclass(frozen=True)
class UnitReport:
    """The units behind one layer of weights.

    Attributes:
        name: of the layer.
        n_units: nodes behind it.
        n_unreached: of them those that no input reaches: they are constant.
        n_unheard: those that reach no output.
        n_dead: those of which either is true.
    """

    name: str
    n_units: int
    n_unreached: int
    n_unheard: int
    n_dead: int


@dataclass(frozen=True, eq=False)
class ReachReport:
    """Who can hear whom.

    Attributes:
        matrix: bool (n_in, n_out), which input (or channel) reaches which output; None where it exceeds the memory.
        fraction: float64, joined pairs of inputs and units behind each layer of weights, in [0, 1]; None likewise.
        units: the units behind each layer of weights, in the order of execution.
        n_dead_inputs: inputs that reach no output.
        n_components: connected components of the whole graph.
        left_out: classes or functions, each once, that join all features without wires of their own; none of these numbers
            knows of them.
    """

    matrix: torch.Tensor | None
    fraction: torch.Tensor | None
    units: tuple[UnitReport, ...]
    n_dead_inputs: int
    n_components: int
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The singular values of one layer.

    Attributes:
        name: of the layer.
        singular_values: float64, descending; of a convolution those of the map from image to image.
        condition: largest over smallest, inf where the smallest is 0.
        numerical_rank: values above 1e-3 of the largest.
        stable_rank: sum of squares over the largest square.
        note: what was assumed, or "" where nothing was, as of convolutions of few pixels.
    """

    name: str
    singular_values: torch.Tensor
    condition: float
    numerical_rank: int
    stable_rank: float
    note: str


@dataclass(frozen=True, eq=False)
class GrowthReport:
    """How long a straight line becomes.

    Attributes:
        names: where lengths are taken: "input", behind each nonlinear layer, and the output.
        lengths: float64 (n + 1,), input first.
        factor: float64 (n,), mean over the pieces of the line of |dz'| / |dz|; NaN where all pieces are dead.
        method: "exact" (every breakpoint is found), "tangent" (at n_pieces points of the line) or "chords" (from below).
        n_pieces: pieces.
        ends: between which points the line runs, in words.
    """

    names: tuple[str, ...]
    lengths: torch.Tensor
    factor: torch.Tensor
    method: str
    n_pieces: int
    ends: str


@dataclass(frozen=True)
class Removable:
    """What could be taken away.

    Attributes:
        what: in words.
        n_before, n_after: parameters of the whole network now and then.
        lossless: whether the function stays the same, to rounding.
        how: what does it.
    """

    what: str
    n_before: int
    n_after: int
    lossless: bool
    how: str
