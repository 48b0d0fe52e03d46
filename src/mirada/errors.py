"""Every error that mirada raises on purpose.

```
MiradaError                what was wrong, where, and what to do about it
├── UsageError             a request that cannot be met: options that contradict, an output that exists
├── ArchitectureError      a network that cannot be read or built; carries source, line and layer
│   ├── NotationError        a line of a listing that cannot be understood
│   ├── MisfitError          a layer that does not fit the volume it is given
│   └── ClaimError           a volume in brackets that is not what the arithmetic gives
├── ImageError             a picture that cannot be decoded; carries the reason
├── DataError              a data set that cannot be used
├── ModelError             a saved model that is incomplete, altered or of another kind
└── TrainingError          a training run that cannot go on
```

The command line prints the message of any of these and exits with status 2; every other exception is a bug.
"""

from __future__ import annotations

__all__ = [
    "ArchitectureError",
    "ClaimError",
    "DataError",
    "ImageError",
    "MiradaError",
    "MisfitError",
    "ModelError",
    "NotationError",
    "TrainingError",
    "UsageError",
]


class MiradaError(Exception):
    """The root of all errors raised on purpose. The message says what was wrong, where, and what to do."""


class UsageError(MiradaError):
    """A request that cannot be met: options that contradict each other, an output that already exists."""


class ArchitectureError(MiradaError):
    """A network that cannot be read or built.

    Attributes:
        source: the file or name of the listing, or None where there is none.
        line: the line of the listing, counted from 1, or None.
        layer: the name of the layer, or None.
    """

    def __init__(
        self, message: str, *, source: str | None = None, line: int | None = None, layer: str | None = None
    ) -> None:
        super().__init__(message)
        self.source = source
        self.line = line
        self.layer = layer


class NotationError(ArchitectureError):
    """A line of a listing that cannot be understood. Raised by `mirada.arch.parse`."""


class MisfitError(ArchitectureError):
    """A layer that does not fit the volume it is given. The message carries the sum and the values that do fit."""


class ClaimError(ArchitectureError):
    """A volume in brackets that differs from what the arithmetic gives. The message carries both."""


class ImageError(MiradaError):
    """A picture that cannot be decoded.

    Attributes:
        name: the path, or what else the picture is known by.
        reason: why, in a few words, without the name.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class DataError(MiradaError):
    """A data set that cannot be used: no images, one class, a table without its columns, a corrupt file."""


class ModelError(MiradaError):
    """A saved model that is incomplete, altered, or made by a version that this one cannot read."""


class TrainingError(MiradaError):
    """A training run that cannot go on, for example because the loss is not a number."""
