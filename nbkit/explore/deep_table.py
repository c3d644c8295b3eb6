"""The explorer of notebook 07's stored trainings: the paper's Table 7 and Figure 11 on the shipped digits."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.figures import DEEP_LOOKS, DeepTableView, deep_table_figure, deep_table_ranges, deep_table_traces
from nbkit.results import Result, load_result

__all__ = ["DeepTableExplorer"]

_PAPERS = ("Dense", "SAO", "RG-N", "RG-U", "GMP-S", "GMP-T")
_METHODS = {
    "the paper's": _PAPERS,
    "at SAO's density": tuple(method for method in DEEP_LOOKS if method not in ("GMP-S", "GMP-T", "RG-N", "RG-U")),
    "all": tuple(DEEP_LOOKS),
}
_STATISTICS = {"mean": "mean", "variance": "variance", "largest": "largest", "smallest": "smallest"}
_GRADIENTS = {"first layer": "gradient_first", "last layer": "gradient_last"}
_CHANCE = 0.15  # who never gets so far guesses


class DeepTableExplorer(Explorer):
    """Networks of one depth, trained as in the paper by every method: which learn, and what their Jacobians do meanwhile."""

    groups = {
        "networks": [
            Slider("depth", "depth N", values=(50, 200, 400, 600, 800, 1000), value=50),
            Choice("methods", "methods", tuple(_METHODS)),
        ],
        "shown": [
            Choice("statistic", "Jacobian's s", tuple(_STATISTICS)),
            Choice("gradient", "gradient of", tuple(_GRADIENTS)),
        ],
    }
    presets = {
        "Table 7": {"methods": "the paper's"},
        "Fig. 11": {"methods": "the paper's", "statistic": "variance"},
        "deeper": {"depth": 200},
        "sparse like SAO": {"methods": "at SAO's density"},
    }
    height = 600

    def build(self) -> None:
        self.figure = self.figure_widget(deep_table_figure(DeepTableView(), height=self.height), ghosts=False)
        self._drawn: list[dict[str, object]] = [{}] * len(self.figure.data)

    def stream(self, *, depth: int, methods: str, statistic: str, gradient: str) -> Iterator[dict]:
        """One frame: what is stored of these networks."""
        stored = _stored("training")
        yield {
            "depth": depth,
            "accuracies": _curves("training", depth, _METHODS[methods], "accuracy"),
            "spectra": _curves("spectra", depth, _METHODS[methods], statistic),
            "gradients": _curves("training", depth, _METHODS[methods], _GRADIENTS[gradient]),
            "statistic": statistic,
            "gradient": gradient,
            "is_partial": stored.is_partial,
            "note": "the run is partial" if stored.is_partial else "",
        }

    def draw(self, frame: dict) -> None:
        view = DeepTableView(frame["accuracies"], spectra=frame["spectra"], gradients=frame["gradients"])
        for axis, (low, high) in deep_table_ranges(view).items():
            self.grow(axis, low, high)
        traces = deep_table_traces(view)
        # the browser draws a trace that is written anew, though it be as it was
        self.figure.redraw([{} if _is_same(*pair) else pair[0] for pair in zip(traces, self._drawn, strict=True)])
        self._drawn = traces
        self.figure.layout.yaxis3.title.text = f"{frame['statistic']} of s of J (log)"
        self.figure.layout.yaxis4.title.text = f"gradient, {frame['gradient']} (log)"
        self.figure.retitle(_title(frame))

    def admissible(self, settings: dict) -> dict:
        stored = set(_stored("training").columns["depth"].tolist())
        return {"depth": [depth for depth in self.groups["networks"][0].values if depth in stored]}


@lru_cache(maxsize=2)
def _stored(name: str) -> Result:
    return load_result(f"deep_{name}")


def _curves(name: str, depth: int, methods: tuple[str, ...], column: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Method -> (epochs, values), of those that are stored."""
    columns = _stored(name).columns
    found = {}
    for method in methods:
        rows = (columns["depth"] == depth) & (columns["method"] == method)
        if "part" in columns:
            rows &= columns["part"] == "network"
        if rows.any():
            found[method] = columns["epoch"][rows], columns[column][rows].astype(np.float64)
    return found


def _is_same(values: dict[str, object], before: dict[str, object]) -> bool:
    return bool(before) and all(np.array_equal(values[axis], before[axis]) for axis in "xy")


def _title(frame: dict) -> str:
    ends = {method: values[-1] for method, (_, values) in frame["accuracies"].items()}
    epochs = max((epochs[-1] for epochs, _ in frame["accuracies"].values()), default=0)
    trained = {method: end for method, end in ends.items() if end > _CHANCE}
    told = ", ".join(f"{method} {trained[method]:.1%}" for method in ("Dense", "SAO") if method in trained)
    lost = [method for method in ends if method not in trained]
    began = f"{'Partial run: ' if frame['is_partial'] else ''}{frame['depth']} layers, {epochs} epochs"
    rest = f"; {', '.join(lost)} {'does' if len(lost) == 1 else 'do'} not train" if lost else ""
    return f"{began}: {told}{rest}"
