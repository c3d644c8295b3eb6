"""How a sparse layer multiplies: gathered blocks, shifted windows, compressed rows or a dense matrix, and which when."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from functools import cache, cached_property

import numpy as np
import torch

from nbkit.errors import NbkitError, check_choice
from nbkit.nets.sparse_products import BlockProduct, Reorder, RowProduct, WindowProduct, WindowShape
from nbkit.topology import Blocks as CompleteBlocks
from nbkit.topology import CirculantLayer, KroneckerLayer, Layer, complete_blocks
from nbkit.topology.layer import check_layer

__all__ = ["EXECUTIONS", "Execution", "choose_execution"]

# Where one overtakes the other on one core of an EPYC, forward and backward, batch 128, float32, milliseconds a layer with
# its tanh. Rows against dense: at a density of 1/8, 1/4, 3/8 and 256 nodes 0.78, 1.11, 1.49 against 0.92, 0.93, 1.13; at
# 1024 nodes 6.7, 11.7, 17.5 against 12.2, 13.6, 15.0. Windows against rows at 1024 nodes: radix 8, 16, 32: 1.39, 1.57,
# 1.90 against 1.26, 1.51, 2.00, and twice as fast forward alone; widths 2 and radix 8, 16: 2.22, 2.34 against 1.68, 2.44.
DENSE_FROM = 0.25  # density
WINDOWS_FROM = 32  # inputs of a node
MIN_BLOCK = 4  # weights of a block: at 1 rows take 0.51 ms, blocks 0.88; at 2 x 2 blocks win, 1.13 against 1.39
MIN_HEIGHT = 8  # labels in a tile of windows: smaller tiles multiply no faster


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


EXECUTIONS = ("blocks", "windows", "csr", "dense")


def choose_execution(layer: Layer, name: str | None = None) -> Execution:
    """The execution that suits the wires, or the one that is named.

    Args:
        layer: the wires.
        name: one of EXECUTIONS; by default blocks where the wires are such, windows from WINDOWS_FROM inputs a node on,
            else dense from a density of DENSE_FROM on, else csr.

    Raises:
        NbkitError: no layer, another name, wires that the named execution cannot use; wires beyond the memory budget.
    """
    check_layer("SparseLinear", layer)
    if name is not None:
        check_choice("SparseLinear", "execution", name, EXECUTIONS)
    if name == "dense" or (name is None and layer.n_edges == layer.n_in * layer.n_out):
        return Dense(layer, "every input feeds every output" if name is None else "it was asked for")
    if name == "csr":
        return Rows(layer, "it was asked for")
    window = _window(layer)
    if name == "windows" or (name is None and window and _is_worth_windows(layer, window)):
        return Windows(layer, _admitted(layer, window))
    blocks = _blocks(layer, is_asked=name == "blocks")
    if blocks and (name or np.prod(blocks.shape[1:]) >= MIN_BLOCK):
        return Blocks(layer, blocks)
    density = f"the wires have no structure that pays and a density of {layer.density:.2g}"
    if layer.density >= DENSE_FROM:
        return Dense(layer, f"{density}, at least {DENSE_FROM}")
    return Rows(layer, f"{density}, below {DENSE_FROM}")


def _blocks(layer: Layer, *, is_asked: bool) -> CompleteBlocks | None:
    """The blocks of one shape that all nodes belong to, or None where they may be something else."""
    try:
        found = complete_blocks(layer, who="SparseLinear")
    except NbkitError:
        if is_asked:
            raise
        return None
    if len(found) == 1 and found[0].inputs.size == layer.n_in and found[0].outputs.size == layer.n_out:
        return found[0]
    if is_asked:
        raise NbkitError(
            f"SparseLinear: execution 'blocks' takes blocks of one shape that every node belongs to, got {layer} with "
            f"blocks (n_blocks, n_out, n_in) {[each.shape for each in found]}. Leave execution out."
        )
    return None


def _window(layer: Layer) -> WindowShape | None:
    """The tiles of a layer of shifts, if its offsets are a progression whose step divides the number of labels."""
    base = layer.base if isinstance(layer, KroneckerLayer) else layer
    widths = (layer.blocks_in, layer.blocks_out) if isinstance(layer, KroneckerLayer) else (1, 1)
    if not isinstance(base, CirculantLayer) or not isinstance(base.offsets, range) or base.n % base.offsets.step:
        return None
    start, step, radix = base.offsets.start, base.offsets.step, len(base.offsets)
    wished = max(MIN_HEIGHT, radix // 2)
    length = base.n // step
    height = next((each for each in range(min(wished, length), 4 * wished) if not length % each), None)
    return height and WindowShape(base.n, start, step, radix, height, *widths)


def _is_worth_windows(layer: Layer, window: WindowShape) -> bool:
    """Not where few weights lie in wide tiles, nor where the wires are complete blocks: the last of a full system."""
    return layer.largest_in_degree >= WINDOWS_FROM and window.step * window.radix < window.n


def _admitted(layer: Layer, window: WindowShape | None) -> WindowShape:
    if window is None:
        raise NbkitError(
            "SparseLinear: execution 'windows' takes the layers of mixed_radix and radix_net and shifts by a progression "
            f"whose step divides the number of labels, got {layer}. Leave execution out."
        )
    return window


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
