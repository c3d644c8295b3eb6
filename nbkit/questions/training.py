"""The trainings behind the lab's networks: layers on given wires, under several strengths of weight decay side by side."""

import copy
import math
import threading
from functools import lru_cache

import torch
from torch import nn

from nbkit.device import one_thread
from nbkit.nets import FeedForward
from nbkit.topology import EdgeLayer, Layer, Topology, dense_layer
from nbkit.training import descend, make_optimizer
from nbkit.weights import Gaussian

__all__ = ["DECAY", "STRENGTHS", "THRESHOLD", "Training", "training_of"]

STRENGTHS = (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
"""lambda of the trainings that start from one network."""
DECAY, THRESHOLD = 1e-3, 1e-3  # lambda whose mask is looked at, and what a weight must exceed to be in it
_TWINS = 3  # networks of different births under DECAY
_N_SAMPLES, _N_STEPS, _A_TURN = 16, 1000, 5
_RATE, _LAST_RATE = 1e-2, 1e-4


class Training:
    """ReLU networks on given wires fit random values at random points of the unit sphere, each under its weight decay.

    One readout stands behind the layers. Loss and penalty are the mean squared error and lambda times the sum of squares
    of all weights; Adam's rate falls along a half cosine. The first `len(STRENGTHS)` networks are born equal.

    Args:
        topology: n -> n -> ...
        gain: at birth, weights have variance gain^2 / in-degree.
        seed: of births, points and values.
    """

    n_steps = _N_STEPS

    def __init__(self, topology: Topology, gain: float, seed: int) -> None:
        n, strengths = topology.sizes[0], (*STRENGTHS, *[DECAY] * (_TWINS - 1))
        wires = topology + Topology([dense_layer(n, 1)])
        laws = [Gaussian(gain / math.sqrt(layer.density)) for layer in wires]
        self.nets = FeedForward(None, laws, topology=wires, n_nets=len(strengths), bias=None, seed=seed)
        for weight in self.nets.weights:
            weight.data[1 : len(STRENGTHS)] = weight.data[0]
        self.born = copy.deepcopy(self.nets)
        for weight in self.nets.weights:
            share = 2 * torch.tensor(strengths)[:, None, None] / len(strengths)
            weight.register_hook(lambda gradient, weight=weight, share=share: gradient + share * weight.detach())
        draw = torch.Generator().manual_seed(seed)
        points = nn.functional.normalize(torch.randn(_N_SAMPLES, n, generator=draw))
        values = 2 * torch.rand(_N_SAMPLES, 1, generator=draw) - 1
        self._optimizer = make_optimizer("adam", self.nets, lr=_RATE)
        every = {"max_steps": _N_STEPS, "every": _A_TURN}
        self._records = descend(
            _Columns(self.nets), points, values.expand(-1, len(strengths)), self._optimizer, **every
        )
        self.points, self.values = points, values[:, 0]
        self.step, self._turn = 0, threading.Lock()

    @property
    def is_over(self) -> bool:
        return self.step == _N_STEPS

    def go_on(self) -> None:
        """A few steps more; streams of several explorers may share a training."""
        with self._turn, one_thread():
            if self.is_over:
                return
            share = 0.5 + 0.5 * math.cos(math.pi * self.step / _N_STEPS)
            for group in self._optimizer.param_groups:
                group["lr"] = _LAST_RATE + (_RATE - _LAST_RATE) * share
            self.step = next(self._records).step

    def finish(self) -> "Training":
        """All steps that are left."""
        while not self.is_over:
            self.go_on()
        return self

    def weights(self, position: int, strength: float = 0.0, *, twin: int = 0) -> torch.Tensor:
        """The weights of one layer behind the training, float64 (n_out, n_in); twins of DECAY have other births."""
        run = STRENGTHS.index(strength) if not twin else len(STRENGTHS) - 1 + twin
        return self.finish().nets.weights[position][run].detach().double()

    def losses(self) -> torch.Tensor:
        """Each network's mean squared error now, float64 (n_nets,)."""
        with torch.no_grad():
            return (self.nets(self.points)[..., 0] - self.values).double().square().mean(dim=1)

    def decayed(self, position: int, *, twin: int = 0) -> Layer:
        """The wires of one layer that stand above the threshold under DECAY."""
        above = self.weights(position, DECAY, twin=twin).abs() > THRESHOLD
        targets, sources = above.nonzero().T.numpy()
        return EdgeLayer(*reversed(above.shape), sources, targets, description=f"|weight| > {THRESHOLD:g} under decay")


class _Columns(nn.Module):
    """One output for each network of a batch: (n, n_in) -> (n, n_nets)."""

    def __init__(self, nets: FeedForward) -> None:
        super().__init__()
        self.nets = nets

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.nets(x)[..., 0].mT


@lru_cache(maxsize=6)
def training_of(topology: Topology, gain: float, seed: int) -> Training:
    """The training on these wires, shared by all who ask for it; equal wires are one."""
    return Training(topology, gain, seed)
