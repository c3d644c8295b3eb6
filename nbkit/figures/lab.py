"""Two networks side by side under one measure: curves over shared axes, or matrices on one scale (notebook 11)."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go

from nbkit.errors import NbkitError
from nbkit.figures.arrays import as_array, as_matrix, encode_png, is_binary, png_address
from nbkit.figures.template import (
    MAGNITUDE,
    dress,
    family_colour,
    palette,
    translucent,
)

__all__ = [
    "LabAxes",
    "LabSide",
    "lab_figure",
    "lab_layout",
    "lab_ranges",
    "lab_ticks",
    "lab_title",
    "lab_top",
    "lab_traces",
]

_SIDES = ("A", "B")
_DOMAINS = ([0.0, 0.475], [0.525, 1.0])
_CURVES, _PICTURES = 0.42, 0.5  # of the height: where curves end, and matrices begin above them
_TITLE_PX, _LINE = 13.5, 64  # of a title: size, and characters a line
_LINES, _HEADING_PX = 5, 52  # lines of a title that always have room; above each panel
_FEW = 24  # points, up to which each has a marker
_SHARP_PX = 512  # a browser blurs what it enlarges
_ROOM = 0.05  # of the axes' length beyond what is drawn
_LEVELS = 256
_BLOCKS = 6  # of a colour scale that is written in letters
_PARTS = ("y", "low", "high", "theory")


@dataclass(frozen=True, eq=False)
class LabSide:
    """One side: a curve, and a matrix that may stand above it.

    Args:
        name, note: stand above the panel, in one line each; `note` may have several, parted by <br>.
        family: whose colour it has, a key of `FAMILY_COLOURS`.
        x, y: (n,) points; NaN in y is a gap. Empty: not there yet.
        low, high: (n,) edges of a band, or None.
        theory: (n,) dashed beside it, or None.
        matrix: (n_rows, n_columns) of 0/1, drawn in ink, or of magnitudes, drawn from the least to the largest of both sides; or None.
    """

    name: str
    family: str
    note: str = ""
    x: object = field(default=(), kw_only=True)
    y: object = field(default=(), kw_only=True)
    low: object = field(default=None, kw_only=True)
    high: object = field(default=None, kw_only=True)
    theory: object = field(default=None, kw_only=True)
    matrix: object = field(default=None, kw_only=True)


@dataclass(frozen=True)
class LabAxes:
    """What both panels' axes say; a log axis leaves out what is not above 0.

    Args:
        x_label, y_label: with symbol and unit; a log axis adds that it is one.
        log_x, log_y: logarithmic axes.
        picture: what the matrices are, in a line below them.
    """

    x_label: str
    y_label: str
    log_x: bool = field(default=False, kw_only=True)
    log_y: bool = field(default=False, kw_only=True)
    picture: str = field(default="", kw_only=True)


def lab_figure(a: LabSide, b: LabSide, axes: LabAxes, *, title: str = "", height: int = 520) -> go.Figure:
    """Two panels that can be compared by eye: one scale for both, and in each the other's curve, faint.

    Four traces a side: its band, the other's curve, theory (dashed), its own curve. Matrices stand above them.

    Args:
        a, b: the sides, left and right.
        axes: of both.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: an unknown family; points, bands and theory of different lengths; an empty matrix.
    """
    figure = go.Figure()
    for number, side in enumerate(_SIDES):
        name = "2" if number else ""
        place = {"xaxis": f"x{name}", "yaxis": f"y{name}"}
        line = {"mode": "lines", "hoverinfo": "skip"}
        figure.add_trace(go.Scatter(name=f"{side} band", fill="toself", line_width=0, **line, **place))
        figure.add_trace(go.Scatter(name=f"{side} other", line_width=1.5, opacity=0.35, **line, **place))
        figure.add_trace(go.Scatter(name=f"{side} theory", line={"width": 1.6, "dash": "dash"}, **line, **place))
        hover = "%{x:.4g}: %{y:.4g}<extra></extra>"
        figure.add_trace(go.Scatter(name=side, line_width=2.2, marker_size=6, hovertemplate=hover, **place))
    for trace, values in zip(figure.data, lab_traces(a, b, axes), strict=True):
        trace.update(values)
    dress(figure, "", height=height, hovermode="closest")
    figure.update_layout(title=lab_title("", title, height=height))
    figure.update_layout(margin={"t": lab_top(figure.layout.title.text), "l": 64, "r": 16})
    figure.update_layout(
        xaxis={"domain": _DOMAINS[0]},
        xaxis2={"domain": _DOMAINS[1], "anchor": "y2", "matches": "x"},
        yaxis2={"anchor": "x2", "matches": "y", "showticklabels": False},
    )
    figure.update_layout(**lab_layout(a, b, axes))
    for axis, ends in ({"x": (0, 1), "y": (0, 1)} | lab_ranges(a, b, axes)).items():
        figure.update_layout(
            {f"{axis}axis{name}": lab_ticks(ends, log=getattr(axes, f"log_{axis}")) for name in ("", "2")}
        )
    return figure


def lab_title(question: str, answer: str, *, height: int) -> dict[str, object]:
    """The title of `lab_figure`, for `layout.title`: the question in bold, its answer below, lines that fit."""
    lines = [f"<b>{line}</b>" for line in textwrap.wrap(question, _LINE - 4)] + textwrap.wrap(answer, _LINE)
    # plotly lifts a title by a fifth of each line that it adds
    y = 1 - (14 + 4 * max(0, len(lines) - 1)) / height
    return {"text": "<br>".join(lines), "y": y, "font": {"size": _TITLE_PX}}


def lab_top(title: str, top: float = 0.0) -> float:
    """The upper margin, in px, that holds such a title's text; at least as much as there was, `top`."""
    return max(top, 30 + _TITLE_PX * 1.3 * max(_LINES, title.count("<br>") + 1) + _HEADING_PX)


def lab_traces(a: LabSide, b: LabSide, axes: LabAxes) -> list[dict[str, object]]:
    """What the traces of `lab_figure` hold; `trace.update(values)` on each moves an existing picture.

    Raises:
        NbkitError: as `lab_figure`.
    """
    drawn = [_points(side, axes) for side in (a, b)]
    traces = []
    for side, mine, other, theirs in ((a, drawn[0], b, drawn[1]), (b, drawn[1], a, drawn[0])):
        colour, faint = family_colour("lab_figure", side.family), family_colour("lab_figure", other.family)
        inside = np.isfinite(mine["low"]) & np.isfinite(mine["high"])
        x, low, high = mine["x"][inside], mine["low"][inside], mine["high"][inside]
        outline = {"x": np.concatenate([x, x[::-1]]), "y": np.concatenate([high, low[::-1]])}
        many = "lines+markers" if len(mine["x"]) <= _FEW else "lines"
        traces += [
            outline | {"fillcolor": translucent(colour, 0.2)},
            {"x": theirs["x"], "y": theirs["y"], "line": {"color": faint}},
            {"x": mine["x"], "y": mine["theory"], "line": {"color": colour}},
            {"x": mine["x"], "y": mine["y"], "mode": many, "line": {"color": colour}, "marker": {"color": colour}},
        ]
    return traces


def lab_ranges(a: LabSide, b: LabSide, axes: LabAxes) -> dict[str, tuple[float, float]]:
    """The ends of the shared axes x and y, in their units (log10 on a log axis), with a little room; none of an empty one."""
    drawn = [_points(side, axes) for side in (a, b)]
    xs = np.concatenate([points["x"] for points in drawn])
    ys = np.concatenate([points[part] for points in drawn for part in _PARTS])
    drawn = {"x": (xs, axes.log_x), "y": (ys[np.isfinite(ys)], axes.log_y)}
    return {
        axis: _ends(np.log10(values), 0.15) if log else _ends(values, 0.5)
        for axis, (values, log) in drawn.items()
        if values.size
    }


def lab_ticks(ends: tuple[float, float], *, log: bool) -> dict[str, object]:
    """An axis that shows `ends`, in its units; on a log axis with as many of 1, 2, 5 or of decades as there is room for."""
    if not log:
        return {"range": ends, "tickmode": "auto", "dtick": None}
    decades = ends[1] - ends[0]
    dtick = "D1" if decades < 0.5 else "D2" if decades < 3 else math.ceil(decades / 6)
    return {"range": ends, "tickmode": "linear", "dtick": dtick}


def lab_layout(a: LabSide, b: LabSide, axes: LabAxes) -> dict[str, object]:
    """Headings, matrices and what the axes of `lab_figure` say; of an existing picture assign images and annotations.

    Raises:
        NbkitError: as `lab_figure`.
    """
    matrices = [None if side.matrix is None else as_matrix("lab_figure", side.matrix) for side in (a, b)]
    there = [matrix for matrix in matrices if matrix is not None]
    ends = (min(matrix.min() for matrix in there), max(matrix.max() for matrix in there)) if there else (0.0, 1.0)
    as_ink = all(is_binary(matrix) for matrix in there)
    layout: dict[str, object] = {"images": [], "annotations": []}
    height = [0.0, _CURVES if there else 1.0]
    for number, (side, matrix) in enumerate(zip((a, b), matrices, strict=True)):
        name = "2" if number else ""
        layout["annotations"].append(_heading(side, number))
        layout[f"xaxis{name}"] = _axis(axes.x_label, axes.log_x)
        layout[f"yaxis{name}"] = {"domain": height} | _axis("" if number else axes.y_label, axes.log_y)
        if matrix is not None:
            layout["images"].append(_image(matrix, number, (0.0, 1.0) if as_ink else ends, as_ink=as_ink))
    if there:
        scale = "" if as_ink else f": {ends[0]:.3g} {_scale()} {ends[1]:.3g}"
        layout["annotations"].append(_words(f"{axes.picture}{scale}", _DOMAINS[0][0], _CURVES, "#555555"))
    return layout


def _heading(side: LabSide, number: int) -> dict[str, object]:
    text = f"<b>{_SIDES[number]} · {side.name}</b>" + (f"<br>{side.note}" if side.note else "")
    return _words(text, _DOMAINS[number][0], 1, family_colour("lab_figure", side.family))


def _words(text: str, x: float, y: float, colour: str) -> dict[str, object]:
    where = {"xref": "paper", "yref": "paper", "x": x, "y": y, "yshift": 2, "xanchor": "left", "yanchor": "bottom"}
    return where | {"text": text, "align": "left", "showarrow": False, "font": {"size": 11.5, "color": colour}}


def _axis(label: str, log: bool) -> dict[str, object]:
    title = {"text": f"{label} (log)" if log and label else label}
    return {"title": title, "type": "log" if log else "linear", "exponentformat": "power", "nticks": 6}


def _image(matrix: np.ndarray, number: int, ends: tuple[float, float], *, as_ink: bool) -> dict[str, object]:
    colours = palette("ink") if as_ink else palette(MAGNITUDE, _LEVELS)
    shares = (matrix.astype(np.float64) - ends[0]) / ((ends[1] - ends[0]) or 1.0)
    levels = np.rint(shares * (len(colours) - 1)).astype(np.int64)
    source = png_address(encode_png(levels, colours, at_least=_SHARP_PX))
    left, right = _DOMAINS[number]
    # as wide as the panel allows, its entries square
    place = {"xref": "paper", "yref": "paper", "x": left, "y": 1, "sizex": right - left, "sizey": 1 - _PICTURES}
    return {"source": source, "sizing": "contain", "layer": "above"} | place


def _scale() -> str:
    """The colour map of magnitudes in letters, from the least to the largest of both sides."""
    colours = palette(MAGNITUDE, _BLOCKS)
    return "".join(f'<span style="color:rgb({r},{g},{b})">█</span>' for r, g, b in colours.tolist())


def _points(side: LabSide, axes: LabAxes) -> dict[str, np.ndarray]:
    """x and the four parts as floats, each as long as x; on a log axis what is not above 0 is left out."""
    who = f"lab_figure ({side.name!r})"
    x = as_array(who, "x", side.x, n_axes=1).astype(np.float64)
    points = {"x": x}
    for part in _PARTS:
        given = getattr(side, part)
        values = np.full(len(x), np.nan) if given is None else as_array(who, part, given, n_axes=1).astype(np.float64)
        if len(values) != len(x):
            raise NbkitError(
                f"{who}: {part} must have {len(x)} entries as x, got {len(values)}. Give one each a point."
            )
        kept = np.isfinite(values) & ((values > 0) | (not axes.log_y))
        points[part] = np.where(kept, values, np.nan)
    if axes.log_y:  # a band that reaches 0 goes down to where the curve is never
        floor = np.nanmin(points["y"]) / 1000 if np.isfinite(points["y"]).any() else 1.0
        points["low"] = np.where(np.isnan(points["low"]) & np.isfinite(points["high"]), floor, points["low"])
    return points


def _ends(values: np.ndarray, least: float) -> tuple[float, float]:
    """The ends of an axis that shows these values, `least` beyond them where all are as good as equal."""
    low, high = float(values.min()), float(values.max())
    room = _ROOM * (high - low) if high - low > 1e-9 * max(1.0, abs(high)) else least
    return low - room, high + room
