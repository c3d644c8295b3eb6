"""The benchmark of growth still runs, on sizes too small to time, and measures what it says."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from nbkit.device import describe_device
from nbkit.measure import growth_through, line
from nbkit.results import load_result
from nbkit.weights import Gaussian, RandomNets

from . import growth

TINY = growth.Setting(width=12, depth=2, n_pieces=50, paper_nets=20)


def our_layers(monkeypatch: pytest.MonkeyPatch, nets: RandomNets) -> None:
    """Both baselines are given one known network instead of fresh weights."""
    layers = iter([(nets.weights(0, layer), nets.bias(0, layer)) for layer in range(nets.depth)])
    monkeypatch.setattr(growth, "fresh_layer", lambda setting: next(layers))


@pytest.mark.parametrize(
    "baseline, method, n_points", [("textbook_growth", "chords", 51), ("loop_growth", "tangent", 8)]
)
def test_a_baseline_measures_the_growth_of_a_given_network(monkeypatch, baseline, method, n_points):
    nets = RandomNets((12, 12, 12), Gaussian(2.0), 0.9, seed=3)
    our_layers(monkeypatch, nets)
    expected = growth_through(nets.network(0), TINY.curve, method=method, n_points=n_points).mean
    assert getattr(growth, baseline)(TINY) == pytest.approx(expected, rel=1e-4)


def test_fresh_weights_have_the_density_and_size_of_the_setting():
    torch.manual_seed(0)
    weights, bias = growth.fresh_layer(growth.Setting(width=400, density=0.3))
    assert weights.count_nonzero() / weights.numel() == pytest.approx(0.3, abs=0.005)
    assert weights[weights != 0].std() * math.sqrt(400) == pytest.approx(2, rel=0.02)
    assert bias.std() == pytest.approx(0.01, rel=0.2)


def test_every_ratio_is_taken_and_all_estimate_one_number():
    ours, textbook, loop = growth.measured(TINY, rounds=4, loops=5)
    ratios = growth.ratios(TINY, ours, textbook, loop)
    assert [ratio.promised for ratio in ratios] == [20, 20, None, 40, 40, None, 40, 40, None, 3, 3, None]
    assert all(ratio.ratio > 0 and "ratio" in str(ratio) for ratio in ratios)
    assert (len(ours.results), len(textbook.growths), len(loop.growths)) == (4, 8, 40)
    assert all(abs(growth.apart(ours, baseline)) < 5 for baseline in (textbook, loop))
    assert "with 1 thread" in str(loop) and "without the control variate" in str(ours)


def test_a_baseline_needs_as_many_networks_as_its_spread_says():
    baseline = growth.Baseline("some", growths=[0.9, 1.1, 0.9, 1.1], taken={1: [2.0, 2.0], 2: [3.0, 5.0]})
    assert baseline.std == pytest.approx(0.2 / math.sqrt(3))
    assert baseline.n_for(0.01) == math.ceil(0.04 / 3 / 1e-4)
    assert (baseline.n_threads, baseline.seconds) == (1, 2.0)


def test_a_run_of_ours_is_cold_once_and_its_error_is_the_larger_of_two():
    ours = growth.Ours()
    for seed in range(3):
        ours.measure(TINY, seed)
    assert set(ours.taken) == {"cold", "sigma_w changed", "alpha changed"} and len(ours.taken["cold"]) == 3
    assert ours.sem >= np.std(ours.means, ddof=1)
    assert ours.sem >= min(result.controlled_sem for result in ours.results)


def test_every_slope_is_taken():
    found = growth.slopes(largest=16, n_nets=2)
    assert len(found) == 6
    assert all(np.isfinite(exponent) and len(taken) == 3 for exponent, taken in found.values())


def test_points_for_a_tolerance_are_the_fewest(monkeypatch):
    monkeypatch.setattr(growth, "FINEST", 64)
    curve = line([-1.0], [2.0])  # its image under ReLU has length 2; chords lose at most the piece with the kink
    assert growth.points_for(curve, torch.nn.ReLU(), "chords", 0.6, 2.0) == 2
    assert growth.points_for(curve, torch.nn.ReLU(), "tangent", 1e-9, 2.0) is None
    assert len(growth.length_methods(width=6, depth=2)) == 1 + len(growth.TOLERANCES)


def test_a_tick_is_stored_with_its_device(tmp_path):
    said = growth.store_tick(replace(TINY, paper_nets=3), "cpu", folder=tmp_path)
    stored = load_result("growth_tick", folder=tmp_path)
    assert "ms a tick" in said and stored.sidecar["device"] == describe_device("cpu")
    assert stored.columns["n_nets"].tolist() == [3] and stored.columns["tick_ms"][0] > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="here the GPU part would run and store its figures")
def test_the_gpu_part_says_why_it_was_left_out():
    assert growth.gpu_tick(TINY) == "GPU: skipped, this machine has no CUDA device"
