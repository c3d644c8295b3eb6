"""Spectra with their multiplicities: values descending, equal ones a plateau with its length written on it."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from nbkit.errors import NbkitError
from nbkit.figures.arrays import as_array
from nbkit.figures.curves import label_places
from nbkit.figures.template import INK, dress, family_colour

__all__ = ["spectrum_figure", "spectrum_traces"]

_EQUAL = 1e-6  # times the largest value (at least 1): closer values count as one
_PLATEAU = 0.06  # of the axis: shorter plateaus have no room for their length, the hover says it
_WIDE = 0.2  # of the axis: about as wide as a label


def spectrum_figure(
    spectra: Mapping[str, object],
    *,
    families: Mapping[str, str] | None = None,
    bounds: Mapping[str, float] | None = None,
    title: str = "",
    value_label: str = "singular value s",
    height: int = 420,
) -> go.Figure:
    """Values in descending order, one step a value, beside theory's bounds.

    With its axes exchanged it is n times the empirical distribution function, counted from above. Equal values form a plateau; "4 × 64" on it says value and multiplicity. Exact zeros are drawn at zero and
    counted like every other value. For n spectra n + 3 traces: the spectra, their names,
    the multiplicities, the bounds.

    Args:
        spectra: name -> (n,) values, descending; they may be negative (of an adjacency matrix).
        families: name -> family, whose colour it has; default "radix".
        bounds: label -> value, each a dashed line, such as {"2√(d−1)": 3.46}.
        title: the finding.
        value_label: of the vertical axis.
        height: in px.

    Raises:
        NbkitError: no spectrum, one that is empty, not finite or not descending, an unknown family.
    """
    chosen = {name: (families or {}).get(name, "radix") for name in spectra}
    traces = spectrum_traces(spectra, families=chosen, bounds=bounds)
    hover = "value %{x:.0f} from above: %{y:.6g}, %{customdata} times<extra></extra>"
    lines = [
        go.Scatter(
            name=name,
            line={"shape": "hv", "color": family_colour("spectrum_figure", family), "width": 2},
            mode="lines",
            hovertemplate=hover,
        )
        for name, family in chosen.items()
    ]
    text = {"mode": "text", "cliponaxis": False, "hoverinfo": "skip"}
    names = go.Scatter(name="names", textposition="middle right", **text)
    counts = go.Scatter(name="multiplicities", **text)
    dashes = go.Scatter(
        name="bounds",
        mode="lines+text",
        textposition="top left",
        cliponaxis=False,
        hoverinfo="skip",
        line={"color": INK, "dash": "dash", "width": 1.4},
    )
    figure = go.Figure([*lines, names, counts, dashes])
    for trace, values in zip(figure.data, traces, strict=True):
        trace.update(values)
    right = 30 + int(7.2 * max(len(name) for name in spectra))
    return dress(
        figure,
        title,
        height=height,
        right=right,
        hovermode="closest",
        xaxis={"title": {"text": "number of values so far k"}, "rangemode": "tozero"},
        yaxis={"title": {"text": value_label}},
    )


def spectrum_traces(
    spectra: Mapping[str, object],
    *,
    families: Mapping[str, str] | None = None,
    bounds: Mapping[str, float] | None = None,
) -> list[dict[str, object]]:
    """What the traces of `spectrum_figure` hold; `trace.update(values)` on each moves an existing picture.

    Raises:
        NbkitError: as `spectrum_figure`.
    """
    if not spectra:
        raise NbkitError("spectrum_figure: spectra must have at least one entry, got none. Pass {'name': values}.")
    values = {name: _checked(name, spectrum) for name, spectrum in spectra.items()}
    colours = [family_colour("spectrum_figure", (families or {}).get(name, "radix")) for name in values]
    steps = [_steps(s) for s in values.values()]
    limits = [np.array([0.0, *(bounds or {}).values()])]
    names = {
        "x": np.array([s.size for s in values.values()]),
        "y": label_places([s[-1] for s in values.values()], [*values.values(), *limits]),
        "text": [f" {name}" for name in values],
        "textfont": {"color": colours},
    }
    return [
        *steps,
        names,
        _multiplicities(list(values.values()), colours),
        _bounds(bounds or {}, max(map(len, values.values()))),
    ]


def _checked(name: str, spectrum: object) -> np.ndarray:
    who = f"spectrum_figure (spectrum {name!r})"
    values = as_array(who, "values", spectrum, n_axes=1).astype(np.float64)
    if not values.size or not np.isfinite(values).all():
        raise NbkitError(f"{who}: values must be finite and at least one, got {values.size}. Pass a finite spectrum.")
    if (np.diff(values) > 0).any():
        raise NbkitError(f"{who}: values must descend, got some that ascend. Sort them, largest first.")
    return values


def _plateaus(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each run of equal values starts, and its length."""
    starts = np.flatnonzero(np.diff(values, prepend=np.inf) < -_tolerance(values))
    return starts, np.diff(starts, append=values.size)


def _tolerance(values: np.ndarray) -> float:
    return _EQUAL * max(1.0, float(np.abs(values).max()))


def _steps(values: np.ndarray) -> dict[str, np.ndarray]:
    """Value k reaches from k - 1 to k."""
    counts = _plateaus(values)[1]
    times = np.repeat(counts, counts)
    return {
        "x": np.arange(values.size + 1),
        "y": np.append(values, values[-1]),
        "customdata": np.append(times, times[-1]),
    }


def _multiplicities(spectra: list[np.ndarray], colours: list[str]) -> dict[str, object]:
    """The long plateaus of each spectrum, written above its line, of every second spectrum below.

    Values descend: beside a plateau that is shorter than its label only the upper right and the lower left are free.
    """
    rows = []
    shortest = max(2, _PLATEAU * max(values.size for values in spectra))
    for index, (values, colour) in enumerate(zip(spectra, colours, strict=True)):
        is_below = index % 2
        for start, count in zip(*_plateaus(values), strict=True):
            if count >= shortest:
                value = 0.0 if abs(values[start]) <= _tolerance(values) else values[start]
                text = f"{value:.4g} × {count}".replace("-", "−")
                if count >= _WIDE * values.size:
                    rows.append((start + count / 2, value, text, "bottom center" if is_below else "top center", colour))
                else:
                    end, place = (start + count, "bottom left") if is_below else (start, "top right")
                    rows.append((end, value, text, place, colour))
    x, y, text, places, shades = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return {
        "x": np.array(x, dtype=np.float64),
        "y": np.array(y, dtype=np.float64),
        "text": list(text),
        "textposition": list(places),
        "textfont": {"color": list(shades)},
    }


def _bounds(bounds: Mapping[str, float], n: int) -> dict[str, object]:
    levels = np.array([float(value) for value in bounds.values()])
    y = np.repeat(levels, 3)
    y[2::3] = np.nan
    text = [part for name in bounds for part in ("", name, "")]
    return {"x": np.tile([0.0, n, np.nan], len(levels)), "y": y, "text": text}
