"""What watches over a training: gradient norms, whether accuracy is above chance, interrupts that wait for a whole step."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Iterator, Sequence

import torch

__all__ = ["chance_limit", "clip_gradients", "gradient_norms", "undisturbed"]

_DEVIATIONS = 4


def gradient_norms(parameters: Sequence[torch.Tensor], n_nets: int) -> torch.Tensor:
    """The l2 norm of each parameter's gradient, float64 (n_parameters, n_nets) where the parameters are; 0 without one.

    Args:
        parameters: at least one; the first dimension is the networks where n_nets is above 1.
        n_nets: in the batch of networks; 1 takes each parameter as a whole.
    """
    # summed in float64: gradients of a thousand layers may be below 1e-23, whose squares float32 has not
    dtype = torch.float32 if parameters[0].device.type == "mps" else torch.float64
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    return torch.stack([torch.linalg.vector_norm(g.reshape(n_nets, -1), dim=1, dtype=dtype) for g in gradients])


def clip_gradients(parameters: Sequence[torch.Tensor], norms: torch.Tensor, largest: float) -> torch.Tensor:
    """Scale each network's whole gradient to a norm of at most `largest`.

    Args:
        parameters, norms: as of `gradient_norms`.
        largest: above 0.

    Returns:
        Whether a network's gradient is not finite, bool (n_nets,).
    """
    wholes = torch.linalg.vector_norm(norms, dim=0)
    factors = (largest / wholes).clamp(max=1)
    for parameter in parameters:
        if parameter.grad is not None:
            gradient = parameter.grad
            shape = (len(factors), *[1] * (gradient.ndim - 1)) if len(factors) > 1 else ()
            gradient.mul_(factors.to(gradient.dtype).view(shape))
    return ~wholes.isfinite()


def chance_limit(labels: torch.Tensor) -> float:
    """The accuracy up to which a network may only have guessed the commonest class of n labels, whose share is p.

    p + 4 sqrt(p (1 - p) / n): four standard deviations of n guesses, and below 1 in any case.
    """
    share = float(labels.bincount().max()) / len(labels)
    return min(share + _DEVIATIONS * math.sqrt(share * (1 - share) / len(labels)), 1 - 1e-9)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """What is inside ends before an interrupt from the keyboard acts, so that parameters change all together."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield  # only the main thread is interrupted
        return
    waiting: list[tuple] = []
    signal.signal(signal.SIGINT, lambda *given: waiting.append(given))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if waiting:
            before(*waiting[0])
