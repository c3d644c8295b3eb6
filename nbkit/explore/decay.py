"""The explorer of notebook 10: networks learn under weight decay, and what it leaves standing moves with them."""

import threading
import time
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch

from nbkit.device import choose_device
from nbkit.explore.canvas import MatrixCanvas
from nbkit.explore.controls import Choice, Slider
from nbkit.explore.course import METHOD_KEYS, STRENGTHS, grid_samples
from nbkit.explore.explorer import Explorer
from nbkit.figures import METHODS, DecayView, decay_figure, decay_ranges, decay_traces
from nbkit.measure import bottleneck_singular_values, density_above, neuron_norms, sorted_by_norm
from nbkit.nets import SkipLayer, SkipNet, SkipNets
from nbkit.training import descend_many

__all__ = ["DecayExplorer", "in_levels"]

#: what is offered -> (rate at birth, rate at the last step, None where it is the same)
_RATES = {"0.01 → 0.0001": (1e-2, 1e-4), "0.01": (1e-2, None), "0.001 (paper)": (1e-3, None), "10⁶": (1e6, None)}
_COUNTED = ("V1", "W1", "V2", "W2", "A2")
_LOST = [np.nan] * len(_COUNTED)
_ACTIVE, _RANK, _FITS = (
    1e-3,
    1e-3,
    1e-3,
)  # |v| |w| or an entry, a share of the largest singular value, a mean squared error
_APART_S = 0.13  # of computing between two pictures
_TURN_MS, _LARGE_TURN_MS = 25, 35  # between two records, on a laptop: what is counted then costs a small part of it
_STEP_MS, _STEP_MS_A_PRODUCT, _LARGE = (
    0.35,
    5e-7,
    400,
)  # of a step of three networks; beyond so many neurons not every turn counts
_MOST_ROWS = 324  # of A2, evenly spaced, whose entries are counted
_MOST_SHOWN = 432  # rows and columns of its picture


class DecayExplorer(Explorer):
    """One network learns the same values under three penalties; what is drawn of the chosen one moves while it does."""

    groups = {
        "penalty": [
            Choice("method", "method", tuple(METHOD_KEYS)),
            Slider("strength", "strength λ", values=STRENGTHS, value=1e-3),
        ],
        "network": [
            Slider("n_neurons", "neurons K", values=(16, 32, 64, 144, 324, 648, 1296), value=64),
            Slider("bottleneck", "nodes d₁", values=(1, 2, 4, 8, 16), value=4),
            Slider("n_inputs", "inputs d₀", 1, 4, value=2),
            Slider("seed", "seed", 0, 9, value=1),
        ],
        "training": [
            Slider("steps", "Adam's steps", values=(0, 500, 2000, 5000, 10_000, 20_000, 50_000), value=20_000),
            Choice("rate", "rate η", tuple(_RATES)),
        ],
    }
    presets = {
        "(2)": {"method": "(2)"},
        "weight decay": {"method": "weight decay"},
        "none": {"method": "none"},
        "too strong": {"method": "(2)", "strength": 0.1, "steps": 5000},
        "paper's size": {
            "n_neurons": 1296, "bottleneck": 16, "n_inputs": 4, "steps": 500, "rate": "0.001 (paper)",
        },
        "break it": {"rate": "10⁶", "steps": 500},
    }  # fmt: skip
    height = 560

    def build(self) -> None:
        self.figure = self.figure_widget(decay_figure(DecayView(), height=self.height))
        self._drawn: list[dict[str, object]] = [{}] * len(decay_traces(DecayView()))
        self.canvases = {
            "between": MatrixCanvas(
                row_label="neuron of layer 2", column_label="neuron of layer 1", width=300, height=300
            )
        }

    def stream(
        self, *, method: str, strength: float, n_neurons: int, bottleneck: int, n_inputs: int, seed: int, steps: int,
        rate: str,
    ) -> Iterator[dict | None]:  # fmt: skip
        """The networks after every few steps, from where their training is to its end."""
        training = _training(strength, n_neurons, bottleneck, n_inputs, seed, steps, rate)
        key = METHOD_KEYS[method]
        told = -_APART_S
        while not training.is_over:
            is_due = time.thread_time() - told >= _APART_S  # of the processor: the share of the pictures stays small
            told = time.thread_time() if is_due else told
            yield training.frame(key) if is_due else None
            training.go_on()
        yield training.frame(key)

    def draw(self, frame: dict) -> None:
        view = DecayView(**{name: frame[name] for name in _VIEW})
        for axis, (low, high) in decay_ranges(view).items():
            self.grow(axis, low, high)
        traces = decay_traces(view)
        # writing is what takes time: an entry that stands there already is left out
        self.figure.redraw([_changes(*pair) for pair in zip(traces, self._drawn, strict=True)])
        self._drawn = traces
        self.figure.retitle(_title(frame))
        canvas, apart = self.canvases["between"], _neurons_a_row(len(frame["norms"][0]))
        which = "neuron" if apart <= 1 else f"every {apart}{'nd' if apart == 2 else 'rd'} neuron"
        canvas.row_label, canvas.column_label = (f"{which} of layer {layer}" for layer in (2, 1))
        is_there = frame["between"].size > 1
        canvas.show(
            frame["between"], f"|A⁽²⁾| sorted, largest {frame['largest']:.2g}" if is_there else "no |A⁽²⁾| is left"
        )


_VIEW = ("method", "targets", "outputs", "steps", "densities", "spectra", "born", "bound", "norms")


class _Training:
    """Three networks of one birth in training, and what was counted after every few steps.

    Nothing else is kept: streams of several explorers share a training and see its networks as they are now.
    """

    def __init__(
        self, strength: float, n_neurons: int, bottleneck: int, n_inputs: int, seed: int, steps: int, rate: str
    ) -> None:
        device = choose_device()
        self.x, self.y = (values.to(device) for values in grid_samples((0.0, 0.5, 1.0), n_inputs, seed))
        self.nets = SkipNets((n_inputs, bottleneck, 1), n_neurons, seeds=(seed,) * len(METHODS)).to(device)
        self.each = [self.nets[run] for run in range(len(METHODS))]  # they share the memory of what trains
        self.strength, self.steps, self.bound = strength, steps, min(bottleneck, n_neurons)
        (lr, final_lr), every = _RATES[rate], _steps_a_turn(n_neurons, bottleneck, n_inputs, device.type)
        penalties = [(method, strength * (method != "none")) for method in METHODS]
        # nothing runs before the first `next`, which makes the optimiser: torch looks for its compilers then
        self._records = descend_many(
            self.nets, self.x, self.y, penalties, max_steps=steps, lr=lr, final_lr=final_lr, every=every
        )
        self.step, self.diverged, self.born = 0, (None,) * len(METHODS), _spectrum(self.each[0])
        self.at, self.densities = [0], [[_densities(net) for net in self.each]]
        self._n_turns, self._turns_a_count = 0, 1 if n_neurons <= _LARGE else 4
        self._turn = threading.Lock()

    @property
    def is_over(self) -> bool:
        """Whether all steps are done, or no network is left."""
        return self.step == self.steps or None not in self.diverged

    def go_on(self) -> None:
        """A few steps; after one such turn or a few the matrices are counted."""
        with self._turn:
            if self.is_over:  # another stream has been here
                return
            record = next(self._records)
            if not record.step:
                return
            self.step, self.diverged = record.step, record.diverged
            self._n_turns += 1
            if self._n_turns % self._turns_a_count and not self.is_over:
                return
            counted = [_densities(net) if self._goes_on(run) else _LOST for run, net in enumerate(self.each)]
            self.at.append(self.step)
            self.densities.append(counted)

    def frame(self, method: str) -> dict:
        """What is shown of the networks now."""
        with self._turn:
            run = [*METHODS].index(method)
            net, goes_on = self.each[run], self._goes_on(run)
            outputs = net(self.x).detach()[:, 0].double()
            spectra = {key: _spectrum(self.each[i]) for i, key in enumerate(METHODS) if self._goes_on(i)}
            history = np.array([counted[run] for counted in self.densities]).T
            between = _sorted_between(net) if goes_on else torch.zeros(1, 1)
            nothing = np.empty(0)
            return {
                "method": method,
                "strength": self.strength,
                "targets": self.y.double().cpu().numpy(),
                "outputs": outputs.cpu().numpy(),
                "loss": float((outputs - self.y).square().mean()),
                "steps": np.maximum(self.at, 1),
                "densities": dict(zip(_COUNTED, history, strict=True)),
                "spectra": spectra,
                "born": self.born,
                "bound": self.bound,
                "rank": _rank(spectra[method], between) if goes_on else 0,
                "norms": tuple(_norms(layer) for layer in net.layers) if goes_on else (nothing, nothing),
                "between": in_levels(between),
                "largest": float(between.max()) if goes_on else np.nan,
                "progress": (self.step, self.steps, "steps"),
                "note": self._told(method),
            }

    def _goes_on(self, run: int) -> bool:
        return self.diverged[run] is None

    def _told(self, method: str) -> str:
        lost = dict(zip(METHODS, self.diverged, strict=True))[method]
        return "" if lost is None else f"diverged at step {lost}: use a smaller rate η"


@lru_cache(maxsize=4)
def _training(
    strength: float, n_neurons: int, bottleneck: int, n_inputs: int, seed: int, steps: int, rate: str
) -> _Training:
    return _Training(strength, n_neurons, bottleneck, n_inputs, seed, steps, rate)


def _steps_a_turn(n_neurons: int, bottleneck: int, n_inputs: int, device: str) -> int:
    """Steps between two records. A number of the settings, not of the clock: what is shown depends on them alone."""
    step_ms = _STEP_MS + _STEP_MS_A_PRODUCT * n_neurons * (3**n_inputs + 30) * (n_inputs + 2 * bottleneck + 2)
    turn_ms = _TURN_MS if n_neurons <= _LARGE else _LARGE_TURN_MS
    return 10 * max(1, round(turn_ms / step_ms / 10)) * (8 if device == "cuda" else 1)


def _densities(net: SkipNet) -> list[float]:
    """Of `_COUNTED`."""
    first, second = net.layers
    rows = second.W[:: -(-len(second.W) // _MOST_ROWS)]
    return [density_above(matrix) for matrix in (*net.matrices.values(), (rows @ first.V).detach())]


def _spectrum(net: SkipNet) -> np.ndarray:
    return bottleneck_singular_values(net.layers[1].W.detach(), net.layers[0].V.detach()).cpu().numpy()


def _rank(values: np.ndarray, between: torch.Tensor) -> int:
    """The numerical rank, 0 where no entry stands: what is left of A2 then is noise, of any rank."""
    return int((values > _RANK * values[0]).sum()) if float(between.max()) > _ACTIVE else 0


def _norms(layer: SkipLayer) -> np.ndarray:
    return neuron_norms(layer).detach().double().cpu().numpy()


@torch.no_grad()
def _sorted_between(net: SkipNet) -> torch.Tensor:
    """|A2| with rows and columns by decreasing norm; of many neurons every second, every third, ...

    Their order is that of thin matrices with the same norms, so that only what is shown is multiplied out.
    """
    left, right = net.layers[1].W, net.layers[0].V
    kept = slice(None, None, _neurons_a_row(len(left)))
    rows = sorted_by_norm(left @ torch.linalg.qr(right.mT, mode="r").R.mT).rows[kept]
    columns = sorted_by_norm(torch.linalg.qr(left, mode="r").R @ right).columns[kept]
    return (left[rows] @ right[:, columns]).abs_()


def _neurons_a_row(n_neurons: int) -> int:
    """Neurons for each row of the picture of A2."""
    return -(-n_neurons // _MOST_SHOWN)


def in_levels(matrix: torch.Tensor) -> np.ndarray:
    """Entries of at least 0 as uint8, the largest as 255."""
    return (matrix * (255 / max(float(matrix.max()), 1e-30)) + 0.5).to(torch.uint8).cpu().numpy()


def _changes(values: dict[str, object], before: dict[str, object]) -> dict[str, object]:
    """The entries that are not as they were, those of nested dictionaries too."""
    changed = {}
    for name, value in values.items():
        if isinstance(value, dict):
            value = _changes(value, before.get(name, {}))
        elif name in before and np.array_equal(value, before[name]):
            continue
        if not isinstance(value, dict) or value:
            changed[name] = value
    return changed


def _title(frame: dict) -> str:
    told = METHODS[frame["method"]].text + (f", λ = {frame['strength']:.3g}" if frame["method"] != "none" else "")
    if frame["note"]:
        return f"{told}: {frame['note']}"
    first, second = (int((norms > _ACTIVE).sum()) for norms in frame["norms"])
    mean = np.mean([frame["densities"][name][-1] for name in _COUNTED[:4]])
    fits = "interpolates" if frame["loss"] < _FITS else "does not fit"
    return (
        f"{told}: {fits} (MSE {frame['loss']:.2g}) with {first} + {second} of {len(frame['norms'][0])} neurons on, "
        f"density {mean:.2f}, rank {frame['rank']} of {frame['bound']}"
    )
