"""Neurons that stand, repeat or are dead: against entry-by-entry products, directions by hand, and networkx on all wires."""

import math

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nbkit.errors import NbkitError
from nbkit.measure import active_neurons, dead_neurons, neuron_groups, neuron_norms, reachability, thresholded
from nbkit.nets import FullSkipNet, SkipLayer, SkipNet, balanced


def neurons(V: object, W: object, b: object) -> SkipLayer:
    """A layer of these neurons without skips."""
    V, W, b = (np.array(part, dtype=float) for part in (V, W, b))
    return SkipLayer(V, W, b, np.zeros((len(V), W.shape[1])), np.zeros(len(V)))


def at_angles(degrees: list[float], weights: list[float] | None = None) -> SkipLayer:
    """One input, one output: (w, b) of length 1 in these directions."""
    angles = np.deg2rad(degrees)
    weights = [1.0] * len(degrees) if weights is None else weights
    return neurons([np.array(weights) / np.abs(np.cos(angles))], np.cos(angles)[:, None], np.sin(angles))


def thin(net: nn.Module, density: float, seed: int) -> nn.Module:
    """Entries kept with this probability, the others 0."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= torch.from_numpy(rng.random(parameter.shape) < density)
    return net


thin_nets = st.builds(
    lambda widths, k, density, seed: thin(SkipNet(widths, k, seed=seed).double(), density, seed),
    st.lists(st.integers(1, 3), min_size=2, max_size=4), st.integers(1, 5), st.floats(0.1, 0.9), st.integers(0, 99),
)  # fmt: skip
thin_full_nets = st.builds(
    lambda n_in, k, density, seed: thin(FullSkipNet(n_in, k, 2, seed=seed).double(), density, seed),
    st.integers(1, 3), st.lists(st.integers(1, 4), min_size=1, max_size=3), st.floats(0.1, 0.9), st.integers(0, 99),
)  # fmt: skip
layers = st.builds(
    lambda k, d, seed: SkipNet((2, d), k, seed=seed).layers[0], *[st.integers(1, 6)] * 2, st.integers(0, 9)
)
NOTHING = SkipNet.of([neurons(np.zeros((1, 3)), np.zeros((3, 2)), np.zeros(3))] + [neurons([[0.0]], [[0.0]], [0.0])])


def wires(net: SkipNet | FullSkipNet, threshold: float) -> tuple[nx.DiGraph, list[list], list, list]:
    """Every wire above the threshold, skips past the neurons; the neurons layer by layer, the inputs, the outputs."""
    graph = nx.DiGraph()

    def join(matrix: torch.Tensor, source: object, target: object) -> None:
        graph.add_nodes_from((target, i) for i in range(matrix.shape[0]))
        graph.add_nodes_from((source, j) for j in range(matrix.shape[1]))
        above = np.argwhere(np.abs(matrix.detach().numpy()) > threshold)
        graph.add_edges_from(((source, j), (target, i)) for i, j in above)

    if isinstance(net, SkipNet):
        for place, layer in enumerate(net.layers):
            join(layer.W, f"x{place}", f"n{place}")
            join(layer.V, f"n{place}", f"x{place + 1}")
            join(layer.C, f"x{place}", f"x{place + 1}")
        last, depth = f"x{len(net.layers)}", len(net.layers)
    else:
        for place, skip in enumerate(net.skips):
            join(skip, "x0", f"n{place}")
        for place, matrix in enumerate(net.A):
            join(matrix, f"n{place}", f"n{place + 1}")
        last, depth = "y", len(net.skips)
        join(net.V, f"n{depth - 1}", last)
        join(net.C, "x0", last)
    groups = {name: sorted(node for node in graph if node[0] == name) for name, _ in graph}
    return graph, [groups[f"n{place}"] for place in range(depth)], groups["x0"], groups[last]


def reach(graph: nx.DiGraph, starts: list, stops: list) -> np.ndarray:
    return np.array([[stop in nx.descendants(graph, start) for stop in stops] for start in starts])


@pytest.mark.parametrize("norm, expected", [(1, 15), (2, 5 * math.sqrt(5))])  # half of B7 and B8
def test_the_norm_of_a_neuron(norm, expected):
    assert neuron_norms(neurons([[1], [-2]], [[3, 4]], [7]), norm=norm).tolist() == pytest.approx([expected], rel=1e-14)


@settings(max_examples=30, deadline=None)
@given(layers, st.sampled_from([1, 2]))
def test_norms_are_products_of_columns_and_rows(layer, norm):
    V, W = layer.V.detach().double().numpy(), layer.W.detach().double().numpy()
    expected = [np.linalg.norm(V[:, k], norm) * np.linalg.norm(W[k]) for k in range(len(W))]
    found = neuron_norms(layer, norm=norm)
    assert found.tolist() == pytest.approx(expected, rel=1e-12) and found.dtype == torch.float64
    assert not found.requires_grad


@settings(max_examples=30, deadline=None)
@given(layers)
def test_rescaling_neurons_changes_neither_norms_nor_groups(layer):
    (other,) = balanced(SkipNet.of([layer])).layers
    torch.testing.assert_close(neuron_norms(other), neuron_norms(layer), rtol=1e-5, atol=0)
    assert torch.equal(neuron_groups(other, cosine=0.9), neuron_groups(layer, cosine=0.9))


def test_active_neurons_are_strictly_above_the_threshold():
    layer = neurons([[2, 1, 1, 0]], [[0.25], [0.5], [0.75], [9]], [0, 0, 0, 0])
    assert active_neurons(layer, 0.5).tolist() == [False, False, True, False]
    assert active_neurons(layer).tolist() == [True, True, True, False]


def test_positive_multiples_are_one_group_and_negative_ones_another():
    direction = np.array([3.0, -1.0, 2.0])
    inner = np.array([f * direction for f in (1.0, 1e-3, -1.0, 1e3, -5.0)])
    layer = neurons([[1, 1000, 3, 0.001, 2]], inner[:, :2], inner[:, 2])
    assert neuron_groups(layer, cosine=1.0).tolist() == [1, 1, 0, 1, 0]


def test_a_group_computes_what_one_neuron_would():
    layer = SkipNet((2, 3), 12, seed=3).double().layers[0]
    with torch.no_grad():
        for k, factor in enumerate([0.2, 3.0, 0.01, 7.0]):
            layer.W[k + 4], layer.b[k + 4] = factor * layer.W[k % 2], factor * layer.b[k % 2]
    groups = neuron_groups(layer, cosine=1.0)
    assert groups.max() == 7
    heads = [int((groups == g).nonzero()[0]) for g in range(8)]
    W, b = layer.W.detach(), layer.b.detach()
    factors = torch.linalg.vector_norm(W, dim=1) / torch.linalg.vector_norm(W[heads][groups], dim=1)
    V = torch.zeros(3, 8).double().index_add_(1, groups, layer.V.detach() * factors)
    one_each = SkipLayer(V, W[heads], b[heads], layer.C, layer.c0)
    x = torch.linspace(-3, 3, 20).double().view(10, 2)
    torch.testing.assert_close(one_each(x), layer(x))


def test_the_heaviest_group_is_0_and_what_is_not_active_is_in_none():
    layer = at_angles([0, 10, 0, 20, 10, 30], [1, 2.5, 1, 5, 0.5, 1e-4])
    assert neuron_groups(layer).tolist() == [2, 1, 2, 0, 1, -1]
    assert neuron_groups(layer).dtype == torch.int64
    assert neuron_groups(layer, threshold=2.0).tolist() == [-1, 1, -1, 0, -1, -1]


def test_a_chain_of_neighbours_is_not_one_group():
    assert math.cos(math.radians(2)) > 0.999 > math.cos(math.radians(4))
    assert neuron_groups(at_angles([10, 12])).unique().numel() == 1
    assert neuron_groups(at_angles([10, 12, 14])).unique().numel() == 2


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.floats(0.5, 1), st.integers(0, 99))
def test_any_two_of_a_group_agree_and_equal_ones_share_it(k, cosine, seed):
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-80, 80, k).round(rng.integers(3) - 1)  # rounding makes equal ones
    groups = neuron_groups(at_angles(angles.tolist()), cosine=cosine).numpy()
    apart = np.abs(angles[:, None] - angles)
    together = groups[:, None] == groups
    assert (np.cos(np.deg2rad(apart[together])) >= cosine - 1e-5).all()
    assert together[apart == 0].all()
    assert sorted(set(groups)) == list(range(groups.max() + 1))


@settings(max_examples=40, deadline=None)
@given(thin_nets, st.sampled_from([1e-3, 0.4]))
def test_the_topology_has_a_wire_for_every_weight_above_the_threshold(net, threshold):
    topology = thresholded(net, threshold)
    weights = [matrix for layer in net.layers for matrix in (layer.W, layer.V)]
    assert len(topology) == len(weights)
    for layer, weight in zip(topology, weights, strict=True):
        assert torch.equal(layer.mask(), weight.abs() > threshold)


@pytest.mark.parametrize("net", [SkipNet((2, 3, 2, 1), 5), FullSkipNet(2, (5, 4, 6), 1)])
def test_between_are_the_matrices_from_neurons_to_neurons(net):
    topology = thresholded(net, 0.3, between=True)
    for layer, matrix in zip(topology, net.between, strict=True):
        assert torch.equal(layer.mask(), matrix.abs() > 0.3)


def test_a_full_network_starts_at_its_inputs_and_ends_at_its_outputs():
    net = FullSkipNet(2, (5, 4), 3)
    topology = thresholded(net, 0.5)
    assert topology.sizes == (2, 5, 4, 3)
    for layer, weight in zip(topology, (net.skips[0], net.A[0], net.V), strict=True):
        assert torch.equal(layer.mask(), weight.abs() > 0.5)


@settings(max_examples=40, deadline=None)
@given(thin_nets | thin_full_nets, st.sampled_from([1e-3, 0.4]))
def test_with_skips_inputs_reach_outputs_as_in_the_graph_of_all_wires(net, threshold):
    graph, _, inputs, outputs = wires(net, threshold)
    assert np.array_equal(reachability(thresholded(net, threshold, skips=True)).numpy(), reach(graph, inputs, outputs))


def test_handing_on_does_not_depend_on_the_threshold():
    net = SkipNet((1, 1, 1), 2)
    with torch.no_grad():
        for layer in net.layers:
            layer.C.fill_(9)
    assert reachability(thresholded(net, 5.0, skips=True)).all()
    assert not reachability(thresholded(net, 5.0)).any()


@settings(max_examples=40, deadline=None)
@given(thin_nets | thin_full_nets, st.sampled_from([1e-3, 0.4]))
def test_dead_neurons_are_those_no_path_from_an_input_to_an_output_visits(net, threshold):
    graph, places, inputs, outputs = wires(net, threshold)
    for found, nodes in zip(dead_neurons(net, threshold), places, strict=True):
        alive = reach(graph, inputs, nodes).any(axis=0) & reach(graph, nodes, outputs).any(axis=1)
        assert np.array_equal(found.numpy(), ~alive)


@settings(max_examples=20, deadline=None)
@given(thin_nets | thin_full_nets)
def test_an_output_that_no_wire_joins_to_an_input_does_not_depend_on_it(net):
    joined = reachability(thresholded(net, 1e-12, skips=True))
    n_in = len(joined)
    x = torch.linspace(-2, 2, 6 * n_in).double().view(6, n_in)
    slopes = torch.func.vmap(torch.func.jacrev(net))(x)  # (6, n_out, n_in)
    assert not slopes[:, ~joined.T].any()


def test_a_network_with_nothing_has_no_wires_no_groups_and_only_dead_neurons():
    assert thresholded(NOTHING).n_edges == 0 and thresholded(NOTHING, between=True).n_edges == 0
    assert [dead.tolist() for dead in dead_neurons(NOTHING)] == [[True] * 3, [True]]
    assert not active_neurons(NOTHING.layers[0]).any()
    assert neuron_groups(NOTHING.layers[0]).tolist() == [-1, -1, -1]


def test_at_birth_nobody_is_dead():
    assert not any(dead.any() for dead in dead_neurons(SkipNet((4, 16, 1), 50), 1e-6))


MEASURES = [neuron_norms, active_neurons, neuron_groups]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("layer", [SkipNet((2, 1), 3), nn.Linear(2, 2), None, np.eye(2)])
def test_neurons_are_those_of_a_layer(measure, layer):
    with pytest.raises(NbkitError, match=rf"{measure.__name__}: layer must be a SkipLayer"):
        measure(layer)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", ["V", "W", "b"])
def test_a_diverged_layer_is_refused(measure, name):
    layer = neurons([[1, 1]], [[1], [2]], [0, 0])
    with torch.no_grad():
        getattr(layer, name).view(-1)[0] = math.nan
    with pytest.raises(NbkitError, match=rf"{measure.__name__}: the weights must be finite"):
        measure(layer)


@pytest.mark.parametrize("norm", [0, 3, "2", None, True])
def test_the_norm_is_1_or_2(norm):
    with pytest.raises(NbkitError, match="neuron_norms: norm must be 1 or 2"):
        neuron_norms(neurons([[1]], [[1]], [0]), norm=norm)


@pytest.mark.parametrize("threshold", [0, -1.0, math.nan, None])
@pytest.mark.parametrize("measure", [active_neurons, neuron_groups, thresholded, dead_neurons])
def test_a_threshold_is_positive(measure, threshold):
    net = SkipNet((2, 1), 3)
    with pytest.raises(NbkitError, match=rf"{measure.__name__}: threshold must be a finite number in \(0, inf\)"):
        measure(net if measure in (thresholded, dead_neurons) else net.layers[0], threshold=threshold)


@pytest.mark.parametrize("cosine", [0, -0.5, 1.1, math.nan])
def test_a_cosine_lies_between_0_and_1(cosine):
    with pytest.raises(NbkitError, match=r"neuron_groups: cosine must be a finite number in \(0, 1\]"):
        neuron_groups(neurons([[1]], [[1]], [0]), cosine=cosine)


def test_more_pairs_than_fit_are_refused(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "100KiB")
    with pytest.raises(NbkitError, match="neuron_groups: .*Lower the number of active neurons"):
        neuron_groups(at_angles(list(np.linspace(-80, 80, 100))))


@pytest.mark.parametrize("function", [thresholded, dead_neurons])
def test_only_networks_with_skips_are_read(function):
    with pytest.raises(NbkitError, match=rf"{function.__name__}: net must be a SkipNet or a FullSkipNet, got Linear"):
        function(nn.Linear(2, 2))


@pytest.mark.parametrize("function", [thresholded, dead_neurons])
def test_a_diverged_network_is_refused(function):
    net = SkipNet((2, 1), 3)
    with torch.no_grad():
        net.layers[0].C[0, 0] = net.layers[0].W[0, 0] = math.inf
    with pytest.raises(NbkitError, match=rf"{function.__name__}: every weight matrix must be .*NaN or infinite"):
        function(net)


@pytest.mark.parametrize("net, options", [(SkipNet((2, 1), 3), {}), (SkipNet((2, 2, 1), 3), {"skips": True})])
def test_between_needs_two_layers_and_no_skips(net, options):
    with pytest.raises(NbkitError, match="thresholded: between must meet neurons behind neurons"):
        thresholded(net, between=True, **options)
