"""Storing a notebook for reading: executed, with pictures, no widget state, and the same bytes every time."""

import base64
import contextlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from nbkit.errors import NbkitError
from nbkit.files import write_whole

__all__ = ["store_notebook"]

CELL_TIMEOUT_SECONDS = 180
LARGEST_BYTES = 1_500_000
# Under NBKIT_STORE an explorer shows a picture of itself; PLOTLY_RENDERER gives a plain figure a PNG beside its JSON.
SETTINGS = {
    "NBKIT_STORE": "1",
    "NBKIT_DEVICE": "cpu",
    "PLOTLY_RENDERER": "plotly_mimetype+png",
    "PYTHONWARNINGS": "ignore:The kopts argument is ignored if using a server",
}
# One Chromium for all pictures of a notebook: without it each picture would start its own.
KERNEL_START = "__import__('kaleido').start_sync_server(silence_warnings=True)"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


def store_notebook(path: str | Path) -> bool:
    """Execute a notebook on the CPU and store it as a reader without a kernel should see it.

    Storing again without a change changes no byte, provided the cells print and draw the same: timings, versions,
    random trace ids and widget state are not stored. The file is replaced only when everything has succeeded.

    Args:
        path: the `.ipynb` file; it is executed in its own folder.

    Returns:
        Whether the file's content changed.

    Raises:
        NbkitError: no such file, a cell with an error or over 180 seconds, or more than 1.5 MB to store.
    """
    path = Path(path)
    before = _read(path)
    notebook = _with_cell_ids(before, path.name)
    _execute(notebook, path)
    content = nbformat.writes(_tidied(notebook), indent=1) + "\n"
    n_bytes = len(content.encode())
    if n_bytes > LARGEST_BYTES:
        raise NbkitError(
            f"store_notebook: {path.name} must take at most {LARGEST_BYTES / 1e6} MB, got {n_bytes / 1e6:.2f} MB. "
            "Show smaller pictures or fewer points; the file is unchanged."
        )
    if content == before:
        return False
    write_whole("store_notebook", path, content)
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise NbkitError(
            f"store_notebook: path must be a notebook's file, got {str(path)!r} ({error.strerror}). Check its name."
        ) from None


def _with_cell_ids(content: str, name: str) -> NotebookNode:
    """The notebook, each cell with an id that does not depend on chance."""
    try:
        notebook = json.loads(content)
        cells = notebook["cells"]
    except (json.JSONDecodeError, KeyError, TypeError):
        raise NbkitError(f"store_notebook: {name} must be a notebook, got other text. Save it in JupyterLab.") from None
    notebook["nbformat_minor"] = 5
    for number, cell in enumerate(cells):
        cell.setdefault("id", f"cell-{number}")
    return nbformat.reads(json.dumps(notebook), as_version=4)


def _execute(notebook: NotebookNode, path: Path) -> None:
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_SECONDS,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,  # how output is cut into messages depends on time
        resources={"metadata": {"path": str(path.resolve().parent)}},
        extra_arguments=["--IPKernelApp.log_level=ERROR", f"--IPKernelApp.exec_lines={KERNEL_START}"],
    )
    with _naming_the_cell(notebook, path):
        client.execute(env=os.environ | SETTINGS)


@contextlib.contextmanager
def _naming_the_cell(notebook: NotebookNode, path: Path) -> Iterator[None]:
    try:
        yield
    except CellExecutionError as error:
        got = f"{error.ename}: {error.evalue}"
    except CellTimeoutError:
        got = f"more than {CELL_TIMEOUT_SECONDS} s"
    except DeadKernelError:
        got = "a kernel that died"
    else:
        return
    code = [(number, cell) for number, cell in enumerate(notebook.cells, start=1) if cell.cell_type == "code"]
    # Cells run in order, so the one at fault is the first with an error, or the first that did not finish.
    number = next(
        (n for n, cell in code if any(output.output_type == "error" for output in cell.outputs)),
        next((n for n, cell in code if cell.execution_count is None), code[-1][0]),
    )
    raise NbkitError(
        f"store_notebook: cell {number} of {path.name} must run without an error, got {got}. "
        "Mend the cell; the file is unchanged."
    )


def _tidied(notebook: NotebookNode) -> NotebookNode:
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            bundle = output.get("data", {})
            bundle.pop("application/vnd.jupyter.widget-view+json", None)  # without its state: "model not found"
            if "image/png" in bundle:
                bundle["image/png"] = _with_palette(bundle["image/png"])
            for trace in bundle.get("application/vnd.plotly.v1+json", {}).get("data", []):
                trace.pop("uid", None)  # drawn at random by a FigureWidget
    nbformat.validate(notebook)
    return notebook


def _with_palette(png: str) -> str:
    """The PNG (base64 text) with at most 256 colours: a third of the bytes, and no eye sees it in line drawings."""
    from PIL import Image

    picture, smaller = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"), io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(smaller, "PNG", optimize=True)
    return base64.b64encode(smaller.getvalue()).decode()
