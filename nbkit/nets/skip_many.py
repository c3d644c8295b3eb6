"""Many networks with skips side by side: one batched product for all of them, and the loss's gradient in closed form."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nbkit.errors import NbkitError, check_integers
from nbkit.nets.skip import FullSkipNet, SkipLayer, SkipNet, full_counts, neuron_counts

__all__ = ["FullSkipNets", "SkipNets"]


class _Nets(nn.Module):
    """What both architectures share. A tensor of parameters holds one matrix for each run, (n_runs, ..., ...).

    The inputs are kept as rows (-1, x, 1): the first ones meet [b | W], whose biases are subtracted, the last ones
    [C | c0], so that no product needs a sum behind it. Everything that a step writes is made once.
    """

    def gradients(self, y: torch.Tensor) -> torch.Tensor:
        """Write the gradient of each run's mean squared error into `.grad`; returns these errors, (n_runs,).

        Args:
            y: values of the samples that `attach` was given, (d_L, n).
        """
        raise NotImplementedError

    def attach(self, x: torch.Tensor) -> None:
        """Take the samples (n, d_0) that the next calls of `gradients` are about, and make room for them."""
        raise NotImplementedError

    def penalise(self, rbv2: torch.Tensor | None, weight_decay: torch.Tensor | None) -> None:
        """Add the penalties' gradients to `.grad`.

        Args:
            rbv2, weight_decay: lambda of each run, (n_runs, 1, 1); None where all are 0.
        """
        if weight_decay is not None:
            for parameter in self.parameters():
                parameter.grad.addcmul_(parameter.data, weight_decay, value=2)

    def __len__(self) -> int:
        return self.n_runs

    @property
    def n_runs(self) -> int:
        """Networks side by side."""
        return len(next(self.parameters()))

    @property
    def ends(self) -> tuple[int, int]:
        """Inputs and outputs, d_0 and d_L."""
        raise NotImplementedError

    def _rows(self, x: torch.Tensor) -> torch.Tensor:
        """(n, d) -> (n_runs, 1 + d + 1, n): -1, the inputs, 1."""
        one = x.new_ones(1, len(x))
        return torch.cat([-one, x.mT, one]).expand(self.n_runs, -1, -1).contiguous()

    def _make_room(self, n: int) -> None:
        """Activations lie as (n_runs, n, K): products whose longer side runs along memory are faster."""
        self._active = [inner.new_empty(self.n_runs, n, inner.shape[1]) for inner in self.inner]
        self._back = [torch.empty_like(active) for active in self._active]
        for parameter in self.parameters():
            parameter.grad = torch.zeros_like(parameter)


class SkipNets(_Nets):
    """Networks `SkipNet` of one architecture side by side.

    `nets[i]` is the i-th as a SkipNet of its own that shares its memory: what trains here is seen there.

    Args:
        widths, n_neurons: as for SkipNet.
        seeds: one for each network; equal ones are born equal.

    Raises:
        NbkitError: as SkipNet; no seeds.

    Example:
        >>> nets = SkipNets((4, 16, 1), 32, seeds=(0, 0, 1))
        >>> nets.n_runs, nets[2].widths
        (3, (4, 16, 1))
    """

    def __init__(self, widths: Sequence[int], n_neurons: int | Sequence[int], *, seeds: Sequence[int]) -> None:
        super().__init__()
        seeds = check_integers("SkipNets", "seeds", seeds, at_least=0)
        widths, counts = neuron_counts("SkipNets", widths, n_neurons, n_nets=len(seeds))
        born = {seed: SkipNet(widths, counts, seed=seed).layers for seed in set(seeds)}
        stacks = [[born[seed][place] for seed in seeds] for place in range(len(counts))]
        self.inner = nn.ParameterList(torch.stack([_side(s.b, s.W) for s in stack]) for stack in stacks)
        self.outer = nn.ParameterList(torch.stack([s.V.detach() for s in stack]) for stack in stacks)
        self.skips = nn.ParameterList(torch.stack([_side(s.C, s.c0) for s in stack]) for stack in stacks)

    def __getitem__(self, run: int) -> SkipNet:
        return SkipNet.of([
            SkipLayer(outer[run], inner[run, :, 1:], inner[run, :, 0], skip[run, :, :-1], skip[run, :, -1])
            for inner, outer, skip in zip(self.inner, self.outer, self.skips, strict=True)
        ])  # fmt: skip

    @property
    def ends(self) -> tuple[int, int]:
        return self.inner[0].shape[2] - 1, self.outer[-1].shape[1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, d_0) -> (n_runs, n, d_L)."""
        rows = self._rows(x)
        for inner, outer, skip in zip(self.inner, self.outer, self.skips, strict=True):
            x = outer @ torch.relu(inner @ rows[:, :-1]) + skip @ rows[:, 1:]
            rows = torch.cat([rows[:, :1], x, rows[:, -1:]], dim=1)
        return x.mT

    def attach(self, x: torch.Tensor) -> None:
        first = self._rows(x)
        sizes = [outer.shape[1] for outer in self.outer[:-1]]
        self._inputs = [first, *(first[:, :1].repeat(1, size + 2, 1) for size in sizes)]
        for rows in self._inputs[1:]:
            rows[:, -1] = 1
        self._make_room(len(x))

    @torch.no_grad()
    def gradients(self, y: torch.Tensor) -> torch.Tensor:
        layers = list(zip(self.inner, self.outer, self.skips, self._inputs, self._active, self._back, strict=True))
        for place, (inner, outer, skip, rows, active, _) in enumerate(layers):
            torch.bmm(rows[:, :-1].mT, inner.mT, out=active).relu_()
            x = torch.baddbmm(torch.bmm(skip, rows[:, 1:]), outer, active.mT)
            if place + 1 < len(layers):
                self._inputs[place + 1][:, 1:-1] = x
        gap = x - y
        losses, slope = gap.square().mean(dim=(1, 2)), gap * (2 / y.numel())
        for place, (inner, outer, skip, rows, active, back) in reversed(list(enumerate(layers))):
            torch.bmm(slope, active, out=outer.grad)
            torch.bmm(slope, rows[:, 1:].mT, out=skip.grad)
            _through_relu(_backwards(slope, outer, out=back), active)
            inner.grad.copy_(torch.bmm(rows[:, :-1], back).mT)
            if place:
                slope = torch.baddbmm(torch.bmm(skip[:, :, :-1].mT, slope), inner[:, :, 1:].mT, back.mT)
        return losses

    @torch.no_grad()
    def penalise(self, rbv2: torch.Tensor | None, weight_decay: torch.Tensor | None) -> None:
        super().penalise(rbv2, weight_decay)
        if rbv2 is None:
            return
        for inner, outer, skip in zip(self.inner, self.outer, self.skips, strict=True):
            inner.grad[:, :, 1:].addcmul_(inner[:, :, 1:], rbv2, value=2)
            norms = outer.abs().sum(dim=1, keepdim=True)  # many times faster than vector_norm along rows
            outer.grad.addcmul_(outer.sign(), norms * rbv2, value=2)
            skip.grad[:, :, :-1].addcmul_(skip[:, :, :-1].sign(), rbv2)


class FullSkipNets(_Nets):
    """Networks `FullSkipNet` of one architecture side by side.

    Args:
        n_in, n_neurons, n_out: as for FullSkipNet.
        seeds: one for each network; equal ones are born equal. `nets[i]` is the i-th, in the same memory.

    Raises:
        NbkitError: as FullSkipNet; no seeds.
    """

    def __init__(self, n_in: int, n_neurons: Sequence[int], n_out: int, *, seeds: Sequence[int]) -> None:
        super().__init__()
        seeds = check_integers("FullSkipNets", "seeds", seeds, at_least=0)
        n_in, n_neurons, n_out = full_counts("FullSkipNets", n_in, n_neurons, n_out, n_nets=len(seeds))
        born = {seed: FullSkipNet(n_in, n_neurons, n_out, seed=seed) for seed in set(seeds)}
        nets = [born[seed] for seed in seeds]
        places = range(len(nets[0].skips))
        self.inner = nn.ParameterList(
            torch.stack([_side(net.biases[place], net.skips[place]) for net in nets]) for place in places
        )
        self.between = nn.ParameterList(torch.stack([net.between[place] for net in nets]) for place in places[:-1])
        self.outer = nn.Parameter(torch.stack([net.V.detach() for net in nets]))
        self.skip = nn.Parameter(torch.stack([_side(net.C, net.c0) for net in nets]))

    def __getitem__(self, run: int) -> FullSkipNet:
        first = [inner[run, :, 1:] for inner in self.inner], [inner[run, :, 0] for inner in self.inner]
        last = self.outer[run], self.skip[run, :, :-1], self.skip[run, :, -1]
        return FullSkipNet.of(*first, [between[run] for between in self.between], *last)

    @property
    def ends(self) -> tuple[int, int]:
        return self.inner[0].shape[2] - 1, self.outer.shape[1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, d_0) -> (n_runs, n, d_L)."""
        rows = self._rows(x)
        h = torch.relu(self.inner[0] @ rows[:, :-1])
        for inner, between in zip(self.inner[1:], self.between, strict=True):
            h = torch.relu(between @ h + inner @ rows[:, :-1])
        return (self.outer @ h + self.skip @ rows[:, 1:]).mT

    def attach(self, x: torch.Tensor) -> None:
        self._inputs = self._rows(x)
        self._make_room(len(x))

    @torch.no_grad()
    def gradients(self, y: torch.Tensor) -> torch.Tensor:
        into, past = self._inputs[:, :-1], self._inputs[:, 1:]
        for place, (inner, active) in enumerate(zip(self.inner, self._active, strict=True)):
            torch.bmm(into.mT, inner.mT, out=active)
            if place:
                active.baddbmm_(self._active[place - 1], self.between[place - 1].mT)
            active.relu_()
        gap = torch.baddbmm(torch.bmm(self.skip, past), self.outer, active.mT) - y
        losses, slope = gap.square().mean(dim=(1, 2)), gap * (2 / y.numel())
        torch.bmm(slope, active, out=self.outer.grad)
        torch.bmm(slope, past.mT, out=self.skip.grad)
        _backwards(slope, self.outer, out=self._back[-1])
        for place in reversed(range(len(self.inner))):
            back = _through_relu(self._back[place], self._active[place])
            self.inner[place].grad.copy_(torch.bmm(into, back).mT)
            if place:
                between = self.between[place - 1]
                torch.bmm(back.mT, self._active[place - 1], out=between.grad)
                torch.bmm(back, between, out=self._back[place - 1])
        return losses

    def penalise(self, rbv2: torch.Tensor | None, weight_decay: torch.Tensor | None) -> None:
        if rbv2 is not None:
            raise NbkitError(
                "FullSkipNets: the rbv2 penalty must meet neurons between linear nodes, got fully connected layers. "
                "Use weight_decay or none, or SkipNets."
            )
        super().penalise(None, weight_decay)


def _side(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Two parameters side by side, a vector as one column."""
    columns = [part.detach().unsqueeze(1) if part.ndim == 1 else part.detach() for part in (left, right)]
    return torch.cat(columns, dim=1)


def _backwards(slope: torch.Tensor, outer: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """slope^T outer; for one output it is no sum, and many times faster without bmm."""
    return (torch.mul if slope.shape[1] == 1 else torch.bmm)(slope.mT, outer, out=out)


def _through_relu(gradient: torch.Tensor, active: torch.Tensor) -> torch.Tensor:
    """The gradient before a ReLU from the one behind it, in place: nothing passes where it gives 0."""
    return torch.ops.aten.threshold_backward.grad_input(gradient, active, 0.0, grad_input=gradient)
