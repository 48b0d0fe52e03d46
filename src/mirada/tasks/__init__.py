"""The jobs: classify an image. A task judges a network's outputs in training and says what they mean."""

from mirada.tasks.classify import Classify, softmax
from mirada.tasks.task import Task

__all__ = ["Classify", "Task", "softmax"]
