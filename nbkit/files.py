"""Files that are replaced only when their successors are whole."""

import errno
import os
from pathlib import Path

from nbkit.errors import NbkitError, show

__all__ = ["write_whole"]


def write_whole(who: str, path: str | Path, text: str) -> Path:
    """Write a text file: at every moment it is the old one or the whole new one. Returns its path.

    Args:
        who: the public function that was called, for the message.
        path: of the file; its folders are made where they are not there, ~ is the reader's home, and of a link it is
            the file behind it that is written.
        text: written in UTF-8, its line ends as they are.

    Raises:
        NbkitError: no path, or one that cannot be written; the older file stays.
    """
    if not isinstance(path, (str, Path)):
        raise NbkitError(f"{who}: path must be a path, got {show(path)}. Write it as text.")
    try:
        path = Path(path).expanduser()
        target = path.resolve()
        if target.exists() and not target.is_file():  # a folder, or a device, which must not be replaced
            raise OSError(errno.EINVAL, "not a file")
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.parent / f"{target.name}.partial"
        try:
            partial.write_text(text, encoding="utf-8", newline="\n")
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, ValueError, RuntimeError) as error:  # also letters that a path or UTF-8 lacks, and no home
        why = getattr(error, "strerror", None) or error
        raise NbkitError(
            f"{who}: path must be a file that can be written, got {show(str(path))} ({why}). Choose another."
        ) from None
    return path
