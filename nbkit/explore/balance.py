"""Explorer of notebook 10: a neuron may be rescaled for nothing, so a sum of squares on both sides acts like |v| |w|."""

import re
from collections.abc import Iterator

import numpy as np

from nbkit.errors import NbkitError, show
from nbkit.explore.controls import LogSlider, Slider, Text
from nbkit.explore.explorer import Explorer
from nbkit.figures import BalanceView, balance_figure, balance_ranges, balance_traces

__all__ = ["BalanceExplorer", "typed_vector"]

_MOST, _SMALLEST, _LARGEST = 4, 1e-3, 100
_SCALES = np.logspace(-1, 1, 121)
_LINE = np.linspace(-2.0, 2.0, 161)
_STRENGTHS = np.linspace(-2.0, 2.0, 161)


class BalanceExplorer(Explorer):
    """The neuron v relu(w x - b) as (v / a) relu(a w x - a b): the function stays, what the penalties take does not."""

    groups = {
        "neuron": [
            Text("v", "out of it, v", "1, -2"),
            Text("w", "into it, w", "3, 4"),
            Slider("bias", "bias b", -5.0, 5.0, 0.5, value=0.0),
        ],
        "rescaling": [LogSlider("scale", "factor a", low=0.1, high=10.0, value=1.0, steps_per_decade=100)],
    }
    presets = {
        "lopsided": {"v": "1, -2", "w": "3, 4", "scale": 2.0},
        "(2) least": {"v": "1, -2", "w": "3, 4", "scale": 10**-0.11},
        "decay least": {"v": "1, -2", "w": "3, 4", "bias": 0.0, "scale": 10**-0.17},
        "one output": {"v": "-2", "w": "3, 4"},
        "with a bias": {"v": "1, -2", "w": "3, 4", "bias": 5.0},
    }

    def build(self) -> None:
        figure = balance_figure(BalanceView())
        self.height = figure.layout.height
        self.figure = self.figure_widget(figure)
        self._neuron = None

    def stream(self, *, v: str, w: str, bias: float, scale: float) -> Iterator[dict]:
        """One frame: both penalties at every a, the function before and after, and the cost of shares of the neuron."""
        v, w = typed_vector("v", v), typed_vector("w", w)
        into = {"rbv2": np.linalg.norm(w), "weight_decay": np.linalg.norm([*w, bias])}
        out = {"rbv2": np.abs(v).sum(), "weight_decay": np.linalg.norm(v)}
        bend = np.linalg.norm(w) * _LINE - bias
        inside = np.maximum(scale * bend, 0)
        cost = {name: lambda a, s=1.0, name=name: (s * out[name] / a) ** 2 + (a * into[name]) ** 2 for name in out}
        yield {
            "scales": _SCALES,
            "costs": {name: cost[name](_SCALES) for name in cost},
            "least": {name: 2 * float(out[name] * into[name]) for name in cost},
            "best": {name: float(np.sqrt(out[name] / into[name])) for name in cost},
            "now": scale,
            "now_costs": {name: float(cost[name](scale)) for name in cost},
            "line": _LINE,
            "before": v[:, None] * np.maximum(bend, 0),
            "after": (v / scale)[:, None] * inside,
            "inside": inside,
            "strengths": _STRENGTHS,
            "fixed": cost["rbv2"](scale, _STRENGTHS),
            "free": 2 * np.abs(_STRENGTHS) * float(out["rbv2"] * into["rbv2"]),
            "note": "weight decay squares the bias as well" if bias else "",
        }

    def draw(self, frame: dict) -> None:
        neuron = frame["before"].tolist(), frame["least"]
        if self._neuron != neuron:
            self._neuron = neuron
            self.figure.forget_axes()  # another neuron asks for other axes
        view = BalanceView(**{name: frame[name] for name in BalanceView.__dataclass_fields__})
        shown = {axis: self.grow(axis, *ends) for axis, ends in balance_ranges(view).items()}
        self.figure.redraw(balance_traces(view, shown=shown))
        self.figure.retitle(_title(frame))


def typed_vector(name: str, text: str) -> np.ndarray:
    """One to four numbers up to 100 in size, not all below 0.001: squares of smaller ones have no place on an axis.

    Raises:
        NbkitError: anything else.
    """
    try:
        values = np.array([float(word) for word in re.split(r"[,;\s]+", text) if word])
    except ValueError:
        values = np.array([np.nan])
    if not 1 <= values.size <= _MOST or not _SMALLEST <= np.abs(values).max() <= _LARGEST:
        raise NbkitError(
            f"BalanceExplorer: {name} must be 1 to {_MOST} numbers between -{_LARGEST} and {_LARGEST}, one of them at least "
            f"{_SMALLEST:g} in size, got {show(text)}. Write them as 1, -2."
        )
    return values


def _title(frame: dict) -> str:
    now, least, best = frame["now_costs"], frame["least"], frame["best"]
    told = [
        f"{text} takes {now[name]:.3g}, at a = {best[name]:.2g} only {least[name]:.3g}"
        for name, text in (("rbv2", "(2)"), ("weight_decay", "weight decay"))
    ]
    return f"One function, a = {frame['now']:.2g}: {told[0]}; {told[1]}"
