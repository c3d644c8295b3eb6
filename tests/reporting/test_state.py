"""Networks from state dictionaries: the same function where a chain can have it, and words where it cannot."""

import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils import prune

from nbkit.errors import NbkitError
from nbkit.reporting import from_state, report
from tests.reporting.networks import mlp


def same(net: nn.Module, state: object, *shape: int, **options) -> bool:
    x = torch.randn(3, *shape)
    return torch.allclose(from_state(state, **options)(x), net.eval()(x), atol=1e-6)


def ones(*shapes: tuple[int, ...], names: str) -> dict[str, torch.Tensor]:
    """Weights by name, each layer's filled with its place in the list."""
    return {f"{name}.weight": torch.full(shape, float(i)) for i, (name, shape) in enumerate(zip(names.split(), shapes))}


def places(state: object) -> list[int]:
    """Places in that list, in the order of execution."""
    return [int(module.weight.flatten()[0]) for module in from_state(state) if hasattr(module, "weight")]


def test_a_chain_comes_back_from_its_file(tmp_path):
    net = mlp(*[5] * 12, 3)  # safetensors holds "10.weight" before "2.weight"
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    assert same(net, tmp_path / "net.safetensors", 5) and same(net, str(tmp_path / "net.safetensors"), 5)
    assert report(from_state(net.state_dict()), torch.randn(5)).topology.sizes == (*[5] * 12, 3)


@pytest.mark.parametrize(
    ("names", "shapes"),
    {
        "conv1 fc1": [(6, 1, 5, 5), (10, 96)],
        "conv1 conv2 fc1 fc2": [(3, 3, 3, 3), (3, 3, 3, 3), (3, 3), (3, 3)],
        "ab c": [(3, 4), (2, 3)],
        "fc fc1 fc2 fc10": [(3, 3)] * 4,
        "layers.2 layers.10": [(3, 3)] * 2,
        "layers.2.a layers.2.b layers.10.a": [(3, 3)] * 3,
    }.items(),
)
def test_digits_in_the_names_of_a_file_count_as_numbers(names, shapes, tmp_path):
    state = ones(*shapes, names=names)
    save_file(state, tmp_path / "net.safetensors")
    assert places(state) == places(tmp_path / "net.safetensors") == list(range(len(shapes)))
    assert places(load_file(tmp_path / "net.safetensors")) == places(dict(sorted(state.items()))) == places(state)


def test_a_dictionary_keeps_its_order():
    assert places(ones((3, 3), (3, 3), (3, 3), names="encoder decoder a")) == [0, 1, 2]
    torch.manual_seed(0)
    net = nn.Sequential()
    for name, module in {
        "conv1": nn.Conv2d(4, 4, 3, padding=1), "bn1": nn.BatchNorm2d(4), "act1": nn.ReLU(),
        "conv2": nn.Conv2d(4, 4, 3, padding=1), "bn2": nn.BatchNorm2d(4), "act2": nn.ReLU(),
        "pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "fc": nn.Linear(4, 3),
    }.items():  # fmt: skip
        net.add_module(name, module)
    net(torch.randn(8, 4, 6, 6))
    assert same(net, net.state_dict(), 4, 6, 6)


def test_normalisations_of_a_file_need_numbers(tmp_path):
    path = tmp_path / "net.safetensors"
    net = nn.Sequential(*(module for _ in range(6) for module in (nn.Linear(3, 3), nn.BatchNorm1d(3), nn.ReLU())))[:-1]
    net(torch.randn(8, 3))
    save_file(net.state_dict(), path)
    assert same(net, path, 3) and same(net, load_file(path), 3)
    save_file(nn.ModuleDict({"fc2": net[0], "fc10": net[3], "bn": net[1]}).state_dict(), path)
    for state in (path, load_file(path)):
        with pytest.raises(
            NbkitError, match="tell by numbers where a normalisation stands, got bn. Give a dictionary in"
        ):
            from_state(state)
    assert len(from_state(path, (3, 3))) == 1


def test_a_normalisation_may_stand_first():
    net = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3, padding=1))
    assert same(net, net.state_dict(), 2, 5, 5)


def test_a_transposed_convolution_is_refused_where_its_bias_tells():
    state = nn.Sequential(nn.Conv2d(8, 8, 3), nn.ConvTranspose2d(8, 4, 2)).state_dict()
    with pytest.raises(
        NbkitError, match=r"got 1 with weights of shape \(8, 4, 2, 2\) and a bias of shape \(4,\), as a tr"
    ):
        from_state(state)
    assert len(from_state(state, (8, 8))) == 1
    with pytest.raises(NbkitError, match=r"left are 0 8 -> 8; never taken is 1 with weights of shape \(8, 4, 2, 2\)"):
        from_state(state, (8, 4))
    with pytest.raises(NbkitError, match=r"got a with weights of shape \(3, 2\) and a bias of shape \(2,\)\. Measure"):
        from_state({"a.weight": torch.ones(3, 2), "a.bias": torch.ones(2)})


def test_zeros_around_images_keep_constants():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    net[0].weight.data[0] = 0
    x = torch.randn(3, 1, 9, 9)
    mine, read = report(net, x), report(from_state(net.state_dict()), x)
    assert [found.removable[0].n_after for found in (mine, read)] == [114 - 28, 114]
    assert mine.reach.units == read.reach.units
    assert [layer.n_edges for layer in mine.layers] == [layer.n_edges for layer in read.layers]


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
    "no chain": (
        {"a.weight": torch.ones(3, 2), "b.weight": torch.ones(3, 2)},
        None,
        r"got b \(Linear 2 -> 3\) behind a \(Linear 2 -> 3\)\. Give sizes, .* transposed .* plain",
    ),
    "a branch": (
        nn.ModuleDict({"c": nn.Conv2d(4, 8, 1), "bn": nn.BatchNorm2d(8), "side": nn.Conv2d(4, 8, 1)}).state_dict(),
        None,
        r"got side \(Conv2d 4 -> 8\) behind bn \(normalises 8\).*branches.*module itself",
    ),
    "an image from nodes": (
        {"a.weight": torch.ones(3, 3), "b.weight": torch.ones(3, 3, 1)},
        None,
        r"got b \(Conv1d 3 -> 3\) behind a \(Linear 3 -> 3\)",
    ),
    "other axes": (
        {"a.weight": torch.ones(3, 3, 1), "b.weight": torch.ones(3, 3, 1, 1)},
        None,
        r"got b \(Conv2d 3 -> 3\) behind a \(Conv1d 3 -> 3\)",
    ),
    "a norm without its bias": (
        {"a.weight": torch.ones(3), "a.running_mean": torch.ones(3), "a.running_var": torch.ones(3)},
        None,
        "only, got a.weight. Give sizes",
    ),
    "a checkpoint": (
        {"epoch": 3, "optimizer": {"state": {}}, "state_dict": {"a.weight": torch.ones(3, 2)}},
        None,
        r"arrays by name, got a dictionary of arrays as 'state_dict'\. Give state\['state_dict'\]",
    ),
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


@pytest.mark.parametrize("suffix", ["pt", "pth", "bin"])
def test_a_file_of_torch_is_refused_with_what_reads_it(tmp_path, suffix):
    torch.save(mlp(3, 2).state_dict(), tmp_path / f"net.{suffix}")
    with pytest.raises(
        NbkitError, match=r"Load it with torch\.load\(path, weights_only=True\) and give the dictionary"
    ):
        from_state(tmp_path / f"net.{suffix}")
