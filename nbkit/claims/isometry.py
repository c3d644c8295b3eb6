"""Claims of notebook 05 about the construction: orthogonal weights on sparse masks, the network they are tried on."""

import itertools
from functools import partial

import numpy as np

from nbkit.claims import claim
from nbkit.topology import biregular
from nbkit.weights import looks_linear_block, orthogonal

__all__ = []

_N = 256
_FNN = (1024, 512, 256, 256, 10)  # Table 1
_RATES = {60: 1e-2, 200: 1e-3, 400: 1e-3, 600: 1e-4, 800: 1e-4, 1000: 1e-4}  # Table 2
_claim = partial(claim, notebook="05", paper="SAO")


@_claim(
    place="section III-C",
    statement="the Jacobian of a fully connected layer x -> W x is",
    theirs="Wᵀ",
    ours="W",
    correction="By its own equations (1) and (3) it is W. The transpose carries gradients back; the singular values of "
    "both are equal.",
)
def jacobian_of_a_layer() -> str:
    weights = np.random.default_rng(0).standard_normal((3, 5))
    steps = [(weights @ (1e-3 * e) - weights @ (-1e-3 * e)) / 2e-3 for e in np.eye(5)]
    jacobian = np.stack(steps, axis=1)  # column j: how the outputs answer to input j
    return "W" if jacobian.shape == (3, 5) and np.allclose(jacobian, weights) else "Wᵀ"


@_claim(
    place="equation (3)",
    statement="order of the factors D W of the layers in the Jacobian, from left to right",
    theirs="1, 2, ..., L",
    ours="L, ..., 2, 1",
    correction="The layer at the input acts first and stands on the right. Where widths differ the printed product "
    "does not even chain.",
)
def order_of_the_factors() -> str:
    first, second = np.random.default_rng(0).standard_normal((2, 4, 4))
    x, step = np.linspace(-1, 1, 4), 1e-6
    ends = [[np.tanh(second @ np.tanh(first @ (x + sign * e))) for e in step * np.eye(4)] for sign in (1, -1)]
    jacobian = np.subtract(*ends).T / (2 * step)
    h = first @ x
    near = (1 - np.tanh(h) ** 2)[:, None] * first
    far = (1 - np.tanh(second @ np.tanh(h)) ** 2)[:, None] * second
    return "L, ..., 2, 1" if np.allclose(jacobian, far @ near) else "1, 2, ..., L"


@_claim(
    place="section IV-C",
    statement="min(m, n) / r sets of r orthogonal vectors as long as the degree: 256 x 256, d = 4; from 8 to 12, c = 3",
    theirs="64 of 4 of length 4; 4 of 2 of length 3",
)
def sets_of_vectors() -> str:
    told = []
    for n_in, n_out, degree in ((_N, _N, 4), (8, 12, 3)):
        weights = orthogonal(biregular(n_in, n_out, degree)).numpy()
        places = [tuple(np.flatnonzero(column)) for column in weights.T]
        [length], [members] = {len(rows) for rows in places}, {places.count(rows) for rows in places}
        told.append(f"{len(set(places))} of {members} of length {length}")
    return "; ".join(told)


@_claim(
    place="section IV-C",
    statement="what the construction makes orthonormal, from 8 to 12 neurons and from 12 to 8",
    theirs="rows, rows",
    ours="columns, rows",
    correction="Twelve rows in eight dimensions cannot be orthogonal. The rows are where m <= n, the columns where m >= "
    "n.",
)
def rows_or_columns() -> str:
    told = []
    for shape in ((8, 12), (12, 8)):
        weights = orthogonal(biregular(*shape, 3)).numpy()
        grams = {"rows": weights @ weights.T, "columns": weights.T @ weights}
        told += [name for name, gram in grams.items() if np.allclose(gram, np.eye(len(gram)))]
    return ", ".join(told)


@_claim(
    place="section IV-C",
    statement="the construction makes an orthogonal matrix of a square mask: S Sᵀ and Sᵀ S for d = 2, 4, 8",
    theirs="the identity",
)
def square_masks() -> str:
    weights = [orthogonal(biregular(_N, _N, degree)).numpy() for degree in (2, 4, 8)]
    errors = [np.abs(gram - np.eye(_N)).max() for s in weights for gram in (s @ s.T, s.T @ s)]
    return "the identity" if max(errors) < 1e-12 else f"off by {max(errors):.1g}"


@_claim(
    place="equation (5)",
    statement="shape of H0 for a layer from 8 to 12 neurons, if weights are (n_out, n_in)",
    theirs="4 x 6",
    ours="6 x 4",
    correction="The text has N(l-1)/2 x N(l)/2, the transpose of what its own W of section III-A asks for.",
)
def shape_of_half() -> str:
    fitting = [shape for shape in ((4, 6), (6, 4)) if looks_linear_block(np.ones(shape)).shape == (12, 8)]
    return " or ".join("{} x {}".format(*shape) for shape in fitting)


@_claim(
    place="section IV-C, Table 1",
    statement="density c/m = d/n of the FNN's layers at d = 4: 1024 to 512, 512 to 256, 256 to 256",
    theirs="1/256, 1/128, 1/64",
)
def density_of_the_layers() -> str:
    masks = [biregular(*shape, 4).mask().numpy() for shape in itertools.pairwise(_FNN[:4])]
    return ", ".join(f"1/{mask.size // mask.sum()}" for mask in masks)


@_claim(
    place="Table 1, Table 7",
    statement="which layers of the FNN are sparse at d = 4",
    theirs="not said",
    ours="all but 256 to 10",
    addition="By the rule of section IV-A the output layer admits d = 128 and 256 only; here it stays dense.",
)
def layers_that_admit_four() -> str:
    # the rule: d divides the larger side, and the larger side divides d times the smaller
    sizes = list(itertools.pairwise(_FNN))
    refused = [pair for pair in sizes if max(pair) % 4 or (4 * min(pair)) % max(pair)]
    assert [d for d in range(1, 257) if 256 % d == 0 and (10 * d) % 256 == 0] == [128, 256]
    return "all but " + ", ".join(f"{n_in} to {n_out}" for n_in, n_out in refused)


@_claim(
    place="conclusion, Table 1",
    statement="sparsity of the whole FNN with N = 1000 and d = 4, its output layer dense",
    theirs="98.4 %",
)
def sparsity_of_the_network() -> str:
    repeats = (1, 1, 999, 1)
    sizes = [n_in * n_out for n_in, n_out in itertools.pairwise(_FNN)]
    kept = [min(4 * n_out, size) for n_out, size in zip(_FNN[1:4], sizes)] + [sizes[-1]]
    share = sum(a * b for a, b in zip(repeats, kept)) / sum(a * b for a, b in zip(repeats, sizes))
    return f"{100 * (1 - share):.1f} %"


@_claim(
    place="Table 2",
    statement="the shallowest network that was trained",
    theirs="N = 50",
    ours="N = 60",
    correction="The text says 50, three times; the table of learning rates begins at 60.",
)
def shallowest_network() -> str:
    return f"N = {min(_RATES)}"
