"""What is timed is the same layer by three ways of multiplying, and its bytes are those of theory; no test is timed."""

import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.measure import time_layer
from nbkit.measure.timing import layer_stacks, one_pass
from nbkit.topology import Topology, biregular, mixed_radix, random_expander

WIRES = {
    "SAO": biregular(12, 8, 3),
    "RadiX": mixed_radix((2, 3))[1],
    "X-Net": random_expander(6, 9, 2),
}


@pytest.mark.parametrize("layer", WIRES.values(), ids=WIRES)
def test_all_ways_are_one_function_with_one_gradient(layer):
    stacks = layer_stacks(Topology([layer]), "tanh", seed=1)
    x = torch.randn(5, layer.n_in, generator=torch.manual_seed(0), requires_grad=True)
    wanted = stacks["dense"](x)
    d_x, d_weight, d_bias = one_pass(stacks["dense"], x)
    for name in ("csr", "ours"):
        torch.testing.assert_close(stacks[name](x), wanted)
        found = one_pass(stacks[name], x)
        torch.testing.assert_close(found[0], d_x)
        torch.testing.assert_close(found[1].sum(), d_weight[layer.mask()].sum())
        torch.testing.assert_close(found[2].sort().values, d_bias.sort().values)


def test_three_ways_are_timed():
    found = time_layer(Topology([biregular(8, 8, 2), random_expander(8, 4, 3)]), 3, repeats=2, activation="relu")
    assert list(found) == ["dense", "csr", "ours"]
    assert all(cost.seconds > 0 and cost.step_bytes > 2 * cost.parameter_bytes for cost in found.values())


@pytest.mark.parametrize("layer", WIRES.values(), ids=WIRES)
def test_parameters_are_those_of_all_entries_or_of_the_wires(layer):
    found = time_layer(layer, 2, repeats=1)
    assert found["dense"].parameter_bytes == 4 * (layer.n_in * layer.n_out + layer.n_out)
    assert found["csr"].parameter_bytes == found["ours"].parameter_bytes == 4 * (layer.n_edges + layer.n_out)


def test_a_step_of_a_dense_layer_takes_its_parameters_twice_and_its_input_twice():
    batch, layer = 5, WIRES["SAO"]
    parameters = 4 * (layer.n_in * layer.n_out + layer.n_out)
    assert time_layer(layer, batch, repeats=1)["dense"].step_bytes == 2 * parameters + 2 * 4 * batch * layer.n_in


def test_bytes_of_a_chain_are_the_mean_over_its_layers():
    once, twice = (time_layer(Topology([WIRES["RadiX"]] * k), 2, repeats=1)["ours"] for k in (1, 2))
    assert once.parameter_bytes == twice.parameter_bytes


def test_a_width_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "1K")
    with pytest.raises(NbkitError, match="time_layer: .* Lower the width of the layers"):
        time_layer(WIRES["SAO"])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch": 0}, "time_layer: batch must be"),
        ({"repeats": 0}, "time_layer: repeats must be"),
        ({"activation": "sine"}, "time_layer: activation must be one of"),
    ],
)
def test_what_cannot_be_timed_is_refused(options, message):
    with pytest.raises(NbkitError, match=message):
        time_layer(WIRES["SAO"], **options)


def test_a_step_by_compressed_rows_counts_the_places_of_its_weights():
    layer = random_expander(256, 256, 16)
    found = time_layer(layer, 1, repeats=1)["csr"]
    assert found.step_bytes > 2 * found.parameter_bytes + 3 * 8 * layer.n_edges  # columns, rows, and the way back
