"""Training as generators: `train` for classifiers on batches, `descend` for functions on all their samples."""

from nbkit.training.loop import Progress, accuracy, train
from nbkit.training.regression import OPTIMIZERS, Descent, bells, descend, grid_points, make_optimizer

__all__ = [
    "OPTIMIZERS",
    "Descent",
    "Progress",
    "accuracy",
    "bells",
    "descend",
    "grid_points",
    "make_optimizer",
    "train",
]
