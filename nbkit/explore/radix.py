"""The explorers of notebook 01: wiring, reach and paths of RadiX-Nets, and their density."""

import math
from collections.abc import Iterator

import numpy as np

from nbkit.device import choose_device
from nbkit.explore.canvas import MatrixCanvas
from nbkit.explore.controls import Choice, Slider, Text
from nbkit.explore.explorer import Explorer
from nbkit.explore.typed import MOST_LAYERS, typed_topology
from nbkit.figures import (
    Curve,
    curve_traces,
    curves_figure,
    spectrum_figure,
    spectrum_traces,
    wiring_axes,
    wiring_figure,
    wiring_traces,
)
from nbkit.measure import cone, path_count, path_counts, path_singular_values, reachability, singular_values
from nbkit.topology import radix_net

__all__ = ["DensityExplorer", "PathsExplorer", "WiringExplorer"]


class WiringExplorer(Explorer):
    """Type radices; the wiring redraws; click a neuron and its cone lights up, layer by layer."""

    groups = {
        "wires": [
            Text("radices", "radices N", value="2, 2, 2"),
            Text("widths", "widths D", value=""),
        ],
        "cone": [
            Slider("layer", "layer l", 0, MOST_LAYERS, value=0),
            Slider("neuron", "neuron u", 0, 199_999, value=0),
            Slider("depth", "depth lit", 0, MOST_LAYERS, value=3, play=True),
        ],
    }
    presets = {
        "Fig. 1": {"radices": "2, 2, 2", "widths": "", "layer": 0, "neuron": 0, "depth": 3},
        "Fig. 2": {"radices": "3, 3, 4", "widths": "", "layer": 0, "neuron": 5, "depth": 3},
        "Fig. 5": {"radices": "2, 2; 4", "widths": "1, 2, 3, 2", "layer": 0, "neuron": 0, "depth": 3},
        "Last system not full": {"radices": "2, 3; 3, 2; 3", "widths": "", "layer": 0, "neuron": 0, "depth": 5},
        "Thousands": {"radices": "16, 16, 16", "widths": "", "layer": 0, "neuron": 0, "depth": 2},
    }

    def build(self) -> None:
        frame = next(self.stream(radices="2, 2, 2", widths="", layer=0, neuron=0, depth=3))
        self.figure = self.figure_widget(wiring_figure(frame["sizes"], frame["edges"]), ghosts=False)
        self._sizes = frame["sizes"]
        for trace in self.figure.data[3:]:
            trace.on_click(self._clicked)

    def stream(self, *, radices: str, widths: str, layer: int, neuron: int, depth: int) -> Iterator[dict]:
        """One frame: the topology's sizes and edges, and the neuron's cone."""
        topology = typed_topology(radices, widths)
        reached = list(cone(topology, neuron, layer=layer))[: depth + 1]
        empty = [np.zeros(0, dtype=np.int64)] * layer
        yield {
            "sizes": topology.sizes,
            "edges": [wires.edge_index().numpy() for wires in topology],
            "lit": empty + [np.asarray(nodes) for nodes in reached],
            "cone_sizes": np.array([nodes.size for nodes in reached]),
            "neuron": neuron,
            "layer": layer,
            "is_output": layer == len(topology),
            "density": topology.density,
            "n_paths": path_count(topology, 0, 0),
        }

    def draw(self, frame: dict) -> None:
        if frame["sizes"] != self._sizes:  # axes that stay keep the reader's zoom
            self._sizes = frame["sizes"]
            self.figure.update_layout(**wiring_axes(frame["sizes"]))
        self.figure.redraw(wiring_traces(frame["sizes"], frame["edges"], lit_nodes=frame["lit"]))
        sizes = ", ".join(map(str, frame["cone_sizes"][1:]))
        told = "is an output" if frame["is_output"] else f"reaches {sizes or 'nobody: depth lit is 0'}"
        self.figure.retitle(
            f"Neuron {frame['neuron']} of layer {frame['layer']} {told}; density {frame['density']:.3g}, "
            f"{frame['n_paths']} path{'s' * (frame['n_paths'] != 1)} from input 0 to output 0"
        )

    def admissible(self, settings: dict) -> dict:
        topology = typed_topology(settings["radices"], settings["widths"])
        last = len(topology)
        layer = min(settings["layer"], last)
        return {
            "layer": range(last + 1),
            "neuron": range(topology.sizes[layer]),
            "depth": range(last - layer + 1),
        }

    def _clicked(self, trace: object, points: object, state: object) -> None:
        if points.point_inds:
            layer, neuron = trace.customdata[points.point_inds[0]]
            self.set(layer=int(layer), neuron=int(neuron))


_SECOND = {"none": 0, "N1": 1, "N1·N2": 2, "N1·N2·N3": 3}  # radices of the first system that the second repeats


_SPECTRA = {"last layer": "radix", "paths": "dense"}


class PathsExplorer(Explorer):
    """Drag radices; reachability, path counts and spectrum of the RadiX-Net move."""

    groups = {
        "first system": [
            Slider(f"radix_{i}", f"radix N{i}", 2, 8, value=value) for i, value in ((1, 2), (2, 3), (3, 2))
        ],
        "second system": [Choice("second", "product N″", tuple(_SECOND), value="none")],
        "widths": [Slider("width", "inner width D", 1, 4, value=1)],
        "look": [Slider("depth", "depth", 1, 6, value=2)],
    }
    presets = {
        "Lemma 1": {"radix_1": 3, "radix_2": 3, "radix_3": 4, "second": "none", "width": 1, "depth": 3},
        "Lemma 2": {"radix_1": 2, "radix_2": 3, "radix_3": 2, "second": "N1·N2·N3", "width": 1, "depth": 6},
        "Theorem 1 fails as printed": {
            "radix_1": 2,
            "radix_2": 2,
            "radix_3": 3,
            "second": "N1",
            "width": 1,
            "depth": 4,
        },
    }

    def build(self) -> None:
        self.figure = self.figure_widget(
            spectrum_figure(
                {"last layer": [1.0], "paths": [1.0]},
                families=_SPECTRA,
                value_label="singular value s / s₁",
                height=330,
            )
        )
        size = {"width": 300, "height": 300}
        self.canvases["reach"] = MatrixCanvas(
            title="who is reached", row_label="input u", column_label="node v", **size
        )
        self.canvases["paths"] = MatrixCanvas(title="paths", row_label="input u", column_label="node v", **size)

    def stream(
        self, *, radix_1: int, radix_2: int, radix_3: int, second: str, width: int, depth: int
    ) -> Iterator[dict]:
        """Reachability first; then path counts and the spectra of the last layer crossed and of the path counts."""
        first = (radix_1, radix_2, radix_3)
        systems = [first, first[: _SECOND[second]]] if _SECOND[second] else [first]
        n_layers = sum(map(len, systems))
        topology = radix_net(systems, [1] + [width] * (n_layers - 1) + [1])
        part = topology[: min(depth, n_layers)]
        reach = reachability(part, device=choose_device())
        frame = {"reach": reach.cpu().numpy(), "sizes": topology.sizes, "n_layers": n_layers, "depth": len(part)}
        yield frame
        yield frame | {
            "counts": path_counts(part),
            "layer_values": singular_values(part[-1]).numpy(),
            "path_values": path_singular_values(part).numpy(),
            "printed": math.prod(first) ** (len(systems) - 1) * width ** (n_layers - 1),
        }

    def draw(self, frame: dict) -> None:
        self.canvases["reach"].show(frame["reach"], title=f"reached: {frame['reach'].mean():.3g} of all pairs")
        if "counts" not in frame:
            return
        counts, most = frame["counts"], int(frame["counts"].max())
        scaled = most > 255  # what the canvas can hold
        shown = counts * 255 // most if scaled else counts
        self.canvases["paths"].show(
            shown.astype(np.uint8), title=f"paths, 255 stands for {most}" if scaled else "paths"
        )
        spectra = {"last layer": frame["layer_values"], "paths": frame["path_values"]}
        spectra = {name: values / values[0] for name, values in spectra.items()}
        least = int(counts.min())
        told = (
            f"Every pair has {least} path{'s' * (least != 1)}"
            if least == most
            else f"Pairs have {least} to {most} paths"
        )
        printed = f"; Theorem 1 prints {frame['printed']}" if frame["depth"] == frame["n_layers"] else ""
        self.figure.redraw(spectrum_traces(spectra, families=_SPECTRA))
        self.figure.retitle(f"{told} after {frame['depth']} of {frame['n_layers']} layers{printed}")

    def admissible(self, settings: dict) -> dict:
        return {"depth": range(1, 4 + _SECOND[settings["second"]])}


class DensityExplorer(Explorer):
    """Drag radices and widths; the exact density leaves the approximation μ/N′ where both are uneven."""

    groups = {
        "radices": [Slider("radix_1", "radix N1", 2, 16, value=2), Slider("radix_2", "radix N2", 2, 16, value=8)],
        "widths": [Slider(f"width_{i}", f"width D{i}", values=(1, 2, 5, 10, 20, 50, 100), value=1) for i in (0, 1, 2)],
    }
    presets = {
        "even widths": {"radix_1": 2, "radix_2": 8, "width_0": 1, "width_1": 1, "width_2": 1},
        "wide in front": {"radix_1": 2, "radix_2": 8, "width_0": 100, "width_1": 1, "width_2": 1},
        "wide behind": {"radix_1": 2, "radix_2": 8, "width_0": 1, "width_1": 1, "width_2": 100},
        "equal radices": {"radix_1": 4, "radix_2": 4, "width_0": 100, "width_1": 1, "width_2": 1},
    }

    def build(self) -> None:
        settings = {"radix_1": 2, "radix_2": 8, "width_0": 1, "width_1": 1, "width_2": 1}
        self.figure = self.figure_widget(
            curves_figure(
                _density_curves(next(self.stream(**settings))),
                x_label="first width D0",
                y_label="density Δ",
                log_x=True,
            )
        )

    def stream(self, *, radix_1: int, radix_2: int, width_0: int, width_1: int, width_2: int) -> Iterator[dict]:
        """The exact density against D0, the approximation mu / N', and the bounds min N / N' and max N / N'."""
        radices, labels = (radix_1, radix_2), radix_1 * radix_2
        sweep = np.array([1, 2, 3, 5, 7, 10, 14, 20, 30, 50, 70, 100])
        nets = [radix_net([radices], [int(width), width_1, width_2]) for width in sweep]
        here = radix_net([radices], [width_0, width_1, width_2])
        yield {
            "sweep": sweep,
            "exact": np.array([net.density for net in nets]),
            "here": np.array([[width_0], [here.density]]),
            "approximate": np.full(len(sweep), sum(radices) / 2 / labels),
            "least": np.full(len(sweep), min(radices) / labels),
            "most": np.full(len(sweep), max(radices) / labels),
        }

    def draw(self, frame: dict) -> None:
        exact, approximate = frame["here"][1, 0], frame["approximate"][0]
        self.grow("yaxis", 0.0, 1.05 * float(frame["most"][0]))
        factor = max(exact, approximate) / min(exact, approximate)
        told = "the same" if factor < 1 + 1e-12 else f"off by a factor {factor:.3g}"
        self.figure.redraw(curve_traces(_density_curves(frame), log_x=True))
        self.figure.retitle(f"The exact density is {exact:.4g}, the approximation μ/N′ {approximate:.4g}: {told}")


def _density_curves(frame: dict) -> list[Curve]:
    sweep = frame["sweep"]
    return [
        Curve("exact Δ", sweep, frame["exact"]),
        Curve("here", *frame["here"], kind="paper"),
        Curve("μ/N′", sweep, frame["approximate"], "dense", kind="theory"),
        Curve("min N/N′", sweep, frame["least"], "decay", kind="theory"),
        Curve("max N/N′", sweep, frame["most"], "decay", kind="theory"),
    ]
