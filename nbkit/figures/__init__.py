"""Pictures: arrays in, `plotly.graph_objects.Figure` out; knows no network and no widget."""

from nbkit.figures.balance import BalanceView, balance_figure, balance_ranges, balance_traces
from nbkit.figures.compress import compression_figure, compression_layout, compression_traces
from nbkit.figures.conv_tables import CONV_METHODS, conv_tables_axes, conv_tables_figure, conv_tables_panels
from nbkit.figures.curves import Curve, curve_traces, curves_figure
from nbkit.figures.decay import METHODS, DecayView, decay_figure, decay_ranges, decay_traces
from nbkit.figures.deep import DEEP_LOOKS, DeepLook, DeepView, deep_figure, deep_ranges, deep_traces
from nbkit.figures.deep_table import DeepTableView, deep_table_figure, deep_table_ranges, deep_table_traces
from nbkit.figures.expressive import (
    FIT_LOOKS,
    ErrorCurve,
    ExpressiveView,
    expressive_figure,
    expressive_ranges,
    expressive_titles,
    expressive_traces,
)
from nbkit.figures.fit import fit_figure, fit_traces
from nbkit.figures.frequency import frequency_figure, frequency_traces
from nbkit.figures.growth import circle_figure, circle_traces, length_figure, length_traces
from nbkit.figures.isometry import construction_figure, construction_layout, construction_steps, pipeline_figure
from nbkit.figures.lab import (
    LabAxes,
    LabSide,
    lab_figure,
    lab_layout,
    lab_ranges,
    lab_ticks,
    lab_title,
    lab_top,
    lab_traces,
)
from nbkit.figures.matrix import matrices_figure, matrix_figure
from nbkit.figures.operator import operator_figure, operator_layout, operator_traces
from nbkit.figures.paper_decay import PAPER_STRENGTHS, PaperDecayView, paper_decay_figure, paper_decay_traces
from nbkit.figures.phases import PhasePanel, phase_axes, phase_figure, phase_traces
from nbkit.figures.race import race_figure
from nbkit.figures.radial import (
    radial_functions_figure,
    radial_functions_traces,
    rescaling_figure,
    rescaling_traces,
)
from nbkit.figures.radix import block_adjacency_figure, decision_trees_figure, density_surface_figure, kronecker_figure
from nbkit.figures.reach import ReachPanel, reach_figure, reach_layout
from nbkit.figures.report import REPORT_PARTS, report_figure, report_layout, report_panels, report_traces
from nbkit.figures.sparsity import sparsity_figure, sparsity_layout, sparsity_traces
from nbkit.figures.spectra import Spectrum, spectra_axis, spectra_figure, spectra_range, spectra_traces
from nbkit.figures.spectrum import spectrum_figure, spectrum_traces
from nbkit.figures.speed import SPEED_WIRES, SpeedView, speed_axis, speed_figure, speed_panels
from nbkit.figures.spline import SplineView, spline_figure, spline_ranges, spline_traces
from nbkit.figures.stacked import CurvePanel, log_tick, stacked_figure, stacked_ranges, stacked_traces
from nbkit.figures.swallow import disks_colours, disks_figure, disks_traces, swallow_figure, swallow_traces
from nbkit.figures.template import FAMILY_COLOURS, INK, MAGNITUDE, PAPER, SIGNED, wrapped_title
from nbkit.figures.threshold import (
    ThresholdView,
    threshold_axes,
    threshold_figure,
    threshold_ranges,
    threshold_traces,
)
from nbkit.figures.tiles import Tiles, tiles_figure, tiles_layout, tiles_traces
from nbkit.figures.trained import TRAINED_KINDS, Points, trained_figure, trained_traces
from nbkit.figures.widths import WidthsView, widths_figure, widths_ranges, widths_traces
from nbkit.figures.wiring import wiring_axes, wiring_figure, wiring_traces

__all__ = [
    "CONV_METHODS",
    "DEEP_LOOKS",
    "FAMILY_COLOURS",
    "FIT_LOOKS",
    "INK",
    "MAGNITUDE",
    "METHODS",
    "PAPER",
    "PAPER_STRENGTHS",
    "ErrorCurve",
    "ExpressiveView",
    "PaperDecayView",
    "PhasePanel",
    "Points",
    "REPORT_PARTS",
    "SIGNED",
    "SPEED_WIRES",
    "TRAINED_KINDS",
    "BalanceView",
    "Curve",
    "CurvePanel",
    "DecayView",
    "DeepLook",
    "DeepTableView",
    "DeepView",
    "LabAxes",
    "LabSide",
    "ReachPanel",
    "Spectrum",
    "SpeedView",
    "SplineView",
    "ThresholdView",
    "Tiles",
    "WidthsView",
    "balance_figure",
    "balance_ranges",
    "balance_traces",
    "block_adjacency_figure",
    "circle_figure",
    "circle_traces",
    "compression_figure",
    "compression_layout",
    "compression_traces",
    "construction_figure",
    "construction_layout",
    "construction_steps",
    "conv_tables_axes",
    "conv_tables_figure",
    "conv_tables_panels",
    "curve_traces",
    "curves_figure",
    "decay_figure",
    "decay_ranges",
    "decay_traces",
    "deep_figure",
    "deep_ranges",
    "deep_table_figure",
    "deep_table_ranges",
    "deep_table_traces",
    "deep_traces",
    "decision_trees_figure",
    "density_surface_figure",
    "disks_colours",
    "disks_figure",
    "disks_traces",
    "expressive_figure",
    "expressive_ranges",
    "expressive_titles",
    "expressive_traces",
    "fit_figure",
    "fit_traces",
    "frequency_figure",
    "frequency_traces",
    "kronecker_figure",
    "lab_figure",
    "lab_layout",
    "lab_ranges",
    "lab_ticks",
    "lab_title",
    "lab_top",
    "lab_traces",
    "length_figure",
    "length_traces",
    "log_tick",
    "matrices_figure",
    "matrix_figure",
    "operator_figure",
    "operator_layout",
    "operator_traces",
    "paper_decay_figure",
    "paper_decay_traces",
    "phase_axes",
    "phase_figure",
    "phase_traces",
    "pipeline_figure",
    "radial_functions_figure",
    "radial_functions_traces",
    "race_figure",
    "reach_figure",
    "reach_layout",
    "report_figure",
    "report_layout",
    "report_panels",
    "report_traces",
    "rescaling_figure",
    "rescaling_traces",
    "sparsity_figure",
    "sparsity_layout",
    "sparsity_traces",
    "spectra_axis",
    "spectra_figure",
    "spectra_range",
    "spectra_traces",
    "spectrum_figure",
    "spectrum_traces",
    "speed_axis",
    "speed_figure",
    "speed_panels",
    "spline_figure",
    "spline_ranges",
    "spline_traces",
    "stacked_figure",
    "stacked_ranges",
    "stacked_traces",
    "swallow_figure",
    "swallow_traces",
    "threshold_axes",
    "threshold_figure",
    "threshold_ranges",
    "threshold_traces",
    "tiles_figure",
    "tiles_layout",
    "tiles_traces",
    "trained_figure",
    "trained_traces",
    "widths_figure",
    "widths_ranges",
    "widths_traces",
    "wiring_axes",
    "wiring_figure",
    "wiring_traces",
    "wrapped_title",
]
