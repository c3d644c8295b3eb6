"""Explorers of notebook 05: what sparsity does to the singular values of deep networks, and of one layer."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.isometry import (
    BIRTHS,
    GAINS,
    NONLINEAR,
    as_dense,
    grow_spectra,
    in_words,
    input_point,
    key_of,
    layer_weights,
    refusal,
    slopes_at,
    spectrum_at,
)
from nbkit.figures import Spectrum, spectra_axis, spectra_figure, spectra_range, spectra_traces
from nbkit.measure import ks_two_sample, singular_values

__all__ = ["LayerExplorer", "SpectrumExplorer"]

_DEGREES = (2, 3, 4, 8, 16, 32, 64)
_LARGE = -2  # log10 of the values that a title counts
_ONE_LAYER = ("dense", "SAO", "RG-N", "RG-U", "LMP", "LRP")
_FIRST = ("SAO", "RadiX-O", "RG-N", "RG-U", "RadiX-N", "dense", "LMP", "LRP")  # what takes longest to draw comes last


class SpectrumExplorer(Explorer):
    """Singular values of the end-to-end Jacobian, family by family at one density, as degree and depth are dragged."""

    groups = {
        "weights": [
            Slider("n", "width n", values=(64, 128, 256), value=256),
            Slider("degree", "degree d", values=_DEGREES, value=4),
            Choice("gain", "gain g", tuple(GAINS)),
        ],
        "network": [
            Choice("activation", "activation", tuple(NONLINEAR)),
            Slider("depth", "depth L", values=(1, 2, 3, 5, 10, 20, 50), value=10, play=True),
        ],
    }
    presets = {
        "one layer, d = 2": {"degree": 2, "depth": 1, "activation": "linear", "gain": "1"},
        "fifty layers": {"degree": 4, "depth": 50, "activation": "linear", "gain": "1"},
        "tanh": {"degree": 4, "depth": 20, "activation": "tanh", "gain": "1.1"},
        "ReLU, gain √2": {"degree": 4, "depth": 20, "activation": "ReLU", "gain": "√2"},
        "break it": {"degree": 3, "depth": 10, "activation": "linear", "gain": "1"},
    }
    height = 540

    def build(self) -> None:
        self.figure = self.figure_widget(spectra_figure(_deep_rows({}), log=True, height=self.height))
        self._axis: dict[str, object] = {}

    def stream(self, *, n: int, degree: int, gain: str, activation: str, depth: int) -> Iterator[dict | None]:
        """What a plain product can tell, the cheapest families first; then all values, of products in the log domain."""
        missing = {name: reason for name in BIRTHS if (reason := refusal(name, n, degree))}
        keys = {name: key_of(name, n, degree, activation, gain) for name in BIRTHS if name not in missing}
        frame = {"n": n, "degree": degree, "depth": depth, "activation": activation, "missing": missing}
        rough = [name for name in _FIRST if name in keys and spectrum_at(keys[name], depth) is None]
        if "SAO" in missing:  # what is known, and why the others are not there, before LMP and LRP, which take long
            yield _deep_frame(frame, keys)
        for name in rough:
            for _ in grow_spectra(keys[name], (depth,)):
                yield None
            if name in ("SAO", "RG-U", rough[-1]):
                yield _deep_frame(frame, keys)
        for key in keys.values():
            before = spectrum_at(key, depth)
            for _ in grow_spectra(key, (depth,), deep=True):
                yield None
            if before is not spectrum_at(key, depth):
                yield _deep_frame(frame, keys)
        yield _deep_frame(frame, keys)

    def draw(self, frame: dict) -> None:
        rows = _deep_rows(frame)
        shown = self.grow("xaxis", *spectra_range(rows, log=True))
        self.figure.redraw(spectra_traces(rows, log=True, x_range=shown))
        axis = spectra_axis(shown, log=True)
        if axis != self._axis:
            self._axis = axis
            self.figure.update_xaxes(axis)
        self.figure.retitle(_deep_title(frame))


def _deep_frame(frame: dict, keys: dict) -> dict:
    """With what is known of each family's values, and a note while some of them are not."""
    found = {name: logs for name, key in keys.items() if (logs := spectrum_at(key, frame["depth"])) is not None}
    spectra = {name: logs[~np.isnan(logs)] for name, logs in found.items()}
    is_whole = len(spectra) == len(keys) and all(len(spectra[name]) == len(found[name]) for name in found)
    note = "0: exactly; small: below 1e-20" if is_whole else "more and smaller values follow"
    return frame | {"spectra": spectra, "note": note}


def _deep_rows(frame: dict) -> list[Spectrum]:
    spectra, missing = frame.get("spectra", {}), frame.get("missing", {})
    return [
        Spectrum(name, spectra.get(name, ()), family, log10=True, note=missing.get(name, ""))
        for name, family in BIRTHS.items()
    ]


def _deep_title(frame: dict) -> str:
    depth, spectra, n = frame["depth"], frame["spectra"], frame["n"]
    where = f"{depth} layer{'s' * (depth > 1)} at density {100 * frame['degree'] / n:.2g} %: "
    sao = spectra.get("SAO", np.array([np.nan]))
    if np.ptp(sao) < 1e-6:
        like = ", as dense does" if np.ptp(spectra.get("dense", sao)) < 1e-6 else ""
        top = spectra["LMP"].max() if "LMP" in spectra else -np.inf
        return f"{where}SAO keeps all {n} values at {in_words(sao[0])}{like}" + (
            f"; the largest of LMP is {in_words(top)}" if np.isfinite(top) else ""
        )
    counts = {name: (spectra[name] > _LARGE).sum() for name in ("dense", "SAO", "RG-N", "LMP") if name in spectra}
    told = ", ".join(f"{name}\N{NO-BREAK SPACE}{count}" for name, count in counts.items()) or "they follow"
    return f"{where}values above 0.01, of {n}: {told}"


class LayerExplorer(Explorer):
    """The singular values of one layer's Jacobian D W, family by family at the same input, and the test against dense."""

    groups = {
        "weights": [
            Slider("n", "width n", values=(64, 128, 256), value=256),
            Slider("degree", "degree d", values=(2, 4, 8, 16, 32, 64), value=2),
        ],
        "point": [
            Choice("activation", "activation", tuple(NONLINEAR), value="tanh"),
            Slider("seed", "input x", 0, 19, value=0, play=True),
        ],
    }
    presets = {
        "Fig. 9, linear": {"degree": 2, "activation": "linear"},
        "Fig. 10, tanh": {"degree": 2, "activation": "tanh"},
        "Fig. 10, ReLU": {"degree": 2, "activation": "ReLU"},
        "denser": {"degree": 32, "activation": "tanh"},
    }
    height = 470

    def build(self) -> None:
        self.figure = self.figure_widget(spectra_figure(_layer_rows({}), height=self.height))

    def stream(self, *, n: int, degree: int, activation: str, seed: int) -> Iterator[dict | None]:
        """One frame: the values of each family, and the p-value of each beside dense."""
        spectra, slopes = {}, {}
        for name in _ONE_LAYER:
            slopes[name], spectra[name] = _layer_spectrum(name, n, degree, activation, seed)
            yield None
        tests = {name: ks_two_sample(spectra["dense"], spectra[name]).p_value for name in _ONE_LAYER[1:]}
        yield {
            "n": n,
            "degree": degree,
            "activation": activation,
            "spectra": spectra,
            "slopes": slopes,
            "p_values": tests,
            "note": "for orthogonal W the values are |φ′(h)|, whatever W is; p of a KS test beside dense",
        }

    def draw(self, frame: dict) -> None:
        rows = _layer_rows(frame)
        shown = self.grow("xaxis", *spectra_range(rows))
        self.figure.redraw(spectra_traces(rows, x_range=shown))
        self.figure.retitle(_layer_title(frame))


@lru_cache(maxsize=500)
def _layer_spectrum(name: str, n: int, degree: int, activation: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """|phi'(h)| descending, and the singular values of D W, of the first layer at a standard normal input."""
    weights = layer_weights(name, n, degree, 0)
    slopes = slopes_at(activation, weights @ input_point(n, seed))[1]
    values = singular_values(slopes[:, None] * as_dense(weights))
    return np.sort(np.abs(slopes))[::-1], values.numpy()


def _layer_rows(frame: dict) -> list[Spectrum]:
    spectra, tests = frame.get("spectra", {}), frame.get("p_values", {})
    notes = {name: f"p = {p:.2g}" for name, p in tests.items()}
    return [Spectrum(name, spectra.get(name, ()), BIRTHS[name], note=notes.get(name, "")) for name in _ONE_LAYER]


def _layer_title(frame: dict) -> str:
    verdicts = [
        f"{name} {'like dense' if frame['p_values'][name] > 0.05 else 'not'} (p\u00a0=\u00a0{frame['p_values'][name]:.1g})"
        for name in ("SAO", "RG-N", "LMP")
    ]
    return f"One {frame['activation']} layer, {frame['degree']} of {frame['n']} weights: {', '.join(verdicts)}"
