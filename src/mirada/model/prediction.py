"""What a model says of one image, or why it says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mirada.annotations import Label

__all__ = ["Prediction"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image.

    Attributes:
        path: the image, as it was given.
        labels: the most probable classes, the most probable first; empty where there is no answer.
        error: why the image could not be read, or None.
        skipped: why a file that was met in a folder was passed over, or None.
        is_sure: whether the most probable class is as probable as the model's threshold asks; None where the model has
            none: nothing can be promised then.
    """

    path: str
    labels: tuple[Label, ...] = ()
    error: str | None = None
    skipped: str | None = None
    is_sure: bool | None = None

    @property
    def label(self) -> Label | None:
        """The most probable class; None where there is no answer."""
        return self.labels[0] if self.labels else None

    def json(self) -> dict[str, Any]:
        """As plain values: `path`, and either `predictions`, `error` or `skipped`."""
        if self.error is not None:
            return {"path": self.path, "error": self.error}
        if self.skipped is not None:
            return {"path": self.path, "skipped": self.skipped}
        return {
            "path": self.path,
            "predictions": [{"label": label.name, "probability": label.probability} for label in self.labels],
            "sure": self.is_sure,
        }
