"""The wires of torch modules: they are where the module's own derivatives are not zero, in the order of execution."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune

from nbkit.device import one_thread
from nbkit.errors import NbkitError
from nbkit.measure import reachability
from nbkit.nets import MaxMin, OrthogonalConv2d, RadialNet, SkewConv2d, SkipNet, SparseLinear, SparseSequential
from nbkit.topology import EdgeLayer, Topology, biregular
from nbkit.topology.modules import wired
from nbkit.topology.tracing import traced
from nbkit.weights import delta_orthogonal, eco, soc


@pytest.fixture(autouse=True)
def one_core():
    with one_thread():
        yield


def pattern(module: nn.Module, *shape: int) -> np.ndarray:
    """bool (n_in, n_out): which channel of the input the module's derivatives join to which channel of the output."""
    torch.manual_seed(1)
    x = torch.randn(1, *shape, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(module.double().eval(), x)[0].abs()  # (*out, 1, *in)
    n_out = jacobian.shape[0]
    n_pixels = jacobian.numel() // (n_out * int(np.prod(shape)))
    flat = jacobian.reshape(n_out, n_pixels, shape[0], -1)
    return (flat.sum(dim=(1, 3)) > 1e-12).T.numpy()


def sparsely(module: nn.Module, density: float = 0.3) -> nn.Module:
    """With most weights zero."""
    torch.manual_seed(0)
    module.weight.data *= torch.rand_like(module.weight) < density
    return module


def joins(topology: Topology) -> np.ndarray:
    return reachability(topology).numpy()


class Written(nn.Module):
    """A convolutional network as people write them: functions, a reshape by sizes, one activation module twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = sparsely(nn.Conv2d(2, 4, 3, padding=1)), sparsely(nn.Conv2d(4, 6, 3, stride=2))
        self.norm, self.act, self.last = nn.BatchNorm2d(4), nn.Tanh(), sparsely(nn.Linear(6 * 9, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.dropout(self.act(self.norm(self.first(x))), 0.5, self.training)
        x = self.act(self.second(x))
        return torch.sigmoid(self.last(x.view(x.size(0), -1)))


def written_as_chain(net: Written) -> nn.Sequential:
    return nn.Sequential(
        net.first, net.norm, nn.Tanh(), nn.Dropout(), net.second, nn.Tanh(), nn.Flatten(), net.last, nn.Sigmoid()
    )


def skew_path() -> SkewConv2d:
    """Channels 0 - 1 - 2, and 3 by itself: the exponential joins 0 to 2."""
    torch.manual_seed(0)
    joined = torch.tensor([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    return SkewConv2d(0.1 * torch.randn(4, 4, 3, 3) * joined[:, :, None, None])


CONVOLUTIONS = {
    "conv": (lambda: sparsely(nn.Conv2d(4, 6, 3, padding=1), 0.05), (4, 6, 6)),
    "groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), (4, 6, 6)),
    "depthwise": (lambda: nn.Conv2d(4, 8, 3, groups=4), (4, 6, 6)),
    "conv1d": (lambda: sparsely(nn.Conv1d(4, 6, 3, stride=2), 0.1), (4, 9)),
    "conv3d": (lambda: sparsely(nn.Conv3d(2, 5, 2), 0.05), (2, 3, 3, 3)),
    "transposed": (lambda: sparsely(nn.ConvTranspose2d(6, 4, 2, stride=2), 0.1), (6, 4, 4)),
    "transposed groups": (lambda: sparsely(nn.ConvTranspose2d(6, 4, 2, groups=2), 0.2), (6, 4, 4)),
    "sao": (lambda: OrthogonalConv2d(delta_orthogonal(8, 4, 3, mask=biregular(8, 4, 2))), (8, 6, 6)),
    "eco": (lambda: OrthogonalConv2d(eco((8, 8), 2, mask=biregular(8, 8, 4)), dilation="eco", stride=2), (2, 4, 4)),
    "skew": (lambda: SkewConv2d(soc(8, 3, mask=biregular(8, 8, 4, placement="aligned")), c_out=5), (8, 3, 3)),
    "skew path": (skew_path, (4, 3, 3)),
    "skew with zeros": (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 1), SkewConv2d(soc(16, 3), c_out=5, stride=2)),
        (1, 4, 4),
    ),
    "pairs": (lambda: nn.Sequential(sparsely(nn.Conv2d(3, 6, 1), 0.2), MaxMin()), (3, 4, 4)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_channels_are_wired_where_the_derivatives_are_not_zero(name):
    make, shape = CONVOLUTIONS[name]
    net = make().double()
    found = joins(Topology.from_module(net))
    if name == "pairs":  # at one point MaxMin hands on each number once; over all points both of a pair
        torch.manual_seed(0)
        expected = (net[0].weight[:, :, 0, 0] != 0).T.numpy().reshape(3, 3, 2).any(axis=2).repeat(2, axis=1)
    else:
        expected = pattern(net, *shape)
    assert found.shape == expected.shape and (found == expected).all()


def test_flattening_hands_each_channel_to_its_pixels():
    net = nn.Sequential(nn.Conv2d(1, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    topology = Topology.from_module(net)
    assert topology.sizes == (1, 3, 12, 2)
    assert [list(topology[1].successors(channel)) for channel in range(3)] == [
        [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11],
    ]  # fmt: skip


def test_unflattening_makes_pixels_channels_again():
    net = nn.Sequential(sparsely(nn.Linear(3, 8)), nn.Unflatten(1, (2, 2, 2)), nn.Conv2d(2, 2, 1, groups=2)).double()
    assert Topology.from_module(net).sizes == (3, 8, 2, 2)
    assert (joins(Topology.from_module(net)) == pattern(net, 3)).all()


def joined_features(net: nn.Module, n_in: int, n_out: int, *shape: int) -> list:
    """bool (n_in, n_out) between the last axis of the input and the last axis, or the channels, of the output."""
    jacobian = torch.autograd.functional.jacobian(net.double(), torch.randn(1, *shape, dtype=torch.float64)).abs()
    return (jacobian.reshape(n_out, -1, n_in).sum(dim=1) > 1e-12).T.tolist()


def test_a_sequence_that_is_flattened_is_spread_time_by_time():
    net = nn.Sequential(sparsely(nn.Linear(3, 4)), nn.Tanh(), nn.Flatten(), sparsely(nn.Linear(20, 6), 0.1))
    topology = Topology.from_module(net)
    assert topology.sizes == (3, 4, 20, 6) and list(topology[1].successors(1)) == [1, 5, 9, 13, 17]
    assert topology[0:3].sizes[-1] == 6 and joins(topology).tolist() == joined_features(net, 3, 6, 5, 3)


def test_numbers_that_become_a_sequence_are_folded_by_features():
    net = nn.Sequential(sparsely(nn.Linear(3, 8), 0.2), nn.Unflatten(1, (2, 4)), sparsely(nn.Linear(4, 5))).double()
    jacobian = torch.autograd.functional.jacobian(net, torch.randn(1, 3, dtype=torch.float64)).abs()
    expected = jacobian.reshape(2, 5, 3).sum(dim=0) > 1e-12
    assert joins(Topology.from_module(net)).tolist() == expected.T.tolist()


def test_a_hand_written_forward_has_the_wires_of_the_chain():
    net = Written()
    topology = Topology.from_module(net)
    assert topology.sizes == (2, 4, 6, 54, 5)
    assert topology == Topology.from_module(written_as_chain(net))
    assert net.training
    assert (joins(topology) == pattern(net, 2, 8, 8)).all()


def test_a_wire_is_where_the_weight_is_above_the_threshold_strictly():
    linear = nn.Linear(3, 2)
    linear.weight.data = torch.tensor([[0.0, 0.5, -0.6], [0.4, -0.5, 0.0]])
    assert Topology.from_module(linear)[0].mask().tolist() == [[False, True, True], [True, True, False]]
    assert Topology.from_module(linear, 0.5)[0].mask().tolist() == [[False, False, True], [False, False, False]]


def test_masks_and_parametrizations_count_as_they_act():
    pruned = nn.Linear(8, 8)
    prune.random_unstructured(pruned, "weight", 0.5)
    pruned.weight_orig.data[:4] = 0.0  # as an optimiser's step before the next forward pass
    expected = pruned.weight_mask.bool() & (torch.arange(8) >= 4)[:, None]
    assert torch.equal(Topology.from_module(pruned)[0].mask(), expected)
    turned = parametrizations.orthogonal(nn.Linear(4, 4), orthogonal_map="householder")
    assert Topology.from_module(turned).n_edges == int((turned.weight != 0).sum())


def test_our_own_layers_are_taken_as_they_stand():
    layer = biregular(6, 6, 2)
    net = SparseSequential(SparseLinear(layer), nn.ReLU(), SparseLinear(layer))
    net[0].weight.data.zero_()
    topology = Topology.from_module(net)
    assert topology[0] is layer and topology[1] is layer
    assert Topology.from_module(net, 1e-9)[0].n_edges == 0


def test_sparse_layers_stand_among_others_whatever_the_shape_of_their_weights():
    net = nn.Sequential(nn.Linear(5, 64), SparseLinear(biregular(64, 64, 4), execution="blocks"), nn.Linear(64, 2))
    assert net[1].weight.ndim == 3 and Topology.from_module(net).sizes == (5, 64, 64, 2)


def test_a_module_used_twice_stands_there_twice():
    linear = nn.Linear(4, 4)
    assert Topology.from_module(nn.Sequential(linear, nn.ReLU(), linear)).sizes == (4, 4, 4)


def test_weights_in_functions_are_layers():
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = nn.Parameter(torch.randn(3, 2, 3, 3))
            self.weight, self.mixing = nn.Parameter(torch.randn(5, 3)), nn.Parameter(torch.randn(5, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = F.conv2d(x, self.kernel, padding=1).mean(dim=(2, 3))
            return F.relu(F.linear(x, self.weight * (self.weight > 0))) @ self.mixing

    net = Functional()
    topology = Topology.from_module(net)
    assert topology.sizes == (2, 3, 5, 4)
    assert torch.equal(topology[1].mask(), net.weight > 0)


def test_norms_are_passed_over_and_unused_layers_left_out():
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused, self.norm = nn.Linear(4, 3), nn.Linear(9, 9), nn.LayerNorm(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(self.norm(self.used(x)), dim=1)

    assert Topology.from_module(Unused()).sizes == (4, 3)
    assert Topology.from_module(RadialNet((2, 5, 1), "squash")).sizes == (2, 5, 1)


def test_the_traced_network_computes_the_same_with_modules_for_functions():
    net = Written().eval()
    trace, x = traced(net), torch.randn(3, 2, 8, 8)
    assert torch.equal(trace.net(x), net(x))
    assert [step.what for step in trace.steps if step.kind == "elementwise"] == ["Tanh", "Tanh", "sigmoid"]
    assert all(step.module is not None for step in trace.steps if step.kind == "elementwise")


def test_branches_join_number_by_number_and_concatenation_by_channels():
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.side, self.last = sparsely(nn.Linear(4, 4)), sparsely(nn.Linear(8, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.cat([x + self.side(x), x], dim=1))

    nodes = wired("test", traced(Branches()).steps)
    assert [node.width for node in nodes] == [4, 4, 4, 8, 3]
    assert [(node.step.kind, node.start) for node in nodes[2:4]] == [("joining", (0, 0)), ("concatenation", (0, 4))]


def test_the_width_of_the_input_may_be_given_where_a_layer_fills_it_up_with_zeros():
    nodes = wired("test", traced(SkewConv2d(soc(8, 3), stride=2)).steps, n_in=1)
    assert nodes[0].width == 1 and [layer.shape for layer in nodes[1].into[0]] == [(1, 8), (8, 8)]


class Deciding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) if x.sum() > 0 else x


class Pair(Deciding):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x), x


def nan_net() -> nn.Linear:
    linear = nn.Linear(2, 2)
    linear.weight.data[0, 0] = torch.nan
    return linear


REFUSED = {
    "no module": (lambda: "net", "module must be a torch module, got str"),
    "no weights": (lambda: nn.Sequential(nn.ReLU()), "must have linear layers or convolutions, got none"),
    "nothing": (lambda: nn.Sequential(), "must have linear layers or convolutions, got none"),
    "branches": (lambda: SkipNet((2, 3, 1), 4), r"got branches that meet in .* Use nbkit.report\(module, x\)"),
    "data": (Deciding, "must not depend on its data, but torch.fx says: .*control flow"),
    "two results": (Pair, "Pair must return one tensor"),
    "attention": (lambda: nn.Sequential(nn.Linear(4, 4), nn.TransformerEncoderLayer(4, 2)), "got 1 .TransformerEnc"),
    "widths": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.Linear(4, 3)),
        "must take what the steps before give, got 4 for 3",
    ),
    "rows": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(4, 2)),
        "must take the channels .* along another axis",
    ),
    "columns": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.Conv1d(4, 2, 1)),
        "must take the features .* along another axis",
    ),
    "one": (
        lambda: nn.Sequential(nn.Linear(3, 1), nn.Linear(4, 2)),
        "must take what the steps before give, got 4 for 1",
    ),
    "nan": (nan_net, "weights must be finite, got NaN"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_chain_of_wires_is_refused_in_words(name):
    make, message = REFUSED[name]
    with pytest.raises(NbkitError, match=re.compile("^Topology.from_module: .*" + message, re.DOTALL)):
        Topology.from_module(make())


@pytest.mark.parametrize("threshold", [-1.0, float("nan"), "0"])
def test_a_threshold_is_a_number_of_at_least_0(threshold):
    with pytest.raises(NbkitError, match="threshold must be"):
        Topology.from_module(nn.Linear(2, 2), threshold)


def test_a_dense_layer_costs_no_edges():
    topology = Topology.from_module(nn.Linear(300, 200))
    assert not isinstance(topology[0], EdgeLayer) and topology[0].n_edges == 60_000


class Meanwhile(nn.Module):
    """A linear layer that does something else, once, while it is followed."""

    def __init__(self, task: Callable[[], None]) -> None:
        super().__init__()
        self.linear, self.tasks = nn.Linear(4, 3), [task]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while self.tasks:
            self.tasks.pop()()
        return self.linear(x)


def test_a_network_that_another_thread_calls_meanwhile_just_runs():
    other, found = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), []

    def call() -> None:
        with ThreadPoolExecutor(1) as pool:
            found.append(pool.submit(other, torch.ones(1, 2)).result())

    assert Topology.from_module(Meanwhile(call)).sizes == (4, 3)
    assert torch.equal(found[0], other(torch.ones(1, 2)))


def test_two_threads_follow_their_networks_one_after_the_other():
    call, attribute = nn.Module.__call__, nn.Module.__getattr__
    has_begun, may_end = Event(), Event()

    def stay() -> None:
        has_begun.set()
        may_end.wait(10)

    with ThreadPoolExecutor(1) as pool:

        def begin_the_other() -> None:
            futures.append(pool.submit(Topology.from_module, Meanwhile(stay)))
            has_begun.wait(0.3)  # it must not begin before this one has ended

        futures = []
        first = Topology.from_module(Meanwhile(begin_the_other))
        may_end.set()
        assert first.sizes == futures[0].result().sizes == (4, 3)
    assert (nn.Module.__call__, nn.Module.__getattr__) == (call, attribute)
