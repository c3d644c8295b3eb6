"""Sums over windows are the challenge's products: equal to compressed rows in every layer, for digits and small nets."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from nbkit.data import mnist_split
from nbkit.device import one_thread
from nbkit.errors import NbkitError
from nbkit.measure import is_symmetric
from nbkit.nets import (
    CHALLENGE_BIASES,
    challenge_inference,
    challenge_inputs,
    challenge_layers,
    challenge_net,
)
from nbkit.topology import Topology, cayley_expander, mixed_radix, radix_net

SMALL = {
    "(2, 3), (3, 2)": radix_net([(2, 3), (3, 2)]),
    "(3, 3, 4)": mixed_radix((3, 3, 4)),
    "a system of 14 on 42": mixed_radix((2, 7), 42),
    "widths 2, 3, 1": radix_net([(5, 2)], [2, 3, 1]),
}


@pytest.fixture(autouse=True)
def on_one_thread():
    with one_thread():
        yield


def by_compressed_rows(topology, inputs, weight=1 / 16, bias=-0.3, clip=32.0):
    """The challenge's own code: sparse times sparse, the bias on what is stored, ReLU, clip."""
    y = inputs
    for layer in topology:
        y = y @ (layer.to_scipy().astype(inputs.dtype) * inputs.dtype.type(weight))
        y.data = np.clip(y.data + inputs.dtype.type(bias), 0, clip)
        y.eliminate_zeros()
        yield y


def darkest_digits(n: int) -> torch.Tensor:
    """Those that live longest, and as many others."""
    images = torch.cat([mnist_split().train_images, mnist_split().test_images])
    order = (images > 0.5).sum(1).argsort(descending=True)
    return images[torch.cat([order[:n], order[n::97][:n]])]


def test_digits_have_the_activations_of_compressed_rows_behind_every_layer():
    topology, inputs = challenge_net(), challenge_inputs(darkest_digits(60))
    wanted = by_compressed_rows(topology, csr_array(inputs.numpy().astype(np.float32)))
    alive = []
    for found, y in zip(challenge_layers(topology, inputs), wanted, strict=True):
        dense = torch.from_numpy(y.toarray())
        assert torch.equal(found.rows, dense.any(1).nonzero()[:, 0])
        torch.testing.assert_close(found.values, dense[found.rows], rtol=1e-4, atol=1e-5)
        alive.append(len(found.rows))
    assert alive[0] > alive[1] > alive[2] > alive[-1] > 0  # some die in each of the first layers, one never does
    assert (found.values == 32).all()


@pytest.mark.parametrize("topology", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("bits", [True, False], ids=["bits", "reals"])
def test_every_radix_net_has_the_activations_of_dense_products(topology, bits):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (7, topology.sizes[0])).astype(bool) if bits else rng.normal(size=(7, topology.sizes[0]))
    y = x.astype(np.float64)
    for layer, found in zip(topology, challenge_layers(topology, x, weight=0.5, bias=-0.1, clip=3.0)):
        z = y @ (0.5 * layer.biadjacency().numpy())
        y = np.clip(z - 0.1 * (z != 0), 0, 3.0)
        assert np.array_equal(found.rows, np.nonzero(y.any(1))[0])
        np.testing.assert_allclose(found.values, y[found.rows], rtol=1e-6 if bits else 1e-12, atol=1e-6 if bits else 0)


def test_a_run_of_m_pixels_gives_m_sixteenths_and_the_bias():
    for m in (4, 5, 31):
        x = torch.zeros(1, 1024)
        x[0, 100 : 100 + m] = 1
        found = next(challenge_layers(challenge_net(), x))
        assert len(found.rows) == (m >= 5)  # 4 / 16 - 0.3 < 0
        assert found.values.numel() == 0 or found.values.max().item() == pytest.approx(m / 16 - 0.3, abs=1e-7)


def test_behind_a_full_system_and_one_more_layer_all_neurons_agree():
    *_, found = challenge_layers(challenge_net(1024, 3), challenge_inputs(darkest_digits(20)))
    torch.testing.assert_close(found.values, found.values[:, :1].expand_as(found.values))


def test_inference_is_the_last_layer_whatever_the_batch():
    inputs = challenge_inputs(darkest_digits(40))
    *_, wanted = challenge_layers(challenge_net(1024, 5), inputs)
    for batch in (None, 7, 1000):
        found = challenge_inference(challenge_net(1024, 5), inputs, batch=batch)
        assert torch.equal(found.rows, wanted.rows) and torch.equal(found.values, wanted.values)


def test_bits_are_counted_as_real_inputs_are():
    inputs = challenge_inputs(darkest_digits(10))
    for topology in (challenge_net(1024, 2), mixed_radix((300, 2))):
        x = inputs[:, : topology.sizes[0]]
        first, second = (challenge_inference(topology, each) for each in (x, x.double()))
        assert first.values.dtype == torch.float32 and second.values.dtype == torch.float64
        torch.testing.assert_close(first.values, second.values.float())


def test_when_nothing_survives_there_are_no_rows():
    found = challenge_inference(challenge_net(), torch.zeros(3, 1024))
    assert found.rows.shape == (0,) and found.values.shape == (0, 1024)
    assert challenge_inference(challenge_net(), torch.zeros(0, 1024)).values.shape == (0, 1024)


@pytest.mark.parametrize("n_neurons", CHALLENGE_BIASES)
def test_every_neuron_of_a_challenge_net_has_32_edges_on_either_side(n_neurons):
    topology = challenge_net(np.int64(n_neurons))
    assert topology.sizes == (n_neurons,) * 121
    assert all(layer.in_degree == layer.out_degree == 32 for layer in topology)
    assert is_symmetric(topology)


def test_pixels_are_put_in_the_middle_and_repeated():
    image = torch.zeros(1, 28, 28)
    image[0, 3, 5], image[0, 4, 5] = 0.51, 0.5
    small, large = (challenge_inputs(image.flatten(1), n) for n in (1024, 16384))
    assert small.view(32, 32).nonzero().tolist() == [[5, 7]]
    assert large.view(128, 128).nonzero().tolist() == [[y, x] for y in range(20, 24) for x in range(28, 32)]


X = torch.zeros(2, 6)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: challenge_net(2048), "challenge_net: n_neurons must be one of 1024, 4096"),
        (lambda: challenge_net(1024.0), "challenge_net: n_neurons must be an integer"),
        (lambda: challenge_net([1024]), "challenge_net: n_neurons must be an integer"),
        (lambda: challenge_net(1024, 0), "challenge_net: n_layers must be"),
        (lambda: challenge_inputs(X), r"challenge_inputs: images must be real, \(n_images, 784\)"),
        (lambda: challenge_inputs(torch.zeros(1, 784) + 0j), "challenge_inputs: images must be real"),
        (lambda: challenge_inference(radix_net([(2, 3)]), X + 0j), "challenge_inference: inputs must be real"),
        (lambda: challenge_inputs(torch.zeros(1, 784), 2048), "challenge_inputs: n_neurons must be 1024 times"),
        (lambda: challenge_inference(radix_net([(2, 3)]), X[:, :5]), r"inputs must be finite, \(n_inputs, 6\)"),
        (lambda: challenge_inference(radix_net([(2, 3)]), X + torch.nan), "inputs must be finite"),
        (lambda: challenge_inference(radix_net([(2, 3)]), X, bias=0.1), r"bias must be a finite number in \(-inf, 0\]"),
        (lambda: challenge_inference(radix_net([(2, 3)]), X, clip=0), "clip must be"),
        (lambda: challenge_inference(radix_net([(2, 3)]), X, weight=torch.inf), "weight must be"),
        (lambda: challenge_inference(radix_net([(2, 3)]), X, batch=0), "batch must be"),
    ],
)
def test_what_is_no_challenge_is_refused(call, message):
    with pytest.raises(NbkitError, match=message):
        call()


def test_wires_that_are_no_radix_net_are_refused():
    for offsets in ((0, 1, 4), (1, 2, 3)):
        with pytest.raises(NbkitError, match="challenge_inference: topology must be a RadiX-Net"):
            challenge_inference(Topology([cayley_expander(6, offsets)]), X)


def test_too_little_memory_is_said_before(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "1K")
    with pytest.raises(NbkitError, match="challenge_inference: .* Lower the number of inputs, or batch"):
        challenge_inference(radix_net([(2, 3)]), torch.zeros(100, 6))
