"""Cells of a run: each is computed once, and what it gave is kept on disk until the whole run is stored."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from dataclasses import asdict
from pathlib import Path

__all__ = ["Cells"]


class Cells:
    """Rows of finished cells, one line of JSON each; a cell is known by its function and all of its arguments.

    Args:
        path: of the file, made where it is not there; what a killed run left is gone on with.
        say: takes a line for each cell that is computed.
        apart: settings that a cell does not depend on.

    Attributes:
        seconds: of all cells asked for so far, those of earlier sittings included.
    """

    def __init__(self, path: Path, say: Callable[[str], None], *, apart: Collection[str] = ()) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.say, self.apart, self.seconds = path, say, apart, 0.0
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._done = {entry["cell"]: entry for entry in map(_entry, lines) if entry}

    def rows(self, make: Callable[..., list[dict]], settings: object, *arguments: object) -> list[dict]:
        """What make(settings, *arguments) returns, now or in an earlier run; settings are a dataclass."""
        kept = {key: value for key, value in asdict(settings).items() if key not in self.apart}
        cell = json.dumps([make.__name__, *map(str, arguments), kept])
        if cell not in self._done:
            started = time.perf_counter()
            entry = {"cell": cell, "rows": make(settings, *arguments), "seconds": time.perf_counter() - started}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"\n{json.dumps(entry)}\n")  # a line of its own, whatever a killed run left
            self._done[cell] = entry
            self.say(f"{make.__name__.strip('_')}: {', '.join(map(str, arguments))}: {entry['seconds']:.1f} s")
        self.seconds += self._done[cell]["seconds"]
        return self._done[cell]["rows"]


def _entry(line: str) -> dict | None:
    """A line of the file; None for one that a kill cut short."""
    try:
        return json.loads(line)
    except ValueError:
        return None
