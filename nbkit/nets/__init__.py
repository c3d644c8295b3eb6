"""Networks that run: torch modules whose weights come from `nbkit.weights`."""

from nbkit.nets.activations import ACTIVATIONS, MaxMin
from nbkit.nets.chain import chain
from nbkit.nets.feedforward import FeedForward

__all__ = ["ACTIVATIONS", "FeedForward", "MaxMin", "chain"]
