"""What can be asked only with all five papers in one place: configurations side by side, measures of them, twelve questions."""

from nbkit.questions.configuration import ACTIVATIONS, WEIGHTS, WIRES, Configuration, admissible
from nbkit.questions.measures import MEASURES, Measured, stream_measure
from nbkit.questions.questions import QUESTIONS, Question

__all__ = [
    "ACTIVATIONS",
    "MEASURES",
    "QUESTIONS",
    "WEIGHTS",
    "WIRES",
    "Configuration",
    "Measured",
    "Question",
    "admissible",
    "stream_measure",
]
