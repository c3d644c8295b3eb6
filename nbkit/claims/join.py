"""Claims of notebook 11, which joins the papers: what one of them says, tried on what another builds."""

import itertools
import math
from functools import cache, partial

import numpy as np

from nbkit.claims import claim
from nbkit.claims.decay_training import _deep
from nbkit.measure import thresholded
from nbkit.questions import Configuration
from nbkit.questions.measures import measure
from nbkit.results import load_result
from nbkit.topology import biregular, cayley_expander, mixed_radix, radix_net
from nbkit.weights import orthogonal, radix_orthogonal

__all__ = []

_N_DRAWS = 4000
_FUNNEL, _MASKED = (16, 64, 64, 4), (4, 4, 16)  # widths of a radial network, and wires into each node of its sparse one
_claim = partial(claim, notebook="11")


def _mean_square(draw, n_in: int) -> float:
    """The mean of ||relu'(W z) W dz||^2 over draws of W, at one z and one unit dz."""
    generator = np.random.default_rng(0)
    z, dz = generator.standard_normal((2, n_in))
    dz /= np.linalg.norm(dz)
    draws = (draw(generator) for _ in range(_N_DRAWS))
    return float(np.mean([np.sum(((weights @ z > 0) * (weights @ dz)) ** 2) for weights in draws]))


def _gaussian(mask: np.ndarray, variance: float):
    return lambda generator: math.sqrt(variance) * generator.standard_normal(mask.shape) * mask


def _near_one(values: list[float]) -> str:
    return "1" if max(abs(value - 1) for value in values) < 0.04 else ", ".join(f"{value:.2f}" for value in values)


@_claim(
    paper="trajectory growth",
    place="Fig. 3(b)",
    statement="growth of Gaussian weights where σ_w √α = √2, on wires that are no longer random: each layer of RadiX (3, 3, 4), "
    "SAO and X-Net with 36 nodes, root mean square over draws",
    theirs="1",
)
def growth_on_given_wires() -> str:
    layers = [*mixed_radix((3, 3, 4)), biregular(36, 36, 4), cayley_expander(36, (0, 1, 5, 22))]
    masks = [layer.mask().numpy() for layer in layers]
    return _near_one([math.sqrt(_mean_square(_gaussian(mask, 2 / mask[0].sum()), 36)) for mask in masks])


@_claim(
    paper="trajectory growth",
    place="Theorem 2, Remark",
    statement="which wires of a node decide where sizes differ (its k counts outputs): growth of 1 on SAO wires from 8 to 12 "
    "nodes and from 12 to 8, 3 at each node of the narrower side, weights of variance 2 over",
    theirs="the wires out of it",
)
def degree_that_decides() -> str:
    masks = [biregular(*shape, 3).mask().numpy() for shape in ((8, 12), (12, 8))]
    by_axis = {
        name: [math.sqrt(_mean_square(_gaussian(mask, 2 / mask.sum(axis=axis)[0]), mask.shape[1])) for mask in masks]
        for name, axis in (("the wires out of it", 0), ("the wires into it", 1))
    }
    return ", ".join(name for name, values in by_axis.items() if _near_one(values) == "1")


@_claim(
    paper="SAO",
    place="section III, dynamical isometry",
    statement="mean square of a tangent behind a ReLU, of that before the layer: orthogonal weights on SAO wires (64 nodes, "
    "d = 4) and on RadiX wires (D = 2, n = 9, N = 3)",
    theirs="compromised, no number",
    ours="1/2, 1/2",
    addition="It is one half for every even law. A gain of √2 restores the mean, not the isometry.",
)
def orthogonal_behind_relu() -> str:
    wires, layer = biregular(64, 64, 4), radix_net([(3, 3)], widths=[2, 2, 2])[0]

    def signed(generator: np.random.Generator) -> np.ndarray:
        return generator.choice((-1, 1)) * radix_orthogonal(layer, seed=generator).numpy()

    found = _mean_square(lambda generator: orthogonal(wires, seed=generator).numpy(), 64), _mean_square(signed, 18)
    return ", ".join("1/2" if abs(value - 0.5) < 0.02 else f"{value:.3f}" for value in found)


@_claim(
    paper="RadiX-Net",
    place="section III.A",
    statement="layers of the mixed-radix topologies (2, 2, 2) and (3, 3, 4) whose wires can carry orthogonal weights, none of them 0",
    theirs="not asked",
    ours="the last, the last",
    addition="Asked by SAO. In the others two rows share exactly one column, and their product is the product of two weights.",
)
def layers_with_orthogonal_weights() -> str:
    told = []
    for radices in ((2, 2, 2), (3, 3, 4)):
        # by counting: orthogonal rows and columns must share no place, or two and more
        fits = [1 not in _shared_places(layer.mask().numpy()) for layer in mixed_radix(radices)]
        last = np.flatnonzero(fits).tolist() == [len(radices) - 1]
        weights = radix_orthogonal(mixed_radix(radices)[-1]).numpy()
        last = last and np.allclose(weights @ weights.T, np.eye(len(weights)))
        told.append("the last" if last else str(fits))
    return ", ".join(told)


def _shared_places(mask: np.ndarray) -> set[int]:
    """How many places two different rows, or two different columns, have in common."""
    grams = (matrix.astype(int) @ matrix.T.astype(int) for matrix in (mask, mask.T))
    return {int(count) for gram in grams for count in gram[~np.eye(len(gram), dtype=bool)]}


@_claim(
    paper="RadiX-Net",
    place="section III.B, equation (3)",
    statement="the same with dense widths D = 2, N = 3, n = 9: error of S Sᵀ = I, and weights that are 0 on a wire",
    theirs="not asked",
    ours="below 1e-14, 0",
    addition="Asked by SAO. The taps of a paraunitary filter are such weights: dense widths make RadiX-Nets isometric.",
)
def orthogonal_with_dense_widths() -> str:
    layer = radix_net([(3, 3)], widths=[2, 2, 2])[0]
    weights, mask = radix_orthogonal(layer).numpy(), layer.mask().numpy()
    error = max(np.abs(gram - np.eye(18)).max() for gram in (weights @ weights.T, weights.T @ weights))
    assert not weights[~mask].any()
    return f"{'below 1e-14' if error < 1e-14 else f'{error:.1g}'}, {int((weights[mask] == 0).sum())}"


@_claim(
    paper="radial networks",
    place="section 5.2, Example 6",
    statement="parameters of (1, 8, 16, 8, 1) after compression",
    theirs="34",
    ours="24 and ten zeros",
    addition="[b W] of a hidden layer is the R of a QR decomposition, a triangle: before it is trained further, ten of the 34 "
    "are zeros.",
)
def zeros_after_compression() -> str:
    reduced = _compressed(_drawn((1, 8, 16, 8, 1)))
    n_all, n_left = sum(matrix.size for matrix in reduced), sum(map(_n_left, reduced))
    return f"{n_left} and {'ten' if n_all - n_left == 10 else n_all - n_left} zeros"


@_claim(
    paper="radial networks",
    place="section 5.2, Theorem 5",
    statement="weights of a sparse radial network (16, 64, 64, 4) with 576 of 5,376, after compression",
    theirs="not asked",
    ours="650, or 394 without zeros",
    addition="QR fills sparse matrices in. Counted as the paper does, zeros and all, it pays on these widths from a density "
    "of 0.12 on; without the zeros from 0.07 on.",
)
def compressed_sparse_network() -> str:
    masks = [
        biregular(*shape, degree).mask().numpy() for shape, degree in zip(itertools.pairwise(_FUNNEL), (16, 4, 16))
    ]
    assert sum(mask.sum() for mask in masks) == 576
    reduced = [matrix[:, 1:] for matrix in _compressed(_drawn(_FUNNEL, masks))]
    n_all, n_left = sum(matrix.size for matrix in reduced), sum(map(_n_left, reduced))
    assert (round(n_all / 5376, 2), round(n_left / 5376, 2)) == (0.12, 0.07)
    return f"{n_all}, or {n_left} without zeros"


def _drawn(widths: tuple[int, ...], masks: list[np.ndarray] | None = None) -> list[np.ndarray]:
    """[b W] of every layer, normal numbers on the masks."""
    draw = np.random.default_rng(0)
    matrices = [draw.standard_normal((n_out, n_in)) for n_in, n_out in itertools.pairwise(widths)]
    kept = matrices if masks is None else [matrix * mask for matrix, mask in zip(matrices, masks, strict=True)]
    return [np.column_stack([draw.standard_normal(len(matrix)), matrix]) for matrix in kept]


def _compressed(layers: list[np.ndarray]) -> list[np.ndarray]:
    """Algorithm 1 on [b W] of every layer, as the paper writes it."""
    reduced, carried = [], layers[0]
    for layer in layers[1:]:
        q, r = np.linalg.qr(carried, mode="complete")
        n = min(carried.shape)
        reduced.append(r[:n])
        carried = np.column_stack([layer[:, 0], layer[:, 1:] @ q[:, :n]])
    return [*reduced, carried]


def _n_left(matrix: np.ndarray) -> int:
    return int((np.abs(matrix) > 1e-12 * np.abs(matrix).max()).sum())


@cache
def _decayed() -> dict[str, float]:
    """A chain of dense layers, trained under several strengths of weight decay."""
    own = Configuration("weight decay", "trained", width=32, degree=4, depth=3, gain=math.sqrt(2))
    return measure(own, "growth").numbers


@_claim(
    paper="trajectory growth",
    place="App. C.2",
    statement="growth of a layer after training, of σ_w / √2: without weight decay and with λ = 0.001 (three layers of 32)",
    theirs="not the same as in random networks; decay left open",
    ours="1, above 1.5",
    addition="Weight decay takes σ_w away faster than growth: σ_w averages over all directions, of which few are left, and "
    "the line goes along these. σ_w alone does not decide.",
)
def growth_after_decay() -> str:
    n = _decayed()
    free, decayed = (math.sqrt(2) * n[f"factor at {x}"] / n[f"sigma_w at {x}"] for x in ("0", "0.001"))
    told = (
        (f"{free:.0f}" if 0.75 < free < 1.25 else f"{free:.2f}"),
        ("above 1.5" if decayed > 1.5 else f"{decayed:.2f}"),
    )
    return ", ".join(told)


@_claim(
    paper="RBV²",
    place="section 3, Fig. 3",
    statement="what stands above 1e-3 of A⁽²⁾ under (2), K = 64, d₁ = 4, λ = 1e-3, between the neurons that have a wire: the "
    "pairs that are joined; the mask's second singular value over the first, against random masks as full (small networks "
    "of notebook 10, medians of five)",
    theirs="fairly sparse; not asked",
    ours="over half; as random",
    addition="Rows and columns die. Between the neurons that stand the mask is neither sparse nor blocks.",
)
def mask_of_the_penalty() -> str:
    shares, filled = [], []
    for net in _deep()["rbv2"]:
        mask = thresholded(net, between=True)[0].mask().numpy()
        mask = mask[mask.any(axis=1)][:, mask.any(axis=0)]
        draw = np.random.default_rng(0)
        nulls = [_second_share(draw.permuted(mask.ravel()).reshape(mask.shape)) for _ in range(50)]
        shares.append(_second_share(mask) / np.mean(nulls))
        filled.append(mask.mean())
    share, fill = np.median(shares), np.median(filled)
    told = "as random" if 0.7 < share < 1.4 else f"{share:.2f} times random"
    return f"{'over half' if fill > 0.5 else f'{fill:.0%}'}; {told}"


def _second_share(mask: np.ndarray) -> float:
    values = np.linalg.svd(mask.astype(float), compute_uv=False)
    return float(values[1] / values[0])


def _exponents(net: str, against: str) -> tuple[float, float]:
    """The 95 % interval of how much more slowly the largest error of the worst function falls with depth (stored)."""
    rows = load_result("expressive_slopes").columns
    wanted = {"measure": "sup", "over": "worst", "net": net, "against": against}
    [place] = np.flatnonzero(np.all([rows[name] == value for name, value in wanted.items()], axis=0))
    return rows["gap_low"][place], rows["gap_high"][place]


@_claim(
    paper="RadiX-Net",
    place="section IV.B, on functions of Lipschitz constant 1",
    statement="the rate at which the largest error falls with the depth, of best fits that were found: RadiX nets against dense "
    "ones of as many parameters (to a tenth), 95 % interval of the exponents' difference over four seeds",
    theirs="the same",
    ours="holds 0",
    reason="Four seeds do not tell them apart, which does not make them the same: in the root mean square RadiX falls more "
    "slowly, by an exponent of 0.05 to 0.10.",
)
def rate_at_equal_parameters() -> str:
    low, high = _exponents("radix", "narrow")
    return "holds 0" if low < 0 < high else f"apart by {low:.2f} to {high:.2f}"


@_claim(
    paper="RadiX-Net",
    place="section IV.B, on functions of Lipschitz constant 1",
    statement="the same against dense nets of as many neurons",
    theirs="the same",
    ours="slower",
    reason="At equal width sparse nets have fewer parameters to fit with. What training finds bounds the conjecture's infimum "
    "from above only, for both.",
)
def rate_at_equal_width() -> str:
    low, high = _exponents("radix", "dense")
    return "slower" if low > 0 else "the same" if high > 0 else "faster"
