"""The explorers of notebook 08 that look at activations: who commutes with a rotation, and the six functions h."""

import math

import numpy as np
import pytest

from nbkit.explore import RadialFunctionsExplorer, RescalingExplorer

H = {
    "Step-ReLU": lambda r, b: r if r >= 1 else 0.0,
    "squashing": lambda r, b: r * r / (r * r + 1),
    "shifted ReLU": lambda r, b: max(0.0, r - b),
    "sigmoid": lambda r, b: 1 / (1 + math.exp(-r)),
    "shifted sigmoid": lambda r, b: 1 / (1 + math.exp(b - r)),
    "identity": lambda r, b: r,
}


def told(explorer):
    return explorer.figure.layout.title.text.replace("<br>", " ")


@pytest.mark.parametrize("radial", H)
@pytest.mark.parametrize("shape", ["squares", "circles and rays"])
def test_every_radial_function_commutes_with_rotations_and_a_pointwise_one_does_not(opened, radial, shape):
    explorer = opened(RescalingExplorer, radial=radial, shape=shape, shift=-1.0, angle=35)
    assert explorer.data["differences"]["radial"] < 1e-12 < 0.1 < explorer.data["differences"]["pointwise"]
    assert f"{radial} by less than 1e-12" in told(explorer)


def test_the_two_orders_under_relu_are_those_of_numpy(opened):
    explorer = opened(RescalingExplorer, pointwise="ReLU", angle=90)
    turned, (first, second) = explorer.data["grid"], explorer.data["images"]["pointwise"]
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    grid = turned @ quarter
    np.testing.assert_allclose(first, np.maximum(turned, 0), atol=1e-12)
    np.testing.assert_allclose(second, np.maximum(grid, 0) @ quarter.T, atol=1e-12)
    # (a, b) goes to (max(a, 0), max(b, 0)) and to (-max(-a, 0), max(b, 0)): they are |a| apart
    assert explorer.data["differences"]["pointwise"] == pytest.approx(2.02, abs=1e-9)


def test_odd_functions_commute_with_quarter_turns(opened):
    explorer = opened(RescalingExplorer, pointwise="tanh", angle=90)
    assert explorer.data["differences"]["pointwise"] < 1e-12 and "tanh by less than 1e-12" in told(explorer)


@pytest.mark.parametrize("shift", [-1.0, 0.5])
def test_the_functions_on_the_line_are_example_1(opened, shift):
    explorer = opened(RadialFunctionsExplorer, shift=shift, point=-0.5)
    v = explorer.data["v"]
    for name, h in H.items():
        image, factor = explorer.data["functions"][name]
        away = np.abs(v) > 0
        wanted = np.array([h(abs(x), shift) for x in v[away]])
        np.testing.assert_allclose(image[away], wanted * np.sign(v[away]), atol=1e-12)
        np.testing.assert_allclose(factor[away], wanted / np.abs(v[away]), atol=1e-12)
        assert image[~away] == 0 and np.isnan(factor[~away])
        assert explorer.data["images"][name] == pytest.approx(-h(0.5, shift), abs=1e-12)
        at_zero = h(0.0, shift)
        assert list(explorer.data["jumps"][name]) == ([0.0] if at_zero else [-1, 1] if name == "Step-ReLU" else [])


def test_the_image_of_the_vector_is_written_at_its_mark_and_the_curves_follow_the_shift(opened):
    explorer = opened(RadialFunctionsExplorer, point=3.0)
    marks = explorer.figure.data[3::4]
    assert [mark.text[0] for mark in marks][:3] == ["3", "0.9", "2"]
    explorer.set(point=-2.0)
    explorer.settle()
    assert [mark.text[0] for mark in marks][:3] == ["-2", "-0.8", "-1"]
    explorer.set(shift=0.0)
    explorer.settle()
    line = explorer.figure.data[8]
    assert marks[2].text[0] == "-2" and np.nanmax(line.y) == 3.0
