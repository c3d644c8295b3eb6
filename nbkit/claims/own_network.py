"""Claims of notebook 12: what the papers say of networks that were trained, then pruned."""

import copy
from functools import cache, partial

import numpy as np
import torch
from torch import nn

from nbkit.claims import claim
from nbkit.compress import prune
from nbkit.data import digit_line, mnist_split
from nbkit.measure import arc_length
from nbkit.training import train
from nbkit.weights import Gaussian

__all__ = []

_WIDTHS = (784, 64, 64, 10)
_claim = partial(claim, notebook="12")


@cache
def _trained() -> nn.Sequential:
    """A classifier of digits after two hundred steps, born with He's scale."""
    modules = []
    for seed, (n_in, n_out) in enumerate(zip(_WIDTHS, _WIDTHS[1:])):
        layer = nn.utils.skip_init(nn.Linear, n_in, n_out)
        with torch.no_grad():
            layer.weight.copy_(Gaussian((2 / n_in) ** 0.5).sample((n_out, n_in), seed=seed))
            layer.bias.zero_()
        modules += [layer, nn.ReLU()]
    net = nn.Sequential(*modules[:-1])
    *_, _ = train(net, mnist_split().unit(), steps=200, every=200, n_test=100, learning_rate=3e-3)
    return net


def _pruned(density: float, method: str) -> nn.Sequential:
    return prune(copy.deepcopy(_trained()), density, method)


@_claim(
    paper="SAO",
    place="Fig. 8, section V-A",
    statement="after magnitude pruning some inputs are disconnected from some outputs: a trained classifier of digits, "
    "1/32 of each layer but the last kept; pairs that stay",
    theirs="apart",
)
def pruned_and_apart() -> str:
    masks = [layer.to_dense().detach().numpy().T != 0 for layer in _pruned(1 / 32, "LMP")[:-1:2]]
    reach = np.eye(len(masks[0]), dtype=int)
    for mask in masks:
        reach = (reach @ mask > 0).astype(int)
    return "joined" if reach.all() else "apart"


@_claim(
    paper="trajectory growth",
    place="App. C.2",
    statement="results for trained sparse networks are influenced by the method that made them sparse: lengths of a line "
    "behind one trained network, pruned by GMP, LMP and LRP to the same 1/8 (implied)",
    theirs="differ",
)
def pruned_and_growing() -> str:
    line = digit_line(100, 1000)
    lengths = [arc_length(line, _pruned(1 / 8, method), method="exact") for method in ("GMP", "LMP", "LRP")]
    return "differ" if max(lengths) > 1.2 * min(lengths) and len({f"{each:.1e}" for each in lengths}) == 3 else "agree"
