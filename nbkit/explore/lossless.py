"""Explorer of notebook 09: Theorem 5 while a network learns (experiment 1 of the radial networks paper)."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch

from nbkit.compress import Compression, qr_compress
from nbkit.explore.controls import Choice, Slider, Text
from nbkit.explore.descents import Lane, samples, typed_task
from nbkit.explore.explorer import Explorer
from nbkit.explore.stacked import draw_panels, gap_or_nan
from nbkit.figures import Curve, CurvePanel, stacked_figure
from nbkit.nets import RADIAL_FUNCTIONS, RadialNet
from nbkit.training import bells

__all__ = ["LosslessExplorer"]

_EVERY = 10  # steps between two records
_N_POINTS, _RATE = 121, 0.01
_AT_X, _GAP = "● at x", "|F − F<sub>red</sub>|"
_PAPER, _PAPER_SD = 1.31e-8, 4.45e-9
_DTYPES = {"float32": torch.float32, "float64": torch.float64}


class LosslessExplorer(Explorer):
    """A radial network learns exp(-x²), and at each moment its compressed twin computes the same, to rounding."""

    groups = {
        "network": [
            Text("widths", "widths n", "1, 6, 7, 1"),
            Choice("activation", "function h", tuple(RADIAL_FUNCTIONS), value="shifted_sigmoid"),
            Choice("precision", "precision", tuple(_DTYPES)),
            Slider("seed", "seed", 0, 9, value=0),
        ],
        "training": [Slider("steps", "Adam's steps", 0, 2000, 100, value=600)],
    }
    presets = {
        "experiment 1": {"widths": "1, 6, 7, 1", "activation": "shifted_sigmoid", "precision": "float32"},
        "before training": {"steps": 0},
        "float64": {"precision": "float64"},
        "wider": {"widths": "1, 16, 32, 16, 1", "activation": "squash"},
    }

    def build(self) -> None:
        figure = stacked_figure(_panels(None))
        points = {"mode": "markers", "marker": {"size": 4, "maxdisplayed": 0}}  # each: where the gap is 0 there is none
        figure.update_traces(points, selector={"name": _AT_X})
        self.height = figure.layout.height
        self.figure = self.figure_widget(figure)

    def stream(self, *, widths: str, activation: str, precision: str, seed: int, steps: int) -> Iterator[dict | None]:
        """The network and its compression every few steps, from where training is to `steps`; then that of `steps`."""
        training = _training(typed_task("LosslessExplorer", widths), activation, precision, seed)
        while (done := len(training.records) - 1) < steps // _EVERY:
            yield training.frame(done, steps)
            training.go_on()
        yield training.frame(steps // _EVERY, steps)

    def draw(self, frame: dict) -> None:
        draw_panels(self, _panels(frame))
        self.figure.retitle(_title(frame))


class _Training:
    """A network in training with what it computes on the line, compressed anew, every few steps."""

    def __init__(self, widths: tuple[int, ...], activation: str, precision: str, seed: int) -> None:
        net = RadialNet(widths, activation, seed=seed).to(_DTYPES[precision])
        self.lane = Lane(net, *samples(widths[0]), "Adam", _RATE)
        # along a diagonal of the box: it is the line itself where there is one input
        self.x = torch.linspace(-3, 3, _N_POINTS)
        self._points = self.x[:, None].repeat(1, widths[0]).to(_DTYPES[precision])
        self.records: list[dict[str, object]] = []
        self._look()

    def go_on(self) -> None:
        """A few steps, then a new record; or a record again where the loss is no longer finite."""
        self.lane.advance(self.lane.step + _EVERY)
        self._look()

    @torch.no_grad()
    def _look(self) -> None:
        found: Compression = qr_compress(self.lane.net)
        full, reduced = (net(self._points)[:, 0].double().numpy() for net in (self.lane.net, found.net))
        gap = np.abs(full - reduced)
        self.found = found
        self.records.append(
            {"step": self.lane.step, "loss": self.lane.losses[-1], "full": full, "reduced": reduced, "gap": gap}
        )

    def frame(self, at: int, steps: int) -> dict:
        """What is shown once `at` records are there."""
        seen, now = self.records[: at + 1], self.records[at]
        return now | {
            "x": self.x.double().numpy(),
            "target": bells(self.x.double()).numpy(),
            "mean_gap": float(now["gap"].mean()),
            "at": np.array([record["step"] for record in seen]),
            "losses": np.array([record["loss"] for record in seen]),
            "mean_gaps": np.array([record["gap"].mean() for record in seen]),
            "n_parameters": (self.found.n_parameters_before, self.found.n_parameters),
            "progress": (now["step"], steps, "steps"),
        }


@lru_cache(maxsize=8)
def _training(widths: tuple[int, ...], activation: str, precision: str, seed: int) -> _Training:
    return _Training(widths, activation, precision, seed)


def _panels(frame: dict | None) -> list[CurvePanel]:
    empty = np.empty(0)
    frame = frame or dict.fromkeys(("x", "target", "full", "reduced", "gap", "at", "losses", "mean_gaps"), empty)
    x, at = frame["x"], frame["at"]
    ends = np.array([at.min(), max(1, at.max())]) if at.size else empty
    paper = np.full(ends.size, _PAPER)
    band = {"lower": paper - _PAPER_SD, "upper": paper + _PAPER_SD}
    return [
        CurvePanel(
            [
                Curve("exp(−x²)", x, frame["target"], "dense", kind="theory"),
                Curve("F, full", x, frame["full"], "radial"),
                Curve("◇ compressed", x, frame["reduced"], "radial", marker="diamond-open"),
            ],
            "x", "F(x)", height=190,
        ),
        CurvePanel([Curve(_AT_X, x, gap_or_nan(frame["gap"]), "radial", marker="circle")], "x", _GAP, log_y=True, height=95),
        CurvePanel(
            [
                Curve("loss", at, frame["losses"], "radial"),
                Curve("● mean gap", at, gap_or_nan(frame["mean_gaps"]), "radial", marker="circle"),
                Curve(" paper's gap", ends, paper, "dense", kind="paper", **band),
            ],
            "steps", "loss, gap", log_y=True, height=140,
        ),
    ]  # fmt: skip


def _title(frame: dict) -> str:
    before, after = frame["n_parameters"]
    learned = f"loss {frame['loss']:.1e} after {frame['step']} steps" if frame["step"] else "before training"
    if not frame["gap"].any():
        return f"{before} parameters → {after}, {learned}: the compressed network agrees exactly"
    return f"{before} parameters → {after}, {learned}: full and compressed differ by {frame['mean_gap']:.1e} on average"
