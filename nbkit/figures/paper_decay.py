"""The stored trainings under weight decay at the paper's size: Figure 2 above, Figure 4a below, at one epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nbkit.errors import NbkitError
from nbkit.figures.curves import label_places
from nbkit.figures.decay import METHODS
from nbkit.figures.template import INK, dress

__all__ = ["PAPER_STRENGTHS", "PaperDecayView", "paper_decay_figure", "paper_decay_traces"]

PAPER_STRENGTHS = (1e-1, 1e-3, 1e-5)  # lambda of Figure 2
_CURVES = [(method, strength) for method in ("rbv2", "weight_decay") for strength in PAPER_STRENGTHS] + [("none", 0.0)]
_NETS = [("factored", method) for method in METHODS] + [("full", "weight_decay"), ("full", "none")]
_PAPER = {
    "rbv2": 1,
    "weight_decay": 750,
    "none": 1296,
}  # ranks of A2 in the text: (2), and the fully connected networks
_TOP, _LEAST, _N_NEURONS = 200_000, 1e-4, 1296
_PANEL_PX = 200


@dataclass(frozen=True, eq=False)
class PaperDecayView:
    """What `paper_decay_figure` shows; whatever is left out is not drawn.

    Args:
        strength: lambda of the curves that stand out.
        epoch: where the others are read.
        densities: (method, lambda) -> (epochs, mean densities), lambda 0 for "none".
        errors: method -> mean squared error at that lambda and epoch.
        spectra: ("factored" or "full", method) -> singular values of A2, descending.
        bound: rank that the factored architecture leaves room for.
    """

    strength: float = 1e-3
    epoch: int = 0
    densities: Mapping[tuple[str, float], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, kw_only=True)
    errors: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    spectra: Mapping[tuple[str, str], np.ndarray] = field(default_factory=dict, kw_only=True)
    bound: int = field(default=16, kw_only=True)


def paper_decay_figure(view: PaperDecayView, *, title: str = "", height: int = 620) -> go.Figure:
    """Above the mean density of V1, W1, V2, W2 against the epoch, below singular values of A2, each a curve a network.

    The other lambdas are faint, fully connected networks ("full") dashed. Hollow circles are the ranks that the paper states.

    Args:
        view: what is shown.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: an unknown method, network or lambda.

    Source:
        Parhi, Wolf & Nowak 2021, Figures 2 and 4a.
    """
    figure = make_subplots(2, 1, vertical_spacing=0.17)
    for row, traces in enumerate((_density_traces(), _spectrum_traces()), start=1):
        figure.add_traces(traces, rows=row, cols=1)
    for trace, values in zip(figure.data, paper_decay_traces(view), strict=True):
        trace.update(values)
    figure.update_xaxes(title_text="epoch", range=[-0.01 * _TOP, 1.01 * _TOP], row=1)
    figure.update_yaxes(title_text="mean density", range=[-0.03, 1.06], row=1)
    log = {"type": "log", "exponentformat": "power"}
    figure.update_xaxes(
        title_text="index (log; dashed: bound d₁)", range=np.log10([0.85, 1.15 * _N_NEURONS]), dtick=1, row=2, **log
    )
    shown = np.log10([_LEAST / 2, 3e3])
    figure.update_yaxes(title_text="singular value s of A⁽²⁾ (log)", range=shown, dtick=2, row=2, **log)
    return dress(figure, title, height=height, right=180, hovermode="closest")


def paper_decay_traces(view: PaperDecayView) -> list[dict[str, object]]:
    """What the traces of `paper_decay_figure` hold; the same number whatever is missing.

    Raises:
        NbkitError: as `paper_decay_figure`.
    """
    unknown = [key for key in view.densities if key not in _CURVES] + [key for key in view.spectra if key not in _NETS]
    if unknown:
        raise NbkitError(
            f"paper_decay_figure: densities must be of {_CURVES} and spectra of {_NETS}, got {unknown}. Leave others out."
        )
    if view.epoch < 0:
        raise NbkitError(f"paper_decay_figure: epoch must be at least 0, got {view.epoch}. Use one of the stored ones.")
    return [*_densities(view), *_spectra(view)]


def _line(name: str, method: str, **more: object) -> go.Scatter:
    colour = METHODS[method].colour
    line = {"color": colour, "width": 2} | more.pop("line", {})
    return go.Scatter(name=name, mode="lines", line=line, marker={"color": colour}, **more)


def _labels(name: str) -> go.Scatter:
    return go.Scatter(name=name, mode="text", textposition="middle right", cliponaxis=False, hoverinfo="skip")


def _density_traces() -> list[go.Scatter]:
    hover = "epoch %{x:,}: density %{y:.3f}"
    lines = [_line(f"{METHODS[m].text} {strength:g}", m, hovertemplate=hover) for m, strength in _CURVES]
    at = go.Scatter(name="epoch", mode="lines", line={"color": INK, "width": 1.2, "dash": "dot"}, hoverinfo="skip")
    return [*lines, at, _labels("density labels")]


def _densities(view: PaperDecayView) -> list[dict[str, object]]:
    drawn, ends = [], {}
    for method, strength in _CURVES:
        x, y = view.densities.get((method, strength), (np.empty(0), np.empty(0)))
        is_chosen = strength in (view.strength, 0.0)
        drawn.append(
            {"x": x, "y": y, "opacity": 1.0 if is_chosen else 0.3, "line": {"width": 2.4 if is_chosen else 1.4}}
        )
        if is_chosen and len(x):
            ends[method] = float(y[-1])
    names = [
        f" {METHODS[method].text}" + (f", MSE {view.errors[method]:.1e}" if method in view.errors else "")
        for method in ends
    ]
    places = label_places(list(ends.values()), [np.array([0.0, 1.06])], inside=True, height=_PANEL_PX)
    last = max((x[-1] for x, _ in view.densities.values() if len(x)), default=0)
    labels = {"x": np.full(len(ends), last), "y": places, "text": names}
    at = np.full(2 * bool(view.densities), view.epoch)
    return [*drawn, {"x": at, "y": np.array([0.0, 1.0])[: len(at)]}, labels | {"textfont": {"color": _colours(ends)}}]


def _spectrum_traces() -> list[go.Scatter]:
    lines = [
        _line(f"{net} {method}", method, line={"dash": "dash" if net == "full" else "solid"}, hovertemplate="s<sub>%{x}</sub> = %{y:.3g}")
        for net, method in _NETS
    ]  # fmt: skip
    bound = go.Scatter(name="bound", mode="lines", line={"color": INK, "width": 1.4, "dash": "dash"}, hoverinfo="skip")
    paper = go.Scatter(
        name="paper", mode="markers", hovertemplate="rank in the paper: %{x}", cliponaxis=False,
        marker={"symbol": "circle-open", "size": 10, "line": {"width": 2}, "color": _colours(_PAPER)},
    )  # fmt: skip
    return [*lines, bound, paper, _labels("spectrum labels")]


def _spectra(view: PaperDecayView) -> list[dict[str, object]]:
    drawn, ends, methods = [], [], []
    for net, method in _NETS:
        values = np.maximum(view.spectra.get((net, method), np.empty(0)), _LEAST)
        drawn.append({"x": np.arange(1, len(values) + 1), "y": values})
        if len(values):
            ends.append((f" {METHODS[method].text}" + (", full" if net == "full" else ""), values))
            methods.append(method)
    places = label_places(
        [values[0] for _, values in ends], [np.array([_LEAST, 3e3])], log=True, inside=True, height=_PANEL_PX
    )
    there = bool(ends)
    bound = np.full(2 * there, view.bound + 0.5)
    paper = np.array(list(_PAPER.values()))[: len(_PAPER) * there]
    names = [*(name for name, _ in ends), " ○ rank in the paper"][: (len(ends) + 1) * there]
    return [
        *drawn,
        {"x": bound, "y": np.array([_LEAST, 1e3])[: len(bound)]},
        {"x": paper, "y": np.full(len(paper), _LEAST)},
        {
            "x": np.full(len(names), 1.15 * _N_NEURONS),
            "y": np.append(places, _LEAST)[: len(names)],
            "text": names,
            "textfont": {"color": [*_colours(methods), INK]},
        },
    ]


def _colours(methods: object) -> list[str]:
    return [METHODS[method].colour for method in methods]
