"""A whole report on one sheet: a page with tabs that needs neither kernel nor network, and a still picture of all parts."""

from __future__ import annotations

import html

import plotly.graph_objects as go

from nbkit.explore.report_tabs import tab_data, tab_title
from nbkit.figures import REPORT_PARTS, report_figure
from nbkit.figures.arrays import png_address
from nbkit.reporting import Report

__all__ = ["report_page", "report_pictures", "report_sheet"]

_STYLE = """
body { font: 15px system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif; color: #1F2933; background: #FDFCFA;
  max-width: 860px; margin: 24px auto; padding: 0 16px; }
input { position: absolute; opacity: 0; }
label { display: inline-block; padding: 6px 14px; margin: 0 2px; border-bottom: 3px solid transparent; cursor: pointer; }
input:checked + label { border-color: #B34700; font-weight: 600; }
input:focus-visible + label { outline: 2px solid #0072B2; }
section { height: 0; overflow: hidden; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
td, th { padding: 3px 10px; border-bottom: 1px solid #E8E4DB; text-align: right; }
td:first-child, th:first-child { text-align: left; }
"""
_TILE_PX, _RENDERED_PX, _HIGH_PX = 450, 580, 410  # a part on the sheet, as it is rendered, and its height then


def report_pictures(report: Report, layer: int = 1) -> dict[str, go.Figure]:
    """Every part as a figure; computes what is not there yet."""
    return {
        part: report_figure(
            part, tab_data(report, part, layer), layer=layer, title=tab_title(report, part, layer)
        ).update_layout(width=None, autosize=True)
        for part in REPORT_PARTS
    }


def report_page(report: Report, layer: int = 1) -> str:
    """A page with a tab a part and the table; plotly's script is inside, once, and the tabs are plain CSS."""
    pictures = report_pictures(report, layer)
    options = {"full_html": False, "config": {"responsive": True, "displaylogo": False}}
    tabs, sections, rules = [], [], []
    for part, figure in pictures.items():
        first = part == REPORT_PARTS[0]
        tabs.append(
            f'<input type="radio" name="part" id="{part}"{" checked" * first}><label for="{part}">{part}</label>'
        )
        sections.append(f'<section id="of-{part}">{figure.to_html(include_plotlyjs=first, **options)}</section>')
        rules.append(f"#{part}:checked ~ #of-{part} {{ height: auto; }}")
    title = html.escape(f"Report of {report.name}")
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    body = f"<h1>{title}</h1>{''.join(tabs)}{''.join(sections)}<div class='table'>{Report._repr_html_(report)}</div>"
    return f"{head}<style>{_STYLE}{''.join(rules)}</style></head><body>{body}</body></html>"


def report_sheet(report: Report, layer: int = 1) -> bytes:
    """All parts in one PNG, two beside each other; needs kaleido, which only the store command has."""
    tile = _TILE_PX * _HIGH_PX // _RENDERED_PX
    pictures = report_pictures(report, layer).values()
    high = -(-len(pictures) // 2) * tile
    sheet = go.Figure(layout={"margin": dict.fromkeys("lrtb", 0), "paper_bgcolor": "white", "plot_bgcolor": "white"})
    sheet.update_xaxes(range=[0, 2 * _TILE_PX], visible=False).update_yaxes(range=[high, 0], visible=False)
    for number, picture in enumerate(pictures):
        png = picture.to_image(format="png", width=_RENDERED_PX, height=_HIGH_PX, scale=2)
        place = {"x": number % 2 * _TILE_PX, "y": number // 2 * tile, "sizex": _TILE_PX, "sizey": tile}
        sheet.add_layout_image(source=png_address(png), xref="x", yref="y", sizing="stretch", **place)
    return sheet.to_image(format="png", width=2 * _TILE_PX, height=high, scale=1.5)
