"""Weights at birth: the laws they follow, ensembles of random sparse networks, orthogonal weights on sparse masks."""

from nbkit.weights.convolution import delta_orthogonal, eco, n_free_slices, slice_of_frequency, soc
from nbkit.weights.laws import Discrete, Gaussian, Law, Uniform
from nbkit.weights.orthogonal import (
    looks_linear,
    looks_linear_block,
    orthogonal,
    orthogonal_on_edges,
    random_on_edges,
    random_on_mask,
)
from nbkit.weights.radix import radix_orthogonal
from nbkit.weights.random_nets import PAPER_BIAS, RandomNets

__all__ = [
    "PAPER_BIAS",
    "Discrete",
    "Gaussian",
    "Law",
    "RandomNets",
    "Uniform",
    "delta_orthogonal",
    "eco",
    "looks_linear",
    "looks_linear_block",
    "n_free_slices",
    "orthogonal",
    "orthogonal_on_edges",
    "radix_orthogonal",
    "random_on_edges",
    "random_on_mask",
    "slice_of_frequency",
    "soc",
]
