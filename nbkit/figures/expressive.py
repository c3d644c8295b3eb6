"""Best fits found against depth and against the number of parameters, and one function with what three networks miss of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import plotly.graph_objects as go

from nbkit.errors import NbkitError
from nbkit.figures.arrays import as_array
from nbkit.figures.curves import Curve, curve_traces, curves_figure
from nbkit.figures.template import SIGNED, dress, family_colour

__all__ = [
    "FIT_LOOKS", "ErrorCurve", "ExpressiveView", "expressive_figure", "expressive_ranges", "expressive_titles",
    "expressive_traces",
]  # fmt: skip

#: kind of network -> family, marker, name at the line's end, name in a sentence
FIT_LOOKS = MappingProxyType(
    {
        "dense": ("dense", "circle", "● dense", "dense"),
        "radix": ("radix", "diamond", "◆ RadiX", "RadiX"),
        "narrow": ("dense", "square", "■ narrow", "narrow"),
    }
)
_GUIDES = {"N⁻¹ᐟ²": -0.5, "N⁻¹": -1.0}
_PICTURES = "f", *FIT_LOOKS
_TOP, _BOTTOM = (0.44, 1.0), (0.0, 0.26)  # where the curves and the pictures stand, in parts of the height
_WIDE, _GAP = 0.22, 0.04  # of a picture and between two, in parts of the width


@dataclass(frozen=True, eq=False)
class ErrorCurve:
    """The errors of one kind of network.

    Args:
        depths, n_parameters: (k,) ascending.
        middle, low, high: (k,) errors above 0, and a band over seeds.
    """

    depths: object
    n_parameters: object
    middle: object
    low: object
    high: object


@dataclass(frozen=True, eq=False)
class ExpressiveView:
    """What `expressive_figure` shows; whatever is left out is not drawn.

    Args:
        curves: kind of network, a key of FIT_LOOKS -> its errors.
        live: kind -> (depth, number of parameters, error) of a fit in training.
        target: (n, n) values of the function, first coordinate first.
        gaps: kind -> (n, n) function less fit.
    """

    curves: Mapping[str, ErrorCurve] = field(default_factory=dict)
    live: Mapping[str, tuple[float, float, float]] = field(default_factory=dict, kw_only=True)
    target: object = field(default_factory=lambda: np.zeros((1, 1)), kw_only=True)
    gaps: Mapping[str, object] = field(default_factory=dict, kw_only=True)


def expressive_figure(view: ExpressiveView, *, title: str = "", height: int = 660) -> go.Figure:
    """Error against depth N and against the number of parameters, log-log; below, the function and what fits miss.

    Bands are over seeds; a star is a fit in training. Dashed, from the first dense point: the rates N^(-1/2) and N^(-1)
    of the Lipschitz ball on the square, for a fixed width. The first is the best where weights depend continuously on
    the function, the second the best of all; both are about networks that exist, not about ones that training finds.

    Raises:
        NbkitError: a kind that is not in FIT_LOOKS, pictures that are not square, what `curves_figure` refuses.

    Source:
        Robinett & Kepner 2019, section IV; rates: DeVore, Howard & Micchelli 1989, Yarotsky 2018.
    """
    figure = go.Figure()
    labels = {"": ("depth N", "error"), "2": ("parameters", "")}
    for (number, words), curves in zip(labels.items(), _curves(view), strict=True):
        part = curves_figure(curves, x_label=words[0], y_label=words[1], log_x=True, log_y=True)
        for trace in part.data:
            figure.add_trace(trace.update(xaxis=f"x{number}", yaxis=f"y{number}"))
        figure.add_trace(_star_trace(number))
        figure.layout[f"xaxis{number}"] = part.layout.xaxis.to_plotly_json() | {"anchor": f"y{number}"}
        figure.layout[f"yaxis{number}"] = part.layout.yaxis.to_plotly_json() | {"domain": _TOP, "anchor": f"x{number}"}
    for place, name in enumerate(_PICTURES):
        figure.add_trace(
            go.Heatmap(name=name, colorscale=SIGNED, showscale=False, xaxis=f"x{place + 3}", yaxis=f"y{place + 3}")
        )
    dress(figure, title, height=height, right=96, hovermode="closest")
    _place_axes(figure)
    for trace, values in zip(figure.data, expressive_traces(view), strict=True):
        trace.update(values)
    for axis, ends in expressive_ranges(view).items():
        figure.layout[axis].range = [*np.log10(ends)]
    for note, text in zip(figure.layout.annotations, expressive_titles(view), strict=True):
        note.text = text
    return figure


def _place_axes(figure: go.Figure) -> None:
    ticks = {"tickvals": [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2], "tickformat": "~g"}
    figure.update_layout(
        xaxis={"domain": [0, 0.43], "tickvals": [2, 3, 4, 6, 8, 12]}, yaxis=ticks,
        xaxis2={"domain": [0.57, 1], "tickvals": [100, 200, 500, 1000, 2000], "tickformat": "~g"},
        yaxis2={**ticks, "matches": "y", "showticklabels": False, "title": ""},
    )  # fmt: skip
    for place in range(len(_PICTURES)):
        left = place * (_WIDE + _GAP)
        bare = {"showticklabels": False, "ticks": "", "showline": False, "constrain": "domain"}
        across = {**bare, "domain": [left, left + _WIDE], "anchor": f"y{place + 3}", "title": "x₁"}
        up = {**bare, "domain": _BOTTOM, "anchor": f"x{place + 3}", "scaleanchor": f"x{place + 3}"}
        figure.update_layout({f"xaxis{place + 3}": across, f"yaxis{place + 3}": up | {"title": "" if place else "x₂"}})
        figure.add_annotation(
            x=left + _WIDE / 2,
            y=_BOTTOM[1],
            xref="paper",
            yref="paper",
            xanchor="center",
            yanchor="bottom",
            showarrow=False,
            text="",
            font={"size": 12},
        )


def _star_trace(number: str) -> go.Scatter:
    symbols = [f"star{shape}" for shape in ("", "-diamond", "-square")]
    marker = {"symbol": symbols, "size": 13, "line": {"width": 1, "color": "white"}}
    return go.Scatter(
        name="in training", mode="markers", marker=marker, xaxis=f"x{number}", yaxis=f"y{number}",
        hovertemplate="%{text}, in training: %{y:.3g}<extra></extra>",
    )  # fmt: skip


def expressive_traces(
    view: ExpressiveView, *, shown: Mapping[str, tuple[float, float]] | None = None
) -> list[dict[str, object]]:
    """What the traces of `expressive_figure` hold; the same number whatever is missing.

    Args:
        view: what is shown.
        shown: axis -> what it shows, where it has grown beyond `expressive_ranges`.

    Raises:
        NbkitError: as `expressive_figure`.
    """
    heights, traces = (expressive_ranges(view) | dict(shown or {}))["yaxis"], []
    for place, curves in enumerate(_curves(view)):
        stars = {"x": [one[place] for one in view.live.values()], "y": [one[2] for one in view.live.values()]}
        stars |= {
            "text": [FIT_LOOKS[net][3] for net in view.live],
            "marker": {"color": [_colour(net) for net in view.live]},
        }
        traces += [*curve_traces(curves, log_x=True, log_y=True, y_range=heights), stars]
    return traces + _pictures(view)


def expressive_ranges(view: ExpressiveView) -> dict[str, tuple[float, float]]:
    """What the log axes need to show, in data units: axis -> (low, high); a star may stand above."""
    parts = [
        np.ravel(part) for curve in _curves(view)[0] for part in (curve.y, curve.lower, curve.upper) if part is not None
    ]
    errors = np.concatenate(parts)
    errors = errors[np.isfinite(errors) & (errors > 0)]
    heights = (0.8 * errors.min(), 2.2 * errors.max()) if errors.size else (0.01, 0.3)
    return {"xaxis": (1.8, 13.0), "xaxis2": (110.0, 4000.0), "yaxis": heights}


def expressive_titles(view: ExpressiveView) -> list[str]:
    """What stands over the four pictures."""
    told = [f"{FIT_LOOKS[net][3]}: {np.abs(gap).max():.2g}" for net, gap in view.gaps.items()]
    told += [""] * (len(FIT_LOOKS) - len(told))
    return ["function f" if np.size(view.target) > 1 else "", *told]


def _curves(view: ExpressiveView) -> tuple[list[Curve], list[Curve]]:
    """Against depth, with the guides; against the number of parameters."""
    if foreign := (view.curves.keys() | view.live.keys() | view.gaps.keys()) - FIT_LOOKS.keys():
        raise NbkitError(
            f"expressive_figure: networks must be of {', '.join(FIT_LOOKS)}, got {sorted(foreign)}. Use these names."
        )
    empty = ErrorCurve(*[np.empty(0)] * 5)
    by_depth, by_size = [], []
    for net, (family, marker, label, _) in FIT_LOOKS.items():
        curve = view.curves.get(net, empty)
        look = {"family": family, "marker": marker, "lower": curve.low, "upper": curve.high}
        by_depth.append(Curve("", curve.depths, curve.middle, **look))
        by_size.append(Curve(label, curve.n_parameters, curve.middle, **look))
    first = view.curves.get("dense", empty)
    ends = np.asarray(first.depths, dtype=np.float64)[[0, -1]] if np.size(first.depths) else np.empty(0)
    for label, slope in _GUIDES.items():
        y = np.asarray(first.middle)[:1] * (ends / ends[:1]) ** slope if ends.size else ends
        by_depth.append(Curve(label, ends, y, "dense", kind="theory"))
    return by_depth, by_size


def _pictures(view: ExpressiveView) -> list[dict[str, object]]:
    target = as_array("expressive_figure", "target", view.target, n_axes=2)
    gaps = {net: as_array("expressive_figure", f"gaps of {net}", gap, n_axes=2) for net, gap in view.gaps.items()}
    shapes = {array.shape for array in (target, *gaps.values())}
    if len(shapes) > 1 or len(set(*shapes)) > 1:
        raise NbkitError(
            f"expressive_figure: target and gaps must be square and of one size, got {sorted(shapes)}. Use one grid."
        )
    most = max((np.abs(gap).max() for gap in gaps.values()), default=0) or 1.0
    tall, side = np.abs(target).max() or 1.0, np.linspace(0, 1, len(target))
    drawn = [(target, tall)] + [(gaps.get(net), most) for net in FIT_LOOKS]
    return [{"x": side, "y": side, "z": None if z is None else z.T, "zmin": -top, "zmax": top} for z, top in drawn]


def _colour(net: str) -> str:
    return family_colour("expressive_figure", FIT_LOOKS[net][0])
