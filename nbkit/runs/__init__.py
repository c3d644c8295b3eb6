"""Paper-scale runs, whose results are stored: `python -m nbkit run NAME`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nbkit.errors import check_choice
from nbkit.runs.decay_tables import run_decay
from nbkit.runs.radial_training import run_radial_training
from nbkit.runs.trained_growth import run_trained_growth

__all__ = ["RUNS", "run"]

RUNS: dict[str, Callable] = {
    "trained_growth": run_trained_growth,
    "radial_training": run_radial_training,
    "decay": run_decay,
}


def run(name: str, *, work: str | Path | None = None, say: Callable[[str], None] = print) -> None:
    """Make a stored result again, from the beginning or from where it was stopped.

    Args:
        name: one of `RUNS`.
        work: folder for checkpoints, kept until the run is complete; default build/runs in the present folder.
        say: takes lines of progress.

    Raises:
        NbkitError: a name that is no run, a checkpoint of other settings.
    """
    check_choice("run", "name", name, RUNS)
    RUNS[name](work=Path("build/runs" if work is None else work) / name, say=say)
