"""A function and what a sum of sigmoids makes of it, beside the error against the number of terms."""

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nbkit.figures.template import FAMILY_COLOURS, INK, dress

__all__ = ["fit_figure", "fit_traces"]


def fit_figure(
    x: Sequence[float],
    target: Sequence[float],
    fit: Sequence[float],
    terms: Sequence[int],
    errors: Sequence[float],
    *,
    title: str = "",
    height: int = 420,
) -> go.Figure:
    """Left the function (dashed) and the fit (solid), right the largest error against the number of terms N.

    Args:
        x, target, fit: (n,) points in [0, 1], the function there, the fit there.
        terms, errors: (m,) numbers of terms and the largest error of each fit, above 0.
        title: the finding.
        height: in px.

    Source:
        Robinett & Kepner 2019, equation (7).
    """
    figure = make_subplots(1, 2, column_widths=[0.6, 0.4], horizontal_spacing=0.2)
    colour = FAMILY_COLOURS["dense"]
    figure.add_trace(go.Scatter(name="f", mode="lines", line={"color": INK, "dash": "dash", "width": 1.6}), 1, 1)
    figure.add_trace(go.Scatter(name="G", mode="lines", line={"color": FAMILY_COLOURS["radix"], "width": 2}), 1, 1)
    figure.add_trace(go.Scatter(name="error", mode="lines+markers", line={"color": colour, "width": 2}), 1, 2)
    for trace, values in zip(figure.data, fit_traces(x, target, fit, terms, errors), strict=True):
        trace.update(values)
    figure.update_xaxes(title_text="x", range=[0, 1], col=1)
    figure.update_yaxes(title_text="f(x) dashed, G(x) solid", col=1)
    figure.update_xaxes(title_text="terms N (log)", type="log", range=[-0.1, 1.6], tickvals=[1, 2, 4, 8, 16, 32], col=2)
    figure.update_yaxes(title_text="max |f − G| (log)", type="log", exponentformat="power", dtick=1, col=2)
    return dress(figure, title, height=height)


def fit_traces(
    x: Sequence[float],
    target: Sequence[float],
    fit: Sequence[float],
    terms: Sequence[int],
    errors: Sequence[float],
) -> list[dict[str, object]]:
    """What the three traces of `fit_figure` hold: the function, the fit, the errors."""
    return [{"x": x, "y": target}, {"x": x, "y": fit}, {"x": terms, "y": errors}]
