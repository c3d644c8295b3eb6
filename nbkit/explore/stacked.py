"""What explorers over a `stacked_figure` share: drawing it again, and what of a long or an exact run it can show."""

from collections.abc import Sequence

import numpy as np

from nbkit.explore.explorer import Explorer
from nbkit.figures import CurvePanel, log_tick, stacked_ranges, stacked_traces

__all__ = ["draw_panels", "gap_or_nan", "thinned"]

_MOST_POINTS = 300


def draw_panels(explorer: Explorer, panels: Sequence[CurvePanel]) -> None:
    """Move an explorer's `stacked_figure`; its axes grow."""
    shown = []
    for number, (panel, (x, y)) in enumerate(zip(panels, stacked_ranges(panels), strict=True), start=1):
        name = "" if number == 1 else number
        if x is not None:
            explorer.grow(f"xaxis{name}", *x)
        shown.append((0.1, 1.0) if y is None else explorer.grow(f"yaxis{name}", *y))
        if panel.log_y:
            explorer.figure.layout[f"yaxis{name}"].dtick = log_tick(panel, shown[-1])
    explorer.figure.redraw(stacked_traces(panels, y_ranges=shown))


def gap_or_nan(gaps: Sequence[float]) -> np.ndarray:
    """NaN where two networks agree exactly: a log axis has no 0."""
    gaps = np.asarray(gaps, dtype=np.float64)
    return np.where(gaps > 0, gaps, np.nan)


def thinned(*columns: Sequence[float]) -> list[np.ndarray]:
    """Arrays of one length without most of their entries where they are long; the first and the last stay."""
    n = len(columns[0])
    kept = np.unique(np.linspace(0, n - 1, min(n, _MOST_POINTS)).round().astype(np.int64))
    return [np.asarray(column, dtype=np.float64)[kept] for column in columns]
