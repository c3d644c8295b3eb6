"""Ways to multiply by a sparse matrix, columns of features in and out: gathered blocks, compressed rows, dense."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from nbkit.errors import NbkitError
from nbkit.topology import Layer, complete_blocks

__all__ = ["Execution", "choose_execution"]


@dataclass(eq=False)
class Execution:
    """How a layer multiplies.

    Attributes:
        name, why: in words.
        shape: of the weights as they are held.
        edges: int64 (n_edges,), the place in `layer.edge_index()` of each held weight.
        outputs: int64 (n_out,), the node in each row of the result; None where they stand in their own order.
    """

    layer: Layer
    name: str
    why: str
    shape: tuple[int, ...]
    edges: np.ndarray
    outputs: np.ndarray | None

    def bind(self, order: np.ndarray | None, device: torch.device) -> list[torch.Tensor]:
        """Index tensors for inputs whose rows stand in the given order of nodes."""
        n_in = self.layer.n_in
        place = np.arange(n_in)
        if order is not None:
            place[order] = np.arange(n_in)
        return [torch.from_numpy(np.ascontiguousarray(each)).to(device) for each in self._indices(place)]


class Blocks(Execution):
    def __init__(self, layer: Layer, why: str) -> None:
        (found,) = complete_blocks(layer)
        self.found = found
        b, c, d = found.shape
        sources, targets = layer.edge_index().numpy()
        key = sources * layer.n_out + targets
        wanted = found.inputs[:, None, :] * layer.n_out + found.outputs[:, :, None]
        edges = np.searchsorted(key, wanted.ravel())
        super().__init__(layer, "blocks", why, (b, c, d), edges, found.outputs.ravel())

    def _indices(self, place):
        rows = place[self.found.inputs.ravel()]
        return rows, np.argsort(rows)

    def multiply(self, x, weight, bias, indices):
        return _BlockProduct.apply(x, weight, bias, *indices)


class _BlockProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, rows, back):
        n_blocks, c, d = weight.shape
        gathered = x.index_select(0, rows).view(n_blocks, d, -1)
        if bias is None:
            y = torch.bmm(weight, gathered)
        else:
            y = torch.baddbmm(bias.view(n_blocks, c, 1), weight, gathered)
        ctx.save_for_backward(gathered, weight, back)
        return y.view(n_blocks * c, -1)

    @staticmethod
    def backward(ctx, dy):
        gathered, weight, back = ctx.saved_tensors
        by_block = dy.contiguous().view(len(weight), weight.shape[1], -1)
        d_weight = torch.bmm(by_block, gathered.mT)
        d_bias = dy.sum(1) if ctx.needs_input_grad[2] else None
        d_x = (
            torch.bmm(weight.mT, by_block).view(len(back), -1).index_select(0, back)
            if ctx.needs_input_grad[0]
            else None
        )
        return d_x, d_weight, d_bias, None, None


class Rows(Execution):
    def __init__(self, layer: Layer, why: str) -> None:
        sources, targets = layer.edge_index().numpy()
        edges = np.lexsort((sources, targets))
        super().__init__(layer, "csr", why, (layer.n_edges,), edges, None)
        self.sources, self.targets = sources[edges], targets[edges]

    def _indices(self, place):
        columns = place[self.sources]
        starts = np.concatenate([[0], np.cumsum(np.bincount(self.targets, minlength=self.layer.n_out))])
        other = np.lexsort((self.targets, columns))
        other_starts = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=self.layer.n_in))])
        return starts, columns, self.targets, other_starts, self.targets[other], other

    def multiply(self, x, weight, bias, indices):
        y = _RowProduct.apply(x, weight, *indices)
        return y if bias is None else y + bias[:, None]


class _RowProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, starts, columns, rows, other_starts, other_columns, other):
        matrix = torch.sparse_csr_tensor(starts, columns, weight, (len(starts) - 1, len(x)), check_invariants=False)
        ctx.save_for_backward(x, weight, columns, rows, other_starts, other_columns, other)
        return matrix @ x

    @staticmethod
    def backward(ctx, dy):
        x, weight, columns, rows, starts, others, order = ctx.saved_tensors
        dy = dy.contiguous()
        d_weight = torch.linalg.vecdot(dy.index_select(0, rows), x.index_select(0, columns))
        d_x = None
        if ctx.needs_input_grad[0]:
            turned = torch.sparse_csr_tensor(
                starts, others, weight.index_select(0, order), (len(x), len(dy)), check_invariants=False
            )
            d_x = turned @ dy
        return d_x, d_weight, *[None] * 6


def choose_execution(layer: Layer, name: str | None = None) -> Execution:
    """The execution that suits the wires, or the one that is named."""
    if name is None or name == "blocks":
        try:
            if len(complete_blocks(layer)) == 1 and int(layer.in_degrees().min()) and int(layer.out_degrees().min()):
                return Blocks(layer, "the wires are complete blocks of one shape")
        except NbkitError:
            if name:
                raise
    return Rows(layer, "the wires have no structure to use")
