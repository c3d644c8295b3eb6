"""Reach: boolean products whatever the wires, networkx's descendants, and the SAO paper's cascades (SCIENCE 3.3)."""

import math
import subprocess
import sys

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbkit.errors import NbkitError
from nbkit.measure import is_path_connected, reach_fractions, reachability
from nbkit.topology import (
    Layer,
    Topology,
    biregular,
    cayley_expander,
    dense_layer,
    magnitude_pruned,
    mixed_radix,
    radix_net,
    random_expander,
)

from .wires import BRAIN, cascade, dense, dense_paths, topologies


def sao(n: int, degree: int, depth: int, placement: str = "random", seed: int = 0) -> Topology:
    generators = np.random.default_rng(seed).spawn(depth)
    return Topology([biregular(n, n, degree, placement=placement, seed=generator) for generator in generators])


def f2_product(topology: Topology) -> np.ndarray:
    product = dense(topology[0]).astype(int)
    for layer in topology.layers[1:]:
        product = product @ dense(layer).astype(int) % 2
    return product


@settings(max_examples=120, deadline=None)
@given(topologies())
def test_reach_is_where_there_is_a_path(topology):
    reach = reachability(topology)
    assert reach.dtype == torch.bool and reach.shape == (topology.sizes[0], topology.sizes[-1])
    assert (reach.numpy() == (dense_paths(topology) > 0)).all()


@settings(max_examples=60, deadline=None)
@given(topologies(), st.data())
def test_reach_between_any_two_layers_is_that_of_the_part(topology, data):
    start = data.draw(st.integers(0, len(topology) - 1))
    stop = data.draw(st.integers(start + 1, len(topology)))
    assert (reachability(topology, start, stop).numpy() == (dense_paths(topology[start:stop]) > 0)).all()


@settings(max_examples=40, deadline=None)
@given(topologies())
def test_reach_is_networkxs_descendants(topology):
    graph, reach, last = topology.to_networkx(), reachability(topology).numpy(), len(topology)
    for node in range(topology.sizes[0]):
        below = {label for depth, label in nx.descendants(graph, (0, node)) if depth == last}
        assert below == set(np.flatnonzero(reach[node]))


@settings(max_examples=60, deadline=None)
@given(topologies())
def test_fractions_by_depth_are_the_means_of_the_matrices(topology):
    fractions = reach_fractions(topology)
    assert fractions.dtype == torch.float64
    expected = [(dense_paths(topology[:depth]) > 0).mean() for depth in range(1, len(topology) + 1)]
    assert fractions.tolist() == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("n_in", [1, 63, 64, 65, 130])
def test_start_nodes_that_do_not_fill_a_word_are_counted_once(n_in):
    topology = Topology([random_expander(n_in, 200, 3, seed=1), random_expander(200, 70, 2, regular="in", seed=2)])
    assert (reachability(topology).numpy() == (dense_paths(topology) > 0)).all()
    assert reach_fractions(topology)[-1] == (dense_paths(topology) > 0).mean()
    assert is_path_connected(topology) == (dense_paths(topology) > 0).all()


def test_layers_denser_than_the_packed_limit_go_by_float_products():
    wide = Topology([random_expander(150, 140, 139, seed=1), random_expander(140, 90, 2, seed=2), dense_layer(90, 5)])
    matrix = Layer.from_biadjacency(np.random.default_rng(0).random((300, 3)) < 0.6, allow_dead_inputs=True)
    for topology in (wide, Topology([random_expander(10, 300, 2, seed=3), matrix])):
        assert max(layer.largest_in_degree for layer in topology) > 128
        assert (reachability(topology).numpy() == (dense_paths(topology) > 0)).all()


def test_equal_layers_and_layers_that_only_look_alike_are_told_apart():
    generators = [(0, 1), (0, 3), (0, 1), (0, 5)]
    for group in ("cyclic", "binary"):
        topology = Topology([cayley_expander(16, chosen, group=group) for chosen in generators])
        assert (reachability(topology).numpy() == (dense_paths(topology) > 0)).all()


@pytest.mark.parametrize("n, degree, depth", [
    (256, 2, 8), (256, 4, 4), (256, 8, 3), (96, 4, 4), (18, 3, 3), (12, 2, 4), (20, 2, 5), (100, 10, 2),
])  # fmt: skip
def test_shift_attains_the_depth_bound(n, degree, depth):  # S7, S9
    bound = next(layers for layers in range(n) if degree**layers >= n)
    fractions = reach_fractions(sao(n, degree, depth, "shift"))
    assert depth == bound and fractions[-1] == 1.0 and (fractions[:-1] < 1.0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 6), st.integers(1, 12))
def test_shift_attains_it_for_every_n_that_the_degree_divides(degree, factor):
    n = degree * factor
    depth = next(layers for layers in range(n) if degree**layers >= n)
    fractions = reach_fractions(sao(n, degree, depth, "shift"))
    assert fractions.tolist() == [min(1.0, degree**layers / n) for layers in range(1, depth + 1)]


@settings(max_examples=40, deadline=None)
@given(topologies())
def test_full_reach_needs_enough_wires(topology):
    out = math.prod(int(layer.out_degrees().max()) for layer in topology)
    into = math.prod(layer.largest_in_degree for layer in topology)
    if is_path_connected(topology):
        assert out >= topology.sizes[-1] and into >= topology.sizes[0]


def test_aligned_never_mixes():  # S8
    assert reach_fractions(sao(256, 4, 12, "aligned")).tolist() == [4 / 256] * 12


def test_a_radix_cascade_fills_at_the_bound():
    assert reach_fractions(radix_net([(4,) * 4])).tolist() == [4**depth / 256 for depth in range(1, 5)]


@pytest.mark.parametrize("degree, full", [(2, {12, 13}), (4, {6}), (8, {4})])
def test_random_placements_fill_a_layer_or_two_later(degree, full):
    for seed in range(5):
        fractions = reach_fractions(sao(256, degree, 13, seed=seed))
        assert int((fractions < 1).sum()) + 1 in full


def test_random_placements_of_degree_4_follow_the_mean_field():
    expected = [4 / 256]
    while len(expected) < 6:
        deaf = 256 * (1 - expected[-1])
        expected.append(1 - math.prod((deaf - k) / (256 - k) for k in range(4)))
    runs = torch.stack([reach_fractions(sao(256, 4, 6, seed=seed)) for seed in range(10)])
    assert runs.mean(dim=0).tolist() == pytest.approx(expected, abs=0.006)
    assert 0.97 < runs[:, 4].min() and runs[:, 4].max() < 0.99  # just misses five layers


def test_fig_8_is_impossible_for_degree_2():
    for placement in ("random", "shift", "aligned"):
        assert reach_fractions(sao(256, 2, 5, placement))[-1] <= 32 / 256
    assert reach_fractions(sao(256, 2, 5))[-1] == pytest.approx(0.118, abs=0.005)


def test_products_in_f2_lose_every_pair_with_an_even_count():
    aligned = sao(8, 2, 2, "aligned")  # S10
    assert reach_fractions(aligned)[-1] == 0.25 and f2_product(aligned).sum() == 0
    shift = sao(256, 4, 5, "shift")  # S11
    assert reachability(shift).all() and f2_product(shift).sum() == 0
    random = [sao(256, 4, 5, seed=seed) for seed in range(5)]
    assert np.mean([f2_product(topology).mean() for topology in random]) == pytest.approx(0.495, abs=0.01)


def test_fig_3_two_layers_of_degree_2_join_all_of_four():
    assert (dense_paths(sao(4, 2, 2, "shift")) == 1).all()


def test_shift_can_stall_where_sizes_change():
    sizes = (1024, 512, 256, 256, 256, 256, 256)
    shift = Topology([biregular(*pair, 4, placement="shift") for pair in zip(sizes, sizes[1:])])
    assert reach_fractions(shift).tolist() == pytest.approx([4 / 1024, 1 / 64, 1 / 64, 1 / 16, 1 / 4, 1], abs=1e-15)
    sizes += (256, 256)
    random = Topology([biregular(*pair, 4, seed=seed) for seed, pair in enumerate(zip(sizes, sizes[1:]))])
    fractions = reach_fractions(random)
    assert fractions[7] == 1.0 > fractions[6]


def test_pruning_at_equal_density_never_reaches_everything():
    topology = Topology(
        magnitude_pruned([np.random.default_rng(s).standard_normal((256, 256)) for s in range(12)], 1 / 64)
    )
    dead_in, dead_out = (topology[0].out_degrees() == 0).sum(), (topology[-1].in_degrees() == 0).sum()
    assert dead_in > 0 and dead_out > 0 and not is_path_connected(topology)
    # Of 1024 edges in 256 columns a column misses all with probability (1 - 1/256)^1024 or a little less.
    assert dead_in == pytest.approx(256 * (1 - 1 / 256) ** 1024, abs=4 * math.sqrt(4.7))
    bound = (1 - dead_in / 256) * (1 - dead_out / 256)
    assert 0.9 < reach_fractions(topology)[-1] <= bound


def test_path_connected_nets_are_recognised_input_by_input():
    assert is_path_connected(sao(256, 4, 6)) and not is_path_connected(sao(256, 4, 3))
    matrix = np.ones((130, 3), dtype=int)
    matrix[129, 1] = 0  # only the last input, in the third word, misses an output
    assert not is_path_connected(Topology([Layer.from_biadjacency(matrix)]))
    matrix[129, 1] = 1
    assert is_path_connected(Topology([Layer.from_biadjacency(matrix)]))


def test_a_net_of_brain_scale_is_refused_with_its_size():
    for who, ask in (("reachability", reachability), ("reach_fractions", reach_fractions)):
        with pytest.raises(NbkitError, match=rf"^{who}: .+ but it would take .+ ZiB\. Lower the number of nodes"):
            ask(BRAIN)


def test_a_dense_layer_counts_its_floats(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "2MiB")
    with pytest.raises(NbkitError, match="^reachability: .+ but it would take"):
        reachability(Topology([dense_layer(300, 300)]))
    assert reachability(mixed_radix((17, 17))).all()


@pytest.mark.parametrize("start, stop, rule", [
    (2, None, "start must be an integer between 0 and 1, got 2"), (-1, None, "start must be an integer between 0 and 1"),
    (0, 0, "stop must be an integer between 1 and 2, got 0"), (1, 1, "stop must be an integer between 2 and 2, got 1"),
    (0, 3, "stop must be an integer between 1 and 2, got 3"), (0.5, None, "start must be an integer between 0 and 1, got 0.5"),
    (0, "2", "stop must be an integer between 1 and 2, got '2'"),
])  # fmt: skip
def test_layers_that_do_not_exist_are_refused(start, stop, rule):
    with pytest.raises(NbkitError, match=f"^reachability: {rule}"):
        reachability(mixed_radix((2, 2)), start, stop)


@pytest.mark.parametrize("ask", [reachability, reach_fractions])
def test_no_topology_and_no_device_are_refused(ask):
    with pytest.raises(NbkitError, match=f"^{ask.__name__}: topology must be a Topology, got CirculantLayer"):
        ask(BRAIN[0])
    with pytest.raises(NbkitError, match=r"^choose_device: name .+ must be cpu, cuda or mps, got 'banana'"):
        ask(mixed_radix((2, 2)), device="banana")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
@pytest.mark.parametrize("topology", [
    radix_net([(2, 3), (3, 2), (3,)], [1, 2, 3, 1, 2, 1]), sao(256, 4, 5), sao(100, 10, 3, "shift"),
    Topology(magnitude_pruned([np.random.default_rng(s).standard_normal((90, 90)) for s in range(4)], 0.02)),
    Topology([random_expander(65, 300, 2, seed=1), random_expander(300, 130, 3, regular="in", seed=2)]),
    cascade(lambda seed: random_expander(300, 300, 150, seed=seed), 2),
    Topology([cayley_expander(64, (0, 3, 5), group="binary"), cayley_expander(64, (0, 3, 5))]),
], ids=repr)  # fmt: skip
def test_cuda_finds_what_the_cpu_finds(topology):
    for start in range(len(topology)):
        found = reachability(topology, start, device="cuda")
        assert found.is_cuda and torch.equal(found.cpu(), reachability(topology, start))
    assert torch.equal(reach_fractions(topology, device="cuda").cpu(), reach_fractions(topology))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
def test_reach_on_cuda_needs_no_notebook_package():
    assert not imported_after("reachability(mixed_radix((2, 2)), device='cuda')")


def test_reach_needs_no_notebook_package():
    assert not imported_after("reachability(mixed_radix((2, 2)))")


def imported_after(line: str) -> set[str]:
    """Which packages of the notebooks a fresh Python has imported after this line."""
    code = (
        "import sys; from nbkit.measure import reachability; from nbkit.topology import mixed_radix; " + line + "; "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return {"plotly", "ipywidgets", "anywidget", "IPython", "jupyterlab", "traitlets", "matplotlib"} & set(found)
