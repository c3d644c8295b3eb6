"""Explorer of notebook 10: "sparsity" is a density above a threshold; what stands there, and what cutting costs."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch.func import functional_call, vmap

from nbkit.explore.controls import Choice, Slider
from nbkit.explore.course import METHOD_KEYS, STRENGTHS, Course, grid_samples, nets_born_small
from nbkit.explore.explorer import Explorer
from nbkit.figures import METHODS, ThresholdView, threshold_axes, threshold_figure, threshold_ranges, threshold_traces
from nbkit.measure import dead_neurons, density_above, reachability, thresholded
from nbkit.nets import SkipLayer, SkipNet
from nbkit.topology import Topology

__all__ = ["ThresholdExplorer", "errors_after_cuts"]

_N_INPUTS, _BOTTLENECK = 2, 4
_THRESHOLDS = np.logspace(-6, 0, 61)
_OFFERED = tuple(float(f"{lead}e{power}") for power in range(-6, 0) for lead in (1, 2, 5)) + (1.0,)
_CUT = ("V", "W", "C")
_LEAST = 1e-16  # a mean squared error of 0 has no place on a log axis


class ThresholdExplorer(Explorer):
    """A small network is trained, then cut: weights up to the threshold become 0, and ways through it end."""

    groups = {
        "training": [
            Choice("method", "method", tuple(METHOD_KEYS)),
            Slider("strength", "strength λ", values=STRENGTHS, value=3e-3),
            Slider("n_neurons", "neurons K", values=(8, 16, 32, 48), value=32),
            Slider("seed", "seed", 0, 9, value=0),
            Slider("steps", "Adam's steps", values=(1000, 3000, 10_000), value=3000),
        ],
        "cut": [Slider("threshold", "threshold", values=_OFFERED, value=1e-3)],
    }
    presets = {
        "paper's 1e-3": {"method": "(2)", "threshold": 1e-3},
        "as deep as it goes": {"method": "(2)", "threshold": 0.01},
        "too deep": {"method": "(2)", "threshold": 0.1},
        "weight decay": {"method": "weight decay", "threshold": 1e-3},
        "never decayed": {"method": "none", "threshold": 1e-3},
    }

    def build(self) -> None:
        figure = threshold_figure(ThresholdView())
        self.height = figure.layout.height
        self.figure = self.figure_widget(figure)
        self._sizes = None

    def stream(
        self, *, method: str, strength: float, n_neurons: int, seed: int, steps: int, threshold: float
    ) -> Iterator[dict | None]:
        """What stands of the network, after every few steps of its training; once it is trained, at once."""
        training = _training(strength, n_neurons, seed, steps)
        while not training.is_over:
            yield training.frame(METHOD_KEYS[method], threshold)
            yield from training.go_on()
        yield training.frame(METHOD_KEYS[method], threshold)

    def draw(self, frame: dict) -> None:
        view = ThresholdView(**{name: frame[name] for name in ThresholdView.__dataclass_fields__})
        if view.sizes != self._sizes:
            self._sizes = view.sizes
            self.figure.update_layout(threshold_axes(view))
        shown = {axis: self.grow(axis, *ends) for axis, ends in threshold_ranges(view).items()}
        self.figure.redraw(threshold_traces(view, shown=shown))
        self.figure.retitle(_title(frame))


@torch.no_grad()
def errors_after_cuts(net: SkipNet, x: torch.Tensor, y: torch.Tensor, thresholds: Sequence[float]) -> np.ndarray:
    """The mean squared error once all entries of V, W and C up to each threshold are 0, float64 (t,).

    Args:
        net: is not changed; biases are not cut.
        x, y: (n, d_0) and (n, d_L).
        thresholds: (t,) at least 0.
    """
    limits = torch.as_tensor(np.asarray(thresholds)).to(x)
    given = {
        name: parameter.detach().expand(len(limits), *parameter.shape) for name, parameter in net.named_parameters()
    }
    cut = {
        name: values * (values.abs() > limits.view(-1, *[1] * (values.ndim - 1))) if name[-1] in _CUT else values
        for name, values in given.items()
    }
    outputs = vmap(lambda parameters: functional_call(net, parameters, (x,)))(cut)
    return (outputs - y).double().square().mean(dim=(1, 2)).numpy()


class _Training(Course):
    """The three networks in training; a copy of them is kept every few steps, to be cut."""

    def __init__(self, strength: float, n_neurons: int, seed: int, steps: int) -> None:
        self.x, self.y = grid_samples((0.0, 0.5, 1.0), _N_INPUTS, seed)
        self.nets = nets_born_small((_N_INPUTS, _BOTTLENECK, 1), n_neurons, 0.3, seed)
        self.strength, self._curves = strength, {}
        super().__init__(self.nets, self.x, self.y, strength, steps, self._copies, every=250)

    def _copies(self) -> dict[str, SkipNet]:
        return {method: _copy(self.nets[run]) for run, method in enumerate(METHODS)}

    def frame(self, method: str, threshold: float) -> dict:
        """What is shown of the training now."""
        place = len(self.seen) - 1
        net = self.seen[place][method]
        if (place, method) not in self._curves:
            self._curves[place, method] = _curves(net, self.x, self.y)
        densities, errors = self._curves[place, method]
        wires = thresholded(net, threshold, skips=True)
        dead = dead_neurons(net, threshold)
        matrices = net.matrices.values()
        n_stand = sum(round(density_above(matrix, threshold) * matrix.numel()) for matrix in matrices)
        return {
            "method": method,
            "strength": self.strength,
            "sizes": wires.sizes,
            "edges": [layer.edge_index() for layer in wires],
            "alive": _alive(wires),
            "names": _names(net),
            "thresholds": _THRESHOLDS,
            "densities": densities,
            "errors": errors,
            "now": threshold,
            "n_weights": (n_stand, sum(matrix.numel() for matrix in matrices)),
            "n_dead": tuple(int(one.sum()) for one in dead),
            "n_inputs": int(reachability(wires).any(dim=1).sum()),
            "error": errors_after_cuts(net, self.x, self.y[:, None], [0.0, threshold]),
        } | self.status


@lru_cache(maxsize=8)
def _training(strength: float, n_neurons: int, seed: int, steps: int) -> _Training:
    return _Training(strength, n_neurons, seed, steps)


def _copy(net: SkipNet) -> SkipNet:
    parts = ((layer.V, layer.W, layer.b, layer.C, layer.c0) for layer in net.layers)
    return SkipNet.of([SkipLayer(*(part.detach().clone() for part in layer)) for layer in parts])


def _curves(net: SkipNet, x: torch.Tensor, y: torch.Tensor) -> tuple[dict[str, np.ndarray], np.ndarray]:
    densities = {
        name: np.array([density_above(matrix, threshold) for threshold in _THRESHOLDS])
        for name, matrix in net.matrices.items()
    }
    return densities, np.maximum(errors_after_cuts(net, x, y[:, None], _THRESHOLDS), _LEAST)


def _alive(wires: Topology) -> list[np.ndarray]:
    """Of each layer the nodes that lie on a way from an input to an output."""
    last, through = len(wires), reachability(wires)
    inner = [reachability(wires, 0, i).any(dim=0) & reachability(wires, i).any(dim=1) for i in range(1, last)]
    return [np.flatnonzero(nodes.numpy()) for nodes in (through.any(dim=1), *inner, through.any(dim=0))]


def _names(net: SkipNet) -> list[str]:
    names = [f"inputs<br>{net.widths[0]}"]
    for place, (k, width) in enumerate(zip(net.n_neurons, net.widths, strict=False), start=1):
        names += [f"neurons<br>{k} + {width} skips", f"nodes<br>{net.widths[place]}"]
    return [*names[:-1], f"output<br>{net.widths[-1]}"]


def _title(frame: dict) -> str:
    method = frame["method"]
    told = METHODS[method].text + (f", λ = {frame['strength']:.2g}" if method != "none" else "")
    stand, n_weights = frame["n_weights"]
    n_neurons = sum(frame["sizes"][1:-1:2]) - sum(frame["sizes"][:-1:2])
    before, after = frame["error"]
    return (
        f"{told}, cut at {frame['now']:.2g}: {stand} of {n_weights} weights stand, {sum(frame['n_dead'])} of {n_neurons} "
        f"neurons are dead; MSE {before:.2g} → {after:.2g}"
    )
