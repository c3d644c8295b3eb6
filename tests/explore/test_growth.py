"""The explorers of notebook 03: what their streams say against theory, and what their pictures show of it."""

import math

import numpy as np
import pytest
import torch

from nbkit.explore import (
    CircleExplorer,
    FactorExplorer,
    GrowthExplorer,
    LengthExplorer,
    MaskGrowthExplorer,
    SubvectorExplorer,
    growth,
)
from nbkit.explore.families import FAMILIES
from nbkit.explore.growth import trajectory
from nbkit.figures import FAMILY_COLOURS
from nbkit.measure import circle
from nbkit.weights import Gaussian, RandomNets

SMALL = {"width": 100, "depth": 6, "curve": "random line", "n_nets": 30}


def title(explorer):
    return explorer.figure.layout.title.text.replace("<br>", " ")


@pytest.mark.parametrize("law", ["Gaussian", "uniform", "discrete"])
def test_measured_lengths_lie_between_the_papers_bound_and_the_rms_law(opened, law):
    data = opened(GrowthExplorer, law=law, density=0.5, std=2.0, **SMALL).data
    assert data["growth_rms"] == pytest.approx(1.0)
    assert np.allclose(data["rms"], data["rms"][0]) and data["length"][0] == data["rms"][0]
    assert (data["bound"][1:] < data["lower"][1:]).all() and (data["lower"][1:] < data["rms"][1:]).all()
    assert data["growth_bound"] < data["growth"] - data["growth_error"] < 1
    assert data["growth"] == pytest.approx(1 - 5 / 800, abs=0.005)  # to first order in 1 / width, S4 being small


def test_the_bound_of_figure_2_is_its_slope(opened):
    data = opened(GrowthExplorer, **SMALL | {"n_nets": 10}).data
    assert data["growth_bound"] == pytest.approx(2.394 * 0.5, abs=1e-3) and data["growth_rms"] == pytest.approx(3)


def test_networks_of_a_new_kind_show_the_theory_first_and_known_ones_their_length(monkeypatch, opened):
    monkeypatch.setattr(growth, "_DRAWN", set())
    explorer = opened(GrowthExplorer, **SMALL)
    new, known = ({**explorer.settings, "width": width} for width in (50, 100))
    frames = list(explorer.stream(**new))
    assert frames[0]["length"].size == 0 and (frames[0]["rms"] > frames[0]["bound"])[1:].all()
    assert "n_nets" not in frames[0] and frames[-1]["n_nets"] == 30
    assert next(explorer.stream(**known))["length"].size == 7


def test_two_networks_come_first_and_the_band_narrows():
    explorer = GrowthExplorer(**SMALL | {"width": 200, "n_nets": 30, "control": False})
    explorer.settle()
    frames = list(explorer.stream(**explorer.settings))
    widths = [(frame["upper"] - frame["lower"])[-1] for frame in (frames[0], frames[-1])]
    explorer.close()
    assert frames[0]["n_nets"] <= 5 and frames[-1]["n_nets"] == 30 and widths[1] < widths[0]


def test_digits_are_offered_at_their_width_only_and_are_remembered(opened):
    explorer = opened(GrowthExplorer, depth=1, n_nets=10)
    assert explorer.settings["curve"] == "two digits"
    explorer.set(width=100)
    explorer.settle()
    assert explorer.settings["curve"] == "random line"
    assert "two digits" not in explorer.controls["curve"].options
    explorer.set(width=784)
    explorer.settle()
    assert explorer.settings["curve"] == "two digits"


@pytest.mark.parametrize(
    ("law", "std", "grid"),
    [("discrete", 2.0, "integers ±3 ·"), ("discrete", 6.0, "integers ±3, scaled by 3"), ("uniform", 2.0, "±3.46")],
)
def test_the_note_says_which_law_came_out_and_names_the_interval(opened, law, std, grid):
    note = opened(GrowthExplorer, law=law, std=std, **SMALL).data["note"]
    assert grid in note and "95 % t interval over 30 networks" in note


def test_the_control_variate_narrows_the_interval_of_the_growth(opened):
    errors = [opened(GrowthExplorer, control=control, **SMALL).data["growth_error"] for control in (True, False)]
    assert errors[0] < errors[1] / 4


def test_where_lengths_spread_too_far_the_control_is_left_out(opened):
    settings = {"density": 1.0, "std": 1.414, "width": 20, "depth": 20, "n_nets": 30}
    one, other = (opened(GrowthExplorer, control=control, **settings).data for control in (True, False))
    assert one["length"][-1] == other["length"][-1] and one["upper"][-1] == other["upper"][-1]
    assert one["length"][1] != other["length"][1]  # after one layer they do not


def test_networks_that_died_are_counted_and_lengths_of_zero_left_out(opened):
    data = opened(GrowthExplorer, **GrowthExplorer.presets["break it"]).data
    assert data["n_dead"] > 15 and f"{data['n_dead']} of them died" in data["note"]
    assert (data["length"][np.isfinite(data["length"])] > 0).all()


@pytest.mark.parametrize(("preset", "rms"), [("growth 1", 1.0), ("He scaling", 1.0), ("PyTorch's default", 0.408)])
def test_initialisations_have_their_known_rms_growth(opened, preset, rms):
    settings = GrowthExplorer.presets[preset] | {"width": 20, "depth": 1, "curve": "circle"}
    assert opened(GrowthExplorer, **settings).data["growth_rms"] == pytest.approx(rms, abs=5e-4)


def test_the_lower_panel_shows_the_ratio_and_the_law_has_its_marker(opened):
    explorer = opened(GrowthExplorer, law="uniform", **SMALL)
    ratio = next(trace for trace in explorer.figure.data if trace.name == "ratio")
    assert np.allclose(ratio.y, explorer.data["length"] / explorer.data["rms"]) and ratio.marker.symbol == "square"
    assert next(trace for trace in explorer.figure.data if trace.name == "measured").marker.symbol == "square"
    assert f"{explorer.data['growth']:.4f}" in title(explorer)


@pytest.mark.parametrize(("name", "width"), [("two digits", 784), ("random line", 7), ("arc", 7), ("circle", 7)])
def test_every_curve_lives_in_its_dimension_and_knows_its_length(name, width):
    path = trajectory(name, width)
    times = torch.linspace(0, 1, 2001, dtype=torch.float64)
    chords = torch.linalg.vector_norm(path(times).diff(dim=0), dim=1).sum()
    assert path.dim == width and path.length == pytest.approx(float(chords), rel=1e-5)


FAST = {"curve": "random line, k = 500", "depth": 1, "n_nets": 2}


def test_against_the_scale_the_discrete_law_has_integer_grids_only(opened):
    explorer = opened(FactorExplorer, density=0.5, **FAST)
    x = explorer.data["laws"]["discrete"]["x"]
    limits = (np.sqrt(1 + 12 * x**2) - 1) / 2
    assert np.allclose(limits, limits.round()) and 1 <= limits.min() and x.max() < 20
    assert explorer.settings["std"] == "all" and explorer.controls["density"].options[0] == 0.05


@pytest.mark.parametrize("against", [{"against": "scale σ_w", "density": 0.5}, {"against": "density α", "std": 2.0}])
def test_three_laws_meet_one_rms_law_and_lie_above_their_bounds(opened, against):
    data = opened(FactorExplorer, **against, **FAST).data
    for name, law in data["laws"].items():
        fixed = np.sqrt(0.5 / 2) * law["x"] if "density" in against else 2 * np.sqrt(law["x"] / 2)
        assert len(law["x"]) == 11 and np.allclose(law["growth"], fixed, rtol=0.02), name
        assert (law["bound"] < law["lower"]).all() and (law["lower"] <= law["upper"]).all()
    gaussian = data["laws"]["Gaussian"]
    slope = 0.39894 * (0.5 if "density" in against else 2)
    assert np.allclose(gaussian["bound"], slope * gaussian["x"], rtol=1e-4)


def test_the_first_frame_of_factors_has_three_points_of_each_law_and_points_only_come(opened):
    explorer = opened(FactorExplorer, **FAST)
    frames = [frame for frame in explorer.stream(**explorer.settings) if frame is not None]
    counts = [[len(law["x"]) for law in frame["laws"].values()] for frame in frames]
    assert counts[0] == [3, 3, 3] and counts[-1] == [11, 11, 11]
    assert all(b >= a for one, other in zip(counts, counts[1:], strict=False) for a, b in zip(one, other, strict=True))


def test_what_is_drawn_against_is_no_setting_and_the_other_is_remembered(opened):
    explorer = opened(FactorExplorer, density=0.3, **FAST)
    explorer.set(against="density α")
    explorer.settle()
    assert (explorer.settings["density"], explorer.settings["std"]) == ("all", 2.0)
    assert explorer.figure.layout.xaxis.title.text == "density α"
    explorer.set(against="scale σ_w")
    explorer.settle()
    assert (explorer.settings["density"], explorer.settings["std"]) == (0.3, "all")


def test_the_three_laws_share_a_colour_and_differ_by_marker(opened):
    explorer = opened(FactorExplorer, **FAST)
    lines = {trace.name: trace for trace in explorer.figure.data if trace.name in explorer.data["laws"]}
    assert {trace.line.color for trace in lines.values()} == {FAMILY_COLOURS["dense"]}
    assert len({trace.marker.symbol for trace in lines.values()}) == 3


def test_regular_wires_have_exactly_the_rms_growth_that_was_chosen(opened):
    data = opened(MaskGrowthExplorer, n=16, degree=4, depth=5, growth=1.2, n_nets=50).data
    assert set(data["families"]) == {*FAMILIES, "random sparse"}
    for name in ("RadiX", "SAO shift", "SAO random", "SAO aligned", "X-Net Cayley", "random sparse"):
        assert np.allclose(data["families"][name]["rms"], 1.2 ** np.arange(6)), name
    for name, entry in data["families"].items():
        assert entry["length"][0] == 1 and (entry["lower"] <= entry["rms"] + 1e-9).all(), name
        assert entry["length"][-1] < entry["rms"][-1] and entry["spread"] > 0, name


def test_families_that_have_no_such_wires_are_left_out_and_named(opened):
    explorer = opened(MaskGrowthExplorer, n=100, degree=3, depth=3, n_nets=10)
    assert set(explorer.data["families"]) == {"X-Net random", "X-Net Cayley", "pruned", "random sparse"}
    assert "left out at n = 100, d = 3: RadiX" in explorer.data["note"]
    lines = {trace.name: trace for trace in explorer.figure.data}
    assert len(lines["RadiX"].x) == 0 and lines["pruned"].line.color == FAMILY_COLOURS["pruned"]


def test_the_first_frame_of_masks_has_every_family(opened):
    explorer = opened(MaskGrowthExplorer, n=16, degree=2, depth=3, n_nets=10)
    frames = [frame for frame in explorer.stream(**explorer.settings) if frame is not None]
    assert len(frames[0]["families"]) == 8 and frames[0]["progress"][0] < frames[-1]["progress"][0] == 80


def test_the_input_is_a_circle_of_radius_one(opened):
    data = opened(CircleExplorer, depth=0).data
    assert np.allclose(np.linalg.norm(data["points"], axis=1), 1) and np.allclose(data["points"][:, 2], 0, atol=1e-6)
    assert data["length"] == pytest.approx(2 * math.pi) and np.allclose(data["shares"], [0.5, 0.5, 0], atol=1e-9)


@pytest.mark.parametrize("show", ["before the ReLU", "behind the ReLU"])
def test_the_image_is_that_of_the_network_and_so_is_its_length(opened, show):
    data = opened(CircleExplorer, depth=3, show=show, width=50, seed=2).data
    net = RandomNets((50,) * 13, Gaussian(2.0), 1.0, seed=2).network(0)[: 6 if show == "behind the ReLU" else 5]
    times = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    with torch.no_grad():
        image = net(circle(50, seed=2)(times))
    length = float(torch.linalg.vector_norm(image.diff(dim=0), dim=1).sum())
    assert data["length"] == pytest.approx(length, rel=5e-3)
    centred = image - image.mean(dim=0)
    shares = torch.linalg.svdvals(centred)[:3] ** 2 / (centred**2).sum()
    assert np.allclose(data["shares"], shares, atol=5e-3)
    assert (data["points"][:-1] ** 2).sum(axis=1).mean() == pytest.approx(1)


def test_random_directions_are_not_those_of_largest_spread(opened):
    one, other = (opened(CircleExplorer, directions=way).data["shares"] for way in ("largest spread", "random"))
    assert one[0] > other[0] and one.sum() > other.sum()


def test_the_circle_closes_and_its_title_says_the_length(opened):
    explorer = opened(CircleExplorer, depth=12)
    assert np.allclose(explorer.data["points"][0], explorer.data["points"][-1])
    assert f"length × {explorer.data['growth']:.3g}" in title(explorer) and "Layer 12" in title(explorer)
    assert explorer.figure.layout.title.text.count("<br>") == 0


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"vector": "a random direction", "dimension": 2}, 0.35738),
        ({"vector": "a random direction", "dimension": 10}, 0.49410),
        ({"vector": "a random direction", "dimension": 784}, 0.54711),
        ({"vector": "one entry, e₁"}, 0.3),
        ({"vector": "k equal entries", "dimension": 2}, 0.3**2 + 2 * 0.3 * 0.7 / math.sqrt(2)),
    ],
)
def test_what_is_kept_of_a_vector_is_exact_and_met_by_draws(opened, settings, kept):
    explorer = opened(SubvectorExplorer, density=0.3, **settings)
    data = explorer.data
    assert data["at"] == pytest.approx(kept, abs=1e-5)
    assert (data["alpha"] - 1e-12 <= data["exact"]).all() and (data["exact"] <= np.sqrt(data["alpha"]) + 1e-12).all()
    assert np.abs(data["mean"] - data["exact"]).max() < 0.03
    assert f"keeps {kept:.3g} of its length" in title(explorer)


def test_one_entry_has_one_dimension(opened):
    explorer = opened(SubvectorExplorer, vector="one entry, e₁")
    assert explorer.settings["dimension"] == 1 and explorer.data["dimension"] == 1


def test_chords_approach_the_exact_length_from_below(opened):
    explorer = opened(LengthExplorer, width=10, depth=2)
    data = explorer.data
    net = RandomNets((10,) * 3, Gaussian(2.0), 1.0, seed=0).network(0)
    times = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    with torch.no_grad():
        inputs, signs = trajectory("random line", 10)(times), []
        image = net(inputs)
        for i in (0, 2):
            heights = net[: i + 1](inputs)
            signs.append((heights[:-1] * heights[1:] < 0).sum())
    chords = float(torch.linalg.vector_norm(image.diff(dim=0), dim=1).sum())
    assert chords <= data["length"] < chords * (1 + 1e-3) and data["n_breakpoints"] == int(sum(signs))
    assert data["n_points"][-1] == 10_001 and data["chord_error"][-1] < data["chord_error"][0] / 50
    assert f"{data['n_breakpoints']} breakpoint" in title(explorer)


def test_reset_comes_back_to_what_was_shown_where_a_wish_is_not_offered(opened):
    explorer = opened(GrowthExplorer, width=50, n_nets=10)  # "two digits" are wished for, and need width 784
    before = explorer.settings
    explorer.set(curve="circle", depth=3)
    explorer.reset()
    explorer.settle()
    assert explorer.settings == before and explorer.error is None
