"""Networks that run: torch modules whose weights come from `nbkit.weights`."""

from nbkit.nets.activations import ACTIVATIONS, MaxMin
from nbkit.nets.chain import chain
from nbkit.nets.convolution import OrthogonalConv2d, SkewConv2d
from nbkit.nets.feedforward import FeedForward
from nbkit.nets.lip_conv_net import lip_conv_net

__all__ = ["ACTIVATIONS", "FeedForward", "MaxMin", "OrthogonalConv2d", "SkewConv2d", "chain", "lip_conv_net"]
