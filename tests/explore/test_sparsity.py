"""The explorers of notebook 10 about what is minimised: knots, balance, widths, thresholds, and trainings they share."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.explore import BalanceExplorer, SplineExplorer, ThresholdExplorer, WidthsExplorer
from nbkit.explore.balance import typed_vector
from nbkit.explore.course import Course, grid_samples, nets_born_small
from nbkit.explore.spline import typed_values
from nbkit.explore.threshold import errors_after_cuts
from nbkit.explore.widths import nets_of_many_widths
from nbkit.figures import METHODS
from nbkit.nets import SkipLayer, SkipNet, rbv2_penalty, weight_decay_penalty
from nbkit.training import descend_many

pytestmark = pytest.mark.usefixtures("one_core")


def frames(kind, **settings):
    defaults = {control.name: control.value for group in kind.groups.values() for control in group}
    return [frame for frame in kind.stream(None, **defaults | settings) if frame is not None]


def last(kind, **settings):
    return frames(kind, **settings)[-1]


# Trainings that streams share


def course(seed=0, *, y=None, n_steps=200):
    nets = nets_born_small((1, 1), 6, 0.5, seed)
    x, values = grid_samples((-1.0, 0.0, 1.0), 1, seed)
    looked = lambda: [nets[run].layers[0].W.detach().clone() for run in range(3)]  # noqa: E731
    return Course(nets, x, values if y is None else y, 1e-2, n_steps, looked, every=100, turn=50)


def run_to_its_end(one):
    while not one.is_over:
        for _ in one.go_on():
            pass
    return one


def test_a_course_is_three_trainings_of_descend_many_looked_at_every_few_steps():
    one = run_to_its_end(course())
    nets = nets_born_small((1, 1), 6, 0.5, 0)
    x, y = grid_samples((-1.0, 0.0, 1.0), 1, 0)
    penalties = [("rbv2", 1e-2), ("weight_decay", 1e-2), ("none", 0.0)]
    for _ in descend_many(nets, x, y, penalties, max_steps=200, lr=1e-2, final_lr=1e-4):
        pass
    assert one.steps.tolist() == [0, 100, 200] and len(one.seen) == 3
    for run, W in enumerate(one.seen[-1]):
        torch.testing.assert_close(W, nets[run].layers[0].W.detach(), rtol=0, atol=0)


def test_streams_that_share_a_course_see_what_one_alone_would():
    shared, alone = course(1, n_steps=600), run_to_its_end(course(1, n_steps=600))
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run_to_its_end, [shared] * 3))
    assert shared.steps.tolist() == alone.steps.tolist() == list(range(0, 601, 100))
    for one, other in zip(shared.seen, alone.seen, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_course_that_diverges_ends_and_names_the_step():
    one = run_to_its_end(course(y=torch.full((3,), 1e30)))
    assert one.lost_at == 0 and "diverged at step 0" in one.status["note"] and len(one.seen) == 1


def test_networks_are_born_within_the_scale():
    nets = nets_born_small((2, 3, 1), 50, 0.3, 0)
    largest = max(parameters.abs().max() for parameters in nets.parameters())
    assert 0.29 < largest <= 0.3


# One input: knots and RTV^2


def test_under_a_penalty_the_fit_is_a_spline_of_few_knots_whose_slope_turns_less_than_the_splines():
    frame = last(SplineExplorer)
    n = frame["samples"].shape[1]
    for method in (
        "rbv2",
        "weight_decay",
    ):  # Theorem 1 asks for no more than N; weight decay is the same on the neurons
        assert frame["n_knots"][method][-1] <= n < frame["n_knots"]["none"][-1]
        assert 0.8 * frame["least"] < frame["rtv2"][method][-1] < frame["least"]
    assert frame["n_neurons"][-1] > frame["knots"].shape[1]  # several neurons share a knot
    assert frame["weights"][-1] >= frame["rtv2"]["rbv2"][-1] - 1e-9


def test_what_interpolates_turns_at_least_as_much_as_the_spline():
    frame = last(SplineExplorer, method="none")
    assert frame["loss"] < 1e-8 and frame["rtv2"]["none"][-1] > 0.999 * frame["least"]


def test_typed_values_of_one_kink_give_one_knot():
    frame = last(SplineExplorer, values="1, .5, 0, -.5, 0, .5, 1")
    assert frame["least"] == pytest.approx(3) and "set aside" in frame["note"]  # slopes -1.5 and 1.5
    assert frame["knots"].shape == (2, 1) and abs(frame["knots"][0, 0]) < 0.05
    assert frame["rtv2"]["rbv2"][-1] == pytest.approx(3, abs=0.1)


def test_the_line_drawn_is_the_functions_graph():
    frame = frames(SplineExplorer)[-1]
    inner = frame["knots"][:, np.abs(frame["knots"][0]) < 1.5]
    np.testing.assert_allclose(np.interp(inner[0], *frame["line"]), inner[1], atol=0.02)


@pytest.mark.parametrize("text", ["1, 2", "1, 2, x", "1, 2, 11", "1, 2, nan", ",".join("1" * 16)])
def test_values_that_cannot_be_used_are_explained(text):
    with pytest.raises(NbkitError, match="3 to 15 numbers"):
        typed_values(text)


def test_no_values_are_random_ones_and_separators_are_free():
    assert typed_values(" ") == () and typed_values("1; 2 -.5") == (1, 2, -0.5)


# One neuron rescaled


def test_the_least_of_2_is_30_for_the_neuron_of_the_paper_and_weight_decays_is_smaller():
    frame = last(BalanceExplorer, v="1, -2", w="3, 4")
    assert frame["least"] == pytest.approx({"rbv2": 30, "weight_decay": 10 * 5**0.5})  # B7, B8
    for name, a in frame["best"].items():
        assert last(BalanceExplorer, scale=a)["now_costs"][name] == pytest.approx(frame["least"][name])
        assert frame["costs"][name].min() >= frame["least"][name] > 0.999 * frame["costs"][name].min()


@pytest.mark.parametrize("bias", [0.0, 2.0])
def test_costs_are_the_penalties_of_the_rescaled_layer_and_the_function_stays(bias):
    frame = last(BalanceExplorer, v="1, -2", w="3, 4", bias=bias, scale=1.7)
    v, w = np.array([1.0, -2.0]), np.array([3.0, 4.0])
    layer = SkipLayer(v[:, None] / 1.7, 1.7 * w[None], [1.7 * bias], np.zeros((2, 2)), np.zeros(2))
    net = SkipNet.of([layer])
    assert frame["now_costs"]["rbv2"] == pytest.approx(rbv2_penalty(net).item())
    assert frame["now_costs"]["weight_decay"] == pytest.approx(weight_decay_penalty(net).item())
    np.testing.assert_allclose(frame["after"], frame["before"], atol=1e-12)
    x = torch.from_numpy(frame["line"][:, None] * (w / 5))
    np.testing.assert_allclose(net(x).detach().numpy().T, frame["after"], atol=1e-12)


def test_a_fixed_a_costs_at_least_the_best_one_and_touches_it_once_a_side():
    frame = last(BalanceExplorer, v="1, -2", w="3, 4", scale=0.6**0.5)
    assert (frame["fixed"] >= frame["free"] - 1e-12).all()
    touching = frame["strengths"][frame["fixed"] < frame["free"] + 1e-9]
    np.testing.assert_allclose(touching, [-1, 1])  # a^2 |w| / |v|_1


def test_with_one_output_and_no_bias_both_penalties_are_one():
    frame = last(BalanceExplorer, v="-2", w="3, 4")
    np.testing.assert_allclose(frame["costs"]["rbv2"], frame["costs"]["weight_decay"])


@pytest.mark.parametrize("text", ["", "0, 0", "1, x", "1 2 3 4 5", "101", "inf", "nan", "1e-200"])
def test_a_vector_that_cannot_be_used_is_explained(text):
    with pytest.raises(NbkitError, match="BalanceExplorer: v must be 1 to 4 numbers"):
        typed_vector("v", text)


# Many widths at once


def test_a_narrow_network_trains_beside_a_wide_one_as_it_would_alone():
    x, y = grid_samples((0.0, 1.0), 2, 0)
    together = nets_of_many_widths((2, 3, 1), (4, 16), 0.3, 0, n_runs=3)
    alone = nets_born_small((2, 3, 1), 4, 0.3, 0)
    with torch.no_grad():
        for run in range(3):
            for mine, other in zip(alone[run].layers, together[run].layers, strict=True):
                for part, given in (
                    ("W", other.W[:4]),
                    ("b", other.b[:4]),
                    ("V", other.V[:, :4]),
                    ("C", other.C),
                    ("c0", other.c0),
                ):
                    getattr(mine, part).copy_(given)
    penalties = [("rbv2", 1e-2), ("weight_decay", 1e-2), ("none", 0.0)]
    for nets, n in ((together, 2), (alone, 1)):
        for _ in descend_many(nets, x, y, penalties * n, max_steps=100, lr=1e-2):
            pass
    for run in range(3):
        for mine, other in zip(alone[run].layers, together[run].layers, strict=True):
            torch.testing.assert_close(other.W[:4], mine.W, rtol=0, atol=1e-5)
            torch.testing.assert_close(other.V[:, :4], mine.V, rtol=0, atol=1e-5)
            for beyond in (other.W[4:], other.b[4:], other.V[:, 4:]):
                assert beyond.numel() and not beyond.any()


def test_penalties_switch_neurons_off_and_those_that_stand_repeat_each_other():
    frame = last(WidthsExplorer, widest=64, steps=1000)
    assert frame["widths"].tolist() == [8, 16, 32, 64]
    assert frame["active"]["none"].tolist() == [8, 16, 32, 64]
    for method in METHODS:
        assert (frame["groups"][method] <= frame["active"][method]).all()
    for method in ("rbv2", "weight_decay"):
        assert (
            frame["active"][method][-1] < 0.7 * 64 and frame["groups"][method][-1] < 0.5 * frame["groups"]["none"][-1]
        )
        assert frame["groups"][method][-1] < frame["active"][method][-1]


# Cuts


def test_errors_after_cuts_are_those_of_a_network_cut_by_hand():
    net = SkipNet((2, 3, 1), 7, seed=4)
    x, y = torch.rand(9, 2), torch.rand(9, 1)
    thresholds = [0.0, 0.1, 0.5, 2.0]
    wanted = []
    for threshold in thresholds:
        h = x.numpy().astype(float)
        for layer in net.layers:
            V, W, b, C, c0 = (
                getattr(layer, name).detach().numpy().astype(float) for name in ("V", "W", "b", "C", "c0")
            )
            V, W, C = (np.where(np.abs(part) > threshold, part, 0) for part in (V, W, C))
            h = np.maximum(h @ W.T - b, 0) @ V.T + h @ C.T + c0
        wanted.append(np.mean((h - y.numpy()) ** 2))
    np.testing.assert_allclose(errors_after_cuts(net, x, y, thresholds), wanted, rtol=1e-5)


SMALL = {"n_neurons": 8, "steps": 1000}


def test_what_stands_falls_as_the_threshold_rises_until_nothing_does():
    whole = last(ThresholdExplorer, method="none", threshold=1e-6, **SMALL)
    assert whole["n_weights"] == (88, 88) and whole["n_dead"] == (0, 0) and whole["n_inputs"] == 2
    assert [len(nodes) for nodes in whole["alive"]] == list(whole["sizes"]) == [2, 10, 4, 12, 1]
    stand = [last(ThresholdExplorer, threshold=t, **SMALL)["n_weights"][0] for t in (1e-6, 1e-3, 0.1, 1.0)]
    assert stand == sorted(stand, reverse=True) and stand[-1] < stand[0]
    frame = last(ThresholdExplorer, **SMALL)
    for curve in frame["densities"].values():
        assert (np.diff(curve) <= 0).all()


def test_living_nodes_lie_on_a_way_from_an_input_to_an_output():
    frame = last(ThresholdExplorer, threshold=0.05, **SMALL)
    ways = []
    for (n_in, n_out), (sources, targets) in zip(zip(frame["sizes"], frame["sizes"][1:]), frame["edges"], strict=True):
        matrix = np.zeros((n_in, n_out), dtype=int)
        matrix[sources, targets] = 1
        ways.append(matrix)
    for place, alive in enumerate(frame["alive"]):
        before, after = np.eye(frame["sizes"][0], dtype=int), np.eye(frame["sizes"][-1], dtype=int)
        for matrix in ways[:place]:
            before = before @ matrix
        for matrix in ways[: place - 1 if place else None : -1] if place < len(ways) else []:
            after = matrix @ after
        on_a_way = before.any(axis=0) & after.any(axis=1)
        assert alive.tolist() == np.flatnonzero(on_a_way).tolist()


def test_a_trained_network_is_not_trained_again_while_the_threshold_moves():
    last(ThresholdExplorer, **SMALL)
    for threshold in (1e-4, 1e-2):
        (frame,) = ThresholdExplorer.stream(None, method="(2)", strength=3e-3, seed=0, threshold=threshold, **SMALL)
        assert frame["now"] == threshold


@pytest.mark.parametrize("kind", [BalanceExplorer, SplineExplorer, ThresholdExplorer, WidthsExplorer])
def test_titles_fit_two_lines_under_every_method(kind):
    explorer = kind(
        **({"widest": 64, "steps": 1000} if kind is WidthsExplorer else SMALL if kind is ThresholdExplorer else {})
    )
    try:
        for method in ("(2)", "weight decay", "none"):
            if "method" in explorer.controls:
                explorer.set(method=method)
            explorer.settle()
            assert explorer.figure.layout.title.text.count("<br>") <= 1
    finally:
        explorer.close()
