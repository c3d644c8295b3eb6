"""How fast many regularised networks train side by side: `python -m tests.benchmarks.decay`."""

import copy
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from nbkit.device import describe_device, one_thread
from nbkit.nets import FullSkipNet, FullSkipNets, SkipLayer, SkipNets
from nbkit.runs.decay import Settings, factored_nets, full_nets, samples
from nbkit.training import descend_many

from .wires import Ratio, seconds, slope, tell

STEPS = 20  # between two records

Nets = SkipNets | FullSkipNets


def ours(nets: Nets, settings: Settings, penalties: list[tuple[str, float]]) -> Iterator[torch.Tensor]:
    """Errors after 0, STEPS, 2 STEPS, ... steps."""
    stream = descend_many(nets, *samples(settings), penalties, max_steps=10**9, every=STEPS)
    return (record.losses for record in stream)


def adam_steps(net: torch.nn.Module, optimizer, settings: Settings, penalty: Callable) -> Iterator[torch.Tensor]:
    """Errors after 0, STEPS, 2 STEPS, ... steps of an ordinary training: autograd and torch's Adam."""
    x, y = samples(settings)
    for step in itertools.count():
        losses = (net(x)[..., 0] - y).square().mean(dim=-1)
        if step % STEPS == 0:
            yield losses.detach().double()
        optimizer.zero_grad()
        (losses + penalty(net)).sum().backward()
        optimizer.step()


def one_by_one(nets: list[torch.nn.Module], settings: Settings, penalties) -> Iterator[torch.Tensor]:
    """The baseline: each network is trained for itself, with torch's own weight decay."""
    streams = []
    for net, (name, strength) in zip(nets, penalties):
        decay = 2 * strength if name == "weight_decay" else 0.0
        optimizer = torch.optim.Adam(net.parameters(), lr=settings.lr, weight_decay=decay)

        def penalty(net: torch.nn.Module, name: str = name, strength: float = strength) -> torch.Tensor | float:
            return strength * sum(map(layer_penalty, net.layers)) if name == "rbv2" else 0.0

        streams.append(adam_steps(net, optimizer, settings, penalty))
    return (torch.stack(losses) for losses in zip(*streams))


def layer_penalty(layer: SkipLayer) -> torch.Tensor:
    """|C| + sum over neurons |v|_1^2 + |w|_2^2."""
    return layer.C.abs().sum() + layer.V.abs().sum(dim=0).square().sum() + layer.W.square().sum()


def naive_batch(nets: SkipNets, settings: Settings, penalties) -> Iterator[torch.Tensor]:
    """The same batched products, but through autograd and torch's Adam as it comes."""
    rbv2, decay = (torch.tensor([s * (name == m) for m, s in penalties]) for name in ("rbv2", "weight_decay"))

    def penalty(nets: SkipNets) -> torch.Tensor:
        neurons = [
            outer.abs().sum(dim=1).square().sum(dim=1) + inner[:, :, 1:].square().sum(dim=(1, 2))
            for inner, outer in zip(nets.inner, nets.outer)
        ]
        skips = [skip[:, :, :-1].abs().sum(dim=(1, 2)) for skip in nets.skips]
        squares = sum(parameter.square().sum(dim=(1, 2)) for parameter in nets.parameters())
        return rbv2 * sum(neurons + skips) + decay * squares

    return adam_steps(nets, torch.optim.Adam(nets.parameters(), lr=settings.lr), settings, penalty)


def in_turns(name: str, trainings: dict[str, Iterator[torch.Tensor]], promises: list[float | None], repeats: int):
    """Ratios of the first training to each other one, a step, after they were seen to be the same training."""
    for _ in range(2):
        wanted, *others = [next(stream) for stream in trainings.values()]
    for baseline, losses in zip([*trainings][1:], others):
        if not torch.allclose(losses, wanted, rtol=1e-2):
            raise AssertionError(
                f"{baseline} has the errors {losses.tolist()} after {STEPS} steps, ours {wanted.tolist()}"
            )
    taken = seconds(*(stream.__next__ for stream in trainings.values()), repeats=repeats)
    threads = torch.get_num_threads()
    name = f"a step of {name}, {threads} thread{'s' * (threads != 1)}"
    mine, *theirs = (each / STEPS for each in taken)
    return [Ratio(name, mine, *line) for line in zip([*trainings][1:], theirs, promises)]


def factored_ratios(settings: Settings = Settings(), *, repeats: int = 9) -> list[Ratio]:
    """All seven settings of Figure 2 in one, against seven ordinary trainings, and against batching alone."""
    nets, penalties = factored_nets(settings), settings.penalties
    singles = [copy.deepcopy(net) for net in nets]
    trainings = {
        "ours": ours(nets, settings, penalties),
        "seven ordinary trainings": one_by_one(singles, settings, penalties),
        "batched, with autograd": naive_batch(copy.deepcopy(nets), settings, penalties),
    }
    return in_turns(f"seven trainings, K = {settings.n_neurons}", trainings, [2.5, None], repeats)


def full_ratios(settings: Settings = Settings(), *, repeats: int = 3) -> list[Ratio]:
    """The two fully connected baselines in one, against two ordinary trainings."""
    nets, penalties = full_nets(settings), settings.full_penalties
    k = settings.n_neurons
    singles = [FullSkipNet(4, (k, k), 1, seed=settings.seed) for _ in penalties]
    trainings = {
        "ours": ours(nets, settings, penalties),
        "two ordinary trainings": one_by_one(singles, settings, penalties),
    }
    return in_turns(f"two fully connected trainings, K = {k}", trainings, [None], repeats)


def slopes(largest: int = 2048) -> dict[str, tuple[float, dict[int, float]]]:
    """How cost grows: the slope, and seconds by size."""

    def wide_run(k: int) -> Callable[[], object]:
        settings = replace(Settings(), n_neurons=k)
        return ours(factored_nets(settings), settings, settings.penalties).__next__

    def many_run(n: int) -> Callable[[], object]:
        nets = SkipNets((4, 16, 1), largest // 4, seeds=(0,) * n)
        return ours(nets, Settings(), [("rbv2", 1e-3)] * n).__next__

    with one_thread():
        return {
            "seven trainings, K neurons (every weight once: 1)": slope([largest // 4, largest // 2, largest], wide_run),
            "n trainings (each once: 1)": slope([4, 8, 16], many_run),
        }


def main() -> int:
    print(describe_device("cpu"), "torch", torch.__version__)
    ratios = [*factored_ratios(), *full_ratios()]
    with one_thread():
        ratios += [*factored_ratios(), *full_ratios()]
    return tell(ratios, slopes())


if __name__ == "__main__":
    sys.exit(main())
