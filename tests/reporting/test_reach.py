"""Wires, reach, dead units and components of a report, against networkx on graphs that are written by hand."""

import networkx as nx
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nbkit.nets import SparseLinear
from nbkit.reporting import report
from nbkit.topology import Topology, biregular
from tests.reporting.networks import Residual, mlp, sparse_mlp


def wire(graph: nx.DiGraph, module: nn.Linear, before: list, behind: list) -> None:
    graph.add_nodes_from([*before, *behind])
    graph.add_edges_from((before[j], behind[i]) for i, j in module.weight.nonzero().tolist())


def residual_graph(net: Residual) -> tuple[nx.DiGraph, dict[str, list]]:
    sizes = {"x": 6, "first": 8, "down": 5, "up": 8, "sum": 8, "last": 4}
    nodes = {name: [(name, i) for i in range(size)] for name, size in sizes.items()}
    graph = nx.DiGraph()
    wire(graph, net.first, nodes["x"], nodes["first"])
    wire(graph, net.down, nodes["first"], nodes["down"])
    wire(graph, net.up, nodes["down"], nodes["up"])
    graph.add_edges_from((node, ("sum", node[1])) for node in nodes["first"] + nodes["up"])
    wire(graph, net.last, nodes["sum"] + nodes["x"], nodes["last"])
    return graph, nodes


def chain_graph(net: nn.Sequential) -> tuple[nx.DiGraph, dict[str, list]]:
    graph, nodes = nx.DiGraph(), {"x": [("x", i) for i in range(net[0].in_features)]}
    before = nodes["x"]
    for name, module in net.named_children():
        if isinstance(module, nn.Linear):
            nodes[name] = [(name, i) for i in range(module.out_features)]
            wire(graph, module, before, nodes[name])
            before = nodes[name]
    return graph, nodes


NETWORKS = {"residual": (Residual, residual_graph), "chain": (lambda: sparse_mlp(6, 9, 9, 9, 4), chain_graph)}


@pytest.mark.parametrize("name", NETWORKS)
def test_reach_is_that_of_the_graph(name):
    make, draw = NETWORKS[name]
    net = make()
    graph, nodes = draw(net)
    outputs, layers = list(nodes)[-1], [key for key in nodes if key not in ("x", "sum")]
    heard = {node: {node} | nx.descendants(graph, node) for node in graph}
    reach = report(net, torch.randn(3, 6)).reach

    expected = [[out in heard[source] for out in nodes[outputs]] for source in nodes["x"]]
    assert 0 < sum(map(sum, expected)) < 24 and reach.matrix.tolist() == expected
    assert reach.fraction.tolist() == pytest.approx(
        [sum(node in heard[x] for x in nodes["x"] for node in nodes[key]) / 6 / len(nodes[key]) for key in layers]
    )
    unreached = {node for node in graph if not any(node in heard[x] for x in nodes["x"])}
    unheard = {node for node in graph if heard[node].isdisjoint(nodes[outputs])}
    found = [(unit.name, unit.n_units, unit.n_unreached, unit.n_unheard, unit.n_dead) for unit in reach.units]
    assert found == [
        (key, *(len(chosen & set(nodes[key])) for chosen in (heard.keys(), unreached, unheard, unreached | unheard)))
        for key in layers
    ]
    assert sum(unit.n_dead for unit in reach.units) > 0
    assert reach.n_dead_inputs == len(unheard & set(nodes["x"]))
    assert reach.n_components == nx.number_weakly_connected_components(graph)


def test_numbers_that_become_an_image_are_inputs_one_by_one():
    net = nn.Sequential(nn.Unflatten(1, (2, 3, 3)), nn.Conv2d(2, 4, 3), nn.Flatten()).double()
    net[1].weight.data *= torch.rand(4, 2, 1, 1) < 0.5
    jacobian = torch.autograd.functional.jacobian(net, torch.randn(1, 18, dtype=torch.float64)).reshape(4, 2, 9)
    expected = (jacobian != 0).any(dim=2).T.repeat_interleave(9, dim=0)
    assert 0 < int(expected.sum()) < 72 and torch.equal(report(net, torch.randn(18)).reach.matrix, expected)


def test_components_of_a_dense_and_of_a_convolutional_network():
    assert report(mlp(4, 5, 2), torch.randn(4)).reach.n_components == 1
    net = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=2), nn.Flatten())
    found = report(net, torch.randn(1, 4, 6, 6))
    assert found.reach.n_components == nx.number_weakly_connected_components(found.topology.to_networkx()) == 2


def test_layers_say_what_their_wires_are():
    net = sparse_mlp(6, 9, 4)
    found = report(net, torch.randn(3, 6))
    assert [layer.name for layer in found.layers] == ["0", "2"]
    for layer, module in zip(found.layers, net[::2], strict=True):
        mask = (module.weight != 0).numpy()
        assert (layer.kind, layer.n_in, layer.n_out) == ("Linear", module.in_features, module.out_features)
        assert (layer.n_weights, layer.n_kept, layer.n_edges) == (mask.size, mask.sum(), mask.sum())
        assert (layer.n_dead_in, layer.n_dead_out) == ((~mask.any(axis=0)).sum(), (~mask.any(axis=1)).sum())
        graph, _ = chain_graph(nn.Sequential(module))
        assert layer.n_components == nx.number_weakly_connected_components(graph)
        assert layer.wires.mask().numpy().tolist() == mask.tolist()
    assert found.topology == Topology.from_module(net)
    assert found.density == pytest.approx(sum(int((m.weight != 0).sum()) for m in net[::2]) / (54 + 36))
    assert found.n_parameters == 54 + 9 + 36 + 4


def test_a_kernel_has_several_weights_for_one_wire():
    net = nn.Conv2d(2, 3, 3)
    net.weight.data[0, 0] = 0
    (layer,) = report(net, torch.randn(2, 5, 5)).layers
    assert (layer.n_in, layer.n_out, layer.n_weights, layer.n_kept, layer.n_edges) == (2, 3, 54, 45, 5)


def test_the_threshold_counts_in_every_layer():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), SparseLinear(biregular(4, 4, 2), weights=[0.1, 0.3] * 4))
    found = report(net, torch.randn(4), threshold=0.2)
    assert found.layers[0].n_edges == int((net[0].weight.abs() > 0.2).sum())
    assert found.layers[1].n_edges == found.layers[1].n_kept == 4


def test_a_layer_used_twice_is_one_layer_that_is_executed_twice():
    linear = nn.Linear(4, 4)
    found = report(nn.Sequential(linear, nn.ReLU(), linear), torch.randn(2, 4))
    assert len(found.layers) == 1 and found.topology.sizes == (4, 4, 4) and found.n_parameters == 20
    assert [unit.name for unit in found.reach.units] == ["0", "0 #2"]


class Tied(nn.Module):
    """One parameter in two functions; a function of other weights, or without its bias, is another layer."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.v = (nn.Parameter(torch.randn(4, 4)) for _ in range(2))
        self.b = nn.Parameter(torch.randn(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(F.linear(x, self.w, self.b))
        return F.linear(F.linear(torch.relu(F.linear(x, self.w, self.b)), self.w), self.v, self.b)


def test_a_parameter_that_functions_take_twice_is_one_layer():
    found = report(Tied(), torch.randn(2, 4))
    assert [row.name for row in found.layers] == ["w", "w", "v"] and found.topology.sizes == (4, 4, 4, 4, 4)
    assert [unit.name for unit in found.reach.units] == ["w", "w #2", "w #3", "v"]


def test_an_input_that_a_layer_fills_up_with_zeros_counts_its_own_channels():
    from nbkit.nets import SkewConv2d
    from nbkit.weights import soc

    found = report(SkewConv2d(soc(8, 3), stride=2).float(), torch.randn(2, 1, 4, 4))
    assert found.reach.matrix.shape == (1, 8)


def test_without_memory_for_the_matrix_the_dead_units_are_still_told(monkeypatch):
    net = sparse_mlp(6, 9, 9, 4)
    whole = report(net, torch.randn(3, 6)).reach
    monkeypatch.setenv("NBKIT_MEMORY", "200B")
    reach = report(net, torch.randn(3, 6)).reach
    assert reach.matrix is None and reach.fraction is None and reach.units == whole.units
