"""Layered wiring: neurons in columns, wires between them; too many to draw, a picture of their density."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from nbkit.errors import NbkitError, check_integers
from nbkit.figures.arrays import as_array
from nbkit.figures.template import CARD, FAINT, INK, MAGNITUDE, dress, family_colour

__all__ = ["MAX_EDGES", "MAX_NODES", "wiring_axes", "wiring_figure", "wiring_traces"]

MAX_NODES = 64  # nodes a layer that are still drawn one by one
MAX_EDGES = 6000  # wires in all that are still drawn one by one
_MAX_CELLS = 128**2  # plotly sends a heatmap as text: beyond this it is no longer fluent
_BLOCK = 0.12, 0.88  # a layer's density picture within the unit between two columns of neurons


def wiring_figure(
    sizes: Sequence[int],
    edges: Sequence[object],
    *,
    lit_nodes: Sequence[object] | None = None,
    lit_edges: Sequence[object] | None = None,
    title: str = "",
    family: str = "radix",
    height: int = 460,
) -> go.Figure:
    """Layers as columns from left to right, node 0 at the top, every wire a line.

    Always the five traces of `wiring_traces`, whatever is drawn: a picture can be moved from any topology to
    any other in place. Beyond 64 nodes a layer, or 6000 wires, each layer is a density picture instead
    (input node downwards, output node to the right) and each mark stands for a range of neurons.

    Args:
        sizes, edges, lit_nodes, lit_edges: as for `wiring_traces`.
        title: the finding.
        family: whose colour the lit wires have, a key of `FAMILY_COLOURS`.
        height: in px.

    Raises:
        NbkitError: sizes and edges that disagree, an unknown family.
    """
    colour = family_colour("wiring_figure", family)
    arrays = wiring_traces(sizes, edges, lit_nodes=lit_nodes, lit_edges=lit_edges)
    hover = "layer %{customdata[0]}, neuron %{customdata[1]}<extra></extra>"
    white = {"color": CARD, "size": 9}
    figure = go.Figure(
        [
            go.Heatmap(
                name="density",
                colorscale=MAGNITUDE,
                zmin=0,
                hovertemplate="%{z:.3g} of these wires are there<extra></extra>",
                colorbar={"title": {"text": "density", "side": "right"}, "thickness": 12},
            ),
            go.Scatter(name="wires", mode="lines", hoverinfo="skip", line={"color": FAINT}),
            go.Scatter(name="lit wires", mode="lines", hoverinfo="skip", line={"color": colour}),
            go.Scatter(
                name="neurons",
                mode="markers+text",
                textfont=white,
                hovertemplate=hover,
                marker={"color": INK, "opacity": 1},
            ),
            go.Scatter(
                name="lit neurons",
                mode="markers+text",
                textfont=white,
                hovertemplate=hover,
                marker={"color": colour, "opacity": 1},
            ),
        ]
    )
    for trace, values in zip(figure.data, arrays, strict=True):
        trace.update(values)
    return dress(figure, title, height=height, hovermode="closest", clickmode="event", **wiring_axes(sizes))


def wiring_axes(sizes: Sequence[int]) -> dict[str, object]:
    """The axes of a wiring picture, for `figure.update_layout(**wiring_axes(sizes))` when layers come or go."""
    layers = list(range(len(sizes)))
    many = len(sizes) > 16
    ticks = [f"{layer}" if many else f"{layer}<br>{size:,}" for layer, size in enumerate(sizes)]
    x = {"tickvals": layers, "ticktext": ticks, "range": [-0.2, len(sizes) - 0.8], "showgrid": False, "showline": False}
    y = {"range": [1.02, -0.02], "showticklabels": False, "ticks": "", "showgrid": False, "showline": False}
    name = "layer" if many else "layer (below: its number of neurons)"
    return {
        "xaxis": {**x, "title": {"text": name}, "ticks": ""},
        "yaxis": {**y, "title": {"text": "neuron, 0 at the top"}},
    }


def wiring_traces(
    sizes: Sequence[int],
    edges: Sequence[object],
    *,
    lit_nodes: Sequence[object] | None = None,
    lit_edges: Sequence[object] | None = None,
) -> list[dict[str, object]]:
    """What the five traces of `wiring_figure` hold: density, wires, lit wires, neurons, lit neurons.

    `for trace, values in zip(figure.data, wiring_traces(...)): trace.update(values)` moves an existing picture.

    Args:
        sizes: nodes of each layer, n_layers + 1 integers of at least 1.
        edges: one (2, n_edges) integer array a layer, sources and targets, as `Layer.edge_index()`.
        lit_nodes: labels of the lit nodes, one array for each of the first columns (later ones have none).
        lit_edges: one bool array (n_edges,) a layer; default: the wires whose two ends are lit.

    Raises:
        NbkitError: sizes and edges that disagree, a label outside its layer.
    """
    sizes = check_integers("wiring_traces", "sizes", sizes, at_least=1, minimum_length=2)
    wires = _checked_edges(sizes, edges)
    lit = _checked_nodes(sizes, lit_nodes)
    masks = _lit_masks(sizes, wires, lit) if lit_edges is None else _checked_masks(wires, lit_edges)
    lines = max(sizes) <= MAX_NODES and sum(wire.shape[1] for wire in wires) <= MAX_EDGES
    nothing = [wire[:, :0] for wire in wires]
    chosen = [wire[:, mask] for wire, mask in zip(wires, masks, strict=True)]
    return [
        {"visible": False, "z": [], "x": [], "y": []} if lines else {"visible": True, **_density(sizes, wires)},
        _segments(sizes, wires if lines else nothing),
        _segments(sizes, chosen if lines else nothing),
        _marks(sizes, [np.arange(size) for size in sizes]),
        _marks(sizes, lit),
    ]


def _checked_edges(sizes: tuple[int, ...], edges: Sequence[object]) -> list[np.ndarray]:
    if len(edges) != len(sizes) - 1:
        raise NbkitError(
            f"wiring_traces: edges must have one array for each of the {len(sizes) - 1} layers between "
            f"{len(sizes)} sizes, got {len(edges)}. Pass one (2, n_edges) array a layer."
        )
    wires = []
    for layer, pair in enumerate(edges):
        wire = as_array("wiring_traces", f"edges of layer {layer}", pair, n_axes=2)
        bounds = np.array(sizes[layer : layer + 2])[:, None]
        if wire.shape[0] != 2 or wire.dtype.kind not in "iu" or (wire < 0).any() or (wire >= bounds).any():
            raise NbkitError(
                f"wiring_traces: edges of layer {layer} must be sources below {sizes[layer]} and targets below "
                f"{sizes[layer + 1]} in a (2, n_edges) integer array, got shape {wire.shape}. Pass layer.edge_index()."
            )
        wires.append(wire)
    return wires


def _checked_nodes(sizes: tuple[int, ...], lit_nodes: Sequence[object] | None) -> list[np.ndarray]:
    given = [] if lit_nodes is None else list(lit_nodes)
    if len(given) > len(sizes):
        raise NbkitError(
            f"wiring_traces: lit_nodes must have at most {len(sizes)} arrays, got {len(given)}. Drop the rest."
        )
    nodes = [np.asarray(labels, dtype=np.int64).reshape(-1) for labels in given]
    for column, (labels, size) in enumerate(zip(nodes, sizes, strict=False)):
        if labels.size and (labels.min() < 0 or labels.max() >= size):
            raise NbkitError(
                f"wiring_traces: lit_nodes of column {column} must be labels below {size}, "
                f"got {labels.min()} to {labels.max()}. Use labels of that column."
            )
    return nodes + [np.empty(0, dtype=np.int64)] * (len(sizes) - len(nodes))


def _lit_masks(sizes: tuple[int, ...], wires: list[np.ndarray], lit: list[np.ndarray]) -> list[np.ndarray]:
    flags = [np.zeros(size, dtype=bool) for size in sizes]
    for flag, labels in zip(flags, lit, strict=True):
        flag[labels] = True
    return [flags[i][wire[0]] & flags[i + 1][wire[1]] for i, wire in enumerate(wires)]


def _checked_masks(wires: list[np.ndarray], lit_edges: Sequence[object]) -> list[np.ndarray]:
    masks = [as_array("wiring_traces", "lit_edges", mask, n_axes=1) for mask in lit_edges]
    wanted, got = [wire.shape[1] for wire in wires], [mask.size for mask in masks]
    if wanted != got or any(mask.dtype != bool for mask in masks):
        raise NbkitError(
            f"wiring_traces: lit_edges must be one bool array a layer with {wanted} entries, got {got}. "
            "Mark every wire True or False."
        )
    return masks


def _segments(sizes: tuple[int, ...], wires: list[np.ndarray]) -> dict[str, np.ndarray]:
    """All wires as one line with gaps: (source, target, NaN) three times n_edges."""
    n_edges = sum(wire.shape[1] for wire in wires)
    x = np.full((n_edges, 3), np.nan, dtype=np.float32)
    y = np.full((n_edges, 3), np.nan, dtype=np.float32)
    start = 0
    for layer, wire in enumerate(wires):
        rows = slice(start, start + wire.shape[1])
        x[rows, :2] = layer, layer + 1
        y[rows, 0] = (wire[0] + 0.5) / sizes[layer]
        y[rows, 1] = (wire[1] + 0.5) / sizes[layer + 1]
        start = rows.stop
    return {"x": x.reshape(-1), "y": y.reshape(-1), "line": {"width": 1.6 if n_edges <= 200 else 0.6}}


def _marks(sizes: tuple[int, ...], columns: list[np.ndarray]) -> dict[str, object]:
    """One mark a node, with (layer, label) to click on; a long column keeps the first label of each of 64 ranges."""
    shown = [
        labels if size <= MAX_NODES else labels[np.unique(labels * MAX_NODES // size, return_index=True)[1]]
        for size, labels in zip(sizes, columns, strict=True)
    ]
    labels = np.concatenate(shown)
    layers = np.repeat(np.arange(len(sizes)), [len(part) for part in shown])
    y = (labels + 0.5) / np.array(sizes)[layers]
    written = max(sizes) <= 16
    return {
        "x": layers.astype(np.float32),
        "y": y.astype(np.float32),
        "customdata": np.stack([layers, labels], axis=1),
        "text": labels.astype(str) if written else None,
        "marker": {"size": 16 if written else 8 if max(sizes) <= 32 else 5},
    }


def _density(sizes: tuple[int, ...], wires: list[np.ndarray]) -> dict[str, object]:
    """Each layer's biadjacency in at most 64 x 64 ranges side by side: the kept fraction within each."""
    bins = min(MAX_NODES, int((_MAX_CELLS / len(wires)) ** 0.5))
    blocks, edges_x = [], []
    for layer, wire in enumerate(wires):
        counts, possible = _binned(wire, sizes[layer : layer + 2], bins)
        blocks += [counts / possible, np.full((bins, 1), np.nan)]
        edges_x.append(layer + np.linspace(*_BLOCK, bins + 1))
    z = np.concatenate(blocks[:-1], axis=1)
    return {"z": z, "x": np.concatenate(edges_x), "y": np.linspace(0, 1, bins + 1), "zmax": float(np.nanmax(z))}


def _binned(wire: np.ndarray, shape: tuple[int, ...], bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Wires and possible wires in each range; a side with fewer nodes than ranges repeats its nodes."""
    used = [min(bins, size) for size in shape]
    row, column = (labels * n // size for labels, n, size in zip(wire, used, shape, strict=True))
    counts = np.bincount(row * used[1] + column, minlength=used[0] * used[1]).reshape(used)
    lengths = [np.bincount(np.arange(size) * n // size) for size, n in zip(shape, used, strict=True)]
    rows, columns = (np.arange(bins) * n // bins for n in used)
    return counts[rows][:, columns], np.outer(*lengths)[rows][:, columns]
