"""The explorer of the stored deep trainings: it shows what the tables hold, and says where the run is partial."""

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.explore import DeepTableExplorer
from nbkit.explore import deep_table as room
from nbkit.figures import DEEP_LOOKS
from nbkit.nets import DEEP_METHODS
from nbkit.results import save_result, sidecar

EPOCHS = (0, 1, 2)
METHODS = ("Dense", "SAO", "GMP-S", "RadiX")


def accuracy(depth, method, epoch):
    return 0.1 if method == "GMP-S" or not epoch else {"Dense": 0.95, "SAO": 0.93, "RadiX": 0.94}[method] - 1 / depth


@pytest.fixture
def stored(monkeypatch, tmp_path):
    """stored(status): small tables of depths 50 and 200 are the shipped ones."""

    def use(status="complete"):
        cells = [(depth, method, epoch) for depth in (50, 200) for method in METHODS for epoch in EPOCHS]
        keys = dict(zip(("depth", "method", "epoch"), zip(*cells, strict=True), strict=True))
        training = keys | {"accuracy": [accuracy(*cell) for cell in cells]}
        training |= {"gradient_first": np.arange(1.0, 1 + len(cells)), "gradient_last": np.arange(len(cells)) + 0.5}
        spectra = {name: np.repeat(values, 2) for name, values in keys.items()}
        spectra |= {"part": ["network", "hidden"] * len(cells)}
        places = {name: place for place, name in enumerate(("mean", "variance", "largest", "smallest"), start=1)}
        spectra |= {name: place * np.arange(2.0 * len(cells)) for name, place in places.items()}
        beside = sidecar(command="python -m nbkit run deep", seed=0, seconds=1, steps=3, status=status)
        for name, columns in (("training", training), ("spectra", spectra)):
            save_result(f"deep_{name}", columns, beside, folder=tmp_path)
        return training

    monkeypatch.setattr("nbkit.results.results_folder", lambda: tmp_path)
    room._stored.cache_clear()
    yield use
    room._stored.cache_clear()


def test_it_shows_the_tables_row_by_row(stored, opened):
    training = stored()
    explorer = opened(DeepTableExplorer, depth=200, methods="all", statistic="variance", gradient="last layer")
    rows = [at for at, key in enumerate(zip(training["depth"], training["method"], strict=True)) if key == (200, "SAO")]
    traces = {trace.name: trace for trace in explorer.figure.data}
    np.testing.assert_allclose(traces["accuracies SAO"].y, [1 - training["accuracy"][row] for row in rows])
    np.testing.assert_allclose(traces["gradients SAO"].y, [row + 0.5 for row in rows])
    np.testing.assert_allclose(
        traces["spectra SAO"].y, [2 * 2 * row for row in rows]
    )  # the network's, not its hidden part
    assert traces["accuracies RG-N"].y is None or len(traces["accuracies RG-N"].y) == 0
    assert list(traces["in the end"].y) == ["RadiX ●", "GMP-S ●", "SAO ●", "Dense ●"]
    assert explorer.figure.layout.yaxis3.title.text == "variance of s of J (log)"
    assert explorer.figure.layout.yaxis4.title.text == "gradient, last layer (log)"


def test_the_title_says_what_trains(stored, opened):
    stored()
    explorer = opened(DeepTableExplorer)
    title = explorer.figure.layout.title.text.replace("<br>", " ")
    assert title == "50 layers, 2 epochs: Dense 93.0%, SAO 91.0%; GMP-S does not train"
    explorer.set(methods="at SAO's density")
    explorer.settle()
    assert set(explorer.data["accuracies"]) == {"Dense", "SAO", "RadiX"}


def test_what_is_chosen_anew_is_drawn_anew(stored, opened):
    training = stored()
    explorer = opened(DeepTableExplorer, gradient="first layer")
    for settings, first in (({"gradient": "last layer"}, 0.5), ({"methods": "all"}, 0.5), ({"depth": 200}, 12.5)):
        explorer.set(**settings)
        explorer.settle()
        traces = {trace.name: trace for trace in explorer.figure.data}
        assert traces["gradients Dense"].y[0] == first
    assert len(traces["accuracies RadiX"].y) == len(EPOCHS) < len(training["epoch"])


def test_a_partial_run_says_so(stored, opened):
    stored("partial")
    explorer = opened(DeepTableExplorer)
    assert explorer.figure.layout.title.text.startswith("Partial run: 50 layers, 2 epochs")
    assert "the run is partial" in explorer._panel._status.value


def test_only_depths_that_are_stored_are_offered(stored, opened):
    stored()
    explorer = opened(DeepTableExplorer)
    explorer.set(depth=1000)
    with pytest.raises(NbkitError, match="depth must be one of 50, 200 with the other settings, got 1000"):
        explorer.settle()


def test_every_method_is_in_a_list():
    assert set(room._METHODS["all"]) == {*DEEP_LOOKS} >= {*DEEP_METHODS}


def test_missing_tables_are_told(stored):
    explorer = DeepTableExplorer()
    try:
        with pytest.raises(NbkitError, match="load_result: .*deep_training"):
            explorer.settle()
        assert "nbkit-error" in explorer._panel._status.value
    finally:
        explorer.close()
