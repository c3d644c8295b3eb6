"""The browser harness: a JupyterLab of its own, one Chromium, notebooks that tests drive; every wait is bounded."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nbformat

__all__ = ["POLL_MS", "LabServer", "Notebook", "find_chromium", "launch_chromium", "write_notebook"]

REPOSITORY = Path(__file__).resolve().parents[2]
START_S, RUN_S, STEP_S = 60.0, 180.0, 15.0
POLL_MS = 50  # to ask at each frame, as is usual, makes the page paint at each
NOTIFICATIONS = "@jupyterlab/apputils-extension/notification.jupyterlab-settings"
# What anywidget says of a script that took more than two seconds to load, as happens on a busy machine: to its model it
# passes no message on from then. Ours hear all the same, which has a test of its own.
SLOW_START = "[anywidget] Failed to initialize model"
CHROMIUM_ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


def find_chromium() -> str | None:
    """The path of the system's Chromium or Chrome, None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


def launch_chromium(playwright: Any, profile: Path) -> Any:
    """A persistent browser context on the system's Chromium, its profile in the folder `profile`."""
    context = playwright.chromium.launch_persistent_context(
        str(profile),
        executable_path=find_chromium(),
        headless=True,
        args=CHROMIUM_ARGUMENTS,
        viewport={"width": 1500, "height": 1000},
        accept_downloads=True,
        timeout=START_S * 1000,
    )
    context.set_default_timeout(STEP_S * 1000)
    context.set_default_navigation_timeout(START_S * 1000)
    return context


def write_notebook(path: Path, cells: Sequence[str]) -> Path:
    """Write a notebook of code cells, one string each, and return its path."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


class LabServer:
    """A JupyterLab on 127.0.0.1 with its own home; it serves `folder`, and its kernels see the repository and the CPU.

    Tests may write into `folder`, it is a temporary one: `serve` puts a copy of a real folder there.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.folder, self.token = home, home / "served", secrets.token_hex(16)
        self.folder.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = open(home / "server.log", "wb")
        self._process = subprocess.Popen(
            self._command(),
            env=self._environment(),
            cwd=self.folder,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        try:
            self._await_answer()
        except BaseException:
            self.stop()
            raise

    def serve(self, source: Path, name: str | None = None) -> Path:
        """Copy the folder `source` (say, the repository's notebooks) under the served one; returns the copy."""
        return Path(
            shutil.copytree(
                source,
                self.folder / (name or source.name),
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns(".ipynb_checkpoints"),
            )
        )

    def stop(self) -> None:
        """End the server, which ends its kernels; after ten seconds by force."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._log.close()

    def _command(self) -> list[str]:
        root = ["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
        return [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--ip=127.0.0.1",
            f"--port={self.port}",
            *root,
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}",
            f"--ServerApp.root_dir={self.folder}",
            "--LabApp.expose_app_in_browser=True",
            "--LabApp.extension_manager=readonly",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]

    def _environment(self) -> dict[str, str]:
        home = self.home
        settings = home / "config" / "lab" / "user-settings"
        (settings / NOTIFICATIONS).parent.mkdir(parents=True)
        (settings / NOTIFICATIONS).write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
        folders = {
            "HOME": home,
            "JUPYTER_CONFIG_DIR": home / "config",
            "JUPYTER_DATA_DIR": home / "data",
            "JUPYTER_RUNTIME_DIR": home / "runtime",
            "IPYTHONDIR": home / "ipython",
            "JUPYTERLAB_SETTINGS_DIR": settings,
            "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
        }
        search = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
        kept = {key: value for key, value in os.environ.items() if key not in ("NBKIT_STORE", "XDG_RUNTIME_DIR")}
        return (
            kept
            | {key: str(value) for key, value in folders.items()}
            | {"PYTHONPATH": search, "NBKIT_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
        )

    def _await_answer(self) -> None:
        end = time.monotonic() + START_S
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/api?token={self.token}", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        self._log.flush()
        raise RuntimeError(
            f"JupyterLab did not answer in {START_S:.0f} s:\n"
            + (self.home / "server.log").read_text(errors="replace")[-3000:]
        )


class Notebook:
    """One notebook open in the browser; `page` is playwright's, for whatever has no method here."""

    def __init__(self, context: Any, server: LabServer, path: Path, pictures: Path, *, width: int, height: int) -> None:
        self.path, self.pictures, self.page_errors = path, pictures, []
        self.page = context.new_page()
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.on("pageerror", lambda error: self._note(str(error)))
        inside = path.resolve().relative_to(server.folder.resolve()).as_posix()
        self.page.goto(f"{server.url}/lab/tree/{inside}?reset&token={server.token}")
        self._await("window.jupyterapp?.shell?.currentWidget?.context !== undefined", START_S)
        self._finish(
            """(async () => { const w = jupyterapp.shell.currentWidget;
            await w.context.ready; await w.sessionContext.ready; await w.revealed;
            jupyterapp.shell.collapseLeft(); })()""",
            START_S,
        )
        self.page.wait_for_timeout(1000)  # "ready" alone was too early once

    def _note(self, error: str) -> None:
        if SLOW_START not in error:
            self.page_errors.append(error)

    def run_all(self, timeout: float = RUN_S) -> None:
        """Run all cells and wait until every one has ended (with or without an error)."""
        self._finish("jupyterapp.commands.execute('notebook:run-all-cells')", timeout)
        self.wait_idle(timeout)

    def run_cell(self, index: int, timeout: float = RUN_S, *, wait: bool = True) -> None:
        """Run the cell `index`, counted from 0; with wait=False return at once."""
        start = (
            f"(() => {{ jupyterapp.shell.currentWidget.content.activeCellIndex = {index}; "
            "return jupyterapp.commands.execute('notebook:run-cell'); })()"
        )
        if wait:
            self._finish(start, timeout)
            self.wait_idle(timeout)
        else:
            self.page.evaluate(f"() => {{ {start}; }}")

    def wait_idle(self, timeout: float = RUN_S) -> None:
        """Wait until the kernel says idle twice, 0.2 s apart."""
        for _ in range(2):
            self._await("jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'", timeout)
            self.page.wait_for_timeout(200)

    def interrupt(self) -> None:
        """What the stop button does."""
        self._finish("jupyterapp.commands.execute('notebook:interrupt-kernel')", STEP_S)

    def wait_for(self, condition: str, timeout: float = STEP_S) -> None:
        """Wait until the JavaScript expression `condition` is true."""
        self._await(condition, timeout)

    def evaluate(self, script: str, argument: Any = None) -> Any:
        """The value of a JavaScript function or expression in the page."""
        return self.page.evaluate(script, argument)

    def python(self, code: str, timeout: float = RUN_S) -> Any:
        """Run `code` in the kernel, outside any cell; what it prints as its last line, read as JSON (else None)."""
        self._finish(
            """(async () => { window.__printed = ''; window.__raised = '';
            const k = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const f = k.requestExecute({code: %s, store_history: false, stop_on_error: false});
            f.onIOPub = m => { if (m.header.msg_type === 'stream' && m.content.name === 'stdout') window.__printed += m.content.text;
                               if (m.header.msg_type === 'error') window.__raised = m.content.ename + ': ' + m.content.evalue; };
            await f.done; })()"""
            % json.dumps(code),
            timeout,
        )
        raised, printed = self.page.evaluate("() => [window.__raised, window.__printed]")
        if raised:
            raise RuntimeError(raised)
        return json.loads(printed.strip().splitlines()[-1]) if printed.strip() else None

    def outputs(self) -> list[list[dict]]:
        """The outputs of every cell, as nbformat has them; a markdown cell has none."""
        return self.page.evaluate("""() => Array.from(jupyterapp.shell.currentWidget.content.model.cells)
            .map(c => c.type === 'code' ? c.outputs.toJSON() : [])""")

    def errors(self) -> list[str]:
        """One line for every traceback among the outputs."""
        return [
            f"cell {index}: {output['ename']}: {output['evalue']}"
            for index, cell in enumerate(self.outputs())
            for output in cell
            if output["output_type"] == "error"
        ]

    def drag(
        self,
        slider: Any,
        *,
        moves: int = 40,
        pause_ms: float = 30,
        start: float = 0.0,
        stop: float = 1.0,
        each: Callable[[int], None] | None = None,
    ) -> None:
        """Drag a slider's handle from `start` to `stop` (fractions of its track); `slider` locates a .widget-slider."""
        slider.scroll_into_view_if_needed()
        track, handle = slider.locator(".noUi-base").bounding_box(), slider.locator(".noUi-handle").bounding_box()
        y = track["y"] + track["height"] / 2
        self.page.mouse.move(handle["x"] + handle["width"] / 2, y)
        self.page.mouse.down()
        for move in range(moves):
            where = start + (stop - start) * (move / max(1, moves - 1))
            self.page.mouse.move(track["x"] + where * track["width"], y)
            self.page.wait_for_timeout(pause_ms)
            if each:
                each(move)
        self.page.mouse.up()

    def screenshot(self, name: str, target: Any = None) -> Path:
        """A PNG of the page, or of one locator, as `name`.png in the pictures' folder."""
        self.pictures.mkdir(parents=True, exist_ok=True)
        path = self.pictures / f"{name}.png"
        (target or self.page).screenshot(path=str(path))
        return path

    def close(self) -> None:
        """Shut the kernel down and close the page."""
        try:
            self._finish("jupyterapp.shell.currentWidget.sessionContext.shutdown()", STEP_S)
        finally:
            self.page.close(run_before_unload=False)

    def _await(self, condition: str, timeout: float) -> None:
        self.page.wait_for_function(
            f"() => {{ try {{ return !!({condition}); }} catch {{ return false; }} }}",
            timeout=timeout * 1000,
            polling=POLL_MS,
        )

    def _finish(self, promise: str, timeout: float) -> None:
        """Await a promise with a limit, which page.evaluate does not have."""
        done = self.page.evaluate(
            f"() => Promise.race([Promise.resolve({promise}).then(() => 'yes', error => 'no: ' + error), "
            f"new Promise(end => setTimeout(end, {1000 * timeout}, 'no: not within {timeout:g} s'))])"
        )
        if done != "yes":
            raise RuntimeError(f"{self.path.name}: {done}")
