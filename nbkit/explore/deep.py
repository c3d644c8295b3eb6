"""The explorer of notebook 07: a deep network learns the digits, and its Jacobian, its gradients, its seconds move with it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import nn

from nbkit.compress import prune
from nbkit.data import Split, mnist_split
from nbkit.device import check_memory, one_thread
from nbkit.explore.controls import Choice, LogSlider, Slider
from nbkit.explore.explorer import Explorer
from nbkit.figures import DeepView, deep_figure, deep_ranges, deep_traces
from nbkit.nets import DEEP_METHODS, deep_net
from nbkit.training import Progress, accuracy, schedules, train

__all__ = ["TrainDeepExplorer"]

_BATCH, _STEPS_AN_EPOCH, _TURN = 64, 125, 5  # an epoch's end is a record
_OPTIMIZERS = {"Adam": "adam", "SGD, momentum 0.9": "sgd"}
_PRUNED = "GMP-S"
_RADIX_DEGREE = 4  # radix 2 between pairs of neurons
_N_TEST, _N_DIGITS = 250, 8  # test digits between two epochs; those at which the Jacobian is taken
_CHANCE = 0.15  # who never gets so far guesses
_TIMED_DEPTH = 20  # of the dense network that is timed beside deeper ones; what it takes is scaled up by its weights
_APART = 4  # records between two timings of it
_LATER = 0.3  # of the rate, from the second epoch on: at the full one a thousand layers would stay noisy
_POLL_S = 0.05
_BYTES_A_WEIGHT = 24  # its gradient, Adam's two moments, and float64 at birth
_QUICK = {"depth": 50, "method": "SAO", "gain": 1.1, "epochs": 2, "rate": 0.1, "optimizer": "Adam"}


class TrainDeepExplorer(Explorer):
    """A network of ten to a thousand layers trains; what it has learned, what passes through it and what a step costs."""

    groups = {
        "network": [
            Slider("depth", "depth N", values=(10, 20, 50, 100, 200, 400, 1000), value=50),
            Choice("method", "method", (*DEEP_METHODS, _PRUNED), value="SAO"),
            Slider("degree", "degree d", values=(2, 4, 8, 16), value=4),
            Slider("gain", "gain σ", values=(1.0, 1.01, 1.02, 1.05, 1.1, 1.2), value=1.1),
        ],
        "training": [
            Slider("epochs", "epochs", values=(1, 2, 3, 5, 10, 20), value=2),
            LogSlider("rate", "rate η · N", low=0.01, high=10.0, value=0.1),
            Choice("optimizer", "optimiser", tuple(_OPTIMIZERS)),
            Slider("seed", "seed", 0, 9, value=0),
        ],
    }
    presets = {
        "Fig. 11": _QUICK | {"optimizer": "SGD, momentum 0.9", "rate": 0.5},
        "pruned: does not train": _QUICK | {"method": _PRUNED, "epochs": 1},
        "dense": _QUICK | {"method": "Dense", "epochs": 1},
        "a thousand layers": _QUICK | {"depth": 1000, "gain": 1.02, "epochs": 2, "rate": 0.2},
    }
    height = 560

    def build(self) -> None:
        self.figure = self.figure_widget(deep_figure(DeepView(), height=self.height))

    def stream(
        self, *, depth: int, method: str, degree: int, gain: float, epochs: int, rate: float, optimizer: str, seed: int
    ) -> Iterator[dict | None]:
        """The network after every few steps, from where its training is to the last epoch."""
        training = _training(depth, method, degree, gain, rate, optimizer, seed)
        n_steps = epochs * _STEPS_AN_EPOCH
        yield training.frame(n_steps)
        while not training.is_over(n_steps):
            yield from training.go_on()
            yield training.frame(n_steps)

    def draw(self, frame: dict) -> None:
        view = DeepView(**{name: frame[name] for name in _VIEW})
        shown = {axis: self.grow(axis, *ends) for axis, ends in deep_ranges(view).items()}
        self.figure.redraw(deep_traces(view, shown=shown))
        self.figure.retitle(_title(frame))

    def admissible(self, settings: dict) -> dict:
        return {"degree": [_RADIX_DEGREE]} if settings["method"].startswith("RadiX") else {}


_VIEW = ("method", "steps", "accuracies", "losses", "spectrum", "born", "gradients", "costs")


@dataclass(frozen=True, eq=False)
class _Record:
    """What was seen after some steps: loss (nats) and accuracy, singular values (digits, 10), gradient norms (layers,),
    milliseconds of processor that a step of the network took, and of the dense one."""

    step: int
    loss: float
    accuracy: float
    spectrum: np.ndarray
    gradients: np.ndarray
    costs: tuple[float, float]


class _Training:
    """One network in training and what was seen of it after every few steps; streams of equal settings share it.

    It computes on a thread of its own: a step of a thousand layers takes longer than others may have to wait.
    """

    def __init__(
        self, depth: int, method: str, degree: int, gain: float, rate: float, optimizer: str, seed: int
    ) -> None:  # fmt: skip
        self.records: list[_Record] = []
        self.depth, self.method, self.rate = depth, method, rate / depth
        self._made, self._optimizer, self._seed = (depth, method, degree, gain, seed), _OPTIMIZERS[optimizer], seed
        self._turns, self._thread = self._train(), ThreadPoolExecutor(1)
        self.verdict: str | None = None

    def is_over(self, n_steps: int) -> bool:
        """Whether so many steps are done, or the network is lost."""
        return self.verdict is not None or bool(self.records) and self.records[-1].step >= n_steps

    def go_on(self) -> Iterator[None]:
        """Until the next record, which may take seconds; meanwhile others have their turns."""
        seen = len(self.records)
        job = self._thread.submit(self._turn, seen)
        while not job.done():
            wait([job], timeout=_POLL_S)
            yield
        job.result()

    def frame(self, n_steps: int) -> dict:
        """What is shown when so many steps are done or, before that, now."""
        seen = [record for record in self.records if record.step <= n_steps]
        nothing = np.empty((0, 0))
        now = seen[-1] if seen else _Record(0, np.nan, np.nan, nothing, np.empty(0), ())
        done = {"depth": self.depth, "rate": self.rate, "verdict": self.verdict, "n_steps": n_steps}
        return done | {
            "method": self.method,
            "steps": np.array([record.step for record in seen]),
            "accuracies": np.array([record.accuracy for record in seen]),
            "losses": np.array([record.loss for record in seen]),
            "spectrum": now.spectrum,
            "born": seen[0].spectrum if seen else nothing,
            "gradients": now.gradients,
            "costs": self._costs(seen),
            "progress": (now.step, n_steps, "steps"),
            "note": "" if seen else "the network is being born",
        }  # fmt: skip

    def _turn(self, seen: int) -> None:
        if len(self.records) > seen:  # another stream has been here
            return
        try:
            with one_thread():
                next(self._turns)
        except Exception:
            self._turns, self.records = self._train(), []  # whoever comes again is told again
            raise

    def _train(self) -> Iterator[None]:
        net, data, timed = _born(*self._made), _digits(), min(self.depth, _TIMED_DEPTH)
        options = {"steps": 10**6, "batch_size": _BATCH, "n_test": 1, "seed": self._seed}
        options |= {"optimizer": self._optimizer, "schedule": schedules.steps((1,), factor=_LATER)}
        records = train(net, data, learning_rate=self.rate, every=_TURN, **options)
        beside = train(deep_net(timed, "Dense"), data, learning_rate=1e-9, every=_TURN, **options)
        share = _dense_weights(self.depth) / _dense_weights(timed)
        while True:
            took, record = _timed(records)
            other = _timed(beside)[0] * share if len(self.records) % _APART == 0 or record.step == _TURN else np.nan
            is_epoch = record.step and record.step % _STEPS_AN_EPOCH == 0
            n_test = len(data.test_labels) if is_epoch else _N_TEST
            right = float(accuracy(net, data.test_images[:n_test], data.test_labels[:n_test]))
            found = _Record(
                record.step, float(record.loss), right, _spectra(net, data.test_images[:_N_DIGITS]), _gradients(record),
                (took / _TURN, other / _TURN),
            )  # fmt: skip
            self.records.append(found)
            self.verdict = record.verdict  # diverged: nothing comes behind it
            yield

    def _costs(self, seen: list[_Record]) -> dict[str, float]:
        """Milliseconds of a step, medians over all records but those of the first steps."""
        costs = [record.costs for record in seen if record.step > 0]
        if not costs:
            return {}
        own, dense = np.nanmedian(np.array(costs), axis=0)
        name = "Dense" if self.depth <= _TIMED_DEPTH else "Dense, scaled"
        return {name: float(dense), self.method: float(own)}


@lru_cache(maxsize=3)
def _training(
    depth: int, method: str, degree: int, gain: float, rate: float, optimizer: str, seed: int
) -> _Training:  # fmt: skip
    return _Training(depth, method, degree, gain, rate, optimizer, seed)


@lru_cache(maxsize=1)
def _digits() -> Split:
    return mnist_split().padded(32)


def _born(depth: int, method: str, degree: int, gain: float, seed: int) -> nn.Sequential:
    if method.startswith("Dense") or method == _PRUNED:
        check_memory("TrainDeepExplorer", _BYTES_A_WEIGHT * _dense_weights(depth), lower="depth")
    if method != _PRUNED:
        return deep_net(depth, method, degree=degree, gain=gain, seed=seed)
    kept = degree * 256 * (depth + 2) / (_dense_weights(depth) - 2560)  # as SAO of this degree
    return prune(deep_net(depth, "Dense", gain=gain, seed=seed), kept, "GMP")


def _dense_weights(depth: int) -> int:
    return 1024 * 512 + 512 * 256 + (depth - 1) * 256 * 256 + 256 * 10


def _timed(records: Iterator) -> tuple[float, object]:
    """Milliseconds of processor until the next record, and that record."""
    began = time.thread_time()
    record = next(records)
    return 1000 * (time.thread_time() - began), record


def _spectra(net: nn.Sequential, digits: torch.Tensor) -> np.ndarray:
    """Singular values of the Jacobian at each digit, descending; NaN where it is not finite."""
    n_outputs = 10
    points = digits.repeat_interleave(n_outputs, dim=0).requires_grad_()
    with torch.enable_grad():
        wanted = torch.eye(n_outputs).repeat(len(digits), 1)
        (rows,) = torch.autograd.grad(net(points), points, wanted)
    jacobians = rows.double().view(len(digits), n_outputs, -1)
    if not jacobians.isfinite().all():
        return np.full((len(digits), n_outputs), np.nan)
    return torch.linalg.svdvals(jacobians).numpy()


def _gradients(record: Progress) -> np.ndarray:
    """The norm of the last gradient of each layer's weights, from the pixels on; none before the first step."""
    norms = [float(norm) for name, norm in record.gradient_norms.items() if name.endswith("weight")]
    return np.array(norms if record.step else [])


def _title(frame: dict) -> str:
    told = f"{frame['method']}, {frame['depth']} layers, η = {frame['rate']:.2g}"
    if not len(frame["steps"]):
        return f"{told}: being born"
    step, right = frame["steps"][-1], frame["accuracies"][-1]
    costs = [*frame["costs"].values()]
    faster = f"; a step takes 1/{costs[0] / costs[1]:.2g} of the dense network's" if costs else ""
    if frame["verdict"]:
        return f"{told}: {frame['verdict'].partition(' (')[0]}. Use a smaller rate"
    if step == 0:
        return f"{told}: before training, {right:.0%} of test digits right"
    if step >= frame["n_steps"] and max(frame["accuracies"]) < _CHANCE:
        return f"{told}: did not train, {right:.0%} after {step} steps{faster}"
    return f"{told}: {right:.1%} of test digits right after {step} steps{faster}"
