"""Claims of notebook 09: Algorithm 1 and Theorems 5 and 7, written out from the paper on plain matrices [b W]."""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial

import torch

from nbkit.claims import claim
from nbkit.compress import reduced_widths
from nbkit.nets import n_radial_parameters
from nbkit.weights import orthogonal

__all__ = []

_Layers = list[torch.Tensor]  # [b W] of each layer, (n_out, 1 + n_in)
_FUNCTIONS = {
    "Step-ReLU": lambda r: r * (r >= 1),
    "squashing": lambda r: r**2 / (r**2 + 1),
    "shifted ReLU": lambda r: torch.relu(r - 0.5),
    "sigmoid": torch.sigmoid,
    "shifted sigmoid": lambda r: torch.sigmoid(r - 1),
}
_WIDTHS = (1, 8, 16, 8, 1), (2, 16, 64, 128, 16, 2), (5, 3, 2, 4, 1), (3, 3, 10, 2, 9, 2), (4, 6, 3)
_claim = partial(claim, notebook="09", paper="radial networks")


def _drawn(widths: Sequence[int], seed: int = 0) -> _Layers:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(n_out, 1 + n_in) for n_in, n_out in itertools.pairwise(widths)]
    return [torch.randn(shape, generator=generator).double() / math.sqrt(shape[1]) for shape in shapes]


def _outputs(layers: _Layers, h: Callable, x: torch.Tensor) -> torch.Tensor:
    for number, layer in enumerate(layers, start=1):
        x = layer[:, 0] + x @ layer[:, 1:].T
        if number < len(layers):
            norm = x.norm(dim=-1, keepdim=True)
            x = h(norm) / norm * x
    return x


def _algorithm_1(layers: _Layers) -> tuple[_Layers, _Layers]:
    """Q and [b W]^red, line by line."""
    rotations, reduced, a = [], [], layers[0]
    for following in layers[1:]:
        q, r = torch.linalg.qr(a, mode="complete")
        kept = min(a.shape)
        rotations.append(q)
        reduced.append(r[:kept])
        a = torch.column_stack([following[:, 0], following[:, 1:] @ q[:, :kept]])
    return rotations, [*reduced, a]


def _acted(rotations: _Layers, layers: _Layers) -> _Layers:
    """Q . (W, b)."""
    first, last = torch.eye(layers[0].shape[1] - 1).double(), torch.eye(len(layers[-1])).double()
    turned = zip(layers, [first, *rotations], [*rotations, last], strict=True)
    return [q @ torch.column_stack([layer[:, 0], layer[:, 1:] @ before.T]) for layer, before, q in turned]


def _parameters(widths: Sequence[int]) -> list[int]:
    """Before and after, counted entry by entry."""
    layers = _drawn(widths)
    return [sum(layer.numel() for layer in each) for each in (layers, _algorithm_1(layers)[1])]


def _points(dim: int) -> torch.Tensor:
    return torch.randn(500, dim, generator=torch.Generator().manual_seed(1)).double()


def _lossless(pairs: Callable[[_Layers], tuple[_Layers, _Layers]]) -> str:
    """Whether two networks made of every drawn one compute the same for every h."""
    gaps = []
    for widths, h in itertools.product(_WIDTHS, _FUNCTIONS.values()):
        one, other = (_outputs(layers, h, _points(widths[0])) for layers in pairs(_drawn(widths)))
        gaps.append(((one - other).abs().max() / one.abs().max()).item())
    return "the same" if max(gaps) < 1e-10 else f"off by {max(gaps):.1g}"


@_claim(
    place="section 5.1",
    statement="Q · (W, b) computes the same function as (W, b), for every orthogonal Q: five width vectors, five h",
    theirs="the same",
)
def symmetry() -> str:
    haar = {n: orthogonal(torch.ones(n, n)) for widths in _WIDTHS for n in widths}
    return _lossless(lambda layers: (layers, _acted([haar[len(layer)] for layer in layers[:-1]], layers)))


@_claim(
    place="Theorem 5",
    statement="the network that Algorithm 1 returns computes the same function: five width vectors, five h, to 1e-10",
    theirs="the same",
)
def theorem_5() -> str:
    return _lossless(lambda layers: (layers, _algorithm_1(layers)[1]))


@_claim(
    place="Example 6",
    statement="what (1, 8, 16, 8, 1) becomes, and its parameters before and after",
    theirs="(1, 2, 3, 4, 1), 305, 34",
)
def example_6() -> str:
    reduced = _algorithm_1(_drawn((1, 8, 16, 8, 1)))[1]
    return "{}, {}, {}".format((1, *map(len, reduced)), *_parameters((1, 8, 16, 8, 1)))


@_claim(
    place="Fig. 4",
    statement="parameters before and after; the widths are not named, and (1, 4, 4, 1) are the only ones with one input and "
    "one output where every hidden layer shrinks",
    theirs="33, 17",
)
def figure_4() -> str:
    # Three hidden layers that all shrink have 3, 4, 5 nodes at least, and 53 parameters.
    fitting = []
    for hidden in itertools.chain(*(itertools.product(range(3, 17), repeat=depth) for depth in (1, 2))):
        small = reduced_widths((1, *hidden, 1))
        counts = n_radial_parameters((1, *hidden, 1)), n_radial_parameters(small)
        if counts == (33, 17) and all(k < n for k, n in zip(small[1:-1], hidden, strict=True)):
            fitting.append((1, *hidden, 1))
    assert fitting == [(1, 4, 4, 1)]
    return "{}, {}".format(*_parameters(fitting[0]))


@_claim(
    place="section 7, (1) and (3)",
    statement="what (1, 6, 7, 1) and (2, 16, 64, 128, 16, 2) become",
    theirs="(1, 2, 3, 1), (2, 3, 4, 5, 6, 2)",
)
def widths_of_the_experiments() -> str:
    given = (1, 6, 7, 1), (2, 16, 64, 128, 16, 2)
    return ", ".join(str((widths[0], *map(len, _algorithm_1(_drawn(widths))[1]))) for widths in given)


@_claim(
    place="section 8",
    statement="Algorithm 1 takes something away if and only if n_i > n_(i-1) + 1 for a hidden layer i: all widths up to 5, "
    "three hidden layers",
    theirs="holds",
)
def what_is_compressible() -> str:
    for widths in itertools.product(range(1, 6), repeat=5):
        grows = any(n_out > n_in + 1 for n_in, n_out in itertools.pairwise(widths[:-1]))
        if (reduced_widths(widths) != widths) != grows:
            return f"fails for {widths}"
    return "holds"


@_claim(
    place="section 8",
    statement="networks whose widths nowhere grow, such as encoders, keep them: all with four layers and up to 6 nodes",
    theirs="holds",
)
def encoders() -> str:
    shrinking = [widths for widths in itertools.product(range(1, 7), repeat=5) if list(widths) == sorted(widths)[::-1]]
    kept = [(widths[0], *map(len, _algorithm_1(_drawn(widths))[1])) == widths for widths in shrinking]
    return "holds" if all(kept) else "fails"
