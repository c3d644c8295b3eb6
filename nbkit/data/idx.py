"""The IDX files of the full MNIST and Fashion-MNIST, where the user has them: read and checked."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import torch

from nbkit.data.split import Split
from nbkit.errors import NbkitError, show

__all__ = ["full_split", "read_idx"]

_UNSIGNED_BYTE = 0x08
_TYPES = {0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_NAMES = {"train": "train", "test": "t10k"}


def read_idx(images_path: str | Path, labels_path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels from two IDX files, plain or compressed by gzip (recognised by content, not by name).

    Args:
        images_path: an IDX file of unsigned bytes in three dimensions.
        labels_path: an IDX file of unsigned bytes in one dimension, one label for each image.

    Returns:
        images: uint8 (n, height, width).
        labels: uint8 (n,).

    Raises:
        NbkitError: a file that is missing, cut short, too long, damaged or of another kind; files that do not belong
            together.

    Source:
        The format is described with the MNIST database (LeCun, Cortes and Burges): two zero bytes, a type, the number
        of dimensions, each dimension as a big-endian 32-bit integer, then the data, last dimension fastest.
    """
    images = _read_array(_as_path("read_idx", "images_path", images_path), 3)
    labels = _read_array(_as_path("read_idx", "labels_path", labels_path), 1)
    if len(images) != len(labels):
        raise NbkitError(
            f"read_idx: images and labels must be of one number, got {len(images)} in {images_path} and "
            f"{len(labels)} in {labels_path}. Use two files of one set."
        )
    if not images.size:
        raise NbkitError(f"read_idx: {images_path} must hold images, got the shape {images.shape}. Use another file.")
    return images, labels


def full_split(folder: str | Path) -> Split:
    """The full MNIST or Fashion-MNIST from a folder with the four usual files, 60,000 and 10,000 images.

    The files are train-images-idx3-ubyte, train-labels-idx1-ubyte and the same with t10k, with or without .gz. Debian's
    package dataset-fashion-mnist puts such a folder at /usr/share/datasets/fashion-mnist.

    Args:
        folder: where the four files are.

    Returns:
        Split of images (n, n_pixels) in [0, 1], in the order of the files.

    Raises:
        NbkitError: as `read_idx`; training and test images of unequal size.
    """
    folder, parts = _as_path("full_split", "folder", folder), []
    for part, name in _NAMES.items():
        images, labels = read_idx(*(_find(folder, f"{name}-{kind}") for kind in ("images-idx3", "labels-idx1")))
        parts.append((part, images, torch.from_numpy(labels.astype(np.int64))))
    (_, train, train_labels), (_, test, test_labels) = parts
    if train.shape[1:] != test.shape[1:]:
        raise NbkitError(
            f"full_split: training and test images must have one size, got {train.shape[1:]} and {test.shape[1:]} in "
            f"{folder}. Use four files of one set."
        )
    return Split(_pixels(train), train_labels, _pixels(test), test_labels)


def _pixels(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.reshape(len(images), -1).astype(np.float32) / 255)


def _as_path(who: str, name: str, given: object) -> Path:
    if not isinstance(given, (str, Path)) or "\0" in str(given):
        raise NbkitError(f"{who}: {name} must be a path, got {show(given)}. Write it as text.")
    return Path(given)


def _find(folder: Path, stem: str) -> Path:
    candidates = [folder / f"{stem}-ubyte", folder / f"{stem}-ubyte.gz"]
    found = [path for path in candidates if path.is_file()]
    if not found:
        raise NbkitError(
            f"full_split: the folder must hold {candidates[0].name} or {candidates[1].name}, got {folder} without "
            "them. Name the folder that holds the four files."
        )
    return found[0]


def _read_array(path: Path, n_dimensions: int) -> np.ndarray:
    """The array of one IDX file of unsigned bytes, every promise of its header kept."""
    content = _read_bytes(path)
    if len(content) < 4 or content[:2] != b"\0\0":
        raise _error(path, "must start as an IDX file, 00 00", f"{content[:4].hex(' ') or 'an empty file'}")
    kind, found = content[2], content[3]
    if kind != _UNSIGNED_BYTE:
        raise _error(path, "must hold unsigned bytes (type 08)", f"type {kind:02x} ({_TYPES.get(kind, 'unknown')})")
    if found != n_dimensions:
        what = "images" if n_dimensions == 3 else "labels"
        raise _error(path, f"must have {n_dimensions} dimension(s), as {what} have", str(found))
    start = 4 + 4 * n_dimensions
    if len(content) < start:
        raise _error(path, f"must have a header of {start} bytes", f"{len(content)} bytes in all")
    shape = tuple(np.frombuffer(content, ">u4", count=n_dimensions, offset=4).tolist())
    wanted = start + int(np.prod([int(size) for size in shape], dtype=object))
    if len(content) != wanted:
        problem = "cut short" if len(content) < wanted else "too long"
        raise _error(path, f"must hold {shape}, {wanted:,} bytes in all", f"{len(content):,} bytes: it is {problem}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise _error(path, "must be a whole gzip file", str(error)) from None
    except OSError as error:
        raise _error(path, "must be a file that can be read", error.strerror or str(error)) from None


def _error(path: Path, rule: str, found: str) -> NbkitError:
    return NbkitError(f"read_idx: {path} {rule}, got {found}. Fetch the file again, or name another one.")
