"""Explorers of notebook 06: a convolution as a matrix, and its graph beside the Ramanujan bound."""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch

from nbkit.explore.canvas import MatrixCanvas
from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.schemes import kernel_of
from nbkit.figures import (
    Curve,
    curve_traces,
    curves_figure,
    operator_figure,
    operator_layout,
    operator_traces,
)
from nbkit.measure import conv_frequency_singular_values, conv_matrix, singular_values
from nbkit.weights import eco

__all__ = ["OperatorExplorer", "RamanujanConvExplorer"]

_ROUNDING = 1e-12
_WIDEST = 64  # pixels a side


class OperatorExplorer(Explorer):
    """The matrix of a convolution, one colour a tap; one of its rows as a window on the image; its spectrum twice."""

    groups = {
        "kernel": [
            Choice("kernel", "kernel", ("Gaussian", "mean", "delta", "ECO")),
            Slider("kernel_size", "kernel size k", 1, 5, value=3),
            Slider("dilation", "dilation", 1, 8, value=1),
        ],
        "image": [
            Slider("size", "image size n", 3, 8, value=4),
            Choice("padding", "padding", ("circular", "zeros")),
            Slider("pixel", "output pixel", 0, 63, value=5, play=True),
        ],
    }
    presets = {
        "Fig. 12": {"kernel": "Gaussian", "kernel_size": 3, "dilation": 1, "size": 4, "padding": "circular"},
        "delta": {"kernel": "delta", "kernel_size": 3, "dilation": 1, "size": 4, "padding": "circular"},
        "orthogonal rows": {"kernel": "ECO", "kernel_size": 3, "dilation": 2, "size": 6, "padding": "circular"},
        "zero padding": {"kernel": "Gaussian", "kernel_size": 3, "dilation": 1, "size": 6, "padding": "zeros"},
    }
    height = 500

    def build(self) -> None:
        start = (np.full((16, 16), -1), np.zeros((3, 3)), (np.zeros(16), np.zeros(16)))
        self.figure = self.figure_widget(operator_figure(*start, height=self.height), ghosts=False)
        self._shape, self._matrix = None, None

    def stream(
        self, *, kernel: str, kernel_size: int, dilation: int, size: int, padding: str, pixel: int
    ) -> Iterator[dict]:
        """One frame: which tap stands where, and the singular values by SVD and by FFT."""
        weights = _one_channel(kernel, kernel_size)
        options = {"dilation": dilation, "padding": padding}
        numbers = torch.arange(1.0, kernel_size**2 + 1, dtype=torch.float64).reshape(weights.shape)
        numbers *= weights != 0
        taps = conv_matrix(numbers, size, **options).round().long().numpy() - 1
        matrix = conv_matrix(weights, size, **options)
        svd = singular_values(matrix).numpy()
        fft = np.sort(conv_frequency_singular_values(weights, size, dilation=dilation).numpy(), axis=None)[::-1]
        overlaps = matrix @ matrix.T
        yield {
            "taps": taps,
            "kernel": weights[0, 0].numpy(),
            "svd": svd,
            "fft": fft,
            "difference": float(np.abs(svd - fft).max()),
            "is_orthogonal": bool((overlaps - torch.diag(overlaps.diagonal())).abs().max() < _ROUNDING),
            "padding": padding,
            "pixel": pixel,
        }

    def draw(self, frame: dict) -> None:
        n = math.isqrt(len(frame["taps"]))
        traces = operator_traces(frame["taps"], frame["kernel"], (frame["svd"], frame["fft"]), pixel=frame["pixel"])
        shown = frame["taps"].tobytes(), frame["kernel"].tobytes()
        if shown == self._matrix:  # only another row is lit: the matrix, which takes longest, stays
            traces[0] = {}
        self._matrix = shown
        self.figure.redraw(traces)
        if n != self._shape:
            self._shape = n
            self.figure.update_layout(**operator_layout(n))
        self.grow("yaxis3", 0, 1.4 * max(frame["svd"][0], frame["fft"][0]))  # room for the words
        self.figure.retitle(_operator_title(frame, n))

    def admissible(self, settings: dict) -> dict:
        size, k = settings["size"], settings["kernel_size"]
        return {
            "kernel_size": range(1, min(5, size) + 1),
            "dilation": range(1, max(1, (size - 1) // max(1, k - 1) if k > 1 else 1) + 1),
            "pixel": range(size**2),
        }


def _one_channel(kernel: str, size: int) -> torch.Tensor:
    """A kernel (1, 1, k, k)."""
    if kernel == "ECO":
        return eco(1, size, seed=1)
    if kernel == "Gaussian":
        return kernel_of("Gaussian", 1, size, 1.0)
    weights = torch.zeros(1, 1, size, size, dtype=torch.float64)
    if kernel == "mean":
        return weights + 1 / size**2
    weights[:, :, size // 2, size // 2] = 1.0
    return weights


def _operator_title(frame: dict, n: int) -> str:
    n_taps = int((frame["kernel"] != 0).sum())
    filled = f"{n_taps} number{'s' * (n_taps > 1)} fill{'s' * (n_taps == 1)} a {n * n} × {n * n} matrix"
    rows = ", its rows mutually orthogonal" if frame["is_orthogonal"] else ""
    if frame["difference"] < _ROUNDING:
        return f"{filled}{rows}; Sedghi's FFT gives its SVD, difference < 1e-12"
    return f"{filled}{rows}; the FFT formula needs circular padding, here it is off by up to {frame['difference']:.2g}"


class RamanujanConvExplorer(Explorer):
    """The second singular value of a convolution's graph against the image size, beside the Ramanujan bound."""

    groups = {
        "wires": [
            Choice("dimension", "image", ("2-D", "1-D")),
            Slider("kernel_size", "kernel size k", 2, 7, value=3),
            Slider("channels", "channels c", values=(1, 2, 4, 8, 16, 32, 64), value=1),
        ],
        "measure": [Slider("size", "image size n", 2, 64, value=8, play=True)],
    }
    presets = {
        "the last that holds": {"dimension": "2-D", "kernel_size": 3, "channels": 1, "size": 5},
        "where it fails": {"dimension": "2-D", "kernel_size": 3, "channels": 1, "size": 6},
        "1-D": {"dimension": "1-D", "kernel_size": 3, "channels": 1, "size": 16},
        "a real layer": {"dimension": "2-D", "kernel_size": 3, "channels": 64, "size": 32},
    }

    def build(self) -> None:
        empty = dict.fromkeys(("sizes", "second"), np.empty(0)) | {"size": 0, "bound": 0.0}
        labels = {"x_label": "image size n", "y_label": "second singular value λ2"}
        self.figure = self.figure_widget(curves_figure(_graph_curves(empty), **labels))
        self.figure.data[4].marker.size = 12  # the chosen image size
        self._wires = None
        self.canvases["above"] = MatrixCanvas(row_label="v + n/2", column_label="u + n/2", width=260, height=260)

    def stream(self, *, dimension: str, kernel_size: int, channels: int, size: int) -> Iterator[dict]:
        """One frame: the second value at every image size, and which frequencies of this one lie above the bound."""
        k, is_flat = kernel_size, dimension == "2-D"
        degree, sizes = channels * k ** (1 + is_flat), np.arange(k, _WIDEST + 1)
        # all channels are joined to all: that multiplies the values of one channel, and adds zeros
        values = {n: channels * one for n, one in _graph_values(k, is_flat).items()}
        bound = 2 * math.sqrt(degree - 1)
        second = np.array([np.sort(values[n], axis=None)[-2] for n in sizes])
        yield {
            "dimension": dimension,
            "kernel_size": k,
            "channels": channels,
            "size": size,
            "degree": degree,
            "bound": bound,
            "sizes": sizes,
            "second": second,
            "first_failure": int(sizes[second > bound + _ROUNDING][0]) if (second > bound + _ROUNDING).any() else None,
            "above": values[size] > bound + _ROUNDING,
        }

    def draw(self, frame: dict) -> None:
        wires = frame["dimension"], frame["degree"]
        if wires != self._wires:
            self._wires = wires
            self.figure.forget_axes()
        self.grow("xaxis", 0, _WIDEST + 1)
        shown = self.grow("yaxis", -0.02 * frame["degree"], 1.08 * max(frame["second"].max(), frame["bound"]))
        self.figure.redraw(curve_traces(_graph_curves(frame), y_range=shown))
        self.figure.retitle(_graph_title(frame))
        n_above = int(frame["above"].sum()) - 1
        waves = "wave" if n_above == 1 else "waves"
        told = f"n = {frame['size']}: {n_above or 'no'} {waves} above the bound, besides the constant one"
        self.canvases["above"].show(np.fft.fftshift(frame["above"]), title=told)

    def admissible(self, settings: dict) -> dict:
        return {"size": range(settings["kernel_size"], _WIDEST + 1)}


@lru_cache(maxsize=20)
def _graph_values(k: int, is_flat: bool) -> dict[int, np.ndarray]:
    """For each image size the singular values of the 0/1 convolution of one channel, (n, n) or (1, n), one a frequency."""
    taps = torch.ones(1, 1, k if is_flat else 1, k, dtype=torch.float64)
    sizes = range(k, _WIDEST + 1)
    return {n: conv_frequency_singular_values(taps, (n if is_flat else 1, n))[:, :, 0].numpy() for n in sizes}


def _graph_curves(frame: dict) -> list[Curve]:
    """The measured values, the one of the chosen size, the bound."""
    sizes, here = frame["sizes"], frame["sizes"] == frame["size"]
    ends = np.array([0.0, _WIDEST + 1]) if sizes.size else sizes
    return [
        Curve("λ2", sizes, frame["second"], "dense", marker="circle"),
        Curve("", sizes[here], frame["second"][here], "sao", marker="diamond"),
        Curve("bound", ends, np.full(ends.size, frame["bound"]), "sao", kind="theory"),
    ]


def _graph_title(frame: dict) -> str:
    k, n = frame["kernel_size"], frame["size"]
    kernel = f"{k} × {k}" if frame["dimension"] == "2-D" else f"1-D k = {k}"
    second, bound = frame["second"][frame["sizes"] == n][0], frame["bound"]
    holds = "Ramanujan" if second <= bound + _ROUNDING else "not Ramanujan"
    first = frame["first_failure"]
    when = "no n up to 64 fails" if first is None else f"every n from {first} fails"
    relation = "≤" if holds == "Ramanujan" else ">"
    here = f"n = {n}: {second:.4g} {relation} {bound:.4g},".replace(" ", "\N{NO-BREAK SPACE}")
    return f"{kernel} convolution, degree {frame['degree']}: {when}. {here} {holds}"
