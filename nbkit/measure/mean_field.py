"""What reach would be if every layer's wires were drawn afresh and all nodes were alike: the mean field."""

import torch

from nbkit.errors import check_integer

__all__ = ["mean_field_reach"]


def mean_field_reach(n: int, degree: int, depth: int) -> torch.Tensor:
    """The mean-field fraction of joined pairs after 1, 2, ... layers of a random regular cascade.

    A node hears an input when one of its `degree` distinct predecessors does: f_1 = d / n and
    f_(L+1) = 1 - C(n (1 - f_L), d) / C(n, d). The spread between inputs is neglected, so a finite cascade, which
    needs every single pair, is full a layer or two later than the curve looks full.

    Args:
        n: nodes a layer, at least 1.
        degree: d, wires into each node, 1..n.
        depth: number of layers, at least 1.

    Returns:
        float64 (depth,), in (0, 1].

    Raises:
        NbkitError: a size, degree or depth outside its range.
    """
    who = "mean_field_reach"
    n = check_integer(who, "n", n, at_least=1)
    degree = check_integer(who, "degree", degree, at_least=1, at_most=n)
    depth = check_integer(who, "depth", depth, at_least=1)
    taken = torch.arange(degree, dtype=torch.float64)
    fractions = [torch.tensor(degree / n, dtype=torch.float64)]
    while len(fractions) < depth:
        deaf = n * (1 - fractions[-1])
        fractions.append(1 - ((deaf - taken).clamp(min=0.0) / (n - taken)).prod())
    return torch.stack(fractions)
