"""A deep network while it trains, on four panels: what it has learned, its Jacobian, its gradients, what a step costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nbkit.errors import NbkitError, check_choice
from nbkit.figures.template import FAINT, FAMILY_COLOURS, INK, dress, translucent

__all__ = ["DEEP_LOOKS", "DeepLook", "DeepView", "deep_figure", "deep_ranges", "deep_traces"]


@dataclass(frozen=True)
class DeepLook:
    """How a method is drawn: its family's colour, and a marker that tells it from others of that family."""

    colour: str
    marker: str


def _looks(family: str, *methods: str) -> dict[str, DeepLook]:
    markers = "circle", "square", "diamond", "cross"
    return {method: DeepLook(FAMILY_COLOURS[family], marker) for method, marker in zip(methods, markers, strict=False)}


#: method -> how it looks in every picture of the chapter.
DEEP_LOOKS = MappingProxyType(
    _looks("dense", "Dense", "Dense-N")
    | _looks("sao", "SAO", "RG-N", "RG-U")
    | _looks("pruned", "GMP-S", "GMP-T")
    | _looks("radix", "RadiX", "RadiX-N")
    | _looks("xnet", "X-Net random", "X-Net Cayley")
)
SIGNS = MappingProxyType({"circle": "●", "square": "■", "diamond": "◆", "cross": "✚"})

_LEAST = 1e-20  # where logarithmic axes end: of a pruned network whole layers are below
_PANEL_PX = 190
_LOG = {"type": "log", "exponentformat": "power", "nticks": 5}


def _nothing() -> np.ndarray:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class DeepView:
    """What `deep_figure` shows of a network in training; whatever is left out is not drawn.

    Args:
        method: a key of DEEP_LOOKS.
        steps: (t,) optimiser steps that were done.
        accuracies: (t,) shares of test digits, in [0, 1].
        losses: (t,) cross-entropies in nats; NaN before the first step.
        n_classes: by guessing among so many the accuracy is 1 / n_classes and the loss ln n_classes.
        spectrum: (points, m) singular values of the Jacobian of the network at some points, descending.
        born: the same before training.
        gradients: (layers,) norms of the gradient of each layer's weights.
        costs: name -> milliseconds of a step, the network's own last.
    """

    method: str = "SAO"
    steps: np.ndarray = field(default_factory=_nothing, kw_only=True)
    accuracies: np.ndarray = field(default_factory=_nothing, kw_only=True)
    losses: np.ndarray = field(default_factory=_nothing, kw_only=True)
    n_classes: int = field(default=10, kw_only=True)
    spectrum: np.ndarray = field(default_factory=lambda: np.empty((0, 0)), kw_only=True)
    born: np.ndarray = field(default_factory=lambda: np.empty((0, 0)), kw_only=True)
    gradients: np.ndarray = field(default_factory=_nothing, kw_only=True)
    costs: Mapping[str, float] = field(default_factory=dict, kw_only=True)


def deep_figure(view: DeepView, *, title: str = "", height: int = 560) -> go.Figure:
    """Four panels: accuracy and loss against the step, singular values of the Jacobian, gradients by layer, cost of a step.

    The loss is shown in units of ln n_classes, which is what guessing costs: both curves then lie in [0, 1]. Of the
    singular values the median over the points is a line and all of them are a band. What lies below the axis stands at
    its end.

    Args:
        view: what is shown.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: an unknown method, steps, accuracies and losses of other lengths.

    Source:
        Esguerra et al. 2023, Table 7 and Figure 11.
    """
    figure = make_subplots(2, 2, horizontal_spacing=0.17, vertical_spacing=0.19)
    for place, traces in enumerate((_learning_traces(), _spectrum_traces(), [_line("gradient")], _cost_traces())):
        for trace in traces:
            figure.add_trace(trace, place // 2 + 1, place % 2 + 1)
    for trace, values in zip(figure.data, deep_traces(view), strict=True):
        trace.update(values)
    figure.update_xaxes(title_text="optimiser step", row=1, col=1)
    figure.update_yaxes(title_text="accuracy, loss / ln 10", range=[-0.03, 1.19], row=1, col=1)
    figure.update_xaxes(title_text="index", dtick=1, row=1, col=2)
    figure.update_yaxes(title_text="singular value s of J (log)", **_LOG, row=1, col=2)
    figure.update_xaxes(title_text="layer, from the pixels on", row=2, col=1)
    figure.update_yaxes(title_text="gradient norm of W (log)", **_LOG, row=2, col=1)
    figure.update_xaxes(title_text="milliseconds of processor a step", row=2, col=2)
    figure.update_yaxes(type="category", ticks="", row=2, col=2)
    for axis, (low, high) in deep_ranges(view).items():
        figure.layout[axis].range = [*np.log10([low, high])] if figure.layout[axis].type == "log" else [low, high]
    return dress(figure, title, height=height, right=30, hovermode="closest", bargap=0.45)


def deep_traces(view: DeepView, *, shown: Mapping[str, tuple[float, float]] | None = None) -> list[dict[str, object]]:
    """What the traces of `deep_figure` hold; the same number whatever is missing.

    Args:
        view: what is shown.
        shown: what the axes show, axis -> (low, high), where that is more than `deep_ranges`: labels keep to their places.

    Raises:
        NbkitError: as `deep_figure`.
    """
    look = DEEP_LOOKS[check_choice("deep_figure", "method", view.method, DEEP_LOOKS)]
    if not len(view.steps) == len(view.accuracies) == len(view.losses):
        raise NbkitError(
            "deep_figure: steps, accuracies and losses must be equally long, got "
            f"{len(view.steps)}, {len(view.accuracies)} and {len(view.losses)}. Give each step both."
        )
    layers = np.arange(1, len(view.gradients) + 1)
    gradient = {"x": layers, "y": np.maximum(view.gradients, _LEAST), "line": {"color": look.colour}}
    shown = deep_ranges(view) if shown is None else shown
    drawn = [*_learning(view, look, shown["xaxis"][1]), *_spectrum(view, look, shown["yaxis2"])]
    return [*drawn, gradient, _costs(view, look)]


def deep_ranges(view: DeepView) -> dict[str, tuple[float, float]]:
    """What the axes that grow need to show, in data units: axis -> (low, high)."""
    values = np.concatenate([view.spectrum.ravel(), view.born.ravel()])
    return {
        "xaxis": (0.0, max(10.0, 1.02 * float(view.steps.max(initial=0)))),
        "xaxis2": (0.6, max(view.spectrum.shape[1], view.n_classes) + 0.4),
        "yaxis2": _decades(values),
        "xaxis3": (0.0, max(2, len(view.gradients)) + 1.0),
        "yaxis3": _decades(view.gradients),
        "xaxis4": (0.0, 1.32 * max([*view.costs.values(), 1.0])),  # room for the number behind the bar
    }


def _decades(values: np.ndarray) -> tuple[float, float]:
    """The whole decades that hold the values, two at least."""
    seen = np.clip(values[np.isfinite(values)], _LEAST, None)
    low, high = (seen.min(), seen.max()) if seen.size else (0.1, 1.0)
    low, high = np.floor(np.log10(low)), np.ceil(np.log10(high) + 1e-9)
    return 10.0 ** min(low, high - 2), 10.0**high


def _line(name: str, *, colour: str = INK, **line: object) -> go.Scatter:
    return go.Scatter(name=name, mode="lines", line={"color": colour, "width": 2} | line)


def _text(name: str, place: str) -> go.Scatter:
    return go.Scatter(
        name=name, mode="text", textposition=place, cliponaxis=False, hoverinfo="skip", textfont={"size": 12}
    )


def _learning_traces() -> list[go.Scatter]:
    loss = _line("loss", width=1.6, dash="dot")
    loss.hovertemplate = "step %{x}: loss %{customdata:.3g}"
    accuracy = _line("accuracy", width=2.6)
    accuracy.hovertemplate = "step %{x}: %{y:.1%}"
    chance = _line("chance", width=1.2, dash="dash")
    return [loss, accuracy, chance.update(hoverinfo="skip"), _text("learning labels", "middle right")]


def _learning(view: DeepView, look: DeepLook, right: float) -> list[dict[str, object]]:
    losses = view.losses / np.log(view.n_classes)
    colour = {"line": {"color": look.colour}}
    names = ["·· loss / ln 10", "— accuracy", "-- by guessing"]
    return [
        {"x": view.steps, "y": np.minimum(losses, 1.15), "customdata": view.losses} | colour,
        {"x": view.steps, "y": view.accuracies} | colour,
        {"x": np.array([0.0, right]), "y": np.full(2, 1 / view.n_classes)},
        {"x": np.full(3, 0.52 * right), "y": np.array([0.62, 0.5, 0.38]), "text": names,
         "textfont": {"color": [look.colour, look.colour, INK]}},
    ]  # fmt: skip


def _spectrum_traces() -> list[go.Scatter]:
    band = go.Scatter(name="spectrum band", mode="lines", fill="toself", line={"width": 0}, hoverinfo="skip")
    born = _line("at birth", colour=FAINT, width=2)
    return [band, born, _line("spectrum", width=2.4), _text("spectrum labels", "middle left")]


def _spectrum(view: DeepView, look: DeepLook, shown: tuple[float, float]) -> list[dict[str, object]]:
    now, born = (np.maximum(values, _LEAST) for values in (view.spectrum, view.born))
    there = now.size > 0
    at = np.arange(1, now.shape[1] + 1)
    lower, upper = (now.min(axis=0), now.max(axis=0)) if there else (_nothing(), _nothing())
    names, places = [], _nothing()
    if there:
        names = [f"— now: mean {view.spectrum.mean():.2g}, variance {view.spectrum.var():.2g}", "— at birth"]
        low, high = np.log10(shown)
        places = 10.0 ** (low + (high - low) * np.array([0.19, 0.09]))
    return [
        {"x": np.concatenate([at, at[::-1]]), "y": np.concatenate([upper, lower[::-1]]),
         "fillcolor": translucent(look.colour, 0.2)},
        {"x": np.arange(1, born.shape[1] + 1), "y": np.median(born, axis=0) if born.size else _nothing()},
        {"x": at, "y": np.median(now, axis=0) if there else _nothing(), "line": {"color": look.colour}},
        {"x": np.full(len(names), now.shape[1] + 0.3), "y": places, "text": names,
         "textfont": {"color": [look.colour, "#8A8F98"]}},
    ]  # fmt: skip


def _cost_traces() -> list[go.Bar]:
    return [go.Bar(name="cost", orientation="h", textposition="outside", cliponaxis=False, hoverinfo="skip")]


def _costs(view: DeepView, look: DeepLook) -> dict[str, object]:
    names, costs = [*view.costs], np.array([*view.costs.values()])
    colours = [DEEP_LOOKS["Dense"].colour] * (len(names) - 1) + [look.colour]
    return {
        "y": names,
        "x": costs,
        "text": [f"{cost:.3g} ms" for cost in costs],
        "marker": {"color": colours[: len(names)]},
    }
