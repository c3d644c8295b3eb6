"""One layer of every kind, most of them not square, and random ones, for the tests of what all layers promise."""

import numpy as np
from hypothesis import strategies as st

from nbkit.topology import (
    CirculantLayer,
    EdgeLayer,
    Layer,
    XorLayer,
    biregular,
    dense_layer,
    kronecker,
    magnitude_pruned,
    random_expander,
)

BRAIN_NODES = 2**36
BRAIN_RADICES = (64,) * 6

LAYERS = {
    "listed": EdgeLayer(3, 5, [2, 0, 0, 1], [4, 3, 0, 3]),
    "pruned": magnitude_pruned([np.arange(12.0).reshape(3, 4)], 0.25)[0],
    "random out": random_expander(7, 5, 3, seed=1),
    "random in": random_expander(7, 5, 2, regular="in", seed=1),
    "sao": biregular(8, 12, 3),
    "sao narrowing": biregular(12, 8, 3, placement="shift"),
    "radix": CirculantLayer(12, range(0, 8, 2)),
    "cyclic": CirculantLayer(12, (1, 4, 10)),
    "cyclic cosets": CirculantLayer(12, (2, 6, 8)),
    "binary": XorLayer(8, (0, 3, 5)),
    "widened radix": kronecker(CirculantLayer(6, range(0, 6, 2)), 2, 3),
    "widened cyclic": kronecker(CirculantLayer(6, (1, 2, 5)), 3, 1),
    "widened binary": kronecker(XorLayer(4, (1, 2)), 1, 2),
    "widened listed": kronecker(EdgeLayer(2, 3, [0, 1, 1], [2, 0, 1]), 2, 2),
    "dense": dense_layer(3, 4),
    "one wire": dense_layer(1, 1),
}


def matrices(max_size: int = 9) -> st.SearchStrategy[np.ndarray]:
    """Random 0/1 matrices, any shape, dead rows and columns included."""
    shapes = st.tuples(st.integers(1, max_size), st.integers(1, max_size))
    return shapes.flatmap(
        lambda shape: st.lists(st.booleans(), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
            lambda bits: np.array(bits).reshape(shape)
        )
    )


def cayley_layers(max_nodes: int = 24) -> st.SearchStrategy[Layer]:
    """Random circulant and XOR layers."""
    cyclic = st.integers(1, max_nodes).flatmap(
        lambda n: st.sets(st.integers(0, n - 1), min_size=1).map(lambda offsets: CirculantLayer(n, tuple(offsets)))
    )
    binary = st.integers(0, 4).flatmap(
        lambda k: st.sets(st.integers(0, 2**k - 1), min_size=1).map(lambda chosen: XorLayer(2**k, tuple(chosen)))
    )
    return st.one_of(cyclic, binary)
