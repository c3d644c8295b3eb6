"""Where tensors live, how much memory they may take, and where randomness comes from."""

import os
import platform
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from nbkit.errors import NbkitError, check_integer, show

__all__ = [
    "as_array",
    "as_tensor",
    "check_memory",
    "choose_device",
    "describe_device",
    "format_bytes",
    "memory_budget",
    "one_thread",
    "random_generator",
    "spawn_generators",
]

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_COUNTLESS = 10**6  # of the largest unit; the number says nothing beyond
_SMALL_BYTES = 2**20  # fits everywhere
_FALLBACK_BYTES = 4 * 2**30  # assumed free where the system tells nothing
_THREADS, _WISHED = threading.local(), {}  # how deep a thread is inside `one_thread`; torch's threads outside


def choose_device(name: str | torch.device | None = None) -> torch.device:
    """The device for live pictures: the argument, else NBKIT_DEVICE, else cuda where there is one, else the CPU.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps" (untried), or None.

    Raises:
        NbkitError: a name torch does not know, or a device this machine does not have.
    """
    default = os.environ.get("NBKIT_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    wish = default if name is None else name
    try:
        device = torch.device(wish) if isinstance(wish, (str, torch.device)) else None
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise NbkitError(
            f"choose_device: name (or NBKIT_DEVICE) must be cpu, cuda or mps, got {show(wish)}. Use one of these."
        )
    present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= present[device.type]:
        raise NbkitError(
            f"choose_device: name (or NBKIT_DEVICE) must be a device of this machine, got {show(str(wish))}, "
            "which it does not have. Use 'cpu'."
        )
    return device


def describe_device(device: str | torch.device | None = None) -> str:
    """The device in words, such as `cuda:0 (NVIDIA H100, 80 GiB)` or `cpu (x86_64, 2 threads)`."""
    device = choose_device(device)
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{device} ({properties.name}, {format_bytes(properties.total_memory)})"
    if device.type == "mps":
        return "mps (Apple GPU, untried)"
    threads = torch.get_num_threads()
    return f"cpu ({platform.machine()}, {threads} thread{'s' * (threads != 1)})"


@contextmanager
def one_thread() -> Iterator[None]:
    """Small tensors on one core: on a busy machine torch's further threads wait for theirs, up to 250 ms a picture.

    Afterwards torch has as many as the main thread had set: a thread that was born while another computed here on one
    core knows of one only, and would leave that to all.
    """
    depth, before = getattr(_THREADS, "depth", 0), torch.get_num_threads()
    if not depth and (threading.current_thread() is threading.main_thread() or not _WISHED):
        _WISHED["threads"] = before
    _THREADS.depth = depth + 1
    torch.set_num_threads(1)
    try:
        yield
    finally:
        _THREADS.depth = depth
        torch.set_num_threads(before if depth else _WISHED["threads"])


def memory_budget(device: torch.device | None = None) -> int:
    """Bytes that one result may take: NBKIT_MEMORY (such as `2GiB`) or a quarter of what is free.

    Args:
        device: a CUDA device, whose own memory then counts; default main memory.

    Raises:
        NbkitError: NBKIT_MEMORY that is no size.
    """
    setting = os.environ.get("NBKIT_MEMORY")
    if setting is None:
        return (torch.cuda.mem_get_info(device)[0] if device and device.type == "cuda" else _free_bytes()) // 4
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", setting, flags=re.IGNORECASE)
    if match is None:
        raise NbkitError(f"memory_budget: NBKIT_MEMORY must be a size, got {setting!r}. Write it as 2GiB.")
    return int(Fraction(match[1]) * _UNITS[match[2].upper()])


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
    if n_bytes <= _SMALL_BYTES and "NBKIT_MEMORY" not in os.environ:
        return  # looking up what is free would take longer than making it
    budget = memory_budget()
    if n_bytes > budget:
        raise NbkitError(
            f"{who}: the result must fit into the memory budget of {format_bytes(budget)}, "
            f"but it would take {format_bytes(n_bytes)}. Lower {lower}, or raise NBKIT_MEMORY."
        )


def format_bytes(n_bytes: int) -> str:
    """A size for people, such as `1.5 GiB`."""
    size, unit = Fraction(n_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    if size >= _COUNTLESS:
        return f"more than {_COUNTLESS:,} {unit}"
    return f"{float(size):.3g} {unit}" if size < 1000 else f"{round(size)} {unit}"


def as_array(who: str, name: str, values: object) -> np.ndarray:
    """The values as a numpy array of numbers, whatever holds them: lists, arrays, tensors of any device.

    Raises:
        NbkitError: rows of unequal length, text, or anything else that is no array of numbers.
    """
    try:
        if isinstance(values, torch.Tensor):
            values = values.detach().cpu()
            values = values.float() if values.dtype == torch.bfloat16 else values  # numpy has no bfloat16
        array = np.asarray(values)
        array = array.astype(np.float64) if array.dtype == object else array
    except (TypeError, ValueError, OverflowError, RuntimeError):
        array = None
    if array is None or array.dtype.kind not in "biufc":
        raise NbkitError(
            f"{who}: {name} must be an array of numbers, got {show(values)}. Give rows of one length that hold numbers."
        )
    # torch takes neither another byte order nor more than double precision nor an array that runs backwards
    native = {np.longdouble: np.float64, np.clongdouble: np.complex128}.get(
        array.dtype.type, array.dtype.newbyteorder("=")
    )
    array = array.astype(native, copy=False)
    return array.copy() if min(array.strides, default=0) < 0 else array


def as_tensor(who: str, name: str, values: object) -> torch.Tensor:
    """The values as a detached tensor of numbers: a tensor stays where it is, arrays and lists are copied.

    Raises:
        NbkitError: as `as_array`; sparse, quantised and nested tensors, and those without data.
    """
    is_plain = isinstance(values, torch.Tensor) and values.layout == torch.strided and not values.is_nested
    if is_plain and not (values.is_quantized or values.is_meta):
        return values.detach()
    return torch.tensor(as_array(who, name, values))


def random_generator(seed: int | np.random.Generator | None, *, who: str = "random_generator") -> np.random.Generator:
    """A numpy Generator: an int repeats, None is fresh, a Generator is used (and advances).

    Args:
        seed: an integer of at least 0, a Generator, or None.
        who: the public function that was called, for the message.

    Raises:
        NbkitError: anything else, or a negative integer.
    """
    if isinstance(seed, np.random.Generator):
        return seed
    if seed is None or (isinstance(seed, (int, np.integer)) and not isinstance(seed, bool) and seed >= 0):
        return np.random.default_rng(seed)
    raise NbkitError(
        f"{who}: seed must be an integer of at least 0, a numpy Generator or None, got {show(seed)}. Use seed=0."
    )


def spawn_generators(
    seed: int | np.random.Generator | None, n: int, *, who: str = "spawn_generators"
) -> list[np.random.Generator]:
    """One independent child Generator for each of n layers, so that equal shapes do not mean equal draws.

    Raises:
        NbkitError: a seed that `random_generator` refuses, or an n outside 0..10^6.
    """
    return random_generator(seed, who=who).spawn(check_integer(who, "n", n, at_least=0, at_most=10**6))
