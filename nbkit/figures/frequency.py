"""The singular values of a convolution, frequency by frequency, beside the sorted spectrum of the whole operator."""

import numpy as np
import plotly.graph_objects as go

from nbkit.errors import NbkitError
from nbkit.figures.arrays import as_array
from nbkit.figures.spectrum import spectrum_figure, spectrum_traces
from nbkit.figures.template import FAINT, INK, SIGNED

__all__ = ["frequency_figure", "frequency_traces"]

_LEFT, _GAP = 0.4, 0.23  # of the drawing area: the two maps, then their colour bar and the spectrum's axis title
_LOW, _HIGH = 0.0, 2.0  # of the colours, fixed: 1 is white, so an isometry is a white picture in every setting
_MOST_POINTS = 4000  # of the spectrum's line; a step is far narrower than a pixel beyond
_NAMES = ("largest singular value", "smallest singular value")


def frequency_figure(
    values: object,
    spectrum: object,
    *,
    family: str = "dense",
    title: str = "",
    height: int = 540,
) -> go.Figure:
    """Largest and smallest singular value at every frequency (u, v), beside all of them sorted.

    White is 1, vermilion stretches, blue shrinks; the zero frequency is in the middle. The traces are those of
    `spectrum_figure` for one spectrum and the bound 1, then the two maps.

    Args:
        values: (n_u, n_v, n_values), at each frequency descending, at least 0, zero frequency first as an FFT has it.
        spectrum: (n,) singular values of the operator, descending.
        family: whose colour the spectrum has.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: values with other axes, none, or not finite; a spectrum as `spectrum_figure` refuses it.
    """
    traces = frequency_traces(values, spectrum, family=family)
    figure = spectrum_figure({"": np.ones(1)}, families={"": family}, bounds={"": 1.0}, title=title, height=height)
    hover = "u = %{x}, v = %{y}: %{z:.4g}<extra></extra>"
    shades = {"colorscale": SIGNED, "zmin": _LOW, "zmax": _HIGH, "xgap": 0.7, "ygap": 0.7, "hovertemplate": hover}
    bar = {"thickness": 10, "x": _LEFT + 0.01, "xanchor": "left", "len": 0.92, "y": 0.46, "outlinewidth": 0}
    bar |= {"tickvals": [0, 0.5, 1, 1.5, 2], "ticktext": ["0", "0.5", "1", "1.5", "≥ 2"]}
    for number, what in enumerate(_NAMES, start=2):
        axes = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
        figure.add_trace(go.Heatmap(name=what, showscale=number == 2, colorbar=bar, **axes, **shades))
    for trace, update in zip(figure.data, traces, strict=True):
        trace.update(update)
    figure.update_layout(margin_l=16, xaxis_domain=[_LEFT + _GAP, 1], xaxis_nticks=4, yaxis_rangemode="tozero")
    return figure.update_layout(**_maps())


def frequency_traces(values: object, spectrum: object, *, family: str = "dense") -> list[dict[str, object]]:
    """What the traces of `frequency_figure` hold; `trace.update(values)` on each moves an existing picture.

    Raises:
        NbkitError: as `frequency_figure`.
    """
    maps = as_array("frequency_figure", "values", values, n_axes=3).astype(np.float64)
    if not maps.size or not np.isfinite(maps).all():
        raise NbkitError(
            f"frequency_figure: values must be finite and at least one, got shape {maps.shape}. "
            "Pass (n_u, n_v, n_values)."
        )
    line, *rest = spectrum_traces({"": spectrum}, families={"": family}, bounds={"": 1.0})
    kept = np.unique(np.linspace(0, line["x"].size - 1, _MOST_POINTS).astype(int))
    line = {key: array[kept] for key, array in line.items()}
    u, v = (np.arange(n) - n // 2 for n in maps.shape[:2])
    shown = [np.fft.fftshift(maps[:, :, k]).T for k in (0, -1)]  # u to the right, v upwards
    return [line, *rest, *({"x": u, "y": v, "z": z} for z in shown)]


def _maps() -> dict[str, object]:
    """Axes and headings of the two maps, one above the other."""
    frame = {"showgrid": False, "ticks": "", "mirror": True, "showline": True, "linecolor": FAINT, "nticks": 5}
    frame |= {"constrain": "domain", "autorange": True}
    layout: dict[str, object] = {"annotations": [], "shapes": []}
    for number, domain, top in ((2, (0.53, 0.95), True), (3, (0.0, 0.42), False)):
        x, y = f"x{number}", f"y{number}"
        layout[f"xaxis{number}"] = frame | {"domain": [0.06, _LEFT], "anchor": y, "showticklabels": not top}
        layout[f"yaxis{number}"] = frame | {"domain": domain, "anchor": x, "scaleanchor": x}
        layout[f"xaxis{number}"]["title"] = {"text": "" if top else "frequency u", "standoff": 4}
        layout[f"yaxis{number}"]["title"] = {"text": "frequency v", "standoff": 4}
        corner = {"x": 0, "y": 1, "xref": f"{x} domain", "yref": f"{y} domain", "xanchor": "left", "yanchor": "bottom"}
        ground = {"type": "rect", "layer": "below", "fillcolor": FAINT, "line": {"width": 0}, "x0": 0, "x1": 1, "y0": 0}
        layout["shapes"].append(ground | {"y1": 1, "xref": f"{x} domain", "yref": f"{y} domain"})
        heading = {"text": _NAMES[number - 2], "showarrow": False, "font": {"size": 12, "color": INK}}
        layout["annotations"].append(corner | heading)
    return layout
