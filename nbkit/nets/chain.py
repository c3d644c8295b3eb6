"""A chain of given matrices as a network that runs: linear map, activation, linear map, ..."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from nbkit.device import as_tensor
from nbkit.errors import NbkitError, check_choice, show
from nbkit.nets.activations import ACTIVATIONS

__all__ = ["chain"]


def chain(
    weights: Sequence[object],
    activation: str = "tanh",
    *,
    biases: Sequence[object | None] | None = None,
    output: str = "activation",
) -> nn.Sequential:
    """The network z -> phi(W z + b), layer after layer, of the given matrices: Linear, activation, Linear, ...

    Its parameters are float64 copies; `.float()` makes it an ordinary float32 module. Its Jacobian at a point is
    D_L W_L ... D_1 W_1 with D_l = diag(phi'(h_l)).

    Args:
        weights: finite matrices (n_out, n_in), the one at the input first; each takes what the one before gives.
        activation: "linear", "tanh", "relu", "silu" or "maxmin" (even widths).
        biases: one (n_out,) a layer, or None for no bias in that layer; default none at all.
        output: "activation", behind the last matrix too; or "linear", the last matrix gives the output.

    Returns:
        nn.Sequential of 2 depth modules, or 2 depth - 1 with a linear output.

    Raises:
        NbkitError: no matrices, NaN in them, sizes that do not chain, odd widths for maxmin, an unknown name.

    Source:
        Esguerra et al. 2023, section III (the Jacobian of a feed-forward network).

    Example:
        >>> chain([torch.eye(3), torch.ones(2, 3)], "relu", output="linear")
        Sequential(
          (0): Linear(in_features=3, out_features=3, bias=False)
          (1): ReLU()
          (2): Linear(in_features=3, out_features=2, bias=False)
        )
    """
    make = ACTIVATIONS[check_choice("chain", "activation", activation, ACTIVATIONS)]
    check_choice("chain", "output", output, ("activation", "linear"))
    matrices = _matrices(weights)
    offsets = [None] * len(matrices) if biases is None else biases
    if not isinstance(offsets, (list, tuple)) or len(offsets) != len(matrices):
        got = len(offsets) if isinstance(offsets, (list, tuple)) else show(offsets)
        raise NbkitError(
            f"chain: biases must be a list with one for each of the {len(matrices)} matrices, got {got}. "
            "Write None for a layer without bias."
        )
    modules = [
        module
        for position, (matrix, offset) in enumerate(zip(matrices, offsets, strict=True), start=1)
        for module in (_linear(matrix, offset, position), make())
    ][: -1 if output == "linear" else None]
    odd = [len(matrix) for matrix in matrices[: len(modules) // 2] if len(matrix) % 2]
    if activation == "maxmin" and odd:
        raise NbkitError(f"chain: maxmin pairs the nodes of a layer, got a layer of {odd[0]}. Use even widths.")
    return nn.Sequential(*modules)


def _matrices(weights: Sequence[object]) -> list[torch.Tensor]:
    listed = list(weights) if isinstance(weights, (list, tuple)) else []
    if not listed:
        raise NbkitError(
            f"chain: weights must be a list of one or more matrices, got {type(weights).__name__}. Write it as [W1, W2]."
        )
    n_in = None
    for position, given in enumerate(listed):
        name = f"matrix {position + 1} of weights"
        listed[position] = matrix = _finite(name, given)
        rule = f"(n_out, {'n_in' if n_in is None else n_in})"
        if matrix.ndim != 2 or not math.prod(matrix.shape) or n_in not in (None, matrix.shape[1]):
            raise NbkitError(
                f"chain: {name} must be {rule}, got shape {tuple(matrix.shape)}. Each takes what the one before gives."
            )
        n_in = len(matrix)
    return listed


def _linear(matrix: torch.Tensor, offset: object | None, position: int) -> nn.Linear:
    # Born on "meta" nothing is drawn for weights that are replaced at once: three times as fast as skip_init.
    linear = nn.Linear(*reversed(matrix.shape), bias=offset is not None, device="meta")
    linear.weight = nn.Parameter(matrix.to("cpu", torch.float64, copy=True))
    if offset is not None:
        bias = _finite(f"bias {position}", offset)
        if bias.shape != matrix.shape[:1]:
            raise NbkitError(
                f"chain: bias {position} must be ({len(matrix)},), got shape {tuple(bias.shape)}. One number a node."
            )
        linear.bias = nn.Parameter(bias.to("cpu", torch.float64, copy=True))
    return linear


def _finite(name: str, given: object) -> torch.Tensor:
    values = as_tensor("chain", name, given)
    if values.is_complex() or not values.isfinite().all():
        raise NbkitError(f"chain: {name} must be finite real numbers, got NaN, infinite or complex ones. Check it.")
    return values
