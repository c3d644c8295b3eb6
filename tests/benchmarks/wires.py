"""How fast wires are made and followed: `python -m tests.benchmarks.wires` prints ratios against named baselines."""

import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch

from nbkit.device import describe_device, spawn_generators
from nbkit.measure import cone_sizes, path_count, reachability
from nbkit.topology import Topology, biregular, mixed_radix, radix_net, random_expander, route

REPEATS = 5


@dataclass(frozen=True)
class Ratio:
    """One line of the table: ours against a baseline, and what was promised of baseline / ours (None: nothing)."""

    name: str
    seconds: float
    baseline: str
    baseline_seconds: float
    promised: float | None = None

    @property
    def ratio(self) -> float:
        return self.baseline_seconds / self.seconds

    def __str__(self) -> str:
        promise = f", promised >= {self.promised:g}" if self.promised else ""
        return (
            f"{self.name}: {1e3 * self.seconds:.3g} ms; {self.baseline}: {1e3 * self.baseline_seconds:.3g} ms; "
            f"ratio {self.ratio:.2f}{promise}"
        )


def seconds(*functions: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """The median seconds of each function, taken in turns so that a busy machine troubles all of them alike."""
    taken: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, times in zip(functions, taken):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
    return [float(np.median(times)) for times in taken]


def fig_6_layers(radices: tuple[int, ...]) -> list[scipy.sparse.csr_array]:
    """The listing of Fig. 6 in scipy sparse: powers of P summed for each radix, then the product with dense widths (1).

    P is transposed against the print, so that edges run from row to column; names are one for each thing.
    """
    n = math.prod(radices)
    p = scipy.sparse.csr_array((np.ones(n, dtype=np.int8), (np.arange(n), (np.arange(n) + 1) % n)), shape=(n, n))
    layers, step = [], p
    for radix in radices:
        power = scipy.sparse.eye_array(n, dtype=np.int8, format="csr")
        total = power
        for _ in range(radix - 1):
            power = power @ step
            total = total + power
        layers.append(total)
        step = power @ step  # P to the next place value
    return [scipy.sparse.csr_array(scipy.sparse.kron(np.ones((1, 1), dtype=np.int8), layer)) for layer in layers]


def same_edges(radices: tuple[int, ...]) -> bool:
    """Whether the listing and `edge_index` give the same edges, layer by layer."""
    for layer, matrix in zip(mixed_radix(radices), fig_6_layers(radices)):
        matrix.sort_indices()
        sources = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        if not np.array_equal(layer.edge_index().numpy(), np.stack([sources, matrix.indices])):
            return False
    return True


def edges_against_fig_6(radices: tuple[int, ...] = (256, 256)) -> Ratio:
    """All edges of all layers, materialised."""
    topology = mixed_radix(radices)
    (ours,) = seconds(lambda: [layer.edge_index() for layer in topology])
    (theirs,) = seconds(lambda: fig_6_layers(radices), repeats=1)
    return Ratio(f"edges of {topology}", ours, "Fig. 6 in scipy sparse", theirs, promised=5)


def edges_against_memory(radices: tuple[int, ...] = (256, 256)) -> list[Ratio]:
    """`edge_index` of each layer against torch writing as many int64."""
    ratios = []
    for layer in mixed_radix(radices):
        ours, theirs = seconds(layer.edge_index, lambda: torch.full((2, layer.n_edges), 3))
        ratios.append(Ratio(f"edge_index of {layer}", ours, "torch.full of as many int64", theirs, promised=0.5))
    return ratios


def cascades(n: int, degree: int, depth: int) -> dict[str, Topology]:
    """A cascade of each family; n is a power of the degree."""
    system = (degree,) * round(math.log(n, degree))
    generators = spawn_generators(0, depth)
    return {
        "RadiX": radix_net([system] * -(-depth // len(system)))[:depth],
        "SAO random": Topology([biregular(n, n, degree, seed=generator) for generator in generators]),
        "X-Net random": Topology([random_expander(n, n, degree, seed=generator) for generator in generators]),
    }


def float_reach(matrices: list[torch.Tensor]) -> torch.Tensor:
    """The baseline: a float product and a threshold for each layer, on matrices that are there already."""
    reach = matrices[0]
    for matrix in matrices[1:]:
        reach = ((reach @ matrix) > 0).float()
    return reach


def reach_against_floats(n: int = 1024, degree: int = 4, depth: int = 32) -> list[Ratio]:
    """`reachability` of a deep cascade of each family."""
    ratios = []
    for family, topology in cascades(n, degree, depth).items():
        matrices = [layer.biadjacency().float() for layer in topology]
        if not torch.equal(float_reach(matrices).bool(), reachability(topology)):
            raise AssertionError(f"{family}: reachability differs from the float product")
        ours, theirs = seconds(lambda: reachability(topology), lambda: float_reach(matrices), repeats=3)
        name = f"reachability {family}, n {n}, d {degree}, {depth} layers"
        ratios.append(Ratio(name, ours, "float product and threshold", theirs, promised=30))
    return ratios


def slope(sizes: Iterable[int], run: Callable[[int], Callable[[], object]]) -> tuple[float, dict[int, float]]:
    """The log-log slope of the seconds that `run(size)()` takes against size, and the seconds."""
    taken = {size: seconds(run(size))[0] for size in sizes}
    return float(np.polyfit(np.log(list(taken)), np.log(list(taken.values())), 1)[0]), taken


def reach_run(n: int) -> Callable[[], object]:
    topology = cascades(n, 4, 8)["X-Net random"]
    return lambda: reachability(topology)


def edges_run(n: int) -> Callable[[], object]:
    (layer,) = mixed_radix((16,), n)
    return layer.edge_index


def brain_run(n: int) -> Callable[[], object]:
    radices = (64,) * round(math.log(n, 64))

    def open_and_walk() -> None:
        topology = mixed_radix(radices)
        route(topology, 5, n - 1)
        path_count(topology, 5, n - 1)
        cone_sizes(topology, 5)

    return open_and_walk


def slopes(largest: int = 4096) -> dict[str, tuple[float, dict[int, float]]]:
    """How cost grows with the nodes in a layer: the slope, and seconds by size."""
    return {
        "reachability, d 4, 8 layers (all pairs: 2)": slope([largest // 16, largest // 4, largest], reach_run),
        "edge_index, radix 16 (every edge once: 1)": slope([largest * 4, largest * 16, largest * 64], edges_run),
        "open, route, count and cone of a RadiX-Net (closed form: 0)": slope([64**k for k in (2, 4, 6)], brain_run),
    }


def tell(ratios: list[Ratio], slopes: dict[str, tuple[float, dict[int, float]]]) -> int:
    """Print the tables; 1 if a promise is missed."""
    print(*ratios, sep="\n")
    for name, (exponent, taken) in slopes.items():
        print(f"slope {exponent:.2f}, {name}:", ", ".join(f"{size} in {1e3 * s:.3g} ms" for size, s in taken.items()))
    missed = [ratio.name for ratio in ratios if ratio.promised and ratio.ratio < ratio.promised]
    print("missed:", ", ".join(missed) or "nothing")
    return 1 if missed else 0


def main() -> int:
    print(describe_device("cpu"), "torch", torch.__version__, "numpy", np.__version__)
    print("same edges as Fig. 6:", same_edges((256, 256)))
    return tell([edges_against_fig_6(), *edges_against_memory(), *reach_against_floats()], slopes())


if __name__ == "__main__":
    sys.exit(main())
