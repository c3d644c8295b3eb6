"""One training loop, a generator that anything can watch, stop or resume."""

from nbkit.training.loop import Progress, accuracy, train

__all__ = ["Progress", "accuracy", "train"]
