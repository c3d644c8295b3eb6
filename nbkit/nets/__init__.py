"""Networks that run: torch modules whose weights come from `nbkit.weights`."""

from nbkit.nets.activations import ACTIVATIONS, MaxMin
from nbkit.nets.approximators import approximate_affine, approximate_bounded, capture
from nbkit.nets.chain import chain
from nbkit.nets.convolution import OrthogonalConv2d, SkewConv2d
from nbkit.nets.covers import BallCondition, Cover, ball_condition, balls_needed, cover_box, grid_error
from nbkit.nets.deep import DEEP_METHODS, deep_net
from nbkit.nets.feedforward import FeedForward
from nbkit.nets.graph_challenge import (
    CHALLENGE_BIASES,
    Survivors,
    challenge_inference,
    challenge_inputs,
    challenge_layers,
    challenge_net,
)
from nbkit.nets.lip_conv_net import lip_conv_net
from nbkit.nets.penalties import balanced, rbv2_penalty, weight_decay_penalty
from nbkit.nets.radial import RadialNet, n_radial_parameters
from nbkit.nets.rescaling import RADIAL_FUNCTIONS, RadialActivation
from nbkit.nets.skip import FullSkipNet, SkipLayer, SkipNet
from nbkit.nets.skip_many import FullSkipNets, SkipNets
from nbkit.nets.sparse import SparseLinear, SparseSequential, dense_copy
from nbkit.nets.vanilla_cnn import CNN_METHODS, vanilla_cnn

__all__ = [
    "ACTIVATIONS",
    "CHALLENGE_BIASES",
    "CNN_METHODS",
    "DEEP_METHODS",
    "RADIAL_FUNCTIONS",
    "BallCondition",
    "Cover",
    "FeedForward",
    "FullSkipNet",
    "FullSkipNets",
    "MaxMin",
    "OrthogonalConv2d",
    "RadialActivation",
    "RadialNet",
    "SkewConv2d",
    "SkipLayer",
    "SkipNet",
    "SkipNets",
    "SparseLinear",
    "SparseSequential",
    "Survivors",
    "approximate_affine",
    "approximate_bounded",
    "ball_condition",
    "balanced",
    "balls_needed",
    "capture",
    "chain",
    "challenge_inference",
    "challenge_inputs",
    "challenge_layers",
    "challenge_net",
    "cover_box",
    "deep_net",
    "dense_copy",
    "grid_error",
    "lip_conv_net",
    "n_radial_parameters",
    "rbv2_penalty",
    "vanilla_cnn",
    "weight_decay_penalty",
]
