"""Fits of the Lipschitz ball: functions, wires and power laws are what they say, and what is stored the code gives again."""

import itertools
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from nbkit.device import one_thread
from nbkit.errors import NbkitError
from nbkit.measure import path_counts
from nbkit.results import load_result
from nbkit.runs.expressive import (
    EARLY,
    NETS,
    Settings,
    born,
    fit_cell,
    fit_stream,
    grid_errors,
    n_parameters,
    run_expressive,
    samples,
    wires,
)
from nbkit.runs.lipschitz import lipschitz_target
from nbkit.runs.power_laws import best_fits, interval, power_laws

TABLES = ("expressive_fits", "expressive_slopes")
STORED = Settings()
SMALL = Settings(
    seeds=(0, 1), depths=(1, 2, 3), family=(("cones", 3), ("waves", 2)), restarts=2, steps=EARLY + 2, n_points=64,
    batch=16, grid=9,
)  # fmt: skip
ALL = [*STORED.family, ("cones", 1), ("waves", 1)]


@pytest.fixture(scope="module", autouse=True)
def one_core():
    """As the run computes."""
    with one_thread():
        yield


class Stop(Exception):
    """Stands for a kill at a bad moment."""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The folder of a small run's tables."""
    folder = tmp_path_factory.mktemp("small")
    run_expressive(work=folder / "work", say=lambda line: None, settings=SMALL, folder=folder)
    return folder


@pytest.fixture(scope="module")
def stored():
    return {name: load_result(name) for name in TABLES}


# The functions


@pytest.mark.parametrize(("kind", "n"), ALL)
def test_no_two_values_are_further_apart_than_their_points(kind, n):
    f = lipschitz_target(kind, n, seed=3)
    x, y = torch.from_numpy(np.random.default_rng(0).random((2, 20_000, 2)))
    y[::2] = x[::2] + 1e-4 * (y[::2] - 0.5)  # near ones as well
    slopes = (f(x) - f(y)).abs() / (x - y).norm(dim=1)
    assert slopes.max() <= (1 + 1e-9 if kind == "cones" else 1.001)
    assert f(torch.full((1, 2), 0.5, dtype=torch.float64)).abs() <= 1e-12


@pytest.mark.parametrize(("kind", "n"), ALL)
def test_no_smaller_constant_will_do(kind, n):
    f = lipschitz_target(kind, n, seed=3)
    side = torch.linspace(0.003, 0.997, 403, dtype=torch.float64)
    x = torch.cartesian_prod(side, side).requires_grad_()
    (slopes,) = torch.autograd.grad(f(x).sum(), x)
    steepest = slopes.norm(dim=1)
    assert steepest.max() == pytest.approx(1, abs=2e-3)
    if kind == "cones":  # as steep almost everywhere
        assert steepest.min() == pytest.approx(1, abs=1e-9)


def test_a_seed_repeats_a_function_and_another_gives_another():
    x = torch.rand(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one, again, other = (lipschitz_target("cones", 4, seed=seed)(x) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.allclose(one, other)


@pytest.mark.parametrize(
    ("change", "told"), [({"kind": "steps"}, "kind must"), ({"n": 0}, "n must"), ({"seed": -1}, "seed must")]
)
def test_functions_that_are_none_are_refused(change, told):
    with pytest.raises(NbkitError, match=f"lipschitz_target: {told}"):
        lipschitz_target(**{"kind": "cones", "n": 4, "seed": 0} | change)


# The networks


@pytest.mark.parametrize("depth", STORED.depths)
def test_all_wires_are_symmetric_and_radix_has_a_quarter_of_the_hidden_ones(depth):
    nets = {net: wires(net, depth) for net in NETS}
    counts = {net: np.unique(path_counts(topology)).tolist() for net, topology in nets.items()}
    narrow = nets["narrow"].sizes[1]
    assert counts == {"dense": [16**depth], "radix": [16 * 4 ** (depth - 1)], "narrow": [narrow**depth]}
    assert nets["dense"].sizes == nets["radix"].sizes == (2, *[16] * depth, 1)
    assert all(layer.density == 0.25 for layer in nets["radix"].layers[1:-1])


@pytest.mark.parametrize("depth", STORED.depths)
def test_the_narrow_network_has_the_width_whose_number_of_parameters_is_nearest(depth):
    wanted = n_parameters(wires("radix", depth))
    assert wanted == 3 * 16 + (depth - 1) * (4 * 16 + 16) + 17
    by_width = {w: 3 * w + (depth - 1) * (w * w + w) + w + 1 for w in range(1, 17)}
    narrow = wires("narrow", depth)
    assert n_parameters(narrow) == by_width[narrow.sizes[1]] == min(by_width.values(), key=lambda n: abs(n - wanted))
    assert 0.9 < n_parameters(narrow) / wanted < 1.1


def test_another_kind_of_network_is_refused():
    with pytest.raises(NbkitError, match="wires: net must be"):
        wires("pruned", 3)


def test_networks_side_by_side_do_not_feel_each_other():
    topology, targets = wires("radix", 3), [lipschitz_target("cones", 4, seed=0)]
    settings = replace(SMALL, restarts=1)
    x, y = samples(targets, 1, 0, settings)
    alone, pair = born(topology, 1, seed=0), born(topology, 2, seed=0)
    alone, pair = (
        next(itertools.islice(fit_stream(nets, x, y.expand(n, -1), settings), EARLY, None))[1].tolist()
        for n, nets in ((1, alone), (2, pair))
    )
    assert pair[0] == pytest.approx(alone[0], rel=1e-3) and abs(pair[1] - alone[0]) > 0.01 * alone[0]


def test_sparse_networks_stay_sparse_and_losses_are_p_norms_of_the_errors():
    topology, targets = wires("radix", 3), [lipschitz_target("cones", 4, seed=0)]
    settings = replace(SMALL, restarts=1)
    x, y = samples(targets, 1, 0, settings)
    nets = born(topology, 1, seed=0)
    place, batch = {1: 0, SMALL.steps: (SMALL.steps - 1) % 4}, SMALL.batch
    expected = {}
    before = [nets.network(0)(2 * x - 1).detach().double()[:, 0].numpy()]
    for step, losses in fit_stream(nets, x, y, settings):
        if step in place:
            part = slice(batch * place[step], batch * (place[step] + 1))
            expected[step] = losses.item(), (before[-1] - y[0].numpy())[part]
        before.append(nets.network(0)(2 * x - 1).detach().double()[:, 0].numpy())
    for (loss, gaps), power in zip(expected.values(), (2, 4), strict=True):
        assert loss == pytest.approx(np.mean(np.abs(gaps) ** power) ** (1 / power), rel=1e-4)
    for layer, linear in zip(topology, [m for m in nets.network(0) if hasattr(m, "weight")], strict=True):
        assert not linear.weight[~layer.mask()].any() and linear.weight[layer.mask()].all()


def test_errors_are_the_function_less_the_network_first_coordinate_first():
    targets = [lipschitz_target("cones", 4, seed=seed) for seed in (0, 1)]
    nets = born(wires("dense", 2), 4, seed=0)
    gaps = grid_errors(nets, targets, replace(SMALL, grid=5))
    x = torch.tensor([[0.25, 1.0]])
    for net, target in ((1, 0), (2, 1)):
        said = nets.network(net)(2 * x - 1).item()
        assert gaps[net, 1, 4].item() == pytest.approx(targets[target](x.double()).item() - said, abs=1e-5)


# The power laws


def table(p, *, factor, seeds=3):
    """Fits whose errors are c N^-p, c that of the seed, and half of it for the easier function; a second try is worse."""
    return [
        {"net": net, "depth": depth, "seed": seed, "target": target, "restart": restart, "n_parameters": 10 * depth}
        | dict.fromkeys(("sup", "rms"), factor[net] * (1 + seed) * share * (1 + restart) * depth ** -p[net])
        for net in p
        for depth in (2, 4, 8)
        for seed in range(seeds)
        for target, share in (("hard", 1.0), ("easy", 0.5))
        for restart in (0, 1)
    ]


def columns(rows):
    return {key: [row[key] for row in rows] for key in rows[0]}


def test_a_power_law_is_found_in_the_best_fits_of_the_worst_function():
    p, factor = {"dense": 1.0, "radix": 0.5}, {"dense": 1.0, "radix": 3.0}
    rows = columns(table(p, factor=factor))
    fits = best_fits(rows)
    np.testing.assert_allclose(fits["radix"].errors[1], 3 * 2 / np.sqrt([2, 4, 8]))
    assert fits["radix"].depths.tolist() == [2, 4, 8] and fits["radix"].n_parameters.tolist() == [20, 40, 80]
    np.testing.assert_allclose(best_fits(rows, over="mean")["dense"].errors[0], 0.75 / np.array([2, 4, 8]))
    np.testing.assert_allclose(best_fits(rows, over="easy")["dense"].errors[0], 0.5 / np.array([2, 4, 8]))
    for law in power_laws(rows):
        assert law["against"] == "dense"  # there is no other
        apart = {
            "slope": -p[law["net"]],
            "gap": 1 - p[law["net"]],
            "ratio": factor[law["net"]] * 4 ** (1 - p[law["net"]]),
        }
        for name, value in apart.items():  # all seeds agree: no width
            assert [law[name], law[f"{name}_low"], law[f"{name}_high"]] == pytest.approx([value] * 3, abs=1e-9)


def test_a_fit_that_diverged_does_not_count():
    rows = columns(table({"dense": 1.0}, factor={"dense": 1.0}))
    rows["sup"] = [
        np.nan if restart == 0 else error for restart, error in zip(rows["restart"], rows["sup"], strict=True)
    ]
    np.testing.assert_allclose(best_fits(rows)["dense"].errors[0], 2 / np.array([2, 4, 8]))


def test_the_interval_is_student_s():
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), rel=1e-6)
    assert interval([5.0])[0] == 5 and np.isnan(interval([5.0])[1:]).all()


# The run


def test_a_whole_run_stores_its_tables_and_leaves_nothing_else(small):
    assert {path.name for path in small.iterdir()} == {f"{name}.{end}" for name in TABLES for end in ("csv", "json")}
    fits, slopes = (load_result(name, folder=small) for name in TABLES)
    assert fits.sidecar["status"] == "complete" and len(fits.columns["net"]) == 2 * 3 * 3 * 4
    assert set(fits.columns["target"]) == {"cones 3", "waves 2"} and len(slopes.columns["net"]) == 3 * 2 * 4
    assert (fits.columns["rms"] <= fits.columns["sup"]).all() and (fits.columns["rms"] > 0).all()


@pytest.mark.parametrize("moment", ["dense, 1, 0", "narrow, 3, 1"])
def test_a_run_that_was_killed_goes_on_to_the_same_tables(small, tmp_path, moment):
    lines = []

    def say(line):
        lines.append(line)
        if moment in line and lines.count(line) == 1:
            raise Stop

    options = {"work": tmp_path / "work", "settings": SMALL, "folder": tmp_path / "results"}
    with pytest.raises(Stop):
        run_expressive(say=say, **options)
    assert not (tmp_path / "results").exists()
    run_expressive(say=lines.append, **options)
    assert len(set(lines)) == len(lines)  # no cell was made twice
    for name in TABLES:
        here, there = (load_result(name, folder=folder).columns for folder in (tmp_path / "results", small))
        for column in there:
            assert here[column].tolist() == pytest.approx(there[column].tolist(), nan_ok=True), column


def test_the_stored_run_is_complete_and_of_the_settings_in_the_code(stored):
    for result in stored.values():
        assert result.sidecar["status"] == "complete"
        assert result.sidecar["settings"] == json.loads(json.dumps(asdict(STORED)))


def test_the_stored_power_laws_are_those_of_the_stored_fits(stored):
    again = columns(power_laws(stored["expressive_fits"].columns))
    for name, column in stored["expressive_slopes"].columns.items():
        is_text = column.dtype.kind == "U"
        assert column.tolist() == (again[name] if is_text else pytest.approx(again[name], rel=1e-4, abs=1e-5)), name


@pytest.mark.parametrize(("net", "depth", "seed"), [("dense", 2, 0), ("radix", 12, 1), ("narrow", 4, 2)])
def test_the_first_steps_of_the_stored_run_are_met_again(stored, net, depth, seed):
    table = stored["expressive_fits"].columns
    kept = (table["net"] == net) & (table["depth"] == depth) & (table["seed"] == seed)
    np.testing.assert_allclose(fit_beginning(net, depth, seed), table[f"loss_after_{EARLY}"][kept], rtol=1e-3)


def fit_beginning(net, depth, seed):
    """Losses after the first steps of a cell, whose rates are those of the whole run."""
    targets = [lipschitz_target(*each, seed=seed) for each in STORED.family]
    nets = born(wires(net, depth), len(targets) * STORED.restarts, seed=seed)
    steps = fit_stream(nets, *samples(targets, STORED.restarts, seed))
    return next(itertools.islice(steps, EARLY - 1, None))[1]


def test_a_cell_says_what_its_networks_are():
    rows = fit_cell(SMALL, "narrow", 3, 1)
    topology = wires("narrow", 3)
    assert len(rows) == 4 and {row["width"] for row in rows} == {topology.sizes[1]}
    assert {row["n_parameters"] for row in rows} == {sum(p.numel() for p in born(topology, 1, seed=0).parameters())}
