"""Matrices as pictures with axes, one or several side by side: the static twin of the notebook's canvas."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nbkit.errors import NbkitError
from nbkit.figures.arrays import as_matrix, encode_png, is_binary, png_address
from nbkit.figures.template import FAINT, MAGNITUDE, SIGNED, dress, palette

__all__ = ["add_colour_bar", "add_panel", "matrices_figure", "matrix_figure"]

_RULED, _RULE = 24, "#DAD5CA"  # rows and columns up to which thin lines part the entries, their colour
_GAP_PX = 85  # between rows of panels: tick labels, axis title, the next name
_SHARP_PX = 1000  # a browser blurs what it enlarges: entries are repeated to about this side length


def matrix_figure(
    matrix: object,
    *,
    title: str = "",
    row_label: str = "input node u",
    column_label: str = "output node v",
    value_label: str = "value",
    height: int | None = None,
) -> go.Figure:
    """One matrix (n_rows, n_columns), as `matrices_figure` draws it.

    Raises:
        NbkitError: not a finite matrix with entries.
    """
    labels = {"row_label": row_label, "column_label": column_label, "value_label": value_label}
    return matrices_figure({"": matrix}, title=title, height=height, **labels)


def matrices_figure(
    matrices: Mapping[str, object],
    *,
    title: str = "",
    row_label: str = "input node u",
    column_label: str = "output node v",
    value_label: str = "value",
    n_columns: int = 4,
    height: int | None = None,
) -> go.Figure:
    """Matrices side by side, entries square, every entry sharp.

    0/1 in ink on paper; otherwise all panels share one scale: cividis from 0 to the largest value, or, where
    anything is negative, blue-white-vermilion centred at 0. A uint8 matrix is a magnitude, even of 0 and 1 only.

    Args:
        matrices: name -> (n_rows, n_columns); the name stands above the panel.
        title: the finding.
        row_label, column_label: of the axes; rows run downwards.
        value_label: of the colour bar; a 0/1 picture has none.
        n_columns: panels a row.
        height: in px; default from the number of rows of panels.

    Raises:
        NbkitError: no matrix, or one that is not finite with two axes and entries.
    """
    if not matrices:
        raise NbkitError("matrices_figure: matrices must have at least one entry, got none. Pass {'name': matrix}.")
    arrays = [as_matrix("matrix_figure", matrix) for matrix in matrices.values()]
    scale, low, high = _colours(arrays)
    across = min(n_columns, len(arrays))
    down = -(-len(arrays) // across)
    drawn = down * _panel_px(arrays, across) + (down - 1) * _GAP_PX
    figure = make_subplots(
        rows=down,
        cols=across,
        subplot_titles=list(matrices),
        horizontal_spacing=0.3 / (across + 2),
        vertical_spacing=_GAP_PX / drawn,
    )
    for index, array in enumerate(arrays):
        cell = {"row": index // across + 1, "col": index % across + 1}
        add_panel(figure, array, scale, low, high, **cell)
        figure.update_xaxes(title_text=column_label if index + across >= len(arrays) else None, **cell)
        figure.update_yaxes(title_text=row_label if index % across == 0 else None, **cell)
    if scale != "ink":
        add_colour_bar(figure, scale, low, high, value_label)
    dress(figure, title, height=height or 130 + drawn)
    return figure.update_layout(margin_t=figure.layout.margin.t + (26 if any(matrices) else 0))


def _panel_px(arrays: list[np.ndarray], across: int) -> int:
    """Height of a panel that lets square entries fill a notebook's width."""
    tallest = max(array.shape[0] / array.shape[1] for array in arrays)
    return int(np.clip(600 / across * tallest, 90, 400))


def _colours(arrays: list[np.ndarray]) -> tuple[object, float, float]:
    """Colour scale and the values at its two ends, the same for all panels."""
    if all(is_binary(array) for array in arrays):
        return "ink", 0.0, 1.0
    high = max(float(np.abs(array.astype(np.float64)).max()) for array in arrays) or 1.0
    signed = any((array < 0).any() for array in arrays)
    return (SIGNED, -high, high) if signed else (MAGNITUDE, 0.0, high)


def add_panel(figure: go.Figure, array: np.ndarray, scale: object, low: float, high: float, **cell: int) -> None:
    """One matrix under the axes of a subplot.

    Args:
        figure: made by `make_subplots`; changed in place.
        array: (n_rows, n_columns), finite.
        scale: "ink" or a plotly colour scale, from `low` to `high`.
        cell: row and col of the subplot, from 1.
    """
    n_rows, n_columns = array.shape
    colours = palette(scale)
    levels = np.rint((array.astype(np.float64) - low) / (high - low) * (len(colours) - 1))
    frame = {"showgrid": False, "mirror": True, "showline": True, "linecolor": FAINT, "constrain": "domain"}
    if max(array.shape) <= _RULED:
        frame["minor"] = {"tick0": -0.5, "dtick": 1, "showgrid": True, "gridcolor": _RULE, "ticks": ""}
    figure.add_trace(go.Scatter(x=[], y=[], hoverinfo="skip"), **cell)  # an axis without a trace is not drawn
    subplot = figure.get_subplot(cell["row"], cell["col"])
    figure.add_layout_image(
        source=png_address(encode_png(levels, colours, at_least=_SHARP_PX)),
        xref=subplot.xaxis.plotly_name.replace("axis", ""),
        yref=subplot.yaxis.plotly_name.replace("axis", ""),
        x=-0.5,
        y=-0.5,
        sizex=n_columns,
        sizey=n_rows,
        sizing="stretch",
        layer="below",
    )
    figure.update_xaxes(range=[-0.5, n_columns - 0.5], **frame, **_whole_ticks(n_columns), **cell)
    anchor = subplot.xaxis.plotly_name.replace("axis", "") if _is_square_enough(array) else None
    figure.update_yaxes(
        range=[n_rows - 0.5, -0.5], scaleanchor=anchor, constraintoward="top", **frame, **_whole_ticks(n_rows), **cell
    )


def _is_square_enough(array: np.ndarray) -> bool:
    """Square entries, unless that would make a panel a thread."""
    return max(array.shape) <= 6 * min(array.shape)


def _whole_ticks(n: int) -> dict[str, object]:
    return {"tickmode": "linear", "tick0": 0, "dtick": 1} if n <= 9 else {"nticks": 6}


def add_colour_bar(figure: go.Figure, scale: object, low: float, high: float, label: str) -> None:
    """A colour bar for pictures, which have none of their own: it hangs on a trace without points."""
    marker = {
        "color": [low, high],
        "colorscale": scale,
        "cmin": low,
        "cmax": high,
        "showscale": True,
        "colorbar": {"title": {"text": label, "side": "right"}, "thickness": 12},
    }
    figure.add_trace(go.Scatter(x=[None, None], y=[None, None], mode="markers", marker=marker, hoverinfo="skip"))
