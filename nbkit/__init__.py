"""The mathematics behind the notebooks of "Sparse networks, live": wires, measures, pictures, sliders."""

from importlib import import_module

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
    "results",
    "topology",
    "training",
    "weights",
]


def __getattr__(name: str):
    # Rooms are opened when first named: torch takes seconds to import, `import nbkit` milliseconds.
    if name in __all__:
        return import_module(f"nbkit.{name}")
    raise AttributeError(f"module 'nbkit' has no attribute {name!r}. Its rooms are: {', '.join(__all__)}.")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
