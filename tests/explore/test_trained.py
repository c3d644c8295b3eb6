"""The explorer of notebook 04: what moves is what was measured, controls are what they say, nothing trains twice."""

import math
from contextlib import closing

import numpy as np
import pytest

from nbkit.data import digit_line
from nbkit.explore import TrainedExplorer
from nbkit.explore import trained as room
from nbkit.measure import growth_delta, growth_through
from nbkit.runs.growth_lines import choose_lines
from nbkit.runs.trained_growth import Settings, birth
from nbkit.weights import Gaussian

SMALL = {"n_nets": 1, "depth": 4, "seed": 3, "rate": 0.01, "lines": "class averages", "sigma": 2.0}


pytestmark = pytest.mark.usefixtures("one_core")


@pytest.fixture
def untrained(monkeypatch):
    """Trainings of this test alone."""
    room._training.cache_clear()
    yield
    room._training.cache_clear()


def last(**settings):
    *_, frame = TrainedExplorer.stream(None, **SMALL | settings)
    return frame


def test_before_training_growth_is_that_of_each_network_alone():
    frame = last(steps=0)
    nets = birth(Settings(n_nets=1, widths=(784, 32, 32, 32, 10), seed=3))
    assert frame["growth_of_nets"]["within"].shape == (5, 1)
    lines = choose_lines(10, 0)
    for pair, part in (("within", lines[:10]), ("between", lines[10:])):
        alone = [growth_through(nets, digit_line(a, b), n_points=12) for _, _, a, b, *_ in part]
        square = np.mean([one.factor[:, 1:3].nanmean(dim=1).numpy() for one in alone], axis=0)
        np.testing.assert_allclose(frame["growth_of_nets"][pair][:, 0], square, rtol=1e-4)
        lengths = np.mean([(one.length / one.length[:, :1])[2].numpy() for one in alone], axis=0)
        np.testing.assert_allclose(frame["lengths"][pair], lengths, rtol=1e-4)


def test_before_training_lines_grow_as_in_random_nets_of_width_32():
    frame = last(n_nets=8, depth=10, steps=0)
    growth, sigma_w = frame["growth_of_nets"]["untrained"], frame["sigma_w"]
    ratios = growth / sigma_w / growth_delta(Gaussian(1.0), 1.0, 32)
    assert abs(ratios.mean() - 1) < 4 * ratios.std() / math.sqrt(ratios.size)
    assert frame["accuracy"].mean() < 0.2


def test_random_control_stands_at_the_sigma_w_of_now_in_proportion():
    frame = last(steps=100)
    twin, control, trained = (frame["growth"][kind] for kind in ("untrained", "random", "within"))
    np.testing.assert_allclose(control[0], trained[0])
    np.testing.assert_allclose(control[1][0] / twin[1][0], control[0] / twin[0])
    assert (trained[0][:3] > twin[0][:3]).all()  # small weights grow while a network learns
    ratio = frame["lengths"]["random"] / frame["lengths"]["untrained"]
    np.testing.assert_allclose(ratio, (control[0][2] / twin[0][2]) ** np.arange(5))


def test_training_moves_growth_and_accuracy(untrained):
    frames = [frame for frame in TrainedExplorer.stream(None, steps=200, **SMALL) if frame is not None]
    assert [frame["step"] for frame in frames] == list(range(0, 201, 20))
    assert [frame["progress"] for frame in frames][-1] == (200, 200, "steps")
    assert frames[-1]["accuracy"].mean() > 0.5 > frames[0]["accuracy"].mean()
    assert frames[-1]["growth_of_nets"]["between"].mean() > frames[-1]["growth_of_nets"]["within"].mean()
    np.testing.assert_array_equal(frames[0]["growth"]["untrained"][1], frames[-1]["growth"]["untrained"][1])


def test_what_only_changes_the_view_does_not_train_again(untrained, monkeypatch):
    last(steps=100)
    monkeypatch.setattr(room._Training, "go_on", None)
    earlier = last(steps=0, lines="line by line", sigma=3.0)
    assert earlier["step"] == 0 and earlier["growth"]["within"][1].shape == (10, 5)
    assert last(steps=100)["trails"][0][0].size == 6


def test_a_stream_that_was_left_goes_on_where_it_was(untrained):
    whole = last(steps=100)
    room._training.cache_clear()
    left = TrainedExplorer.stream(None, steps=100, **SMALL)
    while (frame := next(left)) is None or frame["step"] < 40:
        pass
    left.close()
    np.testing.assert_array_equal(last(steps=100)["accuracy"], whole["accuracy"])
    np.testing.assert_allclose(last(steps=100)["sigma_w"], whole["sigma_w"])


def test_line_by_line_draws_every_line_and_averages_have_bars():
    with closing(TrainedExplorer(n_nets=2, depth=4, steps=0)) as explorer:
        explorer.settle()
        names = [trace.name for trace in explorer.figure.data]
        within = explorer.figure.data[names.index("● within a class")]
        assert len(within.x) == 5 and within.error_y.visible and len(within.error_y.array) == 5
        explorer.set(lines="line by line")
        explorer.settle()
        assert len(within.x) == 10 * 6 - 1 and not within.error_y.visible
        assert "Before training" in explorer.figure.layout.title.text


def test_every_label_stands_within_its_axis_even_where_all_lines_end_at_one_point():
    with closing(TrainedExplorer(n_nets=2, depth=4, steps=0, sigma=3.0)) as explorer:
        explorer.settle()
        upper, lower = (trace for trace in explorer.figure.data if trace.name == "labels")
        shown = explorer.figure.layout.yaxis.range, [10.0**end for end in explorer.figure.layout.yaxis2.range]
        for trace, (low, high), n_labels in zip((upper, lower), shown, (5, 4), strict=True):
            assert len(trace.y) == n_labels and all(low <= y <= high for y in trace.y)
