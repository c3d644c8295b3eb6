"""Feed-forward ReLU networks, many of one shape in one torch module: they run and train together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from nbkit.device import check_memory
from nbkit.errors import NbkitError, check_choice, check_integer
from nbkit.topology import Topology
from nbkit.weights import Gaussian, Law, RandomNets

__all__ = ["FeedForward"]

_HE = Gaussian(math.sqrt(2))


class FeedForward(nn.Module):
    """A batch of ReLU networks of one shape, born from a law: z -> relu(W z + b), W = (law's sample) / sqrt(n_in).

    Network i is network i of `nbkit.weights.RandomNets` with the same arguments: every network and layer has its own
    random numbers. The networks share nothing, so the sum of their losses trains each as if it were alone. Where the
    density is below 1 or the wires are given, weights that are 0 at birth stay 0.

    Args:
        widths: nodes of each layer, input first, at least two entries.
        law: of the weights, before division by sqrt(n_in), or one a layer; default Gaussian(sqrt 2), He's.
        density: alpha in (0, 1], or one a layer.
        n_nets: networks in the batch; a single one is a batch of 1, and `network(0)` the ordinary module.
        bias: "paper" (N(0, .01^2), U(-.01, .01) or {-.01, .01} to match the law), a law, or None: no biases.
        output: "linear", the last layer has no ReLU, as for classifying; or "relu", all layers alike.
        seed: an int repeats, None is fresh, a Generator advances.
        topology: fixed wires instead of a random mask; then widths may be None.

    Attributes:
        weights: float32 parameters (n_nets, n_out, n_in), one a layer.
        biases: float32 parameters (n_nets, n_out), one a layer; empty without biases.

    Raises:
        NbkitError: what `RandomNets` refuses; too many networks for the memory budget.

    Source:
        Price & Tanner 2019, Definitions 1 to 4 (the weights) and App. C.2 (networks to train).

    Example:
        >>> nets = FeedForward((784, 32, 10), n_nets=3)
        >>> nets(torch.zeros(5, 784)).shape
        torch.Size([3, 5, 10])
    """

    def __init__(
        self,
        widths: Sequence[int] | None,
        law: Law | Sequence[Law] = _HE,
        density: float | Sequence[float] = 1.0,
        *,
        n_nets: int = 1,
        bias: str | Law | None = "paper",
        output: str = "linear",
        seed: int | np.random.Generator | None = 0,
        topology: Topology | None = None,
    ) -> None:
        super().__init__()
        born = RandomNets(widths, law, density, bias=bias, seed=seed, topology=topology, who="FeedForward")
        n_nets = check_integer("FeedForward", "n_nets", n_nets, at_least=1, at_most=10**6)
        sizes = [n_in * n_out for n_in, n_out in zip(born.widths, born.widths[1:], strict=False)]
        check_memory("FeedForward", 8 * n_nets * sum(sizes), lower="n_nets or the widths")
        self.widths = born.widths
        self.output = check_choice("FeedForward", "output", output, ("linear", "relu"))
        layers, nets = range(born.depth), range(n_nets)
        self._hold(
            [torch.stack([born.weights(net, layer) for net in nets]) for layer in layers],
            [torch.stack([born.bias(net, layer) for net in nets]) for layer in layers if bias is not None],
            sparse=topology is not None or min(born.densities) < 1,
        )

    @classmethod
    def joined(cls, batches: Sequence[FeedForward]) -> FeedForward:
        """One batch of all networks of several, in their order: for example of several scales, to train together.

        Raises:
            NbkitError: no batch at all, or batches of unequal widths, output or kind.
        """
        batches = list(batches) if isinstance(batches, (Sequence, nn.ModuleList)) else []
        kinds = {batch._kind if isinstance(batch, FeedForward) else type(batch).__name__ for batch in batches}
        first = batches[0] if batches else None
        if len(kinds) != 1 or not isinstance(first, FeedForward):
            raise NbkitError(
                "FeedForward.joined: batches must be one or more of equal widths, output, biases and masks, got "
                f"{[getattr(batch, 'widths', type(batch).__name__) for batch in batches]}. "
                "Make them alike but for law and seed."
            )
        new = cls.__new__(cls)
        nn.Module.__init__(new)
        new.widths, new.output = first.widths, first.output
        groups = [[*batch.weights] for batch in batches], [[*batch.biases] for batch in batches]
        weights, biases = ([torch.cat([*layer]).detach() for layer in zip(*group, strict=True)] for group in groups)
        new._hold(weights, biases, sparse=bool(first._masks))
        return new

    @property
    def n_nets(self) -> int:
        """Networks in the batch."""
        return len(self.weights[0])

    @property
    def depth(self) -> int:
        """Layers of weights."""
        return len(self.weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs (n_nets, batch, n_out) of inputs (batch, n_in), the same for all, or (n_nets, batch, n_in).

        Raises:
            NbkitError: inputs of another shape.
        """
        return self.activations(x)[-1]

    def activations(self, x: torch.Tensor) -> list[torch.Tensor]:
        """What stands behind each layer, (n_nets, batch, n_out) each; the last one is the output.

        Args:
            x: inputs as `forward` takes them; dual numbers of `torch.autograd.forward_ad` give tangents behind each layer.

        Raises:
            NbkitError: inputs of another shape.
        """
        if not isinstance(x, torch.Tensor) or not x.ndim or x.dtype != self.weights[0].dtype:
            got = f"{x.dtype}, {x.ndim} dimensions" if isinstance(x, torch.Tensor) else type(x).__name__
            raise NbkitError(
                f"FeedForward: inputs must be a {self.weights[0].dtype} tensor (batch, {self.widths[0]}), got {got}. "
                "Use torch.as_tensor(x).float()."
            )
        own_inputs = x.ndim == 3 and len(x) == self.n_nets
        if x.shape[-1] != self.widths[0] or not (own_inputs or x.ndim == 2):
            raise NbkitError(
                f"FeedForward: inputs must be (batch, {self.widths[0]}) or ({self.n_nets}, batch, {self.widths[0]}), "
                f"got {tuple(x.shape)}. Flatten images first."
            )
        images = []
        for layer in range(self.depth):
            weight = self._wired(layer)
            if x.ndim == 2:  # one matrix for all networks is several times as fast as a batch of copies
                x = nn.functional.linear(x, weight.flatten(0, 1)).unflatten(1, weight.shape[:2]).transpose(0, 1)
                x = x + self.biases[layer][:, None] if self.biases else x
            elif self.biases:
                x = torch.baddbmm(self.biases[layer][:, None], x, weight.mT)
            else:
                x = torch.bmm(x, weight.mT)
            if layer < self.depth - 1 or self.output == "relu":
                x = torch.relu(x)
            images.append(x)
        return images

    def network(self, i: int) -> nn.Sequential:
        """Network i by itself, as an ordinary module with weights of its own: Linear, ReLU, Linear, ..."""
        i = check_integer("FeedForward.network", "i", i, at_least=0, at_most=self.n_nets - 1)
        modules: list[nn.Module] = []
        for layer in range(self.depth):
            weight = self._wired(layer)[i].detach()
            kind = {"dtype": weight.dtype, "device": weight.device}
            linear = nn.utils.skip_init(nn.Linear, *reversed(weight.shape), bias=bool(self.biases), **kind)
            linear.weight.data.copy_(weight)
            if self.biases:
                linear.bias.data.copy_(self.biases[layer][i].detach())
            modules += [linear, nn.ReLU()]
        return nn.Sequential(*modules[: None if self.output == "relu" else -1])

    def layer_sigma_w(self) -> torch.Tensor:
        """sigma_w of every network and layer as its weights are now: their standard deviation times sqrt(n_in).

        The standard deviation is that about the mean, of the weights that are not masked. Before training it is the
        law's, up to the luck of the draw.

        Returns:
            float64 (n_nets, depth).
        """
        columns = []
        for layer, weight in enumerate(self.weights):
            values = weight.detach().double().flatten(1)
            kept = self._masks[layer].flatten(1).double() if self._masks else torch.ones_like(values)
            mean = (values * kept).sum(dim=1, keepdim=True) / kept.sum(dim=1, keepdim=True)
            variance = ((values - mean) ** 2 * kept).sum(dim=1) / kept.sum(dim=1)
            columns.append(torch.sqrt(variance * weight.shape[2]))
        return torch.stack(columns, dim=1)

    def sigma_w(self) -> torch.Tensor:
        """sigma_w of every network as its weights are now: the mean of `layer_sigma_w` over all layers of weights.

        The paper does not say how it pools layers of different width. The plain mean is chosen because a growth factor
        is a mean over layers too: a random dense network whose layers have these sigma_w grows lengths by about
        their mean over sqrt 2.

        Returns:
            float64 (n_nets,).
        """
        return self.layer_sigma_w().mean(dim=1)

    def _hold(self, weights: list[torch.Tensor], biases: list[torch.Tensor], *, sparse: bool) -> None:
        self.weights = nn.ParameterList(weights)
        self.biases = nn.ParameterList(biases)
        self._n_masks = len(weights) if sparse else 0
        for layer in range(self._n_masks):
            self.register_buffer(f"mask_{layer}", weights[layer] != 0)

    @property
    def _masks(self) -> list[torch.Tensor]:
        return [getattr(self, f"mask_{layer}") for layer in range(self._n_masks)]

    @property
    def _kind(self) -> tuple:
        return self.widths, self.output, len(self.biases), self._n_masks

    def _wired(self, layer: int) -> torch.Tensor:
        """The weights of a layer, 0 where there is no wire."""
        weight = self.weights[layer]
        return weight * getattr(self, f"mask_{layer}") if self._n_masks else weight
