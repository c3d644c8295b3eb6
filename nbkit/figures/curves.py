"""Curves with bands: our measurement solid, theory dashed, the paper's printed values as hollow markers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go

from nbkit.errors import NbkitError, check_choice
from nbkit.figures.arrays import as_array
from nbkit.figures.template import dress, family_colour, translucent

__all__ = ["Curve", "curve_traces", "curves_figure", "label_places"]

_KINDS = {
    "measured": {"mode": "lines", "line": {"width": 2}},
    "theory": {"mode": "lines", "line": {"width": 1.6, "dash": "dash"}},
    "paper": {"mode": "markers"},
    "held": {"mode": "lines", "line": {"width": 1.4}, "opacity": 0.45},
}
_LABEL_PX, _LETTER_PX = 17, 7.2  # height of a label and width of its average letter


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve: (n,) points and how it is meant.

    Args:
        name: written at the line's end; empty for none.
        x, y: (n,) numbers; NaN in y is a gap. Empty is allowed: the curve is not there yet.
        family: whose colour it has, a key of `FAMILY_COLOURS`.
        kind: "measured" (solid), "theory" (dashed), "paper" (hollow markers), "held" (faint).
        marker: a plotly marker symbol that tells variants within a family apart, or None.
        lower, upper: (n,) edges of a band of the same colour at 20 %, or both None.
    """

    name: str
    x: object
    y: object
    family: str = "radix"
    kind: str = field(default="measured", kw_only=True)
    marker: str | None = field(default=None, kw_only=True)
    lower: object = field(default=None, kw_only=True)
    upper: object = field(default=None, kw_only=True)


def curves_figure(
    curves: Sequence[Curve],
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    log_x: bool = False,
    log_y: bool = False,
    height: int = 420,
) -> go.Figure:
    """Named curves with their bands, each labelled at its end.

    For n curves the 2 n + 1 traces of `curve_traces`.

    Args:
        curves: at least one.
        x_label, y_label: with symbol and unit, "depth d"; a log axis adds that it is one.
        title: the finding.
        log_x, log_y: logarithmic axes.
        height: in px.

    Raises:
        NbkitError: lengths that disagree, an unknown family or kind, on a log axis a value of 0 or below.
    """
    traces = curve_traces(curves, log_x=log_x, log_y=log_y)
    colours = [family_colour("curves_figure", curve.family) for curve in curves]
    bands = [
        go.Scatter(
            name=f"{curve.name} band",
            mode="lines",  # with few points plotly would draw markers as well
            fill="toself",
            fillcolor=translucent(colour, 0.2),
            line={"width": 0},
            hoverinfo="skip",
        )
        for curve, colour in zip(curves, colours, strict=True)
    ]
    lines = [_line(curve, colour) for curve, colour in zip(curves, colours, strict=True)]
    labels = go.Scatter(
        name="labels",
        mode="text",
        textposition="middle right",
        cliponaxis=False,
        hoverinfo="skip",
        textfont={"color": colours},
    )
    figure = go.Figure([*bands, *lines, labels])
    for trace, values in zip(figure.data, traces, strict=True):
        trace.update(values)
    longest = max(len(curve.name) for curve in curves)
    return dress(
        figure,
        title,
        height=height,
        right=24 + int(_LETTER_PX * longest),
        hovermode="closest",
        xaxis=_axis(x_label, log_x),
        yaxis=_axis(y_label, log_y),
    )


def _axis(label: str, log: bool) -> dict[str, object]:
    if not log:
        return {"title": {"text": label}, "type": "linear"}
    # with more ticks the small labels 9 and 10 touch
    return {"title": {"text": f"{label} (log)"}, "type": "log", "exponentformat": "power", "nticks": 5}


def _line(curve: Curve, colour: str) -> go.Scatter:
    style = _KINDS[curve.kind]
    marker = {"color": colour, "symbol": curve.marker or "circle", "size": 7}
    if curve.kind == "paper":
        marker |= {"symbol": f"{curve.marker or 'circle'}-open", "size": 10, "line": {"width": 2}}
    line = {**style.get("line", {}), "color": colour}
    mode = "lines+markers" if curve.marker and "lines" in style["mode"] else style["mode"]
    return go.Scatter(name=curve.name, mode=mode, line=line, marker=marker, opacity=style.get("opacity", 1.0))


def curve_traces(
    curves: Sequence[Curve],
    *,
    log_x: bool = False,
    log_y: bool = False,
    y_range: tuple[float, float] | None = None,
) -> list[dict[str, object]]:
    """What the traces of `curves_figure` hold: n bands, n lines, then the labels at the lines' ends.

    `for trace, values in zip(figure.data, curve_traces(...)): trace.update(values)` moves an existing picture.

    Args:
        curves, log_x, log_y: as `curves_figure`.
        y_range: what the y axis shows, where it is fixed, so that labels keep apart on it.

    Raises:
        NbkitError: as `curves_figure`.
    """
    if not curves:
        raise NbkitError("curves_figure: curves must have at least one Curve, got none. Pass an empty Curve for later.")
    points = [_checked(curve, log_x, log_y) for curve in curves]
    bands = [_band(curve, x, y, log_y) for curve, (x, y) in zip(curves, points, strict=True)]
    ends = [(x[np.isfinite(y)][-1:], y[np.isfinite(y)][-1:]) for x, y in points]
    there = [i for i, (x, _) in enumerate(ends) if x.size and curves[i].name]
    heights = [y for _, y in points] if y_range is None else [np.array(y_range, dtype=np.float64)]
    places = label_places([ends[i][1][0] for i in there], heights, log=log_y, inside=y_range is not None)
    labels = {
        "x": np.array([ends[i][0][0] for i in there]),
        "y": places,
        "text": [f" {curves[i].name}" for i in there],
        "textfont": {"color": [family_colour("curves_figure", curves[i].family) for i in there]},
    }
    return [*bands, *({"x": x, "y": y} for x, y in points), labels]


def label_places(
    ends: Sequence[float],
    heights: Sequence[np.ndarray],
    *,
    log: bool = False,
    inside: bool = False,
    height: int = 300,
) -> np.ndarray:
    """Where labels go so that none covers another: at the lines' ends, pushed apart as little as needed.

    Args:
        ends: (n,) the last y of each line.
        heights: everything drawn, or the ends of the axis; where all of it is as good as equal, labels keep apart as on
            an axis from 0, or of one decade.
        log: the axis is logarithmic.
        inside: none leaves the range of the heights, where plotly would not draw it.
        height: of the drawing area, in px.

    Returns:
        (n,) y of each label.
    """
    if not len(ends):
        return np.empty(0)
    scale, back = (np.log10, lambda value: 10.0**value) if log else (np.asarray, np.asarray)
    drawn = np.concatenate([scale(y[np.isfinite(y)]) for y in heights])
    span, least = np.ptp(drawn), 1.0 if log else np.abs(drawn).max() or 1.0
    gap = (span if span > 1e-3 * least else least) * _LABEL_PX / height
    wanted = np.asarray(scale(np.asarray(ends, dtype=np.float64)))
    order = np.argsort(wanted, kind="stable")
    offsets = gap * np.arange(len(order))
    raised = np.maximum.accumulate(wanted[order] - offsets) + offsets
    # Pushed up only, a crowd would drift away from its lines: half of each push goes down instead, never overlapping.
    lowered = np.minimum.accumulate((wanted[order] - offsets)[::-1])[::-1] + offsets
    places = np.empty_like(wanted)
    sorted_places = (raised + lowered) / 2
    if inside:
        sorted_places = np.minimum(sorted_places, drawn.max() - offsets[::-1])
        sorted_places = np.maximum(sorted_places, drawn.min() + offsets)
    places[order] = sorted_places
    return np.asarray(back(places))


def _checked(curve: Curve, log_x: bool, log_y: bool) -> tuple[np.ndarray, np.ndarray]:
    who = f"curves_figure (curve {curve.name!r})"
    check_choice(who, "kind", curve.kind, _KINDS)
    family_colour(who, curve.family)
    x, y = (
        as_array(who, name, values, n_axes=1).astype(np.float64) for name, values in (("x", curve.x), ("y", curve.y))
    )
    if x.size != y.size:
        raise NbkitError(f"{who}: x and y must be equally long, got {x.size} and {y.size}. Give each x its y.")
    if not np.isfinite(x).all() or np.isinf(y).any():
        raise NbkitError(f"{who}: x must be finite and y finite or NaN, got infinite entries. Leave those points out.")
    for name, values, log in (("x", x, log_x), ("y", y, log_y)):
        if log and (values <= 0).any():
            raise NbkitError(
                f"{who}: {name} must be above 0 on a log axis, got {np.nanmin(values):g}. "
                "Leave that point out or use a linear axis."
            )
    return x, y


def _band(curve: Curve, x: np.ndarray, y: np.ndarray, log_y: bool) -> dict[str, np.ndarray]:
    """The band as one outline, there along the upper edge and back along the lower one."""
    if curve.lower is None and curve.upper is None:
        return {"x": np.empty(0), "y": np.empty(0)}
    who = f"curves_figure (curve {curve.name!r})"
    if curve.lower is None or curve.upper is None:
        raise NbkitError(f"{who}: lower and upper must be given together, got one. Give both edges of the band.")
    lower = as_array(who, "lower", curve.lower, n_axes=1).astype(np.float64)
    upper = as_array(who, "upper", curve.upper, n_axes=1).astype(np.float64)
    if not lower.size == upper.size == x.size:
        raise NbkitError(
            f"{who}: lower and upper must have {x.size} entries as x, got {lower.size} and {upper.size}. "
            "Give one each a point."
        )
    inside = np.isfinite(lower) & np.isfinite(upper)
    if (lower > upper)[inside].any():
        raise NbkitError(f"{who}: lower must not exceed upper, got a band upside down. Swap the two.")
    if log_y and y.size:  # a band that reaches 0 has no lower end there: it leaves the picture
        lower = np.maximum(lower, np.nanmin(y) / 1000)
    x, lower, upper = x[inside], lower[inside], upper[inside]
    return {"x": np.concatenate([x, x[::-1]]), "y": np.concatenate([upper, lower[::-1]])}
