"""Pictures of notebook 05: spectra with needles and places for zeros, Fig. 1 and Fig. 4 of the SAO paper."""

import math

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import (
    FAMILY_COLOURS,
    Spectrum,
    construction_figure,
    construction_layout,
    construction_steps,
    pipeline_figure,
    spectra_axis,
    spectra_figure,
    spectra_range,
    spectra_traces,
)
from nbkit.topology import biregular, complete_blocks
from nbkit.weights import orthogonal

SPREAD = np.geomspace(1e-4, 2, 30)


def words_of(figure):
    return [text.strip() for text in figure.data[-2].text]


def needles(trace):
    """Where the needles of a row stand: behind each gap in its line."""
    gaps = np.flatnonzero(np.isnan(trace.x))
    return [(float(trace.x[i + 1]), float(trace.y[i + 2] - trace.y[i + 1])) for i in gaps]


@pytest.mark.parametrize("log", [False, True])
def test_equal_values_are_one_needle_with_their_number_and_never_bars(log):
    figure = spectra_figure([Spectrum("SAO", 1 + 1e-12 * np.arange(8), "sao")], log=log)
    ((at, height),) = needles(figure.data[1])
    assert at == pytest.approx(1) and words_of(figure) == ["1 × 8"]
    assert len(figure.data[0].x) == 0 and figure.data[1].line.color == FAMILY_COLOURS["sao"]
    half = spectra_figure([Spectrum("", [1.0] * 8 + [0.0] * 8)], log=log)
    assert {round(h / height, 6) for _, h in needles(half.data[1])} == {round(math.sqrt(0.5), 6)}


def test_zeros_stand_at_zero_on_a_linear_axis_and_left_of_the_edge_on_a_logarithmic_one():
    row = Spectrum("LMP", [*SPREAD, 0.0, 1e-17, 0.0])
    assert needles(spectra_figure([row]).data[1]) == [(0.0, pytest.approx(0.82 * math.sqrt(3 / 33)))]
    figure = spectra_figure([row], log=True)
    ((at, _),) = needles(figure.data[1])
    edge = figure.data[-1].x[0]
    assert at < edge < SPREAD.min() and words_of(figure) == ["0 × 3"]


def test_of_logarithms_only_minus_infinity_is_zero_and_the_tiny_have_a_place_of_their_own():
    figure = spectra_figure([Spectrum("RG-N", [-400.0, -30.0, -np.inf, -3.0, 0.0], log10=True)], log=True)
    (zero, _), (small, _) = needles(figure.data[1])
    low, high = spectra_range([Spectrum("", [-30.0, 0.0], log10=True)], log=True)
    assert low < zero < small < figure.data[-1].x[0] < high and words_of(figure) == ["0 × 1", "× 2"]


def test_every_value_that_is_not_a_needle_is_in_a_bar():
    rows = [Spectrum("a", SPREAD), Spectrum("b", SPREAD**2)]
    for log in (False, True):
        for base, area in zip((1, 0), spectra_traces(rows, log=log)[:2]):
            counts = ((area["y"] - base) / 0.82) ** 2 * len(SPREAD)
            assert counts[1::2].sum() == pytest.approx(len(SPREAD))  # both ends of an empty bar lie on the row


@pytest.mark.parametrize(
    "values", [[0.0] * 9 + [*np.linspace(0.01, 0.1, 41)], [1.0] * 9 + [*np.linspace(1.01, 1.1, 41)]]
)
def test_the_number_at_a_needle_stands_above_the_bars_that_it_would_cover(values):
    figure = spectra_figure([Spectrum("LMP", values)])
    bars, words = figure.data[0], figure.data[-2]
    covered = (bars.x >= words.x[0]) & (bars.x <= words.x[0] + 0.1)
    assert bars.y[covered].max() > 0.3 and words.y[0] > bars.y[covered].max() + 0.1


def test_ticks_name_the_places_and_are_few_powers_of_ten():
    for low in (1e-2, 1e-7, 1e-22):
        axis = spectra_axis((low, 10.0), log=True)
        values, words = axis["tickvals"], axis["ticktext"]
        assert words[:2] == ["0", "small"] and "1" in words and len(words) <= 11
        assert np.allclose(np.log10(values[2:]) % 1, 0, atol=1e-9)


def test_the_number_of_traces_depends_on_the_rows_alone():
    rows = [Spectrum("a", SPREAD), Spectrum("later", [], note="3 does not divide 256")]
    figure = spectra_figure(rows, log=True)
    assert len(figure.data) == 6 == len(spectra_traces([Spectrum("a", []), Spectrum("later", [])]))
    assert "3 does not divide 256" in words_of(figure)


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        ([], "at least one Spectrum"),
        ([Spectrum("a", [-1.0])], "'a'.*finite and at least 0"),
        ([Spectrum("a", [np.nan])], "'a'.*finite and at least 0"),
        ([Spectrum("a", [np.inf], log10=True)], "'a'.*numbers or -inf"),
        ([Spectrum("a", [[1.0]])], "'a'.*1 axes"),
        ([Spectrum("a", [1.0], "blue")], "'a'.*family must be one of"),
    ],
)
def test_spectra_that_cannot_be_drawn_are_refused_by_name(rows, rule):
    with pytest.raises(NbkitError, match=rule):
        spectra_figure(rows)


def steps_of(n_in, n_out, degree):
    layer = biregular(n_in, n_out, degree)
    (blocks,) = complete_blocks(layer)
    return construction_steps(layer.mask(), orthogonal(layer), blocks.inputs, blocks.outputs), layer


@pytest.mark.parametrize(("n_in", "n_out", "degree", "copies"), [(8, 8, 2, 2), (8, 12, 3, 2), (12, 8, 3, 2)])
def test_a_construction_copies_its_first_part_and_ends_in_blocks_and_the_identity(n_in, n_out, degree, copies):
    steps, layer = steps_of(n_in, n_out, degree)
    first, mask, blocks, weights, orderly, product = steps.values()
    side = 1 if n_out >= n_in else 0
    assert np.array_equal(np.concatenate([first] * copies, axis=side), mask) and np.array_equal(mask, layer.mask())
    assert np.array_equal(weights != 0, mask)
    n_blocks, (c, d) = 4, (n_out // 4, n_in // 4)
    assert np.array_equal(orderly != 0, np.kron(np.eye(n_blocks), np.ones((c, d))))
    assert sorted(blocks[blocks != 0]) == sorted(weights[weights != 0])
    assert np.array_equal(product, np.eye(min(n_in, n_out)))
    assert f"{c} × {d}" in list(steps)[2]


def test_panels_that_are_not_shown_keep_their_place_and_have_no_picture():
    steps, _ = steps_of(8, 8, 2)
    whole, part = (construction_figure(steps, n_shown=n) for n in (None, 2))
    assert (len(whole.layout.images), len(part.layout.images)) == (6, 2)
    assert [a.text for a in whole.layout.annotations] == [a.text for a in part.layout.annotations] == list(steps)
    assert construction_layout(steps, n_shown=2)["xaxis4"]["domain"] == whole.layout.xaxis4.domain


def test_a_construction_of_no_or_too_many_steps_is_refused():
    for steps in ({}, {str(i): np.eye(2) for i in range(7)}):
        with pytest.raises(NbkitError, match="steps must be 1 to 6 matrices"):
            construction_figure(steps)


def test_the_pipeline_has_a_box_for_every_stage_and_an_arrow_between_two():
    figure = pipeline_figure()
    texts = [a.text.replace("<br>", " ") for a in figure.layout.annotations]
    arrows = [a for a in figure.layout.annotations if a.arrowhead]
    assert len(figure.layout.shapes) == 10 and len(arrows) == 7
    assert texts.count("prune") == 2 and "isometric at the start" in texts
