"""Files that are replaced only when their successors are whole."""

import os
from pathlib import Path

from nbkit.errors import NbkitError, show

__all__ = ["write_whole"]


def write_whole(who: str, path: str | Path, text: str) -> Path:
    """Write a text file: at every moment it is the old one or the whole new one. Returns its path.

    Args:
        who: the public function that was called, for the message.
        path: of the file; its folders are made where they are not there.
        text: written in UTF-8, its line ends as they are.

    Raises:
        NbkitError: no path, or one that cannot be written; the older file stays.
    """
    if not isinstance(path, (str, Path)):
        raise NbkitError(f"{who}: path must be a path, got {show(path)}. Write it as text.")
    path = Path(path)
    partial = path.parent / f"{path.name}.partial"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(text, encoding="utf-8", newline="\n")
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise NbkitError(
            f"{who}: path must be a file that can be written, got {show(str(path))} ({error.strerror}). Choose another."
        ) from None
    return path
