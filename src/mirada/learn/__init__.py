"""How a model is made and judged: the training loop, the new last layer, and the evaluation."""

from mirada.learn.evaluation import Evaluation, accuracy_interval, evaluate
from mirada.learn.training import train

__all__ = ["Evaluation", "accuracy_interval", "evaluate", "train"]
