"""Stored trainings of deep networks of one depth: how far each method gets, its Jacobian and its gradients on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nbkit.errors import check_choice
from nbkit.figures.deep import DEEP_LOOKS
from nbkit.figures.template import dress

__all__ = ["DeepTableView", "deep_table_figure", "deep_table_ranges", "deep_table_traces"]

_SIGNS = {"circle": "●", "square": "■", "diamond": "◆"}
_LEAST, _MOST = 1e-8, 1e8  # where logarithmic axes end
_MARKERS = 12  # of a curve, however many points it has
_PANELS = ("accuracies", "spectra", "gradients")
_LOG = {"type": "log", "exponentformat": "power", "nticks": 5}

Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class DeepTableView:
    """What `deep_table_figure` shows; whatever is left out is not drawn.

    Args:
        accuracies: method, a key of DEEP_LOOKS -> (epochs, shares of the test digits).
        spectra: method -> (epochs, a statistic of the singular values of its Jacobian).
        gradients: method -> (epochs, norms of a gradient).
    """

    accuracies: Curves = field(default_factory=dict)
    spectra: Curves = field(default_factory=dict, kw_only=True)
    gradients: Curves = field(default_factory=dict, kw_only=True)


def deep_table_figure(view: DeepTableView, *, title: str = "", height: int = 600) -> go.Figure:
    """Four panels: test error against the epoch, accuracy in the end, the Jacobian and the gradient against the epoch.

    The bars name each method by colour and marker. On the logarithmic axes a triangle is a value beyond their end, as
    the 0 of a Jacobian that pruning has cut.

    Args:
        view: what is shown.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: an unknown method.

    Source:
        Esguerra et al. 2023, Table 7 and Figure 11.
    """
    figure = make_subplots(2, 2, horizontal_spacing=0.24, vertical_spacing=0.17)
    bars = go.Bar(name="in the end", orientation="h", textposition="outside", cliponaxis=False, hoverinfo="skip")
    for place, name in enumerate(_PANELS):
        row, column = ((1, 1), (2, 1), (2, 2))[place]
        figure.add_traces([_line(name, method) for method in DEEP_LOOKS], rows=row, cols=column)
    figure.add_trace(bars, 1, 2)
    for trace, values in zip(figure.data, deep_table_traces(view), strict=True):
        trace.update(values)
    figure.update_xaxes(title_text="epoch")
    figure.update_xaxes(title_text="accuracy in the end", range=[0, 1.3], tickvals=[0, 0.5, 1], row=1, col=2)
    figure.update_yaxes(title_text="test error (log)", **_LOG, row=1, col=1)
    figure.update_yaxes(type="category", ticks="", dtick=1, tickfont={"size": 11}, row=1, col=2)
    figure.update_yaxes(title_text="singular value s of J (log)", **_LOG, row=2, col=1)
    figure.update_yaxes(title_text="gradient norm (log)", **_LOG, row=2, col=2)
    for axis, (low, high) in deep_table_ranges(view).items():
        figure.layout[axis].range = [*np.log10([low, high])] if figure.layout[axis].type == "log" else [low, high]
    return dress(figure, title, height=height, right=24, hovermode="closest", bargap=0.35)


def deep_table_traces(view: DeepTableView) -> list[dict[str, object]]:
    """What the traces of `deep_table_figure` hold; the same number whatever is missing.

    Raises:
        NbkitError: as `deep_table_figure`.
    """
    for name in _PANELS:
        for method in getattr(view, name):
            check_choice("deep_table_figure", "method", method, DEEP_LOOKS)
    curves = [_curve(view, name, method) for name in _PANELS for method in DEEP_LOOKS]
    there = [method for method in DEEP_LOOKS if method in view.accuracies][::-1]  # the first one on top
    ends = np.array([view.accuracies[method][1][-1] for method in there])
    looks = [DEEP_LOOKS[method] for method in there]
    bars = {
        "y": [f"{method} {_SIGNS[look.marker]}" for method, look in zip(there, looks, strict=True)],
        "x": ends,
        "text": [f"{end:.1%}" for end in ends],
        "marker": {"color": [look.colour for look in looks]},
    }
    return [*curves, bars]


def deep_table_ranges(view: DeepTableView) -> dict[str, tuple[float, float]]:
    """What the axes that grow need to show, in data units: axis -> (low, high)."""
    epochs = [epochs.max(initial=1) for name in _PANELS for epochs, _ in getattr(view, name).values()]
    across = 0.0, 1.03 * float(max(epochs, default=1))
    ranges = {axis: across for axis in ("xaxis", "xaxis3", "xaxis4")}
    errors = [1 - values for _, values in view.accuracies.values()]
    ranges["yaxis"] = 0.8 * float(np.clip(np.concatenate([*errors, np.ones(1)]), 1e-3, 1).min()), 1.1
    for axis, name in (("yaxis3", "spectra"), ("yaxis4", "gradients")):
        values = np.concatenate([values for _, values in getattr(view, name).values()] or [np.ones(1)])
        seen = np.clip(values[~np.isnan(values)], _LEAST, _MOST)
        low, high = (seen.min(), seen.max()) if seen.size else (0.1, 1.0)
        ranges[axis] = low / 3, high * 3
    return ranges


def _line(panel: str, method: str) -> go.Scatter:
    look = DEEP_LOOKS[method]
    return go.Scatter(
        name=f"{panel} {method}", mode="lines+markers", line={"color": look.colour, "width": 1.8},
        marker={"symbol": look.marker, "size": 6, "color": look.colour, "maxdisplayed": _MARKERS},
        hovertemplate=f"{method}, epoch %{{x}}: %{{y:.3g}}<extra></extra>",
    )  # fmt: skip


def _curve(view: DeepTableView, panel: str, method: str) -> dict[str, object]:
    epochs, values = getattr(view, panel).get(method, (np.empty(0), np.empty(0)))
    if panel == "accuracies":
        return {"x": epochs, "y": np.maximum(1 - values, _LEAST)}
    there = ~np.isnan(values)
    epochs, values = epochs[there], values[there]
    beyond = [values < _LEAST, values > _MOST]
    symbols: str | list[str] = DEEP_LOOKS[method].marker
    if np.any(beyond):
        symbols = np.select(beyond, ["triangle-down-open", "triangle-up-open"], symbols).tolist()
    return {"x": epochs, "y": np.clip(values, _LEAST, _MOST), "marker": {"symbol": symbols}}
