"""Wires of each layer, and who can hear whom through all of them, branches included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
import torch
from torch import nn

from nbkit.device import memory_budget
from nbkit.measure import n_components
from nbkit.reporting.parts import LayerReport, ReachReport, UnitReport
from nbkit.topology import Layer
from nbkit.topology.modules import Wired
from nbkit.topology.wires import effective_weight

__all__ = ["Alive", "alive", "layer_report", "reach_report", "through"]

_DENSE = 1 / 16  # from this density on a product of dense matrices is the quicker way


@dataclass(frozen=True, eq=False)
class Alive:
    """The nodes behind one step: bool (width,), which an input reaches, and which reach an output."""

    reached: torch.Tensor
    heard: torch.Tensor


def layer_report(name: str, module: nn.Module, wires: Layer, threshold: float) -> LayerReport:
    """The wires of one layer, counted."""
    weights = module.edge_weights if hasattr(module, "edge_weights") else effective_weight(module)
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


def alive(nodes: Sequence[Wired]) -> list[Alive]:
    """For every step of a graph of wires, in their order."""
    reached = [torch.ones(nodes[0].width, dtype=torch.bool)]
    for node in nodes[1:]:
        reached.append(_joined(node, reached))
    heard = [torch.zeros(node.width, dtype=torch.bool) for node in nodes]
    heard[-1][:] = True
    for place in range(len(nodes) - 1, 0, -1):
        node = nodes[place]
        for source, path, start in zip(node.step.inputs, node.into, node.start, strict=True):
            width = path[-1].n_out if path else nodes[source].width
            bits = heard[place][start : start + width]
            for layer in reversed(path):
                bits = _back(layer, bits)
            heard[source] |= bits
    return [Alive(*pair) for pair in zip(reached, heard, strict=True)]


def reach_report(nodes: Sequence[Wired], alive: Sequence[Alive]) -> Iterator[tuple[int, int] | ReachReport]:
    """Reach through a graph of wires: yields (steps done, all steps), returns a ReachReport."""
    linear = [place for place, node in enumerate(nodes) if node.step.kind == "linear"]
    joined = _fits(nodes)
    reached, fractions = [torch.eye(nodes[0].width, dtype=torch.bool)], []
    for place, node in enumerate(nodes[1:], start=1):
        if joined:
            reached.append(_joined(node, reached))
            fractions += [reached[-1].double().mean()] if node.step.kind == "linear" else []
        yield place, len(nodes)
    return ReachReport(
        matrix=reached[-1].T.contiguous() if joined else None,
        fraction=torch.stack(fractions) if joined else None,
        units=tuple(_units(name, alive[place]) for name, place in zip(_names(nodes, linear), linear, strict=True)),
        n_dead_inputs=int((~alive[0].heard).sum()),
        n_components=_n_components(nodes),
        left_out=tuple(dict.fromkeys(node.step.what for node in nodes if node.step.kind == "mixing")),
    )


def through(layer: Layer, bits: torch.Tensor) -> torch.Tensor:
    """Which outputs hear an input that is marked: bool (n_in,) -> (n_out,), or with further columns."""
    if layer.n_edges == layer.n_in * layer.n_out:
        return bits.any(dim=0).expand(layer.n_out, *bits.shape[1:])
    if bits.ndim == 1:
        sources, targets = layer.edge_index()
        return _marked(layer.n_out, targets[bits[sources]])
    if layer.density >= _DENSE:
        return layer.mask().float() @ bits.float() > 0
    return torch.from_numpy((layer.to_scipy().T @ bits.numpy().astype(np.int32)) > 0)


def _back(layer: Layer, bits: torch.Tensor) -> torch.Tensor:
    """Which inputs are heard by an output that is marked: bool (n_out,) -> (n_in,)."""
    if layer.n_edges == layer.n_in * layer.n_out:
        return bits.any().expand(layer.n_in)
    sources, targets = layer.edge_index()
    return _marked(layer.n_in, sources[bits[targets]])


def _marked(n: int, places: torch.Tensor) -> torch.Tensor:
    marks = torch.zeros(n, dtype=torch.bool)
    marks[places] = True
    return marks


def _joined(node: Wired, reached: Sequence[torch.Tensor]) -> torch.Tensor:
    """What reaches the nodes of a step, from all steps that it takes."""
    out = torch.zeros(node.width, *reached[0].shape[1:], dtype=torch.bool)
    for source, path, start in zip(node.step.inputs, node.into, node.start, strict=True):
        bits = reached[source]
        for layer in path:
            bits = through(layer, bits)
        out[start : start + len(bits)] |= bits
    return out


def _fits(nodes: Sequence[Wired]) -> bool:
    """Whether every input's reach of every node, and floats of the widest layer, stay within the memory budget."""
    widths = [node.width for node in nodes]
    return nodes[0].width * (sum(widths) + 8 * max(widths)) <= memory_budget()


def _names(nodes: Sequence[Wired], places: Sequence[int]) -> list[str]:
    """The names of steps; a module's second use is told apart."""
    names = [nodes[place].step.name for place in places]
    seen = [names[:position].count(name) for position, name in enumerate(names, start=1)]
    return [name if count == 1 else f"{name} #{count}" for name, count in zip(names, seen, strict=True)]


def _units(name: str, alive: Alive) -> UnitReport:
    reached, heard = alive.reached, alive.heard
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
            same = np.tile(np.arange(nodes[source].width), (2, 1))
            ends.append((_edges(path[-1]) if path else same) + [[before], [first[-1] + start]])
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
