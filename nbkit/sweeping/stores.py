"""The file of a sweep: one JSON line a finished cell, appended and flushed, of one function, for one writer at a time."""

from __future__ import annotations

import json
import os
import weakref
from pathlib import Path

from nbkit.errors import NbkitError, show
from nbkit.sweeping.cells import from_json, key_of

try:
    import fcntl
except ImportError:  # not on Windows: there nobody watches over a second writer
    fcntl = None

__all__ = ["Store"]

_OPEN: weakref.WeakSet[Store] = weakref.WeakSet()


class Store:
    """Finished cells on disk; open it with `with`, which reads what is there and keeps other writers out.

    Args:
        who: the public function that was called.
        path: of the file; it and its folders are made where they are not there.
        function: the qualified name whose cells these are.
        version: of the function.

    Attributes:
        finished: a cell's key -> what is known of it: seconds and result, or seconds and error.
        n_stored: lines in the file.

    Raises:
        NbkitError: on opening, a path that cannot be a store, or is another function's, or is being written to.
    """

    def __init__(self, who: str, path: object, function: str, version: int) -> None:
        if not isinstance(path, (str, Path)):
            raise NbkitError(f"{who}: store must be a path, got {show(path)}. Write it as 'sweep.jsonl'.")
        self.who, self.path, self.function, self.version = who, Path(path), function, version
        self.finished: dict[str, dict] = {}
        self.n_stored = 0

    def __enter__(self) -> Store:
        try:
            self.path = self.path.expanduser()
            if self.path.exists() and not self.path.is_file():
                raise NbkitError(
                    f"{self.who}: store must be a file, got {show(str(self.path))}. Write it as 'sweep.jsonl'."
                )
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b", buffering=0)
        except NbkitError:
            raise
        except (OSError, ValueError, RuntimeError) as error:  # also letters that no path has, and no home
            why = getattr(error, "strerror", None) or error
            raise NbkitError(
                f"{self.who}: store must be a file that can be written to, got {show(str(self.path))}: {why}. "
                "Use another folder."
            ) from None
        try:
            _OPEN.add(self)
            self._lock()
            self._read()
        except OSError as error:
            self._file.close()
            raise self._has_no_room(error) from None
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _lock(self) -> None:
        try:
            if fcntl:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NbkitError(
                f"{self.who}: store must be written by one sweep at a time, got {self.path}, which another one is "
                "writing to. Wait until it has ended, or use another store."
            ) from None
        except OSError:
            pass  # a file system without locks, as some networks have

    def _read(self) -> None:
        """Keep the last line of every cell; a last line that a kill cut short is taken away."""
        self._file.seek(0)
        whole, end, last = self._file.readall().rpartition(b"\n")
        for number, line in enumerate(whole.splitlines(), start=1):
            if line.strip():
                self._keep(number, line)
        if _is_torn(last, self._head().encode()):
            self._file.truncate(len(whole + end))
        else:  # whole but for its end, or no line of ours
            self._keep((whole + end).count(b"\n") + 1, last)
            self._write(b"\n")

    def _keep(self, number: int, line: bytes) -> None:
        try:
            entry = json.loads(line)
            of, cell = (entry["function"], entry["version"]), entry["cell"]
            known = {key: entry[key] for key in ("seconds", "error" if "error" in entry else "result")}
            from_json(known.get("result", {}))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise NbkitError(
                f"{self.who}: store must hold one finished cell a line, got {self.path}, whose line {number} is "
                f"{show(line.decode(errors='replace'))}. Remove that line, or use another store."
            ) from None
        if of != (self.function, self.version):
            raise NbkitError(
                f"{self.who}: store must be of {self.function}, version {self.version}, got {self.path}, which is of "
                f"{of[0]}, version {of[1]}. Use another store for it."
            )
        self.finished[json.dumps(cell, sort_keys=True)] = known
        self.n_stored += 1

    def append(self, cells: list[dict], known: list[str]) -> None:
        """Write finished cells at once, each with its JSON of seconds and result or error.

        Raises:
            NbkitError: the disk is full or gone; whole lines stay.
        """
        head = self._head()
        lines = [f"{head}{key_of(cell)}, {text[1:]}\n".encode() for cell, text in zip(cells, known, strict=True)]
        try:
            for line in lines:
                self._write(line)
                self.n_stored += 1
        except OSError as error:
            raise self._has_no_room(error) from None

    def _head(self) -> str:
        """With which every line begins."""
        return f'{{"function": {json.dumps(self.function)}, "version": {self.version}, "cell": '

    def _has_no_room(self, error: OSError) -> NbkitError:
        return NbkitError(
            f"{self.who}: store must have room for every cell, got {self.path}: {error.strerror}; "
            f"{self.n_stored} cells are stored. Make room and call again: they are not repeated."
        )

    def _write(self, line: bytes) -> None:
        before = os.fstat(self._file.fileno()).st_size
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError:
            self._file.truncate(before)
            raise


def _is_torn(last: bytes, head: bytes) -> bool:
    """Whether it is the beginning of a line of ours, and not the whole of one."""
    try:
        json.loads(last)
    except (ValueError, RecursionError):
        return last[: len(head)] == head[: len(last)]
    return False


def _forget() -> None:
    """A forked child must not hold the lock: a pool's may live on when this process is killed."""
    for store in _OPEN:
        store._file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
