"""The trainings of Table 7: the run is whole and resumable, and what is stored is what the code gives again."""

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from nbkit.data import mnist_split
from nbkit.device import one_thread
from nbkit.errors import NbkitError
from nbkit.nets import deep_net
from nbkit.results import load_result
from nbkit.runs.deep import Settings, cell_folder, deep_network, train_cell
from nbkit.runs.deep_tables import N_DIGITS, run_deep, spectrum_rows, tabulate

STORED = Settings()
SMALL = Settings(depths=(2,), methods=("Dense", "SAO", "GMP-T"), epochs=2, batch_size=800)
TABLES = tuple(f"{SMALL.name}_{part}" for part in ("table", "training", "spectra"))


class Stop(KeyboardInterrupt):
    """Stands for ctrl-C at a bad moment."""


def silent(line):
    pass


def stop_at(moment):
    def say(line):
        if line.startswith(moment):
            raise Stop

    return say


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The folder of a small run's tables."""
    folder = tmp_path_factory.mktemp("small")
    run_deep(work=folder / "work", say=silent, settings=SMALL, folder=folder)
    return folder


def rows_of(result, **where):
    """The rows whose columns have these values."""
    columns = result.columns
    kept = np.logical_and.reduce([columns[name] == value for name, value in where.items()])
    return {name: column[kept] for name, column in columns.items()}


def test_a_whole_run_stores_its_tables_and_leaves_nothing_else(small):
    wanted = {f"{name}.{end}" for name in TABLES for end in ("csv", "json")}
    assert {path.name for path in small.iterdir() if path.name != "work"} == wanted and not any(small.glob("work/*"))
    table, training, spectra = (load_result(name, folder=small) for name in TABLES)
    assert not table.is_partial and table.sidecar["missing"] == [] and table.sidecar["steps"] == 3 * 2
    assert table.columns["method"].tolist() == ["Dense", "SAO", "GMP-T"] and set(table.columns["epochs"]) == {2}
    assert rows_of(training, method="SAO")["epoch"].tolist() == [0, 1, 2]
    assert rows_of(spectra, method="SAO", part="network")["epoch"].tolist() == [0, 1, 2]
    assert rows_of(spectra, method="SAO", part="hidden")["epoch"].tolist() == [0, 2]


def test_the_tables_say_what_the_networks_are(small):
    table, training, spectra = (load_result(name, folder=small) for name in TABLES)
    sao, dense = rows_of(table, method="SAO"), rows_of(table, method="Dense")
    assert sao["edges"] == 2048 + 1024 + 1024 and sao["fewest_edges"] == 1024  # d = 4 at the narrower side
    assert dense["edges"] == 1024 * 512 + 512 * 256 + 256 * 256
    assert rows_of(table, method="GMP-T")["edges"] == sao["edges"]
    row = rows_of(training, method="SAO")
    assert sao["accuracy"] == row["accuracy"][-1] and sao["best"] == row["accuracy"].max()
    assert np.isnan(row["gradient_first"][0]) and (row["gradient_least"][1:] <= row["gradient_last"][1:]).all()
    born = deep_net(2, "SAO", seed=SMALL.seed)
    digits = mnist_split().padded(32).test_images[:N_DIGITS]
    values = [np.linalg.svd(jacobian(born, digit), compute_uv=False) for digit in digits]
    found = rows_of(spectra, method="SAO", epoch=0, part="network")
    np.testing.assert_allclose(found["mean"], np.mean(values), rtol=1e-5)
    np.testing.assert_allclose(found["variance"], np.var(values), rtol=1e-5)
    np.testing.assert_allclose(found["log10_mean"], np.mean(np.log10(values)), rtol=1e-4)
    hidden = np.linalg.svd(jacobian(list(born)[:-1], digits[0]), compute_uv=False)
    found = rows_of(spectra, method="SAO", epoch=0, part="hidden")
    np.testing.assert_allclose([found["smallest"], found["largest"]], [[hidden.min()], [hidden.max()]], rtol=1e-5)


def jacobian(modules, digit):
    """By the chain rule, with dense matrices."""
    x, J = digit.double().numpy(), np.eye(len(digit))
    for module in modules:
        if isinstance(module, torch.nn.Tanh):
            x = np.tanh(x)
            J = (1 - x**2)[:, None] * J
        else:
            W = module.to_dense().detach().double().numpy()
            x, J = W @ x + module.bias.detach().double().numpy(), W @ J
    return J


def test_a_dead_layer_has_singular_values_0():
    net = deep_net(1, "Dense", width=8, n_inputs=16)
    net[2].weight.data.zero_()
    for row in spectrum_rows(net.dense(), torch.ones(1, 16)):
        assert row["mean"] == row["largest"] == 0 and row["log10_mean"] == -np.inf


@pytest.mark.parametrize("moment", ["2 Dense: epoch 0", "2 GMP-T: epoch 0"])
def test_an_interrupted_run_stores_a_part_and_goes_on_to_the_same_tables(small, tmp_path, moment):
    with pytest.raises(Stop):
        run_deep(work=tmp_path / "work", say=stop_at(moment), settings=SMALL, folder=tmp_path)
    part = load_result(TABLES[0], folder=tmp_path)
    assert part.is_partial and "2 GMP-T" in part.sidecar["missing"]
    assert part.columns["verdict"][-1] == "unfinished: epoch 0"
    run_deep(work=tmp_path / "work", say=silent, settings=SMALL, folder=tmp_path)
    for name in TABLES:
        here, there = (load_result(name, folder=folder) for folder in (tmp_path, small))
        assert not here.is_partial
        for column in here.columns.keys() - {"seconds"}:
            assert here.columns[column].tolist() == pytest.approx(there.columns[column].tolist(), nan_ok=True), column


def test_an_interrupted_run_leaves_what_a_longer_one_has_stored(small, tmp_path):
    shutil.copytree(small, tmp_path / "out")
    with pytest.raises(Stop):
        run_deep(work=tmp_path / "work", say=stop_at("2 Dense"), settings=SMALL, folder=tmp_path / "out")
    assert not load_result(TABLES[0], folder=tmp_path / "out").is_partial


def test_a_sitting_that_went_on_adds_neither_epochs_nor_gaps(tmp_path):
    folder = cell_folder(SMALL, 2, "SAO", tmp_path)
    folder.mkdir(parents=True)
    row = {"epoch": 0, "loss": float("nan"), "accuracy": 0.1, "gradient_norms": [], "seconds": 1.0}
    later = {"epoch": 1, "loss": 2.0, "accuracy": 0.2, "gradient_norms": [3.0, 1.0, 2.0], "seconds": 4.0}
    again = later | {"loss": float("nan"), "gradient_norms": [], "seconds": 1.0}
    lines = [json.dumps(each) for each in (row, later, again)]
    (folder / "records.jsonl").write_text("\n".join([*lines[:2], lines[1][:20], lines[2]]))
    np.savez(folder / "epoch_000.npz")  # nothing in it: the network at birth
    tabulate(SMALL, work=tmp_path, folder=tmp_path / "out")
    training = load_result(TABLES[1], folder=tmp_path / "out").columns
    assert training["epoch"].tolist() == [0, 1] and training["loss"][1] == 2.0
    assert [training[f"gradient_{name}"][1] for name in ("first", "last", "least")] == [3.0, 2.0, 1.0]


def test_without_a_record_nothing_is_stored_and_what_was_stays(tmp_path):
    assert tabulate(SMALL, work=tmp_path / "none", folder=tmp_path / "out") == [] and not (tmp_path / "out").exists()


def test_other_depths_and_data_have_tables_of_their_own_and_the_paper_s_rates():
    assert STORED.name == "deep"
    thousand = replace(STORED, depths=(1000,), data="mnist")
    assert thousand.name == "deep_1000_full" and thousand.cells[0] == (1000, "Dense")
    assert [thousand.rate(depth) for depth in (50, 200, 400, 600, 1000)] == [1e-2, 1e-3, 1e-3, 1e-4, 1e-4]


def test_depths_below_1_and_a_folder_without_the_files_are_refused(tmp_path):
    with pytest.raises(NbkitError, match="run_deep: entry 2 of depths must be .* got 0"):
        run_deep(work=tmp_path, say=silent, depths=[50, 0])
    with pytest.raises(NbkitError, match="full_split: the folder must hold train-images"):
        run_deep(work=tmp_path, say=silent, data=tmp_path)


@pytest.fixture(scope="module")
def stored():
    return {part: load_result(f"deep_{part}") for part in ("table", "training", "spectra")}


def test_the_stored_run_is_the_one_that_the_code_makes(stored):
    beside, columns = stored["table"].sidecar, stored["table"].columns
    assert beside["settings"] == json.loads(json.dumps(asdict(STORED) | {"data": "shipped digits"}))
    assert beside["status"] == ("partial" if beside["missing"] else "complete")
    told = [f"{depth} {method}" for depth, method in zip(columns["depth"], columns["method"], strict=True)]
    over = [cell for cell, verdict in zip(told, columns["verdict"], strict=True) if not verdict.startswith("unf")]
    assert set(over) == {f"{depth} {method}" for depth, method in STORED.cells} - set(beside["missing"])


@pytest.mark.parametrize("method", ["SAO", "RG-N", "GMP-S"])
def test_the_first_epoch_of_the_stored_run_is_met_again(stored, tmp_path, method):
    """Loss and gradients to 2 %, accuracy to 2 points: rounding differs between machines, and training enlarges it."""
    train_cell(replace(STORED, epochs=1), 50, method, work=tmp_path, say=silent)
    lines = (cell_folder(STORED, 50, method, tmp_path) / "records.jsonl").read_text().splitlines()
    record = json.loads(lines[-1])
    row = rows_of(stored["training"], depth=50, method=method, epoch=1)
    assert record["loss"] == pytest.approx(row["loss"].item(), rel=2e-2)
    assert record["accuracy"] == pytest.approx(row["accuracy"].item(), abs=2e-2)
    assert record["gradient_norms"][-1] == pytest.approx(row["gradient_last"].item(), rel=2e-2)


def test_the_stored_spectra_are_those_of_the_networks_at_birth(stored, tmp_path):
    digits = STORED.split().test_images[:N_DIGITS]
    with one_thread():
        for method in ("SAO", "RG-N", "Dense"):
            net = deep_network(STORED, 50, method, tmp_path).dense()
            (wanted,) = spectrum_rows(net, digits, with_hidden=False)
            found = rows_of(stored["spectra"], depth=50, method=method, epoch=0, part="network")
            for name in ("mean", "variance", "smallest", "largest", "log10_mean"):
                assert found[name].item() == pytest.approx(wanted[name], rel=1e-3), (method, name)
