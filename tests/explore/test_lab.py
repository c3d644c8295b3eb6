"""The lab: questions set everything, whoever leaves them is free, nothing that cannot be made is offered."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.explore import LabExplorer, lab
from nbkit.figures import FAMILY_COLOURS
from nbkit.questions import ACTIVATIONS, MEASURES, QUESTIONS, WEIGHTS, WIRES, Configuration

QUICK = {"measure": "reach", "width": 16, "degree": 4, "depth": 2}
OWN = ("wires", "weights", "activation")


def side(settings, name):
    shared = {key: settings[key] for key in ("width", "degree", "depth", "gain", "seed")}
    return Configuration(**{key: settings[f"{key}_{name}"] for key in OWN}, **shared)


@pytest.fixture
def quick(opened):
    return opened(LabExplorer, **QUICK)


def test_a_question_sets_both_sides_as_it_asks_for_them(quick, monkeypatch):
    monkeypatch.setattr(quick._worker, "submit", lambda values: None)
    for question in reversed(QUESTIONS):
        (name,) = [name for name in quick.controls["question"].options if name.startswith(f"{question.number} · ")]
        quick.controls["question"].value = name
        settings = quick.settings
        assert settings["measure"] == question.measure and settings["question"] == name
        assert side(settings, "a") == question.a and side(settings, "b") == question.b
        assert quick.presets[str(question.number)] == settings


def test_the_answer_is_the_questions_own_and_follows_the_sliders(quick):
    question = QUESTIONS[3]
    quick.set(**quick.presets["4"])
    quick.settle()
    title = quick.figure.layout.title.text.replace("<br>", " ")
    assert title.startswith(f"<b>4 · {question.title}</b>")
    assert f"Behind {question.a.depth} layers" in title
    quick.set(depth=2, width=16, degree=4)
    quick.settle()
    assert quick.settings["question"].startswith("4 · ") and "Behind 2 layers" in quick.data["answer"]
    measured = [lab.stream_measure(side(quick.settings, name), "paths") for name in "ab"]
    expected = question.answer(*([*stream][-1] for stream in measured))
    assert quick.data["answer"] == expected[0].upper() + expected[1:]


@pytest.mark.parametrize("change", [{"wires_a": "dense"}, {"measure": "paths"}, {"activation_b": "tanh"}])
def test_whoever_changes_what_a_question_is_about_leaves_it(quick, change):
    quick.set(**quick.presets["5"])
    quick.set(**change)
    quick.settle()
    assert quick.settings["question"] == lab.FREE
    assert quick.data["asked"].endswith(quick.settings["measure"]) and " A " in quick.data["answer"]


def test_both_densities_are_told_and_each_side_has_its_familys_colour(quick):
    quick.set(wires_a="RadiX", weights_a="Gaussian", wires_b="dense")
    quick.settle()
    first, second = (quick.figure.layout.annotations[place].text for place in (0, 1))
    assert "density 1/4 = 0.25" in first and second.endswith("density 1")
    assert quick.data["a"]["density"] == Fraction(1, 4)
    assert quick.figure.data[3].line.color == FAMILY_COLOURS["radix"]
    assert quick.figure.data[7].line.color == FAMILY_COLOURS["dense"]


def test_reach_is_drawn_as_matrices_and_a_curve(quick):
    assert len(quick.figure.layout.images) == 2 and quick.data["a"]["matrix"].shape == (16, 16)
    assert quick.figure.data[3].y[-1] == quick.data["a"]["matrix"].mean()
    quick.set(measure="wires' spectrum")
    quick.settle()
    assert len(quick.figure.layout.images) == 0


def test_every_measure_has_axes_and_words():
    assert set(lab._AXES) == set(lab._TOLD) == set(MEASURES)


@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_draws_and_compares_without_a_question(quick, measure):
    quick.set(measure=measure, wires_b="SAO random")
    quick.settle()
    assert quick.data["answer"].count(" A ") == 1 and len(quick.figure.data[3].x) == len(quick.data["a"]["x"])
    assert np.isfinite(quick.data["a"]["y"]).any()


def test_whatever_is_offered_can_be_made(quick):
    for wires, other in itertools.product(WIRES, WIRES):
        for weights, activation in itertools.product(WEIGHTS, ACTIVATIONS):
            wishes = dict(zip(OWN, (wires, weights, activation), strict=True))
            settings = quick.settings | {f"{name}_a": value for name, value in wishes.items()} | {"wires_b": other}
            values, options = quick._settings._narrow(settings)
            assert side(values, "a").wires == wires and side(values, "b").wires == other
            assert all(values[name] in options[name] for name in options)


def test_what_is_not_offered_is_refused_and_the_picture_stays(quick):
    before = quick.figure.to_json()
    quick.set(wires_a="random", weights_a="orthogonal")
    with pytest.raises(NbkitError, match="LabExplorer: weights_a must be one of 'Gaussian'"):
        quick.settle()
    assert quick.figure.to_json() == before


def test_until_there_is_something_axes_are_empty_and_the_answer_is_announced(quick):
    quick._worker.stop()
    nothing = {name: np.full(2, np.nan) for name in "xy"} | dict.fromkeys(("low", "high", "theory", "matrix"))
    side_frame = {"name": "RadiX", "family": "radix", "what": "", "density": None} | nothing | {"x": np.arange(2.0)}
    words = {"asked": "?", "answer": "The answer follows."}
    with quick.figure.batch_update():
        quick.draw({"measure": "growth", "a": side_frame, "b": side_frame} | words)
    assert quick.figure.layout.yaxis.range == (0, 1) and quick.figure.layout.title.text.endswith("follows.")


def test_who_comes_back_sees_the_end_at_once(quick):
    frames = list(quick.stream(**quick.settings))
    assert len(frames) <= 2 and frames[-1]["answer"] == quick.data["answer"]


def test_axes_widen_while_the_measure_stays_and_begin_anew_with_another(quick):
    quick.set(measure="growth", weights_a="Gaussian", gain=1.0)
    quick.settle()
    narrow = quick.figure.layout.yaxis.range
    quick.set(gain=3.0)
    quick.settle()
    wide = quick.figure.layout.yaxis.range
    assert wide[0] <= narrow[0] and wide[1] > narrow[1] and quick.figure.layout.yaxis.type == "log"
    quick.set(gain=1.0)
    quick.settle()
    assert quick.figure.layout.yaxis.range == wide == quick.figure.layout.yaxis2.range
    quick.set(measure="reach")
    quick.settle()
    assert quick.figure.layout.yaxis.type == "linear" and quick.figure.layout.yaxis.range[1] < 1.2
