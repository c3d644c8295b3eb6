"""Networks from state dictionaries: the same function where a chain can have it, and words where it cannot."""

import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune

from nbkit.errors import NbkitError
from nbkit.reporting import from_state, report
from tests.reporting.networks import mlp


def same(net: nn.Module, state: object, *shape: int, **options) -> bool:
    x = torch.randn(3, *shape)
    return torch.allclose(from_state(state, **options)(x), net.eval()(x), atol=1e-6)


def test_a_chain_comes_back_from_its_file(tmp_path):
    net = mlp(*[5] * 12, 3)  # safetensors holds "10.weight" before "2.weight"
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    assert same(net, tmp_path / "net.safetensors", 5) and same(net, str(tmp_path / "net.safetensors"), 5)
    assert report(from_state(net.state_dict()), torch.randn(5)).topology.sizes == (*[5] * 12, 3)


def test_convolutions_normalisations_and_activations_come_back():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh(), nn.Conv2d(4, 6, 3, padding="same"), nn.Tanh(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 2),
    )  # fmt: skip
    net(torch.randn(8, 1, 9, 9))
    assert same(net, net.state_dict(), 1, 9, 9, activation="tanh")


def test_pruned_weights_come_back_as_they_act():
    net = mlp(6, 8, 2)
    prune.l1_unstructured(net[0], "weight", 0.5)
    assert same(net, net.state_dict(), 6)


def test_sizes_choose_and_order_the_layers():
    net = mlp(4, 6, 3)
    state = {"b.weight": net[0].weight, "b.bias": net[0].bias, "a.weight": net[2].weight, "a.bias": net[2].bias}
    state["head.weight"] = torch.ones(7)
    assert same(net, state, 4, sizes=(4, 6, 3))
    convolution = {"conv.weight": torch.randn(4, 1, 3, 3), "fc.weight": torch.randn(2, 16)}
    assert [type(m).__name__ for m in from_state(convolution, (1, 4, 2))] == [
        "Conv2d", "ReLU", "AdaptiveAvgPool2d", "Flatten", "Linear",
    ]  # fmt: skip


REFUSED = {
    "no state": (3, None, "state must be a dictionary or the path"),
    "no file": ("nowhere.safetensors", None, "must be a .safetensors file that can be read, got 'nowhere"),
    "nothing": ({}, None, "must hold a layer's weights, got none"),
    "others": ({"a.weight": torch.ones(3, 2), "gate": torch.ones(3)}, None, "only, got gate. Give sizes"),
    "no chain": ({"a.weight": torch.ones(3, 2), "b.weight": torch.ones(3, 2)}, None, "got b with 2 inputs behind 3"),
    "no such size": ({"a.weight": torch.ones(3, 2)}, (2, 4), "got 2 -> 4, and left are a 2 -> 3"),
    "no square": (
        {"a.weight": torch.ones(4, 1, 3, 3), "b.weight": torch.ones(2, 12)},
        None,
        "a square image of each of 4",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_chain_is_refused_in_words(name):
    state, sizes, message = REFUSED[name]
    with pytest.raises(NbkitError, match=re.compile("^from_state: .*" + message, re.DOTALL)):
        from_state(state, sizes)


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "net.safetensors").write_bytes(b"no tensors")
    with pytest.raises(NbkitError, match="from_state: state must be a .safetensors file that can be read"):
        from_state(tmp_path / "net.safetensors")
