"""Which notebook cell made what; running a cell again closes what it made before."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["current_cell", "remember"]


class _Closable(Protocol):
    def close(self) -> None: ...


_MADE: dict[str, list[_Closable]] = {}
_HOOKED: list[Any] = []


def current_cell() -> str | None:
    """The `cellId` of the message the kernel is answering; None outside JupyterLab, where nobody sends one."""
    parent = getattr(getattr(_shell(), "kernel", None), "get_parent", dict)()
    return (parent or {}).get("metadata", {}).get("cellId")


def remember(made: _Closable) -> None:
    """Close `made` when the cell that is running now runs again; without a cell id nothing is superseded."""
    cell = current_cell()
    if cell is None:
        return
    shell = _shell()
    if shell not in _HOOKED:
        shell.events.register("pre_run_cell", _supersede)
        _HOOKED.append(shell)
    _MADE.setdefault(cell, []).append(made)


def _supersede(_: object = None) -> None:
    for made in _MADE.pop(current_cell(), []):
        made.close()


def _shell() -> Any:
    from IPython import get_ipython

    return get_ipython()
