"""The mathematics behind the notebooks of "Sparse networks, live": wires, measures, pictures, sliders."""

from importlib import import_module
from importlib.util import find_spec

__version__ = "0.1.0"

__all__ = [
    "claims",
    "compress",
    "data",
    "device",
    "errors",
    "exercises",
    "explore",
    "figures",
    "measure",
    "nets",
    "questions",
    "report",
    "reporting",
    "results",
    "sweep",
    "sweeping",
    "topology",
    "training",
    "weights",
]


_ROOMS = [name for name in __all__ if name not in ("report", "sweep")]


def __getattr__(name: str):
    # Rooms are opened when first named: torch takes seconds to import, `import nbkit` milliseconds.
    if name in _ROOMS:
        return import_module(f"nbkit.{name}")
    if name == "sweep":
        return import_module("nbkit.sweeping").sweep
    if name == "report":  # with pictures where they can be drawn, its numbers alone elsewhere
        has_pictures = find_spec("ipywidgets") and find_spec("plotly")
        return import_module("nbkit.explore.report" if has_pictures else "nbkit.reporting").report
    raise AttributeError(f"module 'nbkit' has no attribute {name!r}. Its rooms are: {', '.join(_ROOMS)}.")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
