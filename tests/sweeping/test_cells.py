"""A grid's cells: every combination once, in order, as values that JSON can hold, made one by one."""

import itertools
import json
import tracemalloc

import numpy as np
import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.sweeping.cells import Cells, from_json, key_of, to_json

ENDLESS: list = []
ENDLESS.append(ENDLESS)


def test_every_combination_in_order_and_seeds_change_fastest():
    cells = Cells("sweep", {"b": [1, 2], "a": ["x", "y"]}, 3)
    wanted = [{"b": b, "a": a, "seed": seed} for b, a, seed in itertools.product((1, 2), ("x", "y"), range(3))]
    assert cells.names == ("b", "a", "seed") and len(cells) == 12 and list(cells) == wanted


def test_a_list_of_cells_stays_as_it_is_and_each_gets_every_seed():
    cells = Cells("sweep", [{"d": 2, "depth": 8}, {"d": 4, "depth": 1}], [7, 5])
    assert [tuple(cell.values()) for cell in cells] == [(2, 8, 7), (2, 8, 5), (4, 1, 7), (4, 1, 5)]


def test_an_empty_grid_with_seeds_is_a_cell_for_each():
    assert list(Cells("sweep", {}, 2)) == [{"seed": 0}, {"seed": 1}]


def test_scalars_of_numpy_and_torch_become_pythons_and_lists_tuples():
    values = [np.float32(0.5), np.int64(3), torch.tensor(2.0), np.bool_(True), "x", None, [2, np.int8(3)], np.eye(2)]
    found = [cell["a"] for cell in Cells("sweep", {"a": values}, None)]
    assert found == [0.5, 3, 2.0, True, "x", None, (2, 3), ((1.0, 0.0), (0.0, 1.0))]
    assert [type(value) for value in found[:4]] == [float, int, float, bool]


def test_an_array_is_a_list_of_values():
    assert [cell["a"] for cell in Cells("sweep", {"a": np.linspace(0, 1, 3)}, None)] == [0.0, 0.5, 1.0]


def test_a_key_does_not_depend_on_the_order_of_names_nor_on_a_trip_through_a_file():
    cell = {"b": 0.1 + 0.2, "a": (1, (2, "é")), "c": float("inf")}
    assert key_of(cell) == key_of(dict(reversed(cell.items())))
    assert json.dumps(json.loads(key_of(cell)), sort_keys=True) == key_of(cell)


def test_numbers_that_json_lacks_come_back_and_the_text_is_strict():
    values = {"a": float("nan"), "b": float("inf"), "c": -float("inf"), "d": 1e-300, "e": "nan", "f": None, "g": True}
    text = to_json(values)
    json.loads(text, parse_constant=lambda constant: pytest.fail(constant))
    np.testing.assert_equal(from_json(json.loads(text)), values)


def test_a_huge_grid_is_never_in_memory():
    grid = {name: range(100) for name in "abc"}
    tracemalloc.start()
    cells = Cells("sweep", grid, None)
    assert len(cells) == 10**6 and sum(1 for _ in itertools.islice(cells, 10**4)) == 10**4
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**18  # a list of them takes hundreds of megabytes


@pytest.mark.parametrize(
    ("grid", "seeds", "message"),
    [
        ({"a": [1, 2, 1]}, None, "the values of a must differ, got 1 at places 1 and 3"),
        ({"a": [1, 1.0]}, None, "the values of a must differ, got 1.0 at places 1 and 2"),
        ({"a": [np.nan, float("nan")]}, None, "the values of a must differ, got nan at places 1 and 2"),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], None, "grid must differ, got {'b': 2, 'a': 1} at places 1 and 2"),
        ({"a": [1]}, [3, 3], "the values of seeds must differ, got 3 at places 1 and 2"),
        ({"a": []}, None, "the values of a must be at least one"),
        ({"a": "abc"}, None, "the values of a must be a list, got 'abc'"),
        ({"a": 3}, None, "the values of a must be a list, got 3"),
        ({"a": [{1}]}, None, "the values of a must be numbers, text, True, False, None or lists of these, got {1}"),
        ({"a": [{"b": 1}]}, None, "the values of a must be numbers, text, True, False, None or lists of these"),
        ({"a": [object]}, None, "the values of a must be numbers"),
        ({"a": [10**5000]}, None, "the values of a must be numbers"),
        ({"a": [1 + 2j]}, None, "the values of a must be numbers"),
        ({1: [1]}, None, "grid's names must be text other than seconds and error, got 1"),
        ({"seconds": [1]}, None, "grid's names must be text other than seconds and error, got 'seconds'"),
        ([], None, "grid must hold cells of the same names, got no cell"),
        ([{"a": 1}, {"b": 1}], None, "grid must hold cells of the same names, got cells of different names"),
        (7, None, "grid must be name -> values or a list of cells, got 7"),
        ([1, 2], None, "grid must be name -> values or a list of cells"),
        ({"seed": [1]}, 2, "seeds must be None where the grid has a seed"),
        ({"a": [1]}, 0, "seeds must be an integer between 1 and 10000000, got 0"),
        ({"a": [1]}, 10**13, "seeds must be an integer between 1 and 10000000"),
        ({name: range(10) for name in "abcdefghi"}, None, "grid must have at most 100,000,000 cells, got 1.00e+9"),
        ({name: range(10) for name in map(str, range(400))}, None, "grid must have at most 100,000,000 cells"),
        ({"a": [np.float32, np.float64]}, None, "the values of a must be numbers"),
        ({"a": np.array(3)}, None, "the values of a must be a list"),
        ({"a": [torch.eye(2).to_sparse()]}, None, "the values of a must be numbers"),
        ({"a": [torch.ones(2, device="meta")]}, None, "the values of a must be numbers"),
        ({"a": [ENDLESS]}, None, "the values of a must be numbers"),
        ({"a": [1]}, [-1], "entry 1 of seeds must be an integer of at least 0"),
        ({"a": [1]}, 1.5, "seeds must be an integer"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_grid_that_cannot_be_is_refused(grid, seeds, message):
    with pytest.raises(NbkitError) as error:
        Cells("sweep", grid, seeds)
    assert str(error.value).startswith(f"sweep: {message}")
