"""Projected gradient descent: training a radial network exactly as its compressed twin trains."""

from collections.abc import Sequence

import torch

from nbkit.errors import NbkitError, check_integers, show
from nbkit.nets import RadialNet

__all__ = ["keep_projected", "project"]


def project(net: RadialNet, widths: Sequence[int]) -> None:
    """Zero, in place, the lower left (n_i - n_i^red) x n_(i-1)^red block of each matrix and the lower part of each bias.

    Args:
        net: a network of any weights.
        widths: the reduced widths, one a layer, none above the network's own, those of input and output equal.

    Raises:
        NbkitError: no RadialNet, other numbers of widths, weights that are computed from others or a bias that is gone.

    Source:
        Radial networks, section 6 (the map Proj; there the learning rate is missing in W - eta grad).
    """
    widths = _check("project", net, widths)
    with torch.no_grad():
        for linear, n_in, n_out in zip(net.linears, widths, widths[1:], strict=False):
            # on sparse wires `weight` is another at each look
            dict(linear.named_parameters())["weight"][n_out:, :n_in] = 0
            linear.bias[n_out:] = 0


def keep_projected(optimizer: torch.optim.Optimizer, net: RadialNet, widths: Sequence[int]) -> torch.optim.Optimizer:
    """The optimizer, which from now on projects the network after each step.

    With plain gradient descent, or with heavy-ball momentum, from `Compression.transformed` it takes the steps of the
    compressed network (Theorem 7), at any learning rates that both share. With Adam it does so too, as its steps are
    entry by entry; what Adam breaks is the other half, that the original and the transformed network train alike.

    Raises:
        NbkitError: what `project` refuses, no torch optimizer.

    Example:
        >>> from nbkit.compress import qr_compress
        >>> found = qr_compress(RadialNet((1, 6, 7, 1)))
        >>> net = found.transformed
        >>> sgd = keep_projected(torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9), net, found.widths)
    """
    widths = _check("keep_projected", net, widths)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise NbkitError(
            f"keep_projected: optimizer must be one of torch's, got {show(optimizer)}. Use torch.optim.SGD(...)."
        )
    optimizer.register_step_post_hook(lambda *_: project(net, widths))
    return optimizer


def _check(who: str, net: RadialNet, widths: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(net, RadialNet):
        raise NbkitError(f"{who}: net must be a RadialNet, got {type(net).__name__}. Use RadialNet.from_modules(net).")
    if any({"weight", "bias"} - dict(linear.named_parameters()).keys() for linear in net.linears):
        raise NbkitError(
            f"{who}: net must hold a weight and a bias in each Linear, got one that computes its weight or has no bias. "
            "Use RadialNet.from_modules(net)."
        )
    widths = check_integers(who, "widths", widths, at_least=1)
    own = net.widths
    fits = len(widths) == len(own) and all(narrow <= n for narrow, n in zip(widths, own, strict=True))
    if not fits or (widths[0], widths[-1]) != (own[0], own[-1]):
        raise NbkitError(
            f"{who}: widths must be reduced widths of {own}, got {widths}. Use reduced_widths(net.widths)."
        )
    return widths
