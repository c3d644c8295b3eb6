"""Two phase diagrams side by side on logarithmic axes: cells of colour, and lines across them where something is 1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nbkit.errors import NbkitError
from nbkit.figures.arrays import as_array
from nbkit.figures.template import CARD, INK, MAGNITUDE, SIGNED, dress

__all__ = ["PhasePanel", "phase_axes", "phase_figure", "phase_traces"]

_FOLD = 4.0  # of the signed map: it ends at 1 / 4 and 4
_SIGNED_TICKS = {"tickvals": [-2, -1, 0, 1, 2], "ticktext": ["≤ ¼", "½", "1", "2", "≥ 4"]}
_DASHES, _SIGNS = ("solid", "dash", "dot"), ("──", "- -", "···")
_LETTERS = 0.055  # of the drawing area's height: a line of words
_HALO = ", ".join([f"0px 0px 3px {INK}"] * 3)  # words lie on any colour


@dataclass(frozen=True, eq=False)
class PhasePanel:
    """One diagram; without cells an empty one.

    Args:
        name: stands above.
        x, y: (n,) and (m,) values of the cells, above 0 and ascending, about evenly spaced on a logarithmic axis.
        values: (m, n), row i of cells with y[i]; NaN is not known yet. At least 0 where the figure is signed.
        lines: name -> (x, y) of a line; NaN in y is a gap, a name that is missing an empty line.
    """

    name: str = ""
    x: object = ()
    y: object = ()
    values: object = field(default_factory=lambda: np.empty((0, 0)))
    lines: Mapping[str, tuple[object, object]] = field(default_factory=dict, kw_only=True)


def phase_figure(
    panels: Sequence[PhasePanel],
    lines: Sequence[str],
    *,
    x_label: str,
    y_label: str,
    value_label: str,
    signed: bool = False,
    title: str = "",
    height: int = 470,
) -> go.Figure:
    """Diagrams side by side with one colour map: a heat map each, then its lines, solid, dashed, dotted, and their names.

    Args:
        panels: left to right.
        lines: the names of all lines, in the same order in every panel; at most three.
        x_label, y_label, value_label: with their symbols.
        signed: what is 1 is white, more is vermilion, less is blue, by factors up to 4; default magnitudes in [0, 1].
        title: the finding.
        height: in px.

    Raises:
        NbkitError: a panel whose shapes do not fit.
    """
    figure = make_subplots(1, len(panels), horizontal_spacing=0.11, subplot_titles=[" "] * len(panels))
    for place in range(1, len(panels) + 1):
        cells = go.Heatmap(
            name="cells", coloraxis="coloraxis", hovertemplate="%{text}<extra></extra>", hoverongaps=False
        )
        drawn = [_line(name, dash, INK if signed else CARD) for name, dash in zip(lines, _DASHES, strict=False)]
        font = {"color": CARD, "size": 12, "shadow": _HALO}
        words = go.Scatter(name="names", mode="text", hoverinfo="skip", textposition="middle right", textfont=font)
        figure.add_traces([cells, *drawn, words], rows=1, cols=place)
    for trace, values in zip(figure.data, phase_traces(panels, lines, signed=signed), strict=True):
        trace.update(values)
    log = {"type": "log", "exponentformat": "power", "showgrid": False, "nticks": 6}
    figure.update_xaxes(title_text=f"{x_label} (log)", **log)
    figure.update_yaxes(title_text=f"{y_label} (log)", **log)
    bar = {"title": {"text": value_label, "side": "right"}, "thickness": 14, "outlinewidth": 0}
    scale = {"colorscale": MAGNITUDE, "cmin": 0, "cmax": 1, "colorbar": bar}
    if signed:
        scale = {"colorscale": SIGNED, "cmin": -np.log2(_FOLD), "cmax": np.log2(_FOLD), "colorbar": bar | _SIGNED_TICKS}
    dress(figure, title, height=height, hovermode="closest", coloraxis=scale)
    figure.update_layout(margin_t=figure.layout.margin.t + 24)
    axes = phase_axes(panels)
    for annotation, name in zip(figure.layout.annotations, axes.pop("names"), strict=True):
        annotation.update(text=name, font={"size": 13})
    for axis, ends in axes.items():
        figure.layout[axis].range = [*np.log10(ends)]
    return figure


def phase_axes(panels: Sequence[PhasePanel]) -> dict[str, object]:
    """What stands above the diagrams, "names", and what each axis shows, in data units: axis -> (low, high)."""
    ranges: dict[str, object] = {"names": [panel.name or " " for panel in panels]}
    for place, panel in enumerate(panels):
        for axis, values in (("xaxis", panel.x), ("yaxis", panel.y)):
            if np.size(values):
                ranges[f"{axis}{place + 1 if place else ''}"] = tuple(_edges(np.asarray(values, dtype=float))[[0, -1]])
    return ranges


def phase_traces(
    panels: Sequence[PhasePanel], lines: Sequence[str], *, signed: bool = False
) -> list[dict[str, object]]:
    """What the traces of `phase_figure` hold; the same number whatever is missing.

    Raises:
        NbkitError: as `phase_figure`.
    """
    traces = []
    for panel in panels:
        x, y, values = _checked(panel)
        shown = np.log2(np.maximum(values, 2.0**-20)) if signed else values
        told = [
            [f"{value:.3g} at {b:g}, {a:g}" for a, value in zip(x, row, strict=True)]
            for b, row in zip(y, values, strict=True)
        ]
        # None, for a cell that is not known: JSON has no NaN
        cells = np.where(np.isnan(shown), None, np.round(shown, 4)).tolist()
        drawn = [tuple(np.asarray(values, dtype=float) for values in panel.lines.get(name, ((), ()))) for name in lines]
        traces.append({"x": _edges(x), "y": _edges(y), "z": cells, "text": told})
        traces += [{"x": a, "y": b} for a, b in drawn]
        traces.append(_words(lines, drawn, _edges(x), _edges(y)))
    return traces


def _line(name: str, dash: str, colour: str) -> go.Scatter:
    return go.Scatter(name=name, mode="lines", line={"color": colour, "width": 2.4, "dash": dash}, hoverinfo="name")


def _words(names: Sequence[str], drawn: Sequence[tuple], x: np.ndarray, y: np.ndarray) -> dict[str, object]:
    """The names of the lines that are there, above one another in the lower left corner, where none runs."""
    told = [f" {sign} {name}" for name, sign, (at, _) in zip(names, _SIGNS, drawn, strict=False) if at.size > 1]
    if not x.size:
        return {"x": x, "y": x, "text": []}
    shares = _LETTERS * (0.7 + np.arange(len(told))[::-1])
    return {"x": np.full(len(told), x[0]), "y": y[0] * (y[-1] / y[0]) ** shares, "text": told}


def _checked(panel: PhasePanel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    who = f"phase_figure (panel {panel.name!r})"
    x, y = (as_array(who, name, getattr(panel, name), n_axes=1).astype(np.float64) for name in "xy")
    values = as_array(who, "values", panel.values, n_axes=2).astype(np.float64)
    if values.shape != (y.size, x.size):
        raise NbkitError(
            f"{who}: values must have the shape {(y.size, x.size)} of y and x, got {values.shape}. Give one row each y."
        )
    if any((axis <= 0).any() or (np.diff(axis) <= 0).any() for axis in (x, y)):
        raise NbkitError(f"{who}: x and y must be above 0 and ascend, got other values. Sort them.")
    return x, y, values


def _edges(centres: np.ndarray) -> np.ndarray:
    """Where cells with these middles begin and end, on a logarithmic axis."""
    if centres.size < 2:
        return np.concatenate([centres / 1.5, centres * 1.5])
    logs = np.log(centres)
    inner = (logs[1:] + logs[:-1]) / 2
    return np.exp(np.concatenate([[2 * logs[0] - inner[0]], inner, [2 * logs[-1] - inner[-1]]]))
