"""Stacks of small matrices as grids of tiles: frequency slices, kernels channel by channel (Figs. 5 and 6 of SAO)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from nbkit.errors import NbkitError
from nbkit.figures.arrays import as_array, encode_png, png_address
from nbkit.figures.template import CARD, INK, SIGNED, dress, palette

__all__ = ["Tiles", "tiles_figure", "tiles_layout", "tiles_traces"]

_PAIRS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")  # none that the signed map uses
_VOID = "#E6E1D6"  # what is masked for good, told apart from a 0 that may be trained
_SHARP_PX = 900
_LABELS = 0.1  # of the drawing area, left of every further panel, for what its axis says
_LEVELS = 200  # of the signed map; then the card, the void, ink, the pairs


@dataclass(frozen=True, eq=False)
class Tiles:
    """One panel: a grid of small matrices.

    Args:
        name: stands above.
        values: (n_rows, n_columns, height, width); NaN is masked. A bool array is a mask: ink where it keeps.
        row_label, column_label: of the grid's axes.
        marks: (n_rows, n_columns) integers: tiles with one number have one colour of frame, and the number above;
            -1 is a tile that is not there yet. None for no frames.
    """

    name: str
    values: object
    row_label: str = ""
    column_label: str = ""
    marks: object = None


def tiles_figure(panels: Sequence[Tiles | None], *, title: str = "", height: int = 460) -> go.Figure:
    """Grids of tiles side by side: signed values, blue below 0, white at 0, vermilion above, each panel on its own scale.

    One trace a panel: the numbers above its tiles.

    Args:
        panels: None is an empty place.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: values without four axes, or infinite; marks of another shape than the grid.
    """
    text = {"mode": "text", "hoverinfo": "skip", "textfont": {"size": 11}, "cliponaxis": False}
    axes = [{"xaxis": f"x{i or ''}", "yaxis": f"y{i or ''}"} for i in (0, *range(2, len(panels) + 1))]
    figure = go.Figure([go.Scatter(**text, **place) for place in axes])
    for trace, values in zip(figure.data, tiles_traces(panels), strict=True):
        trace.update(values)
    dress(figure, title, height=height, right=12)
    figure.update_layout(margin_t=figure.layout.margin.t + 26)
    for position, place in enumerate(axes):
        x, y = place["xaxis"], place["yaxis"]
        domain = [position / len(panels) + (_LABELS if position else 0), (position + 1) / len(panels) - 0.015]
        frame = {"showgrid": False, "ticks": "", "constrain": "domain", "showline": False}
        figure.layout[f"xaxis{x[1:]}"] = frame | {"domain": domain, "anchor": y, "range": [0, 1]}
        figure.layout[f"yaxis{y[1:]}"] = frame | {
            "anchor": x,
            "range": [1, 0],
            "scaleanchor": x,
            "constraintoward": "top",
        }
    return figure.update_layout(**tiles_layout(panels))


def tiles_traces(panels: Sequence[Tiles | None]) -> list[dict[str, object]]:
    """What the traces of `tiles_figure` hold; `trace.update(values)` on each moves an existing picture."""
    return [_numbers(panel) for panel in panels]


def tiles_layout(panels: Sequence[Tiles | None]) -> dict[str, object]:
    """Pictures, headings and what the axes of `tiles_figure` say, to move an existing picture.

    Assign images and annotations, and update the axes with the rest. The axes themselves stay, each panel has a side of 1: plotly keeps the old place of square axes that it moves.

    Raises:
        NbkitError: as `tiles_figure`.
    """
    layout: dict[str, object] = {"images": [], "annotations": []}
    for position, panel in enumerate(panels):
        number = str(position + 1) if position else ""
        nothing = {"tickvals": [], "ticktext": [], "title": {"text": ""}}
        layout[f"xaxis{number}"], layout[f"yaxis{number}"] = dict(nothing), dict(nothing)
        if panel is not None:
            _place(layout, panel, number)
    return layout


def _place(layout: dict[str, object], panel: Tiles, number: str) -> None:
    """The panel's picture and heading, and what its axes say."""
    values, _ = _checked(panel)
    levels, colours = _painted(panel)
    unit = 1 / max(levels.shape)
    sides = {"sizex": levels.shape[1] * unit, "sizey": levels.shape[0] * unit}
    corner = {"xref": f"x{number}", "yref": f"y{number}", "x": 0, "y": 0} | sides
    source = png_address(encode_png(levels, colours, at_least=_SHARP_PX))
    layout["images"].append(corner | {"source": source, "sizing": "stretch", "layer": "below"})
    above = {"xref": f"x{number} domain", "yref": f"y{number} domain", "x": 0, "y": 1, "yanchor": "bottom"}
    words = {"text": panel.name, "xanchor": "left", "showarrow": False, "font": {"size": 12, "color": INK}}
    layout["annotations"].append(above | words)
    steps = [size + part for size, part in zip(values.shape[2:], _gaps(panel), strict=True)]
    for axis, label, count, step in (
        (f"xaxis{number}", panel.column_label, values.shape[1], steps[1]),
        (f"yaxis{number}", panel.row_label, values.shape[0], steps[0]),
    ):
        told = np.arange(0, count, -(-count // 8))
        middle = ((told + 0.5) * step + (0.5 * _gaps(panel)[0] if axis[0] == "y" else 0)) * unit
        ticks = {"tickvals": middle, "ticktext": [str(at) for at in told] if count > 1 else [""]}
        layout[axis] = ticks | {"title": {"text": label, "standoff": 4}}


def _gaps(panel: Tiles) -> tuple[int, int]:
    """Empty entries above and beside every tile; framed ones have room for a number above, and their frame."""
    values, _ = _checked(panel)
    side = values.shape[2]
    return (2 + max(1, -(-3 * side // 10)), 3) if panel.marks is not None else (1, 1)


def _painted(panel: Tiles) -> tuple[np.ndarray, np.ndarray]:
    """The panel as an indexed picture: levels (height, width) and their colours."""
    values, marks = _checked(panel)
    (rows, columns, height, width), (above, beside) = values.shape, _gaps(panel)
    top = np.nanmax(np.abs(values)) if np.isfinite(values).any() else 0.0
    tiles = np.rint((np.nan_to_num(values) / (top or 1.0) + 1) / 2 * (_LEVELS - 1))
    tiles = np.where(np.isnan(values), _LEVELS + 1, tiles)
    if np.asarray(panel.values).dtype == bool:
        tiles = np.where(values > 0, _LEVELS + 2, _LEVELS + 1)
    levels = np.full((rows, height + above, columns, width + beside), _LEVELS, dtype=np.int64)
    cells = levels.transpose(0, 2, 1, 3)
    if marks is not None:
        frames = np.where(marks < 0, _LEVELS, _LEVELS + 3 + marks % len(_PAIRS))
        cells[:, :, above - 2 :, : width + 2] = frames[:, :, None, None]
        tiles = np.where(marks[:, :, None, None] < 0, _LEVELS, tiles)
        cells[:, :, above - 1 : above - 1 + height, 1 : width + 1] = tiles
    else:
        cells[:, :, above:, :width] = tiles
    signed = palette(SIGNED, _LEVELS)
    special = np.array([tuple(bytes.fromhex(colour[1:])) for colour in (CARD, _VOID, INK, *_PAIRS)], dtype=np.uint8)
    return levels.reshape(rows * (height + above), columns * (width + beside)), np.concatenate([signed, special])


def _numbers(panel: Tiles | None) -> dict[str, object]:
    """The mark of every framed tile, centred above it."""
    if panel is None or panel.marks is None:
        return {"x": np.empty(0), "y": np.empty(0), "text": []}
    values, marks = _checked(panel)
    above, beside = _gaps(panel)
    row, column = np.nonzero(marks >= 0)
    heights, widths = values.shape[2] + above, values.shape[3] + beside
    side = max(values.shape[0] * heights, values.shape[1] * widths)
    x, y = column * widths + values.shape[3] / 2 + 1, row * heights + (above - 2) / 2
    return {"x": x / side, "y": y / side, "text": [str(mark + 1) for mark in marks[row, column]]}


def _checked(panel: Tiles) -> tuple[np.ndarray, np.ndarray | None]:
    who = f"tiles_figure (panel {panel.name!r})"
    values = as_array(who, "values", panel.values, n_axes=4).astype(np.float64)
    if not values.size or np.isinf(values).any():
        raise NbkitError(f"{who}: values must be there and not infinite, got shape {values.shape}. NaN masks an entry.")
    marks = None if panel.marks is None else as_array(who, "marks", panel.marks, n_axes=2)
    if marks is not None and marks.shape != values.shape[:2]:
        raise NbkitError(f"{who}: marks must have the grid's shape {values.shape[:2]}, got {marks.shape}. Mark each.")
    return values, marks
