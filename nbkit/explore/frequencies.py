"""The hero of notebook 06: the singular values of a convolution at every frequency."""

from collections.abc import Iterator

import numpy as np

from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.schemes import (
    CHANNELS,
    DENSITIES,
    SCHEMES,
    SIZES,
    admitted,
    dilation_of,
    frequency_values,
    kernel_of,
    operator_of,
    wave_gains,
)
from nbkit.figures import FAMILY_COLOURS, frequency_figure, frequency_traces
from nbkit.measure import singular_values

__all__ = ["FrequencyExplorer"]

_EXACT = 1e-9  # singular values this close to 1 are 1


class FrequencyExplorer(Explorer):
    """The singular values of every frequency as a picture, white where they are 1; dilation and padding make or break it."""

    groups = {
        "weights": [
            Choice("scheme", "scheme", tuple(SCHEMES), value="SAO-ECO"),
            Slider("channels", "channels c", values=CHANNELS, value=16),
            Slider("kernel_size", "kernel size k", values=(1, 2, 3, 4, 5), value=3),
            Slider("density", "density", values=DENSITIES, value=0.25),
        ],
        "image": [
            Slider("size", "image size n", values=SIZES, value=12),
            Choice("dilation", "dilation", ("n/k", "1")),
            Choice("padding", "padding", ("circular", "zeros")),
        ],
    }
    presets = {
        "Fig. 5": {"scheme": "SAO-Delta", "channels": 16, "kernel_size": 3, "density": 0.25, "size": 12,
                   "dilation": "1", "padding": "circular"},
        "Fig. 6": {"scheme": "SAO-ECO", "channels": 16, "kernel_size": 3, "density": 0.25, "size": 12,
                   "dilation": "n/k", "padding": "circular"},
        "without dilation": {"scheme": "ECO", "channels": 8, "kernel_size": 3, "size": 12,
                             "dilation": "1", "padding": "circular"},
        "k does not divide n": {"scheme": "ECO", "channels": 8, "kernel_size": 3, "size": 7,
                                "dilation": "n/k", "padding": "circular"},
        "zero padding": {"scheme": "ECO", "channels": 8, "kernel_size": 3, "size": 6,
                         "dilation": "n/k", "padding": "zeros"},
        "pruned": {"scheme": "pruned ECO", "channels": 16, "kernel_size": 3, "density": 0.25, "size": 12,
                   "dilation": "n/k", "padding": "circular"},
    }  # fmt: skip
    height = 540

    def build(self) -> None:
        self.figure = self.figure_widget(frequency_figure(np.ones((2, 2, 1)), np.ones(4), height=self.height))

    def stream(
        self, *, scheme: str, channels: int, kernel_size: int, density: float, size: int, dilation: str, padding: str
    ) -> Iterator[dict | None]:
        """One frame: the values at each frequency and those of the whole operator."""
        kernel, step = kernel_of(scheme, channels, kernel_size, density), dilation_of(dilation, size, kernel_size)
        frame = {"scheme": scheme, "family": SCHEMES[scheme]}
        if padding == "circular":
            values = frequency_values(scheme, kernel, size, step)
            spectrum = np.sort(values, axis=None)[::-1]
        else:
            matrix = operator_of(scheme, kernel, size, step)
            yield None
            values = wave_gains(matrix, size)
            yield None
            spectrum = singular_values(matrix).numpy()
            frame["note"] = (
                f"zero padding mixes frequencies: the maps show what plane waves gain, the spectrum is that of the "
                f"{len(matrix)} × {len(matrix)} matrix, which limits n"
            )
        is_isometric = bool(np.abs(spectrum - 1).max() < _EXACT)
        named = scheme if density == 1 else f"{scheme}, density {density:.3g}"
        why = "" if is_isometric else _reason(scheme, density, size, kernel_size, step, padding)
        yield frame | {"values": values, "spectrum": spectrum, "is_isometric": is_isometric, "named": named, "why": why}

    def draw(self, frame: dict) -> None:
        spectrum = frame["spectrum"]
        shown = np.ones_like(spectrum) if frame["is_isometric"] else spectrum  # no rounding noise: one plateau
        self.figure.redraw(frequency_traces(frame["values"], shown, family=frame["family"]))
        self.figure.data[0].line.color = FAMILY_COLOURS[frame["family"]]
        self.grow("yaxis", 0, max(2.05, 1.03 * spectrum[0]))
        self.figure.retitle(_title(frame))

    def admissible(self, settings: dict) -> dict:
        return admitted(*(settings[name] for name in ("scheme", "channels", "kernel_size", "padding")))


def _reason(scheme: str, density: float, size: int, kernel_size: int, step: int, padding: str) -> str:
    """What breaks the isometry, as far as the settings say it."""
    if scheme == "Gaussian":
        return "independent weights"
    if scheme.startswith("pruned") and density < 1:
        return "pruned afterwards"
    reasons = ["zero padding"] if padding == "zeros" else []
    if size % kernel_size:
        reasons.append(f"k = {kernel_size} does not divide n = {size}")
    elif step * kernel_size != size:
        reasons.append("without dilation n/k")
    return ", ".join(reasons)


def _title(frame: dict) -> str:
    values = frame["spectrum"]
    if frame["is_isometric"]:
        return f"{frame['named']}: an isometry, all {values.size} singular values are 1"
    why = f" ({frame['why']})" if frame["why"] else ""
    dead = int((values < _EXACT).sum())
    low = f"0 ({dead} of them)" if dead else f"{values[-1]:.2g}"
    ends = f"s from {low} to {values[0]:.3g}".replace(" ", "\N{NO-BREAK SPACE}")
    return f"{frame['named']}{why}: no isometry, {ends}"
