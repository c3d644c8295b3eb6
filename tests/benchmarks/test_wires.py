"""The benchmark of wires still runs, on sizes too small to time, and measures what it says."""

import numpy as np

from . import wires


def test_the_listing_of_fig_6_gives_the_same_edges():
    assert wires.same_edges((3, 3, 4)) and wires.same_edges((4, 4))
    assert [layer.shape for layer in wires.fig_6_layers((2, 3))] == [(6, 6), (6, 6)]


def test_every_ratio_is_taken():
    ratios = [
        wires.edges_against_fig_6((4, 4)), *wires.edges_against_memory((4, 4)), *wires.reach_against_floats(16, 4, 3),
    ]  # fmt: skip
    assert [ratio.promised for ratio in ratios] == [5, 0.5, 0.5, 30, 30, 30]
    assert all(ratio.ratio > 0 and "ratio" in str(ratio) for ratio in ratios)


def test_every_slope_is_taken():
    found = wires.slopes(largest=64)
    assert len(found) == 3
    assert all(np.isfinite(exponent) and len(taken) == 3 for exponent, taken in found.values())


def test_a_ratio_is_baseline_over_ours():
    assert wires.Ratio("ours", 0.5, "theirs", 2.0, promised=3).ratio == 4
    assert str(wires.Ratio("ours", 0.5, "theirs", 2.0, promised=3)).endswith("ratio 4.00, promised >= 3")
