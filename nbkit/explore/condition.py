"""Explorer of notebook 08: the condition on the balls that the paper states, and the one that its proof needs."""

from collections.abc import Iterator

import numpy as np
import torch

from nbkit.explore.controls import Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.stacked import draw_panels
from nbkit.figures import Curve, CurvePanel, stacked_figure
from nbkit.nets import approximate_affine, ball_condition

__all__ = ["ConditionExplorer"]

_LINE = np.linspace(-1.2, 1.2, 961)
_INSIDE = (0.0, 0.001, 0.01, 0.05, 0.1, 0.2, 0.5)
_RADII = tuple(k / 20 for k in range(1, 20))  # listed, since a play button runs through whole steps only


class ConditionExplorer(Explorer):
    """The paper asks f(B ∩ K) to be near f(c), the proof needs f(B): a steep line through K = {0} tells them apart."""

    groups = {
        "function": [
            Slider("slope", "slope a", values=(1, 2, 5, 10, 20, 50, 100), value=100),
            Slider("eps", "error ε", values=(0.05, 0.1, 0.2, 0.5, 1.0), value=0.1),
        ],
        "ball": [
            Slider("radius", "radius r", values=_RADII, value=0.9, play=True),
            Slider("half", "K = [−k, k], k", values=_INSIDE, value=0.0),
        ],
    }
    presets = {
        "counter-example": {"slope": 100, "eps": 0.1, "radius": 0.9, "half": 0.0},
        "both hold": {"slope": 1, "eps": 0.2, "radius": 0.15, "half": 0.1},
        "neither": {"slope": 10, "eps": 0.5, "radius": 0.6, "half": 0.2},
    }

    def build(self) -> None:
        empty = dict.fromkeys(("x", "f", "F", "error"), np.empty(0)) | {"eps": 1, "half": 0, "bound": 1}
        figure = stacked_figure(_condition_panels(empty))
        self.height = figure.layout.height
        self.figure = self.figure_widget(figure)
        self._scale = None

    def stream(self, *, slope: int, eps: float, radius: float, half: float) -> Iterator[dict]:
        """One frame: f(x) = a x, the network of one ball about 0 with L = f, and both conditions."""
        net = approximate_affine([0.0], radius, [0.0], linear=([[float(slope)]], [0.0]))
        with torch.inference_mode():
            output = net(torch.from_numpy(_LINE[:, None]))[:, 0].numpy()
        f = slope * _LINE
        largest = float(ball_condition(lambda x: slope * x, [0.0], radius, eps).largest[0])
        yield {
            "x": _LINE,
            "f": f,
            "F": output,
            "error": np.abs(output - f),
            "eps": eps,
            "slope": slope,
            "radius": radius,
            "half": half,
            "on_part": slope * half,
            "on_ball": largest,
            "bound": 3 * eps + slope * radius,
            "note": f"|f(x) − f(0)| up to {slope * half:.3g} on B ∩ K, {largest:.3g} on B",
        }

    def draw(self, frame: dict) -> None:
        scale = frame["slope"], frame["eps"]
        if scale != self._scale:
            self._scale = scale
            self.figure.forget_axes()
        draw_panels(self, _condition_panels(frame))
        part, ball = (frame[name] < frame["eps"] for name in ("on_part", "on_ball"))
        told = "Both conditions hold" if ball else "The paper's condition holds, the whole ball's does not"
        told = told if part else "Neither condition holds"
        error, eps = frame["error"].max(), frame["eps"]
        compared = f"|F − f| is up to {error:.3g} {'<' if error < eps else '≥'} ε = {eps:g}"
        for words in ("|F − f|", f"ε = {eps:g}"):
            compared = compared.replace(words, words.replace(" ", "\N{NO-BREAK SPACE}"))
        self.figure.retitle(f"{told}: {compared}")

    def admissible(self, settings: dict) -> dict:
        return {"half": [half for half in _INSIDE if half < settings["radius"]]}  # one ball covers K


def _condition_panels(frame: dict) -> list[CurvePanel]:
    x, f, output, eps = frame["x"], frame["f"], frame["F"], frame["eps"]
    drawn = output.astype(float)
    drawn[np.flatnonzero(np.diff(output == f))] = np.nan  # the network jumps on the sphere
    error = np.where(frame["error"] > 1e-3 * eps, frame["error"], np.nan)
    sides = np.array([-1.0, 1.0]) if x.size else np.empty(0)
    ends, inside = _LINE[-1] * sides, frame["half"] * sides
    return [
        CurvePanel(
            [
                Curve("f", x, f, "dense", kind="theory", lower=f - eps, upper=f + eps),
                Curve("F", x, drawn, "radial"),
                Curve("K", inside, 0 * inside, "radix", marker="line-ns-open"),
            ],
            "x",
            "f(x), F(x)",
        ),
        CurvePanel(
            [
                Curve("|F − f|", x, error, "radial"),
                Curve("ε", ends, np.full(ends.size, eps), "dense", kind="theory"),
                Curve("3ε + r|a|", ends, np.full(ends.size, frame["bound"]), "sao", kind="theory"),
            ],
            "x",
            "error |F − f|",
            log_y=True,
        ),
    ]
