"""Small networks on one core: on a busy machine torch's further threads wait for theirs."""

from collections.abc import Iterator

import pytest

from nbkit.device import one_thread
from nbkit.questions import Configuration


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(autouse=True)
def few_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Means are taken over 8 networks, where a test does not ask for more."""
    monkeypatch.setattr("nbkit.questions.configuration._N_NETWORKS", 8)


@pytest.fixture(scope="session")
def decayed() -> Configuration:
    """A small network trained under weight decay, whose training all tests share."""
    with one_thread():
        configuration = Configuration("weight decay", "trained", width=16, degree=4, depth=2, gain=2**0.5)
        assert configuration.topology
    return configuration
