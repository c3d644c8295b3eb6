"""The training loop: every network learns as if it were alone, a resumed training is the same, bad input is one error."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from nbkit.errors import NbkitError
from nbkit.nets import FeedForward
from nbkit.training import accuracy, train
from nbkit.weights import Gaussian

WIDTHS = (4, 8, 3)


@pytest.fixture
def data():
    """Three classes, each around a corner of its own: easy to learn."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 150)
    images = np.eye(3, 4)[labels] + 0.2 * generator.standard_normal((150, 4))
    return images[:100], labels[:100], images[100:], labels[100:]


def finished(module, data, **options):
    *_, last = train(module, data, **{"steps": 30, "batch_size": 16, "learning_rate": 0.05} | options)
    return last


def weights_of(module):
    return [value.clone() for value in module.state_dict().values()]


def test_every_network_learns(data):
    last = finished(FeedForward(WIDTHS, n_nets=3), data, epochs=20, steps=None)
    assert last.is_last and last.loss.shape == last.test_accuracy.shape == (3,)
    assert (last.test_accuracy > 0.95).all() and (last.loss < 0.2).all()


def test_a_record_before_the_first_step_then_every_few_steps_and_the_last(data):
    records = [*train(FeedForward(WIDTHS), data, steps=7, every=3, batch_size=50)]
    assert [record.step for record in records] == [0, 3, 6, 7]
    assert [record.epoch for record in records] == [0, 1.5, 3, 3.5]
    assert [record.is_last for record in records] == [False, False, False, True]
    assert math.isnan(records[0].loss) and all(record.loss > 0 for record in records[1:])


def test_the_loss_is_the_mean_cross_entropy_since_the_last_record(data):
    # one batch of everything and a rate too small to matter: each step's loss is that of the whole training set
    nets = FeedForward(WIDTHS, n_nets=2)
    images, labels = torch.tensor(data[0], dtype=torch.float32), torch.tensor(data[1])
    wanted = [-nets.network(i)(images).log_softmax(dim=1)[range(100), labels].mean().item() for i in range(2)]
    last = finished(nets, data, steps=3, batch_size=100, learning_rate=1e-12)
    assert last.loss.tolist() == pytest.approx(wanted, rel=1e-5)


def test_an_epoch_shows_every_sample_once(data):
    seen = []

    def watch(images, generator):
        seen.append(images)
        return images

    finished(FeedForward(WIDTHS), data, epochs=2, steps=None, batch_size=25, augment=watch)
    assert len(seen) == 8
    for epoch in (seen[:4], seen[4:]):
        assert sorted(torch.cat(epoch).tolist()) == sorted(torch.tensor(data[0], dtype=torch.float32).tolist())
    assert not torch.equal(torch.cat(seen[:4]), torch.cat(seen[4:]))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_network_in_a_batch_learns_what_it_would_learn_alone(data, optimizer):
    nets = FeedForward(WIDTHS, n_nets=3)
    alone = nets.network(1)
    losses = [finished(module, data, optimizer=optimizer).loss for module in (nets, alone)]
    assert losses[1].shape == (1,)
    torch.testing.assert_close(losses[0][1:2], losses[1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(nets.network(1)[2].weight, alone[2].weight, rtol=1e-3, atol=1e-3)


def test_a_network_that_diverges_harms_no_other(data):
    nets, sound = FeedForward(WIDTHS, n_nets=2), FeedForward(WIDTHS, n_nets=2)
    with torch.no_grad():
        nets.weights[0][0] = math.nan
    broken, whole = finished(nets, data), finished(sound, data)
    assert math.isnan(broken.loss[0]) and float(broken.loss[1]) == pytest.approx(float(whole.loss[1]), rel=1e-5)


def test_the_same_seed_trains_the_same_and_another_does_not(data):
    trained = [FeedForward(WIDTHS) for _ in range(3)]
    for module, seed in zip(trained, (1, 1, 2), strict=True):
        finished(module, data, seed=seed)
    first, again, other = map(weights_of, trained)
    assert all(map(torch.equal, first, again)) and not torch.equal(first[0], other[0])


def noisy(images, generator):
    return images + 0.1 * torch.from_numpy(generator.standard_normal(images.shape).astype(np.float32))


def test_a_cosine_starts_at_the_full_rate_and_falls_to_0(data):
    # Adam's first step moves every weight by its rate, whatever the gradient
    moved = []
    for schedule in ("constant", "cosine"):
        nets = FeedForward(WIDTHS, Gaussian(1.0))
        steps = [weights_of(nets)[0] for _ in train(nets, data, steps=20, every=1, batch_size=16, schedule=schedule)]
        moved.append([float((b - a).abs().max()) for a, b in zip(steps, steps[1:], strict=False)])
    assert moved[0][0] == pytest.approx(1e-3, rel=1e-3) and moved[1][0] == pytest.approx(1e-3, rel=1e-3)
    assert moved[0][-1] > 1e-4 > 2e-5 > moved[1][-1]


def test_each_parameter_may_have_its_own_rate(data):
    nets = FeedForward(WIDTHS)
    before = weights_of(nets)
    finished(nets, data, steps=1, learning_rate=lambda name, parameter: 0.1 if name == "weights.1" else 0.001)
    moved = [float((after - start).abs().max()) for after, start in zip(weights_of(nets), before, strict=True)]
    assert moved == pytest.approx([0.001, 0.1, 0.001, 0.001], rel=0.01)


def test_records_look_at_the_front_of_the_test_set_and_the_last_at_all(data):
    images, labels, test_images, test_labels = data
    wrong = np.concatenate([test_labels[:10], (test_labels[10:] + 1) % 3])
    *_, before, last = train(
        FeedForward(WIDTHS),
        (images, labels, test_images, wrong),
        epochs=20,
        batch_size=16,
        learning_rate=0.05,
        n_test=10,
    )
    assert before.test_accuracy > 0.95 and last.test_accuracy < 0.3


def test_gradients_stay_on_for_whoever_watches(data):
    for _ in train(FeedForward(WIDTHS), data, steps=2, every=1):
        assert torch.is_grad_enabled()


def test_training_works_where_gradients_are_off(data):
    nets = FeedForward(WIDTHS)
    with torch.no_grad():
        assert finished(nets, data, epochs=20, steps=None).test_accuracy > 0.95


def test_an_ordinary_convolutional_module_with_dropout_trains(data):
    images, labels, test_images, test_labels = data
    net = nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 16, 2), nn.Flatten(), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3)
    )
    last = finished(net, (images, labels, test_images, test_labels), epochs=30, steps=None)
    assert last.test_accuracy.shape == (1,) and last.test_accuracy > 0.9


def test_accuracy_is_the_share_of_right_answers():
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Dropout(0.9))
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(2))
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]).repeat(400, 1)
    assert accuracy(net, images, torch.tensor([0, 1, 1]).repeat(400)).tolist() == [pytest.approx(2 / 3)]
    assert net.training


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "train: one of epochs and steps must be given, got None and None"),
        ({"epochs": 1, "steps": 1}, "train: one of epochs and steps must be given"),
        ({"steps": -1}, "train: steps must be an integer of at least 0"),
        ({"epochs": 0}, "train: epochs"),
        ({"steps": 1, "batch_size": 101}, "train: batch_size must be an integer between 1 and 100, got 101"),
        ({"steps": 1, "learning_rate": 0}, "train: learning_rate"),
        ({"steps": 1, "learning_rate": math.nan}, "train: learning_rate"),
        ({"steps": 1, "schedule": "steps"}, "train: schedule must be one of"),
        ({"steps": 1, "optimizer": "lion"}, "train: optimizer must be one of"),
        ({"steps": 1, "every": 0}, "train: every"),
        ({"steps": 1, "n_test": 51}, "train: n_test must be an integer between 1 and 50"),
        ({"steps": 1, "checkpoint_every": 0}, "train: checkpoint_every"),
        ({"steps": 1, "seed": -1}, "train: seed"),
    ],
)
def test_options_outside_their_ranges_are_refused(data, options, message):
    with pytest.raises(NbkitError, match=message):
        next(train(FeedForward(WIDTHS), data, **options))


def test_nan_in_the_images_is_refused(data):
    data[0][3, 1] = math.nan
    with pytest.raises(NbkitError, match="train: train images must be finite"):
        next(train(FeedForward(WIDTHS), data, steps=1))


def test_labels_beyond_the_outputs_are_refused(data):
    with pytest.raises(NbkitError, match="train: labels must be below the module's 2 outputs, got 2"):
        next(train(FeedForward((4, 8, 2)), data, steps=1))


def test_a_module_for_another_input_is_refused(data):
    with pytest.raises(NbkitError, match=r"FeedForward: inputs must be \(batch, 5\)"):
        next(train(FeedForward((5, 3)), data, steps=1))
    with pytest.raises(NbkitError, match=r"train: module must take images of the shape \(1, 4\), got RuntimeError"):
        next(train(nn.Linear(5, 3), data, steps=1))


def test_a_module_that_is_no_classifier_is_refused(data):
    with pytest.raises(NbkitError, match=r"train: module must give \(batch, n_classes\) .*got the shape \(12,\)"):
        next(train(nn.Sequential(nn.Linear(4, 12), nn.Flatten(0)), data, steps=1))


@pytest.mark.parametrize("module", [nn.ReLU(), "net"])
def test_what_has_no_parameters_is_refused(data, module):
    with pytest.raises(NbkitError, match="train: module must be a torch.nn.Module with parameters"):
        next(train(module, data, steps=1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
def test_cuda_trains_as_the_cpu_does_and_goes_on_from_its_checkpoint(data, tmp_path):
    nets = {device: FeedForward(WIDTHS, n_nets=3).to(device) for device in ("cpu", "cuda")}
    found = {device: finished(module, data) for device, module in nets.items()}
    torch.testing.assert_close(found["cuda"].loss, found["cpu"].loss, rtol=1e-2, atol=1e-3)
    options = {"steps": 10, "checkpoint": tmp_path / "run.safetensors", "checkpoint_every": 5}
    *_, last = train(FeedForward(WIDTHS).cuda(), data, **options)
    [again] = train(FeedForward(WIDTHS, seed=1).cuda(), data, **options)
    assert torch.equal(again.test_accuracy, last.test_accuracy)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"augment": "shift"}, "augment must be a function"),
        ({"augment": lambda images, generator: (images, images)}, "augment must give a tensor of the shape"),
        ({"augment": lambda images, generator: images[:1]}, "augment must give a tensor of the shape"),
        ({"checkpoint": 3}, "checkpoint must be the path"),
    ],
)
def test_what_is_no_augmentation_and_no_path_is_refused(data, options, message):
    with pytest.raises(NbkitError, match=f"train: {message}"):
        list(train(FeedForward((data[0].shape[1], 10)), data, steps=1, batch_size=4, **options))


def test_a_module_with_nothing_to_train_or_several_outputs_is_refused(data):
    n_pixels = data[0].shape[1]
    with pytest.raises(NbkitError, match="train: module must have a parameter to train"):
        next(train(FeedForward((n_pixels, 10)).requires_grad_(False), data, steps=1))
    with pytest.raises(NbkitError, match="train: module must give one tensor of class scores, got tuple"):
        next(train(nn.LSTM(n_pixels, 10), data, steps=1))


@pytest.mark.parametrize(
    "images, labels",
    [(None, None), (torch.zeros(3, 4), torch.zeros(2)), (torch.zeros(0, 4), torch.zeros(0)), (np.zeros((1, 4)), [1])],
)
def test_accuracy_needs_one_label_for_each_image(images, labels):
    with pytest.raises(NbkitError, match="accuracy: images .* must be tensors of one n"):
        accuracy(nn.Linear(4, 2), images, labels)
