"""A file is the old one or the whole new one."""

import os
from pathlib import Path

import pytest

from nbkit.errors import NbkitError
from nbkit.files import write_whole


def test_the_text_is_there_as_it_was_given_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    assert write_whole("save", str(path), "σ\r\n1\n") == path
    assert path.read_bytes() == "σ\r\n1\n".encode() and list(tmp_path.iterdir()) == [path]


def test_the_older_file_stays_when_the_new_one_cannot_be_finished(tmp_path, monkeypatch):
    path = write_whole("save", tmp_path / "table.csv", "old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(NbkitError, match=r"save: path must be a file that can be written, got .*\(No space left"):
        write_whole("save", path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_folders_are_made(tmp_path):
    assert write_whole("save", tmp_path / "a" / "b" / "table.csv", "text").read_text() == "text"


@pytest.mark.parametrize("wrong", ["", ".", "file/table.csv"])
def test_what_is_no_file_is_told(tmp_path, monkeypatch, wrong):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(NbkitError, match="save: path must be a file that can be written"):
        write_whole("save", wrong, "text")


def test_of_a_link_the_file_behind_it_is_written(tmp_path, monkeypatch):
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    (tmp_path / "real.csv").write_text("old")
    monkeypatch.setenv("HOME", str(tmp_path))
    write_whole("save", "~/link.csv", "new")
    assert (tmp_path / "link.csv").is_symlink() and (tmp_path / "real.csv").read_text() == "new"


@pytest.mark.parametrize("wrong", ["device", "a\0b", "table.csv"])
def test_a_device_is_not_replaced_and_letters_that_cannot_be_are_told(tmp_path, monkeypatch, wrong):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("device")
    with pytest.raises(NbkitError, match="save: path must be a file that can be written"):
        write_whole("save", wrong, "\udc80")
    assert [path.name for path in tmp_path.iterdir()] == ["device"] and not Path("device").is_file()


def test_what_is_no_path_is_told():
    with pytest.raises(NbkitError, match="save: path must be a path, got 3"):
        write_whole("save", 3, "text")
