"""How a model is made and judged: the ladder of transfer, the training loop, the scores."""

from mirada.learn.evaluation import Evaluation, evaluate
from mirada.learn.training import train

__all__ = ["Evaluation", "evaluate", "train"]
