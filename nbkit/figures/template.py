"""The look of every picture: one plotly template, one colour a family, one colour map a meaning."""

import textwrap
from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
from plotly.colors import sample_colorscale, sequential, unlabel_rgb

from nbkit.errors import check_choice

__all__ = [
    "CARD",
    "FAINT",
    "FAMILY_COLOURS",
    "INK",
    "MAGNITUDE",
    "PAPER",
    "SIGNED",
    "TITLE_LINE_PX",
    "dress",
    "family_colour",
    "palette",
    "translucent",
    "wrapped_title",
]

#: Okabe-Ito, safe for colour-blind readers; the same family has the same colour in every notebook.
FAMILY_COLOURS = MappingProxyType(
    {
        "radix": "#0072B2",
        "sao": "#D55E00",
        "xnet": "#009E73",
        "pruned": "#CC79A7",
        "dense": "#333333",
        "radial": "#E69F00",
        "decay": "#56B4E9",
    }
)
INK, PAPER = "#1F2933", "#F7F5F0"  # a 0/1 matrix: one, zero
FAINT = "#B9B4A9"  # what is there but not spoken of: wires that are not lit, grid lines
# Figures stand on a light card of their own: the fixed colours of a dense net and of ink cannot be read on a dark page.
CARD = "#FDFCFA"
MAGNITUDE = [[i / (len(sequential.Cividis) - 1), colour] for i, colour in enumerate(sequential.Cividis)]
SIGNED = [[0.0, "#0072B2"], [0.5, "#FFFFFF"], [1.0, "#D55E00"]]

# characters and height of a line of the title: at its font size they fit the picture on a page of 1000 px, 516 px
_TITLE_LINE, TITLE_LINE_PX = 58, 21

_AXIS = {
    "gridcolor": "#E8E4DB",
    "linecolor": INK,
    "ticks": "outside",
    "tickcolor": INK,
    "zeroline": False,
    "automargin": True,
    "title": {"standoff": 10},
}

_NO_BUTTONS = ["sendChartToCloud"]  # it uploads the picture

pio.templates["nbkit"] = go.layout.Template(
    layout={
        "paper_bgcolor": CARD,
        "plot_bgcolor": CARD,
        "font": {"family": "system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif", "size": 13, "color": INK},
        "title": {"x": 0, "xref": "container", "xanchor": "left", "font": {"size": 15}, "pad": {"l": 14}},
        "colorway": list(FAMILY_COLOURS.values()),
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "hoverlabel": {"bgcolor": CARD, "font": {"color": INK}},
        "showlegend": False,
        "colorscale": {"sequential": MAGNITUDE, "diverging": SIGNED},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#8A8F98", "activecolor": INK, "remove": _NO_BUTTONS},
    }
)


def dress(figure: go.Figure, title: str, *, height: int, right: int = 24, **layout: object) -> go.Figure:
    """The figure with the shared template, its title wrapped and margins that hold it.

    Args:
        figure: changed in place.
        title: the finding, one sentence; empty for none.
        height, right: height of the figure and its right margin, in px.
        layout: anything else for `update_layout`.
    """
    text = wrapped_title(title)
    lines = text.count("<br>") + 1 if text else 0
    # plotly lifts a title of several lines by half of what it adds; one that comes later has two
    first = 16 + 10 * max(0, (lines or 2) - 1)
    figure.update_layout(
        template="nbkit",
        title={"text": text, "y": 1 - first / height, "yanchor": "top"},
        margin={"l": 60, "r": right, "t": 26 + TITLE_LINE_PX * lines, "b": 50},
        height=height,
        uirevision="keep",  # an update keeps the reader's zoom
    )
    return figure.update_layout(**layout)


def wrapped_title(title: str) -> str:
    """The title broken into lines that fit a notebook's cell, as plotly writes them."""
    return "<br>".join(textwrap.wrap(title, _TITLE_LINE))


def family_colour(who: str, family: str) -> str:
    """The family's colour as #RRGGBB.

    Raises:
        NbkitError: no such family; the message lists them.
    """
    return FAMILY_COLOURS[check_choice(who, "family", family, FAMILY_COLOURS)]


def translucent(colour: str, opacity: float) -> str:
    """A #RRGGBB colour as rgba text with that opacity."""
    red, green, blue = _rgb(colour)
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def palette(scale: str | Sequence, n: int = 256) -> np.ndarray:
    """A colour map as bytes.

    Args:
        scale: "ink" for 0/1, or a plotly colour scale such as `MAGNITUDE`.
        n: number of colours of a scale.

    Returns:
        (n, 3) uint8, red, green, blue from the lowest value to the highest; (2, 3) for "ink".
    """
    if isinstance(scale, str):
        return np.array([_rgb(PAPER), _rgb(INK)], dtype=np.uint8)
    colours = sample_colorscale(scale, np.linspace(0, 1, n).tolist())
    return np.array([unlabel_rgb(colour) for colour in colours]).round().astype(np.uint8)


def _rgb(colour: str) -> tuple[int, int, int]:
    return tuple(bytes.fromhex(colour[1:]))
