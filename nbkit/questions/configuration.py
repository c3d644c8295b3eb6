"""One network of the lab: wires, weights and activation chosen freely, at one density, as far as they go together."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import cached_property

import torch
from torch import nn

from nbkit.errors import NbkitError, check_choice, check_integer, check_number
from nbkit.nets import RadialNet, chain
from nbkit.questions.births import divisors, generator_of, orthogonal_on, radix_digits, random_on, wires_of
from nbkit.questions.training import DECAY, Training, training_of
from nbkit.topology import (
    Layer,
    Topology,
    dense_layer,
    magnitude_pruned,
)
from nbkit.weights import looks_linear, orthogonal

__all__ = ["ACTIVATIONS", "DECAYED", "RADIAL", "WEIGHTS", "WIRES", "Configuration", "admissible"]

WIRES = (
    "RadiX", "X-Net random", "X-Net Cayley", "SAO random", "SAO shift", "SAO aligned", "pruned", "random", "dense",
    "weight decay",
)  # fmt: skip
WEIGHTS = ("Gaussian", "uniform", "discrete", "orthogonal", "looks-linear", "trained")
ACTIVATIONS = ("linear", "ReLU", "tanh", "radial")
DECAYED = "weight decay"
_N_NETWORKS = 96
RADIAL = "sigmoid"  # h(r) of the radial activation, that of the paper's third experiment

_WIDTHS = (16, 32, 64, 128, 256)
_FROM_DENSE = ("dense", "pruned", DECAYED)
_BLOCKS = ("RadiX", "SAO random", "SAO shift", "SAO aligned", "dense")  # wires that orthogonal weights fit


@dataclass(frozen=True)
class Configuration:
    """A network width -> width -> ... of `depth` layers without biases, made when it is asked for.

    All wires but "dense" and "weight decay" keep degree / width of the weights, exactly. "RadiX" repeats a system of
    equal radices N with dense widths D, N D = degree: the smallest D that there is, at least 2 for orthogonal weights.
    "pruned" keeps the largest weights of a dense layer, "weight decay" those that training under it left above 1e-3.

    Args:
        wires: of `WIRES`.
        weights: of `WEIGHTS`; "looks-linear" mirrors orthogonal ones of half the width and degree, so that the ends
            have width / 2 nodes; "trained" fits random values at random points from Gaussian ones on the same wires.
        activation: of `ACTIVATIONS`, behind every layer.
        width, degree, depth: nodes a layer, wires at a node (on average where they vary), layers of wires.
        gain: sigma_w: weights have variance gain^2 / in-degree, He's is sqrt 2; orthogonal ones are multiplied by it.
        seed: of wires and weights.

    Raises:
        NbkitError: an unknown name, or settings that do not go together; the message says which do.
    """

    wires: str = "RadiX"
    weights: str = "Gaussian"
    activation: str = "ReLU"
    width: int = 64
    degree: int = 8
    depth: int = 8
    gain: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_number("Configuration", "gain", self.gain, above=0.0)
        check_integer("Configuration", "seed", self.seed, at_least=0)
        for name, choices in (("wires", WIRES), ("weights", WEIGHTS), ("activation", ACTIVATIONS)):
            check_choice("Configuration", name, getattr(self, name), choices)
        for name in ("width", "degree", "depth"):
            check_integer("Configuration", name, getattr(self, name), at_least=1)
        allowed = admissible(**{field.name: getattr(self, field.name) for field in fields(self)})
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise NbkitError(
                    f"Configuration: {name} must be one of {', '.join(map(str, values)) or 'none'} with {self.wires} "
                    f"wires of width {self.width} and {self.weights} weights, got {getattr(self, name)}. Choose one "
                    "of these, see nbkit.questions.admissible."
                )

    @property
    def name(self) -> str:
        """Its wires and weights in words, such as "RadiX, Gaussian"."""
        return self.wires if self.wires == DECAYED else f"{self.wires}, {self.weights}"

    @property
    def density(self) -> Fraction:
        """Kept wires over all that could be there, exactly."""
        return self.topology.density_fraction

    @property
    def is_trained(self) -> bool:
        """Whether its weights come from a training, which takes seconds: see `prepare`."""
        return self.weights == "trained"

    @property
    def n_networks(self) -> int:
        """Seeds, or in a trained network lines, that a mean is taken over."""
        return _N_NETWORKS

    @property
    def dense_width(self) -> int:
        """D of RadiX wires: how many nodes share a label; 1 for all others."""
        return radix_digits(self.width, self.degree, self.weights)[0] if self.wires == "RadiX" else 1

    def prepare(self) -> Iterator[tuple[int, int, str]]:
        """(done, total, what): train, or make layers one by one, in steps below 100 ms; at its end all is there.

        One that was left half way is taken up where it stopped.
        """
        if self.is_trained:
            yield 0, Training.n_steps, "steps"  # making a training takes a moment
            training = self.training
            while not training.is_over:
                yield training.step, training.n_steps, "steps"
                training.go_on()
        yield len(self._pieces), self.depth, "layers"
        while (position := len(self._pieces)) < self.depth:
            layer = self._layer(position)
            self._pieces.append((layer, self._matrix(position, layer)))
            yield len(self._pieces), self.depth, "layers"

    @cached_property
    def training(self) -> Training:
        """The training that its weights come from, shared with configurations that differ in what comes after it."""
        if self.wires in _FROM_DENSE:
            return training_of(Topology([dense_layer(self.width, self.width)] * self.depth), self.gain, self.seed)
        return training_of(Topology([self._layer(position) for position in range(self.depth)]), self.gain, self.seed)

    @cached_property
    def topology(self) -> Topology:
        """Its wires."""
        return Topology([layer for layer, _ in self._made])

    @cached_property
    def matrices(self) -> tuple[torch.Tensor, ...]:
        """Its weights, float64 (n_out, n_in) a layer."""
        return tuple(matrix for _, matrix in self._made)

    def network(self, seed: int | None = None) -> nn.Sequential:
        """The network as a module of float64; another seed draws other wires and weights."""
        if seed is not None and seed != self.seed:
            return replace(self, seed=seed).network()
        if self.activation == "radial":
            return RadialNet.of(self.matrices, [None] * self.depth, RADIAL, output=RADIAL)
        output = "linear" if self.weights == "looks-linear" else "activation"
        return chain(self.matrices, self.activation.lower(), output=output)

    @cached_property
    def _pieces(self) -> list[tuple[Layer, torch.Tensor]]:
        return []

    @property
    def _made(self) -> list[tuple[Layer, torch.Tensor]]:
        for _ in self.prepare():
            pass
        return self._pieces

    def _layer(self, position: int) -> Layer:
        if self.wires == DECAYED:
            return self.training.decayed(position)
        if self.wires == "pruned":
            return magnitude_pruned([self._dense_matrix(position)], self.degree / self.width)[0]
        if self.weights != "looks-linear":
            return wires_of(self.wires, self.weights, self.width, self.degree, position, self.seed)
        half = wires_of(self.wires, "orthogonal", self.width // 2, self.degree // 2, position, self.seed)
        return Topology([half]).kron((1 if position == 0 else 2, 1 if position == self.depth - 1 else 2))[0]

    def _matrix(self, position: int, layer: Layer) -> torch.Tensor:
        seed = generator_of(self.seed, position, 1)
        if self.wires == DECAYED:
            return self.training.weights(position, DECAY) * layer.mask()
        if self.wires == "pruned":
            kept = self._dense_matrix(position) * layer.mask()
            return kept if self.is_trained else kept * (self.gain * self.width**0.5 / torch.linalg.matrix_norm(kept))
        if self.is_trained:
            return self.training.weights(position)
        if self.weights == "looks-linear":
            half = wires_of(self.wires, "orthogonal", self.width // 2, self.degree // 2, position, self.seed)
            inner = orthogonal_on(self.wires, half, self.gain, seed)
            return looks_linear([inner] * 3)[0 if position == 0 else 2 if position == self.depth - 1 else 1]
        if self.weights == "orthogonal":
            return orthogonal_on(self.wires, layer, self.gain, seed)
        return random_on(self.weights, layer, self.gain, seed)

    def _dense_matrix(self, position: int) -> torch.Tensor:
        """The weights of the dense layer that is pruned."""
        if self.is_trained:
            return self.training.weights(position)
        full, seed = dense_layer(self.width, self.width), generator_of(self.seed, position, 1)
        return orthogonal(full, seed=seed) if self.weights == "orthogonal" else random_on(self.weights, full, 1.0, seed)


def admissible(**settings: object) -> dict[str, tuple]:
    """Which values go together with the others: name of a setting -> values, in the order of WIRES, WEIGHTS, ...

    Wires admit weights, these admit activations, and all of them with the width admit degrees; settings that are left
    out count with their defaults.

    Args:
        settings: of a `Configuration`.

    Raises:
        NbkitError: a setting that there is none of.
    """
    defaults = {field.name: field.default for field in fields(Configuration)}
    for name in settings:
        check_choice("admissible", "a setting", name, defaults)
    chosen = defaults | settings
    wires, weights, width = chosen["wires"], chosen["weights"], chosen["width"]
    is_relu = weights in ("looks-linear", "trained")
    deepest = 8 if weights == "trained" else 16 if width > 128 else 32  # what is still live
    return {
        "wires": WIRES,
        "weights": _kinds(wires),
        "activation": ("ReLU",) if is_relu else ACTIVATIONS,
        "width": _WIDTHS[:3] if weights == "trained" else _WIDTHS,
        "degree": _degrees(wires, weights, width),
        "depth": tuple(range(2 if weights == "looks-linear" else 1, deepest + 1)),
    }


def _kinds(wires: str) -> tuple[str, ...]:
    if wires == DECAYED:
        return ("trained",)
    missing = () if wires in _BLOCKS else ("orthogonal", "looks-linear")
    if wires == "pruned":  # of equal magnitudes the first would stay, a pattern
        missing = ("discrete", "looks-linear")
    return tuple(kind for kind in WEIGHTS if kind not in missing)


def _degrees(wires: str, weights: str, width: int) -> tuple[int, ...]:
    if wires == "dense":
        return divisors(width)  # it has width wires at a node, whatever the degree of what it is compared with
    least = 4 if weights == "looks-linear" else 2
    return tuple(d for d in divisors(width) if d >= least and (wires != "RadiX" or radix_digits(width, d, weights)))
