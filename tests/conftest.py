"""What every test stands on: numbers are the CPU's, and every notebook is a test."""

import os

import pytest

NOTEBOOK_CELL_SECONDS = 120


def pytest_configure(config: pytest.Config) -> None:
    """Plain `pytest` runs the notebooks strictly; without nbval (`pytest -m gpu` on a bare machine) it goes without."""
    os.environ["NBKIT_DEVICE"] = "cpu"
    if hasattr(config.option, "nbval"):
        config.option.nbval = True
        config.option.nbval_current_env = True
        config.option.nbval_cell_timeout = NOTEBOOK_CELL_SECONDS
        config.option.nbval_sanitize_with = str(config.rootpath / "tests" / "notebooks" / "sanitize.cfg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies in tests/browser carries its mark, so that `-m "not browser"` leaves it out."""
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.browser)
