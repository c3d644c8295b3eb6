"""A 0/1 or uint8 matrix in the notebook, sharp, with hover and zoom, fluent to 2048 x 2048."""

from pathlib import Path

import numpy as np
import traitlets

from nbkit.errors import NbkitError, check_integer
from nbkit.explore.hearing import HEAR, Hearing
from nbkit.figures.arrays import as_matrix, encode_png, is_binary
from nbkit.figures.template import CARD, FAINT, INK, MAGNITUDE, palette

__all__ = ["MatrixCanvas"]

_INK, _MAGNITUDE = palette("ink"), palette(MAGNITUDE)
_PNG_PX = 480  # a stored picture's longer side, at least
_CSS = f"""
.nbkit-matrix {{ background: {CARD}; color: {INK}; padding: 8px 12px; box-sizing: border-box;
  width: fit-content; max-width: 100%; font: 13px system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif;
  font-variant-numeric: tabular-nums; }}
.nbkit-title, .nbkit-says {{ width: 0; min-width: 100%; }}  /* text wraps under the matrix, it never widens it */
.nbkit-title {{ font-size: 15px; min-height: 1.3em; }}
.nbkit-middle {{ display: flex; gap: 4px; }}
.nbkit-rows {{ writing-mode: vertical-rl; white-space: nowrap; }}
.nbkit-box {{ flex: 0 1 auto; min-width: 0; }}
.nbkit-box canvas {{ display: block; width: 100%; height: 100%; outline: 1px solid {FAINT};
  image-rendering: pixelated; cursor: crosshair; touch-action: none; }}
.nbkit-box canvas:focus-visible {{ outline: 2px solid #0072B2; }}
.nbkit-columns {{ margin-left: 1.7em; }}
.nbkit-says {{ min-height: 2.6em; margin-top: 4px; }}
"""


class MatrixCanvas(Hearing):
    """A matrix on a canvas; its static twin is `nbkit.figures.matrix_figure`.

    The pointer or the arrow keys read an entry; wheel or + and - zoom about it, dragging moves, a double click or 0
    shows everything again. `hovered` is (row, column, value) of the entry read, at most ten times a second, or None.

    Args:
        matrix: (n_rows, n_columns) of 0 and 1 (ink on paper), or uint8 (cividis from 0 to its largest value);
            None for later.
        title: the finding.
        row_label, column_label: names of the axes; rows run downwards.
        width, height: of the drawing area in px, at least 40; a narrower cell shrinks it.

    Raises:
        NbkitError: not a matrix of 0 and 1 or of uint8, a size that is no integer of at least 40.
    """

    _esm = HEAR + Path(__file__).with_name("canvas.js").read_text(encoding="utf-8")
    _css = _CSS
    data = traitlets.Bytes(b"").tag(sync=True)
    shape = traitlets.Tuple((0, 0)).tag(sync=True)
    colours = traitlets.Bytes(b"").tag(sync=True)  # RGBA a value: two values say that the data are bits
    frame = traitlets.Int(0).tag(sync=True)  # counts pictures: one event when all of the above have arrived
    title = traitlets.Unicode("").tag(sync=True)
    legend = traitlets.Unicode("").tag(sync=True)
    row_label = traitlets.Unicode("").tag(sync=True)
    column_label = traitlets.Unicode("").tag(sync=True)
    width = traitlets.Int(420).tag(sync=True)
    height = traitlets.Int(420).tag(sync=True)
    lit_row = traitlets.Int(None, allow_none=True, help="a row to frame, or None").tag(sync=True)
    lit_column = traitlets.Int(None, allow_none=True, help="a column to frame, or None").tag(sync=True)
    hovered = traitlets.Any(None, allow_none=True).tag(
        sync=True, from_json=lambda entry, widget: entry and tuple(entry)
    )

    def __init__(
        self,
        matrix: object = None,
        *,
        title: str = "",
        row_label: str = "input node u",
        column_label: str = "output node v",
        width: int = 420,
        height: int = 420,
    ) -> None:
        width, height = (
            check_integer("MatrixCanvas", name, px, at_least=40) for name, px in (("width", width), ("height", height))
        )
        self._matrix, self._palette = None, _INK
        first = {} if matrix is None else self._picture(matrix)
        super().__init__(
            title=title, row_label=row_label, column_label=column_label, width=width, height=height, **first
        )

    @property
    def matrix(self) -> np.ndarray | None:
        """The matrix on show, bool or uint8, not to be written to; None before the first."""
        return self._matrix

    def show(self, matrix: object, title: str | None = None) -> None:
        """Replace the matrix, and the title if one is given, in one message to the browser.

        Zoom and cursor stay while the shape stays.

        Raises:
            NbkitError: not a matrix of 0 and 1 or of uint8; the picture stays as it was.
        """
        picture = self._picture(matrix)
        with self.hold_sync():
            for name, value in picture.items():
                self.set_trait(name, value)
            if title is not None:
                self.title = title
            self.set_trait("frame", self.frame + 1)  # last: a page that asks meanwhile must not have it too early

    def png(self) -> bytes:
        """The matrix as a PNG, entries enlarged so that the longer side has at least 480 px.

        Raises:
            NbkitError: there is no matrix yet.
        """
        if self._matrix is None:
            raise NbkitError("MatrixCanvas.png: matrix must be there, got none yet. Call show(matrix) first.")
        return encode_png(self._matrix, self._palette, at_least=_PNG_PX)

    def _picture(self, matrix: object) -> dict[str, object]:
        """Check, keep, and pack what the browser needs."""
        array = as_matrix("MatrixCanvas", matrix)
        if is_binary(array):
            array, colours, legend = array.astype(bool), _INK, ""
        elif array.dtype == np.uint8:
            top = max(1, int(array.max()))
            colours = _MAGNITUDE[np.minimum(255, np.arange(256) * 255 // top)]
            array, legend = array.copy(), f" · dark 0, bright {top}"
        else:
            raise NbkitError(
                f"MatrixCanvas: matrix must hold 0 and 1, or be uint8, got {array.dtype} from {array.min():g} to "
                f"{array.max():g}. Scale it to 0..255 and use astype(numpy.uint8), or draw it with matrix_figure."
            )
        array.flags.writeable = False
        self._matrix, self._palette = array, colours
        data = np.packbits(array) if len(colours) == 2 else array
        opaque = np.pad(colours, ((0, 0), (0, 1)), constant_values=255)
        return {"data": data.tobytes(), "shape": array.shape, "colours": opaque.tobytes(), "legend": legend}
