"""Sweeps: one function on every cell of a grid, on this machine or a cluster, stored line by line and resumable."""

from nbkit.sweeping.running import stream_sweep, sweep
from nbkit.sweeping.table import Sweep
from nbkit.sweeping.workers import local_cluster

__all__ = ["Sweep", "local_cluster", "stream_sweep", "sweep"]
