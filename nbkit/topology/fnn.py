"""A feed-forward network on a topology, node by node as equation (8) of the RadiX-Net paper writes it."""

from collections.abc import Callable, Sequence
from functools import reduce

import torch

from nbkit.device import as_array
from nbkit.errors import NbkitError, show
from nbkit.topology.topology import Topology, check_topology

__all__ = ["evaluate_fnn"]


def evaluate_fnn(
    topology: Topology,
    x: torch.Tensor,
    weights: Sequence[torch.Tensor],
    biases: Sequence[torch.Tensor],
    activation: Callable[[torch.Tensor], torch.Tensor] = torch.sigmoid,
) -> torch.Tensor:
    """The outputs phi(x): phi_v = activation(bias_v + sum over edges u -> v of weight_uv phi_u).

    The activation is applied at the outputs too, as the paper writes it; there is no bias on the inputs.
    Differentiable in x, weights and biases; computed on the device of x, in the widest of all their dtypes.

    Args:
        topology: the wires, L layers.
        x: inputs, (batch, n_in) or (n_in,).
        weights: L tensors (n_edges of the layer,), in the order of `edge_index()`.
        biases: L tensors (n_out of the layer,).
        activation: an elementwise function.

    Returns:
        (batch, n_out), or (n_out,) for one input.

    Raises:
        NbkitError: lists or tensors whose lengths do not fit the topology, or that hold no numbers.

    Source:
        Robinett & Kepner 2019, equations (8) and (9).
    """
    check_topology("evaluate_fnn", topology)
    if not callable(activation):
        raise NbkitError(f"evaluate_fnn: activation must be a function, got {show(activation)}. Use torch.sigmoid.")
    values, weights, biases = _alike(_tensor("x", x), _tensors("weights", weights), _tensors("biases", biases))
    _check_lengths(topology, values, weights, biases)
    for layer, weight, bias in zip(topology, weights, biases):
        sources, targets = layer.edge_index().to(values.device)
        sums = bias.expand(*values.shape[:-1], layer.n_out)
        values = activation(sums.index_add(-1, targets, values[..., sources] * weight))
    return values


def _tensor(name: str, values: object) -> torch.Tensor:
    """The values as a tensor that keeps its gradient; arrays and lists are copied in."""
    return values if isinstance(values, torch.Tensor) else torch.tensor(as_array("evaluate_fnn", name, values))


def _tensors(name: str, values: object) -> list[torch.Tensor]:
    if not isinstance(values, (list, tuple)):
        raise NbkitError(
            f"evaluate_fnn: {name} must be a list, one tensor a layer, got {show(values)}. Put it in a list."
        )
    return [_tensor(f"entry {position} of {name}", entry) for position, entry in enumerate(values, start=1)]


def _alike(
    x: torch.Tensor, weights: list[torch.Tensor], biases: list[torch.Tensor]
) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    """All on the device of x and in their common floating dtype."""
    dtype = reduce(torch.promote_types, (tensor.dtype for tensor in (x, *weights, *biases)))
    dtype = dtype if dtype.is_floating_point or dtype.is_complex else torch.get_default_dtype()
    moved = [tensor.to(device=x.device, dtype=dtype) for tensor in (x, *weights, *biases)]
    return moved[0], moved[1 : 1 + len(weights)], moved[1 + len(weights) :]


def _check_lengths(
    topology: Topology, x: torch.Tensor, weights: list[torch.Tensor], biases: list[torch.Tensor]
) -> None:
    who = "evaluate_fnn"
    if x.ndim not in (1, 2) or x.shape[-1] != topology.sizes[0]:
        raise NbkitError(
            f"{who}: x must have {topology.sizes[0]} columns, one for each input, got shape {tuple(x.shape)}."
            " Give (batch, n_in)."
        )
    for name, tensors, lengths in (
        ("weights", weights, [layer.n_edges for layer in topology]),
        ("biases", biases, [layer.n_out for layer in topology]),
    ):
        shapes = [tuple(tensor.shape) for tensor in tensors]
        if shapes != [(length,) for length in lengths]:
            raise NbkitError(
                f"{who}: {name} must hold one tensor a layer, of lengths {lengths}, got shapes {shapes}."
                " Give one entry for each edge of `edge_index()`, one for each output node."
            )
