"""The benchmark of compression still runs, on sizes too small to time, and measures what it says."""

import numpy as np

from nbkit.nets import RadialNet

from . import compress


def test_every_ratio_is_taken():
    ratios = [*compress.compression_against_bare((3, 6, 6, 2)), compress.forward_against_original((2, 8, 8, 2), 5)]
    assert [ratio.promised for ratio in ratios] == [1 / 1.5, None, 20]
    assert all(ratio.ratio > 0 and "ratio" in str(ratio) for ratio in ratios)


def test_the_bare_factors_are_those_of_the_algorithm():
    shapes = [tuple(factor.shape) for factor in compress.bare_factors(RadialNet((784, 1024, 1024, 1024, 10)))]
    assert shapes == [(1024, 785), (1024, 786), (1024, 787)]


def test_every_slope_is_taken():
    found = compress.slopes(largest=32)
    assert len(found) == 2
    assert all(np.isfinite(exponent) and len(taken) == 3 for exponent, taken in found.values())
