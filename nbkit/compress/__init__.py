"""Smaller networks: what can be taken away without a loss, and training that respects it."""

from nbkit.compress.descent import keep_projected, project
from nbkit.compress.qr import Compression, qr_compress, reduced_widths

__all__ = ["Compression", "keep_projected", "project", "qr_compress", "reduced_widths"]
