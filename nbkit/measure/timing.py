"""What a layer costs in seconds and bytes: dense, compressed rows, and the execution that its wires allow, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from nbkit.device import check_memory, choose_device, spawn_generators
from nbkit.errors import check_choice, check_integer
from nbkit.nets import ACTIVATIONS, SparseLinear, SparseSequential
from nbkit.topology import Layer, Topology

__all__ = ["LayerCost", "layer_stacks", "one_pass", "time_layer"]


@dataclass(frozen=True)
class LayerCost:
    """What one way of multiplying costs, a layer.

    Attributes:
        seconds: median of a forward and backward pass, without an optimiser.
        parameter_bytes: of the weights and the bias.
        step_bytes: of the parameters, their gradients, and what the forward pass keeps for the backward pass, places of
            the weights included.
    """

    seconds: float
    parameter_bytes: float
    step_bytes: float


def time_layer(
    layers: Layer | Topology,
    batch: int = 128,
    *,
    repeats: int = 5,
    activation: str = "linear",
    device: torch.device | str = "cpu",
    seed: int | np.random.Generator | None = 0,
) -> dict[str, LayerCost]:
    """Seconds and bytes of a layer by three ways of multiplying, forward and backward, in float32.

    They are timed in turns, so that a busy machine troubles all of them alike and their ratios hold better than their
    seconds. All hold the same weights. As for an inner layer of a network, the gradient of the input is computed too.
    Torch has as many threads as the caller has set.

    Args:
        layers: the wires; of a chain, the mean over its layers, as if it were a network of them.
        batch: inputs at once.
        repeats: rounds, of which the median is taken; one more, untimed, goes before.
        activation: after each layer: "linear" (none), "tanh", "relu", "silu" or "maxmin".
        device: where.
        seed: of the weights and inputs.

    Returns:
        "dense" (torch.nn.Linear), "csr" (compressed rows, whose backward pass touches no absent weight either) and
        "ours" (what SparseLinear chooses) -> LayerCost.

    Raises:
        NbkitError: no wires, no input or no repeat, an unknown activation or device, a dense layer that would not fit
            into memory.
    """
    who = "time_layer"
    batch = check_integer(who, "batch", batch, at_least=1)
    repeats = check_integer(who, "repeats", repeats, at_least=1)
    chain = layers if isinstance(layers, Topology) else Topology([layers])
    nets = layer_stacks(chain, activation, device=device, seed=seed, who=who)
    x = torch.ones(batch, chain.sizes[0], device=device, dtype=torch.float32, requires_grad=True)
    n_bytes = {name: (_bytes(net.parameters()), _step_bytes(net, x)) for name, net in nets.items()}
    rounds = [{name: _seconds(net, x) for name, net in nets.items()} for _ in range(repeats)]
    medians = {name: statistics.median(each[name] for each in rounds) for name in nets}
    return {name: LayerCost(*(cost / len(chain) for cost in (medians[name], *n_bytes[name]))) for name in nets}


def layer_stacks(
    chain: Topology,
    activation: str = "linear",
    *,
    device: torch.device | str = "cpu",
    seed: int | np.random.Generator | None = 0,
    who: str = "layer_stacks",
) -> dict[str, nn.Sequential]:
    """The same network, float32, by each way of multiplying: see `time_layer`."""
    act = ACTIVATIONS[check_choice(who, "activation", activation, ACTIVATIONS)]
    device = choose_device(device)
    check_memory(who, 16 * sum(layer.n_in * layer.n_out for layer in chain), lower="the width of the layers")
    ours, csr = [], []
    for layer, generator in zip(chain, spawn_generators(seed, len(chain), who=who)):
        linear = SparseLinear(layer, seed=generator)
        ours += [linear, act()]
        csr += [SparseLinear(layer, weights=linear.edge_weights, execution="csr"), act()]
    net = SparseSequential(*ours)
    stacks = {"dense": net.dense(), "csr": SparseSequential(*csr), "ours": net}
    return {name: each.to(device, torch.float32) for name, each in stacks.items()}


def one_pass(net: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Forward and backward: the gradients of the sum of all outputs, of the input and of every parameter."""
    y = net(x)
    return torch.autograd.grad(y, (x, *net.parameters()), torch.ones_like(y))


def _seconds(net: nn.Module, x: torch.Tensor) -> float:
    start = time.perf_counter()
    one_pass(net, x)
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    return time.perf_counter() - start


def _step_bytes(net: nn.Module, x: torch.Tensor) -> int:
    """Of all distinct storages that a step needs: parameters, places, gradients, what waits for the backward pass."""
    kept = list(net.parameters())

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        gradients = one_pass(net, x)
    places = [each for module in net.modules() if isinstance(module, SparseLinear) for each in module.indices]
    return _bytes([*kept, *gradients, *places])


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    storages = {storage.data_ptr(): storage.nbytes() for storage in (each.untyped_storage() for each in tensors)}
    return sum(storages.values())
