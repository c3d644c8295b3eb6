"""Explorer of notebook 05: the singular values of end-to-end Jacobians against depth, as the SAO paper's Fig. 11."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.isometry import (
    BIRTH_MARKERS,
    BIRTHS,
    GAINS,
    LOOKS_LINEAR,
    MIRRORED,
    NONLINEAR,
    grow_spectra,
    in_words,
    key_of,
    refusal,
    spectrum_at,
)
from nbkit.figures import Curve, curve_traces, curves_figure

__all__ = ["DepthExplorer"]

_SHOWN = ("dense", "SAO", "RG-N", "RG-U", "LMP", "LRP")
_DEPTHS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000)
_SOON = 6  # depths of the first frames
_MEAN, _VARIANCE, _LOG = "mean", "variance", "log₁₀: median, 80 %"
_LABELS = {_MEAN: "mean of s", _VARIANCE: "variance of s", _LOG: "log₁₀ s of the values above 0"}
_TOO_LARGE = 1e3  # on a linear axis it would hide all the rest


class DepthExplorer(Explorer):
    """Mean and spread of the singular values of the end-to-end Jacobian, behind ever more layers."""

    groups = {
        "weights": [
            Slider("n", "width n", values=(32, 64, 128, 256), value=64),
            Slider("degree", "degree d", values=(2, 4, 8, 16, 32), value=4),
            Choice("gain", "gain g", tuple(GAINS)),
        ],
        "network": [
            Choice("activation", "activation", (*NONLINEAR, MIRRORED, LOOKS_LINEAR), value="tanh"),
            Slider("deepest", "depth L", values=(10, 20, 50, 100, 200, 500, 1000), value=100),
        ],
        "measure": [Choice("view", "show", tuple(_LABELS))],
    }
    presets = {
        "Fig. 11, untrained": {"n": 256, "activation": "tanh", "gain": "1", "deepest": 100, "view": _MEAN},
        "its variance": {"n": 256, "activation": "tanh", "gain": "1", "deepest": 100, "view": _VARIANCE},
        "a thousand layers": {"n": 32, "activation": "linear", "gain": "1", "deepest": 1000, "view": _LOG},
        "ReLU, gain √2": {"n": 64, "activation": "ReLU", "gain": "√2", "deepest": 100, "view": _LOG},
        "eq. (5) alone": {"n": 64, "activation": MIRRORED, "gain": "1", "deepest": 50, "view": _MEAN},
        "looks linear": {"n": 64, "activation": LOOKS_LINEAR, "gain": "1", "deepest": 50, "view": _MEAN},
    }
    height = 480

    def build(self) -> None:
        labels = {"x_label": "depth L", "y_label": _LABELS[_MEAN]}
        self.figure = self.figure_widget(curves_figure(_curves({"families": {}}), **labels, height=self.height))
        self._scales = None

    def stream(
        self, *, n: int, degree: int, gain: str, activation: str, deepest: int, view: str
    ) -> Iterator[dict | None]:
        """The first ten layers of all families; then one family after another, to the end."""
        missing = {name: reason for name in _SHOWN if (reason := refusal(name, n, degree))}
        keys = {name: key_of(name, n, degree, activation, gain) for name in _SHOWN if name not in missing}
        depths = tuple(depth for depth in _DEPTHS if depth <= deepest)
        frame = {"n": n, "degree": degree, "activation": activation, "gain": gain, "view": view, "deepest": deepest}
        stages = [(depths[:_SOON], False), (depths, view == _LOG)]
        for wanted, deep in stages:
            for key in keys.values():
                is_new = False
                for _ in grow_spectra(key, wanted, deep=deep):
                    is_new = True
                    yield None
                if is_new or wanted != depths:  # what is known is shown before what takes long
                    yield frame | _told(keys, depths, view)
        yield frame | _told(keys, depths, view)

    def draw(self, frame: dict) -> None:
        scales = tuple(frame[name] for name in ("view", "deepest", "gain", "activation"))
        if scales != self._scales:  # other units, or values of another size: old axes would squash them
            self._scales = scales
            self.figure.forget_axes()
            self.figure.layout.yaxis.title.text = _LABELS[frame["view"]]
        seen = [entry[name] for entry in frame["families"].values() for name in entry if name != "depth"]
        seen = np.concatenate([values[np.isfinite(values)] for values in seen])
        shown = self.grow("yaxis", min(0.0, seen.min(initial=0)), 1.05 * max(0.1, seen.max(initial=0)))
        self.grow("xaxis", 0, frame["deepest"])
        self.figure.redraw(curve_traces(_curves(frame), y_range=shown))
        self.figure.retitle(_title(frame))


def _told(keys: dict, depths: tuple[int, ...], view: str) -> dict:
    """Per family, as far as it is known: depths, the middle and the edges of the values there; and what is not drawn."""
    families, zeros, beyond = {}, [], []
    for name, key in keys.items():
        spectra = {depth: spectrum_at(key, depth, deep=view == _LOG) for depth in depths}
        spectra = {depth: logs for depth, logs in spectra.items() if logs is not None}
        if not spectra:
            continue
        summary = np.array([_SUMMARIES[view](logs) for logs in spectra.values()]).reshape(len(spectra), -1)
        families[name] = {"depth": np.array(list(spectra), dtype=np.int64), "middle": summary[:, 0]}
        beyond += [name] if np.isnan(summary[:, 0]).any() and view != _LOG else []
        if view == _LOG:
            families[name] |= {"lower": summary[:, 1], "upper": summary[:, 2]}
            share = np.isneginf(spectra[depths[-1]]).mean() if depths[-1] in spectra else 0
            zeros += [f"{name} {100 * share:.0f} %"] if share else []
    is_whole = all(name in families and families[name]["depth"][-1] == depths[-1] for name in keys)
    notes = [
        "" if is_whole else "deeper layers follow",
        f"not drawn where an s is above {_TOO_LARGE:g}: {', '.join(beyond)}" if beyond else "",
        f"exactly 0 at the end: {', '.join(zeros)}" if zeros else "",
    ]
    return {"families": families, "note": "; ".join(filter(None, notes))}


def _moment(logs: np.ndarray, moment: Callable[[np.ndarray], float]) -> float:
    """A moment of s, NaN where it is too large for its axis; what a plain product has lost is as good as 0 there."""
    if np.nanmax(logs) > np.log10(_TOO_LARGE):
        return np.nan
    return float(moment(np.nan_to_num(10.0**logs)))


def _quantiles(logs: np.ndarray) -> np.ndarray:
    """Median and the ends of the middle 80 % of log10 s, of the values that are not exactly 0."""
    there = logs[np.isfinite(logs)]
    return np.quantile(there, (0.5, 0.1, 0.9)) if len(there) else np.full(3, np.nan)


_SUMMARIES = {_MEAN: partial(_moment, moment=np.mean), _VARIANCE: partial(_moment, moment=np.var), _LOG: _quantiles}


def _curves(frame: dict) -> list[Curve]:
    nothing = {"depth": np.empty(0), "middle": np.empty(0)}
    curves = []
    for name in _SHOWN:
        entry = frame["families"].get(name, nothing)
        band = {edge: entry[edge] for edge in ("lower", "upper") if edge in entry}
        curves.append(
            Curve(name, entry["depth"], entry["middle"], BIRTHS[name], marker=BIRTH_MARKERS.get(name), **band)
        )
    return curves


def _title(frame: dict) -> str:
    families = frame["families"]
    depth = min(int(entry["depth"][-1]) for entry in families.values())
    ends = {name: entry["middle"][list(entry["depth"]).index(depth)] for name, entry in families.items()}
    chosen = [name for name in ("dense", "SAO", "RG-N", "LMP") if name in ends and np.isfinite(ends[name])]
    told = [f"{name} {in_words(ends[name]) if frame['view'] == _LOG else f'{ends[name]:.2g}'}" for name in chosen]
    told = [words.replace(" ", "\N{NO-BREAK SPACE}") for words in told]
    kind = "median s" if frame["view"] == _LOG else _LABELS[frame["view"]]
    return f"{frame['activation']}, {depth} layer{'s' * (depth > 1)}, {kind}: {', '.join(told)}"
