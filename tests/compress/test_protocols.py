"""train_pruned: -S prunes at birth and trains, -T trains, prunes and trains as long again."""

import re

import pytest
import torch
from torch import nn

from nbkit.compress import PROTOCOLS, prune, train_pruned
from nbkit.data import Split
from nbkit.errors import NbkitError
from nbkit.nets import SparseLinear, deep_net
from nbkit.training import train

OPTIONS = {"epochs": 2, "batch_size": 8, "learning_rate": 0.05, "optimizer": "sgd", "every": 4, "seed": 3}


@pytest.fixture
def data() -> Split:
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(48, 32, generator=generator), torch.arange(48) % 4
    images += 2 * torch.eye(4, 32)[labels]
    return Split(images[:32], labels[:32], images[32:], labels[32:])


def small_net() -> nn.Sequential:
    return deep_net(2, "Dense", width=8, n_inputs=32, n_classes=4)


def weights(net: nn.Module) -> list[torch.Tensor]:
    return [value.clone() for name, value in net.state_dict().items() if not name.endswith("wires")]


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("method", ["GMP", "RG"])
def test_s_trains_what_is_pruned_at_birth_and_t_finetunes_what_is_pruned_after_training(data, method):
    given = small_net()
    born = weights(given)
    *_, last = train_pruned(given, data, f"{method}-S", 1 / 4, **OPTIONS)
    expected = prune(small_net(), 1 / 4, method, seed=3)
    *_, record = train(expected, data, **OPTIONS)
    assert last.phase == "train" and same(weights(last.net), weights(expected))
    assert torch.equal(last.record.test_accuracy, record.test_accuracy)

    records = list(train_pruned(given, data, f"{method}-T", 1 / 4, **OPTIONS))
    *_, _ = train(expected := small_net(), data, **OPTIONS)
    expected = prune(expected, 1 / 4, method, seed=3)
    *_, _ = train(expected, data, **OPTIONS)
    assert [(each.phase, each.record.step) for each in records] == [
        (phase, step) for phase in ("train", "finetune") for step in (0, 4, 8)
    ]
    assert same(weights(records[-1].net), weights(expected))
    assert isinstance(records[0].net[0], nn.Linear) and isinstance(records[-1].net[0], SparseLinear)
    assert same(weights(given), born)


def test_a_stopped_training_goes_on_in_the_phase_where_it_was(data, tmp_path):
    options = {**OPTIONS, "checkpoint": tmp_path / "net.safetensors", "checkpoint_every": 1}
    for each in train_pruned(small_net(), data, "LMP-T", 1 / 4, **options):
        if each.phase == "finetune" and each.record.step == 4:
            break
    resumed = list(train_pruned(small_net(), data, "LMP-T", 1 / 4, **options))
    assert [(each.phase, each.record.step) for each in resumed] == [("train", 8), ("finetune", 4), ("finetune", 8)]
    *_, last = train_pruned(small_net(), data, "LMP-T", 1 / 4, **OPTIONS)
    assert same(weights(resumed[-1].net), weights(last.net))


def test_the_protocols_are_the_papers():
    assert set(PROTOCOLS) == {f"{method}-{when}" for method in ("GMP", "LMP", "LRP", "RG") for when in "ST"}


@pytest.mark.parametrize("settings, rule", [
    ({"protocol": "GMP"}, "train_pruned: protocol must be one of 'GMP-S', 'GMP-T'"),
    ({"protocol": "GMP-T", "density": 2}, "prune: density must be a finite number in (0, 1], got 2."),
    ({"protocol": "GMP-T", "every": 0}, "train: every must be"),
    ({"protocol": "GMP-T", "checkpoint": 5}, "train_pruned: checkpoint must be the path of a .safetensors file, got 5."),
    ({"protocol": "GMP-T", "checkpoint": ""}, "train_pruned: checkpoint must be the path of a file, got the folder"),
])  # fmt: skip
def test_what_cannot_be_trained_is_refused_before_any_training(data, settings, rule):
    with pytest.raises(NbkitError, match=f"^{re.escape(rule)}"):
        next(train_pruned(small_net(), data, **{"density": 1 / 4, **OPTIONS, **settings}))
