"""What `python -m nbkit check` looks at: Python, packages, device, data, notebooks. Light until it runs."""

import importlib
import importlib.metadata
import platform
import re
import sys
from collections.abc import Callable, Iterator

__all__ = ["START", "check_installation", "requirements"]

DISTRIBUTION = "sparse-networks-live"
OLDEST_PYTHON = (3, 11)
START = "00_start_here.ipynb"


def requirements() -> list[str]:
    """Names of the packages the installed distribution needs, without those of its extras."""
    lines = importlib.metadata.requires(DISTRIBUTION) or []
    return [re.match(r"[\w.-]+", line)[0] for line in lines if "extra ==" not in line]


def check_installation(say: Callable[[str], None] = print) -> list[str]:
    """Look at everything, say each finding as soon as it is known, and return the reasons why it will not run.

    Args:
        say: takes one line of text.

    Returns:
        One sentence for each thing that is missing or broken; empty when all is well.
    """
    problems = []
    for part, look in (
        ("Python", _python),
        ("packages", _packages),
        ("device", _device),
        ("data", _data),
        ("notebooks", _notebooks),
    ):
        try:
            for finding in look():
                say(f"  {part:<10} {finding}")
        # A broken installation breaks in any way it likes; each is a reason to report, none a traceback to show.
        except Exception as error:
            problems.append(f"{part}: {error}")
            say(f"  {part:<10} NOT FOUND: {error}")
    return problems


def _python() -> Iterator[str]:
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        raise RuntimeError(f"Python {wanted} or newer is needed, this is {platform.python_version()}.")
    yield f"{platform.python_version()} ({sys.executable})"


def _packages() -> Iterator[str]:
    try:
        names = requirements()
    except importlib.metadata.PackageNotFoundError:
        raise RuntimeError(f"{DISTRIBUTION} is not installed. Run `pip install -e .` in the checkout.") from None
    missing = []
    for name in names:
        try:
            importlib.import_module(name)  # its metadata alone would not show a library that cannot be loaded
            yield f"{name} {importlib.metadata.version(name)}"
        except Exception as error:
            missing.append(f"{name} ({error})")
    if missing:
        raise RuntimeError(f"cannot import {', '.join(missing)}. Run `pip install -e .` again, or `pip install` these.")


def _device() -> Iterator[str]:
    from nbkit.device import describe_device

    yield describe_device()


def _data() -> Iterator[str]:
    from nbkit.data import mnist_digits

    images, _ = mnist_digits()
    yield f"{len(images):,} digits, checksum right"


def _notebooks() -> Iterator[str]:
    from nbkit.data import shipped_folder

    folder = shipped_folder("notebooks")
    found = sorted(path.name for path in folder.glob("*.ipynb"))
    if START not in found:
        raise RuntimeError(f"{folder} does not hold {START}. Take a whole checkout, or install again.")
    yield f"{len(found)}, in {folder}"
