"""What a sparse layer costs in seconds and bytes beside a dense one, against its width or its density."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go

from nbkit.figures.curves import Curve
from nbkit.figures.stacked import CurvePanel, stacked_figure
from nbkit.figures.template import family_colour

__all__ = ["SPEED_WIRES", "SpeedView", "speed_axis", "speed_figure", "speed_panels"]

#: Wires by name, each with its family's colour.
SPEED_WIRES = {"SAO": "sao", "RadiX": "radix", "random": "xnet"}
_WAYS = {"csr": ("□ CSR", "square-open"), "ours": ("● ours", "circle")}
_LABELS = {"width": "width n (log)", "density": "density d / n (log)"}
_NOTHING = np.empty((3, 0))


@dataclass(frozen=True, eq=False)
class SpeedView:
    """What is measured so far.

    Args:
        against: "width" or "density".
        x: (n,) widths, or degrees.
        width: of all layers, where x are degrees.
        wires: a key of `SPEED_WIRES`.
        seconds: "dense", "csr", "ours" -> (3, n): a layer's median, and the quartiles around it.
        n_bytes: "dense", "ours" -> (n,) of a layer's weights and biases.
    """

    against: str = "width"
    x: np.ndarray = field(default_factory=lambda: np.empty(0))
    width: int = 1
    wires: str = "SAO"
    seconds: Mapping[str, np.ndarray] = field(default_factory=dict)
    n_bytes: Mapping[str, np.ndarray] = field(default_factory=dict)


def speed_figure(view: SpeedView, *, title: str = "") -> go.Figure:
    """Milliseconds of a layer, forward and backward, with their quartiles as a band; below, bytes of its parameters.

    Both axes are logarithmic, x in powers of 2. Every kind of wires has its own traces, of which those of `wires` are
    filled: a dense layer's, compressed rows', ours.

    Raises:
        NbkitError: unknown wires, arrays of unequal length, times of 0 or below.
    """
    family_colour("speed_figure", SPEED_WIRES.get(view.wires, view.wires))
    figure = stacked_figure(speed_panels(view), title=title)
    figure.update_layout(xaxis=speed_axis(view), xaxis2=speed_axis(view))
    figure.update_traces(hovertemplate="%{y:.3s}", selector=lambda trace: trace.hoverinfo != "skip")
    return figure


def speed_panels(view: SpeedView) -> list[CurvePanel]:
    """What `speed_figure` shows: x in powers of 2, milliseconds above, bytes below."""
    x = np.log2(view.x / (view.width if view.against == "density" else 1))
    times = [_timed("dense", x, view.seconds.get("dense", _NOTHING), "dense", "diamond")]
    sizes = [Curve("dense", *_sized(x, view.n_bytes.get("dense")), "dense", marker="diamond")]
    for wires, family in SPEED_WIRES.items():
        here = wires == view.wires
        for way, (name, marker) in _WAYS.items():
            seconds = view.seconds.get(way, _NOTHING) if here else _NOTHING
            times.append(_timed(name, x, seconds, family, marker))
        sparse = view.n_bytes.get("ours") if here else None
        sizes.append(Curve(f"{wires} wires", *_sized(x, sparse), family, marker="circle"))
    label = _LABELS[view.against]
    return [
        CurvePanel(times, label, "a layer, ms", log_y=True, height=260),
        CurvePanel(sizes, label, "bytes", log_y=True, height=120),
    ]


def speed_axis(view: SpeedView) -> dict[str, object]:
    """The ticks of an axis of widths or densities, for `update_layout`."""
    if view.against == "width":
        places, words = range(21), [str(2**k) for k in range(21)]
    else:
        places, words = range(-20, 1), [f"1/{2**-k}" if k else "1" for k in range(-20, 1)]
    return {"tickvals": list(places), "ticktext": words, "title": {"text": _LABELS[view.against]}}


def _timed(name: str, x: np.ndarray, seconds: np.ndarray, family: str, marker: str) -> Curve:
    middle, lower, upper = 1000 * np.asarray(seconds)
    return Curve(name, x[: middle.size], middle, family, marker=marker, lower=lower, upper=upper)


def _sized(x: np.ndarray, n_bytes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    return (np.empty(0), np.empty(0)) if n_bytes is None else (x, n_bytes)
