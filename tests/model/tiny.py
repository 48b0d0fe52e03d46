"""A small model, as it is made before it is saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from mirada.arch import parse
from mirada.arch.build import build
from mirada.backbone.network import arrays_of
from mirada.image import Preparation
from mirada.model import Model
from mirada.tasks import Classify

LISTING = "name: Tiny\n[6x6x1] INPUT\n[4x4x2] CONV1: 2 3x3 filters\n[3] FC2: 3 neurons\n"
PREPARATION = Preparation((6, 6), "stretch", channels=1, mean=(0.25,), std=(0.5,))
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 1), dtype=np.uint8)
FILES = {"model.json", "weights.safetensors", "split.json", "README.md", "report.html"}


def tiny(**changes: Any) -> Model:
    torch.manual_seed(1)
    network = parse(LISTING)
    return replace(Model(network, arrays_of(build(network)), PREPARATION, Classify(("a", "b", "c"))), **changes)
