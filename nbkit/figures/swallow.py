"""Balls that swallow points, layer by layer (radial networks, Fig. 3), and the function that the network has by then."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from nbkit.errors import NbkitError
from nbkit.figures.arrays import as_array
from nbkit.figures.template import FAINT, FAMILY_COLOURS, INK, MAGNITUDE, dress, translucent

__all__ = ["disks_colours", "disks_figure", "disks_traces", "swallow_figure", "swallow_traces"]

_RADIAL, _NOW = FAMILY_COLOURS["radial"], FAMILY_COLOURS["sao"]
_HUES = [
    FAMILY_COLOURS[name] for name in ("radial", "radix", "xnet", "pruned", "decay", "sao", "dense")
]  # neighbours differ
_CIRCLE = np.linspace(0, 2 * np.pi, 33)


def swallow_figure(
    curves: Mapping[str, object],
    balls: tuple[object, object],
    points: tuple[object, object, object],
    *,
    layer: int,
    title: str = "",
    height: int = 560,
) -> go.Figure:
    """Above the function and the network behind `layer` layers, below the points that its balls have taken off the line.

    Ten traces: the band of eps about f, f (dashed), F (solid); the balls that wait, that have swallowed, the present
    one; what joins it with the place of its points; points on the line, swallowed points, those of the present ball.

    Args:
        curves: "x", "f", "F", (n,) each, and "eps".
        balls: centres (N,) and radii (N,), in the order of the layers.
        points: x (k,) where the points started, places (k, 2) where they are now, owners (k,): the ball that has each,
            counted from 0, or -1.
        layer: how many balls have swallowed.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: lengths that disagree.

    Source:
        Radial networks, section 4.1 and Fig. 3.
    """
    lines = {
        "ε about f": {"fill": "toself", "fillcolor": translucent(INK, 0.12), "line": {"width": 0}},
        "f": {"line": {"color": INK, "dash": "dash", "width": 1.6}},
        "F": {"line": {"color": _RADIAL, "width": 2.4}},
        "balls that wait": {"line": {"color": translucent(FAINT, 0.6), "width": 11}},
        "balls that have swallowed": {"line": {"color": translucent(_RADIAL, 0.35), "width": 11}},
        "this layer's ball": {"line": {"color": _NOW, "width": 11}},
        "on their way": {"line": {"color": translucent(_NOW, 0.35), "width": 1}},
    }  # fmt: skip
    dots = {"points on the line": (INK, 4), "swallowed points": (_RADIAL, 6), "swallowed now": (_NOW, 11)}
    traces = [go.Scatter(name=name, mode="lines", hoverinfo="skip", **style) for name, style in lines.items()]
    traces += [
        go.Scatter(name=name, mode="markers", marker={"color": colour, "size": size})
        for name, (colour, size) in dots.items()
    ]
    figure = go.Figure(traces)
    for trace in figure.data[3:]:
        trace.update(xaxis="x2", yaxis="y2")
    for trace, values in zip(figure.data, swallow_traces(curves, balls, points, layer=layer), strict=True):
        trace.update(values)
    return dress(
        figure, title, height=height, hovermode="closest",
        xaxis={"anchor": "y", "showticklabels": False, "matches": "x2"},
        yaxis={"domain": [0.56, 1], "title": {"text": "f(x) dashed, F(x) solid"}},
        xaxis2={"anchor": "y2", "title": {"text": "x"}, "range": [float(np.min(curves["x"])), float(np.max(curves["x"]))]},
        yaxis2={"domain": [0, 0.5], "anchor": "x2"},
    )  # fmt: skip


def swallow_traces(
    curves: Mapping[str, object], balls: tuple[object, object], points: tuple[object, object, object], *, layer: int
) -> list[dict[str, np.ndarray]]:
    """What the ten traces of `swallow_figure` hold.

    Raises:
        NbkitError: as `swallow_figure`.
    """
    who = "swallow_figure"
    x, f, output = (as_array(who, name, curves[name], n_axes=1).astype(float) for name in ("x", "f", "F"))
    centers, radii = (as_array(who, "balls", values, n_axes=1) for values in balls)
    starts, owners = (as_array(who, "points", points[i], n_axes=1) for i in (0, 2))
    places = as_array(who, "places", points[1], n_axes=2)
    if (
        not x.size == f.size == output.size
        or centers.size != radii.size
        or not len(starts) == len(places) == owners.size
    ):
        raise NbkitError(
            f"{who}: x, f and F, centres and radii, points, places and owners must be equally long, got "
            f"{(x.size, f.size, output.size)}, {(centers.size, radii.size)}, {(starts.size, len(places), owners.size)}."
        )
    eps, present = curves["eps"], layer - 1
    at = np.arange(centers.size)
    taken = owners == present if layer else np.zeros(owners.size, dtype=bool)
    paths = np.stack([starts, places[:, 0], np.full(starts.size, np.nan)], axis=1)[taken].ravel()
    heights = np.stack([np.zeros(starts.size), places[:, 1], np.full(starts.size, np.nan)], axis=1)[taken].ravel()
    free = owners < 0
    return [
        {"x": np.concatenate([x, x[::-1]]), "y": np.concatenate([f + eps, (f - eps)[::-1]])},
        {"x": x, "y": f},
        {"x": x, "y": output},
        *(_intervals(centers[which], radii[which]) for which in (at >= layer, at < present, at == present)),
        {"x": paths, "y": heights},
        *({"x": places[which, 0], "y": places[which, 1]} for which in (free, ~free & ~taken, taken)),
    ]


def _intervals(centers: np.ndarray, radii: np.ndarray) -> dict[str, np.ndarray]:
    ends = np.stack([centers - radii, centers + radii, np.full(centers.size, np.nan)], axis=1).ravel()
    return {"x": ends, "y": np.zeros(ends.size)}


def disks_figure(
    side: object,
    values: Mapping[str, object],
    balls: tuple[object, object],
    points: tuple[object, object],
    *,
    layer: int,
    eps: float,
    title: str = "",
    height: int = 640,
) -> go.Figure:
    """The plane under a cover of disks: points in the colour of the disk that has them, F beside f, and |F - f|.

    Seven traces: f, F, |F - f|, the disks that wait, that have swallowed, the present one, and the points.

    Args:
        side: (k,) coordinates of the grid along each axis.
        values: "f" and "F", (k, k) each, the rows are values of the second coordinate.
        balls: centres (N, 2) and radii (N,), in the order of the layers.
        points: (p, 2) and their owners (p,): the ball that has each, counted from 0, or -1.
        layer: how many balls have swallowed.
        eps: the error that is wanted, the middle of the error's colours.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: sizes that disagree.
    """
    hover = "%{z:.3g} at (%{x:.2f}, %{y:.2f})<extra></extra>"
    lines = {"disks that wait": (FAINT, 0.8), "disks that have swallowed": (INK, 0.8), "this layer's disk": (_NOW, 3)}
    maps = {"f": ("x2", "y2", "coloraxis"), "F": ("x3", "y3", "coloraxis"), "|F − f|": ("x4", "y4", "coloraxis2")}
    figure = go.Figure(
        [
            go.Heatmap(name=name, xaxis=x, yaxis=y, coloraxis=colours, hovertemplate=hover)
            for name, (x, y, colours) in maps.items()
        ]
    )
    for name, (colour, width) in lines.items():
        figure.add_scatter(name=name, mode="lines", line={"color": colour, "width": width}, hoverinfo="skip")
    figure.add_scatter(name="points", mode="markers", marker={"size": 5}, hoverinfo="skip")
    for trace, update in zip(figure.data, disks_traces(side, values, balls, points, layer=layer), strict=True):
        trace.update(update)
    dress(figure, title, height=height, right=70, hovermode="closest", **_panels(float(np.max(side))))
    return figure.update_layout(margin_t=figure.layout.margin.t + 18, **disks_colours(values["f"], eps))


def disks_colours(f: object, eps: float) -> dict[str, object]:
    """Colour axes of `disks_figure`: from the least to the largest f, and errors from 0 to 2 eps."""
    bar = {"thickness": 10, "len": 0.44, "outlinewidth": 0, "x": 1.0, "xanchor": "left"}
    words = {"tickvals": [0, eps, 2 * eps], "ticktext": ["0", "ε", "≥ 2 ε"]}
    return {
        "coloraxis": {
            "colorscale": MAGNITUDE, "cmin": float(np.min(f)), "cmax": float(np.max(f)), "colorbar": bar | {"y": 0.78}
        },
        "coloraxis2": {"colorscale": MAGNITUDE, "cmin": 0, "cmax": 2 * eps, "colorbar": bar | words | {"y": 0.22}},
    }  # fmt: skip


def disks_traces(
    side: object,
    values: Mapping[str, object],
    balls: tuple[object, object],
    points: tuple[object, object],
    *,
    layer: int,
) -> list[dict[str, object]]:
    """What the seven traces of `disks_figure` hold.

    Raises:
        NbkitError: as `disks_figure`.
    """
    who = "disks_figure"
    along = as_array(who, "side", side, n_axes=1)
    f, output = (as_array(who, name, values[name], n_axes=2) for name in ("f", "F"))
    centers, places = as_array(who, "centres", balls[0], n_axes=2), as_array(who, "points", points[0], n_axes=2)
    radii, owners = as_array(who, "radii", balls[1], n_axes=1), as_array(who, "owners", points[1], n_axes=1)
    if (
        not f.shape == output.shape == (along.size,) * 2
        or centers.shape != (radii.size, 2)
        or places.shape != (owners.size, 2)
    ):
        raise NbkitError(
            f"{who}: f and F must be ({along.size}, {along.size}), centres and points (n, 2), radii and owners as many, "
            f"got {f.shape}, {output.shape}, {centers.shape}, {radii.shape}, {places.shape}, {owners.shape}."
        )
    at = np.arange(radii.size)
    colours = [FAINT if owner < 0 else _HUES[owner % len(_HUES)] for owner in owners.tolist()]
    return [
        *({"x": along, "y": along, "z": z} for z in (f, output, np.abs(output - f))),
        *(_circles(centers[which], radii[which]) for which in (at >= layer, at < layer - 1, at == layer - 1)),
        {"x": places[:, 0], "y": places[:, 1], "marker": {"color": colours}},
    ]


def _circles(centers: np.ndarray, radii: np.ndarray) -> dict[str, np.ndarray]:
    """Circles one after the other, with NaN between."""
    unit = np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE)])
    rings = centers[:, :, None] + radii[:, None, None] * unit
    x, y = np.concatenate([rings, np.full((len(centers), 2, 1), np.nan)], axis=2).transpose(1, 0, 2).reshape(2, -1)
    return {"x": x, "y": y}


def _panels(reach: float) -> dict[str, object]:
    """Axes and headings of `disks_figure`: disks and f above, F and its error below."""
    layout: dict[str, object] = {"annotations": []}
    places = [
        ((0.0, 0.44), (0.56, 1.0)),
        ((0.54, 0.98), (0.56, 1.0)),
        ((0.0, 0.44), (0.0, 0.44)),
        ((0.54, 0.98), (0.0, 0.44)),
    ]
    for number, (across, up) in enumerate(places, start=1):
        name = "" if number == 1 else number
        frame = {"range": [-reach, reach], "showgrid": False, "tickvals": [-1, 0, 1], "constrain": "domain"}
        layout[f"xaxis{name}"] = frame | {"domain": across, "anchor": f"y{name}"}
        layout[f"yaxis{name}"] = frame | {"domain": up, "anchor": f"x{name}", "scaleanchor": f"x{name}"}
        heading = ("points and disks", "f", "F", "|F − f|")[number - 1]
        corner = {"x": 0.5, "y": 1, "xref": f"x{name} domain", "yref": f"y{name} domain", "yanchor": "bottom"}
        layout["annotations"].append(corner | {"text": heading, "showarrow": False, "font": {"size": 12}})
    return layout
