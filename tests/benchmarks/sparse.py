"""How fast sparse layers train, and the Graph Challenge's inference: `python -m tests.benchmarks.sparse`.

Ten-layer networks, forward and backward, batch 128, float32; the optimiser is outside and has lines of its own. Where
there is CUDA the same table is made there, as launched one by one and as CUDA graphs; that part is untried so far.
"""

import itertools
import multiprocessing
import resource
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse
import torch
from torch import nn

from nbkit.data import mnist_digits
from nbkit.device import describe_device, format_bytes, one_thread
from nbkit.measure import time_layer
from nbkit.measure.timing import layer_stacks, one_pass
from nbkit.nets import (
    ACTIVATIONS,
    CHALLENGE_BIASES,
    challenge_inference,
    challenge_inputs,
    challenge_net,
    deep_net,
)
from nbkit.topology import Topology, biregular, complete_blocks, mixed_radix, random_expander

from .wires import Ratio, seconds, slope, tell

DEPTH, BATCH = 10, 128
TORCH_CSR, DENSE = "torch CSR and its autograd", "dense"


@dataclass(frozen=True)
class Case:
    """A network of ten layers, and what was promised of a baseline's seconds / ours."""

    name: str
    topology: Topology
    promised: dict[str, float] = field(default_factory=dict)


def sao(n: int, degree: int, depth: int = DEPTH) -> Topology:
    return Topology([biregular(n, n, degree, seed=seed) for seed in range(depth)])


def cases() -> list[Case]:
    expanders = Topology([random_expander(1024, 1024, 8, seed=seed) for seed in range(DEPTH)])
    return [
        Case("SAO 256, d 4", sao(256, 4), {DENSE: 1.5}),
        Case("SAO 1024, d 8", sao(1024, 8), {DENSE: 6}),
        Case("SAO 4096, d 16", sao(4096, 16), {DENSE: 20}),
        Case("RadiX (32, 32)", Topology([*mixed_radix((32, 32))] * (DEPTH // 2)), {DENSE: 4, TORCH_CSR: 2}),
        Case("random expander 1024, d 8", expanders),
    ]


class CsrLinear(nn.Module):
    """Columns of features through a torch CSR matrix, as torch differentiates it."""

    def __init__(self, weights: torch.Tensor):
        super().__init__()
        matrix = weights.to_sparse_csr()
        self.register_buffer("starts", matrix.crow_indices())
        self.register_buffer("columns", matrix.col_indices())
        self.values, self.bias = nn.Parameter(matrix.values()), nn.Parameter(torch.zeros(len(weights), 1))
        self.shape = weights.shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        matrix = torch.sparse_csr_tensor(self.starts, self.columns, self.values, self.shape, check_invariants=False)
        return matrix @ x + self.bias


class BlockLinear(nn.Module):
    """What comes to mind first for complete blocks: gather the inputs of all blocks, bmm, scatter the results."""

    def __init__(self, weights: torch.Tensor, inputs: torch.Tensor, outputs: torch.Tensor):
        super().__init__()
        self.register_buffer("inputs", inputs)
        self.register_buffer("outputs", outputs)
        self.weight = nn.Parameter(weights[outputs[:, :, None], inputs[:, None, :]])
        self.bias = nn.Parameter(torch.zeros(len(weights)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        products = torch.bmm(x[:, self.inputs].transpose(0, 1), self.weight.mT).transpose(0, 1)
        return x.new_zeros(len(x), len(self.bias)).index_copy(1, self.outputs.ravel(), products.flatten(1)) + self.bias


class Diagonal(nn.Module):
    """The floor: one weight a neuron."""

    def __init__(self, n: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(n)), nn.Parameter(torch.zeros(n))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addcmul(self.bias, x, self.weight)


class Turned(nn.Sequential):
    """Rows of features in and out, columns within."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.T.contiguous()).T


def networks(case: Case, activation: str, device: str = "cpu") -> dict[str, nn.Module]:
    """Ours, then every baseline, with the same weights; the diagonal is another function."""
    stacks = layer_stacks(case.topology, activation, device=device)
    matrices = [linear.weight.detach().cpu() for linear in stacks["dense"][::2]]
    act = ACTIVATIONS[activation]

    def stack(layers: Iterator[nn.Module], kind: type[nn.Sequential] = nn.Sequential) -> nn.Module:
        return kind(*itertools.chain.from_iterable((layer, act()) for layer in layers)).to(device)

    found = {
        "ours": stacks["ours"],
        DENSE: stacks["dense"],
        TORCH_CSR: stack(map(CsrLinear, matrices), Turned),
        "CSR with a backward on edges only": stacks["csr"],
        "a diagonal (the floor)": stack(Diagonal(len(matrix)) for matrix in matrices),
    }
    if "SAO" in case.name:
        blocks = [complete_blocks(layer)[0] for layer in case.topology]
        ends = [(torch.from_numpy(each.inputs), torch.from_numpy(each.outputs)) for each in blocks]
        found["gather, bmm, scatter"] = stack(BlockLinear(m, *each) for m, each in zip(matrices, ends))
    return found


def check_equal(case: str, results: dict[str, torch.Tensor]) -> None:
    """Refuse a baseline that computes something else than ours, the first."""
    wanted, *others = results.values()
    for name, found in zip([*results][1:], others):
        if not torch.allclose(found, wanted, rtol=1e-3, atol=1e-4):
            raise AssertionError(f"{case}: {name} differs by {float((found - wanted).abs().max()):.1e}")


def graphed(run: Callable[[], object]) -> Callable[[], object]:
    """The same kernels, launched all at once."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # warm up where capturing does not see it
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def passes(nets: dict[str, nn.Module], x: torch.Tensor, *, graphs: bool = False) -> dict[str, Callable[[], object]]:
    """One forward and backward pass of each network, waited for."""

    def run(net: nn.Module) -> Callable[[], object]:
        plain = lambda: one_pass(net, x)  # noqa: E731
        launch = graphed(plain) if graphs else plain

        def waited() -> None:
            launch()
            if x.is_cuda:
                torch.cuda.synchronize()

        return waited

    return {name: run(net) for name, net in nets.items()}


def layer_ratios(
    case: Case, activation: str = "tanh", *, repeats: int = 9, device: str = "cpu", graphs: bool = False
) -> list[Ratio]:
    """A layer inside the network, forward and backward."""
    nets = networks(case, activation, device)
    n = case.topology.sizes[0]
    x = torch.randn(BATCH, n, generator=torch.manual_seed(0)).to(device).requires_grad_()
    with torch.no_grad():
        check_equal(case.name, {name: net(x) for name, net in nets.items() if "diagonal" not in name})
    runs = passes(nets, x, graphs=graphs)
    for run in runs.values():
        run()
    mine, *theirs = (each / len(case.topology) for each in seconds(*runs.values(), repeats=repeats))
    where = setting(device) + (", CUDA graphs" if graphs else "")
    name = f"{case.name}, {activation}, {where}"
    return [Ratio(name, mine, other, s, case.promised.get(other)) for other, s in zip([*runs][1:], theirs)]


def setting(device: str = "cpu") -> str:
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' * (threads != 1)}" if device == "cpu" else device


def layer_bytes(case: Case) -> str:
    costs = time_layer(case.topology, BATCH, repeats=1, activation="tanh")
    told = (
        f"{name} {format_bytes(round(cost.parameter_bytes))} and {format_bytes(round(cost.step_bytes))}"
        for name, cost in costs.items()
    )
    return f"{case.name}, bytes of a layer's parameters and of a step: " + "; ".join(told)


def optimizer_ratio(case: Case, *, repeats: int = 9) -> Ratio:
    """The step that the table leaves out: SGD with momentum and decay."""
    stacks = layer_stacks(case.topology)
    runs = []
    for name in ("ours", "dense"):
        parameters = [*stacks[name].parameters()]
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        runs.append(torch.optim.SGD(parameters, lr=1e-9, momentum=0.9, weight_decay=1e-4).step)
        runs[-1]()
    ours, dense = (each / len(case.topology) for each in seconds(*runs, repeats=repeats))
    return Ratio(f"{case.name}, the optimiser's part (SGD, momentum), {setting()}", ours, DENSE, dense)


def training_ratio(depth: int = 200, *, repeats: int = 5) -> Ratio:
    """A whole step of the paper's network, loss and optimiser included."""
    x = torch.randn(BATCH, 1024, generator=torch.manual_seed(0))
    labels = torch.arange(BATCH) % 10

    def training(method: str) -> Callable[[], object]:
        net = deep_net(depth, method)
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9, weight_decay=1e-4)

        def step() -> None:
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), labels).backward()
            optimizer.step()

        step()
        return step

    ours, dense = seconds(training("SAO"), training("Dense"), repeats=repeats)
    return Ratio(f"a whole training step of deep_net({depth}), {setting()}", ours, "deep_net of method Dense", dense)


def slopes(largest: int = 4096) -> dict[str, tuple[float, dict[int, float]]]:
    """How a network's time grows: the slope, and seconds by size."""

    def run(n: int, degree: int) -> Callable[[], object]:
        net = layer_stacks(sao(n, degree, 4), "tanh")["ours"]
        (step,) = passes({"ours": net}, torch.ones(BATCH, n, requires_grad=True)).values()
        step()
        return step

    widths, n = [largest // 16, largest // 4, largest], largest // 4
    return {
        "SAO, 4 layers, d 8, width (every edge and neuron once: 1)": slope(widths, lambda n: run(n, 8)),
        f"SAO, 4 layers, width {n}, degree (every edge once: 1)": slope([4, 8, 16, 32], lambda d: run(n, d)),
    }


def csr_weights(topology: Topology) -> list[scipy.sparse.csr_array]:
    """One matrix of 1/16 for each layer; equal layers share theirs."""
    made = {layer: (layer.to_scipy().astype(np.float32) * np.float32(1 / 16)).tocsr() for layer in {*topology}}
    return [made[layer] for layer in topology]


def sparse_times_csr(y: scipy.sparse.csr_array, weights: list[scipy.sparse.csr_array], bias: float) -> np.ndarray:
    """The challenge's own code: sparse activations, the bias on what is stored, ReLU, clip; what died takes no time."""
    for matrix in weights:
        y = y @ matrix
        y.data = np.clip(y.data + np.float32(bias), 0, 32)
        y.eliminate_zeros()
    return y.toarray()


def dense_times_csr(y: np.ndarray, weights: list[scipy.sparse.csr_array], bias: float) -> np.ndarray:
    """Dense activations; inputs that died out are dropped."""
    alive, n_inputs = np.arange(len(y)), len(y)
    for matrix in weights:
        y = y @ matrix
        y += np.float32(bias)
        np.clip(y, 0, 32, out=y)
        keep = y.any(1)
        if not keep.all():
            y, alive = y[keep], alive[keep]
    result = np.zeros((n_inputs, y.shape[1]), dtype=np.float32)
    result[alive] = y
    return result


def challenge_ratios(
    inputs: torch.Tensor, what: str, *, n_layers: int = 120, repeats: int = 3, promised: float | None = None
) -> list[Ratio]:
    """Inference against scipy's CSR, from the same inputs; the promise holds against the fastest when against all."""
    topology, bias = challenge_net(inputs.shape[1], n_layers), CHALLENGE_BIASES[inputs.shape[1]]
    weights, dense = csr_weights(topology), inputs.numpy().astype(np.float32)
    stored = scipy.sparse.csr_array(dense)

    def ours() -> torch.Tensor:
        found = challenge_inference(topology, inputs, bias=bias)
        return torch.zeros(inputs.shape).index_copy(0, found.rows, found.values)

    runs = {
        "scipy CSR, dense activations": lambda: dense_times_csr(dense, weights, bias),
        "scipy CSR, sparse activations (the challenge's code)": lambda: sparse_times_csr(stored, weights, bias),
    }
    check_equal(what, {"ours": ours(), **{name: torch.from_numpy(run()) for name, run in runs.items()}})
    mine, *theirs = seconds(lambda: challenge_inference(topology, inputs, bias=bias), *runs.values(), repeats=repeats)
    rate = len(inputs) * topology.n_edges / mine
    name = f"{what}, {topology.sizes[0]} x {len(topology)}, {rate:.2g} edges/s, {setting()}"
    return [Ratio(name, mine, other, taken, promised) for other, taken in zip(runs, theirs)]


def digits(n_neurons: int, n_inputs: int = 10_000) -> torch.Tensor:
    return challenge_inputs(mnist_digits()[0].reshape(-1, 784)[:n_inputs] / 255, n_neurons)


def coins(n_neurons: int, n_inputs: int) -> torch.Tensor:
    """Inputs of which none dies out, so that every layer is worked through for all."""
    return torch.rand(n_inputs, n_neurons, generator=torch.manual_seed(0)) < 0.5


def large_challenge(n_inputs: int, n_neurons: int = 16384, n_layers: int = 120) -> str:
    """Digits and coins through the large network in this process: seconds, and the most memory it ever took."""
    lines = []
    with one_thread():
        for what, inputs in (("digits", digits(n_neurons, n_inputs)), ("coins", coins(n_neurons, n_inputs))):
            topology, found = challenge_net(n_neurons, n_layers), []
            run = lambda: found.append(challenge_inference(topology, inputs, bias=CHALLENGE_BIASES[n_neurons]))  # noqa: B023, E731
            (taken,) = seconds(run, repeats=1)
            peak = format_bytes(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
            rate = n_inputs * topology.n_edges / taken
            lines.append(
                f"{n_inputs} {what}, {n_neurons} x {n_layers}, 1 thread: {taken:.3g} s, {rate:.2g} edges/s, "
                f"{len(found[0].rows)} survive, at most {peak} of memory"
            )
    return "\n".join(lines)


def table(repeats: int = 9) -> Iterator[Ratio]:
    """The processor's table, for as many threads as torch has."""
    for case in cases():
        is_large = case.topology.sizes[0] > 1024
        few = 3 if is_large else repeats
        for activation in ("tanh",) if is_large else ("linear", "tanh"):
            yield from layer_ratios(case, activation, repeats=few)
        yield optimizer_ratio(case, repeats=few)
    yield training_ratio()
    yield from challenge_ratios(digits(1024), "the shipped digits", promised=10)
    yield from challenge_ratios(coins(1024, 200), "coins, none dies", repeats=1)


def cuda_table() -> Iterator[Ratio]:
    """The same on CUDA, launched one by one and as graphs. Untried: no machine with CUDA was at hand."""
    for case, graphs in itertools.product(cases(), (False, True)):
        yield from layer_ratios(case, repeats=50, device="cuda", graphs=graphs)


def main() -> int:
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    print(describe_device("cpu"), "torch", torch.__version__, "scipy", scipy.__version__)
    print(*map(layer_bytes, cases()), sep="\n")
    ratios, n_threads = [], torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for ratio in table():
            print(ratio, flush=True)
            ratios.append(ratio)
    torch.set_num_threads(n_threads)
    with multiprocessing.get_context("spawn").Pool(1) as alone:  # so that its memory is its own
        print(alone.apply(large_challenge, (10_000,)))
    if torch.cuda.is_available():
        ratios += cuda_table()
    else:
        print("no CUDA here: that table, and its CUDA graphs, are untried")
    return tell(ratios, slopes())


if __name__ == "__main__":
    sys.exit(main())
