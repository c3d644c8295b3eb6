"""Explorers of notebook 13: phase diagrams that fill in cell by cell, beside the large ones that are stored."""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import lru_cache
from pathlib import Path

import numpy as np

from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.figures import PhasePanel, phase_axes, phase_figure, phase_traces
from nbkit.measure import growth_lower_bound, weight_scale
from nbkit.results import Result, load_result
from nbkit.runs.phases import Settings, growth_cell, level_line
from nbkit.sweeping import stream_sweep
from nbkit.weights import Gaussian

__all__ = ["PhaseExplorer", "TrainabilityExplorer"]

_STORED = Settings()
_GROWTHS = {"mean factor": "growth", "length": "rate"}
_LINES = ("measured 1", "rms law is 1", "bound is 1")
_LEAST = 1e-9  # of a growth: dead networks have a place on the logarithmic scale, far below the others
_CELLS_A_FRAME = 6
_TRAINED_LINES = ("this accuracy", "so many directions at birth")
_SHOWN: dict[str, Callable[[dict], np.ndarray]] = {
    "accuracy": lambda known: known["accuracy"],
    "loss / ln 10": lambda known: known["loss"] / np.log(10),
    "ln directions / ln 64": lambda known: np.log(known["directions"]) / np.log(64),
}
_WEIGHTS = {"orthogonal (SAO)": "orthogonal", "Gaussian": "Gaussian"}


class PhaseExplorer(Explorer):
    """Growth over density and weight scale, cell by cell: a sweep that runs while you watch; right, a stored one."""

    groups = {
        "networks": [
            Slider("width", "width k", values=(16, 32, 64, 128, 256), value=64),
            Slider("depth", "depth L", values=(1, 2, 5, 10, 20), value=10),
        ],
        "sweep": [
            Slider("n_cells", "cells a side", values=(4, 6, 9, 12, 16), value=9),
            Slider("n_seeds", "seeds", values=(1, 2, 4), value=2),
        ],
        "measure": [
            Choice("growth", "growth of", tuple(_GROWTHS)),
            Slider("stored", "stored, k", values=_STORED.widths, value=784),
        ],
    }
    presets = {
        "wide": {"width": 256, "n_cells": 9, "n_seeds": 1},
        "narrow": {"width": 16, "stored": 32, "n_cells": 6, "n_seeds": 4},
        "what a line becomes": {"growth": "length", "width": 16, "stored": 32},
    }
    height = 480

    def build(self) -> None:
        panels = [PhasePanel("live"), PhasePanel("stored")]
        labels = {"x_label": "density α", "y_label": "scale σ_w", "value_label": "growth a layer"}
        self.figure = self.figure_widget(phase_figure(panels, _LINES, **labels, signed=True, height=self.height))
        self._folder = tempfile.TemporaryDirectory(prefix="nbkit-phases-")  # its cells are never computed twice

    def close(self) -> None:
        super().close()
        self._folder.cleanup()

    def stream(
        self, *, width: int, depth: int, n_cells: int, n_seeds: int, growth: str, stored: int
    ) -> Iterator[dict | None]:
        """Theory and what is stored at once; then the cells as the sweep gives them, coarse to fine, seed by seed."""
        column = _GROWTHS[growth]
        live, k = _Diagram(n_cells, n_seeds), stored
        frame = {"width": width, "depth": depth, "growth": growth, "k": k, "stored": _stored_growth(k, column)}
        yield frame | live.told()
        cells = [cell | {"width": width, "depth": depth} for cell in live.cells]
        store = Path(self._folder.name) / "growth.jsonl"
        with ThreadPoolExecutor(1) as thread:
            with closing(stream_sweep(growth_cell, cells, store=store, executor=thread, retry=True)) as rows:
                for place, row in enumerate(rows, start=1):
                    live.take(row, column)
                    yield frame | live.told() if place % _CELLS_A_FRAME == 0 or place == len(cells) else None

    def draw(self, frame: dict) -> None:
        told = f"stored: k = {frame['k']}, {_STORED.growth_depth} layers, {_STORED.n_seeds} seeds"
        live = f"live: k = {frame['width']}, {frame['depth']} layers"
        panels = [_growth_panel(live, frame), _growth_panel(told, frame["stored"])]
        _draw(self, panels, _LINES, signed=True)
        self.figure.retitle(_growth_title(frame))


class TrainabilityExplorer(Explorer):
    """What trains, over degree and depth, with orthogonal and with Gaussian weights on the same wires: a stored sweep."""

    groups = {
        "shown": [Choice("shown", "cells show", tuple(_SHOWN))],
        "lines": [
            Slider("accuracy", "accuracy", 0.3, 0.8, 0.05, value=0.5),
            Slider("directions", "directions", values=(1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0), value=1.5),
        ],
    }
    presets = {
        "what trained": {"shown": "accuracy"},
        "what was there at birth": {"shown": "ln directions / ln 64"},
    }
    height = 480

    def build(self) -> None:
        panels = [PhasePanel(name) for name in _WEIGHTS]
        labels = {"x_label": "degree d", "y_label": "depth N", "value_label": "accuracy"}
        self.figure = self.figure_widget(phase_figure(panels, _TRAINED_LINES, **labels, height=self.height))

    def stream(self, *, shown: str, accuracy: float, directions: float) -> Iterator[dict]:
        """One frame: what is stored, and where it crosses the two levels."""
        frame = {"shown": shown, "accuracy": accuracy, "directions": directions, "weights": {}}
        for name, weights in _WEIGHTS.items():
            values = {column: _stored_training(weights, column) for column in ("accuracy", "directions", "loss")}
            lines = {
                _TRAINED_LINES[0]: level_line(_STORED.depths, values["accuracy"], accuracy),
                _TRAINED_LINES[1]: level_line(_STORED.depths, np.log(values["directions"]), np.log(directions)),
            }
            frame["weights"][name] = values | {"values": _SHOWN[shown](values), "lines": lines}
        yield frame

    def draw(self, frame: dict) -> None:
        x, y = (np.array(values, dtype=float) for values in (_STORED.degrees, _STORED.depths))
        panels = [
            PhasePanel(name, x, y, own["values"], lines={line: _there(x, at) for line, at in own["lines"].items()})
            for name, own in frame["weights"].items()
        ]
        _draw(self, panels, _TRAINED_LINES)
        self.figure.layout.coloraxis.colorbar.title.text = frame["shown"]
        self.figure.retitle(_trained_title(frame))


class _Diagram:
    """What is known of a live diagram: one layer of cells a seed, whatever the order in which they come."""

    def __init__(self, n_cells: int, n_seeds: int) -> None:
        self.densities, self.scales = (_rounded(values, n_cells) for values in (_STORED.densities, _STORED.scales))
        order = sorted(np.ndindex(n_cells, n_cells), key=lambda place: _coarseness(*place))
        self.cells = [
            {"density": self.densities[j], "sigma_w": self.scales[i], "seed": seed}
            for seed in range(n_seeds)
            for i, j in order
        ]
        self._known = np.full((n_seeds, n_cells, n_cells), np.nan)
        self._failures: list[str] = []

    def take(self, row: dict, column: str) -> None:
        if row["error"] is not None:
            self._failures.append(row["error"])
            return
        place = row["seed"], self.scales.index(row["sigma_w"]), self.densities.index(row["density"])
        self._known[place] = row[column]

    def told(self) -> dict:
        n_failed, is_known = len(self._failures), np.isfinite(self._known)
        with np.errstate(invalid="ignore"):
            means = np.where(is_known, self._known, 0).sum(axis=0) / is_known.sum(axis=0)  # NaN where nothing is known
        return {
            "densities": np.array(self.densities),
            "scales": np.array(self.scales),
            "values": means,
            "measured": level_line(self.scales, np.log(np.maximum(means, _LEAST)), 0.0),
            "progress": (int(is_known.sum()) + n_failed, len(self.cells), "cells"),
            "note": f"{n_failed} cells failed: {self._failures[0]}" if n_failed else "",
        }


def _rounded(values: tuple[float, ...], n: int) -> list[float]:
    """n values that are as far apart on a logarithmic axis, over the same range, of three digits."""
    return [float(f"{value:.3g}") for value in np.geomspace(values[0], values[-1], n)]


def _coarseness(i: int, j: int) -> tuple[bool, bool]:
    """Cells sorted by this are spread over the whole diagram from the first ones on."""
    return bool(i % 4 or j % 4), bool(i % 2 or j % 2)


def _stored_growth(width: int, column: str) -> dict:
    means = _stored_means("phases_growth", column, "sigma_w", "density", width=width)
    return {
        "densities": np.array(_STORED.densities),
        "scales": np.array(_STORED.scales),
        "values": means,
        "measured": level_line(_STORED.scales, np.log(np.maximum(means, _LEAST)), 0.0),
    }


def _stored_training(weights: str, column: str) -> np.ndarray:
    return _stored_means("phases_training", column, "depth", "degree", weights=weights)


def _stored_means(name: str, column: str, rows: str, columns: str, **where: object) -> np.ndarray:
    """A column of a stored sweep, meaned over seeds: (different values of rows, of columns)."""
    table = _stored(name).columns
    kept = np.logical_and.reduce([table[key] == value for key, value in where.items()])
    (ys, row), (xs, place) = (np.unique(table[key][kept], return_inverse=True) for key in (rows, columns))
    sums, counts = np.zeros((2, ys.size, xs.size))
    np.add.at(sums, (row, place), table[column][kept])
    np.add.at(counts, (row, place), 1)
    return sums / counts


@lru_cache(maxsize=2)
def _stored(name: str) -> Result:
    return load_result(name)


def _there(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x[np.isfinite(y)], y[np.isfinite(y)]


def _growth_panel(name: str, found: dict) -> PhasePanel:
    x = found["densities"]
    theory = {_LINES[1]: [weight_scale(each) for each in x]}
    theory[_LINES[2]] = [1 / growth_lower_bound(Gaussian(1.0), each) for each in x]
    lines = {name: (x, np.array(y)) for name, y in theory.items()}
    return PhasePanel(
        name, x, found["scales"], found["values"], lines=lines | {_LINES[0]: _there(x, found["measured"])}
    )


def _draw(explorer: Explorer, panels: list[PhasePanel], lines: tuple[str, ...], *, signed: bool = False) -> None:
    axes = phase_axes(panels)
    for annotation, name in zip(explorer.figure.layout.annotations, axes.pop("names"), strict=True):
        annotation.text = name
    for axis, ends in axes.items():
        explorer.grow(axis, *ends)
    explorer.figure.redraw(phase_traces(panels, lines, signed=signed))


def _growth_title(frame: dict) -> str:
    x, measured = _there(frame["densities"], frame["measured"])
    what = "growth 1" if frame["growth"] == "mean factor" else "whole lines keep their length"
    if not x.size:
        return f"Width {frame['width']}: {what}, where? No cells on both sides of it yet"
    law, bound = np.array([[weight_scale(each), 1 / growth_lower_bound(Gaussian(1.0), each)] for each in x]).T
    return (
        f"Width {frame['width']}: {what} at {_span(measured / law)} times the σ_w of the rms law; the bound promises it "
        f"from {_span(bound / measured)} times that on"
    )


def _span(values: np.ndarray) -> str:
    low, high = f"{values.min():.2g}", f"{values.max():.2g}"
    return low if low == high else f"{low} to {high}"


def _trained_title(frame: dict) -> str:
    told = []
    for name, own in zip(("orthogonal", "Gaussian"), frame["weights"].values(), strict=True):
        reached = own["accuracy"] >= frame["accuracy"]
        first, *_, last = (max(np.array(_STORED.depths)[column], default=0) for column in reached.T)
        told.append(f"{name} weights to depth {first} and {last}")
    degrees = f"with {_STORED.degrees[0]} and {_STORED.degrees[-1]} wires a node"
    return f"{frame['accuracy']:.0%} right, {degrees}: {', '.join(told)}"
