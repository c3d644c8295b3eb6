"""Real data, checked and offline: the digits that ship, the full files where the user has them, lines between digits."""

from nbkit.data.cifar import cifar_split
from nbkit.data.idx import full_split, read_idx
from nbkit.data.shipped import mnist_digits, shipped_folder
from nbkit.data.split import Split, digit_line, distort, mnist_split

__all__ = [
    "Split",
    "cifar_split",
    "digit_line",
    "distort",
    "full_split",
    "mnist_digits",
    "mnist_split",
    "read_idx",
    "shipped_folder",
]
