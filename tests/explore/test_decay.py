"""The live explorer of notebook 10: what moves is what the networks are, and one training serves all three methods."""

import numpy as np
import pytest
import torch

from nbkit.explore import DecayExplorer
from nbkit.explore import decay as room
from nbkit.nets import SkipNet, SkipNets
from nbkit.training import descend_many
from nbkit.weights import Uniform

SMALL = {
    "method": "(2)", "strength": 0.01, "n_neurons": 32, "bottleneck": 2, "n_inputs": 2, "seed": 3, "steps": 500,
    "rate": "0.01 → 0.0001",
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("one_core")


@pytest.fixture
def untrained():
    """Trainings of this test alone."""
    room._training.cache_clear()
    yield
    room._training.cache_clear()


def last(**settings):
    *_, frame = DecayExplorer.stream(None, **SMALL | settings)
    return frame


def assert_tells(frame, net, x):
    """Every number of a frame against dense numpy on the network's tensors."""
    first, second = ({name: getattr(layer, name).detach().double().numpy() for name in "VW"} for layer in net.layers)
    between = second["W"] @ first["V"]
    matrices = {"V1": first["V"], "W1": first["W"], "V2": second["V"], "W2": second["W"], "A2": between}
    for name, matrix in matrices.items():
        assert frame["densities"][name][-1] == pytest.approx((np.abs(matrix) > 1e-3).mean(), abs=2 / matrix.size), name
    values = np.linalg.svd(between, compute_uv=False)[: frame["bound"]]
    np.testing.assert_allclose(frame["spectra"][frame["method"]], values, rtol=1e-5, atol=1e-5 * values[0])
    assert frame["rank"] == (values > 1e-3 * values[0]).sum() * (np.abs(between).max() > 1e-3)
    for norms, layer in zip(frame["norms"], (first, second), strict=True):
        wanted = np.linalg.norm(layer["V"], axis=0) * np.linalg.norm(layer["W"], axis=1)
        np.testing.assert_allclose(norms, wanted, rtol=1e-5, atol=1e-9)
    by_row, by_column = (np.argsort(-np.linalg.norm(between, axis=axis)) for axis in (1, 0))
    levels = np.abs(between[by_row][:, by_column]) / frame["largest"] * 255
    assert frame["largest"] == pytest.approx(np.abs(between).max(), rel=1e-5)
    assert np.abs(frame["between"] - levels).max() <= 0.51 and frame["between"].max() == 255
    outputs = net(x).detach()[:, 0].numpy()
    np.testing.assert_allclose(frame["outputs"], outputs, rtol=1e-4, atol=1e-5)
    assert frame["loss"] == pytest.approx(np.mean((outputs - frame["targets"]) ** 2), rel=1e-4)


def grid(n_inputs):
    points = np.stack(np.meshgrid(*[[0, 0.5, 1]] * n_inputs, indexing="ij"), axis=-1).reshape(-1, n_inputs)
    return torch.tensor(points, dtype=torch.float32)


@pytest.mark.parametrize(("n_inputs", "bottleneck"), [(1, 1), (2, 4), (4, 16)])
def test_before_training_it_shows_the_network_of_its_seed(n_inputs, bottleneck):
    frame = last(steps=0, n_inputs=n_inputs, bottleneck=bottleneck)
    assert len(frame["targets"]) == 3**n_inputs and np.abs(frame["targets"]).max() <= 1
    assert_tells(frame, SkipNet((n_inputs, bottleneck, 1), 32, seed=3), grid(n_inputs))
    np.testing.assert_array_equal(frame["spectra"]["rbv2"], frame["born"])
    assert frame["bound"] == frame["rank"] == bottleneck


@pytest.mark.parametrize(("place", "method"), [(0, "(2)"), (1, "weight decay"), (2, "none")])
def test_after_training_it_shows_the_network_that_the_library_trains(place, method):
    frame = last(method=method)
    nets = SkipNets((2, 2, 1), 32, seeds=(3,) * 3)
    x, y = grid(2), Uniform(1.0).sample((9,), seed=3).float()
    penalties = [("rbv2", 0.01), ("weight_decay", 0.01), ("none", 0)]
    for _ in descend_many(nets, x, y, penalties, max_steps=500, lr=1e-2, final_lr=1e-4):
        pass
    assert_tells(frame, nets[place], x)


def test_what_decays_grows_sparse_and_what_does_not_stays_whole():
    frames = [last(method=method) for method in ("(2)", "weight decay", "none")]
    means = [np.mean([frame["densities"][name][-1] for name in ("V1", "W1", "V2", "W2")]) for frame in frames]
    assert max(means[:2]) < 0.9 < 0.98 < means[2]


def test_one_training_serves_all_methods(untrained, monkeypatch):
    last()
    monkeypatch.setattr(room._Training, "go_on", None)
    assert [last(method=method)["method"] for method in ("weight decay", "none")] == ["weight_decay", "none"]


def test_every_frame_is_further_and_the_last_is_the_end(untrained, monkeypatch):
    monkeypatch.setattr(room, "_APART_S", 0.0)
    frames = [frame for frame in DecayExplorer.stream(None, **SMALL) if frame is not None]
    steps = [frame["progress"][0] for frame in frames]
    assert steps[0] == 0 and steps[-1] == 500 and len(steps) > 3 and (np.diff(steps)[1:] > 0).all()
    assert [len(frame["steps"]) for frame in frames[1:]] == [*range(1, len(frames))]


def test_what_is_shown_at_the_end_does_not_depend_on_how_often_it_was_shown(untrained, monkeypatch):
    often = last(n_neurons=648)
    room._training.cache_clear()
    monkeypatch.setattr(room, "_APART_S", 1e9)
    seldom = last(n_neurons=648)
    np.testing.assert_array_equal(often["steps"], seldom["steps"])
    np.testing.assert_array_equal(often["densities"]["A2"], seldom["densities"]["A2"])
    np.testing.assert_array_equal(often["outputs"], seldom["outputs"])


def test_a_stream_that_was_left_goes_on_where_it_was(untrained, monkeypatch):
    monkeypatch.setattr(room, "_APART_S", 0.0)
    whole = last()
    room._training.cache_clear()
    left = DecayExplorer.stream(None, **SMALL)
    while (frame := next(left)) is None or frame["progress"][0] < 100:
        pass
    left.close()
    np.testing.assert_array_equal(last()["outputs"], whole["outputs"])


def test_of_a_large_matrix_every_other_row_is_counted():
    frame = last(n_neurons=648, bottleneck=1, strength=0.1, steps=0)
    first, second = SkipNet((2, 1, 1), 648, seed=3).layers
    between = (second.W @ first.V).abs()[::2]
    assert frame["densities"]["A2"][-1] == pytest.approx((between > 1e-3).double().mean().item())


def test_of_a_large_matrix_every_other_sorted_neuron_is_shown(opened):
    explorer = opened(DecayExplorer, **SMALL | {"n_neurons": 648, "steps": 0})
    first, second = SkipNet((2, 2, 1), 648, seed=3).layers
    between = (second.W @ first.V).abs().detach().double().numpy()
    by_row, by_column = (np.argsort(-np.linalg.norm(between, axis=axis)) for axis in (1, 0))
    wanted = between[by_row[::2]][:, by_column[::2]]
    shown = explorer.canvases["between"]
    assert np.abs(shown.matrix - wanted / wanted.max() * 255).max() <= 0.51
    assert shown.row_label == "every 2nd neuron of layer 2"


def test_networks_that_are_lost_are_told_with_the_step(opened):
    explorer = opened(DecayExplorer, **SMALL | {"rate": "10⁶"})
    assert explorer.error is None and np.isnan(explorer.data["densities"]["V1"][-1])
    assert "diverged at step 1" in explorer.figure.layout.title.text.replace("<br>", " ")
    assert "use a smaller rate" in explorer._panel._status.value
    assert explorer.canvases["between"].title == "no |A⁽²⁾| is left"


def test_of_a_network_that_collapsed_no_rank_is_left():
    training = room._Training(0.1, 32, 2, 2, 3, 500, "0.01")
    with torch.no_grad():
        for parameters in training.nets.parameters():
            parameters.mul_(1e-3)
    frame = training.frame("rbv2")
    assert (frame["spectra"]["rbv2"] > 0.1 * frame["spectra"]["rbv2"][0]).all() and frame["largest"] < 1e-3
    assert frame["rank"] == 0


def test_the_title_says_how_many_neurons_are_left_and_whether_it_interpolates(opened):
    explorer = opened(DecayExplorer, **SMALL)
    frame, title = explorer.data, explorer.figure.layout.title.text.replace("<br>", " ")
    alive = [int((norms > 1e-3).sum()) for norms in frame["norms"]]
    assert f"with {alive[0]} + {alive[1]} of 32 neurons on" in title and title.startswith("(2), λ = 0.01: ")
    assert f"rank {frame['rank']} of 2" in title and "does not fit" in title and frame["loss"] > 1e-3
    explorer.set(method="none")
    explorer.settle()
    assert explorer.figure.layout.title.text.startswith("none: ")


def test_another_method_moves_the_picture_and_the_matrix(opened):
    explorer = opened(DecayExplorer, **SMALL)
    names = [trace.name for trace in explorer.figure.data]
    drawn = explorer.figure.data[names.index("layer 1")]
    for method, key in (("none", "none"), ("(2)", "rbv2")):  # back again: what stands there already is not written
        explorer.set(method=method)
        explorer.settle()
        np.testing.assert_allclose(drawn.y, np.maximum(1e-4, np.sort(explorer.data["norms"][0])[::-1]))
        assert drawn.line.color == room.METHODS[key].colour
        np.testing.assert_array_equal(explorer.canvases["between"].matrix, explorer.data["between"])


def test_strengths_outside_their_range_are_refused(opened):
    explorer = opened(DecayExplorer, **SMALL | {"steps": 0})
    explorer.set(strength=-1.0)
    with pytest.raises(ValueError, match="strength must be one of 1e-05, .*, got -1.0"):
        explorer.settle()
