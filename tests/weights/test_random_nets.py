"""Ensembles of random sparse networks: counters, nested masks, shared weights, true densities, wires, memory."""

import math
import threading

import numpy as np
import pytest
import scipy.stats
import torch

from nbkit.errors import NbkitError
from nbkit.topology import Layer, Topology, biregular, radix_net
from nbkit.weights import Discrete, Gaussian, RandomNets, Uniform, noise

LAWS = [Gaussian(2.0), Uniform(3.0), Discrete(3), Discrete((-1, 1))]
NAMES = [law.name for law in LAWS]
WIDTHS = (40, 60, 50, 50, 50)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(noise, "_KEPT", {})


def every_weight(nets: RandomNets, n_nets: int = 2) -> list[np.ndarray]:
    return [nets.weights(net, layer).numpy() for net in range(n_nets) for layer in range(nets.depth)]


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
def test_masks_are_nested_in_the_density(law):
    previous = every_weight(RandomNets(WIDTHS, law, 0.05))
    for density in (0.1, 0.5, 0.99, 1.0):
        current = every_weight(RandomNets(WIDTHS, law, density))
        for sparse, dense in zip(previous, current, strict=True):
            assert (sparse[sparse != 0] == dense[sparse != 0]).all()
        previous = current


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
def test_weights_are_shared_across_scales(law):
    one, double = (every_weight(RandomNets(WIDTHS, each, 0.3)) for each in (law, law.scaled(2.5)))
    for a, b in zip(one, double, strict=True):
        assert b == pytest.approx(2.5 * a, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
def test_weights_follow_their_law_divided_by_the_root_of_the_inputs(law):
    dense = np.concatenate([w.ravel() * math.sqrt(w.shape[1]) for w in every_weight(RandomNets(WIDTHS, law))])
    oracle = law.sample(len(dense), seed=123).numpy()
    if isinstance(law, Discrete):
        found, counts = np.unique(dense.round(4), return_counts=True)
        assert found == pytest.approx(np.unique(oracle)) and scipy.stats.chisquare(counts).pvalue > 1e-4
    else:
        assert scipy.stats.ks_2samp(dense, oracle).pvalue > 1e-4


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
@pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
def test_the_true_density_is_that_of_the_mask_times_that_of_the_law(law, density):
    weights = np.concatenate([w.ravel() for w in every_weight(RandomNets(WIDTHS, law, density))])
    expected = density * law.density
    error = math.sqrt(expected * (1 - expected) / len(weights))
    assert abs(np.mean(weights != 0) - expected) <= 4.5 * error


def test_masks_and_weights_and_biases_are_independent():
    nets = RandomNets((300, 300), Gaussian(1.0), 0.5)
    kept, dense = nets.weights(0, 0) != 0, RandomNets((300, 300), Gaussian(1.0)).weights(0, 0)
    bias = nets.bias(0, 0)
    pairs = [(kept, dense), (kept, dense.abs()), (kept.float().mean(dim=1), bias), (dense.mean(dim=1), bias)]
    for a, b in pairs:
        correlation = np.corrcoef(a.numpy().ravel(), b.numpy().ravel())[0, 1]
        assert abs(correlation) < 4.5 / math.sqrt(a.numel())


def test_layers_and_networks_of_one_shape_differ():
    nets = RandomNets((50,) * 4, Gaussian(1.0), bias="paper")
    flat = np.stack([w.ravel() for w in every_weight(nets, n_nets=3)])
    assert np.abs(np.corrcoef(flat) - np.eye(9)).max() < 4.5 / math.sqrt(2500)
    biases = torch.stack([nets.bias(net, layer) for net in range(3) for layer in range(3)])
    assert len(torch.unique(biases, dim=0)) == 9


def test_a_network_does_not_depend_on_batch_or_order():
    nets = RandomNets(WIDTHS, Gaussian(1.0), 0.4, seed=7)
    together = nets.stacked_weights(range(9), 1).clone()
    backwards = [RandomNets(WIDTHS, Gaussian(1.0), 0.4, seed=7).weights(net, 1) for net in reversed(range(9))]
    assert torch.equal(together, torch.stack(backwards[::-1]))
    assert torch.equal(nets.stacked_weights(range(5, 7), 1), together[5:7])


def test_a_deeper_ensemble_begins_with_the_same_layers():
    shallow, deep = (RandomNets((30,) * n, Uniform(1.0), 0.4, seed=7) for n in (3, 6))
    assert torch.equal(shallow.weights(2, 1), deep.weights(2, 1))


def test_a_weight_handed_out_is_not_overwritten():
    nets = RandomNets((30,) * 3, Gaussian(1.0), 0.4)
    first = nets.weights(0, 0)
    before = first.clone()
    nets.weights(1, 1), nets.stacked_weights(range(1), 1)
    assert torch.equal(first, before)


def test_seeds_repeat_are_fresh_or_advance():
    def first(seed) -> torch.Tensor:
        return RandomNets((5, 5), Gaussian(1.0), seed=seed).weights(0, 0)

    generator = np.random.default_rng(0)
    assert torch.equal(first(3), first(3)) and not torch.equal(first(3), first(4))
    assert not torch.equal(first(None), first(None)) and not torch.equal(first(generator), first(generator))
    assert torch.equal(first(np.int64(3)), first(3))


@pytest.mark.parametrize(
    ("law", "oracle"),
    [(Gaussian(5.0), scipy.stats.norm(scale=0.01)), (Uniform(5.0), scipy.stats.uniform(-0.01, 0.02))],
)
def test_biases_of_the_paper_match_the_kind_and_not_the_scale_of_the_weights(law, oracle):
    nets = RandomNets((10, 4000), law, 0.01)
    assert scipy.stats.kstest(nets.bias(0, 0).numpy(), oracle.cdf).pvalue > 1e-3


def test_biases_of_a_discrete_law_are_two_values():
    values, counts = np.unique(RandomNets((10, 4000), Discrete(3), 0.01).bias(0, 0).numpy(), return_counts=True)
    assert values == pytest.approx([-0.01, 0.01]) and scipy.stats.chisquare(counts).pvalue > 1e-3


def test_biases_are_never_sparse_and_do_not_move_with_the_density():
    sparse, dense = (RandomNets((50, 50), Gaussian(2.0), density).bias(0, 0) for density in (0.01, 1.0))
    assert torch.equal(sparse, dense) and (sparse != 0).all()


def test_biases_take_a_law_or_none():
    assert RandomNets((5, 5), Gaussian(2.0), bias=None).bias(0, 0) is None
    other = RandomNets((5, 2000), Gaussian(2.0), bias=Discrete((-3, 3))).bias(0, 0)
    assert other.abs().unique().tolist() == [3.0]


def test_laws_and_densities_may_differ_by_layer():
    nets = RandomNets((200, 300, 100), (Gaussian(1.0), Discrete((-2, 2))), (0.2, 0.9))
    first, second = nets.weights(0, 0) * math.sqrt(200), nets.weights(0, 1) * math.sqrt(300)
    assert first.shape == (300, 200) and second.shape == (100, 300)
    assert (first != 0).float().mean() == pytest.approx(0.2, abs=0.01)
    assert (second != 0).float().mean() == pytest.approx(0.9, abs=0.01)
    assert second[second != 0].abs().unique().numpy() == pytest.approx(2.0)
    assert [nets.mean_square(0), nets.mean_square(1)] == pytest.approx([0.2 / 200, 0.9 * 4 / 300], rel=1e-4)


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
def test_mean_square_is_that_of_the_weights(law):
    nets = RandomNets((200, 500), law, 0.3)
    squares = nets.weights(0, 0).double() ** 2
    assert abs(squares.mean() - nets.mean_square(0)) < 4.5 * squares.std() / math.sqrt(squares.numel())


def test_the_smallest_density_keeps_about_one_weight_in_65536():
    nets = RandomNets((1000, 1000), Gaussian(1.0), 1e-9)
    n_kept = int((nets.weights(0, 0) != 0).sum())
    assert nets.densities == [2.0**-16] and 1 <= n_kept <= 40
    assert nets.mean_square(0) == pytest.approx(2.0**-16 / 1000)


@pytest.mark.parametrize(
    "topology",
    [radix_net([(3, 4)], [1, 2, 3]), Topology([biregular(12, 30, 5), biregular(30, 10, 3)])],
    ids=["radix", "sao"],
)
def test_fixed_wires_replace_the_mask(topology):
    nets = RandomNets(None, Gaussian(2.0), topology=topology)
    assert nets.widths == topology.sizes
    for layer, wires in enumerate(topology):
        mask = wires.biadjacency().numpy().T
        weights = nets.weights(1, layer).numpy()
        assert ((weights != 0) == mask).all()
        assert weights == pytest.approx(RandomNets(topology.sizes, Gaussian(2.0)).weights(1, layer).numpy() * mask)
        assert nets.mean_square(layer) == pytest.approx(4 / topology.sizes[layer])


def test_a_network_as_a_module_computes_what_its_weights_say():
    nets = RandomNets((6, 9, 4), Gaussian(2.0), 0.5, seed=3)
    x = np.random.default_rng(0).standard_normal((5, 6))
    z = x
    for layer in range(2):
        z = np.maximum(0, z @ nets.weights(2, layer).double().numpy().T + nets.bias(2, layer).double().numpy())
    module = nets.network(2)
    assert module(torch.from_numpy(x)).detach().numpy() == pytest.approx(z, rel=1e-12)
    assert all(linear.bias is None for linear in RandomNets((3, 3), Gaussian(1.0), bias=None).network(0)[::2])


def kept_bytes() -> int:
    return sum(
        entry.n_bytes
        for kept in noise._KEPT.values()
        for family in kept._families.values()
        for entry in family.values()
    )


@pytest.mark.parametrize("budget", [600 * 1024, 36 * 1024, 0])
def test_what_is_kept_fits_its_room_and_changes_nothing(monkeypatch, budget):
    laws = [Gaussian(1.0), Uniform(2.0)]
    roomy = [every_weight(RandomNets((50,) * 4, law, 0.5), 6) for law in laws]
    everything = kept_bytes()
    monkeypatch.setattr(noise, "_KEPT", {})
    monkeypatch.setattr(noise, "memory_budget", lambda device: budget)
    for law, expected in list(zip(laws, roomy, strict=True)) * 2:
        nets = RandomNets((50,) * 4, law, 0.5)
        for net in range(6):
            for layer in range(3):
                assert np.array_equal(nets.weights(net, layer).numpy(), expected[3 * net + layer])
                assert kept_bytes() == sum(kept._n_bytes for kept in noise._KEPT.values())
                assert kept_bytes() <= budget * 4 / 7  # the budget's half, and what is kept counts as free
    assert (kept_bytes() > 0) == (budget > 0) and kept_bytes() < everything


def test_a_family_makes_room_for_the_next(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "100KiB")
    for seed in range(5):
        every_weight(RandomNets((50, 50), Gaussian(1.0), 0.5, seed=seed), 4)
    (kept,) = noise._KEPT.values()
    assert {family[0] for family in kept._families} == {4}


def test_noise_kept_by_two_threads_counts_once():
    kept = noise._Kept(torch.device("cpu"))
    entry = noise.Noise(0, 0, 0, (5, 5), ("normal", "normal"))
    threads = [threading.Thread(target=kept.keep, args=(("family",), ("member",), entry)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept._n_bytes == entry.n_bytes


def test_a_layer_larger_than_the_budget_is_refused(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "10KiB")
    with pytest.raises(NbkitError, match="RandomNets: .*memory budget.*Lower the widths"):
        RandomNets((100, 100), Gaussian(1.0))


@pytest.mark.parametrize("widths", [(5,), (), (5, 0), (5, -1), (5.0, 5), "55", None, 5, (5, True)])
def test_widths_are_at_least_two_whole_numbers(widths):
    with pytest.raises(NbkitError, match="widths"):
        RandomNets(widths, Gaussian(1.0))


@pytest.mark.parametrize("density", [0, -0.5, 1.2, math.nan, math.inf, "half", True, None, np.array(1.5), [0.5, 1.2]])
def test_densities_lie_in_0_to_1(density):
    with pytest.raises(NbkitError, match=r"density must be a finite number in \(0, 1\]"):
        RandomNets((5, 5, 5), Gaussian(1.0), density)


def test_a_density_may_be_an_array_without_dimension():
    assert RandomNets((5, 5, 5), Gaussian(1.0), np.array(0.5)).densities == [0.5, 0.5]


@pytest.mark.parametrize("law", [None, 2.0, "gaussian", Gaussian, [Gaussian(1.0), 2]])
def test_a_law_is_a_law(law):
    with pytest.raises(NbkitError, match="law must be a law"):
        RandomNets((5, 5, 5), law)


def test_lists_have_one_entry_a_layer():
    with pytest.raises(NbkitError, match="density must have one entry for each of 2 layers, got 3"):
        RandomNets((5, 5, 5), Gaussian(1.0), (0.5, 0.5, 0.5))
    with pytest.raises(NbkitError, match="law must have one entry for each of 2 layers, got 1"):
        RandomNets((5, 5, 5), [Gaussian(1.0)])


@pytest.mark.parametrize("bias", ["none", 0.01, Gaussian])
def test_a_bias_is_the_papers_a_law_or_none(bias):
    with pytest.raises(NbkitError, match="bias must be"):
        RandomNets((5, 5), Gaussian(1.0), bias=bias)


@pytest.mark.parametrize("seed", [-1, 1.5, "seed", True])
def test_a_seed_is_a_whole_number_of_at_least_0(seed):
    with pytest.raises(NbkitError, match="seed must be"):
        RandomNets((5, 5), Gaussian(1.0), seed=seed)


def test_wires_must_be_a_topology_of_the_widths():
    wires = Topology([Layer.from_biadjacency(np.ones((2, 3), dtype=bool))])
    with pytest.raises(NbkitError, match="topology must be a Topology"):
        RandomNets(None, Gaussian(1.0), topology=wires[0])
    with pytest.raises(NbkitError, match=r"widths must chain with topology, \(2, 3\)"):
        RandomNets((3, 2), Gaussian(1.0), topology=wires)


@pytest.mark.parametrize("std", [1e40, 1e300, 1e-46, 1e-320])
def test_weights_that_single_precision_does_not_hold_are_refused(std):
    with pytest.raises(NbkitError, match="law must have a standard deviation in"):
        RandomNets((3, 3), Gaussian(std))
    with pytest.raises(NbkitError, match="bias must have a standard deviation in"):
        RandomNets((3, 3), Gaussian(), bias=Gaussian(std))


@pytest.mark.parametrize("method", ["weights", "bias"])
@pytest.mark.parametrize("net, layer", [(-1, 0), ("a", 0), (0.5, 0), (0, -1), (0, 2), (0, None)])
def test_a_network_or_layer_that_is_not_there_is_refused(method, net, layer):
    with pytest.raises(NbkitError, match=f"RandomNets.{method}: (net|layer) must be an integer"):
        getattr(RandomNets((3, 4, 2), Gaussian()), method)(net, layer)


def test_random_masks_are_not_fixed_wires():
    with pytest.raises(NbkitError, match="RandomNets.mask: topology must be given"):
        RandomNets((3, 4, 2), Gaussian()).mask(0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine with CUDA")
def test_weights_on_a_device_that_is_not_there_are_refused():
    with pytest.raises(NbkitError, match="which it does not have"):
        RandomNets((3, 2), Gaussian()).weights(0, 0, device="cuda")
