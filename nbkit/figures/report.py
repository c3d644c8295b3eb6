"""The parts of a network's report as one picture each: a wide panel or two, the same traces for every part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from nbkit.figures.arrays import png_address
from nbkit.figures.reach import shrunk_png
from nbkit.figures.report_parts import REPORT_PARTS, ReportPanel, report_panels
from nbkit.figures.template import FAINT, INK, dress, translucent

__all__ = ["REPORT_PARTS", "report_figure", "report_layout", "report_panels", "report_traces"]

_DOMAINS = {1: ((0.0, 1.0), (0.99, 1.0)), 2: ((0.0, 0.42), (0.58, 1.0))}
_ABSENT = "#E8E4DB"  # of a bar: what is not there
_HERE = "#B34700"  # the layer that is looked at
_HEIGHT = 430
_MOST_TICKS = 7  # of a log axis


def report_figure(part: str, data: Mapping[str, object] | None, *, layer: int = 1, title: str = "") -> go.Figure:
    """One part of a report as a picture: eight traces left and eight right, empty where the part has none.

    Args:
        part: one of `REPORT_PARTS`.
        data: what `report_panels` wants for it, or None where it is not there yet.
        layer: the layer that is looked at, from 1.
        title: the finding.

    Raises:
        NbkitError: no such part, data that do not belong together.
    """
    panels = report_panels(part, data, layer=layer)
    figure = go.Figure([trace for axis in ("", "2") for trace in _empty_traces(axis)])
    for trace, values in zip(figure.data, report_traces(panels), strict=True):
        trace.update(values)
    dress(figure, title, height=_HEIGHT, hovermode="closest")
    return figure.update_layout(**report_layout(panels))


def report_traces(panels: Sequence[ReportPanel]) -> list[dict[str, object]]:
    """What the sixteen traces of `report_figure` hold; `trace.update(values)` on each moves an existing picture."""
    traces = []
    for panel in (*panels, *[ReportPanel("", "")] * (2 - len(panels))):
        side = "middle center" if panel.y_label else "middle right"  # rows of a list begin at the left
        traces += [
            _boxes(panel.whole),
            _boxes(panel.bars),
            _joined(panel.faint),
            _points(panel.line),
            _points(panel.dashed),
            _points(panel.dots) | {"customdata": list(panel.dots[2])},
            _points(panel.chosen),
            _points(panel.words) | {"text": list(panel.words[2]), "textposition": side},
        ]
    return traces


def report_layout(panels: Sequence[ReportPanel]) -> dict[str, object]:
    """Axes and matrices of `report_figure`, by their keys in a figure's layout."""
    layout: dict[str, object] = {"images": []}
    for number, domain in enumerate(_DOMAINS[max(1, len(panels))]):
        name = "2" * number
        x, y = {"domain": domain, "anchor": f"y{name}"}, {"anchor": f"x{name}"}
        if number < len(panels):
            panel = panels[number]
            x |= _axis(panel.x_label, panel.x_range, panel.x_ticks)
            ticks = _decades(panel.y_range) if panel.log_y else panel.y_ticks
            y |= _axis(panel.y_label, panel.y_range, ticks, log=panel.log_y)
            if panel.matrix is not None:
                layout["images"].append(_image(panel.matrix, name))
                x, y = (axis | {"showgrid": False, "mirror": True, "linecolor": FAINT} for axis in (x, y))
        else:
            x, y = (axis | {"visible": False, "range": [0, 1], "type": "linear"} for axis in (x, y))
        layout |= {f"xaxis{name}": x, f"yaxis{name}": y}
    return layout


def _empty_traces(axis: str) -> list[go.Scatter]:
    where = {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
    quiet = where | {"hoverinfo": "skip"}
    bar = quiet | {"mode": "lines", "fill": "toself", "line": {"width": 0}}
    told = {"hovertemplate": "%{customdata}<extra></extra>", "marker": {"size": 7, "color": INK}}
    ring = {"size": 15, "symbol": "circle-open", "color": _HERE, "line": {"width": 2.5}}
    return [
        go.Scatter(name="all", fillcolor=_ABSENT, **bar),
        go.Scatter(name="kept", fillcolor=translucent(INK, 0.85), **bar),
        go.Scatter(name="others", mode="lines", line={"color": FAINT, "width": 1.4}, **quiet),
        go.Scatter(name="line", mode="lines", line={"color": INK, "width": 2}, **quiet),
        go.Scatter(name="one", mode="lines", line={"color": INK, "width": 1.2, "dash": "dash"}, **quiet),
        go.Scatter(name="values", mode="markers", **told, **where),
        go.Scatter(name="this layer", mode="markers", marker=ring, **quiet),
        go.Scatter(name="words", mode="text", cliponaxis=False, **quiet),
    ]


def _axis(
    label: str, shown: tuple[float, float], ticks: tuple[Sequence[float], Sequence[str]] | None, *, log: bool = False
) -> dict[str, object]:
    axis = {"visible": True, "showgrid": True, "mirror": False, "linecolor": INK, "range": list(shown)}
    axis |= {"type": "log" if log else "linear", "title": {"text": f"{label} (log)" if log else label}}
    axis |= {"showticklabels": bool(label), "ticks": "outside" if label else "", "nticks": 8}
    if ticks is None:
        return axis | {"tickmode": "auto"}
    return axis | {"tickmode": "array", "tickvals": list(map(float, ticks[0])), "ticktext": list(ticks[1])}


def _decades(shown: tuple[float, float]) -> tuple[Sequence[float], Sequence[str]]:
    """Ticks of a log axis: powers of 10, with steps between them where there are few."""
    low, high = shown
    step = max(1, math.ceil((high - low) / _MOST_TICKS))
    parts = (1, 1.5, 2, 3, 5, 7) if high - low < 1 else (1, 2, 5) if high - low < 2 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    values = [part * 10.0**power for power in powers if power % step == 0 for part in parts]
    inside = [value for value in values if low <= math.log10(value) <= high]
    return inside, [f"{v:g}" if 1e-3 <= v < 1e4 else f"10<sup>{round(math.log10(v))}</sup>" for v in inside]


def _image(matrix: np.ndarray, name: str) -> dict[str, object]:
    n_in, n_out = matrix.shape
    corner = {"xref": f"x{name}", "yref": f"y{name}", "x": -0.5, "y": -0.5, "sizex": n_out, "sizey": n_in}
    return corner | {"source": png_address(shrunk_png(matrix)), "sizing": "stretch", "layer": "below"}


def _points(pair: Sequence[object]) -> dict[str, object]:
    return {"x": np.asarray(pair[0], dtype=np.float64), "y": np.asarray(pair[1], dtype=np.float64)}


def _joined(lines: Sequence[tuple[object, object]]) -> dict[str, object]:
    """Lines as one trace, with gaps between them."""
    parts = [np.append(np.asarray(line, dtype=np.float64), [[math.nan]] * 2, axis=1) for line in lines]
    x, y = np.concatenate(parts, axis=1) if parts else np.empty((2, 0))
    return {"x": x, "y": y}


def _boxes(bars: Sequence[tuple[float, ...]]) -> dict[str, object]:
    return _joined([((x0, x1, x1, x0, x0), (y0, y0, y1, y1, y0)) for x0, x1, y0, y1 in bars])
