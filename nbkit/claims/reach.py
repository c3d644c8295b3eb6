"""Claims of notebook 02: masks, spectra and reachability of sparsity-aware orthogonal initialisation."""

import math
from functools import partial, reduce

import numpy as np

from nbkit.claims import claim
from nbkit.device import spawn_generators
from nbkit.measure import (
    adjacency_spectrum,
    multiplicities,
    n_components,
    path_counts,
    reach_fractions,
    reachability,
    spectral_gap,
)
from nbkit.topology import (
    CirculantLayer,
    Layer,
    Topology,
    admitted_degrees,
    biregular,
    dense_layer,
    magnitude_pruned,
)

__all__ = []

_N, _DEEP = 256, 16
_claim = partial(claim, notebook="02", paper="SAO")


def _cascade(degree: int, depth: int, placement: str = "random") -> Topology:
    seeds = spawn_generators(0, depth)
    return Topology([biregular(_N, _N, degree, placement=placement, seed=seed) for seed in seeds])


def _layers_until_full(topology: Topology) -> int:
    return 1 + int((reach_fractions(topology) < 1).sum())


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.3g} %"


@_claim(
    place="section IV",
    statement="d is the number of connections that leave each neuron; in the layer from 8 to 12 neurons with c = 3",
    theirs="d = 2",
    ours="c = 3",
    correction="What leaves an input is c (3 here), what arrives at an output is d (2 here), as section IV-A defines "
    "them; the two agree only in square layers.",
)
def edges_that_leave() -> str:
    [degree] = set(biregular(8, 12, 3).out_degrees().tolist())
    return f"c = {degree}"


@_claim(
    place="section IV-A",
    statement="for m > n the copies of M1 are concatenated along the",
    theirs="vertical axis",
    ours="horizontal axis",
    correction="M1 has all m rows and too few columns: its copies stand side by side. For m < n they are stacked; the "
    "text has the two words swapped.",
)
def axis_of_the_copies() -> str:
    mask = biregular(8, 12, 3).mask().numpy()
    beside = np.array_equal(mask[:, :4], mask[:, 4:])
    return "horizontal axis" if beside and not np.array_equal(mask[:6], mask[6:]) else "vertical axis"


@_claim(
    place="Fig. 9, conclusion",
    statement="sparsity of a 256 x 256 layer with d = 2, with d = 4",
    theirs="99.2 %, 98.4 %",
)
def sparsity() -> str:
    return ", ".join(_percent(1 - biregular(_N, _N, degree).density) for degree in (2, 4))


@_claim(
    place="section V-A",
    statement="exchanging rows and columns makes the mask block diagonal with blocks of ones, for 256 x 256 and d = 4",
    theirs="64 blocks of 4 x 4",
)
def blocks() -> str:
    layer = biregular(_N, _N, 4)
    wires = layer.biadjacency().numpy().astype(int)
    shared = wires @ wires.T  # outputs that two inputs have in common: none, or in complete blocks all
    [n_outputs] = set(wires.sum(axis=1))
    [n_inputs] = set((shared > 0).sum(axis=1))
    complete = set(shared.ravel()) == {0, n_outputs}
    return f"{n_components(layer)} {'' if complete else 'incomplete '}blocks of {n_inputs} x {n_outputs}"


@_claim(
    place="Fig. 7",
    statement="distinct eigenvalues of the d-regular layers with 128, 256, 512 and 1024 neurons, d = 4",
    theirs="4, 0, -4",
)
def eigenvalues() -> str:
    spectra = [adjacency_spectrum(biregular(n, n, 4)) for n in (128, 256, 512, 1024)]
    seen = {tuple(round(value) for value, _ in multiplicities(spectrum)) for spectrum in spectra}
    return " / ".join(", ".join(map(str, values)) for values in seen)


@_claim(
    place="section V-A",
    statement="second largest eigenvalue of a 256 x 256 layer with d = 4",
    theirs="0",
    ours="4",
    correction="Counted with multiplicity, as expansion needs, it equals the largest, once for each of the 64 components; "
    "0 is the second distinct value. It is 0 only for one block, the dense layer.",
)
def second_eigenvalue() -> str:
    return f"{spectral_gap(biregular(_N, _N, 4)).second:.3g}"


@_claim(
    place="section V-A",
    statement="of d = 2, 4, 8 the mask meets the Ramanujan inequality for",
    theirs="d = 2, 4, 8",
    ours="d = 2",
    correction="sqrt(cd) <= sqrt(c-1) + sqrt(d-1) holds only for c = d = 2. Each component is complete bipartite and so "
    "trivially Ramanujan; the layer as a whole has no gap. Reach comes from the cascade.",
)
def ramanujan_degrees() -> str:
    gaps = {degree: spectral_gap(biregular(_N, _N, degree)) for degree in (2, 4, 8)}
    return "d = " + ", ".join(str(degree) for degree, gap in gaps.items() if gap.second <= gap.bound + 1e-9)


@_claim(
    place="section IV-A",
    statement="expanders obey |λ1 - λ2| <= 1 - λ2/d; the complete bipartite graph of degree 4, the best of all,",
    theirs="obeys",
    ours="does not",
    correction="There λ1 = 4 and λ2 = 0, and 4 > 1. An expander has a large gap λ1 - λ2, not a small one.",
)
def expander_condition() -> str:
    gap = spectral_gap(dense_layer(4, 4))
    return "obeys" if gap.gap <= 1 - gap.second / 4 else "does not"


@_claim(
    place="section V-A",
    statement="a Ramanujan expander has λ2 <= 2 sqrt(λ1 - 1), in a layer with c = 8, d = 2 at most",
    theirs="3.46",
    ours="3.65",
    correction="That is the bound of square layers. For unequal degrees it is sqrt(c-1) + sqrt(d-1), as section IV-A has it.",
)
def bound_of_unequal_degrees() -> str:
    return f"{spectral_gap(biregular(8, 32, 8)).bound:.3g}"


@_claim(
    place="section V-D",
    statement="convolutional layers are compliant with the Ramanujan property: 3 x 3, one channel, circular, on n x n pixels, "
    "n = 5, 6, 16",
    theirs="n = 5, 6, 16",
    ours="n = 5",
    correction="The second singular value is 3 (1 + 2 cos(2π/n)); from n = 6 on it exceeds 2 sqrt(8).",
)
def convolutions() -> str:
    kept = []
    for n in (5, 6, 16):
        line = CirculantLayer(n, (0, 1, n - 1)).biadjacency().numpy()
        if spectral_gap(Layer.from_biadjacency(np.kron(line, line))).is_ramanujan:
            kept.append(n)
    return "n = " + ", ".join(map(str, kept))


@_claim(
    place="Fig. 3",
    statement="pairs that two 2-regular layers with 4 neurons join",
    theirs="16 of 16",
)
def two_layers_of_four() -> str:
    layer = biregular(4, 4, 2, placement="shift")
    return f"{int(reachability(Topology([layer, layer])).sum())} of 16"


@_claim(
    place="section IV-B",
    statement="the pairs that are joined are the entries that are not 0 in the product of the masks over; five layers, "
    "n = 256, d = 4, shift and random",
    theirs="F2",
    ours="or/and: 100 %, 98.5 %; F2: 0 %, 49.9 %",
    correction="Modulo 2 every pair with an even number of paths is lost. Reach needs the boolean semiring: or for plus, "
    "and for times. A picture that is full, as Fig. 8 is at N = 5, cannot have been computed in F2 from either.",
)
def boolean_product() -> str:
    cascades = [_cascade(4, 5, placement) for placement in ("shift", "random")]
    joined = [float(reachability(topology).double().mean()) for topology in cascades]
    products = [reduce(np.matmul, (layer.biadjacency().numpy().astype(int) for layer in t)) for t in cascades]
    odd = [float((product % 2).mean()) for product in products]
    return f"or/and: {', '.join(map(_percent, joined))}; F2: {', '.join(map(_percent, odd))}"


@_claim(
    place="section IV-B",
    statement="shape of the reachability matrix from layer i to layer j, for the sizes 8, 12, 16",
    theirs="12 x 8",
    ours="8 x 16",
    correction="The product of the transposed masks has the inputs of the first layer as rows and the outputs of the last "
    "as columns, not the shape m_i x n_i of the first mask.",
)
def shape_of_reach() -> str:
    return "{} x {}".format(*reachability(Topology([biregular(8, 12, 3), biregular(12, 16, 4)])).shape)


@_claim(
    place="Fig. 8",
    statement="number of layers until every input reaches every output, n = 256, if d = 4",
    theirs="5",
    ours="shift 4, random 6, aligned never",
    correction="The paper gives neither degree nor placement. It leaves open to which block an output belongs, and that decides: random placement just misses at "
    "5 (98 %), shift is full at 4, aligned never mixes.",
)
def layers_until_full() -> str:
    depths = {
        placement: _layers_until_full(_cascade(4, _DEEP, placement)) for placement in ("shift", "random", "aligned")
    }
    return ", ".join(f"{name} {depth if depth <= _DEEP else 'never'}" for name, depth in depths.items())


@_claim(
    place="Fig. 8",
    statement="the same if d = 2: fewest layers that any placement needs",
    theirs="5",
    ours="8",
    correction="After L layers an input reaches at most d^L outputs: 2^5 = 32 of 256. The bound ⌈log_d n⌉ = 8 is attained "
    "by shift.",
)
def layers_at_degree_two() -> str:
    fewest, reached = _layers_until_full(_cascade(2, _DEEP, "shift")), math.ceil(math.log2(_N))
    return str(fewest) if fewest == reached else f"{fewest}, bound {reached}"


@_claim(
    place="section V-C",
    statement="d-regular layers give all inputs a path to all outputs: reach of 16 aligned layers, n = 256, d = 4",
    theirs="100 %",
    ours="1.56 %",
    correction="Regular layers give no such thing by themselves: where the blocks of all layers coincide, reach stays d/n.",
)
def aligned_reach() -> str:
    return _percent(float(reach_fractions(_cascade(4, _DEEP, "aligned"))[-1]))


@_claim(
    place="Fig. 8",
    statement="in a layer's picture the second half is identical to the first, for r = 2, r = 4 copies, n = 256; r = 3, n = 255",
    theirs="identical",
    ours="identical, identical, different",
    correction="The picture is a stack of r equal copies, which has equal halves where r is even.",
)
def identical_halves() -> str:
    layers = [biregular(n, n, degree).biadjacency() for n, degree in ((256, 2), (256, 4), (255, 3))]
    halves = [(wires[: len(wires) // 2], wires[(len(wires) + 1) // 2 :]) for wires in layers]
    return ", ".join("identical" if bool((first == second).all()) else "different" for first, second in halves)


@_claim(
    place="Fig. 8, caption",
    statement="value of a pixel where a path is there, where none is, and what the input nodes are",
    theirs="0, 0, columns",
    ours="1, 0, rows",
    correction="The caption prints 0 for presence and for absence, and swaps rows and columns; section V-A has both right.",
)
def caption() -> str:
    topology = Topology([biregular(8, 12, 3), biregular(12, 16, 4)])
    reach, counts = reachability(topology).int().numpy(), path_counts(topology)
    [[there], [missing]] = set(reach[counts > 0]), set(reach[counts == 0])
    return f"{there}, {missing}, {'rows' if reach.shape[0] == topology.sizes[0] else 'columns'}"


@_claim(
    place="section V-A",
    statement="dead neurons in 16 regular layers, n = 256, d = 4",
    theirs="0",
)
def dead_neurons() -> int:
    return sum(int((layer.out_degrees() == 0).sum() + (layer.in_degrees() == 0).sum()) for layer in _cascade(4, _DEEP))


@_claim(
    place="Fig. 8",
    statement="at the same density magnitude pruning leaves, after 5 layers and after 16, some pairs",
    theirs="apart",
)
def pruned_reach() -> str:
    weights = [seed.standard_normal((_N, _N)) for seed in spawn_generators(0, _DEEP)]
    reach = reach_fractions(Topology(magnitude_pruned(weights, 4 / _N)))
    return "apart" if float(reach[4]) < 1 and float(reach[-1]) < 1 else "joined"


@_claim(
    place="section II-A",
    statement="RadiX-Net generalises X-Net to unequal sizes: an explicit layer from 8 to 12 neurons is admitted by",
    theirs="RadiX-Net only",
)
def unequal_sizes() -> str:
    admits = {"RadiX-Net": "radix", "X-Net": "cayley"}
    return " and ".join(name for name, family in admits.items() if admitted_degrees(family, 8, 12)) + " only"
