"""The report of one network: its parts, each computed once and when it is first asked for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nbkit.device import random_generator
from nbkit.errors import NbkitError
from nbkit.reporting import tables
from nbkit.reporting.examples import keeping_random_state
from nbkit.reporting.lines import growth_report
from nbkit.reporting.parts import GrowthReport, LayerReport, ReachReport, Removable, Spectrum
from nbkit.reporting.removable import dead_units, is_radial, low_rank, own_weights, radial_axes, small_weights
from nbkit.reporting.spectra import jacobian_rows, layer_spectrum
from nbkit.reporting.subject import Subject
from nbkit.reporting.wiring import Alive, alive, layer_report, reach_report
from nbkit.topology import Layer, Topology
from nbkit.topology.modules import Wired, wired
from nbkit.topology.steps import takes_images
from nbkit.topology.wires import check_threshold, wires_of

__all__ = ["Report", "report"]

_N_POINTS = 8
_Progress = Iterator[tuple[int, int]]


class Report:
    """Every measure of one network. Make one with `nbkit.report`.

    The network is measured in eval mode on a copy; parts are computed when they are first asked for, and once. `steps`
    computes them in small steps for whoever wants to watch.

    Attributes:
        name: the module's class.
        n_parameters: all of the module's.
    """

    PARTS = ("wires", "reach", "spectra", "jacobian", "growth", "removable")

    def __init__(
        self,
        module: nn.Module,
        x: object,
        *,
        threshold: float = 0.0,
        seed: int | np.random.Generator | None = 0,
    ) -> None:
        self.threshold = check_threshold("report", threshold)
        self._seed = random_generator(seed, who="report")
        self._subject = Subject.of(module, x)
        self.name, self.n_parameters = self._subject.name, self._subject.n_parameters
        self._found: dict[str, object] = {}
        self._lock = threading.RLock()  # a display computes in a thread of its own
        self._running: dict[str, _Progress] = {}
        self._wires: dict[nn.Module, Layer] = {}
        self._nodes: list[Wired] | None = None
        self._unclear = list(self._subject.unclear)

    def steps(self) -> Iterator[tuple[str, int, int]]:
        """Computes what is not there yet, one layer or one point at a time: yields (part, steps done, steps in all)."""
        for part in self.PARTS:
            done, total = 0, 1
            for done, total in self._run(part):
                yield part, min(done, total - 1), total
            yield part, total, total

    @property
    def layers(self) -> tuple[LayerReport, ...]:
        """The layers of weights, each once, in the order of execution."""
        return self._part("wires")

    @property
    def topology(self) -> Topology | None:
        """The wires as a chain, or None for a network with branches."""
        self._part("wires")
        nodes = self._nodes
        if nodes is None or any(node.step.inputs != (i,) for i, node in enumerate(nodes[1:])):
            return None
        return Topology([layer for node in nodes for path in node.into for layer in path])

    @property
    def density(self) -> float:
        """Wires over possible wires, of all layers, in [0, 1]."""
        return sum(layer.n_edges for layer in self.layers) / sum(layer.n_in * layer.n_out for layer in self.layers)

    @cached_property
    def _alive(self) -> list[Alive]:
        return alive(self._nodes)

    @property
    def reach(self) -> ReachReport | None:
        """Who can hear whom; None where the wires between the layers are not known."""
        return self._part("reach")

    @property
    def spectra(self) -> tuple[Spectrum, ...]:
        """The singular values of the layers, in their order."""
        return self._part("spectra")

    @property
    def jacobian(self) -> torch.Tensor | None:
        """log10 of the singular values of the Jacobian at up to 8 examples, float64 (n_points, k), descending.

        -inf is 0, or below the rounding of the largest, which only narrow chains of more than 32 modules look below.
        """
        return self._part("jacobian")

    @property
    def growth(self) -> GrowthReport | None:
        """How long a straight line becomes."""
        return self._part("growth")

    @property
    def removable(self) -> tuple[Removable, ...]:
        """What could be taken away."""
        return self._part("removable")

    @property
    def not_covered(self) -> tuple[tuple[str, str], ...]:
        """(name, why) of every module and every measure that is not covered; computes whatever is not there yet."""
        for part in self.PARTS:
            self._part(part)
        return tuple(dict.fromkeys(self._unclear))

    def to_dict(self) -> dict:
        """Everything as plain lists, numbers and text, ready for JSON; what is not finite is None."""
        return tables.as_dict(self)

    def to_csv(self, path: str | Path | None = None) -> str | Path:
        """One row a layer, as text; where a file is named, written to it, and its path."""
        return tables.as_csv(self, path)

    def __repr__(self) -> str:
        return tables.as_text(self)

    def _repr_html_(self) -> str:
        return tables.as_html(self)

    def _part(self, part: str) -> object:
        for _ in self._run(part):
            pass
        return self._found[part]

    def _run(self, part: str) -> _Progress:
        """The steps of one part that are left; whoever asks meanwhile goes on with the same."""
        while True:
            with self._lock, torch.inference_mode(False):
                if part in self._found:
                    return
                is_random, net = self._subject.is_random, self._subject.net
                making = self._running.pop(part, None) or getattr(self, f"_make_{part}")()
                try:
                    with keeping_random_state(net) if is_random else contextlib.nullcontext():
                        progress = next(making)
                except StopIteration as stop:
                    self._found[part] = stop.value
                    return
                self._running[part] = making  # one that was interrupted is begun anew
            yield progress

    def _try(self, name: str, make: Callable[[], object]) -> object | None:
        """What `make` gives, or None and a line in `not_covered`."""
        try:
            return make()
        except NbkitError as error:
            why = str(error).partition(": ")[2] or str(error)
        except Exception as error:  # the module's own code may raise anything
            why = f"the module says: {str(error).strip() or type(error).__name__}"
        self._unclear.append((name, why.splitlines()[0]))
        return None

    def _wires_of(self, module: nn.Module) -> Layer:
        if module not in self._wires:
            self._wires[module] = wires_of(module, self.threshold)
        return self._wires[module]

    def _make_wires(self) -> _Progress:
        layers, found = self._subject.layers, []
        for done, (name, module) in enumerate(layers, start=1):
            found.append(layer_report(name, module, self._wires_of(module), self.threshold))
            yield done, len(layers)
        steps = self._subject.steps
        if steps is not None:
            n_in = self._subject.points.shape[1] if takes_images(layers[0][1]) else None
            make = partial(wired, "report", steps, layer_of=self._wires_of, n_in=n_in)
            self._nodes = self._try("reach", make)
            for step in steps:
                if step.kind == "mixing":
                    why = f"{step.what} joins all features without wires of its own; wires and reach leave that out"
                    self._unclear.append((step.name, why))
                elif step.kind == "unsupported":
                    self._unclear.append((step.name, f"the wires of {step.what} are not known"))
        return tuple(found)

    def _make_reach(self) -> _Progress:
        self._part("wires")
        if self._nodes is None:
            return None
        return (yield from reach_report(self._nodes, self._alive))

    def _make_spectra(self) -> _Progress:
        layers, sizes, found = self._subject.layers, self._subject.sizes, []
        for done, (name, module) in enumerate(layers, start=1):
            spectrum = self._try(name, partial(layer_spectrum, name, module, sizes.get(module, ())))
            found += [] if spectrum is None else [spectrum]
            yield done, len(layers)
        return tuple(found)

    def _make_jacobian(self) -> _Progress:
        if self._is_another("jacobian"):
            return None
        points = self._subject.points[:_N_POINTS]
        rows, source = [], jacobian_rows(self._subject.net, points)
        for done in range(1, len(points) + 1):
            row = self._try("jacobian", lambda: next(source))
            if row is None:
                return None
            rows.append(row)
            yield done, len(points)
        return torch.stack(rows)

    def _is_another(self, part: str) -> bool:
        """Whether the module without in-place operations, which is what can be measured, is another function."""
        if self._subject.is_overwritten:
            self._unclear.append(
                (part, "the module reads what it has overwritten in place, on a way that is not known")
            )
        return self._subject.is_overwritten

    def _make_growth(self) -> _Progress:
        yield 0, 1
        if self._is_another("growth"):
            return None
        if self._subject.steps is None:
            self._unclear.append(
                ("growth", "lengths are taken behind modules; activations that are functions are not seen")
            )
        return self._try("growth", lambda: growth_report(self._subject, self._seed))

    def _make_removable(self) -> _Progress:
        self._part("wires")
        nodes = self._nodes
        rows = [small_weights(self._subject)]
        if nodes is not None:
            make = partial(dead_units, self._subject, nodes, self._alive, self.threshold)
            rows[:0] = filter(None, [self._try("dead units", make)])
        saved, is_exact = 0, True
        known = {spectrum.name: spectrum.singular_values for spectrum in self.spectra}
        layers = own_weights(self._subject)
        for done, (name, module) in enumerate(layers, start=1):
            gain, exact = low_rank(module, known.get(name))
            saved, is_exact = saved + gain, is_exact and exact
            yield done, len(layers)
        n = self.n_parameters
        rows.append(Removable("layers of low rank", n, n - saved, is_exact, "two factors where they are smaller"))
        if is_radial(self._subject):
            rows += filter(None, [self._try("axes of radial layers", lambda: radial_axes(self._subject))])
        return tuple(rows)


def report(
    module: nn.Module, x: object, *, threshold: float = 0.0, seed: int | np.random.Generator | None = 0
) -> Report:
    """Every measure of one network: wires, reach, spectra, Jacobian, growth of lines, and what could be removed.

    Args:
        module: any torch module of linear layers and convolutions: chains, hand-written forwards, residual additions,
            pruned, parametrized. It is left as it is; hooks that it has run as often as it does.
        x: one example that it takes, or a batch of them, array or tensor.
        threshold: a wire is where |weight| > threshold, at least 0.
        seed: of the random end of the line, where only one example is given.

    Returns:
        Report: lazy; what cannot be covered is named in `not_covered`.

    Raises:
        NbkitError: no module, nothing to measure, recurrent modules, NaN or sparse weights, examples that the module does
            not take, or of which it does not give one row, or one number, each; a result that is not one tensor.

    Example:
        >>> found = report(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), torch.ones(3))
        >>> found.topology.sizes, found.n_parameters, found.reach.matrix.all().item()
        ((3, 4, 2), 26, True)
    """
    return Report(module, x, threshold=threshold, seed=seed)
