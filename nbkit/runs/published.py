"""What the SAO paper prints in the tables of convolutional networks that survive: Tables 9 and 11, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["PUBLISHED", "PublishedTable"]


@dataclass(frozen=True)
class PublishedTable:
    """A printed table of test accuracies.

    Attributes:
        title: network and data.
        depths: N, the columns.
        accuracy: (method, density, depth) -> percent, only what is printed; the dense network has density 1. Ten percent
            is chance: it did not train.
        source: where it is printed.
    """

    title: str
    depths: tuple[int, ...]
    accuracy: MappingProxyType[tuple[str, float, int], float]
    source: str

    @property
    def densities(self) -> tuple[float, ...]:
        """Kept fractions, descending; the paper prints sparsities, 100 (1 - density)."""
        return tuple(sorted({density for _, density, _ in self.accuracy}, reverse=True))


def _table(title: str, number: int, depths: tuple[int, ...], rows: dict[tuple[float, str], tuple]) -> PublishedTable:
    """From rows as they are printed: (sparsity in percent, method) -> accuracies."""
    accuracy = {
        (method, 1 - sparsity / 100, depth): value
        for (sparsity, method), values in rows.items()
        for depth, value in zip(depths, values, strict=True)
    }
    return PublishedTable(title, depths, MappingProxyType(accuracy), f"Esguerra et al. 2023, Table {number}")


#: By number. Of Tables 7, 8, 10 and 12 only sentences survive.
PUBLISHED = MappingProxyType(
    {
        9: _table("vanilla CNN, SAO-Delta, ReLU, width 128, on CINIC-10", 9, (8, 16, 32, 128), {
            (0.0, "Dense"): (81.32, 81.23, 81.47, 77.94),
            (50.0, "SAO"): (79.78, 80.35, 80.37, 75.87),
            (50.0, "LMP-S"): (79.54, 80.32, 80.12, 75.97),
            (75.0, "SAO"): (77.08, 77.16, 78.83, 73.72),
            (75.0, "LMP-S"): (76.90, 78.25, 78.03, 10.00),
            (87.5, "SAO"): (73.57, 75.70, 76.63, 71.05),
            (87.5, "LMP-S"): (72.94, 74.11, 10.00, 10.00),
            (96.875, "SAO"): (64.66, 66.51, 68.45, 65.48),
            (96.875, "LMP-S"): (10.00, 10.00, 10.00, 10.00),
        }),
        11: _table("LipConvNet-N, SAO-ECO, MaxMin, on CIFAR-10", 11, (5, 10, 15), {
            (0.0, "Dense"): (80.15, 78.75, 79.04),
            (50.0, "LMP-S"): (79.04, 79.10, 78.68),
            (50.0, "LMP-T"): (79.36, 79.37, 79.08),
            (50.0, "RG-S"): (78.38, 78.56, 74.13),
            (50.0, "RG-T"): (79.84, 79.73, 79.20),
            (50.0, "SAO"): (78.81, 78.44, 77.35),
            (87.5, "LMP-T"): (75.46, 10.00, 10.00),
            (87.5, "RG-T"): (77.19, 10.00, 10.00),
            (87.5, "SAO"): (76.77, 75.24, 75.26),
            (93.75, "LMP-T"): (73.27, 10.00, 10.00),
            (93.75, "SAO"): (75.86, 73.44, 73.53),
            (96.875, "LMP-T"): (70.80, 10.00, 10.00),
            (96.875, "SAO"): (73.39, 72.51, 72.00),
            (98.4375, "SAO"): (72.45, 70.01, 70.79),
        }),
    }
)  # fmt: skip
