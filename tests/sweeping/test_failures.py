"""A failure tells what was raised and where: the last line of the user's own code."""

import json
import re

import pytest
import toy_cells

from nbkit.errors import NbkitError, check_integer
from nbkit.sweeping import sweep
from nbkit.sweeping.failures import told, where


def swept(function, grid, store, threads, **options):
    return sweep(function, grid, store=store, executor=threads, progress=False, **options)


def line_of(text, file=__file__):
    with open(file) as lines:
        return next(number for number, line in enumerate(lines, start=1) if line.strip() == text)


def raises_itself(i):
    raise ValueError("bad i")


def calls_a_helper(i):
    return helper(i)


def helper(i):
    return [1][i]


def calls_a_library(i):
    return json.loads("{")


def calls_nbkit(i):
    return check_integer("who", "i", 0.5)


@pytest.mark.parametrize(
    ("function", "error", "line"),
    [
        (raises_itself, "ValueError: bad i", 'raise ValueError("bad i")'),
        (calls_a_library, "JSONDecodeError: .*", 'return json.loads("{")'),
        (calls_nbkit, "NbkitError: who: i must be .*", 'return check_integer("who", "i", 0.5)'),
    ],
)
def test_the_line_is_the_users_and_not_a_librarys(function, error, line, store, threads):
    (row,) = swept(function, {"i": [7]}, store, threads)
    assert re.fullmatch(error + rf" \(test_failures.py:{line_of(line)}, in {function.__name__}\)", row["error"])


def test_the_line_is_the_last_of_the_users(store, threads):
    error = f"IndexError: list index out of range (test_failures.py:{line_of('return [1][i]')}, in helper)"
    assert swept(calls_a_helper, {"i": [7]}, store, threads)[0]["error"] == error


def test_it_comes_from_another_process_too(store):
    (row,) = sweep(toy_cells.leaves, {"i": [0]}, store=store, progress=False)
    assert (
        row["error"] == f"SystemExit: 3 (toy_cells.py:{line_of('raise SystemExit(3)', toy_cells.__file__)}, in leaves)"
    )


def test_a_librarys_own_function_tells_its_line(store, threads):
    (row,) = swept(json.loads, {"s": ["{"]}, store, threads)
    assert row["error"].startswith("JSONDecodeError: ") and "(__init__.py:" in row["error"]


def returns_a_tree(number):
    return {"a": {}}


@pytest.mark.parametrize("function", [round, returns_a_tree])
def test_where_no_line_raised_none_is_told(function, store, threads):
    (row,) = swept(function, {"number": ["a"]}, store, threads)
    assert row["error"].startswith("TypeError: ") and ".py" not in row["error"]


def test_a_cell_of_a_notebook_has_a_line_and_no_name(store, threads):
    names = {"__name__": "__main__"}
    exec(compile("def die(i):\n    1 / 0", "/tmp/ipykernel_12/345.py", "exec"), names)
    (row,) = swept(names["die"], {"i": [0]}, store, threads)
    assert row["error"] == "ZeroDivisionError: division by zero (notebook:2, in die)"


def test_an_error_that_was_never_raised_is_nowhere():
    assert where(ValueError("a")) == "" and told(NbkitError("a")) == "NbkitError: a"


def test_a_failure_that_was_stored_without_its_line_is_read_as_it_was(store, threads):
    line = {"function": f"{__name__}.raises_itself", "version": 0, "cell": {"i": 7}, "seconds": 0.1, "error": "E: old"}
    store.write_text(json.dumps(line) + "\n")
    assert swept(raises_itself, {"i": [7]}, store, threads)[0]["error"] == "E: old"
    assert store.read_text().count("\n") == 1
