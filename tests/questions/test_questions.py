"""The twelve questions: their settings go together at equal density, and their answers follow what is measured."""

import functools
import math
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from nbkit.questions import MEASURES, QUESTIONS, Configuration, Question
from nbkit.questions.configuration import DECAYED
from nbkit.questions.measures import measure

LIVE = [question for question in QUESTIONS if DECAYED not in (question.a.wires, question.b.wires)]


measured = functools.cache(measure)


def answered(question: Question, a: Configuration, b: Configuration) -> str:
    return question.answer(measured(a, question.measure), measured(b, question.measure))


def numbers(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?", text)]


def test_there_are_twelve_in_the_order_of_their_numbers_and_every_measure_but_reach_answers_one():
    assert [question.number for question in QUESTIONS] == list(range(1, 13))
    assert {question.measure for question in QUESTIONS} == set(MEASURES) - {"reach"}
    assert all(question.title.endswith("?") for question in QUESTIONS)


@pytest.mark.parametrize("question", LIVE, ids=lambda question: str(question.number))
def test_both_sides_have_equal_density_width_and_depth(question):
    a, b = question.a, question.b
    assert (a.width, a.depth, a.gain) == (b.width, b.depth, b.gain)
    assert a.density == b.density == Fraction(a.degree, a.width)


@pytest.mark.parametrize("question", LIVE, ids=lambda question: str(question.number))
def test_an_answer_is_one_sentence_and_follows_the_sliders(question):
    smaller = {"width": 16, "degree": 4, "depth": 3}
    a, b = (replace(side, **smaller) for side in (question.a, question.b))
    answer = answered(question, a, b)
    assert (
        answer.endswith(".")
        and answer[0] == answer[0].upper()
        and not re.search(r"\. [A-Z]|nan|inf", answer)
        and numbers(answer)
    )
    moved = {"width": 32, "depth": 5, "gain": 1.7}
    assert answered(question, replace(a, **moved), replace(b, **moved)) != answer


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: str(question.number))
def test_every_answer_takes_any_two_configurations(question, decayed):
    others = [
        Configuration("dense", width=16, degree=4, depth=2),
        Configuration("SAO aligned", "orthogonal", "radial", width=16, degree=4, depth=2),
        Configuration("pruned", "Gaussian", "tanh", width=16, degree=2, depth=2),
    ]
    for other in others:
        for pair in ((decayed, other), (other, decayed), (other, other)):
            answer = answered(question, *pair)
            assert answer.endswith(".") and "nan" not in answer and numbers(answer)


def test_the_second_says_which_is_left_to_luck_only_if_the_difference_is_clear():
    question, own = QUESTIONS[1], Configuration(width=16, degree=4, depth=2)
    found = measured(own, "growth")
    told = [replace(found, numbers=found.numbers | {"spread": s, "spread_error": 0.01}) for s in (0.30, 0.31, 0.40)]
    assert "tell no difference" in question.answer(told[0], told[1])
    assert "left more to luck" in question.answer(told[0], told[2])


def test_the_second_tells_of_lines_that_became_points():
    question = QUESTIONS[1]
    few = [replace(side, width=16, depth=12) for side in (question.a, question.b)]
    found = [measured(side, "growth") for side in few]
    n_left = [each.numbers["nets"] - each.numbers["shrunk"] for each in found]
    assert n_left[0] < n_left[1]
    assert f"on random, Gaussian ({8 - n_left[0]:.0f} of 8 lines became points) and by" in question.answer(*found)
    none = replace(found[0], numbers=found[0].numbers | {"spread": math.nan, "shrunk": 8})
    assert question.answer(none, found[1]).endswith(": too few to be compared.")
    assert "an unknown amount on random, Gaussian (8 of 8 lines became points)" in question.answer(none, found[1])


def test_the_tenth_sees_blocks_also_where_any_wires_would_be_apart():
    own = Configuration("SAO random", width=64, degree=2, depth=2)
    assert answered(QUESTIONS[9], own, own).count("separate blocks, no expander") == 2
    random = replace(own, wires="random", degree=8)
    assert answered(QUESTIONS[9], random, random).count("as good as random wires of its degrees") == 2


def test_the_eleventh_compares_networks_that_take_the_same_input():
    question, draw = QUESTIONS[10], np.random.default_rng(0)
    a, b = (measured(replace(side, width=16, degree=4, depth=2), "Jacobian") for side in (question.a, question.b))
    common, noise = draw.standard_normal(96), 0.02 * draw.standard_normal(96)
    one = replace(a, samples={"mean": common, "spread": common})
    other = replace(b, samples={"mean": common + 0.01 + noise - noise.mean(), "spread": common})
    assert question.answer(one, other).endswith(
        ": told apart (B minus A, input by input: mean +0.010 ± 0.002, spread +0.000 ± 0.000)."
    )
    assert ": not told apart (" in question.answer(one, one)
    ahead = replace(one, samples={"mean": common[:3], "spread": common[:3]})
    assert question.answer(ahead, one).endswith("mean +0.000 ± 0.000, spread +0.000 ± 0.000).")
    begun = replace(one, samples={"mean": common[:1], "spread": common[:1]})
    assert question.answer(begun, one).endswith(": too few networks to tell them apart.")


def test_the_third_counts_the_layers_that_admit_orthogonal_weights():
    answer = answered(QUESTIONS[2], QUESTIONS[2].a, QUESTIONS[2].b)
    assert (
        "with D = 4 has singular values all 1, while with D = 1 only 4 of its 8 layers admit orthogonal weights without zeros"
        in answer
    )
    full = [replace(own, degree=64) for own in (QUESTIONS[2].a, QUESTIONS[2].b)]
    assert "while with D = 1 all 8 of its 8 layers admit orthogonal weights" in answered(QUESTIONS[2], *full)


def test_the_fourth_finds_that_shift_is_as_fair_as_radix_and_one_layer_earlier():
    answer = answered(QUESTIONS[3], QUESTIONS[3].a, QUESTIONS[3].b)
    assert answer.startswith("Behind 3 layers SAO shift joins 100.0% of the pairs (from layer 3 on), each by 2 paths")
    later = answered(QUESTIONS[3], *(replace(side, depth=4) for side in (QUESTIONS[3].a, QUESTIONS[3].b)))
    assert "RadiX joins 100.0% of the pairs (from layer 4 on), each by 8 paths" in later


def test_the_sixth_breaks_even_as_the_count_of_triangles_says():
    widths, weights = (16, 64, 64, 64, 4), 16 * 64 + 2 * 64 * 64 + 64 * 4
    after = 17 * 18 // 2 + 18 * 19 // 2 + 19 * 20 // 2 + 20 * 4
    point = (after - sum(widths[1:])) / weights
    assert f"pays above density {point:.2g} (" in answered(QUESTIONS[5], QUESTIONS[5].a, QUESTIONS[5].b)


def test_the_eighth_to_tenth_tell_of_decay(decayed):
    other = Configuration("SAO random", width=16, degree=8, depth=2, gain=math.sqrt(2))
    alive, decay, mask = (answered(QUESTIONS[number - 1], decayed, other) for number in (8, 9, 10))
    n = measured(decayed, "Jacobian").numbers
    assert f"Weight decay: {n['dead']:.0f} of 16 units inside are dead" in alive
    assert "1.4" in decay and "at λ = 0.01" in decay and "SAO random, Gaussian grows by" in decay
    assert f"Weight decay of density {float(decayed.density):.2f}" in mask
    assert mask.endswith(": separate blocks, no expander.") and "SAO random of density 0.50 has 0 dead nodes" in mask


def test_the_ninth_without_decay_compares_growth_alone():
    own = Configuration(width=16, degree=4, depth=2)
    assert answered(QUESTIONS[8], own, own).startswith("Without weight decay: RadiX, Gaussian grows by")
