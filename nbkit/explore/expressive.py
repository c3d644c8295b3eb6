"""Explorer of notebook 11: expressive power against depth as it was found by training, and one fit while it trains."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.figures import (
    FIT_LOOKS,
    ErrorCurve,
    ExpressiveView,
    expressive_figure,
    expressive_ranges,
    expressive_titles,
    expressive_traces,
)
from nbkit.results import Result, load_result
from nbkit.runs.expressive import NETS, Settings, born, fit_stream, grid_errors, n_parameters, samples, wires
from nbkit.runs.lipschitz import lipschitz_target
from nbkit.runs.power_laws import BestFits, best_fits, interval

__all__ = ["ExpressiveExplorer"]

_STORED = Settings()
_TARGETS = {f"{kind} {n}": (kind, n) for kind, n in _STORED.family}
_MEASURES = {"largest": "sup", "root mean square": "rms"}
_POOLS = {"the worst": "worst", "the mean": "mean", "the one below": None}
_SIDE = 33  # points a side of the pictures; the error is measured on them as well
_TURN = 10  # steps of one network until others have their turn
_LOOK = 5  # turns of each between two looks


class ExpressiveExplorer(Explorer):
    """Best fits of functions with Lipschitz constant 1 by depth: all wires, RadiX wires, all wires at RadiX's budget."""

    groups = {
        "stored": [
            Choice("measure", "error", tuple(_MEASURES)),
            Choice("pool", "of functions", tuple(_POOLS)),
        ],
        "in training": [
            Choice("target", "function f", tuple(_TARGETS), value="cones 16"),
            Slider("depth", "depth N", values=_STORED.depths, value=4),
            Slider("seed", "seed", 0, 9, value=0),
            Slider("steps", "Adam's steps", values=(100, 300, 1000, 4000), value=300),
        ],
    }
    presets = {
        "the conjecture": {"measure": "largest", "pool": "the worst"},
        "many tips": {"pool": "the one below", "target": "cones 64", "depth": 4},
        "smooth": {"pool": "the one below", "target": "waves 8", "depth": 4},
        "too deep to train": {"pool": "the one below", "target": "cones 16", "depth": 12},
    }
    height = 660

    def build(self) -> None:
        self.figure = self.figure_widget(expressive_figure(ExpressiveView(), height=self.height))
        self._drawn: list[dict[str, object]] = [{}] * len(expressive_traces(ExpressiveView()))

    def stream(
        self, *, measure: str, pool: str, target: str, depth: int, seed: int, steps: int
    ) -> Iterator[dict | None]:
        """The stored curves with the three networks at birth; then their training, from where it is to its end."""
        over = _POOLS[pool] or target
        frame = _found(_MEASURES[measure], over) | {"about": pool if _POOLS[pool] else over}
        course = _course(target, depth, seed, steps)
        while True:
            yield frame | course.frame(_MEASURES[measure])
            if course.step == steps:
                return
            yield from course.go_on()

    def draw(self, frame: dict) -> None:
        view = ExpressiveView(**{name: frame[name] for name in ("curves", "live", "target", "gaps")})
        shown = {axis: self.grow(axis, *ends) for axis, ends in expressive_ranges(view).items()}
        traces = expressive_traces(view, shown=shown)
        # the browser draws a trace that is written anew, though it be as it was: in training only stars and pictures change
        self.figure.redraw([{} if _is_same(*pair) else pair[0] for pair in zip(traces, self._drawn, strict=True)])
        self._drawn = traces
        for note, text in zip(self.figure.layout.annotations, expressive_titles(view), strict=True):
            note.text = text
        self.figure.retitle(_title(frame))


class _Course:
    """One function and three networks in training; streams of equal settings share one."""

    def __init__(self, target: str, depth: int, seed: int, steps: int) -> None:
        self.settings = settings = replace(_STORED, steps=steps, restarts=1, grid=_SIDE)
        self.targets = [lipschitz_target(*_TARGETS[target], seed=seed)]
        topologies = {net: wires(net, depth, settings) for net in NETS}
        self.sizes = {net: (depth, n_parameters(topology)) for net, topology in topologies.items()}
        self.nets = {net: born(topology, 1, seed=seed) for net, topology in topologies.items()}
        self.step, self._seed, self._lock = 0, seed, threading.Lock()
        self._streams: dict | None = None
        side = torch.linspace(0, 1, _SIDE, dtype=torch.float64)
        self.values = self.targets[0](torch.cartesian_prod(side, side)).view(_SIDE, _SIDE).numpy()
        self._look()

    def go_on(self) -> Iterator[None]:
        """Until the next look, a few steps of one network a turn."""
        wanted = min(self.settings.steps, self.step + _TURN * _LOOK)
        while self.step < wanted:
            with self._lock:
                if self.step < wanted:  # another stream may have been here
                    self._turn()
            yield None

    def _turn(self) -> None:
        if self._streams is None:  # the first needs torch's optimisers, which takes a second where nothing else has
            x, y = samples(self.targets, 1, self._seed, self.settings)
            self._streams = {net: fit_stream(each, x, y, self.settings) for net, each in self.nets.items()}
            self._done = dict.fromkeys(NETS, 0)
            return
        net = min(NETS, key=self._done.get)
        for _ in range(_TURN):
            self._done[net], _ = next(self._streams[net])
        if min(self._done.values()) % (_TURN * _LOOK) == 0 and len(set(self._done.values())) == 1:
            self._look()
            self.step = self._done[net]

    def _look(self) -> None:
        self.gaps = {net: grid_errors(each, self.targets, self.settings)[0].numpy() for net, each in self.nets.items()}

    def frame(self, measure: str) -> dict:
        """What is shown of the training now."""
        errors = {
            net: float(np.abs(gap).max() if measure == "sup" else np.sqrt((gap**2).mean()))
            for net, gap in self.gaps.items()
        }
        told = ", ".join(f"{FIT_LOOKS[net][3]} {error:.2g}" for net, error in errors.items())
        return {
            "live": {net: (*self.sizes[net], error) for net, error in errors.items()},
            "target": self.values,
            "gaps": self.gaps,
            "progress": (self.step, self.settings.steps, "steps"),
            "note": f"★ one try, {self.step} steps: {told}",
        }


@lru_cache(maxsize=8)
def _course(target: str, depth: int, seed: int, steps: int) -> _Course:
    return _Course(target, depth, seed, steps)


@lru_cache(maxsize=1)
def _stored() -> Result:
    return load_result("expressive_fits")


@lru_cache(maxsize=16)
def _found(measure: str, over: str) -> dict:
    """What the stored fits say, by kind of network."""
    stored = _stored()
    fits = best_fits(stored.columns, measure, over)
    return {
        "curves": {net: _curve(each) for net, each in fits.items()},
        "slopes": {net: interval(each.slopes) for net, each in fits.items()},
        "ratios": {net: _ratio(fits["radix"], fits[net]) for net in ("dense", "narrow")},
        "is_partial": stored.is_partial,
    }


def _curve(fits: BestFits) -> ErrorCurve:
    """Geometric means over seeds with their 95 % intervals."""
    middle, low, high = np.exp(np.array([interval(column) for column in np.log(fits.errors).T])).T
    return ErrorCurve(fits.depths, fits.n_parameters, middle, low, high)


def _ratio(fits: BestFits, others: BestFits) -> float:
    """Error over the others' error, geometric mean over depths and seeds."""
    return float(np.exp((np.log(fits.errors) - np.log(others.errors)).mean()))


def _is_same(values: dict[str, object], before: dict[str, object]) -> bool:
    return values.keys() == before.keys() and all(np.array_equal(values[name], before[name]) for name in values)


def _title(frame: dict) -> str:
    about = f"{frame['about']} of four functions" if _POOLS.get(frame["about"]) else f"functions {frame['about']}"
    told = {
        net: f"N^{middle:.2f} {FIT_LOOKS[net][3]}".replace("-", "−") for net, (middle, _, _) in frame["slopes"].items()
    }
    told["radix"] += f" ({', '.join(f'{ratio:.2f}× {net}' for net, ratio in frame['ratios'].items())})"
    about = f"partial run, {about}" if frame["is_partial"] else about
    return f"{about[0].upper()}{about[1:]}: error ~ {', '.join(told.values())}"
