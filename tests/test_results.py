"""Stored results: what was saved is loaded, damage is one error, an older file stays until its successor is whole."""

import json
import os

import numpy as np
import pytest
import torch

from nbkit import results
from nbkit.errors import NbkitError
from nbkit.results import load_result, results_folder, save_result, sidecar

COLUMNS = {"depth": [1, 2, 3], "length": [0.5, 1 / 3, np.nan], "law": ["Gaussian", "uniform", "a, b"]}


def beside(**changes):
    return sidecar(**{"command": "python -m nbkit run x", "seed": 1, "seconds": 2.0, "steps": 5} | changes)


@pytest.fixture
def stored(tmp_path):
    save_result("growth", COLUMNS, beside(), folder=tmp_path)
    return tmp_path


def test_what_was_saved_is_loaded(stored):
    result = load_result("growth", folder=stored)
    assert {name: column.dtype.kind for name, column in result.columns.items()} == {
        "depth": "i",
        "length": "f",
        "law": "U",
    }
    assert result.columns["depth"].tolist() == [1, 2, 3] and result.columns["law"].tolist() == COLUMNS["law"]
    assert result.columns["length"][:2].tolist() == [0.5, 0.333333] and np.isnan(result.columns["length"][2])
    assert result.name == "growth" and not result.is_partial


def test_the_sidecar_says_how_it_was_made(stored):
    found = json.loads((stored / "growth.json").read_text())
    wanted = {
        "command": "python -m nbkit run x",
        "seed": 1,
        "seconds": 2.0,
        "steps": 5,
        "status": "complete",
        "rows": 3,
    }
    assert wanted.items() <= found.items()
    assert found["versions"]["torch"] == torch.__version__ and found["device"].startswith("cpu (")


def test_a_partial_run_says_so(tmp_path):
    save_result("growth", COLUMNS, beside(status="partial"), folder=tmp_path)
    assert load_result("growth", folder=tmp_path).is_partial


def test_the_file_is_a_plain_table(stored):
    assert (stored / "growth.csv").read_text() == 'depth,length,law\n1,0.5,Gaussian\n2,0.333333,uniform\n3,nan,"a, b"\n'


def test_tensors_arrays_and_generators_of_numbers_are_stored(tmp_path):
    columns = {"a": torch.arange(2), "b": np.array([1e-9, 123456789.0]), "c": range(2), "d": np.array(["x", "y"])}
    save_result("kinds", columns, beside(), folder=tmp_path)
    found = load_result("kinds", folder=tmp_path).columns
    assert found["a"].tolist() == found["c"].tolist() == [0, 1] and found["d"].tolist() == ["x", "y"]
    assert found["b"].tolist() == [1e-9, 123457000.0]


def test_line_ends_of_another_system_are_no_damage(stored):
    path = stored / "growth.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_result("growth", folder=stored).columns["depth"].tolist() == [1, 2, 3]


def test_a_table_without_rows_is_stored(tmp_path):
    save_result("empty", {"a": []}, beside(), folder=tmp_path)
    assert load_result("empty", folder=tmp_path).columns["a"].shape == (0,)


def test_a_missing_result_lists_what_is_there(stored):
    with pytest.raises(NbkitError, match=r"load_result: the file .*wings.csv must be there.*stored are: growth\."):
        load_result("wings", folder=stored)


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_a_missing_half_is_one_error(stored, ending):
    (stored / f"growth.{ending}").unlink()
    with pytest.raises(NbkitError, match=f"growth.{ending} must be there"):
        load_result("growth", folder=stored)


@pytest.mark.parametrize("ending", ["csv", "json"])
@pytest.mark.parametrize("kept", [0, 0.5, 0.95])
def test_a_file_cut_short_is_one_error(stored, ending, kept):
    path = stored / f"growth.{ending}"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(NbkitError, match=f"load_result: .*growth.{ending} must be as it was stored"):
        load_result("growth", folder=stored)


def test_columns_cut_at_a_line_s_end_are_noticed(stored):
    path = stored / "growth.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(
        NbkitError, match="growth.csv must be as it was stored, but it is not what growth.json belongs to"
    ):
        load_result("growth", folder=stored)


def test_columns_of_unequal_length_are_named_by_line(stored):
    path = stored / "growth.csv"
    path.write_text(path.read_text().replace("2,0.333333,uniform", "2,uniform"))
    with pytest.raises(NbkitError, match="has columns of unequal length: line 3"):
        load_result("growth", folder=stored)


def test_bytes_that_are_no_text_are_one_error(stored):
    (stored / "growth.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NbkitError, match="is no text"):
        load_result("growth", folder=stored)


def test_a_sidecar_without_its_keys_is_one_error(stored):
    (stored / "growth.json").write_text('{"seed": 1}')
    with pytest.raises(NbkitError, match="growth.json must be as it was stored, but it lacks command, device"):
        load_result("growth", folder=stored)


@pytest.mark.parametrize("text", ["[1, 2]", "3", "null", '"text"'])
def test_a_sidecar_that_is_no_object_is_one_error(stored, text):
    (stored / "growth.json").write_text(text)
    with pytest.raises(NbkitError, match="growth.json must be as it was stored"):
        load_result("growth", folder=stored)


def test_an_older_result_stays_when_the_new_one_cannot_be_written(stored, monkeypatch):
    def full(path, *arguments, **options):
        raise OSError("no space left")

    before = {path.name: path.read_bytes() for path in stored.iterdir()}
    monkeypatch.setattr(results.Path, "write_text", full)
    with pytest.raises(OSError, match="no space left"):
        save_result("growth", {"depth": [9]}, beside(), folder=stored)
    assert {path.name: path.read_bytes() for path in stored.iterdir()} == before


def test_a_crash_between_the_two_files_is_noticed(stored, monkeypatch):
    replace = os.replace

    def only_the_table(source, target):
        if str(target).endswith(".json"):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(results.os, "replace", only_the_table)
    with pytest.raises(KeyboardInterrupt):
        save_result("growth", {"depth": [9]}, beside(), folder=stored)
    with pytest.raises(NbkitError, match="is not what growth.json belongs to"):
        load_result("growth", folder=stored)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "columns must be vectors of one length"),
        ({"a": [1, 2], "b": [1]}, r"columns must be vectors of one length, got the shapes .*'a': \(2,\), 'b': \(1,\)"),
        ({"a": [[1, 2]]}, "columns must be vectors of one length"),
        ({"a": [1, None, "x"]}, "column a must be an array of numbers"),
    ],
)
def test_columns_that_are_no_table_are_refused(tmp_path, columns, message):
    with pytest.raises(NbkitError, match=f"save_result: {message}"):
        save_result("growth", columns, beside(), folder=tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_sidecar_that_lacks_a_key_is_refused(tmp_path):
    short = beside()
    del short["seed"]
    with pytest.raises(NbkitError, match=r"save_result: sidecar must have command, .*got none of \['seed'\]"):
        save_result("growth", COLUMNS, short, folder=tmp_path)


@pytest.mark.parametrize("name", ["", "../growth", "growth.csv", 3])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    for call in (lambda: save_result(name, COLUMNS, beside(), folder=tmp_path), lambda: load_result(name)):
        with pytest.raises(NbkitError, match="name must be letters, digits and underscores"):
            call()


@pytest.mark.parametrize("change", [{"status": "halfway"}, {"seed": -1}, {"steps": 1.5}, {"seconds": np.nan}])
def test_a_sidecar_of_other_values_is_refused(change):
    with pytest.raises(NbkitError, match="sidecar: "):
        beside(**change)


def test_shipped_results_lie_beside_the_digits():
    assert (results_folder().parent / "mnist-10k.npz").is_file()


@pytest.mark.parametrize("path", sorted(results_folder().glob("*.csv")), ids=lambda path: path.stem)
def test_every_shipped_result_is_whole_and_small(path):
    assert load_result(path.stem).sidecar["status"] in ("complete", "partial")
    assert path.stat().st_size < 1_500_000


@pytest.mark.parametrize(
    "columns, changes, message",
    [
        (None, {}, "columns must be name -> values"),
        ({"a": ["one\ntwo", "three"]}, {}, "must hold real numbers or text of one line"),
        ({"a\r": [1]}, {}, "must hold real numbers or text of one line"),
        ({"a": [1j]}, {}, "must hold real numbers or text of one line"),
        ({"a": [1]}, {"more": {1, 2}}, "sidecar must hold what JSON can"),
    ],
)
def test_what_could_not_be_read_again_is_not_stored(tmp_path, columns, changes, message):
    beside = sidecar(command="x", seed=0, seconds=1, steps=1, **changes)
    with pytest.raises(NbkitError, match=f"save_result: .*{message}"):
        save_result("table", columns, beside, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_sidecar_is_a_dictionary_and_a_folder_a_path(tmp_path):
    with pytest.raises(NbkitError, match="save_result: sidecar must be a dictionary"):
        save_result("table", {"a": [1]}, None, folder=tmp_path)
    with pytest.raises(NbkitError, match="load_result: folder must be a path"):
        load_result("table", folder=3)
