"""Explorer of notebook 09: does the compressed network train faster? Experiment 3, in steps and in seconds."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from nbkit.compress import qr_compress
from nbkit.explore.controls import Choice, Slider, Text
from nbkit.explore.descents import DESCENTS, Lane, samples, typed_task
from nbkit.explore.explorer import Explorer
from nbkit.explore.stacked import draw_panels, thinned
from nbkit.figures import Curve, CurvePanel, stacked_figure
from nbkit.nets import RADIAL_FUNCTIONS, RadialNet

__all__ = ["RaceExplorer"]

_CHUNK = 5  # steps of a turn


class RaceExplorer(Explorer):
    """The full network and the compressed one, from the same function, until each has reached the target loss."""

    groups = {
        "network": [
            Text("widths", "widths n", "2, 16, 64, 128, 16, 2"),
            Choice("activation", "function h", tuple(RADIAL_FUNCTIONS), value="sigmoid"),
            Slider("seed", "seed", 0, 9, value=0),
        ],
        "training": [
            Choice("optimizer", "optimiser", tuple(DESCENTS), value="Adam"),
            Slider("rate", "rate η", values=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3), value=0.01),
            Slider("target", "target loss", values=(0.001, 0.003, 0.01, 0.03), value=0.01),
            Slider("steps", "most steps", values=(100, 200, 500, 1000, 2000, 3000), value=500),
        ],
    }
    presets = {
        "experiment 3": {"widths": "2, 16, 64, 128, 16, 2", "optimizer": "Adam", "rate": 0.01, "seed": 0},
        "one that stalls": {"widths": "2, 16, 64, 128, 16, 2", "optimizer": "Adam", "rate": 0.03, "seed": 8},
        "momentum": {"optimizer": "momentum", "rate": 0.1},
    }

    def build(self) -> None:
        figure = stacked_figure(_panels(None))
        self.height = figure.layout.height
        self.figure = self.figure_widget(figure)

    def stream(
        self, *, widths: str, activation: str, seed: int, optimizer: str, rate: float, target: float, steps: int
    ) -> Iterator[dict | None]:
        """Both losses, a few steps a turn, until each has reached the target or has done `steps`."""
        lanes = _lanes(typed_task("RaceExplorer", widths), activation, seed, optimizer, rate)
        done = 0
        while True:
            runs = {name: _run(lane, target, done) for name, lane in lanes.items()}
            frame = {"runs": runs, "target": target, "steps": steps}
            frame["progress"] = max(run["n_steps"] for run in runs.values()), steps, "steps"
            yield frame
            waiting = [lane for name, lane in lanes.items() if not _is_done(runs[name], lane, steps)]
            if not waiting:
                return
            done = min(steps, max(done, min(lane.step for lane in waiting)) + _CHUNK)
            for lane in waiting:
                lane.advance(done)
                yield None

    def draw(self, frame: dict) -> None:
        draw_panels(self, _panels(frame))
        self.figure.retitle(_title(frame))


@lru_cache(maxsize=8)
def _lanes(widths: tuple[int, ...], activation: str, seed: int, optimizer: str, rate: float) -> dict[str, Lane]:
    """Both networks of one start; runs of the same settings share them, their steps and the seconds they took."""
    found = qr_compress(RadialNet(widths, activation, seed=seed))
    task = *samples(widths[0]), optimizer, rate
    return {"full": Lane(found.original, *task), "compressed": Lane(found.net, *task)}


def _run(lane: Lane, target: float, done: int) -> dict:
    """A lane's way until it reaches the target, or as far as `done`."""
    losses = np.array(lane.losses[: done + 1])
    hits = np.flatnonzero(losses <= target)
    last = int(hits[0]) if hits.size else len(losses) - 1
    at, seen, seconds = thinned(np.arange(last + 1), losses[: last + 1], lane.seconds[: last + 1])
    return {
        "at": at,
        "losses": seen,
        "seconds": seconds,
        "n_steps": last,
        "total_s": lane.seconds[last],
        "reached": bool(hits.size),
        "n_parameters": lane.net.n_parameters,
    }


def _is_done(run: dict, lane: Lane, steps: int) -> bool:
    return run["reached"] or run["n_steps"] == steps or (lane.is_over and run["n_steps"] == lane.step)


def _panels(frame: dict | None) -> list[CurvePanel]:
    empty = np.empty(0)
    if frame is None:
        frame = {"runs": dict.fromkeys(("full", "compressed"), dict.fromkeys(("at", "seconds", "losses"), empty))}
    full, small = frame["runs"]["full"], frame["runs"]["compressed"]
    panels = []
    for what, label in (("at", "steps"), ("seconds", "seconds of computing, on this machine")):
        ends = [np.array([0.0, run[what][-1]]) if run[what].size else empty for run in (full, small)]
        wide = max(ends, key=lambda x: x.max(initial=0.0))
        curves = [
            Curve("target", wide, np.full(wide.size, frame.get("target", np.nan)), "dense", kind="theory"),
            Curve("full", full[what], full["losses"], "radial"),
            Curve("◆ compressed", small[what], small["losses"], "radial", marker="diamond"),
        ]
        panels.append(CurvePanel(curves, label, "loss", log_y=True, height=200))
    return panels


def _title(frame: dict) -> str:
    told = [_told(name, run) for name, run in frame["runs"].items()]
    return f"Loss {frame['target']:g}: {told[0]}; {told[1]}"


def _told(name: str, run: dict) -> str:
    took = f"{run['total_s']:.2g} s"
    if not run["reached"]:
        return f"{name} not in {run['n_steps']} steps ({took})"
    return f"{name} in {run['n_steps']} steps × {1000 * run['total_s'] / max(1, run['n_steps']):.2g} ms = {took}"
