"""A feed-forward network on a topology, node by node as equation (8) of the RadiX-Net paper writes it."""

from collections.abc import Callable, Sequence

import torch

from nbkit.errors import NbkitError
from nbkit.topology.topology import Topology

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
    Differentiable in x, weights and biases.

    Args:
        topology: the wires, L layers.
        x: inputs, (batch, n_in) or (n_in,).
        weights: L tensors (n_edges of the layer,), in the order of `edge_index()`.
        biases: L tensors (n_out of the layer,).
        activation: an elementwise function.

    Returns:
        (batch, n_out), or (n_out,) for one input.

    Raises:
        NbkitError: lists or tensors whose lengths do not fit the topology.

    Source:
        Robinett & Kepner 2019, equations (8) and (9).
    """
    _check_lengths(topology, x, weights, biases)
    values = torch.as_tensor(x)
    for layer, weight, bias in zip(topology, weights, biases):
        sources, targets = layer.edge_index().to(values.device)
        sums = bias.expand(*values.shape[:-1], layer.n_out)
        values = activation(sums.index_add(-1, targets, values[..., sources] * weight))
    return values


def _check_lengths(
    topology: Topology, x: torch.Tensor, weights: Sequence[torch.Tensor], biases: Sequence[torch.Tensor]
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
