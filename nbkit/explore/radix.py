"""The explorers of notebook 01: wiring, reach and paths of RadiX-Nets, their density, a sum of sigmoids."""

import math
from collections.abc import Iterator

import numpy as np
import torch

from nbkit.errors import NbkitError
from nbkit.explore.canvas import MatrixCanvas
from nbkit.explore.controls import Choice, Slider, Text
from nbkit.explore.explorer import Explorer
from nbkit.figures import (
    Curve,
    curve_traces,
    curves_figure,
    fit_figure,
    fit_traces,
    spectrum_figure,
    spectrum_traces,
    wiring_axes,
    wiring_figure,
    wiring_traces,
    wrapped_title,
)
from nbkit.measure import cone, path_count, path_counts, reachability, singular_values
from nbkit.topology import Topology, dense_layer, evaluate_fnn, radix_net

__all__ = ["DensityExplorer", "PathsExplorer", "SigmoidsExplorer", "WiringExplorer"]

_MOST_WIRES = 400_000  # more would take over a tenth of a second to bin and to send

_TWO_LINES = "the title that is drawn later may need two lines, so that the picture keeps room for two of them"


def parse_integers(who: str, name: str, text: str) -> tuple[int, ...]:
    """The integers of a text such as `3, 3, 4`.

    Raises:
        NbkitError: an entry that is no integer.
    """
    entries = [entry.strip() for entry in text.replace("(", "").replace(")", "").split(",") if entry.strip()]
    for entry in entries:
        if not entry.lstrip("-").isdigit():
            raise NbkitError(f"{who}: {name} must be integers with commas between, got {entry!r}. Write it as 3, 3, 4.")
    return tuple(map(int, entries))


def parse_systems(who: str, text: str) -> list[tuple[int, ...]]:
    """The mixed-radix systems of a text such as `2, 3; 3, 2`: a semicolon between systems."""
    return [parse_integers(who, f"system {i}", part) for i, part in enumerate(text.split(";"), start=1)]


class WiringExplorer(Explorer):
    """Type radices; the wiring redraws; click a neuron and its cone lights up, layer by layer."""

    groups = {
        "wires": [
            Text("radices", "radices N", value="2, 2, 2"),
            Text("widths", "widths D", value=""),
        ],
        "cone": [
            Slider("layer", "layer l", 0, 12, value=0),
            Slider("neuron", "neuron u", 0, 4095, value=0),
            Slider("depth", "depth lit", 0, 12, value=3, play=True),
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
        self.figure = self.figure_widget(wiring_figure(frame["sizes"], frame["edges"], title=_TWO_LINES), ghosts=False)
        for trace in self.figure.data[3:]:
            trace.on_click(self._clicked)

    def stream(self, *, radices: str, widths: str, layer: int, neuron: int, depth: int) -> Iterator[dict]:
        """One frame: the topology's sizes and edges, and the neuron's cone."""
        topology = _typed_topology(radices, widths)
        layer, depth = min(layer, len(topology) - 1), min(depth, len(topology))
        neuron = min(neuron, topology.sizes[layer] - 1)
        reached = cone(topology, neuron, layer=layer)[: max(0, depth - layer) + 1]
        empty = [np.zeros(0, dtype=np.int64)] * layer
        yield {
            "sizes": topology.sizes,
            "edges": [wires.edge_index().numpy() for wires in topology],
            "lit": empty + [np.asarray(nodes) for nodes in reached],
            "cone_sizes": np.array([nodes.size for nodes in reached]),
            "neuron": neuron,
            "layer": layer,
            "density": topology.density,
            "n_paths": path_count(topology, 0, 0),
        }

    def draw(self, frame: dict) -> None:
        arrays = wiring_traces(frame["sizes"], frame["edges"], lit_nodes=frame["lit"])
        for trace, values in zip(self.figure.data, arrays):
            trace.update(values)
        self.figure.update_layout(**wiring_axes(frame["sizes"]))
        self.figure.layout.title.text = wrapped_title(
            f"Neuron {frame['neuron']} of layer {frame['layer']} reaches "
            f"{', '.join(map(str, frame['cone_sizes'][1:])) or 'nobody yet'}; density {frame['density']:.3g}, "
            f"{frame['n_paths']} path{'s' * (frame['n_paths'] != 1)} from input 0 to output 0"
        )

    def admissible(self, settings: dict) -> dict:
        topology = _typed_topology(settings["radices"], settings["widths"])
        last = len(topology)
        layer = min(settings["layer"], last - 1)
        return {"layer": range(last), "neuron": range(topology.sizes[layer]), "depth": range(last + 1)}

    def _clicked(self, trace: object, points: object, state: object) -> None:
        if points.point_inds:
            layer, neuron = trace.customdata[points.point_inds[0]]
            if layer < len(self.data["sizes"]) - 1:
                self.set(layer=int(layer), neuron=int(neuron))


def _typed_topology(radices: str, widths: str) -> Topology:
    topology = radix_net(parse_systems("radices", radices), parse_integers("widths", "widths", widths) or None)
    if topology.n_edges > _MOST_WIRES:
        raise NbkitError(
            f"radices: the wiring must have at most {_MOST_WIRES:,} wires to be drawn, got {topology.n_edges:,}. "
            "Use smaller radices, or `mixed_radix` in a cell: it has no such limit."
        )
    return topology


_SECOND = {"none": 0, "N1": 1, "N1·N2": 2, "N1·N2·N3": 3}  # radices of the first system that the second repeats


_SPECTRA = {"last layer": "radix", "paths": "dense"}


class PathsExplorer(Explorer):
    """Drag radices; reachability, path counts and spectrum of the RadiX-Net move."""

    groups = {
        "first system": [Slider(f"radix_{i}", f"radix N{i}", 2, 8, value=value) for i, value in ((1, 2), (2, 3), (3, 2))],
        "second system": [Choice("second", "product N″", tuple(_SECOND), value="none")],
        "widths": [Slider("width", "inner width D", 1, 4, value=1)],
        "look": [Slider("depth", "depth", 1, 6, value=2)],
    }
    presets = {
        "Lemma 1": {"radix_1": 3, "radix_2": 3, "radix_3": 4, "second": "none", "width": 1, "depth": 3},
        "Lemma 2": {"radix_1": 2, "radix_2": 3, "radix_3": 2, "second": "N1·N2·N3", "width": 1, "depth": 6},
        "Theorem 1 fails as printed": {"radix_1": 2, "radix_2": 2, "radix_3": 3, "second": "N1", "width": 1, "depth": 4},
    }

    def build(self) -> None:
        self.figure = self.figure_widget(
            spectrum_figure({"last layer": [1.0], "paths": [1.0]}, families=_SPECTRA, value_label="singular value s / s₁", title=_TWO_LINES, height=330)
        )
        size = {"width": 300, "height": 300}
        self.canvases["reach"] = MatrixCanvas(title="who is reached", row_label="input u", column_label="node v", **size)
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
        frame = {"reach": reachability(part).numpy(), "sizes": topology.sizes, "n_layers": n_layers, "depth": len(part)}
        yield frame
        counts = path_counts(part)
        yield frame | {
            "counts": counts,
            "layer_values": singular_values(part[-1]).numpy(),
            "path_values": singular_values(counts.astype(np.float64)).numpy(),
            "printed": math.prod(first) ** (len(systems) - 1) * width ** (n_layers - 1),
        }

    def draw(self, frame: dict) -> None:
        self.canvases["reach"].show(frame["reach"], title=f"reached: {frame['reach'].mean():.3g} of all pairs")
        if "counts" not in frame:
            return
        counts, most = frame["counts"], int(frame["counts"].max())
        scaled = most > 255  # what the canvas can hold
        shown = counts * 255 // most if scaled else counts
        self.canvases["paths"].show(shown.astype(np.uint8), title=f"paths, 255 stands for {most}" if scaled else "paths")
        spectra = {name: frame[key] / frame[key][0] for name, key in (("last layer", "layer_values"), ("paths", "path_values"))}
        for trace, values in zip(self.figure.data, spectrum_traces(spectra, families=_SPECTRA)):
            trace.update(values)
        least = int(counts.min())
        told = f"Every pair has {least} path{'s' * (least != 1)}" if least == most else f"Pairs have {least} to {most} paths"
        printed = f"; Theorem 1 prints {frame['printed']}" if frame["depth"] == frame["n_layers"] else ""
        self.figure.layout.title.text = wrapped_title(f"{told} after {frame['depth']} of {frame['n_layers']} layers{printed}")

    def admissible(self, settings: dict) -> dict:
        return {"depth": range(1, 4 + _SECOND[settings["second"]])}


class DensityExplorer(Explorer):
    """Drag radices and widths; the exact density (4) leaves the approximation (5) where they are uneven together."""

    groups = {
        "radices": [Slider("radix_1", "radix N1", 2, 16, value=2), Slider("radix_2", "radix N2", 2, 16, value=8)],
        "widths": [
            Slider(f"width_{i}", f"width D{i}", values=(1, 2, 5, 10, 20, 50, 100), value=1) for i in (0, 1, 2)
        ],
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
                title=_TWO_LINES,
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
        for trace, values in zip(self.figure.data, curve_traces(_density_curves(frame), log_x=True)):
            trace.update(values)
        exact, approximate = frame["here"][1, 0], frame["approximate"][0]
        self.grow("yaxis", 0.0, 1.05 * float(frame["most"][0]))
        self.figure.layout.title.text = wrapped_title(
            f"Exact density (4) is {exact:.4g}, equation (5) says {approximate:.4g}: "
            + ("the same" if abs(exact - approximate) < 1e-12 else f"off by a factor {max(exact, approximate) / min(exact, approximate):.3g}")
        )


def _density_curves(frame: dict) -> list[Curve]:
    sweep = frame["sweep"]
    return [
        Curve("exact (4)", sweep, frame["exact"]),
        Curve("here", *frame["here"], kind="paper"),
        Curve("μ/N′ (5)", sweep, frame["approximate"], "dense", kind="theory"),
        Curve("min N/N′", sweep, frame["least"], "decay", kind="theory"),
        Curve("max N/N′", sweep, frame["most"], "decay", kind="theory"),
    ]


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
        self.figure = self.figure_widget(fit_figure(*_fit_arrays(frame), title=_TWO_LINES))

    def stream(self, *, target: str, terms: int, steps: int, seed: int) -> Iterator[dict]:
        """Fits with 1, 2, 4, ... up to `terms` sigmoids in turn, a frame every 25 steps."""
        x = np.linspace(0.0, 1.0, 101)
        wanted = _TARGETS[target](x)
        counts = [2**power for power in range(terms.bit_length())]
        errors: dict[int, float] = {}
        for count in counts:
            for step, fit in _fit_sigmoids(x, wanted, count, steps, seed):
                errors[count] = float(np.abs(fit - wanted).max())
                yield {"x": x, "wanted": wanted, "fit": fit, "errors": dict(errors), "terms": count, "step": step}

    def draw(self, frame: dict) -> None:
        for trace, values in zip(self.figure.data, fit_traces(*_fit_arrays(frame))):
            trace.update(values)
        terms, error = frame["terms"], frame["errors"][frame["terms"]]
        self.grow("yaxis2", 0.8 * min(frame["errors"].values()), 1.0)
        sums = f"{terms} sigmoids come" if terms > 1 else "One sigmoid comes"
        self.figure.layout.title.text = wrapped_title(f"{sums} within {error:.2g} of f everywhere")


def _fit_arrays(frame: dict) -> tuple:
    errors = frame["errors"]
    return frame["x"], frame["wanted"], frame["fit"], np.array([*errors]), np.array([*errors.values()])


def _fit_sigmoids(x: np.ndarray, wanted: np.ndarray, count: int, steps: int, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """Adam on slopes y and thresholds theta of (7), the coefficients alpha solved exactly at every step."""
    generator = torch.Generator().manual_seed(seed)
    slopes = (12.0 * torch.randn(count, generator=generator, dtype=torch.float64)).requires_grad_()
    centres = torch.rand(count, generator=generator, dtype=torch.float64).requires_grad_()
    hidden, points, goal = Topology([dense_layer(1, count)]), torch.from_numpy(x)[:, None], torch.from_numpy(wanted)
    optimizer = torch.optim.Adam([{"params": [slopes], "lr": 0.5}, {"params": [centres], "lr": 0.02}])
    ridge = 1e-9 * torch.eye(count, dtype=torch.float64)  # nearly equal sigmoids would make the equations singular
    for step in range(steps + 1):
        terms = evaluate_fnn(hidden, points, [slopes], [-slopes * centres])
        fixed = terms.detach()
        alpha = torch.linalg.solve(fixed.T @ fixed + ridge, fixed.T @ goal)
        fit = terms @ alpha
        if step % 25 == 0:
            yield step, fit.detach().numpy()
        if step < steps:
            optimizer.zero_grad()
            ((fit - goal) ** 2).mean().backward()
            optimizer.step()
