"""Whether two samples of singular values come from one law: the two-sample Kolmogorov-Smirnov test of Table 6."""

import warnings
from dataclasses import dataclass

import numpy as np
import scipy.stats

from nbkit.device import as_array
from nbkit.errors import NbkitError, check_integer

__all__ = ["KSResult", "ks_two_sample"]


@dataclass(frozen=True)
class KSResult:
    """A two-sample Kolmogorov-Smirnov test.

    Attributes:
        statistic: the largest distance between the two empirical distribution functions, in [0, 1].
        p_value: the probability of at least that distance between two samples of one continuous law.
    """

    statistic: float
    p_value: float


def ks_two_sample(first: object, second: object, *, digits: int = 5) -> KSResult:
    """Compare two samples once values that rounding alone keeps apart are made equal.

    Where both are 1 plus rounding noise, as those of linear orthogonal layers are, the raw test compares the noise of
    two algorithms, and its p-value means nothing (from .001 to 1 in float64, 2e-7 seen in float32). Values of both
    samples that lie within the tolerance above the smallest of them count as one; a fixed grid of decimals would cut
    through the noise wherever a value meets its edge. With ties p-values are too large rather than too small. The
    p-value assumes independent draws, which the singular values of one matrix are not: like the paper's, it describes,
    it does not prove.

    Args:
        first, second: finite real numbers in any order, at least one each.
        digits: the tolerance is 10^-digits times the largest magnitude in both, 1..15.

    Raises:
        NbkitError: no numbers, NaN or infinite ones, or more than one dimension.

    Source:
        Esguerra et al. 2023, Table 6, whose values are lost.

    Example:
        >>> ks_two_sample([1.0, 1 + 1e-15, 1.0], [1 - 1e-15, 1.0, 1.0]).p_value
        1.0
    """
    who = "ks_two_sample"
    digits = check_integer(who, "digits", digits, at_least=1, at_most=15)
    samples = [_checked(who, name, sample) for name, sample in (("first", first), ("second", second))]
    pooled = np.sort(np.concatenate(samples))
    tolerance = float(np.abs(pooled).max()) / 10**digits
    starts, position = [], 0
    while position < len(pooled):  # the test looks at the order alone: a value becomes the number of its group
        starts.append(pooled[position])
        position = int(np.searchsorted(pooled, starts[-1] + tolerance, side="right"))
    numbered = (np.searchsorted(starts, sample, side="right") for sample in samples)
    with warnings.catch_warnings():  # where ties put the exact p-value out of its reach, scipy takes the asymptotic one
        warnings.simplefilter("ignore", RuntimeWarning)
        found = scipy.stats.ks_2samp(*numbered)
    return KSResult(float(found.statistic), float(found.pvalue))


def _checked(who: str, name: str, sample: object) -> np.ndarray:
    array = as_array(who, name, sample)
    if array.ndim != 1 or not array.size or array.dtype.kind == "c" or not np.isfinite(array).all():
        raise NbkitError(
            f"{who}: {name} must be a list of finite real numbers, got shape {array.shape}. Give one spectrum, (n,)."
        )
    return array.astype(np.float64)
