"""The explorer of prunings: counts, dead units, paths and singular values against plain numpy."""

import numpy as np
import pytest
import torch

from nbkit.explore import PruningExplorer
from nbkit.explore import prunings as room
from nbkit.nets import deep_net

DEPTH, WIDTH, DEGREE = 2, 64, 4
SIZES = [256, 128, 64, 64]  # before the last layer, which stays whole
BUDGET = 128 * 4 + 64 * 4 + 64 * 4  # SAO: d wires into every unit


@pytest.fixture(scope="module")
def explorer():
    opened = PruningExplorer(depth=DEPTH, width=WIDTH, degree=DEGREE)
    opened.settle()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def dense():
    """The matrices of the dense network, but the last."""
    net = deep_net(DEPTH, "Dense", width=WIDTH, n_inputs=4 * WIDTH)
    return [module.weight.detach().numpy() for module in net if hasattr(module, "weight")][:-1]


def masks(method, dense):
    """bool (n_out, n_in) of each layer, found another way than the explorer's."""
    total = sum(weight.size for weight in dense)
    if method == "GMP":
        least = np.sort(np.concatenate([np.abs(weight).ravel() for weight in dense]))[total - BUDGET]
        return [np.abs(weight) >= least for weight in dense]
    counts = [round(BUDGET / total * weight.size) for weight in dense]
    return [
        np.abs(weight) >= np.sort(np.abs(weight), axis=None)[-count]
        for weight, count in zip(dense, counts, strict=True)
    ]


def title_of(explorer):
    return explorer.figure.layout.title.text.replace("<br>", " ").replace("\N{NO-BREAK SPACE}", " ")


def test_sao_and_rg_have_d_wires_into_every_unit_and_no_dead_one(explorer):
    for method in ("SAO", "RG"):
        entry = explorer.data["methods"][method]
        assert entry["wires"].tolist() == [4, 4, 4] and entry["dead"].tolist() == [0] * 4
        assert entry["n_edges"].sum() == BUDGET


@pytest.mark.parametrize("method", ["GMP", "LMP"])
def test_what_magnitude_pruning_keeps_and_kills_and_joins(explorer, dense, method):
    entry, kept = explorer.data["methods"][method], masks(method, dense)
    assert entry["n_edges"].tolist() == [mask.sum() for mask in kept]
    dead = [(~kept[0].any(axis=0)).mean()]
    dead += [(~(kept[i].any(axis=1) & kept[i + 1].any(axis=0))).mean() for i in range(2)]
    np.testing.assert_allclose(entry["dead"], [*dead, (~kept[2].any(axis=1)).mean()])
    paths, joined = np.eye(256), []
    for mask in kept:
        paths = mask @ paths
        joined.append((paths > 0).mean())
    np.testing.assert_allclose(entry["reach"], joined)


def test_one_threshold_leaves_the_widest_layer_least(explorer):
    """Its entries have variance 1 / 256 against 1 / 64: a fifth of its share stays, and most of its inputs are dead."""
    gmp, lmp = (explorer.data["methods"][method] for method in ("GMP", "LMP"))
    assert gmp["n_edges"][0] < 0.2 * lmp["n_edges"][0] and gmp["dead"][0] > 0.5 > lmp["dead"][0]
    assert gmp["n_edges"].sum() == BUDGET


@pytest.mark.parametrize("method", ["SAO", "RG", "LRP"])
def test_singular_values_are_those_of_the_whole_jacobian(explorer, method):
    net = room._net("SAO", DEPTH, WIDTH, DEGREE, 0)
    if method != "SAO":
        whole = room._net("Dense", DEPTH, WIDTH, 1, 0)
        net = room._masked(whole, room._wires(net)) if method == "RG" else room.prune(
            whole, explorer.data["methods"]["SAO"]["density"], method, seed=0)  # fmt: skip
    x = torch.from_numpy(room.input_point(4 * WIDTH))
    jacobian = torch.autograd.functional.jacobian(net.dense()[:-1].double(), x)
    values = np.linalg.svd(jacobian.numpy(), compute_uv=False)
    shown = 10.0 ** explorer.data["methods"][method]["log10"]
    np.testing.assert_allclose(shown, np.maximum(values, 1e-10), rtol=1e-6, atol=1e-10 + 1e-12 * values[0])


def test_rg_is_saos_mask_over_the_dense_weights(dense):
    net = room._masked(room._net("Dense", DEPTH, WIDTH, 1, 0), room._wires(room._net("SAO", DEPTH, WIDTH, DEGREE, 0)))
    for layer, matrix, mask in zip(net[:-1:2], dense, room._wires(room._net("SAO", DEPTH, WIDTH, DEGREE, 0))):
        np.testing.assert_array_equal(layer.to_dense().detach().numpy(), matrix * mask.mask().numpy())


def test_the_title_counts_what_stays_of_layer_1_or_what_passes(explorer):
    of = explorer.data["methods"]
    title = title_of(explorer)
    assert title.startswith("N = 2, d = 4, ") and "SAO 512 / 0 %, GMP " in title
    explorer.set(view="signals")
    explorer.settle()
    title = title_of(explorer)
    alive = {name: int((10.0 ** of[name]["log10"] > 0.01).sum()) for name in ("SAO", "GMP")}
    assert f"SAO {alive['SAO']}, " in title and f"GMP {alive['GMP']}, " in title
    assert explorer.figure.layout.xaxis2.title.text.startswith("singular value")
    explorer.set(view="wires")
    explorer.settle()


def test_sao_comes_first_and_each_method_as_soon_as_it_is_known(explorer):
    settings = explorer.settings | {"seed": 1, "depth": 1}
    seen = [list(frame["methods"]) for frame in explorer.stream(**settings) if frame is not None]
    assert seen == [list(room._METHODS)[:n] for n in range(1, 6)]
