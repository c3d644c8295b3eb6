"""CIFAR-10's binary files: every byte in its place, and what is none of them is refused."""

import numpy as np
import pytest

from nbkit.data import cifar_split
from nbkit.errors import NbkitError

TRAIN = [f"data_batch_{i}.bin" for i in range(1, 6)]


@pytest.fixture
def folder(tmp_path):
    """Two images in every file, whose number is the file's."""
    for number, name in enumerate([*TRAIN, "test_batch.bin"]):
        pixels = np.arange(3072) % 256
        first, second = [number, *pixels], [9, *np.full(3072, number)]
        (tmp_path / name).write_bytes(bytes(map(int, [*first, *second])))
    return tmp_path


def test_images_are_in_the_order_of_the_files_red_first(folder):
    split = cifar_split(folder)
    assert split.train_images.shape == (10, 3072) and split.test_images.shape == (2, 3072)
    assert split.train_labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9] and split.test_labels.tolist() == [5, 9]
    image = split.train_images[2].view(3, 32, 32)
    assert image[0, 0, 5] == 5 / 255 and image[0, 1, 0] == 32 / 255 and image[1, 7, 31] == 1.0  # 1024 + 255: 255
    assert (split.test_images[1] == 5 / 255).all()


def test_a_missing_file_is_named(folder):
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(NbkitError, match="cifar_split: the folder must hold data_batch_3.bin"):
        cifar_split(folder)


@pytest.mark.parametrize("content", [b"", bytes(3072), bytes([10] + [0] * 3072)])
def test_a_file_that_is_cut_short_or_another_is_refused(folder, content):
    (folder / "test_batch.bin").write_bytes(content)
    with pytest.raises(NbkitError, match="test_batch.bin must be records of 3073 bytes"):
        cifar_split(folder)


@pytest.mark.parametrize("folder", [None, 3, "a\0b"])
def test_what_is_no_path_is_refused(folder):
    with pytest.raises(NbkitError, match="cifar_split: folder must be a path"):
        cifar_split(folder)
