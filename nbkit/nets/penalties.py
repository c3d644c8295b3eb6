"""What training adds to the loss so that networks become sparse, and the rescaling of neurons at which it is least."""

from __future__ import annotations

import torch
from torch import nn

from nbkit.errors import NbkitError
from nbkit.nets.skip import SkipLayer, SkipNet

__all__ = ["balanced", "rbv2_penalty", "weight_decay_penalty"]


def rbv2_penalty(net: SkipNet) -> torch.Tensor:
    """What lambda multiplies in (2): the sum over layers of |C|_1 + sum_k (|v_k|_1^2 + |w_k|_2^2).

    v_k is column k of V, the weights out of neuron k; w_k is row k of W, those into it. Biases and c0 are free. Where
    the neurons are balanced it is |C|_1 + 2 sum_k |v_k|_1 |w_k|_2: twice the RBV^2 norm on the neurons.

    Returns:
        A tensor without dimensions that can be differentiated; the gradient of |x| at 0 is 0.

    Raises:
        NbkitError: anything but a SkipNet.

    Source:
        Parhi, Wolf & Nowak 2021, (2); its text swaps the weights into and out of a neuron.

    Example:
        >>> layer = SkipLayer([[1, -2], [0.5, 0]], [[1, 2], [3, -1]], [1, 0], [[1, 0], [0, -1]], [0, 1])
        >>> rbv2_penalty(SkipNet.of([layer])).item()
        23.25
    """
    layers = _layers("rbv2_penalty", net)
    return sum(s.C.abs().sum() + s.V.abs().sum(dim=0).square().sum() + s.W.square().sum() for s in layers)


def weight_decay_penalty(module: nn.Module) -> torch.Tensor:
    """The sum of the squares of all parameters, biases too: what lambda multiplies in weight decay.

    Its gradient is 2 theta, so that torch.optim.Adam or SGD, not AdamW, add it as weight_decay = 2 lambda.

    Returns:
        A tensor without dimensions that can be differentiated.

    Raises:
        NbkitError: no module, or one without parameters.
    """
    parameters = list(module.parameters()) if isinstance(module, nn.Module) else []
    if not parameters:
        raise NbkitError(
            f"weight_decay_penalty: module must be a torch module with parameters, got {type(module).__name__}. "
            "Give a network."
        )
    return sum(parameter.square().sum() for parameter in parameters)


def balanced(net: SkipNet, *, norm: int = 1) -> SkipNet:
    """The same function with the same skips, every neuron rescaled by an a > 0 so that |v_k| = |w_k|_2.

    v relu(w x - b) is (v / a) relu(a w x - a b) for every a > 0, and |v/a|^2 + |a w|_2^2 is least, 2 |v| |w|_2, where
    the two are equal. Norm 1 gives the least value of (2); norm 2 that of the squares of all weights. Weight decay
    squares the biases besides, and balances |v_k|_2 with |(w_k, b_k)|_2. A neuron without weights in or out stays.

    Args:
        net: any SkipNet; it is not changed.
        norm: of v_k, 1 or 2.

    Raises:
        NbkitError: anything but a SkipNet, another norm, or weights that are not finite.

    Source:
        Grandvalet 1998, cited by Parhi, Wolf & Nowak 2021, section 1.
    """
    return SkipNet.of([_balanced(layer, norm) for layer in _layers("balanced", net)])


@torch.no_grad()
def neuron_sides(who: str, layer: SkipLayer, norm: int) -> tuple[torch.Tensor, torch.Tensor]:
    """|v_k|_norm and |w_k|_2 of each neuron, float64 (K,) each.

    Raises:
        NbkitError: a norm that is neither 1 nor 2, or parameters that are not finite.
    """
    if isinstance(norm, bool) or norm not in (1, 2):
        raise NbkitError(f"{who}: norm must be 1 or 2, got {norm!r}. Use 1 for (2), 2 for weight decay.")
    if not all(parameter.isfinite().all() for parameter in layer.parameters()):
        raise NbkitError(
            f"{who}: the weights must be finite, got NaN or infinite ones. Look at a network from before it diverged."
        )
    out = torch.linalg.vector_norm(layer.V, norm, dim=0, dtype=torch.float64)
    return out, torch.linalg.vector_norm(layer.W, dim=1, dtype=torch.float64)


@torch.no_grad()
def _balanced(layer: SkipLayer, norm: int) -> SkipLayer:
    out, into = neuron_sides("balanced", layer, norm)
    scale = torch.where((out > 0) & (into > 0), out.sqrt() / into.sqrt(), 1.0)
    weights = layer.V / scale, layer.W * scale[:, None], layer.b * scale
    return SkipLayer(*(weight.to(layer.V.dtype) for weight in weights), layer.C.clone(), layer.c0.clone())


def _layers(who: str, net: object) -> nn.ModuleList:
    if not isinstance(net, SkipNet):
        raise NbkitError(
            f"{who}: net must be a SkipNet, whose neurons stand between linear nodes, got {type(net).__name__}. "
            "Use SkipNet, or SkipNet.of(layers)."
        )
    return net.layers
