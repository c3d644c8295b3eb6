"""Phase diagrams fill in by a sweep, and repeat no cell; what is stored stands beside them."""

import numpy as np
import pytest

from nbkit.explore import PhaseExplorer
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


def test_the_diagram_fills_in_coarse_to_fine_and_one_seed_after_another(live):
    frames = [frame for frame in live.stream(**live.settings | {"depth": 5, "n_cells": 9}) if frame]
    known = [np.isfinite(frame["values"]) for frame in frames]
    assert not known[0].any() and known[-1].all()
    first = next(each for each in known if each.sum() >= 9)
    assert first[::4, ::4].all()
    assert all((before <= after).all() for before, after in zip(known, known[1:], strict=False))
    assert next(i for i, each in enumerate(known) if each.all()) < len(known) - 5  # then the second seed refines


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
