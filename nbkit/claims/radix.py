"""Claims of notebook 01: RadiX-Net."""

import math
from fractions import Fraction
from functools import reduce

import numpy as np
import torch

from nbkit.claims import claim
from nbkit.errors import NbkitError
from nbkit.topology import (
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


def _product(topology: Topology) -> np.ndarray:
    """The path counts by multiplying the layers' matrices, so that no closed form speaks for itself."""
    return reduce(np.matmul, (layer.biadjacency().numpy().astype(np.int64) for layer in topology))


def _distinct_counts(topology: Topology) -> str:
    return _entries(_product(topology))


def _entries(counts: np.ndarray) -> str:
    return ", ".join(map(str, np.unique(counts)))


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
)
def adjacency_power() -> str:
    topology = radix_net([(2, 3), (6,)])
    ends = np.cumsum([0, *topology.sizes])
    adjacency = np.zeros((ends[-1], ends[-1]), dtype=np.int64)
    for i, layer in enumerate(topology):
        adjacency[ends[i] : ends[i + 1], ends[i + 1] : ends[i + 2]] = layer.biadjacency().numpy()
    power = np.linalg.matrix_power(adjacency, len(topology))
    outside = power.copy()
    outside[: ends[1], ends[-2] :] = 0
    return f"{outside.max()}, {_entries(power[: ends[1], ends[-2] :])}"


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="equations (1), (2)",
    statement="the printed sum of powers of P gives the edges that the definition gives node 0 of 7, radix 3",
    theirs="{0, 1, 2}",
    ours="{0, 5, 6}",
    correction="With rows that feed columns the powers must be those of the transpose of P; the printed ones negate "
    "every label, which changes no count.",
)
def direction_of_the_shift() -> str:
    printed = np.eye(7, dtype=np.int64)[[6, 0, 1, 2, 3, 4, 5]]  # first row (0, ..., 0, 1), the identity below it
    total = sum(np.linalg.matrix_power(printed, power) for power in range(3))
    return "{" + ", ".join(map(str, np.flatnonzero(total[0]))) + "}"


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
    formula = Fraction(sum(radix * product for radix, product in zip(radices, products)), 6 * sum(products))
    layers = [layer.biadjacency() for layer in radix_net([(2, 3), (3, 2), (3,)], widths)]
    counted = Fraction(sum(int(layer.sum()) for layer in layers), sum(layer.numel() for layer in layers))
    return f"{formula.numerator}/{formula.denominator}" if formula == counted else f"{formula}, {counted}"


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="equation (5)",
    statement="radices without variance: the density of (4, 4) with D = (100, 1, 1) is μ/N′",
    theirs="0.25",
)
def approximate_density() -> str:
    return f"{radix_net([(4, 4)], [100, 1, 1]).density:.4g}"


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="equations (5), (6)",
    statement="(6) is written when d = log N′ / log μ is about an integer; it equals (5) for (tried: d = 5.28)",
    theirs="an integer d",
    ours="any d",
    correction="The two are one and the same number, μ^(1−d) = μ/N′; both are off where uneven "
    "radices meet uneven widths, by a factor 2.4 for (2, 8) with D = (100, 1, 1).",
)
def one_approximation() -> str:
    mu, labels = 3.7, 1000
    return "any d" if math.isclose(mu ** (1 - math.log(labels, mu)), mu / labels) else "an integer d"


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
    return f"{sum(len(np.unique(_product(net))) == 1 and _product(net).min() > 0 for net in nets)} of {len(nets)}"


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
    return str(np.count_nonzero(_product(mixed_radix((2, 2), n=8))[0]))


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="sections I, IV",
    statement="layer shapes up to 24 x 24 with a sparse layer: more for RadiX-Nets than for explicit X-Nets",
    theirs="more",
)
def diversity_of_shapes() -> str:
    radix, cayley = (len({pair[:2] for pair in _sparse_layers(family)}) for family in ("radix", "cayley"))
    return "more" if radix > cayley else "fewer"


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="sections I, IV",
    statement="layers up to 24 x 24 that differ in shape or density: more for RadiX-Nets than for explicit X-Nets",
    theirs="more",
    ours="fewer",
    correction="A Cayley layer admits every degree on its square, so counted with densities explicit X-Nets are the "
    "larger family; what RadiX-Nets add is shapes that are not square. Random X-Linear layers admit everything.",
)
def diversity_of_shapes_and_densities() -> str:
    radix, cayley = (len(_sparse_layers(family)) for family in ("radix", "cayley"))
    return "more" if radix > cayley else "fewer"


def _sparse_layers(family: str) -> list[tuple[int, int, int]]:
    """(n_in, n_out, degree) of every layer up to 24 x 24 that the family admits and that is not dense."""
    sizes = range(1, 25)
    return [(a, b, degree) for a in sizes for b in sizes for degree in admitted_degrees(family, a, b) if degree < b]


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
