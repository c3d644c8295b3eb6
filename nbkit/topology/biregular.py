"""Masks of sparsity-aware orthogonal initialisation: unions of equal complete bipartite blocks (Esguerra et al. 2023)."""

import numpy as np

from nbkit.device import check_memory, random_generator
from nbkit.errors import NbkitError, check_choice, check_integer
from nbkit.topology.expander import biregular_degrees
from nbkit.topology.layer import MAX_NODES, EdgeLayer, Layer

__all__ = ["biregular"]

_PLACEMENTS = ("random", "shift", "aligned")


def biregular(
    n_in: int,
    n_out: int,
    degree: int,
    *,
    placement: str = "random",
    seed: int | np.random.Generator | None = 0,
) -> Layer:
    """The mask of an SAO layer: every input has the same out-degree, every output the same in-degree.

    The layer is a disjoint union of (size of the wider side) / degree complete bipartite blocks. Node j of the
    narrower side belongs to block j mod (number of blocks); the placement says which nodes of the wider side do.

    Args:
        n_in, n_out: numbers of nodes, at least 1.
        degree: edges at each node of the narrower side; divides the wider size, and the wider size divides
            degree * narrower size.
        placement: "random" (drawn anew for every layer), "shift" (consecutive nodes: a cascade of n -> n layers with
            degree d >= 2 reaches everything after ceil(log_d n) layers, the least possible; one whose sizes change
            may need more, or never do) or "aligned" (node i belongs to block i mod blocks: a cascade of equal
            layers never mixes).
        seed: for the random placement.

    Returns:
        Layer of shape (n_in, n_out).

    Raises:
        NbkitError: sizes or degree that admit no such mask; the message lists the degrees that do.

    Source:
        Esguerra et al. 2023, section IV-A; the paper leaves the placement open, and it decides what a cascade reaches.
    """
    who = "biregular"
    n_in, n_out = (
        check_integer(who, name, n, at_least=1, at_most=MAX_NODES) for name, n in (("n_in", n_in), ("n_out", n_out))
    )
    check_choice(who, "placement", placement, _PLACEMENTS)
    narrow, wide = min(n_in, n_out), max(n_in, n_out)
    degree = check_integer(who, "degree", degree, at_least=1)
    generator = random_generator(seed, who=who)
    check_memory(who, 64 * max(narrow * degree, wide), lower="the number of nodes or the degree")
    admissible = biregular_degrees(narrow, wide)
    if degree not in admissible:
        raise NbkitError(
            f"{who}: degree must divide {wide} and give {narrow} * degree a multiple of {wide}, got {degree}. "
            f"Use one of {', '.join(map(str, admissible))}."
        )
    n_blocks = wide // degree
    wide_nodes = _wide_members(wide, n_blocks, placement, generator)
    narrow_nodes = np.arange(narrow).reshape(-1, n_blocks).T
    shape = (n_blocks, narrow // n_blocks, degree)
    narrow_ends = np.broadcast_to(narrow_nodes[:, :, None], shape).ravel()
    wide_ends = np.broadcast_to(wide_nodes[:, None, :], shape).ravel()
    sources, targets = (narrow_ends, wide_ends) if n_in <= n_out else (wide_ends, narrow_ends)
    return EdgeLayer(n_in, n_out, sources, targets, description=f"SAO {placement}, {n_blocks} blocks")


def _wide_members(wide: int, n_blocks: int, placement: str, generator: np.random.Generator) -> np.ndarray:
    """The nodes of the wider side in each block, (n_blocks, wide / n_blocks)."""
    if placement == "random":
        return generator.permutation(wide).reshape(n_blocks, -1)
    if placement == "shift":
        return np.arange(wide).reshape(n_blocks, -1)
    return np.arange(wide).reshape(-1, n_blocks).T
