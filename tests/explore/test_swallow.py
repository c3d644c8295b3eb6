"""The explorers that watch Theorems 3 and 4 at work: where the points go, what the network computes, how far it is off."""

import math

import numpy as np
import pytest

from nbkit.explore import DisksExplorer, SwallowExplorer

LINE, PLANE = ("exp(−x²)", "line and sine", "plateau"), ("plane and bump", "ring")


def told(explorer):
    return explorer.figure.layout.title.text.replace("<br>", " ").replace("\N{NO-BREAK SPACE}", " ")


def last_layer(explorer):
    explorer.set(layer=explorer.data["n_balls"])
    explorer.settle()
    return explorer.data


def step_relu(z):
    return np.where(np.linalg.norm(z, axis=1, keepdims=True) >= 1, z, 0.0)


def drawn_places(explorer):
    """All points of the lower panel, by x, then height."""
    points = np.concatenate([np.stack([t.x, t.y], axis=1) for t in explorer.figure.data[7:10]])
    return points[np.lexsort(points.T[::-1])]


def test_points_move_as_the_maps_of_section_4_1_move_them(opened):
    explorer = opened(SwallowExplorer, eps=0.2, construction="Theorem 3", layer=5)
    frame, starts = explorer.data, np.linspace(-2.4, 2.4, 601)[::4]
    z = starts[:, None]
    for i in range(5):
        height, c = math.sqrt(1 - frame["radii"][i] ** 2), np.r_[frame["centers"][i], np.zeros(i)]
        bent = step_relu(np.c_[z - c, np.full(len(z), height)])  # T_i, then the activation
        z = bent + np.r_[c, 0] + np.eye(i + 2)[-1] * (1 - (1 + 1 / height) * bent[:, -1:])  # S_i
    direction = np.where(z[:, 1:].max(axis=1) > 0.5, 1 + z[:, 1:].argmax(axis=1), 0)
    np.testing.assert_allclose(np.sort(z[:, 1:], axis=1)[:, :-1], 0, atol=1e-12)
    wanted = np.stack([z[:, 0], direction], axis=1)
    np.testing.assert_allclose(drawn_places(explorer), wanted[np.lexsort(wanted.round(9).T[::-1])], atol=1e-9)
    assert f"swallows {(direction == 5).sum()} of the points" in told(explorer)


def test_points_of_theorem_4_carry_their_value_in_one_direction(opened):
    explorer = opened(SwallowExplorer, function="line and sine", eps=0.3, construction="Theorem 4", layer=3)
    x, y = drawn_places(explorer).T
    frame = explorer.data
    wanted = np.sin(np.pi * frame["centers"][:3, 0]) / 2 + frame["centers"][:3, 0] / 4
    assert set(np.round(y[y != 0], 9)) == set(np.round(wanted, 9)) and (x[y != 0] == 0).all()
    assert frame["widths"] == (1, 3, 3, 3, 1)


@pytest.mark.parametrize("construction", ["Theorem 3", "Theorem 4", "compact"])
@pytest.mark.parametrize("function", LINE)
def test_the_whole_network_on_the_line_is_within_eps(opened, function, construction):
    frame = last_layer(opened(SwallowExplorer, function=function, eps=0.2, construction=construction))
    meant = np.isfinite(frame["F"])
    assert np.abs(frame["F"] - frame["f"])[meant].max() == pytest.approx(frame["error"]) and frame["error"] < 0.2
    assert meant.all() == (construction != "compact") and frame["differs"] < 1e-9
    n_balls = frame["n_balls"]
    hidden = {"Theorem 3": tuple(range(2, n_balls + 2)), "Theorem 4": (3,) * n_balls, "compact": (2,) * n_balls}
    assert frame["widths"] == (1, *hidden[construction], 1)


def test_exp_has_the_balls_that_its_slope_asks_for(opened):
    frame = opened(SwallowExplorer, eps=0.1).data
    radius = 0.1 / math.sqrt(2 / math.e)
    assert frame["n_balls"] == math.floor(math.sqrt(math.log(10)) / radius) + 1 == 14
    np.testing.assert_allclose(frame["radii"], radius)


def test_without_a_ball_the_network_is_the_affine_map(opened):
    explorer = opened(SwallowExplorer, function="line and sine", layer=0)
    np.testing.assert_allclose(explorer.data["F"], np.linspace(-2.4, 2.4, 601) / 4, atol=1e-12)
    assert explorer.data["widths"] == (1, 1) and "No ball yet" in told(explorer)


def test_a_cut_network_has_the_values_of_its_balls_and_l_elsewhere(opened):
    frame = opened(SwallowExplorer, eps=0.2, layer=3).data
    x, (a, b, c) = np.linspace(-2.4, 2.4, 601), frame["centers"][:3, 0]
    radius = frame["radii"][0]
    wanted = np.zeros(601)
    for centre in (c, b, a):  # the first ball decides
        wanted[np.abs(x - centre) < radius] = np.exp(-(centre**2))
    np.testing.assert_allclose(frame["F"], wanted, atol=1e-9)


def test_a_coarser_cover_narrows_the_layer_and_a_finer_one_brings_it_back(opened):
    explorer = opened(SwallowExplorer, eps=0.05, layer=30)
    explorer.set(eps=0.5)
    explorer.settle()
    assert explorer.settings["layer"] == explorer.data["n_balls"] < 30 and "below ε = 0.5" in told(explorer)
    explorer.set(construction="compact", eps=0.05)
    explorer.settle()
    assert explorer.settings["layer"] == 30
    with pytest.raises(Exception, match=r"layer must be in 1\.\.30"):
        explorer.set(layer=0)
        explorer.settle()


@pytest.mark.parametrize("construction", ["Theorem 3", "Theorem 4"])
@pytest.mark.parametrize("function", PLANE)
def test_the_whole_network_in_the_plane_is_within_eps(opened, function, construction):
    explorer = opened(DisksExplorer, function=function, eps=0.5, construction=construction)
    frame = last_layer(explorer)
    f, output, error = (np.asarray(trace.z) for trace in explorer.figure.data[:3])
    np.testing.assert_array_equal(np.abs(output - f), error)
    assert error.max() == pytest.approx(frame["error"]) and frame["error"] < 0.5 and frame["differs"] < 1e-9
    assert frame["widths"][-2] == (4 if construction == "Theorem 4" else 2 + frame["n_balls"])


def test_the_maps_of_the_plane_have_the_second_coordinate_upwards(opened):
    explorer = opened(DisksExplorer, function="plane and bump", layer=0)
    side = np.linspace(-1.4, 1.4, 33)
    np.testing.assert_allclose(explorer.figure.data[1].z, side / 4 + side[:, None] / 8, atol=1e-12)
    assert explorer.figure.layout.coloraxis2.cmax == pytest.approx(0.8)
