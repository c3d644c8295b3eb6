"""A sweep's file: one line a cell, whatever kills the writer; of one function, for one writer."""

import json
import multiprocessing
import os
import resource
import subprocess
import sys

import pytest

from nbkit.errors import NbkitError
from nbkit.sweeping.stores import Store

CELLS = [{"b": 2, "a": 1}, {"b": 3, "a": 1}, {"b": 4, "a": 1}]
KNOWN = [
    '{"seconds": 0.5, "result": {"value": 3}}',
    '{"seconds": 0.1, "error": "ValueError: no"}',
    '{"seconds": 1.0, "result": {"value": {"float": "nan"}}}',
]
LINES = [
    '{"function": "room.f", "version": 2, "cell": {"a": 1, "b": 2}, "seconds": 0.5, "result": {"value": 3}}\n',
    '{"function": "room.f", "version": 2, "cell": {"a": 1, "b": 3}, "seconds": 0.1, "error": "ValueError: no"}\n',
    '{"function": "room.f", "version": 2, "cell": {"a": 1, "b": 4}, '
    '"seconds": 1.0, "result": {"value": {"float": "nan"}}}\n',
]
EDITED = LINES[0].replace('{"value": 3}', "3")
KEYS = ['{"a": 1, "b": 2}', '{"a": 1, "b": 3}', '{"a": 1, "b": 4}']


def opened(path, version=2, function="room.f"):
    return Store("sweep", path, function, version)


def test_a_finished_cell_is_one_line(store):
    with opened(store) as file:
        file.append(CELLS[:2], KNOWN[:2])
        assert store.read_text() == "".join(LINES[:2])  # before it is closed
        file.append(CELLS[2:], KNOWN[2:])
    assert store.read_text() == "".join(LINES)


def test_what_was_stored_is_known_again_and_the_last_line_of_a_cell_counts(store):
    store.write_text("".join(LINES) + LINES[1].replace('"error": "ValueError: no"', '"result": {"value": 5}'))
    with opened(store) as file:
        assert file.n_stored == 4 and list(file.finished) == KEYS
        assert file.finished[KEYS[0]] == {"seconds": 0.5, "result": {"value": 3}}
        assert file.finished[KEYS[1]] == {"seconds": 0.1, "result": {"value": 5}}


def test_a_kill_at_any_byte_loses_no_whole_line_and_leaves_none_torn(store):
    content = "".join(LINES).encode()
    ends = [len("".join(LINES[:n])) for n in range(4)]
    for length in range(len(content)):
        store.write_bytes(content[:length])
        whole = sum(length >= end - 1 for end in ends[1:])  # a line that lacks its end alone is whole
        with opened(store) as file:
            assert list(file.finished) == KEYS[:whole]
            file.append(CELLS[whole:], KNOWN[whole:])
        assert store.read_bytes() == content


def test_folders_are_made(tmp_path):
    with opened(tmp_path / "new" / "folder" / "sweep.jsonl") as file:
        assert file.finished == {}


@pytest.mark.parametrize(
    ("other", "of"),
    [({"function": "room.g"}, "room.f, version 2"), ({"version": 3}, "room.f, version 2")],
    ids=["function", "version"],
)
def test_another_functions_store_is_refused_and_left_alone(store, other, of):
    store.write_text(LINES[0])
    with pytest.raises(NbkitError, match=rf"sweep: store must be of .*, got {store}, which is of {of}\. Use another"):
        opened(store, **other).__enter__()
    assert store.read_text() == LINES[0]


@pytest.mark.parametrize(
    "content",
    [
        "alpha,growth\n0.5,1.2\n",
        "notes",
        "7",
        "{}\n",
        EDITED,
        '{"function": "my impor',
        LINES[0] + '{"function": "ro\n' + LINES[1],
    ],
    ids=repr,
)
def test_a_file_that_is_no_store_is_refused_and_left_alone(store, content):
    store.write_text(content)
    with pytest.raises(NbkitError, match=r"sweep: store must hold one finished cell a line, got .*, whose line \d is"):
        opened(store).__enter__()
    assert store.read_text() == content


@pytest.mark.parametrize("path", [7, None])
def test_a_store_is_a_path(path):
    with pytest.raises(NbkitError, match="sweep: store must be a path, got"):
        opened(path)


def test_a_folder_is_no_store(tmp_path):
    with pytest.raises(NbkitError) as caught:
        opened(tmp_path).__enter__()
    assert str(caught.value) == f"sweep: store must be a file, got '{tmp_path}'. Write it as 'sweep.jsonl'."


def test_a_place_that_cannot_be_written_to_is_named(store):
    store.touch()
    with pytest.raises(
        NbkitError, match="sweep: store must be a file that can be written to, got .*Use another folder"
    ):
        opened(store / "below.jsonl").__enter__()


def test_one_writer_at_a_time(store):
    with opened(store):
        with pytest.raises(NbkitError, match="sweep: store must be written by one sweep at a time, got"):
            opened(store).__enter__()
    with opened(store):
        pass


def test_a_writer_that_is_killed_leaves_the_store_free_though_its_forked_child_lives(store):
    code = (
        "import os, time\n"
        "from nbkit.sweeping.stores import Store\n"
        f"store = Store('sweep', {str(store)!r}, 'room.f', 2).__enter__()\n"
        "if os.fork() == 0:\n"
        "    print(os.getpid(), flush=True)\n"
        "time.sleep(60)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(writer.stdout.readline())
    try:
        with pytest.raises(NbkitError, match="one sweep at a time"):
            opened(store).__enter__()
        writer.kill()
        writer.wait()
        os.kill(child, 0)  # it lives
        with opened(store) as file:
            assert file.n_stored == 0
    finally:
        os.kill(child, 9)
        writer.stdout.close()


def _full(path, says):
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(LINES[0]) + len(LINES[1]) + 20,) * 2)
    with opened(path) as file:
        file.append(CELLS[:1], KNOWN[:1])
        try:
            file.append(CELLS[1:], KNOWN[1:])
        except NbkitError as error:
            says.put(str(error))


def test_a_full_disk_keeps_whole_lines_and_says_how_many(store):
    says = multiprocessing.Queue()
    writer = multiprocessing.get_context("fork").Process(target=_full, args=(store, says))
    writer.start()
    message = says.get(timeout=60)
    writer.join()
    assert message == (
        f"sweep: store must have room for every cell, got {store}: File too large; 2 cells are stored. "
        "Make room and call again: they are not repeated."
    )
    assert store.read_text() == "".join(LINES[:2])
    assert [json.loads(line)["cell"]["b"] for line in store.read_text().splitlines()] == [2, 3]
