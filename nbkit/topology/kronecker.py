"""The Kronecker product of wires with dense blocks, itself arithmetic where the wires are."""

import numpy as np
import scipy.sparse
import torch

from nbkit.device import check_memory
from nbkit.errors import check_integer
from nbkit.topology.layer import MAX_NODES, EdgeLayer, Layer, check_layer
from nbkit.topology.structured import CirculantLayer, RegularLayer

__all__ = ["KroneckerLayer", "dense_layer", "kronecker"]


class KroneckerLayer(RegularLayer):
    """The Kronecker product of a dense block pattern (blocks_in, blocks_out) with a regular layer.

    Node (block, label) has index block * n + label; it feeds every successor of its label in every block.

    Source:
        Robinett & Kepner 2019, equation (3).
    """

    def __init__(self, base: RegularLayer, blocks_in: int, blocks_out: int):
        self.base, self.blocks_in, self.blocks_out = base, blocks_in, blocks_out
        self.shape = (blocks_in * base.n_in, blocks_out * base.n_out)
        self.out_degree = base.out_degree * blocks_out
        self.in_degree = base.in_degree * blocks_in

    @property
    def description(self) -> str:
        return f"{self.blocks_in} x {self.blocks_out} blocks of ({self.base.description})"

    def edges_from(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        column, _ = self._expand("successors", nodes, self.n_in, self.out_degree)
        positions, targets = self.base.edges_from(column[:, 0] % self.base.n_in)
        return _repeat_blocks(positions, targets, self.base.n_out, self.blocks_out)

    def edges_into(self, nodes: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        column, _ = self._expand("predecessors", nodes, self.n_out, self.in_degree)
        positions, sources = self.base.edges_into(column[:, 0] % self.base.n_out)
        return _repeat_blocks(positions, sources, self.base.n_in, self.blocks_in)

    def _write_targets(self, out: torch.Tensor) -> None:
        blocks = out.view(self.blocks_in, self.base.n_in, self.blocks_out, self.base.out_degree)
        first = torch.empty((self.base.n_in, self.base.out_degree), dtype=torch.int64)
        self.base._write_targets(first)
        torch.add(first[:, None, :], self.base.n_out * torch.arange(self.blocks_out)[:, None], out=blocks[0])
        blocks[1:] = blocks[0]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, KroneckerLayer) and self.shape == other.shape and self.base.shape == other.base.shape:
            return self.base == other.base
        return super().__eq__(other)

    __hash__ = Layer.__hash__


def _repeat_blocks(positions: np.ndarray, labels: np.ndarray, n: int, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    nodes = labels[:, None] + n * np.arange(blocks)
    return np.repeat(positions, blocks), nodes.ravel()


def kronecker(layer: Layer, blocks_in: int, blocks_out: int) -> Layer:
    """The Kronecker product ones(blocks_in, blocks_out) x layer, shape (blocks_in * n_in, blocks_out * n_out).

    Raises:
        NbkitError: no Layer, a number of blocks below 1, or more than 2^62 nodes.
    """
    check_layer("kronecker", layer)
    blocks_in = check_integer("kronecker", "blocks_in", blocks_in, at_least=1)
    blocks_out = check_integer("kronecker", "blocks_out", blocks_out, at_least=1)
    n_nodes = max(blocks_in * layer.n_in, blocks_out * layer.n_out)
    check_integer("kronecker", "the product of blocks and nodes", n_nodes, at_most=MAX_NODES)
    if blocks_in == blocks_out == 1:
        return layer
    if isinstance(layer, KroneckerLayer):
        return KroneckerLayer(layer.base, blocks_in * layer.blocks_in, blocks_out * layer.blocks_out)
    if isinstance(layer, RegularLayer):
        return KroneckerLayer(layer, blocks_in, blocks_out)
    check_memory("kronecker", 64 * layer.n_edges * blocks_in * blocks_out, lower="the widths")
    product = scipy.sparse.kron(np.ones((blocks_in, blocks_out), dtype=np.int64), layer.to_scipy(), format="coo")
    description = f"{blocks_in} x {blocks_out} blocks of ({layer.description})"
    return EdgeLayer(*product.shape, *product.coords, description=description)


def dense_layer(n_in: int, n_out: int) -> Layer:
    """The layer in which every input feeds every output."""
    return kronecker(CirculantLayer(1, range(1)), n_in, n_out)
