"""The table of a finished sweep: its rows, columns, arrays over the grid, and a CSV file."""

from __future__ import annotations

import csv
import html
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nbkit.errors import NbkitError, check_choice
from nbkit.files import write_whole

if TYPE_CHECKING:
    import numpy as np  # otherwise where arrays are made: each worker process opens this room, and makes none

__all__ = ["Sweep"]

_SHOWN_ROWS = 10
_MOST_ENTRIES = 10_000_000  # of an array, 80 MB; more than a hundred for each cell are no grid


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """The rows of a sweep; also a sequence of them.

    Attributes:
        function: its qualified name.
        version: of the function.
        names: of a cell's values.
        rows: dictionaries in the grid's order: the cell's values and the result's by name, "seconds" that it took, and
            "error", which is None or a text; a failure has no result.
    """

    function: str
    version: int
    names: tuple[str, ...]
    rows: list[dict]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict]:
        return iter(self.rows)

    def __getitem__(self, place: int) -> dict:
        return self.rows[place]

    @property
    def failures(self) -> list[dict]:
        """The rows of cells whose function raised, or whose workers died."""
        return [row for row in self.rows if row["error"] is not None]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns: the cell's, the result's, seconds, error."""
        found = dict.fromkeys(name for row in self.rows for name in row if name not in ("seconds", "error"))
        return (*found, "seconds", "error")

    def axis(self, name: str) -> list:
        """The different values of a column in the order of the grid."""
        check_choice("Sweep.axis", "name", name, self.columns)
        return list(dict.fromkeys(row[name] for row in self.rows if name in row))

    def column(self, name: str) -> np.ndarray:
        """A column (n_rows,): numbers as such, with NaN where a failure has none; anything else as objects."""
        import numpy as np

        check_choice("Sweep.column", "name", name, self.columns)
        values = [row.get(name) for row in self.rows]
        if any(isinstance(value, (str, tuple)) for value in values) or all(value is None for value in values):
            return np.array([*values, None], dtype=object)[:-1]  # one more, lest tuples of one length become a matrix
        return np.array([np.nan if value is None else value for value in values])

    def array(self, value: str, *axes: str, mean: bool = False) -> np.ndarray:
        """A column of numbers over the grid, float64, one axis for each name of a cell that has several values.

        Args:
            value: name of a column of numbers.
            axes: names of the cell's values, in the order of the array's axes; "seed" comes last where it is not named.
            mean: the mean over the seeds that have a value, instead of their axis.

        Returns:
            (len(axis(axes[0])), ...), NaN where a failure or no cell is.

        Raises:
            NbkitError: names that no column has, a column of text, a name with several values that is no axis.
        """
        import numpy as np

        for name in axes:
            check_choice("Sweep.array", "each of axes", name, self.names)
        left_out = [name for name in self.names if name not in axes and name != "seed" and len(self.axis(name)) > 1]
        if left_out:
            raise NbkitError(
                f"Sweep.array: axes must have every name of several values, got none of {', '.join(left_out)}. "
                f"Write array({value!r}, {', '.join(map(repr, (*axes, *left_out)))})."
            )
        if "seed" in self.names and "seed" not in axes:
            axes = (*axes, "seed")
        numbers = self.column(value).tolist()
        if not all(isinstance(number, (int, float)) for number in numbers):
            raise NbkitError(f"Sweep.array: value must be a column of numbers, got {value!r}. Use column({value!r}).")
        n_entries = math.prod(len(self.axis(name)) for name in axes)
        if n_entries > max(_MOST_ENTRIES, 100 * len(self)):
            raise NbkitError(
                f"Sweep.array: axes must span a grid, got {n_entries:.3g} entries for {len(self):,} cells. "
                f"Use column({value!r}), or fewer values."
            )
        places = [{entry: place for place, entry in enumerate(self.axis(name))} for name in axes]
        found = np.full([len(known) for known in places], np.nan)
        for row, number in zip(self.rows, numbers):
            found[tuple(known[row[name]] for name, known in zip(axes, places))] = number
        if not mean or "seed" not in axes:
            return found
        over = axes.index("seed")
        counts = (~np.isnan(found)).sum(over)
        return np.where(counts, np.nansum(found, over) / np.maximum(counts, 1), np.nan)

    def to_csv(self, path: str | Path) -> Path:
        """Write all rows as CSV; an older file is replaced when the new one is whole. Returns the path."""
        text, columns = io.StringIO(), self.columns
        writer = csv.writer(text)  # its own line ends, \r\n: with any other a \r within a text would end a line
        writer.writerow(columns)
        writer.writerows([_entry(row.get(name)) for name in columns] for row in self.rows)
        return write_whole("Sweep.to_csv", path, text.getvalue())

    def __repr__(self) -> str:
        seconds = sum(row["seconds"] or 0 for row in self.rows)
        failures = f", {len(self.failures)} of them failures" if self.failures else ""
        return f"<Sweep of {self.function}: {len(self)} cells{failures}, {seconds:.3g} s of work>"

    def _repr_html_(self) -> str:
        shown, columns = self.rows[:_SHOWN_ROWS], self.columns
        head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
        body = "".join(
            f"<tr>{''.join(f'<td>{html.escape(_short(row.get(name)))}</td>' for name in columns)}</tr>" for row in shown
        )
        more = f"<p>and {len(self) - len(shown)} more</p>" if len(self) > len(shown) else ""
        return f"<p>{html.escape(repr(self)[1:-1])}</p><table><tr>{head}</tr>{body}</table>{more}"


def _entry(value: object) -> object:
    return json.dumps(value) if isinstance(value, tuple) else value


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
