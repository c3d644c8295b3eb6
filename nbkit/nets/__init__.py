"""Networks that run: torch modules whose weights come from `nbkit.weights`."""

from nbkit.nets.activations import ACTIVATIONS, MaxMin
from nbkit.nets.chain import chain
from nbkit.nets.convolution import OrthogonalConv2d, SkewConv2d
from nbkit.nets.feedforward import FeedForward
from nbkit.nets.lip_conv_net import lip_conv_net
from nbkit.nets.radial import RadialNet, n_radial_parameters
from nbkit.nets.rescaling import RADIAL_FUNCTIONS, RadialActivation

__all__ = [
    "ACTIVATIONS",
    "RADIAL_FUNCTIONS",
    "FeedForward",
    "MaxMin",
    "OrthogonalConv2d",
    "RadialActivation",
    "RadialNet",
    "SkewConv2d",
    "chain",
    "lip_conv_net",
    "n_radial_parameters",
]
