"""The training loop: every network learns as if it were alone, a resumed training is the same, bad input is one error."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from nbkit.errors import NbkitError
from nbkit.nets import FeedForward
from nbkit.training import accuracy, train
from nbkit.training.guards import chance_limit, gradient_norms
from nbkit.training.schedules import steps
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
        ({"steps": 1, "momentum": 1}, r"train: momentum must be in \[0, 1\), got 1"),
        ({"steps": 1, "weight_decay": -5e-324}, r"train: weight_decay must be in \[0, inf\), got -4.94066e-324"),
        ({"steps": 1, "clip_norm": 0}, "train: clip_norm"),
        ({"steps": 1, "patience": 0}, "train: patience"),
        ({"steps": 1, "probes": [len]}, "train: probes must be functions of the module by name"),
        ({"steps": 1, "probes": {"a": 3}}, "train: probes must be functions of the module by name"),
        ({"steps": 1, "augment": [noisy, 3]}, "train: augment must be a function .* or a list of such"),
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


def bare_sgd(net, data, n_steps, rate, *, momentum, decay):
    """Full batches by torch's own optimiser, the rate of each step from a function."""
    images, labels = torch.tensor(data[0], dtype=torch.float32), torch.tensor(data[1])
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0, momentum=momentum, weight_decay=decay)
    for step in range(n_steps):
        optimizer.param_groups[0]["lr"] = rate(step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()


def test_momentum_decay_and_schedule_are_those_of_torch(data):
    nets = [nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    bare_sgd(nets[0], data, 12, lambda step: 0.2 * 0.5 ** (step // 4), momentum=0.7, decay=0.01)
    schedule, options = steps((4, 8), factor=0.5), {"optimizer": "sgd", "momentum": 0.7, "weight_decay": 0.01}
    finished(nets[1], data, steps=12, batch_size=100, learning_rate=0.2, schedule=schedule, **options)
    for wanted, found in zip(*map(weights_of, nets), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def test_a_function_of_the_share_done_is_a_schedule(data):
    net, seen = FeedForward(WIDTHS), []
    finished(net, data, steps=4, schedule=lambda share: seen.append(share) or 0.0, weight_decay=0.1)
    assert seen == [0, 0.25, 0.5, 0.75] and all(map(torch.equal, weights_of(net), weights_of(FeedForward(WIDTHS))))


def test_a_schedule_below_0_is_refused(data):
    with pytest.raises(NbkitError, match=r"train: the schedule's factor must be in \[0, inf\), got -1"):
        finished(FeedForward(WIDTHS), data, schedule=lambda share: -1.0)


SGD = {"optimizer": "sgd", "momentum": 0, "learning_rate": 0.01, "every": 1, "batch_size": 50}


def moved_by_sgd(module, data, **options):
    """Records, and (before - after) / rate of each parameter in the one step between them: its gradient."""
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    records = list(train(module, data, steps=1, **SGD | options))
    return records, {name: (before[name] - value.detach()) / 0.01 for name, value in module.named_parameters()}


def test_gradient_norms_are_those_of_each_network_and_parameter(data):
    (first, last), gradients = moved_by_sgd(FeedForward(WIDTHS, n_nets=3), data)
    assert list(last.gradient_norms) == list(gradients) and first.gradient_norm.isnan().all()
    for name, gradient in gradients.items():
        torch.testing.assert_close(
            last.gradient_norms[name], gradient.flatten(1).norm(dim=1).double(), rtol=1e-3, atol=1e-5
        )
    whole = torch.cat([gradient.flatten(1) for gradient in gradients.values()], dim=1).norm(dim=1)
    torch.testing.assert_close(last.gradient_norm, whole.double(), rtol=1e-3, atol=1e-5)


def test_the_gradient_of_one_module_has_one_norm(data):
    (_, last), gradients = moved_by_sgd(nn.Linear(4, 3), data)
    whole = torch.cat([gradient.flatten() for gradient in gradients.values()]).norm().double()
    torch.testing.assert_close(last.gradient_norm, whole[None], rtol=1e-3, atol=1e-5)


def test_norms_of_gradients_whose_squares_float32_has_not_are_not_0():
    parameter, unused = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(2))
    parameter.grad = torch.full((4,), 1e-30)
    assert gradient_norms([parameter, unused], 1).flatten().tolist() == [pytest.approx(2e-30, rel=1e-6), 0]


def test_each_networks_gradient_is_clipped_by_itself_and_the_record_has_its_norm_before(data):
    plain, _ = moved_by_sgd(FeedForward(WIDTHS, n_nets=3), data)
    norms = plain[1].gradient_norm
    limit = float(norms.median())
    (_, last), gradients = moved_by_sgd(FeedForward(WIDTHS, n_nets=3), data, clip_norm=limit)
    moved = torch.cat([gradient.flatten(1) for gradient in gradients.values()], dim=1).norm(dim=1).double()
    torch.testing.assert_close(moved, norms.clamp(max=limit), rtol=1e-3, atol=1e-5)
    assert torch.equal(last.gradient_norm, norms)


def test_probes_see_the_module_as_it_is_used_at_every_record(data):
    net = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
    probes = {
        "weights": lambda module: module[0].weight.clone(),
        "mode": lambda module: (module.training, torch.is_grad_enabled()),
    }
    for record in train(net, data, steps=4, every=2, probes=probes):
        assert torch.equal(record.probes["weights"], net[0].weight) and record.probes["mode"] == (False, True)
        assert net.training


def test_augmentations_are_applied_in_turn(data):
    seen = []
    changes = [
        lambda images, generator: 0 * images,
        lambda images, generator: images + 1,
        lambda x, g: seen.append(x) or x,
    ]
    finished(FeedForward(WIDTHS), data, steps=1, augment=changes)
    assert torch.equal(seen[0], torch.ones(16, 4))


def test_dropout_draws_from_seed_and_step_and_leaves_the_numbers_of_torch_alone(data):
    trained = []
    for other in (1, 2):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))
        torch.manual_seed(other)
        before = torch.get_rng_state()
        finished(net, data)
        assert torch.equal(torch.get_rng_state(), before)
        trained.append(weights_of(net))
    assert all(map(torch.equal, *trained))


def test_a_training_that_diverges_stops_before_the_step_and_says_so(data):
    nets = [FeedForward((4, 8, 8, 3)) for _ in range(2)]
    *_, last = train(nets[0], data, steps=30, learning_rate=1e15, optimizer="sgd", every=1)
    assert last.is_last and last.step < 30 and last.diverged == (last.step,)
    told = f"diverged at step {last.step} (epoch {last.step}): the loss or its gradient is not finite. Lower learning_rate."
    assert last.verdict == told
    assert all(value.isfinite().all() for value in weights_of(nets[0]))
    # the parameters are those of so many steps: the loss that was not finite has moved none
    assert (
        finished(nets[1], data, steps=last.step, batch_size=64, learning_rate=1e15, optimizer="sgd").step == last.step
    )
    assert all(map(torch.equal, *map(weights_of, nets)))


def test_a_gradient_that_is_not_finite_is_not_clipped_but_told(data):
    net = nn.Linear(4, 3)
    net.weight.register_hook(lambda gradient: gradient * math.inf)
    before = weights_of(net)
    _, last = train(net, data, steps=5, clip_norm=1.0)
    assert last.step == 0 and last.verdict.startswith("diverged at step 0 ")
    assert all(map(torch.equal, before, weights_of(net)))


def test_one_network_that_diverges_stops_none_of_the_others_and_is_named(data):
    nets = FeedForward(WIDTHS, n_nets=2)
    with torch.no_grad():
        nets.weights[0][0] = math.nan
    last = finished(nets, data, epochs=20, steps=None, clip_norm=5.0)
    assert last.diverged == (0, None) and last.verdict is None and last.test_accuracy[1] > 0.95


def test_what_never_leaves_chance_is_given_up_when_patience_runs_out(data):
    images, labels, test_images, test_labels = data
    records = list(
        train(
            FeedForward(WIDTHS),
            (0 * images, labels, 0 * test_images, test_labels),
            steps=60,
            batch_size=20,
            patience=3,
            every=4,
            n_test=10,
        )
    )
    assert [record.step for record in records] == [0, 4, 8, 12, 16]
    share = records[-1].test_accuracy.item()
    assert share in np.bincount(test_labels) / 50  # it guesses one class, and all test samples were looked at
    assert records[-1].verdict == f"did not train: {100 * share:.3g} % after 3.2 epochs" and records[-1].is_last


def test_what_leaves_chance_is_not_given_up(data):
    last = finished(FeedForward(WIDTHS), data, epochs=20, steps=None, patience=6)
    assert last.epoch == 20 and last.verdict is None


def test_a_training_that_ends_at_chance_says_so_without_patience(data):
    images, *others = data
    assert finished(FeedForward(WIDTHS), (0 * images, *others)).verdict.startswith("did not train: ")


def test_chance_is_the_commonest_class_and_four_standard_deviations_of_guessing_it():
    assert chance_limit(torch.arange(400) % 2) == pytest.approx(0.5 + 4 * 0.5 / 20)
    assert chance_limit(torch.tensor([0] * 90 + [2] * 10)) == pytest.approx(1, abs=1e-6)
    assert chance_limit(torch.zeros(50, dtype=torch.int64)) < 1


def test_a_test_class_that_nothing_is_trained_on_is_refused(data):
    images, labels, *test = data
    with pytest.raises(NbkitError, match=r"train: every class of the test set must be .* got test labels \[1\]"):
        next(train(FeedForward(WIDTHS), (images[labels != 1], labels[labels != 1], *test), steps=1))


def test_classes_may_be_missing_from_the_test_set_or_from_both(data):
    images, labels, test_images, test_labels = data
    for keep in (labels >= 0, labels != 1):
        few = (images[keep], labels[keep], test_images[test_labels != 1], test_labels[test_labels != 1])
        assert finished(FeedForward(WIDTHS), few, epochs=20, steps=None).test_accuracy > 0.95


def test_a_batch_of_one_trains(data):
    assert finished(FeedForward(WIDTHS), data, batch_size=1, steps=None, epochs=4).test_accuracy > 0.95


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_empty_set_is_refused(data, part):
    cut = [each[:0] if (place < 2) == (part == "train") else each for place, each in enumerate(data)]
    with pytest.raises(NbkitError, match=f"train: {part} images .* must have one n of at least 1"):
        next(train(FeedForward(WIDTHS), tuple(cut), steps=1))


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
