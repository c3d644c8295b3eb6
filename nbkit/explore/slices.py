"""Explorer of notebook 06: how SAO-Delta and SAO-ECO make their kernels, step by step."""

from collections.abc import Iterator

import numpy as np

from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.schemes import DENSITIES, kernel_of, mask_of
from nbkit.figures import Tiles, tiles_figure, tiles_layout, tiles_traces
from nbkit.weights import n_free_slices, slice_of_frequency

__all__ = ["SliceExplorer"]

_MASK, _FREE, _MIRRORED, _INVERSE, _KERNEL = "mask", "free slices", "mirrored", "inverse FFT", "kernels"
_STEPS = {"SAO-ECO": (_MASK, _FREE, _MIRRORED, _INVERSE, _KERNEL), "SAO-Delta": (_MASK, "orthogonal S", _KERNEL)}


class SliceExplorer(Explorer):
    """How SAO-Delta and SAO-ECO make their kernels, step by step: mask, orthogonal slices, kernels."""

    groups = {
        "scheme": [
            Choice("scheme", "scheme", tuple(_STEPS)),
            Slider("step", "step", 1, 5, value=5, play=True),
        ],
        "kernel": [
            Slider("channels", "channels c", values=(4, 8, 16), value=8),
            Slider("kernel_size", "kernel size k", values=(1, 2, 3, 4, 5, 6), value=3),
            Slider("density", "density", values=DENSITIES[1:], value=0.25),
            Slider("seed", "seed", 0, 9, value=0),
        ],
    }
    presets = {
        "Fig. 5": {"scheme": "SAO-Delta", "channels": 16, "kernel_size": 3, "density": 0.25, "step": 3},
        "Fig. 6": {"scheme": "SAO-ECO", "channels": 16, "kernel_size": 3, "density": 0.25, "step": 5},
        "even kernel": {"scheme": "SAO-ECO", "channels": 4, "kernel_size": 4, "density": 0.5, "step": 3},
        "dense": {"scheme": "SAO-ECO", "channels": 4, "kernel_size": 3, "density": 1.0, "step": 5},
    }
    height = 470

    def build(self) -> None:
        self.figure = self.figure_widget(tiles_figure([None, None], height=self.height), ghosts=False)

    def stream(
        self, *, scheme: str, step: int, channels: int, kernel_size: int, density: float, seed: int
    ) -> Iterator[dict]:
        """One frame: what this step has made."""
        kernel = kernel_of(scheme, channels, kernel_size, density, seed).numpy()
        kept = mask_of(scheme, channels, density, seed).mask().numpy()
        yield {
            "scheme": scheme,
            "step": _STEPS[scheme][step - 1],
            "mask": kept,
            "kernel": kernel,
            "slices": np.fft.fft2(kernel).real.transpose(2, 3, 0, 1),
            "pairs": slice_of_frequency(kernel_size),
            "n_free": n_free_slices(kernel_size),
        }

    def draw(self, frame: dict) -> None:
        panels = _slice_panels(frame)
        self.figure.redraw(tiles_traces(panels))
        layout = tiles_layout(panels)
        for key in ("images", "annotations"):  # an update would keep those that are one too many
            self.figure.layout[key] = layout.pop(key)
        self.figure.update_layout(**layout)
        self.figure.retitle(_slice_title(frame))

    def admissible(self, settings: dict) -> dict:
        is_delta = settings["scheme"] == "SAO-Delta"
        return {
            "step": range(1, len(_STEPS[settings["scheme"]]) + 1),
            "kernel_size": (1, 3, 5) if is_delta else (1, 2, 3, 4, 5, 6),
            "density": [density for density in DENSITIES[1:] if density * settings["channels"] >= 1],
        }


def _slice_panels(frame: dict) -> list[Tiles | None]:
    """What stands left and right at this step; nothing yet is an empty place."""
    step, mask, channels = frame["step"], frame["mask"], ("output channel s", "input channel t")
    matrices = np.where(mask, frame["slices"], np.nan)
    if step == _MASK:
        return [Tiles("mask M, ink is kept", mask[None, None], *channels), None]
    kernels = np.where(mask[:, :, None, None], frame["kernel"], np.nan)
    right = Tiles(f"kernels K[s, t], {_scale(kernels)}", kernels, *channels) if step == _KERNEL else None
    if frame["scheme"] == "SAO-Delta":
        middle = frame["kernel"].shape[-1] // 2
        matrix = np.where(mask, frame["kernel"][:, :, middle, middle], np.nan)
        return [Tiles(f"orthogonal S on the mask, {_scale(matrix)}", matrix[None, None], *channels), right]
    pairs = frame["pairs"]
    if step == _FREE:
        first = np.unique(pairs, return_index=True)[1]
        free = np.full(pairs.size, -1)
        free[first] = pairs.flat[first]
        pairs = free.reshape(pairs.shape)
    if step == _INVERSE:
        taps = np.where(mask, frame["kernel"].transpose(2, 3, 0, 1), np.nan)
        right = Tiles(f"taps K[:, :, a, b], {_scale(taps)}", taps, "a", "b")
    return [Tiles(f"slices P[p, q], {_scale(matrices)}", matrices, "p", "q", pairs), right]


def _scale(values: np.ndarray) -> str:
    return f"±{np.nanmax(np.abs(values)):.2g}"


def _slice_title(frame: dict) -> str:
    k, n_free, mask = frame["kernel"].shape[-1], frame["n_free"], frame["mask"]
    kept = f"{int(mask.sum())} of {mask.size} kernels"
    zeros = "white taps are 0, not pruned" if frame["scheme"] == "SAO-Delta" else "each has all its taps"
    slices = f"{n_free} orthogonal slice{'s' * (n_free > 1)}"
    return {
        _MASK: f"The mask keeps {kept}, as complete blocks",
        "orthogonal S": "One orthogonal matrix on the mask, whatever the kernel size",
        _FREE: f"A {k} × {k} kernel has {slices} to choose, all on one mask",
        _MIRRORED: f"{slices[0].upper()}{slices[1:]} fill {k * k} frequencies: (−p, −q) repeats (p, q), so that K is real",
        _INVERSE: "The inverse FFT mixes the frequencies, entry by entry: 0 stays 0 where the mask is",
        _KERNEL: f"An orthogonal convolution of {kept}: {zeros}",
    }[frame["step"]]
