"""Radial rescalings are h(|v|) v / |v| in value and derivative, at 0 too; radial networks keep their function in any axes."""

import copy
import math

import mpmath
import numpy as np
import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from torch import nn
from torch.func import jacrev

from nbkit.errors import NbkitError
from nbkit.measure import arc_length, circle, growth_through, jacobian_singular_values, line
from nbkit.nets import RADIAL_FUNCTIONS, RadialActivation, RadialNet, n_radial_parameters
from nbkit.topology import radix_net

# h and h' as the paper writes them, in mpmath; shifts are 1
FORMULAS = {
    "step_relu": (lambda r: r if r >= 1 else mpmath.mpf(0), lambda r: mpmath.mpf(r >= 1)),
    "squash": (lambda r: r**2 / (r**2 + 1), lambda r: 2 * r / (r**2 + 1) ** 2),
    "shifted_relu": (lambda r: max(mpmath.mpf(0), r - 1), lambda r: mpmath.mpf(r > 1)),
    "sigmoid": (lambda r: 1 / (1 + mpmath.exp(-r)), lambda r: mpmath.exp(-r) / (1 + mpmath.exp(-r)) ** 2),
    "shifted_sigmoid": (lambda r: 1 / (1 + mpmath.exp(1 - r)), lambda r: mpmath.exp(1 - r) / (1 + mpmath.exp(1 - r)) ** 2),
    "identity": (lambda r: r, lambda r: mpmath.mpf(1)),
    "tanh": (mpmath.tanh, lambda r: mpmath.sech(r) ** 2),
}  # fmt: skip
NAMES = list(FORMULAS)
SMOOTH = ["squash", "sigmoid", "shifted_sigmoid", "identity", "tanh"]
JUMP = 1 / (1 + math.e)


def activation(name: str) -> RadialActivation:
    """By its name, or any h."""
    return RadialActivation(name if name in RADIAL_FUNCTIONS else getattr(torch, name))


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def rotation(n: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0])


def rotations(net: RadialNet, seed: int = 0) -> list[torch.Tensor]:
    return [rotation(n, seed + i) for i, n in enumerate(net.widths[1:-1])]


def exact(name: str, v: torch.Tensor) -> np.ndarray:
    """h(|v|) v / |v| of each row, in 40 digits."""
    rows = []
    with mpmath.workdps(40):
        for row in v.tolist():
            entries = [mpmath.mpf(entry) for entry in row]
            norm = mpmath.sqrt(sum(entry**2 for entry in entries))
            rows.append([float(FORMULAS[name][0](norm) * entry / norm) if norm else 0.0 for entry in entries])
    return np.array(rows)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 2, 7])
def test_values_are_the_formulas(name, n):
    scales = torch.logspace(-8, 5, 40).double()[:, None]
    v = torch.cat([normal(40, n) * scales, torch.zeros(1, n).double()])
    np.testing.assert_allclose(activation(name)(v).numpy(), exact(name, v), rtol=2e-15 * n, atol=1e-300)


def test_every_named_function_is_tested():
    assert set(RADIAL_FUNCTIONS) == set(NAMES) - {"tanh"}


def test_squash_of_3_4():
    found = RadialActivation("squash")(torch.tensor([3.0, 4.0]).double())
    assert found.tolist() == pytest.approx([25 / 26 * 0.6, 25 / 26 * 0.8], rel=1e-15)


@pytest.mark.parametrize("shift", [0.0, 0.5, -0.5, 3.0])
def test_shifts_are_b_and_s(shift):
    v = torch.tensor([[1.2, -1.6]], dtype=torch.float64)  # of norm 2
    for name, size in (("shifted_relu", max(0, 2 - shift)), ("shifted_sigmoid", 1 / (1 + math.exp(shift - 2)))):
        assert RadialActivation(name, shift=shift)(v)[0].tolist() == pytest.approx([0.6 * size, -0.8 * size], rel=1e-14)


def test_step_relu_keeps_the_unit_sphere_and_what_lies_outside_to_the_last_bit():
    inside = np.nextafter(1.0, 0.0)
    v = torch.tensor([[1.0, 0.0], [0.0, -1.0], [inside, 0.0], [0.0, 0.0]], dtype=torch.float64)
    assert torch.equal(RadialActivation("step_relu")(v), v * torch.tensor([[1.0], [1.0], [0.0], [0.0]]))
    outside = 2 * normal(500, 5) / normal(500, 5).norm(dim=1, keepdim=True)
    assert torch.equal(RadialActivation("step_relu")(outside), outside)


@pytest.mark.parametrize(
    "name, shift, jump",
    [("sigmoid", None, 0.5), ("shifted_sigmoid", 1.0, JUMP), ("shifted_relu", -0.7, 0.7), ("squash", None, 0.0)],
)
def test_jumps_at_0(name, shift, jump):
    found = RadialActivation(name, shift=shift)(torch.tensor([[3e-9, -4e-9], [0.0, 0.0]], dtype=torch.float64))
    assert found[0].norm().item() == pytest.approx(jump, abs=1e-8) and found[1].tolist() == [0, 0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 3])
def test_at_0_value_and_derivatives_of_both_orders_are_0_and_spoil_no_other_row(name, n):
    def derivatives(v: torch.Tensor) -> list[torch.Tensor]:
        v = v.clone().requires_grad_()
        y = activation(name)(v)
        (first,) = torch.autograd.grad((y * normal(*v.shape, seed=1)).sum(), v, create_graph=True)
        second = (
            torch.autograd.grad((first * normal(*v.shape, seed=2)).sum(), v, allow_unused=True)[0]
            if first.requires_grad
            else None
        )
        with forward_ad.dual_level():
            dual = activation(name)(forward_ad.make_dual(v.detach(), normal(*v.shape, seed=3)))
            tangent = forward_ad.unpack_dual(dual).tangent
        return [y.detach(), first.detach(), tangent] + ([] if second is None else [second])  # fmt: skip

    v = normal(3, n, seed=4, scale=2.0)
    with_zero = v.clone()
    with_zero[1] = 0
    for whole, holed in zip(derivatives(v), derivatives(with_zero), strict=True):
        assert torch.equal(holed[[0, 2]], whole[[0, 2]])
        assert name == "identity" or not holed[1].any()


@pytest.mark.parametrize("name", NAMES)
def test_the_jacobian_is_the_formula(name):
    for v in (normal(4, seed=5, scale=0.2), normal(4, seed=6, scale=1.0)):
        r = v.norm().item()
        u = (v / r)[:, None]
        h, slope = (float(function(mpmath.mpf(r))) for function in FORMULAS[name])
        expected = h / r * (torch.eye(4).double() - u @ u.T) + slope * u @ u.T
        torch.testing.assert_close(jacrev(activation(name))(v), expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_those_of_finite_differences_in_both_modes(name):
    v = normal(3, 4, seed=7, scale=1.2).requires_grad_()
    assert (v.norm(dim=1) - 1).abs().min() > 0.1
    assert torch.autograd.gradcheck(activation(name), v, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(activation(name), v)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 2, 9])
def test_it_commutes_with_rotations(name, n):
    v, q = normal(50, n, seed=8), rotation(n, seed=n)
    torch.testing.assert_close(activation(name)(v @ q.T), activation(name)(v) @ q.T, rtol=0, atol=1e-14)


def test_a_pointwise_relu_does_not_commute_with_rotations():
    v, q = normal(50, 3), rotation(3)
    assert (torch.relu(v @ q.T) - torch.relu(v) @ q.T).abs().max() > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_on_a_coordinate_subspace_it_is_the_same_function(name):
    v = normal(20, 3, seed=9)
    wide = nn.functional.pad(v, (0, 4))
    torch.testing.assert_close(
        activation(name)(wide), nn.functional.pad(activation(name)(v), (0, 4)), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", NAMES)
def test_narrow_dtypes_keep_their_dtype_and_its_precision(name, dtype):
    v = (normal(30, 4, seed=10) * torch.logspace(-2, 2.5, 30).double()[:, None]).to(dtype)
    v = v[(v.double().norm(dim=1) - 1).abs() > 0.02]
    found = activation(name)(v)
    assert found.dtype == dtype
    assert (found.double() - torch.from_numpy(exact(name, v.double()))).abs().max() < 300 * 2 * torch.finfo(dtype).eps
    assert found.isfinite().all()


def test_a_norm_below_the_normal_numbers_counts_as_0():
    assert RadialActivation("sigmoid")(
        torch.tensor([[1e-310], [-1e-300]], dtype=torch.float64)
    ).flatten().tolist() == pytest.approx([0, -0.5], rel=1e-15)


@pytest.mark.parametrize("h", NAMES[:-1])
def test_an_activation_tells_its_name(h):
    assert RadialActivation(h).name == h and h in repr(RadialActivation(h))
    assert "shift=0.25" in repr(RadialActivation("shifted_relu", shift=0.25))


def test_a_function_that_happens_to_be_called_identity_is_used():
    def identity(r):
        return 2 * r

    net = RadialNet((2, 3), output=identity)
    assert len(net) == 2
    torch.testing.assert_close(net(torch.ones(2)), 2 * net[0](torch.ones(2)))


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("relu",), "h must be one of 'step_relu', .*got 'relu'"),
        ((3,), "h must be one of"),
        ((lambda r: 1 / r,), r"got h\(0\) that is not finite"),
        ((torch.exp,), r"got h\(\d+\) that is not finite"),
        ((torch.sum,), "finite tensor of the shape of r.*no such tensor"),
        ((lambda r: 1.0,), "no such tensor"),
        ((lambda r: r.numpy(),), "no such tensor"),
        ((lambda r: r + 0j,), "no such tensor"),
        ((lambda r: 1 / 0,), "got ZeroDivisionError: division by zero. Write it with torch functions"),
        ((lambda: 1,), "got TypeError: .*takes 0 positional arguments"),
        ((math.sin,), "got ValueError: only one element tensors"),
        ((lambda r: r.to("meta"),), "got RuntimeError: "),
        ((lambda r: r.mul_(2),), "got one that writes into r"),
    ],
)
def test_an_activation_refuses(arguments, said):
    with pytest.raises(NbkitError, match=f"RadialActivation: {said}" if said.startswith("h must") else said):
        RadialActivation(*arguments)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_h_may_be_a_module_of_any_dtype(dtype):
    h = nn.Sequential(nn.Linear(1, 4), nn.Softplus(), nn.Linear(4, 1)).to(dtype)
    v = normal(5, 3).to(dtype)
    lengths = RadialActivation(h)(v).norm(dim=1, keepdim=True)
    torch.testing.assert_close(lengths, h(v.norm(dim=1, keepdim=True)).abs())


@pytest.mark.parametrize(
    "h, shift, said",
    [
        ("squash", 1.0, "shift belongs to shifted_relu and shifted_sigmoid, got 1.0 for 'squash'"),
        (torch.tanh, 1.0, "shift belongs to"),
        ("shifted_relu", math.nan, "shift must be a finite number"),
        ("shifted_sigmoid", "1", "shift must be a finite number"),
        (np.array(["shifted_relu", "squash"]), 1.0, "shift belongs to"),
    ],
)
def test_an_activation_refuses_a_shift(h, shift, said):
    with pytest.raises(NbkitError, match=said):
        RadialActivation(h, shift=shift)


def by_hand(net: RadialNet, x: torch.Tensor, name: str) -> np.ndarray:
    """The network in numpy, activations from their formulas."""
    z = x.numpy()
    for i, linear in enumerate(net.linears):
        z = z @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
        z = exact(name, torch.from_numpy(z)) if i < len(net.linears) - 1 else z
    return z


@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_affine_maps_and_rescalings_with_identity_output(name):
    net = RadialNet((3, 5, 1, 4, 2), activation(name), seed=3).double()
    x = normal(6, 3, seed=11, scale=3.0)
    np.testing.assert_allclose(net(x).detach().numpy(), by_hand(net, x, name), atol=1e-13)
    torch.testing.assert_close(net(x[0]), net(x)[0])
    torch.testing.assert_close(net(x.view(2, 3, 3)), net(x).view(2, 3, 2))
    assert [type(module) for module in net] == [nn.Linear, RadialActivation] * 3 + [nn.Linear]


def test_each_layer_may_have_its_own_activation_and_the_last_one_too():
    net = RadialNet((2, 3, 4, 2), ["squash", "sigmoid"], output=RadialActivation("shifted_relu", shift=0.5))
    assert [each.name for each in net.activations] == ["squash", "sigmoid", "shifted_relu"]
    assert [each.name for each in RadialNet((2, 3, 1)).activations] == ["squash", "identity"]
    assert net.like([linear.weight for linear in net.linears], [None] * 3).activations[2].shift == 0.5


@pytest.mark.parametrize(
    "widths, n_parameters",
    [((1, 8, 16, 8, 1), 305), ((1, 6, 7, 1), 69), ((2, 16, 64, 128, 16, 2), 11554), ((1, 4, 4, 1), 33), ((3, 2), 8)],
)
def test_parameters_are_counted(widths, n_parameters):
    net = RadialNet(widths)
    assert net.widths == widths and net.n_parameters == n_radial_parameters(widths) == n_parameters
    assert sum(values.numel() for values in net.parameters()) == n_parameters


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_born_in_the_default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        assert {values.dtype for values in RadialNet((2, 3, 1)).parameters()} == {dtype}
    finally:
        torch.set_default_dtype(before)


def test_weights_and_biases_fill_the_interval_of_the_in_degree():
    net = RadialNet((100, 400, 900, 100))
    for linear, n_in in zip(net.linears, net.widths, strict=False):
        for values in (linear.weight, linear.bias):
            limit = n_in**-0.5 * (1 + 1e-7)
            assert 0.95 * limit < values.max().item() <= limit and -limit <= values.min().item() < -0.95 * limit
            assert values.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.1)


def test_an_int_repeats_equal_layers_differ_and_none_is_fresh():
    first, again, fresh = (RadialNet((4, 4, 4), seed=seed)[0].weight for seed in (5, 5, None))
    assert torch.equal(first, again) and not torch.equal(first, fresh)
    net = RadialNet((4, 4, 4), seed=5)
    assert not torch.equal(net[0].weight, net[2].weight)


def test_remark_2_zero_biases_leave_a_matrix_and_a_number():
    net = RadialNet((4, 6, 3, 5, 3), "sigmoid", seed=2).double()
    net = net.like([linear.weight for linear in net.linears], [None] * 4)
    product = torch.linalg.multi_dot([linear.weight.detach() for linear in reversed(net.linears)])
    for x in normal(20, 4, seed=12):
        mu, z = 1.0, x
        for linear in net.linears[:-1]:
            r = (linear.weight.detach() @ z).norm().item()
            mu *= 1 / (1 + math.exp(-r)) / r
            z = linear.weight.detach() @ z / r / (1 + math.exp(-r))
        torch.testing.assert_close(net(x), mu * product @ x, rtol=1e-12, atol=0)
    assert not torch.allclose(net.like([linear.weight for linear in net.linears], [torch.ones(len(linear.weight)) for linear in net.linears])(x), net(x))  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_in_other_axes_it_computes_the_same(name):
    net = RadialNet((3, 7, 1, 5, 2), activation(name), seed=1).double()
    x = normal(40, 3, seed=13, scale=4.0)
    turned = net.act(rotations(net))
    torch.testing.assert_close(turned(x), net(x), rtol=0, atol=1e-13)
    assert (turned[0].weight - net[0].weight).abs().max() > 0.1


def test_acting_twice_is_acting_with_the_product():
    net = RadialNet((3, 7, 6, 2)).double()
    first, second = rotations(net, 1), rotations(net, 5)
    both = net.act([b @ a for a, b in zip(first, second, strict=True)])
    for one, other in zip(net.act(first).act(second).parameters(), both.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)


def test_acting_leaves_the_network_and_takes_arrays_and_float32():
    net = RadialNet((3, 7, 6, 2))
    before = copy.deepcopy(net.state_dict())
    turned = net.act([q.numpy() for q in rotations(net)])
    assert turned[0].weight.dtype == torch.float32
    torch.testing.assert_close(turned(torch.ones(3)), net(torch.ones(3)))
    assert all(torch.equal(values, before[name]) for name, values in net.state_dict().items())
    assert RadialNet((3, 2)).act([]).widths == (3, 2)


@pytest.mark.parametrize(
    "given, said",
    [
        ([], r"one \(n, n\) for each hidden layer of \(4, 3\), got \[\]"),
        ([torch.eye(3), torch.eye(4)], r"got \[\(3, 3\), \(4, 4\)\]"),
        ([torch.eye(4), 2 * torch.eye(3)], r"rotation 2 must be orthogonal, got one with \|Q\^T Q - I\| = 3"),
        ([torch.eye(4), math.nan * torch.eye(3)], "rotation 2 must be orthogonal"),
        ([torch.eye(4), "q"], "rotation 2 must be an array of numbers"),
        (None, r"rotations must be a list of matrices, got None. Write it as \[Q1, Q2\]"),
        (torch.eye(4), "rotations must be a list of matrices"),
    ],
)
def test_acting_refuses(given, said):
    with pytest.raises(NbkitError, match=said):
        RadialNet((2, 4, 3, 1)).double().act(given)


def test_a_wider_network_of_zeros_computes_the_same():
    net = RadialNet((2, 3, 4, 1), "sigmoid").double()
    wide = net.embedded((2, 6, 4, 1))
    assert wide.widths == (2, 6, 4, 1) and not wide[0].weight[3:].any() and not wide[2].weight[:, 3:].any()
    x = normal(30, 2)
    torch.testing.assert_close(wide(x), net(x), rtol=0, atol=1e-15)


def test_a_bias_that_was_taken_away_counts_as_zeros():
    net = RadialNet((2, 4, 3, 1)).double()
    net[2].bias = None
    x = normal(30, 2)
    torch.testing.assert_close(net.act(rotations(net))(x), net(x), rtol=0, atol=1e-14)
    torch.testing.assert_close(net.embedded((2, 5, 5, 1))(x), net(x), rtol=0, atol=1e-14)


@pytest.mark.parametrize("given", [None, 3, (), (2,), (2, 0), (2.0, 1), "ab"])
def test_parameters_of_widths_that_are_none_are_not_counted(given):
    with pytest.raises(NbkitError, match="n_radial_parameters: .*widths must"):
        n_radial_parameters(given)


@pytest.mark.parametrize("widths", [(2, 3, 3, 1), (3, 3, 4, 1), (2, 3, 4, 2), (2, 3, 1)])
def test_a_wider_network_must_be_wider_inside_only(widths):
    with pytest.raises(NbkitError, match=r"RadialNet.embedded: widths must be at least \(2, 3, 4, 1\)"):
        RadialNet((2, 3, 4, 1)).embedded(widths)


def test_given_matrices_are_copied_in_float64_and_no_bias_is_zeros():
    weight = np.ones((2, 2), dtype=np.float32)
    net = RadialNet.of([weight, [[1, 2]]], [None, [3]], "identity")
    weight[:] = 7
    assert net(torch.ones(2).double()).item() == 2 + 4 + 3
    assert {values.dtype for values in net.parameters()} == {torch.float64} and not net[0].bias.any()
    assert net.n_parameters == sum(values.numel() for values in net.parameters()) == 9
    assert net.act([rotation(2)])(torch.ones(2).double()).item() == pytest.approx(9)


@pytest.mark.parametrize(
    "weights, biases, activations, said",
    [
        ([[[1.0, math.nan]]], [None], "squash", "finite real numbers, got NaN"),
        ([np.ones((2, 3)), np.ones((2, 3))], [None, None], "squash", r"must be \(n_out, 2\)"),
        ([np.ones((2, 3))], [np.ones(3)], "squash", r"bias 1 must be \(2,\)"),
        ([np.ones((2, 3))], [], "squash", "RadialNet.of: biases must be a list"),
        ([np.ones((2, 3))], 1, "squash", "RadialNet.of: biases must be a list"),
        (
            [np.ones((2, 3)), np.ones((1, 2))],
            [None, None],
            ["squash"] * 2,
            "one for each of the 1 hidden layers, got 2",
        ),
    ],
)
def test_given_matrices_must_chain(weights, biases, activations, said):
    with pytest.raises(NbkitError, match=said):
        RadialNet.of(weights, biases, activations)


def test_any_chain_of_linear_and_radial_modules_is_read():
    torch.manual_seed(0)
    chain = nn.Sequential(
        nn.Sequential(nn.Linear(3, 5, bias=False), nn.Identity(), RadialActivation("sigmoid")),
        nn.Linear(5, 4),
        nn.Linear(4, 6),
        nn.Sequential(nn.Sequential(RadialActivation(torch.tanh)), nn.Linear(6, 2), RadialActivation("squash")),
    )
    net = RadialNet.from_modules(chain)
    assert net.widths == (3, 5, 4, 6, 2)
    assert [each.name for each in net.activations] == ["sigmoid", "identity", "tanh", "squash"]
    x = torch.randn(9, 3)
    torch.testing.assert_close(net(x), chain(x), rtol=0, atol=1e-7)
    with torch.no_grad():
        chain[1].weight.zero_()
    assert net.linears[1].weight.any()


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Cubed(nn.Linear):
    def forward(self, x):
        return super().forward(x) ** 3


@pytest.mark.parametrize(
    "modules, said",
    [
        ([nn.Linear(2, 2), nn.ReLU()], "got ReLU. A pointwise activation .* does not commute with rotations"),
        ([nn.Linear(2, 2), nn.Dropout()], "got Dropout"),
        ([RadialActivation(), nn.Linear(2, 2)], "each RadialActivation must follow a Linear"),
        ([nn.Linear(2, 2), RadialActivation(), RadialActivation()], "each RadialActivation must follow a Linear"),
        ([Residual(nn.Linear(2, 2))], "got Residual"),
        ([Cubed(2, 2)], "got Cubed"),
        ([], "at least one Linear"),
        ([nn.Linear(2, 3), nn.Linear(2, 2)], r"must be \(n_out, 3\)"),
        ([nn.Linear(2, 2), nn.Linear(2, 2).double()], "one dtype and device"),
    ],
)
def test_what_is_no_radial_network_is_refused_with_the_reason(modules, said):
    with pytest.raises(NbkitError, match=f"RadialNet.from_modules: .*{said}"):
        RadialNet.from_modules(nn.Sequential(*modules))


@pytest.mark.parametrize("net", [Residual(nn.Linear(2, 2)), nn.Linear(2, 2), None])
def test_only_a_chain_is_read(net):
    with pytest.raises(NbkitError, match="net must be an nn.Sequential of Linear and RadialActivation"):
        RadialNet.from_modules(net)


@pytest.mark.parametrize("topology", [None, radix_net([(2, 3), (3, 2)])])
def test_copies_and_stored_states_are_independent_and_alike(topology):
    net = RadialNet(None if topology else (6, 4, 6), "shifted_relu", topology=topology, seed=1)
    copied = copy.deepcopy(net)
    other = RadialNet(net.widths, "shifted_relu", topology=topology, seed=2)
    other.load_state_dict(net.state_dict())
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    expected = net(x)
    with torch.no_grad():
        for values in net.parameters():
            values.zero_()
    assert torch.equal(copied(x), expected) and torch.equal(other(x), expected) and not net(x).any()


def test_a_slice_is_a_chain_of_the_same_modules():
    net = RadialNet((2, 3, 4, 1))
    assert type(net[:3]) is nn.Sequential and net[:3][0] is net[0] and net[-1] is net.linears[-1]
    x = torch.ones(2)
    assert torch.equal(net[3:](net[:3](x)), net(x))


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
def test_where_no_wire_is_weights_stay_0_in_training(optimizer):
    topology = radix_net([(2, 3), (3, 2)])
    net = RadialNet(None, "sigmoid", topology=topology)
    masks = [layer.mask() for layer in topology]
    steps = optimizer(net.parameters(), lr=0.1, weight_decay=0.1)
    before = [linear.weight.detach().clone() for linear in net.linears]
    for linear, mask in zip(net.linears, masks, strict=True):
        assert torch.equal(linear.weight != 0, mask)
        assert (linear.weight.abs() <= mask.sum(dim=1, keepdim=True) ** -0.5 + 1e-7).all()
        assert (linear.bias.abs() <= mask.sum(dim=1) ** -0.5 + 1e-7).all()
    for _ in range(4):
        steps.zero_grad()
        net(torch.ones(3, 6)).square().sum().backward()
        steps.step()
    for linear, mask, old in zip(net.linears, masks, before, strict=True):
        assert not linear.weight[~mask].any() and (linear.weight != old)[mask].all()


@pytest.mark.parametrize(
    "arguments, options, said",
    [
        (((2, 0, 1),), {}, "entry 2 of widths must be an integer of at least 1, got 0"),
        (((2,),), {}, "length of at least 2"),
        ((None,), {}, "widths must be a list of integers, got None"),
        (((2, 3, 1), ["squash", "squash"]), {}, "one for each of the 1 hidden layers, got 2"),
        (((2, 3, 1), "relu"), {}, "h must be one of"),
        (((2, 3, 1),), {"seed": -1}, "seed must be"),
        (((2, 10**7, 10**7, 1),), {}, "RadialNet: the result must fit into the memory budget.*Lower the widths"),
        (((6, 6),), {"topology": radix_net([(2, 3)])}, r"must be those of the topology, \(6, 6, 6\)"),
        ((None,), {"topology": 3}, "topology must be a Topology or None, got 3"),
    ],
)
def test_a_network_refuses(arguments, options, said):
    with pytest.raises(NbkitError, match=said):
        RadialNet(*arguments, **options)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", SMOOTH)
def test_measures_of_growth_and_isometry_run_on_radial_networks_of_any_wires(name, sparse):
    topology = radix_net([(2, 3), (3, 2)]) if sparse else None
    net = RadialNet(None if sparse else (6, 9, 4, 3), activation(name), topology=topology, seed=4).double()
    curve = circle(6, radius=2.0, seed=0)
    tangent = growth_through(net, curve, n_points=2000)
    chords = growth_through(net, curve, method="chords", n_points=20_001)
    assert tangent.length.numpy() == pytest.approx(chords.length.numpy(), rel=1e-4)
    assert arc_length(curve, net, n_points=2000) == pytest.approx(tangent.length[0, -1].item(), rel=1e-9)

    x = normal(6, seed=15)
    jacobian, z = torch.eye(6).double(), x
    for linear, each in zip(net.linears, net.activations, strict=True):
        z = linear.weight.detach() @ z + linear.bias.detach()
        r, u = z.norm().item(), (z / z.norm())[:, None]
        h, slope = (float(function(mpmath.mpf(r))) for function in FORMULAS[each.name])
        jacobian = (
            (h / r * (torch.eye(len(z)).double() - u @ u.T) + slope * u @ u.T) @ linear.weight.detach() @ jacobian
        )
        z = h * u[:, 0]
    expected = np.linalg.svd(jacobian.numpy(), compute_uv=False)
    assert jacobian_singular_values(net, x).numpy() == pytest.approx(expected, abs=1e-12)


def test_a_circle_about_0_only_shrinks_and_a_ray_goes_as_h():
    net = nn.Sequential(RadialActivation("squash"))
    assert arc_length(circle(3, radius=2.0), net) == pytest.approx(2 * math.pi * 4 / 5)
    assert arc_length(line([0.0, 0.0, 0.0], [2.0, 0.0, 0.0]), net) == pytest.approx(4 / 5, rel=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
@pytest.mark.parametrize("name", NAMES)
def test_cuda_computes_what_the_cpu_does(name):
    net = RadialNet((3, 40, 20, 2), activation(name)).double()
    x = torch.cat([normal(100, 3), torch.zeros(1, 3).double()])
    torch.testing.assert_close(copy.deepcopy(net).cuda()(x.cuda()).cpu(), net(x), rtol=1e-12, atol=1e-12)
    turned = copy.deepcopy(net).cuda().act(rotations(net))
    assert turned[0].weight.is_cuda
    torch.testing.assert_close(turned(x.cuda()).cpu(), net(x), rtol=1e-12, atol=1e-12)
