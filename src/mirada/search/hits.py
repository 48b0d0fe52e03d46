"""An image that was found, and how much it is like what was looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

__all__ = ["SAME", "Hit"]


@dataclass(frozen=True)
class Hit:
    """An image that was found.

    Attributes:
        path: of its file, exactly.
        similarity: 1 for the same; the cosine of its vector with that of the query, or, where the index knows what is
            where, a quarter of it and three quarters of how alike the places are; of several queries the mean.
        nearer_than: the share of random pairs of this index that are less alike, or None where it is too small to say.
        columns: what the index knows of it: `label`, `width`, `height`, `bytes`, `taken`, `camera`, `hash`, and the
            columns of the person's table.
        is_the_same: whether it is nearly the same picture, whatever the collection.
    """

    path: str
    similarity: float
    nearer_than: float | None
    columns: dict[str, Any]
    is_the_same: bool = False

    @property
    def label(self) -> str | None:
        """Its class, or the folder in which it lies."""
        label: str | None = self.columns["label"]
        return label

    @property
    def words(self) -> str:
        """How much it is like the query, for people."""
        if self.is_the_same:
            return "nearly the same"
        if self.nearer_than is None:
            return f"similarity {self.similarity:.2f}"
        return next(word for limit, word in WORDS if self.nearer_than >= limit)

    def json(self) -> dict[str, Any]:
        """As plain values."""
        about = {"path": self.path, "similarity": round(self.similarity, 6), "nearer_than": self.nearer_than}
        return {name: value for name, value in self.columns.items() if name != "path"} | about


SAME: Final = 0.95
"""Similarity from which two pictures are nearly the same, where it is known what is where: copies in another size or
quality."""
WORDS: Final = (
    (0.9999, "very much alike"),
    (0.999, "much alike"),
    (0.99, "alike"),
    (0.9, "somewhat alike"),
    (0.0, "hardly alike"),
)
"""From which share of random pairs that are less alike, what is said."""
