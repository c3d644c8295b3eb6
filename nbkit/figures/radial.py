"""Radial activations as pictures (radial networks, Figs. 1 and 2): the plane they bend, and the functions h on the line."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nbkit.errors import NbkitError
from nbkit.figures.arrays import as_array
from nbkit.figures.template import FAINT, FAMILY_COLOURS, INK, dress, translucent

__all__ = [
    "radial_functions_figure",
    "radial_functions_traces",
    "rescaling_figure",
    "rescaling_traces",
]

_ROOM = 2.9  # of the plane's axes, from its middle
_STEEPEST = 3.0  # what is shown of h(|v|) and of h(|v|) / |v|
_COLOURS = {"pointwise": FAMILY_COLOURS["dense"], "radial": FAMILY_COLOURS["radial"]}


def rescaling_figure(
    grid: object, images: Mapping[str, tuple[object, object]], *, title: str = "", height: int = 430
) -> go.Figure:
    """A turned grid, its image, and the turned image of the grid that was not turned: pointwise left, radial right.

    Four traces a panel: the turned grid (faint), turned then bent (broad), bent then turned (thin), and what joins
    points that differ.

    Args:
        grid: (n, 2) lines of the turned grid, one after the other with rows of NaN between.
        images: "pointwise" and "radial" -> two (n, 2) arrays, activation behind turn and turn behind activation.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: arrays that are not (n, 2), or not as long as the grid.

    Source:
        Radial networks, Fig. 1 and section 3.
    """
    figure = make_subplots(1, 2, horizontal_spacing=0.06, subplot_titles=[*_COLOURS])
    for column, (name, colour) in enumerate(_COLOURS.items(), start=1):
        styles = {
            "turned grid": {"color": FAINT, "width": 0.8},
            f"{name}: turn, then activate": {"color": translucent(colour, 0.5), "width": 4.5},
            f"{name}: activate, then turn": {"color": INK, "width": 1},
            f"{name}: difference": {"color": translucent(FAMILY_COLOURS["sao"], 0.6), "width": 1},
        }
        for what, line in styles.items():
            figure.add_trace(go.Scatter(name=what, mode="lines", line=line, hoverinfo="skip"), 1, column)
    for trace, values in zip(figure.data, rescaling_traces(grid, images), strict=True):
        trace.update(values)
    axis = {"range": [-_ROOM, _ROOM], "dtick": 1, "showgrid": False, "zeroline": True, "zerolinecolor": FAINT}
    figure.update_xaxes(**axis, title_text="coordinate v₁", constrain="domain")
    figure.update_yaxes(**axis, constrain="domain")
    figure.update_layout(yaxis={"scaleanchor": "x", "title_text": "coordinate v₂"}, yaxis2_scaleanchor="x2")
    return _headed(dress(figure, title, height=height, hovermode=False))


def rescaling_traces(grid: object, images: Mapping[str, tuple[object, object]]) -> list[dict[str, np.ndarray]]:
    """What the eight traces of `rescaling_figure` hold.

    Raises:
        NbkitError: as `rescaling_figure`.
    """
    turned = as_array("rescaling_figure", "grid", grid, n_axes=2)
    traces = []
    for name in _COLOURS:
        first, second = (as_array("rescaling_figure", name, points, n_axes=2) for points in images[name])
        if not turned.shape == first.shape == second.shape == (len(turned), 2):
            raise NbkitError(
                f"rescaling_figure: grid and images must be (n, 2), got {turned.shape}, {first.shape} and "
                f"{second.shape}. Give each point of the grid its two images."
            )
        differ = np.flatnonzero(np.linalg.norm(first - second, axis=1) > 1e-9)[::8]
        joined = np.stack([first[differ], second[differ], np.full((differ.size, 2), np.nan)], axis=1).reshape(-1, 2)
        lines = [turned, *(_broken(points, points, jump=0.5) for points in (first, second)), joined]
        traces += [dict(zip("xy", points.T.copy(), strict=True)) for points in lines]
    return traces


def _broken(rows: np.ndarray, heights: np.ndarray, *, jump: float) -> np.ndarray:
    """The rows with one of NaN between neighbours whose heights (n, k) are further apart than `jump`: a gap, no line."""
    leaps = np.flatnonzero(np.linalg.norm(np.diff(heights, axis=0), axis=1) > jump) + 1
    return np.insert(rows, leaps, np.nan, axis=0)


def radial_functions_figure(
    v: object,
    functions: Mapping[str, tuple[object, object]],
    *,
    jumps: Mapping[str, Sequence[float]],
    point: float,
    title: str = "",
    height: int = 500,
) -> go.Figure:
    """The radial rescalings of the line, v -> h(|v|) v / |v| (solid), and the factor h(|v|) / |v| (dashed), one a panel.

    Four traces a panel: the image, the factor, the values where it jumps, and the chosen point with its image.

    Args:
        v: (n,) ascending in equal steps.
        functions: six at most, name -> (image, factor), (n,) each; NaN is a gap.
        jumps: name -> the v where the image jumps; its value there is a dot.
        point: the v whose image is marked.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: arrays of other lengths.

    Source:
        Radial networks, Example 1 and Fig. 2.
    """
    figure = make_subplots(2, 3, subplot_titles=[*functions], horizontal_spacing=0.07, vertical_spacing=0.16)
    colour, mark = FAMILY_COLOURS["radial"], FAMILY_COLOURS["sao"]
    for i in range(len(functions)):
        parts = [
            {"name": "image", "mode": "lines", "line": {"color": colour, "width": 2.4}},
            {"name": "factor", "mode": "lines", "line": {"color": INK, "width": 1.4, "dash": "dash"}},
            {"name": "value at a jump", "mode": "markers", "marker": {"color": colour, "size": 7}},
            {
                "name": "v",
                "mode": "markers+text",
                "marker": {"color": mark, "size": 10, "symbol": "diamond"},
                "textfont": {"color": mark},
                "cliponaxis": False,
            },
        ]
        for part in parts:
            figure.add_trace(go.Scatter(part), 1 + i // 3, 1 + i % 3)
    traces = radial_functions_traces(v, functions, jumps=jumps, point=point)
    for trace, values in zip(figure.data, traces, strict=True):
        trace.update(values)
    axis = {"zeroline": True, "zerolinecolor": FAINT, "showgrid": False, "tickvals": [-2, 0, 2], "automargin": False}
    figure.update_xaxes(**axis, range=[float(np.min(v)), float(np.max(v))])
    figure.update_yaxes(**axis, range=[-_STEEPEST, _STEEPEST])
    figure.update_xaxes(title_text="v", row=2)
    figure.update_yaxes(title_text="h(|v|) v/|v|", col=1)
    return _headed(dress(figure, title, height=height, hovermode="closest"))


def _headed(figure: go.Figure) -> go.Figure:
    """The figure with room for the panels' headings below its title."""
    return figure.update_layout(margin_t=figure.layout.margin.t + 22).update_annotations(font_size=12)


def radial_functions_traces(
    v: object, functions: Mapping[str, tuple[object, object]], *, jumps: Mapping[str, Sequence[float]], point: float
) -> list[dict[str, object]]:
    """What the traces of `radial_functions_figure` hold.

    Raises:
        NbkitError: as `radial_functions_figure`.
    """
    who, at = "radial_functions_figure", as_array("radial_functions_figure", "v", v, n_axes=1)
    traces: list[dict[str, object]] = []
    for name, (images, factors) in functions.items():
        image, factor = (as_array(who, name, values, n_axes=1).astype(float) for values in (images, factors))
        if not image.size == factor.size == at.size:
            raise NbkitError(
                f"{who}: {name} must have {at.size} values as v, got {image.size} and {factor.size}. Give each v its two."
            )
        rows = np.stack([at, image, np.where(factor > 2 * _STEEPEST, np.nan, factor)], axis=1)
        x, y, scale = _broken(rows, image[:, None], jump=3 * (at[1] - at[0])).T.copy()
        here = int(np.argmin(np.abs(at - point)))
        dots = [np.isin(at, jumps.get(name, ())), np.arange(at.size) == here]
        traces += [{"x": x, "y": y}, {"x": x, "y": scale}, *({"x": at[dot], "y": image[dot]} for dot in dots)]
        words = {"text": [f"{image[here]:.3g}"], "textposition": "bottom right" if at[here] < 0 else "top left"}
        traces[-1] |= words
    return traces
