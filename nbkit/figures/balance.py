"""One neuron rescaled: what each penalty takes for it, the function that stays, and the corner at 0 that is left."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go

from nbkit.figures.decay import METHODS
from nbkit.figures.methods import end_labels, label_trace, method_line, rule_line
from nbkit.figures.template import FAINT, INK, dress

__all__ = ["BalanceView", "balance_figure", "balance_ranges", "balance_traces"]

_PENALTIES = ("rbv2", "weight_decay")
_MOST_OUTPUTS = 4
_TOP_PX, _BELOW_PX, _GAP_PX, _AROUND_PX = 210, 190, 66, 118


def _nothing() -> np.ndarray:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class BalanceView:
    """What `balance_figure` shows of a neuron v relu(w x - b) written as (v / a) relu(a w x - a b).

    Args:
        scales: (t,) values of a, above 0.
        costs: penalty -> (t,) what it takes at each a.
        least: penalty -> its least value over all a.
        now: a; and penalty -> its cost there.
        line: (n,) points along w.
        before, after: (d, n) what the neuron adds to each of at most four outputs, as given and rescaled.
        inside: (n,) relu of the rescaled neuron.
        strengths: (s,) factors of v.
        fixed, free: (s,) what (2) takes for each of them at this a, and at the best a for it.
    """

    scales: np.ndarray = field(default_factory=_nothing, kw_only=True)
    costs: Mapping[str, np.ndarray] = field(default_factory=dict, kw_only=True)
    least: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    now: float = field(default=1.0, kw_only=True)
    now_costs: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    line: np.ndarray = field(default_factory=_nothing, kw_only=True)
    before: np.ndarray = field(default_factory=lambda: np.empty((0, 0)), kw_only=True)
    after: np.ndarray = field(default_factory=lambda: np.empty((0, 0)), kw_only=True)
    inside: np.ndarray = field(default_factory=_nothing, kw_only=True)
    strengths: np.ndarray = field(default_factory=_nothing, kw_only=True)
    fixed: np.ndarray = field(default_factory=_nothing, kw_only=True)
    free: np.ndarray = field(default_factory=_nothing, kw_only=True)


def balance_figure(view: BalanceView, *, title: str = "") -> go.Figure:
    """Above both penalties against a, with their least values; below the function, and the cost of a share s of the neuron.

    At a fixed a the cost of s v is a parabola, flat at 0; at the best a for each s it is 2 |s| |v| |w|, with a corner.

    Source:
        Parhi, Wolf & Nowak 2021, section 1 (after Grandvalet 1998) and (2).
    """
    figure = go.Figure()
    for number, traces in enumerate((_cost_traces(), _function_traces(), _strength_traces()), start=1):
        name = "" if number == 1 else number
        figure.add_traces([trace.update(xaxis=f"x{name}", yaxis=f"y{name}") for trace in traces])
    inside = _TOP_PX + _GAP_PX + _BELOW_PX
    dress(figure, title, height=inside + _AROUND_PX, right=112, hovermode="closest")
    log = {"type": "log", "exponentformat": "power"}
    figure.update_layout(
        xaxis={**log, "title": "rescaling a (log)", "tickvals": [0.1, 0.2, 0.5, 1, 2, 5, 10]},
        yaxis={**log, "title": "penalty (log)", "dtick": 1, "domain": [1 - _TOP_PX / inside, 1]},
        xaxis2={"title": "along w", "domain": [0, 0.42], "anchor": "y2"},
        yaxis2={"title": "to the outputs", "domain": [0, _BELOW_PX / inside], "anchor": "x2"},
        xaxis3={"title": "share s of v", "domain": [0.58, 1], "anchor": "y3"},
        yaxis3={"title": "(2) for s v", "domain": [0, _BELOW_PX / inside], "anchor": "x3"},
    )
    for trace, values in zip(figure.data, balance_traces(view), strict=True):
        trace.update(values)
    for axis, (low, high) in balance_ranges(view).items():
        figure.layout[axis].range = [*np.log10([low, high])] if figure.layout[axis].type == "log" else [low, high]
    return figure


def balance_traces(
    view: BalanceView, *, shown: Mapping[str, tuple[float, float]] | None = None
) -> list[dict[str, object]]:
    """What the traces of `balance_figure` hold; `shown`: axis -> what it shows, where it has grown."""
    shown = balance_ranges(view) | dict(shown or {})
    ends = view.scales[[0, -1]] if view.scales.size else _nothing()
    least = [{"x": ends, "y": np.full(ends.size, view.least.get(name, 1.0))} for name in _PENALTIES]
    costs = [{"x": view.scales, "y": view.costs.get(name, _nothing())} for name in _PENALTIES]
    there = [name for name in _PENALTIES if name in view.now_costs]
    points = {"x": np.full(len(there), view.now), "y": np.array([view.now_costs[name] for name in there])}
    names = {METHODS[name].text: (view.costs[name][-1], METHODS[name].colour) for name in there}
    names |= {f"least {view.least[name]:.4g}": (view.least[name], METHODS[name].colour) for name in there}
    labels = end_labels(names, ends[-1] if ends.size else 1.0, shown["yaxis"], log=True, height=_TOP_PX)
    return [*least, *costs, points, labels, *_functions(view, shown), *_strengths(view, shown)]


def balance_ranges(view: BalanceView) -> dict[str, tuple[float, float]]:
    """What the axes need to show, in data units: axis -> (low, high)."""
    costs = np.concatenate([*view.costs.values(), np.array([1.0, 10.0])[: 2 - len(view.costs)]])
    outputs = np.concatenate([view.after.ravel(), view.before.ravel(), [-1.0, 1.0]])
    return {
        "xaxis": (0.1, 10.0),
        "yaxis": (0.6 * float(costs.min()), 1.5 * float(costs.max())),
        "xaxis2": (float(view.line.min(initial=-1.0)), float(view.line.max(initial=1.0))),
        "yaxis2": (1.15 * float(outputs.min()), 1.15 * float(outputs.max())),
        "xaxis3": (float(view.strengths.min(initial=-1.0)), float(view.strengths.max(initial=1.0))),
        "yaxis3": (0.0, 1.1 * float(min(view.fixed.max(initial=1.0), 2.5 * view.free.max(initial=1.0)))),
    }


def _cost_traces() -> list[go.Scatter]:
    colours = [METHODS[name].colour for name in _PENALTIES]
    marks = {"color": colours, "size": 12, "symbol": "diamond", "line": {"color": INK, "width": 1.5}}
    return [
        *(rule_line(f"least of {METHODS[name].text}", METHODS[name].colour) for name in _PENALTIES),
        *(method_line(name, marked=False) for name in _PENALTIES),
        go.Scatter(name="now", mode="markers", marker=marks, hovertemplate="a = %{x:.3g}: %{y:.4g}"),
        label_trace("cost labels"),
    ]


def _function_traces() -> list[go.Scatter]:
    colour = METHODS["rbv2"].colour
    inside = go.Scatter(name="inside", mode="lines", line={"color": FAINT, "width": 2.5}, hoverinfo="skip")
    after = [
        go.Scatter(name=f"output {i}", mode="lines", line={"color": colour, "width": 4}, hoverinfo="skip")
        for i in range(1, _MOST_OUTPUTS + 1)
    ]
    before = [rule_line(f"output {i} as given", INK) for i in range(1, _MOST_OUTPUTS + 1)]
    return [inside, *after, *before, label_trace("function labels")]


def _functions(view: BalanceView, shown: Mapping[str, tuple[float, float]]) -> list[dict[str, object]]:
    drawn = [{"x": view.line, "y": view.inside}]
    for outputs in (view.after, view.before):
        for place in range(_MOST_OUTPUTS):
            y = outputs[place] if place < len(outputs) else _nothing()
            drawn.append({"x": view.line[: y.size], "y": y})
    names = ["outside", "- - as given", "inside"] if view.line.size else []
    low, high = shown["yaxis2"]
    label = {
        "x": np.full(len(names), shown["xaxis2"][0]), "y": np.linspace(high, low, 11)[1 : 1 + len(names)],
        "text": [f" {name}" for name in names], "textfont": {"color": [METHODS["rbv2"].colour, INK, "#8A8F98"][: len(names)]},
    }  # fmt: skip
    return [*drawn, label]


def _strength_traces() -> list[go.Scatter]:
    return [
        rule_line("best a for each s", INK),
        method_line("rbv2", marked=False, name="this a"),
        label_trace("strength labels"),
    ]


def _strengths(view: BalanceView, shown: Mapping[str, tuple[float, float]]) -> list[dict[str, object]]:
    ends = {}
    if view.strengths.size:
        ends = {"best a": (view.free[-1], INK), f"a = {view.now:.3g}": (view.fixed[-1], METHODS["rbv2"].colour)}
    labels = end_labels(ends, shown["xaxis3"][1], shown["yaxis3"], log=False, height=_BELOW_PX)
    return [{"x": view.strengths, "y": view.free}, {"x": view.strengths, "y": view.fixed}, labels]
