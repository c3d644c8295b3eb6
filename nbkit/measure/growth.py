"""Growth of a curve's length through random sparse ReLU networks, batched and streamed, and through given networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields

import numpy as np
import torch
from torch import nn

from nbkit.device import check_memory, choose_device, memory_budget, one_thread, spawn_generators
from nbkit.errors import NbkitError, check_choice, check_integer
from nbkit.measure.curves import Trajectory, as_trajectory, line
from nbkit.measure.growth_result import GrowthResult
from nbkit.measure.growth_theory import log_mean_squares
from nbkit.measure.lengths import METHODS, Speeds, speeds_through
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
        measure = _tangents(who, nets, curve, n_points, device)
    else:
        measure = _one_by_one(who, nets, curve, method, n_points)
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
        net: any module that takes (n, dim), or a batch: what has `n_nets` and `network(i)`, as `nbkit.nets.FeedForward`.
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
    nets = [net.network(i) for i in range(net.n_nets)] if hasattr(net, "n_nets") else [net]
    return _joined([_result(speeds_through(who, one, curve, method, n_points)) for one in nets])


def random_line(dim: int, *, seed: int | np.random.Generator | None = 0) -> Trajectory:
    """A straight line between two random points of the unit sphere of R^dim, where no real data is at hand."""
    generator = spawn_generators(seed, 1, who="random_line")[0]
    ends = generator.standard_normal((2, check_integer("random_line", "dim", dim, at_least=1)))
    return line(*(ends / np.linalg.norm(ends, axis=1, keepdims=True)))


def _widths(who: str, width: object, depth: object) -> tuple[int, ...]:
    if width is None or (depth is None and not isinstance(width, (Sequence, np.ndarray))):
        raise NbkitError(
            f"{who}: width and depth must be given, got {width} and {depth}. Say growth(law, density, 784, 10)."
        )
    if isinstance(width, (Sequence, np.ndarray)) and not isinstance(width, str):
        if depth is not None and depth != len(width) - 1:
            raise NbkitError(
                f"{who}: width must have depth + 1 = {depth + 1} entries, got {len(width)}. Leave depth out."
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


def _one_by_one(
    who: str, nets: RandomNets, curve: Trajectory, method: str, n_points: int | None
) -> Callable[[range], GrowthResult]:
    def measure(chunk: range) -> GrowthResult:
        return _joined([_result(speeds_through(who, nets.network(i), curve, method, n_points)) for i in chunk])

    return measure


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


def _tangents(
    who: str, nets: RandomNets, curve: Trajectory, n_points: int, device: torch.device
) -> Callable[[range], GrowthResult]:
    n_rows = 2 * n_points * max(nets.widths)
    check_memory(who, 16 * n_rows, lower="n_points or the width")

    def measure(chunk: range) -> GrowthResult:
        times = torch.stack([_times(nets.entropy, net, n_points) for net in chunk])
        points, velocity = (f(times.ravel()).reshape(*times.shape, -1) for f in (curve, curve.derivative))
        return _march(nets, chunk, points, velocity, device)

    return measure


def _times(entropy: int, net: int, n_points: int) -> torch.Tensor:
    """Evenly spaced t with a random offset: each is uniform in [0, 1], so means over t are without bias."""
    offset = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(net,))).random()
    return (torch.arange(n_points, dtype=torch.float64) + offset) / n_points


@torch.no_grad()
def _march(
    nets: RandomNets, chunk: range, points: torch.Tensor, velocity: torch.Tensor, device: torch.device
) -> GrowthResult:
    """Points and unit tangents (n_nets, n_points, width) through all layers, their sizes carried along as logarithms."""
    log_expected = _log_expected(nets, velocity)
    point, size = _unit(points.to(device, torch.float32))
    tangent, speed = _unit(velocity.to(device, torch.float32))
    log_size, ratios, expected = torch.log(size), [], []
    for layer in range(nets.depth):
        weights = nets.stacked_weights(chunk, layer, device=device)
        image = torch.bmm(torch.cat([point, tangent], dim=1), weights.mT)
        height, moved = image.split(point.shape[1], dim=1)
        if nets.biases_law[layer] is not None:
            bias = torch.stack([nets.bias(net, layer, device=device) for net in chunk])
            height = torch.addcmul(height, bias[:, None], torch.exp(-log_size).float()[..., None])
        expected.append(_expected_square(nets, layer, tangent))
        point, size = _unit(height.clamp(min=0))
        log_size = torch.where(size > 0, log_size + torch.log(size), 0.0)  # the origin has no size to carry along
        tangent, ratio = _unit(moved * (height > 0))
        ratios.append(ratio)
    ratios, expected = (torch.stack(entries, dim=1).cpu() for entries in (ratios, expected))
    return _averaged(speed.cpu(), ratios, expected, log_expected)


def _unit(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(vectors of length 1, their lengths in float64); a vector of length 0 stays."""
    lengths = torch.linalg.vector_norm(vectors, dim=-1)
    return vectors / torch.where(lengths > 0, lengths, 1.0)[..., None], lengths.double()


def _expected_square(nets: RandomNets, layer: int, tangent: torch.Tensor) -> torch.Tensor:
    """E ||dz'||^2 of unit tangents in a layer, exactly: (n_nets, n_points)."""
    half = nets.mean_square(layer) / 2
    if nets.topology is None:
        return torch.full(tangent.shape[:2], half * nets.widths[layer + 1], dtype=torch.float64, device=tangent.device)
    out_degrees = nets.mask(layer, device=tangent.device).sum(dim=0)
    return half * (tangent**2 @ out_degrees).double()


def _log_expected(nets: RandomNets, velocity: torch.Tensor) -> torch.Tensor:
    """log E ||dz||^2 at the input and behind each layer, (depth + 1, n_nets, n_points)."""
    layers = [
        (nets.mean_square(i), torch.tensor(nets.widths[i + 1]) if nets.topology is None else nets.mask(i))
        for i in range(nets.depth)
    ]
    return log_mean_squares(layers, velocity.flatten(0, 1)).unflatten(1, velocity.shape[:2])


def _averaged(
    speed: torch.Tensor, ratios: torch.Tensor, expected: torch.Tensor, log_expected: torch.Tensor
) -> GrowthResult:
    """Means over the quadrature points: speed (n_nets, n_points), ratios and expected (n_nets, depth, n_points)."""
    log_speeds = torch.log(torch.cat([speed[:, None], ratios], dim=1)).cumsum(dim=1)
    alive = log_speeds[:, :-1].isfinite()
    n_alive, n_points = alive.sum(dim=2), speed.shape[1]
    surplus = torch.where(alive, (ratios**2 - expected) / (2 * expected.clamp(min=_TINY).sqrt()), 0.0)
    # the same for lengths: (squared speed over its expectation - 1) / 2, weighed as the points' rms speeds are
    log_expected = log_expected.transpose(0, 1)
    log_rms = torch.logsumexp(log_expected / 2, dim=2) - math.log(n_points)
    share = torch.exp(log_expected / 2 - log_rms[..., None]) / n_points
    luck = torch.where(share > 0, torch.expm1(2 * log_speeds - log_expected) / 2, 0.0)
    return GrowthResult(
        log_length=torch.logsumexp(log_speeds, dim=2) - math.log(n_points),
        factor=(ratios * alive).sum(dim=2) / n_alive,
        n_skipped=n_points - n_alive,
        n_pieces=(n_points,) * len(speed),
        factor_control=surplus.sum(dim=2) / n_alive,
        length_control=(share * luck).sum(dim=2),
        log_rms_length=log_rms,
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
