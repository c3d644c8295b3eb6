"""Explorer of notebook 09: Theorem 7 during training (experiment 2), and what Adam and plain descent make of it."""

import copy
import threading
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch

from nbkit.compress import qr_compress
from nbkit.explore.controls import Choice, Slider, Text
from nbkit.explore.descents import DESCENTS, Lane, samples, typed_task
from nbkit.explore.explorer import Explorer
from nbkit.explore.stacked import draw_panels, gap_or_nan
from nbkit.figures import Curve, CurvePanel, stacked_figure
from nbkit.nets import RADIAL_FUNCTIONS, RadialNet

__all__ = ["DescentExplorer"]

_EVERY = 5  # steps between two records


class DescentExplorer(Explorer):
    """Four trainings side by side: a network, its copy in the axes of QR, that copy projected, and the compressed net."""

    groups = {
        "network": [
            Text("widths", "widths n", "1, 6, 7, 1"),
            Choice("activation", "function h", tuple(RADIAL_FUNCTIONS), value="shifted_sigmoid"),
            Slider("seed", "seed", 0, 9, value=0),
        ],
        "training": [
            Choice("optimizer", "optimiser", tuple(DESCENTS)),
            Slider("rate", "rate η", values=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3), value=0.1),
            Slider("steps", "steps", 0, 1000, 50, value=300),
        ],
    }
    presets = {
        "experiment 2": {"widths": "1, 6, 7, 1", "optimizer": "gradient descent", "rate": 0.1},
        "momentum": {"optimizer": "momentum", "rate": 0.03},
        "Adam breaks (a)": {"optimizer": "Adam", "rate": 0.01},
        "rounding grows": {"widths": "1, 6, 7, 1", "optimizer": "gradient descent", "rate": 0.3},
        "two inputs": {
            "widths": "2, 7, 9, 4, 2",
            "activation": "shifted_sigmoid",
            "optimizer": "gradient descent",
            "rate": 0.1,
        },
    }

    def build(self) -> None:
        figure = stacked_figure(_panels(None))
        self.height = figure.layout.height
        self.figure = self.figure_widget(figure)

    def stream(
        self, *, widths: str, activation: str, seed: int, optimizer: str, rate: float, steps: int
    ) -> Iterator[dict | None]:
        """The four losses and how far each pair is apart, every few steps; then all until `steps`."""
        training = _training(typed_task("DescentExplorer", widths), activation, seed, optimizer, rate)
        while (done := len(training.gaps) - 1) < steps // _EVERY and not training.is_over:
            yield training.frame(done, steps)
            for _ in training.go_on():
                yield None
        yield training.frame(min(steps // _EVERY, len(training.gaps) - 1), steps)

    def draw(self, frame: dict) -> None:
        draw_panels(self, _panels(frame))
        self.figure.retitle(_title(frame))


class _Training:
    """The four networks of Theorem 7 in step, in float64, with the gaps of their weights every few steps.

    (a) the network W beside Q . T, T trained as it is; (b) T trained with projection beside the compressed net plus U.
    """

    def __init__(self, widths: tuple[int, ...], activation: str, seed: int, optimizer: str, rate: float) -> None:
        self.found = found = qr_compress(RadialNet(widths, activation, seed=seed).double())
        small = _vector(found.net.embedded(widths))
        self.offset = _vector(found.transformed) - small  # U
        task = *samples(widths[0]), optimizer, rate
        self.lanes = {
            "full": Lane(copy.deepcopy(found.original), *task),
            "turned": Lane(copy.deepcopy(found.transformed), *task),
            "projected": Lane(copy.deepcopy(found.transformed), *task, found.widths),
            "compressed": Lane(copy.deepcopy(found.net), *task),
        }
        self.gaps = [self._apart()]
        self.is_over, self._turn = False, threading.Lock()

    def go_on(self) -> Iterator[None]:
        """A few steps of each network, a turn each, then a new record; none where a loss is no longer finite."""
        step = len(self.gaps) * _EVERY
        for lane in self.lanes.values():
            lane.advance(step)
            yield
        self.is_over = any(lane.is_over for lane in self.lanes.values())
        with self._turn:
            if not self.is_over and len(self.gaps) * _EVERY == step:  # another stream may have been here
                self.gaps.append(self._apart())

    def _apart(self) -> tuple[float, float]:
        """The largest difference of weights and biases of (a) and of (b), in parts of the largest."""
        full, turned, projected, compressed = (lane.net for lane in self.lanes.values())
        pairs = (
            (_vector(full), _vector(turned.act(self.found.rotations))),
            (_vector(projected), _vector(compressed.embedded(self.found.original.widths)) + self.offset),
        )
        return tuple(((one - other).abs().max() / one.abs().max()).item() for one, other in pairs)

    def frame(self, at: int, steps: int) -> dict:
        """What is shown once `at` records are there."""
        done = at * _EVERY
        losses = {name: np.array(lane.losses[: done + 1 : _EVERY]) for name, lane in self.lanes.items()}
        weights = np.array(self.gaps[: at + 1])
        return {
            "step": done,
            "at": np.arange(at + 1) * _EVERY,
            "losses": losses,
            "weight_gaps": {"a": weights[:, 0], "b": weights[:, 1]},
            "loss_gaps": {
                "a": np.abs(losses["full"] - losses["turned"]),
                "b": np.abs(losses["projected"] - losses["compressed"]),
            },
            "progress": (done, steps, "steps"),
            "note": "a loss is no longer finite: a smaller rate" if self.is_over and done < steps else "",
        }


@lru_cache(maxsize=8)
def _training(widths: tuple[int, ...], activation: str, seed: int, optimizer: str, rate: float) -> _Training:
    return _Training(widths, activation, seed, optimizer, rate)


def _vector(net: RadialNet) -> torch.Tensor:
    """All weights and biases in a row."""
    return torch.cat([values.detach().flatten() for values in net.parameters()])


def _panels(frame: dict | None) -> list[CurvePanel]:
    empty = np.empty(0)
    if frame is None:
        pairs = dict.fromkeys("ab", empty)
        losses = dict.fromkeys(("full", "turned", "projected", "compressed"), empty)
        frame = {"at": empty, "losses": losses, "weight_gaps": pairs, "loss_gaps": pairs}
    at, losses = frame["at"], frame["losses"]
    above = [
        Curve("full", at, losses["full"], "radial"),
        Curve("○ in axes Q", at, losses["turned"], "radial", marker="circle-open"),
        Curve("projected", at, losses["projected"], "radial"),
        Curve("◆ compressed", at, losses["compressed"], "radial", marker="diamond"),
    ]
    below = {
        label: [
            Curve("○ (a)", at, gap_or_nan(frame[key]["a"]), "radial", marker="circle-open"),
            Curve("◆ (b)", at, gap_or_nan(frame[key]["b"]), "radial", marker="diamond"),
        ]
        for key, label in (("weight_gaps", "Δ weights"), ("loss_gaps", "Δ loss"))
    }
    gaps = [CurvePanel(curves, "steps", label, log_y=True, height=105) for label, curves in below.items()]
    return [CurvePanel(above, "steps", "loss", log_y=True, height=200), *gaps]


def _title(frame: dict) -> str:
    if not frame["step"]:
        return "Four networks of one function before training: two of a size, one of them in the axes of QR"
    a, b = (f"{gaps[-1]:.0e}" for gaps in frame["weight_gaps"].values())
    full, small = (f"{frame['losses'][name][-1]:.2g}" for name in ("full", "compressed"))
    return (
        f"After {frame['step']} steps weights of (a) are {a} apart, of (b) {b}; loss {full} in full, {small} compressed"
    )
