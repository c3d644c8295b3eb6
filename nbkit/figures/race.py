"""Stored races of a radial network against its compressed twin (experiment 3): steps, time a step, time in all."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nbkit.errors import NbkitError
from nbkit.figures.arrays import as_array
from nbkit.figures.template import FAINT, FAMILY_COLOURS, INK, dress

__all__ = ["race_figure"]

_NETS = {"full": "circle", "compressed": "diamond"}
_PANELS = {
    "steps": ("steps (log)", 1, {"type": "log", "dtick": "D2", "tickformat": "~g"}),
    "seconds_per_step": ("ms a step", 1000, {"rangemode": "tozero"}),
    "seconds": ("seconds in all (log)", 1, {"type": "log", "dtick": "D2", "tickformat": "~g"}),
}
_COLOUR = FAMILY_COLOURS["radial"]


def race_figure(runs: Mapping[str, object], *, title: str = "", height: int = 420) -> go.Figure:
    """Three panels, full beside compressed: a point a run, a line a seed, a bar at the median.

    A run that did not reach its loss is a cross where it was given up. Its true place is higher: in the medians of steps
    and seconds it counts as infinite, and a median that is infinite has no bar.

    Args:
        runs: columns of one race, one rate a network, equally long: net ("full" or "compressed"), seed, steps,
            reached (0 or 1), seconds_per_step, seconds; any others are left aside.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: a missing column, another network, two runs of one network and seed, a number that is not above 0.
    """
    columns = _checked(runs)
    figure = make_subplots(1, len(_PANELS), horizontal_spacing=0.15)
    x = np.array([list(_NETS).index(name) for name in columns["net"]])
    reached = columns["reached"] > 0
    for number, (key, (label, scale, axis)) in enumerate(_PANELS.items(), start=1):
        values = columns[key] * float(scale)
        arrived = np.where(reached | (key == "seconds_per_step"), values, np.inf)
        for trace in _traces(x, values, columns["seed"], reached, arrived):
            figure.add_trace(trace, 1, number)
        figure.update_yaxes(title_text=label, col=number, **axis)
        figure.update_xaxes(tickvals=[0, 1], ticktext=list(_NETS), range=[-0.5, 1.5], title_text="network", col=number)
    return dress(figure, title, height=height, hovermode="closest")


def _traces(
    x: np.ndarray, values: np.ndarray, seeds: np.ndarray, reached: np.ndarray, arrived: np.ndarray
) -> list[go.Scatter]:
    pairs = [values[(seeds == seed) & (x == side)] for seed in np.unique(seeds) for side in (0, 1)]
    ends = np.array([pair[0] if pair.size else np.nan for pair in pairs]).reshape(-1, 2)
    gaps = np.pad(ends, ((0, 0), (0, 1)), constant_values=np.nan).ravel()
    told = np.array([f"seed {seed}" for seed in seeds])
    marks = np.array(list(_NETS.values()))[x]
    medians = np.array([np.median(arrived[x == side]) if (x == side).any() else np.nan for side in (0, 1)])
    medians[np.isinf(medians)] = np.nan
    size = {"color": _COLOUR, "size": 8}
    return [
        go.Scatter(
            name="seeds", mode="lines", line={"color": FAINT, "width": 1}, hoverinfo="skip",
            x=np.tile([0, 1, np.nan], len(ends)), y=gaps,
        ),
        go.Scatter(
            name="arrived", mode="markers", x=x[reached], y=values[reached], marker=size | {"symbol": list(marks[reached])},
            text=told[reached], hovertemplate="%{text}: %{y:.3g}<extra></extra>",
        ),
        go.Scatter(
            name="stalled", mode="markers", x=x[~reached], y=values[~reached], marker=size | {"symbol": "x", "color": INK},
            text=told[~reached], hovertemplate="%{text}: not reached after %{y:.3g}<extra></extra>",
        ),
        go.Scatter(
            name="median", mode="markers", x=[0, 1], y=medians, hovertemplate="median %{y:.3g}<extra></extra>",
            marker={"symbol": "line-ew", "size": 26, "line": {"color": INK, "width": 2}},
        ),
    ]  # fmt: skip


def _checked(runs: Mapping[str, object]) -> dict[str, np.ndarray]:
    wanted = ("net", "seed", "reached", *_PANELS)
    if missing := [name for name in wanted if name not in runs]:
        raise NbkitError(
            f"race_figure: runs must have the columns {', '.join(wanted)}, got none of {missing}. Add them."
        )
    columns = {name: as_array("race_figure", name, runs[name], n_axes=1) for name in wanted[1:]}
    columns["net"] = np.asarray(runs["net"], dtype=str)
    if len({len(column) for column in columns.values()}) > 1 or not set(columns["net"]) <= set(_NETS):
        raise NbkitError(
            f"race_figure: runs must be columns of one length, net one of {', '.join(_NETS)}, got "
            f"{ {name: len(column) for name, column in columns.items()} } and {sorted(set(columns['net']))}. "
            "Choose the rows of one race."
        )
    if len(set(zip(columns["net"], columns["seed"].tolist(), strict=True))) < len(columns["net"]):
        raise NbkitError(
            "race_figure: runs must be one of each network and seed, got several. Choose one learning rate."
        )
    if any((columns[name] <= 0).any() for name in _PANELS):
        raise NbkitError(
            "race_figure: steps and seconds must be above 0 on a log axis, got 0 or less. Leave those out."
        )
    return columns
