"""Explorers of notebook 08 that look at activations: the plane under a pointwise and a radial one, and the functions h."""

from collections.abc import Iterator

import numpy as np
import torch

from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.figures import (
    radial_functions_figure,
    radial_functions_traces,
    rescaling_figure,
    rescaling_traces,
)
from nbkit.nets import ACTIVATIONS, RadialActivation
from nbkit.nets.rescaling import SHIFTED_FUNCTIONS

__all__ = ["RadialFunctionsExplorer", "RescalingExplorer"]

_POINTWISE = {"ReLU": "relu", "tanh": "tanh", "SiLU": "silu"}
_RADIAL = {
    "Step-ReLU": "step_relu",
    "squashing": "squash",
    "shifted ReLU": "shifted_relu",
    "sigmoid": "sigmoid",
    "shifted sigmoid": "shifted_sigmoid",
    "identity": "identity",
}
_ROUNDING = 1e-12
_FINE = 41  # points on a line of the grid
_HALF = 2.02  # half its side: no point has norm 1 exactly, where rounding decides what Step-ReLU keeps
_LINE = np.arange(-150, 151) / 50  # v in Fig. 2; 1 and 0, where functions jump, are hit exactly
_POINTS = tuple(k / 10 for k in range(-30, 31))  # listed, since a play button runs through whole steps only


class RescalingExplorer(Explorer):
    """Turn a grid and activate it, or activate it and turn it: a radial activation cannot tell, a pointwise one can."""

    groups = {
        "activations": [
            Choice("pointwise", "pointwise σ", tuple(_POINTWISE)),
            Choice("radial", "radial h", tuple(_RADIAL), value="squashing"),
            Slider("shift", "shift b, s", -2.0, 3.0, 0.25, value=1.0),
        ],
        "plane": [
            Choice("shape", "grid", ("squares", "circles and rays")),
            Slider("angle", "angle °", 0, 360, 5, value=30, play=True),
        ],
    }
    presets = {
        "Fig. 1": {"pointwise": "ReLU", "radial": "squashing", "shape": "squares", "angle": 0},
        "circles stay": {"pointwise": "tanh", "radial": "squashing", "shape": "circles and rays", "angle": 30},
        "jump": {"pointwise": "ReLU", "radial": "Step-ReLU", "shape": "squares", "angle": 30},
        "quarter turn": {"pointwise": "tanh", "radial": "shifted ReLU", "shape": "squares", "angle": 90},
    }
    height = 430

    def build(self) -> None:
        empty = np.empty((0, 2))
        pairs = dict.fromkeys(("pointwise", "radial"), (empty, empty))
        self.figure = self.figure_widget(rescaling_figure(empty, pairs, height=self.height), ghosts=False)

    def stream(self, *, pointwise: str, radial: str, shift: float, shape: str, angle: int) -> Iterator[dict]:
        """One frame: the turned grid, its two images under each activation, and how far they are apart."""
        grid = torch.from_numpy(_grid(shape))
        turn = torch.deg2rad(torch.tensor(float(angle), dtype=torch.float64))
        rotation = torch.tensor([[turn.cos(), -turn.sin()], [turn.sin(), turn.cos()]], dtype=torch.float64)
        turned = grid @ rotation.T
        images, differences = {}, {}
        for name, activate in (
            ("pointwise", ACTIVATIONS[_POINTWISE[pointwise]]()),
            ("radial", _activation(radial, shift)),
        ):
            first, second = activate(turned), activate(grid) @ rotation.T
            images[name] = first.numpy(), second.numpy()
            differences[name] = float((first - second).nan_to_num().norm(dim=1).max())
        yield {
            "grid": turned.numpy(),
            "images": images,
            "differences": differences,
            "names": (pointwise, radial),
            "angle": angle,
            "note": "broad lines: turn, then activate; thin ones: activate, then turn",
        }

    def draw(self, frame: dict) -> None:
        self.figure.redraw(rescaling_traces(frame["grid"], frame["images"]))
        told = [
            f"{name} differs by up to {difference:.2g}" if difference > _ROUNDING else f"{name} by less than 1e-12"
            for name, difference in zip(frame["names"], frame["differences"].values(), strict=True)
        ]
        self.figure.retitle(f"Turned by {frame['angle']}° before or after: {', '.join(told)}")


def _activation(name: str, shift: float) -> RadialActivation:
    h = _RADIAL[name]
    return RadialActivation(h, shift=shift if h in SHIFTED_FUNCTIONS else None)


def _grid(shape: str) -> np.ndarray:
    """Lines of points (n, 2), one after the other with rows of NaN between; no point where an activation jumps."""
    fine = np.linspace(-_HALF, _HALF, _FINE)
    if shape == "squares":
        lines = [np.stack(pair, axis=1) for at in np.linspace(-_HALF, _HALF, 9) for pair in _crossing(fine, at)]
    else:
        turns = np.linspace(0, 2 * np.pi, _FINE)
        circles = [np.stack([r * np.cos(turns), r * np.sin(turns)], axis=1) for r in (0.5, 0.95, 1.5, 2.0)]
        ends = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        rays = [np.linspace(0.05, 2, _FINE)[:, None] * [np.cos(end), np.sin(end)] for end in ends]
        lines = circles + rays
    return np.concatenate([np.append(line, [[np.nan, np.nan]], axis=0) for line in lines])


def _crossing(fine: np.ndarray, at: float) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    return (fine, np.full_like(fine, at)), (np.full_like(fine, at), fine)


class RadialFunctionsExplorer(Explorer):
    """Six radial rescalings of the line side by side, with the factor by which each multiplies a vector."""

    groups = {
        "functions": [Slider("shift", "shift b, s", -2.0, 3.0, 0.25, value=1.0)],
        "vector": [Slider("point", "vector v", values=_POINTS, value=1.5, play=True)],
    }
    presets = {
        "Fig. 2": {"shift": 1.0, "point": 1.5},
        "on the unit sphere": {"shift": 1.0, "point": 1.0},
        "jump at 0": {"shift": -1.0, "point": 0.0},
    }
    height = 500

    def build(self) -> None:
        self.figure = self.figure_widget(
            radial_functions_figure(_LINE, _functions(1.0)[0], jumps={}, point=1.5, height=self.height), ghosts=False
        )
        self._shift = None

    def stream(self, *, shift: float, point: float) -> Iterator[dict]:
        """One frame: images and factors of v in -3 ... 3 by function, where they jump, and the chosen v."""
        functions, jumps = _functions(shift)
        here = int(np.argmin(np.abs(_LINE - point)))
        images = {name: float(image[here]) for name, (image, _) in functions.items()}
        yield {"v": _LINE, "functions": functions, "jumps": jumps, "point": float(_LINE[here]), "images": images,
               "shift": shift, "note": "solid: the image of v; dashed: the factor h(|v|) / |v|"}  # fmt: skip

    def draw(self, frame: dict) -> None:
        traces = radial_functions_traces(frame["v"], frame["functions"], jumps=frame["jumps"], point=frame["point"])
        if frame["shift"] == self._shift:  # only the mark, the last of each panel's four, has moved
            traces = [trace if i % 4 == 3 else {} for i, trace in enumerate(traces)]
        self._shift = frame["shift"]
        self.figure.redraw(traces)
        jumping = ", ".join(name for name, where in frame["jumps"].items() if len(where)).replace(
            "-", "\N{NON-BREAKING HYPHEN}"
        )
        self.figure.retitle(f"Where v = {frame['point']:.3g} goes: only its length changes. Jumps: {jumping}")


def _functions(shift: float) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], dict[str, np.ndarray]]:
    """name -> (image, factor) on the line, and name -> the v where the image jumps."""
    v, functions, jumps = torch.from_numpy(_LINE), {}, {}
    radii = v.abs()
    for name in _RADIAL:
        activation = _activation(name, shift)
        image = activation(v[:, None])[:, 0]
        factor = torch.where(radii > 0, activation.h(radii) / radii, torch.nan)
        functions[name] = image.numpy(), factor.numpy()
        at_zero = float(activation.h(torch.zeros(1, 1, dtype=torch.float64))) != 0
        jumps[name] = np.array([0.0] if at_zero else [-1.0, 1.0] if name == "Step-ReLU" else [])
    return functions, jumps
