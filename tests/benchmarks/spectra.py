"""How fast weights are made and spectra found: `python -m tests.benchmarks.spectra` prints ratios against named baselines."""

import math
import random
import sys
from collections.abc import Callable

import numpy as np
import torch

from nbkit.device import describe_device, one_thread
from nbkit.measure import conv_frequency_singular_values, conv_singular_values, singular_values
from nbkit.topology import biregular, mixed_radix
from nbkit.weights import orthogonal, orthogonal_on_edges

from .wires import Ratio, seconds, slope, tell

TOLERANCE = 1e-10


def same(ours: torch.Tensor, theirs: torch.Tensor, what: str) -> None:
    """Raises an AssertionError where two results differ, so that only equal ones are timed."""
    if (difference := float((ours - theirs).abs().max())) > TOLERANCE:
        raise AssertionError(f"{what}: results differ by {difference:.2g}")


def spectra_against_dense(n: int = 4096, degree: int = 4) -> list[Ratio]:
    """One layer's spectrum, given in three ways, against the decomposition of the dense matrix, taken once each."""
    layer, radix = biregular(n, n, degree), mixed_radix((degree,) * round(math.log(n, degree)))[1]
    weights = orthogonal_on_edges(layer)
    matrix, wires = orthogonal(layer), radix.mask().double()
    asked = {
        f"spectrum of {layer} with weights": (lambda: singular_values(layer, weights), matrix),
        f"spectrum of an SAO weight matrix {n} x {n}, given dense": (lambda: singular_values(matrix), matrix),
        f"spectrum of {radix}, 0/1": (lambda: singular_values(radix), wires),
    }
    found: dict[int, tuple[torch.Tensor, float]] = {}
    ratios = []
    for name, (run, dense) in asked.items():
        if id(dense) not in found:
            values = []
            (taken,) = seconds(lambda: values.append(torch.linalg.svdvals(dense)), repeats=1)
            found[id(dense)] = values[0], taken
        theirs, taken = found[id(dense)]
        same(run(), theirs, name)
        ratios.append(Ratio(name, *seconds(run), "torch.linalg.svdvals of the dense matrix", taken, promised=50))
    return ratios


def published_weights(n: int, degree: int, matrix: Callable[[], object], seed: int = 0) -> object:
    """An n x n SAO layer as it is published, entry by entry: a group for every output, drawn again while it is full, the
    mask from copies of that, then orthogonal vectors written to the mask's ones, block by block.

    Args:
        matrix: makes an (n, n) matrix of zeros that is written and read by [i, j].
    """
    draw, n_blocks = random.Random(seed), n // degree
    room, group = [degree] * n_blocks, []
    for _ in range(n):
        chosen = draw.randrange(n_blocks)
        while not room[chosen]:
            chosen = draw.randrange(n_blocks)
        room[chosen] -= 1
        group.append(chosen)
    mask, weights = matrix(), matrix()
    for i in range(n):
        for j in range(n):
            if j % n_blocks == group[i]:
                mask[i, j] = 1.0
    for block in range(n_blocks):
        vectors = iter(orthogonal_vectors(degree, draw))
        for i in range(n):
            if group[i] == block:
                entries = iter(next(vectors))
                for j in range(n):
                    if mask[i, j]:
                        weights[i, j] = next(entries)
    return weights


def orthogonal_vectors(d: int, draw: random.Random) -> list[list[float]]:
    """d orthonormal vectors of d entries, by Gram-Schmidt."""
    found: list[list[float]] = []
    while len(found) < d:
        vector = [draw.gauss(0, 1) for _ in range(d)]
        for other in found:
            part = sum(a * b for a, b in zip(other, vector))
            vector = [b - part * a for a, b in zip(other, vector)]
        length = math.sqrt(sum(a * a for a in vector))
        found.append([a / length for a in vector])
    return found


def weights_against_loops(n: int = 256, degree: int = 4, n_layers: int = 20) -> list[Ratio]:
    """Mask and weights of a layer, as a network of some layers gets them, against the published loops for one layer:
    on a torch tensor, as a network holds it, and on a numpy array, whose entries are quicker to read."""

    def ours() -> list[torch.Tensor]:
        return [orthogonal(biregular(n, n, degree, seed=seed), seed=seed) for seed in range(n_layers)]

    def on_a_tensor() -> torch.Tensor:
        return published_weights(n, degree, lambda: torch.zeros(n, n, dtype=torch.float64))

    def on_an_array() -> np.ndarray:
        return published_weights(n, degree, lambda: np.zeros((n, n)))

    same(on_a_tensor(), torch.from_numpy(on_an_array()), "published loops")
    with one_thread():  # as pictures are made; the loops know no other way
        taken, tensor, array = seconds(ours, on_a_tensor, on_an_array)
    name = f"mask and weights {n} -> {n}, d = {degree}, each of {n_layers} layers"
    return [
        Ratio(name, taken / n_layers, "published loops on a torch tensor", tensor, promised=100),
        Ratio(name, taken / n_layers, "published loops on a numpy array", array),
    ]


def convolution_against_bare(channels: int = 64, size: int = 32, k: int = 3) -> list[Ratio]:
    """All singular values of a convolution against the bare batched decomposition of as many complex matrices."""
    kernel = torch.from_numpy(np.random.default_rng(0).standard_normal((channels, channels, k, k)))
    matrices = torch.fft.fft2(kernel, s=(size, size)).permute(2, 3, 0, 1).contiguous()
    same(conv_frequency_singular_values(kernel, size), torch.linalg.svdvals(matrices), "convolution")
    ours, theirs = seconds(
        lambda: conv_singular_values(kernel, size), lambda: torch.linalg.svdvals(matrices), repeats=3
    )
    name = f"spectrum of a convolution, {channels} channels, {k} x {k}, {size} x {size}"
    return [Ratio(name, ours, f"bare svdvals of {size**2} complex matrices", theirs, promised=1 / 1.5)]


def sao_run(n: int) -> Callable[[], object]:
    layer = biregular(n, n, 4)
    weights = orthogonal_on_edges(layer)
    return lambda: singular_values(layer, weights)


def radix_run(n: int) -> Callable[[], object]:
    (layer,) = mixed_radix((4,), n)
    return lambda: singular_values(layer)


def weights_run(n: int) -> Callable[[], object]:
    return lambda: orthogonal_on_edges(biregular(n, n, 4))


def slopes(largest: int = 16384) -> dict[str, tuple[float, dict[int, float]]]:
    """How cost grows with the width at a fixed degree: the slope, and seconds by width."""
    runs = {
        "spectrum of an SAO layer with weights, d 4 (every block once: 1)": sao_run,
        "spectrum of a mixed-radix layer, radix 4 (an FFT: 1 and a logarithm)": radix_run,
        "mask and weights on edges, d 4 (every edge once: 1)": weights_run,
    }
    with one_thread():
        return {name: slope([largest // 16, largest // 4, largest], run) for name, run in runs.items()}


def main() -> int:
    print(describe_device("cpu"), "torch", torch.__version__, "numpy", np.__version__)
    return tell([*weights_against_loops(), *convolution_against_bare(), *spectra_against_dense()], slopes())


if __name__ == "__main__":
    sys.exit(main())
