"""Pictures of deep networks in training: four panels of one moment, and the stored trainings of one depth."""

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import (
    DEEP_LOOKS,
    FAMILY_COLOURS,
    DeepTableView,
    DeepView,
    deep_figure,
    deep_ranges,
    deep_table_figure,
    deep_table_ranges,
    deep_table_traces,
    deep_traces,
)
from nbkit.nets import DEEP_METHODS

VIEW = DeepView(
    "RG-N",
    steps=np.array([0, 5, 10]),
    accuracies=np.array([0.1, 0.3, 0.6]),
    losses=np.array([np.nan, np.log(10), 5 * np.log(10)]),
    spectrum=np.array([[4.0, 1.0], [2.0, 0.5], [3.0, 0.0]]),
    born=np.array([[1.0, 0.9], [1.2, 0.8], [1.1, 1e-30]]),
    gradients=np.array([1e-3, 0.0, 2.0]),
    costs={"Dense": 50.0, "RG-N": 12.5},
)
TABLE = DeepTableView(
    {"Dense": (np.array([0, 1]), np.array([0.1, 0.95])), "GMP-S": (np.array([0, 1]), np.array([0.1, 0.102]))},
    spectra={"Dense": (np.array([0, 1]), np.array([2.0, 4.0])), "GMP-S": (np.array([0, 1]), np.array([1e-3, 0.0]))},
    gradients={"Dense": (np.array([0, 1]), np.array([np.nan, 0.3]))},
)


def named(figure, traces):
    """The traces of a figure by their names."""
    return dict(zip([trace.name for trace in figure.data], traces, strict=True))


def test_guessing_costs_a_loss_of_1_and_more_is_drawn_at_the_axis_end():
    traces = named(deep_figure(VIEW), deep_traces(VIEW))
    np.testing.assert_allclose(traces["loss"]["y"], [np.nan, 1.0, 1.15])
    np.testing.assert_allclose(traces["loss"]["customdata"][1:], [np.log(10), 5 * np.log(10)])
    assert traces["accuracy"]["y"].tolist() == [0.1, 0.3, 0.6] and traces["chance"]["y"].tolist() == [0.1, 0.1]


def test_singular_values_are_a_median_in_the_band_of_all_points_with_their_mean_and_variance():
    traces = named(deep_figure(VIEW), deep_traces(VIEW))
    assert traces["spectrum"]["y"].tolist() == [3.0, 0.5] and traces["at birth"]["y"].tolist() == [1.1, 0.8]
    band = traces["spectrum band"]
    assert band["x"].tolist() == [1, 2, 2, 1] and band["y"].tolist() == [4.0, 1.0, 1e-20, 2.0]
    values = [4, 1, 2, 0.5, 3, 0]
    assert traces["spectrum labels"]["text"][0] == f"— now: mean {np.mean(values):.2g}, variance {np.var(values):.2g}"


def test_labels_keep_to_their_corner_of_axes_that_have_grown():
    shown = deep_ranges(VIEW) | {"xaxis": (0.0, 1000.0), "yaxis2": (1e-20, 1e20)}
    traces = named(deep_figure(VIEW), deep_traces(VIEW, shown=shown))
    assert traces["learning labels"]["x"].tolist() == [520] * 3
    np.testing.assert_allclose(np.log10(traces["spectrum labels"]["y"]), [-20 + 0.19 * 40, -20 + 0.09 * 40])


def test_a_gradient_that_vanished_stands_at_the_axis_end():
    assert named(deep_figure(VIEW), deep_traces(VIEW))["gradient"]["y"].tolist() == [1e-3, 1e-20, 2.0]
    low, high = deep_ranges(VIEW)["yaxis3"]
    assert low == pytest.approx(1e-20) and high == pytest.approx(10)


def test_steps_cost_what_their_bars_say_in_the_methods_colours():
    bars = named(deep_figure(VIEW), deep_traces(VIEW))["cost"]
    assert bars["y"] == ["Dense", "RG-N"] and bars["x"].tolist() == [50, 12.5] and bars["text"] == ["50 ms", "12.5 ms"]
    assert bars["marker"]["color"] == [FAMILY_COLOURS["dense"], FAMILY_COLOURS["sao"]]


def test_what_is_not_there_yet_is_empty_in_as_many_traces():
    empty, full = deep_traces(DeepView()), deep_traces(VIEW)
    assert len(empty) == len(full) == len(deep_figure(DeepView()).data)
    assert named(deep_figure(DeepView()), empty)["spectrum"]["y"].size == 0


def test_every_method_has_its_familys_colour_and_within_it_a_marker_of_its_own():
    assert set(DEEP_METHODS) < set(DEEP_LOOKS)
    assert len({(look.colour, look.marker) for look in DEEP_LOOKS.values()}) == len(DEEP_LOOKS)
    families = {"Dense": "dense", "SAO": "sao", "RadiX": "radix", "X-Net random": "xnet", "GMP-S": "pruned"}
    assert {method: DEEP_LOOKS[method].colour for method in families} == {
        method: FAMILY_COLOURS[family] for method, family in families.items()
    }


@pytest.mark.parametrize(
    ("view", "rule"),
    [
        (DeepView("GNP"), "method must be one of"),
        (DeepView(steps=np.arange(3.0)), "steps, accuracies and losses must be equally long, got 3, 0 and 0"),
    ],
)
def test_views_that_do_not_fit_are_refused(view, rule):
    with pytest.raises(NbkitError, match=f"deep_figure: {rule}"):
        deep_figure(view)


def test_the_table_draws_each_method_in_three_panels_and_its_end_as_a_bar():
    traces = named(deep_table_figure(TABLE), deep_table_traces(TABLE))
    np.testing.assert_allclose(traces["accuracies Dense"]["y"], [0.9, 0.05])  # the error
    assert traces["accuracies SAO"]["y"].size == 0
    bars = traces["in the end"]
    assert bars["y"] == ["GMP-S ●", "Dense ●"] and bars["x"].tolist() == [0.102, 0.95]
    assert bars["text"] == ["10.2%", "95.0%"]
    assert bars["marker"]["color"] == [FAMILY_COLOURS["pruned"], FAMILY_COLOURS["dense"]]


def test_a_jacobian_of_0_is_a_triangle_at_the_axis_end_and_what_was_not_measured_is_left_out():
    traces = named(deep_table_figure(TABLE), deep_table_traces(TABLE))
    pruned = traces["spectra GMP-S"]
    assert pruned["y"].tolist() == [1e-3, 1e-8] and pruned["marker"]["symbol"] == ["circle", "triangle-down-open"]
    assert traces["gradients Dense"]["x"].tolist() == [1] and traces["gradients Dense"]["y"].tolist() == [0.3]
    assert deep_table_ranges(TABLE)["yaxis3"] == pytest.approx((1e-8 / 3, 12))


def test_an_unknown_method_of_the_table_is_refused():
    with pytest.raises(NbkitError, match="deep_table_figure: method must be one of"):
        deep_table_figure(DeepTableView({"GNP": (np.zeros(1), np.zeros(1))}))
