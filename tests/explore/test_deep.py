"""The live explorer of notebook 07: what moves is what the network is, it waits for nobody, and says what became of it."""

import threading
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch

from nbkit.data import mnist_split
from nbkit.errors import NbkitError
from nbkit.explore import TrainDeepExplorer
from nbkit.explore import deep as room
from nbkit.nets import SparseLinear, deep_net
from nbkit.training import train

SMALL = {
    "depth": 10, "method": "SAO", "degree": 4, "gain": 1.05, "epochs": 1, "rate": 0.1, "optimizer": "Adam", "seed": 3,
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("one_core")


@pytest.fixture
def untrained():
    """Trainings of this test alone."""
    room._training.cache_clear()
    yield
    room._training.cache_clear()


def frames(**settings):
    return (frame for frame in TrainDeepExplorer.stream(None, **SMALL | settings) if frame is not None)


def last(**settings):
    *_, frame = frames(**settings)
    return frame


def jacobian(net, x):
    """The product of the layers' Jacobians of a tanh network at one point, by numpy."""
    h, product = x.double().numpy(), np.eye(len(x))
    linear = [module for module in net if hasattr(module, "weight")]
    for place, module in enumerate(linear):
        weight = module.to_dense() if isinstance(module, SparseLinear) else module.weight
        matrix = weight.detach().double().numpy()
        h = matrix @ h + module.bias.detach().double().numpy()
        product = matrix @ product
        if place < len(linear) - 1:
            h = np.tanh(h)
            product = (1 - h**2)[:, None] * product
    return product


@pytest.mark.parametrize(("method", "degree"), [("SAO", 2), ("RadiX", 4), ("Dense", 4)])
def test_before_training_it_shows_the_jacobian_of_the_network_of_its_seed(method, degree):
    *_, frame = (frame for frame, _ in zip(frames(method=method, degree=degree), range(2), strict=False))
    net, digits = deep_net(10, method, degree=degree, gain=1.05, seed=3), mnist_split().padded(32).test_images[:8]
    wanted = np.stack([np.linalg.svd(jacobian(net, digit), compute_uv=False) for digit in digits])
    assert frame["steps"].tolist() == [0] and np.isnan(frame["losses"][0]) and frame["gradients"].size == 0
    np.testing.assert_allclose(frame["spectrum"], wanted, rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(frame["spectrum"], frame["born"])


def test_in_the_end_it_shows_the_network_that_the_library_trains():
    frame, net, data = last(), deep_net(10, gain=1.05, seed=3), mnist_split().padded(32)
    *_, record = train(net, data, epochs=1, batch_size=64, learning_rate=0.1 / 10, seed=3, every=5)
    assert frame["steps"].tolist() == [*range(0, 126, 5)] and frame["progress"] == (125, 125, "steps")
    assert frame["accuracies"][-1] == record.test_accuracy.item() > 0.8
    assert frame["losses"][-1] == record.loss.item()
    wanted = [float(module.weight.grad.norm()) for module in net if hasattr(module, "weight")]
    np.testing.assert_allclose(frame["gradients"], wanted, rtol=1e-5)
    values = np.linalg.svd(jacobian(net, data.test_images[0]), compute_uv=False)
    np.testing.assert_allclose(frame["spectrum"][0], values, rtol=1e-3, atol=1e-6)


def test_the_pruned_network_has_as_many_weights_as_sao():
    pruned, sao = room._born(10, "GMP-S", 4, 1.05, 0), deep_net(10, degree=4)
    counts = [[module.weight.numel() for module in net if hasattr(module, "weight")] for net in (pruned, sao)]
    assert sum(counts[0][:-1]) == pytest.approx(sum(counts[1][:-1]), abs=1) and counts[0][-1] == counts[1][-1] == 2560
    assert len(set(counts[0][2:-1])) > 1  # the largest of the whole network: layers keep what they happen to have


def test_something_is_shown_before_there_is_a_network(untrained):
    first, second, *_ = (frame for frame, _ in zip(frames(seed=4), range(2), strict=False))
    assert first["steps"].size == 0 and first["note"] == "the network is being born" and not first["costs"]
    assert second["steps"].tolist() == [0] and second["note"] == ""


def test_others_have_their_turns_while_a_step_takes_long(untrained, monkeypatch):
    done = threading.Event()
    monkeypatch.setattr(room, "_born", lambda *made: done.wait(30) and deep_net(10))
    monkeypatch.setattr(room, "_POLL_S", 0.001)
    stream = TrainDeepExplorer.stream(None, **SMALL)
    assert next(stream)["steps"].size == 0
    assert [next(stream) for _ in range(20)] == [None] * 20
    done.set()
    assert next(frame for frame in stream if frame is not None)["steps"].tolist() == [0]


def test_more_epochs_go_on_where_fewer_ended(monkeypatch):
    one = last()
    monkeypatch.setattr(room, "_born", None)
    two = last(epochs=2)
    assert two["progress"][0] == 250 and two["accuracies"][:26].tolist() == one["accuracies"].tolist()
    assert last()["progress"][0] == 125  # and back, without a step


def test_a_step_of_the_network_is_timed_beside_one_of_the_dense_network():
    costs = last()["costs"]
    assert [*costs] == ["Dense", "SAO"] and min(costs.values()) > 0
    training = room._Training(200, "SAO", 4, 1.05, 0.1, "Adam", 0)
    training.records = [room._Record(5, 2.3, 0.1, np.empty((0, 0)), np.empty(0), (2.0, 12.0))]
    assert training.frame(125)["costs"] == {"Dense, scaled": 12.0, "SAO": 2.0}


@pytest.mark.parametrize("depth", [1, 10])
def test_weights_of_the_dense_network_are_counted(depth):
    net = deep_net(depth, "Dense")
    assert room._dense_weights(depth) == sum(module.weight.numel() for module in net if hasattr(module, "weight"))


def test_a_dense_network_beyond_the_memory_is_refused(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "100 MB")
    with pytest.raises(NbkitError, match="TrainDeepExplorer: .*depth"):
        room._born(400, "GMP-S", 4, 1.0, 0)


def test_a_network_that_is_lost_is_told_with_the_step(untrained, monkeypatch, opened):
    def lost(*given, **options):
        for record in train(*given, **options):
            if record.step == 10:
                yield replace(record, verdict="diverged at step 8 (epoch 0.064): the loss is not finite.")
                return
            yield record

    monkeypatch.setattr(room, "train", lost)
    explorer = opened(TrainDeepExplorer, **SMALL | {"seed": 5})
    title = explorer.figure.layout.title.text.replace("<br>", " ")
    assert title == "SAO, 10 layers, η = 0.01: diverged at step 8. Use a smaller rate"
    assert explorer.data["progress"][0] == 10


def test_a_failure_aside_is_told_and_told_again(untrained, monkeypatch):
    def fail(*given):
        raise NbkitError("deep_net: no memory is left.")

    monkeypatch.setattr(room, "_born", fail)
    explorer = TrainDeepExplorer(**SMALL)
    try:
        for _ in range(2):
            with pytest.raises(NbkitError, match="no memory is left"):
                explorer.settle()
            assert "nbkit-error" in explorer._panel._status.value
            explorer.set(**SMALL)
    finally:
        explorer.close()


def test_the_title_says_how_far_it_is_or_that_it_did_not_train(opened):
    explorer = opened(TrainDeepExplorer, **SMALL)
    right = f"{explorer.data['accuracies'][-1]:.1%}"
    title = explorer.figure.layout.title.text.replace("<br>", " ")
    assert title.startswith(f"SAO, 10 layers, η = 0.01: {right} of test digits right after 125 steps; a step takes 1/")
    failed = explorer.data | {"accuracies": np.full(26, 0.107)}
    assert room._title(failed).startswith("SAO, 10 layers, η = 0.01: did not train, 11% after 125 steps")


def test_radix_wires_have_one_degree_and_others_are_remembered():
    with closing(TrainDeepExplorer(**SMALL | {"degree": 8})) as explorer:
        explorer.set(method="RadiX")
        assert explorer.settings["degree"] == 4
        explorer.set(method="SAO")
        assert explorer.settings["degree"] == 8


def test_a_thousand_layers_are_born_near_isometry():
    """Singular values of their Jacobian lie within two decades; of normal weights on the same wires one is left."""
    gain = TrainDeepExplorer.presets["a thousand layers"]["gain"]
    digits = mnist_split().padded(32).test_images[:1]
    ratios = {}
    for method in ("SAO", "RG-N"):
        values = room._spectra(room._born(1000, method, 4, gain, 0), digits)
        ratios[method] = values.max() / values.min()
    assert ratios["SAO"] < 1e2 and ratios["RG-N"] > 1e5
    assert torch.is_grad_enabled()
