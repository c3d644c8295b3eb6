"""Networks with skips compute their formula, are born as the paper says, share what they are given; bad input is one error."""

import math

import numpy as np
import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.nets import FullSkipNet, SkipLayer, SkipNet

SHAPES = [((4, 16, 1), (9, 7)), ((1, 1), (1,)), ((3, 2), (5,)), ((2, 3, 1, 4), (6, 1, 5))]


def printed_layer(dtype=torch.float64):
    """The layer of SCIENCE 5.2's check block, made of rows."""
    rows = ([[1, -2], [0.5, 0]], [[1, 2], [3, -1]], [1, 0], [[1, 0], [0, -1]], [0, 1])
    return SkipLayer(*(torch.tensor(each, dtype=dtype) for each in rows))


def test_b1_the_layer_of_the_check_block():
    x = torch.tensor([1.0, 1.0], dtype=torch.float64)
    assert printed_layer()(x).tolist() == SkipNet.of([printed_layer()])(x[None])[0].tolist() == [-1, 1]


@pytest.mark.parametrize("widths, counts", SHAPES)
def test_a_network_computes_its_formula(widths, counts):
    net = SkipNet(widths, counts, seed=3).double()
    x = np.random.default_rng(0).normal(size=(11, widths[0]))
    wanted = x.T
    for layer in net.layers:
        V, W, b, C, c0 = (getattr(layer, name).detach().numpy() for name in ("V", "W", "b", "C", "c0"))
        wanted = V @ np.maximum(W @ wanted - b[:, None], 0) + C @ wanted + c0[:, None]
    np.testing.assert_allclose(net(torch.tensor(x)).detach(), wanted.T, rtol=1e-12, atol=1e-12)
    assert (net.widths, net.n_neurons) == (widths, counts)


@pytest.mark.parametrize("counts", [(6,), (5, 3), (4, 1, 7)])
def test_a_fully_connected_network_computes_its_formula(counts):
    net = FullSkipNet(3, counts, 2, seed=3).double()
    x = np.random.default_rng(0).normal(size=(11, 3))
    skips, biases, between = ([each.detach().numpy() for each in given] for given in (net.skips, net.biases, net.A))
    V, C, c0 = (each.detach().numpy() for each in (net.V, net.C, net.c0))
    h = np.maximum(x @ skips[0].T - biases[0], 0)
    for A, S, b in zip(between, skips[1:], biases[1:], strict=True):
        h = np.maximum(h @ A.T + x @ S.T - b, 0)
    np.testing.assert_allclose(net(torch.tensor(x)).detach(), h @ V.T + x @ C.T + c0, rtol=1e-12, atol=1e-12)
    assert [tuple(each.shape) for each in net.between] == [*zip(counts[1:], counts, strict=False)]


def test_the_papers_network_has_50641_parameters_and_its_full_twin_a_free_matrix_more():
    k = 81 * 16
    assert sum(each.numel() for each in SkipNet((4, 16, 1), k).parameters()) == 50_641
    wanted = k * k + 2 * k * (4 + 1) + k + 4 + 1
    assert sum(each.numel() for each in FullSkipNet(4, (k, k), 1).parameters()) == wanted


@pytest.mark.parametrize("make", [lambda seed: SkipNet((4, 16, 3), 400, seed=seed), lambda seed: FullSkipNet(4, (80, 80, 80), 3, seed=seed)])  # fmt: skip
def test_all_parameters_are_born_uniform_and_layers_differ(make):
    net = make(0)
    for values in net.parameters():
        assert values.abs().max() <= 1
        if values.numel() >= 400:
            assert values.std().item() == pytest.approx(1 / math.sqrt(3), rel=0.06)
            assert (values.min().item(), values.max().item()) == pytest.approx((-1, 1), abs=0.05)
    same, other, fresh = (torch.cat([each.flatten() for each in make(seed).parameters()]) for seed in (0, 1, None))
    born = torch.cat([each.flatten() for each in net.parameters()])
    assert torch.equal(born, same) and not torch.equal(born, other) and not torch.equal(born, fresh)
    assert len(set(born.tolist())) > 0.99 * len(born)


def test_matrices_are_named_and_what_stands_between_has_the_bottlenecks_rank():
    net = SkipNet((3, 2, 4, 1), (6, 7, 5)).double()
    assert list(net.matrices) == ["V1", "W1", "V2", "W2", "V3", "W3"]
    for place, layer in enumerate(net.layers, start=1):
        assert torch.equal(net.matrices[f"V{place}"], layer.V) and torch.equal(net.matrices[f"W{place}"], layer.W)
    assert [tuple(each.shape) for each in net.between] == [(7, 6), (5, 7)]
    assert [np.linalg.matrix_rank(each.numpy()) for each in net.between] == [2, 4]
    x = np.eye(6)
    torch.testing.assert_close(net.between[0].numpy() @ x, (net.layers[1].W @ net.layers[0].V).detach().numpy())
    assert not any(each.requires_grad for each in (*net.between, *net.matrices.values()))


def test_a_layer_keeps_the_tensors_it_is_given():
    given = [torch.ones(shape).double() for shape in ((2, 3), (3, 4), (3,), (2, 4), (2,))]
    net = SkipNet.of([SkipLayer(*given)])
    for values in given:
        values.fill_(2)
    assert all((values == 2).all() for values in net.parameters())
    net(torch.ones(1, 4).double()).sum().backward()
    assert all(values.grad is not None for values in net.parameters())


def test_lists_and_integers_become_one_floating_dtype():
    layer = SkipLayer([[1]], np.array([[2]]), torch.tensor([0], dtype=torch.float32), [[1]], np.array([0.5]))
    assert {each.dtype for each in layer.parameters()} == {torch.float64}
    assert layer(torch.ones(1).double()).item() == 3.5


def test_whole_numbers_stay_exact():
    layer = SkipLayer([[2049]], [[1]], [0], [[0]], [0])
    assert layer(torch.ones(1, dtype=layer.V.dtype)).item() == 2049


@pytest.mark.parametrize(
    "change, said",
    [
        ({"V": [1.0, 2.0]}, "must fit together, got the shapes"),
        ({"W": [[1.0, 2.0]]}, "must fit together"),
        ({"b": [0.0]}, "must fit together"),
        ({"C": [[1.0], [0.0]]}, "must fit together"),
        ({"c0": [0.0]}, "must fit together"),
        ({"b": [math.nan, 0.0]}, "SkipLayer: b must be finite"),
        ({"V": [[math.inf, 0.0], [0.0, 0.0]]}, "SkipLayer: V must be finite"),
        ({"V": "V"}, "SkipLayer: V must be an array of numbers"),
        ({"V": [[1j, 0.0], [0.0, 0.0]]}, "SkipLayer: the weights must be real"),
    ],
)
def test_a_layer_refuses(change, said):
    given = {name: values.tolist() for name, values in printed_layer().state_dict().items()}
    with pytest.raises(NbkitError, match=said):
        SkipLayer(**given | change)


def test_a_layer_without_neurons_is_refused():
    with pytest.raises(NbkitError, match="must fit together"):
        SkipLayer(torch.ones(2, 0), torch.ones(0, 2), torch.ones(0), torch.ones(2, 2), torch.ones(2))


@pytest.mark.parametrize(
    "layers, said",
    [
        ([], r"layers must be SkipLayers, at least one, got \[\]"),
        ([torch.nn.Linear(2, 2)], "layers must be SkipLayers"),
        (3, "layers must be SkipLayers"),
        (
            [SkipNet((2, 3), 4).layers[0], SkipNet((2, 1), 4).layers[0]],
            r"layers must chain, got widths in and out \[\(2, 3\), \(2, 1\)\]",
        ),
    ],
)
def test_layers_that_do_not_chain_are_refused(layers, said):
    with pytest.raises(NbkitError, match=f"SkipNet.of: {said}"):
        SkipNet.of(layers)


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: SkipNet((4, 0, 1), 8), "SkipNet: entry 2 of widths must be an integer of at least 1, got 0"),
        (lambda: SkipNet((4,), 8), "widths must have a length of at least 2"),
        (lambda: SkipNet(4, 8), "widths must be a list of integers"),
        (lambda: SkipNet((4, 1.5), 8), "entry 2 of widths"),
        (lambda: SkipNet((4, 1), 0), "SkipNet: entry 1 of n_neurons must be an integer of at least 1, got 0"),
        (lambda: SkipNet((4, 1), True), "n_neurons must be a list of integers"),
        (lambda: SkipNet((4, 2, 1), (8, 8, 8)), r"one for each of the 2 layers, got \(8, 8, 8\)"),
        (lambda: SkipNet((4, 1), 8, seed=-1), "SkipNet: seed must be"),
        (lambda: SkipNet((4, 10**7, 1), 10**7), "SkipNet: the result must fit.*Lower widths or n_neurons"),
        (lambda: FullSkipNet(0, (3,), 1), "FullSkipNet: n_in must be an integer of at least 1, got 0"),
        (lambda: FullSkipNet(4, (3,), 0), "FullSkipNet: n_out must be an integer of at least 1, got 0"),
        (lambda: FullSkipNet(4, (3, 0), 1), "entry 2 of n_neurons must be an integer of at least 1, got 0"),
        (lambda: FullSkipNet(4, (), 1), "n_neurons must have a length of at least 1"),
        (lambda: FullSkipNet(4, (10**7, 10**7), 1), "FullSkipNet: the result must fit.*Lower n_neurons"),
    ],
)
def test_networks_refuse(make, said):
    with pytest.raises(NbkitError, match=said):
        make()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
@pytest.mark.parametrize("net", [SkipNet((4, 16, 3, 2), (64, 32, 48)), FullSkipNet(4, (64, 32, 48), 2)])
def test_cuda_computes_what_the_cpu_does(net):
    net = net.double()
    x = torch.linspace(-2, 2, 200).double().reshape(50, 4)
    wanted = net(x)
    torch.testing.assert_close(net.cuda()(x.cuda()).cpu(), wanted, rtol=1e-12, atol=1e-11)
