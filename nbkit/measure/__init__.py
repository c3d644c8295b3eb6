"""What can be seen of wires: reach, paths, cones, spectra."""

from nbkit.measure.cones import Cone, NodeSet, Progression, cone, cone_sizes
from nbkit.measure.mean_field import mean_field_reach
from nbkit.measure.paths import is_symmetric, is_translation_invariant, path_count, path_counts
from nbkit.measure.reach import is_path_connected, reach_fractions, reachability
from nbkit.measure.spectrum import (
    SpectralGap,
    adjacency_spectrum,
    multiplicities,
    n_components,
    path_singular_values,
    singular_values,
    spectral_gap,
)

__all__ = [
    "Cone",
    "NodeSet",
    "Progression",
    "SpectralGap",
    "adjacency_spectrum",
    "cone",
    "cone_sizes",
    "is_path_connected",
    "is_symmetric",
    "is_translation_invariant",
    "mean_field_reach",
    "multiplicities",
    "n_components",
    "path_count",
    "path_counts",
    "path_singular_values",
    "reach_fractions",
    "reachability",
    "singular_values",
    "spectral_gap",
]
