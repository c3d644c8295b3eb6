"""Panels of curves over one another, each with axes of its own: what is learned above, what it costs below."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go

from nbkit.errors import NbkitError
from nbkit.figures.curves import Curve, curve_traces, curves_figure, label_places
from nbkit.figures.template import dress

__all__ = ["CurvePanel", "log_tick", "stacked_figure", "stacked_ranges", "stacked_traces"]

_BETWEEN_PX, _AROUND_PX = 64, 118  # tick labels and a title under a panel; the same and the figure's title
_MARKERS = 16  # of a marked curve, however many points it has
_ROOM = 0.02, 0.06  # of the x and the y axis, beyond what is drawn
_DECADES, _TICK_PX = 1.2, 30  # what a log axis shows at least; between two of its labels, powers of 10


@dataclass(frozen=True, eq=False)
class CurvePanel:
    """One panel of `stacked_figure`.

    Args:
        curves: at least one, as `curves_figure` takes them.
        x_label, y_label: with symbol and unit; a log axis adds that it is one.
        log_y: logarithmic y.
        height: of the drawing area, in px.
    """

    curves: Sequence[Curve]
    x_label: str
    y_label: str
    log_y: bool = field(default=False, kw_only=True)
    height: int = field(default=200, kw_only=True)


def stacked_figure(panels: Sequence[CurvePanel], *, title: str = "") -> go.Figure:
    """Panels of named curves, the first on top; the traces of each are those of `curves_figure`, in order.

    A curve with a marker has about sixteen of them, so that it can be seen on another that it covers.

    Raises:
        NbkitError: no panel, and what `curves_figure` refuses.
    """
    if not panels:
        raise NbkitError("stacked_figure: panels must be at least one, got none. Give a CurvePanel.")
    parts = [
        curves_figure(panel.curves, x_label=panel.x_label, y_label=panel.y_label, log_y=panel.log_y) for panel in panels
    ]
    figure = go.Figure()
    inside = sum(panel.height for panel in panels) + _BETWEEN_PX * (len(panels) - 1)
    right = max(part.layout.margin.r for part in parts)
    dress(figure, title, height=inside + _AROUND_PX, right=right, hovermode="closest")
    top = 1.0
    for number, (panel, part) in enumerate(zip(panels, parts, strict=True), start=1):
        name = "" if number == 1 else number
        for trace in part.data:
            if "markers" in (trace.mode or ""):
                trace.marker.maxdisplayed = _MARKERS
            figure.add_trace(trace.update(xaxis=f"x{name}", yaxis=f"y{name}"))
        figure.layout[f"xaxis{name}"] = part.layout.xaxis.to_plotly_json() | {"anchor": f"y{name}"}
        domain = [max(0.0, top - panel.height / inside), top]
        figure.layout[f"yaxis{name}"] = part.layout.yaxis.to_plotly_json() | {"anchor": f"x{name}", "domain": domain}
        if panel.log_y:
            figure.layout[f"yaxis{name}"].dtick = log_tick(panel, stacked_ranges([panel])[0][1] or (0.1, 1.0))
        top = domain[0] - _BETWEEN_PX / inside
    for trace, values in zip(figure.data, stacked_traces(panels), strict=True):
        trace.update(values)
    return figure


def stacked_traces(
    panels: Sequence[CurvePanel], *, y_ranges: Sequence[tuple[float, float]] | None = None
) -> list[dict[str, object]]:
    """What the traces of `stacked_figure` hold.

    Args:
        panels: as many as it was made of, each with as many curves.
        y_ranges: what each y axis shows, where they are fixed, so that labels keep apart on them.

    Raises:
        NbkitError: as `curves_figure`.
    """
    traces = []
    for number, panel in enumerate(panels):
        *drawn, labels = curve_traces(panel.curves, log_y=panel.log_y)
        lines = [trace["y"][np.isfinite(trace["y"])] for trace in drawn[len(panel.curves) :]]
        ends = [y[-1] for y, curve in zip(lines, panel.curves, strict=True) if y.size and curve.name]
        shown = lines if y_ranges is None else [np.array(y_ranges[number])]
        fixed = y_ranges is not None
        labels["x"] = np.full(len(ends), max(labels["x"], default=0.0))  # in one column, off the lines
        labels["y"] = label_places(ends, shown, log=panel.log_y, inside=fixed, height=panel.height)
        traces += [*drawn, labels]
    return traces


def log_tick(panel: CurvePanel, shown: tuple[float, float]) -> int:
    """Decades between two labels of a panel's log axis that shows this range."""
    return max(1, math.ceil(math.log10(shown[1] / shown[0]) * _TICK_PX / panel.height))


def stacked_ranges(panels: Sequence[CurvePanel]) -> list[tuple[tuple[float, float] | None, ...]]:
    """What the x and the y axis of each panel need to show, with a little room; None where nothing is drawn."""
    ranges = []
    for panel in panels:
        xs = np.concatenate([np.asarray(curve.x, dtype=np.float64) for curve in panel.curves])
        parts = [part for c in panel.curves for part in (c.y, c.lower, c.upper) if part is not None]
        ys = np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])
        ranges.append((_with_room(xs, _ROOM[0], log=False), _with_room(ys[np.isfinite(ys)], _ROOM[1], log=panel.log_y)))
    return ranges


def _with_room(values: np.ndarray, room: float, *, log: bool) -> tuple[float, float] | None:
    if not values.size:
        return None
    values = np.log10(values) if log else values
    low, high = float(values.min()), float(values.max())
    least = _DECADES if log else max(1e-9, 0.02 * abs(high))
    extra = max(room * (high - low), (least - (high - low)) / 2)
    low, high = low - extra, high + extra
    return (10.0**low, 10.0**high) if log else (low, high)
