"""The questions that join the papers, each two configurations, a measure, and a sentence made of what was measured."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from nbkit.questions.answers import (
    tell_account,
    tell_alive,
    tell_compressed,
    tell_decay,
    tell_gap,
    tell_growth,
    tell_isometry,
    tell_mask,
    tell_orthogonal,
    tell_paths,
    tell_radial,
    tell_spread,
)
from nbkit.questions.configuration import DECAYED, Configuration
from nbkit.questions.measured import Measured

__all__ = ["QUESTIONS", "Question"]

_HE = math.sqrt(2)


@dataclass(frozen=True)
class Question:
    """A question to the lab.

    Attributes:
        number: 1..12.
        title: the question in words.
        a, b: what is compared; a reader may change both, and the answer follows.
        measure: of `MEASURES`.
        answer: what was measured of a and of b -> one sentence. Both must have their numbers.
    """

    number: int
    title: str
    a: Configuration
    b: Configuration
    measure: str
    answer: Callable[[Measured, Measured], str]


def _of(wires: str, weights: str = "Gaussian", activation: str = "ReLU", **settings: object) -> Configuration:
    return Configuration(wires, weights, activation, **{"gain": _HE} | settings)


QUESTIONS: tuple[Question, ...] = (
    Question(
        1,
        "How much does a line grow through wires that are not random?",
        _of("RadiX"),
        _of("SAO random", "orthogonal"),
        "growth",
        tell_growth,
    ),
    Question(
        2,
        "Do sparse random wires leave growth more to luck than regular ones?",
        _of("random", degree=2),  # the fewer wires, the more unlike are the nodes of random ones
        _of("RadiX", degree=2),
        "growth",
        tell_spread,
    ),
    Question(
        3,
        "Can RadiX wires carry orthogonal weights?",
        _of("RadiX", "orthogonal", gain=1.0),
        _of("SAO random", "orthogonal", gain=1.0),
        "weights' spectrum",
        tell_orthogonal,
    ),
    Question(
        4,
        "How fairly do wires share out their paths?",
        _of("SAO shift", width=32, degree=4, depth=3),
        _of("RadiX", width=32, degree=4, depth=3),
        "paths",
        tell_paths,
    ),
    Question(
        5,
        "Does a layer expand, or only the cascade?",
        _of("RadiX", depth=2),
        _of("X-Net random", depth=2),
        "wires' spectrum",
        tell_gap,
    ),
    Question(
        6,
        "From which density on does QR pay on sparse radial networks?",
        _of("RadiX", activation="radial", depth=4, degree=4),
        _of("SAO random", activation="radial", depth=4, degree=4),
        "compression",
        tell_compressed,
    ),
    Question(
        7,
        "How much does a line grow behind radial activations?",
        _of("RadiX", activation="radial"),
        _of("RadiX"),
        "growth",
        tell_radial,
    ),
    Question(
        8,
        "What does weight decay leave alive?",
        _of(DECAYED, "trained", depth=4, degree=32),
        _of("SAO random", "orthogonal", depth=4, degree=32),
        "Jacobian",
        tell_alive,
    ),
    Question(
        9,
        "What does weight decay do to growth?",
        _of(DECAYED, "trained", depth=4),
        _of("dense", depth=4),
        "growth",
        tell_decay,
    ),
    Question(
        10,
        "Does weight decay find an expander or blocks?",
        _of(DECAYED, "trained", depth=4, degree=32),
        _of("SAO random", depth=4, degree=32),
        "wires' spectrum",
        tell_mask,
    ),
    Question(
        11,
        "Are RadiX wires as isometric as SAO's?",
        _of("RadiX", "orthogonal", "tanh", gain=1.0),
        _of("SAO random", "orthogonal", "tanh", gain=1.0),
        "Jacobian",
        tell_isometry,
    ),
    Question(
        12,
        "What does each way of being sparse cost?",
        _of("RadiX", activation="radial", depth=4),
        _of(DECAYED, "trained", depth=4),
        "budget",
        tell_account,
    ),
)
