"""A radial network that shrinks: its columns of nodes, and below them the matrices whose blocks empty (the paper's Fig. 4)."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import plotly.graph_objects as go

from nbkit.errors import NbkitError, check_integers
from nbkit.figures.arrays import as_matrix, encode_png, png_address
from nbkit.figures.template import CARD, FAINT, FAMILY_COLOURS, INK, SIGNED, dress, palette, translucent

__all__ = ["BARE", "compression_figure", "compression_layout", "compression_traces", "matrix_row", "matrix_text"]

#: an axis whose numbers say nothing
BARE = {"showgrid": False, "showticklabels": False, "ticks": "", "showline": False, "fixedrange": True}

_MARKS = 16  # marks a column of nodes: of a wider layer each stands for several
_LEVELS = 120  # of the signed map, and as many washed out; then the blank
_ZERO = 1e-9  # of a matrix's largest entry: below it an entry is rounding, and blank
_SHARP_PX = 240
_WIDEST = 0.86  # of the way between two columns, a matrix
_ROWS = (0.54, 1), (0.26, 0.51), (0, 0.23)  # of the drawing area's height: nodes, turned matrices, what is kept
_COLOUR = FAMILY_COLOURS["radial"]


def compression_figure(
    widths: Sequence[int],
    kept: Sequence[int],
    matrices: Sequence[object],
    *,
    title: str = "",
    height: int = 680,
) -> go.Figure:
    """Columns of nodes, what is left of each layer lit; under every gap the matrix [b W] that stands there.

    Sizes are drawn by their square roots, so that narrow layers can be seen beside wide ones. In a matrix the frame is
    what is kept, drawn larger underneath; entries right of it multiply zeros and are pale, zeros are blank. Blue is
    below 0 and vermilion above, shades go by square roots, each matrix on its own scale. Of a layer of more than 16
    nodes 16 are drawn.

    Args:
        widths: nodes of each layer as given, input first, at least two.
        kept: nodes of each layer that are left, none above `widths`.
        matrices: one (n_out, 1 + n_in) a layer in the given widths, the bias first.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: widths or matrices that do not fit together.

    Source:
        Radial networks, Fig. 4.
    """
    text = {"mode": "text", "hoverinfo": "skip", "cliponaxis": False, "textfont": {"size": 12, "color": INK}}
    names = {"turned": "y2", "kept": "y3"}
    figure = go.Figure(
        [
            go.Scatter(name="wires", mode="lines", hoverinfo="skip", line={"color": translucent(_COLOUR, 0.45)}),
            go.Scatter(name="taken away", mode="lines", hoverinfo="skip", line={"color": FAINT, "width": 3}),
            go.Scatter(name="nodes", mode="markers", hoverinfo="skip", marker={"color": _COLOUR}),
            go.Scatter(name="widths", textposition="middle center", **text),
            *(go.Scatter(name=name, textposition="bottom center", yaxis=axis, **text) for name, axis in names.items()),
        ]
    )
    for trace, values in zip(figure.data, compression_traces(widths, kept), strict=True):
        trace.update(values)
    dress(figure, title, height=height, hovermode=False)
    titles, lows = ("nodes", "[b W], turned", "what is kept"), (-0.2, -0.2, -0.22)
    for number, (title, low, domain) in enumerate(zip(titles, lows, _ROWS, strict=True), start=1):
        axis = BARE | {"domain": domain, "range": [low, 1.04], "title": {"text": title}, "anchor": "x"}
        figure.layout[f"yaxis{'' if number == 1 else number}"] = axis
    figure.layout.xaxis = {
        "showgrid": False,
        "ticks": "",
        "anchor": "y3",
        "title": {"text": "layer i"},
        "fixedrange": True,
    }
    return figure.update_layout(**compression_layout(widths, kept, matrices))


def compression_traces(widths: Sequence[int], kept: Sequence[int]) -> list[dict[str, object]]:
    """What the six traces of `compression_figure` hold: wires, what was taken away, nodes, widths, sizes of the matrices.

    Raises:
        NbkitError: as `compression_figure`.
    """
    widths, kept = _checked(widths, kept)
    heights = [_column(n, max(widths)) for n in kept]
    pairs = [np.stack(np.meshgrid(left, right), axis=-1).reshape(-1, 2) for left, right in zip(heights, heights[1:])]
    layers = [layer for layer, column in enumerate(pairs) for _ in column]
    ends = np.concatenate(pairs)
    gone = [layer for layer, (n, k) in enumerate(zip(widths, kept, strict=True)) if k < n]
    halves = np.sqrt(np.array(widths) / max(widths))[gone] / 2
    return [
        _segments(np.array([layers, np.add(layers, 1)]), ends.T) | {"line": {"width": 1.2 if len(ends) < 300 else 0.6}},
        _segments(np.array([gone, gone]), np.array([0.5 - halves, 0.5 + halves])),
        {
            "x": np.repeat(np.arange(len(widths)), [len(column) for column in heights]),
            "y": np.concatenate(heights),
            "marker": {"size": 9 if max(map(len, heights)) <= 8 else 7},
        },
        {
            "x": np.arange(len(widths)),
            "y": np.full(len(widths), -0.13),
            "text": [f"{n:,}" if n == k else f"{n:,} → <b>{k}</b>" for n, k in zip(widths, kept, strict=True)],
        },
        matrix_text(widths),
        matrix_text(kept),
    ]


def compression_layout(widths: Sequence[int], kept: Sequence[int], matrices: Sequence[object]) -> dict[str, object]:
    """Matrices, frames and the x axis of `compression_figure`, by their keys in a figure's layout.

    Raises:
        NbkitError: as `compression_figure`.
    """
    widths, kept = _checked(widths, kept)
    shapes = [(n_out, n_in + 1) for n_in, n_out in zip(widths, widths[1:])]
    if [np.shape(matrix) for matrix in matrices] != shapes:
        raise NbkitError(
            f"compression_figure: matrices must be (n_out, 1 + n_in) for widths {widths}, got "
            f"{[np.shape(matrix) for matrix in matrices]}. Put the bias before the weights."
        )
    blocks = [(n_out, n_in + 1) for n_in, n_out in zip(kept, kept[1:])]
    axis = {"range": [-0.45, len(widths) - 0.55], "tickvals": list(range(len(widths)))}
    cut = [np.asarray(matrix)[:rows, :columns] for matrix, (rows, columns) in zip(matrices, blocks, strict=True)]
    above = matrix_row(matrices, blocks, largest=max(map(max, shapes)), axes=("x", "y2"))
    below = matrix_row(cut, blocks, largest=max(map(max, blocks)), axes=("x", "y3"))
    return {key: above[key] + below[key] for key in above} | {"xaxis": axis}


def matrix_text(widths: Sequence[int]) -> dict[str, object]:
    """What a trace of text holds that says rows and columns under each [b W] of a `matrix_row`."""
    text = [f"{n_out:,} × {n_in + 1:,}" for n_in, n_out in zip(widths, widths[1:])]
    return {"x": np.arange(len(text)) + 0.5, "y": np.full(len(text), -0.02), "text": text}


def matrix_row(
    matrices: Sequence[object], blocks: Sequence[tuple[int, int]], *, largest: int, axes: tuple[str, str]
) -> dict[str, list]:
    """Pictures and frames of matrices side by side, number i about x = i + 1/2 and hanging down from y = 1.

    Args:
        matrices: finite, each on its own scale.
        blocks: (rows, columns) of the frame in the upper left corner of each; right of it entries are pale.
        largest: rows or columns that fill the height; sides go by square roots.
        axes: of the figure, such as ("x", "y2").

    Returns:
        {"images": [...], "shapes": [...]} for a figure's layout.
    """
    images, shapes = [], []
    for number, (matrix, block) in enumerate(zip(matrices, blocks, strict=True)):
        matrix = as_matrix("matrix_row", matrix)
        tall, wide = np.sqrt(np.array(matrix.shape) / largest) * (1, _WIDEST)
        left = number + 0.5 - wide / 2
        place = {"xref": axes[0], "yref": axes[1]}
        corner = {"x": left, "y": 1, "sizex": wide, "sizey": tall, "sizing": "stretch", "layer": "below"}
        images.append(place | corner | {"source": png_address(_painted(matrix, block))})
        for (rows, columns), line in (
            (matrix.shape, {"color": FAINT, "width": 1}),
            (block, {"color": INK, "width": 2}),
        ):
            down, right = tall * rows / matrix.shape[0], wide * columns / matrix.shape[1]
            sides = {"x0": left, "x1": left + right, "y0": 1, "y1": 1 - down}
            shapes.append(place | sides | {"type": "rect", "line": line})
    return {"images": images, "shapes": shapes}


@lru_cache(maxsize=1)
def _colours() -> np.ndarray:
    """The signed map, the same washed out, and the blank."""
    signed, card = palette(SIGNED, _LEVELS).astype(np.float64), np.array([[*bytes.fromhex(CARD[1:])]])
    return np.concatenate([signed, 0.65 * card + 0.35 * signed, card]).round().astype(np.uint8)


def _painted(matrix: np.ndarray, block: tuple[int, int]) -> bytes:
    values = matrix.astype(np.float64)
    top = np.abs(values).max() or 1.0
    shades = np.sign(values) * np.sqrt(np.abs(values) / top)  # beside the few entries that QR leaves, others are small
    levels = np.rint((shades + 1) / 2 * (_LEVELS - 1))
    levels[:, block[1] :] += _LEVELS
    levels[np.abs(values) <= _ZERO * top] = 2 * _LEVELS
    return encode_png(levels, _colours(), at_least=_SHARP_PX)


def _checked(widths: Sequence[int], kept: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    widths = check_integers("compression_figure", "widths", widths, at_least=1, minimum_length=2)
    kept = check_integers("compression_figure", "kept", kept, at_least=1)
    if len(kept) != len(widths) or any(k > n for k, n in zip(kept, widths, strict=True)):
        raise NbkitError(
            f"compression_figure: kept must be at most {widths}, layer by layer, got {kept}. Use the reduced widths."
        )
    return widths, kept


def _column(n: int, widest: int) -> np.ndarray:
    """Heights of a layer's marks, the first at the top, about 1/2."""
    half, marks = np.sqrt(n / widest) / 2, min(n, _MARKS)
    return 0.5 + half * np.linspace(1, -1, marks) if marks > 1 else np.array([0.5])


def _segments(xs: np.ndarray, ys: np.ndarray) -> dict[str, np.ndarray]:
    """Lines from the first row's points to the second's, NaN between two."""
    gap = np.full((1, xs.shape[1]), np.nan)
    return {name: np.concatenate([part, gap]).T.ravel() for name, part in (("x", xs), ("y", ys))}
