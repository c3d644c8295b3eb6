"""Growth of a curve's length through random sparse ReLU networks, batched and streamed, and through given networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields

import numpy as np
import torch
from torch import nn

from nbkit.device import check_memory, choose_device, memory_budget, one_thread, spawn_generators
from nbkit.errors import NbkitError, check_choice, check_integer, show
from nbkit.measure.curves import Trajectory, as_trajectory, line
from nbkit.measure.growth_result import GrowthResult
from nbkit.measure.lengths import METHODS, Speeds, midpoints, speeds_through
from nbkit.measure.tangents import speeds_of_batch, tangents_through
from nbkit.nets import FeedForward
from nbkit.topology import Topology
from nbkit.weights import Law, RandomNets

__all__ = ["growth", "growth_through", "random_line", "stream_growth"]

_TINY = torch.finfo(torch.float64).tiny


def growth(
    law: Law | Sequence[Law],
    density: float | Sequence[float] = 1.0,
    width: int | Sequence[int] | None = None,
    depth: int | None = None,
    *,
    n_nets: int = 100,
    seed: int | np.random.Generator | None = 0,
    curve: Trajectory | Callable | None = None,
    bias: str | Law | None = "paper",
    method: str = "tangent",
    n_points: int | None = None,
    topology: Topology | None = None,
    device: torch.device | str = "cpu",
) -> GrowthResult:
    """How the length of a curve grows through random sparse ReLU networks.

    Weights are the law's divided by sqrt(n_in), each kept with probability alpha; lengths are those behind the ReLU.
    Tangents use the exact derivative at `n_points` evenly spaced t, with a random offset in each network, so that every
    mean is without bias whatever their number; a single network's length needs some hundreds. Speeds are kept as
    logarithms: depth 1000 neither overflows nor vanishes. The same seed gives the same networks at every density and
    scale, so that changing either moves the result smoothly and redraws nothing that was kept.

    Args:
        law: of the weights, before division; or one a layer.
        density: alpha in (0, 1], or one a layer; ignored with `topology`.
        width: nodes a layer, or all depth + 1 of them (then depth may be left out); not needed with `topology`.
        depth: layers of weights.
        n_nets: 1 or more networks.
        seed: an int repeats, None is fresh, a Generator advances.
        curve: t (n,) -> points (n, width); default `random_line`.
        bias: "paper" (scale 0.01, of the weights' kind), a law, or None for none.
        method: "tangent", "chords" or "exact" (straight lines only), the latter two network by network in float64.
        n_points: tangents (default 8) or points of chords (default 10,001) a network, at least 2; none with "exact".
        topology: fixed wires in place of random masks; RadiX, SAO, X-Net, pruned, any.
        device: where networks are computed; drawn on the CPU, so the device does not change them.

    Returns:
        GrowthResult of all networks.

    Raises:
        NbkitError: arguments outside their ranges, widths that do not chain, a curve of another dimension.

    Source:
        Price & Tanner 2019, section 4. Mean squares, and with them the control variate, are ours.

    Example:
        >>> from nbkit.weights import Gaussian
        >>> result = growth(Gaussian(2.0), 0.5, 200, 6, n_nets=20)
        >>> 0.99 < result.controlled_mean < 1
        True
    """
    *_, last = stream_growth(
        law, density, width, depth, n_nets=n_nets, seed=seed, curve=curve, bias=bias, method=method, n_points=n_points,
        topology=topology, device=device, who="growth",
    )  # fmt: skip
    return last


def stream_growth(
    law: Law | Sequence[Law],
    density: float | Sequence[float] = 1.0,
    width: int | Sequence[int] | None = None,
    depth: int | None = None,
    *,
    n_nets: int = 100,
    seed: int | np.random.Generator | None = 0,
    curve: Trajectory | Callable | None = None,
    bias: str | Law | None = "paper",
    method: str = "tangent",
    n_points: int | None = None,
    topology: Topology | None = None,
    device: torch.device | str = "cpu",
    who: str = "stream_growth",
) -> Iterator[GrowthResult]:
    """`growth`, a result after the first two networks, then after every few more: bands narrow while you watch.

    Args and raises are those of `growth`; the last result is what `growth` returns.
    """
    check_choice(who, "method", method, METHODS)
    n_nets = check_integer(who, "n_nets", n_nets, at_least=1, at_most=10**6)
    device = choose_device(device)
    widths = None if width is None and topology is not None else _widths(who, width, depth)
    nets = RandomNets(widths, law, density, bias=bias, seed=seed, topology=topology, who=who)
    curve = as_trajectory(who, random_line(nets.widths[0], seed=nets.entropy) if curve is None else curve)
    if curve.dim != nets.widths[0]:
        raise NbkitError(
            f"{who}: curve must have the dimension of the input, {nets.widths[0]}, got {curve.dim}. "
            "Use points of that dimension."
        )
    if method == "tangent":
        n_points = check_integer(who, "n_points", 8 if n_points is None else n_points, at_least=2)
        check_memory(who, 32 * n_points * max(nets.widths), lower="n_points or the width")

        def measure(chunk: range) -> GrowthResult:
            return tangents_through(nets, chunk, curve, n_points, device)
    else:

        def measure(chunk: range) -> GrowthResult:
            return _joined([_result(speeds_through(who, nets.network(i), curve, method, n_points)) for i in chunk])

    parts, done, size = [], 0, _networks_at_once(nets, n_points, device)
    while done < n_nets:
        chunk = range(done, min(n_nets, done + size))
        with one_thread():
            parts.append(measure(chunk))
        done = chunk.stop
        if done >= min(2, n_nets):
            parts = [_joined(parts)]
            yield parts[0]


def growth_through(
    net: nn.Module, curve: Trajectory | Callable, *, method: str = "tangent", n_points: int | None = None
) -> GrowthResult:
    """How the length of a curve grows through a given network, or through each of a batch.

    Layers are what ends in a nonlinear leaf module (ReLU, tanh, max pooling, a radial activation, ...), in the order of
    the forward pass, and the output where it lies behind the last of them.

    Args:
        net: any module that takes (n, dim), or a batch, a `FeedForward`, whose tangents are taken all at once.
        curve: t (n,) -> points (n, dim).
        method: "tangent" (exact derivative at midpoints), "chords", or "exact" for straight lines through
            piecewise-linear networks.
        n_points: as in `arc_length`.

    Returns:
        GrowthResult without controls; n_nets is 1, or that of the batch.

    Raises:
        NbkitError: as `arc_length`.
    """
    who = "growth_through"
    if not isinstance(net, FeedForward):
        return _result(speeds_through(who, net, curve, method, n_points))
    if check_choice(who, "method", method, METHODS) != "tangent":
        each = [net.network(i) for i in range(net.n_nets)]
        return _joined([_result(speeds_through(who, one, curve, method, n_points)) for one in each])
    curve = as_trajectory(who, curve)
    times, shares = midpoints(who, curve, n_points)
    check_memory(who, 16 * net.n_nets * len(times) * sum(net.widths[1:]), lower="n_points or the networks at once")
    speeds = speeds_of_batch(net, curve(times), curve.derivative(times))
    if not speeds.isfinite().all():
        raise NbkitError(f"{who}: the network's outputs must be finite, got NaN or infinite ones. Mend its weights.")
    return _joined([_result((speeds[:, i], shares)) for i in range(net.n_nets)])


def random_line(dim: int, *, seed: int | np.random.Generator | None = 0) -> Trajectory:
    """A straight line between two random points of the unit sphere of R^dim, where no real data is at hand.

    In R^1 from -1 to 1: two points of that sphere are often one.

    Raises:
        NbkitError: a dimension outside 1..10^7.
    """
    generator = spawn_generators(seed, 1, who="random_line")[0]
    if check_integer("random_line", "dim", dim, at_least=1, at_most=10**7) == 1:
        return line([-1.0], [1.0])
    ends = generator.standard_normal((2, dim))
    return line(*(ends / np.linalg.norm(ends, axis=1, keepdims=True)))


def _widths(who: str, width: object, depth: object) -> tuple[int, ...]:
    if isinstance(width, np.ndarray):
        width = width.tolist()
    if width is None or (depth is None and not isinstance(width, Sequence)):
        raise NbkitError(
            f"{who}: width and depth must be given, got {width} and {depth}. Say growth(law, density, 784, 10)."
        )
    if isinstance(width, Sequence) and not isinstance(width, str):
        if depth is not None and depth != len(width) - 1:
            raise NbkitError(
                f"{who}: width must have one entry more than depth, {show(depth)}, got {len(width)}. Leave depth out."
            )
        return tuple(width)
    width = check_integer(who, "width", width, at_least=1)
    return (width,) * (check_integer(who, "depth", depth, at_least=1, at_most=10**5) + 1)


def _networks_at_once(nets: RandomNets, n_points: int | None, device: torch.device) -> int:
    """How many networks a step takes: on the CPU one or a few narrow ones, on a GPU what fits into its memory."""
    largest = max(a * b for a, b in zip(nets.widths, nets.widths[1:], strict=False))
    if device.type != "cuda":
        return max(1, min(50, 2**17 // largest))
    return max(1, min(100, memory_budget(device) // (16 * largest)))


def _result(found: Speeds) -> GrowthResult:
    """One network's speeds (layers + 1, pieces) as a result of one row."""
    speeds, shares = found
    alive = speeds[:-1] > 0
    ratios = torch.where(alive, speeds[1:] / speeds[:-1].clamp(min=_TINY), 0.0)
    weights = alive * shares
    factor = (ratios * weights).sum(dim=1) / weights.sum(dim=1)
    return GrowthResult(
        log_length=torch.log((speeds * shares).sum(dim=1))[None],
        factor=factor[None],
        n_skipped=(~alive).sum(dim=1)[None],
        n_pieces=(len(shares),),
    )


def _joined(parts: Sequence[GrowthResult]) -> GrowthResult:
    """Several results as one, networks one after another."""
    if len(parts) == 1:
        return parts[0]
    columns = {}
    for field in fields(GrowthResult):
        entries = [getattr(part, field.name) for part in parts]
        if isinstance(entries[0], tuple):
            columns[field.name] = sum(entries, ())
        else:
            columns[field.name] = None if entries[0] is None else torch.cat(entries)
    return GrowthResult(**columns)
