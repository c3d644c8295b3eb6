"""X-Net layers, random and explicit (Cayley), and which layer shapes each family admits (Prabhu et al. 2018)."""

import math
from collections.abc import Sequence

import numpy as np

from nbkit.device import check_memory, random_generator
from nbkit.errors import NbkitError, check_choice, check_integer, show
from nbkit.topology.layer import MAX_NODES, EdgeLayer, Layer
from nbkit.topology.structured import CirculantLayer, XorLayer, check_elements

__all__ = ["admitted_degrees", "cayley_expander", "is_cascade_connected", "random_expander"]

_GROUPS = ("cyclic", "binary")
_EDGE_BYTES = 48  # while the edges of a random layer are drawn and sorted
_FACTORED = 2**40  # divisors are found by trial up to the square root


def random_expander(
    n_in: int, n_out: int, degree: int, *, regular: str = "out", seed: int | np.random.Generator | None = 0
) -> Layer:
    """A random X-Linear layer: every node of one side draws `degree` distinct neighbours on the other, uniformly.

    The other side is regular only on average, so dead nodes are possible: with `regular="in"` an input is dead with
    probability (1 - degree / n_in) ** n_out.

    Args:
        n_in, n_out: numbers of nodes, at least 1.
        degree: neighbours drawn by each node, 1..size of the other side.
        regular: "out", every input draws its outputs; "in", every output draws its inputs.
        seed: an integer, a numpy Generator, or None.

    Raises:
        NbkitError: a size below 1, a degree outside its range, another side.

    Source:
        Prabhu, Varma & Namboodiri 2018, random X-Linear layers.
    """
    who = "random_expander"
    n_in, n_out = (
        check_integer(who, name, n, at_least=1, at_most=MAX_NODES) for name, n in (("n_in", n_in), ("n_out", n_out))
    )
    check_choice(who, "regular", regular, ("out", "in"))
    n_drawing, n_other = (n_in, n_out) if regular == "out" else (n_out, n_in)
    degree = check_integer(who, "degree", degree, at_least=1, at_most=n_other)
    generator = random_generator(seed, who=who)
    n_bytes = 2 * _EDGE_BYTES * n_drawing * degree + 16 * (n_in + n_out)
    check_memory(who, n_bytes, lower="the number of nodes or the degree")
    drawn = _distinct_draws(generator, n_drawing, n_other, degree)
    drawing = np.repeat(np.arange(n_drawing), degree)
    sources, targets = (drawing, drawn.ravel()) if regular == "out" else (drawn.ravel(), drawing)
    description = f"random, {degree} edges {'out of' if regular == 'out' else 'into'} each node"
    return EdgeLayer(n_in, n_out, sources, targets, description=description)


def cayley_expander(n: int, generators: Sequence[int], *, group: str = "cyclic") -> Layer:
    """An explicit X-Linear layer, a Cayley graph: node g feeds g + s for every generator s of the group.

    Both sides are the group's elements, so n_in = n_out = n: the constraint that RadiX-Nets remove.

    Args:
        n: number of elements; a power of two for the binary group.
        generators: distinct elements 0..n-1.
        group: "cyclic" (sum mod n) or "binary" (XOR).

    Raises:
        NbkitError: n_in and n_out that differ (n must be one integer), no generator, one that is repeated or outside
            the group, an n that is no power of two.

    Source:
        Prabhu, Varma & Namboodiri 2018, explicit X-Linear layers.
    """
    return _cayley_layer("cayley_expander", n, generators, group)


def is_cascade_connected(n: int, generators: Sequence[int], *, group: str = "cyclic") -> bool:
    """Whether a cascade of equal Cayley layers, if deep enough, joins every input to every output.

    True exactly when the differences of the generators generate the group, that is when one layer is connected: for
    the cyclic group when gcd(n, s_1 - s_0, ...) = 1, for the binary group when the s_i XOR s_0 span all bits. That the
    generators themselves generate the group is not enough.

    Raises:
        NbkitError: as `cayley_expander`.
    """
    return _cayley_layer("is_cascade_connected", n, generators, group).n_components == 1


def admitted_degrees(family: str, n_in: int, n_out: int) -> list[int]:
    """The out-degrees that a family admits for a layer n_in -> n_out, ascending; empty where it admits none.

    "radix": N n_out / n for a common divisor n of both sizes and a radix N >= 2 that divides n (a layer of a full
    system), which is n_out / m for every common divisor m but the largest. "sao": as `biregular`, told at the inputs.
    "cayley": any degree, but only where n_in = n_out. "random": any.

    Raises:
        NbkitError: another family, a size outside 1..2^40, or a list beyond the memory budget.
    """
    who = "admitted_degrees"
    check_choice(who, "family", family, ("radix", "sao", "cayley", "random"))
    n_in, n_out = (
        check_integer(who, name, n, at_least=1, at_most=_FACTORED) for name, n in (("n_in", n_in), ("n_out", n_out))
    )
    if family == "radix":
        shared = math.gcd(n_in, n_out)
        return sorted(n_out // divisor for divisor in _divisors(shared) if divisor < shared)
    if family == "sao":
        narrow, wide = min(n_in, n_out), max(n_in, n_out)
        at_narrow = biregular_degrees(narrow, wide)
        return at_narrow if n_in <= n_out else [degree * narrow // wide for degree in at_narrow]
    if family == "cayley" and n_in != n_out:
        return []
    check_memory(who, 40 * n_out, lower="n_out")
    return list(range(1, n_out + 1))


def biregular_degrees(narrow: int, wide: int) -> list[int]:
    """The degrees at the narrower side of a layer that is a union of equal complete blocks, ascending."""
    return [degree for degree in _divisors(wide) if degree * narrow % wide == 0]


def _divisors(n: int) -> list[int]:
    small = [divisor for divisor in range(1, math.isqrt(n) + 1) if n % divisor == 0]
    return sorted({*small, *(n // divisor for divisor in small)})


def _cayley_layer(who: str, n: int, generators: Sequence[int], group: str) -> CirculantLayer | XorLayer:
    if isinstance(n, (tuple, list)):
        raise NbkitError(
            f"{who}: n must be one integer, since a Cayley layer has n_in = n_out = the group's size, got {show(n)}. "
            "Use radix_net with widths where the sizes differ."
        )
    n = check_integer(who, "n", n, at_least=1, at_most=MAX_NODES)
    check_choice(who, "group", group, _GROUPS)
    generators = check_elements(who, "generators", generators, n)
    if group == "binary" and n & (n - 1):
        raise NbkitError(f"{who}: n must be a power of two for the binary group, got {n}. Use {1 << n.bit_length()}.")
    return CirculantLayer(n, generators) if group == "cyclic" else XorLayer(n, generators)


def _distinct_draws(generator: np.random.Generator, n_rows: int, n: int, degree: int) -> np.ndarray:
    """`degree` distinct numbers of 0..n-1 in every row, uniform over subsets: Floyd's algorithm on all rows at once."""
    drawn = np.empty((n_rows, degree), dtype=np.int64, order="F")
    rows = np.arange(n_rows)
    # What a row has drawn is looked up in a table where that is smaller than the edges, else among the draws.
    table = np.zeros((n_rows, n), dtype=bool) if n <= _EDGE_BYTES * degree else None
    for column, top in enumerate(range(n - degree, n)):
        candidate = generator.integers(0, top + 1, size=n_rows)
        repeated = (drawn[:, :column] == candidate[:, None]).any(axis=1) if table is None else table[rows, candidate]
        drawn[:, column] = np.where(repeated, top, candidate)
        if table is not None:
            table[rows, drawn[:, column]] = True
    return drawn
