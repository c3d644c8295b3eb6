"""What the tests of sweeps share: functions that worker processes can import, and an executor that is no process."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # worker processes are given it too, and find toy_cells there


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def store(tmp_path):
    return tmp_path / "sweep.jsonl"
