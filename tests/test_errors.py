"""The one error and the shared checks: the value comes back as promised, or the message says how to mend it."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from nbkit.errors import NbkitError, check_choice, check_integer, check_integers, check_number, show


def test_the_error_is_a_value_error():
    assert issubclass(NbkitError, ValueError)


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_an_integer_of_python_or_numpy_comes_back_as_int(value):
    found = check_integer("f", "n", value, at_least=3, at_most=3)
    assert found == 3 and type(found) is int


@pytest.mark.parametrize("value", [None, 2.0, "3", True, np.float64(3), [3], np.array(3), float("nan"), b"3"])
def test_what_is_no_integer_is_refused(value):
    with pytest.raises(NbkitError, match=r"^f: n must be an integer of at least 1, got .+\. Use a whole number\.$"):
        check_integer("f", "n", value, at_least=1)


@pytest.mark.parametrize("bounds, rule", [
    (dict(at_least=5), "of at least 5"),
    (dict(at_most=3), "of at most 3"),
    (dict(at_least=5, at_most=9), "between 5 and 9"),
])  # fmt: skip
def test_an_integer_outside_its_bounds_is_refused_with_them(bounds, rule):
    with pytest.raises(NbkitError, match=rf"^f: n must be an integer {rule}, got 4\. Use a value in that range\.$"):
        check_integer("f", "n", 4, **bounds)


def test_an_integer_of_thousands_of_digits_is_refused_in_one_line():
    with pytest.raises(NbkitError, match="got int with thousands of digits"):
        check_integer("f", "n", 10**5000, at_most=3)


@pytest.mark.parametrize("values", [(2, 3), [2, 3], np.array([2, 3]), range(2, 4), (n for n in (2, 3))])
def test_integers_come_back_as_a_tuple_of_int(values):
    found = check_integers("f", "radices", values, at_least=2)
    assert found == (2, 3) and all(type(entry) is int for entry in found)


@pytest.mark.parametrize("values", [None, 3, "2,3", b"23", np.array(3), torch.tensor(3), object()])
def test_what_is_no_list_of_integers_is_refused(values):
    with pytest.raises(NbkitError, match=r"^f: radices must be a list of integers, got .+\. Write it as \(2, 3\)\.$"):
        check_integers("f", "radices", values, at_least=2)


def test_too_few_integers_are_refused():
    with pytest.raises(NbkitError, match="^f: sizes must have a length of at least 2, got 1"):
        check_integers("f", "sizes", [4], at_least=1, minimum_length=2)


@pytest.mark.parametrize("values", [(2, 1), (2, "3"), (2, None), (2, [3])])
def test_a_wrong_entry_is_named_by_its_position(values):
    with pytest.raises(NbkitError, match="^f: entry 2 of radices must be an integer of at least 2, got "):
        check_integers("f", "radices", values, at_least=2)


@pytest.mark.parametrize("value", [0.25, np.float32(0.25), Fraction(1, 4)])
def test_a_number_comes_back_as_float(value):
    found = check_number("f", "density", value, above=0.0, at_most=1.0)
    assert found == 0.25 and type(found) is float


@pytest.mark.parametrize("value", [None, "1", True, math.nan, math.inf, 10**400, 1j, [1.0]])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(NbkitError, match=r"^f: density must be a finite number in \(0, 1\], got .+\. Use a finite"):
        check_number("f", "density", value, above=0.0, at_most=1.0)


@pytest.mark.parametrize("value", [0.0, -1, 1.5])
def test_a_number_outside_its_interval_is_refused(value):
    with pytest.raises(
        NbkitError, match=r"^f: density must be a finite number in \(0, 1\], got .+ in that interval\.$"
    ):
        check_number("f", "density", value, above=0.0, at_most=1.0)


def test_a_choice_comes_back():
    assert check_choice("f", "side", "in", ("in", "out")) == "in"


@pytest.mark.parametrize("value", ["up", None, 1, ["in"], ""])
def test_another_choice_is_refused_and_the_choices_listed(value):
    with pytest.raises(NbkitError, match=r"^f: side must be one of 'in', 'out', got .+\. Choose one of these\.$"):
        check_choice("f", "side", value, ("in", "out"))


def test_a_long_value_is_shown_short_and_on_one_line():
    text = show(np.arange(10**4).reshape(100, 100).tolist())
    assert len(text) < 210 and "\n" not in text and text.endswith(" ...")
