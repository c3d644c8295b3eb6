"""Random topologies of every family and mixture, and the dense oracle: Python integers in numpy's object matrices."""

import math

import numpy as np
from hypothesis import strategies as st

from nbkit.topology import (
    CirculantLayer,
    Layer,
    Topology,
    XorLayer,
    biregular,
    kronecker,
    mixed_radix,
    radix_net,
    random_expander,
)

BRAIN_NODES = 2**36
BRAIN = mixed_radix((64,) * 6)
ONES = st.integers(1, 3)


def dense(layer: Layer) -> np.ndarray:
    """The biadjacency as Python integers."""
    return layer.biadjacency().numpy().astype(int).astype(object)


def dense_paths(topology: Topology) -> np.ndarray:
    """W_1 W_2 ... W_L in Python integers."""
    product = dense(topology[0])
    for layer in topology.layers[1:]:
        product = product.dot(dense(layer))
    return product


def cascade(make, depth: int) -> Topology:
    """make(seed) for each of `depth` layers."""
    return Topology([make(seed) for seed in range(depth)])


@st.composite
def radix_systems(draw) -> list[list[int]]:
    """Systems that the RadiX constraints admit; the last product may be a proper divisor, also of a single system's n."""
    radices = draw(st.lists(st.integers(2, 4), min_size=1, max_size=3).filter(lambda r: math.prod(r) <= 24))
    n = math.prod(radices)
    systems = [draw(st.permutations(radices)) for _ in range(draw(st.integers(0, 2)))] + [radices]
    last = draw(st.sampled_from([[d] for d in range(2, n + 1) if n % d == 0] + [radices]))
    return systems + [last]


@st.composite
def radix_nets(draw) -> Topology:
    systems = draw(radix_systems())
    n_widths = sum(map(len, systems)) + 1
    return radix_net(systems, draw(st.lists(ONES, min_size=n_widths, max_size=n_widths)))


@st.composite
def cayley_cascades(draw) -> Topology:
    """Layers of one group with different generators, some of them widened."""
    kind, n = draw(st.sampled_from([(CirculantLayer, 9), (CirculantLayer, 12), (XorLayer, 8), (XorLayer, 16)]))
    sets = draw(st.lists(st.sets(st.integers(0, n - 1), min_size=1, max_size=4), min_size=1, max_size=4))
    widths = draw(st.lists(st.integers(1, 2), min_size=len(sets) + 1, max_size=len(sets) + 1))
    return Topology([kind(n, tuple(chosen)) for chosen in sets]).kron(widths)


@st.composite
def layers_from(draw, n_in: int) -> Layer:
    """A layer of a random family that begins with n_in nodes; dead nodes are possible."""
    seed, n_out = draw(st.integers(0, 99)), draw(st.integers(1, 12))
    family = draw(st.sampled_from(["out", "in", "matrix", "cyclic", "sao", "widened", "binary"]))
    if family == "matrix":
        matrix = np.random.default_rng(seed).random((n_in, n_out)) < 0.3
        return Layer.from_biadjacency(matrix, allow_dead_inputs=True)
    if family in ("out", "in"):
        degree = draw(st.integers(1, min(3, n_out if family == "out" else n_in)))
        return random_expander(n_in, n_out, degree, regular=family, seed=seed)
    if family == "sao":
        blocks = draw(st.sampled_from([b for b in range(1, n_in + 1) if n_in % b == 0]))
        n_out = blocks * draw(st.integers(1, 3))
        return biregular(n_in, n_out, max(n_in, n_out) // blocks, seed=seed)
    if family == "binary" and n_in & (n_in - 1) == 0:
        return XorLayer(n_in, tuple(draw(st.sets(st.integers(0, n_in - 1), min_size=1, max_size=3))))
    n = n_in if family == "cyclic" else draw(st.sampled_from([b for b in range(1, n_in + 1) if n_in % b == 0]))
    base = CirculantLayer(n, tuple(draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=3))))
    return kronecker(base, n_in // n, draw(ONES))


@st.composite
def mixtures(draw) -> Topology:
    """Layers of any families, one behind the other."""
    layers = [draw(layers_from(draw(st.integers(1, 12))))]
    while len(layers) < 4 and layers[-1].n_out <= 30 and draw(st.booleans()):
        layers.append(draw(layers_from(layers[-1].n_out)))
    return Topology(layers)


@st.composite
def topologies(draw) -> Topology:
    """Any of these, or a part of one."""
    topology = draw(st.one_of(radix_nets(), cayley_cascades(), mixtures()))
    first = draw(st.integers(0, len(topology) - 1))
    return topology[first : draw(st.integers(first + 1, len(topology)))]
