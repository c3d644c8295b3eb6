"""The explorer that times layers: what it counts is exact, what it says of given times is true, times are in turns."""

import numpy as np
import pytest
import torch

from nbkit.explore import SpeedExplorer
from nbkit.explore import speed as room
from nbkit.figures import SPEED_WIRES
from nbkit.measure.timing import one_pass

ROUNDS = np.array([1.0, 1.1, 0.9, 1.4, 0.8])  # median 1, quartiles 0.9 and 1.1


def rows_of(nets, x):
    """Rounds of a machine whose dense layer costs a microsecond an edge, CSR 30, ours 20 and 400 a layer."""
    dense, csr, ours = nets
    edges = [sum(each.numel() for name, each in net.named_parameters() if "weight" in name) for net in nets]
    costs = [edges[0], 30 * edges[1], 20 * edges[2] + 400 * len(ours)]
    for factor in ROUNDS:
        yield None
        yield [1e-6 * factor * cost for cost in costs]


@pytest.fixture
def clock(monkeypatch):
    """The machine of `rows_of`; a list of the chains it timed."""
    timed = []

    def rounds(nets, x):
        timed.append((nets, x))
        yield from rows_of(nets, x)

    monkeypatch.setattr(room, "_MEASURED", {})
    monkeypatch.setattr(room, "_rounds", rounds)
    return timed


def title_of(explorer):
    return explorer.figure.layout.title.text.replace("<br>", " ")


def test_medians_quartiles_and_the_crossing_are_those_of_the_rounds(clock, opened):
    explorer = opened(SpeedExplorer, width=512, degree=4, batch=8)
    frame, n = explorer.data, np.array([64, 128, 256, 512])
    costs = {"dense": n**2, "csr": 30 * 4 * n, "ours": 20 * 4 * n + 400}
    assert frame["x"].tolist() == n.tolist()
    for way, cost in costs.items():
        wanted = 1e-6 * np.outer([1.0, 0.9, 1.1], cost)
        np.testing.assert_allclose(frame["seconds"][way], wanted, rtol=1e-12)
    # n^2 > 80 n + 400 from n = 85 on; at 512 the ratios are 262144 / 41360 and 61440 / 41360
    assert title_of(explorer).startswith("At batch 8, d = 4, SAO beats dense from width 128 on; at 512: 6.3 × dense's")
    assert "1.5 × CSR's, bytes/103" in title_of(explorer)  # 4 (512^2 + 512) / 4 (4 * 512 + 512) = 102.6
    line = next(trace for trace in explorer.figure.data if trace.name == "● ours" and len(trace.x))
    np.testing.assert_allclose(line.y, 1e-3 * costs["ours"])
    assert line.x.tolist() == [6, 7, 8, 9] and line.line.color == "#D55E00"


def test_where_dense_is_faster_everywhere_the_title_says_so(clock, opened):
    explorer = opened(SpeedExplorer, width=256, degree=32, batch=8, wires="random")
    assert title_of(explorer).startswith("At batch 8, d = 32, dense is as fast as random or faster; at 256: 0.4 ×")


def test_against_density_the_sparsest_comes_first_and_the_crossing_is_a_density(clock, opened):
    explorer = opened(SpeedExplorer, against="density", width=256, degree=4, batch=8)
    assert explorer.data["x"].tolist() == [2, 4, 8, 16, 32, 64, 128]
    # 256 > 20 d + 1.6 up to d = 12
    assert "n = 256, SAO beats dense up to density 1/32; at d = 4: " in title_of(explorer)
    line = next(trace for trace in explorer.figure.data if trace.name == "□ CSR" and len(trace.x))
    assert line.x.tolist() == [-7, -6, -5, -4, -3, -2, -1]
    assert explorer.figure.layout.xaxis.ticktext[-2] == "1/2"
    explorer.set(against="width")
    explorer.settle()
    assert explorer.figure.layout.xaxis.range[0] > 5 and "64" in explorer.figure.layout.xaxis.ticktext


@pytest.mark.parametrize("wires", SPEED_WIRES)
def test_edges_and_bytes_are_exact(clock, opened, wires):
    frame = opened(SpeedExplorer, wires=wires, width=512, degree=8, batch=1).data
    n = frame["x"]
    assert frame["n_edges"].tolist() == (8 * n).tolist()
    assert frame["n_bytes"]["dense"].tolist() == (4 * (n**2 + n)).tolist()
    assert frame["n_bytes"]["ours"].tolist() == (4 * (8 * n + n)).tolist()


def test_the_status_says_how_ours_multiplies_and_why(clock, opened):
    explorer = opened(SpeedExplorer, width=256)
    (_, _, ours), _ = clock[-1]
    assert ours[0].execution == "blocks" == explorer.data["execution"]
    assert f"ours: blocks, as {ours[0].why}; one thread, float32, times of this machine" in explorer.data["note"]


def test_the_same_settings_keep_their_times_and_another_measurement_takes_new_ones(clock, opened):
    explorer = opened(SpeedExplorer, width=256)
    assert len(clock) == 3
    explorer.set(width=512)
    explorer.settle()
    assert len(clock) == 4  # one width more
    explorer.set(width=256)
    explorer.settle()
    assert len(clock) == 4
    explorer.set(run=2)
    explorer.settle()
    assert len(clock) == 7


def test_wider_layers_are_offered_for_fewer_inputs(clock, opened):
    explorer = opened(SpeedExplorer, width=256, batch=512, degree=8)
    assert explorer.controls["width"].options == (256, 512, 1024, 2048)
    explorer.set(batch=1)
    assert explorer.controls["width"].options[-1] == 4096


@pytest.mark.parametrize("wires", SPEED_WIRES)
def test_every_way_multiplies_by_the_same_matrix(wires):
    layers = {way: room._layer(way, wires, 64, 4, 1) for way in ("csr", "ours")}
    matrices = [layer.to_dense().detach() for layer in layers.values()]
    assert layers["csr"].execution == "csr" and torch.equal(*matrices)
    assert (matrices[0] != 0).sum(dim=1).tolist() == [4] * 64


def test_radix_layers_take_strides_1_and_n_over_d_in_turns():
    near, far = (room._wires("RadiX", 64, 4, place) for place in (0, 1))
    assert near.successors(0).tolist() == [0, 1, 2, 3] and far.successors(0).tolist() == [0, 16, 32, 48]


def test_a_dense_layer_in_three_pieces_has_the_gradients_of_one_pass(monkeypatch):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(5, 5))
    x = torch.randn(3, 5, requires_grad=True)
    _, by_x, by_parameters = [piece() for piece in room._pieces(net, x)]
    for ours, wanted in zip((*by_x, *by_parameters), one_pass(net, x), strict=True):
        torch.testing.assert_close(ours, wanted)


def test_passes_are_taken_in_turns_and_the_first_round_is_not_counted(monkeypatch):
    asked = []

    def seconds(piece, n_times):
        asked.append((piece, n_times))
        return 1.0 if len(asked) <= 3 else 1e-3 * len(asked)

    monkeypatch.setattr(room, "_seconds", seconds)
    monkeypatch.setattr(room, "_pieces", lambda net, x: iter([net]))
    rows = [row for row in room._rounds(["dense", "csr", "ours"], None) if row is not None]
    assert [piece for piece, _ in asked] == ["dense", "csr", "ours"] * 6
    np.testing.assert_allclose(rows, 1e-3 * np.arange(4, 19).reshape(5, 3))


def test_real_times_are_positive_and_points_appear_one_after_another(monkeypatch):
    monkeypatch.setattr(room, "_MEASURED", {})
    explorer = SpeedExplorer(width=256, batch=1)
    try:
        explorer.settle()
        for taken in explorer.data["seconds"].values():
            middle, lower, upper = taken
            assert (0 < lower).all() and (lower <= middle).all() and (middle <= upper).all()
        frames = [frame for frame in explorer.stream(**explorer.settings | {"run": 2}) if frame]
        counts = [len(frame["x"]) for frame in frames]
        assert counts == sorted(counts) and counts[0] == 1 and counts[-1] == 3
        assert frames[-1]["progress"] == (3, 3, "points")
    finally:
        explorer.close()
