"""Products of held weights with columns of features; the backward passes reuse the inputs as they were gathered.

All are autograd functions of x (n_in, batch), weight, bias (n_out,) or None, and whatever tells where the weights belong.
They are linear in x and in the weights, which is all that their derivatives along dual numbers need.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

__all__ = ["BlockProduct", "Reorder", "RowProduct", "WindowProduct", "WindowShape"]


class _Product(torch.autograd.Function):
    """`multiply(x, weight, bias, *where)` returns y and what the backward pass wants besides x and weight."""

    @classmethod
    def forward(cls, ctx, x, weight, bias, *where):
        y, kept = cls.multiply(x, weight, bias, *where)
        ctx.where = where
        ctx.save_for_backward(x, weight, *kept)
        ctx.save_for_forward(x, weight)
        return y

    @classmethod
    def saved(cls, ctx):
        """x, weight and what was kept; that is made anew where the backward pass is differentiated: it has no history."""
        x, weight, *kept = ctx.saved_tensors
        return x, weight, *(cls.multiply(x, weight, None, *ctx.where)[1] if torch.is_grad_enabled() else kept)

    @classmethod
    def jvp(cls, ctx, dx, d_weight, d_bias, *_):
        x, weight = ctx.saved_tensors
        x_part, _ = cls.multiply(torch.zeros_like(x) if dx is None else dx, weight, d_bias, *ctx.where)
        return x_part if d_weight is None else x_part + cls.multiply(x, d_weight, None, *ctx.where)[0]


class BlockProduct(_Product):
    """A matrix for each gathered block.

    weight (n_blocks, c, d); rows (n_blocks * d,), the row of x in each place of the blocks, and its inverse; nodes
    (n_blocks * c,), the output in each row of the result, and its inverse.
    """

    @staticmethod
    def multiply(x, weight, bias, rows, rows_back, nodes, nodes_back):
        n_blocks, c, d = weight.shape
        gathered = x.index_select(0, rows).view(n_blocks, d, x.shape[1])
        if bias is None:
            y = torch.bmm(weight, gathered)
        else:
            y = torch.baddbmm(bias.index_select(0, nodes).view(n_blocks, c, 1), weight, gathered)
        return y.view(n_blocks * c, x.shape[1]), (gathered,)

    @staticmethod
    def backward(ctx, dy):
        _, weight, gathered = BlockProduct.saved(ctx)
        _, rows_back, _, nodes_back = ctx.where
        by_block = dy.reshape(*weight.shape[:2], dy.shape[1])
        dx = d_weight = d_bias = None
        if ctx.needs_input_grad[0]:
            dx = torch.bmm(weight.mT, by_block).reshape(len(rows_back), dy.shape[1]).index_select(0, rows_back)
        if ctx.needs_input_grad[1]:
            d_weight = torch.bmm(by_block, gathered.mT)
        if ctx.needs_input_grad[2]:
            d_bias = dy.sum(1).index_select(0, nodes_back)
        return dx, d_weight, d_bias, *[None] * 4


@dataclass(frozen=True)
class WindowShape:
    """How a layer of offsets start + k * step mod n, k < radix, with dense widths is cut into tiles.

    Labels that differ by multiples of `step` are a circulant of their own, there are `step` of them; `height` labels of
    one make a tile. The inputs that an output tile hears lie in as many tiles before it as `parts` says, itself among them.

    Attributes:
        n, start, step, radix: of the offsets; step divides n.
        height: labels in a tile, a divisor of n / step.
        width_in, width_out: nodes for each label.
    """

    n: int
    start: int
    step: int
    radix: int
    height: int
    width_in: int
    width_out: int

    @property
    def parts(self) -> int:
        return 1 + -(-(self.radix - 1) // self.height)

    @property
    def n_tiles(self) -> int:
        return self.n // self.height

    @property
    def _rows(self) -> int:
        return self.n_tiles // self.step

    @property
    def weights(self) -> tuple[int, int, int, int]:
        """(n_tiles, height, width_out, radix * width_in), the furthest offset first."""
        return self.n_tiles, self.height, self.width_out, self.radix * self.width_in

    @cached_property
    def diagonals(self) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """Shape, strides and offset of the weights among the zeros of their tiles: one label down is one to the right."""
        row = self.parts * self.height * self.width_in
        strides = (self.height * self.width_out * row, self.width_out * row + self.width_in, row, 1)
        return self.weights, strides, ((self.parts - 1) * self.height - self.radix + 1) * self.width_in

    def tiles(self, values: torch.Tensor, width: int) -> torch.Tensor:
        """(width * n, batch) -> (n_tiles, height * width, batch)."""
        batch = values.shape[1]
        labels = values.reshape(width, self._rows, self.height, self.step, batch).permute(1, 3, 2, 0, 4)
        return labels.reshape(self.n_tiles, self.height * width, batch)

    def nodes(self, tiles: torch.Tensor, width: int) -> torch.Tensor:
        """The inverse of `tiles`."""
        batch = tiles.shape[2]
        labels = tiles.reshape(self._rows, self.step, self.height, width, batch).permute(3, 0, 2, 1, 4)
        return labels.reshape(width * self.n, batch)

    def shifted(self, values: torch.Tensor, width: int, by: int) -> torch.Tensor:
        """What stood at a label stands `by` labels further."""
        return values if not by else values.view(width, self.n, values.shape[1]).roll(by, 1).view(values.shape)


class WindowProduct(_Product):
    """A band of tiles for each window of the inputs; the weights lie on the diagonals of tiles that are 0 elsewhere.

    weight as `WindowShape.weights`; where: a WindowShape, no index.
    """

    @staticmethod
    def multiply(x, weight, bias, shape):
        x_tiles = shape.tiles(shape.shifted(x, shape.width_in, shape.start), shape.width_in)
        n_tiles, rows, batch = x_tiles.shape
        before = (shape.parts - 1) * shape.step
        around = torch.cat([x_tiles[n_tiles - before :], x_tiles]) if before else x_tiles
        if shape.step == 1:  # windows overlap in one piece of memory
            windows = around.as_strided((n_tiles, shape.parts * rows, batch), (rows * batch, batch, 1))
        else:
            parts = [around[first : first + n_tiles] for first in range(0, before + 1, shape.step)]
            windows = torch.cat(parts, 1)
        matrices = weight.new_zeros(n_tiles, shape.height * shape.width_out, windows.shape[1])
        matrices.as_strided(*shape.diagonals).copy_(weight)
        if bias is None:
            y = torch.bmm(matrices, windows)
        else:
            y = torch.baddbmm(shape.tiles(bias[:, None], shape.width_out), matrices, windows)
        return shape.nodes(y, shape.width_out), (windows, matrices)

    @staticmethod
    def backward(ctx, dy):
        _, _, windows, matrices = WindowProduct.saved(ctx)
        (shape,) = ctx.where
        by_tile = shape.tiles(dy, shape.width_out)
        dx = d_weight = d_bias = None
        if ctx.needs_input_grad[0]:
            heard = torch.bmm(matrices.mT, by_tile).view(
                shape.n_tiles, shape.parts, shape.height * shape.width_in, dy.shape[1]
            )
            d_tiles = heard[:, -1].clone()
            for part in range(shape.parts - 1):
                by = (shape.parts - 1 - part) * shape.step
                d_tiles[: shape.n_tiles - by] += heard[by:, part]
                d_tiles[shape.n_tiles - by :] += heard[:by, part]
            dx = shape.shifted(shape.nodes(d_tiles, shape.width_in), shape.width_in, -shape.start)
        if ctx.needs_input_grad[1]:
            d_weight = torch.bmm(by_tile, windows.mT).as_strided(*shape.diagonals)
        if ctx.needs_input_grad[2]:
            d_bias = dy.sum(1)
        return dx, d_weight, d_bias, None


class RowProduct(_Product):
    """A matrix in compressed rows, and in compressed columns for the way back.

    weight (n_edges,), row by row; starts, columns: of the rows; starts, rows, places: of the columns, and where the
    weight of each of their entries stands.
    """

    @staticmethod
    def multiply(x, weight, bias, starts, columns, *_):
        y = _rows(starts, columns, weight, len(x)) @ x
        return y if bias is None else y + bias[:, None], ()

    @staticmethod
    def backward(ctx, dy):
        x, weight = ctx.saved_tensors
        starts, columns, other_starts, rows, places = ctx.where
        dx = d_weight = d_bias = None
        if ctx.needs_input_grad[0]:
            dx = _rows(other_starts, rows, weight.index_select(0, places), len(dy)) @ dy
        if ctx.needs_input_grad[1]:
            # a product asked for at some entries only: 40 times as fast as gathering both factors at 32 edges a node
            pattern = _rows(starts, columns, torch.zeros_like(weight), len(x))
            d_weight = torch.sparse.sampled_addmm(pattern, dy, x.T, beta=0.0).values()
        if ctx.needs_input_grad[2]:
            d_bias = dy.sum(1)
        return dx, d_weight, d_bias, *[None] * 5


def _rows(starts: torch.Tensor, columns: torch.Tensor, weight: torch.Tensor, n_columns: int) -> torch.Tensor:
    shape = (len(starts) - 1, n_columns)
    return torch.sparse_csr_tensor(starts, columns, weight, shape, check_invariants=False)


class Reorder(torch.autograd.Function):
    """x.index_select(0, rows) for a permutation whose inverse is known: the way back gathers too, instead of scattering."""

    @staticmethod
    def forward(ctx, x, rows, back):
        ctx.where = rows, back
        return x.index_select(0, rows)

    @staticmethod
    def backward(ctx, dy):
        rows, back = ctx.where
        return Reorder.apply(dy, back, rows), None, None

    @staticmethod
    def jvp(ctx, dx, *_):
        return dx.index_select(0, ctx.where[0])
