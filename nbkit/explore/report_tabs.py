"""What each tab of a report shows: its numbers as plain arrays, and the sentence above them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbkit.errors import NbkitError
from nbkit.reporting import Report

__all__ = ["tab_data", "tab_title"]


def tab_data(report: Report, part: str, layer: int) -> dict[str, Any] | None:
    """What `figures.report_panels` wants for a part, computed where it is not there yet; None where it is not covered."""
    return _DATA[part](report, layer)


def tab_title(report: Report, part: str, layer: int, *, is_whole: bool = True) -> str:
    """The finding of a part in one sentence with numbers, or that it is not covered and, of a whole report, why."""
    if tab_data(report, part, layer) is not None:
        return _TITLES[part](report, layer)
    reasons = [why for name, why in report.not_covered if name == part] if is_whole else []
    return f"{part.capitalize()} is not covered{': ' if reasons else ''}{'; '.join(reasons)}"


# The numbers


def _wires(report: Report, layer: int) -> dict[str, Any]:
    layers = report.layers
    try:
        mask = layers[layer - 1].wires.biadjacency().numpy()
    except NbkitError:  # beyond the memory budget: the numbers are there all the same
        mask = None
    return {
        "names": [each.name for each in layers],
        "density": np.array([each.density for each in layers]),
        "n_edges": [each.n_edges for each in layers],
        "n_possible": [each.n_in * each.n_out for each in layers],
        "n_dead": [each.n_dead_in + each.n_dead_out for each in layers],
        "mask": mask,
    }


def _reach(report: Report, layer: int) -> dict[str, Any] | None:
    reach = report.reach
    if reach is None:
        return None
    known = reach.fraction is not None
    return {
        "names": [each.name for each in reach.units],
        "matrix": reach.matrix.numpy() if known else None,
        "fraction": reach.fraction.numpy() if known else np.full(len(reach.units), np.nan),
        "n_dead": [each.n_dead for each in reach.units],
        "n_units": [each.n_units for each in reach.units],
    }


def _spectra(report: Report, layer: int) -> dict[str, Any] | None:
    spectra = report.spectra
    if not spectra:
        return None
    return {"names": [each.name for each in spectra], "values": [each.singular_values.numpy() for each in spectra]}


def _jacobian(report: Report, layer: int) -> dict[str, Any] | None:
    return None if report.jacobian is None else {"log10": report.jacobian.numpy()}


def _growth(report: Report, layer: int) -> dict[str, Any] | None:
    growth = report.growth
    if growth is None:
        return None
    return {"names": list(growth.names), "length": growth.lengths.numpy(), "factor": growth.factor.numpy()}


def _removable(report: Report, layer: int) -> dict[str, Any] | None:
    rows = report.removable
    if not rows:
        return None
    names = {"what": "what", "before": "n_before", "after": "n_after", "lossless": "lossless"}
    return {key: [getattr(row, name) for row in rows] for key, name in names.items()}


_DATA = {
    "wires": _wires,
    "reach": _reach,
    "spectra": _spectra,
    "jacobian": _jacobian,
    "growth": _growth,
    "removable": _removable,
}


# The sentences


def _wires_title(report: Report, layer: int) -> str:
    layers, here = report.layers, report.layers[layer - 1]
    n_edges, n_possible = sum(each.n_edges for each in layers), sum(each.n_in * each.n_out for each in layers)
    whole = (
        f"all {n_edges:,} wires are there"
        if n_edges == n_possible
        else (f"{n_edges:,} of {n_possible:,} wires are there, {_percent(n_edges / n_possible)}")
    )
    n_dead = here.n_dead_in + here.n_dead_out
    dead = f", {n_dead:,} node{'s' * (n_dead > 1)} without a wire" if n_dead else ""
    return f"{whole[:1].upper()}{whole[1:]}; layer {here.name} ({here.kind}): density {_number(here.density)}{dead}"


def _reach_title(report: Report, layer: int) -> str:
    reach = report.reach
    n_dead, n_units = (sum(getattr(each, name) for each in reach.units) for name in ("n_dead", "n_units"))
    dead = f"{n_dead:,} of {n_units:,} units are dead" if n_dead else "no unit is dead"
    without = f" ({', '.join(reach.left_out)} left out)" if reach.left_out else ""
    if reach.fraction is None:
        return f"Too many inputs and outputs to join them all; {dead}{without}"
    share = float(reach.fraction[-1])
    joined = "Every input reaches every output" if share == 1 else f"{_percent(share)} of inputs and outputs are joined"
    return f"{joined}; {dead}{without}"


def _spectra_title(report: Report, layer: int) -> str:
    here = report.spectra[min(layer, len(report.spectra)) - 1]
    s = here.singular_values
    zeros = "some values are 0" if s[0] > 0 else "every value is 0"
    told = f"condition {_number(here.condition)}" if np.isfinite(here.condition) else zeros
    note = f" ({here.note})" if here.note else ""
    return (
        f"Layer {here.name}: s from {_number(s[-1])} to {_number(s[0])}, {told}; rank {here.numerical_rank} of {len(s)}, "
        f"stable rank {_number(here.stable_rank)}{note}"
    )


def _jacobian_title(report: Report, layer: int) -> str:
    logs = report.jacobian.numpy()
    n_points, k = logs.shape
    middle = np.median(logs, axis=0)
    some, n_zero = middle[middle > -np.inf], int((middle == -np.inf).sum())
    if not some.size:
        return "The Jacobian is 0: the output does not depend on the input"
    span = f"between {_power(some[-1])} and {_power(some[0])}" if some.size > 1 else f"at {_power(some[0])}"
    where = f"At {n_points} points, in the median," if n_points > 1 else "At the one point"
    return f"{where} the Jacobian's values lie {span}" + (f"; {n_zero} of {k} are 0" if n_zero else "")


def _growth_title(report: Report, layer: int) -> str:
    growth = report.growth
    whole, n = float(growth.lengths[-1] / growth.lengths[0]), len(growth.factor)
    each = f": × {_number(whole ** (1 / n))} a step, {n} times" if n > 1 and whole > 0 else ""
    return f"The line between {growth.ends} comes out {_number(whole)} times as long{each}"


def _removable_title(report: Report, layer: int) -> str:
    rows = [row for row in report.removable if row.n_after < row.n_before]
    if not rows:
        return "By these means nothing can be taken away"
    least = min([row for row in rows if row.lossless] or rows, key=lambda row: row.n_after)
    loss = "Without loss" if least.lossless else "Approximately"
    return f"{loss}, {least.n_before:,} → {least.n_after:,} parameters would do ({least.what})"


_TITLES = {
    "wires": _wires_title,
    "reach": _reach_title,
    "spectra": _spectra_title,
    "jacobian": _jacobian_title,
    "growth": _growth_title,
    "removable": _removable_title,
}


def _number(value: float) -> str:
    """Three digits, with a power of 10 where it is far from 1."""
    value = float(value)
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    mantissa, power = f"{value:.1e}".split("e")
    return f"{mantissa}·10<sup>{int(power)}</sup>".replace("-", "−")


def _power(log10: float) -> str:
    """10 to a power, which may be below what a float can hold."""
    return _number(10.0**log10) if abs(log10) < 300 else f"10<sup>{log10:.0f}</sup>".replace("-", "−")


def _percent(share: float) -> str:
    return f"{min(100 * share, 99.9):.3g} %"
