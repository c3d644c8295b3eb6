"""Claims of notebook 01: RadiX-Net."""

from nbkit.claims import claim
from nbkit.measure import path_counts
from nbkit.topology import Topology, mixed_radix, radix_net

__all__ = []


def _distinct_counts(topology: Topology) -> str:
    return ", ".join(str(count) for count in sorted(set(path_counts(topology).ravel().tolist())))


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="Lemma 1",
    statement="in the mixed-radix topology (3, 3, 4) every input reaches every output by the same number of paths",
    theirs="1",
)
def lemma_1() -> str:
    return _distinct_counts(mixed_radix((3, 3, 4)))


@claim(
    notebook="01",
    paper="RadiX-Net",
    place="Theorem 1",
    statement="paths between an input and an output of the RadiX-Net ((2, 2), (4), (2))",
    theirs="16",
    ours="8",
    correction="With M ≥ 2 systems the number is N′^(M−2) · N″ · ΠD over the inner widths, where N″ is the last "
    "system's product: the printed N′^(M−1) · ΠD holds only when the last system is full, N″ = N′.",
)
def theorem_1() -> str:
    return _distinct_counts(radix_net([(2, 2), (4,), (2,)]))
