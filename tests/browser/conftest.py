"""Fixtures of the browser tests: one server and one Chromium for all of them, and notebooks opened in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from .lab import REPOSITORY, LabServer, Notebook, find_chromium, launch_chromium, write_notebook


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The one browser; where it is missing tests are skipped, and under CI they fail."""
    if find_chromium() is None:
        reason = "no chromium or google-chrome on PATH (Debian: apt install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = launch_chromium(playwright, tmp_path_factory.mktemp("chromium"))
        yield context
        context.close()


@pytest.fixture(scope="package")
def lab(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """The one JupyterLab, on a temporary folder that holds a copy of the repository's notebooks, if there are any."""
    server = LabServer(tmp_path_factory.mktemp("lab"))
    try:
        if (REPOSITORY / "notebooks").is_dir():
            server.serve(REPOSITORY / "notebooks")
        yield server
    finally:
        server.stop()


@pytest.fixture
def open_notebook(chromium: Any, lab: LabServer, tmp_path: Path) -> Iterator[Callable[..., Notebook]]:
    """open_notebook(path under lab.folder, or a list of code cells; width, height) -> Notebook, ready to run."""
    opened: list[Notebook] = []
    pictures = Path(os.environ.get("NBKIT_SCREENSHOTS") or tmp_path)

    def open_one(source: str | Path | Sequence[str], *, width: int = 1500, height: int = 1000) -> Notebook:
        if isinstance(source, (str, Path)):
            path = lab.folder / source
        else:
            path = write_notebook(lab.folder / f"{tmp_path.name}-{len(opened)}.ipynb", source)
        opened.append(Notebook(chromium, lab, path, pictures, width=width, height=height))
        return opened[-1]

    yield open_one
    for notebook in opened:
        notebook.close()
