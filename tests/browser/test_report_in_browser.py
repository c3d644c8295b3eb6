"""A report as a reader meets it: how soon it paints, its tabs, and its page without kernel and network."""

import statistics
import sys

import pytest

from .test_every_notebook import SHOW_CELL

NET = """
import torch
import nbkit
from nbkit import explore

torch.manual_seed(0)  # in one net of seven a weight is born 0, which is no wire
net = torch.nn.Sequential(*[m for _ in range(10) for m in (torch.nn.Linear(512, 512), torch.nn.ReLU())])
x = torch.randn(8, 512)
"""
FIRST_S, N_TIMES = 1.0, 3
# When the report's first picture was painted, in ms since it was asked for.
WATCH = """() => { window.asked = Date.now(); window.painted = null;
    new MutationObserver(() => document.querySelectorAll('.js-plotly-plot').forEach(gd => {
        if (!gd.on || gd.heard) return;
        gd.heard = true;
        gd.on('plotly_afterplot', () => { if (gd._fullLayout.title.text.startsWith('All 2,621,440 wires'))
            requestAnimationFrame(() => { window.painted ??= Date.now() - window.asked; }); });
    })).observe(document.body, {childList: true, subtree: true}); }"""


@pytest.mark.calm
def test_the_first_part_of_ten_layers_of_512_is_painted_within_a_second_and_the_others_follow(open_notebook, capsys):
    # what every notebook loads once, torch and plotly's script, is there with the first cells
    notebook = open_notebook([NET, "small = explore.ReportExplorer(); small", "report = nbkit.report(net, x)\nreport"])
    for index in (0, 1):
        notebook.run_cell(index)
    notebook.wait_for("document.querySelector('.js-plotly-plot image')", 60)
    notebook.python("small.settle()")
    notebook.evaluate("() => { jupyterapp.shell.currentWidget.content.activeCellIndex = 2; }")
    notebook.evaluate(SHOW_CELL, 2)
    notebook.page.wait_for_timeout(1000)
    waits = []
    for _ in range(N_TIMES):  # each time a new report, whose numbers are computed anew
        notebook.evaluate(WATCH)
        notebook.run_cell(2, wait=False)
        notebook.wait_for("window.painted !== null", 60)
        waits.append(notebook.evaluate("() => window.painted"))
        notebook.python("report.explorer.settle()")
    took = statistics.median(waits)
    with capsys.disabled():
        print(f"\nreport of ten layers of 512: first picture after {took:.0f} ms", file=sys.stderr)
    cell = notebook.page.locator('[data-shown="2"]')
    for part, axis in (("spectra", "singular value s (log)"), ("jacobian", "log₁₀ s of the Jacobian")):
        cell.locator(".widget-toggle-buttons button", has_text=part).click()
        notebook.wait_for(f"[...document.querySelectorAll('[data-shown=\"2\"] .js-plotly-plot')].at(-1)"
                          f"._fullLayout.yaxis.title.text === '{axis}'", 30)  # fmt: skip
    cell.locator(".nbkit-report table").wait_for()
    assert cell.locator(".nbkit-report tr").count() == 11
    notebook.screenshot("report-of-ten-layers")
    assert notebook.errors() == [] and cell.locator(".nbkit-error").count() == 0
    assert took < 1000 * FIRST_S


def test_the_page_draws_without_a_network_and_its_tabs_need_no_kernel(chromium, tmp_path):
    torch = pytest.importorskip("torch")
    import nbkit

    net = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.ReLU(), torch.nn.Linear(9, 4))
    nbkit.report(net, torch.ones(2, 6)).to_html(tmp_path / "report.html")
    page, asked = chromium.new_page(), []
    try:
        page.on("request", lambda request: asked.append(request.url))
        page.route("http*://**", lambda route: route.abort())
        page.goto((tmp_path / "report.html").as_uri())
        for part in nbkit.reporting.Report.PARTS:
            page.locator(f"label[for={part}]").click()
            page.wait_for_function(
                "part => { const box = document.querySelector(`#of-${part} .main-svg`)?.getBoundingClientRect();"
                " return box && box.width > 400 && box.height > 300; }",
                arg=part,
                timeout=20_000,
            )
            shown = page.evaluate(
                "() => [...document.querySelectorAll('section')].filter(s => s.clientHeight > 50).length"
            )
            assert shown == 1
            page.screenshot(path=str(tmp_path / f"{part}.png"))
        assert page.locator("#of-wires image").count() == 1 and page.locator("tr").count() == 3
        assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []
    finally:
        page.close()
