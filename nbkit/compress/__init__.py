"""Smaller networks: what can be taken away without a loss, and training that respects it."""

from nbkit.compress.descent import keep_projected, project
from nbkit.compress.prune import PRUNINGS, prune
from nbkit.compress.qr import Compression, qr_compress, reduced_widths

__all__ = ["PRUNINGS", "Compression", "keep_projected", "project", "prune", "qr_compress", "reduced_widths"]
