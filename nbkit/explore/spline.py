"""Explorer of notebook 10: what weight decay minimises, seen with one input: the fit becomes a spline of few knots."""

import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch

from nbkit.errors import NbkitError, show
from nbkit.explore.controls import Choice, Slider, Text
from nbkit.explore.course import METHOD_KEYS, STRENGTHS, Course, grid_samples, nets_born_small
from nbkit.explore.explorer import Explorer
from nbkit.figures import METHODS, SplineView, spline_figure, spline_ranges, spline_traces
from nbkit.measure import active_neurons, connecting_spline, piecewise_linear, weight_rtv2
from nbkit.nets import SkipNet

__all__ = ["SplineExplorer", "typed_values"]

_MOST = 15  # samples
_ONE_KNOT = 0.04  # knots closer than a fiftieth of the data's range are counted as one
_N_NEURONS = 40


class SplineExplorer(Explorer):
    """Three shallow networks of one input learn the same points; the knots of their functions are counted."""

    groups = {
        "data": [
            Slider("n_points", "points N", 3, _MOST, value=7),
            Slider("data_seed", "data seed", 0, 9, value=1),
            Text("values", "or values y", ""),
        ],
        "penalty": [
            Choice("method", "method", tuple(METHOD_KEYS)),
            Slider("strength", "strength λ", values=STRENGTHS, value=1e-3),
        ],
        "training": [
            Slider("scale", "born in ±s, s", values=(0.1, 0.3, 1.0), value=0.3),
            Slider("steps", "Adam's steps", values=(1000, 3000, 10_000), value=3000),
        ],
    }
    presets = {
        "(2)": {"method": "(2)"},
        "weight decay": {"method": "weight decay"},
        "none": {"method": "none"},
        "too strong": {"method": "(2)", "strength": 0.1, "values": ""},
        "one kink": {"method": "(2)", "strength": 1e-3, "values": "1, .5, 0, -.5, 0, .5, 1"},
    }

    def build(self) -> None:
        figure = spline_figure(SplineView())
        self.height = figure.layout.height
        self.figure = self.figure_widget(figure)
        self._about = None

    def stream(
        self, *, n_points: int, data_seed: int, values: str, method: str, strength: float, scale: float, steps: int
    ) -> Iterator[dict | None]:
        """Function, knots and RTV^2 after every few steps, from where the training is to its end."""
        y = typed_values(values)
        training = _training(y or (n_points, data_seed), strength, scale, steps)
        key = METHOD_KEYS[method]
        while not training.is_over:
            yield training.frame(key)
            yield from training.go_on()
        yield training.frame(key)

    def draw(self, frame: dict) -> None:
        about = frame["samples"].tolist(), frame["n_steps"]
        if self._about != about:
            self._about = about
            self.figure.forget_axes()  # other data ask for other axes
        view = SplineView(**{name: frame[name] for name in SplineView.__dataclass_fields__})
        shown = {axis: self.grow(axis, *ends) for axis, ends in spline_ranges(view).items()}
        self.figure.redraw(spline_traces(view, shown=shown))
        self.figure.retitle(_title(frame))


def typed_values(text: str) -> tuple[float, ...]:
    """3 to 15 numbers between -10 and 10, or none where nothing is typed.

    Raises:
        NbkitError: anything else.
    """
    words = [word for word in re.split(r"[,;\s]+", text) if word]
    try:
        values = tuple(float(word) for word in words)
    except ValueError:
        values = (np.nan,)
    if words and not (3 <= len(values) <= _MOST and all(abs(value) <= 10 for value in values)):
        raise NbkitError(
            f"SplineExplorer: values must be 3 to {_MOST} numbers between -10 and 10, or nothing for random ones, got "
            f"{show(text)}. Write them as 0, 1, -0.5."
        )
    return values


class _Training(Course):
    """The three trainings on these data, with what is counted of them."""

    def __init__(self, data: tuple, strength: float, scale: float, steps: int) -> None:
        self.is_random = is_random = len(data) == 2  # N and a seed; typed are at least three
        self.x, y = grid_samples(
            np.linspace(-1, 1, data[0] if is_random else len(data)), 1, data[1] if is_random else 0
        )
        self.y = y if is_random else torch.tensor(data).to(self.x)
        self.nets = nets_born_small((1, 1), _N_NEURONS, scale, seed=0)
        self.samples = np.stack([self.x[:, 0].double().numpy(), self.y.double().numpy()])
        self.spline = connecting_spline(*self.samples)
        super().__init__(self.nets, self.x, self.y, strength, steps, self._count, every=100)
        self.strength = strength

    def _count(self) -> dict[str, dict]:
        return {method: self._counted(self.nets[run]) for run, method in enumerate(METHODS)}

    def _counted(self, net: SkipNet) -> dict:
        f = piecewise_linear(net)
        x = np.linspace(*self.samples[0, [0, -1]] * 1.5, 2)
        inside = f.knots[(f.knots > x[0]) & (f.knots < x[1])]
        corners = np.concatenate([x[:1], inside, x[1:]])
        knots, _ = f.visible_knots(tolerance=_ONE_KNOT)
        return {
            "line": np.stack([corners, f(corners)]),
            "knots": np.stack([knots, f(knots)]),
            "n_neurons": int(active_neurons(net.layers[0]).sum()),
            "rtv2": f.rtv2,
            "weights": weight_rtv2(net),
            "loss": float(np.mean((f(self.samples[0]) - self.samples[1]) ** 2)),
        }

    def frame(self, method: str) -> dict:
        """What is shown of the training now."""
        seen, last = self.seen, self.seen[-1]
        return (
            {
                "method": method,
                "samples": self.samples,
                "line": last[method]["line"],
                "knots": last[method]["knots"],
                "steps": self.steps[: len(seen)],
                "n_steps": self.n_steps,
                "n_knots": {each: np.array([one[each]["knots"].shape[1] for one in seen]) for each in METHODS},
                "n_neurons": np.array([one[method]["n_neurons"] for one in seen]),
                "rtv2": {each: np.array([one[each]["rtv2"] for one in seen]) for each in METHODS},
                "weights": np.array([one[method]["weights"] for one in seen]),
                "least": self.spline.rtv2,
                "loss": last[method]["loss"],
                "strength": self.strength,
            }
            | ({} if self.is_random else {"note": "typed values: N and the data seed are set aside"})
            | self.status
        )


@lru_cache(maxsize=16)
def _training(data: tuple, strength: float, scale: float, steps: int) -> _Training:
    return _Training(data, strength, scale, steps)


def _title(frame: dict) -> str:
    method, n = frame["method"], frame["samples"].shape[1]
    told = METHODS[method].text + (f", λ = {frame['strength']:.2g}" if method != "none" else "")
    n_knots = frame["knots"].shape[1]
    neurons = f"{frame['n_neurons'][-1]} neurons stand at {n_knots} knot{'s' * (n_knots != 1)}"
    turn = f"RTV² {frame['rtv2'][method][-1]:.3g}, the spline's {frame['least']:.3g}"
    return f"{told}: {neurons} for {n} points; {turn}; MSE {frame['loss']:.1g}"
