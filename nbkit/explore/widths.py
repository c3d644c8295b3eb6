"""Explorer of notebook 10: as many neurons as data, however wide: what stands against the width, and what repeats."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch

from nbkit.explore.controls import Choice, Slider
from nbkit.explore.course import STRENGTHS, Course, grid_samples, nets_born_small
from nbkit.explore.explorer import Explorer
from nbkit.figures import METHODS, WidthsView, widths_figure, widths_ranges, widths_traces
from nbkit.measure import neuron_groups
from nbkit.nets import SkipNets

__all__ = ["WidthsExplorer", "nets_of_many_widths"]

_TASKS = {
    "2 × 2 grid": (np.linspace(0, 1, 2), 2),
    "3 × 3 grid": (np.linspace(0, 1, 3), 2),
    "4 × 4 grid": (np.linspace(0, 1, 4), 2),
    "9 on a line": (np.linspace(0, 1, 9), 1),
}
_NARROWEST = 8


class WidthsExplorer(Explorer):
    """Networks of many widths learn the same few values; those that stand at the end are counted, and the different ones."""

    groups = {
        "data": [
            Choice("task", "points", tuple(_TASKS), value="3 × 3 grid"),
            Slider("seed", "seed", 0, 9, value=0),
        ],
        "network": [
            Slider("widest", "widest K", values=(64, 128, 256, 512), value=128),
            Slider("bottleneck", "nodes d₁", values=(1, 2, 4, 8), value=4),
            Slider("scale", "born in ±s, s", values=(0.1, 0.3, 1.0), value=0.3),
        ],
        "training": [
            Slider("strength", "strength λ", values=STRENGTHS, value=1e-2),
            Slider("steps", "Adam's steps", values=(1000, 2000, 5000, 10_000), value=2000),
        ],
    }
    presets = {
        "as many as data": {"task": "3 × 3 grid", "widest": 128, "scale": 0.3, "strength": 1e-2},
        "born as the paper's": {"task": "3 × 3 grid", "widest": 128, "scale": 1.0, "strength": 1e-2},
    }

    def build(self) -> None:
        figure = widths_figure(WidthsView())
        self.height = figure.layout.height
        self.figure = self.figure_widget(figure)
        self._data = None

    def stream(
        self, *, task: str, seed: int, widest: int, bottleneck: int, scale: float, strength: float, steps: int
    ) -> Iterator[dict | None]:
        """Counts for every width after every few steps, from where the training is to its end."""
        training = _training(task, seed, widest, bottleneck, scale, strength, steps)
        while not training.is_over:
            yield training.frame()
            yield from training.go_on()
        yield training.frame()

    def draw(self, frame: dict) -> None:
        view = WidthsView(**{name: frame[name] for name in WidthsView.__dataclass_fields__})
        data = widths_ranges(view)
        if self._data != data:
            self._data = data
            self.figure.forget_axes()  # other widths or points ask for other axes
        shown = {axis: self.grow(axis, *ends) for axis, ends in data.items()}
        self.figure.redraw(widths_traces(view, shown=shown))
        self.figure.retitle(_title(frame))


def nets_of_many_widths(
    widths: Sequence[int], n_neurons: Sequence[int], scale: float, seed: int, *, n_runs: int
) -> SkipNets:
    """For each K of `n_neurons` n_runs equal networks, side by side: the first K neurons of the widest one.

    All have the shape of the widest; neurons beyond K have no weights at all, and get none: no gradient reaches them.
    """
    nets = nets_born_small(widths, max(n_neurons), scale, seed, n_runs=n_runs * len(n_neurons))
    with torch.no_grad():
        for run in range(nets.n_runs):
            for layer in nets[run].layers:
                for inner in (layer.W, layer.b, layer.V.mT):
                    inner[n_neurons[run // n_runs] :] = 0
    return nets


class _Training(Course):
    """All widths under all methods, with what is counted of the first layers."""

    def __init__(
        self, task: str, seed: int, widest: int, bottleneck: int, scale: float, strength: float, steps: int
    ) -> None:
        self.widths = [_NARROWEST * 2**i for i in range(10) if _NARROWEST * 2**i <= widest]
        points, dim = _TASKS[task]
        x, y = grid_samples(points, dim, seed)
        self.nets = nets_of_many_widths((dim, bottleneck, 1), self.widths, scale, seed, n_runs=len(METHODS))
        self.about = {"n_samples": len(x), "bottleneck": bottleneck, "strength": strength}
        super().__init__(self.nets, x, y, strength, steps, self._count, every=250, turn=10 if widest > 256 else 25)

    def _count(self) -> np.ndarray:
        """Active neurons and groups of each run, (2, K, methods)."""
        alike = 1 if self.seen else len(METHODS)  # at birth all methods have one network
        groups = [neuron_groups(self.nets[run].layers[0]) for run in range(0, self.nets.n_runs, alike)]
        counts = [(int((group >= 0).sum()), int(group.max()) + 1) for group in groups]
        return np.repeat(counts, alike, axis=0).reshape(len(self.widths), len(METHODS), 2).transpose(2, 0, 1)

    def frame(self) -> dict:
        """What is shown of the training now."""
        active, groups = self.seen[-1]
        return {
            "widths": np.array(self.widths),
            "active": {method: active[:, i] for i, method in enumerate(METHODS)},
            "groups": {method: groups[:, i] for i, method in enumerate(METHODS)},
        } | self.about | self.status  # fmt: skip


@lru_cache(maxsize=8)
def _training(
    task: str, seed: int, widest: int, bottleneck: int, scale: float, strength: float, steps: int
) -> _Training:
    return _Training(task, seed, widest, bottleneck, scale, strength, steps)


def _title(frame: dict) -> str:
    counts = [(frame["active"][method][-1], frame["groups"][method][-1]) for method in METHODS]
    first, *others = zip((METHODS[method].text for method in METHODS), counts, strict=True)
    told = [f"{first[0]} leaves {first[1][0]} neurons, {first[1][1]} of them different"]
    told += [f"{name} {stand} and {different}" for name, (stand, different) in others]
    return f"K = {frame['widths'][-1]} for N = {frame['n_samples']} points: {'; '.join(told)}"
