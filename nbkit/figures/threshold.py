"""A trained network cut at a threshold: the wires that stand, the density that this is, and what the cut costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go

from nbkit.figures.decay import METHODS
from nbkit.figures.methods import end_labels, label_trace, method_line, rule_line
from nbkit.figures.template import FAINT, INK, dress
from nbkit.figures.wiring import wiring_axes, wiring_traces

__all__ = ["ThresholdView", "threshold_axes", "threshold_figure", "threshold_ranges", "threshold_traces"]

_WIRES_PX, _PANEL_PX, _GAPS_PX, _AROUND_PX = 260, 120, (62, 24), 118
_PAPER = 1e-3  # the threshold of the paper's counts
_MATRICES = {"V1": "circle", "W1": "square", "V2": "diamond", "W2": "cross"}


@dataclass(frozen=True, eq=False)
class ThresholdView:
    """What `threshold_figure` shows; whatever is left out is not drawn.

    Args:
        method: a key of METHODS, whose colour it has.
        sizes, edges: of the network that stands, as `wiring_traces` takes them.
        alive: labels of the nodes of each layer that lie on a way from an input to an output.
        names: under each layer.
        thresholds: (t,) ascending, above 0.
        densities: any of "V1", "W1", "V2", "W2" -> (t,).
        errors: (t,) mean squared error of the network that was cut there.
        now: the threshold.
    """

    method: str = "rbv2"
    sizes: Sequence[int] = field(default=(1, 1), kw_only=True)
    edges: Sequence[np.ndarray] = field(default_factory=lambda: [np.empty((2, 0), dtype=np.int64)], kw_only=True)
    alive: Sequence[np.ndarray] | None = field(default=None, kw_only=True)
    names: Sequence[str] = field(default=("", ""), kw_only=True)
    thresholds: np.ndarray = field(default_factory=lambda: np.empty(0), kw_only=True)
    densities: Mapping[str, np.ndarray] = field(default_factory=dict, kw_only=True)
    errors: np.ndarray = field(default_factory=lambda: np.empty(0), kw_only=True)
    now: float = field(default=_PAPER, kw_only=True)


def threshold_figure(view: ThresholdView, *, title: str = "") -> go.Figure:
    """The wires above the threshold, in colour where they lie on a way from an input to an output; density and error below.

    Dashed: the threshold 1e-3 of the paper. A vertical line is the present one.

    Source:
        Parhi, Wolf & Nowak 2021, section 3: what it calls sparsity is the share of entries above 1e-3.
    """
    inside = _WIRES_PX + 2 * _PANEL_PX + sum(_GAPS_PX)
    figure = go.Figure([*_wire_traces(), *_density_traces(), *_error_traces()])
    dress(figure, title, height=inside + _AROUND_PX, right=112, hovermode="closest")
    bottom = [_PANEL_PX / inside, (_PANEL_PX + _GAPS_PX[1]) / inside]
    log = {"type": "log", "exponentformat": "power", "dtick": 1}
    figure.update_layout(
        yaxis_domain=[1 - _WIRES_PX / inside, 1],
        xaxis2={**log, "matches": "x3", "showticklabels": False, "anchor": "y2"},
        yaxis2={"title": "density", "domain": [bottom[1], bottom[1] + _PANEL_PX / inside], "anchor": "x2"},
        xaxis3={**log, "title": "threshold (log)", "anchor": "y3"},
        yaxis3={**log, "title": "MSE (log)", "dtick": 3, "domain": [0, bottom[0]], "anchor": "x3"},
    )
    figure.update_layout(threshold_axes(view))
    for trace, values in zip(figure.data, threshold_traces(view), strict=True):
        trace.update(values)
    for axis, ends in threshold_ranges(view).items():
        figure.layout[axis].range = [*np.log10(ends)] if figure.layout[axis].type == "log" else list(ends)
    return figure


def threshold_axes(view: ThresholdView) -> dict[str, object]:
    """The axes of the wires, for `figure.update_layout` when layers come or go."""
    axes = wiring_axes(view.sizes)
    axes["xaxis"] |= {"ticktext": list(view.names), "title": {"text": ""}, "anchor": "y"}
    axes["yaxis"] |= {"title": {"text": "neurons and nodes"}, "anchor": "x"}
    return axes


def threshold_traces(
    view: ThresholdView, *, shown: Mapping[str, tuple[float, float]] | None = None
) -> list[dict[str, object]]:
    """What the traces of `threshold_figure` hold; `shown`: axis -> what it shows, where it has grown."""
    shown = threshold_ranges(view) | dict(shown or {})
    return [*_wires(view), *_density(view, shown), *_error(view, shown)]


def threshold_ranges(view: ThresholdView) -> dict[str, tuple[float, float]]:
    """What the axes need to show, in data units: axis -> (low, high)."""
    errors = view.errors[np.isfinite(view.errors) & (view.errors > 0)]
    low, high = (errors.min(), errors.max()) if errors.size else (1e-3, 1.0)
    ends = (view.thresholds[0], view.thresholds[-1]) if view.thresholds.size else (1e-6, 1.0)
    return {
        "xaxis3": (float(ends[0]), float(ends[1])),
        "yaxis2": (-0.04, 1.06),
        "yaxis3": (float(low) / 3, 3 * float(high)),
    }


def _wire_traces() -> list[go.Scatter]:
    nodes = {"mode": "markers+text", "textfont": {"color": "rgba(0,0,0,0)", "size": 1}, "hoverinfo": "skip"}
    return [
        go.Scatter(name="dead wires", mode="lines", line={"color": FAINT}, hoverinfo="skip"),
        go.Scatter(name="living wires", mode="lines", hoverinfo="skip"),
        go.Scatter(name="nodes", marker={"color": FAINT}, **nodes),
        go.Scatter(name="living nodes", **nodes),
    ]


def _wires(view: ThresholdView) -> list[dict[str, object]]:
    colour, (_, *drawn) = METHODS[view.method].colour, wiring_traces(view.sizes, view.edges, lit_nodes=view.alive)
    shades = [{}, {"line": {"color": colour}}, {}, {"marker": {"color": colour}}]
    for values, shade in zip(drawn, shades, strict=True):
        for part, look in shade.items():
            values[part] = {**values.get(part, {}), **look}
    return drawn


def _density_traces() -> list[go.Scatter]:
    lines = [
        method_line("rbv2", name=name).update(marker_symbol=symbol, marker_maxdisplayed=9)
        for name, symbol in _MATRICES.items()
    ]
    return [trace.update(xaxis="x2", yaxis="y2") for trace in (*_rules(), *lines, label_trace("density labels"))]


def _density(view: ThresholdView, shown: Mapping[str, tuple[float, float]]) -> list[dict[str, object]]:
    colour, low = METHODS[view.method].colour, shown["yaxis2"]
    lines = [_coloured(view.thresholds, view.densities.get(name, np.empty(0)), colour) for name in _MATRICES]
    marks = dict(zip(_MATRICES, "●■◆✚", strict=True))
    # the lines come together at the right: names stand in a column at the top
    names = [name for name in _MATRICES if name in view.densities]
    heights = np.linspace(low[1], low[0], 6)[: len(names)]
    labels = {
        "x": np.full(len(names), shown["xaxis3"][1]), "y": heights, "text": [f" {marks[name]} {name}" for name in names],
        "textfont": {"color": [colour] * len(names)},
    }  # fmt: skip
    return [*_places(view, low), *lines, labels]


def _error_traces() -> list[go.Scatter]:
    traces = [*_rules(), method_line("rbv2", name="MSE", marked=False), label_trace("error labels")]
    return [trace.update(xaxis="x3", yaxis="y3") for trace in traces]


def _error(view: ThresholdView, shown: Mapping[str, tuple[float, float]]) -> list[dict[str, object]]:
    colour = METHODS[view.method].colour
    ends = {"after the cut": (view.errors[-1], colour)} if view.errors.size else {}
    labels = end_labels(ends, shown["xaxis3"][1], shown["yaxis3"], log=True, height=_PANEL_PX)
    return [*_places(view, shown["yaxis3"]), _coloured(view.thresholds, view.errors, colour), labels]


def _coloured(x: np.ndarray, y: np.ndarray, colour: str) -> dict[str, object]:
    return {"x": x[: y.size], "y": y, "line": {"color": colour}, "marker": {"color": colour}}


def _rules() -> list[go.Scatter]:
    now = go.Scatter(name="now", mode="lines", line={"color": INK, "width": 1.6}, hoverinfo="skip")
    return [rule_line("paper", "#8A8F98"), now]


def _places(view: ThresholdView, ends: tuple[float, float]) -> list[dict[str, object]]:
    there = 2 * bool(view.thresholds.size)
    return [{"x": np.full(there, place), "y": np.array(ends)[:there]} for place in (_PAPER, view.now)]
