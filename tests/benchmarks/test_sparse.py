"""The benchmark of sparse layers still runs, on sizes too small to time, and its baselines compute the same."""

import numpy as np
import pytest
import torch

from nbkit.device import one_thread
from nbkit.topology import Topology, mixed_radix

from . import sparse

SMALL = {
    "SAO": sparse.Case("SAO 12, d 3", sparse.sao(12, 3, depth=2), {"dense": 1.5}),
    "RadiX": sparse.Case("RadiX (2, 3)", Topology([*mixed_radix((2, 3))]), {"dense": 4, sparse.TORCH_CSR: 2}),
}


@pytest.fixture(autouse=True)
def on_one_thread():
    with one_thread():
        yield


@pytest.mark.parametrize("case", SMALL.values(), ids=SMALL)
def test_every_ratio_is_taken(case):
    ratios = sparse.layer_ratios(case, repeats=1)
    blocks = ["gather, bmm, scatter"] if "SAO" in case.name else []
    csr = "CSR with a backward on edges only"
    assert [r.baseline for r in ratios] == ["dense", sparse.TORCH_CSR, csr, "a diagonal (the floor)", *blocks]
    assert {r.baseline: r.promised for r in ratios if r.promised} == case.promised
    assert all(r.ratio > 0 and "1 thread" in str(r) for r in [*ratios, sparse.optimizer_ratio(case, repeats=1)])


def test_the_promises_are_the_projects():
    promised = {case.name: case.promised for case in sparse.cases()}
    assert promised == {
        "SAO 256, d 4": {"dense": 1.5},
        "SAO 1024, d 8": {"dense": 6},
        "SAO 4096, d 16": {"dense": 20},
        "RadiX (32, 32)": {"dense": 4, sparse.TORCH_CSR: 2},
        "random expander 1024, d 8": {},
    }
    assert all(len(case.topology) == 10 for case in sparse.cases())


@pytest.mark.parametrize("case", SMALL.values(), ids=SMALL)
def test_baselines_have_the_gradients_of_the_dense_network(case):
    nets = sparse.networks(case, "tanh")
    x = torch.randn(3, case.topology.sizes[0], generator=torch.manual_seed(0), requires_grad=True)
    wanted, *_ = sparse.one_pass(nets["dense"], x)
    for name in nets.keys() - {"dense", "a diagonal (the floor)"}:
        torch.testing.assert_close(sparse.one_pass(nets[name], x)[0], wanted)


def test_a_baseline_that_computes_otherwise_is_refused():
    with pytest.raises(AssertionError, match="a case: other differs by 1"):
        sparse.check_equal("a case", {"ours": torch.zeros(2), "other": torch.ones(2)})


def test_bytes_are_told():
    # a dense layer has 12 x 12 weights and 12 biases of 4 bytes
    assert f"dense {4 * (144 + 12)} B and" in sparse.layer_bytes(SMALL["SAO"])


def test_a_whole_training_step_is_taken():
    ratio = sparse.training_ratio(2, repeats=1)
    assert ratio.ratio > 0 and "deep_net(2)" in ratio.name


def test_every_slope_is_taken():
    found = sparse.slopes(largest=256)
    assert [len(taken) for _, taken in found.values()] == [3, 4]
    assert all(np.isfinite(exponent) for exponent, _ in found.values())


@pytest.mark.parametrize("make", [sparse.digits, sparse.coins])
def test_the_challenge_is_measured_against_scipy(make):
    ratios = sparse.challenge_ratios(make(1024, 30), "a few", n_layers=4, repeats=1, promised=10)
    assert [ratio.promised for ratio in ratios] == [10, 10]
    assert all("edges/s" in ratio.name and ratio.baseline.startswith("scipy CSR") for ratio in ratios)


def test_no_coin_dies():
    found = sparse.challenge_inference(sparse.challenge_net(1024, 6), sparse.coins(1024, 20))
    assert len(found.rows) == 20


def test_the_large_challenge_tells_its_memory():
    told = sparse.large_challenge(2, 4096, 2)
    assert "2 digits, 4096 x 2" in told and "2 coins" in told and "of memory" in told


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_the_same_table_is_taken_on_cuda_with_and_without_graphs():
    for graphs in (False, True):
        ratios = sparse.layer_ratios(SMALL["SAO"], repeats=1, device="cuda", graphs=graphs)
        assert all(ratio.ratio > 0 and "cuda" in ratio.name for ratio in ratios)
