"""The explorer of notebook 04: networks learn the digits in one batch, and the growth of lines moves with their weights."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from nbkit.data import digit_line, mnist_split
from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.figures import Points, trained_figure, trained_traces
from nbkit.measure.tangents import speeds_of_batch
from nbkit.nets import FeedForward
from nbkit.runs.growth_lines import choose_lines
from nbkit.runs.trained_growth import Settings, birth
from nbkit.training import accuracy, train

__all__ = ["TrainedExplorer"]

_SIGMAS = (1.0, 1.5, 2.0, 2.5, 3.0)
_WIDTH, _BATCH = 32, 64
_N_LINES, _N_POINTS = 10, 12  # lines within a class, and as many between two; tangents along each
_N_TEST = 500
_STEPS_A_RECORD = 20
_PAIRS = {"within": slice(0, _N_LINES), "between": slice(_N_LINES, None)}
_AVERAGES, _ONE_BY_ONE = "class averages", "line by line"


class TrainedExplorer(Explorer):
    """Networks of five initial sigma_w train together: their growth factors move away from those of untrained twins."""

    groups = {
        "networks": [
            Slider("n_nets", "nets a σ_w", values=(1, 2, 3, 5, 8), value=2),
            Slider("depth", "layers d", 3, 10, value=10),
            Slider("seed", "seed", 0, 9, value=0),
        ],
        "training": [
            Slider("rate", "Adam's rate", values=(0.001, 0.003, 0.01), value=0.01),
            Slider("steps", "steps", 0, 2000, 100, value=600),
        ],
        "lines": [
            Choice("lines", "lines", (_AVERAGES, _ONE_BY_ONE)),
            Slider("sigma", "lengths σ_w", values=_SIGMAS, value=2.0),
        ],
    }
    presets = {
        "before training": {"steps": 0},
        "Fig. 6a": {"lines": _AVERAGES, "steps": 600},
        "Fig. 6b": {"lines": _ONE_BY_ONE, "steps": 600},
    }
    height = 640

    def build(self) -> None:
        figure = trained_figure({}, {}, height=self.height)
        self.figure = self.figure_widget(figure)

    def stream(
        self, *, n_nets: int, depth: int, seed: int, rate: float, steps: int, lines: str, sigma: float
    ) -> Iterator[dict | None]:
        """What was measured every few steps of training, from where it is to `steps`; then that of `steps`."""
        training = _training(n_nets, depth, seed, rate)
        told = 0
        while (n_records := len(training.records)) <= steps // _STEPS_A_RECORD:
            yield _frame(training, training.records[-1], steps, lines, sigma) if n_records > told else None
            told = n_records
            training.go_on()
        yield _frame(training, training.records[steps // _STEPS_A_RECORD], steps, lines, sigma)

    def draw(self, frame: dict) -> None:
        x, y = (np.concatenate([points[axis].ravel() for points in frame["growth"].values()]) for axis in (0, 1))
        law, lengths = x / math.sqrt(2), np.concatenate([*frame["lengths"].values()])
        self.grow("xaxis", 0.95 * np.nanmin(x), 1.03 * np.nanmax(x))
        self.grow("xaxis2", -0.2, frame["lengths"]["within"].size - 0.8)
        # room above for labels that meet: one outside the axes is not drawn
        low, high = min(np.nanmin(y), law.min()), max(np.nanmax(y), law.max())
        shortest, longest = lengths.min(), lengths.max()
        shown = (
            self.grow("yaxis", 0.9 * low, high + 0.2 * (high - low)),
            self.grow("yaxis2", shortest / 1.5, 1.5 * longest * (longest / shortest) ** 0.2),
        )
        self.figure.redraw(trained_traces(frame["growth"], frame["lengths"], frame["trails"], y_ranges=shown))
        self.figure.retitle(_title(frame))


@dataclass(frozen=True, eq=False)
class _Record:
    """What was measured of a batch after some steps: accuracy and sigma_w of each network (n_sigma, n_nets), growth
    (n_lines, n_sigma, n_nets), lengths over the lines' (n_lines, n_sigma, n_nets, depth + 1)."""

    step: int
    accuracy: np.ndarray
    sigma_w: np.ndarray
    growth: np.ndarray
    lengths: np.ndarray


class _Training:
    """One batch of networks in training with its records; explorers of the same settings share it."""

    def __init__(self, n_nets: int, depth: int, seed: int, rate: float) -> None:
        self.records: list[_Record] = []
        self._nets = birth(
            Settings(sigmas=_SIGMAS, n_nets=n_nets, widths=(784, *[_WIDTH] * (depth - 1), 10), seed=seed)
        )
        self._turns = self._train(seed, rate)

    def go_on(self) -> None:
        """Do the next part, which takes well under 100 ms; there is a new record after some of them."""
        next(self._turns)

    def _train(self, seed: int, rate: float) -> Iterator[None]:
        data = mnist_split().unit()
        steps = train(
            self._nets, data, steps=10**6, batch_size=_BATCH, every=1, n_test=1, seed=seed,
            learning_rate=lambda name, values: rate * math.sqrt(_WIDTH / values.shape[-1] if values.ndim > 2 else 1),
        )  # fmt: skip
        step, groups = 0, (len(_SIGMAS), -1)
        while True:
            if step % _STEPS_A_RECORD == 0:
                measured = _measure(self._nets)
                yield
                right = accuracy(self._nets, data.test_images[:_N_TEST], data.test_labels[:_N_TEST])
                sigma_w = self._nets.sigma_w()
                self.records.append(_Record(step, *(x.numpy().reshape(groups) for x in (right, sigma_w)), *measured))
                yield
            if not step:
                next(steps)  # its record before the first step
            step = next(steps).step
            yield


@lru_cache(maxsize=8)
def _training(n_nets: int, depth: int, seed: int, rate: float) -> _Training:
    return _Training(n_nets, depth, seed, rate)


@lru_cache(maxsize=1)
def _tangents() -> tuple[torch.Tensor, torch.Tensor]:
    """Points and velocities (n_lines * n_points, 784) along all lines, those within a class first."""
    times = (torch.arange(_N_POINTS, dtype=torch.float64) + 0.5) / _N_POINTS
    lines = [digit_line(first, second) for _, _, first, second, *_ in choose_lines(_N_LINES, 0)]
    parts = [(line(times), line.derivative(times)) for line in lines]
    return tuple(torch.cat(part).float() for part in zip(*parts, strict=True))


def _measure(nets: FeedForward) -> tuple[np.ndarray, np.ndarray]:
    """Growth and lengths as `_Record` has them; dead pieces are left out.

    Growth is the mean factor over the layers from 32 nodes to 32.
    """
    speeds = speeds_of_batch(nets, *_tangents()).unflatten(2, (-1, _N_POINTS))  # (depth + 1, nets, lines, points)
    before, behind = speeds[1:-2], speeds[2:-1]
    growth = torch.where(before > 0, behind / before, math.nan).nanmean(dim=(0, 3))
    lengths = (speeds / speeds[0]).mean(dim=3).permute(2, 1, 0)
    groups = len(_SIGMAS), -1
    return growth.T.unflatten(1, groups).numpy(), lengths.unflatten(1, groups).numpy()


def _frame(training: _Training, now: _Record, steps: int, lines: str, sigma: float) -> dict:
    born, at = training.records[0], _SIGMAS.index(sigma)
    # A random net of the sigma_w of now: the twin, its weights rescaled, and biases so that the same units stay active.
    scale = now.sigma_w / born.sigma_w
    powers = scale[at][:, None] ** np.arange(born.lengths.shape[3])
    growth = {"untrained": (born.sigma_w, born.growth), "random": (now.sigma_w, born.growth * scale)}
    growth |= {pair: (now.sigma_w, now.growth[part]) for pair, part in _PAIRS.items()}
    lengths = {"untrained": born.lengths[:, at], "random": born.lengths[:, at] * powers}
    lengths |= {pair: now.lengths[part, at] for pair, part in _PAIRS.items()}
    return {
        "step": now.step,
        "accuracy": now.accuracy,
        "sigma_w": now.sigma_w,
        "growth_of_nets": {kind: np.nanmean(values, axis=0) for kind, (_, values) in growth.items()},
        "growth": {kind: _points(*values, lines) for kind, values in growth.items()},
        "lengths": {kind: values.mean(axis=(0, 1)) for kind, values in lengths.items()},
        "trails": _trails(training.records[: now.step // _STEPS_A_RECORD + 1]) if lines == _AVERAGES else [],
        "shown": at,
        "progress": (now.step, steps, "steps"),
    }


def _trails(records: list[_Record]) -> list[tuple[np.ndarray, np.ndarray]]:
    """The way of each group from birth on: (sigma_w, growth) after every record."""
    sigma_w = np.array([record.sigma_w.mean(axis=1) for record in records])
    growth = np.array([np.nanmean(record.growth, axis=(0, 2)) for record in records])
    return list(zip(sigma_w.T, growth.T, strict=True))


def _points(sigma_w: np.ndarray, growth: np.ndarray, lines: str) -> Points:
    """sigma_w and growth averaged over networks: over all lines, with the spread between networks, or line by line."""
    x = sigma_w.mean(axis=1)
    if lines == _ONE_BY_ONE:
        return x, np.nanmean(growth, axis=2), None
    of_nets = np.nanmean(growth, axis=0)
    return x, of_nets.mean(axis=1)[None], of_nets.std(axis=1)[None]


def _title(frame: dict) -> str:
    at, of_nets = frame["shown"], frame["growth_of_nets"]
    within, between, untrained = (of_nets[kind][at].mean() for kind in ("within", "between", "untrained"))
    right = f"{100 * frame['accuracy'].mean():.0f} % of test digits right"
    if not frame["step"]:
        return f"Before training, {right}: every line grows by about σ_w / √2 a layer"
    told = f"growth {between:.2f} between classes, {within:.2f} within, {untrained:.2f} untrained"
    return f"After {frame['step']} steps, {right}. From σ_w = {_SIGMAS[at]:g}: {told}"
