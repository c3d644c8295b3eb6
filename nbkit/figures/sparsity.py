"""What QR does to a sparse radial network: its weights against density, and the matrices before and after."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from nbkit.errors import NbkitError
from nbkit.figures.compress import BARE, matrix_row, matrix_text
from nbkit.figures.curves import Curve, curve_traces, curves_figure
from nbkit.figures.template import INK

__all__ = ["sparsity_figure", "sparsity_layout", "sparsity_traces"]

_ROWS = (0.55, 1), (0.22, 0.44), (0, 0.18)  # of the drawing area's height: curves, sparse matrices, compressed ones


def sparsity_figure(
    curves: Sequence[Curve],
    before: Sequence[object] = (),
    after: Sequence[object] = (),
    *,
    title: str = "",
    height: int = 660,
) -> go.Figure:
    """Curves of counts against density on log axes; below them the sparse matrices, and what QR makes of them.

    Sides go by square roots, shades too, zeros are blank; each matrix has its own scale.

    Args:
        curves: counts against density, all above 0; the traces of `curves_figure`, then two of text.
        before, after: one [b W] (n_out, 1 + n_in) a layer, the bias first, as many of each; none leaves the place empty.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: as `curves_figure`, or another number of matrices after than before.
    """
    labels = {"x_label": "density of the sparse network", "y_label": "weights ≠ 0"}
    figure = curves_figure(curves, **labels, log_x=True, log_y=True, title=title, height=height)
    text = {"mode": "text", "hoverinfo": "skip", "cliponaxis": False, "textposition": "bottom center", "xaxis": "x2"}
    for name, axis in (("before", "y2"), ("after", "y3")):
        figure.add_trace(go.Scatter(name=name, yaxis=axis, textfont={"size": 12, "color": INK}, **text))
    figure.update_layout(
        xaxis={"domain": [0, 1], "anchor": "y", "dtick": 1},
        yaxis={"domain": _ROWS[0], "dtick": 1},
        xaxis2={"anchor": "y3", "title": {"text": "layer by layer"}} | BARE,
        yaxis2={"domain": _ROWS[1], "anchor": "x2", "range": [-0.2, 1.04], "title": {"text": "sparse"}} | BARE,
        yaxis3={"domain": _ROWS[2], "anchor": "x2", "range": [-0.24, 1.04], "title": {"text": "after QR"}} | BARE,
    )
    for trace, values in zip(figure.data, sparsity_traces(curves, before, after), strict=True):
        trace.update(values)
    return figure.update_layout(**sparsity_layout(before, after))


def sparsity_traces(
    curves: Sequence[Curve],
    before: Sequence[object] = (),
    after: Sequence[object] = (),
    *,
    y_range: tuple[float, float] | None = None,
) -> list[dict[str, object]]:
    """What the traces of `sparsity_figure` hold; y_range as for `curve_traces`."""
    texts = []
    for matrices in (before, after):
        sizes = [np.shape(matrix) for matrix in matrices]
        texts.append(matrix_text([sizes[0][1] - 1, *(n_out for n_out, _ in sizes)] if sizes else []))
    return [*curve_traces(curves, log_x=True, log_y=True, y_range=y_range), *texts]


def sparsity_layout(before: Sequence[object], after: Sequence[object]) -> dict[str, object]:
    """Matrices, frames and their axis of `sparsity_figure`, by their keys in a figure's layout."""
    if len(before) != len(after):
        raise NbkitError(
            f"sparsity_figure: after must have one matrix for each of the {len(before)} before, got {len(after)}. "
            "Pass [b W] of every layer of both networks."
        )
    rows = {"images": [], "shapes": []}
    for matrices, axis in ((before, "y2"), (after, "y3")):
        sizes = [np.shape(matrix) for matrix in matrices]
        row = matrix_row(matrices, sizes, largest=max(map(max, sizes), default=1), axes=("x2", axis))
        rows = {key: rows[key] + row[key] for key in rows}
    return rows | {"xaxis2": {"range": [0, max(1, len(before))]}}
