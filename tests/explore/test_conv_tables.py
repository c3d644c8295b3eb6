"""The explorer of Tables 9 and 11: printed numbers as printed, ours as stored, and what is missing is said."""

import pytest

from nbkit.errors import NbkitError
from nbkit.explore import ConvTablesExplorer
from nbkit.results import save_result, sidecar
from nbkit.runs.published import PUBLISHED

ROWS = [  # depth, method, density, epoch, accuracy
    *((8, "Dense", 1.0, epoch, value) for epoch, value in enumerate((0.1, 0.6, 0.9))),
    *((8, "SAO", 1 / 32, epoch, value) for epoch, value in enumerate((0.12, 0.5, 0.8125))),
    *((16, "SAO", 1 / 32, epoch, value) for epoch, value in enumerate((0.11, 0.4, 0.75))),
    *((8, "LMP-S", 1 / 32, epoch, 0.1) for epoch in range(3)),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of results."""
    monkeypatch.setattr("nbkit.explore.conv_tables.results_folder", lambda: tmp_path)
    return tmp_path


def store(folder, status="complete"):
    names = "depth", "method", "density", "epoch", "accuracy"
    columns = {name: list(column) for name, column in zip(names, zip(*ROWS), strict=True)}
    beside = sidecar(command="made up", seed=0, seconds=1, steps=4, status=status, differs="fewer images")
    return save_result("fashion_cnn", columns, beside, folder=folder)


def title_of(explorer):
    return explorer.figure.layout.title.text.replace("<br>", " ").replace("\N{NO-BREAK SPACE}", " ")


def drawn(explorer, axis, mode):
    """name or colour -> (x, y) of the traces in a panel that are markers (printed) or lines (ours)."""
    there = [trace for trace in explorer.figure.data if trace.yaxis == axis and trace.x is not None and len(trace.x)]
    return [(trace.x.tolist(), trace.y.tolist()) for trace in there if trace.mode == mode and not trace.fill]


def test_without_a_run_the_printed_numbers_stand_alone_and_the_status_says_so(folder, opened):
    explorer = opened(ConvTablesExplorer, density=1 / 32, depth=128)
    assert explorer.data["paper"] == PUBLISHED[9].accuracy and explorer.data["ours"] == {}
    assert "the printed numbers alone: fashion_cnn is not among the stored results" in explorer.data["note"]
    assert title_of(explorer) == "Table 9, 96.875 % sparse, N = 128: printed SAO 65.48, LMP-S 10.00 %"
    printed = drawn(explorer, "y", "markers")
    assert ([3, 4, 5, 7], [64.66, 66.51, 68.45, 65.48]) in printed and ([3, 4, 5, 7], [10.0] * 4) in printed
    assert ([3, 4, 5, 7], [81.32, 81.23, 81.47, 77.94]) in printed and len(printed) == 3
    assert ([-5, -3, -2, -1], [65.48, 71.05, 73.72, 75.87]) in drawn(explorer, "y2", "markers")
    assert ([3, 7], [10.0, 10.0]) in drawn(explorer, "y", "lines")  # chance
    assert explorer.figure.layout.yaxis.range == (0, 100)


def test_ours_stand_beside_as_lines_after_all_epochs_or_before(folder, opened):
    store(folder)
    explorer = opened(ConvTablesExplorer, density=1 / 32, depth=8)
    assert title_of(explorer).endswith("printed SAO 64.66, LMP-S 10.00 %; here SAO 81.2, LMP-S 10.0 %")
    assert ([3, 4], [81.25, 75.0]) in drawn(explorer, "y", "lines+markers")
    assert "on Fashion-MNIST" in explorer.data["note"] and "fewer images" in explorer.data["note"]
    explorer.set(trained=50)
    explorer.settle()
    assert explorer.data["ours"]["SAO", 1 / 32, 16] == 40
    explorer.set(trained=0)
    explorer.settle()
    assert explorer.data["ours"]["SAO", 1 / 32, 8] == 12


def test_where_many_methods_are_printed_the_title_tells_the_range_of_the_others(folder, opened):
    explorer = opened(ConvTablesExplorer, table="Table 11, SAO-ECO", density=1 / 2, depth=15)
    assert title_of(explorer).endswith("printed SAO 77.35, 4 others 74.13 to 79.20 %")


def test_each_table_offers_its_own_depths_and_densities(folder, opened):
    explorer = opened(ConvTablesExplorer)
    assert explorer.controls["depth"].options == (8, 16, 32, 128)
    explorer.set(table="Table 11, SAO-ECO")
    explorer.settle()
    assert explorer.controls["depth"].options == (5, 10, 15)
    assert explorer.controls["density"].options == (1 / 2, 1 / 8, 1 / 16, 1 / 32, 1 / 64)
    assert explorer.figure.layout.xaxis.ticktext == ("5", "10", "15")


def test_a_partial_run_is_called_so(folder, opened):
    store(folder, status="partial")
    assert "ours, a partial run, " in opened(ConvTablesExplorer).data["note"]


def test_a_damaged_table_is_told(folder):
    path = store(folder)
    path.write_text(path.read_text()[:-9])
    explorer = ConvTablesExplorer()
    try:
        with pytest.raises(NbkitError, match="load_result: .*must be as it was stored"):
            explorer.settle()
    finally:
        explorer.close()
