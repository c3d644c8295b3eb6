"""Where tensors live, how much memory they may take, and where randomness comes from."""

import os
import platform
import re
from pathlib import Path

import numpy as np
import torch

from nbkit.errors import NbkitError

__all__ = [
    "check_memory",
    "choose_device",
    "describe_device",
    "format_bytes",
    "memory_budget",
    "random_generator",
    "spawn_generators",
]

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_FALLBACK_BYTES = 4 * 2**30  # assumed free where the system tells nothing


def choose_device(name: str | torch.device | None = None) -> torch.device:
    """The device for live pictures: the argument, else NBKIT_DEVICE, else cuda where there is one, else the CPU.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps" (untried), or None.

    Raises:
        NbkitError: a name torch does not know, or a device this machine does not have.
    """
    wish = name or os.environ.get("NBKIT_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wish)
    except RuntimeError:
        raise NbkitError(f"choose_device: name must be cpu, cuda or mps, got {wish!r}. Use one of these.") from None
    missing = (device.type == "cuda" and not torch.cuda.is_available()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise NbkitError(f"choose_device: this machine has no {device.type} device, got {wish!r}. Use 'cpu'.")
    return device


def describe_device(device: str | torch.device | None = None) -> str:
    """The device in words, such as `cuda:0 (NVIDIA H100, 80 GiB)` or `cpu (x86_64, 2 threads)`."""
    device = choose_device(device)
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{device} ({properties.name}, {format_bytes(properties.total_memory)})"
    if device.type == "mps":
        return "mps (Apple GPU, untried)"
    return f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)"


def memory_budget() -> int:
    """Bytes that one result may take: NBKIT_MEMORY (such as `2GiB`) or a quarter of what is free.

    Raises:
        NbkitError: NBKIT_MEMORY that is no size.
    """
    setting = os.environ.get("NBKIT_MEMORY")
    if setting is None:
        return _free_bytes() // 4
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", setting, flags=re.IGNORECASE)
    if match is None:
        raise NbkitError(f"memory_budget: NBKIT_MEMORY must be a size, got {setting!r}. Write it as 2GiB.")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def _free_bytes() -> int:
    """Free main memory in bytes, within the container's limit where there is one."""
    free = _FALLBACK_BYTES
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        free = int(re.search(r"MemAvailable:\s+(\d+)", meminfo.read_text())[1]) * 1024
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and limit.read_text().strip().isdigit():
        free = min(free, max(0, int(limit.read_text()) - int(used.read_text())))
    return free


def check_memory(who: str, n_bytes: int, *, lower: str) -> None:
    """Refuse what would not fit, before anything is made.

    Args:
        who: the public function that was called.
        n_bytes: what the result and its working memory will take.
        lower: the setting to lower, for the message.

    Raises:
        NbkitError: n_bytes is over the budget; says how much it needs, how much there is, and what to lower.
    """
    budget = memory_budget()
    if n_bytes > budget:
        raise NbkitError(
            f"{who}: the result must fit into the memory budget of {format_bytes(budget)}, "
            f"but it would take {format_bytes(n_bytes)}. Lower {lower}, or raise NBKIT_MEMORY."
        )


def format_bytes(n_bytes: int) -> str:
    """A size for people, such as `1.5 GiB`."""
    size, unit = float(n_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.3g} {unit}"


def random_generator(seed: int | np.random.Generator | None) -> np.random.Generator:
    """A numpy Generator: an int repeats, None is fresh, a Generator is used (and advances).

    Raises:
        NbkitError: anything else, or a negative integer.
    """
    if isinstance(seed, np.random.Generator):
        return seed
    if seed is None or (isinstance(seed, (int, np.integer)) and not isinstance(seed, bool) and seed >= 0):
        return np.random.default_rng(seed)
    raise NbkitError(
        f"random_generator: seed must be an integer of at least 0, a numpy Generator or None, got {seed!r}. Use seed=0."
    )


def spawn_generators(seed: int | np.random.Generator | None, n: int) -> list[np.random.Generator]:
    """One independent child Generator for each of n layers, so that equal shapes do not mean equal draws."""
    return random_generator(seed).spawn(n)
