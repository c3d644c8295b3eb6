"""Orthogonal weights at birth: dense, on sparse masks (SAO), mirrored for ReLU; and random weights on the same masks."""

from collections.abc import Sequence

import numpy as np
import torch

from nbkit.device import as_array, as_tensor, check_memory, random_generator
from nbkit.errors import NbkitError, check_number, show
from nbkit.topology import Blocks, Layer, complete_blocks
from nbkit.topology.layer import check_layer
from nbkit.weights.laws import Gaussian, Law, check_law

__all__ = [
    "as_layer", "looks_linear", "looks_linear_block", "orthogonal", "orthogonal_on_edges", "random_on_edges",
    "random_on_mask",
]  # fmt: skip

_UNIT = Gaussian(1.0)


def orthogonal(mask: object, *, gain: float = 1.0, seed: int | np.random.Generator | None = 0) -> torch.Tensor:
    """Orthogonal weights that are 0 wherever the mask is: Haar-distributed on a dense mask, SAO on a sparse one.

    The mask is a union of complete bipartite blocks, which are found, not assumed; each block gets an independent Haar
    matrix with orthonormal columns (or rows, where it is wide). Every singular value that a block has is exactly the
    gain: S^T S = gain^2 I where no block is wide and no input is dead, S S^T = gain^2 I where none is tall and no
    output is dead. Both hold for square SAO layers. In general a square mask is no guarantee (blocks 1 x 2 and 2 x 1).

    Args:
        mask: a Layer, or an (n_out, n_in) array of 0 and 1.
        gain: every singular value, > 0; sqrt 2 keeps the rms length through a ReLU.
        seed: an int repeats, None is fresh, a Generator advances.

    Returns:
        float64 (n_out, n_in).

    Raises:
        NbkitError: a mask that is no union of complete blocks or has no edge, a gain that is not positive.

    Source:
        Esguerra et al. 2023, section IV-C and Fig. 4; Mezzadri 2007 for the signs that make QR Haar.

    Example:
        >>> from nbkit.topology import biregular
        >>> weights = orthogonal(biregular(256, 256, 4))
        >>> bool((weights @ weights.T - torch.eye(256)).abs().max() < 1e-12)
        True
    """
    layer = as_layer("orthogonal", mask)
    check_memory("orthogonal", 8 * layer.n_in * layer.n_out, lower="the number of nodes, or use orthogonal_on_edges")
    weights = torch.zeros(layer.n_out, layer.n_in, dtype=torch.float64)
    for blocks, values in _filled_blocks("orthogonal", layer, gain, seed):
        rows, columns = torch.from_numpy(blocks.outputs), torch.from_numpy(blocks.inputs)
        weights[rows[:, :, None], columns[:, None, :]] = values
    return weights


def orthogonal_on_edges(layer: Layer, *, gain: float = 1.0, seed: int | np.random.Generator | None = 0) -> torch.Tensor:
    """The weights of `orthogonal`, one for each wire in the order of `layer.edge_index()`; no matrix is made.

    Returns:
        float64 (n_edges,).

    Raises:
        NbkitError: as `orthogonal`.
    """
    who = "orthogonal_on_edges"
    found = _filled_blocks(who, as_layer(who, check_layer(who, layer)), gain, seed)
    keys = [(b.inputs[:, None, :] * layer.n_out + b.outputs[:, :, None]).ravel() for b, _ in found]
    values = torch.cat([values.flatten() for _, values in found])
    return values[torch.from_numpy(np.argsort(np.concatenate(keys)))]


def random_on_mask(mask: object, law: Law = _UNIT, *, seed: int | np.random.Generator | None = 0) -> torch.Tensor:
    """Independent random weights on a mask, divided by sqrt(in-degree): RG-N with Gaussian(1), RG-U with Uniform(sqrt 3).

    The paper does not give the scale. With a law of standard deviation 1 the mean of ||W x||^2 is ||x||^2 wherever all
    in-degrees and all out-degrees are one number.

    Args:
        mask: a Layer, or an (n_out, n_in) array of 0 and 1.
        law: of the weights before the division.
        seed: an int repeats, None is fresh, a Generator advances.

    Returns:
        float64 (n_out, n_in).

    Raises:
        NbkitError: a mask without an edge, no law.

    Source:
        Esguerra et al. 2023, section IV ("RG-N", "RG-U").
    """
    who = "random_on_mask"
    layer = as_layer(who, mask)
    check_memory(who, 8 * layer.n_in * layer.n_out + 32 * layer.n_edges, lower="the number of nodes")
    sources, targets = layer.edge_index()
    weights = torch.zeros(layer.n_out, layer.n_in, dtype=torch.float64)
    weights[targets, sources] = _random(who, layer, law, seed, targets)
    return weights


def random_on_edges(layer: Layer, law: Law = _UNIT, *, seed: int | np.random.Generator | None = 0) -> torch.Tensor:
    """The weights of `random_on_mask`, one for each wire in the order of `layer.edge_index()`; no matrix is made.

    Returns:
        float64 (n_edges,).

    Raises:
        NbkitError: as `random_on_mask`.
    """
    who = "random_on_edges"
    layer = as_layer(who, check_layer(who, layer))
    check_memory(who, 48 * layer.n_edges, lower="the number of nodes")
    return _random(who, layer, law, seed, layer.edge_index()[1])


def _random(
    who: str, layer: Layer, law: Law, seed: int | np.random.Generator | None, targets: torch.Tensor
) -> torch.Tensor:
    sample = check_law(who, "law", law).sample((layer.n_edges,), seed=random_generator(seed, who=who)).double()
    return sample / torch.from_numpy(layer.in_degrees())[targets].sqrt()


def looks_linear_block(weights: object) -> torch.Tensor:
    """The mirrored matrix [[H, -H], [-H, H]] of equation (5), for a layer between two ReLUs.

    By itself it is not orthogonal: of an orthogonal H its singular values are 2 and 0, half each. Between a mirrored
    first and last layer it is what makes a ReLU network linear: see `looks_linear`.

    Args:
        weights: H, (n_out, n_in), or kernels (c_out, c_in, k, k).

    Returns:
        As H, with twice as many outputs and inputs.

    Raises:
        NbkitError: neither 2-D nor 4-D, empty, or entries that are complex or not finite.

    Source:
        Esguerra et al. 2023, equation (5), after Balduzzi et al. 2017.
    """
    return _mirrored(_checked_weights("looks_linear_block", "weights", weights))


def looks_linear(weights: Sequence[object]) -> list[torch.Tensor]:
    """The weights of a ReLU network that is linear at birth: first [W; -W], then [[W, -W], [-W, W]], last [W, -W].

    relu(z) - relu(-z) = z, so without biases the network computes the product of the given matrices exactly, at every
    input; orthogonal matrices make it exactly isometric at every depth. Hidden layers are twice as wide as given.

    Args:
        weights: at least two matrices (n_out, n_in), or kernels (c_out, c_in, k, k), that chain.

    Returns:
        As many weights, to be used with a ReLU after each but the last.

    Raises:
        NbkitError: fewer than two, shapes that do not chain, or entries that are complex or not finite.

    Source:
        Esguerra et al. 2023, equation (5), which has only the middle; Balduzzi et al. 2017, section 4.
    """
    who = "looks_linear"
    if not isinstance(weights, (list, tuple)) or len(weights) < 2:
        raise NbkitError(
            f"{who}: weights must be a list of at least two arrays, got {show(weights)}. Give a first and a last layer."
        )
    checked = [_checked_weights(who, f"entry {i} of weights", entry) for i, entry in enumerate(weights, start=1)]
    for i, (before, after) in enumerate(zip(checked, checked[1:], strict=False), start=1):
        if before.ndim != after.ndim or before.shape[0] != after.shape[1]:
            raise NbkitError(
                f"{who}: weights must chain, got {tuple(before.shape)} before {tuple(after.shape)} (entries {i}, {i + 1}). "
                "The outputs of one are the inputs of the next."
            )
    first, *middle, last = checked
    return [torch.cat([first, -first]), *map(_mirrored, middle), torch.cat([last, -last], dim=1)]


def _mirrored(weights: torch.Tensor) -> torch.Tensor:
    row = torch.cat([weights, -weights], dim=1)
    return torch.cat([row, -row])


def _checked_weights(who: str, name: str, given: object) -> torch.Tensor:
    tensor = as_tensor(who, name, given)
    is_finite = bool(tensor.isfinite().all())
    if tensor.ndim not in (2, 4) or not tensor.numel() or tensor.is_complex() or not is_finite:
        raise NbkitError(
            f"{who}: {name} must be finite and real, (n_out, n_in) or (c_out, c_in, k, k), got {tensor.dtype} of shape "
            f"{tuple(tensor.shape)}{'' if is_finite else ' with NaN or infinite entries'}. "
            "Give a finite matrix or kernel."
        )
    return tensor if tensor.is_floating_point() else tensor.double()


def as_layer(who: str, mask: object) -> Layer:
    """A mask, a Layer or an (n_out, n_in) array of 0 and 1, as a Layer that has an edge.

    Raises:
        NbkitError: neither of them, or a mask without an edge.
    """
    if not isinstance(mask, Layer):
        array = as_array(who, "mask", mask)
        if array.ndim != 2 or not array.size or not np.isin(array, (0, 1)).all():
            raise NbkitError(
                f"{who}: mask must be a Layer or an (n_out, n_in) array of 0 and 1, got {show(mask)}. "
                "Use biregular(n_in, n_out, degree), or weights != 0."
            )
        mask = Layer.from_biadjacency(array.T, allow_dead_inputs=True)
    if not mask.n_edges:
        raise NbkitError(f"{who}: mask must have an edge, got {mask}. Keep at least one weight.")
    return mask


def _filled_blocks(
    who: str, layer: Layer, gain: float, seed: int | np.random.Generator | None
) -> list[tuple[Blocks, torch.Tensor]]:
    """The blocks of the mask, those of one shape together, and their weights (n_blocks, c, d)."""
    gain = check_number(who, "gain", gain, above=0.0)
    generator = random_generator(seed, who=who)
    return [(blocks, gain * _haar(blocks.shape, generator)) for blocks in complete_blocks(layer, who=who)]


def _haar(shape: tuple[int, int, int], generator: np.random.Generator) -> torch.Tensor:
    """Independent Haar matrices with orthonormal columns, or rows where there are fewer: float64 of that shape."""
    n, c, d = shape
    normal = torch.from_numpy(generator.standard_normal((n, max(c, d), min(c, d))))
    q, r = torch.linalg.qr(normal)
    q = q * torch.where(r.diagonal(dim1=1, dim2=2) < 0, -1.0, 1.0)[:, None, :]
    return q if c >= d else q.mT
