"""Schedules: the rates of the paper, step by step, and how they go together."""

import math

import pytest

from nbkit.errors import NbkitError
from nbkit.training.schedules import as_schedule, constant, cosine, steps, warm_up


def factors(schedule, n_steps, steps_an_epoch=10):
    return [schedule(step, n_steps, steps_an_epoch) for step in range(n_steps)]


def test_steps_multiply_the_rate_from_the_first_step_of_each_epoch_on():
    found = factors(steps((5, 15)), 200)
    assert found == pytest.approx([1.0] * 50 + [0.1] * 100 + [0.01] * 50)


def test_an_epoch_may_be_a_part_of_one_and_the_factor_another():
    assert factors(steps((0.5,), factor=0.25), 8, 8) == [1.0] * 4 + [0.25] * 4


def test_a_cosine_is_half_at_half_and_falls_all_the_way():
    found = factors(cosine(), 100)
    assert found[0] == 1 and found[50] == pytest.approx(0.5) and found[99] == pytest.approx(2.467e-4, rel=1e-3)
    assert found == sorted(found, reverse=True)


def test_a_warm_up_rises_by_equal_steps_then_its_successor_starts_from_its_beginning():
    found = factors(warm_up(2, steps((3,))), 80)
    assert found[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert found[20:] == pytest.approx([1.0] * 30 + [0.1] * 30)


def test_a_warm_up_leads_to_a_cosine_over_what_is_left():
    assert factors(warm_up(2), 50)[20:] == pytest.approx(factors(cosine(), 30))
    assert factors(warm_up(2, "constant"), 30)[20:] == [1.0] * 10


def test_a_warm_up_longer_than_the_training_only_rises():
    assert factors(warm_up(9), 30) == pytest.approx([(step + 1) / 90 for step in range(30)])


def test_a_function_of_the_share_is_a_schedule():
    schedule = as_schedule("train", "schedule", lambda share: 1 - share)
    assert factors(schedule, 4) == [1.0, 0.75, 0.5, 0.25]


def test_a_schedule_tells_how_it_was_made():
    assert warm_up(10, steps((50, 150))).told == "warm_up(10, steps(50, 150; 0.1))"
    assert constant().told != cosine().told


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: steps(()), "steps: at must be a list of epochs"),
        (lambda: steps(5), "steps: at must be a list of epochs"),
        (lambda: steps("50"), "steps: at must be a list of epochs"),
        (lambda: steps((50, 50)), "steps: at must be epochs that rise"),
        (lambda: steps((0, 50)), "steps: each epoch of at"),
        (lambda: steps((math.nan,)), "steps: each epoch of at"),
        (lambda: steps(factor=0), "steps: factor"),
        (lambda: warm_up(0), "warm_up: epochs"),
        (lambda: warm_up(1, "steps"), "warm_up: then must be one of 'constant', 'cosine', got 'steps'"),
        (lambda: warm_up(1, 3), "warm_up: then must be one of"),
    ],
)
def test_what_is_no_schedule_is_refused(make, message):
    with pytest.raises(NbkitError, match=message):
        make()
