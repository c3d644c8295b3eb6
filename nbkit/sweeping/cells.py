"""The cells of a sweep: every combination of a grid's values and seeds, and how values are written as JSON."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from nbkit.errors import NbkitError, check_integer, check_integers, show

__all__ = ["RESERVED", "SCALARS", "Cells", "from_json", "key_of", "plain", "to_json"]

SCALARS = (bool, int, float, str, type(None))
_MOST_CELLS = 100_000_000  # whether each is finished takes a byte
_MOST_SEEDS = 10_000_000
RESERVED = ("seconds", "error")  # names that every row has beside the cell's and the result's


class Cells:
    """The cells of a grid in order, the last name changing fastest; made one by one, so that a grid may be huge.

    Args:
        who: the public function that was called.
        grid: name -> values, or a list of dictionaries name -> value with the same names in each.
        seeds: None, a number n for the seeds 0..n-1, or a list of integers; they change fastest.

    Attributes:
        names: of a cell's values, in order.

    Raises:
        NbkitError: no cells, equal cells, names or values that cannot be, a seed that is given twice.
    """

    def __init__(self, who: str, grid: object, seeds: object) -> None:
        if isinstance(grid, Mapping):
            self._listed, self._axes = [{}], {name: _values(who, name, values) for name, values in grid.items()}
        else:
            self._listed, self._axes = _listed(who, grid), {}
        self.names = (*self._listed[0], *self._axes)
        refused = [name for name in self.names if not isinstance(name, str) or name in RESERVED]
        if refused:
            raise NbkitError(
                f"{who}: grid's names must be text other than {' and '.join(RESERVED)}, got {show(refused[0])}. "
                "Use the names of the function's arguments."
            )
        if seeds is not None:
            if "seed" in self.names:
                raise NbkitError(
                    f"{who}: seeds must be None where the grid has a seed, got both. Leave one of them out."
                )
            self._axes["seed"] = _values(who, "seeds", _seeds(who, seeds))
            self.names += ("seed",)
        n_cells = len(self._listed) * math.prod(map(len, self._axes.values()))
        if n_cells > _MOST_CELLS:
            raise NbkitError(
                f"{who}: grid must have at most {_MOST_CELLS:,} cells, got {Decimal(n_cells):.3g}. Leave values out, or draw "
                "some of the cells and give them as a list."
            )

    def __len__(self) -> int:
        return len(self._listed) * math.prod(map(len, self._axes.values()))

    def __iter__(self) -> Iterator[dict]:
        for listed in self._listed:
            for values in itertools.product(*self._axes.values()):
                yield listed | dict(zip(self._axes, values))


def _listed(who: str, grid: object) -> list[dict]:
    if not isinstance(grid, (list, tuple)) or not all(isinstance(cell, Mapping) for cell in grid):
        raise NbkitError(
            f"{who}: grid must be name -> values or a list of cells, got {show(grid)}. Write it as {{'depth': [1, 2]}}."
        )
    cells = [{name: _value(who, name, value) for name, value in cell.items()} for cell in grid]
    if not cells or any(cell.keys() != cells[0].keys() for cell in cells):
        got = "cells of different names" if cells else "no cell"
        raise NbkitError(f"{who}: grid must hold cells of the same names, got {got}. Give every cell a value of each.")
    _check_distinct(who, "grid", cells)
    return cells


def _values(who: str, name: object, values: object) -> tuple:
    try:
        given = None if isinstance(values, (str, bytes, Mapping)) else tuple(values)
    except TypeError:  # not iterable, or an array without a dimension
        given = None
    if given is None:
        raise NbkitError(f"{who}: the values of {name} must be a list, got {show(values)}. Write it as [1, 2, 3].")
    found = tuple(_value(who, name, value) for value in given)
    if not found:
        raise NbkitError(f"{who}: the values of {name} must be at least one, got none. Leave the name out, or add one.")
    _check_distinct(who, f"the values of {name}", found)
    return found


def _value(who: str, name: object, value: object) -> object:
    try:
        found = plain(value)
        if not _is_plain(found):
            raise TypeError
        to_json(found)
    except (TypeError, ValueError, RuntimeError):  # no integer of more than 4300 digits, no tensor without its numbers
        raise NbkitError(
            f"{who}: the values of {name} must be numbers, text, True, False, None or lists of these, "
            f"got {show(value)}. Give what the function makes it from."
        ) from None
    return found


def _is_plain(value: object) -> bool:
    return all(map(_is_plain, value)) if isinstance(value, tuple) else isinstance(value, SCALARS)


def _check_distinct(who: str, what: str, values: Sequence[object]) -> None:
    places: dict[object, int] = {}
    for place, value in enumerate(values, start=1):
        is_cell = isinstance(value, dict)
        first = places.setdefault(tuple(value[name] for name in values[0]) if is_cell else value, place)
        if first != place:
            raise NbkitError(
                f"{who}: {what} must differ, got {show(value)} at places {first} and {place}. Leave one of them out."
            )


def _seeds(who: str, seeds: object) -> Iterable[int]:
    if isinstance(seeds, Iterable):
        return check_integers(who, "seeds", seeds, at_least=0)
    return range(check_integer(who, "seeds", seeds, at_least=1, at_most=_MOST_SEEDS))


def plain(value: object) -> object:
    """Python's own number, text or tuple for those of numpy and torch; anything else is left as it is."""
    found = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(found, (list, tuple)):
        return tuple(map(plain, found))
    return math.nan if isinstance(found, float) and math.isnan(found) else found  # one NaN, which finds itself


def to_json(value: object) -> str:
    """One line of strict JSON; a number that JSON lacks becomes {"float": "nan"}.

    Raises:
        TypeError, ValueError: what is no scalar, tuple or flat dictionary of them.
    """
    return json.dumps(_finite(value), allow_nan=False)


def key_of(cell: dict) -> str:
    """The JSON by which a store knows a cell, whatever the order of its names."""
    return to_json({name: cell[name] for name in sorted(cell)})


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, tuple):
        return [_finite(entry) for entry in value]
    return {"float": str(value)} if isinstance(value, float) and not math.isfinite(value) else value


def from_json(values: dict) -> dict:
    """A flat dictionary of scalars as it was before `to_json`."""
    return {name: float(value["float"]) if isinstance(value, dict) else value for name, value in values.items()}
