"""IDX files: what the format says arrives, anything else is one error that names the file."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from nbkit.data import full_split, read_idx
from nbkit.errors import NbkitError

FASHION = Path("/usr/share/datasets/fashion-mnist")
IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
LABELS = np.array([3, 1, 4, 1, 5], dtype=np.uint8)


def idx_bytes(array, *, magic=b"\0\0", kind=0x08):
    return magic + bytes([kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def files(tmp_path):
    paths = tmp_path / "images", tmp_path / "labels"
    paths[0].write_bytes(idx_bytes(IMAGES))
    paths[1].write_bytes(idx_bytes(LABELS))
    return paths


def refusal(paths):
    with pytest.raises(NbkitError) as caught:
        read_idx(*paths)
    message = str(caught.value)
    assert message.startswith("read_idx: ") and "Fetch the file again" in message
    return message


def test_what_was_written_is_read(files):
    images, labels = read_idx(*files)
    assert images.dtype == labels.dtype == np.uint8
    assert np.array_equal(images, IMAGES) and np.array_equal(labels, LABELS)
    images[0] = 0  # what is read may be changed


def test_compressed_files_are_recognised_whatever_their_names(files):
    files[0].write_bytes(gzip.compress(files[0].read_bytes()))
    assert np.array_equal(read_idx(*files)[0], IMAGES)


@pytest.mark.parametrize("length", [0, 2, 3, 9, 16, 40, 75])
def test_a_file_cut_short_is_refused_wherever_it_was_cut(files, length):
    files[0].write_bytes(files[0].read_bytes()[:length])
    assert str(files[0]) in refusal(files)


def test_a_file_cut_in_half_says_so(files):
    content = files[0].read_bytes()
    files[0].write_bytes(content[: len(content) // 2])
    assert "must hold (5, 4, 3), 76 bytes in all, got 38 bytes: it is cut short" in refusal(files)


def test_a_file_that_is_too_long_is_refused(files):
    files[1].write_bytes(files[1].read_bytes() + b"\0")
    assert "it is too long" in refusal(files)


def test_a_compressed_file_cut_in_half_is_refused(files):
    content = gzip.compress(files[0].read_bytes())
    files[0].write_bytes(content[: len(content) // 2])
    assert "must be a whole gzip file" in refusal(files)


def test_a_compressed_file_with_a_changed_byte_is_refused(files):
    content = bytearray(gzip.compress(files[0].read_bytes()))
    content[-6] ^= 1  # of its checksum
    files[0].write_bytes(content)
    assert "must be a whole gzip file" in refusal(files)


def test_a_file_of_another_format_is_refused(files):
    files[0].write_bytes(b"\x89PNG and so on")
    assert "must start as an IDX file, 00 00, got 89 50 4e 47" in refusal(files)


def test_another_type_than_unsigned_bytes_is_refused(files):
    files[0].write_bytes(idx_bytes(IMAGES, kind=0x0D))
    assert "must hold unsigned bytes (type 08), got type 0d (float32)" in refusal(files)


def test_labels_in_place_of_images_are_refused(files):
    assert "must have 3 dimension(s), as images have, got 1" in refusal(files[::-1])


def test_a_size_that_no_file_can_have_is_refused(files):
    files[0].write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1))
    assert "it is cut short" in refusal(files)


def test_a_missing_file_is_refused(files):
    files[0].unlink()
    assert "must be a file that can be read, got No such file" in refusal(files)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path, files):
    assert "must be a file that can be read" in refusal((tmp_path, files[1]))


def test_images_and_labels_of_unequal_number_are_refused(files):
    files[1].write_bytes(idx_bytes(LABELS[:4]))
    with pytest.raises(NbkitError, match="read_idx: images and labels must be of one number, got 5 in .* and 4 in"):
        read_idx(*files)


def test_files_without_images_are_refused(files):
    files[0].write_bytes(idx_bytes(IMAGES[:0]))
    files[1].write_bytes(idx_bytes(LABELS[:0]))
    with pytest.raises(NbkitError, match="must hold images, got the shape"):
        read_idx(*files)


def write_folder(folder, *, test_shape=(2, 4, 3)):
    for name, images, labels in (
        ("train", IMAGES, LABELS),
        ("t10k", np.full(test_shape, 255, np.uint8), LABELS[: test_shape[0]]),
    ):
        (folder / f"{name}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels)))


def test_a_folder_with_the_four_files_is_a_split(tmp_path):
    write_folder(tmp_path)
    split = full_split(tmp_path)
    assert np.allclose(split.train_images, IMAGES.reshape(5, 12) / 255) and split.train_labels.tolist() == [
        3,
        1,
        4,
        1,
        5,
    ]
    assert split.test_images.tolist() == [[1.0] * 12] * 2 and split.test_labels.tolist() == [3, 1]


def test_a_folder_that_lacks_a_file_is_refused(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(NbkitError, match="full_split: the folder must hold t10k-images-idx3-ubyte or "):
        full_split(tmp_path)


def test_training_and_test_images_of_unequal_size_are_refused(tmp_path):
    write_folder(tmp_path, test_shape=(2, 3, 4))
    with pytest.raises(NbkitError, match="full_split: training and test images must have one size"):
        full_split(tmp_path)


@pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_fashion_mnist_as_debian_ships_it():
    split = full_split(FASHION)
    assert split.train_images.shape == (60_000, 784) and split.test_images.shape == (10_000, 784)
    for labels, each in ((split.train_labels, 6_000), (split.test_labels, 1_000)):
        assert np.bincount(labels).tolist() == [each] * 10
    assert split.train_labels[:5].tolist() == [9, 0, 0, 3, 0]  # as its publishers show it
    assert float(split.train_images.max()) == 1.0
    # trousers (1) are two narrow legs: the middle of the lowest rows is empty, that of a bag (8) is not
    trousers, bags = (split.train_images[split.train_labels == kind].view(-1, 28, 28).mean(dim=0) for kind in (1, 8))
    assert trousers[20:26, :6].max() < 0.1 < bags[20:24, 4].min()


@pytest.mark.parametrize("path", [None, 3, b"x", "a\0b", []])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(NbkitError, match="read_idx: images_path must be a path"):
        read_idx(path, path)
    with pytest.raises(NbkitError, match="full_split: folder must be a path"):
        full_split(path)
