"""What leaves an explorer: a call that recreates the view, CSV, a stand-alone page, a still picture."""

from __future__ import annotations

import base64
import csv
import html
import io
import itertools
import json
import os
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

__all__ = ["Exports", "frame_csv", "settings_call", "standalone_page", "still_png"]

_NOT_DATA = ("progress", "note")
_STILL_WIDTH = 900


class Exports:
    """The half of an explorer that leaves it: what is copied, saved, and shown in a notebook's output.

    It reads the explorer's figure, canvases, data and settings, and changes none of them.
    """

    def copy_settings(self) -> str:
        """The one-line call that recreates this view, for a cell below `from nbkit import explore`."""
        from nbkit import explore

        return f"{'explore.' if self._who in explore.__all__ else ''}{self._call()}"

    def _call(self) -> str:
        return settings_call(self._who, self.settings)

    def to_csv(self) -> str:
        """The last drawn frame as CSV."""
        return frame_csv(self.data)

    def to_html(self) -> str:
        """A stand-alone page that draws this picture offline."""
        with self._lock:
            return standalone_page(self.figure and self.figure.plain(), self.canvases, self.copy_settings())

    def to_png(self) -> bytes:
        """The picture as PNG, drawn by kaleido; a reader's browser saves its own from the menu."""
        with self._lock:
            return still_png(self.figure and self.figure.plain(), self.canvases)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, Any]:
        words = {"text/plain": self._call()}
        if self._closed:
            return words
        if os.environ.get("NBKIT_STORE") == "1":
            self.settle()
            return words | {"image/png": base64.b64encode(self.to_png()).decode()}
        with self._lock:  # the widget's own words list what the stream is just drawing
            if self.figure is not None:
                self.figure.refresh()
            return self.widget._repr_mimebundle_() | words

    def _choose(self, item: str) -> None:
        if item == "reset":
            self.reset()
        elif item == "copy settings":
            self._page.copy(self.copy_settings())
            self._panel.say(f"copied {self.copy_settings()}")
        elif item == "picture":
            self._page.save_picture(self._who)
        elif item == "page":
            self._page.save(f"{self._who}.html", self.to_html(), "text/html")
        else:
            self._page.save(f"{self._who}.csv", self.to_csv(), "text/csv")


def settings_call(name: str, settings: Mapping[str, Any]) -> str:
    """The one-line call that recreates a view, such as `RadixExplorer(radices="2,2,2", depth=3)`."""
    words = (f"{key}={_literal(value)}" for key, value in settings.items())
    return f"{name}({', '.join(words)})"


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def frame_csv(frame: Mapping[str, Any] | None) -> str:
    """A frame as CSV: one column an array; short ones end empty.

    Of a matrix the longest side goes down, so that a list of edges, (2, n), has two columns: "edges[0,:]", "edges[1,:]";
    a matrix as high as wide has one column for each of its own, "m[0]".
    """
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
        if isinstance(value, (list, tuple)) and any(np.ndim(entry) for entry in value):
            yield from _columns({f"{name}[{i}]": entry for i, entry in enumerate(value)}, prefix="")
            continue
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        if array.ndim < 2:
            yield name, array.reshape(-1).tolist()
        else:
            down = int(np.argmax(array.shape))
            for index in np.ndindex(array.shape[:down] + array.shape[down + 1 :]):
                place = [*map(str, index[:down]), *([":"] if down else []), *map(str, index[down:])]
                yield f"{name}[{','.join(place)}]", np.moveaxis(array, down, 0)[(slice(None), *index)].tolist()


def standalone_page(figure: go.Figure | None, canvases: Mapping[str, Any], title: str) -> str:
    """A page that draws without a network: plotly's script is inside, canvases are pictures."""
    options = {"full_html": False, "include_plotlyjs": True, "config": {"responsive": True}}
    parts = ["" if figure is None else figure.to_html(**options)]
    for name, png in _pictures(canvases).items():
        parts.append(
            f'<figure><img alt="{html.escape(name)}" style="max-width:100%;image-rendering:pixelated" '
            f'src="{_data_url(png)}"><figcaption>{html.escape(name)}</figcaption></figure>'
        )
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title></head>'
    return f"{head}<body><p><code>{html.escape(title)}</code></p>{''.join(parts)}</body></html>"


def still_png(figure: go.Figure | None, canvases: Mapping[str, Any]) -> bytes:
    """One PNG of the picture with the canvases below it; needs kaleido, which only the store command has."""
    shown: list[tuple[bytes, str]] = []
    if figure is not None:
        shown.append((figure.to_image(format="png", width=_STILL_WIDTH, height=figure.layout.height), ""))
    top = _size(shown[0][0])[1] if shown else 0
    shown += [(png, getattr(canvases[name], "title", "")) for name, png in _pictures(canvases).items()]
    return shown[0][0] if len(shown) == 1 else _composed(shown, top)


def _composed(shown: list[tuple[bytes, str]], top: int) -> bytes:
    """The first picture, `top` px high, and the others in a row below it; plotly lays them out, no other library."""
    row = shown[1:] if top else shown
    side = min(400, _STILL_WIDTH // len(row) - 20)
    sheet = go.Figure(layout={"margin": dict.fromkeys("lrtb", 0), "paper_bgcolor": "white", "plot_bgcolor": "white"})
    heights = [side * _size(png)[1] / _size(png)[0] for png, _ in row]
    total = round(top + 34 + max(heights))
    sheet.update_xaxes(range=[0, _STILL_WIDTH], visible=False).update_yaxes(range=[total, 0], visible=False)
    places = [(10 + i * (side + 20), top + 24, side, height) for i, height in enumerate(heights)]
    if top:
        places.insert(0, (0, 0, _STILL_WIDTH, top))
    for (png, title), (x, y, width, height) in zip(shown, places, strict=True):
        place = {"xref": "x", "yref": "y", "x": x, "y": y, "sizex": width, "sizey": height, "sizing": "stretch"}
        sheet.add_layout_image(source=_data_url(png), **place)
        sheet.add_annotation(text=title, x=x, y=y, xanchor="left", yanchor="bottom", showarrow=False, font_size=13)
    return sheet.to_image(format="png", width=_STILL_WIDTH, height=total)


def _pictures(canvases: Mapping[str, Any]) -> dict[str, bytes]:
    return {name: canvas.png() for name, canvas in canvases.items() if hasattr(canvas, "png")}


def _size(png: bytes) -> tuple[int, int]:
    """Width and height in px, which stand at the head of every PNG."""
    return struct.unpack(">II", png[16:24])


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
