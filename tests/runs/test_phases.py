"""The phase diagrams: what a cell measures, that the run is a sweep which goes on, and what is stored is met again."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.measure import growth_lower_bound, random_line, weight_scale
from nbkit.nets import deep_net
from nbkit.results import load_result
from nbkit.runs import phases
from nbkit.runs.phases import (
    TRAINED_WEIGHTS,
    Settings,
    growth_cell,
    level_line,
    run_phases,
    trainability_cell,
)
from nbkit.weights import Gaussian, RandomNets

STORED = Settings()
SMALL = Settings((0.1, 1.0), (1.0, 2.0), (8,), 2, degrees=(4, 8), depths=(2,), steps=2, n_seeds=1)
TABLES = ("phases_growth", "phases_training")


def test_the_rate_is_that_of_the_whole_line_s_length():
    """Dense numpy, 20,001 points; the cell looks at tangents in eight, so that the two agree to some percent."""
    width, depth, seed = 60, 3, 5
    z = random_line(width, seed=seed)(np.linspace(0, 1, 20_001)).numpy()
    lengths = [np.linalg.norm(np.diff(z, axis=0), axis=1).sum()]
    nets = RandomNets((width,) * (depth + 1), Gaussian(2.0), 0.5, seed=seed)
    for layer in range(depth):
        z = np.maximum(z @ nets.weights(0, layer).numpy().T + nets.bias(0, layer).numpy(), 0)
        lengths.append(np.linalg.norm(np.diff(z, axis=0), axis=1).sum())
    found = growth_cell(0.5, 2.0, seed, width, depth)
    assert found["rate"] == pytest.approx((lengths[-1] / lengths[0]) ** (1 / depth), rel=0.05)
    assert found["growth"] == pytest.approx(np.mean(np.divide(lengths[1:], lengths[:-1])), rel=0.1)


def test_one_seed_is_one_network_at_every_scale_so_its_growth_is_as_good_as_linear_in_it():
    low, high = (growth_cell(0.3, scale, 1, 50)["growth"] for scale in (6.0, 18.0))
    assert high == pytest.approx(3 * low, rel=0.02)  # but for the biases, which stay small


def test_a_line_that_dies_has_the_rate_0_and_a_finite_factor():
    found = growth_cell(0.01, 2.0, 0, 10, 20)
    assert found["rate"] == 0 and 0 <= found["growth"] < 1


def test_both_weights_lie_on_the_same_wires():
    layers = [
        [module.layer for module in deep_net(5, method, degree=4, width=64, n_inputs=256, seed=3)[:-1:2]]
        for method in TRAINED_WEIGHTS.values()
    ]
    assert all((one.mask() == other.mask()).all() for one, other in zip(*layers, strict=True))


@pytest.mark.parametrize("weights", TRAINED_WEIGHTS)
def test_directions_are_the_stable_rank_of_the_product_of_the_square_layers(weights):
    net = deep_net(6, TRAINED_WEIGHTS[weights], degree=8, gain=1.1, width=64, n_inputs=256, seed=2)
    squares = [module.to_dense().detach().double().numpy() for module in net[4:-1:2]]
    assert [square.shape for square in squares] == [(64, 64)] * 5
    s = np.linalg.svd(np.linalg.multi_dot(squares[::-1]), compute_uv=False)
    found = trainability_cell(8, 6, weights, seed=2, steps=1)["directions"]
    assert found == pytest.approx((s**2).sum() / s[0] ** 2, rel=1e-4)
    assert (found == pytest.approx(64, rel=1e-4)) == (weights == "orthogonal")


def test_ten_layers_of_orthogonal_weights_learn_and_what_is_told_is_of_all_test_digits():
    found = trainability_cell(8, 10, "orthogonal", seed=0, steps=60)
    assert found["accuracy"] > 0.6 and 0 < found["loss"] < math.log(10)
    assert found["accuracy"] * 2000 == pytest.approx(round(found["accuracy"] * 2000), abs=1e-3)


def test_other_weights_and_degrees_are_refused():
    with pytest.raises(NbkitError, match="trainability_cell: weights must be one of 'orthogonal', 'Gaussian', got"):
        trainability_cell(4, 2, "uniform", 0)
    with pytest.raises(NbkitError, match="deep_net: degree must be one that SAO wires admit, got 3"):
        trainability_cell(3, 2, "orthogonal", 0)


def test_a_power_law_crosses_its_level_where_the_formula_says_between_known_cells():
    y, factors = np.array([0.5, 1.0, 4.0, 32.0]), np.array([0.1, 1.0, 7.0, 100.0])
    values = np.log(factors * y[:, None])
    values[1, 1:3] = np.nan  # not known yet
    np.testing.assert_allclose(level_line(y, values, 0.0), [10, 1, np.nan, np.nan])
    np.testing.assert_allclose(level_line(y, -values, 0.0), [10, 1, np.nan, np.nan])
    assert np.isnan(level_line(y, np.full((4, 1), np.nan), 0.0)).all()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The folder of a small run's tables."""
    folder = tmp_path_factory.mktemp("small")
    run_phases(work=folder / "work", say=lambda line: None, settings=SMALL, folder=folder)
    return folder


def test_a_whole_run_stores_one_row_a_cell_and_leaves_nothing_else(small):
    wanted = {f"{name}.{end}" for name in TABLES for end in ("csv", "json")}
    assert {path.name for path in small.iterdir()} == wanted
    growth, training = (load_result(name, folder=small) for name in TABLES)
    assert not growth.is_partial and growth.sidecar["steps"] == len(growth.columns["growth"]) == 4
    assert training.columns["weights"].tolist() == ["orthogonal"] * 2 + ["Gaussian"] * 2
    for place in range(4):
        cell = {name: growth.columns[name][place].item() for name in ("density", "sigma_w", "seed", "width", "depth")}
        assert growth.columns["growth"][place] == pytest.approx(growth_cell(**cell)["growth"], rel=1e-5)


def test_a_stopped_run_goes_on_and_computes_no_finished_cell_again(small, tmp_path, monkeypatch):
    def stop(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # the first table is stored, the second not begun
        run_phases(work=tmp_path / "work", say=stop, settings=SMALL, folder=tmp_path)
    assert load_result(TABLES[0], folder=tmp_path).columns.keys() >= {"growth", "rate"}
    monkeypatch.setattr(phases, "growth", None)
    run_phases(work=tmp_path / "work", say=lambda line: None, settings=SMALL, folder=tmp_path)
    for name in TABLES:
        here, there = (load_result(name, folder=folder).columns for folder in (tmp_path, small))
        assert {key: column.tolist() for key, column in here.items()} == {
            key: column.tolist() for key, column in there.items()
        }


@pytest.fixture(scope="module")
def stored():
    return {name: load_result(name) for name in TABLES}


def test_the_stored_run_is_the_one_that_the_code_makes(stored):
    for name, n_cells in zip(TABLES, (2 * 21 * 21 * 3, 7 * 2 * 6 * 3), strict=True):
        beside = stored[name].sidecar
        assert beside["settings"] == json.loads(json.dumps(asdict(STORED))) and beside["command"] == phases.COMMAND
        assert beside["status"] == "complete" and beside["rows"] == beside["steps"] == n_cells


@pytest.mark.parametrize("place", [0, 777, 1500, 2645])
def test_cells_of_the_stored_growth_are_met_again(stored, place):
    """To 0.1 %: single precision adds in another order on another machine."""
    row = {name: column[place].item() for name, column in stored[TABLES[0]].columns.items()}
    found = growth_cell(*(row[name] for name in ("density", "sigma_w", "seed", "width", "depth")))
    assert found == pytest.approx({name: row[name] for name in found}, rel=1e-3, abs=1e-12)


@pytest.mark.parametrize(("weights", "degree", "depth"), [("orthogonal", 2, 5), ("Gaussian", 16, 5)])
def test_cells_of_the_stored_training_are_met_again(stored, weights, degree, depth):
    """Loss to 2 %, accuracy to 3 points: rounding differs between machines, and training enlarges it."""
    columns = stored[TABLES[1]].columns
    kept = (columns["weights"] == weights) & (columns["degree"] == degree) & (columns["depth"] == depth)
    (place,) = np.flatnonzero(kept & (columns["seed"] == 1))
    found = trainability_cell(degree, depth, weights, seed=1, steps=STORED.steps)
    assert found["loss"] == pytest.approx(columns["loss"][place], rel=2e-2)
    assert found["accuracy"] == pytest.approx(columns["accuracy"][place], abs=3e-2)
    assert found["directions"] == pytest.approx(columns["directions"][place], rel=1e-3)


def test_wide_networks_keep_lengths_on_the_rms_law_s_line_and_no_cell_is_below_the_bound(stored):
    columns = stored[TABLES[0]].columns
    bound = np.array(
        [growth_lower_bound(Gaussian(s), a) for s, a in zip(columns["sigma_w"], columns["density"], strict=True)]
    )
    wide = columns["width"] == 784
    assert (columns["growth"] > bound)[wide].all()
    shape = len(STORED.densities), len(STORED.scales), STORED.n_seeds
    means = columns["growth"][wide].reshape(shape).mean(axis=2).T
    measured = level_line(STORED.scales, np.log(means), 0.0)
    law = np.array([weight_scale(density) for density in STORED.densities])
    np.testing.assert_allclose(measured, law, rtol=0.03)
