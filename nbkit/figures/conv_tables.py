"""Printed accuracies of pruned convolutional networks beside ours: against depth, and against density."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from nbkit.errors import check_choice
from nbkit.figures.curves import Curve
from nbkit.figures.stacked import CurvePanel, stacked_figure

__all__ = ["CONV_METHODS", "conv_tables_axes", "conv_tables_figure", "conv_tables_panels"]

#: Family and marker of each method of the tables.
CONV_METHODS = {
    "Dense": ("dense", "diamond"),
    "SAO": ("sao", "circle"),
    "LMP-S": ("pruned", "circle"),
    "LMP-T": ("pruned", "square"),
    "RG-S": ("sao", "triangle-up"),
    "RG-T": ("sao", "triangle-down"),
}
CHANCE = 10.0
_POWERS = range(-6, 1)

#: (method, density, depth) -> percent.
Accuracies = Mapping[tuple[str, float, int], float]


def conv_tables_figure(
    paper: Accuracies, ours: Accuracies, *, density: float, depth: int, title: str = ""
) -> go.Figure:
    """Test accuracy against depth at one density, and against density at one depth.

    Hollow markers are printed, lines with full markers are ours; the dense network is the ceiling, chance is dashed. x is
    logarithmic, in powers of 2.

    Args:
        paper, ours: (method, density, depth) -> percent; a method is a key of `CONV_METHODS`, Dense has density 1. Either
            may be empty.
        density, depth: of the upper and the lower panel.
        title: the finding.

    Raises:
        NbkitError: an unknown method.
    """
    for method, _, _ in (*paper, *ours):
        check_choice("conv_tables_figure", "method", method, CONV_METHODS)
    figure = stacked_figure(conv_tables_panels(paper, ours, density=density, depth=depth), title=title)
    figure.update_layout(yaxis={"range": [0, 100]}, yaxis2={"range": [0, 100]})
    figure.update_layout(**conv_tables_axes(paper, ours))
    return figure.update_traces(hovertemplate="%{y:.4g} %", selector=lambda trace: trace.hoverinfo != "skip")


def conv_tables_panels(paper: Accuracies, ours: Accuracies, *, density: float, depth: int) -> list[CurvePanel]:
    """What `conv_tables_figure` shows: log2 of depths above, log2 of densities below."""
    by_depth, by_density = [], []
    for method, (family, marker) in CONV_METHODS.items():
        here = 1.0 if method == "Dense" else density
        for name, table in (("", paper), (method, ours)):
            look = {"kind": "measured" if name else "paper", "marker": marker}
            cells = [(n, value) for (m, a, n), value in table.items() if m == method and a == here]
            by_depth.append(Curve(name or _unless(method, ours), *_sorted(cells), family, **look))
            cells = [(a, value) for (m, a, n), value in table.items() if m == method and n == depth]
            by_density.append(Curve(name or _unless(method, ours), *_sorted(cells), family, **look))
    for curves in (by_depth, by_density):
        xs = np.concatenate([curve.x for curve in curves])
        ends = np.array([xs.min(), xs.max()]) if xs.size else xs
        curves.append(Curve("chance", ends, np.full(ends.size, CHANCE), "dense", kind="theory"))
    return [
        CurvePanel(by_depth, "depth N (log)", "test accuracy, %", height=230),
        CurvePanel(by_density, "density (log)", "test accuracy, %", height=180),
    ]


def conv_tables_axes(paper: Accuracies, ours: Accuracies) -> dict[str, dict]:
    """The ticks of both axes of x, for `update_layout`: the depths there are, and powers of 1/2."""
    depths = sorted({depth for _, _, depth in (*paper, *ours)})
    powers = ["1" if k == 0 else f"1/{2**-k}" for k in _POWERS]
    return {
        "xaxis": {"tickvals": np.log2(depths).tolist(), "ticktext": [str(depth) for depth in depths]},
        "xaxis2": {"tickvals": list(_POWERS), "ticktext": powers},
    }


def _unless(method: str, ours: Accuracies) -> str:
    """The name of printed values: ours, where there are any, have it."""
    return "" if any(name == method for name, _, _ in ours) else method


def _sorted(cells: Sequence[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.array(sorted(cells), dtype=np.float64).reshape(-1, 2).T
    return np.log2(x), y
