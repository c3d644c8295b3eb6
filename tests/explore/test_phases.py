"""Phase diagrams fill in by a sweep, and repeat no cell; what is stored stands beside them."""

import numpy as np
import pytest

from nbkit.explore import PhaseExplorer, TrainabilityExplorer
from nbkit.explore import phases as room
from nbkit.results import load_result
from nbkit.runs.phases import growth_cell

SMALL = {"width": 16, "depth": 2, "n_cells": 4, "n_seeds": 2}


@pytest.fixture
def live(opened):
    return opened(PhaseExplorer, **SMALL)


def test_every_cell_is_the_mean_of_growth_cell_over_the_seeds(live):
    data = live.data
    assert data["values"].shape == (4, 4) and data["progress"] == (32, 32, "cells")
    for i, j in ((0, 0), (3, 1), (2, 3)):
        cell = {"density": data["densities"][j], "sigma_w": data["scales"][i], "width": 16, "depth": 2}
        wanted = np.mean([growth_cell(**cell, seed=seed)["growth"] for seed in range(2)])
        assert data["values"][i, j] == pytest.approx(wanted, rel=1e-6)
    np.testing.assert_allclose(data["densities"][[0, -1]], [0.01, 1])


def test_cells_are_asked_for_coarse_to_fine_and_one_seed_after_another():
    diagram = room._Diagram(9, 2)
    coarse = {(cell["density"], cell["sigma_w"]) for cell in diagram.cells[:9]}
    assert coarse == {(a, s) for a in diagram.densities[::4] for s in diagram.scales[::4]}
    assert [cell["seed"] for cell in diagram.cells] == [0] * 81 + [1] * 81


def test_the_diagram_fills_in_from_nothing_and_no_cell_goes_again(live):
    frames = [frame for frame in live.stream(**live.settings | {"depth": 5, "n_cells": 9}) if frame]
    known = [np.isfinite(frame["values"]) for frame in frames]
    assert not known[0].any() and known[-1].all() and any(0 < each.sum() < 81 for each in known)
    assert all((before <= after).all() for before, after in zip(known, known[1:], strict=False))
    assert frames[-1]["progress"] == (162, 162, "cells")


def test_settings_that_were_there_before_compute_nothing(live, monkeypatch):
    wanted = live.data["values"]
    live.set(depth=1)
    live.settle()
    monkeypatch.setattr("nbkit.runs.phases.growth", None)
    live.set(depth=2, n_seeds=1)
    live.set(n_seeds=2)
    live.settle()
    np.testing.assert_array_equal(live.data["values"], wanted)


def test_cells_that_fail_stay_empty_and_are_told_and_are_tried_again_later(live, monkeypatch):
    def broken(*arguments, **options):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("nbkit.runs.phases.growth", broken)
        live.set(depth=5)
        live.settle()
        assert live.data["progress"] == (32, 32, "cells") and np.isnan(live.data["values"]).all()
        assert "32 cells failed: ZeroDivisionError" in live._panel._status.value
    live.set(depth=2)
    live.set(depth=5)
    live.settle()
    assert np.isfinite(live.data["values"]).all() and live.data["note"] == ""


def test_the_lines_of_theory_are_sqrt_2_over_alpha_and_sqrt_2_pi_over_alpha(live):
    drawn = {trace.name: trace for trace in live.figure.data[:5]}
    x = np.array(drawn["rms law is 1"].x)
    np.testing.assert_allclose(drawn["rms law is 1"].y, np.sqrt(2 / x))
    np.testing.assert_allclose(drawn["bound is 1"].y, np.sqrt(2 * np.pi) / x)


def test_the_stored_panel_is_what_the_file_holds(live):
    live.set(stored=32, growth="length")
    live.settle()
    columns = load_result("phases_growth").columns
    kept = (columns["width"] == 32) & (columns["density"] == 0.1) & (columns["sigma_w"] == 4.0)
    stored = live.data["stored"]
    place = list(stored["scales"]).index(4.0), list(stored["densities"]).index(0.1)
    assert stored["values"][place] == pytest.approx(columns["rate"][kept].mean())
    assert live.figure.layout.annotations[1].text == "stored: k = 32, 10 layers, 3 seeds"


def test_where_no_cell_is_on_the_other_side_the_title_says_so(live):
    frame = live.data | {"measured": np.full(4, np.nan)}
    assert "No cells on both sides" in room._growth_title(frame)


def test_its_store_goes_when_it_is_closed():
    explorer = PhaseExplorer(**SMALL)
    explorer.settle()
    folder = explorer._folder.name
    explorer.close()
    with pytest.raises(FileNotFoundError):
        open(f"{folder}/growth.jsonl")


@pytest.fixture
def trained(opened):
    return opened(TrainabilityExplorer)


def test_what_trained_is_the_mean_of_the_stored_cells(trained):
    columns = load_result("phases_training").columns
    kept = (columns["weights"] == "Gaussian") & (columns["degree"] == 8) & (columns["depth"] == 20)
    own = trained.data["weights"]["Gaussian"]
    assert own["values"][3, 2] == pytest.approx(columns["accuracy"][kept].mean())
    trained.set(shown="loss / ln 10")
    trained.settle()
    assert trained.data["weights"]["Gaussian"]["values"][3, 2] == pytest.approx(
        columns["loss"][kept].mean() / np.log(10)
    )
    assert trained.figure.layout.coloraxis.colorbar.title.text == "loss / ln 10"


def test_the_lines_stand_between_the_depths_on_both_sides_of_their_levels(trained):
    for accuracy, directions in ((0.5, 1.5), (0.7, 3.0)):
        trained.set(accuracy=accuracy, directions=directions)
        trained.settle()
        own = trained.data["weights"]["Gaussian"]
        levels = zip(own["lines"].values(), (own["accuracy"], own["directions"]), (accuracy, directions), strict=True)
        for line, values, level in levels:
            for at, column in zip(line, values.T, strict=True):
                first = np.flatnonzero(column < level)[0]
                assert room._STORED.depths[first - 1] <= at <= room._STORED.depths[first]
    assert np.isnan(trained.data["weights"]["orthogonal (SAO)"]["lines"][room._TRAINED_LINES[1]]).all()


def test_its_title_tells_the_deepest_that_reach_the_accuracy(trained):
    accuracy = trained.data["weights"]["Gaussian"]["accuracy"]
    first, last = (max(np.array(room._STORED.depths)[column >= 0.5]) for column in accuracy.T[[0, -1]])
    title = trained.figure.layout.title.text.replace("<br>", " ")
    assert title.startswith("50% right, with 2 and 64 wires a node: orthogonal weights to depth")
    assert title.endswith(f"Gaussian weights to depth {first} and {last}")
