"""Claims of notebook 06: the spectra of convolutions, and what delta and ECO kernels need in order to keep lengths."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from nbkit.claims import claim
from nbkit.topology import biregular
from nbkit.weights import delta_orthogonal, eco, looks_linear, looks_linear_block, orthogonal

__all__ = []

_claim = partial(claim, notebook="06", paper="SAO")


def _operator(kernel: torch.Tensor, n: int, *, dilation: int = 1, padding: str = "circular") -> np.ndarray:
    """The convolution of n x n images as a matrix: every unit image sent through torch's own conv2d."""
    c_in, margin = kernel.shape[1], dilation * (kernel.shape[2] - 1)
    images = torch.eye(c_in * n * n, dtype=torch.float64).reshape(-1, c_in, n, n)
    sides = (margin // 2, margin - margin // 2) * 2
    padded = F.pad(images, sides, mode="circular") if padding == "circular" else F.pad(images, sides)
    return F.conv2d(padded, kernel, dilation=dilation).reshape(len(images), -1).numpy().T


def _spread(matrix: np.ndarray) -> str:
    """The smallest and the largest singular value, in one word where they are equal."""
    values = np.linalg.svd(matrix, compute_uv=False)
    low, high = f"{values[-1]:.2f}", f"{values[0]:.2f}"
    return f"{high.removesuffix('.00')}" if values[0] - values[-1] < 1e-10 else f"{low} to {high}"


def _random_kernel(c_in: int, c_out: int, size: int) -> torch.Tensor:
    normal = np.random.default_rng(0).standard_normal((c_out, c_in, size, size))
    return torch.from_numpy(normal / np.sqrt(c_in * size**2))


@_claim(
    place="section III-D.4, equation (6)",
    statement="singular values of a circular convolution are those of the matrices P(p, q) at all frequencies together",
    theirs="the same",
)
def sedghi() -> str:
    kernel, n = torch.arange(54.0, dtype=torch.float64).reshape(3, 3, 2, 3), 4  # (k, k, c_out, c_in), as in the paper
    fourier = np.exp(-2j * np.pi * np.outer(range(n), range(n)) / n)
    wide = np.zeros((n, n, 2, 3))
    wide[:3, :3] = kernel.numpy()
    matrices = np.einsum("ap,abst,bq->pqst", fourier, wide, fourier)  # F^T W[:, :, s, t] F at every (s, t)
    formula = np.sort(np.linalg.svd(matrices, compute_uv=False).ravel())[::-1]
    whole = np.linalg.svd(_operator(kernel.permute(2, 3, 0, 1), n), compute_uv=False)
    assert f"{formula[0]:.10f}" == "585.4143542814"
    return "the same" if np.allclose(formula, whole, atol=1e-9) else "others"


@_claim(
    place="Fig. 12",
    statement="a 3 x 3 filter on a 4 x 4 image, circular, is a matrix of 4 x 4 blocks of 4 x 4, both levels",
    theirs="circulant",
)
def doubly_block_circulant() -> str:
    kernel, shift = _random_kernel(1, 1, 3), np.roll(np.eye(4), 1, axis=1)
    power = np.linalg.matrix_power
    taps = [(a, b) for a in range(3) for b in range(3)]
    built = sum(
        float(kernel[0, 0, a, b]) * np.kron(power(shift, (a - 1) % 4), power(shift, (b - 1) % 4)) for a, b in taps
    )
    return "circulant" if np.allclose(built, _operator(kernel, 4)) else "not circulant"


@_claim(
    place="section IV-A",
    statement="convolutional layers are (c, d)-regular by definition: degrees in a 3 x 3 layer as the paper's CNN has it, "
    "with zero padding, 8 x 8 pixels",
    theirs="9",
    ours="4, 6, 9",
    correction="Only with circular padding are they. With zero padding a corner has 4 wires and an edge 6.",
)
def degrees_of_a_convolution() -> str:
    taps = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    circular, zeros = (set(_operator(taps, 8, padding=padding).sum(axis=1)) for padding in ("circular", "zeros"))
    assert circular == {9}
    return ", ".join(f"{degree:.0f}" for degree in sorted(zeros))


@_claim(
    place="section V-D",
    statement="orthogonal kernels and orthogonal convolutions are",
    theirs="not the same",
)
def orthogonal_kernels() -> str:
    flat = orthogonal(np.ones((4, 36)))  # four kernels over four channels, orthonormal as vectors
    return "the same" if _spread(_operator(flat.reshape(4, 4, 3, 3), 6)) == "1" else "not the same"


@_claim(
    place="Table 5, section III-D.3",
    statement="singular values of delta-orthogonal convolutions, 8 x 8 pixels, circular padding: 4 to 4, 2 to 4, 4 to 2 channels",
    theirs="1, 1, 1",
)
def delta_circular() -> str:
    return ", ".join(_spread(_operator(delta_orthogonal(a, b, 3), 8)) for a, b in ((4, 4), (2, 4), (4, 2)))


@_claim(
    place="section III-D.1",
    statement="the same with zero padding, which the vanilla CNN uses",
    theirs="1, 1, 1",
)
def delta_zeros() -> str:
    shapes = ((4, 4), (2, 4), (4, 2))
    return ", ".join(_spread(_operator(delta_orthogonal(a, b, 3), 8, padding="zeros")) for a, b in shapes)


@_claim(
    place="section III-D.1",
    statement="orthogonal weights keep lengths in this CNN, whose second and third layers have stride 2: share of the "
    "directions that such a layer keeps, 4 to 4 channels, 8 x 8 pixels",
    theirs="all (implied)",
    ours="1/4",
    correction="A delta kernel with a plain stride looks at every second pixel of every second row. What is kept is kept "
    "isometrically; pixel-unshuffle first, as in LipConvNet, keeps all where c_out >= 4 c_in.",
)
def plain_stride() -> str:
    matrix = _operator(delta_orthogonal(4, 4, 3), 8, padding="zeros").reshape(4, 8, 8, -1)[:, ::2, ::2]
    values = np.linalg.svd(matrix.reshape(4 * 16, -1), compute_uv=False)
    assert np.allclose(values, 1)
    return f"1/{matrix.shape[-1] // values.size}"


@_claim(
    place="section IV-C",
    statement="W has shape k x k x c_in x c_out, and S[s, t] of the c_out x c_in matrix S is put into W[1, 1, s, t]: shape of "
    "W for 4 to 8 channels",
    theirs="3 x 3 x 4 x 8",
    ours="3 x 3 x 8 x 4",
    correction="With those indices W is k x k x c_out x c_in; in torch's order, c_out x c_in x k x k.",
)
def shape_of_a_kernel() -> str:
    matrix = orthogonal(biregular(4, 8, 2))
    kernel = torch.zeros(3, 3, *matrix.shape, dtype=torch.float64)
    kernel[1, 1] = matrix
    assert torch.equal(kernel.permute(2, 3, 0, 1), delta_orthogonal(4, 8, 3, mask=biregular(4, 8, 2)))
    return " x ".join(map(str, kernel.shape))


@_claim(
    place="equation (5)",
    statement="delta kernels with [[H0, -H0], [-H0, H0]] at their centre are orthogonal: singular values, 4 channels",
    theirs="1",
    ours="2 (half), 0 (half); in a ReLU net √2 (half), 0 (half); with mirrored ends 1",
    correction="H is not orthogonal, whatever H0 is. Isometric is the ReLU network as a whole, once its first layer is "
    "[W; -W] and its last [W, -W].",
)
def mirrored_kernels() -> str:
    kernel = delta_orthogonal(4, 4, 3, looks_linear=True)
    narrow = [delta_orthogonal(2, 2, 3, seed=seed) for seed in range(4)]
    nets = (([looks_linear_block(one) for one in narrow], False), (looks_linear(narrow), True))
    words = [_halves(np.linalg.svd(_operator(kernel, 4), compute_uv=False))]
    words += [_halves(np.linalg.svd(_relu_jacobian(*net), compute_uv=False)) for net in nets]
    return f"{words[0]}; in a ReLU net {words[1]}; with mirrored ends {words[2]}"


def _relu_jacobian(kernels: list[torch.Tensor], mirrored_ends: bool) -> np.ndarray:
    """Of 4 x 4 images through the kernels, a ReLU after each; none after the last where it is a mirrored end."""
    jacobian = np.eye(kernels[0].shape[1] * 16)
    x = np.random.default_rng(0).standard_normal(len(jacobian))
    for number, kernel in enumerate(kernels, start=1):
        layer = _operator(kernel, 4)
        x, jacobian = layer @ x, layer @ jacobian
        if not (mirrored_ends and number == len(kernels)):
            x, jacobian = np.maximum(x, 0), (x > 0)[:, None] * jacobian
    return jacobian


def _halves(values: np.ndarray) -> str:
    """Singular values that are all one number, or one number and 0, half each."""
    names = {1.0: "1", 2.0: "2", 1.4142: "√2"}
    [high], low = {round(float(v), 4) for v in values if v > 1e-9}, int((values < 1e-9).sum())
    return names[high] + (" (half), 0 (half)" if low * 2 == len(values) else "" if not low else f", {low} zeros")


@_claim(
    place="section IV-C",
    statement="number of orthogonal matrices in an ECO kernel, (k² + 1)/2 for odd and (k² + 4)/2 for even k: k = 1 to 6",
    theirs="1, 4, 5, 10, 13, 20",
)
def free_slices() -> str:
    return ", ".join(str(len(_pairs(k))) for k in range(1, 7))


def _pairs(k: int) -> set[frozenset[tuple[int, int]]]:
    """The frequencies (p, q) of a k x k kernel, each with (-p, -q), whose matrix it shares."""
    return {frozenset({(p, q), (-p % k, -q % k)}) for p in range(k) for q in range(k)}


@_claim(
    place="Fig. 6, caption",
    statement="sparse matrices that are generated for 3 x 3 kernels",
    theirs="four",
    ours="five",
    correction="Four pairs of frequencies and the frequency 0, which is its own partner.",
)
def slices_of_fig_6() -> str:
    sizes = sorted(map(len, _pairs(3)))
    assert sizes == [1, 2, 2, 2, 2]
    return {4: "four", 5: "five"}[len(sizes)]


@_claim(
    place="Fig. 6, caption",
    statement="the matrices P[p, q] are chosen for (p, q) in [n] x [n]: different ones for a 3 x 3 kernel and n = 6",
    theirs="36",
    ours="5",
    correction="(p, q) runs over [k] x [k], as section IV-C has it. The kernel dilated by n / k has P[u mod 3, v mod 3] at "
    "the frequency (u, v) of the image.",
)
def frequencies_of_fig_6() -> int:
    dilated = np.zeros((4, 4, 6, 6))
    dilated[:, :, ::2, ::2] = eco(4, 3).numpy()
    matrices = np.fft.fft2(dilated).transpose(2, 3, 0, 1).reshape(36, -1)
    return len(np.unique(matrices.round(9) + 0.0, axis=0))


@_claim(
    place="section IV-C",
    statement="singular values of ECO convolutions with dilation n/k and cyclic padding: k = 2, 3, 4, n = 12, 2 channels",
    theirs="1, 1, 1",
)
def eco_isometric() -> str:
    return ", ".join(_spread(_operator(eco(2, k), 12, dilation=12 // k)) for k in (2, 3, 4))


@_claim(
    place="section IV-C",
    statement="cyclic padding on each side for dilation 1, k = 4",
    theirs="1.5",
    ours="1 and 2",
    correction="(n/k)(k - 1) in all, split unevenly where that is odd. The d of the paper's d(k - 1)/2 is the dilation here, "
    "not the degree.",
)
def cyclic_padding() -> str:
    kernel = eco(4, 4)
    for before, after in ((1, 1), (1, 2), (2, 2)):
        padded = F.pad(torch.zeros(1, 4, 4, 4, dtype=torch.float64), (before, after) * 2, mode="circular")
        if F.conv2d(padded, kernel).shape[2:] == (4, 4):
            return f"{before} and {after}"
    return "none"


@_claim(
    place="section IV-C, Fig. 6",
    statement="image sides at which the 3 x 3 kernels of Fig. 6 are orthogonal in LipConvNet's ECO blocks, 8, 4 and 2 for "
    "32 x 32 images",
    theirs="8, 4, 2 (implied)",
    ours="none",
    correction="k must divide n; otherwise no dilation helps. k = 4, 4, 2 fit, or images whose sides are multiples of 3.",
)
def sides_for_eco() -> str:
    fitting = [n for n in (8, 4, 2) if any(_spread(_operator(eco(2, 3), n, dilation=d)) == "1" for d in range(1, n))]
    assert all(_spread(_operator(eco(2, k), n, dilation=n // k)) == "1" for n, k in ((8, 4), (4, 4), (2, 2)))
    return ", ".join(map(str, fitting)) or "none"


@_claim(
    place="section IV-C",
    statement="ECO layers from 2 to 4 channels, from 4 to 2, and from 2 to 8 with stride 2: singular values, 8 x 8 pixels",
    theirs="1, 1, 1",
)
def other_shapes_of_eco() -> str:
    plain = [_operator(eco(channels, 4), 8, dilation=2) for channels in ((2, 4), (4, 2))]
    images = torch.eye(2 * 64, dtype=torch.float64).reshape(-1, 2, 8, 8)
    unshuffled = F.pixel_unshuffle(images, 2).reshape(len(images), -1).numpy().T  # reshape to 4 x 4 x 8
    return ", ".join(map(_spread, [*plain, _operator(eco(8, 4), 4) @ unshuffled]))
