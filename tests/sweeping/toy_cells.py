"""Functions that the tests sweep, in a module of their own, because worker processes must find them."""

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


def leaves(i):
    raise SystemExit(3)
