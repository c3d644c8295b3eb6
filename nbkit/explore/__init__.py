"""Sliders: explorers, which draw while the reader drags. Importing this room is cheap; names are fetched when used."""

from importlib import import_module
from typing import Any

# Every public name of the room and the module that defines it. A new chapter adds one line.
_HOME = {
    "Explorer": "explorer",
    "Choice": "controls",
    "LogSlider": "controls",
    "Slider": "controls",
    "Text": "controls",
    "Toggle": "controls",
    "MatrixCanvas": "canvas",
    "DensityExplorer": "radix",
    "PathsExplorer": "radix",
    "SigmoidsExplorer": "sigmoids",
    "WiringExplorer": "radix",
    "CircleExplorer": "circle",
    "FactorExplorer": "factors",
    "GrowthExplorer": "growth",
    "LengthExplorer": "circle",
    "MaskGrowthExplorer": "masks",
    "SubvectorExplorer": "subvector",
    "ConeExplorer": "reach",
    "GapExplorer": "reach",
    "ReachExplorer": "reach",
    "TrainedExplorer": "trained",
    "ConstructionExplorer": "construction",
    "DepthExplorer": "depth",
    "LayerExplorer": "spectrum",
    "SpectrumExplorer": "spectrum",
    "FrequencyExplorer": "frequencies",
    "OperatorExplorer": "convolutions",
    "RamanujanConvExplorer": "convolutions",
    "SliceExplorer": "slices",
    "RadialFunctionsExplorer": "rescaling",
    "RescalingExplorer": "rescaling",
    "ConditionExplorer": "condition",
    "RegimesExplorer": "regimes",
    "DisksExplorer": "swallow",
    "SwallowExplorer": "swallow",
    "CompressExplorer": "compress",
    "DescentExplorer": "descent",
    "LosslessExplorer": "lossless",
    "RaceExplorer": "race",
    "BalanceExplorer": "balance",
    "SplineExplorer": "spline",
    "ThresholdExplorer": "threshold",
    "WidthsExplorer": "widths",
    "SparsityExplorer": "sparse",
    "DecayExplorer": "decay",
    "PaperDecayExplorer": "paper_decay",
    "TrainDeepExplorer": "deep",
    "DeepTableExplorer": "deep_table",
    "SpeedExplorer": "speed",
    "PruningExplorer": "prunings",
    "PhaseExplorer": "phases",
    "TrainabilityExplorer": "phases",
    "ExpressiveExplorer": "expressive",
    "ConvTablesExplorer": "conv_tables",
    "LabExplorer": "lab",
    "DrawnReport": "report",
    "ReportExplorer": "report",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
