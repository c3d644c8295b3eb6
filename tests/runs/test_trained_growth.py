"""The run behind Fig. 6, small: whole, resumable, measured right."""

import json
import math

import pytest
import torch

from nbkit.data import digit_line, mnist_split
from nbkit.errors import NbkitError
from nbkit.nets import FeedForward
from nbkit.results import load_result
from nbkit.runs import run
from nbkit.runs.growth_lines import KINDS, choose_lines, measure_growth, random_controls
from nbkit.runs.trained_growth import Settings, run_trained_growth
from nbkit.weights import Gaussian

SMALL = Settings(
    sigmas=(1.0, 2.0), n_nets=2, widths=(784, 16, 16, 10), epochs=1, plain_epochs=1, every=50, n_lines=2, n_points=20
)
TABLES = ("trained_growth", "trained_growth_lines", "trained_growth_log", "trained_growth_nets")


class Stop(Exception):
    """Stands for a kill at a bad moment."""


def stop_at(text):
    def say(line):
        if text in line:
            raise Stop

    return say


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The folder of a small run's tables."""
    folder = tmp_path_factory.mktemp("small")
    run_trained_growth(work=folder / "work", say=lambda line: None, settings=SMALL, folder=folder)
    return folder


def test_a_whole_run_stores_its_tables_and_leaves_nothing_else(small):
    assert sorted(path.name for path in small.iterdir()) == sorted(
        f"{name}.{end}" for name in TABLES for end in ("csv", "json")
    )
    table = load_result("trained_growth", folder=small)
    n_rows = len(KINDS) * 2 * SMALL.n_lines * 4
    assert {len(column) for column in table.columns.values()} == {n_rows}
    assert set(table.columns["kind"]) == set(KINDS) and set(table.columns["net"]) == {0, 1, 2, 3}
    assert (
        not table.is_partial
        and table.sidecar["steps"] == 125
        and table.sidecar["settings"]["widths"] == [784, 16, 16, 10]
    )


@pytest.mark.parametrize("moment", ["distorted: step 50", "plain: step 125", "matched"])
def test_a_run_that_was_killed_goes_on_to_the_same_tables(small, tmp_path, moment):
    options = {"work": tmp_path / "work", "settings": SMALL, "folder": tmp_path / "results"}
    with pytest.raises(Stop):
        run_trained_growth(say=stop_at(moment), **options)
    assert not (tmp_path / "results").exists()
    run_trained_growth(say=lambda line: None, **options)
    for name in TABLES:
        assert (tmp_path / "results" / f"{name}.csv").read_text() == (small / f"{name}.csv").read_text()


def test_checkpoints_of_other_settings_are_refused(tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps({"n_nets": 3}))
    with pytest.raises(NbkitError, match="run_trained_growth: work must hold checkpoints of these settings"):
        run_trained_growth(work=tmp_path, say=print, settings=SMALL, folder=tmp_path)


def test_a_run_that_is_none_is_refused():
    with pytest.raises(NbkitError, match="run: name must be one of 'trained_growth'"):
        run("marathon")


def test_lines_join_test_digits_of_one_class_and_of_two():
    labels = mnist_split().test_labels.tolist()
    lines = choose_lines(10, 0)
    assert [line[0] for line in lines] == [*range(20)] and len({line[2:4] for line in lines}) == 20
    for _, pair, first, second, first_label, second_label, length in lines:
        assert first != second and (labels[first], labels[second]) == (first_label, second_label)
        assert (first_label == second_label) == (pair == "within")
        assert length == pytest.approx(digit_line(first, second).length)
    assert {line[4] for line in lines[:10]} == {line[4] for line in lines[10:]} == {*range(10)}


def test_random_controls_have_the_sigma_w_of_the_trained_and_share_their_numbers():
    trained = FeedForward((784, 200, 200, 10), [Gaussian(1.0), Gaussian(2.0), Gaussian(3.0)], n_nets=2)
    found = random_controls(trained, seed=0)
    pooled, layers = found["matched"], found["matched_by_layer"]
    # 2,000 weights in the last layer: the relative standard error of their std is 1 / sqrt(4,000)
    torch.testing.assert_close(layers.layer_sigma_w(), trained.layer_sigma_w(), rtol=0.06, atol=0)
    torch.testing.assert_close(pooled.layer_sigma_w(), trained.sigma_w()[:, None].expand(-1, 3), rtol=0.06, atol=0)
    for layer in range(3):
        ratio = (trained.layer_sigma_w()[:, layer] / trained.sigma_w()).float()[:, None, None]
        torch.testing.assert_close(layers.weights[layer].detach(), pooled.weights[layer].detach() * ratio)
        assert torch.equal(layers.biases[layer], pooled.biases[layer])
    assert not torch.equal(pooled.weights[0][0], pooled.weights[0][1])
    assert float(pooled.biases[0].detach().std()) == pytest.approx(0.01, rel=0.15)


def test_dead_pieces_are_skipped_and_counted():
    nets = FeedForward((784, 4, 4, 10), Gaussian(1.0), n_nets=2, bias=None)
    with torch.no_grad():
        nets.weights[0][1] = -nets.weights[0][1].abs()  # no pixel is negative: all units are off
    columns = measure_growth({"any": nets}, choose_lines(1, 0), n_points=30, say=lambda line: None)
    assert columns["n_skipped"] == [0, 30, 0, 30]
    assert columns["growth"][0] > 0 and math.isnan(columns["growth"][1])
