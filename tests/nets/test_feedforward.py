"""A batch of networks is its networks: each by itself gives the same outputs, gradients and weights."""

import math

import numpy as np
import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.nets import FeedForward
from nbkit.topology import radix_net
from nbkit.weights import Discrete, Gaussian, RandomNets

WIDTHS = (6, 5, 5, 3)


@pytest.fixture
def inputs():
    return torch.randn(7, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("output", ["linear", "relu"])
@pytest.mark.parametrize("bias", ["paper", None])
def test_outputs_are_those_of_each_network_by_itself(inputs, output, bias):
    nets = FeedForward(WIDTHS, Gaussian(2.0), n_nets=4, output=output, bias=bias)
    alone = torch.stack([nets.network(i)(inputs) for i in range(4)])
    assert nets(inputs).shape == (4, 7, 3)
    torch.testing.assert_close(nets(inputs), alone)
    torch.testing.assert_close(nets(inputs.expand(4, -1, -1)), alone)
    assert bool((nets(inputs) < 0).any()) == (output == "linear")


def test_each_network_may_have_inputs_of_its_own(inputs):
    nets = FeedForward(WIDTHS, n_nets=2)
    both = torch.stack([inputs, -inputs])
    torch.testing.assert_close(nets(both)[1], nets.network(1)(-inputs))


def test_weights_are_those_of_the_ensemble_of_the_same_arguments():
    nets, born = (
        FeedForward(WIDTHS, Gaussian(3.0), 0.5, n_nets=3, seed=7),
        RandomNets(WIDTHS, Gaussian(3.0), 0.5, seed=7),
    )
    for layer in range(3):
        for net in range(3):
            assert torch.equal(nets.weights[layer][net], born.weights(net, layer))
            assert torch.equal(nets.biases[layer][net], born.bias(net, layer))


def test_networks_and_equal_layers_differ():
    nets = FeedForward((5, 5, 5), n_nets=2)
    drawn = [weights for layer in nets.weights for weights in layer]
    assert len({tuple(weights.flatten().tolist()) for weights in drawn}) == 4


def test_gradients_of_the_summed_losses_are_those_of_each_alone(inputs):
    nets = FeedForward(WIDTHS, n_nets=3)
    nets(inputs).square().mean(dim=(1, 2)).sum().backward()
    alone = nets.network(1)
    alone(inputs).square().mean().backward()
    for layer in range(3):
        torch.testing.assert_close(nets.weights[layer].grad[1], alone[2 * layer].weight.grad)
        torch.testing.assert_close(nets.biases[layer].grad[1], alone[2 * layer].bias.grad)


def test_a_network_by_itself_shares_no_memory_with_the_batch(inputs):
    nets = FeedForward(WIDTHS, n_nets=2)
    before, alone = nets(inputs), nets.network(0)
    with torch.no_grad():
        alone[0].weight.zero_()
        alone[0].bias.zero_()
    assert torch.equal(nets(inputs), before)


@pytest.mark.parametrize("sparse", [{"density": 0.4}, {"topology": radix_net([(2, 3), (3, 2)]), "widths": None}])
def test_what_is_0_at_birth_stays_0(sparse):
    nets = FeedForward(**{"widths": (6, 6, 6)} | sparse, law=Gaussian(1.0), n_nets=2)
    zeros = [weights == 0 for weights in nets.weights]
    optimizer = torch.optim.Adam(nets.parameters(), weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        nets(torch.ones(2, nets.widths[0])).square().sum().backward()
        optimizer.step()
    assert all(bool(zero.any()) for zero in zeros)
    for zero, layer in zip(zeros, range(nets.depth), strict=True):
        for net in range(2):
            alone = nets.network(net)[2 * layer].weight
            assert torch.equal(alone == 0, zero[net])


def test_sigma_w_at_birth_is_the_laws():
    # the standard error of a standard deviation of 250,000 normal numbers is std / sqrt(500,000)
    nets = FeedForward((500, 500, 500), Gaussian(3.0), n_nets=2)
    torch.testing.assert_close(nets.layer_sigma_w(), torch.full((2, 2), 3.0, dtype=torch.float64), rtol=0, atol=0.02)


def test_sigma_w_of_masked_layers_is_of_the_wires_that_are_there():
    nets = FeedForward((500, 500), Gaussian(3.0), 0.3)
    assert float(nets.sigma_w()) == pytest.approx(3.0, abs=0.05)


def test_sigma_w_is_the_mean_over_layers_of_std_times_root_fan_in():
    nets = FeedForward((4, 2, 1), bias=None)
    with torch.no_grad():
        nets.weights[0][0] = torch.tensor([[1.0, -1, 1, -1], [1, -1, 1, -1]])
        nets.weights[1][0] = torch.tensor([[5.0, 5.0]])
    assert nets.layer_sigma_w().tolist() == [[2.0, 0.0]] and float(nets.sigma_w()) == 1.0


def test_joined_batches_keep_their_networks_in_order(inputs):
    parts = [FeedForward(WIDTHS, Gaussian(sigma), n_nets=2, seed=3) for sigma in (1.0, 4.0)]
    nets = FeedForward.joined(parts)
    assert nets.n_nets == 4
    torch.testing.assert_close(nets(inputs), torch.cat([part(inputs) for part in parts]))
    with torch.no_grad():
        nets.weights[0].zero_()
    assert parts[0].weights[0].abs().sum() > 0


def test_joined_batches_keep_their_masks(inputs):
    parts = [FeedForward(WIDTHS, Gaussian(1.0), 0.5, n_nets=1, seed=seed) for seed in (1, 2)]
    nets = FeedForward.joined(parts)
    nets(inputs).sum().backward()
    assert bool((nets.weights[0].grad[nets.weights[0] == 0] == 0).all())


def test_a_discrete_law_without_mask_may_leave_its_zeros(inputs):
    nets = FeedForward(WIDTHS, Discrete(1), n_nets=2)
    nets(inputs).square().sum().backward()
    assert bool((nets.weights[0].grad[nets.weights[0] == 0] != 0).any())


def test_default_law_is_hes():
    assert float(FeedForward((400, 400)).sigma_w()) == pytest.approx(math.sqrt(2), abs=0.02)


def test_inputs_of_another_width_are_refused():
    with pytest.raises(NbkitError, match=r"FeedForward: inputs must be \(batch, 6\).*got \(7, 5\)"):
        FeedForward(WIDTHS)(torch.zeros(7, 5))


def test_inputs_for_another_number_of_networks_are_refused():
    with pytest.raises(NbkitError, match=r"got \(3, 7, 6\)"):
        FeedForward(WIDTHS, n_nets=2)(torch.zeros(3, 7, 6))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_nets": 0}, "FeedForward: n_nets must be an integer between 1"),
        ({"output": "softmax"}, "FeedForward: output must be one of"),
        ({"widths": (5,)}, "FeedForward: widths"),
        ({"law": 2.0}, "FeedForward: law must be a law"),
        ({"density": 0}, "FeedForward: density"),
    ],
)
def test_arguments_outside_their_ranges_are_refused(arguments, message):
    with pytest.raises(NbkitError, match=message):
        FeedForward(**{"widths": WIDTHS} | arguments)


def test_a_network_that_is_not_there_is_refused():
    with pytest.raises(NbkitError, match="FeedForward.network: i must be an integer between 0 and 1, got 2"):
        FeedForward(WIDTHS, n_nets=2).network(2)


@pytest.mark.parametrize(
    "others", [[], [FeedForward(WIDTHS), FeedForward((6, 5, 3))], [FeedForward(WIDTHS, bias=None), FeedForward(WIDTHS)]]
)
def test_batches_that_do_not_fit_are_not_joined(others):
    with pytest.raises(NbkitError, match=r"FeedForward.joined: batches must be"):
        FeedForward.joined(others)


def test_too_many_networks_are_refused_before_they_are_made(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "1MiB")
    with pytest.raises(NbkitError, match="Lower n_nets"):
        FeedForward((100, 100), n_nets=1000)


def test_activations_are_those_behind_each_layer(inputs):
    nets = FeedForward(WIDTHS, n_nets=2)
    images, alone = nets.activations(inputs), nets.network(1)
    for layer, image in enumerate(images, start=1):
        torch.testing.assert_close(image[1], alone[: 2 * layer](inputs))
    assert len(images) == 3 and torch.equal(images[-1], nets(inputs))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
def test_cuda_gives_the_outputs_of_the_cpu(inputs):
    nets = FeedForward(WIDTHS, Gaussian(2.0), 0.7, n_nets=3)
    wanted = nets(inputs)
    torch.testing.assert_close(nets.cuda()(inputs.cuda()).cpu(), wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(nets.network(0)(inputs.cuda()).cpu(), wanted[0], rtol=1e-4, atol=1e-4)
    assert nets.sigma_w().shape == (3,)


@pytest.mark.parametrize("x", [None, [[0.0]], np.zeros((1, 3)), torch.tensor(1.0), torch.zeros(1, 3).double()])
def test_inputs_that_are_no_tensor_of_the_weights_kind_are_refused(x):
    with pytest.raises(NbkitError, match="FeedForward: inputs must be a torch.float32 tensor"):
        FeedForward((3, 2))(x)


@pytest.mark.parametrize("batches", [None, "a", 1, [None], [torch.nn.ReLU()], torch.zeros(2)])
def test_what_is_no_batch_is_not_joined(batches):
    with pytest.raises(NbkitError, match="FeedForward.joined: batches must be"):
        FeedForward.joined(batches)
