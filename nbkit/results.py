"""Paper-scale results: plain CSV files, each with a JSON sidecar that says how it was made."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import numbers
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nbkit.data import shipped_folder
from nbkit.device import as_array, describe_device
from nbkit.errors import NbkitError, check_choice, check_integer, check_number, show

__all__ = ["Result", "load_result", "results_folder", "save_result", "sidecar"]

_DIGITS = 6  # significant, of every stored number that is no integer
_KEYS = ("command", "seed", "device", "versions", "seconds", "status", "steps")
_STATUS = ("complete", "partial")


@dataclass(frozen=True, eq=False)
class Result:
    """A stored result.

    Attributes:
        name: of the files, without their endings.
        columns: name -> array (n_rows,): int64, float64, or text.
        sidecar: what was stored beside it: command, seed, device, versions, seconds, status, steps, and more.
    """

    name: str
    columns: dict[str, np.ndarray]
    sidecar: dict

    @property
    def is_partial(self) -> bool:
        """Whether the run had not ended; a figure of it says so in its title."""
        return self.sidecar["status"] == "partial"


def results_folder() -> Path:
    """Where the shipped results are: data/results of the checkout, or its copy in an installed wheel."""
    return shipped_folder("data") / "results"


def sidecar(
    *,
    command: str,
    seed: int,
    seconds: float,
    steps: int,
    status: str = "complete",
    device: str = "cpu",
    **more: object,
) -> dict:
    """What stands beside a result: how it was made, with the device in words and the versions filled in.

    Args:
        command: that makes the result again.
        seed: of all its randomness.
        seconds: that it took.
        steps: reached, of whatever the run counts.
        status: "complete" or "partial".
        device: "cpu", "cuda", ...
        more: anything else that JSON can hold.

    Raises:
        NbkitError: a value of another kind.
    """
    return {
        "command": command,
        "seed": check_integer("sidecar", "seed", seed, at_least=0),
        "device": describe_device(device),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "seconds": round(check_number("sidecar", "seconds", seconds, above=-1), 1),
        "status": check_choice("sidecar", "status", status, _STATUS),
        "steps": check_integer("sidecar", "steps", steps, at_least=0),
    } | more


def save_result(
    name: str, columns: Mapping[str, object], sidecar: Mapping[str, object], *, folder: str | Path | None = None
) -> Path:
    """Store a result as name.csv and name.json; older files stay until both new ones are complete.

    Args:
        name: letters, digits and underscores.
        columns: name -> values (n_rows,), all of one length; integers and text as they are, other numbers rounded to six
            significant digits.
        sidecar: from `sidecar(...)`; the checksum and the number of rows are added.
        folder: default `results_folder()`.

    Returns:
        The path of the CSV file.

    Raises:
        NbkitError: a name that is none, no columns, columns of unequal length, a sidecar without its keys.
    """
    text = _csv_text(_checked_columns(columns))
    if not isinstance(sidecar, Mapping):
        raise NbkitError(f"save_result: sidecar must be a dictionary, got {show(sidecar)}. Use sidecar(...).")
    missing = [key for key in _KEYS if key not in sidecar]
    if missing:
        raise NbkitError(f"save_result: sidecar must have {', '.join(_KEYS)}, got none of {missing}. Use sidecar(...).")
    check_choice("save_result", "sidecar's status", sidecar["status"], _STATUS)
    path = _path("save_result", name, folder)
    beside = dict(sidecar) | {"rows": text.count("\n") - 1, "sha256": _checksum(text)}
    try:
        beside_text = json.dumps(beside, indent=1, ensure_ascii=False) + "\n"
    except (TypeError, ValueError) as error:
        raise NbkitError(
            f"save_result: sidecar must hold what JSON can, got {error}. Use numbers, text, lists."
        ) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace({path: text, path.with_suffix(".json"): beside_text})
    return path


def load_result(name: str, *, folder: str | Path | None = None) -> Result:
    """A stored result, checked.

    Args:
        name: of the files, without their endings.
        folder: default `results_folder()`.

    Returns:
        Result; a column is int64 or float64 where every entry is one, otherwise text.

    Raises:
        NbkitError: a file that is missing, cut short, changed, or not a table.
    """
    path = _path("load_result", name, folder)
    text, beside_text = _read(path), _read(path.with_suffix(".json"))
    try:
        beside = json.loads(beside_text)
        missing = [key for key in (*_KEYS, "sha256") if key not in beside]
    except (ValueError, TypeError):
        raise _damaged(path.with_suffix(".json"), "is no JSON: it was cut short or changed") from None
    if missing:
        raise _damaged(path.with_suffix(".json"), f"lacks {', '.join(missing)}")
    rows = list(csv.reader(io.StringIO(text)))
    unequal = [number for number, row in enumerate(rows, start=1) if len(row) != len(rows[0])]
    if not rows or unequal:
        raise _damaged(path, f"has columns of unequal length: line {unequal[0]}" if unequal else "is empty")
    if _checksum(text) != beside["sha256"]:
        raise _damaged(path, f"is not what {path.stem}.json belongs to: it was cut short or changed")
    header, *body = rows
    cells = zip(*body, strict=True) if body else ([] for _ in header)
    return Result(name, {title: _typed(list(column)) for title, column in zip(header, cells, strict=True)}, beside)


def _checked_columns(columns: Mapping[str, object]) -> dict[str, np.ndarray]:
    if not isinstance(columns, Mapping):
        raise NbkitError(f"save_result: columns must be name -> values, got {show(columns)}. Use a dictionary.")
    arrays = {}
    for name, values in columns.items():
        values = list(values) if isinstance(values, (tuple, range)) else values
        is_text = isinstance(values, list) and values and isinstance(values[0], str)
        is_text = is_text or (isinstance(values, np.ndarray) and values.dtype.kind == "U")
        arrays[name] = np.asarray(values) if is_text else as_array("save_result", f"column {name}", values)
        texts = [str(name), *(arrays[name].ravel().tolist() if is_text else ())]
        if arrays[name].dtype.kind == "c" or any(set("\r\n") & set(text) for text in texts):
            raise NbkitError(
                f"save_result: column {show(name)} must hold real numbers or text of one line, got "
                f"{show(arrays[name].tolist())}. Store two columns, or shorten the text."
            )
    shapes = {name: array.shape for name, array in arrays.items()}
    if not arrays or len(set(shapes.values())) != 1 or len(next(iter(shapes.values()))) != 1:
        raise NbkitError(
            f"save_result: columns must be vectors of one length, got the shapes {shapes}. Give every column (n_rows,)."
        )
    return arrays


def _csv_text(columns: Mapping[str, np.ndarray]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*([_cell(value) for value in column.tolist()] for column in columns.values()), strict=True))
    return file.getvalue()


def _cell(value: object) -> object:
    return f"{value:.{_DIGITS}g}" if isinstance(value, numbers.Real) and not isinstance(value, int) else value


def _typed(cells: list[str]) -> np.ndarray:
    for kind in (np.int64, np.float64):
        try:
            return np.array([kind(cell) for cell in cells], dtype=kind)
        except ValueError:
            continue
    return np.array(cells)


def _path(who: str, name: str, folder: str | Path | None) -> Path:
    if not isinstance(name, str) or not re.fullmatch(r"\w+", name):
        raise NbkitError(
            f"{who}: name must be letters, digits and underscores, got {show(name)}. Leave the ending out."
        )
    if not isinstance(folder, (str, Path, type(None))):
        raise NbkitError(f"{who}: folder must be a path, got {show(folder)}. Write it as text, or leave it out.")
    return (results_folder() if folder is None else Path(folder)) / f"{name}.csv"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")  # line ends as they were written, whatever a checkout made of them
    except UnicodeDecodeError:
        raise _damaged(path, "is no text") from None
    except OSError:
        stored = ", ".join(sorted(file.stem for file in path.parent.glob("*.csv"))) or "nothing"
        raise NbkitError(
            f"load_result: the file {path} must be there, got nothing; stored are: {stored}. "
            "Use one of these names, or restore it with `git checkout data`."
        ) from None


def _replace(texts: Mapping[Path, str]) -> None:
    """Write files beside their places first, and put them there when all are whole."""
    partial = {path: path.with_name(f"{path.name}.partial") for path in texts}
    for path, text in texts.items():
        partial[path].write_text(text, encoding="utf-8", newline="\n")
    for path, source in partial.items():
        os.replace(source, path)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(path: Path, what: str) -> NbkitError:
    return NbkitError(f"load_result: {path} must be as it was stored, but it {what}. Restore it, or run it again.")
