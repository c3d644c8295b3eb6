"""What can be seen: reach, paths, cones, spectra of wires, weights, convolutions and Jacobians; lengths of curves and their growth in networks; seconds and bytes."""

from nbkit.measure.compare import KSResult, ks_two_sample
from nbkit.measure.cones import Cone, NodeSet, Progression, cone, cone_sizes
from nbkit.measure.convolution import conv_frequency_singular_values, conv_matrix, conv_singular_values
from nbkit.measure.curves import Trajectory, arc, circle, line
from nbkit.measure.density import SortedMatrix, density_above, numerical_rank, sorted_by_norm, stable_rank
from nbkit.measure.growth import growth, growth_through, random_line, stream_growth
from nbkit.measure.growth_result import Estimate, GrowthResult
from nbkit.measure.growth_theory import (
    growth_delta,
    growth_lower_bound,
    growth_rms,
    growth_rms_through,
    khintchine_lower,
    khintchine_p0,
    khintchine_upper,
    subvector_norm,
    weight_scale,
)
from nbkit.measure.jacobian import jacobian_factors, jacobian_log10_singular_values, jacobian_singular_values
from nbkit.measure.lengths import arc_length
from nbkit.measure.low_rank import bottleneck_singular_values
from nbkit.measure.mean_field import mean_field_reach
from nbkit.measure.neurons import active_neurons, dead_neurons, neuron_groups, neuron_norms, thresholded
from nbkit.measure.paths import is_symmetric, is_translation_invariant, path_count, path_counts
from nbkit.measure.products import DeepProduct
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
from nbkit.measure.splines import PiecewiseLinear, connecting_spline, piecewise_linear, weight_rtv2
from nbkit.measure.timing import LayerCost, time_layer

__all__ = [
    "Cone",
    "DeepProduct",
    "Estimate",
    "GrowthResult",
    "KSResult",
    "LayerCost",
    "NodeSet",
    "PiecewiseLinear",
    "Progression",
    "SortedMatrix",
    "SpectralGap",
    "Trajectory",
    "active_neurons",
    "adjacency_spectrum",
    "arc",
    "arc_length",
    "bottleneck_singular_values",
    "circle",
    "cone",
    "cone_sizes",
    "connecting_spline",
    "conv_frequency_singular_values",
    "conv_matrix",
    "conv_singular_values",
    "dead_neurons",
    "density_above",
    "growth",
    "growth_delta",
    "growth_lower_bound",
    "growth_rms",
    "growth_rms_through",
    "growth_through",
    "is_path_connected",
    "is_symmetric",
    "is_translation_invariant",
    "jacobian_factors",
    "jacobian_log10_singular_values",
    "jacobian_singular_values",
    "khintchine_lower",
    "khintchine_p0",
    "khintchine_upper",
    "ks_two_sample",
    "line",
    "mean_field_reach",
    "multiplicities",
    "n_components",
    "neuron_groups",
    "neuron_norms",
    "numerical_rank",
    "path_count",
    "path_counts",
    "path_singular_values",
    "piecewise_linear",
    "random_line",
    "reach_fractions",
    "reachability",
    "singular_values",
    "sorted_by_norm",
    "spectral_gap",
    "stable_rank",
    "stream_growth",
    "subvector_norm",
    "thresholded",
    "time_layer",
    "weight_rtv2",
    "weight_scale",
]
