"""Explorer of notebook 08: one function as three radial networks, of growing, bounded and least width."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch

from nbkit.device import random_generator
from nbkit.errors import NbkitError
from nbkit.explore.controls import Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.stacked import draw_panels
from nbkit.figures import Curve, CurvePanel, stacked_figure
from nbkit.nets import RadialNet, approximate_affine, approximate_bounded, capture, n_radial_parameters

__all__ = ["RegimesExplorer"]

_MOST, _RADIUS, _N_POINTS = 64, 0.35, 400
_FRACTIONS = (0.1, 0.25, 0.5, 0.75, 0.95, 1.05, 1.25, 1.5, 2.0)
_NAMES = {"Theorem 3": "circle", "Theorem 4": "square", "compact": "diamond"}
_FLOOR = 1e-17  # a difference of 0 has no place on a log axis
_SAME = 1e-9
_COMPARED: dict[tuple[int, int, int], dict] = {}  # (n, m, N) -> what `_compare` found


class RegimesExplorer(Explorer):
    """The same balls and values as a network of growing width, of width n + m + 1, and of width max(n, m) + 1."""

    groups = {
        "task": [
            Slider("n", "inputs n", 1, 6, value=2),
            Slider("m", "outputs m", 1, 6, value=1),
            Slider("n_balls", "balls N", 2, _MOST, value=24, play=True),
        ],
        "network": [Slider("fraction", "s / least gap", values=_FRACTIONS, value=0.5)],
    }
    presets = {
        "as the paper": {"n": 2, "m": 1, "n_balls": 24, "fraction": 0.5},
        "many outputs": {"n": 2, "m": 6, "n_balls": 48, "fraction": 0.5},
        "s too large": {"n": 2, "m": 1, "n_balls": 24, "fraction": 1.5},
    }

    def build(self) -> None:
        figure = stacked_figure(_regime_panels(_counts(2, 1, 24) | {"by_scale": {}, "fraction": 0.5}))
        self.height = figure.layout.height
        self.figure = self.figure_widget(figure)

    def stream(self, *, n: int, m: int, n_balls: int, fraction: float) -> Iterator[dict | None]:
        """Counts at once; then the networks' outputs beside Theorem 3's, Theorem 4's for every scale s."""
        frame = _counts(n, m, n_balls) | {"fraction": fraction, "refusal": ""}
        if (n, m, n_balls) not in _COMPARED:
            yield frame | {"by_scale": {}}
            yield from _compare(n, m, n_balls)
        frame |= _COMPARED[n, m, n_balls]
        try:
            approximate_bounded(*_balls(n, m, n_balls), scale=fraction * frame["gap"])
        except NbkitError as error:
            frame |= {"refusal": str(error), "note": str(error)}
        yield frame

    def draw(self, frame: dict) -> None:
        draw_panels(self, _regime_panels(frame))
        self.figure.retitle(_regime_title(frame))


@lru_cache(maxsize=40)
def _data(n: int, m: int) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Centres (64, n), whole numbers as values (64, m), (A, b), and points (400, n), half of them about the centres."""
    generator = random_generator(100 * n + m)
    centers = generator.uniform(-1, 1, (_MOST, n))
    values = generator.integers(0, 5, (_MOST, m)).astype(float)
    values[:, 0] = np.arange(_MOST) % 5  # of two balls the values differ
    linear = generator.standard_normal((m, n)), generator.standard_normal(m)
    near = centers[generator.integers(0, _MOST, _N_POINTS // 2)] + generator.normal(0, 0.3 / n, (_N_POINTS // 2, n))
    return centers, values, linear, np.concatenate([near, generator.uniform(-1, 1, (_N_POINTS // 2, n))])


def _balls(n: int, m: int, n_balls: int) -> tuple[np.ndarray, float, np.ndarray]:
    centers, values, *_ = _data(n, m)
    return centers[:n_balls], _RADIUS, values[:n_balls]


def _compare(n: int, m: int, n_balls: int) -> Iterator[None]:
    """The least gap, how far the networks' outputs are apart, and for every scale Theorem 4's error and misses."""
    balls, (*_, linear, points) = _balls(n, m, n_balls), _data(n, m)
    wanted = _outputs(approximate_affine(*balls, linear=linear), points)
    yield
    bounded = approximate_bounded(*balls, linear=linear)
    gap = 2 * bounded.linears[-1].weight[0, n].item()  # s is half of it
    yield
    held = capture(*balls[:2], points).numpy() >= 0
    differences = {
        "Theorem 4": _outputs(bounded, points) - wanted,
        "compact": _outputs(approximate_bounded(*balls, compact=True), points[held]) - wanted[held],
    }
    yield
    by_scale, n_wrong = {}, {}
    for fraction in _FRACTIONS:
        apart = np.abs(_outputs(_rescaled(bounded, n, m, 2 * fraction), points) - wanted).max(axis=1)
        by_scale[fraction], n_wrong[fraction] = float(apart.max()), int((apart > _SAME).sum())
        yield
    worst = {name: float(np.abs(apart).max(initial=0)) for name, apart in differences.items()}
    _COMPARED[n, m, n_balls] = {"gap": gap, "differences": worst, "by_scale": by_scale, "n_wrong": n_wrong}


def _outputs(net: RadialNet, points: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return net(torch.from_numpy(points)).numpy()


def _rescaled(net: RadialNet, n: int, m: int, factor: float) -> RadialNet:
    """Theorem 4's network with `factor` times its s, whatever that breaks: y stands for s y, so y shrinks.

    That is a change of axes which is not orthogonal, so the activation notices it.
    """
    axes = torch.cat([torch.ones(n), torch.full((m,), 1 / factor), torch.ones(1)]).double()
    weights, biases = [], []
    for linear in net.linears:
        weight, bias = linear.weight.detach(), linear.bias.detach()
        weight = weight if not weights else weight / axes  # the input keeps its axes, and so does the output
        is_last = linear is net.linears[-1]
        weights.append(weight if is_last else axes[:, None] * weight)
        biases.append(bias if is_last else axes * bias)
    return net.like(weights, biases)


def _counts(n: int, m: int, n_balls: int) -> dict:
    """Widths of the three networks, and their parameters for 1 ... 64 balls."""

    def widths(balls: int) -> dict[str, tuple[int, ...]]:
        hidden = range(n + 1, n + balls + 1), (n + m + 1,) * balls, (max(n, m) + 1,) * balls
        return {name: (n, *inner, m) for name, inner in zip(_NAMES, hidden, strict=True)}

    balls = np.arange(1, _MOST + 1)
    parameters = {name: np.array([n_radial_parameters(widths(k)[name]) for k in balls.tolist()]) for name in _NAMES}
    return {"n": n, "m": m, "n_balls": n_balls, "widths": widths(n_balls), "balls": balls, "parameters": parameters}


def _regime_panels(frame: dict) -> list[CurvePanel]:
    balls, here = frame["balls"], frame["n_balls"] - 1
    counts = [Curve(name, balls, frame["parameters"][name], "radial", marker=mark) for name, mark in _NAMES.items()]
    now = np.array([frame["parameters"][name][here] for name in _NAMES])
    scales = np.array(list(frame["by_scale"]))
    apart = np.maximum(_FLOOR, np.array(list(frame["by_scale"].values())))
    chosen = scales == frame["fraction"]
    return [
        CurvePanel(
            [*counts, Curve("", np.full(3, balls[here]), now, "sao", kind="paper")], "balls N", "parameters", log_y=True
        ),
        CurvePanel(
            [
                Curve("", scales, apart, "radial", marker="square"),
                Curve("", scales[chosen], apart[chosen], "sao", kind="paper"),
            ],
            "scale s / least gap between values",
            "|F₄ − F₃|, largest",
            log_y=True,
        ),
    ]


def _regime_title(frame: dict) -> str:
    counts = [f"{frame['parameters'][name][frame['n_balls'] - 1]:,}" for name in _NAMES]
    if frame["refusal"]:
        changed = f"{frame['n_wrong'][frame['fraction']]} of {_N_POINTS} outputs"
        return f"s = {frame['fraction']:g} gaps is refused; built all the same, Theorem 4 gets {changed} wrong"
    worst = max(frame.get("differences", {}).values(), default=0.0)
    same = "the same function" if worst < _SAME else f"outputs differ by up to {worst:.2g}"
    widest = [max(frame["widths"][name][1:-1]) for name in _NAMES]
    return f"Widths up to {widest[0]}, {widest[1]}, {widest[2]}, so {', '.join(counts)} parameters: {same}"
