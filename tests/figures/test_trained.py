"""The picture of growth in trained networks."""

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import TRAINED_KINDS, trained_figure, trained_traces

X = np.array([1.0, 2.0, 3.0])
ONE = X, np.array([[1.5, 1.4, 1.6]]), np.array([[0.1, 0.2, 0.3]])


def by_name(figure):
    """The traces of the upper panel, then those of the lower one under name + '2'."""
    return {f"{trace.name}{'2' * (trace.yaxis == 'y2')}": trace for trace in figure.data}


def test_the_law_is_dashed_and_runs_over_all_sigma_w():
    law = by_name(trained_figure({"within": ONE}, {}))["σ_w / √2"]
    assert law.line.dash == "dash" and list(law.x) == [1, 3]
    np.testing.assert_allclose(law.y, law.x / np.sqrt(2))


def test_bars_have_the_height_of_the_spread():
    within = by_name(trained_figure({"within": ONE}, {}))["● within a class"]
    assert list(within.y) == [1.5, 1.4, 1.6] and list(within.error_y.array) == [0.1, 0.2, 0.3]


def test_several_lines_are_one_trace_with_gaps():
    lines = np.arange(6.0).reshape(2, 3)
    between = by_name(trained_figure({"between": (X, lines, None)}, {}))["◆ between"]
    np.testing.assert_array_equal(between.y, [0, 1, 2, np.nan, 3, 4, 5])
    np.testing.assert_array_equal(between.x, [1, 2, 3, np.nan, 1, 2, 3])
    assert between.error_y.visible is False


def test_lengths_start_at_depth_0_on_a_log_axis():
    figure = trained_figure({}, {"untrained": [1.0, 0.5, 0.25]})
    lengths = by_name(figure)["○ untrained twin2"]
    assert list(lengths.x) == [0, 1, 2] and figure.layout.yaxis2.type == "log"


def test_the_number_of_traces_is_constant_and_each_is_named_at_its_end():
    full = trained_traces({kind: ONE for kind in TRAINED_KINDS}, {kind: [1.0, 2.0] for kind in TRAINED_KINDS}, [(X, X)])
    assert len(full) == len(trained_traces({}, {})) == len(trained_figure({}, {}).data)
    assert [text.strip() for text in full[6]["text"]] == ["σ_w / √2", *(name for name, *_ in TRAINED_KINDS.values())]
    assert len(set(full[6]["y"])) == 5  # none covers another, though all lines end at one point


def test_labels_keep_apart_on_the_axis_that_is_shown():
    close = {"within": ONE, "between": (X, ONE[1] + 0.01, None)}
    gaps = [
        np.diff(np.sort(trained_traces(close, {}, y_ranges=((0.0, top), (0.1, 1.0)))[6]["y"])).min() for top in (3, 30)
    ]
    assert gaps[1] == pytest.approx(10 * gaps[0])


@pytest.mark.parametrize(
    ("growth", "lengths", "told"),
    [
        ({"trained": ONE}, {}, "kind must be one of"),
        ({}, {"trained": [1.0]}, "kind must be one of"),
        ({"within": (X, np.ones((2, 2)), None)}, {}, r"growth must be sigma_w \(k,\).*Give each"),
        ({"within": (X, np.ones((1, 3)), np.ones((2, 3)))}, {}, "bars"),
        ({}, {"within": [1.0, 0.0]}, "lengths must be above 0.*got 0"),
    ],
)
def test_what_does_not_fit_is_refused(growth, lengths, told):
    with pytest.raises(NbkitError, match=told):
        trained_figure(growth, lengths)
