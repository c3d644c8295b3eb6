"""Storing notebooks: pictures in, chance and machine out, whole or not at all."""

import json
import os
import shutil

import nbformat
import pytest

from nbkit import storing
from nbkit.__main__ import main
from nbkit.errors import NbkitError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def needs_browser():
    """kaleido draws with the system's browser; under CI a missing one is a failure."""
    if not any(map(shutil.which, BROWSERS)) and not os.environ.get("CI"):
        pytest.skip("no Chromium on this machine, and pictures need one")


@pytest.fixture
def write(tmp_path):
    """write(cell, cell, ...): a notebook of these code cells in a folder of its own."""

    def write_notebook(*cells, **metadata):
        book = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_markdown_cell("# Title"), *map(nbformat.v4.new_code_cell, cells)], metadata=metadata
        )
        path = tmp_path / "book.ipynb"
        nbformat.write(book, path)
        return path

    return write_notebook


@pytest.fixture
def without_pictures(monkeypatch):
    """Kernels that start no Chromium, for notebooks that draw nothing."""
    monkeypatch.setattr(storing, "KERNEL_START", "0")


def outputs(path):
    cells = json.loads(path.read_text())["cells"]
    return [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]


def test_a_figure_is_stored_as_json_and_png_an_explorer_as_png_and_its_call_and_twice_the_same(write):
    needs_browser()
    path = write(
        "import plotly.graph_objects as go\nfrom nbkit.explore import DensityExplorer",
        "go.Figure(go.Scatter(y=[1, 3, 2], uid='random'))",
        "DensityExplorer(radix_1=3)",
    )
    assert storing.store_notebook(path)
    [figure] = outputs(path)[1]
    assert set(figure["data"]) == {"application/vnd.plotly.v1+json", "image/png"}
    assert figure["data"]["image/png"].startswith("iVBORw0KGgo")
    assert "uid" not in figure["data"]["application/vnd.plotly.v1+json"]["data"][0]
    [explorer] = outputs(path)[2]
    assert set(explorer["data"]) == {"image/png", "text/plain"}
    assert explorer["data"]["image/png"].startswith("iVBORw0KGgo")
    call = "DensityExplorer(radix_1=3, radix_2=8, width_0=1, width_1=1, width_2=1)"
    assert explorer["data"]["text/plain"] == [call]
    stored = path.read_bytes()
    assert not storing.store_notebook(path)
    assert path.read_bytes() == stored


def test_a_widget_is_stored_as_text_without_its_state(write, without_pictures):
    path = write("import ipywidgets\nipywidgets.IntSlider(3)", widgets={"application/x": {"state": {}}})
    storing.store_notebook(path)
    assert set(outputs(path)[0][0]["data"]) == {"text/plain"}
    assert "widgets" not in json.loads(path.read_text())["metadata"]


def test_cells_see_the_store_setting_and_the_cpu(write, without_pictures, monkeypatch):
    monkeypatch.setenv("NBKIT_DEVICE", "cuda")
    path = write("import os; print(os.environ['NBKIT_STORE'], os.environ['NBKIT_DEVICE'])")
    storing.store_notebook(path)
    assert outputs(path)[0][0]["text"] == ["1 cpu\n"]


def test_nothing_of_time_machine_or_chance_is_stored(write, without_pictures):
    path = write(
        "for i in range(3):\n    print(i, flush=True)\n1 + 1", language_info={"version": "3.99", "name": "python"}
    )
    book = json.loads(path.read_text())
    book["cells"][1]["metadata"]["execution"] = {"iopub.status.busy": "2020-01-01T00:00:00Z"}
    book["nbformat_minor"] = 4
    for cell in book["cells"]:
        del cell["id"]  # as older editors write them
    path.write_text(json.dumps(book))
    storing.store_notebook(path)
    stored = json.loads(path.read_text())
    assert [cell["id"] for cell in stored["cells"]] == ["cell-0", "cell-1"]
    assert stored["cells"][1]["metadata"] == {} and stored["cells"][1]["execution_count"] == 1
    assert "version" not in stored["metadata"]["language_info"]
    assert [output.get("text") for output in outputs(path)[0]] == [["0\n", "1\n", "2\n"], None]


def test_an_error_names_notebook_and_cell_and_leaves_the_file(write, without_pictures):
    path = write("1 + 1", "1 / 0", "2 + 2")
    before = path.read_bytes()
    with pytest.raises(NbkitError, match=r"cell 3 of book.ipynb must run.*got ZeroDivisionError: division by zero"):
        storing.store_notebook(path)
    assert path.read_bytes() == before and [entry.name for entry in path.parent.iterdir()] == ["book.ipynb"]


def test_a_cell_that_hangs_is_stopped_and_named(write, without_pictures, monkeypatch):
    monkeypatch.setattr(storing, "CELL_TIMEOUT_SECONDS", 1)
    with pytest.raises(NbkitError, match="cell 2 of book.ipynb.*more than 1 s"):
        storing.store_notebook(write("import time; time.sleep(60)"))


def test_a_notebook_too_large_is_refused_and_the_file_stays(write, without_pictures):
    path = write("print(('x' * 99 + '\\n') * 16_000)")
    before = path.read_bytes()
    with pytest.raises(NbkitError, match=r"book.ipynb must take at most 1.5 MB, got 1\.[78]\d MB"):
        storing.store_notebook(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", ["not json", "[1, 2]", '{"a": 1}'])
def test_text_that_is_no_notebook_is_one_error(tmp_path, content):
    (tmp_path / "book.ipynb").write_text(content)
    with pytest.raises(NbkitError, match="book.ipynb must be a notebook"):
        storing.store_notebook(tmp_path / "book.ipynb")


def test_a_missing_file_is_one_error(tmp_path):
    with pytest.raises(NbkitError, match="path must be a notebook's file.*Check its name"):
        storing.store_notebook(tmp_path / "nowhere.ipynb")


def test_the_command_stores_what_it_can_and_says_what_it_cannot(write, without_pictures, capsys):
    good = write("1 + 1")
    bad = good.with_name("bad.ipynb")
    shutil.copy(good, bad)
    bad.write_text(bad.read_text().replace("1 + 1", "1 / 0"))
    assert main(["store", str(bad), str(good)]) == 1
    said = capsys.readouterr()
    assert "cell 2 of bad.ipynb" in said.err and "book.ipynb: stored" in said.out
    assert main(["store", str(good)]) == 0
    assert "book.ipynb: unchanged" in capsys.readouterr().out
