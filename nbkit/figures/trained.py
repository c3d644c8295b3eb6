"""Growth in trained networks beside their controls: the factor against sigma_w, and length against depth."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nbkit.errors import NbkitError, check_choice
from nbkit.figures.arrays import as_array
from nbkit.figures.curves import label_places
from nbkit.figures.template import FAINT, FAMILY_COLOURS, dress

__all__ = ["TRAINED_KINDS", "Points", "trained_figure", "trained_traces"]

#: kind of network or line -> its label, marker, opacity. All are dense nets and have the dense colour.
TRAINED_KINDS = {
    "within": ("● within a class", "circle", 1.0),
    "between": ("◆ between", "diamond", 1.0),
    "untrained": ("○ untrained twin", "circle-open", 0.6),
    "random": ("× random net", "x-thin", 0.6),
}
#: sigma_w (k,), growth of n lines (n, k), half a bar's height (n, k) or None
Points = tuple[np.ndarray, np.ndarray, np.ndarray | None]

_COLOUR, _LAW = FAMILY_COLOURS["dense"], "σ_w / √2"
_PANEL_PX, _RIGHT_PX = (270, 190), 138


def trained_figure(
    growth: Mapping[str, Points],
    lengths: Mapping[str, object],
    trails: Sequence[tuple[object, object]] = (),
    *,
    title: str = "",
    height: int = 640,
) -> go.Figure:
    """Above growth against sigma_w, each network beside its controls; below length against depth of one sigma_w.

    The rms law of random nets, growth = sigma_w / sqrt 2, is dashed.

    Args:
        growth: kind of `TRAINED_KINDS` -> Points; a kind that is missing is not drawn. With several lines each is a
            thin curve of its own.
        lengths: kind -> (depth + 1,) lengths behind 0, 1, ... layers, above 0.
        trails: (x, y) of each way a group of networks took.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: an unknown kind, sizes that do not fit, a length of 0 or below.
    """
    figure = make_subplots(2, 1, row_heights=[0.58, 0.42], vertical_spacing=0.17)
    line = {"color": _COLOUR, "width": 2}
    figure.add_trace(
        go.Scatter(name=_LAW, mode="lines", line=line | {"dash": "dash", "width": 1.6}, hoverinfo="skip"), 1, 1
    )
    figure.add_trace(go.Scatter(name="way", mode="lines", line={"color": FAINT, "width": 1.4}, hoverinfo="skip"), 1, 1)
    for row in (1, 2):
        for kind, (name, symbol, opacity) in TRAINED_KINDS.items():
            marker = {"symbol": symbol, "color": _COLOUR, "size": 8, "line": {"color": _COLOUR, "width": 1.6}}
            if kind == "random" and row == 1:
                figure.add_trace(go.Scatter(name=name, mode="markers", marker=marker, opacity=opacity), row, 1)
            else:
                lines = {"mode": "lines+markers", "line": line | {"width": 1.6 if opacity == 1 else 1.2}}
                figure.add_trace(go.Scatter(name=name, marker=marker, opacity=opacity, **lines), row, 1)
        labels = {"mode": "text", "textposition": "middle right", "cliponaxis": False, "hoverinfo": "skip"}
        figure.add_trace(go.Scatter(name="labels", textfont={"color": _COLOUR}, **labels), row, 1)
    for trace, values in zip(figure.data, trained_traces(growth, lengths, trails), strict=True):
        trace.update(values)
    figure.update_xaxes(title_text="σ_w of the weights as they are now", row=1)
    figure.update_yaxes(title_text="growth factor of a layer", row=1)
    figure.update_xaxes(title_text="depth d", row=2, dtick=1)
    figure.update_yaxes(
        title_text="length ℓ over the line's (log)", type="log", exponentformat="power", nticks=3, row=2
    )
    return dress(figure, title, height=height, right=_RIGHT_PX, hovermode="closest")


def trained_traces(
    growth: Mapping[str, Points],
    lengths: Mapping[str, object],
    trails: Sequence[tuple[object, object]] = (),
    *,
    y_ranges: Sequence[tuple[float, float]] | None = None,
) -> list[dict[str, object]]:
    """What the traces of `trained_figure` hold; the same number whatever is missing.

    Args:
        growth, lengths, trails: as `trained_figure`.
        y_ranges: what the two y axes show, where they are fixed, so that labels keep apart on them.

    Raises:
        NbkitError: as `trained_figure`.
    """
    points = {check_choice("trained_figure", "kind", kind, TRAINED_KINDS): _checked(growth[kind]) for kind in growth}
    curves = {check_choice("trained_figure", "kind", kind, TRAINED_KINDS): _length(lengths[kind]) for kind in lengths}
    spans = [x for x, _, _ in points.values()]
    law = np.array([min(x.min() for x in spans), max(x.max() for x in spans)]) if spans else np.empty(0)
    ends = {_LAW: (law[-1:], law[-1:] / np.sqrt(2))} if spans else {}
    for kind, (x, y, _) in points.items():
        at = x.argmax()
        ends[TRAINED_KINDS[kind][0]] = x[at : at + 1], y[:, at].mean(keepdims=True)
    above = [{"x": law, "y": law / np.sqrt(2)}, _joined(trails)]
    above += [_drawn(points.get(kind)) for kind in TRAINED_KINDS]
    heights = [y.ravel() for _, y, _ in points.values()], list(curves.values())
    if y_ranges is not None:
        heights = [[np.array(ends)] for ends in y_ranges]
    depths = {kind: np.arange(len(y)) for kind, y in curves.items()}
    below = [{"x": depths.get(kind, np.empty(0)), "y": curves.get(kind, np.empty(0))} for kind in TRAINED_KINDS]
    last = {TRAINED_KINDS[kind][0]: (depths[kind][-1:], y[-1:]) for kind, y in curves.items()}
    return [*above, _labels(ends, heights[0], 0), *below, _labels(last, heights[1], 1)]


def _checked(points: Points) -> Points:
    x = as_array("trained_figure", "x", points[0], n_axes=1).astype(np.float64)
    y = np.atleast_2d(np.asarray(points[1], dtype=np.float64))
    spread = None if points[2] is None else np.atleast_2d(np.asarray(points[2], dtype=np.float64))
    if not len(x) or y.shape[1:] != x.shape or (spread is not None and spread.shape != y.shape):
        raise NbkitError(
            f"trained_figure: growth must be sigma_w (k,), growth (n, k) and bars (n, k) or None, got the shapes {x.shape}, "
            f"{y.shape} and {None if spread is None else spread.shape}. Give each sigma_w one growth a line."
        )
    return x, y, spread


def _length(values: object) -> np.ndarray:
    lengths = as_array("trained_figure", "lengths", values, n_axes=1).astype(np.float64)
    if not (lengths > 0).all():
        raise NbkitError(
            f"trained_figure: lengths must be above 0 on a log axis, got {lengths.min():g}. Leave dead lines out."
        )
    return lengths


def _drawn(points: Points | None) -> dict[str, object]:
    """All lines of a kind as one trace, gaps between them."""
    if points is None:
        return _joined([]) | {"error_y": {"visible": False}}
    x, y, spread = points
    values = _joined([(x, line) for line in y]) | {"marker": {"size": 8 if len(y) == 1 else 5}}
    bars = np.empty(0) if spread is None else _joined([(x, bar) for bar in spread])["y"]
    return values | {"error_y": {"array": bars, "visible": spread is not None, "width": 3, "thickness": 1.2}}


def _joined(lines: Sequence[tuple[object, object]]) -> dict[str, np.ndarray]:
    """Several lines as one, NaN between two."""
    if not lines:
        return {"x": np.empty(0), "y": np.empty(0)}
    gap = np.array([np.nan])
    xs, ys = ([np.concatenate([np.asarray(line[axis], dtype=np.float64), gap]) for line in lines] for axis in (0, 1))
    return {"x": np.concatenate(xs)[:-1], "y": np.concatenate(ys)[:-1]}


def _labels(ends: Mapping[str, tuple], heights: list[np.ndarray], row: int) -> dict[str, object]:
    if not ends:
        return {"x": np.empty(0), "y": np.empty(0), "text": []}
    places = label_places([y[0] for _, y in ends.values()], heights, log=row == 1, height=_PANEL_PX[row])
    furthest = max(float(x[0]) for x, _ in ends.values())  # labels stand in one column
    return {"x": np.full(len(ends), furthest), "y": places, "text": [f"  {name}" for name in ends]}
