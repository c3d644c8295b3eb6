"""The printed tables: as many numbers as are printed, and what the text says of them."""

import pytest

from nbkit.runs.published import PUBLISHED


def test_only_the_two_tables_that_survive_are_there():
    assert list(PUBLISHED) == [9, 11]
    # rows of four and of three, as they are printed
    assert {number: len(table.accuracy) for number, table in PUBLISHED.items()} == {9: 9 * 4, 11: 14 * 3}


@pytest.mark.parametrize(
    ("number", "method", "sparsity", "depth", "percent"),
    [
        (9, "Dense", 0, 128, 77.94),
        (9, "SAO", 96.875, 8, 64.66),
        (9, "LMP-S", 75, 32, 78.03),
        (11, "RG-T", 87.5, 5, 77.19),
        (11, "SAO", 98.4375, 15, 70.79),
        (11, "RG-S", 50, 15, 74.13),
    ],
)
def test_a_cell_is_found_by_method_density_and_depth(number, method, sparsity, depth, percent):
    assert PUBLISHED[number].accuracy[method, 1 - sparsity / 100, depth] == percent


@pytest.mark.parametrize(("number", "beyond"), [(9, 0.9), (11, 0.97)])
def test_sao_trains_everywhere_and_alone_at_the_highest_sparsity(number, beyond):
    table = PUBLISHED[number]
    assert min(value for (method, *_), value in table.accuracy.items() if method == "SAO") > 60
    others = {
        value for (method, density, _), value in table.accuracy.items() if 1 - density > beyond and method != "SAO"
    }
    assert others <= {10.0}


def test_densities_descend_from_the_dense_network():
    assert PUBLISHED[9].densities == (1, 1 / 2, 1 / 4, 1 / 8, 1 / 32)
    assert PUBLISHED[11].densities == (1, 1 / 2, 1 / 8, 1 / 16, 1 / 32, 1 / 64)
