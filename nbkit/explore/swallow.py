"""Explorers of notebook 08 that watch the approximation theorems at work: balls swallow points, layer by layer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import log, pi, sqrt

import numpy as np
import torch

from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.figures import disks_colours, disks_figure, disks_traces, swallow_figure, swallow_traces
from nbkit.nets import RadialNet, approximate_affine, approximate_bounded, capture, cover_box

__all__ = ["DisksExplorer", "SwallowExplorer"]

_UNBOUNDED, _BOUNDED, _COMPACT = _CONSTRUCTIONS = "Theorem 3", "Theorem 4", "compact"
_MOST_BALLS = 120
_CHUNK = 450  # points that a network sees in one step of the stream
_SLOPE = 4 * sqrt(16 / 27) / 2  # of (1 - r^2)^2, at its steepest


@dataclass(frozen=True)
class _Target:
    """f = L outside [-half, half]^n up to eps, with L(x) = slope . x."""

    f: Callable[[np.ndarray], np.ndarray]
    lipschitz: float
    slope: tuple[float, ...]
    half: Callable[[float], float]


def _bump(r: np.ndarray) -> np.ndarray:
    return np.maximum(0, 1 - r**2) ** 2


_LINE = {
    "exp(−x²)": _Target(lambda x: np.exp(-(x[:, 0] ** 2)), sqrt(2 / np.e), (0.0,), lambda eps: sqrt(log(1 / eps))),
    "line and sine": _Target(
        lambda x: x[:, 0] / 4 + np.where(np.abs(x[:, 0]) < 1, np.sin(pi * x[:, 0]) / 2, 0),
        0.25 + pi / 2, (0.25,), lambda eps: 1.0,
    ),
    "plateau": _Target(lambda x: np.clip(4 * (0.85 - np.abs(x[:, 0])), 0, 1), 4.0, (0.0,), lambda eps: 0.85),
}  # fmt: skip
_PLANE = {
    "plane and bump": _Target(
        lambda x: x @ [0.25, 0.125] + _bump(np.linalg.norm(x, axis=1)),
        _SLOPE + sqrt(5) / 8, (0.25, 0.125), lambda eps: 1.0,
    ),
    "ring": _Target(
        lambda x: _bump((np.linalg.norm(x, axis=1) - 0.7) / 0.4) / 2, _SLOPE / 0.8, (0.0, 0.0), lambda eps: 1.1
    ),
}  # fmt: skip
_TARGETS = _LINE | _PLANE
_X = np.linspace(-2.4, 2.4, 601)  # where F is run and the error is taken
_DOTS = slice(None, None, 4)  # of these, the points that are seen to leave the line
_SIDE = np.linspace(-1.4, 1.4, 33)
_SQUARE = np.stack(np.meshgrid(_SIDE, _SIDE), axis=-1).reshape(-1, 2)
_SPARSE = np.stack(np.meshgrid(_SIDE[::2], _SIDE[::2]), axis=-1).reshape(-1, 2)


class _Swallow(Explorer):
    """What both explorers do: the rule of the theorem at once, then what the network itself computes."""

    points: np.ndarray  # (k, n), where F is run

    def stream(self, *, function: str, eps: float, construction: str, layer: int) -> Iterator[dict | None]:
        """F by the rule "the first ball that holds x, else L"; then by the torch network of the first balls."""
        centers, radii, values = _balls(function, eps)
        target, owners = _TARGETS[function], _owners(function, eps, self.points)
        owners = np.where(owners < layer, owners, -1)
        f, held = target.f(self.points), owners >= 0
        meant = held if construction == _COMPACT else np.ones(len(held), dtype=bool)
        rule = np.where(held, values[owners], self.points @ target.slope)
        frame = {"function": function, "eps": eps, "construction": construction, "layer": layer, "n_balls": len(radii)}
        frame |= {"centers": centers, "radii": radii, "values": values, "owners": owners, "f": f}
        yield frame | _judged(rule, f, meant) | {"note": "by the rule of the theorem; the network follows"}
        net = _network(function, eps, construction, layer)
        yield None
        parts = []
        for part in np.array_split(self.points, -(-len(self.points) // _CHUNK)):
            with torch.inference_mode():
                parts.append(net(torch.from_numpy(part))[:, 0].numpy())
            yield None
        output = np.concatenate(parts)
        differs = float(np.abs(output - rule)[meant].max())
        told = "less than 1e-9" if differs < 1e-9 else f"{differs:.2g}"
        frame |= _judged(output, f, meant) | {"widths": net.widths, "n_parameters": net.n_parameters}
        yield frame | {
            "differs": differs,
            "note": f"{net.n_parameters:,} parameters; it differs from the rule by {told}",
        }

    def admissible(self, settings: dict) -> dict:
        n_balls = len(_balls(settings["function"], settings["eps"])[1])
        return {"layer": range(settings["construction"] == _COMPACT, n_balls + 1)}


class SwallowExplorer(_Swallow):
    """Balls take the points of a line away, one ball a layer, and hand each the value of f at their centre."""

    groups = {
        "function": [
            Choice("function", "function f", tuple(_LINE)),
            Slider("eps", "error ε", values=(0.5, 0.3, 0.2, 0.1, 0.05), value=0.1),
        ],
        "network": [
            Choice("construction", "construction", _CONSTRUCTIONS),
            Slider("layer", "layer i", 0, _MOST_BALLS, value=8, play=True),
        ],
    }
    presets = {
        "half way": {"function": "exp(−x²)", "eps": 0.1, "construction": _UNBOUNDED, "layer": 8},
        "the whole net": {"function": "exp(−x²)", "eps": 0.05, "construction": _UNBOUNDED, "layer": 30},
        "bounded width": {"function": "line and sine", "eps": 0.1, "construction": _BOUNDED, "layer": 12},
        "compact": {"function": "plateau", "eps": 0.2, "construction": _COMPACT, "layer": 12},
    }
    height = 560
    points = _X[:, None]

    def build(self) -> None:
        none = np.empty(0)
        curves = {"x": _X, "f": 0 * _X, "F": 0 * _X, "eps": 0.1}
        empty = swallow_figure(curves, (none, none), (none, np.empty((0, 2)), none), layer=0, height=self.height)
        self.figure = self.figure_widget(empty, ghosts=False)
        self._task = None

    def draw(self, frame: dict) -> None:
        curves = {"x": _X, "f": frame["f"], "F": frame["F"], "eps": frame["eps"]}
        owners = frame["owners"][_DOTS]
        places, what, (low, high) = _places(frame, _X[_DOTS], owners)
        self.figure.redraw(
            swallow_traces(
                curves, (frame["centers"][:, 0], frame["radii"]), (_X[_DOTS], places, owners), layer=frame["layer"]
            )
        )
        task = frame["function"], frame["eps"], frame["construction"]
        if task != self._task:
            self._task = task
            self.figure.forget_axes()
            self.figure.layout.yaxis2.title.text = what
        self.grow("yaxis", frame["f"].min() - 0.35, frame["f"].max() + 0.35)
        self.grow("yaxis2", low, high)
        self.figure.retitle(_title(frame, int((owners == frame["layer"] - 1).sum())))


class DisksExplorer(_Swallow):
    """Disks take the points of the plane away, and the function that the network has by then grows beside them."""

    groups = {
        "function": [
            Choice("function", "function f", tuple(_PLANE)),
            Slider("eps", "error ε", values=(0.6, 0.5, 0.4, 0.3), value=0.4),
        ],
        "network": [
            Choice("construction", "construction", (_UNBOUNDED, _BOUNDED)),
            Slider("layer", "layer i", 0, _MOST_BALLS, value=25, play=True),
        ],
    }
    presets = {
        "half way": {"function": "plane and bump", "eps": 0.4, "construction": _UNBOUNDED, "layer": 25},
        "the whole net": {"function": "plane and bump", "eps": 0.3, "construction": _UNBOUNDED, "layer": 81},
        "ring": {"function": "ring", "eps": 0.3, "construction": _BOUNDED, "layer": 100},
    }
    height = 640
    points = _SQUARE

    def build(self) -> None:
        flat, none = np.zeros((_SIDE.size, _SIDE.size)), np.empty(0)
        empty = np.empty((0, 2)), none
        figure = disks_figure(_SIDE, {"f": flat, "F": flat}, empty, empty, layer=0, eps=0.4, height=self.height)
        self.figure = self.figure_widget(figure, ghosts=False)
        self._task = None

    def draw(self, frame: dict) -> None:
        square = (_SIDE.size,) * 2
        values = {name: frame[name].reshape(square) for name in ("f", "F")}
        owners = frame["owners"].reshape(square)[::2, ::2].ravel()
        traces = disks_traces(
            _SIDE, values, (frame["centers"], frame["radii"]), (_SPARSE, owners), layer=frame["layer"]
        )
        if (frame["function"], frame["eps"]) == self._task:
            traces[0] = {}
        else:
            self._task = frame["function"], frame["eps"]
            self.figure.update_layout(**disks_colours(frame["f"], frame["eps"]))
        self.figure.redraw(traces)
        self.figure.retitle(_title(frame, int((frame["owners"] == frame["layer"] - 1).sum())))


@lru_cache(maxsize=20)
def _balls(function: str, eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres (N, n), radii (N,) and the values of f at the centres (N,)."""
    target = _TARGETS[function]
    half = np.full(len(target.slope), target.half(eps))
    cover = cover_box(-half, half, lipschitz=target.lipschitz, eps=eps, max_balls=_MOST_BALLS)
    centers = cover.centers.numpy()
    return centers, cover.radii.numpy(), target.f(centers)


def _owners(function: str, eps: float, points: np.ndarray) -> np.ndarray:
    """(k,) the ball that will have each point in the end, or -1."""
    centers, radii, _ = _balls(function, eps)
    return capture(centers, radii, points).numpy()


@lru_cache(maxsize=8)
def _network(function: str, eps: float, construction: str, layer: int) -> RadialNet:
    """The network of the first `layer` balls."""
    centers, radii, values = (array[:layer] for array in _balls(function, eps))
    slope = _TARGETS[function].slope
    if construction == _COMPACT:
        return approximate_bounded(centers, radii, values, compact=True)
    build = approximate_affine if construction == _UNBOUNDED else approximate_bounded
    return build(centers, radii, values, linear=([slope], [0.0]))


def _judged(output: np.ndarray, f: np.ndarray, meant: np.ndarray) -> dict:
    """F where it means anything, and its largest error there."""
    return {"F": np.where(meant, output, np.nan), "error": float(np.abs(output - f)[meant].max())}


def _places(frame: dict, x: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, str, tuple[float, float]]:
    """Where the points are behind S_i (k, 2), what the height is, and what of it is shown."""
    held, n_balls = owners >= 0, frame["n_balls"]
    if frame["construction"] == _UNBOUNDED:  # c_j + e_j
        places = np.where(held, frame["centers"][owners, 0], x), np.where(held, owners + 1, 0)
        return np.stack(places, axis=1), "direction e<sub>j</sub>", (-0.06 * n_balls, 1.06 * n_balls)
    carried = np.where(held, frame["values"][owners], 0)
    if frame["construction"] == _BOUNDED:  # (0, y_j, 1), of which s y_j is drawn
        low, high = min(0, frame["values"].min()), max(0, frame["values"].max())
        room = 0.08 * (high - low)
        return np.stack([np.where(held, 0, x), carried], axis=1), "value carried s y", (low - room, high + room)
    first = frame["values"][0]  # (y_j, 1), of which s y_j is drawn
    return np.stack([np.where(held, carried - first, x), held], axis=1), "θ; across, where 1: s y", (-0.12, 1.12)


def _title(frame: dict, n_taken: int) -> str:
    layer, n_balls, error = frame["layer"], frame["n_balls"], f"|F − f| up to {frame['error']:.2g}"
    wanted = f"ε = {frame['eps']:g}".replace(" ", "\N{NO-BREAK SPACE}")
    if layer == n_balls:
        widths = f", widths up to {max(frame['widths'])}" if "widths" in frame else ""
        where = "on the balls" if frame["construction"] == _COMPACT else "on the whole grid"
        return f"{n_balls} layers{widths}: {error} {where}, below {wanted}"
    if not layer:
        return f"No ball yet: F is the affine L, {error}, and {wanted} is wanted"
    return f"Layer {layer} of {n_balls} swallows {n_taken} of the points: {error}, and {wanted} is wanted"
