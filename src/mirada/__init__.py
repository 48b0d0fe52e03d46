"""mirada trains, runs and explains convolutional neural networks on your own images, on your own computer.

In the order in which an image walks:

```
decode, Preparation          bytes -> pixels -> the pixels a network takes
parse, Architecture, layers  the listing of a network -> its volumes and parameters
build                        -> a torch module
check, convert, augment      a data set -> what is wrong with it, another format, random views
train                        a data set -> a Model
evaluate                     a Model and labelled images -> an Evaluation
load, predict                a saved Model -> Predictions for new images
engines                      how networks are run on this machine, and why so
index, open_index            a collection of images -> an Index, in which what looks alike is found
```

Names are loaded when they are first used: `import mirada` costs milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirada.lazy import loaded_when_used
from mirada.version import __version__

_HOMES = {
    "decode": "mirada.image",
    "Preparation": "mirada.image",
    "Volume": "mirada.arch",
    "Architecture": "mirada.arch",
    "parse": "mirada.arch",
    "format_listing": "mirada.arch",
    "Table": "mirada.arch.table",
    "layers": "mirada.backbone",
    "build": "mirada.arch.build",
    "read": "mirada.data",
    "Dataset": "mirada.data",
    "Sample": "mirada.data",
    "check": "mirada.inspection.check",
    "Report": "mirada.inspection",
    "Finding": "mirada.inspection",
    "convert": "mirada.data",
    "augment": "mirada.inspection",
    "train": "mirada.learn",
    "Evaluation": "mirada.learn",
    "evaluate": "mirada.learn",
    "Model": "mirada.model",
    "Prediction": "mirada.model",
    "load": "mirada.model",
    "predict": "mirada.model",
    "engines": "mirada.model.engines",
    "index": "mirada.search.index",
    "Index": "mirada.search",
    "open_index": "mirada.search",
    "Hit": "mirada.search",
    "Boxes": "mirada.annotations",
    "Label": "mirada.annotations",
    "Labels": "mirada.annotations",
    "Outline": "mirada.annotations",
    "Policy": "mirada.image.policy",
    "Mask": "mirada.annotations",
    "ArchitectureError": "mirada.errors",
    "ClaimError": "mirada.errors",
    "DataError": "mirada.errors",
    "ImageError": "mirada.errors",
    "MiradaError": "mirada.errors",
    "MisfitError": "mirada.errors",
    "ModelError": "mirada.errors",
    "NotationError": "mirada.errors",
    "TrainingError": "mirada.errors",
    "UsageError": "mirada.errors",
}

__all__ = [
    "Architecture",
    "ArchitectureError",
    "Boxes",
    "ClaimError",
    "DataError",
    "Dataset",
    "Evaluation",
    "Finding",
    "Hit",
    "ImageError",
    "Index",
    "Label",
    "Labels",
    "Mask",
    "MiradaError",
    "MisfitError",
    "Model",
    "ModelError",
    "NotationError",
    "Outline",
    "Policy",
    "Prediction",
    "Preparation",
    "Report",
    "Sample",
    "Table",
    "TrainingError",
    "UsageError",
    "Volume",
    "__version__",
    "augment",
    "build",
    "check",
    "convert",
    "decode",
    "engines",
    "evaluate",
    "format_listing",
    "index",
    "layers",
    "load",
    "open_index",
    "parse",
    "predict",
    "read",
    "train",
]

if TYPE_CHECKING:
    from mirada.annotations import Boxes, Label, Labels, Mask, Outline
    from mirada.arch import Architecture, Volume, format_listing, parse
    from mirada.arch.build import build
    from mirada.arch.table import Table
    from mirada.backbone import layers
    from mirada.data import Dataset, Sample, convert, read
    from mirada.errors import (
        ArchitectureError,
        ClaimError,
        DataError,
        ImageError,
        MiradaError,
        MisfitError,
        ModelError,
        NotationError,
        TrainingError,
        UsageError,
    )
    from mirada.image import Preparation, decode
    from mirada.image.policy import Policy
    from mirada.inspection import Finding, Report, augment
    from mirada.inspection.check import check
    from mirada.learn import Evaluation, evaluate, train
    from mirada.model import Model, Prediction, load, predict
    from mirada.model.engines import engines
    from mirada.search import Hit, Index, open_index
    from mirada.search.index import index


if not TYPE_CHECKING:  # which would take any name for one of this package
    __getattr__ = loaded_when_used(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
