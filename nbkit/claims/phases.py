"""Claims of notebook 13: growth over density and scale, training over degree and depth, from the stored sweeps."""

import math
from functools import cache, partial

import numpy as np

from nbkit.claims import claim
from nbkit.results import load_result
from nbkit.runs.phases import level_line

__all__ = []

_claim = partial(claim, notebook="13")
_WIDTH = 784


@cache
def _growth() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Densities (21,), scales (21,), and the mean growth over seeds (scales, densities) of networks as wide as the paper's."""
    columns = load_result("phases_growth").columns
    wide = columns["width"] == _WIDTH
    density, scale, growth = (columns[name][wide] for name in ("density", "sigma_w", "growth"))
    densities, scales = np.unique(density), np.unique(scale)
    means = [[growth[(scale == s) & (density == a)].mean() for a in densities] for s in scales]
    return densities, scales, np.array(means)


@cache
def _accuracy(weights: str) -> dict[tuple[int, int], float]:
    """(degree, depth) -> mean accuracy over seeds."""
    columns = load_result("phases_training").columns
    rows = columns["weights"] == weights
    cells = {*zip(columns["degree"][rows].tolist(), columns["depth"][rows].tolist(), strict=True)}
    return {
        (degree, depth): columns["accuracy"][rows & (columns["degree"] == degree) & (columns["depth"] == depth)].mean()
        for degree, depth in cells
    }


@_claim(
    paper="trajectory growth",
    place="App. B",
    statement="growth depends on the density as √α: the exponent p of the line σ_w ∝ α^-p on which growth is 1, over 21 "
    "densities from 0.01 to 1 (k = 784)",
    theirs="0.5 (implied)",
)
def exponent_of_the_line() -> str:
    densities, scales, growth = _growth()
    line = level_line(scales, np.log(growth), 0.0)
    exponent = -np.polyfit(np.log(densities), np.log(line), 1)[0]
    return f"{exponent:.1f} (implied)"


@_claim(
    paper="trajectory growth",
    place="Corollary 1",
    statement="cells (α, σ_w) of the stored sweep whose mean growth is below α σ_w / √(2π) (k = 784)",
    theirs="0 of 441 (implied)",
)
def cells_below_the_bound() -> str:
    densities, scales, growth = _growth()
    bound = np.outer(scales, densities) / math.sqrt(2 * math.pi)
    return f"{int((growth < bound).sum())} of {growth.size} (implied)"


@_claim(
    paper="SAO",
    place="section V-C",
    statement="RG-N needs more training than SAO on the same wires: (d, N) with N >= 10 at which it is behind after a hundred "
    "steps of Adam (width 64, d = 2 ... 64, N = 10 ... 200)",
    theirs="all (implied)",
)
def random_weights_are_behind() -> str:
    ahead, behind = _accuracy("orthogonal"), _accuracy("Gaussian")
    deep = [cell for cell in ahead if cell[1] >= 10]
    n_behind = sum(behind[cell] < ahead[cell] for cell in deep)
    return "all (implied)" if n_behind == len(deep) else f"{n_behind} of {len(deep)}"
