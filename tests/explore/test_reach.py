"""The explorers of notebook 02: what their streams say, and what their pictures show of it."""

import math

import numpy as np
import pytest
import torch

from nbkit.explore import ConeExplorer, GapExplorer, ReachExplorer, families
from nbkit.explore.families import BY_CHANCE, FAMILIES, SINGLES, cascade, refusal, single_layer
from nbkit.figures import FAMILY_COLOURS
from nbkit.measure import is_path_connected


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("n", "degree"), [(16, 2), (64, 4), (81, 3)])
def test_all_families_have_the_same_density(name, n, degree):
    topology = cascade(name, n, degree, 5)
    assert topology.sizes == (n,) * 6
    assert topology.n_edges == pytest.approx(5 * n * degree, abs=5 * 0.5)  # pruning rounds the number of weights


@pytest.mark.parametrize("name", ["SAO random", "X-Net random", "pruned"])
def test_equal_shaped_layers_of_a_random_family_differ(name):
    layers = list(cascade(name, 64, 4, 16))
    assert all(layers[i] != layers[j] for i in range(16) for j in range(i))


def test_a_family_is_refused_exactly_where_its_degree_is_not_admitted():
    for n, degree in ((256, 4), (256, 8), (100, 10), (100, 3), (81, 9), (81, 2)):
        power = any(degree**k == n for k in range(1, 9))
        assert (refusal("RadiX", n, degree) == "") == power
        assert (refusal("SAO shift", n, degree) == "") == (n % degree == 0)
        assert refusal("pruned", n, degree) == refusal("X-Net Cayley", n, degree) == ""


def test_a_radix_cascade_is_full_after_one_system():
    topology = cascade("RadiX", 81, 3, 5)  # 3 ** 4 = 81: the fifth layer begins the system again
    assert is_path_connected(topology[:4]) and not is_path_connected(topology[:3])
    assert topology[4] == topology[0]


@pytest.mark.parametrize(
    "family", [name for name in SINGLES if name not in ("X-Net random", "pruned", "3 × 3 convolution")]
)
def test_single_layers_are_regular_on_both_sides(family):
    layer = single_layer(family, 64, 4)
    assert set(layer.out_degrees().tolist()) == set(layer.in_degrees().tolist()) == {4}


def test_the_convolution_joins_each_pixel_to_its_nine_neighbours():
    layer = single_layer("3 × 3 convolution", 64, 9)
    row, column = np.divmod(np.arange(64), 8)
    steps = [np.minimum(np.abs(x[:, None] - x), 8 - np.abs(x[:, None] - x)) for x in (row, column)]
    assert np.array_equal(layer.biadjacency().numpy(), np.maximum(*steps) <= 1)


def test_the_first_frame_has_the_matrices_and_the_last_the_curves():
    explorer = ReachExplorer(n=64, degree=4, depth=2)
    explorer.settle()
    frames = [frame for frame in explorer.stream(n=64, degree=8, depth=1, show="all seven") if frame is not None]
    explorer.close()
    assert set(frames[0]["reach"]) == set(FAMILIES) - set(BY_CHANCE) and frames[0]["fractions"] == {}
    assert set(frames[-1]["reach"]) == set(frames[-1]["fractions"]) == set(FAMILIES)
    for name, matrix in frames[-1]["reach"].items():
        assert matrix.shape == (64, 64) and matrix.mean() == pytest.approx(frames[-1]["fractions"][name][0])


def test_pictures_leave_the_number_of_threads_alone():
    before = torch.get_num_threads()
    families.fractions("SAO shift", 16, 4), families.reach_matrix("SAO shift", 16, 4, 2)
    assert torch.get_num_threads() == before


def test_pictures_are_computed_on_the_device_for_live_pictures_and_brought_back(monkeypatch):
    used = []
    for name in ("reachability", "reach_fractions"):
        plain = getattr(families, name)
        spied = lambda topology, *, device, plain=plain: (used.append(device), plain(topology, device="cpu"))[1]  # noqa: E731
        monkeypatch.setattr(families, name, spied)
    monkeypatch.setattr(families, "choose_device", lambda: "the device")
    families.fractions.cache_clear()
    matrix, curve = families.reach_matrix("SAO shift", 16, 4, 2), families.fractions("SAO shift", 16, 4)
    assert used == ["the device"] * 2 and matrix.all() and curve[0] == 4 / 16 and curve[1] == 1


def test_what_a_settled_stream_shows_does_not_depend_on_what_was_shown_before(opened):
    settings = {"n": 64, "degree": 2, "depth": 4, "show": "all seven"}
    explorer = opened(ReachExplorer, **settings)
    first = explorer.data
    explorer.set(n=81, degree=3)
    explorer.settle()
    explorer.set(**settings)
    explorer.settle()
    assert all(np.array_equal(first["reach"][name], explorer.data["reach"][name]) for name in FAMILIES)


def test_depth_four_fills_radix_and_shift_at_degree_four(opened):
    explorer = opened(ReachExplorer, depth=4)
    fractions = {name: matrix.mean() for name, matrix in explorer.data["reach"].items()}
    assert fractions["RadiX"] == fractions["SAO shift"] == 1
    assert fractions["SAO aligned"] == 4 / 256
    assert 0.55 < fractions["SAO random"] < 0.75 and fractions["pruned"] < fractions["SAO random"]
    assert "RadiX, SAO shift" in explorer.figure.layout.title.text.replace("<br>", " ")
    names = [entry.text for entry in explorer.figure.layout.annotations]
    assert "RadiX<br><b>100 %</b>" in names and len(explorer.figure.layout.images) == 7


def test_the_measured_curves_are_solid_and_the_mean_field_dashed_and_close(opened):
    explorer = opened(ReachExplorer)
    lines = {trace.name: trace for trace in explorer.figure.data if trace.name in (*FAMILIES, "mean field")}
    assert lines["mean field"].line.dash == "dash" and lines["SAO random"].line.dash is None
    assert np.abs(lines["mean field"].y - lines["SAO random"].y).max() < 0.03
    assert all(lines[name].line.color == FAMILY_COLOURS[family] for name, family in FAMILIES.items())


def test_families_without_such_a_layer_are_left_out_and_say_why(opened):
    explorer = opened(ReachExplorer)
    explorer.set(**explorer.presets["break it"])
    explorer.settle()
    assert set(explorer.data["reach"]) == {"X-Net random", "X-Net Cayley", "pruned"}
    assert "RadiX" in explorer.data["note"] and explorer.error is None
    assert "3 does not<br>divide 256" in [entry.text for entry in explorer.figure.layout.annotations]


def test_choosing_families_keeps_the_traces_and_hides_the_rest(opened):
    explorer = opened(ReachExplorer)
    n_traces = len(explorer.figure.data)
    explorer.set(show="SAO placements", depth=16)
    explorer.settle()
    assert len(explorer.figure.data) == n_traces
    assert [entry.text for entry in explorer.figure.layout.annotations] == [
        "SAO shift<br><b>100 %</b>", "SAO random<br><b>100 %</b>", "SAO aligned<br><b>1.56 %</b>",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [ReachExplorer, ConeExplorer, GapExplorer])
def test_every_preset_settles(opened, kind):
    explorer = opened(kind)
    for name, settings in kind.presets.items():
        explorer.set(**settings)
        explorer.settle()
        assert explorer.error is None and explorer.settings | settings == explorer.settings, name


def test_the_last_column_of_a_cone_is_a_row_of_reach(opened):
    explorer = opened(ConeExplorer, family="SAO random", n=32, degree=4, neuron=7, depth=2)
    reached = np.flatnonzero(explorer.data["reach"][7])
    assert explorer.data["cone"][-1].tolist() == reached.tolist()
    lit = explorer.figure.data[4].customdata
    assert lit[lit[:, 0] == 2, 1].tolist() == reached.tolist()
    assert explorer.canvases["reach"].lit_row == 7
    assert np.array_equal(explorer.canvases["reach"].matrix, explorer.data["reach"])


def test_under_shift_the_cone_is_consecutive_and_grows_by_the_degree(opened):
    explorer = opened(ConeExplorer, family="SAO shift", n=16, degree=2, neuron=3, depth=3)
    for depth, nodes in enumerate(explorer.data["cone"]):
        assert nodes.tolist() == [(2**depth * 3 + s) % 16 for s in range(2**depth)]


def test_clicking_a_neuron_lights_its_label(opened):
    explorer = opened(ConeExplorer, n=16, degree=2, depth=2)
    neurons = explorer.figure.data[3]
    position = next(i for i, (layer, label) in enumerate(neurons.customdata) if (layer, label) == (1, 9))
    explorer._clicked(neurons, type("Points", (), {"point_inds": [position]}))
    explorer.settle()
    assert explorer.data["neuron"] == 9 and explorer.controls["neuron"].value == 9


def test_a_cone_explorer_offers_only_degrees_that_the_family_admits(opened):
    explorer = opened(ConeExplorer, family="RadiX", n=16, degree=2)
    assert explorer.controls["degree"].options == (2, 4)
    explorer.set(n=27)
    explorer.settle()
    assert explorer.controls["degree"].options == (3,) and explorer.data["sizes"][0] == 27


@pytest.mark.parametrize(
    ("family", "n_components", "second"),
    [("SAO", 64, 4.0), ("RadiX, last layer", 64, 4.0), ("RadiX, first layer", 1, 3.9985)],
)
def test_the_gap_explorer_says_components_and_second_value(opened, family, n_components, second):
    explorer = opened(GapExplorer, family=family)
    assert explorer.data["n_components"] == n_components and explorer.data["second"] == pytest.approx(second, abs=1e-4)
    assert explorer.data["statement"] in explorer.figure.layout.title.text.replace("<br>", " ")
    assert explorer.data["bound"] == pytest.approx(2 * math.sqrt(3))


def test_a_random_regular_layer_is_an_expander_and_a_convolution_is_not(opened):
    explorer = opened(GapExplorer, family="random regular")
    assert explorer.data["n_components"] == 1 and explorer.data["second"] <= 2 * math.sqrt(3)
    explorer.set(family="3 × 3 convolution")
    explorer.settle()
    side = 16
    assert explorer.settings["degree"] == 9
    assert explorer.data["second"] == pytest.approx(3 * (1 + 2 * math.cos(2 * math.pi / side)))
    assert explorer.data["second"] > 2 * math.sqrt(8)


def test_the_title_denies_reach_only_to_regular_families(opened):
    explorer = opened(ReachExplorer, n=64, degree=4, depth=2)
    assert "d^L = 16 < 64: no regular family can" in explorer.figure.layout.title.text.replace("<br>", " ")
    explorer.set(show="SAO placements", depth=16)
    explorer.settle()
    assert "everyone hears everyone in SAO shift" in explorer.figure.layout.title.text.replace("<br>", " ")


def test_every_title_of_a_layer_or_of_full_families_has_at_most_two_lines(opened):
    explorer = opened(GapExplorer)
    for family in families.SINGLES:
        explorer.set(family=family)
        explorer.settle()
        assert explorer.figure.layout.title.text.count("<br>") <= 1, family
    for depth in (3, 16):
        explorer = opened(ReachExplorer, n=256, degree=4, depth=depth)
        assert explorer.figure.layout.title.text.count("<br>") <= 1, depth
    assert "of 7 families" in explorer.figure.layout.title.text.replace("<br>", " ")


def test_a_zoomed_cone_stays_zoomed_until_the_sizes_change(opened):
    explorer = opened(ConeExplorer, n=16, degree=2, neuron=3, depth=3)
    explorer.figure.layout.yaxis.range = [9.5, 2.5]
    explorer.set(neuron=5)
    explorer.settle()
    assert explorer.figure.layout.yaxis.range == (9.5, 2.5)
    explorer.set(depth=4)
    explorer.settle()
    assert explorer.figure.layout.yaxis.range != (9.5, 2.5)
