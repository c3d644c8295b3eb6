"""The SAO paper's own pictures: the pipeline of pruning beside SAO's, and an orthogonal sparse matrix in the making."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from nbkit.errors import NbkitError
from nbkit.figures.arrays import as_array, as_matrix, encode_png, png_address
from nbkit.figures.template import CARD, FAINT, FAMILY_COLOURS, INK, SIGNED, dress, palette

__all__ = ["construction_figure", "construction_layout", "construction_steps", "pipeline_figure"]

_ROUTES = {
    "dense, then -T": ("pruned", ("orthogonal birth", "train", "prune", "train again")),
    "dense, then -S": ("pruned", ("orthogonal birth", "prune", "", "train")),
    "SAO": ("sao", ("sparse wires", "orthogonal<br>on them", "", "train")),
}
_FATES = ("isometry lost when pruned", "isometry lost when pruned", "isometric at the start")
_BOX_W, _BOX_H = 0.82, 0.56
_ACROSS, _DOWN, _TITLE = 3, 2, 0.1  # panels of a construction, and the part of each row for its heading
_SHARP_PX = 240


def pipeline_figure(*, title: str = "", height: int = 330) -> go.Figure:
    """Three ways to a sparse network as boxes and arrows: prune after training (-T), at birth (-S), or SAO.

    Source:
        Esguerra et al. 2023, Fig. 1, which draws the first; the others as its section III-E tells them.
    """
    figure = go.Figure()
    for row, (name, (family, stages)) in enumerate(_ROUTES.items()):
        colour, y = FAMILY_COLOURS[family], -row
        figure.add_annotation(x=-0.62, y=y, text=f"<b>{name}</b>", xanchor="right", showarrow=False, font_color=colour)
        figure.add_annotation(
            x=len(stages) - 0.42, y=y, text=_FATES[row], xanchor="left", showarrow=False, font_color=colour
        )
        there = [x for x, stage in enumerate(stages) if stage]
        for x, after in zip(there, [*there[1:], None]):
            _box(figure, x, y, stages[x], colour)
            if after is not None:
                figure.add_annotation(
                    x=after - _BOX_W / 2, y=y, ax=x + _BOX_W / 2, ay=y, axref="x", ayref="y", text="", arrowhead=2,
                    arrowwidth=1.6, arrowcolor=INK,
                )  # fmt: skip
    figure.add_trace(go.Scatter(x=[], y=[], hoverinfo="skip"))  # axes without a trace are not drawn
    dress(figure, title, height=height, right=16, hovermode=False)
    figure.update_xaxes(visible=False, range=[-1.9, 5.6], fixedrange=True)
    return figure.update_yaxes(visible=False, range=[0.55 - len(_ROUTES), 0.5], fixedrange=True).update_layout(
        margin={"l": 8, "b": 10}
    )


def _box(figure: go.Figure, x: float, y: float, text: str, colour: str) -> None:
    sides = {"x0": x - _BOX_W / 2, "x1": x + _BOX_W / 2, "y0": y - _BOX_H / 2, "y1": y + _BOX_H / 2}
    figure.add_shape(type="rect", **sides, line={"color": colour, "width": 1.6}, fillcolor=CARD)
    figure.add_annotation(
        x=x, y=y, text=text.replace(" ", "<br>", 1) if "<" not in text else text, showarrow=False, font_size=12
    )


def construction_steps(mask: object, weights: object, inputs: object, outputs: object) -> dict[str, np.ndarray]:
    """The matrices of the paper's Fig. 4, by their headings, and two more that show what was made.

    Args:
        mask: (n_out, n_in) of 0 and 1, a union of complete blocks made by `biregular`.
        weights: (n_out, n_in), 0 wherever the mask is.
        inputs, outputs: (n_blocks, d) and (n_blocks, c), the nodes of each block.

    Returns:
        Six matrices, masks as bool: M_1; M, its copies; the blocks beside one another; S; S with the nodes of each
        block put together; and S S^T or S^T S, whichever is the identity.

    Raises:
        NbkitError: arrays of another number of axes, or without entries.
    """
    who = "construction_steps"
    mask, weights = as_matrix(who, mask) != 0, as_matrix(who, weights)
    inputs, outputs = (as_array(who, name, x, n_axes=2) for name, x in (("inputs", inputs), ("outputs", outputs)))
    n_out, n_in = mask.shape
    b, d, c = len(inputs), inputs.shape[1], outputs.shape[1]
    tall = n_out >= n_in
    first, copies = (mask[:, :b], d) if tall else (mask[:b], c)
    ones, line = (c, "column") if tall else (d, "row")
    orderly = weights[outputs.ravel()][:, inputs.ravel()]
    product = weights.T @ weights if tall else weights @ weights.T
    return {
        f"1. M₁: {ones} one{'s' * (ones > 1)} a {line}": first,
        f"2. M: {copies} cop{'ies' if copies > 1 else 'y'} of M₁": mask,
        f"3. {b} block{'s' * (b > 1)} of {c} × {d}": _beside(weights[outputs[:, :, None], inputs[:, None, :]]),
        "4. S: the blocks on M": weights,
        "5. S, its nodes sorted": orderly,
        "6. SᵀS = I" if tall else "6. SSᵀ = I": product.round(12),
    }


def _beside(blocks: np.ndarray) -> np.ndarray:
    """Blocks (b, c, d) in a nearly square grid with a row or column of zeros between them."""
    b, c, d = blocks.shape
    across = max(1, round(np.sqrt(b * (c + 1) / (d + 1))))
    down = -(-b // across)
    sheet = np.zeros((down * across, c + 1, d + 1))
    sheet[:b, :c, :d] = blocks
    sheet = sheet.reshape(down, across, c + 1, d + 1).transpose(0, 2, 1, 3)
    return sheet.reshape(down * (c + 1), across * (d + 1))[:-1, :-1]


def construction_figure(
    steps: Mapping[str, object], *, n_shown: int | None = None, title: str = "", height: int = 560
) -> go.Figure:
    """Matrices in the making, up to six panels: 0/1 in ink, the others signed on one scale.

    Args:
        steps: heading -> matrix, as `construction_steps` returns them.
        n_shown: panels after the first so many are left empty; default all.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: no step or more than six, or an entry that is not a finite matrix.

    Source:
        Esguerra et al. 2023, Fig. 4.
    """
    figure = go.Figure()
    for number in range(1, _ACROSS * _DOWN + 1):  # an axis without a trace is not drawn
        tail = "" if number == 1 else number
        figure.add_trace(go.Scatter(x=(), y=(), hoverinfo="skip", xaxis=f"x{tail}", yaxis=f"y{tail}"))
    dress(figure, title, height=height, right=16, hovermode=False, margin_l=16, margin_b=12)
    return figure.update_layout(**construction_layout(steps, n_shown=n_shown))


def construction_layout(steps: Mapping[str, object], *, n_shown: int | None = None) -> dict[str, object]:
    """Panels, headings and axes of `construction_figure`, by their keys in a figure's layout.

    To move an existing picture, assign the entries that have changed.

    Raises:
        NbkitError: as `construction_figure`.
    """
    if not 1 <= len(steps) <= _ACROSS * _DOWN:
        raise NbkitError(
            f"construction_figure: steps must be 1 to {_ACROSS * _DOWN} matrices, got {len(steps)}. "
            "Pass what construction_steps returns."
        )
    matrices = {name: as_matrix("construction_figure", matrix) for name, matrix in steps.items()}
    largest = max(float(np.abs(matrix.astype(np.float64)).max()) for matrix in matrices.values()) or 1.0
    layout: dict[str, object] = {"images": [], "annotations": [], "shapes": []}
    for number in range(1, _ACROSS * _DOWN + 1):
        column, row = (number - 1) % _ACROSS, (number - 1) // _ACROSS
        x, y = column / _ACROSS, 1 - row / _DOWN
        axes = "" if number == 1 else number
        hidden = {"visible": False, "fixedrange": True}
        layout[f"xaxis{axes}"] = {**hidden, "domain": (x + 0.01, x + 1 / _ACROSS - 0.01), "anchor": f"y{axes}"}
        layout[f"xaxis{axes}"] |= {"constrain": "domain", "constraintoward": "left"}
        layout[f"yaxis{axes}"] = {**hidden, "domain": (y - 1 / _DOWN + 0.01, y - _TITLE), "anchor": f"x{axes}"}
        layout[f"yaxis{axes}"] |= {"scaleanchor": f"x{axes}", "constrain": "domain", "constraintoward": "top"}
        if number > len(matrices):
            continue
        name, matrix = list(matrices.items())[number - 1]
        side = max(matrix.shape)  # both axes as long: entries are as good as square
        layout[f"xaxis{axes}"]["range"], layout[f"yaxis{axes}"]["range"] = (-0.5, side + 0.5), (side + 0.5, -0.5)
        is_shown = n_shown is None or number <= n_shown
        where = {"xref": "paper", "yref": "paper", "x": x + 0.015, "y": y - _TITLE, "xanchor": "left"}
        colour = INK if is_shown else FAINT
        layout["annotations"].append(
            {**where, "yanchor": "bottom", "text": name, "showarrow": False, "font": {"size": 12, "color": colour}}
        )
        corners = {"x0": 0, "y0": 0, "x1": matrix.shape[1], "y1": matrix.shape[0]}
        frame = {"type": "rect", "xref": f"x{axes}", "yref": f"y{axes}", "line": {"color": FAINT, "width": 1}}
        layout["shapes"].append({**frame, **corners})
        if is_shown:
            corner = {"x": 0, "y": 0, "sizex": matrix.shape[1], "sizey": matrix.shape[0], "layer": "below"}
            source = png_address(_coloured(matrix, largest))
            layout["images"].append(
                {**corner, "xref": f"x{axes}", "yref": f"y{axes}", "source": source, "sizing": "stretch"}
            )
    return layout


def _coloured(matrix: np.ndarray, largest: float) -> bytes:
    """Ink on paper for a mask, blue to vermilion for numbers, white at 0."""
    if matrix.dtype == bool:
        return encode_png(matrix, palette("ink"), at_least=_SHARP_PX)
    colours = palette(SIGNED, 255)
    levels = np.rint((matrix / largest + 1) / 2 * (len(colours) - 1))
    return encode_png(levels, colours, at_least=_SHARP_PX)
