"""Functions that the tests sweep, in a module of their own, because worker processes must find them."""

import asyncio
import math
import os
import signal
import time
from pathlib import Path


def nothing(i):
    pass


def total(a, b=0, seed=0):
    return {"sum": a + b, "noise": seed / 10}


def root(x):
    return math.sqrt(x)


def counted(i, log):
    """Leaves a line for each time it is computed."""
    with Path(log).open("a") as file:
        file.write(f"{i}\n")
    time.sleep(0.02)
    return i**2


def slow(i):
    time.sleep(0.001)
    return i


def where(i):
    time.sleep(0.05)
    return {"pid": os.getpid()}


def torch_threads(i):
    import torch  # takes seconds, which the other cells need not wait for

    return torch.get_num_threads()


def deadly(i):
    if i == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return i


def dies_once(i, mark):
    if i == 3 and not Path(mark).exists():
        Path(mark).touch()
        os._exit(7)
    return i


class Speechless(Exception):
    def __str__(self):
        return None


def raises(i, kind):
    if i == 1:
        raise {"speechless": Speechless(), "cancelled": asyncio.CancelledError("no more")}[kind]


def dies_with_a_child(i, log):
    """The child, forked, holds open what the parent had open."""
    if i != 1:
        return i
    child = os.fork()
    if not child:
        time.sleep(300)
        os._exit(0)
    with Path(log).open("a") as file:
        file.write(f"{child}\n")
    os.kill(os.getpid(), signal.SIGKILL)


def leaves(i):
    raise SystemExit(3)
