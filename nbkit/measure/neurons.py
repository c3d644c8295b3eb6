"""The neurons of a network with skips: how much each contributes, which stand, which compute the same, which are dead."""

from __future__ import annotations

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage

from nbkit.device import check_memory
from nbkit.errors import NbkitError, check_number, show
from nbkit.measure.density import entries_above
from nbkit.measure.reach import reachability
from nbkit.nets import FullSkipNet, SkipLayer, SkipNet
from nbkit.nets.penalties import neuron_sides
from nbkit.topology import EdgeLayer, Layer, Topology

__all__ = ["active_neurons", "dead_neurons", "neuron_groups", "neuron_norms", "thresholded"]

_ROUNDING = 1e-6  # of the direction of float32 weights, with room


def neuron_norms(layer: SkipLayer, *, norm: int = 2) -> torch.Tensor:
    """|v_k| |w_k|_2 of each neuron v_k relu(w_k x - b_k): its RBV^2 norm, the same however the neuron is rescaled.

    Args:
        layer: a layer of a SkipNet.
        norm: of v_k, 1 (as (2) has it where the neurons are balanced) or 2.

    Returns:
        float64 (K,), at least 0.

    Raises:
        NbkitError: no SkipLayer, another norm, or weights that are not finite.

    Source:
        Parhi, Wolf & Nowak 2021, section 2.
    """
    return _norms("neuron_norms", layer, norm)


def active_neurons(layer: SkipLayer, threshold: float = 1e-3) -> torch.Tensor:
    """Which neurons have |v_k|_2 |w_k|_2 > threshold, bool (K,).

    Raises:
        NbkitError: no SkipLayer, a threshold that is not positive, or weights that are not finite.
    """
    who = "active_neurons"
    return _norms(who, layer) > check_number(who, "threshold", threshold, above=0.0)


def neuron_groups(layer: SkipLayer, *, threshold: float = 1e-3, cosine: float = 0.999) -> torch.Tensor:
    """Which active neurons compute the same up to a positive factor: the number of each one's group.

    Any two members of a group have (w, b) whose cosine is at least `cosine`; neurons with equal (w, b) up to a
    positive factor share one group. Groups grow by complete linkage, the closest pairs first.

    Args:
        layer: a layer of a SkipNet.
        threshold: for `active_neurons`, > 0.
        cosine: in (0, 1].

    Returns:
        int64 (K,): -1 where not active, else 0, 1, ... by decreasing sum of the members' |v_k|_2 |w_k|_2.

    Raises:
        NbkitError: no SkipLayer, a threshold or cosine outside its interval, weights that are not finite, or more
            active neurons than the memory budget has pairs for.

    Source:
        Parhi, Wolf & Nowak 2021, section 3: under weight decay "the same pattern is learned multiple times".
    """
    who = "neuron_groups"
    cosine = check_number(who, "cosine", cosine, above=0.0, at_most=1.0)
    norms = _norms(who, layer)
    active = norms > check_number(who, "threshold", threshold, above=0.0)
    groups = torch.full(active.shape, -1, device=active.device)
    groups[active] = _heaviest_first(_same_direction(who, layer, active, cosine), norms[active])
    return groups


def thresholded(
    net: SkipNet | FullSkipNet, threshold: float = 1e-3, *, between: bool = False, skips: bool = False
) -> Topology:
    """The wires whose weights stand above the threshold, |weight| > threshold, as a topology.

    d_0 -> K -> d_1 -> K -> d_2 through W1, V1, W2, V2; for a FullSkipNet d_0 -> K -> K -> d_2.

    Args:
        net: its matrices are copied.
        threshold: > 0.
        between: only A^(2), A^(3), ..., from neurons to neurons: K -> K.
        skips: with the skips: a further node for each linear node (each input of a FullSkipNet) stands behind the K
            neurons of a layer and hands its value on. Not together with `between`.

    Raises:
        NbkitError: no such network, a threshold that is not positive, weights that are not finite, one layer where
            there is nothing between, or both options.

    Example:
        >>> thresholded(SkipNet((2, 3, 1), 8))
        <Topology 2 -> 8 -> 3 -> 8 -> 1, ... edges, density ...>
    """
    who = "thresholded"
    _check_net(who, net)
    if not between:
        return _topology(who, _steps(net), threshold, skips=skips)
    matrices = net.between
    if skips or not matrices:
        got = "skips=True" if skips else "a network of one layer"
        raise NbkitError(
            f"{who}: between must meet neurons behind neurons and no skips, got {got}. Leave between or skips away."
        )
    return _topology(who, [(matrix, None, 0) for matrix in matrices], threshold, skips=False)


def dead_neurons(net: SkipNet | FullSkipNet, threshold: float = 1e-3) -> tuple[torch.Tensor, ...]:
    """Which neurons no input reaches, or which reach no output, through weights above the threshold, skips included.

    Returns:
        For each layer of neurons bool (K,) on the CPU.

    Raises:
        NbkitError: as `thresholded`.
    """
    _check_net("dead_neurons", net)
    wires = _topology("dead_neurons", _steps(net), threshold, skips=True)
    counts = net.n_neurons if isinstance(net, SkipNet) else [len(bias) for bias in net.biases]
    places = range(1, len(wires), 2 if isinstance(net, SkipNet) else 1)
    alive = [reachability(wires, 0, place).any(dim=0) & reachability(wires, place).any(dim=1) for place in places]
    return tuple(~nodes[:count] for nodes, count in zip(alive, counts, strict=True))


def _norms(who: str, layer: object, norm: int = 2) -> torch.Tensor:
    if not isinstance(layer, SkipLayer):
        raise NbkitError(f"{who}: layer must be a SkipLayer, got {show(layer)}. Take one of net.layers.")
    out, into = neuron_sides(who, layer, norm)
    return out * into


def _same_direction(who: str, layer: SkipLayer, active: torch.Tensor, cosine: float) -> np.ndarray:
    """The number of the cluster of each active neuron, from 0."""
    inner = torch.cat([layer.W.detach(), layer.b.detach()[:, None]], dim=1)[active].double().cpu()
    check_memory(who, 16 * len(inner) ** 2, lower="the number of active neurons: raise threshold")
    if len(inner) < 2:
        return np.zeros(len(inner), dtype=np.int64)
    tree = linkage((inner / torch.linalg.vector_norm(inner, dim=1, keepdim=True)).numpy(), "complete")
    return fcluster(tree, np.sqrt(2 - 2 * cosine) + _ROUNDING, "distance") - 1


def _heaviest_first(labels: np.ndarray, norms: torch.Tensor) -> torch.Tensor:
    labels = torch.from_numpy(labels).to(norms.device, torch.int64)
    weights = torch.bincount(labels, weights=norms)
    return weights.argsort(descending=True, stable=True).argsort()[labels]


def _check_net(who: str, net: object) -> None:
    if not isinstance(net, (SkipNet, FullSkipNet)):
        raise NbkitError(f"{who}: net must be a SkipNet or a FullSkipNet, got {type(net).__name__}. Give one of these.")


def _steps(net: SkipNet | FullSkipNet) -> list[tuple[torch.Tensor, torch.Tensor | None, int]]:
    """From nodes to nodes: the matrix, the skip that ends beside it, and how many linear nodes hand their value on."""
    if isinstance(net, SkipNet):
        pairs = (((s.W, None, s.W.shape[1]), (s.V, s.C, 0)) for s in net.layers)
        return [step for pair in pairs for step in pair]
    first, *others = net.skips
    n_in = first.shape[1]
    middle = [(matrix, skip, n_in) for matrix, skip in zip(net.A, others, strict=True)]
    return [(first, None, n_in), *middle, (net.V, net.C, 0)]


def _topology(
    who: str, steps: list[tuple[torch.Tensor, torch.Tensor | None, int]], threshold: float, *, skips: bool
) -> Topology:
    layers = []
    for matrix, skip, n_handed_on in steps:
        mask = entries_above(who, "every weight matrix", matrix, threshold)
        if skips and skip is not None:
            mask = torch.cat([mask, entries_above(who, "every skip", skip, threshold)], dim=1)
        if skips and n_handed_on:
            behind = mask.new_zeros(n_handed_on, mask.shape[1])
            behind[:, -n_handed_on:].fill_diagonal_(True)
            mask = torch.cat([mask, behind])
        layers.append(_wires(mask, f"|weight| > {threshold:g}"))
    return Topology(layers)


def _wires(mask: torch.Tensor, description: str) -> Layer:
    targets, sources = mask.nonzero().T.cpu().numpy()
    return EdgeLayer(mask.shape[1], mask.shape[0], sources, targets, description=description)
