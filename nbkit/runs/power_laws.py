"""Power laws of the best fits that were found: error against depth, with intervals over seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

__all__ = ["MEASURES", "BestFits", "best_fits", "interval", "power_laws"]

MEASURES = ("sup", "rms")
"""The largest error on the grid, in which the conjecture is stated, and the root mean square."""


@dataclass(frozen=True, eq=False)
class BestFits:
    """The best fits of one kind of network.

    Attributes:
        depths: (k,) N, ascending.
        n_parameters: (k,).
        errors: (n_seeds, k), of the best restart; over the family of a seed the largest, or the mean.
    """

    depths: np.ndarray
    n_parameters: np.ndarray
    errors: np.ndarray

    @property
    def slopes(self) -> np.ndarray:
        """(n_seeds,) least squares slopes of log error against log depth."""
        x = np.log(self.depths) - np.log(self.depths).mean()
        return np.log(self.errors) @ x / (x @ x)


def best_fits(columns: Mapping[str, Sequence], measure: str = "sup", over: str = "worst") -> dict[str, BestFits]:
    """The best fits in a table `expressive_fits`, by kind of network.

    Args:
        columns: of the table; a fit that diverged has no finite error and counts only where no restart has one.
        measure: one of MEASURES.
        over: "worst" or "mean" over the functions of a seed, or the name of one of them.
    """
    table = {name: np.asarray(column) for name, column in columns.items()}
    keys = [table[name] for name in ("seed", "depth", "target", "restart")]
    found = {}
    for net in dict.fromkeys(table["net"].tolist()):
        here = table["net"] == net
        levels, places = zip(*(np.unique(key[here], return_inverse=True) for key in keys), strict=True)
        errors = np.full([len(level) for level in levels], math.inf)
        errors[places] = np.nan_to_num(table[measure][here].astype(np.float64), nan=math.inf)
        best = errors.min(axis=3)
        names = levels[2].tolist()
        pooled = {"worst": best.max(axis=2), "mean": best.mean(axis=2)}
        counts = [table["n_parameters"][here & (table["depth"] == depth)][0] for depth in levels[1]]
        found[net] = BestFits(
            levels[1], np.array(counts), pooled[over] if over in pooled else best[:, :, names.index(over)]
        )
    return found


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of independent values and its 95 % t-interval: (mean, low, high); a single value has none (NaN)."""
    values = np.asarray(values, dtype=np.float64)
    half = (
        stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
        if len(values) > 1
        else math.nan
    )
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def power_laws(columns: Mapping[str, Sequence]) -> list[dict]:
    """A row for each measure, "worst" or "mean", kind of network, and kind that it is held against ("dense", "narrow").

    slope: of log error against log depth. gap: slope less that of the other. ratio: error over that of the other, geometric
    mean over depths. Each with its 95 % interval over seeds, paired by seed where two kinds are compared.
    """
    rows = []
    for measure, over in itertools.product(MEASURES, ("worst", "mean")):
        fits = best_fits(columns, measure, over)
        for net, against in itertools.product(fits, [net for net in ("dense", "narrow") if net in fits]):
            one, other = fits[net], fits[against]
            row = {"measure": measure, "over": over, "net": net, "against": against}
            row |= _told("slope", interval(one.slopes)) | _told("gap", interval(one.slopes - other.slopes))
            ratios = (np.log(one.errors) - np.log(other.errors)).mean(axis=1)
            rows.append(row | _told("ratio", np.exp(interval(ratios))))
    return rows


def _told(name: str, values: Sequence[float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), map(float, values), strict=True))
