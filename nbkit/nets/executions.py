"""How a sparse layer multiplies: gathered blocks, shifted windows, compressed rows or a dense matrix."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from functools import cache, cached_property

import numpy as np
import torch

from nbkit.device import check_memory
from nbkit.errors import NbkitError
from nbkit.nets.sparse_products import BlockProduct, Reorder, RowProduct, WindowProduct, WindowShape
from nbkit.topology import Blocks as CompleteBlocks
from nbkit.topology import Layer

__all__ = ["Blocks", "Dense", "Execution", "Rows", "Windows"]


class Execution(ABC):
    """A way to multiply by the weights on the wires of a layer. It holds none itself, and many layers may share it.

    Attributes:
        layer: the wires.
        name: "blocks", "windows", "csr" or "dense".
        why: in a sentence.
        shape: of the weights as they are held.
        outputs: int64 (n_out,), the node in each row of the result; None where they stand in their own order.
    """

    name: str
    outputs: np.ndarray | None = None

    def __init__(self, layer: Layer, why: str) -> None:
        self.layer, self.why = layer, why
        self._kept: dict[object, tuple[torch.Tensor, ...]] = {}

    def __deepcopy__(self, memo: dict) -> Execution:
        return self  # nothing in it changes

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]: ...

    @abstractmethod
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """(sources, targets) of each held weight, broadcastable to `shape`."""

    @abstractmethod
    def multiply(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, before: Execution | None
    ) -> torch.Tensor:
        """W x + b with the rows of the result in the order of `outputs`.

        Args:
            x: (n_in, batch), its rows in the order of the outputs of `before`, or in their own where it is None.
            weight: of `shape`.
            bias: (n_out,), in their own order, or None.
        """

    @cached_property
    def edges(self) -> np.ndarray:
        """The place in `layer.edge_index()` of each held weight, int64 (n_edges,)."""
        sources, targets = self.layer.edge_index().numpy()
        wanted_sources, wanted_targets = self._ends()
        wanted = np.broadcast_to(wanted_sources * self.layer.n_out + wanted_targets, self.shape)
        return np.searchsorted(sources * self.layer.n_out + targets, wanted.ravel())

    @cached_property
    def edges_back(self) -> np.ndarray:
        """The place among the held weights of each wire of `layer.edge_index()`."""
        back = np.empty_like(self.edges)
        back[self.edges] = np.arange(len(back))
        return back

    @property
    def indices(self) -> list[torch.Tensor]:
        """The index tensors that have been made so far, for all devices."""
        return [tensor for kept in self._kept.values() for tensor in kept]

    def restored(self, y: torch.Tensor) -> torch.Tensor:
        """The result with its rows in the nodes' own order."""
        if self.outputs is None:
            return y
        return Reorder.apply(y, *self._tensors("restore", y.device, lambda: (_inverse(self.outputs), self.outputs)))

    def _tensors(self, key, device, make) -> tuple[torch.Tensor, ...]:
        """Index tensors of one kind, made once for each device."""
        found = self._kept.get((key, device))
        if found is None:
            with torch.inference_mode(False):  # what is made in it could not be saved for a backward pass
                found = tuple(torch.from_numpy(np.ascontiguousarray(each)).to(device) for each in make())
            self._kept[key, device] = found
        return found


class Blocks(Execution):
    """The wires are complete blocks of one shape: gather the inputs block by block, multiply them all at once."""

    name = "blocks"

    def __init__(self, layer: Layer, blocks: CompleteBlocks) -> None:
        self._blocks = blocks
        n_blocks, c, d = self._blocks.shape
        super().__init__(layer, f"the wires are {n_blocks} complete blocks of {d} inputs and {c} outputs")
        self.outputs = self._blocks.outputs.ravel()

    @property
    def shape(self) -> tuple[int, ...]:
        return self._blocks.shape

    def _ends(self):
        return self._blocks.inputs[:, None, :], self._blocks.outputs[:, :, None]

    def multiply(self, x, weight, bias, before):
        return BlockProduct.apply(x, weight, bias, *self._tensors(before, x.device, lambda: self._indices(before)))

    def _indices(self, before):
        rows = self._blocks.inputs.ravel()
        if before is not None and before.outputs is not None:
            rows = _inverse(before.outputs)[rows]
        return rows, _inverse(rows), self.outputs, _inverse(self.outputs)


class Windows(Execution):
    """The wires are shifts by an arithmetic progression: windows of the inputs, as they lie in memory."""

    name = "windows"

    def __init__(self, layer: Layer, window: WindowShape) -> None:
        kept = window.radix / (window.parts * window.height)
        super().__init__(
            layer,
            f"the wires are {window.radix} shifts by {window.step}: {window.n_tiles} windows of "
            f"{window.parts * window.height} labels each, {kept:.0%} of their tiles' entries weights, no index",
        )
        self._window = window

    @property
    def shape(self) -> tuple[int, ...]:
        return self._window.weights

    def _ends(self):
        window = self._window
        labels = (
            window.tiles(torch.arange(window.n)[:, None], 1).numpy().reshape(window.n_tiles, window.height, 1, 1, 1)
        )
        offsets = window.start + window.step * np.arange(window.radix)[::-1, None]
        out = labels + window.n * np.arange(window.width_out)[:, None, None]
        into = (labels - offsets) % window.n + window.n * np.arange(window.width_in)
        shape = (*window.weights[:3], window.radix, window.width_in)
        return (np.broadcast_to(each, shape).reshape(window.weights) for each in (into, out))

    def multiply(self, x, weight, bias, before):
        return WindowProduct.apply(_natural(x, before), weight, bias, self._window)


class Rows(Execution):
    """Compressed rows, and compressed columns for the way back."""

    name = "csr"

    def __init__(self, layer: Layer, why: str) -> None:
        super().__init__(layer, why)
        _hush()

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.layer.n_edges,)

    def _ends(self):
        starts, sources = self.layer.sources_by_target()
        return sources.astype(np.int64), np.repeat(np.arange(self.layer.n_out), np.diff(starts))

    def multiply(self, x, weight, bias, before):
        if weight.dtype not in (torch.float32, torch.float64):
            raise NbkitError(
                f"SparseLinear: the weights must be float32 or float64 for execution 'csr', got {weight.dtype}. "
                "Use execution='dense'."
            )
        return RowProduct.apply(_natural(x, before), weight, bias, *self._tensors("rows", x.device, self._indices))

    def _indices(self):
        starts, columns = self.layer.sources_by_target()
        other = np.argsort(columns, kind="stable")
        rows = np.repeat(np.arange(self.layer.n_out), np.diff(starts))[other]
        other_starts = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=self.layer.n_in))])
        return starts, columns.astype(np.int64), other_starts, rows, other


class Dense(Execution):
    """A dense matrix, made of the weights each time unless every entry is one."""

    name = "dense"

    def __init__(self, layer: Layer, why: str) -> None:
        super().__init__(layer, why)
        check_memory("SparseLinear", 4 * layer.n_in * layer.n_out, lower="the width, or leave execution out")

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.layer.n_out, self.layer.n_in) if self._is_full else (self.layer.n_edges,)

    @property
    def _is_full(self) -> bool:
        return self.layer.n_edges == self.layer.n_in * self.layer.n_out

    def _ends(self):
        if self._is_full:
            return np.arange(self.layer.n_in), np.arange(self.layer.n_out)[:, None]
        return self.layer.edge_index().numpy()

    def multiply(self, x, weight, bias, before):
        if not self._is_full:
            (places,) = self._tensors("places", x.device, self._places)
            matrix = weight.new_zeros(self.layer.n_out * self.layer.n_in).scatter(0, places, weight)
            weight = matrix.view(self.layer.n_out, self.layer.n_in)
        x = _natural(x, before)
        return weight @ x if bias is None else torch.addmm(bias[:, None], weight, x)

    def _places(self):
        sources, targets = self.layer.edge_index().numpy()
        return (targets * self.layer.n_in + sources,)


def _inverse(order: np.ndarray) -> np.ndarray:
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return back


def _natural(x: torch.Tensor, before: Execution | None) -> torch.Tensor:
    return x if before is None else before.restored(x)


@cache
def _hush() -> None:
    """torch says once in a process that compressed rows are in beta; what is used here is tested here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        none = torch.zeros(0, dtype=torch.int64)
        torch.sparse_csr_tensor(torch.zeros(2, dtype=torch.int64), none, none.float(), (1, 1), check_invariants=False)
