"""The engine of a network of which nothing is frozen: prepared pixels in, the same pixels out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mirada.engine.engine import Engine, Outputs, Tag

__all__ = ["Unchanged"]


class Unchanged(Engine):
    """Gives the pixels (h, w, C) uint8 as its one output."""

    name = "pixels"

    def stream(self, items: Iterable[tuple[Tag, NDArray[np.uint8] | None]]) -> Iterator[tuple[Tag, Outputs | None]]:
        """See `Engine.stream`."""
        for tag, pixels in items:
            yield tag, None if pixels is None else cast(Outputs, (pixels,))
