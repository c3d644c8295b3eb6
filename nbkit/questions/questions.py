"""The questions that join the papers, each two configurations, a measure, and a sentence made of what was measured."""

from collections.abc import Callable
from dataclasses import dataclass

from nbkit.questions.configuration import Configuration
from nbkit.questions.measured import Measured

__all__ = ["QUESTIONS", "Question"]


@dataclass(frozen=True)
class Question:
    """A question to the lab.

    Attributes:
        number: 1..12.
        title: the question in words.
        a, b: what is compared; a reader may change both, and the answer follows.
        measure: of `MEASURES`.
        answer: what was measured of a and of b -> one sentence.
    """

    number: int
    title: str
    a: Configuration
    b: Configuration
    measure: str
    answer: Callable[[Measured, Measured], str]


QUESTIONS: tuple[Question, ...] = ()
