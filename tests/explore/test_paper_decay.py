"""The explorer of the stored trainings: it shows what the tables hold, and says where a run is partial."""

import shutil

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.explore import PaperDecayExplorer
from nbkit.explore import paper_decay as room
from nbkit.results import load_result
from nbkit.runs.decay import Settings
from nbkit.runs.decay_tables import run_decay, tabulate

SMALL = Settings(
    n_neurons=60, bottleneck=3, factored_epochs=200, full_epochs=100, every=50, snapshots=100, full_snapshots=50
)


class Stop(KeyboardInterrupt):
    """Stands for ctrl-C."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a small run's tables."""
    folder = tmp_path_factory.mktemp("whole")
    run_decay(work=folder / "work", say=lambda line: None, settings=SMALL, folder=folder)
    return folder


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    """Tables of the same run, stopped when the fully connected networks had not begun."""
    folder = tmp_path_factory.mktemp("part")

    def say(line):
        if line.startswith("factored: epoch 0"):
            raise Stop

    with pytest.raises(Stop):
        run_decay(work=folder / "work", say=say, settings=SMALL, folder=folder)
    tabulate(SMALL, work=folder / "work", folder=folder)
    shutil.rmtree(folder / "work")
    return folder


@pytest.fixture
def stored(monkeypatch):
    """stored(folder): the tables of this folder are the shipped ones."""

    def use(folder):
        monkeypatch.setattr("nbkit.results.results_folder", lambda: folder)
        room._stored.cache_clear()
        return {name: load_result(f"decay_{name}").columns for name in ("training", "spectra", "matrices")}

    yield use
    room._stored.cache_clear()


def rows_of(columns, strength, **where):
    kept = np.logical_and.reduce([columns[name] == value for name, value in (where | {"lambda": strength}).items()])
    return {name: column[kept] for name, column in columns.items()}


def test_it_shows_the_tables_row_by_row(stored, whole, opened):
    tables = stored(whole)
    explorer = opened(PaperDecayExplorer, epoch=100, strength=0.1)
    frame, traces = explorer.data, {trace.name: trace for trace in explorer.figure.data}
    for method, strength in SMALL.penalties:
        rows = rows_of(tables["training"], strength, net="factored", method=method)
        epochs, densities = frame["densities"][method, strength]
        assert epochs.tolist() == [0, 100, 200] and densities.tolist() == rows["mean_density"].tolist()
    at = rows_of(tables["training"], 0.1, net="factored", method="weight_decay", epoch=100)
    assert (
        frame["errors"]["weight_decay"] == at["median_loss"][0] and frame["ranks"]["weight_decay"] == at["rank_A2"][0]
    )
    values = rows_of(tables["spectra"], 0.1, net="factored", method="rbv2", epoch=100)["singular_value"]
    np.testing.assert_array_equal(traces["factored rbv2"].y, np.maximum(values, 1e-4))
    last = rows_of(tables["spectra"], 0.001, net="full", method="weight_decay", epoch=100)["singular_value"]
    np.testing.assert_array_equal(traces["full weight_decay"].y, np.maximum(last, 1e-4))
    title = explorer.figure.layout.title.text.replace("<br>", " ")
    assert title.startswith(f"Epoch 100, λ = 0.1: density {frame['now']['rbv2']:.2f} (2), ")
    assert title.endswith("rank of A⁽²⁾ 3, 3, 3") and frame["note"] == ""


@pytest.mark.parametrize(
    ("words", "net", "method"),
    [("(2)", "factored", "rbv2"), ("fully connected, weight decay", "full", "weight_decay")],
)
def test_the_matrix_of_the_chosen_network_is_on_the_canvas(stored, whole, opened, words, net, method):
    tables = stored(whole)
    explorer = opened(PaperDecayExplorer, net=words)
    canvas = explorer.canvases["between"]
    rows = rows_of(tables["matrices"], 0.001, net=net, method=method)
    rows = {name: column[rows["epoch"] == rows["epoch"].max()] for name, column in rows.items()}
    wanted = np.zeros(canvas.shape)
    wanted[rows["row"], rows["column"]] = rows["value"] / rows["value"].max() * 255
    assert canvas.shape == (30, 30) and np.abs(canvas.matrix - wanted).max() <= 0.5 + 1e-9
    assert f"at epoch {rows['epoch'][0]}, λ = 0.001" in canvas.title and f"{rows['value'].max():.2g}" in canvas.title


def test_of_an_epoch_that_is_not_stored_the_last_one_before_is_shown(stored, whole, opened):
    stored(whole)
    explorer = opened(PaperDecayExplorer, epoch=50_000)
    assert explorer.data["epoch"] == 200 and "Epoch 200," in explorer.figure.layout.title.text
    explorer.set(epoch=500)
    explorer.settle()
    assert explorer.data["epoch"] == 200


def test_a_partial_run_says_so_and_shows_what_there_is(stored, part, opened):
    stored(part)
    explorer = opened(PaperDecayExplorer, net="fully connected, none")
    title = explorer.figure.layout.title.text.replace("<br>", " ")
    assert title.startswith("Partial run, epoch 0, λ = 0.001: ") and explorer.data["epoch"] == 0
    assert "factored 0 of 200, full 0 of 100" in explorer._panel._status.value
    assert explorer.canvases["between"].title == "|A⁽²⁾| of this network is not stored yet"
    assert set(explorer.data["spectra"]) == {("factored", method) for method in ("rbv2", "weight_decay", "none")}


def test_missing_tables_are_told(stored, tmp_path, monkeypatch):
    monkeypatch.setattr("nbkit.results.results_folder", lambda: tmp_path)
    room._stored.cache_clear()
    explorer = PaperDecayExplorer()
    try:
        with pytest.raises(NbkitError, match="load_result: .*decay_training"):
            explorer.settle()
        assert "nbkit-error" in explorer._panel._status.value
    finally:
        explorer.close()
