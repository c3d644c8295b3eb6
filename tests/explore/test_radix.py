"""The explorers of notebook 01: a control is set, and the picture shows what the mathematics says."""

import networkx as nx
import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.explore import DensityExplorer, PathsExplorer, SigmoidsExplorer, WiringExplorer
from nbkit.explore.typed import parse_integers, parse_systems
from nbkit.topology import radix_net


def moved(explorer, **settings):
    explorer.set(**settings)
    explorer.settle()
    return explorer.data


@pytest.mark.parametrize(
    ("text", "systems"),
    [("2,2", [(2, 2)]), (" 3 , 4 ; 12", [(3, 4), (12,)]), ("(2, 3); (6,)", [(2, 3), (6,)])],
)
def test_systems_are_read_from_text(text, systems):
    assert parse_systems("test", text) == systems


@pytest.mark.parametrize("text", ["3, 3, x", "2.5", "2, 3 4", "import os", "--3", "²", "2,,2", "9" * 5000, "🙂"])
def test_text_that_is_no_integer_is_named(text):
    with pytest.raises(NbkitError, match=r"test: radices must be integers with commas between, got '.*\. Write it as"):
        parse_integers("test", "radices", text)


def test_the_lit_neurons_are_networkx_descendants(opened):
    data = moved(opened(WiringExplorer), radices="2, 3; 3, 2; 3", layer=1, neuron=4, depth=3)
    topology = radix_net([(2, 3), (3, 2), (3,)])
    descendants = nx.descendants(topology.to_networkx(), (1, 4))
    for depth in range(2, 5):
        assert data["lit"][depth].tolist() == sorted(label for layer, label in descendants if layer == depth)
    assert len(data["lit"]) == 5  # nothing beyond the depth lit


def test_every_wire_is_a_line_and_every_lit_neuron_a_mark(opened):
    explorer = opened(WiringExplorer)
    data = moved(explorer, radices="3, 3, 4", neuron=5, depth=3)
    _, wires, _, neurons, lit = explorer.figure.data[:5]
    assert len(wires.x) == 3 * 36 * (3 + 3 + 4) and len(neurons.x) == 4 * 36
    assert len(lit.x) == 1 + 3 + 9 + 36 == data["cone_sizes"].sum()


def test_a_click_on_a_neuron_lights_its_cone(opened):
    explorer = opened(WiringExplorer, radices="2, 2, 2")
    marks = explorer.figure.data[3]
    index = [tuple(pair) for pair in marks.customdata.tolist()].index((1, 6))
    explorer._clicked(marks, type("Points", (), {"point_inds": [index]}), None)
    explorer.settle()
    assert (explorer.settings["layer"], explorer.settings["neuron"]) == (1, 6)
    assert explorer.data["lit"][2].tolist() == sorted([6, (6 + 2) % 8])


def test_dependent_controls_offer_what_the_topology_has(opened):
    explorer = opened(WiringExplorer, radices="2, 3", neuron=5)
    offered = {name: explorer.controls[name].max for name in ("neuron", "layer", "depth")}
    assert offered == {"neuron": 5, "layer": 2, "depth": 2}
    moved(explorer, layer=2)
    assert explorer.controls["depth"].max == 0 and explorer.data["cone_sizes"].tolist() == [1]


def test_a_neuron_that_is_not_there_is_refused_with_the_range(opened):
    explorer = opened(WiringExplorer, radices="2, 3")
    explorer.set(neuron=7)
    with pytest.raises(NbkitError, match=r"neuron must be in 0\.\.5 with the other settings, got 7\."):
        explorer.settle()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"radices": "3, 3, x"}, "must be integers"),
        ({"radices": "1, 2"}, "at least 2"),
        ({"radices": ""}, "system 1 must have a radix"),
        ({"radices": "2, 2; 3"}, "divisor of 4"),
        ({"widths": "1, 2"}, "one entry more"),
        ({"widths": "1, 0, 1, 1"}, "at least 1"),
        ({"radices": "64, 64, 64"}, "at most 400,000 wires"),
        ({"radices": ", ".join(["1000"] * 4)}, "at most 400,000 wires"),
        ({"radices": "99999, 99999"}, "at most 400,000 wires"),
        ({"radices": "; ".join(["2"] * 2500)}, "at most 64 layers"),
        ({"radices": "--3"}, "must be integers"),
    ],
)
def test_bad_text_is_explained_and_the_picture_stays(opened, settings, message):
    explorer = opened(WiringExplorer, radices="2, 2, 2")
    before = explorer.figure.data[1].x
    explorer.set(**settings)
    with pytest.raises(NbkitError, match=message):
        explorer.settle()
    assert np.array_equal(explorer.figure.data[1].x, before, equal_nan=True) and explorer.data["sizes"] == (8,) * 4
    moved(explorer, radices="2, 3", widths="")
    assert explorer.error is None and explorer.data["sizes"] == (6,) * 3


def test_path_counts_and_spectra_follow_the_radices(opened):
    data = moved(opened(PathsExplorer), radix_1=2, radix_2=2, radix_3=3, second="N1", width=2, depth=4)
    # Equation (6): product of the radices / N' times the inner widths, here three of 2.
    assert set(data["counts"].ravel()) == {2 * 2 * 3 * 2 // 12 * 8} and data["printed"] == 12 * 8
    assert np.isclose(data["path_values"][0], 16 * 12) and (data["path_values"][1:] < 1e-9 * 16 * 12).all()
    assert data["reach"].all()


def test_part_of_the_layers_reaches_part_of_the_labels(opened):
    explorer = opened(PathsExplorer, radix_1=3, radix_2=3, radix_3=4, second="none", depth=2)
    assert (explorer.data["reach"].sum(axis=1) == 9).all() and explorer.canvases["reach"].matrix.sum() == 9 * 36


def test_counts_beyond_a_canvas_are_scaled_and_said_so(opened):
    explorer = opened(PathsExplorer, second="N1·N2·N3", width=4, depth=6)
    most = int(explorer.data["counts"].max())
    assert most > 255 and explorer.canvases["paths"].title == f"paths, 255 stands for {most}"
    assert explorer.canvases["paths"].matrix.max() == 255


def test_exact_density_meets_equation_4_and_leaves_equation_5(opened):
    data = moved(opened(DensityExplorer), radix_1=2, radix_2=8, width_0=100, width_1=1, width_2=1)
    assert np.isclose(data["here"][1, 0], (2 * 100 + 8 * 1) / (16 * 101)) and data["approximate"][0] == 5 / 16
    assert (data["least"] <= data["exact"]).all() and (data["exact"] <= data["most"]).all()


def test_equal_radices_make_the_approximation_exact(opened):
    data = moved(opened(DensityExplorer), radix_1=4, radix_2=4, width_0=50, width_2=5)
    assert np.allclose(data["exact"], data["approximate"])


def test_more_sigmoids_come_closer_and_a_step_cannot_be_met(opened):
    explorer = opened(SigmoidsExplorer, target="sine", terms=8, steps=50)
    errors = explorer.data["errors"]
    assert list(errors) == [1, 2, 4, 8] and errors[8] < 0.1 < errors[1]
    fit, wanted = explorer.data["fit"], explorer.data["wanted"]
    assert np.isclose(errors[8], np.abs(fit - wanted).max())
    # A continuous function misses a jump of height 1 by at least half of it, less one grid step's slope.
    assert moved(explorer, target="step", terms=8)["errors"][8] > 0.3


@pytest.mark.parametrize("kind", [WiringExplorer, PathsExplorer, DensityExplorer, SigmoidsExplorer])
def test_every_preset_draws(opened, kind):
    explorer = opened(kind)
    for preset in kind.presets.values():
        assert moved(explorer, **preset) and explorer.error is None


@pytest.mark.parametrize("kind", [WiringExplorer, PathsExplorer, DensityExplorer, SigmoidsExplorer])
def test_the_same_settings_give_the_same_frame(opened, kind):
    explorer = opened(kind)
    first, second = (next(explorer.stream(**explorer.settings)) for _ in range(2))
    assert first.keys() == second.keys()
    for key in first:
        np.testing.assert_equal(first[key], second[key])
