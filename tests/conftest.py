"""What every test stands on: numbers are the CPU's, every notebook is a test, and some processes share the whole suite."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

try:
    import fcntl
except ImportError:  # not on Windows: there one process runs everything
    fcntl = None

_turn = None  # the lock that is held

NOTEBOOK_CELL_SECONDS = 120
N_PROCESSES = 3  # browser tests mostly wait, so that two cores have work for three
# What takes longest begins first; then the notebooks' cells; then files in their order. The notebooks in the browser go
# before all: a calm test waits until every other process has ended its own, and those take minutes.
EACH_BY_ITSELF = "test_every_notebook.py"  # a third of all the work
LONG = (EACH_BY_ITSELF, "test_real_explorers_in_browser.py", "test_every_explorer.py", "test_explorer_in_browser.py")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The whole suite is spread over some processes; whatever is chosen from it by name or mark runs in this one."""
    option, is_worker = config.option, hasattr(config, "workerinput")  # a worker would begin two of its own
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not (option.keyword or option.markexpr)
    is_free = getattr(option, "numprocesses", 0) is None and not option.usepdb  # without pytest-xdist it is not there
    if fcntl and is_whole and is_free and not is_worker:
        option.numprocesses, option.dist, option.loadscopereorder = N_PROCESSES, "loadfile", False
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    """Plain `pytest` runs the notebooks strictly; without nbval (`pytest -m gpu` on a bare machine) it goes without."""
    os.environ["NBKIT_DEVICE"] = "cpu"
    if hasattr(config.option, "nbval"):
        config.option.nbval = True
        config.option.nbval_current_env = True
        config.option.nbval_cell_timeout = NOTEBOOK_CELL_SECONDS
        config.option.nbval_sanitize_with = str(config.rootpath / "tests" / "notebooks" / "sanitize.cfg")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks tests/browser, so that `-m "not browser"` leaves it out; of shared work the longest comes first."""
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.browser)
    if hasattr(config, "workerinput"):  # of pytest-xdist
        items.sort(key=lambda item: (_rank(item), "calm" in item.keywords))


def _rank(item: pytest.Item) -> int:
    if item.path.name in LONG:
        return LONG.index(item.path.name)
    return len(LONG) + (item.path.suffix != ".ipynb")


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file stays in one process, which makes its fixtures once; only of the longest each test is given out by itself."""
    if config.option.dist != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if EACH_BY_ITSELF in nodeid else super()._split_scope(nodeid)

    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around the timeout: waiting does not count
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """A test marked calm measures time: no test of another process runs beside it."""
    global _turn
    if fcntl is None:
        return (yield)
    is_calm = "calm" in item.keywords
    if _turn is None:
        _turn = open(__file__)
        with open(item.config.rootpath / "pyproject.toml") as gate:  # who waits for calm lets nobody else begin
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(_turn, fcntl.LOCK_EX if is_calm else fcntl.LOCK_SH)
    try:
        return (yield)
    finally:
        if not is_calm or nextitem is None or "calm" not in nextitem.keywords:  # calm ones in a row wait once
            _turn.close()
            _turn = None
