"""How a network is run: prepared pixels in, numbers out."""

from mirada.engine.process import prepare_process
from mirada.engine.run import BATCH_SIZES, TorchEngine, default_device, normalised

__all__ = ["BATCH_SIZES", "TorchEngine", "default_device", "normalised", "prepare_process"]
