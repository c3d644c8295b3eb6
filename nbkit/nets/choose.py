"""Which execution suits the wires of a layer: a rule with measured thresholds."""

from __future__ import annotations

import math

from nbkit.errors import NbkitError, check_choice
from nbkit.nets.executions import Blocks, Dense, Execution, Rows, Windows
from nbkit.nets.sparse_products import WindowShape
from nbkit.topology import Blocks as CompleteBlocks
from nbkit.topology import CirculantLayer, KroneckerLayer, Layer, complete_blocks
from nbkit.topology.layer import check_layer

__all__ = ["DENSE_FROM", "EXECUTIONS", "WINDOWS_FROM", "choose_execution"]

EXECUTIONS = ("blocks", "windows", "csr", "dense")

# Where one overtakes the other on one core of an EPYC, forward and backward, batch 128, float32, milliseconds a layer with
# its tanh. Rows against dense: at a density of 1/8, 1/4, 3/8 and 256 nodes 0.78, 1.11, 1.49 against 0.92, 0.93, 1.13; at
# 1024 nodes 6.7, 11.7, 17.5 against 12.2, 13.6, 15.0. Windows against rows at 1024 nodes: radix 8, 16, 32: 1.39, 1.57,
# 1.90 against 1.26, 1.51, 2.00, the products alone at 32 and forward 0.20 against 0.35; widths 2 and radix 8, 16: 2.22,
# 2.34 against 1.68, 2.44.
DENSE_FROM = 0.25  # density
WINDOWS_FROM = 32  # inputs of a node
MIN_BLOCK = 4  # weights of a block: at 1 rows take 0.51 ms, blocks 0.88; at 2 x 2 blocks win, 1.13 against 1.39
MIN_HEIGHT = 8  # labels in a tile of windows: smaller tiles multiply no faster


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
    if blocks and (name or math.prod(blocks.shape[1:]) >= MIN_BLOCK):
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
    """Not where few weights lie in wide tiles, nor where the wires are complete blocks (the last of a full system)."""
    is_last = window.step * window.radix == window.n
    return layer.largest_in_degree >= WINDOWS_FROM and layer.density < DENSE_FROM and not is_last


def _admitted(layer: Layer, window: WindowShape | None) -> WindowShape:
    if window is None:
        raise NbkitError(
            "SparseLinear: execution 'windows' takes the layers of mixed_radix and radix_net and shifts by a progression "
            f"whose step divides the number of labels, got {layer}. Leave execution out."
        )
    return window
