"""The measures of the lab: each number against theory or dense numpy, and streams that begin at once."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from nbkit.compress import qr_compress, reduced_widths
from nbkit.errors import NbkitError
from nbkit.measure import random_line
from nbkit.nets import RadialNet, n_radial_parameters
from nbkit.questions import MEASURES, Configuration, Measured, admissible, stream_measure
from nbkit.questions.costs import costs, funnel, n_after_qr
from nbkit.questions.growth import _error_of_spread, _rms_growth, radial_lengths
from nbkit.questions.measures import measure
from nbkit.questions.wires import _same_degrees, _shares

HE = math.sqrt(2)


def small(
    wires: str = "RadiX", weights: str = "Gaussian", activation: str = "ReLU", **settings: object
) -> Configuration:
    return Configuration(wires, weights, activation, **{"width": 16, "degree": 4, "depth": 2} | settings)


def masks(configuration: Configuration) -> list[np.ndarray]:
    """0/1 matrices (n_in, n_out)."""
    return [layer.biadjacency().numpy().astype(np.int64) for layer in configuration.topology]


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("activation", ["ReLU", "radial", "linear"])
def test_a_stream_begins_empty_goes_forward_and_ends_whole_the_same_each_time(name, activation):
    own = small(activation=activation, seed=11)
    frames = list(stream_measure(own, name))
    assert all(isinstance(frame, Measured) and frame.measure == name for frame in frames)
    assert np.isnan(frames[0].y).all() and not frames[0].numbers
    first, last = frames[0], frames[-1]
    assert last.is_whole and last.numbers and np.isfinite(last.y).any()
    assert all(frame.x.shape == frame.y.shape for frame in frames)
    again = measure(replace(own), name)
    assert again.numbers == pytest.approx(last.numbers, nan_ok=True) and np.array_equal(again.y, last.y, equal_nan=True)
    assert first.configuration == own


def test_a_stream_refuses_what_it_does_not_know():
    with pytest.raises(NbkitError, match="^stream_measure: configuration must be a Configuration, got 'RadiX'"):
        next(stream_measure("RadiX", "reach"))
    with pytest.raises(NbkitError, match="^stream_measure: measure must be one of 'reach', 'paths'"):
        next(stream_measure(small(), "colour"))


@pytest.mark.parametrize("wires", ["RadiX", "SAO aligned", "X-Net random", "pruned"])
def test_reach_is_that_of_boolean_products(wires):
    own = small(wires, degree=2, depth=3)
    found, products = measure(own, "reach"), list(itertools.accumulate(masks(own), np.matmul))
    assert np.allclose(found.y, [(product > 0).mean() for product in products])
    assert np.array_equal(found.matrix, products[-1] > 0)
    short = [depth for depth, product in enumerate(products, start=1) if not (product > 0).all()]
    assert found.numbers["full_at"] == (math.inf if len(products) in short else max(short, default=0) + 1)


def test_pairs_that_a_later_layer_cuts_off_again_were_not_joined_for_good():
    own = small("random", degree=4, depth=6, seed=0)
    fractions = measure(own, "reach").y
    assert fractions[4] == 1 > fractions[5]
    assert measure(own, "reach").numbers["full_at"] == measure(own, "paths").numbers["full_at"] == math.inf


def test_dead_units_are_those_on_no_path_from_an_input_to_an_output():
    own = small("pruned", degree=2, depth=4)
    ahead = [np.eye(16, dtype=np.int64), *itertools.accumulate(masks(own), np.matmul)]
    behind = [*itertools.accumulate(masks(own)[::-1], lambda after, mask: mask @ after)][::-1]
    dead = sum(int((~(ahead[k].any(axis=0) & behind[k].any(axis=1))).sum()) for k in range(1, 4))
    assert dead > 0
    assert measure(own, "reach").numbers["dead"] == measure(own, "Jacobian").numbers["dead"] == dead


def test_the_least_depth_is_the_logarithm_and_radix_wires_need_no_more():
    for width, degree in ((16, 4), (16, 2), (64, 8)):
        n = measure(small(width=width, degree=degree, depth=4), "reach").numbers
        assert n["full_at"] == n["least_depth"] == math.log(width, degree)


@pytest.mark.parametrize("wires", ["RadiX", "SAO random", "random"])
def test_paths_are_counted_as_integer_products_do(wires):
    own = small(wires, depth=3)
    found, counts = measure(own, "paths"), np.linalg.multi_dot([mask.astype(object) for mask in masks(own)])
    counts = counts.astype(np.float64)
    assert np.allclose(found.matrix, np.log10(1 + counts))
    assert [found.numbers[name] for name in ("least", "most", "mean")] == [counts.min(), counts.max(), counts.mean()]
    assert found.numbers["spread"] == pytest.approx(counts.std() / counts.mean())
    assert found.y[0] * counts.mean() == counts.min() and found.y[-1] * counts.mean() == pytest.approx(counts.max())


def test_a_radix_cascade_is_symmetric_and_so_is_sao_shift_where_n_divides_the_power_of_its_degree():
    for wires in ("RadiX", "SAO shift"):
        n = measure(small(wires, width=64, degree=8, depth=3), "paths").numbers
        assert n["spread"] == 0 and n["mean"] == 8**3 / 64


def test_one_layer_of_sao_is_blocks_and_of_radix_as_many_parts_as_its_place_value():
    sao = measure(small("SAO random", width=64, degree=8), "wires' spectrum").numbers
    assert (sao["components"], sao["share"], sao["dead"], sao["outliers"], sao["blocks"]) == (8, 1, 0, 7, 1)
    fewest = measure(small("SAO random", width=64, degree=2), "wires' spectrum").numbers
    assert (fewest["components"], fewest["blocks"], fewest["outliers"]) == (
        32,
        1,
        0,
    )  # 2 wires a node: any null is near 1
    radix = measure(small(width=64, degree=4, depth=3), "wires' spectrum").numbers
    assert radix["components"] == (1 + 4 + 16) / 3
    assert radix["cascade"] == pytest.approx(0, abs=1e-12)  # a full system's product is the matrix of ones


@pytest.mark.parametrize("wires", ["RadiX", "X-Net random", "X-Net Cayley", "pruned"])
def test_shares_of_singular_values_are_those_of_dense_numpy(wires):
    own = small(wires, depth=2)
    values = [np.linalg.svd(mask.astype(float), compute_uv=False) for mask in masks(own)]
    shares = np.array([each / each[0] for each in values])
    found = measure(own, "wires' spectrum")
    assert np.allclose(found.y, shares.mean(axis=0), atol=1e-9) and np.allclose(found.high, shares.max(axis=0))
    product = np.linalg.svd(np.linalg.multi_dot(masks(own)).astype(float), compute_uv=False)
    assert found.numbers["cascade"] == pytest.approx(product[1] / product[0], abs=1e-9)
    assert found.numbers["bound"] == pytest.approx(2 * math.sqrt(3)) == pytest.approx(4 * found.theory[0])
    assert found.numbers["second"] == pytest.approx(np.mean([each[1] for each in values]))


def test_a_random_mask_does_not_stand_out_of_random_masks():
    n = measure(small("random", width=64, degree=8), "wires' spectrum").numbers
    assert n["outliers"] == n["blocks"] == 0 and n["share"] == pytest.approx(n["null"], rel=0.1) == pytest.approx(
        n["null_degrees"], rel=0.1
    )


def test_the_second_null_keeps_every_degree_and_forgets_the_wires():
    mask = small("X-Net random", width=64, degree=4).topology[0].mask().numpy()
    other = _same_degrees(mask, np.random.default_rng(0))
    assert np.array_equal(mask.sum(axis=0), other.sum(axis=0)) and np.array_equal(mask.sum(axis=1), other.sum(axis=1))
    # a wire stays where it was as often as by chance: 64 * 4 wires on 64 * 64 places
    assert (mask & other).sum() < 3 * 4 * 64 * 4 / 64


def test_two_groups_that_hear_themselves_stand_out_whatever_their_degrees():
    """Two blocks of density 1/2 in a background of 1/8: one singular value more than the degrees explain."""
    draw = np.random.default_rng(0)
    mask = draw.random((64, 64)) < 1 / 8 + 3 / 8 * np.kron(np.eye(2), np.ones((32, 32)))
    share = _shares(mask, 2)[1]
    assert share == pytest.approx(3 / 5, abs=0.05)  # (1/2 - 1/8) / (1/2 + 1/8)
    assert _shares(_same_degrees(mask, draw), 2)[1] < share / 1.5


def test_without_dense_widths_only_the_last_layer_of_each_system_admits_orthogonal_weights():
    n = measure(small(weights="orthogonal", width=64, degree=4, depth=7), "weights' spectrum").numbers
    assert (n["admitting"], n["layers"]) == (2, 7)  # systems of three digits: layers 3 and 6
    assert n["deviation"] < 1e-12 and n["dense_width"] == 2
    assert math.isnan(measure(small(weights="orthogonal", width=32), "weights' spectrum").numbers["admitting"])


def test_dense_gaussian_weights_follow_the_quarter_circle():
    found = measure(small("dense", width=256, degree=16, depth=1, gain=1.5), "weights' spectrum")
    assert np.abs(found.y - found.theory).max() < 0.05 * 3
    assert found.theory[127] == pytest.approx(1.5 * 0.8079, abs=0.01)  # the median of the law, by hand: F(0.8079) = 1/2


def test_the_jacobian_is_the_product_of_slopes_and_weights():
    own = small("SAO random", activation="tanh", depth=3)
    z, jacobian = np.random.default_rng(0).standard_normal(16), np.eye(16)
    for matrix in own.matrices:
        h = matrix.numpy() @ z
        z, jacobian = np.tanh(h), (1 - np.tanh(h) ** 2)[:, None] * (matrix.numpy() @ jacobian)
    logs = np.log10(np.linalg.svd(jacobian, compute_uv=False))
    first = next(frame for frame in stream_measure(own, "Jacobian") if frame.numbers)
    assert np.allclose(first.y, logs, atol=1e-6) and first.numbers["mean"] == pytest.approx(logs.mean(), abs=1e-6)


@pytest.mark.parametrize("weights", ["orthogonal", "looks-linear"])
def test_isometric_networks_have_the_jacobian_of_theory(weights):
    own = small("SAO random", weights, "linear" if weights == "orthogonal" else "ReLU", gain=1.25, depth=3)
    found = measure(own, "Jacobian")
    assert np.allclose(found.theory, 3 * math.log10(1.25)) and np.allclose(found.y, found.theory, atol=1e-7)


@pytest.mark.parametrize("wires", ["RadiX", "SAO random", "dense"])
def test_behind_relu_orthogonal_weights_halve_the_mean_square_exactly(wires, monkeypatch):
    """E ||relu'||^2 = ||dz||^2 / 2 for any even law of orthogonal W: one layer, the mean over 96 networks and lines."""
    own = small(wires, "orthogonal", depth=1, gain=HE, width=64, degree=8)
    monkeypatch.setattr("nbkit.questions.configuration._N_NETWORKS", 96)
    found = measure(own, "growth")
    assert found.theory[-1] == 1
    error = 2 * found.numbers["spread"] / math.sqrt(found.numbers["nets"])
    assert abs(found.numbers["rms"] ** 2 - 1) < 4 * error


@pytest.mark.parametrize("wires", ["RadiX", "X-Net Cayley", "random"])
def test_gaussian_weights_grow_by_the_root_mean_square_of_theory(wires, monkeypatch):
    monkeypatch.setattr("nbkit.questions.configuration._N_NETWORKS", 64)
    found = measure(small(wires, width=64, degree=8, depth=3, gain=HE), "growth")
    if wires == "random":  # an output hears nothing with this probability
        none = math.comb(64 * 64 - 64, 8 * 64) / math.comb(64 * 64, 8 * 64)
        assert np.allclose(found.theory, (1 - none) ** (np.arange(4) / 2))
    else:
        assert np.allclose(found.theory, 1)
    error = 2 * found.numbers["spread"] / math.sqrt(found.numbers["nets"])
    assert abs(found.numbers["rms"] ** 6 - 1) < 4 * error


def test_a_step_through_random_wires_loses_what_outputs_without_a_wire_do_not_hear():
    draw, squares = np.random.default_rng(0), []
    theory = _rms_growth(small("random", degree=2, depth=1, gain=HE))
    for seed in range(1500):
        matrix = small("random", degree=2, depth=1, gain=HE, seed=seed).matrices[0].numpy()
        z, step = draw.standard_normal((2, 16))
        squares.append(np.sum(((matrix @ z > 0) * (matrix @ step)) ** 2) / np.sum(step**2))
    error = np.std(squares) / math.sqrt(len(squares))
    assert abs(np.mean(squares) - theory[1] ** 2) < 3 * error < 0.1 < 1 - theory[1] ** 2


def test_the_error_of_a_spread_knows_heavy_tails():
    """Against the spread of spreads: of normal numbers it is s / sqrt(2 n), of Laplace's two and a half times its square."""
    draw = np.random.default_rng(0)
    for values, kurtosis in ((draw.standard_normal(4000), 3), (draw.laplace(size=4000), 6)):
        wanted = values.std() * math.sqrt((kurtosis - 1) / 4 / len(values))
        assert _error_of_spread(values) == pytest.approx(wanted, rel=0.15)


@pytest.mark.parametrize("activation", ["ReLU", "tanh", "radial"])
def test_lengths_are_those_of_many_chords(activation):
    own = small("SAO random", activation=activation, depth=3, gain=1.3)
    first = next(frame for frame in stream_measure(own, "growth") if frame.numbers)
    points, lengths = random_line(16, seed=0)(np.linspace(0, 1, 5001)), []
    with torch.no_grad():
        for module in [torch.nn.Identity(), *own.network()]:
            points = module(points)
            if not isinstance(module, torch.nn.Linear):
                lengths.append(float(points.diff(dim=0).norm(dim=1).sum()))
    assert np.allclose(first.y, np.array(lengths) / lengths[0], rtol=0.01)  # 32 tangents against 5000 chords


def test_orthogonal_linear_weights_keep_every_length_times_the_gain():
    found = measure(small("SAO shift", "orthogonal", "linear", gain=0.8, depth=3), "growth")
    assert np.allclose(found.y, 0.8 ** np.arange(4)) and found.numbers["spread"] == pytest.approx(0, abs=1e-12)


def test_a_radial_network_does_not_see_its_wires_where_they_are_orthogonal():
    """Such a network is a rotation of one radial rescaling, whatever the wires: equal lengths, those of theory."""
    lengths = {
        wires: measure(small(wires, "orthogonal", "radial", depth=3, gain=1.3), "growth")
        for wires in ("RadiX", "SAO random", "dense")
    }
    for found in lengths.values():
        assert np.allclose(found.y, lengths["dense"].y, atol=1e-12)
        assert np.allclose(found.y, found.theory, rtol=1e-3)


def test_far_down_a_radial_network_only_the_angle_of_a_line_is_left():
    """At the fixed point r = h(gain r) the part across is kept and the part along dies: length -> r * angle."""
    curve, radius = random_line(8, seed=3), 1.0
    for _ in range(200):
        radius = 1 / (1 + math.exp(-1.3 * radius))
    ends = curve([0.0, 1.0]).numpy()
    angle = math.acos(ends[0] @ ends[1])
    assert radial_lengths(curve, 1.3, 40)[-1] * curve.length == pytest.approx(radius * angle, rel=1e-5)


def test_growth_behind_trained_networks_is_told_for_every_strength(decayed):
    n = measure(decayed, "growth").numbers
    assert n["sigma_w born"] == pytest.approx(HE, rel=0.2)  # 512 weights
    sigmas = [n[f"sigma_w at {strength:g}"] for strength in (0.0, 1e-5, 1e-4, 1e-3, 1e-2)]
    assert sigmas == sorted(sigmas, reverse=True)


def test_qr_leaves_triangles_and_no_more():
    """SCIENCE's 394 of 650 weights of (16, 64, 64, 4): the triangles of R, whatever wires were there before."""
    widths = (16, 64, 64, 4)
    assert reduced_widths(widths) == (16, 17, 18, 4)
    n_biases = 17 + 18 + 4
    assert n_radial_parameters(reduced_widths(widths)) - n_biases == 650
    assert n_after_qr(widths) - (1 + 1 + 4) == 394  # of [b W] in a triangle only the first bias is not 0
    for sizes in (widths, (1, 8, 16, 8, 1), (5, 3, 2, 4, 1), (2, 2, 9, 2)):
        small_net = qr_compress(RadialNet(sizes, "squash").double()).net
        entries = torch.cat([values.detach().flatten() for values in small_net.parameters()])
        assert int((entries.abs() > 1e-13).sum()) == n_after_qr(sizes)


@pytest.mark.parametrize(
    ("wires", "activation"), [("RadiX", "radial"), ("SAO random", "radial"), ("dense", "radial"), ("RadiX", "linear")]
)
def test_compression_is_lossless_and_breaks_even_where_the_counts_meet(wires, activation):
    own = small(wires, activation=activation, width=64, degree=8, depth=3)
    found, sizes = measure(own, "compression"), funnel(own).sizes
    n, n_nodes = found.numbers, sum(sizes[1:])
    assert sizes == (16, 64, 64, 4) and n["gap"] < 1e-12
    assert n["before"] == funnel(own).n_edges + n_nodes and n["after"] == n_after_qr(sizes)
    n_weights = n_radial_parameters(sizes) - n_nodes
    assert n["break_even"] * n_weights + n_nodes == pytest.approx(n["after"])
    assert n["break_even_all"] * n_weights + n_nodes == pytest.approx(n["after_all"])
    dense_enough = found.x > 0.05  # below, whole nodes are dead and QR finds still less
    assert np.allclose(found.y[dense_enough], found.theory[dense_enough]) and (found.y <= found.theory + 1e-12).all()
    assert len(found.x) == (1 if wires == "dense" else len(admissible(wires=wires, activation="radial")["degree"]))


@pytest.mark.parametrize("activation", ["tanh", "ReLU"])
def test_qr_takes_nothing_where_rotations_do_not_pass(activation):
    found = measure(small(activation=activation, depth=3), "compression")
    assert (found.y == 1).all() and found.numbers["break_even"] == 0


def test_the_account_of_one_network_by_hand():
    own = small("SAO random", activation="radial", width=64, degree=8, depth=3)
    found = costs(own)
    n_edges = 1024 // 8 + 64 * 8 + 256 // 8
    assert (found["dense"].edges, found["dense"].parameters, found["dense"].flops) == (5376, 5376 + 132, 2 * 5376)
    assert (found["sparse"].edges, found["sparse"].flops) == (n_edges, 2 * n_edges)
    assert (found["qr"].edges, found["qr"].parameters, found["qr"].flops) == (394, 400, 2 * 650)
    budget = measure(own, "budget")
    assert budget.theory.sum() == 5376 + 132 and budget.y.sum() == n_edges + 132
    assert budget.numbers["qr_parameters"] == 400
