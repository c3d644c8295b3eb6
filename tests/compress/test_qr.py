"""Theorem 5: the compressed network computes what the given one does, whatever its widths, activations and matrices."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune

from nbkit.compress import Compression, qr_compress, reduced_widths
from nbkit.errors import NbkitError
from nbkit.nets import RADIAL_FUNCTIONS, RadialActivation, RadialNet
from nbkit.topology import random_expander

EPS = 2.0**-52
WIDTHS = [
    (1, 8, 16, 8, 1), (1, 6, 7, 1), (2, 7, 9, 4, 2), (5, 3, 2, 4, 1), (3, 3, 10, 2, 9, 2), (2, 1, 1, 6, 1), (4, 2),
    (1, 30, 1), (3, 1, 9, 9, 9, 2),
]  # fmt: skip
ANY_H = [torch.tanh, torch.sin, lambda r: r**3 / (1 + r**2)]


def name_of(h: object) -> str:
    """The same in every process; the text of a function has its address."""
    return getattr(h, "__name__", str(h))


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def born(widths: tuple[int, ...], h: object = "squash", seed: int = 0, gain: float = 2.0) -> RadialNet:
    """A float64 network whose layers neither fade nor lie within 1e-6 of a jump for the inputs below."""
    drawn = [
        normal(n, m + 1, seed=seed * 100 + i, scale=gain / m**0.5) for i, (m, n) in enumerate(zip(widths, widths[1:]))
    ]
    return RadialNet.of([a[:, 1:] for a in drawn], [a[:, 0] for a in drawn], h)


def inputs(net: RadialNet, seed: int = 1) -> torch.Tensor:
    """Points whose pre-activations keep away from norms 0 and 1, where functions h jump."""
    x = z = normal(300, net.widths[0], seed=seed, scale=2.0)
    away = torch.ones(len(x), dtype=torch.bool)
    for linear, each in zip(net.linears, net.activations, strict=True):
        z = linear(z).detach()
        norm = z.norm(dim=1)
        away &= (norm > 1e-6) & ((norm - 1).abs() > 1e-6)
        z = each(z)
    assert away.sum() > 250
    return x[away]


def gap(one: nn.Module, other: nn.Module, x: torch.Tensor) -> float:
    """The largest difference of outputs, relative to the largest output."""
    with torch.no_grad():
        return ((one(x) - other(x)).abs().max() / one(x).abs().max()).item()


@pytest.mark.parametrize("h", [*RADIAL_FUNCTIONS, *ANY_H], ids=name_of)
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_theorem_5_the_function_is_the_same(widths, h):
    net = born(widths, h)
    assert gap(net, qr_compress(net).net, inputs(net)) < 1e-10


@pytest.mark.parametrize(
    "widths, reduced, before, after",
    [
        ((1, 8, 16, 8, 1), (1, 2, 3, 4, 1), 305, 34),
        ((1, 6, 7, 1), (1, 2, 3, 1), 69, 17),
        ((2, 16, 64, 128, 16, 2), (2, 3, 4, 5, 6, 2), 11554, 100),
        ((1, 4, 4, 1), (1, 2, 3, 1), 33, 17),
        ((5, 3, 2, 4, 1), (5, 3, 2, 3, 1), 43, 39),
        ((3, 3, 10, 2, 9, 2), (3, 3, 4, 2, 3, 2), 121, 55),
        ((4, 2), (4, 2), 10, 10),
    ],
)
def test_widths_and_parameters_are_those_of_the_paper(widths, reduced, before, after):
    found = qr_compress(RadialNet(widths))
    assert reduced_widths(widths) == found.widths == found.net.widths == reduced
    assert (found.n_parameters_before, found.n_parameters) == (before, after)
    assert sum(values.numel() for values in found.net.parameters()) == after
    assert [tuple(q.shape) for q in found.rotations] == [(n, n) for n in widths[1:-1]]


@given(st.lists(st.integers(1, 9), min_size=2, max_size=7))
def test_it_shrinks_just_where_a_hidden_layer_is_wider_than_the_one_before_plus_one(widths):
    grows = any(n > m + 1 for m, n in zip(widths[:-2], widths[1:-1]))
    reduced = reduced_widths(widths)
    assert (reduced != tuple(widths)) == grows
    assert all(r <= min(n, widths[0] + i) for i, (r, n) in enumerate(zip(reduced[:-1], widths)))


def test_an_encoder_stays_as_large_as_it_is():
    net = born((9, 7, 4, 4, 1, 1))
    found = qr_compress(net)
    assert found.widths == net.widths and found.n_parameters == net.n_parameters
    assert gap(net, found.net, inputs(net)) < 1e-13


def test_a_network_of_one_layer_is_unchanged():
    net = born((4, 3))
    found = qr_compress(net)
    assert found.rotations == () and torch.equal(found.net[0].weight, net[0].weight)
    assert torch.equal(found.net[0].bias, net[0].bias)


@pytest.mark.parametrize("h", ["squash", "shifted_sigmoid", torch.tanh], ids=name_of)
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_behind_each_layer_the_original_is_q_inc_of_the_compressed(widths, h):
    net = born(widths, h, seed=2)
    found = qr_compress(net)
    z = small = inputs(net)
    for i, q in enumerate(found.rotations):
        assert (q.T @ q - torch.eye(len(q))).abs().max() < 1e-13
        z, small = net[2 * i + 1](net[2 * i](z)), found.net[2 * i + 1](found.net[2 * i](small))
        torch.testing.assert_close(z, small @ q[:, : found.widths[i + 1]].T, rtol=0, atol=1e-12)


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_algorithm_1_in_numpy_gives_the_same_up_to_the_signs_of_rows(widths):
    net, found = born(widths), qr_compress(born(widths))
    inclusion = np.eye(widths[0])
    for linear, small in zip(net.linears[:-1], found.net.linears, strict=False):
        a = np.column_stack([linear.bias.detach(), linear.weight.detach().numpy() @ inclusion])
        q, r = np.linalg.qr(a, mode="complete")
        inclusion = q[:, : len(small.bias)]
        ours = np.column_stack([small.bias.detach(), small.weight.detach()])
        np.testing.assert_allclose(np.abs(ours), np.abs(r[: len(ours)]), atol=1e-12)
        assert np.array_equal(ours, np.triu(ours))


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_each_step_computes_the_same_and_the_last_is_the_compressed_network(widths):
    net = born(widths, "sigmoid", seed=3)
    found = qr_compress(net)
    for i in range(len(widths) - 1):
        step = found.step(i)
        assert step.widths == found.widths[: i + 1] + widths[i + 1 :]
        assert gap(net, step, inputs(net)) < 1e-12
    for ours, theirs in zip(step.parameters(), found.net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)


@pytest.mark.parametrize("n_layers", [-1, 3, 1.0])
def test_a_step_beyond_the_hidden_layers_is_refused(n_layers):
    with pytest.raises(NbkitError, match="Compression.step: n_layers must be an integer between 0 and 2"):
        qr_compress(born((1, 4, 4, 1))).step(n_layers)


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_the_transformed_network_holds_the_compressed_one_over_blocks_of_zeros(widths):
    net = born(widths)
    found = qr_compress(net)
    assert gap(net, found.transformed, inputs(net)) < 1e-12
    for linear, small in zip(found.transformed.linears, found.net.linears, strict=True):
        n_out, n_in = small.weight.shape
        torch.testing.assert_close(linear.weight[:n_out, :n_in], small.weight, rtol=0, atol=1e-13)
        torch.testing.assert_close(linear.bias[:n_out], small.bias, rtol=0, atol=1e-13)
        below = [*linear.weight[n_out:, :n_in].flatten(), *linear.bias[n_out:]]
        assert max(map(abs, below), default=0) < 1e-13


def test_a_chain_of_the_users_own_is_compressed():
    torch.manual_seed(0)
    chain = nn.Sequential(
        nn.Sequential(nn.Linear(2, 9, bias=False), nn.Identity(), RadialActivation("sigmoid")),
        nn.Linear(9, 12), nn.Linear(12, 5), RadialActivation(torch.tanh), nn.Linear(5, 7), RadialActivation("squash"),
    ).double()  # fmt: skip
    found = qr_compress(chain)
    assert found.widths == (2, 3, 4, 5, 7) and len(found.net) == 8
    assert found.n_parameters_before == sum(values.numel() for values in chain.parameters()) + 9
    assert gap(chain, found.net, normal(100, 2)) < 1e-13


def huge(module):
    """Every parameter at the edge of float32."""
    for values in module.parameters(recurse=False):
        nn.init.constant_(values, 3e38)


@pytest.mark.parametrize(
    "net, said",
    [
        (nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 1)), "got ReLU. A pointwise activation treats every coordinate by itself and does not commute with rotations"),
        (nn.Sequential(nn.Linear(2, 5), nn.Tanh()), "got Tanh. A pointwise"),
        (nn.Linear(2, 5), "net must be an nn.Sequential of Linear and RadialActivation, got Linear"),
        ([nn.Linear(2, 5)], "net must be an nn.Sequential"),
        (RadialNet((2, 5, 1)).half(), r"net must be in float32 or float64, got torch.float16. Use net.float\(\) first"),
        (RadialNet((2, 5, 1)).bfloat16(), "float32 or float64, got torch.bfloat16"),
        (nn.Sequential(nn.Linear(2, 5), nn.Linear(5, 1).double()), "one dtype and device"),
        (nn.Sequential(nn.Linear(1, 5), RadialActivation(), nn.Linear(5, 1)).apply(huge), "weights whose lengths are finite in torch.float32, got larger ones. Use net.double"),
        (RadialNet((2, 5, 1)).to("meta"), "matrix 1 of weights must be an array of numbers"),
        (nn.Sequential(prune.random_unstructured(nn.Linear(2, 5), "weight", 0.5)), "a Linear with forward hooks. Remove them"),
        (nn.Sequential(nn.LazyLinear(5)), "got a LazyLinear with forward hooks"),
    ],
)  # fmt: skip
def test_other_networks_are_refused_with_the_reason(net, said):
    with pytest.raises(NbkitError, match=f"qr_compress: .*{said}"):
        qr_compress(net)


def test_a_hook_that_changes_what_a_layer_gives_is_no_part_of_the_weights():
    net = RadialNet((2, 5, 1))
    handle = net[0].register_forward_hook(lambda module, given, output: 2 * output)
    with pytest.raises(NbkitError, match=r"qr_compress: net must compute from its weights alone.*handle.remove\(\)"):
        qr_compress(net)
    handle.remove()
    assert qr_compress(net).widths == (2, 3, 1)


def test_one_linear_in_two_places_parametrized_and_frozen_ones_are_compressed():
    tied = nn.Linear(4, 4)
    chain = [nn.Linear(2, 4), RadialActivation(), tied, RadialActivation(), tied, RadialActivation(), nn.Linear(4, 9)]
    chain += [RadialActivation("sigmoid"), nn.utils.parametrizations.orthogonal(nn.Linear(9, 9)), nn.Linear(9, 1)]
    net = nn.Sequential(*chain).double().requires_grad_(False).eval()
    found = qr_compress(net)
    assert found.widths == (2, 3, 4, 4, 5, 6, 1)
    assert gap(net, found.net, normal(100, 2)) < 1e-13


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["weight", "bias"])
def test_entries_that_are_not_finite_are_refused(bad, where):
    net = RadialNet((2, 5, 1))
    with torch.no_grad():
        getattr(net[2], where)[0] = bad
    with pytest.raises(
        NbkitError, match="qr_compress: matrix 2 of weights must be finite|qr_compress: bias 2 must be finite"
    ):
        qr_compress(net)


@pytest.mark.parametrize("widths", [(3,), (3, 0, 2), (3, 2.5, 2), None])
def test_widths_that_are_none_are_refused(widths):
    with pytest.raises(NbkitError, match="reduced_widths: "):
        reduced_widths(widths)


def test_the_given_network_stays_and_its_later_training_changes_nothing():
    net = born((2, 6, 6, 1))
    before = copy.deepcopy(net)
    found, x = qr_compress(net), inputs(net)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), before.parameters(), strict=True))
    steps = torch.optim.SGD(net.parameters(), lr=0.1)
    net(x).square().sum().backward()
    steps.step()
    assert all(values.grad is None for values in [*found.net.parameters(), *found.original.parameters()])
    assert gap(before, found.net, x) < 1e-13 and gap(before, found.transformed, x) < 1e-13
    assert gap(net, found.net, x) > 1e-3


def test_activations_are_copied_with_their_shift_and_their_own_parameters():
    net = RadialNet((2, 9, 9, 1), [RadialActivation("shifted_relu", shift=0.3), "sigmoid"])
    small = qr_compress(net).net
    assert small[1].shift == 0.3 and small[1] is not net[1] and small[3].name == "sigmoid"


def test_float32_stays_float32_and_its_rounding_is_that_of_experiment_1():
    x = torch.linspace(-3, 3, 121)[:, None]
    differences = []
    for seed in range(10):
        net = RadialNet((1, 6, 7, 1), "shifted_sigmoid", seed=seed).float()
        found = qr_compress(net)
        assert {values.dtype for values in [*found.net.parameters(), *found.rotations]} == {torch.float32}
        differences.append((net(x) - found.net(x)).abs().mean().item())
    assert 1e-9 < np.mean(differences) < 1e-7  # the paper: 1.31e-8; one bit of an output near 0.25 is 3e-8


def test_where_whole_numbers_cancel_rounding_decides_whether_a_sigmoid_jumps():
    differ = {"sigmoid": 0, "squash": 0}
    for seed in range(40):
        weight = np.random.default_rng(seed).integers(-3, 4, (5, 2))
        for h in differ:  # the pre-activation is 0 exactly, in the given network
            net = RadialNet.of([weight, np.ones((1, 5))], [-weight.sum(axis=1), None], h)
            point = torch.ones(2, dtype=torch.float64)
            differ[h] += (net(point) - qr_compress(net).net(point)).abs().item() > 1e-9
            away = point + 1e-6
            assert (net(away) - qr_compress(net).net(away)).abs().item() < 1e-8
    assert differ["sigmoid"] > 0 and differ["squash"] == 0


def test_step_relu_on_the_unit_sphere_is_such_a_case_and_next_to_it_is_none():
    kept = 0
    for seed in range(40):
        direction = normal(5, 1, seed=seed)
        weight = direction / direction.norm()
        for size, lossless in ((1 + 1e-9, True), (1 - 1e-9, True), (1.0, None)):
            net = RadialNet.of([weight, torch.ones(1, 5)], [None, None], "step_relu")
            point = torch.tensor([[size]], dtype=torch.float64)
            differs = (net(point) - qr_compress(net).net(point)).abs().item() > 1e-9
            assert not (lossless and differs)
            kept += differs
    assert kept > 0


def test_qr_destroys_sparsity():
    widths = (6, 24, 48, 48, 24, 6)
    layers = [random_expander(m, n, 4, seed=i) for i, (m, n) in enumerate(zip(widths, widths[1:]))]
    weights = [normal(n, m, seed=i) * layer.mask() for i, (m, n, layer) in enumerate(zip(widths, widths[1:], layers))]
    net = RadialNet.of(weights, [None] * 5, "squash")
    found = qr_compress(net)
    n_wires = sum(layer.n_edges for layer in layers)
    n_dense = sum(linear.weight.numel() for linear in net.linears)
    left = sum((linear.weight.abs() > 1e-12).sum().item() for linear in found.net.linears)
    n_left = sum(linear.weight.numel() for linear in found.net.linears)
    assert n_wires / n_dense < 0.2 and left / n_left > 0.5 and left < n_wires


def running_bound(net: RadialNet, x: torch.Tensor) -> torch.Tensor:
    """How far rounding may take the output of a chain of squashes, whose Lipschitz constant is below 1, at each point."""
    z, error = x, torch.zeros(len(x), dtype=torch.float64)
    for linear, each in zip(net.linears, net.activations, strict=True):
        norm, bias = linear.weight.norm(), linear.bias.norm()
        error = norm * error + 60 * EPS * len(net.widths) * sum(net.widths) * (norm * z.norm(dim=1) + bias)
        z = each(linear(z).detach())
        error = error if each.is_identity else error.clamp(max=2)
    return error + 1e-150


@st.composite
def degenerate_matrices(draw) -> list[np.ndarray]:
    """[b W] of each layer: zeros, few ranks, copied or zero columns and rows, zero biases, entries of any size."""
    widths = draw(st.lists(st.integers(1, 7), min_size=2, max_size=5))
    matrices = []
    for m, n in zip(widths, widths[1:]):
        rng = np.random.default_rng(draw(st.integers(0, 2**20)))
        kind = draw(st.sampled_from(["zero", "rank 1", "integers", "normal", "graded", "identity", "copies"]))
        a = {
            "zero": np.zeros((n, m + 1)),
            "rank 1": np.outer(rng.standard_normal(n), rng.standard_normal(m + 1)),
            "integers": rng.integers(-1, 2, (n, m + 1)).astype(float),
            "normal": rng.standard_normal((n, m + 1)),
            "graded": rng.standard_normal((n, m + 1)) * 10.0 ** rng.integers(-12, 12, (1, m + 1)),
            "identity": np.eye(n, m + 1),
            "copies": np.repeat(rng.standard_normal((n, 1)), m + 1, axis=1),
        }[kind]
        a *= 10.0 ** draw(st.sampled_from([0, 0, 0, 1, -8, 8, -150, 100, -300]))
        a[:, : draw(st.integers(0, 2))] = 0
        a[draw(st.integers(0, n)) :] *= draw(st.sampled_from([0, 1, 1]))
        matrices.append(a)
    return matrices


@settings(max_examples=120, deadline=None)
@given(degenerate_matrices())
def test_no_degenerate_matrix_breaks_it(matrices):
    net = RadialNet.of([a[:, 1:] for a in matrices], [a[:, 0] for a in matrices], "squash")
    found = qr_compress(net)
    for q in found.rotations:
        assert (q.T @ q - torch.eye(len(q))).abs().max() < 1e-13
    x = torch.cat([normal(8, net.widths[0]), torch.zeros(1, net.widths[0]).double()])
    difference = (net(x) - found.net(x)).detach().norm(dim=1)
    assert difference.isfinite().all() and (difference <= running_bound(net, x)).all()


@settings(max_examples=60, deadline=None)
@given(degenerate_matrices(), st.sampled_from([-300, 290]))
def test_the_factors_are_right_at_any_size(matrices, power):
    """Q_i Inc_i [b W]_i^red is [b, W Q Inc]_i, which needs no activation and so no squares of norms."""
    matrices = [np.ldexp(a / max(np.abs(a).max(), 1e-300), round(power / math.log10(2))) for a in matrices]
    net = RadialNet.of([a[:, 1:] for a in matrices], [a[:, 0] for a in matrices], "squash")
    found = qr_compress(net)
    inclusion = torch.eye(net.widths[0]).double()
    for a, small, q in zip(matrices, found.net.linears, found.rotations, strict=False):
        wanted = torch.column_stack([torch.from_numpy(a[:, 0]), torch.from_numpy(a[:, 1:]) @ inclusion])
        inclusion = q[:, : small.out_features]
        ours = inclusion @ torch.column_stack([small.bias, small.weight]).detach()
        assert (ours - wanted).abs().max() <= 1e-13 * np.abs(a).max() + 1e-307


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=7),
    st.sampled_from([*RADIAL_FUNCTIONS, torch.tanh]),
    st.integers(0, 1000),
)
def test_theorem_5_for_any_depth_widths_and_activation(widths, h, seed):
    net = born(tuple(widths), h, seed)
    x = z = normal(50, widths[0], seed=seed, scale=2.0)
    safe = torch.ones(len(x), dtype=torch.bool)
    for linear, each in zip(net.linears, net.activations, strict=True):
        z = linear(z).detach()
        safe &= (z.norm(dim=1) > 1e-3) & ((z.norm(dim=1) - 1).abs() > 1e-6)
        z = each(z)
    if safe.any():
        with torch.no_grad():
            difference = (net(x) - qr_compress(net).net(x))[safe].abs().max()
        assert difference < 1e-10 * max(1.0, net(x).abs().max().item())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_cuda_compresses_as_the_cpu_does(widths):
    net = born(widths)
    found: Compression = qr_compress(copy.deepcopy(net).cuda())
    assert all(values.is_cuda for values in [*found.net.parameters(), *found.rotations])
    x = inputs(net)
    assert gap(net, copy.deepcopy(found.net).cpu(), x) < 1e-12
    assert gap(net, copy.deepcopy(found.transformed).cpu(), x) < 1e-12
    for i, q in enumerate(found.rotations):
        assert (q.T @ q - torch.eye(len(q)).to(q)).abs().max() < 1e-13
        assert gap(net, copy.deepcopy(found.step(i + 1)).cpu(), x) < 1e-12
