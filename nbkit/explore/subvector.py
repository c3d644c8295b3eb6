"""Explorer of notebook 03: the expected norm of a random sub-vector, Lemma 7."""

import math
from collections.abc import Iterator

import numpy as np
import scipy.stats
import torch

from nbkit.device import random_generator
from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.figures import Curve, curve_traces, curves_figure
from nbkit.measure import Estimate, subvector_norm

__all__ = ["SubvectorExplorer"]

_ALPHAS = np.concatenate([[0.005], np.linspace(0.025, 1, 40)])
_SPHERE, _EQUAL, _FIRST = "a random direction", "k equal entries", "one entry, e₁"
_DRAWS, _AT_ONCE = 2000, 100


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
        figure.update_layout(
            xaxis_range=[0, 1], yaxis_range=[0, 1.12]
        )  # room for the labels, which lie above one another
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
        alpha, k = frame["density"], frame["dimension"]
        entries, equal = ("entries", "equal entries") if k > 1 else ("entry", "entry")
        what = {_SPHERE: f"a random vector of {k} {entries}", _EQUAL: f"a vector of {k} {equal}", _FIRST: "e₁"}
        self.figure.retitle(
            f"At α = {alpha:.2g}, {what[frame['vector']]} keeps {frame['at']:.3g} of its length: "
            f"between α = {alpha:.2g} and √α = {math.sqrt(alpha):.3g}"
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
        Curve("α", alpha, alpha, "dense", **theory),
        Curve("drawn", frame["alpha"], frame["mean"], "radix", lower=frame["lower"], upper=frame["upper"]),
        Curve("exact", frame["alpha"], frame["exact"], "radix", **theory),
        Curve("√α", alpha, np.sqrt(alpha), "dense", **theory),
        Curve("", np.full(2, alpha_read), read, "dense", kind="held"),
    ]
