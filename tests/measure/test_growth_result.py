"""Estimates: the control variate is without bias, its errors are honest, and it is narrower; deaths and rounding included."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from nbkit.errors import NbkitError
from nbkit.measure import Estimate, GrowthResult, growth, line, weight_scale
from nbkit.weights import Gaussian, Uniform


def taken(result: GrowthResult, nets: slice) -> GrowthResult:
    """Some of the networks of a result."""
    return GrowthResult(
        result.log_length[nets], result.factor[nets], result.n_skipped[nets], result.n_pieces[nets],
        result.factor_control[nets], result.length_control[nets], result.log_rms_length[nets],
    )  # fmt: skip


def made(factor: np.ndarray, control: np.ndarray | None = None, log_length: np.ndarray | None = None) -> GrowthResult:
    """A result of given factors (n_nets, depth)."""
    factor = torch.as_tensor(factor, dtype=torch.float64)
    if log_length is None:
        log_length = np.zeros((len(factor), factor.shape[1] + 1))
    log_length = torch.as_tensor(log_length, dtype=torch.float64)
    control = None if control is None else torch.as_tensor(control, dtype=torch.float64)
    return GrowthResult(log_length, factor, torch.zeros(factor.shape, dtype=torch.int64), (8,) * len(factor), control)


ENSEMBLES = {
    "width 6": (Gaussian(2.0), 0.8, (6, 6, 6)),
    "uniform, widening": (Uniform(3.0), 1.0, (5, 9, 12)),
}


@pytest.fixture(scope="module", params=ENSEMBLES)
def many(request) -> GrowthResult:
    law, density, widths = ENSEMBLES[request.param]
    torch.set_num_threads(1)
    curve = line(*np.random.default_rng(0).standard_normal((2, widths[0])))
    return growth(law, density, widths, n_nets=2400, curve=curve, n_points=4)


@pytest.mark.parametrize("n", [8, 24, 48])
@pytest.mark.parametrize(("kind", "at_least"), [("growth", 0.92), ("length", 0.87)])
def test_intervals_cover_the_truth_as_often_as_they_say(many, n, kind, at_least):
    def estimate(result: GrowthResult) -> Estimate:
        if kind == "growth":
            return result.growth_estimate()
        whole = result.length_estimate()
        return Estimate(whole.mean[-1], whole.sem[-1], whole.n)

    truth, repetitions = float(estimate(many).mean), min(200, 2400 // n)
    groups = [estimate(taken(many, slice(start * n, (start + 1) * n))) for start in range(repetitions)]
    inside = sum(bool(low <= truth <= high) for low, high in (group.interval() for group in groups))
    means, sems = (np.array([float(getattr(group, name)) for group in groups]) for name in ("mean", "sem"))
    assert scipy.stats.binom.cdf(inside, repetitions, at_least) > 1e-3
    assert abs(means.mean() - truth) < 4.5 * means.std() / math.sqrt(repetitions)
    assert math.sqrt((sems**2).mean()) == pytest.approx(means.std(), rel=0.25)


def test_the_control_is_without_bias_against_a_long_plain_run(many):
    plain = float(many.growth.nanmean())
    differences = [taken(many, slice(start, start + 12)).controlled_mean - taken(many, slice(start, start + 12)).mean
                   for start in range(0, 2400, 12)]  # fmt: skip
    assert abs(np.mean(differences)) < 4.5 * np.std(differences) / math.sqrt(200)
    assert many.controlled_mean == pytest.approx(plain, abs=4.5 * many.sem)


def test_controls_have_expectation_0(many):
    for control in (many.factor_control.nan_to_num(), many.length_control[:, 1:]):
        errors = control.std(dim=0) / math.sqrt(2400)
        assert (control.mean(dim=0).abs() < 4.5 * errors).all()


def test_the_control_narrows_and_narrows_more_in_wide_networks():
    ratios = []
    for width in (6, 30, 150):
        result = growth(Gaussian(2.0), 1.0, width, 2, n_nets=40)
        ratios.append(result.controlled_sem / result.sem)
        lengths, plain = result.length_estimate(), result.length.std(dim=0) / math.sqrt(40)
        if width == 6:  # log-lengths spread too far behind both layers: the plain mean
            torch.testing.assert_close(lengths.sem[1:], plain[1:])
        else:
            assert (lengths.sem[1:] < 0.8 * plain[1:]).all()
    assert ratios[0] < 0.8 and ratios[1] < 0.3 and ratios[2] < 0.15


@pytest.mark.parametrize(("n", "groups"), [(5, 3000), (40, 600)])
def test_the_control_is_without_bias_where_networks_die(n, groups):
    # factor 2 or 0 with chance .9 and .1, independent in each of 3 layers; behind a 0 all is dead. E factor^2 = 3.6
    rng = np.random.default_rng(n)
    alive = np.cumprod(np.concatenate([np.ones((groups * n, 1)), rng.random((groups * n, 3)) < 0.9], axis=1), axis=1)
    factor = np.where(alive[:, :-1] > 0, 2 * alive[:, 1:], np.nan)
    result = made(factor, (factor**2 - 3.6) / (2 * math.sqrt(3.6)))
    truth = 0.1 * 0 + 0.09 * 1 + 0.081 * 4 / 3 + 0.729 * 2
    means, layers = [], []
    for start in range(0, groups * n, n):
        part = made(result.factor[start : start + n], result.factor_control[start : start + n])
        means.append(part.controlled_mean)
        layers.append(part.factor_estimate().mean.numpy())
    assert abs(np.mean(means) - truth) < 4.5 * np.std(means) / math.sqrt(groups)
    layers = np.array(layers)
    spread = np.nanstd(layers, axis=0) / np.sqrt((~np.isnan(layers)).sum(axis=0))
    assert (np.abs(np.nanmean(layers, axis=0) - 1.8) < 4.5 * spread + 1e-12).all()


def test_a_length_that_every_network_shares_is_kept_to_rounding():
    for n_nets in (5, 40):
        result = growth((Gaussian(1.0), Uniform(4.0)), (0.5, 0.9), (20, 40, 10), n_nets=n_nets)
        lengths = result.length_estimate()
        assert float(lengths.mean[0]) == pytest.approx(float(result.length[0, 0]), rel=1e-12)
        assert float(lengths.sem[0]) < 1e-12


def test_one_network_far_from_the_others_does_not_upset_the_fit():
    rng = np.random.default_rng(0)
    control = np.zeros((40, 1))
    control[3] = 1.0
    result = made(1 + 0.01 * rng.standard_normal((40, 1)), control)
    assert abs(result.controlled_mean - result.mean) < 0.1


def test_the_coefficient_is_1_below_32_networks_and_fitted_without_each_from_then_on():
    rng = np.random.default_rng(1)
    value, control = rng.standard_normal((40, 1)), rng.standard_normal((40, 1))
    value += 0.7 * control
    few = made(value[:31], control[:31])
    assert few.controlled_mean == pytest.approx(float((value[:31] - control[:31]).mean()))
    corrected = []
    for i in range(40):
        others = np.arange(40) != i
        slope = np.polyfit(control[others, 0], value[others, 0], 1)[0]
        corrected.append(value[i, 0] - slope * control[i, 0])
    estimate = made(value, control).growth_estimate()
    assert float(estimate.mean) == pytest.approx(np.mean(corrected))
    assert float(estimate.sem) == pytest.approx(np.std(corrected, ddof=1) / math.sqrt(40))


def test_without_a_control_the_means_are_plain():
    factor = np.array([[1.0, 2.0], [3.0, np.nan], [0.5, 4.0]])
    result = made(factor)
    growths = [1.5, 3.0, 2.25]
    assert result.growth.tolist() == growths and result.mean == pytest.approx(np.mean(growths))
    assert result.sem == result.controlled_sem == pytest.approx(np.std(growths, ddof=1) / math.sqrt(3))
    assert result.controlled_mean == result.mean
    layers = result.factor_estimate()
    assert layers.mean.tolist() == pytest.approx([1.5, 3.0])
    assert layers.sem[1] == pytest.approx(np.std([2, 4], ddof=1) / math.sqrt(2)) and layers.n == 2


def test_networks_dead_from_the_start_are_left_out():
    result = made([[np.nan, np.nan], [1.0, 2.0], [2.0, 3.0]], [[np.nan, np.nan], [0.1, 0.1], [-0.1, -0.1]])
    assert result.mean == 2 and result.growth_estimate().n == 2 and result.controlled_mean == pytest.approx(2)


def test_one_network_has_a_mean_and_no_error():
    result = made([[1.0, 2.0]], [[0.1, 0.1]])
    assert result.mean == 1.5 and math.isnan(result.sem) and math.isnan(result.controlled_sem)
    assert all(math.isnan(end) for end in result.growth_estimate().interval())


def test_logarithms_carry_lengths_that_floats_do_not():
    logs = np.array([[0.0, 2000.0], [0.0, 2000.0 + math.log(3)], [0.0, -np.inf]])
    result = made(np.ones((3, 1)), log_length=logs)
    assert float(result.log_mean_length[1]) == pytest.approx(2000 + math.log(4 / 3))
    assert math.isinf(result.length_estimate().mean[1]) and float(result.length_estimate().mean[0]) == 1
    small = made(np.ones((2, 1)), log_length=np.array([[0.0, -np.inf], [0.0, -np.inf]]))
    assert float(small.length_estimate().mean[1]) == 0 and math.isinf(small.log_mean_length[1])


def test_plain_lengths_are_means_and_standard_errors():
    lengths = np.random.default_rng(0).uniform(1, 5, (6, 3))
    estimate = made(np.ones((6, 2)), log_length=np.log(lengths)).length_estimate()
    assert estimate.mean.numpy() == pytest.approx(lengths.mean(axis=0))
    assert estimate.sem.numpy() == pytest.approx(lengths.std(axis=0, ddof=1) / math.sqrt(6))


def test_an_interval_is_students():
    estimate = Estimate(torch.tensor(2.0), torch.tensor(0.5), 10)
    low, high = estimate.interval(0.9)
    assert [float(low), float(high)] == pytest.approx(scipy.stats.t.interval(0.9, 9, 2.0, 0.5))
    assert float(estimate.interval()[1]) == pytest.approx(2 + 0.5 * 2.262157, abs=1e-5)


@pytest.mark.parametrize("confidence", [0, 1, 1.5, -0.1, math.nan, "95", True])
def test_a_confidence_lies_between_0_and_1(confidence):
    with pytest.raises(NbkitError, match="confidence must be"):
        Estimate(torch.tensor(2.0), torch.tensor(0.5), 10).interval(confidence)


def test_lengths_whose_squares_have_too_heavy_a_tail_are_averaged_plainly():
    """In narrow, deep networks the mean square lives in networks that are hardly ever drawn: its control misleads."""
    narrow = growth(Gaussian(weight_scale(1.0)), 1.0, 20, 20, n_nets=100)
    assert float(narrow.log_length[:, -1].std()) > 0.5
    assert float(narrow.length_estimate().mean[-1]) == pytest.approx(float(narrow.length[:, -1].mean()))
    assert float(narrow.length_estimate().mean[1]) != pytest.approx(float(narrow.length[:, 1].mean()), rel=1e-6)
    plain = narrow.length_estimate(control=False)
    torch.testing.assert_close(plain.mean, narrow.length.mean(dim=0))
    torch.testing.assert_close(plain.sem, narrow.length.std(dim=0) / 10)
