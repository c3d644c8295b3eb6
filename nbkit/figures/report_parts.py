"""What the panels of each part of a network's report hold: numbers of its layers in, bars, lines and matrices out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nbkit.errors import NbkitError, check_choice
from nbkit.figures.arrays import as_array, as_matrix

__all__ = ["REPORT_PARTS", "ReportPanel", "report_panels"]

_BAR = 0.38  # half a bar's width, of the way from one layer to the next
_NAMED, _LONGEST = 10, 9  # layers, and letters of a name, up to which each has its name below it
_FLOOR = 1e-12  # of the largest singular value: smaller ones are rounding, and not drawn
_ROOM = 0.05
_FEW_ROWS = 4  # of a list, that its bars are not too thick
_FEW = 16  # values of a spectrum up to which each is a dot
_UNIT = (0.0, 1.12)  # what an axis of shares shows


@dataclass(frozen=True, eq=False)
class ReportPanel:
    """One panel. Bars are (x0, x1, y0, y1), lines (x, y), dots and words have texts; a log axis has logarithms as range."""

    x_label: str
    y_label: str
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)
    log_y: bool = False
    x_ticks: tuple[Sequence[float], Sequence[str]] | None = None
    y_ticks: tuple[Sequence[float], Sequence[str]] | None = None
    whole: Sequence[tuple[float, ...]] = ()  # bars of what could be there
    bars: Sequence[tuple[float, ...]] = ()  # and of what is
    faint: Sequence[tuple[object, object]] = ()
    line: tuple[object, object] = ((), ())
    dashed: tuple[object, object] = ((), ())
    dots: tuple[object, object, Sequence[str]] = ((), (), ())  # with what hovering says
    chosen: tuple[object, object] = ((), ())
    words: tuple[object, object, Sequence[str]] = ((), (), ())
    matrix: np.ndarray | None = None


def report_panels(part: str, data: Mapping[str, object] | None, *, layer: int = 1) -> tuple[ReportPanel, ...]:
    """The panels of a part: two beside each other, one, or none while there is no data.

    Args:
        part: one of `REPORT_PARTS`, which want: "wires": names, density, n_edges, n_possible, n_dead, mask (n_in, n_out) or
            None; "reach": names, matrix (n_in, n_out) or None, fraction, n_dead, n_units; "spectra": names, values (a
            vector a layer); "jacobian": log10 (n_points, k), -inf for 0, which counts in the median; "growth": names and
            length (n + 1,), the input first, factor (n,); "removable": what, before, after, lossless. What has no
            shape here has one entry a layer, or a row.
        data: as said.
        layer: the one that is looked at, from 1.

    Raises:
        NbkitError: no such part, data that do not belong together.
    """
    check_choice("report_figure", "part", part, REPORT_PARTS)
    if data is None:
        return ()
    try:
        return _PANELS[part](layer, **data)
    except (TypeError, IndexError, KeyError) as error:
        raise NbkitError(
            f"report_figure: data must be those of {part!r} with at least {layer} layers, got others ({error}). "
            "See report_panels."
        ) from None


def _wires(layer: int, *, names, density, n_edges, n_possible, n_dead, mask) -> tuple[ReportPanel, ...]:
    density, at = _numbers(density)
    hover = [
        f"{name}: {edges:,} of {possible:,} wires<br>{dead:,} nodes without"
        for name, edges, possible, dead in zip(names, n_edges, n_possible, n_dead, strict=True)
    ]
    drawn = {
        "whole": _columns(at, np.ones(len(at))),
        "bars": _columns(at, density),
        "dots": (at, density, hover),
        "chosen": _ring(at, density, layer),
    }
    if len(at) <= _NAMED:
        drawn["words"] = at, density + 0.06, ["1" if value == 1 else f"{value:.2g}" for value in density]
    name = names[layer - 1]
    return _matrix(mask, f"input of layer {name}", f"output of layer {name}"), _by_layer(names, at, "density", **drawn)


def _reach(layer: int, *, names, matrix, fraction, n_dead, n_units) -> tuple[ReportPanel, ...]:
    fraction, at = _numbers(fraction)
    dead = np.asarray(n_dead) / np.asarray(n_units)
    hover = [
        f"{name}: {share:.3g} of the pairs are joined<br>{gone:,} of {units:,} units dead"
        for name, share, gone, units in zip(names, fraction, n_dead, n_units, strict=True)
    ]
    drawn = {
        "whole": _columns(at, dead),
        "line": (at, fraction),
        "dots": (at, fraction, hover),
        "chosen": _ring(at, fraction, layer),
    }
    if len(at) <= _NAMED:
        some = np.flatnonzero(dead)
        drawn["words"] = at[some], np.full(len(some), 0.04), [f"{n_dead[k]:,}" for k in some]
    return _matrix(matrix, "input u", "output v"), _by_layer(
        names, at, "joined pairs (line), dead units (bars)", **drawn
    )


def _spectra(layer: int, *, names, values) -> tuple[ReportPanel, ...]:
    ordered = [np.sort(_numbers(each)[0])[::-1] for each in values]
    top = max((each[0] for each in ordered if each.size), default=1.0)
    seen = [np.where(each > _FLOOR * top, each, np.nan) for each in ordered]
    lines = [((np.arange(each.size) + 0.5) / max(1, each.size), each) for each in seen]
    heights, line = _log_range(np.concatenate(seen)), lines[layer - 1]
    few = (*line, [f"{value:.3g}" for value in line[1]]) if line[1].size <= _FEW else ((), (), ())
    left = ReportPanel(
        "share of the values",
        "singular value s",
        y_range=heights,
        log_y=True,
        faint=lines[: layer - 1] + lines[layer:],
        line=line,
        dots=few,
    )
    ends = np.array([_largest_middle_smallest(each) for each in seen])
    high, middle, low = ends.T
    at = np.arange(1, len(seen) + 1)
    hover = [
        f"{n}: largest {h:.3g}, median {m:.3g}, smallest {b:.3g}" for n, (h, m, b) in zip(names, ends, strict=True)
    ]
    drawn = {
        "faint": [((k, k), (b, h)) for k, h, b in zip(at, high, low, strict=True)],
        "dots": (at, middle, hover),
        "chosen": _ring(at, middle, layer),
    }
    return left, _by_layer(names, at, "smallest, median (dot), largest s", heights, log_y=True, **drawn)


def _jacobian(layer: int, *, log10) -> tuple[ReportPanel, ...]:
    logs = as_array("report_figure", "log10", log10, n_axes=2).astype(np.float64)
    logs, middle = (np.where(np.isfinite(each), each, np.nan) for each in (logs, np.median(logs, axis=0)))
    index = np.arange(1, logs.shape[1] + 1)
    shown = np.append(logs[np.isfinite(logs)], [-0.5, 0.5])
    edge, room = 0.02 * len(index) + 0.5, _ROOM * np.ptp(shown)
    return (
        ReportPanel(
            "index of the singular value",
            "log₁₀ s of the Jacobian",
            (1 - edge, len(index) + edge),
            (shown.min() - room, shown.max() + room),
            x_ticks=_names_below([str(k) for k in index], index),
            faint=[(index, row) for row in logs],
            line=(index, middle),
            dots=(index, middle, [f"value {k}: 10^{each:.3g}" for k, each in zip(index, middle, strict=True)]),
            dashed=((1 - edge, len(index) + edge), (0, 0)),
        ),
    )


def _growth(layer: int, *, names, length, factor) -> tuple[ReportPanel, ...]:
    (length, _), (factor, at) = _numbers(length), _numbers(factor)
    depth, length = np.arange(len(length)), np.where(length > 0, length, np.nan)
    hover = [f"{name}: length {each:.4g}" for name, each in zip(names, length, strict=True)]
    edge = 0.06 * len(length)
    left = ReportPanel(
        "behind layer",
        "length ℓ of a line",
        (-edge, len(length) - 1 + edge),
        _log_range(length),
        log_y=True,
        x_ticks=_names_below(["in", *names[1:]], depth),
        line=(depth, length),
        dots=(depth, length, hover),
        dashed=(depth[[0, -1]], length[[0, 0]]),
    )
    drawn = {
        "line": (at, factor),
        "dots": (at, factor, [f"{name}: × {each:.4g}" for name, each in zip(names[1:], factor, strict=True)]),
        "dashed": ((0.4, len(at) + 0.6), (1, 1)),
    }
    high = 1.15 * max(1.0, np.nanmax(np.append(factor, 1.0)))
    return left, _by_layer(names[1:], at, "factor of a piece", (0, high), **drawn)


def _removable(layer: int, *, what, before, after, lossless) -> tuple[ReportPanel, ...]:
    n_rows = max(_FEW_ROWS, len(what))
    rows = np.arange(n_rows, dtype=np.float64)[::-1][: len(what)]
    texts = [
        f"<b>{name}</b>: {old:,} → {new:,}, {'nothing is lost' if kept else 'an approximation'}"
        if new < old
        else f"<b>{name}</b>: none"
        for name, old, new, kept in zip(what, before, after, lossless, strict=True)
    ]
    return (
        ReportPanel(
            "parameters",
            "",
            (0, 1.04 * max(before, default=1)),
            (-0.5, n_rows - 0.3),
            whole=[(0, old, y - 0.3, y + 0.1) for old, y in zip(before, rows, strict=True)],
            bars=[(0, new, y - 0.3, y + 0.1) for new, y in zip(after, rows, strict=True)],
            words=(np.zeros(len(what)), rows + 0.26, texts),
        ),
    )


_PANELS = {
    "wires": _wires,
    "reach": _reach,
    "spectra": _spectra,
    "jacobian": _jacobian,
    "growth": _growth,
    "removable": _removable,
}
#: the parts of a report, in the order of their tabs
REPORT_PARTS = tuple(_PANELS)


def _numbers(values: object) -> tuple[np.ndarray, np.ndarray]:
    """The values of layers as float64, and the layers' places from 1."""
    array = as_array("report_figure", "values", values, n_axes=1).astype(np.float64)
    return array, np.arange(1, len(array) + 1)


def _matrix(matrix: object, row_label: str, column_label: str) -> ReportPanel:
    if matrix is None:
        return ReportPanel(column_label, row_label, words=((0.5,), (0.5,), ["not a matrix that can be drawn"]))
    ink = as_matrix("report_figure", matrix) != 0
    n_in, n_out = ink.shape
    across, down = (_names_below([str(k) for k in range(n)], np.arange(n)) for n in (n_out, n_in))
    ranges = (-0.5, n_out - 0.5), (n_in - 0.5, -0.5)
    return ReportPanel(column_label, row_label, *ranges, x_ticks=across, y_ticks=down, matrix=ink)


def _by_layer(
    names: Sequence[str], at: np.ndarray, y_label: str, y_range: tuple[float, float] = _UNIT, **drawn: object
) -> ReportPanel:
    """A panel with one value a layer."""
    ticks = _names_below(names, at)
    return ReportPanel("layer", y_label, (0.4, len(at) + 0.6), y_range, x_ticks=ticks, **drawn)


def _names_below(names: Sequence[str], at: np.ndarray) -> tuple[Sequence[float], Sequence[str]] | None:
    """The names where there is room for them, numbers where these are few."""
    if len(at) > _NAMED + 1:
        return None
    has_room = sum(max(2, len(name)) for name in names) <= 3 * _LONGEST
    return at, list(names) if has_room else [str(k) for k in at]


def _columns(at: np.ndarray, heights: np.ndarray) -> list[tuple[float, ...]]:
    return [(k - _BAR, k + _BAR, 0.0, height) for k, height in zip(at, heights, strict=True)]


def _ring(at: np.ndarray, values: np.ndarray, layer: int) -> tuple[np.ndarray, np.ndarray]:
    return at[layer - 1 : layer], values[layer - 1 : layer]


def _largest_middle_smallest(values: np.ndarray) -> tuple[float, float, float]:
    some = values[np.isfinite(values)]
    return (some[0], float(np.median(some)), some[-1]) if some.size else (np.nan,) * 3


def _log_range(values: np.ndarray) -> tuple[float, float]:
    logs = np.log10(values[np.isfinite(values)])
    low, high = (float(logs.min()), float(logs.max())) if logs.size else (-1.0, 0.0)
    extra = max(_ROOM * (high - low), (0.6 - (high - low)) / 2)
    return low - extra, high + extra
