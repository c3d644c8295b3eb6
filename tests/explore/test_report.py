"""The report that draws itself: tabs and table hold its numbers, asked from any thread; a page; errors as one message."""

import base64
import csv
import html
import io
import threading
from contextlib import closing

import numpy as np
import pytest
import torch
from torch import nn

import nbkit
from nbkit.errors import NbkitError
from nbkit.explore import DrawnReport, ReportExplorer
from nbkit.explore.worker import STEPS
from nbkit.figures import REPORT_PARTS
from nbkit.reporting import Report

SIZES = (6, 8, 5, 3)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.branch, self.norm, self.last = (
            nn.Linear(6, 8),
            nn.Linear(8, 8),
            nn.LayerNorm(8),
            nn.Linear(8, 3),
        )

    def forward(self, x):
        h = torch.relu(self.first(x))
        return self.last(self.norm(h + self.branch(h)))


@pytest.fixture(scope="module")
def net():
    """ReLU layers of which 7 in 10 weights are 0, and six points."""
    generator = torch.Generator().manual_seed(1)
    layers = [nn.Linear(n_in, n_out) for n_in, n_out in zip(SIZES, SIZES[1:])]
    for layer in layers:
        weight = torch.randn(layer.weight.shape, generator=generator)
        layer.weight.data = weight * (torch.rand(weight.shape, generator=generator) < 0.3)
    return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])


@pytest.fixture(scope="module")
def points():
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def show(request):
    """show(module, x): the settled explorer of its report, closed at the end."""

    def show_report(module, x):
        explorer = nbkit.report(module, x).explorer
        request.addfinalizer(explorer.close)
        explorer.settle()
        return explorer

    return show_report


def tab(explorer, part, layer=1):
    explorer.set(part=part, layer=layer)
    explorer.settle()
    return explorer.data[part], explorer.figure.layout.title.text.replace("<br>", " ")


def weights(net):
    return [layer.weight.detach().numpy().astype(np.float64) for layer in net[::2]]


def test_each_tab_holds_the_numbers_of_its_part(net, points, show):
    explorer, matrices = show(net, points), weights(net)
    data, title = tab(explorer, "wires", 2)
    assert data["density"].tolist() == [(w != 0).mean() for w in matrices]
    np.testing.assert_array_equal(data["mask"], (matrices[1] != 0).T)
    assert title.startswith(f"{sum((w != 0).sum() for w in matrices)} of {sum(w.size for w in matrices)} wires")
    data, _ = tab(explorer, "reach")
    reach = [
        np.linalg.multi_dot([np.eye(6), *[(w != 0).T.astype(int) for w in matrices[: k + 1]]]) > 0 for k in range(3)
    ]
    np.testing.assert_array_equal(data["matrix"], reach[-1])
    np.testing.assert_allclose(data["fraction"], [each.mean() for each in reach])
    data, title = tab(explorer, "spectra", 3)
    for values, matrix in zip(data["values"], matrices, strict=True):
        np.testing.assert_allclose(values, np.linalg.svd(matrix, compute_uv=False), atol=1e-12)
    assert f"to {np.linalg.norm(matrices[2], 2):.3g}" in title
    data, _ = tab(explorer, "jacobian")
    for logs, point in zip(data["log10"], points, strict=True):
        wanted = torch.linalg.svdvals(torch.autograd.functional.jacobian(net, point).double())
        np.testing.assert_allclose(10.0**logs, wanted, atol=1e-5)
    data, title = tab(explorer, "growth")
    assert f"comes out {data['length'][-1] / data['length'][0]:.3g} times as long" in title
    assert data["length"][0] == pytest.approx(float((points[1] - points[0]).norm()), rel=1e-5)
    data, _ = tab(explorer, "removable")
    assert data["before"] == [sum(p.numel() for p in net.parameters())] * len(data["what"])


def test_the_picture_is_of_the_part_and_layer_that_are_chosen(net, points, show):
    explorer = show(net, points)
    data, _ = tab(explorer, "spectra", 2)
    line = np.array(explorer.figure.data[3].y)
    np.testing.assert_allclose(line[np.isfinite(line)], [s for s in data["values"][1] if s > 1e-9])
    explorer.reset()
    explorer.settle()
    assert explorer.figure.layout.images[0].sizex == SIZES[1] and len(explorer.figure.data[3].y) == 0
    with pytest.raises(NbkitError, match=r"layer must be in 1\.\.3"):
        explorer.set(layer=4)
        explorer.settle()


def test_the_table_has_a_row_a_layer(net, points, show):
    explorer = show(net, points)
    table = explorer._table.value
    assert table.count("<tr>") == 1 + len(weights(net))
    assert all(f"<td>{(w != 0).mean():.3g}</td>" in table for w in weights(net))


def test_csv_of_a_report_comes_back(net, points, tmp_path):
    found = nbkit.report(net, points)
    path = found.to_csv(tmp_path / "layers.csv")
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert list(csv.DictReader(io.StringIO(found.to_csv()))) == rows
    assert [int(row["n_edges"]) for row in rows] == [(w != 0).sum() for w in weights(net)]


def test_the_jacobians_line_and_sentence_agree_where_the_points_differ_in_rank(show):
    net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 3, bias=False))
    net[0].weight.data, net[2].weight.data = torch.eye(3), torch.diag(torch.tensor([4.0, 2.0, 1.0]))
    signs = torch.tensor([[-1.0, -1, 1], [1, 1, 1], [1, -1, -1]])  # one value, three, one
    explorer = show(net, signs)
    _, title = tab(explorer, "jacobian")
    line = np.array(explorer.figure.data[3].y)
    assert "2 of 3 are 0" in title and 10 ** line[0] == pytest.approx(4) and np.isnan(line[1:]).all()
    assert "values lie at 4;" in title


def test_values_below_the_smallest_float_are_not_0(show):
    net = nn.Sequential(*(module for _ in range(200) for module in (nn.Linear(2, 2, bias=False), nn.Identity())))
    for module in net[::2]:
        module.weight.data = torch.diag(torch.tensor([0.1, 0.01]))
    _, title = tab(show(net, torch.ones(2)), "jacobian")
    assert title.endswith("values lie between 10<sup>−400</sup> and 1.0·10<sup>−200</sup>")


# What is shown while numbers are made


def test_display_waits_for_no_number_but_the_wires(net, points, monkeypatch):
    gate = threading.Event()

    def slow(self):
        gate.wait(30)
        yield 0, 1
        return ()

    monkeypatch.setattr(DrawnReport, "_make_spectra", slow)
    found = nbkit.report(net, points)
    try:
        bundle = found._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in bundle and "print it" in bundle["text/plain"]
        assert not callable(found._repr_html_)
        drawn = threading.Event()
        while not found.explorer.data or found.explorer.data["wires"] is None:
            assert not drawn.wait(0.02)
        assert found.explorer._table.value == ""
    finally:
        gate.set()
        found.explorer.settle()
        assert found.explorer._table.value
        found.explorer.close()


def test_a_cell_and_the_explorer_may_ask_at_once_and_each_part_is_made_once(net, points, monkeypatch):
    made = []
    for part in REPORT_PARTS:
        original = getattr(Report, f"_make_{part}")

        def counted(self, part=part, original=original):
            made.append(part)
            return (yield from original(self))

        monkeypatch.setattr(Report, f"_make_{part}", counted)
    found = nbkit.report(net, points)
    with closing(found.explorer) as explorer:
        asked = [getattr(found, part) for part in ("growth", "jacobian", "spectra", "reach")]
        explorer.settle()
    assert all(part is not None for part in asked) and sorted(made) == sorted(REPORT_PARTS)


def test_a_report_is_made_while_no_explorer_computes(net, points):
    made = threading.Event()
    thread = threading.Thread(target=lambda: (nbkit.report(net, points), made.set()), daemon=True)
    with STEPS:
        thread.start()
        assert not made.wait(0.3)
    assert made.wait(30)


def test_a_closed_explorer_is_followed_by_a_new_one(net, points):
    found = nbkit.report(net, points)
    first = found.explorer
    assert found.explorer is first
    first.close()
    with closing(found.explorer) as second:
        second.settle()
        assert second is not first and second.data["wires"] is not None


def test_a_stored_notebook_shows_all_parts(net, points, monkeypatch):
    monkeypatch.setenv("NBKIT_STORE", "1")
    monkeypatch.setattr("nbkit.explore.report.report_sheet", lambda report, layer: repr(report).encode())
    found = nbkit.report(net, points)
    with closing(found.explorer):
        assert base64.b64decode(found._repr_mimebundle_()["image/png"]).decode() == Report.__repr__(found)


# Networks of every kind


@pytest.mark.parametrize(
    ("module", "x", "n_layers"),
    [
        (nn.Linear(5, 3), torch.ones(5), 1),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 2)), torch.rand(3, 1, 6, 6), 2),
        (nn.Sequential(*[m for _ in range(40) for m in (nn.Linear(4, 4), nn.Tanh())]), torch.ones(2, 4), 40),
        (Residual(), torch.ones(2, 6), 3),
    ],
    ids=["one layer", "convolutions", "forty layers", "residual"],
)
def test_every_tab_of_every_kind_of_network_says_something(show, module, x, n_layers):
    explorer = show(module, x)
    assert explorer.controls["layer"].max == n_layers
    for part in REPORT_PARTS:
        data, title = tab(explorer, part, n_layers)
        assert data is not None and title and "not covered" not in title


def test_what_is_not_covered_is_told_in_the_tab_the_status_line_the_table_and_the_page(show):
    explorer = show(Residual(), torch.ones(2, 6))
    [(name, why)] = explorer.report.not_covered
    assert name == "norm" and explorer.data["note"] == f"not covered: norm: {why}"
    told = html.escape(f"norm: {why}")
    assert told in explorer._panel._status.value and told in explorer._table.value and told in explorer.to_html()
    module = nn.Sequential(nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), nn.Flatten(), nn.Linear(18, 3))
    assert tab(explorer, "reach")[1].endswith("(LayerNorm left out)")
    data, title = tab(show(module, torch.ones(2, 3, 6)), "reach")
    assert data is None and title.startswith("Reach is not covered: the wires of")


# What leaves a report


def test_the_page_has_a_tab_a_part_and_plotlys_script_once(net, points, tmp_path):
    found = nbkit.report(net, points)
    path = found.to_html(str(tmp_path / "report.html"))
    assert path == tmp_path / "report.html"  # and not the page, which a cell would print
    page = path.read_text(encoding="utf-8")
    assert found.to_html().startswith("<!doctype html>") and len(found.to_html()) == len(page)
    assert page.count('type="radio"') == page.count("<section") == page.count('class="plotly-graph-div"') == 6
    assert page.count("plotly.js v") == 1 and "<script src=" not in page and "<link" not in page


def test_a_page_that_cannot_be_written_leaves_what_was_there(net, points, tmp_path):
    (folder := tmp_path / "report.html").mkdir()
    (folder / "kept").touch()
    with pytest.raises(NbkitError, match="to_html: path must be a file that can be written"):
        nbkit.report(net, points).to_html(folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["report.html", "kept"]


@pytest.mark.parametrize(
    ("module", "x", "message"),
    [
        ("net", torch.ones(6), "report: module must be a torch module, got str"),
        (nn.Sequential(nn.ReLU()), torch.ones(6), "report: module must have linear layers or convolutions"),
        (nn.LSTM(6, 6), torch.ones(6), "report: module must run from its input to its output once"),
        (nn.Linear(5, 3), torch.ones(2, 6), "report: x must be an example that the module takes"),
    ],
)
def test_what_cannot_be_measured_is_one_message(module, x, message):
    with pytest.raises(NbkitError, match=message) as caught:
        nbkit.report(module, x)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None and (caught.value.__suppress_context__ or caught.value.__context__ is None)


def test_the_explorer_opens_with_a_network_of_its_own(opened):
    explorer = opened(ReportExplorer, part="reach", layer=2)
    assert isinstance(explorer.report, DrawnReport) and explorer.data["reach"]["n_dead"][1] > 0
