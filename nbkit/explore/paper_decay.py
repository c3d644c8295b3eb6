"""Explorer of notebook 10: the stored trainings at the paper's size, epoch by epoch (its Figures 2, 3 and 4a)."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from nbkit.explore.canvas import MatrixCanvas
from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.figures import METHODS, PAPER_STRENGTHS, PaperDecayView, paper_decay_figure, paper_decay_traces
from nbkit.results import Result, load_result

__all__ = ["PaperDecayExplorer"]

_EPOCHS = (0, 100, 200, 500, 1000, 2000, *range(5000, 200_001, 5000))
_NETS = {method.text: ("factored", key) for key, method in METHODS.items()} | {
    f"fully connected, {METHODS[key].text}": ("full", key) for key in ("weight_decay", "none")
}


class PaperDecayExplorer(Explorer):
    """Nine trainings of the paper's size, as they were stored: densities, singular values, and |A2| of one of them."""

    groups = {
        "run": [
            Slider("epoch", "epoch", values=_EPOCHS, value=200_000, play=True),
            Slider("strength", "strength λ", values=PAPER_STRENGTHS[::-1], value=1e-3),
        ],
        "matrix": [Choice("net", "network", tuple(_NETS))],
    }
    presets = {
        "Fig. 2, λ = 0.1": {"strength": 0.1},
        "Fig. 2, λ = 1e-5": {"strength": 1e-5},
        "Fig. 3": {"epoch": 50_000, "strength": 0.001},
        "Fig. 4a": {"epoch": 50_000, "strength": 0.001, "net": "fully connected, weight decay"},
    }
    height = 620

    def build(self) -> None:
        self.figure = self.figure_widget(paper_decay_figure(PaperDecayView(), height=self.height))
        self.canvases = {
            "between": MatrixCanvas(
                row_label="block of layer 2", column_label="block of layer 1", width=300, height=300
            )
        }

    def stream(self, *, epoch: int, strength: float, net: str) -> Iterator[dict]:
        """One frame: what was stored of this epoch or the last one before it; the fully connected networks at their end."""
        training, spectra = _stored("decay_training"), _stored("decay_spectra").columns
        rows = _where(training.columns, net="factored")
        epoch = int(max(each for each in rows["epoch"] if each <= epoch))
        now = {method: _where(rows, epoch=epoch, method=method, strength=_of(method, strength)) for method in METHODS}
        full = _where(spectra, net="full")
        full = _where(full, epoch=full["epoch"].max(initial=0))
        yield {
            "epoch": epoch,
            "strength": strength,
            "densities": {
                (method, here): (run["epoch"], run["mean_density"])
                for method in METHODS
                for here in dict.fromkeys(_of(method, each) for each in PAPER_STRENGTHS)
                if (run := _where(rows, method=method, strength=here))["epoch"].size
            },
            "errors": {method: float(found["median_loss"][0]) for method, found in now.items()},
            "now": {method: float(found["mean_density"][0]) for method, found in now.items()},
            "ranks": {method: int(found["rank_A2"][0]) for method, found in now.items()},
            "spectra": _by_method("factored", _where(spectra, net="factored", epoch=epoch), strength)
            | _by_method("full", full, 1e-3),
            "bound": training.sidecar["settings"]["bottleneck"],
            "is_partial": training.is_partial,
            "note": _reached(training.sidecar),
        } | _matrix(epoch, *_NETS[net])  # fmt: skip

    def draw(self, frame: dict) -> None:
        names = "strength", "epoch", "densities", "errors", "spectra", "bound"
        self.figure.redraw(paper_decay_traces(PaperDecayView(**{name: frame[name] for name in names})))
        self.figure.retitle(_title(frame))
        self.canvases["between"].show(frame["between"], frame["told"])


@lru_cache(maxsize=3)
def _stored(name: str) -> Result:
    return load_result(name)


def _of(method: str, strength: float) -> float:
    """Lambda as the tables have it."""
    return 0.0 if method == "none" else strength


def _where(columns: Mapping[str, np.ndarray], *, strength: float | None = None, **wanted: object) -> dict:
    """The rows of a table with these values; lambda is no word of Python."""
    wanted |= {} if strength is None else {"lambda": strength}
    kept = np.logical_and.reduce([columns[name] == value for name, value in wanted.items()])
    return {name: column[kept] for name, column in columns.items()}


def _by_method(net: str, rows: Mapping[str, np.ndarray], strength: float) -> dict[tuple[str, str], np.ndarray]:
    found = {method: _where(rows, method=method, strength=_of(method, strength)) for method in METHODS}
    return {(net, method): run["singular_value"] for method, run in found.items() if run["index"].size}


def _matrix(epoch: int, net: str, method: str) -> dict:
    """The blocks of |A2| stored nearest before this epoch, or the first ones after it, and what is said of them."""
    rows = _where(_stored("decay_matrices").columns, net=net, method=method)
    epochs = np.unique(rows["epoch"])
    if not epochs.size:
        return {"between": np.zeros((1, 1), dtype=np.uint8), "told": "|A⁽²⁾| of this network is not stored yet"}
    at = int(max((each for each in epochs if each <= epoch), default=epochs[0]))
    chosen = _where(rows, epoch=at)
    blocks = np.zeros((chosen["row"].max() + 1, chosen["column"].max() + 1))
    blocks[chosen["row"], chosen["column"]] = chosen["value"]
    top = blocks.max()
    words = f"|A⁽²⁾| at epoch {at:,}, λ = {chosen['lambda'][0]:g}, its blocks' largest, of all {top:.2g}"
    return {"between": (blocks * (255 / (top or 1.0)) + 0.5).astype(np.uint8), "told": words}


def _reached(beside: Mapping[str, Any]) -> str:
    if beside["status"] == "complete":
        return ""
    wanted, reached = beside["settings"], beside["reached"]
    parts = [f"{name} {reached.get(name, 0):,} of {wanted[f'{name}_epochs']:,}" for name in ("factored", "full")]
    return f"the run is partial, epochs reached: {', '.join(parts)}"


def _title(frame: dict) -> str:
    began = f"{'Partial run, epoch' if frame['is_partial'] else 'Epoch'} {frame['epoch']:,}, λ = {frame['strength']:g}"
    densities = ", ".join(f"{value:.2f} {METHODS[method].text}" for method, value in frame["now"].items())
    return f"{began}: density {densities}; rank of A⁽²⁾ {', '.join(map(str, frame['ranks'].values()))}"
