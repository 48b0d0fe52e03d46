"""The saved model: a directory of JSON, safetensors and a model card; and what it says of images."""

from mirada.model.engines import engines
from mirada.model.model import Model, predict
from mirada.model.prediction import Prediction
from mirada.model.store import load

__all__ = ["Model", "Prediction", "engines", "load", "predict"]
