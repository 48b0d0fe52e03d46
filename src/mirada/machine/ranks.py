"""Which of several processes this is, where `torchrun` started them."""

from __future__ import annotations

import os

__all__ = ["is_first_rank", "rank", "rank_count"]


def rank() -> int:
    """The place of this process among those that train together, from 0."""
    return _number("RANK", 0) if rank_count() > 1 else 0


def rank_count() -> int:
    """How many processes train together; 1 where `torchrun` started none."""
    return max(_number("WORLD_SIZE", 1), 1)


def is_first_rank() -> bool:
    """Whether this process is the one that writes and tells."""
    return rank() == 0


def _number(name: str, otherwise: int) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else otherwise
