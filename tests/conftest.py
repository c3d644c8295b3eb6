"""What every test stands on: numbers are the CPU's, every notebook is a test, and some processes share the whole suite."""

import json
import os
import shutil
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

try:
    import fcntl
except ImportError:  # not on Windows: there one process runs everything
    fcntl = None

_turn = None  # the lock that is held
RAN = "NBKIT_RAN"  # of the environment: a folder of this test run's, for the outputs of notebooks that have run already

NOTEBOOK_CELL_SECONDS = 120
N_PROCESSES = 3  # browser tests mostly wait, so that two cores have work for three
# What takes longest begins first, then files in their order. The notebooks in the browser go before all: a calm test
# waits until every other process has ended its own, and those take minutes. Their cells go last: what the browser has
# run they only compare.
EACH_BY_ITSELF = "test_every_notebook.py"  # a third of all the work
LONG = (EACH_BY_ITSELF, "test_every_explorer.py", "test_real_explorers_in_browser.py", "test_explorer_in_browser.py")


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
    signal.signal(signal.SIGINT, signal.default_int_handler)  # begun in the background, kernels would not hear it
    if not hasattr(config, "workerinput"):
        os.environ[RAN] = tempfile.mkdtemp(prefix="nbkit-ran-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(RAN)))
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
    for notebook in {item.parent for item in items if item.path.suffix == ".ipynb"}:
        notebook.setup = partial(_begin, notebook)
    if hasattr(config, "workerinput"):  # of pytest-xdist
        items.sort(key=lambda item: (_rank(item), "calm" in item.keywords))


class RanKernel:
    """To nbval a kernel; the cells were run by the browser's test of the notebook, which left their outputs."""

    def __init__(self, cells: list[dict]) -> None:
        self._cells = iter(cells)

    def execute_cell_input(self, source: str, allow_stdin: bool | None = None) -> str:
        outputs = next((cell["outputs"] for cell in self._cells if cell["source"] == source), None)
        if outputs is None:
            raise LookupError(f"the browser ran no such cell: {source}")
        idle = {"msg_type": "status", "content": {"execution_state": "idle"}}
        self._messages = deque([*({"msg_type": out["output_type"], "content": out} for out in outputs), idle])
        self._source = source
        return source

    def get_message(self, stream: str, timeout: float | None = None) -> dict:
        return self._messages.popleft() | {"parent_header": {"msg_id": self._source}}

    def is_alive(self) -> bool:
        return True

    def await_reply(self, *_: object, **__: object) -> None:
        """Nothing is to be waited for: here, behind an error, and when the notebook ends."""

    await_idle = stop = await_reply


@pytest.fixture
def leave_outputs() -> Callable[[Path, list[dict]], None]:
    """leave_outputs(notebook, cells): what nbval then compares instead of running the notebook once more.

    A cell is {"source": text as the kernel got it, "outputs": nbformat's}, code cells only, in their order.
    """

    def leave(notebook: Path, cells: list[dict]) -> None:
        path = Path(os.environ[RAN], f"{notebook.stem}.json")
        path.with_suffix(".part").write_text(json.dumps(cells))
        path.with_suffix(".part").replace(path)

    return leave


def _begin(notebook: pytest.File) -> None:
    """nbval's own beginning starts a kernel; where the browser's test has run all cells already, none is needed."""
    left = Path(os.environ[RAN], f"{notebook.path.stem}.json")
    if left.is_file():
        notebook.kernel = RanKernel(json.loads(left.read_text()))
        notebook.setup_sanitize_files()
    else:
        type(notebook).setup(notebook)


def _rank(item: pytest.Item) -> int:
    if item.path.name in LONG:
        return LONG.index(item.path.name)
    return len(LONG) + (item.path.suffix == ".ipynb")


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
