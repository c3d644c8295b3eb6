"""Explorer of notebook 07: what pruning leaves of a deep orthogonal network at birth, and why it does not train."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch

from nbkit.compress import prune
from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.isometry import input_point
from nbkit.explore.stacked import draw_panels
from nbkit.figures import Curve, CurvePanel, stacked_figure
from nbkit.measure import jacobian_factors, reach_fractions
from nbkit.nets import SparseLinear, SparseSequential, deep_net
from nbkit.topology import Layer, Topology

__all__ = ["PruningExplorer"]

#: Family, marker and label of each way to choose the wires that stay.
_METHODS = {
    "SAO": ("sao", "circle", "● SAO"),
    "RG": ("sao", "triangle-up", "▲ RG"),
    "GMP": ("pruned", "circle", "● GMP"),
    "LMP": ("pruned", "square", "■ LMP"),
    "LRP": ("pruned", "diamond", "◆ LRP"),
}
_TOGETHER = "\N{NO-BREAK SPACE}"
_WIRES, _SIGNALS = "wires", "signals"
_ALIVE = 0.01  # singular values above it: a signal, or a gradient, is still there
_FLOOR = -10.0  # log10 s; below it values are not told apart
_RESOLVED = 1e-12  # of the largest: smaller ones are rounding


class PruningExplorer(Explorer):
    """Which wires GMP, LMP, LRP, RG and SAO leave at one budget, and what still passes through them."""

    groups = {
        "network": [
            Slider("depth", "depth N", values=(1, 2, 3, 5, 7, 10, 15, 20, 30, 50), value=10),
            Slider("width", "width n", values=(64, 128, 256), value=128),
            Slider("degree", "SAO's d", values=(2, 4, 8, 16), value=4),
            Slider("seed", "seed", 0, 9),
        ],
        "measure": [Choice("view", "show", (_WIRES, _SIGNALS))],
    }
    presets = {
        "the paper's width": {"depth": 5, "width": 256, "degree": 4, "view": _WIRES},
        "what passes": {"depth": 10, "width": 128, "degree": 4, "view": _SIGNALS},
        "fifty layers": {"depth": 50, "width": 64, "degree": 4, "view": _SIGNALS},
        "denser": {"depth": 10, "width": 128, "degree": 16, "view": _SIGNALS},
    }

    def build(self) -> None:
        figure = stacked_figure(_panels(None))
        self.height = figure.layout.height
        self.figure = self.figure_widget(figure)
        self._scales = None

    def stream(self, *, depth: int, width: int, degree: int, seed: int, view: str) -> Iterator[dict | None]:
        """SAO first; then one way of pruning after another."""
        frame = {"depth": depth, "width": width, "degree": degree, "view": view, "methods": {}}
        key = depth, width, degree, seed
        for number, method in enumerate(_METHODS, start=1):
            found = _found(*key)
            if method not in found:
                for entry in _look(method, *key):
                    yield None
                found[method] = entry
            frame = frame | {"methods": frame["methods"] | {method: found[method]}}
            yield frame | {"progress": (number, len(_METHODS), "methods"), "note": _note(frame)}

    def draw(self, frame: dict) -> None:
        scales = frame["view"], frame["depth"], frame["width"]
        panels = _panels(frame)
        if scales != self._scales:  # other units, or fewer of them
            self._scales = scales
            self.figure.forget_axes()
            for axes, panel in zip((("xaxis", "yaxis"), ("xaxis2", "yaxis2")), panels, strict=True):
                for axis, label in zip(axes, (panel.x_label, panel.y_label), strict=True):
                    self.figure.layout[axis].title.text = label
        self.grow("yaxis", 0, 1)
        if frame["view"] == _WIRES:
            self.grow("yaxis2", 0, 1)
        draw_panels(self, panels)
        self.figure.retitle(_title(frame))


@lru_cache(maxsize=30)
def _found(depth: int, width: int, degree: int, seed: int) -> dict[str, dict]:
    return {}


@lru_cache(maxsize=4)
def _net(method: str, depth: int, width: int, degree: int, seed: int) -> SparseSequential:
    """The paper's network, 4 width -> 2 width -> width -> ... -> 10, at birth."""
    return deep_net(depth, method, degree=degree, width=width, n_inputs=4 * width, seed=seed)


def _wires(net: torch.nn.Module) -> list[Layer]:
    """Of all layers but the last, which is never pruned."""
    return [module.layer for module in net if isinstance(module, SparseLinear)][:-1]


def _look(method: str, depth: int, width: int, degree: int, seed: int) -> Iterator[dict | None]:
    """What one method leaves; the last that is yielded."""
    sao = _net("SAO", depth, width, degree, seed)
    yield None
    layers = _wires(sao)
    n_edges, n_entries = (sum(counts) for counts in zip(*((w.n_edges, w.n_in * w.n_out) for w in layers), strict=True))
    if method == "SAO":
        net = sao
    else:
        dense = _net("Dense", depth, width, 1, seed)
        yield None
        net = _masked(dense, layers) if method == "RG" else prune(dense, n_edges / n_entries, method, seed=seed)
        yield None
        layers = _wires(net)
    entry = {
        "n_edges": np.array([layer.n_edges for layer in layers]),
        "wires": np.array([layer.n_edges / layer.n_out for layer in layers]),
        "dead": _dead(layers),
        "density": n_edges / n_entries,
    }
    yield None
    entry["reach"] = reach_fractions(Topology(layers)).numpy()
    yield None
    factors = jacobian_factors(net.dense()[:-1], input_point(4 * width, seed))
    for entry["log10"] in _log10_singular_values(factors):
        yield None
    yield entry


def _masked(dense: torch.nn.Module, layers: list[Layer]) -> SparseSequential:
    """RG: SAO's wires under the weights of the dense network, which are no longer orthogonal."""
    masked = dict(zip((module for module in dense if hasattr(module, "weight")), layers, strict=False))
    modules = (
        SparseLinear(masked[module], weights=module.weight.detach() * masked[module].mask())
        if module in masked
        else module
        for module in dense
    )
    return SparseSequential(*modules)


def _dead(layers: list[Layer]) -> np.ndarray:
    """The share of units, layer by layer from the inputs on, without a wire in or, before the last, out."""
    alive = [np.ones(layer.n_in, dtype=bool) for layer in layers] + [np.ones(layers[-1].n_out, dtype=bool)]
    for place, layer in enumerate(layers):
        alive[place] &= np.asarray(layer.out_degrees()) > 0
        alive[place + 1] &= np.asarray(layer.in_degrees()) > 0
    return np.array([1 - here.mean() for here in alive])


def _log10_singular_values(factors: list[torch.Tensor]) -> Iterator[np.ndarray | None]:
    """Of their product, descending, the last that is yielded; at the floor what has no digit left, or is 0."""
    product, log = torch.eye(factors[0].shape[-1], dtype=torch.float64), 0.0
    for factor in factors:
        product = factor[:, None] * product if factor.ndim == 1 else factor @ product
        largest = float(product.abs().max()) or 1.0
        product, log = product / largest, log + np.log10(largest)
        yield None
    values = torch.linalg.svdvals(product).numpy()
    values[values <= _RESOLVED * values[0]] = 0
    with np.errstate(divide="ignore"):
        yield np.maximum(np.log10(values) + log, _FLOOR)


def _panels(frame: dict | None) -> list[CurvePanel]:
    methods = {} if frame is None else frame["methods"]
    is_wires = frame is None or frame["view"] == _WIRES
    names = ("wires", "dead") if is_wires else ("reach", "log10")
    panels = [[], []]
    for method, (family, marker, label) in _METHODS.items():
        entry = methods.get(method, dict.fromkeys(names, np.empty(0)))
        for curves, name in zip(panels, names, strict=True):
            first = 0 if name == "dead" else 1  # inputs are units too
            x = np.arange(first, first + len(entry[name]))
            curves.append(Curve(label, x, entry[name], family, marker=marker))
    if is_wires:
        labels = [("layer of wires", "wires into a unit"), ("layer of units, 0 the inputs", "share of dead units")]
    else:
        labels = [("layers", "pairs joined, share"), ("singular value, from the largest", "log₁₀ s of the Jacobian")]
    return [CurvePanel(curves, *words) for curves, words in zip(panels, labels, strict=True)]


def _note(frame: dict) -> str:
    entry = frame["methods"]["SAO"]
    budget = f"{entry['n_edges'].sum():,} wires, density {entry['density']:.3g}; the last layer stays whole"
    return f"{budget}; log₁₀ s below {_FLOOR:g} stand there" if frame["view"] == _SIGNALS else budget


def _title(frame: dict) -> str:
    methods, begun = frame["methods"], f"N = {frame['depth']}, d = {frame['degree']}"
    if frame["view"] == _WIRES:
        told = [
            f"{name} {entry['n_edges'][0]:,} / {100 * entry['dead'].max():.0f} %".replace(" ", _TOGETHER)
            for name, entry in methods.items()
            if name in ("SAO", "GMP", "LMP")
        ]
        return f"{begun}, wires left in layer 1 / units dead in the worst one: {', '.join(told)}"
    n = len(methods["SAO"]["log10"])
    alive = {name: int((entry["log10"] > np.log10(_ALIVE)).sum()) for name, entry in methods.items()}
    told = ", ".join(f"{name}{_TOGETHER}{count}" for name, count in alive.items())
    return f"{begun}: singular values above {_ALIVE:g}, of {n}: {told}"
