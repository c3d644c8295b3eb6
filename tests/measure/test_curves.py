"""Curves: end points, constant speed, closed-form lengths (SCIENCE 2.6, T15), any callable."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.measure import Trajectory, arc, arc_length, circle, line, random_line

T = torch.linspace(0, 1, 2001, dtype=torch.float64)


def ends(dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((2, dim))


def chord_sum(curve, t: torch.Tensor = T) -> float:
    return float(np.linalg.norm(np.diff(curve(t).numpy(), axis=0), axis=1).sum())


CURVES = {
    "line": line(*ends(7)),
    "arc": arc(*ends(7), n_planes=2),
    "arc everywhere": arc(*ends(8), n_planes=4, seed=3),
    "circle": circle(5, radius=0.3),
    "random line": random_line(6),
}


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_the_speed_is_constant_and_is_the_length(curve):
    speeds = curve.derivative(T).norm(dim=1)
    assert speeds.numpy() == pytest.approx(curve.length)


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_the_closed_form_length_is_the_limit_of_chords(curve):
    assert chord_sum(curve) == pytest.approx(curve.length, rel=2e-6)
    assert chord_sum(curve) <= curve.length * (1 + 1e-12)


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_the_velocity_is_the_derivative_of_the_place(curve):
    t = T[1:-1:100]
    differences = (curve(t + 1e-6) - curve(t - 1e-6)) / 2e-6
    assert curve.derivative(t).numpy() == pytest.approx(differences.numpy(), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(0, 100), st.data())
def test_an_arc_keeps_its_ends_and_bends_in_disjoint_planes(dim, seed, data):
    n_planes = data.draw(st.integers(0, dim // 2))
    x0, x1 = ends(dim, seed)
    curve = arc(x0, x1, n_planes=n_planes, seed=seed)
    points = curve(T[::100]).numpy()
    assert points[0] == pytest.approx(x0) and points[-1] == pytest.approx(x1)
    straight = x0 + T[::100, None].numpy() * (x1 - x0)
    bent = np.abs(points - straight).max(axis=0) > 1e-9
    assert bent.sum() == 2 * n_planes
    # in the chosen planes the distance to the chord's middle is half of the chord there, as on a semicircle
    radii = np.linalg.norm((points - (x0 + x1) / 2)[:, bent], axis=1)
    assert radii == pytest.approx(np.linalg.norm((x1 - x0)[bent]) / 2)
    squares = (x1 - x0) ** 2
    assert curve.length == pytest.approx(math.sqrt(math.pi**2 / 4 * squares[bent].sum() + squares[~bent].sum()))


def test_a_single_plane_of_the_plane_gives_a_semicircle():
    curve = arc([1, 0], [-1, 0], n_planes=1)
    middle = curve([0.5])[0].numpy()
    assert np.abs(middle) == pytest.approx([0, 1], abs=1e-12) and curve.length == pytest.approx(math.pi)


def test_the_ratio_of_arc_to_chord_in_500_dimensions():
    expected = math.sqrt(0.4 * math.pi**2 / 4 + 0.6)
    assert expected == pytest.approx(1.2597, abs=5e-5)
    ratios = []
    for seed in range(60):
        x0, x1 = ends(500, seed)
        ratios.append(arc(x0, x1, n_planes=100, seed=seed).length / np.linalg.norm(x1 - x0))
    assert abs(np.mean(ratios) - expected) < 4.5 * np.std(ratios) / math.sqrt(60) + 1e-4
    assert 0.005 < np.std(ratios) < 0.02  # one draw such as 1.2659 is no surprise


def test_an_arc_repeats_its_planes_with_the_seed():
    x0, x1 = ends(20)
    same, again, other = (arc(x0, x1, n_planes=5, seed=seed)(T[:50]) for seed in (1, 1, 2))
    assert torch.equal(same, again) and not torch.equal(same, other)


def test_a_circle_closes_has_its_radius_and_lies_in_a_plane_about_the_origin():
    curve = circle(6, radius=2.5, seed=4)
    points = curve(T).numpy()
    assert np.linalg.norm(points, axis=1) == pytest.approx(2.5)
    assert points[0] == pytest.approx(points[-1]) and curve.length == pytest.approx(5 * math.pi)
    assert (np.linalg.svd(points, compute_uv=False)[2:] < 1e-9).all()
    assert points[:-1].mean(axis=0) == pytest.approx(np.zeros(6), abs=1e-12)


def test_the_plane_of_a_circle_is_uniform():
    planes = []
    for seed in range(400):
        frame = circle(4, seed=seed)([0.0, 0.25]).numpy()
        planes.append(frame.T @ frame)
    # E of the projection is half of the identity; a diagonal entry has variance 1 / 12
    assert np.mean(planes, axis=0) == pytest.approx(np.eye(4) / 2, abs=4.5 * math.sqrt(1 / 12 / 400))


def test_a_random_line_joins_two_points_of_the_unit_sphere():
    points = random_line(9, seed=3)([0.0, 1.0])
    assert points.norm(dim=1).numpy() == pytest.approx(1) and not torch.equal(
        points, random_line(9, seed=4)([0.0, 1.0])
    )


def helix(t: torch.Tensor) -> torch.Tensor:
    return torch.stack([torch.cos(4 * t), torch.sin(4 * t), 3 * t], dim=1)


@pytest.mark.parametrize("method", ["tangent", "chords"])
def test_any_function_of_torch_is_a_curve(method):
    assert arc_length(helix, method=method) == pytest.approx(5, rel=1e-6)
    assert arc_length(lambda t: helix(t).float(), method=method) == pytest.approx(5, rel=1e-5)


def test_a_speed_that_varies_is_integrated():
    parabola = Trajectory(lambda t: torch.stack([t, t**2], dim=1))
    expected = (2 * math.sqrt(5) + math.asinh(2)) / 4
    assert arc_length(parabola) == pytest.approx(expected, rel=1e-6)
    assert parabola.length is None and parabola.dim == 2


def test_a_numpy_function_has_chords_and_no_tangents():
    def numpy_curve(t):
        t = np.asarray(t)
        return np.stack([np.cos(t), np.sin(t)], axis=1)

    assert arc_length(numpy_curve, method="chords") == pytest.approx(1, rel=1e-6)
    with pytest.raises(NbkitError, match="written in torch for its tangents.*method='chords'"):
        arc_length(numpy_curve)


def test_a_line_through_numbers_lists_and_tensors():
    for x0, x1 in (([0, 0], [3, 4]), (np.zeros(2, int), torch.tensor([3.0, 4.0])), ((0, 0), (3, 4))):
        curve = line(x0, x1)
        assert curve.length == 5 and curve([0.5]).tolist() == [[1.5, 2.0]]


@pytest.mark.parametrize("t", [[-0.1], [1.1], [math.nan], 0.5, [[0.5]], ["a"], [math.inf]])
def test_t_is_a_vector_within_0_and_1(t):
    with pytest.raises(NbkitError, match="t must be"):
        line([0, 0], [1, 1])(t)
    with pytest.raises(NbkitError, match="t must be"):
        line([0, 0], [1, 1]).derivative(t)


@pytest.mark.parametrize("make", [line, lambda x0, x1: arc(x0, x1, n_planes=1)])
@pytest.mark.parametrize(
    ("x0", "x1", "rule"),
    [
        ([0, 0], [0, 0, 0], "one dimension, got 2 and 3"),
        ([[0, 0]], [1, 1], r"x0 must be a vector"),
        ([0, 0], 1.0, r"x1 must be a vector"),
        ([], [], "x0 must be a vector"),
        ([0, math.nan], [1, 1], "x0 must be finite"),
        ([0, 0], [1, math.inf], "x1 must be finite"),
        ("ab", [1, 1], "x0 must be an array of numbers"),
    ],
)
def test_ends_are_finite_vectors_of_one_dimension(make, x0, x1, rule):
    with pytest.raises(NbkitError, match=rule):
        make(x0, x1)


@pytest.mark.parametrize("n_planes", [-1, 3, 1.0, True, None])
def test_an_arc_has_no_more_planes_than_fit(n_planes):
    with pytest.raises(NbkitError, match="n_planes must be an integer between 0 and 2"):
        arc(*ends(5), n_planes=n_planes)


@pytest.mark.parametrize(("dim", "radius"), [(1, 1.0), (2.0, 1.0), (3, 0.0), (3, -1.0), (3, math.nan)])
def test_a_circle_needs_two_dimensions_and_a_radius(dim, radius):
    with pytest.raises(NbkitError, match="circle: (dim|radius) must be"):
        circle(dim, radius=radius)


@pytest.mark.parametrize(
    ("curve", "rule"),
    [
        (lambda t: t, r"must give points \(2, dim\)"),
        (lambda t: torch.zeros(3, 2), r"must give points \(2, dim\)"),
        (lambda t: torch.full((len(t), 2), math.nan), "points must be finite"),
        (lambda t: "points", "points must be an array of numbers"),
        ([0, 1], "curve must be a function"),
        (None, "curve must be a function"),
    ],
)
def test_a_curve_gives_finite_points(curve, rule):
    with pytest.raises(NbkitError, match=rule):
        arc_length(curve)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: line([1j], [2j]), "line: x0 must be real numbers"),
        (lambda: Trajectory(lambda t: t[:, None] * 1j), "points must be real numbers"),
        (lambda: Trajectory("line"), "Trajectory: place must be a function"),
        (lambda: Trajectory(lambda t: t[:, None], 3), "Trajectory: velocity must be a function"),
        (lambda: Trajectory(lambda t: t[:, None][:, :0]), "must give points"),
        (lambda: line([0.0, 1e200], [1e200, 0.0]), "must be below 1e\\+150"),
    ],
)
def test_what_is_no_curve_of_real_numbers_of_a_usable_size_is_refused(make, message):
    with pytest.raises(NbkitError, match=message):
        make()


def test_a_line_keeps_its_ends_when_what_it_was_made_from_changes():
    x0 = torch.zeros(2, dtype=torch.float64)
    straight = line(x0, [1.0, 0.0])
    x0 += 5
    assert straight([0.0]).tolist() == [[0.0, 0.0]]


def test_a_curve_of_tensors_with_gradients_is_measured_without_them():
    scale = torch.ones(3, requires_grad=True)
    assert not Trajectory(lambda t: t[:, None] * scale)([0.0, 1.0]).requires_grad
