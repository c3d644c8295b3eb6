"""Exercise checks: right, wrong and why, not answered yet; never a traceback for a wrong answer."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from nbkit import exercises
from nbkit.errors import NbkitError


@pytest.fixture
def area(monkeypatch):
    """An exercise of three cases: the area of a rectangle, its usual mistake the half perimeter."""
    monkeypatch.setattr(exercises, "_REGISTERED", {})
    monkeypatch.setattr(exercises, "__path__", [])
    exercises.exercise("area", hint="Count squares.", mistakes={"You added.": lambda a, b: a + b})(
        lambda: [((2, 2), 4), ((2, 3), 6), ((4, 5), 20)]
    )


def has_value(value, **options):
    """Register an exercise that asks for one value."""
    exercises.exercise("value", hint="Look again.", **options)(lambda: [((), value)])


def test_a_right_answer_is_right_in_all_cases(area):
    verdict = exercises.check("area", lambda a, b: a * b)
    assert verdict and repr(verdict) == "Right, in all 3 cases."


def test_a_usual_mistake_is_explained_at_the_first_case_that_shows_it(area):
    verdict = exercises.check("area", lambda a, b: a + b)
    assert not verdict
    assert repr(verdict) == "Not yet: for (2, 3) you say 5, it is 6. You added. (The 1 before it came out right.)"


def test_another_wrong_answer_gets_the_hint(area):
    assert repr(exercises.check("area", lambda a, b: 0)) == "Not yet: for (2, 2) you say 0, it is 4. Count squares."


def test_a_numpy_number_is_told_as_the_number_it_is(area):
    assert "you say 0.5, it is 4" in repr(exercises.check("area", lambda a, b: np.float64(0.5)))


@pytest.mark.parametrize("blank", [lambda a, b: ..., lambda a, b: a * ..., ...])
def test_a_blank_is_not_wrong_but_open(area, blank):
    verdict = exercises.check("area", blank)
    assert verdict.state == "open" and "Not answered yet" in repr(verdict)


def test_a_function_that_raises_is_told_so_without_a_traceback(area):
    verdict = exercises.check("area", lambda a, b: a / 0)
    assert verdict.state == "wrong" and "ZeroDivisionError" in repr(verdict)


def test_a_forgotten_return_is_told_so(area):
    assert "None. Does the function end in a return?" in repr(exercises.check("area", lambda a, b: None))


def test_html_carries_the_message_and_escapes_it(area):
    verdict = exercises.check("area", lambda a, b: "<b>")
    assert "&lt;b&gt;" in verdict._repr_html_() and "<b>✗</b>" in verdict._repr_html_()


@pytest.mark.parametrize(
    ("expected", "answer", "is_right"),
    [
        (0.25, Fraction(1, 4), True),
        (0.25, 0.2500001, True),
        (0.25, 0.26, False),
        (2**80, 2**80, True),
        (2**80, 2**80 + 1, False),
        (np.eye(2), torch.eye(2), True),
        (np.eye(2), np.eye(3), False),
        ([0, 2, 5], (0, 2, 5), True),
        ({1, 2}, {2, 1}, True),
        ("yes", "yes", True),
        ("yes", "no", False),
        (1.5, "one and a half", False),
        ([1.0, 2.0], [[1.0], [2.0, 3.0]], False),
    ],
)
def test_values_are_compared_as_a_reader_would(area, expected, answer, is_right):
    has_value(expected)
    assert bool(exercises.check("value", answer)) is is_right


def test_tolerance_is_the_exercises_own(area):
    has_value(0.333333, tolerance=0.01)
    assert exercises.check("value", 0.334) and not exercises.check("value", 0.35)


def test_an_unknown_exercise_is_refused(area):
    with pytest.raises(NbkitError, match="check: name must be one of 'area', got 'volume'"):
        exercises.check("volume", 3)


def corrected_theorem_1(systems):
    last = math.prod(systems[-1])
    return 1 if len(systems) == 1 else math.prod(systems[0]) ** (len(systems) - 2) * last


def test_path_count_accepts_the_corrected_theorem_and_knows_the_printed_one():
    assert exercises.check("01 path count", corrected_theorem_1)
    printed = exercises.check("01 path count", lambda systems: math.prod(systems[0]) ** (len(systems) - 1))
    assert "you say 16, it is 8. That is Theorem 1 as printed" in repr(printed)


def stretch(kernel, n):
    return np.linalg.svd(np.fft.fft2(kernel, (n, n)).transpose(2, 3, 0, 1), compute_uv=False).max()


def test_largest_stretch_accepts_sedghis_theorem_and_explains_every_usual_mistake():
    assert exercises.check("06 largest stretch", stretch)
    for said, mistaken in exercises.all_exercises()["06 largest stretch"].mistakes.items():
        assert said in repr(exercises.check("06 largest stretch", mistaken))


def test_the_laplacian_stretches_a_chequerboard_eightfold():
    # By hand: at the frequency (n/2, n/2) all four neighbours have the other sign, 4 + 4.
    (arguments, expected), *_ = exercises.all_exercises()["06 largest stretch"].cases()
    assert arguments[1] == 6 and expected == pytest.approx(8)


def test_singular_values_of_a_layer_accepts_the_slopes_and_explains_every_usual_mistake():
    name = "05 singular values of a layer"
    assert exercises.check(name, lambda slopes, gain: sorted((gain * abs(s) for s in slopes), reverse=True))
    for said, mistaken in exercises.all_exercises()[name].mistakes.items():
        assert said in repr(exercises.check(name, mistaken))


def says(x, centers, radii, values, slope, offset):
    inside = [abs(x - center) < radius for center, radius in zip(centers, radii, strict=True)]
    return values[inside.index(True)] if any(inside) else slope * x + offset


def test_what_the_network_says_accepts_the_first_ball_and_explains_every_usual_mistake():
    assert exercises.check("08 what the network says", says)
    for said, mistaken in exercises.all_exercises()["08 what the network says"].mistakes.items():
        assert said in repr(exercises.check("08 what the network says", mistaken))


def parameters_after_compression(widths):
    kept = [widths[0]]
    for n in widths[1:-1]:
        kept.append(min(n, kept[-1] + 1))
    return sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise([*kept, widths[-1]]))


def test_parameters_after_compression_accepts_the_recursion_and_explains_every_usual_mistake():
    name = "09 parameters after compression"
    assert exercises.check(name, parameters_after_compression)
    for said, mistaken in exercises.all_exercises()[name].mistakes.items():
        assert said in repr(exercises.check(name, mistaken))


def least_penalty(V, W):
    return 2 * sum(np.abs(v).sum() * np.linalg.norm(w) for v, w in zip(np.transpose(V), W, strict=True))


def test_least_penalty_accepts_products_and_explains_every_usual_mistake():
    name = "10 least penalty"
    assert exercises.check(name, least_penalty)
    for said, mistaken in exercises.all_exercises()[name].mistakes.items():
        assert said in repr(exercises.check(name, mistaken))


def test_the_neuron_of_the_balance_costs_30():
    # By hand: |(1, -2)|₁ = 3 and |(3, 4)|₂ = 5, and 2 · 3 · 5 = 30.
    (arguments, expected), *_ = exercises.all_exercises()["10 least penalty"].cases()
    assert arguments == ([[1.0], [-2.0]], [[3.0, 4.0]]) and expected == pytest.approx(30)


def test_folded_gather_accepts_the_inverse_permutation_and_explains_every_usual_mistake():
    name = "07 folded gather"
    assert exercises.check(name, lambda order, wanted: np.argsort(order)[wanted])
    for said, mistaken in exercises.all_exercises()[name].mistakes.items():
        assert said in repr(exercises.check(name, mistaken))


def test_the_first_folded_gather_is_right():
    # By hand: memory holds units 2, 0, 1; unit 2 lies in row 0, unit 1 in row 2.
    (arguments, expected), *_ = exercises.all_exercises()["07 folded gather"].cases()
    assert arguments == ([2, 0, 1], [2, 1]) and expected == [0, 2]
