"""What was found, as values.

Does not know: how it was found, how it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Finding", "Item", "Weight", "finding_of"]

Weight = Literal["mend", "look"]
"""Whether it must be mended, or is to be looked at."""


@dataclass(frozen=True, slots=True)
class Item:
    """One case.

    Attributes:
        keys: the samples it is about.
        said: what about them, in a few words; may be empty.
        boxes_xyxy: the boxes of the first sample that it is about.
    """

    keys: tuple[str, ...]
    said: str = ""
    boxes_xyxy: tuple[tuple[float, float, float, float], ...] = ()

    def json(self) -> dict[str, Any]:
        """As plain values."""
        boxes = {"boxes_xyxy": [list(box) for box in self.boxes_xyxy]} if self.boxes_xyxy else {}
        return {"images": list(self.keys), "said": self.said, **boxes}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found.

    Attributes:
        kind: a short name that stays the same, such as "unreadable".
        weight: whether it must be mended.
        title: what it is, for people.
        why: why it matters.
        what_to_do: about it.
        items: the cases: where one is worse than another the worst first, else in the order of the data set.
    """

    kind: str
    weight: Weight
    title: str
    why: str
    what_to_do: str
    items: tuple[Item, ...]

    def json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "kind": self.kind,
            "must_be_mended": self.weight == "mend",
            "title": self.title,
            "why": self.why,
            "what_to_do": self.what_to_do,
            "count": len(self.items),
            "items": [item.json() for item in self.items],
        }


def finding_of(
    kind: str, weight: Weight, title: str, why: str, what_to_do: str, items: Sequence[Item]
) -> list[Finding]:
    """A finding, where there is a case."""
    return [Finding(kind, weight, title, why, what_to_do, tuple(items))] if items else []
