"""Explorers of notebook 03 that draw networks: length against depth, the growth factor, growth through fixed wires."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch

from nbkit.data import digit_line
from nbkit.device import choose_device
from nbkit.explore.controls import Choice, Slider, Toggle
from nbkit.explore.explorer import Explorer
from nbkit.figures import Curve, length_figure, length_traces
from nbkit.measure import (
    GrowthResult,
    Trajectory,
    arc,
    circle,
    growth_lower_bound,
    growth_rms,
    random_line,
    stream_growth,
)
from nbkit.weights import Discrete, Gaussian, Law, Uniform

__all__ = ["LAWS", "MARKERS", "GrowthExplorer", "refined", "trajectory"]

#: Laws by name, each made from the standard deviation sigma_w; the integers {-3..3} are scaled to meet it.
LAWS: dict[str, Callable[[float], Law]] = {
    "Gaussian": Gaussian.of_std,
    "uniform": Uniform.of_std,
    "discrete": partial(Discrete.of_std, how="scale"),
}
MARKERS = {"Gaussian": "circle", "uniform": "square", "discrete": "diamond"}
_DIGITS, _ARC_PLANES = (100, 1000), 100  # positions among the shipped test digits; planes of the paper's Fig. 5c
_PATHS = ("two digits", "random line", "arc", "circle")
_DIGIT_WIDTH = 784
# A slider over a range would round 1 / sqrt 3 (PyTorch), 1 / sqrt 2 and sqrt 2 (He) to its steps.
_STDS = (
    *(0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.577, 0.65, 0.707, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.414, 1.6, 1.8, 2.0),
    *(2.2, 2.5, 2.8, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0),
)
_ENOUGH = 10  # networks from which the band fits the picture: of two it is 4 times as wide as of thirty
_DRAWN: set[tuple] = set()  # kinds of networks whose first ones are drawn, so that they come at once


@lru_cache(maxsize=50)
def trajectory(name: str, width: int) -> Trajectory:
    """A curve by name in R^width: "two digits" (784 only), "random line", "arc" in 100 planes or as many as fit, "circle"."""
    if name == "two digits":
        return digit_line(*_DIGITS)
    if name == "circle":
        return circle(width)
    straight = random_line(width)
    if name == "random line":
        return straight
    return arc(*straight(torch.tensor([0.0, 1.0])), n_planes=min(_ARC_PLANES, width // 2))


def refined(
    measures: dict[Any, Callable[[int], Iterator[GrowthResult | None]]], counts: set[int]
) -> Iterator[tuple[Any, GrowthResult | None]]:
    """(key, result) of every measure, over few networks first and then over all; results are None on the way."""
    for n in sorted(counts):
        for key, measure in measures.items():
            for result in measure(n):
                yield key, None
            yield key, result


class GrowthExplorer(Explorer):
    """The length of a curve layer by layer in random sparse ReLU networks, between the paper's bound and the rms law."""

    groups = {
        "weights": [
            Choice("law", "law", tuple(LAWS)),
            Slider("density", "density α", 0.05, 1.0, 0.05, value=0.5),
            Slider("std", "scale σ_w", values=_STDS, value=6.0),
        ],
        "network": [
            Slider("width", "width k", values=(20, 50, 100, 200, 500, 784), value=784),
            Slider("depth", "depth L", 1, 20, value=10),
        ],
        "measure": [
            Choice("curve", "curve", _PATHS),
            Slider("n_nets", "networks", values=(10, 30, 100), value=30),
            Toggle("control", "control variate", value=True),
        ],
    }
    presets = {
        "Fig. 2": {"law": "Gaussian", "density": 0.5, "std": 6.0, "width": 784, "depth": 10, "curve": "two digits"},
        "growth 1": {"law": "Gaussian", "density": 0.5, "std": 2.0, "width": 784, "depth": 10, "curve": "two digits"},
        "He scaling": {"law": "Gaussian", "density": 1.0, "std": 1.414, "width": 50, "depth": 20, "curve": "circle"},
        "PyTorch's default": {
            "law": "uniform",
            "density": 1.0,
            "std": 0.577,
            "width": 784,
            "depth": 10,
            "curve": "two digits",
        },
        "break it": {"law": "discrete", "density": 0.1, "std": 6.0, "width": 20, "depth": 20, "curve": "arc"},
    }
    height = 520

    def build(self) -> None:
        empty = _curves(
            {"law": "Gaussian", "depth": (), "rms": (), "bound": (), "length": (), "lower": (), "upper": ()}
        )
        self.figure = self.figure_widget(length_figure(*empty, height=self.height))

    def stream(
        self, *, law: str, density: float, std: float, width: int, depth: int, curve: str, n_nets: int, control: bool
    ) -> Iterator[dict | None]:
        """Theory first where the networks are new; then the means over 2 networks, 3, 4, ..."""
        path, weights = trajectory(curve, width), LAWS[law](std)
        depths = np.arange(depth + 1)
        growths = {"rms": growth_rms(weights, density), "bound": growth_lower_bound(weights, density)}
        frame = {"law": law, "grid": weights.name, "depth": depths, "growth_rms": growths["rms"]}
        frame |= {"growth_bound": growths["bound"]} | {k: path.length * v**depths for k, v in growths.items()}
        kind = law == "Gaussian", width, depth
        if kind not in _DRAWN:
            yield frame | dict.fromkeys(("length", "lower", "upper"), np.empty(0)) | {"note": weights.name}
        for result in stream_growth(
            weights, density, width, depth, n_nets=n_nets, curve=path, device=choose_device(), who="GrowthExplorer"
        ):
            _DRAWN.add(kind)
            progress = {"progress": (result.n_nets, n_nets, "networks")}
            yield frame | _measured(result, control, path.length, weights.name) | progress

    def draw(self, frame: dict) -> None:
        curves, ratio = _curves(frame)
        seen = np.concatenate([frame[name] for name in ("rms", "bound", "length")])
        shown = self.grow("yaxis", np.nanmin(seen) / 1.5, np.nanmax(seen) * 1.5)
        self.grow("xaxis", 0, frame["depth"][-1])
        self.grow("yaxis2", *_extent(frame, ratio))
        self.figure.redraw(length_traces(curves, ratio, y_range=shown))
        for number in (3, 8):
            self.figure.data[number].marker.symbol = MARKERS[frame["law"]]
        self.figure.retitle(_growth_title(frame))

    def admissible(self, settings: dict) -> dict:
        paths = [path for path in _PATHS if path != "two digits" or settings["width"] == _DIGIT_WIDTH]
        return {"curve": paths}


def _measured(result: GrowthResult, control: bool, start: float, grid: str) -> dict[str, Any]:
    """Means and 95 % intervals of lengths and growth; lengths that are 0, or not known to be above it, are left out."""
    lengths, growths = result.length_estimate(control=control), result.growth_estimate(control=control)
    (low, high), (_, most) = lengths.interval(), growths.interval()
    length, lower, upper = (values.numpy().copy() for values in (lengths.mean, low, high))
    length[0] = lower[0] = upper[0] = start
    unknown = ~(length > 0)
    for values in (length, lower, upper):
        values[unknown] = np.nan
    n_dead = int((result.log_length[:, -1] == -np.inf).sum())
    died = f" · {n_dead} of them died: length 0" if n_dead else ""
    return {
        "length": length,
        "lower": lower,
        "upper": upper,
        "growth": float(growths.mean),
        "growth_error": float(most - growths.mean),
        "n_nets": result.n_nets,
        "n_dead": n_dead,
        "note": f"{grid} · 95 % t interval over {result.n_nets} networks{died}",
    }


def _curves(frame: dict) -> tuple[list[Curve], Curve]:
    """Lengths with the two laws, and the measured length over the rms law."""
    depth, rms, family = frame["depth"], np.asarray(frame["rms"]), "dense"
    length, lower, upper = (np.asarray(frame[name]) for name in ("length", "lower", "upper"))
    there, style = depth[: len(length)], {"marker": MARKERS[frame["law"]]}
    curves = [
        Curve("measured", there, length, family, lower=lower, upper=upper, **style),
        Curve("rms law", depth, rms, family, kind="theory"),
        Curve("paper's bound", depth, frame["bound"], family, kind="theory"),
    ]
    rms = rms[: len(length)]
    ratio = Curve("ratio", there, length / rms, family, lower=lower / rms, upper=upper / rms, **style)
    return curves, ratio


def _extent(frame: dict, ratio: Curve) -> tuple[float, float]:
    """What the lower panel shows: the ratios, and their bands once these are no wider than needed."""
    drawn = [np.array([0.98, 1.005]), ratio.y]
    if frame.get("n_nets", 0) >= _ENOUGH:
        drawn += [ratio.lower, ratio.upper]
    seen = np.concatenate(drawn)
    return max(0.0, float(np.nanmin(seen))), float(np.nanmax(seen))


def _growth_title(frame: dict) -> str:
    rms, bound = frame["growth_rms"], frame["growth_bound"]
    if "growth" not in frame:
        return f"Lengths grow between {bound:.3g}^d, the paper's bound, and {rms:.4g}^d, the rms law"
    mean, error = frame["growth"], frame["growth_error"]
    digits = min(6, max(1, 1 - int(np.floor(np.log10(error))))) if error > 0 else 4
    measured = f"{mean:.{digits}f} ± {error:.{digits}f}"
    what = "lengths > 0" if frame["n_dead"] else "lengths"
    laws = f"the paper's bound {bound:.3g} and the rms law {rms:.4g}"
    return f"Each layer multiplies {what} by {measured}: {'between' if bound <= mean <= rms else 'beside'} {laws}"
