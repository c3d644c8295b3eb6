"""Explorers of notebook 03 about one network or none: the circle of Fig. 1, Lemma 7, chords beside the exact length."""

import math
from collections.abc import Iterator

import numpy as np
import scipy.stats
import torch

from nbkit.device import one_thread, random_generator
from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.growth import trajectory
from nbkit.figures import Curve, circle_figure, circle_traces, curve_traces, curves_figure
from nbkit.measure import Estimate, arc_length, circle, growth_rms, growth_through, subvector_norm
from nbkit.weights import Gaussian, RandomNets

__all__ = ["CircleExplorer", "LengthExplorer", "SubvectorExplorer"]

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
        image, length = _circle_image(std, density, width, seed, depth, show == "before the ReLU")
        centred = image - image.mean(axis=0)
        axes = _main_axes(centred) if directions == _PCA else _random_axes(width, seed)
        seen, total = centred @ axes, (centred**2).sum()
        seen *= np.where(np.cos(2 * np.pi * _TIMES - 1) @ seen < 0, -1, 1)  # a direction and its opposite are one
        spread = (seen**2).sum(axis=0)
        rms = growth_rms(Gaussian(std), density) ** depth
        yield {
            "depth": depth,
            "points": seen / math.sqrt(max(spread.sum() / _N_POINTS, 1e-300)),
            "length": length,
            "growth": length / (2 * math.pi),
            "growth_rms": rms * math.sqrt(2) if depth and show == "before the ReLU" else rms,
            "shares": spread / total if total > 0 else np.zeros(3),
            "show": show,
        }

    def draw(self, frame: dict) -> None:
        self.figure.redraw(circle_traces(frame["points"], _N_POINTS))
        shares, depth = 100 * np.cumsum(frame["shares"]), frame["depth"]
        where = f"Layer {depth}, {frame['show']}" if depth else "The input"
        self.figure.retitle(
            f"{where}: {frame['growth']:.3g} times the circle's length (rms law {frame['growth_rms']:.3g}); "
            f"2 directions hold {shares[1]:.0f} % of the spread, 3 hold {shares[2]:.0f} %"
        )


@one_thread()
@torch.no_grad()
def _circle_image(
    std: float, density: float, width: int, seed: int, depth: int, before: bool
) -> tuple[np.ndarray, float]:
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
    return heights.numpy(), float(torch.linalg.vector_norm(moved[:-1], dim=1).mean())


def _main_axes(centred: np.ndarray) -> np.ndarray:
    """The three directions of largest spread, (width, 3)."""
    return np.linalg.eigh(centred.T @ centred)[1][:, :-4:-1]


def _random_axes(width: int, seed: int) -> np.ndarray:
    """Three random orthogonal directions, (width, 3)."""
    return np.linalg.qr(random_generator(seed).standard_normal((width, 3)))[0]


_ALPHAS = np.concatenate([[0.01], np.linspace(0.05, 1, 20)])
_SPHERE, _EQUAL, _FIRST = "a random direction", "k equal entries", "one entry, e₁"
_DRAWS, _AT_ONCE = 1000, 100


class SubvectorExplorer(Explorer):
    """What is left of a vector's length when each entry is kept with probability alpha: Lemma 7."""

    groups = {
        "vector": [
            Choice("vector", "vector u", (_SPHERE, _EQUAL, _FIRST)),
            Slider("dimension", "entries k", values=(1, 2, 3, 5, 10, 20, 50, 100, 784), value=10, play=True),
        ],
        "measure": [Slider("density", "read at α", 0.05, 1.0, 0.05, value=0.3)],
    }
    presets = {
        "Fig. 4a": {"vector": _SPHERE, "dimension": 10},
        "Fig. 4b": {"vector": _FIRST},
        "two entries": {"vector": _EQUAL, "dimension": 2},
    }
    height = 440

    def build(self) -> None:
        empty = dict.fromkeys(("alpha", "exact", "mean", "lower", "upper"), np.empty(0)) | {"density": 0.3}
        figure = curves_figure(
            _subvector_curves(empty), x_label="density α", y_label="E ‖u_J‖ / ‖u‖", height=self.height
        )
        figure.update_layout(xaxis_range=[0, 1], yaxis_range=[0, 1.02])
        self.figure = self.figure_widget(figure)

    def stream(self, *, vector: str, dimension: int, density: float) -> Iterator[dict]:
        """The exact curve at once, with the first draws; then more of them."""
        dimension = 1 if vector == _FIRST else dimension
        norm = subvector_norm if vector == _SPHERE else _equal_norm
        exact = np.array([norm(dimension, alpha) for alpha in _ALPHAS])
        generator, norms = random_generator(0), np.empty((0, len(_ALPHAS)))
        while len(norms) < _DRAWS:
            norms = np.concatenate([norms, _draw_norms(generator, vector, dimension)])
            values = torch.from_numpy(norms)
            estimate = Estimate(values.mean(dim=0), values.std(dim=0) / math.sqrt(len(norms)), len(norms))
            low, high = estimate.interval()
            yield {
                "vector": vector,
                "dimension": dimension,
                "alpha": _ALPHAS,
                "exact": exact,
                "mean": estimate.mean.numpy(),
                "lower": low.numpy(),
                "upper": high.numpy(),
                "density": density,
                "at": norm(dimension, density),
                "progress": (len(norms), _DRAWS, "draws"),
                "note": f"95 % t interval over {len(norms)} draws",
            }

    def draw(self, frame: dict) -> None:
        self.figure.redraw(curve_traces(_subvector_curves(frame), y_range=(0, 1)))
        alpha = frame["density"]
        self.figure.retitle(
            f"At α = {alpha:.2g}, {frame['vector']}{' of ' + str(frame['dimension']) if frame['dimension'] > 1 else ''} "
            f"keeps {frame['at']:.3g} of its length: between α = {alpha:.2g} and √α = {math.sqrt(alpha):.3g}"
        )

    def admissible(self, settings: dict) -> dict:
        return {"dimension": (1,)} if settings["vector"] == _FIRST else {}


def _equal_norm(dimension: int, density: float) -> float:
    """E ||u_J|| of k equal entries that make a unit vector: E sqrt(B / k) of a binomial B."""
    counts = np.arange(dimension + 1)
    return float(scipy.stats.binom.pmf(counts, dimension, density) @ np.sqrt(counts / dimension))


def _draw_norms(generator: np.random.Generator, vector: str, dimension: int) -> np.ndarray:
    """||u_J|| of some random vectors, (draws, densities); the sets J are nested in the density."""
    squares = np.ones((_AT_ONCE, dimension))
    if vector == _SPHERE:
        squares = generator.standard_normal(squares.shape) ** 2
    squares /= squares.sum(axis=1, keepdims=True)
    ranks = generator.random(squares.shape)
    return np.sqrt([(squares * (ranks < alpha)).sum(axis=1) for alpha in _ALPHAS]).T


def _subvector_curves(frame: dict) -> list[Curve]:
    alpha, theory, alpha_read = _ALPHAS, {"kind": "theory"}, frame["density"]
    read = np.array([alpha_read, math.sqrt(alpha_read)])
    return [
        Curve("drawn", frame["alpha"], frame["mean"], "radix", lower=frame["lower"], upper=frame["upper"]),
        Curve("exact", frame["alpha"], frame["exact"], "radix", **theory),
        Curve("√α", alpha, np.sqrt(alpha), "dense", **theory),
        Curve("α", alpha, alpha, "dense", **theory),
        Curve("", np.full(2, alpha_read), read, "dense", kind="held"),
    ]


_COUNTS = (11, 21, 51, 101, 201, 501, 1001, 2001, 5001, 10_001)


class LengthExplorer(Explorer):
    """How far chords and tangents are from the exact length of a line's image in one network."""

    groups = {
        "network": [
            Slider("std", "scale σ_w", 0.2, 10.0, 0.1, value=2.0),
            Slider("density", "density α", 0.05, 1.0, 0.05, value=1.0),
            Slider("width", "width k", values=(20, 50, 100), value=50),
            Slider("depth", "depth L", 1, 10, value=5),
            Slider("seed", "seed", 0, 9, value=0),
        ]
    }
    presets = {
        "wide": {"std": 2.0, "density": 1.0, "width": 100, "depth": 10},
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
                values.append(off or math.nan)  # none at all has no place on a logarithmic axis
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
        errors = np.concatenate([frame["chord_error"], frame["tangent_error"]])
        if np.isfinite(errors).any():
            self.grow("yaxis", np.nanmin(errors) / 2, 2 * np.nanmax(errors))
        self.figure.redraw(curve_traces(_error_curves(frame), log_x=True, log_y=True))
        last = frame["chord_error"][-1]
        told = f"; chords between {frame['n_points'][-1]:,} points are {100 * last:.1g} % short" if last > 0 else ""
        n = frame["n_breakpoints"]
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
