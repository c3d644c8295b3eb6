"""Explorer of notebook 07: what sparsity buys in seconds and bytes, measured on this machine while you watch."""

import itertools
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.explore.stacked import draw_panels
from nbkit.figures import SPEED_WIRES, SpeedView, speed_axis, speed_figure, speed_panels
from nbkit.nets import SparseLinear, SparseSequential
from nbkit.topology import Layer, biregular, mixed_radix, random_expander

__all__ = ["SpeedExplorer"]

_WIDTHS = (64, 128, 256, 512, 1024, 2048, 4096)
_WAYS = ("dense", "csr", "ours")
_ROUNDS = 5  # of which a point is the median, its band the second fastest to the second slowest
_LONGEST, _LEAST_S = 10, 3e-3  # layers of a chain; seconds of a timing, or the clock and the scheduler are what is seen
_A_STEP, _MOST = 2**28, 2**31  # entries of a dense chain times the batch: in one step, at most
_A_CSR_STEP, _MOST_CSR = 2**21, 2**23  # edges times the batch, likewise
# Where the clock is fine enough, a thread's own time: what other programs take of a processor is no cost of a layer.
_CLOCK = time.thread_time if time.get_clock_info("thread_time").resolution < 1e-6 else time.perf_counter
_MEASURED: dict[tuple[str, int, int, int, int], dict] = {}  # (wires, width, degree, batch, run) -> what it took


class SpeedExplorer(Explorer):
    """Seconds of a layer, forward and backward, and bytes: dense, compressed rows, and what `SparseLinear` chooses.

    Measured on one thread of this machine, in turns. Settings decide everything but the times, which are kept: the same
    settings show the same ones until the kernel ends.
    """

    groups = {
        "wires": [
            Choice("wires", "wires", tuple(SPEED_WIRES)),
            Slider("degree", "degree d", values=(2, 4, 8, 16, 32), value=4),
        ],
        "measure": [
            Choice("against", "against", ("width", "density")),
            Slider("width", "width n", values=_WIDTHS[2:], value=1024),
            Slider("batch", "batch", values=(1, 8, 32, 128, 512), value=128),
            Slider("run", "measurement", 1, 5),
        ],
    }
    presets = {
        "SAO, d = 4": {"wires": "SAO", "degree": 4, "against": "width", "width": 1024, "batch": 128},
        "how sparse pays": {"wires": "SAO", "degree": 8, "against": "density", "width": 512, "batch": 128},
        "RadiX (32, 32)": {"wires": "RadiX", "degree": 32, "against": "width", "width": 1024, "batch": 128},
        "no structure": {"wires": "random", "degree": 8, "against": "width", "width": 1024, "batch": 128},
        "one input": {"wires": "SAO", "degree": 16, "against": "width", "width": 2048, "batch": 1},
    }

    def build(self) -> None:
        figure = speed_figure(SpeedView())
        self.height = figure.layout.height
        self.figure = self.figure_widget(figure)
        self._against = "width"

    def admissible(self, settings: dict) -> dict:
        batch, degree = settings["batch"], settings["degree"]
        return {"width": [n for n in _WIDTHS[2:] if n * n * batch <= _MOST and n * degree * batch <= _MOST_CSR]}

    def stream(
        self, *, wires: str, degree: int, against: str, width: int, batch: int, run: int
    ) -> Iterator[dict | None]:
        """Point by point from the narrowest, or sparsest, layer on; a frame after every round."""
        if against == "width":
            points = [(n, degree) for n in _WIDTHS if n <= width]
        else:
            points = [(width, 2**k) for k in range(1, width.bit_length() - 1) if width * 2**k * batch <= _MOST_CSR]
        settings = {"wires": wires, "degree": degree, "against": against, "width": width, "batch": batch, "run": run}
        seen: list[dict] = []
        for number, (n, d) in enumerate(points, start=1):
            key = wires, n, d, batch, run
            for found in () if key in _MEASURED else _measure(*key):
                yield found and _frame(settings, points, [*seen, found])
            seen.append(_MEASURED[key])
            if number == 1:
                yield _frame(settings, points, seen)
        yield _frame(settings, points, seen)

    def draw(self, frame: dict) -> None:
        view = _view(frame)
        if frame["against"] != self._against:  # other units
            self._against = frame["against"]
            self.figure.forget_axes()
            self.figure.update_layout(xaxis=speed_axis(view), xaxis2=speed_axis(view))
        draw_panels(self, speed_panels(view))
        self.figure.retitle(_title(frame))


def _measure(wires: str, n: int, degree: int, batch: int, run: int) -> Iterator[dict | None]:
    """What is known of one point after each round; in the end it is in `_MEASURED`."""
    length = min(_LONGEST, max(1, min(_A_STEP // (n * n * batch), _A_CSR_STEP // (n * degree * batch))))
    nets: dict[str, nn.Module] = {}
    for way in _WAYS:
        modules = []
        for place in range(length):
            modules.append(_layer(way, wires, n, degree, place))
            yield None
        nets[way] = (nn.Sequential if way == "dense" else SparseSequential)(*modules)
    x, first = torch.ones(batch, n, requires_grad=True), nets["ours"][0]
    found = {
        "n_bytes": {way: _n_bytes(nets[way][0]) for way in ("dense", "ours")},
        "n_edges": first.layer.n_edges,
        "execution": first.execution,
        "why": first.why,
    }
    rows: list[list[float]] = []
    for row in _rounds(list(nets.values()), x):
        if row is None:
            yield None
            continue
        rows.append([seconds / length for seconds in row])
        kept = zip(_WAYS, np.array(rows).T, strict=True)
        found = found | {"seconds": {way: np.quantile(taken, (0.5, 0.25, 0.75)) for way, taken in kept}}
        yield found
    _MEASURED[wires, n, degree, batch, run] = found


def _rounds(nets: list[nn.Module], x: torch.Tensor) -> Iterator[list[float] | None]:
    """Seconds of a pass of each, in turns; None between. A round before those that count fills caches and is not told."""
    repeats = [1] * len(nets)
    for number in range(_ROUNDS + 1):
        row = []
        for net, n_times in zip(nets, repeats, strict=True):
            taken = 0.0
            for piece in _pieces(net, x):
                taken += _seconds(piece, n_times)
                yield None
            row.append(taken)
        if number:
            yield row
        else:
            repeats = [min(20, 1 + int(_LEAST_S / max(taken, 1e-6))) for taken in row]


def _layer(way: str, wires: str, n: int, degree: int, place: int) -> nn.Module:
    """A layer of a chain; its weights do not matter, so a dense one is spared drawing them."""
    if way == "dense":
        linear = nn.utils.skip_init(nn.Linear, n, n)
        nn.init.constant_(linear.weight, 1 / n)
        nn.init.zeros_(linear.bias)
        return linear
    return SparseLinear(_wires(wires, n, degree, place), execution="csr" if way == "csr" else None)


def _wires(wires: str, n: int, degree: int, place: int) -> Layer:
    if wires == "SAO":
        return biregular(n, n, degree, seed=place)
    if wires == "RadiX":  # its strides 1 and n / d in turns
        return mixed_radix((n // degree, degree))[1] if place % 2 else mixed_radix((degree, n // degree))[0]
    return random_expander(n, n, degree, regular="in", seed=place)


def _pieces(net: nn.Module, x: torch.Tensor) -> Iterator[Callable[[], object]]:
    """Forward and backward, the gradients of the input and of every parameter: a step, or three for one dense layer."""
    parameters = list(net.parameters())
    held: list[torch.Tensor] = []
    if isinstance(net, SparseSequential) or len(net) > 1:
        yield lambda: torch.autograd.grad(y := net(x), (x, *parameters), torch.ones_like(y))
        return
    yield lambda: held.append(net(x))
    y, ones = held[-1], torch.ones_like(held[-1])
    yield lambda: torch.autograd.grad(y, x, ones, retain_graph=True)
    yield lambda: torch.autograd.grad(y, parameters, ones, retain_graph=True)


def _seconds(piece: Callable[[], object], n_times: int) -> float:
    start = _CLOCK()
    for _ in range(n_times):
        piece()
    return (_CLOCK() - start) / n_times


def _n_bytes(module: nn.Module) -> int:
    return sum(each.numel() * each.element_size() for each in module.parameters())


def _frame(settings: dict, points: list[tuple[int, int]], seen: list[dict]) -> dict:
    last = seen[-1]
    return settings | {
        "x": np.array([n if settings["against"] == "width" else d for n, d in points[: len(seen)]]),
        "seconds": {way: np.array([each["seconds"][way] for each in seen]).T for way in _WAYS},
        "n_bytes": {way: np.array([each["n_bytes"][way] for each in seen]) for way in ("dense", "ours")},
        "n_edges": np.array([each["n_edges"] for each in seen]),
        "execution": last["execution"],
        "progress": (len(seen), len(points), "points"),
        "note": f"ours: {last['execution']}, as {last['why']}; one thread, float32, times of this machine",
    }


def _view(frame: dict) -> SpeedView:
    return SpeedView(**{name: frame[name] for name in ("against", "x", "width", "wires", "seconds", "n_bytes")})


def _title(frame: dict) -> str:
    x, (dense, csr, ours) = frame["x"], (frame["seconds"][way][0] for way in _WAYS)
    by_width = frame["against"] == "width"
    fixed = f"d = {frame['degree']}" if by_width else f"n = {frame['width']}"
    told = f"At batch {frame['batch']}, {fixed}, {_crossing(x, ours < dense, frame)}"
    (chosen,) = np.nonzero(x == frame["degree"]) if not by_width else ([len(x) - 1],)
    if not len(chosen):
        return told
    at, here = chosen[0], x[chosen[0]] if by_width else f"d = {frame['degree']}"
    share = frame["n_bytes"]["ours"][at] / frame["n_bytes"]["dense"][at]
    ratios = f"{_times(dense[at] / ours[at])} dense's speed, {_times(csr[at] / ours[at])} CSR's"
    return f"{told}; at {here}: {ratios}, bytes/{1 / share:.0f}"


def _times(ratio: float) -> str:
    return f"{ratio:.0f} ×" if ratio >= 99.5 else f"{ratio:.2g} ×"


def _crossing(x: np.ndarray, faster: np.ndarray, frame: dict) -> str:
    """Where ours begins to be faster than dense and stays so: towards wide layers, or towards sparse ones."""
    by_width = frame["against"] == "width"
    ordered = faster[::-1] if by_width else faster
    n_won = sum(1 for _ in itertools.takewhile(bool, ordered))
    if n_won == 0:
        return f"dense is as fast as {frame['wires']} or faster"
    if by_width:
        return f"{frame['wires']} beats dense from width {x[-n_won]} on"
    return f"{frame['wires']} beats dense up to density 1/{frame['width'] // int(x[n_won - 1])}"
