"""Training under weight decay on four panels: the fit, what stays of the matrices, singular values, neurons."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nbkit.errors import NbkitError, check_choice
from nbkit.figures.curves import label_places
from nbkit.figures.template import FAINT, FAMILY_COLOURS, INK, dress

__all__ = ["METHODS", "DecayView", "Method", "decay_figure", "decay_ranges", "decay_traces"]


@dataclass(frozen=True)
class Method:
    """How a penalty is told and drawn: in words, its colour, its marker."""

    text: str
    colour: str
    marker: str


#: penalty -> how it looks in every picture of the chapter
METHODS = MappingProxyType(
    {
        "rbv2": Method("(2)", FAMILY_COLOURS["decay"], "circle"),
        "weight_decay": Method("weight decay", "#24618A", "square"),  # a deep tint of it: the two cross everywhere
        "none": Method("none", "#8A8F98", "diamond"),
    }
)

_MATRICES = {"V1": "circle", "W1": "square", "V2": "diamond", "W2": "cross", "A2": None}  # a marker tells them apart
_SIGNS = {"circle": "●", "square": "■", "diamond": "◆"}
_REACH = 1.5  # the fit's axis ends there: what a network says at birth is far outside
_LEAST = 1e-4  # where logarithmic axes end
_PANEL_PX = 190
_MOST_POINTS = 100  # of a density's curve


def _nothing() -> np.ndarray:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class DecayView:
    """What `decay_figure` shows of networks in training; whatever is left out is not drawn.

    Args:
        method: a key of METHODS: the network whose fit, densities and neurons are drawn.
        targets, outputs: (N,) values of the samples and what the network says.
        steps: (t,) at least 1.
        densities: any of "V1", "W1", "V2", "W2", "A2" -> (t,) kept fractions.
        spectra: method -> (m,) singular values of A2, descending.
        born: (m,) those before training.
        bound: the rank that the architecture leaves room for, or 0.
        norms: (K,) |v_k| |w_k| of the neurons of layer 1 and of layer 2, in any order.
        threshold: above it a neuron is active.
    """

    method: str = "rbv2"
    targets: np.ndarray = field(default_factory=_nothing, kw_only=True)
    outputs: np.ndarray = field(default_factory=_nothing, kw_only=True)
    steps: np.ndarray = field(default_factory=_nothing, kw_only=True)
    densities: Mapping[str, np.ndarray] = field(default_factory=dict, kw_only=True)
    spectra: Mapping[str, np.ndarray] = field(default_factory=dict, kw_only=True)
    born: np.ndarray = field(default_factory=_nothing, kw_only=True)
    bound: int = field(default=0, kw_only=True)
    norms: tuple[np.ndarray, np.ndarray] = field(default_factory=lambda: (_nothing(), _nothing()), kw_only=True)
    threshold: float = field(default=1e-3, kw_only=True)


def decay_figure(view: DecayView, *, title: str = "", height: int = 560) -> go.Figure:
    """Four panels: what the network says beside its targets, densities against the step, singular values of A2, neurons.

    Samples are sorted by target, neurons of each layer by |v| |w|. A triangle is a value beyond the axis.

    Args:
        view: what is shown.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: an unknown method, targets and outputs or steps and densities of other lengths.

    Source:
        Parhi, Wolf & Nowak 2021, Figures 2 and 4.
    """
    figure = make_subplots(2, 2, horizontal_spacing=0.17, vertical_spacing=0.19)
    for place, traces in enumerate((_fit_traces(), _density_traces(), _spectrum_traces(), _neuron_traces())):
        for trace in traces:
            figure.add_trace(trace, place // 2 + 1, place % 2 + 1)
    for trace, values in zip(figure.data, decay_traces(view), strict=True):
        trace.update(values)
    figure.update_xaxes(title_text="sample, sorted by target", row=1, col=1)
    figure.update_yaxes(title_text="target y, output f(x)", range=[-1.06 * _REACH, 1.06 * _REACH], row=1, col=1)
    figure.update_xaxes(title_text="step (log)", type="log", dtick=1, exponentformat="power", row=1, col=2)
    figure.update_yaxes(title_text="density", range=[-0.03, 1.05], row=1, col=2)
    figure.update_xaxes(title_text="index (dashed: bound d₁)", row=2, col=1)
    figure.update_yaxes(title_text="singular value s of A⁽²⁾ (log)", row=2, col=1)
    figure.update_xaxes(title_text="neuron, sorted (log)", type="log", dtick=1, exponentformat="power", row=2, col=2)
    figure.update_yaxes(title_text="‖v‖ ‖w‖ (log)", row=2, col=2)
    figure.update_yaxes(type="log", dtick=2, exponentformat="power", row=2)
    for axis, (low, high) in decay_ranges(view).items():
        figure.layout[axis].range = [*np.log10([low, high])] if figure.layout[axis].type == "log" else [low, high]
    return dress(figure, title, height=height, right=40, hovermode="closest")


def decay_traces(view: DecayView) -> list[dict[str, object]]:
    """What the traces of `decay_figure` hold; the same number whatever is missing.

    Raises:
        NbkitError: as `decay_figure`.
    """
    _check(view)
    colour = METHODS[view.method].colour
    return [*_fit(view, colour), *_densities(view, colour), *_spectra(view), *_neurons(view, colour)]


def decay_ranges(view: DecayView) -> dict[str, tuple[float, float]]:
    """What the axes that grow need to show, in data units: axis -> (low, high)."""
    tops = [max((float(values.max(initial=_LEAST)) for values in part), default=1.0) for part in _heights(view)]
    n_neurons = max((len(norms) for norms in view.norms), default=0)
    return {
        "xaxis": (0.4, max(1, len(view.targets)) + 0.6),
        "xaxis2": (0.9, 1.1 * float(view.steps.max(initial=10.0))),
        "xaxis3": (0.4, max(view.bound, len(view.born)) + 1.4),
        "yaxis3": (_LEAST / 1.6, 2 * max(tops[0], 1.0)),
        "xaxis4": (0.8, 1.25 * max(n_neurons, 2)),
        "yaxis4": (_LEAST / 1.6, 2 * max(tops[1], 1.0)),
    }


def _heights(view: DecayView) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return [view.born, *view.spectra.values()], [*view.norms]


def _check(view: DecayView) -> None:
    for method in (view.method, *view.spectra):
        check_choice("decay_figure", "method", method, METHODS)
    for name in view.densities:
        check_choice("decay_figure", "a density's matrix", name, _MATRICES)
    lengths = {name: len(values) for name, values in view.densities.items()}
    if len(view.targets) != len(view.outputs) or any(n != len(view.steps) for n in lengths.values()):
        raise NbkitError(
            f"decay_figure: targets and outputs must be equally long, and steps and densities, got {len(view.targets)} and "
            f"{len(view.outputs)}, {len(view.steps)} and {lengths}. Give each sample an output and each step a density."
        )


def _line(name: str, colour: str, marker: str | None = None, *, width: float = 2, **more: object) -> go.Scatter:
    """A line with a few markers, or with none."""
    return go.Scatter(
        name=name, mode="lines+markers" if marker else "lines", line={"color": colour, "width": width},
        marker={"symbol": marker or "circle", "size": 6, "color": colour, "maxdisplayed": 9}, **more,
    )  # fmt: skip


def _text(name: str, place: str) -> go.Scatter:
    return go.Scatter(
        name=name, mode="text", textposition=place, cliponaxis=False, hoverinfo="skip", textfont={"size": 12}
    )


def _points(name: str, **marker: object) -> go.Scatter:
    return go.Scatter(name=name, mode="markers", marker={"size": 8} | marker, cliponaxis=False)


def _fit_traces() -> list[go.Scatter]:
    between = go.Scatter(name="gap", mode="lines", line={"color": FAINT, "width": 1.2}, hoverinfo="skip")
    target = _points("target", symbol="circle-open", color=INK, line={"width": 1.6})
    return [between, target, _points("output"), _text("fit labels", "middle left")]


def _fit(view: DecayView, colour: str) -> list[dict[str, object]]:
    order = np.argsort(view.targets, kind="stable")
    at, targets = np.arange(1, len(order) + 1), view.targets[order]
    outputs, symbols = _within(view.outputs[order], -_REACH, _REACH, "circle")
    ends = np.column_stack([targets, outputs, np.full(len(at), np.nan)]).ravel()
    size = 8 if len(at) <= 30 else 5
    there = len(at) > 0
    return [
        {"x": np.repeat(at, 3), "y": ends},
        {"x": at, "y": targets, "marker": {"size": size}},
        {"x": at, "y": outputs, "marker": {"size": size, "color": colour, "symbol": symbols}, "customdata": view.outputs[order],
         "hovertemplate": "%{customdata:.4g}"},
        _corner(at[-1:].repeat(2), [-1.35, -1.1], [f"● {METHODS[view.method].text}", "○ target"], [colour, INK], there),
    ]  # fmt: skip


def _density_traces() -> list[go.Scatter]:
    lines = [
        _line(name, INK, marker, width=2.6 if marker is None else 1.6, line_dash=None if marker else "dot")
        for name, marker in _MATRICES.items()
    ]
    return [*lines, _text("density labels", "middle right")]


def _densities(view: DecayView, colour: str) -> list[dict[str, object]]:
    there = [name for name in _MATRICES if name in view.densities and len(view.steps)]
    ends = [view.densities[name][-1] for name in there]
    kept = _evenly(view.steps)
    lines = [
        {"x": view.steps[kept] if name in there else _nothing(), "y": view.densities[name][kept] if name in there else _nothing(),
         "line": {"color": colour}, "marker": {"color": colour}}
        for name in _MATRICES
    ]  # fmt: skip
    places = label_places(ends, [np.array([0.0, 1.05])], inside=True, height=_PANEL_PX)
    last = view.steps[-1:].repeat(len(there))
    return [*lines, {"x": last, "y": places, "text": [f" {name}" for name in there], "textfont": {"color": colour}}]


def _evenly(steps: np.ndarray) -> np.ndarray:
    """Which of many steps are drawn: they stand evenly on a logarithmic axis, the last among them."""
    if len(steps) <= _MOST_POINTS:
        return np.arange(len(steps))
    wanted = np.geomspace(steps[0], steps[-1], _MOST_POINTS)
    return np.unique(np.searchsorted(steps, wanted).clip(max=len(steps) - 1))


def _spectrum_traces() -> list[go.Scatter]:
    lines = [_line(one.text, one.colour, one.marker) for one in METHODS.values()]
    bound = go.Scatter(name="bound", mode="lines", line={"color": INK, "width": 1.4, "dash": "dash"}, hoverinfo="skip")
    return [_line("at birth", FAINT, width=1.4), *lines, bound, _text("spectrum labels", "middle left")]


def _spectra(view: DecayView) -> list[dict[str, object]]:
    top, drawn = decay_ranges(view)["yaxis3"][1], []
    for method, look in METHODS.items():
        values, symbols = _within(view.spectra.get(method, _nothing()), _LEAST, np.inf, look.marker)
        is_chosen = method == view.method
        drawn.append({
            "x": np.arange(1, len(values) + 1), "y": values, "opacity": 1.0 if is_chosen else 0.55,
            "marker": {"symbol": symbols, "size": 9 if is_chosen else 6, "maxdisplayed": 0},
        })  # fmt: skip
    there = [METHODS[method] for method in METHODS if method in view.spectra]
    names = [*(f"{_SIGNS[look.marker]} {look.text}" for look in there), "— at birth"]
    labels = _corner(
        [view.bound + 0.42] * len(names),
        [10 * height for height in _ladder(len(names))],  # falling curves pass below on the left
        names,
        [*(look.colour for look in there), INK],
        len(there) > 0,
    )
    bound = np.full(2 if view.bound else 0, view.bound + 0.5)
    return [
        {"x": np.arange(1, len(view.born) + 1), "y": np.maximum(view.born, _LEAST)},
        *drawn,
        {"x": bound, "y": np.array([_LEAST, top])[: len(bound)]},
        labels,
    ]


def _neuron_traces() -> list[go.Scatter]:
    limit = go.Scatter(
        name="threshold", mode="lines", line={"color": INK, "width": 1.4, "dash": "dash"}, hoverinfo="skip"
    )
    return [
        _line("layer 1", INK, "circle"),
        _line("layer 2", INK, "diamond-open"),
        limit,
        _text("neuron labels", "middle right"),
    ]


def _neurons(view: DecayView, colour: str) -> list[dict[str, object]]:
    drawn, names = [], []
    for layer, (norms, sign) in enumerate(zip(view.norms, "●◇", strict=True), start=1):
        values = np.maximum(np.sort(norms)[::-1], _LEAST)
        look = {"line": {"color": colour}, "marker": {"color": colour, "maxdisplayed": 16}}
        drawn.append({"x": np.arange(1, len(values) + 1), "y": values} | look)
        names.append(f"{sign} layer {layer}: {int((norms > view.threshold).sum())} of {len(norms)} active")
    there = any(len(norms) for norms in view.norms)
    widest = max(len(norms) for norms in view.norms)
    return [
        *drawn,
        {"x": np.array([0.8, 1.25 * max(widest, 2)])[: 2 * there], "y": np.full(2 * there, view.threshold)},
        _corner([0.9] * 2, _ladder(2), names[::-1], [colour] * 2, there),
    ]


def _within(values: np.ndarray, low: float, high: float, symbol: str) -> tuple[np.ndarray, list[str]]:
    """The values, those outside at the axis' end, and the marker of each: there a triangle."""
    symbols = np.select([values < low, values > high], ["triangle-down-open", "triangle-up-open"], symbol)
    return np.clip(values, low, high), symbols.tolist()


def _ladder(n: int) -> list[float]:
    """Heights of n lines of text from the bottom of a logarithmic panel."""
    return [_LEAST * 1.5 * 3.2**line for line in range(n)]


def _corner(x: object, y: object, text: list[str], colours: list[str], there: bool) -> dict[str, object]:
    kept = slice(None) if there else slice(0)
    return {
        "x": np.asarray(x)[kept],
        "y": np.asarray(y)[kept],
        "text": text[kept],
        "textfont": {"color": colours[kept]},
    }
