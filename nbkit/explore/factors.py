"""Explorer of notebook 03: the growth factor of three laws against the scale of the weights or the density."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from nbkit.device import choose_device
from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.growth import LAWS, MARKERS, refined, trajectory
from nbkit.figures import Curve, curve_traces, curves_figure
from nbkit.measure import GrowthResult, growth_lower_bound, growth_rms, stream_growth
from nbkit.weights import Discrete, Law

__all__ = ["FactorExplorer"]

_SCALE, _DENSITY, _ALL = "scale σ_w", "density α", "all"
_PLACES = {
    "two digits, k = 784": ("two digits", 784),
    "random line, k = 500": ("random line", 500),
    "arc in 100 planes, k = 500": ("arc", 500),
}
_DENSITIES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_STDS = (0.5, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0)
_INTEGERS = (1, 3, 6, 10, 13, 17, 20, 24, 27, 31, 34)  # limits C, whose std sqrt(C (C + 1) / 3) reaches 20 as well

_FIRST_POINTS = 9  # three of each law: fewer make no curve


def _coarse_to_fine(n: int) -> list[int]:
    """0..n - 1 in an order whose beginnings are spread over the whole range: the ends and the middle of 11 come first."""
    return sorted(range(n), key=lambda i: (i % 5 > 0, i % 2 > 0))


class FactorExplorer(Explorer):
    """The growth factor of three laws with one standard deviation, against that or against the density."""

    groups = {
        "weights": [
            Choice("against", "against", (_SCALE, _DENSITY)),
            Slider("density", "density α", values=(_ALL, *_DENSITIES), value=0.5),
            Slider("std", "scale σ_w", values=(_ALL, *_STDS), value=_ALL),
        ],
        "measure": [
            Choice("curve", "curve", tuple(_PLACES)),
            Slider("depth", "depth L", values=(1, 2, 4, 8, 12), value=2),
            Slider("n_nets", "networks", values=(2, 4, 10, 30, 100), value=4),
        ],
    }
    presets = {
        "Fig. 3a": {"against": _SCALE, "density": 0.5, "curve": "two digits, k = 784"},
        "Fig. 3b": {"against": _DENSITY, "std": 2.0, "curve": "two digits, k = 784"},
        "Fig. 5a": {"against": _SCALE, "density": 0.5, "curve": "random line, k = 500"},
        "Fig. 5b": {"against": _DENSITY, "std": 2.0, "curve": "random line, k = 500"},
        "Fig. 5c": {"against": _SCALE, "density": 0.5, "curve": "arc in 100 planes, k = 500"},
        "Fig. 5d": {"against": _DENSITY, "std": 2.0, "curve": "arc in 100 planes, k = 500"},
    }
    height = 460

    def build(self) -> None:
        nothing = dict.fromkeys(("x", "growth", "lower", "upper", "bound"), np.empty(0))
        empty = {"laws": dict.fromkeys(LAWS, nothing), "rms_x": (), "rms": ()}
        self.figure = self.figure_widget(
            curves_figure(_factor_curves(empty), x_label=_SCALE, y_label="growth a layer", height=self.height)
        )
        self._against = _SCALE

    def stream(
        self, *, against: str, density: float | str, std: float | str, curve: str, depth: int, n_nets: int
    ) -> Iterator[dict | None]:
        """All points with one network each, coarse to fine; then once more with all networks."""
        points = _points(against, density, std)
        name, width = _PLACES[curve]
        path, device = trajectory(name, width), choose_device()

        def measure(law: Law, alpha: float) -> Callable[[int], Iterator[GrowthResult]]:
            return lambda n: stream_growth(law, alpha, width, depth, n_nets=n, curve=path, device=device)

        order = [(law, i) for i in _coarse_to_fine(len(_DENSITIES)) for law in LAWS]
        measures = {(law, i): measure(*points[law][i][1:]) for law, i in order}
        results: dict[tuple[str, int], GrowthResult] = {}
        for key, result in refined(measures, {1, n_nets}):
            if result is not None:
                results[key] = result
            if result is None or len(results) < _FIRST_POINTS:
                yield None
                continue
            counts = [entry.n_nets for entry in results.values()]
            told = {"progress": (sum(counts), n_nets * len(order), "networks")}
            if min(counts) > 1:
                told["note"] = f"95 % t intervals over {min(counts)} networks a point"
            yield _factor_frame(against, points, results) | told

    def draw(self, frame: dict) -> None:
        if frame["against"] != self._against:
            self._against = frame["against"]
            self.figure.forget_axes()
            self.figure.layout.xaxis.title.text = self._against
        self.grow("xaxis", 0, frame["rms_x"][-1])
        shown = self.grow("yaxis", 0, 1.12 * frame["rms"][-1])  # room for the labels, which lie above one another
        self.figure.redraw(curve_traces(_factor_curves(frame), y_range=shown))
        self.figure.retitle(_factor_title(frame))

    def admissible(self, settings: dict) -> dict:
        if settings["against"] == _SCALE:
            return {"density": _DENSITIES, "std": [_ALL]}
        return {"density": [_ALL], "std": _STDS[1:]}  # who has wished for none gets the first, 2


def _points(against: str, density: float | str, std: float | str) -> dict[str, list[tuple[float, Law, float]]]:
    """law -> (x, law, density) of every point; against the scale the discrete law has only its integer grids."""
    if against == _DENSITY:
        return {name: [(alpha, law(std), alpha) for alpha in _DENSITIES] for name, law in LAWS.items()}
    grids = {name: [law(scale) for scale in _STDS] for name, law in LAWS.items()}
    grids["discrete"] = [Discrete(limit) for limit in _INTEGERS]
    return {name: [(law.std, law, density) for law in laws] for name, laws in grids.items()}


def _factor_frame(against: str, points: dict, results: dict[tuple[str, int], GrowthResult]) -> dict:
    """What is known so far: arrays of one entry a point, ascending."""
    laws = {}
    for name, entries in points.items():
        known = [i for i in range(len(entries)) if (name, i) in results]
        estimates = [results[name, i].growth_estimate() for i in known]
        ends = [estimate.interval() for estimate in estimates]
        laws[name] = {
            "x": np.array([entries[i][0] for i in known]),
            "growth": np.array([float(estimate.mean) for estimate in estimates]),
            "lower": np.array([float(low) for low, _ in ends]),
            "upper": np.array([float(high) for _, high in ends]),
            "bound": np.array([growth_lower_bound(*entries[i][1:]) for i in known]),
        }
    if against == _DENSITY:
        x = np.linspace(0.01, 1, 100)
        rms = np.array([growth_rms(points["Gaussian"][0][1], alpha) for alpha in x])
    else:
        x = np.array([0.0, _STDS[-1]])
        rms = x * math.sqrt(points["Gaussian"][0][2] / 2)
    return {"against": against, "laws": laws, "rms_x": x, "rms": rms}


def _factor_curves(frame: dict) -> list[Curve]:
    """Each law measured and its bound, all in one colour; the one rms law."""
    laws, style = frame["laws"], {"kind": "theory"}
    measured = [
        Curve(name, law["x"], law["growth"], "dense", marker=MARKERS[name], lower=law["lower"], upper=law["upper"])
        for name, law in laws.items()
    ]
    bounds = [Curve(f"bound, {name}", law["x"], law["bound"], "dense", **style) for name, law in laws.items()]
    return [*measured, *bounds, Curve("rms σ_w √(α/2)", frame["rms_x"], frame["rms"], "dense", **style)]


def _factor_title(frame: dict) -> str:
    ratios, bounds = [], []
    for law in frame["laws"].values():
        ratios += list(law["growth"] / np.interp(law["x"], frame["rms_x"], frame["rms"]))
        bounds += list(law["growth"] / law["bound"])
    off = 100 * max(abs(1 - ratio) for ratio in ratios)
    place = 10.0 ** math.floor(math.log10(max(off, 1e-9)))
    off = place * math.ceil(off / place)  # rounded up: all of them are within
    return (
        f"Three laws, one growth: within {off:.1g} % of the rms law, "
        f"{min(bounds):.2g} to {max(bounds):.2g} times the paper's bounds"
    )
