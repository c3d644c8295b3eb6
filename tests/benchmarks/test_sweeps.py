"""The benchmark of sweeps still runs, on sizes too small to time."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from . import sweeps


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


def test_every_ratio_is_taken(threads):
    ratios = [
        sweeps.empty_cells(20, threads),
        *sweeps.two_workers_against_one(4, 0.001, cluster=ThreadPoolExecutor, repeats=1),
    ]
    assert [ratio.promised for ratio in ratios] == [1, 1.7, 1.7]
    assert all(ratio.ratio > 0 and "ratio" in str(ratio) for ratio in ratios)


def test_every_slope_is_taken(threads):
    found = sweeps.slopes(64, threads)
    assert len(found) == 2
    assert all(np.isfinite(exponent) and len(taken) == 3 for exponent, taken in found.values())


def test_the_cells_take_what_they_say():
    assert sweeps.turns(0.02) > sweeps.turns(0.002)
