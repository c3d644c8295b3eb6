"""What the tests of explorers share."""

import pytest

from nbkit.device import one_thread


@pytest.fixture
def opened(request):
    """opened(ExplorerClass, **settings): settled, and closed when the test ends."""

    def open_one(kind, **settings):
        explorer = kind(**settings)
        request.addfinalizer(explorer.close)
        explorer.settle()
        return explorer

    return open_one


@pytest.fixture
def one_core():
    """Streams are stepped in a test as explorers step them."""
    with one_thread():
        yield
