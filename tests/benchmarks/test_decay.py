"""The benchmark of many trainings still runs, on sizes too small to time, and its trainings are the same one."""

import numpy as np
import pytest
import torch

from nbkit.device import one_thread
from nbkit.runs.decay import Settings

from . import decay

SMALL = Settings(n_neurons=6, bottleneck=3)


@one_thread()
def test_every_ratio_is_taken():
    ratios = [*decay.factored_ratios(SMALL, repeats=1), *decay.full_ratios(SMALL, repeats=1)]
    assert [ratio.promised for ratio in ratios] == [2.5, None, None]
    assert all(ratio.ratio > 0 and "ratio" in str(ratio) for ratio in ratios)


def test_baselines_that_train_otherwise_are_refused():
    streams = {
        name: iter([torch.ones(7), values]) for name, values in (("ours", torch.ones(7)), ("other", torch.zeros(7)))
    }
    with pytest.raises(AssertionError, match="other has the errors"):
        decay.in_turns("a", streams, [None], 1)


@one_thread()
def test_every_slope_is_taken():
    found = decay.slopes(largest=32)
    assert len(found) == 2
    assert all(np.isfinite(exponent) and len(taken) == 3 for exponent, taken in found.values())
