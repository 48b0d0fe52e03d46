"""The batches of an epoch: which images, in which views, mixed or not, and what is true of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mirada.image.mix import mixed
from mirada.learn.pixels import Pixels, in_batches
from mirada.learn.ranks import Ranks
from mirada.learn.recipes import Recipe
from mirada.tasks import Task

__all__ = ["Batches", "shifted"]

Batch = tuple[NDArray[np.uint8], NDArray[np.generic], float]
"""Pixels (n, h, w, C), class ids (n,) or shares (n, K), and what the mean loss is multiplied with."""


class Batches:
    """What a network is trained on; the same for the same seed, epoch and step, however often it was interrupted.

    Args:
        train: the training images.
        task: its classes.
        recipe: with its batch size.
        seed: of all that is random.
        ranks: of each batch this process sees its share.
        skips_one: whether a last batch of one image is left out, another image each epoch: batch norm finds no
            variance in it.
    """

    def __init__(
        self, train: Pixels, task: Task, recipe: Recipe, seed: int, ranks: Ranks, *, skips_one: bool = False
    ) -> None:
        assert recipe.batch_size is not None
        self._train, self._task, self._recipe, self._seed, self._ranks = train, task, recipe, seed, ranks
        self._size = recipe.batch_size
        self._images = len(train) - (skips_one and len(train) > 1 and len(train) % self._size == 1)

    def __len__(self) -> int:
        """How many an epoch has."""
        return -(-self._images // self._size)

    def of(self, epoch: int, done: int = 0) -> Iterator[Batch]:
        """Those of an epoch, from 1, without the first ones, which are done."""
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._train))[: self._images]
        batches = in_batches(order, self._size)[done:]
        shares = [self._ranks.share(batch) for batch in batches]
        steps = enumerate(zip(batches, self._pixels(shares, epoch), strict=False), done)
        for step, (batch, (pixels, class_ids)) in steps:
            rng = np.random.default_rng([self._seed, epoch, step])
            if self._recipe.policy is None:
                pixels = self._shifted(pixels, len(batch), rng)
            yield (*self._mixed(pixels, class_ids, rng), self._ranks.weight(len(batch)))

    def _pixels(
        self, shares: Sequence[NDArray[np.int64]], epoch: int
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """As they are prepared, or other views of them each epoch."""
        policy = self._recipe.policy
        if policy is None:
            return self._train.batches(shares)
        return self._train.views(shares, policy, self._seed, epoch)

    def _shifted(self, pixels: NDArray[np.uint8], batch: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Each image moved by its own whole pixels, drawn for the batch of all processes."""
        _, h, w, _ = pixels.shape
        most_y, most_x = round(self._recipe.shift * h), round(self._recipe.shift * w)
        if most_y == most_x == 0:
            return pixels
        dy, dx = rng.integers(-most_y, most_y + 1, batch), rng.integers(-most_x, most_x + 1, batch)
        own = self._ranks.share(np.arange(batch))[: len(pixels)]
        return shifted(pixels, dy[own], dx[own])

    def _mixed(
        self, pixels: NDArray[np.uint8], class_ids: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.generic]]:
        """Pixels and what is true of them: class ids (n,), or shares (n, K) where the policy mixes pictures."""
        policy = self._recipe.policy
        if policy is None or not (policy.mixup or policy.cutmix):
            return pixels, class_ids
        return mixed(pixels, np.eye(len(self._task.class_names), dtype=np.float32)[class_ids], policy, rng)


def shifted(pixels: NDArray[np.uint8], dy: NDArray[np.int64], dx: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Each image (n, h, w, C) moved by whole pixels (n,) up and left, its border filled with its edge pixels."""
    n, h, w, _ = pixels.shape
    if not n:
        return pixels
    down, right = int(np.abs(dy).max()), int(np.abs(dx).max())
    wide = np.pad(pixels, ((0, 0), (down, down), (right, right), (0, 0)), mode="edge")
    moved = np.empty_like(pixels)
    for i, (top, left) in enumerate(zip((dy + down).tolist(), (dx + right).tolist(), strict=True)):
        moved[i] = wide[i, top : top + h, left : left + w]
    return moved
