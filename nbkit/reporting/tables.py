"""A report as text, as HTML, as a dictionary and as CSV."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import fields, is_dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from nbkit.files import write_whole
from nbkit.topology import Layer

if TYPE_CHECKING:
    from nbkit.reporting.parts import Spectrum
    from nbkit.reporting.whole import Report

__all__ = ["as_csv", "as_dict", "as_html", "as_text"]

_COLUMNS = (
    "name kind n_in n_out n_weights n_kept n_edges density n_dead_in n_dead_out n_components n_dead_units "
    "largest_singular_value smallest_singular_value condition numerical_rank stable_rank note"
).split()
_SHOWN = "name kind n_in n_out density n_dead_units numerical_rank condition".split()


def as_dict(report: Report) -> dict:
    """Everything as lists, numbers and text."""
    parts = {"layers": report.layers} | {part: getattr(report, part) for part in report.PARTS[1:]}
    sizes = None if report.topology is None else list(report.topology.sizes)
    return {
        "name": report.name,
        "n_parameters": report.n_parameters,
        "threshold": report.threshold,
        "density": report.density,
        "topology_sizes": sizes,
        **{name: _plain(part) for name, part in parts.items()},
        "not_covered": [{"name": name, "why": why} for name, why in report.not_covered],
    }


def as_csv(report: Report, path: str | Path | None) -> str | Path:
    """One row a layer, as text; or the path of the file that it is written to, replaced when the text is complete.

    Raises:
        NbkitError: a path that cannot be written.
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: f"{v:.6g}" if isinstance(v, float) else v for key, v in row.items()} for row in _rows(report)
    )
    return file.getvalue() if path is None else write_whole("to_csv", path, file.getvalue())


def as_text(report: Report) -> str:
    """A table of the layers, and a line for every other part."""
    rows = [_SHOWN, *([_short(row[key]) for key in _SHOWN] for row in _rows(report))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_SHOWN))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*_headline(report), "", *lines, "", *_sentences(report)])


def as_html(report: Report) -> str:
    """The same as `as_text`, as HTML."""
    header = "".join(f"<th>{key.replace('_', ' ')}</th>" for key in _SHOWN)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(_short(row[key]))}</td>" for key in _SHOWN) + "</tr>" for row in _rows(report)
    )
    lines = "".join(f"<p>{escape(line)}</p>" for line in (*_headline(report), *_sentences(report)))
    return f"{lines}<table><tr>{header}</tr>{rows}</table>"


def _rows(report: Report) -> list[dict[str, object]]:
    """One row a layer, of all its numbers."""
    rows = []
    for layer, n_dead, spectrum in zip(report.layers, _n_dead_units(report), _spectra(report), strict=True):
        row = {key: getattr(layer, key) for key in _COLUMNS if hasattr(layer, key)}
        row |= {"n_dead_units": n_dead}
        for key in ("condition", "numerical_rank", "stable_rank", "note"):
            row[key] = getattr(spectrum, key, None)
        values = [] if spectrum is None else spectrum.singular_values.tolist()
        row["largest_singular_value"], row["smallest_singular_value"] = (
            (values[0], values[-1]) if values else (None,) * 2
        )
        rows.append(row)
    return rows


def _n_dead_units(report: Report) -> list[int | None]:
    """Behind each layer, or behind the first use of one that is used again; None where they are not known."""
    modules = [module for _, module in report._subject.layers]
    if report.reach is None:
        return [None] * len(modules)
    used = [step.module for step in report._subject.steps if step.kind == "linear"]
    first = dict(zip(reversed(used), reversed([unit.n_dead for unit in report.reach.units]), strict=True))
    return [first.get(module) for module in modules]


def _spectra(report: Report) -> list[Spectrum | None]:
    """Of each layer, None where it has none; of namesakes, which are told apart by their order, all or none."""
    found = []
    names = [layer.name for layer in report.layers]
    for place, name in enumerate(names):
        own = [spectrum for spectrum in report.spectra if spectrum.name == name]
        found.append(own[names[:place].count(name)] if len(own) == names.count(name) else None)
    return found


def _headline(report: Report) -> list[str]:
    sizes = "with branches" if report.reach is not None else "its wires not followed"
    if report.topology is not None:
        sizes = " -> ".join(map(str, report.topology.sizes))
    return [f"{report.name}: {report.n_parameters:,} parameters, {_share(report)}, {sizes}"]


def _share(report: Report) -> str:
    """The density; and the weights, where kernels have several for one wire and not as many are there."""
    layers = report.layers
    n_kept, n_weights = (sum(getattr(each, name) for each in layers) for name in ("n_kept", "n_weights"))
    has_taps = any(each.shape[2:].numel() > 1 for each in _weights(report))
    if not has_taps or n_kept > n_weights or math.isclose(n_kept / n_weights, report.density, rel_tol=1e-4):
        return f"density {report.density:.4g}"
    kept = f"above {report.threshold:g}" if report.threshold else "not 0"
    pairs = "channels" if all(each.ndim > 2 for each in _weights(report)) else "channels or units"
    return f"{n_kept:,} of {n_weights:,} weights are {kept}; {report.density:.1%} of the pairs of {pairs} are wired"


def _weights(report: Report) -> list[torch.Tensor]:
    return [module.weight for _, module in report._subject.layers]


def _sentences(report: Report) -> list[str]:
    found = []
    reach = report.reach
    if reach is not None:
        share = (
            ""
            if reach.matrix is None
            else f"{float(reach.matrix.double().mean()):.1%} of (input, output) pairs are joined, "
        )
        without = f" (left out: {', '.join(reach.left_out)}, joining all features)" if reach.left_out else ""
        found.append(
            f"reach{without}: {share}{sum(unit.n_dead for unit in reach.units)} dead units, "
            f"{reach.n_dead_inputs} dead inputs, {reach.n_components} component{'s' * (reach.n_components != 1)}"
        )
    if report.jacobian is not None:
        largest = float(report.jacobian.max())
        found.append(f"Jacobian: largest singular value {f'10^{largest:.3g}' if largest > -math.inf else 0}")
    if report.growth is not None:
        lengths = report.growth.lengths
        found.append(f"growth: a line of length {lengths[0]:.3g} becomes {lengths[-1]:.3g} ({report.growth.method})")
    found += [
        f"removable: {row.what}, {row.n_before:,} -> {row.n_after:,} parameters, {'lossless' if row.lossless else 'lossy'}"
        for row in report.removable
        if row.n_after < row.n_before
    ]
    return found + [f"not covered: {name}: {why}" for name, why in report.not_covered]


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Layer):
        return value.description
    if isinstance(value, torch.Tensor):
        return _plain(value.tolist())
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _short(value: object) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
