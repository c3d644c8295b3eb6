"""The explorer of notebook 11: two networks of any wires, weights and activation side by side under any measure."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nbkit.explore.controls import Choice, LogSlider, Slider
from nbkit.explore.explorer import Explorer
from nbkit.figures import (
    LabAxes,
    LabSide,
    lab_figure,
    lab_layout,
    lab_ranges,
    lab_ticks,
    lab_title,
    lab_top,
    lab_traces,
)
from nbkit.questions import (
    ACTIVATIONS,
    MEASURES,
    QUESTIONS,
    WEIGHTS,
    WIRES,
    Configuration,
    Measured,
    Question,
    admissible,
    stream_measure,
)

__all__ = ["LabExplorer"]

FREE = "none: any A, any B"
_OWN = ("wires", "weights", "activation")  # settings of each side
_SHARED = ("width", "degree", "depth", "gain", "seed")
_PARTS = ("x", "y", "low", "high", "theory", "matrix")
_FUNNELS = ("compression", "budget")  # measures of a network with fewer nodes at its ends
_ABOUT = ("measure", *(f"{name}_{side}" for side in "ab" for name in _OWN))  # what a question is about
_ASKED = {f"{question.number} · {question.title}": question for question in QUESTIONS}
_FAMILIES = {"RadiX": "radix", "SAO": "sao", "X-Net": "xnet", "pruned": "pruned", "weight decay": "decay"}
_STEP_S = 0.02  # streams of networks take thousands of steps, each far shorter
_KNOWN: dict[tuple[Configuration, str], Measured] = {}
_MOST_KNOWN = 200
_PAIR = "input u ↓, output v →"
_AXES = {
    "reach": LabAxes("depth L", "share of pairs joined", picture=f"{_PAIR}: ink where u reaches v"),
    "paths": LabAxes("share of pairs", "paths / their mean", picture=f"{_PAIR}: log₁₀(1 + paths)"),
    "wires' spectrum": LabAxes("index", "singular value / largest"),
    "weights' spectrum": LabAxes("index", "singular value s of the weights"),
    "Jacobian": LabAxes("index", "log₁₀ s of the Jacobian"),
    "growth": LabAxes("depth d", "arc length ℓ / the input's", log_y=True),
    "compression": LabAxes("density", "parameters after QR / before", log_x=True),
    "budget": LabAxes("layer", "parameters", log_y=True),
}
# what is told of two networks that no question has chosen: a number, and what it is
_TOLD = {
    "reach": ("fraction", "share of pairs joined"),
    "paths": ("spread", "spread of the path counts over their mean"),
    "wires' spectrum": ("share", "second singular value over the first"),
    "weights' spectrum": ("deviation", "farthest of a layer's singular values from σ_w"),
    "Jacobian": ("mean", "mean of log₁₀ s of the Jacobian"),
    "growth": ("factor", "a line's length is multiplied in each layer by"),
    "compression": ("ratio", "parameters after QR over those before"),
    "budget": ("parameters", "parameters"),
}


def _preset(question: Question) -> dict[str, Any]:
    """The settings that ask a question."""
    own = {f"{name}_{side}": getattr(getattr(question, side), name) for side in "ab" for name in _OWN}
    return {"measure": question.measure} | own | {name: getattr(question.a, name) for name in _SHARED}


_FIRST = _preset(QUESTIONS[0])


def _choice(name: str, label: str, choices: tuple[str, ...]) -> Choice:
    return Choice(name, label, choices, _FIRST[name])


class LabExplorer(Explorer):
    """Two networks side by side, at one density, under one measure; a question sets all of it and is answered below it."""

    groups = {
        "question": [Choice("question", "", (*_ASKED, FREE)), _choice("measure", "measure", MEASURES)],
        "A": [_choice("wires_a", "wires A", WIRES), _choice("weights_a", "weights A", WEIGHTS)],
        "B": [_choice("wires_b", "wires B", WIRES), _choice("weights_b", "weights B", WEIGHTS)],
        "both": [
            Slider("depth", "depth L", values=tuple(range(1, 33)), value=_FIRST["depth"]),
            Slider("degree", "degree d", values=tuple(range(2, 257)), value=_FIRST["degree"]),
            Slider("width", "width n", values=(16, 32, 64, 128, 256), value=_FIRST["width"]),
            LogSlider("gain", "scale σ_w", low=0.1, high=10.0, value=_FIRST["gain"]),
            Slider("seed", "seed", 0, 9, value=_FIRST["seed"]),
        ],
        "activations": [
            _choice("activation_a", "of A", ACTIVATIONS),
            _choice("activation_b", "of B", ACTIVATIONS),
        ],
    }
    presets = {str(question.number): {"question": name} | _preset(question) for name, question in _ASKED.items()}
    height = 600

    def set(self, **settings: Any) -> None:
        """As of every explorer; a question sets what it is about, and whoever changes that leaves the question."""
        if settings.get("question") in _ASKED:
            settings = _preset(_ASKED[settings["question"]]) | settings
        elif any(value != self.settings[name] for name, value in settings.items() if name in _ABOUT):
            settings = {"question": FREE} | settings
        super().set(**settings)

    def build(self) -> None:
        nobody = LabSide("", "dense"), LabSide("", "dense")
        self.figure = self.figure_widget(lab_figure(*nobody, _AXES["reach"], title=" ", height=self.height))
        self._layout: dict[str, Any] = {}
        self._scaled: tuple[str, dict[str, tuple]] = "", {}
        self._top = "", 0.0

    def stream(
        self, *, question: str, measure: str, wires_a: str, weights_a: str, activation_a: str, wires_b: str,
        weights_b: str, activation_b: str, width: int, degree: int, depth: int, gain: float, seed: int,
    ) -> Iterator[dict | None]:  # fmt: skip
        """Both sides in turn, so that both are seen soon and grow precise together; a frame whenever a step has passed."""
        settings, found, ends = locals(), {}, 0.0
        streams = {side: _measured(Configuration(**_of_side(settings, side)), measure) for side in "ab"}
        while streams:
            for side in list(streams):
                if (measured := next(streams[side], None)) is None:
                    del streams[side]
                    continue
                found[side] = measured
                if len(found) == 2 and time.perf_counter() > ends:
                    yield _frame(_ASKED.get(question), **found)
                    ends = time.perf_counter() + _STEP_S
        yield _frame(_ASKED.get(question), **found)

    def draw(self, frame: dict) -> None:
        sides, axes = [_side(frame[side]) for side in "ab"], _AXES[frame["measure"]]
        layout = lab_layout(*sides, axes)
        for key in [key for key in layout if layout[key] != self._layout.get(key)]:
            if "axis" in key:
                self.figure.layout[key].update(layout[key])
            else:  # an update would keep images and annotations that are one too many
                self.figure.layout[key] = layout[key]
        self._layout = layout
        self._scale(sides, axes, frame["measure"])
        self.figure.redraw(lab_traces(*sides, axes))
        self._entitle(frame["asked"], frame["answer"])

    def reset(self) -> None:
        self._scaled = "", {}
        super().reset()

    def admissible(self, settings: dict) -> dict:
        allowed = {side: admissible(**_of_side(settings, side)) for side in "ab"}
        own = {f"{name}_{side}": allowed[side][name] for side in "ab" for name in _OWN}
        sizes = ("width", "degree", "depth")
        return own | {name: [size for size in allowed["a"][name] if size in allowed["b"][name]] for name in sizes}

    def _entitle(self, asked: str, answer: str) -> None:
        """Write the question and its answer, which has its room for as long as the question stays."""
        title = lab_title(asked, answer, height=self.height)
        self._top = asked, lab_top(title["text"], self._top[1] if self._top[0] == asked else 0.0)
        self.figure.layout.title.update(title)
        self.figure.layout.margin.t = self._top[1]

    def _scale(self, sides: list[LabSide], axes: LabAxes, measure: str) -> None:
        """Widen the axes while the measure stays. (`grow` asks their types, which change in the same update.)"""
        known, empty = lab_ranges(*sides, axes), {}
        if self._scaled[0] != measure:
            self._scaled, empty = (measure, {}), {"x": (0, 1), "y": (0, 1)}
        shown = self._scaled[1]
        for axis, ends in (empty | known).items():
            before = shown.get(axis, ends)
            ends = min(before[0], ends[0]), max(before[1], ends[1])
            if ends != shown.get(axis):
                shown |= {axis: ends} if axis in known else {}
                ticks = lab_ticks(ends, log=getattr(axes, f"log_{axis}"))
                for name in (f"{axis}axis", f"{axis}axis2"):
                    self.figure.layout[name].update(ticks)


def _measured(configuration: Configuration, measure: str) -> Iterator[Measured]:
    """The stream of a measure, or only its end where that is known: who comes back to a question sees it at once."""
    key = configuration, measure
    if key not in _KNOWN:
        for measured in stream_measure(*key):
            yield measured
        _KNOWN[key] = measured
    if len(_KNOWN) > _MOST_KNOWN:
        del _KNOWN[next(iter(_KNOWN))]
    yield _KNOWN[key]


def _of_side(settings: Mapping[str, Any], side: str) -> dict[str, Any]:
    """The settings of one side's configuration."""
    return {name: settings[f"{name}_{side}"] for name in _OWN} | {name: settings[name] for name in _SHARED}


def _frame(asked: Question | None, a: Measured, b: Measured) -> dict:
    words = (asked.answer if asked else _compared)(a, b) if a.numbers and b.numbers else "The answer follows."
    done, total = (sum(measured.progress[place] for measured in (a, b)) for place in (0, 1))
    note = "both drawn as funnels, n / 4 inputs and n / 16 outputs" if a.measure in _FUNNELS else ""
    return {
        "measure": a.measure,
        "asked": f"{asked.number} · {asked.title}" if asked else f"A and B under one measure: {a.measure}",
        "answer": words[0].upper() + words[1:] if words[0].isascii() else words,
        "a": _told(a),
        "b": _told(b),
        "progress": (done, total, (b if a.is_whole else a).progress[2]),
        "note": "dashed: theory · faint: the other side" + f" · {note}" * bool(note),
    }


def _told(measured: Measured) -> dict:
    """What the picture needs of one side; the density where all layers are made."""
    own, is_made = measured.configuration, np.isfinite(measured.y).any()
    return {
        "name": own.wires,
        "family": _family(own),
        "what": f"{own.weights} · {own.activation}",
        "density": own.density if is_made else None,
        **{part: getattr(measured, part) for part in (*_PARTS, "numbers")},
    }


def _family(configuration: Configuration) -> str:
    if configuration.activation == "radial":
        return "radial"
    return next((family for word, family in _FAMILIES.items() if configuration.wires.startswith(word)), "dense")


def _side(told: Mapping[str, Any]) -> LabSide:
    density = told["density"]
    exact = f"{density} = " if density and density != 1 and density.denominator <= 1000 else ""
    note = "" if density is None else f"<br>density {exact}{float(density):.3g}"
    return LabSide(told["name"], told["family"], told["what"] + note, **{part: told[part] for part in _PARTS})


def _compared(a: Measured, b: Measured) -> str:
    name, what = _TOLD[a.measure]
    one, other = (f"{m.numbers[name]:,.0f}" if m.numbers[name] > 1e3 else f"{m.numbers[name]:.3g}" for m in (a, b))
    return f"{what[0].upper()}{what[1:]}: A {one}, B {other}."
