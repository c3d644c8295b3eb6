"""Tests of the laws of weights and of the ensembles drawn from them."""
