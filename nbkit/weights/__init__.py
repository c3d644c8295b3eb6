"""Weights at birth: the laws they follow, and ensembles of random sparse networks."""

from nbkit.weights.laws import Discrete, Gaussian, Law, Uniform
from nbkit.weights.random_nets import PAPER_BIAS, RandomNets

__all__ = ["PAPER_BIAS", "Discrete", "Gaussian", "Law", "RandomNets", "Uniform"]
