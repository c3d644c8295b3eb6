"""Lines between digits through trained networks, and through what they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from nbkit.data import digit_line, mnist_split
from nbkit.measure import growth_through
from nbkit.nets import FeedForward
from nbkit.weights import Gaussian

__all__ = ["KINDS", "LINE_COLUMNS", "choose_lines", "measure_growth", "random_controls"]

#: trained with distorted digits, and with the digits as they are; the same network at birth; a random one at the
#: trained one's sigma_w, and one at the sigma_w of each of its layers
KINDS = ("trained", "trained_plain", "untrained", "matched", "matched_by_layer")
LINE_COLUMNS = ("line", "pair", "first", "second", "first_label", "second_label", "length")


def choose_lines(n: int, seed: int) -> list[tuple]:
    """n lines within a class and n between two classes, drawn among the test digits; rows of `LINE_COLUMNS`.

    Line i within a class joins two digits of class i mod 10; line i between classes one of class i mod 10 and one of
    another class.
    """
    generator = np.random.default_rng([seed, 6])
    labels = mnist_split().test_labels.numpy()
    rows = []
    for number in range(2 * n):
        own = number % n % 10
        other = own if number < n else (own + int(generator.integers(1, 10))) % 10
        first = int(generator.choice(np.flatnonzero(labels == own)))
        candidates = np.flatnonzero(labels == other)
        second = int(generator.choice(candidates[candidates != first]))
        pair = "within" if number < n else "between"
        rows.append((number, pair, first, second, own, other, digit_line(first, second).length))
    return rows


def random_controls(trained: FeedForward, *, seed: int) -> dict[str, FeedForward]:
    """Random networks beside the trained: "matched" at their sigma_w, "matched_by_layer" at that of each layer.

    Both have the paper's biases and share their random numbers: only the sigma_w of layers differ.
    """
    pooled, layers = trained.sigma_w().tolist(), trained.layer_sigma_w().tolist()
    entropies = np.random.SeedSequence(seed, spawn_key=(2000,)).generate_state(trained.n_nets).tolist()
    laws = {
        "matched": [[Gaussian(sigma)] * trained.depth for sigma in pooled],
        "matched_by_layer": [[Gaussian(sigma) for sigma in sigmas] for sigmas in layers],
    }
    return {
        kind: FeedForward.joined(
            [FeedForward(trained.widths, law, seed=entropy) for law, entropy in zip(each, entropies, strict=True)]
        )
        for kind, each in laws.items()
    }


def measure_growth(
    kinds: Mapping[str, FeedForward], lines: list[tuple], *, n_points: int, say: Callable[[str], None]
) -> dict[str, object]:
    """Columns of the table: growth and lengths of every line through every network of every kind.

    growth is the mean factor over the layers that have as many nodes as the layer before; n_skipped counts the dead
    pieces before these, which have no factor; length_d is the length behind layer d, the last one the output's; net
    counts through the batch.
    """
    columns: dict[str, list] = {"kind": [], "line": [], "net": [], "growth": [], "n_skipped": []}
    lengths = []
    for kind, nets in kinds.items():
        square = [layer for layer in range(nets.depth) if nets.widths[layer] == nets.widths[layer + 1]]
        for number, _, first, second, *_ in lines:
            result = growth_through(nets, digit_line(first, second), n_points=n_points)
            columns["kind"] += [kind] * nets.n_nets
            columns["line"] += [number] * nets.n_nets
            columns["net"] += range(nets.n_nets)
            columns["growth"] += result.factor[:, square].nanmean(dim=1).tolist()
            columns["n_skipped"] += result.n_skipped[:, square].sum(dim=1).tolist()
            lengths.append(result.length[:, 1:].T)
        say(f"measured {len(lines)} lines through {nets.n_nets} networks: {kind}")
    behind = torch.cat(lengths, dim=1)
    return columns | {f"length_{depth}": behind[depth - 1] for depth in range(1, len(behind) + 1)}
