"""Exercise of notebook 10: what (2) takes for a network once every neuron is rescaled to cost least."""

from collections.abc import Iterator

import numpy as np
import torch

from nbkit.exercises import exercise
from nbkit.nets import SkipLayer, SkipNet, balanced, rbv2_penalty

__all__ = []


def _sides(V: list, W: list, out: int = 1) -> np.ndarray:
    return np.stack([np.linalg.norm(V, out, axis=0), np.linalg.norm(W, axis=1)])


@exercise(
    "10 least penalty",
    hint="A neuron's weights in are a row of W, its weights out a column of V. With a² = |v|₁ / |w|₂ both squares are "
    "|v|₁ |w|₂.",
    mistakes={
        "That is the penalty as the neurons stand: rescale each of them first.": (
            lambda V, W: float((_sides(V, W) ** 2).sum())
        ),
        "A factor 2 is missing: both squares are |v|₁ |w|₂ at best.": lambda V, W: float(
            _sides(V, W).prod(axis=0).sum()
        ),
        "That is weight decay: (2) takes |v|₁, the sum of sizes, not |v|₂.": (
            lambda V, W: float(2 * _sides(V, W, 2).prod(axis=0).sum())
        ),
        "Each neuron has a product of its own: multiply first, then add up.": (
            lambda V, W: float(2 * np.sqrt((_sides(V, W) ** 2).sum(axis=1)).prod())
        ),
        "V's columns belong to neurons, its rows to outputs; W's rows belong to neurons.": (
            lambda V, W: float(2 * np.abs(V).sum(axis=1).sum() * np.linalg.norm(W, axis=0).sum())
        ),
    },
)
def least_penalty_cases() -> Iterator[tuple[tuple, float]]:
    # The independent route: a network is balanced and its penalty is taken.
    drawn = np.random.default_rng(0)
    cases = [([[1.0], [-2.0]], [[3.0, 4.0]])]
    for n_out, n_neurons, n_in in ((1, 3, 2), (3, 5, 2), (2, 4, 3)):
        cases.append((drawn.normal(size=(n_out, n_neurons)).tolist(), drawn.normal(size=(n_neurons, n_in)).tolist()))
    for V, W in cases:
        zeros = [torch.zeros(size, dtype=torch.float64) for size in ((len(W),), (len(V), len(W[0])), (len(V),))]
        layer = SkipLayer(*(torch.tensor(side, dtype=torch.float64) for side in (V, W)), *zeros)
        yield (V, W), rbv2_penalty(balanced(SkipNet.of([layer]))).item()
