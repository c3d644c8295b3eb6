"""Orthogonal weights on the wires of RadiX-Nets, where they exist."""

import numpy as np
import torch

from nbkit.device import check_memory, random_generator
from nbkit.errors import NbkitError, check_number
from nbkit.topology import CirculantLayer, KroneckerLayer, Layer
from nbkit.topology.layer import check_layer
from nbkit.weights.orthogonal import orthogonal

__all__ = ["radix_orthogonal"]


def radix_orthogonal(layer: Layer, *, gain: float = 1.0, seed: int | np.random.Generator | None = 0) -> torch.Tensor:
    """Orthogonal weights on all wires of a layer of a RadiX-Net, where there are any.

    They exist for the last layer of a full system, whose wires are complete bipartite blocks, and for every layer with
    dense widths of which one is at least 2: with D = max(D_in, D_out) the weights are the taps of a D x D paraunitary
    filter Q (I - p_1 + p_1 z) ... (I - p_(N-1) + p_(N-1) z), p_i random projections of rank floor(D / 2), z the shift by
    the place value; where D_in and D_out differ, its first D_in columns or D_out rows. So S^T S = gain^2 I if D_out >=
    D_in, S S^T = gain^2 I if D_out <= D_in, and no wire's weight is 0 (with probability 1). With D_in = D_out = 1 two
    rows of an earlier layer share exactly one column and cannot be orthogonal.

    Args:
        layer: one layer of `mixed_radix` or `radix_net`.
        gain: every singular value that is not 0, > 0.
        seed: an int repeats, None is fresh, a Generator advances.

    Returns:
        float64 (n_out, n_in).

    Raises:
        NbkitError: wires that are no mixed-radix layer, or one without orthogonal weights; the reason is said.

    Source:
        Neither paper; the factors are those of Vaidyanathan 1993, chapter 14.

    Example:
        >>> from nbkit.topology import radix_net
        >>> weights = radix_orthogonal(radix_net([(3, 3)], widths=[2, 2, 2])[0])
        >>> bool((weights @ weights.T - torch.eye(18)).abs().max() < 1e-12)
        True
    """
    who = "radix_orthogonal"
    base, d_in, d_out = _mixed_radix_base(who, layer)
    gain = check_number(who, "gain", gain, above=0.0)
    generator = random_generator(seed, who=who)
    step, radix = base.offsets.step, len(base.offsets)
    is_last = step * radix == base.n
    if d_in == d_out == 1 and not is_last:
        raise NbkitError(
            f"{who}: layer must be the last of a full system or have a dense width of at least 2, got {layer}, where "
            f"outputs v and v + {(radix - 1) * step} hear exactly one input in common and cannot be orthogonal. "
            "Use radix_net(systems, widths=[2, 2, ...]), or random_on_mask."
        )
    check_memory(who, 16 * layer.n_in * layer.n_out, lower="the number of nodes")
    if is_last:
        return orthogonal(layer, gain=gain, seed=generator)
    taps = _paraunitary(max(d_in, d_out), radix, generator)[:, :d_out, :d_in]
    weights = torch.zeros(d_out, base.n, d_in, base.n, dtype=torch.float64)
    labels = torch.arange(base.n)
    for tap, offset in zip(taps, base.offsets, strict=True):
        weights[:, (labels + offset) % base.n, :, labels] = gain * tap
    return weights.reshape(d_out * base.n, d_in * base.n)


def _mixed_radix_base(who: str, layer: Layer) -> tuple[CirculantLayer, int, int]:
    """The layer between labels, and how many dense copies of them there are before and behind it."""
    check_layer(who, layer)
    base = layer.base if isinstance(layer, KroneckerLayer) else layer
    blocks = (layer.blocks_in, layer.blocks_out) if isinstance(layer, KroneckerLayer) else (1, 1)
    offsets = base.offsets if isinstance(base, CirculantLayer) else ()
    is_system = isinstance(offsets, range) and not offsets.start and len(offsets) > 1
    if not is_system or base.n % (offsets.step * len(offsets)):
        raise NbkitError(
            f"{who}: layer must be a layer of mixed_radix or radix_net, got {layer}. "
            "Use orthogonal for masks of complete blocks."
        )
    return base, *blocks


def _paraunitary(size: int, n_taps: int, generator: np.random.Generator) -> torch.Tensor:
    """The taps (n_taps, size, size) of a random paraunitary filter."""
    start, *directions = torch.linalg.qr(torch.from_numpy(generator.standard_normal((n_taps, size, size)))).Q
    taps = start[None]
    for direction in directions:
        basis = direction[:, : max(1, size // 2)]
        delayed = taps @ basis @ basis.T
        nothing = torch.zeros_like(start)[None]
        taps = torch.cat([taps - delayed, nothing]) + torch.cat([nothing, delayed])
    return taps
