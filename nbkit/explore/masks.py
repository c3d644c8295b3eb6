"""Explorer of notebook 03: how a line grows through fixed wires of one density, family by family."""

import math
from collections.abc import Iterator
from functools import lru_cache, partial

import numpy as np

from nbkit.device import choose_device
from nbkit.explore.controls import Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.families import BY_CHANCE, DEEPEST, FAMILIES, cascade, cascade_layer, refusal
from nbkit.explore.growth import refined, trajectory
from nbkit.figures import Curve, curve_traces, curves_figure
from nbkit.measure import GrowthResult, growth_rms, growth_rms_through, stream_growth
from nbkit.weights import Gaussian

__all__ = ["MaskGrowthExplorer"]

_IID = "random sparse"
_SHOWN = FAMILIES | {_IID: "dense"}
_MARKERS = {"RadiX": "circle", "SAO random": "square", "SAO aligned": "triangle-up", "X-Net Cayley": "diamond"}
_FEW = 2  # networks a family of the first pass


class MaskGrowthExplorer(Explorer):
    """The length of a line through fixed wires with random weights, family by family, beside each one's exact rms law."""

    groups = {
        "wires": [
            Slider("n", "nodes n", values=(16, 64, 81, 100, 128, 256), value=64),
            Slider("degree", "degree d", values=(2, 3, 4, 8, 9, 10, 16), value=4),
            Slider("depth", "depth L", 1, DEEPEST, value=DEEPEST),
        ],
        "weights": [Slider("growth", "rms growth", 0.5, 2.0, 0.05, value=1.0)],
        "measure": [Slider("n_nets", "networks", values=(10, 30, 50, 100, 300), value=50)],
    }
    presets = {
        "one density": {"n": 64, "degree": 4, "depth": 16, "growth": 1.0, "n_nets": 50},
        "two wires a node": {"n": 64, "degree": 2, "depth": 16, "growth": 1.0, "n_nets": 50},
        "wide": {"n": 256, "degree": 16, "depth": 16, "growth": 1.0, "n_nets": 30},
        "break it": {"n": 100, "degree": 3, "depth": 16, "growth": 1.0, "n_nets": 50},
    }
    height = 480

    def build(self) -> None:
        empty = _curves({"depth": np.empty(0), "families": {}})
        labels = {"x_label": "depth d", "y_label": "arc length ℓ / the input's"}
        self.figure = self.figure_widget(curves_figure(empty, **labels, log_y=True, height=self.height))

    def stream(self, *, n: int, degree: int, depth: int, growth: float, n_nets: int) -> Iterator[dict | None]:
        """All families with a few networks each; then one after another with all networks."""
        law, path = Gaussian(growth * _std(n, degree)), trajectory("random line", n)
        missing = [name for name in FAMILIES if refusal(name, n, degree)]
        names = [name for name in _SHOWN if name not in missing]
        left_out = f"left out at n = {n}, d = {degree}: {', '.join(missing)} · " if missing else ""
        depths, families = np.arange(depth + 1), {}

        def measure(name: str, count: int) -> Iterator[GrowthResult | None]:
            for position in range(DEEPEST if name in BY_CHANCE else 0):  # drawing them all would be a long step
                cascade_layer(name, n, degree, position)
                yield None
            wires = None if name == _IID else cascade(name, n, degree, depth)
            options = {"curve": path, "topology": wires, "device": choose_device()}
            yield from stream_growth(law, degree / n, n, depth, n_nets=count, **options)

        for name, result in refined({name: partial(measure, name) for name in names}, {_FEW, n_nets}):
            if result is not None:
                rms = {"rms": growth**depths * _rms(name, n, degree)[: depth + 1]}
                families = families | {name: _told(result, path.length) | rms}
            if result is None or len(families) < len(names):  # all together, or lines would come and go in a drag
                yield None
                continue
            counts = [entry["n_nets"] for entry in families.values()]
            yield {
                "n": n,
                "degree": degree,
                "depth": depths,
                "std": law.std,
                "families": families,
                "progress": (sum(counts), n_nets * len(names), "networks"),
                "note": f"{left_out}95 % t intervals over {min(counts)} networks a family",
            }

    def draw(self, frame: dict) -> None:
        seen = np.concatenate([entry[name] for entry in frame["families"].values() for name in ("length", "rms")])
        shown = self.grow("yaxis", 0.8 * np.nanmin(seen), 1.25 * np.nanmax(seen))
        self.grow("xaxis", 0, frame["depth"][-1])
        self.figure.redraw(curve_traces(_curves(frame), log_y=True, y_range=shown))
        self.figure.retitle(_title(frame))


def _std(n: int, degree: int) -> float:
    """The sigma_w at which the rms growth through wires of that degree on both sides is 1."""
    return math.sqrt(2 * n / degree)


@lru_cache(maxsize=500)
def _rms(name: str, n: int, degree: int) -> np.ndarray:
    """The exact rms length behind 0..DEEPEST layers, relative to the input's, for weights of that sigma_w."""
    law = Gaussian(_std(n, degree))
    if name == _IID:
        return growth_rms(law, degree / n) ** np.arange(DEEPEST + 1)
    direction = trajectory("random line", n).derivative([0.0])[0]  # a line has one
    return growth_rms_through(cascade(name, n, degree, DEEPEST), law, direction).numpy()


def _told(result: GrowthResult, start: float) -> dict:
    """One family's mean length relative to the input's with its interval, and how far log-lengths spread at the end."""
    estimate = result.length_estimate(control=False)  # one way for all families: where wires are few none would hold
    length, lower, upper = (values.numpy() / start for values in (estimate.mean, *estimate.interval()))
    last = result.log_length[:, -1]
    alive = last[last.isfinite()]
    return {
        "length": np.where(length > 0, length, np.nan),
        "lower": lower,
        "upper": upper,
        "spread": float(alive.std()) if len(alive) > 1 else math.nan,
        "n_nets": result.n_nets,
        "n_dead": result.n_nets - len(alive),
    }


def _curves(frame: dict) -> list[Curve]:
    """One solid curve a family and one dashed; a family that is left out is empty."""
    nothing = dict.fromkeys(("length", "rms"), np.empty(0)) | {"n_nets": 0}
    measured, theory = [], []
    for name, family in _SHOWN.items():
        entry = frame["families"].get(name, nothing)
        x, enough = frame["depth"][: len(entry["length"])], entry["n_nets"] > _FEW  # eight wide bands hide all lines
        band = {edge: entry[edge] for edge in ("lower", "upper")} if enough else {}
        measured.append(Curve(name, x, entry["length"], family, marker=_MARKERS.get(name), **band))
        theory.append(Curve("rms law" if name == _IID else "", x, entry["rms"], family, kind="theory"))
    return [*measured, *theory]


def _title(frame: dict) -> str:
    spreads = {name: entry["spread"] for name, entry in frame["families"].items() if entry["spread"] >= 0}
    told = f"Density {frame['degree'] / frame['n']:.3g}: nearly one rms law"
    if len(spreads) < 2:
        return told
    least, most = min(spreads, key=spreads.get), max(spreads, key=spreads.get)
    if math.isclose(spreads[least], spreads[most], rel_tol=0.01):  # where all wires are there, all families are one
        return f"{told}, and log ℓ spreads by {spreads[most]:.2g} in all families"
    return f"{told}, but log ℓ spreads by {spreads[least]:.2g} in {least} and by {spreads[most]:.2g} in {most}"
