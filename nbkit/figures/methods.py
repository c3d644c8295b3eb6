"""How a method of regularisation is drawn beside others: its line, and the names at the lines' ends."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from nbkit.figures.curves import label_places
from nbkit.figures.decay import METHODS

__all__ = ["end_labels", "label_trace", "method_line", "rule_line"]


def method_line(method: str, *, dash: str = "solid", name: str = "", marked: bool = True) -> go.Scatter:
    """An empty line in the method's colour, a few of its markers on it."""
    look = METHODS[method]
    return go.Scatter(
        name=name or look.text, mode="lines+markers" if marked else "lines",
        line={"color": look.colour, "width": 2, "dash": dash},
        marker={"color": look.colour, "symbol": look.marker, "size": 7, "maxdisplayed": 12},
        hovertemplate="%{x:.4g}: %{y:.4g}",
    )  # fmt: skip


def rule_line(name: str, colour: str) -> go.Scatter:
    """An empty dashed line: what theory says."""
    return go.Scatter(name=name, mode="lines", line={"color": colour, "width": 1.5, "dash": "dash"}, hoverinfo="skip")


def label_trace(name: str = "labels") -> go.Scatter:
    """Empty names at lines' ends."""
    return go.Scatter(name=name, mode="text", textposition="middle right", cliponaxis=False, hoverinfo="skip")


def end_labels(
    ends: Mapping[str, tuple[float, str]], at: float, shown: tuple[float, float], *, log: bool, height: int
) -> dict[str, object]:
    """What `label_trace` holds: names in one column, pushed apart as little as needed.

    Args:
        ends: name -> (y, colour); a y that is not finite has no name.
        at: x of the column.
        shown: what the y axis shows.
        log: whether it is logarithmic.
        height: of the drawing area, in px.
    """
    there = {name: end for name, end in ends.items() if np.isfinite(end[0]) and (end[0] > 0 or not log)}
    heights = np.clip([y for y, _ in there.values()], *shown)
    return {
        "x": np.full(len(there), at),
        "y": label_places(heights, [np.array(shown)], log=log, inside=True, height=height),
        "text": [f" {name}" for name in there],
        "textfont": {"color": [colour for _, colour in there.values()]},
    }
