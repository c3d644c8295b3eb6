"""What a measurement of growth holds, and how precisely its means are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import scipy.stats
import torch

from nbkit.errors import check_number

__all__ = ["Estimate", "GrowthResult"]

_FEWEST_TO_FIT = 32  # networks from which a control's coefficient is fitted: from fewer its error outweighs its use
_HEAVY = 0.5  # standard deviation of log-lengths from which their squares, the control, have too heavy a tail


@dataclass(frozen=True, eq=False)
class Estimate:
    """A mean over n networks with its standard error: float64 tensors of one shape.

    `sem` is NaN for a single network.
    """

    mean: torch.Tensor
    sem: torch.Tensor
    n: int

    def interval(self, confidence: float = 0.95) -> tuple[torch.Tensor, torch.Tensor]:
        """Student's t interval with n - 1 degrees of freedom.

        Lengths of narrow networks are skewed, and few of them are covered less often than said: measured, 95 % is 87 to
        94 % for lengths in 12 to 48 networks of width 6 or 20, and 90 to 96 % for growth.

        Raises:
            NbkitError: a confidence outside (0, 1).
        """
        confidence = check_number("interval", "confidence", confidence, above=0, at_most=1 - 1e-12)
        reach = float(scipy.stats.t.ppf((1 + confidence) / 2, max(1, self.n - 1))) * self.sem
        return self.mean - reach, self.mean + reach


@dataclass(frozen=True, eq=False)
class GrowthResult:
    """How a curve's length grew in n_nets networks of `depth` layers. All tensors are float64 on the CPU.

    Attributes:
        log_length: natural logarithm of the length (n_nets, depth + 1), input first; -inf where it is 0.
        factor: mean over the pieces of ||dz'|| / ||dz||, (n_nets, depth); dead pieces (dz = 0) are left out, NaN where
            all are dead. Every piece counts alike; the ratio of total lengths is another average.
        n_skipped: dead pieces before each layer, int64 (n_nets, depth).
        n_pieces: pieces, or quadrature points, of the curve; with method "exact" in each network, those it broke into.
        factor_control: like `factor`, a quantity of the same draw whose expectation is exactly 0, from the known mean
            square; None where the networks are given and not drawn.
        length_control: the same for lengths, relative to the exact rms length, whose logarithm is `log_rms_length`;
            both (n_nets, depth + 1) or None.
    """

    log_length: torch.Tensor
    factor: torch.Tensor
    n_skipped: torch.Tensor
    n_pieces: tuple[int, ...]
    factor_control: torch.Tensor | None = None
    length_control: torch.Tensor | None = None
    log_rms_length: torch.Tensor | None = None

    @property
    def n_nets(self) -> int:
        return len(self.log_length)

    @property
    def depth(self) -> int:
        return self.factor.shape[1]

    @property
    def length(self) -> torch.Tensor:
        """Arc length behind each layer, (n_nets, depth + 1)."""
        return torch.exp(self.log_length)

    @property
    def growth(self) -> torch.Tensor:
        """Each network's mean factor over its layers, (n_nets,); layers without a live piece are left out."""
        return self.factor.nanmean(dim=1)

    @property
    def mean(self) -> float:
        """The mean factor over pieces, layers and networks, as the paper averages."""
        return float(self.growth.nanmean())

    @property
    def sem(self) -> float:
        """Standard error of `mean` over networks; NaN for one network."""
        return float(_mean_estimate(self.growth[~self.growth.isnan()]).sem)

    @property
    def controlled_mean(self) -> float:
        """The same expectation as `mean`, estimated with the control variate: see `growth_estimate`."""
        return float(self.growth_estimate().mean)

    @property
    def controlled_sem(self) -> float:
        """Standard error of `controlled_mean`."""
        return float(self.growth_estimate().sem)

    def growth_estimate(self, *, control: bool = True) -> Estimate:
        """The mean growth, with the control variate where there is one and it is wanted.

        A factor g with E g^2 = r known has the control (g^2 - r) / (2 sqrt r), of expectation 0: what it says about a
        network's luck is taken off. Its coefficient is 1, and from 32 networks on fitted by regression, for each
        network on all others, which keeps the estimate without bias. Layers behind a network's death count 0 in its
        control: whether it is dead is settled before the layer is drawn, so the expectation stays 0.
        """
        live = ~self.growth.isnan()
        if self.factor_control is None or not control:
            return _mean_estimate(self.growth[live])
        return _controlled(self.growth[live], self.factor_control.nan_to_num(nan=0.0).mean(dim=1)[live])

    def factor_estimate(self) -> Estimate:
        """The mean factor of each layer over the networks alive before it, (depth,), controlled as `growth_estimate`."""
        columns = []
        for layer, factor in enumerate(self.factor.T):
            live = ~factor.isnan()
            if self.factor_control is None:
                columns.append(_mean_estimate(factor[live]))
            else:
                columns.append(_controlled(factor[live], self.factor_control[live, layer]))
        stacked = [torch.stack([getattr(column, name) for column in columns]) for name in ("mean", "sem")]
        return Estimate(*stacked, min(column.n for column in columns))

    def length_estimate(self, *, control: bool = True) -> Estimate:
        """The mean length behind each layer, (depth + 1,), with the control variate where there is one and it is wanted.

        Behind layers where log-lengths spread by half or more between networks, or a network died, it is the plain
        mean: there the mean square lives in rare networks that were not drawn, and the control would mislead.
        Infinite where it exceeds the largest float64; `log_mean_length` does not.
        """
        # lengths over a scale are numbers near 1 however deep the networks are
        scale = self.log_length.amax(dim=0).nan_to_num(neginf=0.0)
        relative = torch.exp(self.log_length - scale)
        estimate = _mean_estimate(relative)
        if self.length_control is not None and control and self.n_nets > 1:
            better = _controlled(relative, self.length_control * torch.exp(self.log_rms_length - scale))
            trusted = self.log_length.std(dim=0) < _HEAVY  # NaN where a network died
            mean, sem = (torch.where(trusted, getattr(better, k), getattr(estimate, k)) for k in ("mean", "sem"))
            estimate = Estimate(mean, sem, self.n_nets)
        return Estimate(estimate.mean * torch.exp(scale), estimate.sem * torch.exp(scale), self.n_nets)

    @property
    def log_mean_length(self) -> torch.Tensor:
        """Natural logarithm of the mean length behind each layer, (depth + 1,)."""
        return torch.logsumexp(self.log_length, dim=0) - math.log(self.n_nets)


def _mean_estimate(values: torch.Tensor) -> Estimate:
    """Mean over the first axis and its standard error."""
    n = len(values)
    sem = values.std(dim=0) / math.sqrt(n) if n > 1 else torch.full_like(values.sum(dim=0), math.nan)
    return Estimate(values.mean(dim=0), sem, n)


def _controlled(values: torch.Tensor, controls: torch.Tensor) -> Estimate:
    """The mean of `values`, (n, ...), less what `controls`, of expectation 0, explain of it."""
    n = len(values)
    if n < _FEWEST_TO_FIT:
        return _mean_estimate(values - controls)
    # sums over all other networks give each network's coefficient
    value, control = values - values.mean(dim=0), controls - controls.mean(dim=0)
    shrink = n / (n - 1)  # leaving one out moves the mean as well: sum over the others about their own mean
    products = (value * control).sum(dim=0) - shrink * value * control
    squares = (control**2).sum(dim=0) - shrink * control**2
    # a spread that is rounding alone, as that of the length at the input, has nothing to say
    rounding = 1e-20 * (values**2).sum(dim=0) + 1e-12 * (control**2).sum(dim=0)
    coefficient = torch.where(squares > rounding, products / squares, 1.0)
    return _mean_estimate(values - coefficient * controls)
