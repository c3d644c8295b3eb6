"""The explorers of notebook 05: families at one density, spectra against depth, one layer, and the construction."""

import itertools
import math

import numpy as np
import pytest

from nbkit.explore import ConstructionExplorer, DepthExplorer, LayerExplorer, SpectrumExplorer, isometry
from nbkit.explore.isometry import (
    BIRTHS,
    LOOKS_LINEAR,
    MIRRORED,
    as_dense,
    factors,
    grow_spectra,
    input_point,
    key_of,
    layer_weights,
    refusal,
    slopes_at,
    spectrum_at,
)
from nbkit.explore.spectrum import _deep_title
from nbkit.figures import FAMILY_COLOURS

ORTHOGONAL, SPARSE = ("dense", "SAO", "RadiX-O"), [name for name in BIRTHS if name != "dense"]


@pytest.fixture(autouse=True)
def anew():
    """What one test has found is not there for the next."""
    isometry._found.cache_clear()


def words(explorer):
    return explorer.figure.layout.title.text.replace("<br>", " ")


def whole_jacobian(key, depth):
    """The product of all factors, in one plain loop."""
    parts = itertools.islice(factors(key), depth)
    product = np.eye(as_dense(next(factors(key))[0]).shape[1])
    for weights, slopes in parts:
        product = np.diag(slopes) @ as_dense(weights) @ product
    return product


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize(("n", "degree"), [(64, 4), (128, 4), (64, 8)])
def test_all_families_keep_one_density_and_layers_differ(name, n, degree):
    if refusal(name, n, degree):
        pytest.skip("no such layer")
    layers = [as_dense(layer_weights(name, n, degree, position)) for position in range(8)]
    assert {np.count_nonzero(layer) for layer in layers} == {n * degree}
    assert not any(np.array_equal(one, other) for one, other in itertools.combinations(layers, 2))


@pytest.mark.parametrize("name", ORTHOGONAL)
def test_orthogonal_families_are(name):
    for position in range(3):
        weights = as_dense(layer_weights(name, 64, 4, position))
        assert np.abs(weights @ weights.T - np.eye(64)).max() < 1e-12


def test_random_families_share_the_wires_of_sao_and_pruned_ones_the_numbers_of_dense():
    sao, *random = (as_dense(layer_weights(name, 64, 4, 2)) for name in ("SAO", "RG-N", "RG-U"))
    assert all(np.array_equal(weights != 0, sao != 0) for weights in random)
    dense = layer_weights("dense", 64, 4, 2)
    for name in ("LMP", "LRP"):
        kept = as_dense(layer_weights(name, 64, 4, 2))
        # one of them may have been made on one core and kept, the other on two: they round differently
        assert np.allclose(kept[kept != 0], dense[kept != 0], rtol=0, atol=1e-12)
    largest = as_dense(layer_weights("LMP", 64, 4, 2)) != 0
    assert np.abs(dense[largest]).min() > np.abs(dense[~largest]).max() - 1e-12


@pytest.mark.parametrize(
    ("n", "degree", "refused"),
    [
        (256, 4, set()),
        (256, 3, {"SAO", "RG-N", "RG-U", "RadiX-N", "RadiX-O"}),
        (256, 8, {"RadiX-N", "RadiX-O"}),
        (128, 8, {"RadiX-N"}),
        (64, 2, {"RadiX-O"}),
    ],
)
def test_a_family_is_left_out_exactly_where_it_has_no_such_layer(n, degree, refused):
    assert {name for name in BIRTHS if refusal(name, n, degree)} == refused


@pytest.mark.parametrize(("activation", "phi"), [("tanh", np.tanh), ("SiLU", lambda h: h / (1 + np.exp(-h)))])
def test_slopes_are_the_derivative(activation, phi):
    h, step = np.linspace(-3, 3, 13), 1e-6
    images, slopes = slopes_at(activation, h)
    assert np.allclose(images, phi(h)) and np.allclose(slopes, (phi(h + step) - phi(h - step)) / (2 * step), atol=1e-8)


def test_the_input_does_not_know_the_weights():
    first = layer_weights("dense", 64, 4, 0)
    assert abs(first[0] @ input_point(64)) < 4  # a row that was made of the same numbers gives about 8


@pytest.mark.parametrize("activation", ["linear", "tanh", "ReLU", MIRRORED])
@pytest.mark.parametrize("name", ["SAO", "RG-N", "LMP"])
def test_spectra_are_those_of_the_whole_jacobian(name, activation):
    key = key_of(name, 32, 4, activation, "1.1")
    for deep in (False, True):
        list(grow_spectra(key, (1, 3), deep=deep))
    for depth in (1, 3):
        wanted = np.linalg.svd(whole_jacobian(key, depth), compute_uv=False)
        found = 10.0 ** spectrum_at(key, depth)
        assert np.allclose(found, wanted, rtol=1e-6, atol=1e-12)


def test_what_a_plain_product_has_lost_is_nan_until_the_deep_one_is_made():
    key = key_of("RG-N", 64, 4, "linear", "1")
    assert spectrum_at(key, 30) is None
    list(grow_spectra(key, (30,)))
    plain = spectrum_at(key, 30)
    assert np.isnan(plain).any() and not np.isnan(plain[0])
    list(grow_spectra(key, (30,), deep=True))
    whole = spectrum_at(key, 30)
    told = ~np.isnan(plain)
    assert not np.isnan(whole).any() and np.allclose(whole[told], plain[told], atol=1e-6)
    determinants = [np.linalg.slogdet(as_dense(layer_weights("RG-N", 64, 4, k)))[1] for k in range(30)]
    assert whole.sum() == pytest.approx(sum(determinants) / math.log(10), rel=1e-9)
    assert np.array_equal(spectrum_at(key, 30, deep=False), plain, equal_nan=True)


@pytest.mark.parametrize("name", ["dense", "SAO"])
@pytest.mark.parametrize("depth", [1, 2, 7, 20])
def test_looks_linear_is_isometric_and_equation_5_alone_is_not(name, depth):
    for activation, wanted in ((LOOKS_LINEAR, [1.0] * 32), (MIRRORED, [math.sqrt(2)] * 32 + [0.0] * 32)):
        key = key_of(name, 32, 4, activation, "1")
        for deep in (False, True):
            list(grow_spectra(key, (depth,), deep=deep))
        assert np.allclose(10.0 ** spectrum_at(key, depth), wanted, atol=1e-9)


def test_sao_keeps_every_value_at_the_gain_to_the_depth_and_pruning_keeps_none(opened):
    explorer = opened(SpectrumExplorer, n=64, degree=4, depth=20, gain="1.1")
    spectra = explorer.data["spectra"]
    for name in ORTHOGONAL:
        assert np.allclose(spectra[name], 20 * math.log10(1.1), atol=1e-9)
    assert spectra["LMP"].max() < -2 and all(len(values) == 64 for values in spectra.values())
    assert "SAO keeps all 64 values" in words(explorer) and "as dense does" in words(explorer)


def test_frames_come_with_sao_first_and_end_with_every_value():
    settings = {"n": 64, "degree": 8, "gain": "1", "activation": "linear", "depth": 20}
    frames = [frame for frame in SpectrumExplorer.stream(None, **settings) if frame is not None]
    assert set(frames[0]["spectra"]) == {"SAO"} and "follow" in frames[0]["note"]
    names = set(BIRTHS) - {name for name in BIRTHS if refusal(name, 64, 8)}
    assert set(frames[-1]["spectra"]) == names and "follow" not in frames[-1]["note"]
    assert all(len(values) == 64 for values in frames[-1]["spectra"].values())
    again = [frame for frame in SpectrumExplorer.stream(None, **settings) if frame is not None]
    assert len(again) == 1  # what is known is shown at once


def test_families_without_such_a_layer_say_why_in_their_row(opened):
    explorer = opened(SpectrumExplorer, n=64, degree=3, depth=2)
    assert "SAO" not in explorer.data["spectra"] and explorer.error is None
    row = next(trace for trace in explorer.figure.data if trace.name == "words")
    assert "d = 3 does not divide n = 64" in row.text


def test_a_degree_without_sao_says_so_before_anything_is_computed():
    settings = {"n": 64, "degree": 3, "gain": "1.1", "activation": "SiLU", "depth": 20}
    first = next(SpectrumExplorer.stream(None, **settings))
    assert first["spectra"] == {} and first["missing"]["SAO"] == "d = 3 does not divide n = 64"
    assert "they follow" in _deep_title(first)


def test_the_places_for_zeros_move_with_the_axis(opened):
    explorer = opened(SpectrumExplorer, n=64, degree=2, depth=1)
    before = explorer.figure.layout.xaxis.tickvals
    explorer.set(depth=50)
    explorer.settle()
    axis = explorer.figure.layout.xaxis
    assert axis.tickvals[0] < before[0] and axis.ticktext[:2] == ("0", "small")
    assert math.log10(axis.tickvals[0]) > axis.range[0]


@pytest.mark.parametrize("activation", ["linear", "tanh", "ReLU", "SiLU"])
def test_one_orthogonal_layer_shows_the_slopes_whatever_its_weights_are(opened, activation):
    explorer = opened(LayerExplorer, n=64, degree=4, activation=activation, seed=3)
    for name in ("dense", "SAO"):
        assert np.allclose(explorer.data["spectra"][name], explorer.data["slopes"][name], atol=1e-12)
    assert not np.allclose(explorer.data["spectra"]["RG-N"], explorer.data["slopes"]["RG-N"], atol=1e-2)


def test_the_test_tells_pruned_from_dense_and_not_sao(opened):
    explorer = opened(LayerExplorer)
    for activation in ("linear", "tanh", "ReLU"):
        explorer.set(activation=activation)
        explorer.settle()
        p = explorer.data["p_values"]
        assert p["SAO"] > 0.05 > 1e-3 > max(p["RG-N"], p["RG-U"]) and max(p["LMP"], p["LRP"]) < 1e-10, activation
        assert "SAO like dense" in words(explorer) and "RG-N not" in words(explorer)


def test_depth_keeps_orthogonal_means_at_one_and_shrinks_the_others(opened):
    explorer = opened(DepthExplorer, n=32, deepest=50, activation="linear")
    families = explorer.data["families"]
    for name in ("dense", "SAO"):
        assert np.allclose(families[name]["middle"], 1) and families[name]["depth"][-1] == 50
    assert families["LMP"]["middle"][-1] < families["RG-N"]["middle"][-1] < 0.5
    lines = {trace.name: trace for trace in explorer.figure.data}
    assert lines["SAO"].line.color == FAMILY_COLOURS["sao"] and lines["RG-N"].marker.symbol == "circle"
    explorer.set(view="variance")
    explorer.settle()
    assert explorer.figure.layout.yaxis.title.text == "variance of s"
    assert np.allclose(explorer.data["families"]["SAO"]["middle"], 0)


def test_a_thousand_layers_are_told_below_the_smallest_float(opened):
    explorer = opened(DepthExplorer, n=32, degree=2, activation="linear", deepest=1000, view="log₁₀: median, 80 %")
    entry = explorer.data["families"]["LMP"]
    assert entry["middle"][-1] < -320 and entry["lower"][-1] < entry["middle"][-1] < entry["upper"][-1]
    assert np.allclose(explorer.data["families"]["SAO"]["middle"], 0, atol=1e-9)
    assert "LMP\u00a01e-" in words(explorer)


def test_a_mean_too_large_for_its_axis_leaves_a_gap(opened):
    explorer = opened(DepthExplorer, n=32, activation="linear", gain="√2", deepest=50)
    middle = explorer.data["families"]["SAO"]["middle"]
    assert np.isnan(middle[-1]) and middle[0] == pytest.approx(math.sqrt(2)) and explorer.error is None
    assert "above 1000: dense, SAO" in explorer.data["note"]


def test_depths_axes_start_again_with_another_depth_gain_or_activation_and_keep_with_another_degree(opened):
    explorer = opened(DepthExplorer, n=32, activation="tanh", gain="√2", deepest=50)
    explorer.set(gain="1", deepest=10)
    explorer.settle()
    x, y = explorer.figure.layout.xaxis.range, explorer.figure.layout.yaxis.range
    assert tuple(x) == (0, 10) and y[1] < 1
    explorer.set(degree=2)
    explorer.settle()
    assert explorer.figure.layout.yaxis.range[1] >= y[1] and tuple(explorer.figure.layout.xaxis.range) == (0, 10)


def test_depth_says_while_deeper_layers_are_missing(opened):
    explorer = opened(DepthExplorer, n=32)
    notes = [frame["note"] for frame in explorer.stream(**explorer.settings | {"degree": 8}) if frame]
    assert "deeper layers follow" in notes[0] and "follow" not in notes[-1]


def test_a_construction_offers_the_admissible_degrees_and_shows_as_many_panels_as_steps(opened):
    explorer = opened(ConstructionExplorer, n_in=8, n_out=12, degree=3, step=2)
    assert explorer.controls["degree"].options == (3, 6, 12)
    assert len(explorer.figure.layout.images) == 2 and "2 copies of M₁" in words(explorer)
    explorer.set(step=6)
    explorer.settle()
    assert len(explorer.figure.layout.images) == 6
    *_, weights, _, product = explorer.data["steps"].values()
    assert np.array_equal(product, np.eye(8)) and weights.shape == (12, 8)
    explorer.set(n_in=6, n_out=16)
    explorer.settle()
    assert explorer.controls["degree"].options == (8, 16)


def test_another_draw_is_another_matrix_and_aligned_placement_stays(opened):
    explorer = opened(ConstructionExplorer, n_in=16, n_out=16, degree=4, placement="aligned")
    first = explorer.data["steps"]["4. S: the blocks on M"]
    explorer.set(seed=1)
    explorer.settle()
    second = explorer.data["steps"]["4. S: the blocks on M"]
    assert np.array_equal(first != 0, second != 0) and not np.allclose(first, second)


@pytest.mark.parametrize(
    ("kind", "small"),
    [
        (SpectrumExplorer, {"n": 64}),
        (LayerExplorer, {}),
        (DepthExplorer, {"n": 32, "deepest": 50}),
        (ConstructionExplorer, {}),
    ],
)
def test_every_title_has_at_most_two_lines(opened, kind, small):
    explorer = opened(kind, **small)
    for name, settings in kind.presets.items():
        explorer.set(**settings | small)
        explorer.settle()
        assert explorer.figure.layout.title.text.count("<br>") <= 1, name
        assert explorer.error is None and explorer.settings | settings | small == explorer.settings, name
