"""Claims of notebook 01: RadiX-Net."""

import numpy as np
import torch

from nbkit.claims import claim
from nbkit.errors import NbkitError
from nbkit.measure import cone_sizes, is_path_connected, is_symmetric, path_counts
from nbkit.topology import (
    CirculantLayer,
    Layer,
    Topology,
    admitted_degrees,
    digits,
    evaluate_fnn,
    label,
    mixed_radix,
    radix_net,
)

__all__ = []


def _distinct_counts(topology: Topology) -> str:
    return ", ".join(str(count) for count in sorted(set(path_counts(topology).ravel().tolist())))


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="section II",
    statement="digits write every label of the system (3, 3, 4) exactly once",
    theirs="36 of 36",
)
def digits_are_a_bijection() -> str:
    back = [label(digits(number, (3, 3, 4)), (3, 3, 4)) for number in range(36)]
    return f"{sum(a == b for a, b in enumerate(back))} of 36"


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="section II",
    statement="a matrix that makes no topology: one with a zero ...",
    theirs="column",
    ours="row",
    correction="A zero row is a neuron that feeds nobody, which the definition excludes; a zero column is one that "
    "nobody feeds, which it allows.",
)
def zero_rows() -> str:
    refused = []
    for name, matrix in (("column", [[1, 0], [1, 0]]), ("row", [[1, 1], [0, 0]])):
        try:
            Layer.from_biadjacency(matrix)
        except NbkitError:
            refused.append(name)
    return ", ".join(refused)


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="section II",
    statement="the power of the adjacency matrix is zero but for one block of equal entries, for (2, 3), (6): the entries",
    theirs="0, 6",
    correction="The displayed block matrix has the right shape only when the first and the last layer are equally "
    "large; the statement about the top right block always holds.",
)
def adjacency_power() -> str:
    topology = radix_net([(2, 3), (6,)])
    ends = np.cumsum([0, *topology.sizes])
    adjacency = np.zeros((ends[-1], ends[-1]), dtype=np.int64)
    for i, layer in enumerate(topology):
        adjacency[ends[i] : ends[i + 1], ends[i + 1] : ends[i + 2]] = layer.biadjacency().numpy()
    power = np.linalg.matrix_power(adjacency, len(topology))
    return ", ".join(map(str, np.unique(power)))


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="equations (1), (2)",
    statement="node 0 of 7 with radix 3 feeds, by the sum of powers of the printed matrix P",
    theirs="0, 5, 6",
    ours="0, 1, 2",
    correction="With rows that feed columns the powers must be those of the transpose of P; the printed ones negate "
    "every label, which changes no count.",
)
def direction_of_the_shift() -> str:
    return ", ".join(map(str, CirculantLayer(7, range(3)).successors(0)))


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="equation (4)",
    statement="density of ((2, 3), (3, 2), (3)) with D = (1, 2, 3, 1, 2, 1), by the formula and by counting edges",
    theirs="41/90",
)
def exact_density() -> str:
    widths, radices = (1, 2, 3, 1, 2, 1), (2, 3, 3, 2, 3)
    products = [a * b for a, b in zip(widths, widths[1:])]
    net = radix_net([(2, 3), (3, 2), (3,)], widths)
    numerator = sum(radix * product for radix, product in zip(radices, products))
    assert net.density_fraction * 6 * sum(products) == numerator
    return str(net.density_fraction)


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="equation (5)",
    statement="density of (2, 8) with D = (100, 1, 1) by the approximation μ/N′",
    theirs="0.3125",
    ours="0.1287",
    correction="Exact only when the radices, or the products of neighbouring widths, are equal; uneven ones together "
    "put it off by a factor of 2.4 here.",
)
def approximate_density() -> str:
    return f"{radix_net([(2, 8)], [100, 1, 1]).density:.4g}"


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="equation (6), Fig. 7",
    statement="density μ^(1−d) at (μ, d) = (2, 3), (2, 10), (3, 4), (10, 2)",
    theirs="0.25, 0.00195, 0.037, 0.1",
)
def density_of_equal_radices() -> str:
    return ", ".join(f"{mixed_radix((mu,) * d).density:.3g}" for mu, d in ((2, 3), (2, 10), (3, 4), (10, 2)))


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="Lemma 1",
    statement="in the mixed-radix topology (3, 3, 4) every input reaches every output by the same number of paths",
    theirs="1",
)
def lemma_1() -> str:
    return _distinct_counts(mixed_radix((3, 3, 4)))


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="Lemma 2",
    statement="paths between an input and an output of the extended mixed-radix topology ((2, 2), (2))",
    theirs="4",
    ours="2",
    correction="The lemma allows a last system that is not full and then needs the same correction as Theorem 1.",
)
def lemma_2() -> str:
    return _distinct_counts(radix_net([(2, 2), (2,)]))


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="Theorem 1",
    statement="paths between an input and an output of the RadiX-Net ((2, 2), (4), (2))",
    theirs="16",
    ours="8",
    correction="With M ≥ 2 systems the number is N′^(M−2) · N″ · ΠD over the inner widths, where N″ is the last "
    "system's product: the printed N′^(M−1) · ΠD holds only when the last system is full, N″ = N′.",
)
def theorem_1() -> str:
    return _distinct_counts(radix_net([(2, 2), (4,), (2,)]))


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="Theorem 1",
    statement="symmetric, so path-connected: RadiX-Nets of two systems or more, here eight with widths",
    theirs="8 of 8",
)
def symmetry() -> str:
    lasts = [(2,), (3,), (2, 2), (2, 3), (4,), (6,), (3, 2, 2), (12,)]
    nets = [radix_net([(2, 2, 3), last], [1, 2, 1, 3] + [1] * len(last)) for last in lasts]
    return f"{sum(is_symmetric(net) and is_path_connected(net) for net in nets)} of {len(nets)}"


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="section III.A",
    statement="labels that an input reaches when the only system (2, 2) has a product that properly divides n = 8",
    theirs="8",
    ours="4",
    correction="The constraints are empty for one system and would allow it; one system must be full to be "
    "path-connected.",
)
def one_system_that_is_not_full() -> str:
    return str(cone_sizes(mixed_radix((2, 2), n=8), 0)[-1])


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="sections I, IV",
    statement="layer shapes up to 24 x 24 with a sparse layer: more for RadiX-Nets than for explicit X-Nets",
    theirs="more",
)
def diversity() -> str:
    sizes = range(1, 25)
    n_shapes = {
        family: sum(any(d < b for d in admitted_degrees(family, a, b)) for a in sizes for b in sizes)
        for family in ("radix", "cayley")
    }
    return "more" if n_shapes["radix"] > n_shapes["cayley"] else "fewer"


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="section IV.B",
    statement="the conjecture on the rate of approximation by sparse symmetric topologies",
    theirs="O(N^−p)",
    ours="unbounded",
    reason="Vacuous as written: outputs under a bounded activation stay in (0, 1), so the largest error over all "
    "continuous functions is infinite for every N.",
)
def conjecture() -> str:
    # The constant function c is missed by at least c − 1, whatever the weights, for every c.
    net, generator = mixed_radix((2, 2)), torch.Generator().manual_seed(0)
    weights = [100 * torch.randn(layer.n_edges, generator=generator) for layer in net]
    biases = [100 * torch.randn(layer.n_out, generator=generator) for layer in net]
    outputs = evaluate_fnn(net, torch.rand(64, 4, generator=generator), weights, biases)
    errors = {c: float((outputs - c).abs().max()) for c in (10.0, 100.0, 1000.0)}
    return "unbounded" if all(error >= c - 1 for c, error in errors.items()) else "bounded"
