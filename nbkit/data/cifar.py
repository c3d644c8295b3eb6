"""The binary files of CIFAR-10, where the user has them: read and checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from nbkit.data.split import Split
from nbkit.errors import NbkitError, show

__all__ = ["cifar_split"]

_TRAIN, _TEST = [f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"]
_RECORD = 1 + 3 * 32 * 32  # a label, then red, green and blue, each row by row
_N_CLASSES = 10


def cifar_split(folder: str | Path) -> Split:
    """CIFAR-10 from the folder cifar-10-batches-bin, its "binary version": 50,000 and 10,000 images.

    Args:
        folder: with data_batch_1.bin ... data_batch_5.bin and test_batch.bin.

    Returns:
        Split of images (n, 3072) in [0, 1], red first, in the order of the files: `images.view(-1, 3, 32, 32)`.

    Raises:
        NbkitError: a file that is missing, cut short or of another kind.

    Source:
        https://www.cs.toronto.edu/~kriz/cifar.html, where the files are.

    Example:
        The SAO paper's LipConvNet at its full size:

        >>> net = lip_conv_net(10, density=1 / 8, n_classes=10).float()              # doctest: +SKIP
        >>> options = {"optimizer": "sgd", "learning_rate": 0.01, "weight_decay": 5e-4, "batch_size": 128}
        >>> records = train(net, cifar_split("cifar-10-batches-bin"), epochs=200, **options,
        ...     schedule=steps((50, 150)), checkpoint="lip.safetensors", every=390)  # doctest: +SKIP
    """
    if not isinstance(folder, (str, Path)) or "\0" in str(folder):
        raise NbkitError(f"cifar_split: folder must be a path, got {show(folder)}. Write it as text.")
    parts = [np.concatenate([_records(Path(folder) / name) for name in names]) for names in (_TRAIN, _TEST)]
    (train, train_labels), (test, test_labels) = map(_images_and_labels, parts)
    return Split(train, train_labels, test, test_labels)


def _records(path: Path) -> np.ndarray:
    """The records of a file, uint8 (n, 3073)."""
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        raise NbkitError(
            f"cifar_split: the folder must hold {path.name}, got {path.parent} without it. Name the folder of CIFAR-10's "
            "binary version, cifar-10-batches-bin."
        ) from None
    if not len(content) or len(content) % _RECORD or content[::_RECORD].max() >= _N_CLASSES:
        raise NbkitError(
            f"cifar_split: {path} must be records of {_RECORD} bytes that begin with a label below {_N_CLASSES}, got "
            f"{len(content):,} bytes: it is cut short or another file. Fetch it again."
        )
    return content.reshape(-1, _RECORD)


def _images_and_labels(records: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(records[:, 1:].astype(np.float32) / 255), torch.from_numpy(records[:, 0].astype(np.int64))
