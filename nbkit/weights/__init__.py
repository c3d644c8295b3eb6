"""Weights at birth: the laws they follow, ensembles of random sparse networks, orthogonal weights on sparse masks."""

from nbkit.weights.laws import Discrete, Gaussian, Law, Uniform
from nbkit.weights.orthogonal import (
    looks_linear,
    looks_linear_block,
    orthogonal,
    orthogonal_on_edges,
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
    "looks_linear",
    "looks_linear_block",
    "orthogonal",
    "orthogonal_on_edges",
    "radix_orthogonal",
    "random_on_mask",
]
