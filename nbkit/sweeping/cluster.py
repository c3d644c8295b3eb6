"""A dask cluster as an executor that neither loses a task nor waits for ever, whichever workers die."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, InvalidStateError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed.cfexecutor import ClientExecutor

__all__ = ["ClusterPool", "is_dasks"]


class ClusterPool(Executor):
    """Sends tasks as dask's own executor would, and fetches their results as dask's client does.

    The client has a result that was lost with its worker computed again. The futures of dask's executor do not always:
    they take a result for an error when its worker dies as it arrives, and never end when its next worker dies too.
    """

    def __init__(self, executor: ClientExecutor) -> None:
        self._executor, self._client = executor, executor._client

    def submit(self, function: Callable[..., object], /, *arguments: object) -> Future:
        if self._executor._shutdown:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if self._client.status in ("closing", "closed"):
            raise RuntimeError("the client is closed")
        task, future = self._client.submit(function, *arguments, **self._executor._kwargs), Future()
        future.add_done_callback(lambda future: future.cancelled() and task.cancel())
        self._client.loop.add_callback(self._deliver, task, future)
        return future

    async def _deliver(self, task: object, future: Future) -> None:
        """Whatever becomes of the task, its future ends."""
        try:
            tell, outcome = future.set_result, await self._client.gather(task, asynchronous=True)
        except asyncio.CancelledError:  # which is no error of an executor
            tell, outcome = future.set_exception, CancelledError()
        except BaseException as error:
            tell, outcome = future.set_exception, error
        with contextlib.suppress(InvalidStateError):  # cancelled meanwhile
            tell(outcome)
        task.release()  # the cluster need not keep what has arrived


def is_dasks(executor: object) -> bool:
    """Whether it is what `client.get_executor()` gives; dask need not be installed."""
    return any(kind.__module__ == "distributed.cfexecutor" for kind in type(executor).__mro__)
