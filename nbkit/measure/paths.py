"""How many paths: exact counts as Python integers, in closed form where the wires allow it."""

import math

import numpy as np

from nbkit.device import check_memory
from nbkit.errors import check_integer
from nbkit.topology import CirculantLayer, KroneckerLayer, RegularLayer, Topology, XorLayer
from nbkit.topology.radix import longest_system, place_values
from nbkit.topology.topology import check_topology

__all__ = ["is_symmetric", "is_translation_invariant", "path_count", "path_counts"]

_COUNT_BYTES = 40  # an object pointer and a small Python integer
_ROWS_AT_ONCE = 64


def path_counts(topology: Topology) -> np.ndarray:
    """The number of paths from every input to every output, exact at any size.

    Returns:
        object array of Python ints (n_in, n_out).

    Raises:
        NbkitError: the matrix does not fit into the memory budget.

    Source:
        Robinett & Kepner 2019, section II (the top-right block of the n-th power of the adjacency matrix).
    """
    check_topology("path_counts", topology)
    n_in, n_out = topology.sizes[0], topology.sizes[-1]
    check_memory("path_counts", _COUNT_BYTES * n_in * n_out, lower="the number of nodes")
    constant = _constant_count(topology)
    if constant is not None:
        return np.full((n_in, n_out), constant, dtype=object)
    if is_translation_invariant(topology):
        return _translates(topology, _count_rows(topology, np.array([0]))[0])
    return _count_rows(topology, np.arange(n_in))


def path_count(topology: Topology, u: int, v: int) -> int:
    """The number of paths from input u to output v, exact.

    In closed form, at any number of nodes, where a full mixed-radix system is among the layers; otherwise the paths
    out of u and the paths into v are counted until they meet.

    Raises:
        NbkitError: a node outside its layer, or cones beyond the memory budget.

    Source:
        Robinett & Kepner 2019, Lemmas 1, 2 and Theorem 1, corrected: the count is (product of all radices) / n *
        (product of the inner widths) when one system is full; the printed one holds only when the last is full too.
    """
    check_topology("path_count", topology)
    u = check_integer("path_count", "u", u, at_least=0, at_most=topology.sizes[0] - 1)
    v = check_integer("path_count", "v", v, at_least=0, at_most=topology.sizes[-1] - 1)
    constant = _constant_count(topology)
    return _meet(topology, u, v) if constant is None else constant


def is_symmetric(topology: Topology) -> bool:
    """Whether every input reaches every output by one and the same positive number of paths.

    Forms no more than is needed: nothing where a full mixed-radix system is among the layers, or where the paths out of
    an input cannot be shared out equally, one row of counts where all inputs are alike, else a few rows at a time,
    stopping at the first that differs.

    Source:
        Robinett & Kepner 2019, section II (symmetry).
    """
    if _constant_count(check_topology("is_symmetric", topology)) is not None:
        return True
    if all(isinstance(layer, RegularLayer) for layer in topology):
        n_paths = math.prod(layer.out_degree for layer in topology)  # out of every input
        if n_paths % topology.sizes[-1]:
            return False
    n_in = 1 if is_translation_invariant(topology) else topology.sizes[0]
    expected = None
    for first in range(0, n_in, _ROWS_AT_ONCE):
        rows = _count_rows(topology, np.arange(first, min(first + _ROWS_AT_ONCE, n_in)))
        expected = rows[0, 0] if expected is None else expected
        if expected == 0 or (rows != expected).any():
            return False
    return True


def is_translation_invariant(topology: Topology) -> bool:
    """Whether every layer is a Cayley layer of one and the same group, so that all inputs are alike."""
    check_topology("is_translation_invariant", topology)
    bases = [layer.base if isinstance(layer, KroneckerLayer) else layer for layer in topology]
    kind = type(bases[0])
    return kind in (CirculantLayer, XorLayer) and all(type(b) is kind and b.n == bases[0].n for b in bases)


def _constant_count(topology: Topology) -> int | None:
    """The count of every pair in closed form, where a full system is among the layers (it makes all counts equal)."""
    values = place_values(topology)
    if values is None:
        return None
    chain = longest_system(values)
    if math.prod(values.counts[layer] for layer in chain) != values.n:
        return None
    return math.prod(values.counts) // values.n * math.prod(values.widths[1:-1])


def _translates(topology: Topology, row: np.ndarray) -> np.ndarray:
    """All rows from row 0: the count depends only on the difference of the labels."""
    base = topology[0].base if isinstance(topology[0], KroneckerLayer) else topology[0]
    sources = np.arange(topology.sizes[0])[:, None] % base.n
    targets = np.arange(topology.sizes[-1]) % base.n
    return row[sources ^ targets if isinstance(base, XorLayer) else (targets - sources) % base.n]


def _count_rows(topology: Topology, starts: np.ndarray) -> np.ndarray:
    """Paths from the start nodes to every output, object (len(starts), n_out): the general product.

    Counts are kept as int64 digits of a large base, so that only the last step makes Python integers.
    """
    growth = [layer.largest_in_degree.bit_length() for layer in topology]
    n_bits = 62 - max(growth)
    n_digits = 1 + sum(growth) // n_bits
    n_bytes = (_COUNT_BYTES + 24 * n_digits) * len(starts) * max(topology.sizes)
    check_memory("path_counts", n_bytes, lower="the number of nodes")
    digits = [np.zeros((topology.sizes[0], len(starts)), dtype=np.int64)]
    digits[0][starts, np.arange(len(starts))] = 1
    for layer in topology:
        into = layer.to_scipy().T.tocsr()
        digits = _carried([into @ digit for digit in digits], n_bits)
    counts = digits.pop().T.astype(object)
    while digits:
        counts = (counts << n_bits) + digits.pop().T
    return counts


def _carried(digits: list[np.ndarray], n_bits: int) -> list[np.ndarray]:
    """The same numbers with every digit below 2^n_bits, least significant first."""
    carry = 0
    reduced = []
    for digit in digits:
        total = digit + carry
        carry = total >> n_bits
        reduced.append(total & ((1 << n_bits) - 1))
    return [*reduced, carry] if carry.any() else reduced


def _meet(topology: Topology, u: int, v: int) -> int:
    """Counts out of u and counts into v, the smaller frontier stepping first, until they share a layer of nodes."""
    ahead = (np.array([u]), np.array([1], dtype=object))
    behind = (np.array([v]), np.array([1], dtype=object))
    first, last = 0, len(topology)
    while first < last:
        if len(ahead[0]) <= len(behind[0]):
            ahead = _spread(*topology[first].edges_from(ahead[0]), ahead[1])
            first += 1
        else:
            last -= 1
            behind = _spread(*topology[last].edges_into(behind[0]), behind[1])
    _, i, j = np.intersect1d(ahead[0], behind[0], assume_unique=True, return_indices=True)
    return sum((ahead[1][i] * behind[1][j]).tolist())


def _spread(positions: np.ndarray, nodes: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct nodes that the edges lead to, and the sum of the counts that arrive at each."""
    order = np.argsort(nodes, kind="stable")
    distinct, first = np.unique(nodes[order], return_index=True)
    if not len(distinct):
        return distinct, np.zeros(0, dtype=object)
    return distinct, np.add.reduceat(counts[positions[order]], first)
