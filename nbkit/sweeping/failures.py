"""What a failed cell leaves behind: what was raised, and in which line."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from traceback import walk_tb

__all__ = ["told", "where"]

_HERE = f"{Path(__file__).parent}{os.sep}"
_LIBRARIES = (f"{Path(__file__).parents[1]}{os.sep}", f"{sysconfig.get_path('stdlib')}{os.sep}", "<frozen")


def told(error: BaseException) -> str:
    """Its type and what it says, if it can say it."""
    try:
        return f"{type(error).__name__}: {error}".removesuffix(": ")
    except Exception:
        return type(error).__name__


def where(error: BaseException) -> str:
    """The last line of the user's own code, such as " (cells.py:12, in die)"; of a library's function, its own line.

    Empty where the function has no lines, or has returned what cannot be stored.
    """
    frames = [(frame.f_code, line) for frame, line in walk_tb(error.__traceback__)][1:]  # without that of `evaluate`
    if not frames or frames[0][0].co_filename.startswith(_HERE):
        return ""
    code, line = next((each for each in reversed(frames) if not _is_of_a_library(each[0].co_filename)), frames[0])
    is_notebooks = "ipykernel_" in code.co_filename  # a file with a number for its name
    return f" ({'notebook' if is_notebooks else os.path.basename(code.co_filename)}:{line}, in {code.co_name})"


def _is_of_a_library(file: str) -> bool:
    return file.startswith(_LIBRARIES) or "site-packages" in file or "dist-packages" in file
