"""A sweep's table: columns, arrays over the grid, CSV."""

import csv
import itertools

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.sweeping import Sweep


def swept(**grid):
    """A sweep as it would come of f(a, ..., seed) = 100 a + 10 b + seed; a = 2 with seed = 1 is a failure."""
    rows = []
    for values in itertools.product(*grid.values()):
        row = dict(zip(grid, values))
        is_failure = (row.get("a"), row.get("seed")) == (2, 1)
        result = {} if is_failure else {"value": 100 * row["a"] + 10 * row.get("b", 0) + row.get("seed", 0)}
        rows.append(row | result | {"seconds": 0.5, "error": "ValueError: no, <b>" if is_failure else None})
    return Sweep("room.f", 0, tuple(grid), rows)


def test_it_is_a_sequence_of_its_rows():
    done = swept(a=[1, 2], seed=[0, 1])
    assert len(done) == 4 and done[1] == {"a": 1, "seed": 1, "value": 101, "seconds": 0.5, "error": None}
    assert list(done) == done.rows and done.failures == [done.rows[3]]


def test_a_column_has_nan_where_a_failure_has_no_number():
    done = swept(a=[1, 2], seed=[0, 1])
    np.testing.assert_equal(done.column("value"), [100, 101, 200, np.nan])
    assert done.column("a").tolist() == [1, 1, 2, 2] and done.column("a").dtype == np.int64
    assert done.column("error").tolist() == [None, None, None, "ValueError: no, <b>"]


def test_a_column_of_lists_is_no_matrix():
    done = Sweep("room.f", 0, ("a",), [{"a": (1, 2), "seconds": 1, "error": None}] * 3)
    assert done.column("a").tolist() == [(1, 2)] * 3


def test_an_axis_is_the_different_values_in_order():
    assert swept(a=[3, 1], b=["y", "x"][:0] or [5, 4]).axis("b") == [5, 4]


def test_an_array_has_the_axes_asked_for_and_the_seeds_last():
    a, b, seed = [1, 3, 2], [0, 1], [0, 1, 2]
    wanted = 100.0 * np.array(a)[:, None, None] + 10 * np.array(b)[:, None] + np.array(seed)
    wanted[2, :, 1] = np.nan
    done = swept(a=a, b=b, seed=seed)
    np.testing.assert_equal(done.array("value", "a", "b"), wanted)
    np.testing.assert_equal(done.array("value", "b", "a"), wanted.transpose(1, 0, 2))
    np.testing.assert_equal(done.array("value", "seed", "a", "b"), wanted.transpose(2, 0, 1))


def test_the_mean_is_over_the_seeds_that_have_a_value():
    done = swept(a=[1, 2], seed=[0, 1, 2])
    np.testing.assert_equal(done.array("value", "a", mean=True), [101, 201])
    done = swept(a=[1, 2], seed=[1])
    np.testing.assert_equal(done.array("value", "a", mean=True), [101, np.nan])


def test_a_name_of_one_value_needs_no_axis():
    assert swept(a=[1, 3], b=[2]).array("value", "a").tolist() == [120, 320]


def test_numbers_too_large_for_an_integer_of_numpy_are_numbers():
    rows = [{"a": a, "value": 2 ** (70 * a), "seconds": 0.0, "error": None} for a in (0, 1)]
    assert Sweep("room.f", 0, ("a",), rows).array("value", "a").tolist() == [1.0, 2.0**70]


def test_cells_that_are_not_there_are_nan():
    done = swept(a=[1, 3], b=[1, 2])
    done.rows.pop(1)
    np.testing.assert_equal(done.array("value", "a", "b"), [[110, np.nan], [310, 320]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("value", "a"), r"axes must have every name of several values, got none of b\. Write array\('value', 'a', 'b'\)"),
        (("value", "c"), "each of axes must be one of 'a', 'b', got 'c'"),
        (("growth", "a", "b"), "name must be one of 'a', 'b', 'value', 'seconds', 'error', got 'growth'"),
        (("error", "a", "b"), "value must be a column of numbers, got 'error'"),
    ],
)  # fmt: skip
def test_an_array_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(NbkitError, match=message):
        swept(a=[1, 3], b=[1, 2]).array(*arguments)


def test_csv_is_the_table(tmp_path):
    done = swept(a=[1, 2], seed=[0, 1])
    path = done.to_csv(tmp_path / "new" / "sweep.csv")
    rows = list(csv.DictReader(path.open(newline="")))
    assert [row["value"] for row in rows] == ["100", "101", "200", ""]
    assert rows[3] == {"a": "2", "seed": "1", "value": "", "seconds": "0.5", "error": "ValueError: no, <b>"}
    assert [file.name for file in path.parent.iterdir()] == ["sweep.csv"]


def test_an_older_csv_stays_where_a_new_one_cannot_be_written(tmp_path):
    path = swept(a=[1]).to_csv(tmp_path / "sweep.csv")
    before = path.read_text()
    bad = Sweep("room.f", 0, ("a",), [{"a": "\udc80", "seconds": 1.0, "error": None}])
    with pytest.raises(NbkitError, match="Sweep.to_csv: path must be a file that can be written, got .* surrogates"):
        bad.to_csv(path)
    assert path.read_text() == before


def test_csv_has_a_line_for_each_row_whatever_its_texts_hold(tmp_path):
    rows = [{"a": text, "seconds": 1.0, "error": None} for text in ("50 %\rdone", "a\nb", "a\r\nb", 'a,"b"')]
    path = Sweep("room.f", 0, ("a",), rows).to_csv(tmp_path / "sweep.csv")
    with path.open(newline="", encoding="utf-8") as lines:
        assert [line[0] for line in csv.reader(lines)] == ["a", *(row["a"] for row in rows)]


def test_an_array_of_cells_that_are_no_grid_is_refused_before_it_is_made():
    rows = [{"a": i, "b": i, "c": i, "value": 1.0, "seconds": 1.0, "error": None} for i in range(2000)]
    with pytest.raises(NbkitError, match=r"Sweep.array: axes must span a grid, got 8e\+09 entries for 2,000 cells"):
        Sweep("room.f", 0, ("a", "b", "c"), rows).array("value", "a", "b", "c")


def test_csv_goes_to_a_path():
    with pytest.raises(NbkitError, match="Sweep.to_csv: path must be a path, got 3"):
        swept(a=[1]).to_csv(3)


def test_it_shows_how_many_failed_and_its_first_rows():
    done = swept(a=[1, 2], b=[1, 2, 3], seed=[0, 1])
    assert repr(done) == "<Sweep of room.f: 12 cells, 3 of them failures, 6 s of work>"
    shown = done._repr_html_()
    assert shown.count("<tr>") == 11 and "<p>and 2 more</p>" in shown and "&lt;b&gt;" in shown and "<b>" not in shown


def test_a_column_walks_the_rows_as_often_whatever_their_number():
    class Walked(list):
        n_walks = 0

        def __iter__(self):
            self.n_walks += 1
            return super().__iter__()

    walks = []
    for n in (10, 1000):
        done = Sweep("room.f", 0, ("a",), Walked({"a": a, "seconds": 1, "error": None} for a in range(n)))
        done.column("a"), done.axis("a"), done.array("a", "a")
        walks.append(done.rows.n_walks)
    assert walks[0] == walks[1]
