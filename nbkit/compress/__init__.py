"""Smaller networks: what can be taken away without a loss, and training that respects it."""

from nbkit.compress.descent import keep_projected, project
from nbkit.compress.protocols import PROTOCOLS, PrunedTraining, train_pruned
from nbkit.compress.prune import PRUNINGS, prune
from nbkit.compress.qr import Compression, qr_compress, reduced_widths

__all__ = [
    "PROTOCOLS",
    "PRUNINGS",
    "Compression",
    "PrunedTraining",
    "keep_projected",
    "project",
    "prune",
    "qr_compress",
    "reduced_widths",
    "train_pruned",
]
