"""The last explorer of notebook 01: a sum of sigmoids learns a function."""

from collections.abc import Iterator

import numpy as np
import torch

from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.figures import fit_figure, fit_traces
from nbkit.topology import Topology, dense_layer, evaluate_fnn

__all__ = ["SigmoidsExplorer"]

_STEPS_A_FRAME = 5  # keeps the time between two frames well under 100 ms
_TARGETS = {
    "sine": lambda x: np.sin(2 * np.pi * x),
    "bump": lambda x: np.exp(-(((x - 0.5) / 0.12) ** 2)),
    "kink": lambda x: np.abs(x - 0.4),
    "step": lambda x: (x > 0.5).astype(np.float64),
}


class SigmoidsExplorer(Explorer):
    """A sum of N sigmoids, equation (7), learns a function on [0, 1]; its largest error falls as N grows."""

    groups = {
        "function": [Choice("target", "function f", tuple(_TARGETS), value="sine")],
        "sum": [
            Slider("terms", "terms N", values=(1, 2, 4, 8, 16, 32), value=16),
            Slider("steps", "steps", values=(0, 50, 100, 200, 400), value=100),
            Slider("seed", "seed", 0, 9, value=0),
        ],
    }
    presets = {
        "smooth": {"target": "sine", "terms": 16},
        "a kink": {"target": "kink", "terms": 32},
        "a step cannot be met": {"target": "step", "terms": 32},
    }

    def build(self) -> None:
        frame = next(self.stream(target="sine", terms=16, steps=0, seed=0))
        self.figure = self.figure_widget(fit_figure(*_fit_arrays(frame)))

    def stream(self, *, target: str, terms: int, steps: int, seed: int) -> Iterator[dict]:
        """Fits with 1, 2, 4, ... up to `terms` sigmoids in turn, a frame every few steps."""
        x = np.linspace(0.0, 1.0, 101)
        wanted = _TARGETS[target](x)
        counts = [2**power for power in range(terms.bit_length())]
        errors: dict[int, float] = {}
        for count in counts:
            for step, fit in _fit_sigmoids(x, wanted, count, steps, seed):
                errors[count] = float(np.abs(fit - wanted).max())
                yield {"x": x, "wanted": wanted, "fit": fit, "errors": dict(errors), "terms": count, "step": step}

    def draw(self, frame: dict) -> None:
        terms, error = frame["terms"], frame["errors"][frame["terms"]]
        self.grow("yaxis2", 0.8 * min(frame["errors"].values()), 1.0)
        sums = f"{terms} sigmoids come" if terms > 1 else "One sigmoid comes"
        self.figure.redraw(fit_traces(*_fit_arrays(frame)))
        self.figure.retitle(f"{sums} within {error:.2g} of f at all {len(frame['x'])} points")


def _fit_arrays(frame: dict) -> tuple:
    errors = frame["errors"]
    return frame["x"], frame["wanted"], frame["fit"], np.array([*errors]), np.array([*errors.values()])


def _fit_sigmoids(
    x: np.ndarray, wanted: np.ndarray, count: int, steps: int, seed: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Adam on slopes y and thresholds theta of (7), the coefficients alpha solved exactly at every step."""
    generator = torch.Generator().manual_seed(seed)
    slopes = (12.0 * torch.randn(count, generator=generator, dtype=torch.float64)).requires_grad_()
    centres = torch.rand(count, generator=generator, dtype=torch.float64).requires_grad_()
    hidden, points, goal = Topology([dense_layer(1, count)]), torch.from_numpy(x)[:, None], torch.from_numpy(wanted)
    ridge = 1e-9 * torch.eye(count, dtype=torch.float64)  # nearly equal sigmoids would make the equations singular
    for step in range(steps + 1):
        terms = evaluate_fnn(hidden, points, [slopes], [-slopes * centres])
        fixed = terms.detach()
        alpha = torch.linalg.solve(fixed.T @ fixed + ridge, fixed.T @ goal)
        fit = terms @ alpha
        if step % _STEPS_A_FRAME == 0:
            yield step, fit.detach().numpy()
        if not step:  # after the first frame: torch looks for its compilers the first time, which takes a second
            optimizer = torch.optim.Adam([{"params": [slopes], "lr": 0.5}, {"params": [centres], "lr": 0.02}])
        if step < steps:
            optimizer.zero_grad()
            ((fit - goal) ** 2).mean().backward()
            optimizer.step()
