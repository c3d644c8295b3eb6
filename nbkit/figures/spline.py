"""A network of one input in training: its function with the knots, how many there are, and how much its slope turns."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go

from nbkit.errors import check_choice
from nbkit.figures.decay import METHODS
from nbkit.figures.methods import end_labels, label_trace, method_line, rule_line
from nbkit.figures.template import INK, dress

__all__ = ["SplineView", "spline_figure", "spline_ranges", "spline_traces"]

_HEIGHTS, _GAPS = (215, 125, 125), (62, 24)  # of the three panels, px, and between them
_AROUND_PX, _RIGHT_PX = 118, 108
_BEYOND = 0.1, 0.5  # how far the first panel reaches beyond the data, in parts of their range, across and up


def _nothing() -> np.ndarray:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class SplineView:
    """What `spline_figure` shows; whatever is left out is not drawn.

    Args:
        method: a key of METHODS: whose function is drawn.
        samples: (2, N) x ascending and y, which the connecting spline joins.
        line: (2, m) corners of the function's graph.
        knots: (2, k) its knots that count.
        steps: (t,) at which the rest was counted, of n_steps in all.
        n_knots: method -> (t,) knots that count.
        n_neurons: (t,) active neurons of the chosen method.
        rtv2: method -> (t,) total variation of the slope.
        weights: (t,) sum |v||w| of the chosen method.
        least: RTV^2 of the connecting spline, or NaN.
    """

    method: str = "rbv2"
    samples: np.ndarray = field(default_factory=lambda: np.empty((2, 0)), kw_only=True)
    line: np.ndarray = field(default_factory=lambda: np.empty((2, 0)), kw_only=True)
    knots: np.ndarray = field(default_factory=lambda: np.empty((2, 0)), kw_only=True)
    steps: np.ndarray = field(default_factory=_nothing, kw_only=True)
    n_steps: int = field(default=1, kw_only=True)
    n_knots: Mapping[str, np.ndarray] = field(default_factory=dict, kw_only=True)
    n_neurons: np.ndarray = field(default_factory=_nothing, kw_only=True)
    rtv2: Mapping[str, np.ndarray] = field(default_factory=dict, kw_only=True)
    weights: np.ndarray = field(default_factory=_nothing, kw_only=True)
    least: float = field(default=np.nan, kw_only=True)


def spline_figure(view: SplineView, *, title: str = "") -> go.Figure:
    """Function, knots and data; below the knots against the step with the bounds N and N - 2; below RTV^2.

    Dashed: the connecting linear spline and its RTV^2, less than which no interpolant has. Dotted, of the chosen method:
    active neurons, several at a knot; and what its weights say RTV^2 is, more where neurons cancel.

    Raises:
        NbkitError: an unknown method.

    Source:
        Parhi, Wolf & Nowak 2021, Theorem 1; Savarese et al. 2019 for one input.
    """
    height = sum(_HEIGHTS) + sum(_GAPS)
    figure, top = go.Figure(), 1.0
    for number, traces in enumerate((_function_traces(), _knot_traces(), _turn_traces()), start=1):
        name = "" if number == 1 else number
        figure.add_traces([trace.update(xaxis=f"x{name}", yaxis=f"y{name}") for trace in traces])
        bottom = max(0.0, top - _HEIGHTS[number - 1] / height)
        figure.layout[f"yaxis{name}"] = {"domain": [bottom, top], "anchor": f"x{name}"}
        figure.layout[f"xaxis{name}"] = {"anchor": f"y{name}"}
        top = bottom - (_GAPS[number - 1] / height if number < 3 else 0)
    dress(figure, title, height=height + _AROUND_PX, right=_RIGHT_PX, hovermode="closest")
    figure.update_layout(
        xaxis_title="input x", yaxis_title="f(x)", xaxis2={"matches": "x3", "showticklabels": False},
        yaxis2={"title": "knots (log)", "type": "log", "tickvals": [1, 2, 5, 10, 20, 50, 100]}, xaxis3_title="Adam's steps",
        yaxis3={"title": "RTV²(f)"},
    )  # fmt: skip
    for trace, values in zip(figure.data, spline_traces(view), strict=True):
        trace.update(values)
    for axis, (low, high) in spline_ranges(view).items():
        figure.layout[axis].range = [*np.log10([low, high])] if figure.layout[axis].type == "log" else [low, high]
    return figure


def spline_traces(
    view: SplineView, *, shown: Mapping[str, tuple[float, float]] | None = None
) -> list[dict[str, object]]:
    """What the traces of `spline_figure` hold; the same number whatever is missing.

    Args:
        view: what is shown.
        shown: axis -> what it shows, where it has grown beyond `spline_ranges`.

    Raises:
        NbkitError: as `spline_figure`.
    """
    check_choice("spline_figure", "method", view.method, METHODS)
    shown = spline_ranges(view) | dict(shown or {})
    return [*_function(view, shown), *_knots(view, shown), *_turns(view, shown)]


def spline_ranges(view: SplineView) -> dict[str, tuple[float, float]]:
    """What the axes need to show, in data units: axis -> (low, high). The function may leave the first panel."""
    x, y = view.samples if view.samples.size else np.array([[-1.0, 1.0], [-1.0, 1.0]])
    wide, tall = _BEYOND[0] * np.ptp(x), _BEYOND[1] * (np.ptp(y) or 1.0)
    counts = [view.n_neurons, *view.n_knots.values(), np.array([2.0, x.size])]
    turns = [view.weights, *view.rtv2.values(), np.array([1.0, np.nan_to_num(view.least)])]
    return {
        "xaxis": (float(x.min() - wide), float(x.max() + wide)),
        "yaxis": (float(y.min() - tall), float(y.max() + tall)),
        "yaxis2": (0.8, 1.25 * float(np.concatenate(counts).max())),
        "xaxis3": (0.0, float(max(view.n_steps, view.steps.max(initial=1.0)))),
        "yaxis3": (0.0, 1.1 * float(np.concatenate(turns).max())),
    }


def _function_traces() -> list[go.Scatter]:
    knots = {"symbol": "circle-open", "size": 11, "line": {"width": 2}}
    return [
        rule_line("connecting spline", INK),
        go.Scatter(name="f", mode="lines", line={"width": 2.4}, hoverinfo="skip"),
        go.Scatter(name="data", mode="markers", marker={"color": INK, "size": 7}, hovertemplate="(%{x:.3g}, %{y:.3g})"),
        go.Scatter(name="knots", mode="markers", marker=knots, hovertemplate="knot at %{x:.3g}"),
        label_trace("function labels"),
    ]


def _function(view: SplineView, shown: Mapping[str, tuple[float, float]]) -> list[dict[str, object]]:
    colour, (x, y) = METHODS[view.method].colour, view.samples
    names = [f"○ {view.knots.shape[1]} knot{'s' * (view.knots.shape[1] != 1)}", "f(x)", "● data", "- - spline"][
        :: 1 if x.size else 5
    ][: 4 * x.size]
    low, high = shown["yaxis"]
    labels = {
        "x": np.full(len(names), shown["xaxis"][1]), "y": np.linspace(high, low, 12)[1 : 1 + len(names)],
        "text": [f" {name}" for name in names], "textfont": {"color": [colour, colour, INK, INK][: len(names)]},
    }  # fmt: skip
    return [
        {"x": x, "y": y},
        {"x": view.line[0], "y": view.line[1], "line": {"color": colour}},
        {"x": x, "y": y},
        {"x": view.knots[0], "y": view.knots[1], "marker": {"color": colour}},
        labels,
    ]


def _knot_traces() -> list[go.Scatter]:
    lines = [method_line(method) for method in METHODS]
    neurons = go.Scatter(name="neurons", mode="lines", line={"width": 1.6, "dash": "dot"}, hovertemplate="%{y} neurons")
    return [rule_line("N", INK), rule_line("N − 2", INK), neurons, *lines, label_trace("knot labels")]


def _knots(view: SplineView, shown: Mapping[str, tuple[float, float]]) -> list[dict[str, object]]:
    n, last, colour = view.samples.shape[1], shown["xaxis3"][1], METHODS[view.method].colour
    rules = {"N": n, "N − 2": n - 2} if n > 2 else {}
    ends = {f"{name} = {value}": (float(value), INK) for name, value in rules.items()} | _ends(view.n_knots)
    ends |= {"neurons": (view.n_neurons[-1], colour)} if view.n_neurons.size else {}
    return [
        *({"x": np.array([0.0, last])[: 2 * bool(rules)], "y": np.full(2 * bool(rules), rules.get(name, 0))} for name in ("N", "N − 2")),
        {"x": view.steps, "y": view.n_neurons, "line": {"color": colour}},
        *_of_methods(view, view.n_knots, log=True),
        end_labels(ends, last, shown["yaxis2"], log=True, height=_HEIGHTS[1]),
    ]  # fmt: skip


def _turn_traces() -> list[go.Scatter]:
    lines = [method_line(method) for method in METHODS]
    weights = go.Scatter(
        name="Σ |v||w|", mode="lines", line={"width": 1.6, "dash": "dot"}, hovertemplate="Σ|v||w| %{y:.4g}"
    )
    return [rule_line("spline", INK), weights, *lines, label_trace("turn labels")]


def _turns(view: SplineView, shown: Mapping[str, tuple[float, float]]) -> list[dict[str, object]]:
    last, colour, there = shown["xaxis3"][1], METHODS[view.method].colour, np.isfinite(view.least)
    ends = {"spline": (view.least, INK)} | _ends(view.rtv2)
    ends |= {"Σ |v||w|": (view.weights[-1], colour)} if view.weights.size else {}
    return [
        {"x": np.array([0.0, last])[: 2 * there], "y": np.full(2 * there, view.least)},
        {"x": view.steps, "y": view.weights, "line": {"color": colour}},
        *_of_methods(view, view.rtv2, log=False),
        end_labels(ends, last, shown["yaxis3"], log=False, height=_HEIGHTS[2]),
    ]


def _of_methods(view: SplineView, values: Mapping[str, np.ndarray], *, log: bool) -> list[dict[str, object]]:
    drawn = []
    for method in METHODS:
        y = np.asarray(values.get(method, _nothing()), dtype=np.float64)
        shade = 1.0 if method == view.method else 0.55
        drawn.append({"x": view.steps[: y.size], "y": np.where(y > 0, y, np.nan) if log else y, "opacity": shade})
    return drawn


def _ends(values: Mapping[str, np.ndarray]) -> dict[str, tuple[float, str]]:
    return {METHODS[method].text: (y[-1], METHODS[method].colour) for method, y in values.items() if len(y)}
