"""Reachability of several families side by side: small matrices left, the joined fraction by depth right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from nbkit.figures.arrays import as_matrix, encode_png, png_address
from nbkit.figures.curves import Curve, curves_figure
from nbkit.figures.template import FAINT, INK, family_colour, palette

__all__ = ["ReachPanel", "reach_figure", "reach_layout", "shrunk_png"]

_LEFT, _GAP = 0.5, 0.16  # of the drawing area: the matrices, then room for the curves' axis title
_TITLE = 0.07  # of the height above each panel, for its name and its percentage
_ACROSS, _DOWN = 2, 3  # at most, at least: on a page of 1000 px a name is as wide as half of the left part
_TOP = 1.22  # many curves end at 1, and their labels stand above one another
_FIFTHS = [0, 0.2, 0.4, 0.6, 0.8, 1]
_MOST_ENTRIES = 128  # a side: a panel has about as many px, and a browser that shrinks stripes invents others


@dataclass(frozen=True, eq=False)
class ReachPanel:
    """One family's reachability matrix.

    Args:
        name: stands above the panel, with the fraction of joined pairs.
        family: whose colour the name has, a key of `FAMILY_COLOURS`.
        matrix: (n_in, n_out) of 0 and 1, or None where there is none.
        note: why there is none, written into the empty panel.
        is_shown: a hidden panel leaves its place to the others.
    """

    name: str
    family: str
    matrix: object = None
    note: str = ""
    is_shown: bool = True


def reach_figure(
    panels: Sequence[ReachPanel], curves: Sequence[Curve], *, depth: int, title: str = "", height: int = 620
) -> go.Figure:
    """Who is reached after `depth` layers, family by family, beside the joined fraction at every depth.

    The traces are those of `curves_figure`, then an empty one for each panel; `reach_layout` moves the panels.

    Args:
        panels: one a family; their number is fixed, not shown is allowed.
        curves: fraction of joined pairs against depth.
        depth: number of layers crossed, where the dotted line stands.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: a matrix without entries, an unknown family, curves as `curves_figure` refuses them.
    """
    figure = curves_figure(curves, x_label="depth L", y_label="fraction of joined pairs", title=title, height=height)
    for number in range(2, len(panels) + 2):  # an axis without a trace is not drawn
        figure.add_trace(go.Scatter(x=(), y=(), hoverinfo="skip", xaxis=f"x{number}", yaxis=f"y{number}"))
    figure.update_layout(margin_l=16, yaxis_title={"font": {"size": 13}, "standoff": 6})  # panels have no labels
    figure.update_layout(xaxis_domain=[_LEFT + _GAP, 1], yaxis_range=[-0.02, _TOP], yaxis_tickvals=_FIFTHS)
    return figure.update_layout(**reach_layout(panels, depth=depth))


def reach_layout(panels: Sequence[ReachPanel], *, depth: int) -> dict[str, object]:
    """The matrices, names and axes of `reach_figure`, by their keys in a figure's layout.

    To move an existing picture, assign the entries that have changed: plotly takes long to compare them itself.

    Raises:
        NbkitError: a matrix without entries, an unknown family.
    """
    n_shown = max(1, sum(panel.is_shown for panel in panels))
    across = min(n_shown, _ACROSS)
    down = max(_DOWN, -(-n_shown // across))
    here = {"type": "line", "x0": depth, "x1": depth, "y0": 0, "y1": 1, "xref": "x", "yref": "y domain"}
    layout = {
        "images": [],
        "annotations": [],
        "shapes": [{**here, "line": {"color": INK, "width": 1.2, "dash": "dot"}}],
    }
    place = 0
    for number, panel in enumerate(panels, start=2):
        column, row = place % across, place // across
        place += panel.is_shown
        left, width = column * _LEFT / across, _LEFT / across * 0.92
        top = 1 - row / down
        _place(layout, panel, number, (left, left + width), (top - 1 / down + 0.012, top - _TITLE))
    return layout


def _place(
    layout: dict[str, object], panel: ReachPanel, number: int, x: tuple[float, float], y: tuple[float, float]
) -> None:
    """One panel under its own pair of axes within the given part of the drawing area."""
    frame = {"visible": panel.is_shown, "showgrid": False, "ticks": "", "showticklabels": False, "title": {"text": ""}}
    frame |= {"mirror": True, "showline": True, "linecolor": FAINT}
    n_in, n_out = (1, 1) if panel.matrix is None else as_matrix("reach_figure", panel.matrix).shape
    # No scaleanchor: plotly keeps the old domain of axes that are square by constraint, and panels would not move.
    layout[f"xaxis{number}"] = {**frame, "domain": x, "range": [-0.5, n_out - 0.5], "anchor": f"y{number}"}
    layout[f"yaxis{number}"] = {**frame, "domain": y, "range": [n_in - 0.5, -0.5], "anchor": f"x{number}"}
    if not panel.is_shown:
        return
    layout["annotations"].append(_heading(panel, x[0], y[1]))
    if panel.note:
        middle = {"xref": f"x{number} domain", "yref": f"y{number} domain", "x": 0.5, "y": 0.5, "showarrow": False}
        layout["annotations"].append({**middle, "text": panel.note, "font": {"size": 10}})
    if panel.matrix is not None:
        corner = {"xref": f"x{number}", "yref": f"y{number}", "x": -0.5, "y": -0.5, "sizex": n_out, "sizey": n_in}
        source = png_address(shrunk_png(as_matrix("reach_figure", panel.matrix) != 0))
        layout["images"].append({**corner, "source": source, "sizing": "stretch", "layer": "below"})


def shrunk_png(matrix: np.ndarray) -> bytes:
    """Ink on paper; entries of a large matrix are drawn several together, as dark as they are many."""
    together = -(-max(matrix.shape) // _MOST_ENTRIES)
    rows, columns = (-(-size // together) for size in matrix.shape)
    filled = np.pad(matrix, [(0, -size % together) for size in matrix.shape], mode="edge")
    levels = filled.reshape(rows, together, columns, together).sum(axis=(1, 3))
    paper, ink = palette("ink").astype(float)
    shades = paper + (ink - paper) * np.linspace(0, 1, together**2 + 1)[:, None]
    return encode_png(levels, shades.round().astype(np.uint8), at_least=_MOST_ENTRIES)


def _heading(panel: ReachPanel, x: float, y: float) -> dict[str, object]:
    share = "" if panel.matrix is None else f"<br><b>{_percent(as_matrix('reach_figure', panel.matrix).mean())}</b>"
    font = {"size": 10.5, "color": family_colour("reach_figure", panel.family)}
    where = {"xref": "paper", "yref": "paper", "x": x, "y": y, "xanchor": "left", "yanchor": "bottom"}
    return {**where, "text": f"{panel.name}{share}", "font": font, "align": "left", "showarrow": False}


def _percent(fraction: float) -> str:
    """Three digits, and 100 % only when it is."""
    return "100 %" if fraction == 1 else f"{min(100 * fraction, 99.9):.3g} %"
