"""Length against depth above its ratio to the exact law; a circle's image in two and three dimensions."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.colors import cyclical
from plotly.subplots import make_subplots

from nbkit.errors import NbkitError
from nbkit.figures.arrays import as_array
from nbkit.figures.curves import Curve, curve_traces, curves_figure
from nbkit.figures.template import FAINT, dress

__all__ = ["circle_figure", "circle_traces", "length_figure", "length_traces"]

_RATIO, _GAP = 0.3, 0.07  # of the drawing area's height: the lower panel, and what lies between the two
_ROOM = 2.0  # of the circle's axes: an image of rms radius 1 about its centre seldom reaches this far


def length_figure(curves: Sequence[Curve], ratio: Curve, *, title: str = "", height: int = 520) -> go.Figure:
    """Lengths on a logarithmic axis; below them the measured one divided by the exact rms law, where its band is seen.

    The traces are those of `curves_figure`, then the ratio's band, its line and the dashed line at 1.

    Args:
        curves: arc length against depth d, all above 0.
        ratio: measured length over the rms length, against depth d.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: as `curves_figure`.
    """
    figure = curves_figure(curves, x_label="", y_label="arc length ℓ", log_y=True, title=title, height=height)
    below = curves_figure([ratio], x_label="", y_label="").data[:2]
    one = go.Scatter(name="rms law", mode="lines", line={"color": FAINT, "dash": "dash", "width": 1.6})
    figure.add_traces([*below, one])
    for trace in figure.data[-3:]:
        trace.update(xaxis="x", yaxis="y2", hoverinfo="skip" if trace.fill else None)
    for trace, values in zip(figure.data, length_traces(curves, ratio), strict=True):
        trace.update(values)
    figure.update_layout(
        yaxis={"domain": [_RATIO + _GAP, 1], "nticks": 4},  # a lower axis has room for fewer
        yaxis2={"domain": [0, _RATIO], "anchor": "x", "title": {"text": "ℓ / rms law"}, "nticks": 5},
        xaxis={"anchor": "y2", "title": {"text": "depth d"}},
    )
    return figure


def length_traces(
    curves: Sequence[Curve], ratio: Curve, *, y_range: tuple[float, float] | None = None
) -> list[dict[str, object]]:
    """What the traces of `length_figure` hold.

    Args:
        curves, ratio: as `length_figure`.
        y_range: what the upper axis shows, where it is fixed, so that labels keep apart on it.

    Raises:
        NbkitError: as `curves_figure`.
    """
    if y_range is not None:  # labels keep apart on a picture's whole height, of which the lengths have a part
        low, high = y_range
        y_range = high * (low / high) ** (1 / (1 - _RATIO - _GAP)), high
    last = max((float(np.max(curve.x)) for curve in curves if np.size(curve.x)), default=0.0)
    one = {"x": np.array([0.0, last]), "y": np.ones(2)}
    return [*curve_traces(curves, log_y=True, y_range=y_range), *curve_traces([ratio])[:2], one]


def circle_figure(times: object, points: object, *, title: str = "", height: int = 440) -> go.Figure:
    """A closed curve's image, left in its first two coordinates, right in three; colours say where on the curve.

    Two traces, which `circle_traces` moves.

    Args:
        times: (n,) in [0, 1], the place on the curve; 0 and 1 have one colour.
        points: (n, 3) coordinates, of rms distance about 1 from their centre.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: points that are not (n, 3), or not one for each time.
    """
    figure = make_subplots(
        1, 2, specs=[[{"type": "xy"}, {"type": "scene"}]], column_widths=[0.52, 0.48], horizontal_spacing=0.02
    )
    colours = {"color": as_array("circle_figure", "times", times, n_axes=1), "colorscale": cyclical.Phase}
    colours |= {"cmin": 0, "cmax": 1}
    flat = go.Scatter(mode="lines+markers", line={"color": FAINT, "width": 1}, marker={**colours, "size": 4})
    solid = go.Scatter3d(mode="lines", line={**colours, "width": 5})
    figure.add_trace(flat.update(name="two directions", hoverinfo="skip"), 1, 1)
    figure.add_trace(solid.update(name="three directions", hoverinfo="skip"), 1, 2)
    for trace, values in zip(figure.data, circle_traces(points, len(colours["color"])), strict=True):
        trace.update(values)
    axis = {"range": [-_ROOM, _ROOM], "showticklabels": False, "showgrid": True, "zeroline": True}
    bare = {**axis, "ticks": "", "zerolinecolor": FAINT}
    figure.update_xaxes(**bare, title_text="direction 1, in rms radii", constrain="domain")
    figure.update_yaxes(**bare, title_text="direction 2, in rms radii", scaleanchor="x", constrain="domain")
    inside = {**axis, "backgroundcolor": "rgba(0,0,0,0)", "gridcolor": FAINT, "zerolinecolor": FAINT}
    scene = {f"{name}axis": {**inside, "title": {"text": ""}} for name in "xyz"}
    figure.update_scenes(**scene, aspectmode="cube", camera_eye={"x": 1.25, "y": 1.05, "z": 0.75}, uirevision="kept")
    return dress(figure, title, height=height, hovermode=False)


def circle_traces(points: object, n: int | None = None) -> list[dict[str, object]]:
    """What the two traces of `circle_figure` hold.

    Raises:
        NbkitError: points that are not (n, 3).
    """
    points = as_array("circle_figure", "points", points, n_axes=2)
    if points.shape != (len(points) if n is None else n, 3):
        raise NbkitError(
            f"circle_figure: points must be ({n or 'n'}, 3), got the shape {points.shape}. "
            "Project them onto three directions, one row for each time."
        )
    x, y, z = points.T.copy()
    return [{"x": x, "y": y}, {"x": x, "y": y, "z": z}]
