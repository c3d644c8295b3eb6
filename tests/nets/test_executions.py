"""Executions: each equals the dense matrix, forward, backward and along dual numbers; which is chosen, and what is refused."""

import copy
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import forward_ad

from nbkit.errors import NbkitError
from nbkit.nets import SparseLinear, SparseSequential
from nbkit.nets.choose import DENSE_FROM, EXECUTIONS, WINDOWS_FROM
from nbkit.topology import (
    CirculantLayer,
    EdgeLayer,
    XorLayer,
    biregular,
    cayley_expander,
    dense_layer,
    kronecker,
    mixed_radix,
    random_expander,
)

WITH_DEAD_NODES = EdgeLayer(6, 5, [0, 0, 2, 5], [1, 3, 3, 0])
WITHOUT_WIRES = EdgeLayer(3, 2, [], [])
LAYERS = {
    "SAO, wide": biregular(12, 8, 3),
    "SAO, tall": biregular(8, 12, 3),
    "first place": mixed_radix((3, 4, 2))[0],
    "second place": mixed_radix((3, 4, 2))[1],
    "last place": mixed_radix((3, 4, 2))[2],
    "widths": kronecker(mixed_radix((3, 4, 2))[1], 2, 3),
    "many parts": mixed_radix((2, 32, 2))[1],
    "shifted": CirculantLayer(20, range(3, 12, 2)),
    "odd step": CirculantLayer(7, range(0, 5, 2)),
    "random": random_expander(10, 7, 3),
    "binary": XorLayer(8, [0, 3, 5]),
    "all": dense_layer(5, 4),
    "dead nodes": WITH_DEAD_NODES,
    "no wires": WITHOUT_WIRES,
}


def admitted(layer):
    for name in EXECUTIONS:
        try:
            yield SparseLinear(layer, execution=name).double()
        except NbkitError:
            assert name in ("blocks", "windows")


def both_ways(module, x, bias):
    """Outputs and gradients of a module, and those of its dense matrix."""
    x = x.clone().requires_grad_()
    wanted = nn.functional.linear(x, module.to_dense(), bias)
    upstream = torch.linspace(-1, 2, wanted.numel(), dtype=x.dtype).view(wanted.shape)
    variables = [x, module.weight, *([] if bias is None else [bias])]
    found = module(x)
    return [
        (each, *torch.autograd.grad(each, variables, upstream, allow_unused=True, materialize_grads=True))
        for each in (found, wanted)
    ]


def close(one, other):
    for found, wanted in zip(one, other, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("batch", [(4,), (1,), (0,), (), (2, 3)], ids=str)
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_every_execution_gives_outputs_and_gradients_of_the_dense_matrix(layer, batch):
    for module in admitted(layer):
        nn.init.normal_(module.bias)
        x = torch.randn(*batch, layer.n_in, dtype=torch.float64)
        close(*both_ways(module, x, module.bias))
        module.bias = None
        close(*both_ways(module, x, None))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_so_does_it_on_random_layers(data):
    n_in, n_out = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    wires = data.draw(st.sets(st.tuples(st.integers(0, n_in - 1), st.integers(0, n_out - 1))))
    layer = EdgeLayer(n_in, n_out, *([list(ends) for ends in zip(*wires, strict=True)] or [[], []]))
    for module in admitted(layer):
        close(*both_ways(module, torch.randn(3, n_in, dtype=torch.float64), module.bias))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_windows_are_right_for_every_place_radix_shift_and_width(data):
    radix, step, rest = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    n = radix * step * rest
    start = data.draw(st.integers(0, n - 1 - (radix - 1) * step))
    base = CirculantLayer(n, range(start, start + radix * step - step + 1, step))
    layer = kronecker(base, data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3)))
    try:
        module = SparseLinear(layer, execution="windows").double()
    except NbkitError:  # no tile of a height near the radix divides the labels
        return
    assert torch.equal(module.to_dense() != 0, layer.mask())
    close(*both_ways(module, torch.randn(3, layer.n_in, dtype=torch.float64), module.bias))


@pytest.mark.parametrize("name", ["SAO, wide", "second place", "widths", "many parts", "random", "dead nodes"])
def test_gradients_pass_gradcheck_also_along_dual_numbers_and_twice(name):
    layer = LAYERS[name]
    for module in admitted(layer):
        x = torch.randn(2, layer.n_in, dtype=torch.float64, requires_grad=True)

        def net(x, weight, bias, module=module):
            return torch.func.functional_call(module, {"weight": weight, "bias": bias}, (x,))

        variables = (x, module.weight, module.bias)
        assert torch.autograd.gradcheck(net, variables, check_forward_ad=True, fast_mode=True)
        assert torch.autograd.gradgradcheck(net, variables, fast_mode=True)


@pytest.mark.parametrize("name", ["blocks", "windows", "csr", "dense"])
def test_a_tangent_travels_through_a_chain(name):
    layer = dense_layer(8, 8) if name == "blocks" else mixed_radix((4, 2))[0]
    net = SparseSequential(SparseLinear(layer, execution=name), nn.Tanh(), SparseLinear(layer, execution=name)).double()
    x, velocity = torch.randn(2, 3, 8, dtype=torch.float64)
    tangents = []
    for each in (net, net.dense()):
        with forward_ad.dual_level():
            tangents.append(forward_ad.unpack_dual(each(forward_ad.make_dual(x, velocity))).tangent)
    torch.testing.assert_close(*tangents)


@pytest.mark.parametrize(
    ("layer", "name", "why"),
    [
        (biregular(256, 256, 4), "blocks", "64 complete blocks of 4 inputs and 4 outputs"),
        (mixed_radix((32, 32))[0], "windows", "32 shifts by 1: 64 windows of 48 labels each, 67% of their tiles'"),
        (mixed_radix((32, 32))[1], "blocks", "32 complete blocks of 32 inputs and 32 outputs"),
        (kronecker(mixed_radix((16, 16))[0], 2, 3), "windows", "16 shifts by 1"),
        (mixed_radix((32, 2))[0], "dense", "a density of 0.5, at least 0.25"),
        (mixed_radix((2, 2, 64))[0], "csr", "a density of 0.0078, below 0.25"),
        (random_expander(64, 64, 8), "csr", "a density of 0.12, below 0.25"),
        (random_expander(64, 64, 16), "dense", "a density of 0.25, at least 0.25"),
        (dense_layer(6, 4), "dense", "every input feeds every output"),
        (biregular(64, 64, 1), "csr", "a density of 0.016"),
        (cayley_expander(64, [0, 1, 5]), "csr", "below"),
    ],
    ids=str,
)
def test_the_execution_follows_from_the_wires_and_says_why(layer, name, why):
    module = SparseLinear(layer)
    assert module.execution == name
    assert why in module.why
    assert f"execution='{name}'" in repr(module)
    assert DENSE_FROM == 0.25 and WINDOWS_FROM == 32


@pytest.mark.parametrize(
    ("layer", "name", "message"),
    [
        (biregular(8, 8, 2), "rows", "execution must be one of 'blocks', 'windows', 'csr', 'dense', got 'rows'"),
        (biregular(8, 8, 2), "windows", "execution 'windows' takes the layers of mixed_radix"),
        (mixed_radix((3, 4))[0], "blocks", "must be a union of complete bipartite blocks.*share"),
        (WITH_DEAD_NODES, "blocks", "must be a union"),
        (EdgeLayer(3, 2, [0, 1], [0, 1]), "blocks", "blocks of one shape that every node belongs to"),
        (torch.ones(2, 2), None, "layer must be a Layer, got Tensor"),
    ],
)
def test_wires_that_an_execution_cannot_use_are_refused(layer, name, message):
    with pytest.raises(NbkitError, match=f"SparseLinear: .*{message}"):
        SparseLinear(layer, execution=name)


def test_bfloat16_runs_wherever_torch_has_it_and_is_refused_in_compressed_rows():
    x = torch.randn(4, 24)
    for module in admitted(LAYERS["second place"]):
        module = module.bfloat16()
        if module.execution == "csr":
            with pytest.raises(NbkitError, match="float32 or float64 for execution 'csr', got torch.bfloat16"):
                module(x.bfloat16())
        else:
            wanted = x.bfloat16().double() @ module.to_dense().double().T
            torch.testing.assert_close(module(x.bfloat16()).double(), wanted, rtol=0.05, atol=0.05)


def test_compressed_rows_say_nothing_of_beta():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SparseLinear(random_expander(64, 64, 2))(torch.ones(1, 64)).sum().backward()


def test_an_execution_is_shared_by_the_copies_of_its_layer():
    module = SparseLinear(biregular(8, 8, 2))
    assert copy.deepcopy(module)._run is module._run


def test_index_tensors_made_in_inference_mode_serve_training_later():
    net = SparseSequential(SparseLinear(biregular(8, 8, 2)), nn.Tanh(), SparseLinear(random_expander(8, 8, 1)))
    with torch.inference_mode():
        wanted = net(torch.ones(2, 8))
    found = net(torch.ones(2, 8))
    found.sum().backward()
    assert torch.equal(found, wanted)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_cuda_gives_outputs_and_gradients_of_the_cpu(layer):
    for module in admitted(layer):
        x = torch.randn(4, layer.n_in, dtype=torch.float64)
        found = []
        for device in ("cpu", "cuda"):
            placed = copy.deepcopy(module).to(device)
            y = placed(x.to(device))
            y.square().sum().backward()
            found.append([each.cpu() for each in (y.detach(), placed.weight.grad, placed.bias.grad)])
        close(*found)
