"""Every measure of one network, as numbers: wires, reach, spectra, Jacobian, growth, and what could be removed."""

from nbkit.reporting.parts import GrowthReport, LayerReport, ReachReport, Removable, Spectrum, UnitReport
from nbkit.reporting.state import from_state
from nbkit.reporting.whole import Report, report

__all__ = [
    "GrowthReport",
    "LayerReport",
    "ReachReport",
    "Removable",
    "Report",
    "Spectrum",
    "UnitReport",
    "from_state",
    "report",
]
