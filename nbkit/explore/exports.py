"""What leaves an explorer: a call that recreates the view, CSV, a stand-alone page, a still picture."""

from __future__ import annotations

import base64
import csv
import html
import io
import itertools
import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

__all__ = ["frame_csv", "settings_call", "standalone_page", "still_png"]

_NOT_DATA = ("progress", "note")
_STILL_WIDTH = 900


def settings_call(name: str, settings: Mapping[str, Any]) -> str:
    """The one-line call that recreates a view, such as `RadixExplorer(radices="2,2,2", depth=3)`."""
    words = (f"{key}={_literal(value)}" for key, value in settings.items())
    return f"{name}({', '.join(words)})"


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def frame_csv(frame: Mapping[str, Any] | None) -> str:
    """A frame as CSV: one column an array; a matrix has one column for each of its columns; short ones end empty."""
    columns = list(_columns(frame or {}))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    writer.writerows(itertools.zip_longest(*(values for _, values in columns), fillvalue=""))
    return text.getvalue()


def _columns(frame: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, list[Any]]]:
    for key, value in frame.items():
        name = f"{prefix}{key}"
        if key in _NOT_DATA or value is None:
            continue
        if isinstance(value, Mapping):
            yield from _columns(value, f"{name}.")
            continue
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        if array.ndim < 2:
            yield name, array.reshape(-1).tolist()
        else:
            for index in np.ndindex(array.shape[1:]):
                yield f"{name}[{','.join(map(str, index))}]", array[(slice(None), *index)].tolist()


def standalone_page(figure: go.Figure | None, canvases: Mapping[str, Any], title: str) -> str:
    """A page that draws without a network: plotly's script is inside, canvases are pictures."""
    parts = ["" if figure is None else figure.to_html(full_html=False, include_plotlyjs=True, config={"responsive": True})]
    for name, png in _pictures(canvases).items():
        parts.append(
            f'<figure><img alt="{html.escape(name)}" style="max-width:100%;image-rendering:pixelated" '
            f'src="{_data_url(png)}"><figcaption>{html.escape(name)}</figcaption></figure>'
        )
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title></head>'
    return f"{head}<body><p><code>{html.escape(title)}</code></p>{''.join(parts)}</body></html>"


def still_png(figure: go.Figure | None, canvases: Mapping[str, Any]) -> bytes:
    """One PNG of the picture with the canvases below it; needs kaleido, which only the store command has.

    The canvases are laid under the axes as images of the same figure, so that no other library is needed.
    """
    pictures = _pictures(canvases)
    if figure is None and len(pictures) == 1:
        return next(iter(pictures.values()))
    figure = go.Figure(figure)
    height = (figure.layout.height or 400) if figure.data else 60
    sizes = {name: _shown_size(png, len(pictures)) for name, png in pictures.items()}
    below = max((size[1] for size in sizes.values()), default=0) + (30 if sizes else 0)
    bottom = figure.layout.margin.b or 60
    plot_height = height - (figure.layout.margin.t or 60) - bottom
    plot_width = _STILL_WIDTH - (figure.layout.margin.l or 60) - (figure.layout.margin.r or 40)
    left = 0.0
    for name, png in pictures.items():
        width, tall = sizes[name]
        top = -(bottom + 10) / plot_height
        figure.add_layout_image(
            source=_data_url(png), xref="paper", yref="paper", x=left / plot_width, y=top, xanchor="left",
            yanchor="top", sizex=width / plot_width, sizey=tall / plot_height, sizing="stretch", layer="above",
        )  # fmt: skip
        left += width + 20
    figure.update_layout(margin_b=bottom + below, margin_autoexpand=False)
    return figure.to_image(format="png", width=_STILL_WIDTH, height=height + below)


def _pictures(canvases: Mapping[str, Any]) -> dict[str, bytes]:
    return {name: canvas.png() for name, canvas in canvases.items() if hasattr(canvas, "png")}


def _shown_size(png: bytes, n_pictures: int) -> tuple[float, float]:
    width, height = struct.unpack(">II", png[16:24])
    shown = min((_STILL_WIDTH - 100) / n_pictures - 20, 400)
    return shown, shown * height / width


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
