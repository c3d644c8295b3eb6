"""How fast radial networks are compressed, and how much faster they are then: `python -m tests.benchmarks.compress`."""

import sys
from collections.abc import Callable, Sequence

import torch

from nbkit.compress import qr_compress, reduced_widths
from nbkit.device import describe_device, one_thread
from nbkit.nets import RadialNet

from .wires import Ratio, seconds, slope, tell

PASSES = 20  # of the compressed network for one of the original: a pass is shorter than a busy machine's turns


def bare_factors(net: RadialNet) -> list[torch.Tensor]:
    """Random matrices of the shapes that Algorithm 1 decomposes, in the network's dtype."""
    reduced = reduced_widths(net.widths)
    return [torch.randn(n, n_in + 1).to(net[0].weight) for n, n_in in zip(net.widths[1:-1], reduced)]


def compression_against_bare(widths: Sequence[int] = (784, 1024, 1024, 1024, 10)) -> list[Ratio]:
    """Compressing in float32, and writing the rotations out as well, against complete QR and nothing else."""
    net = RadialNet(widths).float()
    factors = bare_factors(net)

    def bare() -> list[object]:
        return [torch.linalg.qr(factor, mode="complete") for factor in factors]

    ours, with_rotations, theirs = seconds(
        lambda: qr_compress(net), lambda: qr_compress(net).rotations, bare, repeats=7
    )
    baseline, threads = f"{len(factors)} bare complete QR", torch.get_num_threads()
    name = f"compressing {tuple(widths)} in float32, {threads} thread{'s' * (threads != 1)}"
    return [
        Ratio(name, ours, baseline, theirs, promised=1 / 1.5),
        Ratio(f"{name}, with rotations", with_rotations, baseline, theirs),
    ]


def forward_against_original(widths: Sequence[int] = (2, 512, 512, 512, 2), batch: int = 4096) -> Ratio:
    """The forward pass of the compressed network against that of the original."""
    net = RadialNet(widths).float()
    found, x = qr_compress(net), torch.randn(batch, widths[0])
    with torch.no_grad():
        if (difference := (net(x) - found.net(x)).abs().max().item()) > 1e-5:
            raise AssertionError(f"original and compressed differ by {difference:.2g}")
        ours, theirs = seconds(lambda: [found.net(x) for _ in range(PASSES)], lambda: net(x), repeats=9)
    threads = torch.get_num_threads()
    name = f"forward pass of {tuple(widths)} compressed to {found.widths}, batch {batch}, {threads} thread{'s' * (threads != 1)}"
    return Ratio(name, ours / PASSES, "forward pass of the original", theirs, promised=20)


def compression_run(n: int) -> Callable[[], object]:
    net = RadialNet((n, n, n, n))
    return lambda: qr_compress(net)


def growing_run(n: int) -> Callable[[], object]:
    net = RadialNet((2, n, n, n, 2))
    return lambda: qr_compress(net)


def slopes(largest: int = 1024) -> dict[str, tuple[float, dict[int, float]]]:
    """How cost grows with the width: the slope, and seconds by width."""
    runs = {
        "compressing an encoder, all widths n (complete QR: 3)": compression_run,
        "compressing (2, n, n, n, 2) (thin QR, every weight once: 2)": growing_run,
    }
    with one_thread():
        return {name: slope([largest // 4, largest // 2, largest], run) for name, run in runs.items()}


def main() -> int:
    print(describe_device("cpu"), "torch", torch.__version__)
    ratios = [*compression_against_bare(), forward_against_original()]
    with one_thread():
        ratios += [*compression_against_bare(), forward_against_original()]
    return tell(ratios, slopes())


if __name__ == "__main__":
    sys.exit(main())
