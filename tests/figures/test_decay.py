"""Pictures of training under weight decay: four panels of one moment, and the stored runs at the paper's size."""

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import (
    METHODS,
    PAPER_STRENGTHS,
    DecayView,
    PaperDecayView,
    decay_figure,
    decay_ranges,
    decay_traces,
    paper_decay_figure,
    paper_decay_traces,
)
from nbkit.runs.decay import Settings

VIEW = DecayView(
    "weight_decay",
    targets=np.array([0.5, -0.5, 0.0]),
    outputs=np.array([40.0, -0.4, 0.1]),
    steps=np.array([1, 100, 200]),
    densities={"V1": np.array([1.0, 0.5, 0.25]), "A2": np.array([1.0, 0.9, 0.8])},
    spectra={"weight_decay": np.array([2.0, 0.5, 0.0]), "none": np.array([30.0, 20.0, 10.0])},
    born=np.array([31.0, 21.0, 11.0]),
    bound=3,
    norms=(np.array([1e-9, 0.5, 2e-3]), np.array([0.2, 1e-3, 0.9])),
)


def named(traces):
    """The traces of a figure by their names."""
    names = [trace.name for trace in decay_figure(DecayView()).data]
    return dict(zip(names, traces, strict=True))


def test_samples_stand_by_their_targets_and_an_output_off_the_axis_is_a_triangle():
    traces = named(decay_traces(VIEW))
    assert traces["target"]["y"].tolist() == [-0.5, 0.0, 0.5] and traces["target"]["x"].tolist() == [1, 2, 3]
    assert traces["output"]["y"].tolist() == [-0.4, 0.1, 1.5] and traces["output"]["customdata"][2] == 40
    assert traces["output"]["marker"]["symbol"] == ["circle", "circle", "triangle-up-open"]
    np.testing.assert_array_equal(traces["gap"]["y"][:3], [-0.5, -0.4, np.nan])


def test_densities_are_named_at_their_ends_and_those_left_out_are_empty():
    traces = named(decay_traces(VIEW))
    assert traces["V1"]["y"].tolist() == [1.0, 0.5, 0.25] and traces["W1"]["y"].size == traces["W1"]["x"].size == 0
    labels = traces["density labels"]
    assert (
        labels["text"] == [" V1", " A2"] and labels["x"].tolist() == [200, 200] and labels["y"].tolist() == [0.25, 0.8]
    )


def test_singular_values_of_every_network_stand_beside_birth_and_the_architectures_bound():
    traces = named(decay_traces(VIEW))
    assert traces["none"]["y"].tolist() == [30, 20, 10] and traces["at birth"]["y"].tolist() == [31, 21, 11]
    decayed = traces["weight decay"]  # 0 has no place on a log axis: it is a triangle at its end
    assert decayed["y"].tolist() == [2.0, 0.5, 1e-4]
    assert decayed["marker"]["symbol"] == ["square", "square", "triangle-down-open"]
    assert traces["(2)"]["y"].size == 0 and traces["bound"]["x"].tolist() == [3.5, 3.5]


def test_neurons_are_sorted_and_those_strictly_above_the_threshold_counted():
    traces = named(decay_traces(VIEW))
    assert traces["layer 1"]["y"].tolist() == [0.5, 2e-3, 1e-4]
    told = traces["neuron labels"]["text"]
    assert told == ["◇ layer 2: 2 of 3 active", "● layer 1: 2 of 3 active"]
    assert traces["threshold"]["y"].tolist() == [1e-3, 1e-3]


def test_what_is_drawn_of_the_chosen_network_has_its_colour():
    traces = named(decay_traces(VIEW))
    colours = {traces[name]["line"]["color"] for name in ("V1", "A2", "layer 1", "layer 2")}
    assert colours == {METHODS["weight_decay"].colour} == {traces["output"]["marker"]["color"]}


def test_axes_show_all_there_is():
    ranges = decay_ranges(VIEW)
    assert ranges["xaxis"] == (0.4, 3.6) and ranges["xaxis2"][1] > 200 and ranges["xaxis3"][1] > 3.5
    assert ranges["yaxis3"][1] > 31 and ranges["yaxis3"][0] < 1e-4 < ranges["yaxis4"][1]
    figure = decay_figure(VIEW)
    for axis, (low, high) in ranges.items():
        shown = np.array(figure.layout[axis].range)
        np.testing.assert_allclose(10**shown if figure.layout[axis].type == "log" else shown, (low, high))


def test_the_number_of_traces_is_constant():
    assert len(decay_traces(DecayView())) == len(decay_traces(VIEW)) == len(decay_figure(VIEW).data)


@pytest.mark.parametrize(
    ("view", "told"),
    [
        (DecayView("decay"), "method must be one of"),
        (DecayView(spectra={"full": np.ones(2)}), "method must be one of"),
        (DecayView(densities={"V3": np.ones(2)}, steps=np.ones(2)), "matrix must be one of"),
        (DecayView(targets=np.ones(3), outputs=np.ones(2)), "targets and outputs must be equally long.*got 3 and 2"),
        (DecayView(steps=np.ones(3), densities={"V1": np.ones(2)}), r"got 0 and 0, 3 and \{'V1': 2\}"),
    ],
)
def test_what_does_not_fit_is_refused(view, told):
    with pytest.raises(NbkitError, match=f"decay_figure: .*{told}"):
        decay_figure(view)


EPOCHS = np.array([0, 100, 200])
PAPER = PaperDecayView(
    1e-3,
    100,
    densities={("rbv2", 1e-3): (EPOCHS, np.array([1.0, 0.7, 0.4])), ("rbv2", 0.1): (EPOCHS, np.array([1.0, 0.2, 0.0]))}
    | {("none", 0.0): (EPOCHS, np.ones(3))},
    errors={"rbv2": 2e-5},
    spectra={("factored", "rbv2"): np.array([3.0, 0.0]), ("full", "none"): np.array([9.0, 8.0, 7.0])},
    bound=2,
)


def stored(view):
    figure = paper_decay_figure(view)
    return dict(zip([trace.name for trace in figure.data], figure.data, strict=True))


def test_curves_of_the_chosen_strength_stand_out_and_are_named_where_they_end():
    traces = stored(PAPER)
    assert list(traces["(2) 0.001"].y) == [1.0, 0.7, 0.4] and list(traces["(2) 0.1"].y) == [1.0, 0.2, 0.0]
    assert [traces[name].opacity for name in ("(2) 0.001", "(2) 0.1", "none 0")] == [1.0, 0.3, 1.0]
    labels = traces["density labels"]
    assert list(labels.text) == [" (2), MSE 2.0e-05", " none"] and list(labels.x) == [200, 200]
    assert list(traces["epoch"].x) == [100, 100]


def test_spectra_stand_beside_the_bound_and_the_ranks_that_the_paper_states():
    traces = stored(PAPER)
    assert list(traces["factored rbv2"].y) == [3.0, 1e-4] and list(traces["full none"].x) == [1, 2, 3]
    assert traces["full none"].line.dash == "dash" and traces["factored rbv2"].line.dash == "solid"
    assert list(traces["bound"].x) == [2.5, 2.5]
    assert list(traces["paper"].x) == [1, 750, 1296] and traces["paper"].marker.symbol == "circle-open"
    assert list(traces["spectrum labels"].text) == [" (2)", " none, full", " ○ rank in the paper"]


def test_the_number_of_traces_of_the_stored_runs_is_constant():
    assert len(paper_decay_traces(PaperDecayView())) == len(paper_decay_traces(PAPER)) == len(stored(PAPER))


@pytest.mark.parametrize(
    ("view", "told"),
    [
        (PaperDecayView(densities={("rbv2", 0.5): (EPOCHS, EPOCHS)}), r"got \[\('rbv2', 0.5\)\]"),
        (PaperDecayView(spectra={("full", "rbv2"): EPOCHS}), r"got \[\('full', 'rbv2'\)\]"),
        (PaperDecayView(1e-3, -1), "epoch must be at least 0, got -1"),
    ],
)
def test_runs_that_are_not_stored_are_refused(view, told):
    with pytest.raises(NbkitError, match=f"paper_decay_figure: .*{told}"):
        paper_decay_figure(view)


def test_the_lambdas_drawn_are_those_of_the_stored_run():
    assert PAPER_STRENGTHS == Settings().strengths
