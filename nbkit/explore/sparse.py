"""Explorer of notebook 09: QR takes axes away and sparsity with them; where that pays."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from nbkit.compress import qr_compress
from nbkit.explore.compress import bias_first, typed_widths
from nbkit.explore.controls import LogSlider, Slider, Text
from nbkit.explore.explorer import Explorer
from nbkit.figures import Curve, sparsity_figure, sparsity_layout, sparsity_traces
from nbkit.nets import RadialNet
from nbkit.topology import Topology, random_pruned

__all__ = ["SparsityExplorer"]

_DENSITIES = tuple(float(density) for density in np.logspace(-2, 0, 13))
_MOST_PARAMETERS = 50_000
_ROUNDING = 1e-12  # of a matrix's largest weight: below it a weight is 0


class SparsityExplorer(Explorer):
    """A radial network on random sparse wires, and what QR leaves of its zeros: few weights become many, or fewer."""

    groups = {
        "network": [
            Text("widths", "widths n", "16, 64, 64, 4"),
            Slider("seed", "seed", 0, 9, value=0),
        ],
        "wires": [LogSlider("density", "density", 0.01, 1.0, value=0.1)],
    }
    presets = {
        "sparser than QR": {"widths": "16, 64, 64, 4", "density": 0.02},
        "break-even": {"widths": "16, 64, 64, 4", "density": 0.0733},
        "dense": {"widths": "16, 64, 64, 4", "density": 1.0},
        "nothing to gain": {"widths": "64, 64, 64, 64", "density": 0.1},
    }

    def build(self) -> None:
        figure = sparsity_figure(_curves(None))
        self.height = figure.layout.height
        self.figure = self.figure_widget(figure)

    def stream(self, *, widths: str, seed: int, density: float) -> Iterator[dict | None]:
        """The network at this density; then how many weights are left at thirteen others."""
        sizes = typed_widths("SparsityExplorer", widths, most_parameters=_MOST_PARAMETERS)
        before, after = _matrices(sizes, seed, density)
        counts: dict[float, tuple[int, int]] = {density: _counted(before, after)}
        frame = {
            "density": density,
            "before": before,
            "after": after,
            "n_weights": tuple(sum(matrix[:, 1:].size for matrix in part) for part in (before, after)),
        }
        yield frame | _summary(counts, density)
        for other in _DENSITIES:
            counts[other] = _counts(sizes, seed, other)
            yield None
        yield frame | _summary(counts, density)

    def draw(self, frame: dict) -> None:
        curves = _curves(frame)
        self.grow("xaxis", 0.9 * frame["densities"][0], 1.15 * frame["densities"][-1])
        counts = np.concatenate([frame["counts"].ravel(), frame["n_weights"]])
        shown = self.grow("yaxis", max(1, counts.min()) / 1.6, 1.6 * counts.max())
        self.figure.redraw(sparsity_traces(curves, frame["before"], frame["after"], y_range=shown))
        layout = sparsity_layout(frame["before"], frame["after"])
        for key in ("images", "shapes"):  # an update would keep those that are one too many
            self.figure.layout[key] = layout.pop(key)
        self.figure.update_layout(**layout)
        self.figure.retitle(_title(frame))


@lru_cache(maxsize=20)
def _matrices(widths: tuple[int, ...], seed: int, density: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """[b W] of every layer of a network on random wires, at least one a layer, and of the compressed network."""
    layers = []
    for number, (n_in, n_out) in enumerate(zip(widths, widths[1:])):  # masks of one seed are nested in the density
        kept = max(density, 1 / (n_in * n_out))
        layers += random_pruned([np.zeros((n_out, n_in))], kept, seed=len(widths) * seed + number)
    net = RadialNet(None, topology=Topology(layers), seed=seed).double()
    return tuple([matrix.numpy() for matrix in bias_first(one)] for one in (net, qr_compress(net).net))


@lru_cache(maxsize=400)
def _counts(widths: tuple[int, ...], seed: int, density: float) -> tuple[int, int]:
    return _counted(*_matrices(widths, seed, density))


def _counted(*networks: list[np.ndarray]) -> tuple[int, ...]:
    """Weights that are not 0, rounding apart, of each network; biases are not counted."""
    return tuple(
        sum(int((np.abs(matrix[:, 1:]) > _ROUNDING * np.abs(matrix).max()).sum()) for matrix in network)
        for network in networks
    )


def _summary(counts: dict[float, tuple[int, int]], density: float) -> dict:
    """Counts (n, 2) before and after by ascending density, and the density from which on QR leaves fewer, or NaN."""
    densities = np.array(sorted(counts))
    table = np.array([counts[each] for each in densities])
    gain = np.log(table[:, 0] / table[:, 1])
    crossed = np.flatnonzero((gain[:-1] < 0) & (gain[1:] >= 0))
    even = np.nan
    if crossed.size:
        ends = slice(crossed[-1], crossed[-1] + 2)
        even = float(np.exp(np.interp(0.0, gain[ends], np.log(densities[ends]))))
    return {"densities": densities, "counts": table, "now": counts[density], "even": even}


def _curves(frame: dict | None) -> list[Curve]:
    if frame is None:
        return [Curve("sparse", [], [], "radial"), Curve("○ after QR", [], [], "radial", marker="circle-open"),
                Curve("now", [], [], "dense", marker="diamond"), Curve("all entries", [], [], "dense", kind="theory")]  # fmt: skip
    x, counts = frame["densities"], np.maximum(frame["counts"], 1)
    ends = np.array([x[0], x[-1]])
    return [
        Curve("sparse", x, counts[:, 0], "radial"),
        Curve("○ after QR", x, counts[:, 1], "radial", marker="circle-open"),
        Curve("now", [frame["density"]] * 2, np.maximum(frame["now"], 1), "dense", marker="diamond"),
        Curve("all entries", ends, np.full(2, frame["n_weights"][1]), "dense", kind="theory"),
    ]


def _title(frame: dict) -> str:
    before, after = frame["now"]
    told = f"At density {frame['density']:.2g} QR turns {before:,} weights into {after:,} of {frame['n_weights'][1]:,}"
    if frame["n_weights"][0] == frame["n_weights"][1]:
        return f"{told}: no layer shrinks, and the zeros are gone"
    if np.isnan(frame["even"]):
        return told
    return f"{told}: it pays above {frame['even']:.2g}"
