"""Tangents through ensembles of random networks, many networks and points at once: what makes growth live."""

import math

import numpy as np
import torch
import torch.autograd.forward_ad as forward_ad

from nbkit.measure.curves import Trajectory
from nbkit.measure.growth_result import GrowthResult
from nbkit.measure.growth_theory import log_mean_squares
from nbkit.nets import FeedForward
from nbkit.weights import RandomNets

__all__ = ["speeds_of_batch", "tangents_through"]

_TINY = torch.finfo(torch.float64).tiny
_OFFSETS = 2**31  # a stream of its own beside those of the layers


@torch.no_grad()
def tangents_through(
    nets: RandomNets, chunk: range, curve: Trajectory, n_points: int, device: torch.device
) -> GrowthResult:
    """Growth of a curve in some networks of an ensemble, from exact derivatives at n_points values of t in each.

    Points and unit tangents go through all layers together, their sizes carried along as logarithms.
    """
    times = torch.stack([_times(nets.entropy, net, n_points) for net in chunk])
    points, velocity = (f(times.ravel()).reshape(*times.shape, -1) for f in (curve, curve.derivative))
    log_expected = _log_expected(nets, velocity)
    # the origin has no size to carry along
    (point, size), (tangent, speed) = (_unit(vectors.to(device)) for vectors in (points, velocity))
    point, tangent, log_size = point.float(), tangent.float(), torch.where(size > 0, torch.log(size), 0.0)
    ratios, expected = [], []
    for layer in range(nets.depth):
        weights = nets.stacked_weights(chunk, layer, device=device)
        image = torch.bmm(torch.cat([point, tangent], dim=1), weights.mT)
        height, moved = image.split(point.shape[1], dim=1)
        if nets.biases_law[layer] is not None:
            bias = torch.stack([nets.bias(net, layer, device=device) for net in chunk])
            height = torch.addcmul(height, bias[:, None], torch.exp(-log_size).float()[..., None])
        expected.append(_expected_square(nets, layer, tangent))
        point, size = _unit(height.clamp(min=0))
        log_size = torch.where(size > 0, log_size + torch.log(size), 0.0)
        tangent, ratio = _unit(moved * (height > 0))
        ratios.append(ratio)
    ratios, expected = (torch.stack(entries, dim=1).cpu() for entries in (ratios, expected))
    return _averaged(speed.cpu(), ratios, expected, log_expected)


def _times(entropy: int, net: int, n_points: int) -> torch.Tensor:
    """Evenly spaced t with a random offset: each is uniform in [0, 1], so means over t are without bias."""
    offset = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(net, _OFFSETS))).random()
    return (torch.arange(n_points, dtype=torch.float64) + offset) / n_points


def _unit(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(vectors of length 1, their lengths); a vector of length 0 stays. In float64 no square overflows or vanishes."""
    lengths = torch.linalg.vector_norm(vectors, dim=-1, dtype=torch.float64)
    return vectors / torch.where(lengths > 0, lengths, 1.0)[..., None].to(vectors.dtype), lengths


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


@torch.no_grad()
def speeds_of_batch(nets: FeedForward, points: torch.Tensor, velocity: torch.Tensor) -> torch.Tensor:
    """Exact speeds ||dz/dt|| at the input and behind each layer, for all networks of a batch at once.

    Args:
        nets: a batch, of which any number of layers may be random or trained.
        points, velocity: (n, n_in) on one or several curves.

    Returns:
        float64 (depth + 1, n_nets, n) on the CPU.
    """
    points, velocity = (vectors.to(nets.weights[0]) for vectors in (points, velocity))
    with forward_ad.dual_level():
        images = nets.activations(forward_ad.make_dual(points, velocity))
        tangents = [velocity.expand(nets.n_nets, -1, -1), *(forward_ad.unpack_dual(image).tangent for image in images)]
    return torch.stack([torch.linalg.vector_norm(tangent.double(), dim=2) for tangent in tangents]).cpu()
