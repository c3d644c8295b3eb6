"""Paper-scale runs, whose results are stored: `python -m nbkit run NAME`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

from nbkit.errors import NbkitError, check_choice, show
from nbkit.runs.decay_tables import run_decay
from nbkit.runs.deep_tables import run_deep
from nbkit.runs.expressive import run_expressive
from nbkit.runs.fashion import run_fashion
from nbkit.runs.phases import run_phases
from nbkit.runs.radial_training import run_radial_training
from nbkit.runs.trained_growth import run_trained_growth

__all__ = ["RUNS", "run"]

RUNS: dict[str, Callable] = {
    "trained_growth": run_trained_growth,
    "radial_training": run_radial_training,
    "decay": run_decay,
    "deep": run_deep,
    "fashion": run_fashion,
    "expressive": run_expressive,
    "phases": run_phases,
}


def run(
    name: str,
    *,
    work: str | Path | None = None,
    say: Callable[[str], None] = print,
    data: str | Path | None = None,
    depths: Sequence[int] | None = None,
) -> None:
    """Make a stored result again, from the beginning or from where it was stopped.

    Args:
        name: one of `RUNS`.
        work: folder for checkpoints, kept until the run is complete; default build/runs in the present folder.
        say: takes lines of progress.
        data: folder with the data, for runs that read some.
        depths: of the networks, for runs that train several.

    Raises:
        NbkitError: a name that is no run, an option that it does not take, a checkpoint of other settings.

    Example:
        >>> run("deep", data="mnist", depths=[1000])                        # doctest: +SKIP
    """
    check_choice("run", "name", name, RUNS)
    given = {key: value for key, value in (("data", data), ("depths", depths)) if value is not None}
    for key in given.keys() - inspect.signature(RUNS[name]).parameters.keys():
        raise NbkitError(f"run: {name} takes no {key}, got {show(given[key])}. Leave it out.")
    RUNS[name](work=Path("build/runs" if work is None else work) / name, say=say, **given)
