"""The explorers of notebook 09: parameters and gaps as the paper has them, four descents, a race, sparse networks."""

import html
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.explore import CompressExplorer, DescentExplorer, LosslessExplorer, RaceExplorer, SparsityExplorer
from nbkit.explore.compress import typed_widths
from nbkit.explore.descents import Lane, samples, typed_task
from nbkit.explore.stacked import thinned
from nbkit.nets import RadialNet
from nbkit.runs.radial_races import Race
from nbkit.runs.radial_training import Settings

pytestmark = pytest.mark.usefixtures("one_core")


def last(kind, **settings):
    defaults = {control.name: control.value for group in kind.groups.values() for control in group}
    *_, frame = kind.stream(None, **defaults | settings)
    return frame


def words(explorer):
    return explorer.figure.layout.title.text.replace("<br>", " ")


# What the network is after each layer


@pytest.mark.parametrize(
    ("widths", "n_parameters", "reduced"),
    [  # SCIENCE 4.4: Example 6, Fig. 4, experiments 1 and 3, and a width vector that narrows
        ("1, 8, 16, 8, 1", (305, 34), (1, 2, 3, 4, 1)),
        ("1, 4, 4, 1", (33, 17), (1, 2, 3, 1)),
        ("1, 6, 7, 1", (69, 17), (1, 2, 3, 1)),
        ("2, 16, 64, 128, 16, 2", (11554, 100), (2, 3, 4, 5, 6, 2)),
        ("3, 3, 10, 2, 9, 2", (121, 55), (3, 3, 4, 2, 3, 2)),
    ],
)
def test_widths_shrink_layer_by_layer_and_outputs_stay(widths, n_parameters, reduced):
    given = typed_widths("test", widths)
    n_steps = len(given) - 2
    for step in range(n_steps + 1):
        frame = last(CompressExplorer, widths=widths, step=step)
        assert frame["kept"] == (*reduced[: step + 1], *given[step + 1 :]) and frame["gap"] < 1e-13
        now = sum((a + 1) * b for a, b in zip(frame["kept"], frame["kept"][1:]))
        assert frame["n_parameters"] == {"before": n_parameters[0], "now": now, "after": n_parameters[1]}


def test_blocks_below_what_is_kept_empty_as_layers_are_done():
    for step in range(4):
        frame = last(CompressExplorer, step=step)
        kept = frame["kept"]
        for layer, matrix in enumerate(frame["matrices"]):
            below = matrix[kept[layer + 1] :, : kept[layer] + 1].numpy()
            assert np.abs(below).max(initial=0) < 1e-14
        n_empty = sum(matrix[kept[i + 1] :, : kept[i] + 1].numel() > 0 for i, matrix in enumerate(frame["matrices"]))
        assert n_empty == step


def test_turned_matrices_make_the_same_function():
    frame, start = last(CompressExplorer, step=3, seed=4), last(CompressExplorer, step=0, seed=4)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    outputs = [
        RadialNet.of([m[:, 1:] for m in each["matrices"]], [m[:, 0] for m in each["matrices"]], "squash")(x)
        for each in (frame, start)
    ]
    torch.testing.assert_close(*outputs)


def test_a_new_text_is_compressed_to_the_end_and_an_encoder_says_that_it_stays(opened):
    explorer = opened(CompressExplorer)
    assert explorer.settings["step"] == 3 and "305 → 34 parameters" in words(explorer)
    explorer.set(widths="2, 16, 64, 128, 16, 2")
    explorer.settle()
    assert explorer.settings["step"] == 4 and "11,554 → 100" in words(explorer)
    explorer.set(widths="16, 8, 4, 2")
    explorer.settle()
    assert words(explorer).endswith("all 182 parameters stay")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1, 0, 3", "entry 2 of widths must be"),
        ("1, x, 3", "widths must be integers"),
        ("1, 3", "widths must have a length of at least 3"),
        ("1," * 12 + "1", "widths must be at most 11"),
        ("1, 1000, 1000, 1", "at most 200,000 parameters"),
    ],
)
def test_widths_that_are_no_network_are_told_and_the_picture_stays(opened, text, told):
    explorer = opened(CompressExplorer)
    before = explorer.figure.to_json(), explorer.data
    explorer.controls["widths"].value = text
    with pytest.raises(NbkitError, match=told) as caught:
        explorer.settle()
    assert html.escape(str(caught.value)) in explorer._panel._status.value
    assert explorer.figure.to_json() == before[0] and explorer.data is before[1]


@pytest.mark.parametrize("text", ["1, 6, 7, 2", "5, 9, 5", "2, 200, 200, 2"])
def test_what_cannot_learn_bells_or_not_while_one_watches_is_refused(text):
    with pytest.raises(NbkitError, match="widths must"):
        typed_task("test", text)


# Training


def test_a_lane_is_plain_gradient_descent():
    net, (x, y) = RadialNet((1, 6, 7, 1), seed=1).double(), samples(1)
    weights = [values.detach().clone().requires_grad_() for values in net.parameters()]
    lane = Lane(net, x, y, "gradient descent", 0.05)
    lane.advance(3)
    x, y, losses = x.double(), y.double(), []
    for _ in range(4):
        hidden = x
        for weight, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            hidden = hidden @ weight.T + bias
            norm = hidden.norm(dim=1, keepdim=True)
            hidden = hidden * norm / (norm**2 + 1)
        loss = ((hidden @ weights[-2].T + weights[-1] - y) ** 2).mean()
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, weights)
        weights = [(w - 0.05 * g).detach().requires_grad_() for w, g in zip(weights, gradients, strict=True)]
    np.testing.assert_allclose(lane.losses, losses, rtol=1e-10)
    assert lane.step == 3 and np.all(np.diff(lane.seconds) >= 0)


def test_a_lane_ends_where_the_loss_is_no_longer_finite():
    lane = Lane(RadialNet((1, 6, 7, 1), "identity", seed=1), *samples(1), "gradient descent", 1e3)
    lane.advance(1000)
    assert lane.is_over and lane.step < 1000 and np.isfinite(lane.losses).all()


def test_thinned_keeps_both_ends():
    (kept,) = thinned(range(10_001))
    assert len(kept) == 300 and kept[0] == 0 and kept[-1] == 10_000
    assert thinned([1, 2], [3, 4])[1].tolist() == [3, 4]


@pytest.mark.parametrize(("precision", "least", "most"), [("float32", 1e-10, 3e-6), ("float64", 0.0, 1e-14)])
def test_the_compressed_twin_follows_a_network_that_learns(precision, least, most):
    frame = last(LosslessExplorer, precision=precision, steps=200)
    assert frame["step"] == 200 and frame["n_parameters"] == (69, 17)
    assert frame["losses"][-1] < 0.1 * frame["losses"][0]
    assert least <= frame["mean_gaps"].max() < most
    np.testing.assert_allclose(frame["gap"], np.abs(frame["full"] - frame["reduced"]))
    np.testing.assert_allclose(frame["target"], np.exp(-(frame["x"] ** 2)), rtol=1e-6)


def test_going_back_shows_what_was_there_without_training_again():
    whole, early = last(LosslessExplorer, steps=200), last(LosslessExplorer, steps=100)
    assert early["step"] == 100 and early["at"].tolist() == list(range(0, 101, 10))
    np.testing.assert_array_equal(early["losses"], whole["losses"][:11])


@pytest.mark.parametrize(("optimizer", "rate"), [("gradient descent", 0.1), ("momentum", 0.03)])
def test_theorem_7_holds_under_descent_and_full_is_not_projected(optimizer, rate):
    frame = last(DescentExplorer, optimizer=optimizer, rate=rate, steps=100)
    assert max(gaps.max() for gaps in frame["weight_gaps"].values()) < 1e-12
    assert max(gaps.max() for gaps in frame["loss_gaps"].values()) < 1e-13
    losses = frame["losses"]
    assert losses["full"][0] == pytest.approx(losses["compressed"][0], rel=1e-12)
    assert abs(losses["full"][-1] - losses["compressed"][-1]) > 1e-4


def test_streams_that_share_a_training_do_not_disturb_it():
    last(DescentExplorer, steps=0, seed=3)  # now all find the same networks
    with ThreadPoolExecutor(4) as pool:
        frames = list(pool.map(lambda _: last(DescentExplorer, steps=100, seed=3), range(4)))
    assert [len(frame["at"]) for frame in frames] == [21] * 4
    assert max(gaps.max() for frame in frames for gaps in frame["weight_gaps"].values()) < 1e-12


def test_adam_breaks_the_first_half_alone():
    frame = last(DescentExplorer, optimizer="Adam", rate=0.01, steps=100)
    assert frame["weight_gaps"]["a"][-1] > 1e-2 and frame["weight_gaps"]["b"].max() < 1e-9
    assert frame["loss_gaps"]["a"][-1] > 1e-5


def test_four_descents_that_diverge_end_with_what_is_finite():
    frame = last(DescentExplorer, activation="identity", rate=1e3, steps=1000)
    assert frame["step"] < 1000 and "no longer finite" in frame["note"]
    assert all(np.isfinite(losses).all() for losses in frame["losses"].values())


# The race


def test_a_race_stops_each_network_at_the_first_loss_that_meets_the_target():
    frame = last(RaceExplorer, widths="1, 8, 16, 8, 1", target=0.03, steps=500)
    for run in frame["runs"].values():
        assert run["reached"] and run["losses"][-1] <= 0.03 < run["losses"][:-1].min()
        assert run["at"][-1] == run["n_steps"] and run["seconds"][-1] == run["total_s"]
    assert {name: run["n_parameters"] for name, run in frame["runs"].items()} == {"full": 305, "compressed": 34}
    stricter = last(RaceExplorer, widths="1, 8, 16, 8, 1", target=0.01, steps=500)
    assert all(stricter["runs"][name]["n_steps"] >= frame["runs"][name]["n_steps"] for name in frame["runs"])


def test_who_does_not_arrive_is_said(opened):
    explorer = opened(RaceExplorer, widths="1, 8, 16, 8, 1", optimizer="gradient descent", rate=0.001, steps=100)
    assert "full not in 100 steps" in words(explorer) and "compressed not in 100 steps" in words(explorer)
    assert not any(run["reached"] for run in explorer.data["runs"].values())


def test_both_networks_of_a_race_start_with_one_loss():
    frame = next(RaceExplorer.stream(None, **RaceExplorer.presets["experiment 3"], activation="sigmoid", target=0.01, steps=100))  # fmt: skip
    full, small = (run["losses"][0] for run in frame["runs"].values())
    assert full == pytest.approx(small, rel=1e-5)


# Sparse networks


def test_qr_fills_all_but_the_triangles_and_pays_above_a_density():
    frame = last(SparsityExplorer, density=0.1)
    # reduced (16, 17, 18, 4): column c of W_i has c + 1 entries of the triangle, the last matrix is full
    wanted = sum(range(2, 18)) + sum(range(2, 19)) + 4 * 18
    assert frame["now"] == (round(102.4) + round(409.6) + round(25.6), wanted) == (538, 394)
    assert frame["n_weights"] == (5376, 650)
    assert frame["even"] == pytest.approx(394 / 5376, rel=0.02)
    assert frame["counts"][-1].tolist() == [5376, 394]


def test_wires_of_one_seed_are_nested_and_matrices_keep_to_them():
    sparse, denser = (last(SparsityExplorer, density=density)["before"] for density in (0.05, 0.5))
    for few, many in zip(sparse, denser, strict=True):
        assert ((few[:, 1:] != 0) <= (many[:, 1:] != 0)).all()


def test_where_no_layer_shrinks_only_the_zeros_are_lost(opened):
    explorer = opened(SparsityExplorer, widths="16, 16, 16, 16", density=0.1)
    assert "no layer shrinks" in words(explorer)
    assert explorer.data["now"][1] > explorer.data["now"][0]


def test_a_matrix_of_few_weights_keeps_one():
    assert last(SparsityExplorer, widths="1, 4, 4, 1", density=0.01)["now"][0] == 3


def test_samples_are_those_of_the_stored_runs():
    x, y = samples(2)
    assert x.shape == (441, 2) == (Race().side ** 2, 2) and -x.min() == x.max() == 2 == Race().half_width
    torch.testing.assert_close(y, torch.exp(-(x**2)))
    assert samples(1)[0].shape == (101, 1) == (Settings().line_points, 1)
