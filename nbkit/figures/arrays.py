"""What every picture does to the arrays it is given: take tensors as well, check them, write a small PNG."""

import base64
import struct
import zlib

import numpy as np

from nbkit.errors import NbkitError

__all__ = ["as_array", "as_matrix", "encode_png", "is_binary", "png_address"]


def as_array(who: str, name: str, values: object, *, n_axes: int) -> np.ndarray:
    """The values as a numpy array with that many axes; a torch tensor is taken from wherever it lives.

    Raises:
        NbkitError: not numbers, or another number of axes.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.dtype == object and array.size:
        array = _exact_counts(array)
    if array.dtype.kind not in "biuf":
        raise NbkitError(f"{who}: {name} must be an array of numbers, got {values!r:.60}. Pass a numpy array.")
    if array.ndim != n_axes:
        raise NbkitError(
            f"{who}: {name} must have {n_axes} axes, got shape {array.shape}. Pass an array with {n_axes} axes."
        )
    return array


def _exact_counts(array: np.ndarray) -> np.ndarray:
    """Python integers (exact path counts of any size) as floats: a picture needs no more digits."""
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        return array


def as_matrix(who: str, matrix: object) -> np.ndarray:
    """A finite matrix (n_rows, n_columns) with at least one entry.

    Raises:
        NbkitError: not two axes, empty, NaN or infinite.
    """
    array = as_array(who, "matrix", matrix, n_axes=2)
    if array.size == 0:
        raise NbkitError(
            f"{who}: matrix must have at least one row and one column, got shape {array.shape}. "
            "Pass a matrix with entries."
        )
    if not np.isfinite(array).all():
        raise NbkitError(f"{who}: matrix must be finite, got NaN or infinite entries. Mask them first.")
    return array


def is_binary(matrix: np.ndarray) -> bool:
    """Is it drawn as 0/1: bool, or numbers that are all 0 or 1? uint8 is a magnitude, whatever it holds."""
    if matrix.dtype == bool:
        return True
    return matrix.dtype != np.uint8 and bool(((matrix == 0) | (matrix == 1)).all())


def encode_png(levels: np.ndarray, colours: np.ndarray, *, at_least: int = 1) -> bytes:
    """An indexed PNG: 1 bit a pixel for two colours, 8 bits otherwise.

    Args:
        levels: (n_rows, n_columns), each a row of `colours`.
        colours: (2, 3) or (up to 256, 3) uint8.
        at_least: px; a smaller matrix has every entry repeated until its longer side is that long, because
            viewers blur an enlarged picture.

    Source:
        W3C, Portable Network Graphics, second edition: chunks IHDR, PLTE, IDAT, IEND; filter 0.
    """
    factor = max(1, -(-at_least // max(levels.shape)))
    rows = np.repeat(levels, factor, axis=1).astype(np.uint8)
    rows = np.packbits(rows, axis=1) if len(colours) == 2 else rows
    rows = np.repeat(np.pad(rows, ((0, 0), (1, 0))), factor, axis=0)  # each row starts with its filter, 0
    height, width = levels.shape[0] * factor, levels.shape[1] * factor
    header = struct.pack(">IIBBBBB", width, height, 1 if len(colours) == 2 else 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", colours.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 6)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def png_address(png: bytes) -> str:
    """The picture as a data: address, so that a figure needs no file beside it."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
