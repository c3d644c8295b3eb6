"""How many neurons stand, and how many different ones, against the number that the network was given."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go

from nbkit.figures.decay import METHODS
from nbkit.figures.methods import end_labels, label_trace, method_line, rule_line
from nbkit.figures.template import INK, dress

__all__ = ["WidthsView", "widths_figure", "widths_ranges", "widths_traces"]

_PANEL_PX, _GAP_PX, _AROUND_PX = 230, 26, 118
_RULES = ("K", "N d₁", "N")
_LEAST = 0.7  # where the axes end; a count of 0 is drawn there


@dataclass(frozen=True, eq=False)
class WidthsView:
    """What `widths_figure` shows; whatever is left out is not drawn.

    Args:
        widths: (k,) numbers of neurons K, ascending.
        active, groups: method -> (k,) active neurons of layer 1, and groups of them that compute the same.
        n_samples: N.
        bottleneck: d_1.
    """

    widths: np.ndarray = field(default_factory=lambda: np.empty(0))
    active: Mapping[str, np.ndarray] = field(default_factory=dict, kw_only=True)
    groups: Mapping[str, np.ndarray] = field(default_factory=dict, kw_only=True)
    n_samples: int = field(default=9, kw_only=True)
    bottleneck: int = field(default=4, kw_only=True)


def widths_figure(view: WidthsView, *, title: str = "") -> go.Figure:
    """Active neurons above, groups of equal ones below, each against K, with the lines K, N d_1 and N.

    Source:
        Parhi, Wolf & Nowak 2021, Theorem 1 (K <= N d_1 are enough) and section 3 (the same pattern, several times).
    """
    figure, inside = go.Figure(), 2 * _PANEL_PX + _GAP_PX
    for name in ("", 2):
        lines = [method_line(method) for method in METHODS]
        traces = [*(rule_line(rule, INK) for rule in _RULES), *lines, label_trace()]
        figure.add_traces([trace.update(xaxis=f"x{name}", yaxis=f"y{name}") for trace in traces])
    dress(figure, title, height=inside + _AROUND_PX, right=112, hovermode="closest")
    log = {"type": "log", "tickvals": [1, 2, 5, 10, 20, 50, 100, 200, 500]}
    ticks = [8, 16, 32, 64, 128, 256, 512]
    figure.update_layout(
        xaxis={"type": "log", "tickvals": ticks, "showticklabels": False, "matches": "x2"},
        yaxis={**log, "title": "active neurons (log)", "domain": [1 - _PANEL_PX / inside, 1]},
        xaxis2={"type": "log", "tickvals": ticks, "title": "neurons K (log)", "anchor": "y2"},
        yaxis2={**log, "title": "different ones (log)", "domain": [0, _PANEL_PX / inside], "anchor": "x2"},
    )
    for trace, values in zip(figure.data, widths_traces(view), strict=True):
        trace.update(values)
    for axis, ends in widths_ranges(view).items():
        figure.layout[axis].range = [*np.log10(ends)]
    return figure


def widths_traces(
    view: WidthsView, *, shown: Mapping[str, tuple[float, float]] | None = None
) -> list[dict[str, object]]:
    """What the traces of `widths_figure` hold; `shown`: axis -> what it shows, where it has grown."""
    shown, traces = widths_ranges(view) | dict(shown or {}), []
    ends = np.array(shown["xaxis2"])[: 2 * bool(view.widths.size)]
    rules = {
        "K": ends,
        "N d₁": np.full(ends.size, view.n_samples * view.bottleneck),
        "N": np.full(ends.size, view.n_samples),
    }
    if view.bottleneck == 1:
        rules["N d₁"] = rules["N d₁"][:0]
    for axis, counts in (("yaxis", view.active), ("yaxis2", view.groups)):
        traces += [{"x": ends[: y.size], "y": y} for y in rules.values()]
        traces += [
            {"x": view.widths[: len(counts.get(method, ()))], "y": np.maximum(counts.get(method, np.empty(0)), _LEAST)}
            for method in METHODS
        ]
        names = {
            rule if rule == "K" else f"{rule} = {y[-1]:g}": (float(y[-1]), INK) for rule, y in rules.items() if y.size
        }
        names |= {METHODS[m].text: (max(_LEAST, y[-1]), METHODS[m].colour) for m, y in counts.items()}
        traces.append(end_labels(names, shown["xaxis2"][1], shown[axis], log=True, height=_PANEL_PX))
    return traces


def widths_ranges(view: WidthsView) -> dict[str, tuple[float, float]]:
    """What the axes need to show, in data units: axis -> (low, high)."""
    low, high = (view.widths.min(), view.widths.max()) if view.widths.size else (8, 256)
    top = float(max(high, view.n_samples * view.bottleneck))
    return {"xaxis2": (0.9 * low, 1.1 * high), "yaxis": (_LEAST / 1.1, 1.3 * top), "yaxis2": (_LEAST / 1.1, 1.3 * top)}
