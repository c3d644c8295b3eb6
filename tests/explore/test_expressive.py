"""The explorer of expressive power shows what is stored, and trains three networks on one function of the ball."""

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.explore import ExpressiveExplorer
from nbkit.explore import expressive as room
from nbkit.results import load_result, save_result
from nbkit.runs.expressive import NETS, wires
from nbkit.runs.lipschitz import lipschitz_target
from nbkit.runs.power_laws import best_fits, power_laws


@pytest.fixture
def forget():
    """Tables and trainings of another folder are not kept."""
    room._stored.cache_clear(), room._found.cache_clear()
    yield
    room._stored.cache_clear(), room._found.cache_clear()


@pytest.mark.parametrize(("measure", "pool"), [("largest", "the worst"), ("root mean square", "the mean")])
def test_curves_slopes_and_title_are_those_of_the_stored_fits(opened, measure, pool):
    explorer = opened(ExpressiveExplorer, measure=measure, pool=pool, steps=100)
    stored = load_result("expressive_fits").columns
    key, over = {"largest": "sup"}.get(measure, "rms"), pool.removeprefix("the ")
    fits = best_fits(stored, key, over)
    laws = {
        (row["net"], row["against"]): row for row in power_laws(stored) if (row["measure"], row["over"]) == (key, over)
    }
    title = explorer.figure.layout.title.text.replace("<br>", " ")
    assert f"{pool[1:]} of four functions: error ~ N^" in title
    for net in NETS:
        curve = explorer.data["curves"][net]
        np.testing.assert_allclose(curve.middle, np.exp(np.log(fits[net].errors).mean(axis=0)))
        assert explorer.data["slopes"][net][0] == pytest.approx(laws[net, "dense"]["slope"])
        assert f"N^{laws[net, 'dense']['slope']:.2f}".replace("-", "−") in title
    ratios = [f"{laws['radix', net]['ratio']:.2f}× {net}" for net in ("dense", "narrow")]
    assert f"RadiX ({', '.join(ratios)}), " in title


def test_one_function_may_be_asked_for(opened):
    explorer = opened(ExpressiveExplorer, pool="the one below", target="waves 8", steps=100)
    fits = best_fits(load_result("expressive_fits").columns, over="waves 8")
    np.testing.assert_allclose(
        explorer.data["curves"]["radix"].middle, np.exp(np.log(fits["radix"].errors).mean(axis=0))
    )
    assert "unctions waves 8: error ~ N^" in explorer.figure.layout.title.text.replace("<br>", " ")


def test_the_live_fits_end_below_where_they_began_and_say_how_far_off_they_are(opened):
    settings = {"target": "cones 4", "depth": 3, "seed": 1, "steps": 100}
    explorer = opened(ExpressiveExplorer, **settings)
    frame, born = explorer.data, room._Course(*settings.values())
    side = np.linspace(0, 1, room._SIDE)
    f = lipschitz_target("cones", 4, seed=1)
    for net in NETS:
        depth, _, error = frame["live"][net]
        assert depth == 3 and error == np.abs(frame["gaps"][net]).max() < 0.5 * np.abs(born.gaps[net]).max()
        assert wires(net, 3).sizes[1:-1] == (9 if net == "narrow" else 16,) * 3
    assert frame["target"][3, 7] == pytest.approx(f(room.torch.tensor([[side[3], side[7]]])).item(), abs=1e-6)
    assert frame["progress"] == (100, 100, "steps") and "100 steps: dense " in frame["note"]


def test_a_partial_run_says_so_and_one_that_is_missing_is_told(opened, forget, tmp_path, monkeypatch):
    whole = load_result("expressive_fits")
    beside = {key: value for key, value in whole.sidecar.items() if key not in ("rows", "sha256")}
    save_result("expressive_fits", whole.columns, beside | {"status": "partial"}, folder=tmp_path)
    monkeypatch.setattr("nbkit.results.results_folder", lambda: tmp_path)
    assert opened(ExpressiveExplorer, steps=100).figure.layout.title.text.startswith("Partial run, the worst of four")
    (tmp_path / "expressive_fits.csv").unlink()
    room._stored.cache_clear(), room._found.cache_clear()
    explorer = ExpressiveExplorer(steps=100)
    try:
        with pytest.raises(NbkitError, match="load_result: .*expressive_fits"):
            explorer.settle()
    finally:
        explorer.close()
