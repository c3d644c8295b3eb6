"""Wires of each layer, and who can hear whom through all of them, branches included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
import torch
from torch import nn

from nbkit.device import check_memory
from nbkit.errors import NbkitError
from nbkit.measure import n_components
from nbkit.reporting.parts import LayerReport, ReachReport, UnitReport
from nbkit.topology import Layer
from nbkit.topology.modules import Wired, effective_weight

__all__ = ["layer_report", "reach_report"]

_DENSE = 1 / 16  # from this density on a product of dense matrices is the quicker way


def layer_report(name: str, module: nn.Module, wires: Layer, threshold: float) -> LayerReport:
    """The wires of one layer, counted."""
    if hasattr(module, "edge_weights"):
        weights = module.edge_weights
    else:
        weights = effective_weight(module)
    return LayerReport(
        name=name,
        kind=type(module).__name__,
        n_in=wires.n_in,
        n_out=wires.n_out,
        n_weights=module.weight.numel(),
        n_kept=int((weights.abs() > threshold).sum()),
        n_edges=wires.n_edges,
        density=wires.density,
        n_dead_in=int((wires.out_degrees() == 0).sum()),
        n_dead_out=int((wires.in_degrees() == 0).sum()),
        n_components=n_components(wires),
        wires=wires,
    )


def reach_report(nodes: Sequence[Wired]) -> Iterator[tuple[int, int] | ReachReport]:
    """Reach through a graph of wires: yields (steps done, all steps), returns a ReachReport."""
    n_in, total = nodes[0].width, 2 * len(nodes)
    fits = _fits(nodes)
    reached = [torch.eye(n_in, dtype=torch.bool) if fits else torch.ones(n_in, 1, dtype=torch.bool)]
    for done, node in enumerate(nodes[1:], start=1):
        reached.append(_forward(node, reached))
        yield done, total
    heard: list[torch.Tensor] = [torch.zeros(node.width, 1, dtype=torch.bool) for node in nodes]
    heard[-1][:] = True
    for position in range(len(nodes) - 1, 0, -1):
        _backward(nodes[position], heard, position)
        yield total - position, total
    linear = [i for i, node in enumerate(nodes) if node.step.kind == "linear"]
    units = tuple(_units(nodes[i].step.name, reached[i].any(dim=1), heard[i][:, 0]) for i in linear)
    return ReachReport(
        matrix=reached[-1].T.contiguous() if fits else None,
        fraction=torch.stack([reached[i].double().mean() for i in linear]) if fits else None,
        units=units,
        n_dead_inputs=int((~heard[0]).sum()),
        n_components=_n_components(nodes),
    )


def alive(nodes: Sequence[Wired]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """bool (width,) of every step: which nodes an input reaches, and which reach an output."""
    reached = [torch.ones(nodes[0].width, 1, dtype=torch.bool)]
    for node in nodes[1:]:
        reached.append(_forward(node, reached))
    heard = [torch.zeros(node.width, 1, dtype=torch.bool) for node in nodes]
    heard[-1][:] = True
    for position in range(len(nodes) - 1, 0, -1):
        _backward(nodes[position], heard, position)
    return [each[:, 0] for each in reached], [each[:, 0] for each in heard]


def _fits(nodes: Sequence[Wired]) -> bool:
    try:
        check_memory(
            "report", nodes[0].width * (sum(n.width for n in nodes) + 8 * max(n.width for n in nodes)), lower=""
        )
    except NbkitError:
        return False
    return True


def _forward(node: Wired, reached: list[torch.Tensor]) -> torch.Tensor:
    """Which columns reach each node of a step: (width, columns)."""
    out = torch.zeros(node.width, reached[0].shape[1], dtype=torch.bool)
    for source, path, start in zip(node.step.inputs, node.into, node.start, strict=True):
        bits = reached[source]
        for layer in path:
            bits = _through(layer, bits, Layer.mask, lambda layer: layer.to_scipy().T)
        out[start : start + len(bits)] |= bits
    return out


def _backward(node: Wired, heard: list[torch.Tensor], position: int) -> None:
    for source, path, start in zip(node.step.inputs, node.into, node.start, strict=True):
        width = path[-1].n_out if path else len(heard[source])
        bits = heard[position][start : start + width]
        for layer in reversed(path):
            bits = _through(layer, bits, Layer.biadjacency, Layer.to_scipy)
        heard[source] |= bits


def _through(layer: Layer, bits: torch.Tensor, dense: Callable, sparse: Callable) -> torch.Tensor:
    if layer.n_edges == layer.n_in * layer.n_out:
        n_out = layer.n_out if len(bits) == layer.n_in and dense is Layer.mask else layer.n_in
        return bits.any(dim=0).expand(n_out, -1)
    if layer.density >= _DENSE:
        return dense(layer).float() @ bits.float() > 0
    return torch.from_numpy((sparse(layer) @ bits.numpy().astype(np.int32)) > 0)


def _units(name: str, reached: torch.Tensor, heard: torch.Tensor) -> UnitReport:
    return UnitReport(name, len(reached), int((~reached).sum()), int((~heard).sum()), int((~(reached & heard)).sum()))


def _n_components(nodes: Sequence[Wired]) -> int:
    """Of the undirected graph of all nodes; a step that joins nothing new shares the nodes of the one before."""
    ends: list[np.ndarray] = []
    n_nodes, first = nodes[0].width, [0]
    for node in nodes[1:]:
        if len(node.into) == 1 and not node.into[0]:
            first.append(first[node.step.inputs[0]])
            continue
        first.append(n_nodes)
        n_nodes += node.width
        for source, path, start in zip(node.step.inputs, node.into, node.start, strict=True):
            before = first[source]
            for layer in path[:-1]:
                ends.append(_edges(layer) + [[before], [n_nodes]])
                before, n_nodes = n_nodes, n_nodes + layer.n_out
            if path:
                ends.append(_edges(path[-1]) + [[before], [first[-1] + start]])
            else:
                same = np.arange(nodes[source].width)
                ends.append(np.stack([same + before, same + first[-1] + start]))
    sources, targets = np.concatenate(ends, axis=1)
    ones = np.ones(len(sources), dtype=np.int8)
    graph = scipy.sparse.coo_array((ones, (sources, targets)), shape=(n_nodes, n_nodes))
    return int(scipy.sparse.csgraph.connected_components(graph, directed=False)[0])


def _edges(layer: Layer) -> np.ndarray:
    """int64 (2, edges): of a dense layer only as many as hold its nodes together."""
    if layer.n_edges < layer.n_in * layer.n_out:
        return layer.edge_index().numpy()
    rows, columns = np.arange(layer.n_in), np.arange(layer.n_out)
    return np.stack([np.r_[rows, 0 * columns], np.r_[0 * rows, columns]])
