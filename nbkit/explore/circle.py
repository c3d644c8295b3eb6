"""Explorers of notebook 03 that look into one network: the circle of Fig. 1, and a line's length by three methods."""

import math
from collections.abc import Iterator

import numpy as np
import torch

from nbkit.device import random_generator
from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.growth import trajectory
from nbkit.figures import Curve, circle_figure, circle_traces, curve_traces, curves_figure
from nbkit.measure import arc_length, circle, growth_rms, growth_through
from nbkit.weights import Gaussian, RandomNets

__all__ = ["CircleExplorer", "LengthExplorer"]

_DEEPEST, _N_POINTS = 12, 800
_TIMES = np.linspace(0, 1, _N_POINTS)
_PCA, _RANDOM = "largest spread", "random"


class CircleExplorer(Explorer):
    """A circle on its way through one random network, seen from two and three directions."""

    groups = {
        "network": [
            Slider("std", "scale σ_w", 0.2, 10.0, 0.1, value=2.0),
            Slider("density", "density α", 0.05, 1.0, 0.05, value=1.0),
            Slider("width", "width k", values=(20, 50, 100, 200), value=100),
            Slider("seed", "seed", 0, 9, value=0),
        ],
        "picture": [
            Slider("depth", "layer d", 0, _DEEPEST, value=6, play=True),
            Choice("show", "show", ("before the ReLU", "behind the ReLU")),
            Choice("directions", "directions", (_PCA, _RANDOM)),
        ],
    }
    presets = {
        "Fig. 1a": {"std": 2.0, "density": 1.0, "depth": 0, "show": "before the ReLU"},
        "Fig. 1b": {"std": 2.0, "density": 1.0, "depth": 6, "show": "before the ReLU"},
        "Fig. 1c": {"std": 2.0, "density": 1.0, "depth": 12, "show": "before the ReLU"},
        "thin": {"std": 6.3, "density": 0.1, "depth": 6, "show": "behind the ReLU"},
    }
    height = 440

    def build(self) -> None:
        self.figure = self.figure_widget(
            circle_figure(_TIMES, np.zeros((_N_POINTS, 3)), height=self.height), ghosts=False
        )

    def stream(
        self, *, std: float, density: float, width: int, seed: int, depth: int, show: str, directions: str
    ) -> Iterator[dict]:
        """One frame: coordinates in rms radii, length, share of the spread that is seen."""
        before = show == "before the ReLU"
        image, length = _circle_image(std, density, width, seed, depth, before)
        seen, shares = _projected(image, _random_axes(width, seed) if directions == _RANDOM else None)
        if not length:  # a point, which rounding alone keeps from its own mean
            seen, shares = np.zeros_like(seen), np.zeros_like(shares)
        held = np.cumsum(shares)[1:] * 100
        rms = growth_rms(Gaussian(std), density) ** depth
        yield {
            "depth": depth,
            "points": seen,
            "length": length,
            "growth": length / (2 * math.pi),
            "growth_rms": rms * math.sqrt(2) if depth and before else rms,
            "shares": shares,
            "show": show,
            "note": "2 directions hold {:.0f} % of the spread, 3 hold {:.0f} %".format(*held) if length else "a point",
        }

    def draw(self, frame: dict) -> None:
        self.figure.redraw(circle_traces(frame["points"], _N_POINTS))
        depth = frame["depth"]
        where = f"Layer {depth}, {frame['show']}" if depth else "The input"
        told = f" length × {frame['growth']:.3g} (rms law ×\u00a0{frame['growth_rms']:.3g})" if depth else " a circle"
        self.figure.retitle(f"{where}:{told}")


@torch.no_grad()
def _circle_image(
    std: float, density: float, width: int, seed: int, depth: int, before: bool
) -> tuple[torch.Tensor, float]:
    """The image (n_points, width) of the unit circle in layer `depth` of one network, and its length by tangents."""
    nets, path = RandomNets((width,) * (_DEEPEST + 1), Gaussian(std), density, seed=seed), circle(width, seed=seed)
    heights, moved = path(_TIMES), path.derivative(_TIMES)
    for layer in range(depth):
        weights, bias = nets.weights(0, layer).double(), nets.bias(0, layer).double()
        if layer:
            moved, heights = moved * (heights > 0), heights.clamp(min=0)
        heights, moved = heights @ weights.T + bias, moved @ weights.T
    if depth and not before:
        moved, heights = moved * (heights > 0), heights.clamp(min=0)
    # the last point is the first one again: each of the others stands for the same share of the circle
    return heights, float(torch.linalg.vector_norm(moved[:-1], dim=1).mean())


def _projected(image: torch.Tensor, axes: torch.Tensor | None) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (n_points, 3) about the centre, in rms radii, and each direction's share of the whole spread.

    The directions are `axes` (width, 3), or those of largest spread.
    """
    centred = image - image[:-1].mean(dim=0)  # the last point is the first one again
    once = centred[:-1]
    if axes is None:
        axes = torch.linalg.eigh(once.T @ once).eigenvectors[:, -3:].flip(1)
    seen = (centred @ axes).numpy()
    seen *= np.where(np.cos(2 * np.pi * _TIMES - 1) @ seen < 0, -1, 1)  # a direction and its opposite are one
    spread, total = (seen[:-1] ** 2).sum(axis=0), float((once**2).sum())
    radius = math.sqrt(spread.sum() / len(once))
    return seen / (radius or 1.0), spread / (total or 1.0)


def _random_axes(width: int, seed: int) -> torch.Tensor:
    """Three random orthogonal directions, (width, 3)."""
    return torch.linalg.qr(torch.from_numpy(random_generator(seed).standard_normal((width, 3))))[0]


_ROUNDING = 1e-12  # an error below is none of the method
_COUNTS = (11, 21, 51, 101, 201, 501, 1001, 2001, 5001, 10_001)


class LengthExplorer(Explorer):
    """How far chords and tangents are from the exact length of a line's image in one network."""

    groups = {
        "network": [
            Slider("std", "scale σ_w", 0.2, 10.0, 0.1, value=2.0),
            Slider("density", "density α", 0.05, 1.0, 0.05, value=1.0),
            Slider("width", "width k", values=(10, 20, 50), value=20),
            Slider("depth", "depth L", 1, 10, value=5),
            Slider("seed", "seed", 0, 9, value=0),
        ]
    }
    presets = {
        "deep": {"std": 2.0, "density": 1.0, "width": 20, "depth": 10},
        "one layer": {"std": 2.0, "density": 1.0, "width": 20, "depth": 1},
    }
    height = 440

    def build(self) -> None:
        empty = dict.fromkeys(("n_points", "chord_error", "tangent_error"), np.empty(0))
        labels = {"x_label": "points on the line n", "y_label": "relative error of the length"}
        self.figure = self.figure_widget(
            curves_figure(_error_curves(empty), **labels, log_x=True, log_y=True, height=self.height)
        )

    def stream(self, *, std: float, density: float, width: int, depth: int, seed: int) -> Iterator[dict | None]:
        """The exact length first; then chords and tangents with ever more points."""
        nets = RandomNets((width,) * (depth + 1), Gaussian(std), density, seed=seed)
        net, path = nets.network(0), trajectory("random line", width)
        found = growth_through(net, path, method="exact")
        exact, errors = float(found.length[0, -1]), {"chords": [], "tangent": []}
        yield None
        for i, n in enumerate(_COUNTS):
            for method, values in errors.items():
                off = abs(arc_length(path, net, method=method, n_points=n) / exact - 1) if exact > 0 else 0
                values.append(off if off > _ROUNDING else math.nan)  # none has no place on a logarithmic axis
                yield None
            yield {
                "n_points": np.array(_COUNTS[: i + 1]),
                "chord_error": np.array(errors["chords"]),
                "tangent_error": np.array(errors["tangent"]),
                "length": exact,
                "n_breakpoints": found.n_pieces[0] - 1,
                "progress": (i + 1, len(_COUNTS), "grids"),
            }

    def draw(self, frame: dict) -> None:
        errors, shown = np.concatenate([frame["chord_error"], frame["tangent_error"]]), None
        if np.isfinite(errors).any():
            shown = self.grow("yaxis", np.nanmin(errors) / 2, 2 * np.nanmax(errors))
        self.figure.redraw(curve_traces(_error_curves(frame), log_x=True, log_y=True, y_range=shown))
        last, n = frame["chord_error"][-1], frame["n_breakpoints"]
        told = f"; chords between {frame['n_points'][-1]:,} points are {100 * last:.1g} % short" if last > 0 else ""
        if shown is None:
            told = "; both methods are exact" if frame["length"] else ": it does not get through"
        self.figure.retitle(f"The line has {n} breakpoint{'s' * (n != 1)} and is {frame['length']:.6g} long{told}")


def _error_curves(frame: dict) -> list[Curve]:
    """Errors of both methods and the slope 1 / n through the first of the chords'."""
    n, chords = frame["n_points"], frame["chord_error"]
    slope = chords[:1] * n[:1] / n if len(n) else n
    return [
        Curve("chords", n, chords, "dense", marker="circle"),
        Curve("tangents", n, frame["tangent_error"], "dense", marker="square"),
        Curve("1 / n", n, slope, "dense", kind="theory"),
    ]
