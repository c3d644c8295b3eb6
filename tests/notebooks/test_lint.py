"""What a stored notebook must be, beyond running: executed, compared, short, light, and readable without a kernel.

That every cell runs and prints what is stored is checked by nbval, which tests/conftest.py switches on.
"""

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
IGNORED = "nbval-ignore-output"
SHOWN_LIVE = re.compile(r"[\w.]*Explorer\(|[VHG]\w*Box\(")  # how explorers, and boxes of them, read as text
PLOTLY, WIDGET, PNG = "application/vnd.plotly.v1+json", "application/vnd.jupyter.widget-view+json", "image/png"

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@cache
def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell: dict) -> str:
    return "".join(cell["source"])


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def code_cells(path: Path) -> list[tuple[int, dict]]:
    """The code cells with their numbers among all cells, counted from 1."""
    return [(n, cell) for n, cell in enumerate(read(path)["cells"], start=1) if cell["cell_type"] == "code"]


def bundles(cell: dict) -> list[dict]:
    return [output["data"] for output in cell["outputs"] if "data" in output]


@every_notebook
def test_it_opens_with_title_and_question(path):
    opening = read(path)["cells"][0]
    assert opening["cell_type"] == "markdown" and source(opening).startswith("# ") and "?" in source(opening)


@every_notebook
def test_every_code_cell_is_stored_executed_in_order(path):
    # nbval runs a cell without an execution count but does not compare it.
    assert [cell["execution_count"] for _, cell in code_cells(path)] == list(range(1, len(code_cells(path)) + 1))


@every_notebook
def test_every_ignored_cell_is_followed_by_a_compared_one(path):
    cells = code_cells(path)
    followers = zip(cells, [*cells[1:], (None, None)], strict=True)
    uncompared = [n for (n, cell), (_, after) in followers if IGNORED in tags(cell) and not is_compared(after)]
    assert uncompared == []


def is_compared(cell: dict | None) -> bool:
    """Whether nbval compares something of it: it is not ignored, and text is stored."""
    stored = [] if cell is None or IGNORED in tags(cell) else cell["outputs"]
    return any("text" in output or "text/plain" in output.get("data", {}) for output in stored)


@every_notebook
def test_no_cell_is_left_out_or_allowed_to_fail(path):
    excused = {"nbval-skip", "nbval-raises-exception", "raises-exception"}
    assert [n for n, cell in code_cells(path) if excused & set(tags(cell)) or "NBVAL_" in source(cell)] == []


@every_notebook
def test_at_most_45_cells_and_15_lines_a_code_cell(path):
    assert len(read(path)["cells"]) <= 45
    assert [n for n, cell in code_cells(path) if len(source(cell).splitlines()) > 15] == []


@every_notebook
def test_only_exercises_and_their_solutions_define_functions(path):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    defining = [
        n
        for n, cell in code_cells(path)
        if any(isinstance(node, kinds) for node in ast.walk(ast.parse(source(cell))))
        and not {"exercise", "solution"} & set(tags(cell))
    ]
    assert defining == []


@every_notebook
def test_no_traceback_and_no_warning_is_stored(path):
    loud = [
        n
        for n, cell in code_cells(path)
        if any(output["output_type"] == "error" or output.get("name") == "stderr" for output in cell["outputs"])
    ]
    assert loud == []


@every_notebook
def test_at_most_1_5_megabytes(path):
    assert path.stat().st_size <= 1_500_000


@every_notebook
def test_every_picture_has_a_png_and_no_widget_is_stored(path):
    for number, cell in code_cells(path):
        for bundle in bundles(cell):
            assert WIDGET not in bundle, f"cell {number} stores a widget without its state"
            is_picture = PLOTLY in bundle or SHOWN_LIVE.match("".join(bundle.get("text/plain", "")))
            assert PNG in bundle or not is_picture, f"cell {number} shows nothing on a code host"
    assert "widgets" not in read(path)["metadata"]


@every_notebook
def test_nothing_of_the_machine_that_stored_it_remains(path):
    text = "".join(json.dumps([cell["outputs"], cell["metadata"]]) for _, cell in code_cells(path))
    assert [mark for mark in (str(FOLDER.parent), str(Path.home()), "/tmp/", "site-packages") if mark in text] == []
    assert all("execution" not in cell["metadata"] for _, cell in code_cells(path))
    assert "version" not in read(path)["metadata"].get("language_info", {})


def test_the_folder_holds_notebooks_and_nothing_else():
    visible = [path.name for path in FOLDER.iterdir() if not path.name.startswith(".")]
    assert NOTEBOOKS and sorted(visible) == [path.name for path in NOTEBOOKS]
