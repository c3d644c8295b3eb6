"""The rank of a product of matrices, counted exactly: modulo a prime, where nothing is ever rounded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

__all__ = ["ExactRange"]

_PRIME = 4194301  # below 2^22: sums of 512 products are exact in float64
_EXACT_SUMS = 512
_PANEL = 32  # columns that are eliminated together


class ExactRange:
    """The range of a product of matrices, as independent columns modulo a prime.

    Every float64 is an integer times a power of two, so it has a residue. Columns that depend on each other do so
    modulo the prime; the converse fails once in some 10^6 times, so a caller should ask for a second sign.

    Args:
        n: dimensions of the whole space, which is what the product of no matrix reaches.
        basis: residues (n, rank), independent columns; None for the whole space.
    """

    def __init__(self, n: int, basis: np.ndarray | None = None) -> None:
        self.n, self.basis = n, basis

    @property
    def rank(self) -> int:
        """Dimensions of the range."""
        return self.n if self.basis is None else self.basis.shape[1]

    def behind(self, factors: Sequence[np.ndarray]) -> ExactRange:
        """The range behind more factors, each (n_out, n_in) or the diagonal (n,) of a diagonal matrix, finite float64."""
        n, basis = self.n, self.basis
        for factor in factors:
            values = _residues(factor)
            if factor.ndim == 1:
                basis = (np.diag(values) if basis is None else values[:, None] * basis) % _PRIME
            else:
                n, basis = len(values), values if basis is None else _product(values, basis)
        columns = [] if basis is None else _independent_columns(basis)
        return ExactRange(n, None if basis is None or len(columns) == n else basis[:, columns])


def _residues(values: np.ndarray) -> np.ndarray:
    """Every number modulo the prime, as float64."""
    mantissas, exponents = np.frexp(values)
    integers = (mantissas * 2.0**53).astype(np.int64) % _PRIME
    return (integers * _powers_of_two()[exponents + _LEAST] % _PRIME).astype(np.float64)


_LEAST = 1100  # frexp's exponents lie above minus this


@lru_cache(maxsize=1)
def _powers_of_two() -> np.ndarray:
    """2^(e - 53) modulo the prime for every exponent e of a float64."""
    powers, power = [], pow(2, -(_LEAST + 53), _PRIME)
    for _ in range(_LEAST + 1025):
        powers.append(power)
        power = 2 * power % _PRIME
    return np.array(powers)


def _product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    total = np.zeros((len(left), right.shape[1]))
    for start in range(0, len(right), _EXACT_SUMS):
        part = slice(start, start + _EXACT_SUMS)
        total = (total + left[:, part] @ right[part] % _PRIME) % _PRIME
    return total


def _independent_columns(matrix: np.ndarray) -> list[int]:
    """The columns that do not depend on columns before them: elimination, panel by panel."""
    rest, found = matrix, []
    for start in range(0, matrix.shape[1], _PANEL):
        panel = rest[:, :_PANEL]
        columns, rows, multipliers = _eliminated(panel.astype(np.int64))
        found += [start + column for column in columns]
        others = np.setdiff1d(np.arange(len(rest)), rows)
        upper = rest[rows, _PANEL:]
        for k in range(1, len(rows)):  # what the panel's own pivots did to their rows
            upper[k] = (upper[k] - multipliers[rows[k], :k].astype(np.float64) @ upper[:k]) % _PRIME
        rest = (rest[others, _PANEL:] - _product(multipliers[others].astype(np.float64), upper)) % _PRIME
    return found


def _eliminated(panel: np.ndarray) -> tuple[list[int], list[int], np.ndarray]:
    """Pivot columns and rows of a panel (n, width), and by which multiple of each pivot row every row was reduced."""
    columns, rows, multipliers = [], [], np.zeros_like(panel)
    is_free = np.ones(len(panel), dtype=bool)
    for column in range(panel.shape[1]):
        candidates = np.flatnonzero(is_free & (panel[:, column] != 0))
        if not len(candidates):
            continue
        row = candidates[0]
        is_free[row] = False
        multiples = panel[:, column] * pow(int(panel[row, column]), -1, _PRIME) % _PRIME * is_free
        panel = (panel - multiples[:, None] * panel[row]) % _PRIME
        multipliers[:, len(rows)] = multiples
        columns.append(column)
        rows.append(row)
    return columns, rows, multipliers[:, : len(rows)]
