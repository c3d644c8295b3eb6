"""Spectra of several families under one another: equal values are a needle with its count, zeros have a place."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go

from nbkit.errors import NbkitError
from nbkit.figures.arrays import as_array
from nbkit.figures.template import FAINT, dress, family_colour, translucent

__all__ = ["Spectrum", "spectra_axis", "spectra_figure", "spectra_range", "spectra_traces"]

_FLOOR = -20.0  # log10 of what still has a place of its own on a logarithmic axis
_EQUAL = 4e-7  # in log10: values within 1e-6 of their neighbour are one
_N_BINS = 40
_FULL = 0.82  # of a row: the height of a needle of all values
_SLOTS = {"zero": 0.015, "smaller": 0.115, "edge": 0.21}  # of a logarithmic axis, from its left end
_NAMED = 0.05  # of a row's values: fewer equal ones are a needle without a count
_ROW_PX = 46
_WORDS, _WORDS_GAP = 0.12, 0.16  # "1 × 256" in parts of the axis, and its distance from bars below in parts of a row


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One row of `spectra_figure`.

    Args:
        name: stands left of the row.
        values: (n,) singular values in any order; those below n eps times the largest are rounding, and count as exactly
            0. Empty is allowed: the spectrum is not there yet.
        family: whose colour it has, a key of `FAMILY_COLOURS`.
        log10: the values are decimal logarithms; only -inf is exactly 0.
        note: written at the row's right end, such as why it is empty.
    """

    name: str
    values: object
    family: str = "radix"
    log10: bool = field(default=False, kw_only=True)
    note: str = field(default="", kw_only=True)


def spectra_figure(
    rows: Sequence[Spectrum],
    *,
    log: bool = False,
    title: str = "",
    value_label: str = "singular value s",
    height: int | None = None,
) -> go.Figure:
    """How the values of each spectrum are distributed, row by row over one axis.

    Values that are equal are a needle, "1 × 256" says value and multiplicity; the others are a histogram. Exact zeros
    are never blurred into small values: a logarithmic axis has places at its left end for them and for values below
    1e-20. Heights grow with the square root of a count, so that a few values are seen beside many. For n rows 2 n + 2
    traces: the areas, their lines with the needles, the words, the edge of the places.

    Args:
        rows: from top to bottom.
        log: a logarithmic axis of values.
        title: the finding.
        value_label: of the axis of values.
        height: in px; default from the number of rows.

    Raises:
        NbkitError: no row, values that are negative or not finite, an unknown family.
    """
    traces = spectra_traces(rows, log=log)
    colours = [family_colour("spectra_figure", row.family) for row in rows]
    areas = [
        go.Scatter(
            name=f"{row.name} area",
            mode="lines",
            fill="toself",
            fillcolor=translucent(colour, 0.35),
            line={"width": 0},
            hoverinfo="skip",
        )
        for row, colour in zip(rows, colours, strict=True)
    ]
    lines = [
        go.Scatter(name=row.name, mode="lines", line={"color": colour, "width": 2}, hoverinfo="skip")
        for row, colour in zip(rows, colours, strict=True)
    ]
    words = go.Scatter(name="words", mode="text", cliponaxis=False, hoverinfo="skip")
    edge = go.Scatter(name="edge", mode="lines", line={"color": FAINT, "dash": "dot", "width": 1}, hoverinfo="skip")
    figure = go.Figure([*areas, *lines, words, edge])
    for trace, values in zip(figure.data, traces, strict=True):
        trace.update(values)
    dress(figure, title, height=height or 120 + _ROW_PX * len(rows), right=66, hovermode=False)
    low, high = spectra_range(rows, log=log)
    figure.update_xaxes(title_text=f"{value_label} (log)" if log else value_label, **spectra_axis((low, high), log=log))
    figure.update_xaxes(tickangle=0, range=[math.log10(low), math.log10(high)] if log else [low, high])
    names = [f'<span style="color:{colour}">{row.name}</span>' for row, colour in zip(rows, colours, strict=True)]
    places = list(range(len(rows)))[::-1]
    figure.update_yaxes(tickvals=places, ticktext=names, range=[-0.12, len(rows)], showgrid=False, ticks="")
    return figure.update_yaxes(title_text="number of values (√)")


def spectra_range(rows: Sequence[Spectrum], *, log: bool = False) -> tuple[float, float]:
    """The ends of the axis of values, in data units, that show all rows and the places for zeros."""
    logs = np.concatenate([_logs(row) for row in rows]) if rows else np.empty(0)
    logs = logs[np.isfinite(logs)]
    if not log:
        return -0.04, 1.08 * max(1.0, float(10.0 ** logs.max()) if logs.size else 1.0)
    low, high = (float(logs.min()), float(logs.max())) if logs.size else (0.0, 0.0)
    low, high = min(-1.0, max(low, _FLOOR)), max(0.0, high)
    room = (high - low) / (1 - _SLOTS["edge"] - 0.06)
    return 10.0 ** (high + 0.04 * room - room), 10.0 ** (high + 0.04 * room)


def spectra_axis(x_range: tuple[float, float], *, log: bool = False) -> dict[str, object]:
    """The ticks of the axis of values where it shows that range, for `update_xaxes`: the places have names, not values."""
    if not log:
        return {"type": "linear"}
    place, high = _places(x_range, log=True), math.log10(x_range[1])
    step = max(1, math.ceil((high - place["edge"]) / 7))
    step += step in (4, 7)  # decades that one counts in: 1, 2, 3, 5, 6
    decades = [decade for decade in range(-60, 9, 1) if decade % step == 0 and place["edge"] < decade < high]
    words = ["1" if decade == 0 else f"10<sup>{decade}</sup>".replace("-", "−") for decade in decades]
    values = [place["zero"], place["smaller"], *decades]
    return {"type": "log", "tickvals": [10.0**x for x in values], "ticktext": ["0", "small", *words]}


def spectra_traces(
    rows: Sequence[Spectrum], *, log: bool = False, x_range: tuple[float, float] | None = None
) -> list[dict[str, object]]:
    """What the traces of `spectra_figure` hold; `trace.update(values)` on each moves an existing picture.

    Args:
        rows, log: as `spectra_figure`.
        x_range: what the axis of values shows, where it is fixed; default `spectra_range`.

    Raises:
        NbkitError: as `spectra_figure`.
    """
    if not rows:
        raise NbkitError("spectra_figure: rows must have at least one Spectrum, got none. Pass an empty one for later.")
    shown = spectra_range(rows, log=log) if x_range is None else x_range
    low, high = np.log10(shown) if log else shown
    place = _places(shown, log=log)
    back = (lambda x: 10.0 ** np.asarray(x, dtype=np.float64)) if log else np.asarray
    edges = np.linspace(place["edge"] if log else 0.0, high, _N_BINS + 1)
    areas, lines, words = [], [], []
    for base, row in zip(range(len(rows))[::-1], rows, strict=True):
        needles, others = _needles_and_others(_logs(row), place if log else None)
        n = max(1, len(_logs(row)))
        x = np.repeat(edges, 2)
        y = base + _FULL * np.sqrt(np.pad(np.repeat(np.histogram(others, edges)[0], 2), 1) / n)
        areas.append({"x": back(x), "y": y} if len(others) else {"x": np.empty(0), "y": np.empty(0)})
        tops = [base + _FULL * math.sqrt(count / n) for _, _, count in needles]
        nail_x = [part for at, _, _ in needles for part in (math.nan, at, at)]
        nail_y = [part for top in tops for part in (math.nan, base, top)]
        lines.append({"x": back([*x, *nail_x]), "y": np.array([*y, *nail_y])})
        colour = family_colour(f"spectra_figure (spectrum {row.name!r})", row.family)
        words += [
            (
                at,
                base + _height_of_words(at, top - base, (x, y - base), _WORDS * (high - low)),
                f" {told} × {count}".replace("small", ""),
                colour,
            )
            for (at, told, count), top in zip(needles, tops, strict=True)
            if count >= _NAMED * n or told in ("0", "small")
        ]
        words += [(high, base + 0.36, row.note, colour)] if row.note else []
    x, y, text, colours = zip(*words, strict=True) if words else ((), (), (), ())
    sides = ["middle left" if at == high else "middle right" for at in x]
    named = {"x": back(x), "y": np.array(y), "text": list(text), "textposition": sides}
    named["textfont"] = {"color": list(colours), "size": 11.5}
    edge = {"x": back([place["edge"]] * 2), "y": np.array([-0.12, len(rows)])} if log else {"x": (), "y": ()}
    return [*areas, *lines, named, edge]


def _height_of_words(at: float, top: float, bars: tuple[np.ndarray, np.ndarray], reach: float) -> float:
    """Where the words right of a needle stand in their row: at its head, or above the bars that they would cover."""
    x, y = bars
    covered = y[(x >= at) & (x <= at + reach)]
    return float(np.clip(max(top, covered.max(initial=0.0) + _WORDS_GAP), 0.45, 0.9 if covered.any() else 0.6))


def _logs(row: Spectrum) -> np.ndarray:
    """The decimal logarithms of a row's values, -inf for exact zeros."""
    who = f"spectra_figure (spectrum {row.name!r})"
    values = as_array(who, "values", row.values, n_axes=1).astype(np.float64)
    if np.isnan(values).any() or np.isposinf(values).any() or not (row.log10 or (values >= 0).all()):
        rule = "numbers or -inf" if row.log10 else "finite and at least 0"
        raise NbkitError(f"{who}: values must be {rule}, got others. Pass singular values, or their log10.")
    if row.log10 or not values.size:
        return values
    zero = values <= values.size * np.finfo(np.float64).eps * values.max()
    return np.log10(values, where=~zero, out=np.full(values.size, -np.inf))


def _needles_and_others(
    logs: np.ndarray, place: dict[str, float] | None
) -> tuple[list[tuple[float, str, int]], np.ndarray]:
    """Equal values as (where on the axis, the value in words, how many), and all others, in units of the axis.

    With the places of a logarithmic axis the units are decades.
    """
    zero, small = np.isneginf(logs), np.zeros(len(logs), dtype=bool)
    needles = [(place["zero"] if place else 0.0, "0", int(zero.sum()))]
    if place:
        small = (logs < _FLOOR) & ~zero
        needles.append((place["smaller"], "small", int(small.sum())))
    ordered = np.sort(logs[~zero & ~small])
    groups = np.split(ordered, np.flatnonzero(np.diff(ordered) > _EQUAL) + 1)
    for group in groups:
        if len(group) > 1:
            middle = float(group.mean())
            needles.append((middle if place else 10.0**middle, f"{10.0**middle:.3g}", len(group)))
    others = np.array([group[0] for group in groups if len(group) == 1])
    return [needle for needle in needles if needle[2]], others if place else 10.0**others


def _places(x_range: tuple[float, float], *, log: bool) -> dict[str, float]:
    """Where the places of a logarithmic axis are, and where its values begin, in units of the axis."""
    low, high = np.log10(x_range) if log else x_range
    return {name: float(low + share * (high - low)) for name, share in _SLOTS.items()}
