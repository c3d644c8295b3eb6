"""A convolution as the matrix it is (Esguerra et al. 2023, Fig. 12): one colour a tap of the kernel."""

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from nbkit.errors import NbkitError, check_integer
from nbkit.figures.arrays import as_array
from nbkit.figures.template import FAINT, INK, dress

__all__ = ["operator_figure", "operator_layout", "operator_traces"]

_HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")  # a row of the kernel; its columns go lighter
_LIGHTEST = 0.7  # of the way to white
_RIGHT, _GAP = 0.4, 0.12  # of the drawing area: image and spectrum, and the axis title before them


def operator_figure(
    taps: object,
    kernel: object,
    spectra: tuple[object, object],
    *,
    pixel: int = 0,
    title: str = "",
    height: int = 480,
) -> go.Figure:
    """The operator's matrix, one row of it as a window on the image, and its singular values in two ways.

    Six traces: the matrix, the image, the outlined row in each, the SVD, the formula by FFT.

    Args:
        taps: (n^2, n^2) integers: a * k + b where entry (output pixel, input pixel) is tap (a, b) of the kernel, -1
            where the matrix is 0.
        kernel: (k, k), k at most 5.
        spectra: singular values (n^2,) of the matrix by SVD and by the FFT of the kernel, descending.
        pixel: the row to light, from 0.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: a matrix that is no square of a square, a kernel beyond 5 x 5, a pixel that is not there.
    """
    line = {"color": INK, "width": 2}
    hover = "output %{y}, input %{x}<br>%{text}<extra></extra>"
    shades = {"zmin": -1.5, "showscale": False}
    circles = {"symbol": "circle-open", "size": 6, "color": _HUES[1], "line": {"width": 1.6}}
    figure = go.Figure(
        [
            go.Heatmap(name="matrix", hovertemplate=hover, **shades),
            go.Heatmap(name="image", hovertemplate="%{text}<extra></extra>", xaxis="x2", yaxis="y2", **shades),
            go.Scatter(name="row", mode="lines", line=line, hoverinfo="skip"),
            go.Scatter(name="output", mode="lines", line=line, hoverinfo="skip", xaxis="x2", yaxis="y2"),
            go.Scatter(name="SVD", mode="lines", line=line, xaxis="x3", yaxis="y3"),
            go.Scatter(name="FFT", mode="markers", marker=circles, xaxis="x3", yaxis="y3"),
        ]
    )
    for trace, values in zip(figure.data, operator_traces(taps, kernel, spectra, pixel=pixel), strict=True):
        trace.update(values)
    dress(figure, title, height=height, hovermode="closest")
    return figure.update_layout(**operator_layout(int(np.sqrt(len(taps)))))


def operator_traces(
    taps: object, kernel: object, spectra: tuple[object, object], *, pixel: int = 0
) -> list[dict[str, object]]:
    """What the traces of `operator_figure` hold; `trace.update(values)` on each moves an existing picture.

    Raises:
        NbkitError: as `operator_figure`.
    """
    who = "operator_figure"
    labels, weights = as_array(who, "taps", taps, n_axes=2), as_array(who, "kernel", kernel, n_axes=2)
    n, k = int(np.sqrt(len(labels))), len(weights)
    if labels.shape != (n * n, n * n) or weights.shape != (k, k) or not 1 <= k <= len(_HUES):
        raise NbkitError(
            f"{who}: taps must be (n^2, n^2) and kernel (k, k) with k at most {len(_HUES)}, got {labels.shape} and "
            f"{weights.shape}. Pass the matrix of one channel on a square image."
        )
    pixel = check_integer(who, "pixel", pixel, at_least=0, at_most=n * n - 1)
    words = [f"tap ({a}, {b}): {weights[a, b]:.3g}" for a in range(k) for b in range(k)]
    text = np.array([*words, "0"], dtype=object)[labels]
    colours = {"zmax": k * k - 0.5, "colorscale": _colours(k)}
    at, (row, column) = np.arange(n * n), divmod(pixel, n)
    side = np.arange(n)
    svd, fft = (as_array(who, "spectra", values, n_axes=1) for values in spectra)
    return [
        {"x": at, "y": at, "z": labels, "text": text, **colours},
        {"x": side, "y": side, "z": labels[pixel].reshape(n, n), "text": text[pixel].reshape(n, n), **colours},
        _outline(-0.5, n * n - 0.5, pixel),
        _outline(column - 0.5, column + 0.5, row),
        {"x": np.arange(1, svd.size + 1), "y": svd},
        {"x": np.arange(1, fft.size + 1), "y": fft},
    ]


def operator_layout(n: int) -> dict[str, object]:
    """The axes of `operator_figure` for an n x n image."""
    frame = {"showgrid": False, "mirror": True, "showline": True, "linecolor": FAINT, "constrain": "domain"}

    def axis(size: int, domain: tuple[float, float], label: str, rule: int, **rest: object) -> dict[str, object]:
        minor = {"tick0": -0.5, "dtick": rule, "showgrid": True, "gridcolor": FAINT, "ticks": ""}
        ticks = {"tickmode": "linear", "tick0": 0, "dtick": 1} if size < 10 else {"tickmode": "auto", "nticks": 6}
        return frame | ticks | {"domain": domain, "title": {"text": label, "standoff": 6}, "minor": minor} | rest

    left, right = (0, 1 - _RIGHT - _GAP), (1 - _RIGHT, 1)
    across, down = [-0.5, n * n - 0.5], [n * n - 0.5, -0.5]
    short, drop = [-0.5, n - 0.5], [n - 0.5, -0.5]
    square = {"scaleanchor": "x", "constraintoward": "top"}
    bound = {"anchor": "x2", "scaleanchor": "x2", "constraintoward": "bottom"}
    bare = {"showticklabels": False, "ticks": ""}
    words = {"xref": "x3 domain", "yref": "y3 domain", "x": 1, "xanchor": "right", "showarrow": False}
    return {
        "xaxis": axis(n * n, left, "input pixel", n, range=across),
        "yaxis": axis(n * n, (0, 1), "output pixel", n, range=down, **square),
        "xaxis2": axis(n, right, "", 1, range=short, anchor="y2", **bare),
        "yaxis2": axis(n, (0.55, 1), "image", 1, range=drop, **bound, **bare),
        "xaxis3": {"domain": right, "anchor": "y3", "title": {"text": "number of values so far k"}},
        "yaxis3": {"domain": (0, 0.42), "anchor": "x3", "title": {"text": "singular value s"}, "rangemode": "tozero"},
        "annotations": [
            words | {"y": 1.0, "text": "— SVD of the matrix", "font": {"color": INK, "size": 11}},
            words | {"y": 0.87, "text": "○ Sedghi's FFT", "font": {"color": _HUES[1], "size": 11}},
        ],
    }


def _outline(left: float, right: float, row: float) -> dict[str, np.ndarray]:
    return {"x": np.array([left, right, right, left, left]), "y": row + np.array([-0.5, -0.5, 0.5, 0.5, -0.5])}


def _colours(k: int) -> list[list[object]]:
    """A colour scale of 1 + k^2 steps: clear for no tap, then one hue a row of the kernel, lighter by column."""
    shades = [0.0] if k == 1 else np.linspace(0, _LIGHTEST, k).tolist()
    colours = [shade for hue in _HUES[:k] for shade in sample_colorscale([[0, hue], [1, "#FFFFFF"]], shades)]
    steps = ["rgba(0, 0, 0, 0)", *colours]  # clear, and not NaN: that is no JSON, and the kernel would say so in red
    return [[i / len(steps), colour] for at, colour in enumerate(steps) for i in (at, at + 1)]
