"""Every notebook as a reader meets it: run all in JupyterLab, every explorer paints, every slider moves by keyboard."""

import pytest

from .lab import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
GLANCE_S = 0.6  # at the picture of each slider; a reader does not wait for its last refinement either

# Cells may lie outside the view, where JupyterLab draws nothing: each is scrolled to, and marked to be found again.
SHOW_CELL = """index => { const content = jupyterapp.shell.currentWidget.content;
    content.activeCellIndex = index; content.scrollToItem(index, 'start');
    content.widgets[index].node.dataset.shown = index; }"""
CELLS_WITH_WIDGETS = """() => Array.from(jupyterapp.shell.currentWidget.content.model.cells)
    .flatMap((cell, index) => cell.type === 'code' && cell.outputs.toJSON().some(
        output => output.data?.['application/vnd.jupyter.widget-view+json']) ? [index] : [])"""
# What the explorers of a cell are, such as "WiringExplorer"; a box of several tells all of them.
KINDS = """index => jupyterapp.shell.currentWidget.content.model.cells.get(index).outputs.toJSON()
    .map(output => output.data?.['text/plain']).filter(text => text)
    .map(text => [].concat(text).join('').match(/\\w+Explorer|^\\w+ of/g)?.join() ?? '').join()"""
# What the kernel was given, and what each code cell shows of it.
SOURCES = "import json; print(json.dumps(get_ipython().history_manager.input_hist_raw[1:]))"
OUTPUTS = """() => Array.from(jupyterapp.shell.currentWidget.content.model.cells)
    .filter(cell => cell.type === 'code').map(cell => cell.outputs.toJSON())"""
PAINTED = """(() => { const cell = document.querySelector('[data-shown="%d"]');
    const explorers = [...cell.querySelectorAll('.nbkit-explorer')];
    const pictures = root => [...root.querySelectorAll('.js-plotly-plot, canvas')];
    return explorers.length && explorers.every(root =>
        / m?s\\b/.test(root.querySelector('.nbkit-status')?.textContent) && pictures(root).length
        && pictures(root).every(picture => picture.getBoundingClientRect().height > 50)); })()"""
# A reader who scrolls on leaves refinements behind; here they would take the next cells' turns.
STOP = "from nbkit.explore.cells import _MADE; [each._worker.stop() for made in _MADE.values() for each in made]"
STATUS = "[...document.querySelectorAll('[data-shown=\"%d\"] .nbkit-status')].map(line => line.textContent).join('|')"


def move(notebook, handle) -> None:
    """One key press on a slider's handle, backwards where it stands at its end; its value must change."""
    ends = [handle.get_attribute(f"aria-{end}") for end in ("valuenow", "valuemin", "valuemax")]
    is_disabled = "handle => handle.closest('.noUi-target').hasAttribute('disabled')"
    if ends[1] == ends[2] or handle.evaluate(is_disabled):
        return  # only one admissible value is offered
    text = handle.get_attribute("aria-valuetext")  # valuenow is rounded to one digit: a step of 0.05 may not show
    handle.focus()
    notebook.page.keyboard.press("ArrowLeft" if float(ends[0]) == float(ends[2]) else "ArrowRight")
    notebook.page.wait_for_function(
        "([handle, before]) => handle.getAttribute('aria-valuetext') !== before",
        arg=[handle.element_handle(), text],
    )


def await_rest(notebook, index: int, at_most_s: float = 60) -> None:
    """Wait until the kernel is idle and the status lines of a cell have come to rest."""
    notebook.wait_idle()
    await_still(notebook, index, at_most_s)


def await_still(notebook, index: int, at_most_s: float = 60) -> None:
    """Wait until the status lines of a cell have not changed for half a second, or as long as is said."""
    notebook.evaluate("() => { window.__status = null; window.__since = 0; window.__began = performance.now(); }")
    notebook.wait_for(
        f"""(() => {{ const now = {STATUS % index};
        if (now !== window.__status) {{ window.__status = now; window.__since = performance.now(); }}
        return performance.now() - window.__since > 500 || performance.now() - window.__began > {1000 * at_most_s}; }})()""",
        60,
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_explorer_paints_and_every_slider_moves(open_notebook, leave_outputs, path):
    notebook = open_notebook(f"notebooks/{path.name}")
    notebook.run_all()
    sources, outputs = notebook.python(SOURCES), notebook.evaluate(OUTPUTS)
    if len(sources) == len(outputs):  # behind an error they stand as they were stored
        cells = zip(sources, outputs, strict=True)
        leave_outputs(path, [{"source": source, "outputs": output} for source, output in cells])
    assert notebook.errors() == []
    cells = notebook.evaluate(CELLS_WITH_WIDGETS)
    assert cells, "no explorer is on show"
    n_moved, moved = 0, set()
    for index in cells:
        notebook.evaluate(SHOW_CELL, index)
        notebook.wait_for(PAINTED % index, 60)
        cell = notebook.page.locator(f'[data-shown="{index}"]')
        for fold in cell.locator(".jupyter-widget-Collapse-header").all():
            fold.click()
        kinds = notebook.evaluate(KINDS, index)
        for place, handle in enumerate(cell.locator(".noUi-handle").all()):
            # every slider once: the same explorer's are moved where it stands first, those of the wall in their chapters
            if (kinds, place) in moved or (place and path.stem.startswith("00")):
                continue
            moved |= {(kinds, place)} if kinds else set()
            move(notebook, handle)
            await_rest(notebook, index, GLANCE_S)
            n_moved += 1
            assert cell.locator(".nbkit-error").all_inner_texts() == []
        notebook.python(STOP)
        await_rest(notebook, index)
        assert cell.locator(".nbkit-error").all_inner_texts() == []
        notebook.screenshot(f"{path.stem}-cell-{index:02d}", cell)
    assert n_moved, "no slider is on show"
    assert notebook.errors() == [] and notebook.page_errors == []
