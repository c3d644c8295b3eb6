"""Training as generators: `train` for classifiers on batches, `descend` and `descend_many` for functions on all their samples."""

from nbkit.training import augment, schedules
from nbkit.training.loop import train
from nbkit.training.many import PENALTIES, DescentOfMany, descend_many
from nbkit.training.progress import Progress, accuracy
from nbkit.training.regression import OPTIMIZERS, Descent, bells, descend, grid_points, make_optimizer

__all__ = [
    "OPTIMIZERS",
    "PENALTIES",
    "Descent",
    "DescentOfMany",
    "Progress",
    "accuracy",
    "augment",
    "bells",
    "descend",
    "descend_many",
    "grid_points",
    "make_optimizer",
    "schedules",
    "train",
]
