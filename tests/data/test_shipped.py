"""The digits: what was shipped arrives, anything else is one error."""

import shutil

import numpy as np
import pytest

from nbkit import data
from nbkit.errors import NbkitError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the data folder that a test may damage."""
    shutil.copy(data.shipped_folder("data") / "mnist-10k.npz", tmp_path)
    monkeypatch.setattr(data.shipped, "shipped_folder", lambda name: tmp_path)
    return tmp_path


def test_digits_have_the_documented_shapes_and_ranges():
    images, labels = data.mnist_digits()
    assert images.shape == (10_000, 28, 28) and images.dtype == np.uint8
    assert labels.shape == (10_000,) and labels.dtype == np.uint8
    assert sorted(set(labels.tolist())) == list(range(10))
    assert images.min() == 0 and images.max() >= 254


def test_digits_are_the_right_way_up_and_wired_to_their_labels():
    # A one is a narrow upright stroke, a zero an empty ring: true of digits, false of transposed or shuffled ones.
    images, labels = data.mnist_digits()
    one, zero = (images[labels == digit].mean(axis=0) for digit in (1, 0))
    assert one.max(axis=1)[4:24].min() > one.max(axis=0)[:8].max()
    assert zero[13:15, 13:15].max() < one[13:15, 13:15].min()


def test_file_holds_no_pickled_object():
    with np.load(data.shipped_folder("data") / "mnist-10k.npz", allow_pickle=False) as arrays:
        assert {name: arrays[name].dtype.hasobject for name in arrays} == {"images": False, "labels": False}


def test_a_file_cut_short_is_one_error_that_says_how_to_mend_it(folder):
    path = folder / "mnist-10k.npz"
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(NbkitError, match=r"mnist_digits: .*100,000 bytes.*git checkout data"):
        data.mnist_digits()


def test_a_file_with_one_changed_byte_is_refused(folder):
    path = folder / "mnist-10k.npz"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(NbkitError, match="checksum"):
        data.mnist_digits()


def test_a_missing_file_is_one_error(folder):
    (folder / "mnist-10k.npz").unlink()
    with pytest.raises(NbkitError, match="must be there"):
        data.mnist_digits()


def test_licence_lies_beside_the_digits_and_names_the_same_checksum():
    licence = (data.shipped_folder("data") / "mnist-10k.LICENSE").read_text()
    assert data.shipped._DIGITS_SHA256 in licence and "Attribution-ShareAlike" in licence
