"""How fast growth is measured: `python -m tests.benchmarks.growth` prints ratios against named baselines."""

import functools
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from nbkit.device import describe_device, one_thread
from nbkit.measure import GrowthResult, arc_length, growth, random_line
from nbkit.results import save_result, sidecar
from nbkit.weights import PAPER_BIAS, Gaussian, RandomNets

from .wires import Ratio, seconds, slope

ROUNDS = 8
TOLERANCES = (1e-2, 1e-3, 1e-4)
FINEST = 2**15  # points up to which a tolerance is looked for


@dataclass(frozen=True)
class Setting:
    """What is measured by all: sparse Gaussian networks of one width, a random line between two unit vectors."""

    width: int = 784
    depth: int = 10
    density: float = 0.5
    std: float = 2.0
    n_pieces: int = 10_000  # chords of the textbook version, as in the paper
    n_points: int = 8  # tangents, ours and the plain loop's
    n_nets: int = 8  # ours: fewest networks from which the control's coefficient is fitted
    paper_nets: int = 100

    @functools.cached_property
    def curve(self):
        return random_line(self.width, seed=0)


@dataclass
class Baseline:
    """Networks measured one by one: the growth in each, and the seconds each took with a number of threads."""

    name: str
    growths: list[float] = field(default_factory=list)
    taken: dict[int, list[float]] = field(default_factory=dict)

    def measure(self, run: Callable[[], float], n_threads: int) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        start = time.perf_counter()
        self.growths.append(run())
        self.taken.setdefault(n_threads, []).append(time.perf_counter() - start)
        torch.set_num_threads(before)

    @property
    def n_threads(self) -> int:
        """The number of threads that was faster."""
        return min(self.taken, key=lambda n: statistics.median(self.taken[n]))

    @property
    def seconds(self) -> float:
        """A network's median, with that number of threads."""
        return statistics.median(self.taken[self.n_threads])

    @property
    def std(self) -> float:
        """Of the growth, between networks."""
        return statistics.stdev(self.growths)

    def n_for(self, sem: float) -> int:
        """Networks until the standard error of the plain mean is as small."""
        return max(2, math.ceil((self.std / sem) ** 2))

    def __str__(self) -> str:
        times = ", ".join(
            f"{1e3 * statistics.median(t):.3g} ms with {n} thread{'s' * (n != 1)}" for n, t in self.taken.items()
        )
        mean, n = statistics.fmean(self.growths), len(self.growths)
        return f"{self.name}: {times} a network; growth {mean:.5f} +- {self.std / math.sqrt(n):.5f} ({n} networks)"


@dataclass
class Ours:
    """Runs of `growth` with fresh seeds; cold, then after only sigma_w and only alpha changed."""

    results: list[GrowthResult] = field(default_factory=list)
    taken: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, setting: Setting, seed: int) -> None:
        changes = {"cold": {}, "sigma_w changed": {"std": 1.05 * setting.std}, "alpha changed": {"density": 0.45}}
        for name, change in changes.items():
            start = time.perf_counter()
            result = our_growth(replace(setting, **change), seed)
            self.taken.setdefault(name, []).append(time.perf_counter() - start)
            if name == "cold":
                self.results.append(result)

    def seconds(self, name: str) -> float:
        return statistics.median(self.taken[name])

    @property
    def means(self) -> list[float]:
        return [result.controlled_mean for result in self.results]

    @property
    def sem(self) -> float:
        """Of one run: how far runs lie apart, or what they say of themselves, whichever is larger."""
        said = math.sqrt(statistics.fmean(result.controlled_sem**2 for result in self.results))
        return max(said, statistics.stdev(self.means))

    def __str__(self) -> str:
        times = ", ".join(f"{name} {1e3 * self.seconds(name):.3g} ms" for name in self.taken)
        plain = math.sqrt(statistics.fmean(result.sem**2 for result in self.results))
        mean, sem, n = statistics.fmean(self.means), self.sem, len(self.results)
        return (
            f"ours: {times} for {self.results[0].n_nets} networks; standard error of a run {sem:.2g}, "
            f"without the control variate {plain:.2g}; growth {mean:.6f} +- {sem / math.sqrt(n):.6f} ({n} runs)"
        )


def our_growth(setting: Setting, seed: int, *, device: str = "cpu") -> GrowthResult:
    return growth(
        Gaussian(setting.std), setting.density, setting.width, setting.depth, n_nets=setting.n_nets, seed=seed,
        curve=setting.curve, n_points=setting.n_points, device=device,
    )  # fmt: skip


def fresh_layer(setting: Setting) -> tuple[torch.Tensor, torch.Tensor]:
    """Dense weights times a mask, and biases, drawn anew."""
    k = setting.width
    weights = torch.randn(k, k) * (torch.rand(k, k) < setting.density) * (setting.std / math.sqrt(k))
    return weights, PAPER_BIAS * torch.randn(k)


def textbook_growth(setting: Setting) -> float:
    """Baseline (a): one network's mean growth by the chords between all images of a finely cut line, in float32."""
    points = setting.curve(torch.linspace(0, 1, setting.n_pieces + 1, dtype=torch.float64)).float()
    sizes = [torch.linalg.vector_norm(points.diff(dim=0), dim=1)]
    for _ in range(setting.depth):
        weights, bias = fresh_layer(setting)
        points = torch.relu(points @ weights.T + bias)
        sizes.append(torch.linalg.vector_norm(points.diff(dim=0), dim=1))
    return mean_factor(sizes)


def loop_growth(setting: Setting) -> float:
    """Baseline (b): one network's mean growth by tangents through fresh weights, all points at once, in float32."""
    times = (torch.arange(setting.n_points, dtype=torch.float64) + 0.5) / setting.n_points
    points, tangents = setting.curve(times).float(), setting.curve.derivative(times).float()
    sizes = [torch.linalg.vector_norm(tangents, dim=1)]
    for _ in range(setting.depth):
        weights, bias = fresh_layer(setting)
        heights, moved = torch.cat([points, tangents]).matmul(weights.T).split(setting.n_points)
        heights = heights + bias
        points, tangents = torch.relu(heights), moved * (heights > 0)
        sizes.append(torch.linalg.vector_norm(tangents, dim=1))
    return mean_factor(sizes)


def mean_factor(sizes: list[torch.Tensor]) -> float:
    """The mean over layers and live pieces of each piece's size over its size a layer before."""
    return statistics.fmean(float((b / a)[a > 0].mean()) for a, b in zip(sizes, sizes[1:]))


def measured(setting: Setting, *, rounds: int = ROUNDS, loops: int = 10) -> tuple[Ours, Baseline, Baseline]:
    """Ours and both baselines, in turns so that a busy machine troubles all alike; the first turn of each is lost."""
    torch.manual_seed(0)
    for warm in (True, False):
        ours, textbook, loop = Ours(), Baseline("textbook chords"), Baseline("plain loop of tangents")
        for i in range(1 if warm else rounds):
            ours.measure(setting, seed=1_000_000 if warm else i)
            for n_threads in (1, 2):
                textbook.measure(lambda: textbook_growth(setting), n_threads)
                for _ in range(loops):
                    loop.measure(lambda: loop_growth(setting), n_threads)
    return ours, textbook, loop


def ratios(setting: Setting, ours: Ours, textbook: Baseline, loop: Baseline) -> list[Ratio]:
    """Time to the same or smaller standard error of the mean growth, then the time of a network alone."""
    found = []
    paper_sem = textbook.std / math.sqrt(setting.paper_nets)
    for baseline, stage, promised in (
        (textbook, "cold", 20), (textbook, "sigma_w changed", 40), (textbook, "alpha changed", 40), (loop, "cold", 3),
    ):  # fmt: skip
        taken = ours.seconds(stage)
        for what, sem in (("ours", ours.sem), (f"{setting.paper_nets} of the textbook's", paper_sem)):
            n = baseline.n_for(sem)
            name = f"{stage}, to a standard error of {sem:.2g} ({what})"
            # ours cannot take fewer networks than this, however large the error may be
            n_ours = max(setting.n_nets, math.ceil(setting.n_nets * (ours.sem / sem) ** 2))
            theirs = f"{baseline.name}, {n} networks"
            found.append(Ratio(name, taken * n_ours / setting.n_nets, theirs, n * baseline.seconds, promised))
        name = f"{stage}, one network each, control variate not counted"
        found.append(Ratio(name, taken / setting.n_nets, baseline.name, baseline.seconds))
    return found


def apart(ours: Ours, baseline: Baseline) -> float:
    """How many standard errors of their difference the two means lie apart: the same number within about 3."""
    sem = math.hypot(ours.sem / math.sqrt(len(ours.results)), baseline.std / math.sqrt(len(baseline.growths)))
    return (statistics.fmean(baseline.growths) - statistics.fmean(ours.means)) / sem


def slopes(largest: int = 1024, n_nets: int = 2) -> dict[str, tuple[float, dict[int, float]]]:
    """How cost grows, cold (every run draws anew) and again (what was drawn is kept)."""

    def run(seed: int | None, width: int, depth: int, n: int) -> Callable[[], object]:
        return lambda: growth(Gaussian(2.0), 0.5, width, depth, n_nets=n, seed=seed)

    found, narrow = {}, largest // 4
    widths, depths, numbers = (narrow, 2 * narrow, largest), (10, 20, 40), (n_nets, 4 * n_nets, 16 * n_nets)
    for stage, seed in (("cold", None), ("again", 0)):
        by_width = functools.partial(run, seed, depth=10, n=n_nets)
        by_depth = functools.partial(run, seed, narrow, n=n_nets)
        found[f"width, {stage} (every weight once: 2)"] = slope(widths, by_width)
        found[f"depth, {stage} (1)"] = slope(depths, by_depth)
        found[f"networks, {stage} (1)"] = slope(numbers, functools.partial(run, seed, narrow, 10))
    return found


def points_for(curve, net: torch.nn.Module, method: str, tolerance: float, length: float) -> int | None:
    """The fewest points, a power of 2, from which on every length is as good; None where no number tried is enough."""
    enough, n = None, FINEST
    while n >= 2 and abs(arc_length(curve, net, method=method, n_points=n) / length - 1) <= tolerance:
        enough, n = n, n // 2
    return enough


def length_methods(width: int = 100, depth: int = 10, std: float = 6.0) -> list[str]:
    """What a length of given relative error costs by each method, in one network."""
    nets = RandomNets((width,) * (depth + 1), Gaussian(std), 0.5, seed=0)
    curve, net = random_line(width, seed=0), nets.network(0)
    with one_thread():
        length = arc_length(curve, net, method="exact")
        (taken,) = seconds(lambda: arc_length(curve, net, method="exact"))
        lines = [f"length to rounding: exact in {1e3 * taken:.3g} ms"]
        for tolerance in TOLERANCES:
            parts = []
            for method in ("tangent", "chords"):
                n = points_for(curve, net, method, tolerance, length)
                if n is None:
                    parts.append(f"{method} not with {FINEST} points")
                    continue
                (taken,) = seconds(functools.partial(arc_length, curve, net, method=method, n_points=n))
                parts.append(f"{method} in {1e3 * taken:.3g} ms with {n} points")
            lines.append(f"length to {tolerance:g}: " + ", ".join(parts))
    return lines


def gpu_tick(setting: Setting) -> str:
    """The paper's whole setting on a GPU, where there is one; the figures are stored among the results."""
    if not torch.cuda.is_available():
        return "GPU: skipped, this machine has no CUDA device"
    return store_tick(setting, "cuda")


def store_tick(setting: Setting, device: str, *, folder: Path | None = None) -> str:
    """All networks at one alpha and one sigma_w: the first time, and again for another sigma_w, what was drawn being
    there; stored as growth_tick."""
    stds = iter(np.linspace(1, 3, 100))  # each tick moves sigma_w

    def tick() -> GrowthResult:
        return our_growth(replace(setting, std=float(next(stds)), n_nets=setting.paper_nets), 0, device=device)

    (cold,), (taken,) = seconds(tick, repeats=1), seconds(tick)
    sizes = {"n_nets": [setting.paper_nets], "width": [setting.width], "depth": [setting.depth]}
    made = {"command": "python -m tests.benchmarks.growth", "seed": 0, "seconds": cold + taken, "steps": 2}
    beside = sidecar(**made, device=device)
    save_result("growth_tick", sizes | {"first_ms": [1e3 * cold], "tick_ms": [1e3 * taken]}, beside, folder=folder)
    what = f"{setting.paper_nets} networks, width {setting.width}, {setting.depth} layers on {describe_device(device)}"
    return f"GPU: {what}: {1e3 * cold:.4g} ms the first time, {1e3 * taken:.3g} ms a tick, promised <= 100"


def main(setting: Setting = Setting()) -> int:
    print(describe_device("cpu"), "torch", torch.__version__, "numpy", np.__version__)
    print(setting)
    ours, *baselines = measured(setting)
    print(ours, *baselines, sep="\n")
    away = {baseline.name: apart(ours, baseline) for baseline in baselines}
    print("the same number:", ", ".join(f"{name} {z:+.1f} standard errors apart" for name, z in away.items()))
    found = ratios(setting, ours, *baselines)
    print(*found, sep="\n")
    for name, (exponent, taken) in slopes().items():
        print(f"slope {exponent:.2f}, {name}:", ", ".join(f"{size} in {1e3 * s:.3g} ms" for size, s in taken.items()))
    print(*length_methods(), sep="\n")
    print(gpu_tick(replace(setting, depth=12)))
    missed = [ratio.name for ratio in found if ratio.promised and ratio.ratio < ratio.promised]
    missed += [f"{name}: another number" for name, z in away.items() if abs(z) > 4]
    print("missed:", ", ".join(missed) or "nothing")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
