"""The explorers of notebook 02: reach of several families at one density, one neuron's cone, the spectrum of a layer."""

import math
from collections.abc import Iterator

import numpy as np

from nbkit.explore.canvas import MatrixCanvas
from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.families import (
    BY_CHANCE,
    DEEPEST,
    FAMILIES,
    SINGLES,
    cascade,
    cascade_layer,
    fractions,
    reach_matrix,
    refusal,
    single_layer,
)
from nbkit.figures import (
    FAMILY_COLOURS,
    Curve,
    ReachPanel,
    curve_traces,
    reach_figure,
    reach_layout,
    spectrum_figure,
    spectrum_traces,
    wiring_axes,
    wiring_figure,
    wiring_traces,
)
from nbkit.measure import adjacency_spectrum, cone, mean_field_reach, spectral_gap

__all__ = ["ConeExplorer", "GapExplorer", "ReachExplorer"]

_MARKERS = {"RadiX": "circle", "SAO random": "square", "SAO aligned": "triangle-up", "X-Net Cayley": "diamond"}
_SHOWN = {
    "all seven": tuple(FAMILIES),
    "SAO placements": ("SAO shift", "SAO random", "SAO aligned"),
    "without chance": ("RadiX", "SAO shift", "SAO aligned", "X-Net Cayley"),
    "regular or pruned": ("SAO random", "SAO shift", "X-Net random", "pruned"),
}
_SIZES, _DEGREES = (16, 64, 81, 100, 128, 256), (2, 3, 4, 5, 8, 9, 10, 16)
_DONE: set[tuple[int, int, str]] = set()  # settings whose layers are drawn and whose curves are known


class ReachExplorer(Explorer):
    """Reachability matrices of several families at one density fill up as depth is dragged."""

    groups = {
        "wires": [
            Slider("n", "nodes n", values=_SIZES, value=256),
            Slider("degree", "degree d", values=_DEGREES, value=4),
            Choice("show", "families", tuple(_SHOWN)),
        ],
        "measure": [Slider("depth", "depth L", 1, DEEPEST, value=3, play=True)],
    }
    presets = {
        "Fig. 8": {"n": 256, "degree": 4, "depth": 5, "show": "regular or pruned"},
        "d = 2": {"n": 256, "degree": 2, "depth": 5, "show": "all seven"},
        "aligned never mixes": {"n": 256, "degree": 4, "depth": 16, "show": "SAO placements"},
        "break it": {"n": 256, "degree": 3, "depth": 5, "show": "all seven"},
    }
    height = 620

    def build(self) -> None:
        panels = [ReachPanel(name, family) for name, family in FAMILIES.items()]
        figure = reach_figure(panels, _curves({"fractions": {}}), depth=1, height=self.height)
        self.figure = self.figure_widget(figure.update_xaxes(range=[0.5, DEEPEST + 0.2], selector={"anchor": "y"}))
        self._layout: dict[str, object] = {}
        self._drawn: tuple | None = None

    def stream(self, *, n: int, degree: int, depth: int, show: str) -> Iterator[dict | None]:
        """All matrices and curves; settings that are new first show the matrices of the families without chance."""
        missing = {name: reason for name in _SHOWN[show] if (reason := refusal(name, n, degree))}
        names = [name for name in _SHOWN[show] if name not in missing]
        frame = {"n": n, "degree": degree, "depth": depth, "shown": _SHOWN[show], "missing": missing}
        frame["mean_field"] = mean_field_reach(n, degree, DEEPEST).numpy()
        if missing:
            frame["note"] = f"left out at n = {n}, d = {degree}: {', '.join(missing)}"
        steady, by_chance = ([name for name in names if (name in BY_CHANCE) is drawn] for drawn in (False, True))
        reach = {}
        for name in steady:
            reach[name] = reach_matrix(name, n, degree, depth)
            yield None
        if (n, degree, show) not in _DONE:
            yield frame | {"reach": dict(reach), "fractions": {}}
        for name in by_chance:
            for position in range(DEEPEST):  # ranking all weights that will be pruned takes a step each
                cascade_layer(name, n, degree, position)
                yield None
            reach[name] = reach_matrix(name, n, degree, depth)
            yield None
        for name in names:
            fractions(name, n, degree)
            yield None
        _DONE.add((n, degree, show))
        yield frame | {"reach": reach, "fractions": {name: fractions(name, n, degree) for name in names}}

    def draw(self, frame: dict) -> None:
        drawn = frame["n"], frame["degree"], tuple(frame["fractions"])
        if drawn != self._drawn:  # the curves do not depend on the depth, and would take most of the time
            self._drawn = drawn
            self.figure.redraw(curve_traces(_curves(frame)))
        panels = [
            ReachPanel(name, family, frame["reach"].get(name), frame["missing"].get(name, ""), name in frame["shown"])
            for name, family in FAMILIES.items()
        ]
        layout = reach_layout(panels, depth=frame["depth"])
        for key in [key for key in layout if layout[key] != self._layout.get(key)]:
            self.figure.layout[key] = layout[key]
        self._layout = layout
        self.figure.retitle(_reach_title(frame))


def _curves(frame: dict) -> list[Curve]:
    """One curve a family and the mean field; a family that is hidden, refused or not ready is an empty curve."""
    depths = np.arange(1, DEEPEST + 1)
    curves = []
    for name, family in FAMILIES.items():
        y = frame["fractions"].get(name, np.empty(0))
        curves.append(Curve(name, depths[: len(y)], y, family, marker=_MARKERS.get(name)))
    theory = frame["mean_field"] if "SAO random" in frame["fractions"] else np.empty(0)
    return [*curves, Curve("mean field", depths[: len(theory)], theory, "dense", kind="theory")]


def _reach_title(frame: dict) -> str:
    n, degree, depth = frame["n"], frame["degree"], frame["depth"]
    full = [name for name, matrix in frame["reach"].items() if matrix.all()]
    where = f"{depth} layer{'s' * (depth > 1)} of degree {degree}, density {degree / n:.3g}"
    if full:
        told = ", ".join(full) if len(full) <= 3 else f"{len(full)} of {len(frame['shown'])} families"
        return f"After {where}: everyone hears everyone in {told}"
    if not frame["fractions"]:  # the families by chance are still to come
        return f"After {where}"
    most = f" d^L = {degree**depth} < {n}: no regular family can." if degree**depth < n else ""
    return f"After {where}: no family joins all pairs.{most}"


_CONES = ("RadiX", "SAO shift", "SAO random", "SAO aligned", "X-Net Cayley")


class ConeExplorer(Explorer):
    """One neuron's cone through a cascade, layer by layer, and the row of the reachability matrix that it is."""

    groups = {
        "wires": [
            Choice("family", "family", _CONES, value="SAO shift"),
            Slider("n", "nodes n", values=(4, 8, 9, 16, 27, 32, 64), value=16),
            Slider("degree", "degree d", values=(2, 3, 4), value=2),
        ],
        "cone": [
            Slider("neuron", "neuron u", 0, 63, value=3),
            Slider("depth", "depth L", 1, 8, value=3, play=True),
        ],
    }
    presets = {
        "Fig. 3": {"family": "SAO shift", "n": 4, "degree": 2, "neuron": 0, "depth": 2},
        "one component": {"family": "SAO aligned", "n": 16, "degree": 2, "neuron": 3, "depth": 8},
        "by chance": {"family": "SAO random", "n": 64, "degree": 4, "neuron": 0, "depth": 4},
    }
    height = 440

    def build(self) -> None:
        layer = cascade_layer("SAO shift", 16, 2, 0)
        self.figure = self.figure_widget(
            wiring_figure((16, 16), [layer.edge_index()], family="sao", height=self.height)
        )
        self._sizes: tuple[int, ...] | None = None
        for trace in self.figure.data[3:5]:
            trace.on_click(lambda trace, points, _: self._clicked(trace, points))
        self.canvases["reach"] = MatrixCanvas(row_label="input u", column_label="node v", width=320, height=320)

    def stream(self, *, family: str, n: int, degree: int, neuron: int, depth: int) -> Iterator[dict]:
        """One frame: wires, the neuron's cone, the reachability matrix."""
        topology = cascade(family, n, degree, depth)
        nodes = [np.asarray(part) for part in cone(topology, neuron)]
        yield {
            "family": family,
            "sizes": topology.sizes,
            "edges": [layer.edge_index().numpy() for layer in topology],
            "cone": nodes,
            "cone_sizes": np.array([len(part) for part in nodes]),
            "neuron": neuron,
            "reach": reach_matrix(family, n, degree, depth),
        }

    def draw(self, frame: dict) -> None:
        traces = wiring_traces(frame["sizes"], frame["edges"], lit_nodes=frame["cone"])
        self.figure.redraw(traces)
        colour = FAMILY_COLOURS[FAMILIES[frame["family"]]]
        self.figure.data[2].line.color = self.figure.data[4].marker.color = colour
        if frame["sizes"] != self._sizes:  # axes that stay keep the reader's zoom
            self._sizes = frame["sizes"]
            self.figure.update_layout(**wiring_axes(frame["sizes"]))
        sizes = ", ".join(map(str, frame["cone_sizes"][1:]))
        self.figure.retitle(f"{frame['family']}: input {frame['neuron']} is heard by {sizes} nodes")
        canvas = self.canvases["reach"]
        canvas.lit_row = frame["neuron"]
        canvas.show(
            frame["reach"], title=f"row {frame['neuron']} is the cone's end; joined: {frame['reach'].mean():.3g}"
        )

    def admissible(self, settings: dict) -> dict:
        degrees = [d for d in (2, 3, 4) if not refusal(settings["family"], settings["n"], d)]
        return {"degree": degrees, "neuron": range(settings["n"])}

    def _clicked(self, trace: object, points: object) -> None:
        if points.point_inds:
            self.set(neuron=int(trace.customdata[points.point_inds[0]][1]))


class GapExplorer(Explorer):
    """The eigenvalues of one layer beside the Ramanujan bound, and what may be said of them."""

    groups = {
        "wires": [
            Choice("family", "layer", tuple(SINGLES)),
            Slider("n", "nodes n", values=_SIZES, value=256),
            Slider("degree", "degree d", values=_DEGREES, value=4),
        ]
    }
    presets = {
        "Fig. 7": {"family": "SAO", "n": 256, "degree": 4},
        "an expander": {"family": "random regular", "n": 256, "degree": 4},
        "a CNN": {"family": "3 × 3 convolution", "n": 256, "degree": 9},
    }

    def build(self) -> None:
        self.figure = self.figure_widget(
            spectrum_figure({"eigenvalues": [0.0]}, bounds={"bound": 1.0}, value_label="eigenvalue λ")
        )

    def stream(self, *, family: str, n: int, degree: int) -> Iterator[dict]:
        """One frame: the adjacency spectrum and its gap."""
        layer = single_layer(family, n, degree)
        gap = spectral_gap(layer)
        yield {
            "family": family,
            "values": adjacency_spectrum(layer).numpy(),
            "first": gap.first,
            "second": gap.second,
            "bound": gap.bound,
            "n_components": gap.n_components,
            "statement": gap.statement,
        }

    def draw(self, frame: dict) -> None:
        family = SINGLES[frame["family"]]
        bounds = {f"√(c−1) + √(d−1) = {frame['bound']:.4g}": frame["bound"]}
        spectra, families = {"eigenvalues": frame["values"]}, {"eigenvalues": family}
        traces = spectrum_traces(spectra, families=families, bounds=bounds)
        self.figure.redraw(traces)
        self.figure.data[0].line.color = FAMILY_COLOURS[family]
        self.figure.retitle(f"{frame['family']}: {frame['statement']}")

    def admissible(self, settings: dict) -> dict:
        family, n = settings["family"], settings["n"]
        if family.startswith("3"):
            return {"n": [size for size in _SIZES if math.isqrt(size) ** 2 == size], "degree": [9]}
        if family == "random regular":
            return {"degree": [degree for degree in _DEGREES if 4 * degree <= n]}
        return {"degree": [d for d in _DEGREES if n % d == 0 or not family.startswith(("SAO", "RadiX"))]}
