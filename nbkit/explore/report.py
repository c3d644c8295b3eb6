"""Explorer of notebook 12, and the report that shows itself: tabs that fill as their numbers come, and a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import torch
import torch.fx.experimental.symbolic_shapes  # torch.func loads it at first use: half a second that no step should take

from nbkit.compress import prune
from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.report_page import report_page, report_sheet
from nbkit.explore.report_tabs import tab_data, tab_title
from nbkit.explore.worker import STEPS
from nbkit.figures import REPORT_PARTS, report_figure, report_layout, report_panels, report_traces
from nbkit.files import write_whole
from nbkit.nets import deep_net
from nbkit.reporting import Report

__all__ = ["DrawnReport", "ReportExplorer", "report"]

_MOST_LAYERS = 100_000
_STYLE = """<style>.nbkit-report p { margin: 0; line-height: 20px; } .nbkit-report table { margin-top: 8px; }
.nbkit-report td, .nbkit-report th { padding: 0 12px; text-align: right; }
.nbkit-report :is(td, th):nth-child(-n + 2) { text-align: left; }</style>"""


class Tabs(Choice):
    """One of a few words, all of them in view."""

    def widget(self) -> ipywidgets.Widget:
        style = {"button_width": "140px"}
        return ipywidgets.ToggleButtons(options=self.choices, value=self.value, style=style, layout={"width": "auto"})


class ReportExplorer(Explorer):
    """The report of a network, part by part; what is on show is drawn as soon as its numbers are there.

    Args:
        report: of the network; default that of a small pruned one.
        settings: values of controls to start with.
    """

    groups = {
        "part": [Tabs("part", "part", REPORT_PARTS)],
        "network": [Slider("layer", "layer i", 1, _MOST_LAYERS, value=1)],
    }
    height = 430

    def __init__(self, report: Report | None = None, **settings: Any) -> None:
        self.report = _example() if report is None else report
        self._there = {"wires"}  # parts whose numbers are known; these are when the slider knows its layers
        super().__init__(**settings)

    def build(self) -> None:
        self.figure = self.figure_widget(report_figure(REPORT_PARTS[0], None), ghosts=False)
        self._table = ipywidgets.HTML(layout={"max_height": "460px", "overflow": "auto"})
        self._drawn: object = None
        self._layout: dict[str, object] = {}

    def stream(self, *, part: str, layer: int) -> Iterator[dict[str, Any]]:
        """What is known of the part at once; then all of the report, and the part again when it is there."""
        frame = self._frame(part, layer)
        yield frame
        for now, done, total in self.report.steps():
            if done == total:
                self._there.add(now)
            if frame[part] is None and part in self._there:
                frame = self._frame(part, layer)
            yield frame | {"progress": (done, total, f"steps of {now}")}
        self._there.update(REPORT_PARTS)
        yield self._frame(part, layer) | {"is_whole": True}

    def draw(self, frame: dict[str, Any]) -> None:
        data = frame[frame["part"]]
        if data is None or data is not self._drawn:  # later frames of a stream tell only how far it is
            panels = report_panels(frame["part"], data, layer=frame["layer"])
            self.figure.redraw(report_traces(panels))
            for name, values in report_layout(panels).items():
                if self._layout.get(name) != values:  # a reader's zoom stays where nothing is new
                    self.figure.layout[name] = self._layout[name] = values
            self.figure.retitle(frame["title"])
        self._drawn = data
        if "is_whole" in frame and not self._table.value:
            self._table.value = f'<div class="nbkit-report">{_STYLE}{Report._repr_html_(self.report)}</div>'

    def admissible(self, settings: Mapping[str, Any]) -> Mapping[str, Sequence[Any]]:
        return {"layer": range(1, len(self.report.layers) + 1)}

    def reset(self) -> None:
        self._layout.clear()
        super().reset()

    def to_html(self) -> str:
        """The whole report as a page with tabs that draws offline."""
        return report_page(self.report, self.settings["layer"])

    def to_png(self) -> bytes:
        """All parts as one PNG, drawn by kaleido."""
        return report_sheet(self.report, self.settings["layer"])

    def _frame(self, part: str, layer: int) -> dict[str, Any]:
        is_whole = len(self._there) == len(REPORT_PARTS)  # asked sooner, what is not covered would compute everything
        left_out = [f"{name}: {why}" for name, why in self.report.not_covered] if is_whole else []
        data, title = None, f"{part.capitalize()}: on its way"
        if part in self._there:
            data = tab_data(self.report, part, layer)
            title = tab_title(self.report, part, layer, is_whole=is_whole)
        note = f"not covered: {'; '.join(left_out)}" if left_out else ""
        return {"part": part, "layer": layer, part: data, "title": title, "note": note}

    def _lay_out(self) -> None:
        super()._lay_out()
        self._panel.root.children += (self._table,)


class DrawnReport(Report):
    """A `Report` that draws itself in a notebook, with tabs and a table; its numbers are computed while it is looked at."""

    _repr_html_ = None  # a notebook would ask for it as well, and wait for every number

    _explorer: ReportExplorer | None = None

    @property
    def explorer(self) -> ReportExplorer:
        """What is on show: a new one where the last was closed, as by running its cell again."""
        if self._explorer is None or self._explorer._closed:
            self._explorer = ReportExplorer(self)
        return self._explorer

    def to_html(self, path: str | Path | None = None) -> str | Path:
        """The report as one page that needs neither kernel nor network: a tab a part, and the table.

        Args:
            path: a file to write it to, replaced when the page is complete; or None.

        Returns:
            The page as text, or the path of the file.

        Raises:
            NbkitError: a path that cannot be written.
        """
        page = report_page(self)
        return page if path is None else write_whole("to_html", path, page)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, Any]:
        words = f"Report of {self.name}: {self.n_parameters:,} parameters; print it for its numbers"
        return self.explorer._repr_mimebundle_() | {"text/plain": words}


def report(
    module: torch.nn.Module, x: object, *, threshold: float = 0.0, seed: int | np.random.Generator | None = 0
) -> DrawnReport:
    """Every measure of one network, as `nbkit.reporting.report`, which draws itself in a notebook.

    Args:
        module, x, threshold, seed: as there.

    Raises:
        NbkitError: as there.
    """
    with STEPS:  # to follow a module, torch changes for a moment how every thread calls modules
        return DrawnReport(module, x, threshold=threshold, seed=seed)


def _example() -> DrawnReport:
    """A small network that was pruned layer by layer, at eight random points."""
    net = prune(deep_net(4, "Dense-N", width=32, n_inputs=64, activation="relu", gain=1.4), 1 / 16, "LMP")
    return report(net, np.random.default_rng(0).standard_normal((8, 64)))
