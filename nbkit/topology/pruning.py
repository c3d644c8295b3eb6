"""Masks that pruning leaves: the largest weights of given matrices or kernels, or a random choice of the same size."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from nbkit.device import as_array, spawn_generators
from nbkit.errors import NbkitError, check_choice, check_number, show
from nbkit.topology.layer import EdgeLayer, Layer

__all__ = ["magnitude_pruned", "random_pruned"]


def magnitude_pruned(weights: Sequence[object], density: float, *, scope: str = "layer") -> list[Layer]:
    """The wires of the largest weights: magnitude pruning, per layer or over the whole network.

    Exactly round(density * size) entries stay in each scope, where a kernel is one entry however large it is; at a
    density below 1 / (2 size) none does. Of equal magnitudes the earlier stays (earlier layer, then row, then column),
    so the choice repeats. Nodes may end up dead. Layers that are never pruned (the papers' first convolution and
    linear layers) are left out of the list.

    Args:
        weights: one array a layer, (n_out, n_in), or kernels (c_out, c_in, k, k), which are pruned whole, by norm.
        density: kept fraction, in (0, 1].
        scope: "layer" (LMP) or "network" (GMP).

    Returns:
        A Layer of shape (n_in, n_out) for each array.

    Raises:
        NbkitError: no weights, an array that is neither 2-D nor 4-D or not finite, a density outside (0, 1].

    Source:
        Esguerra et al. 2023, section III-E (LMP and GMP).
    """
    who = "magnitude_pruned"
    scores = _check_scores(who, weights)
    fraction = check_number(who, "density", density, above=0.0, at_most=1.0)
    check_choice(who, "scope", scope, ("layer", "network"))
    if scope == "layer":
        return [_layer(_largest(score, fraction), "largest weights of the layer") for score in scores]
    kept = _largest(np.concatenate([score.ravel() for score in scores]), fraction)
    parts = np.split(kept, np.cumsum([score.size for score in scores])[:-1])
    return [_layer(part.reshape(s.shape), "largest weights of the network") for part, s in zip(parts, scores)]


def random_pruned(
    weights: Sequence[object], density: float, *, seed: int | np.random.Generator | None = 0
) -> list[Layer]:
    """The wires of a uniformly random choice of each layer's weights, round(density * size) of them: LRP.

    Args and errors as `magnitude_pruned`; only the shapes of the weights matter.

    Source:
        Esguerra et al. 2023, section III-E (LRP).
    """
    who = "random_pruned"
    scores = _check_scores(who, weights)
    fraction = check_number(who, "density", density, above=0.0, at_most=1.0)
    generators = spawn_generators(seed, len(scores), who=who)
    draws = [generator.permutation(score.size).reshape(score.shape) for generator, score in zip(generators, scores)]
    return [_layer(_largest(draw, fraction), "random choice of weights") for draw in draws]


def _check_scores(who: str, weights: Sequence[object]) -> list[np.ndarray]:
    """The magnitude of every entry, or the norm of every kernel, each (n_out, n_in)."""
    if not isinstance(weights, (list, tuple)) or not weights:
        raise NbkitError(
            f"{who}: weights must be a list with one array a layer, got {show(weights)}. Put a single array in a list."
        )
    scores = []
    for position, weight in enumerate(weights, start=1):
        array = as_array(who, f"entry {position} of weights", weight)
        array = array if array.dtype.kind == "c" else array.astype(np.float64)
        if array.ndim not in (2, 4) or array.size == 0 or not np.isfinite(array).all():
            raise NbkitError(
                f"{who}: entry {position} of weights must be finite, (n_out, n_in) or (c_out, c_in, k, k), "
                f"got shape {array.shape}. Give finite matrices or kernels."
            )
        scores.append(np.abs(array) if array.ndim == 2 else np.linalg.norm(array, axis=(2, 3)))
    return scores


def _largest(scores: np.ndarray, density: float) -> np.ndarray:
    n_kept = round(Fraction(str(density)) * scores.size)
    kept = np.zeros(scores.size, dtype=bool)
    kept[np.argsort(-scores.ravel(), kind="stable")[:n_kept]] = True
    return kept.reshape(scores.shape)


def _layer(mask: np.ndarray, description: str) -> Layer:
    targets, sources = np.nonzero(mask)
    return EdgeLayer(mask.shape[1], mask.shape[0], sources, targets, description=description)
