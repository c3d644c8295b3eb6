"""Reports are tested on one core: on a busy machine torch's further threads wait for theirs."""

from collections.abc import Iterator

import pytest

from nbkit.device import one_thread


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    with one_thread():
        yield
