"""Explorer of notebook 07: Tables 9 and 11 of the SAO paper as printed, beside what was trained on Fashion-MNIST."""

from collections.abc import Iterator, Mapping
from functools import lru_cache

import numpy as np

from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.stacked import draw_panels
from nbkit.figures import CONV_METHODS, conv_tables_axes, conv_tables_figure, conv_tables_panels
from nbkit.results import Result, load_result, results_folder
from nbkit.runs.published import PUBLISHED

__all__ = ["ConvTablesExplorer"]

_TABLES = {"Table 9, SAO-Delta": (9, "fashion_cnn"), "Table 11, SAO-ECO": (11, "fashion_lip")}
_TOGETHER = "\N{NO-BREAK SPACE}"
_DEPTHS = tuple(sorted({depth for table in PUBLISHED.values() for depth in table.depths}))
_DENSITIES = tuple(sorted({a for table in PUBLISHED.values() for a in table.densities} - {1.0}, reverse=True))


class ConvTablesExplorer(Explorer):
    """Which convolutional networks train at which depth and density: printed on CINIC-10 and CIFAR-10, and here."""

    groups = {
        "table": [
            Choice("table", "table", tuple(_TABLES)),
            Slider("density", "density", values=_DENSITIES, value=1 / 32, play=True),
            Slider("depth", "depth N", values=_DEPTHS, value=32),
        ],
        "ours": [Slider("trained", "trained %", 0, 100, 10, value=100)],
    }
    presets = {
        "only SAO trains": {"table": "Table 9, SAO-Delta", "density": 1 / 32, "depth": 128, "trained": 100},
        "deeper, more robust": {"table": "Table 9, SAO-Delta", "density": 1 / 8, "depth": 32, "trained": 100},
        "RG-T at N = 5": {"table": "Table 11, SAO-ECO", "density": 1 / 8, "depth": 5, "trained": 100},
        "before training": {"table": "Table 9, SAO-Delta", "density": 1 / 8, "depth": 16, "trained": 0},
    }

    def build(self) -> None:
        figure = conv_tables_figure({}, {}, density=1.0, depth=1)
        self.height = figure.layout.height
        self.figure = self.figure_widget(figure)
        self._table = None

    def admissible(self, settings: dict) -> dict:
        printed = PUBLISHED[_TABLES[settings["table"]][0]]
        return {"depth": printed.depths, "density": printed.densities[1:]}

    def stream(self, *, table: str, density: float, depth: int, trained: int) -> Iterator[dict]:
        """One frame: what is printed, and of every training of ours as far as it had come then."""
        number, name = _TABLES[table]
        stored = _stored(name)
        settings = {"table": table, "density": density, "depth": depth, "trained": trained}
        paper, ours = (
            dict(PUBLISHED[number].accuracy),
            {} if stored is None else _reached(stored.columns, trained / 100),
        )
        yield settings | {"paper": paper, "ours": ours, "note": _note(name, stored)}

    def draw(self, frame: dict) -> None:
        tables = frame["paper"], frame["ours"]
        if frame["table"] != self._table:  # other depths
            self._table = frame["table"]
            self.figure.forget_axes()
            self.figure.update_layout(**conv_tables_axes(*tables))
        for axis in ("yaxis", "yaxis2"):
            self.grow(axis, 0, 100)
        draw_panels(self, conv_tables_panels(*tables, density=frame["density"], depth=frame["depth"]))
        self.figure.retitle(_title(frame))


def _stored(name: str) -> Result | None:
    """Our table, or None where it has not been run; what is damaged is refused."""
    path = results_folder() / f"{name}.csv"
    return _loaded(name, str(path.parent)) if path.exists() else None


@lru_cache(maxsize=4)
def _loaded(name: str, folder: str) -> Result:
    return load_result(name, folder=folder)


def _reached(columns: Mapping[str, np.ndarray], share: float) -> dict[tuple[str, float, int], float]:
    """(method, density, depth) -> percent after this share of the epochs of each training."""
    trainings: dict[tuple[str, float, int], list[float]] = {}
    names = "method", "density", "depth", "accuracy"
    for *key, accuracy in zip(*(columns[name].tolist() for name in names), strict=True):
        trainings.setdefault(tuple(key), []).append(100 * accuracy)
    return {key: values[round(share * (len(values) - 1))] for key, values in trainings.items()}


def _note(name: str, stored: Result | None) -> str:
    if stored is None:
        return (
            f"the printed numbers alone: {name} is not among the stored results, `python -m nbkit run fashion` makes it"
        )
    partial = "a partial run, " if stored.is_partial else ""
    return f"hollow: printed; lines: ours, {partial}on Fashion-MNIST at a small scale ({stored.sidecar['differs']})"


def _title(frame: dict) -> str:
    density, depth = frame["density"], frame["depth"]
    told = [
        f"{where} {words}{_TOGETHER}%"
        for where, table, digits in (("printed", frame["paper"], 2), ("here", frame["ours"], 1))
        if (words := _cell(table, density, depth, digits))
    ]
    begun = f"{frame['table'].partition(',')[0]}, {100 * (1 - density):g} % sparse, N = {depth}"
    return f"{begun}: {'; '.join(told)}"


def _cell(table: Mapping[tuple[str, float, int], float], density: float, depth: int, digits: int) -> str:
    """What SAO reaches, and another method, or the range of several."""
    values = {name: table[name, density, depth] for name in CONV_METHODS if (name, density, depth) in table}
    told = {name: f"{value:.{digits}f}" for name, value in sorted(values.items(), key=lambda item: item[1])}
    others = [name for name in told if name != "SAO"]
    words = [f"SAO{_TOGETHER}{told['SAO']}"] if "SAO" in told else []
    if len(others) > 2:
        words.append(f"{len(others)} others {told[others[0]]} to {told[others[-1]]}")
    else:
        words += [f"{name}{_TOGETHER}{told[name]}" for name in others]
    return ", ".join(words)
