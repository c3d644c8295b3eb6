"""The network of equation (8): a dense matrix product, a value by hand, gradients, and input that does not fit."""

import math

import numpy as np
import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.topology import Topology, biregular, evaluate_fnn, mixed_radix, radix_net, random_expander

from .kinds import BRAIN_RADICES, LAYERS

TOPOLOGY = Topology([biregular(8, 12, 3), random_expander(12, 5, 2, seed=1)])


def parameters(topology, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda n: torch.randn(n, generator=generator, dtype=torch.float64).to(dtype)  # noqa: E731
    return [draw(layer.n_edges) for layer in topology], [draw(layer.n_out) for layer in topology]


def dense(topology, x, weights, biases, activation):
    for layer, weight, bias in zip(topology, weights, biases):
        matrix = torch.zeros(layer.n_out, layer.n_in, dtype=x.dtype)
        matrix[layer.edge_index()[1], layer.edge_index()[0]] = weight
        x = activation(x @ matrix.T + bias)
    return x


@pytest.mark.parametrize("activation", [torch.sigmoid, torch.tanh, torch.relu])
@pytest.mark.parametrize("topology", [TOPOLOGY, radix_net([(2, 3), (3,)], [1, 2, 3, 2]), *([Topology([layer])
    for layer in LAYERS.values()])], ids=repr)  # fmt: skip
def test_it_is_the_dense_network_with_the_other_weights_zero(topology, activation):
    weights, biases = parameters(topology)
    x = torch.randn(4, topology.sizes[0], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = evaluate_fnn(topology, x, weights, biases, activation)
    assert torch.allclose(found, dense(topology, x, weights, biases, activation), atol=1e-12)
    assert torch.allclose(evaluate_fnn(topology, x[2], weights, biases, activation), found[2], atol=1e-12)


def test_a_value_by_hand():
    # Fig. 8's smallest case: 2 -> 2 wires 0 -> 0, 0 -> 1, 1 -> 0, 1 -> 1, sigma at the outputs too, no bias on inputs.
    weights = [[1.0, -2.0, 3.0, 0.5]]
    found = evaluate_fnn(mixed_radix((2,)), [1.0, -1.0], weights, [[0.5, -1.0]])
    sums = (0.5 + 1.0 - 3.0, -1.0 - 2.0 - 0.5)
    assert found.tolist() == pytest.approx([1 / (1 + math.exp(-s)) for s in sums], abs=1e-15)


def test_gradients_flow_into_inputs_weights_and_biases():
    weights, biases = parameters(TOPOLOGY)
    x = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    leaves = [leaf.requires_grad_() for leaf in (x, *weights, *biases)]
    assert torch.autograd.gradcheck(
        lambda x, v, w, a, b: evaluate_fnn(TOPOLOGY, x, [v, w], [a, b], torch.tanh), leaves, atol=1e-7
    )
    ours = torch.autograd.grad(evaluate_fnn(TOPOLOGY, x, weights, biases, torch.tanh).square().sum(), leaves)
    theirs = torch.autograd.grad(dense(TOPOLOGY, x, weights, biases, torch.tanh).square().sum(), leaves)
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(ours, theirs))


def test_arrays_lists_and_mixed_dtypes_are_welcome():
    weights, biases = parameters(TOPOLOGY)
    x = np.arange(8)
    expected = evaluate_fnn(TOPOLOGY, torch.arange(8.0, dtype=torch.float64), weights, biases)
    assert torch.equal(evaluate_fnn(TOPOLOGY, x, [w.numpy() for w in weights], [b.tolist() for b in biases]), expected)
    mixed = evaluate_fnn(TOPOLOGY, torch.arange(8.0), weights, [b.float() for b in biases])
    assert mixed.dtype == torch.float64 and torch.allclose(mixed, expected, atol=1e-6)
    assert evaluate_fnn(TOPOLOGY, torch.arange(8.0), *parameters(TOPOLOGY, torch.float32)).dtype == torch.float32
    ones = [torch.ones(layer.n_edges, dtype=torch.int64) for layer in TOPOLOGY]
    zeros = [torch.zeros(layer.n_out, dtype=torch.int64) for layer in TOPOLOGY]
    assert evaluate_fnn(TOPOLOGY, torch.ones(8, dtype=torch.int64), ones, zeros).dtype == torch.get_default_dtype()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
def test_cuda_finds_what_the_cpu_finds():
    weights, biases = parameters(TOPOLOGY)
    x = torch.linspace(-1, 1, 24, dtype=torch.float64).view(3, 8)
    found = evaluate_fnn(TOPOLOGY, x.cuda(), weights, biases)
    assert found.is_cuda and torch.allclose(found.cpu(), evaluate_fnn(TOPOLOGY, x, weights, biases), atol=1e-12)


WEIGHTS, BIASES = parameters(TOPOLOGY)


@pytest.mark.parametrize("arguments, rule", [
    (([1.0] * 7, WEIGHTS, BIASES), r"x must have 8 columns, one for each input, got shape \(7,\)\. Give \(batch, n_in\)"),
    ((torch.ones(2, 2, 8), WEIGHTS, BIASES), r"x must have 8 columns, one for each input, got shape \(2, 2, 8\)"),
    ((1.0, WEIGHTS, BIASES), r"x must have 8 columns"), (("ab", WEIGHTS, BIASES), "x must be an array of numbers"),
    (([1.0] * 8, WEIGHTS[:1], BIASES), r"weights must hold one tensor a layer, of lengths \[24, 24\], got shapes \[\(24,\)\]"),
    (([1.0] * 8, [WEIGHTS[0], WEIGHTS[1][:3]], BIASES), r"weights must hold one tensor a layer, of lengths \[24, 24\], got"),
    (([1.0] * 8, WEIGHTS, [BIASES[0], BIASES[0]]), r"biases must hold one tensor a layer, of lengths \[12, 5\], got shapes"),
    (([1.0] * 8, WEIGHTS[0], BIASES), "weights must be a list, one tensor a layer, got tensor"),
    (([1.0] * 8, None, BIASES), "weights must be a list, one tensor a layer, got None"),
    (([1.0] * 8, WEIGHTS, [[1.0], "ab"]), "entry 2 of biases must be an array of numbers, got 'ab'"),
    (([1.0] * 8, WEIGHTS, BIASES, None), "activation must be a function, got None"),
    (([1.0] * 8, WEIGHTS, BIASES, "relu"), "activation must be a function, got 'relu'"),
], ids=[f"case{i}" for i in range(12)])  # fmt: skip
def test_what_does_not_fit_the_topology_is_refused(arguments, rule):
    with pytest.raises(NbkitError, match=f"^evaluate_fnn: {rule}"):
        evaluate_fnn(TOPOLOGY, *arguments)


def test_a_layer_is_no_topology():
    with pytest.raises(NbkitError, match="^evaluate_fnn: topology must be a Topology, got EdgeLayer"):
        evaluate_fnn(TOPOLOGY[0], [1.0] * 8, WEIGHTS[:1], BIASES[:1])


def test_a_net_of_brain_scale_is_refused():
    with pytest.raises(NbkitError, match="^evaluate_fnn: x must have 68719476736 columns"):
        evaluate_fnn(mixed_radix(BRAIN_RADICES), [1.0], [], [])
