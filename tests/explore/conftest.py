"""What the tests of explorers share."""

import pytest


@pytest.fixture
def opened(request):
    """opened(ExplorerClass, **settings): settled, and closed when the test ends."""

    def open_one(kind, **settings):
        explorer = kind(**settings)
        request.addfinalizer(explorer.close)
        explorer.settle()
        return explorer

    return open_one
