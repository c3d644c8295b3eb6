"""Where tensors live: the choice of device, the memory budget, arrays from anything, seeds."""

import threading

import numpy as np
import pytest
import torch

from nbkit.device import (
    as_array,
    as_tensor,
    check_memory,
    choose_device,
    describe_device,
    format_bytes,
    memory_budget,
    one_thread,
    random_generator,
    spawn_generators,
)
from nbkit.errors import NbkitError

needs_no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")

ORDERED = np.arange(6.0).reshape(2, 3)


def test_the_argument_decides_before_the_environment(monkeypatch):
    monkeypatch.setenv("NBKIT_DEVICE", "banana")
    assert choose_device("cpu") == choose_device(torch.device("cpu")) == torch.device("cpu")


def test_the_environment_decides_where_there_is_no_argument(monkeypatch):
    monkeypatch.setenv("NBKIT_DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")


def test_without_a_wish_it_is_cuda_where_there_is_one(monkeypatch):
    monkeypatch.delenv("NBKIT_DEVICE")
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["banana", "meta", "", 3, 2.5, True, ["cpu"]])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(NbkitError, match=r"^choose_device: name \(or NBKIT_DEVICE\) must be cpu, cuda or mps, got"):
        choose_device(name)


@pytest.mark.parametrize("name", ["cuda:99", pytest.param("cuda", marks=needs_no_cuda)])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(NbkitError, match=f"must be a device of this machine, got '{name}'.+Use 'cpu'"):
        choose_device(name)


def test_a_device_is_described_with_its_threads():
    n_threads, described = torch.get_num_threads(), describe_device("cpu")
    assert described.startswith("cpu (") and described.endswith(f", {n_threads} thread{'s' * (n_threads > 1)})")


@pytest.mark.parametrize("setting, n_bytes", [
    ("2GiB", 2 * 2**30), ("1.5 MiB", 3 * 2**19), ("64k", 2**16), ("512", 512), ("3 TB", 3 * 2**40), ("0", 0),
])  # fmt: skip
def test_the_memory_budget_is_the_setting(monkeypatch, setting, n_bytes):
    monkeypatch.setenv("NBKIT_MEMORY", setting)
    assert memory_budget() == n_bytes


@pytest.mark.parametrize("setting", ["lots", "", "-1GiB", "2 GiB or so", "1e9", "nan"])
def test_a_setting_that_is_no_size_is_refused(monkeypatch, setting):
    monkeypatch.setenv("NBKIT_MEMORY", setting)
    with pytest.raises(NbkitError, match=r"^memory_budget: NBKIT_MEMORY must be a size, got .+ Write it as 2GiB\.$"):
        memory_budget()


def test_without_a_setting_the_budget_is_part_of_what_is_free(monkeypatch):
    monkeypatch.delenv("NBKIT_MEMORY", raising=False)
    assert 0 < memory_budget() < 2**48  # more than any machine that runs this has


def test_what_fits_exactly_is_allowed_and_one_byte_more_refused(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "1KiB")
    check_memory("f", 1024, lower="n")
    with pytest.raises(
        NbkitError, match=r"^f: .*budget of 1 KiB, but it would take 1\.5 KiB\. Lower n, or raise NBKIT_M"
    ):
        check_memory("f", 1536, lower="n")


@pytest.mark.parametrize("n_bytes, text", [
    (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (3 * 2**19, "1.5 MiB"), (2**40, "1 TiB"), (2**70, "1 ZiB"),
    (10**400, "more than 1,000,000 ZiB"),
])  # fmt: skip
def test_sizes_read_well(n_bytes, text):
    assert format_bytes(n_bytes) == text


@pytest.mark.parametrize("values", [
    [[1, 0], [0, 1]], np.eye(2), torch.eye(2), torch.eye(2, requires_grad=True), torch.eye(2, dtype=torch.bfloat16),
    np.eye(2, dtype=int).astype(object),
])  # fmt: skip
def test_numbers_become_an_array_whatever_holds_them(values):
    array = as_array("f", "matrix", values)
    assert isinstance(array, np.ndarray) and array.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("values", [[[1, 2], [3]], "2,2", ["a"], object(), b"22", [None, "a"], {1: 2}])
def test_what_is_no_array_of_numbers_is_refused(values):
    with pytest.raises(NbkitError, match="^f: matrix must be an array of numbers, got .+ Give rows of one length"):
        as_array("f", "matrix", values)


@pytest.mark.parametrize(
    "values", [ORDERED[::-1], ORDERED.astype(">f8"), ORDERED.astype(np.longdouble), np.asfortranarray(ORDERED)],
    ids=["backwards", "another byte order", "long double", "by columns"],
)  # fmt: skip
def test_arrays_that_torch_refuses_become_tensors(values):
    tensor = as_tensor("f", "matrix", values)
    assert tensor.dtype == torch.float64 and tensor.tolist() == values.tolist()


def test_a_tensor_stays_where_it_is_without_its_gradient():
    given = torch.ones(2, requires_grad=True)
    tensor = as_tensor("f", "matrix", given)
    assert not tensor.requires_grad and tensor.data_ptr() == given.data_ptr()


@pytest.mark.parametrize("values", [torch.eye(2).to_sparse(), torch.ones(2, device="meta")], ids=["sparse", "meta"])
def test_a_tensor_without_plain_numbers_is_refused(values):
    with pytest.raises(NbkitError, match="^f: matrix must be an array of numbers"):
        as_tensor("f", "matrix", values)


@pytest.mark.parametrize("seed", [0, 7, np.int64(7)])
def test_an_integer_seed_repeats(seed):
    assert (random_generator(seed).random(4) == random_generator(seed).random(4)).all()


def test_no_seed_is_fresh():
    assert (random_generator(None).random(4) != random_generator(None).random(4)).any()


def test_a_generator_is_used_and_advances():
    generator = np.random.default_rng(0)
    assert random_generator(generator) is generator
    assert random_generator(generator).random() != random_generator(generator).random()


@pytest.mark.parametrize("seed", [-1, 1.5, "0", True, [1], np.random.RandomState(0)])
def test_another_seed_is_refused_in_the_name_of_the_caller(seed):
    with pytest.raises(
        NbkitError, match="^biregular: seed must be an integer of at least 0, a numpy Generator or None, g"
    ):
        random_generator(seed, who="biregular")


def test_children_repeat_for_an_integer_and_differ_among_themselves():
    draws = [[child.random() for child in spawn_generators(3, 4)] for _ in range(2)]
    assert draws[0] == draws[1] and len(set(draws[0])) == 4


def test_children_of_one_generator_differ_from_call_to_call():
    generator = np.random.default_rng(0)
    assert spawn_generators(generator, 1)[0].random() != spawn_generators(generator, 1)[0].random()


@pytest.mark.parametrize("n", [-1, 1.5, None])
def test_a_wrong_number_of_children_is_refused(n):
    with pytest.raises(NbkitError, match="^spawn_generators: n must be an integer between 0 and 1000000, got"):
        spawn_generators(0, n)


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def run_in_a_thread(action) -> None:
    thread = threading.Thread(target=action)
    thread.start()
    thread.join(10)


def test_one_thread_gives_back_what_was_set_also_from_within_itself(three_threads):
    with one_thread():
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_one_thread_gives_back_what_was_set_whoever_else_is_inside(three_threads):
    def enter_alone() -> None:
        """A thread that was born while one core was used."""
        assert torch.get_num_threads() == 1
        born.set()
        left.wait(10)
        with one_thread():
            inside.set()
            done.wait(10)

    born, left, inside, done = (threading.Event() for _ in range(4))
    late = threading.Thread(target=enter_alone)

    def enter_first() -> None:
        with one_thread():
            late.start()
            born.wait(10)

    run_in_a_thread(enter_first)
    left.set()
    assert inside.wait(10)
    with one_thread():
        done.set()
        late.join(10)
    assert torch.get_num_threads() == 3
    seen = []
    run_in_a_thread(lambda: seen.append(torch.get_num_threads()))
    assert seen == [3]


def test_what_is_small_is_held_against_a_budget_that_was_set_and_else_not_looked_up(monkeypatch):
    monkeypatch.setenv("NBKIT_MEMORY", "1KiB")
    with pytest.raises(NbkitError, match="it would take 2 KiB"):
        check_memory("anyone", 2048, lower="the width")
    monkeypatch.delenv("NBKIT_MEMORY")
    monkeypatch.setattr("nbkit.device.memory_budget", lambda: pytest.fail("looked up"))
    check_memory("anyone", 2048, lower="the width")
