"""How long the line between two examples becomes behind every nonlinear layer."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from nbkit.errors import NbkitError
from nbkit.measure import growth_through, line
from nbkit.measure.curves import Trajectory
from nbkit.reporting.parts import GrowthReport
from nbkit.reporting.subject import Subject
from nbkit.topology.operations import JOINING, plain_name
from nbkit.topology.steps import Step

__all__ = ["growth_report"]

_EXACT_UNITS = 2048  # in all layers: of more, finding every breakpoint takes many seconds
_TANGENTS, _CHORDS = 128, 1001
_BENDING = "elementwise", "mixing", "pairs"
_POOLING = "max_pool", "MaxPool", "adaptive_max_pool", "AdaptiveMaxPool"


def growth_report(subject: Subject, generator: np.random.Generator) -> GrowthReport:
    """The growth of the line between the first two different examples, or from the only one to a random point.

    By the first way that the network admits: exactly, by tangents, by chords.

    Raises:
        NbkitError: none does.
    """
    curve, ends = _line(subject.points, generator)
    net = nn.Sequential(nn.Unflatten(1, subject.points.shape[1:]), subject.bare)
    ways = {"exact": None, "tangent": _TANGENTS, "chords": _CHORDS}
    if _n_units(subject) > _EXACT_UNITS:
        del ways["exact"]
    for method, n_points in ways.items():
        try:
            found = growth_through(net, curve, method=method, n_points=n_points)
        except NbkitError:
            if method == "chords":
                raise
        else:
            break
    return GrowthReport(_names(subject, found.depth), found.length[0], found.factor[0], method, found.n_pieces[0], ends)


def _line(points: torch.Tensor, generator: np.random.Generator) -> tuple[Trajectory, str]:
    rows = points.flatten(1).double().cpu()
    other = next((row for row in rows[1:] if not torch.equal(row, rows[0])), None)
    if other is not None:
        return line(rows[0], other), "two of the examples"
    drawn = torch.from_numpy(generator.standard_normal(rows.shape[1]))
    length = torch.linalg.vector_norm(rows[0])
    if len(drawn) == 1:  # of the two points of that norm not the example itself
        drawn = -rows[0] if length > 0 else torch.ones_like(drawn)
    drawn *= (length if length > 0 else 1.0) / torch.linalg.vector_norm(drawn)
    return line(rows[0], drawn), "the example and a random point of its norm" if length > 0 else "0 and a random point"


def _n_units(subject: Subject) -> int:
    """About how many units there are behind all layers, for one example."""
    found = 0
    for _, module in subject.layers:
        n_nodes = module.layer.n_out if hasattr(module, "layer") else len(module.weight)
        found += n_nodes * math.prod(subject.sizes.get(module, ()))
    return found


def _names(subject: Subject, depth: int) -> tuple[str, ...]:
    """Where the lengths are taken, told by the steps where those are as many."""
    bends = [s.name for s in subject.steps or () if s.module is not None and _is_bending(s)]
    if len(bends) == depth - 1:
        return "input", *bends, "output"
    if len(bends) == depth:
        return "input", *bends
    return "input", *(f"nonlinearity {k}" for k in range(1, depth)), "output"


def _is_bending(step: Step) -> bool:
    is_affine = plain_name(step.what) in JOINING  # with a constant
    return step.kind in _BENDING and not is_affine or step.what.startswith(_POOLING)
