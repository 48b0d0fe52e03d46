"""Rung 0 of the ladder: how the picture is seen, and a new head on the features of the frozen network.

Does not know: the rungs above, what is kept of them. Never imports torch.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirada.backbone.body import Body
from mirada.image import Preparation
from mirada.learn.framing import FEWEST, TRAIN_IMAGES, VAL_IMAGES, Seen, choose_preparation, some_of_each
from mirada.learn.head import Head, balanced_weights, fit_head
from mirada.learn.job import Job
from mirada.learn.rows import Rows
from mirada.model import Model
from mirada.model.model import State

__all__ = ["FirstRung"]


class FirstRung:
    """Chooses the preparation, and solves for the head.

    Args:
        job: what to learn from.
        body: the pretrained network.
        train, val: the images of these parts.

    Attributes:
        preparation: the chosen one; before, the one of the network's makers.
        taps: the stages whose inputs are kept on the way, for the rungs above.
        learnt, notes: how it was solved, as plain values; what should be said of it.
    """

    def __init__(self, job: Job, body: Body, train: Rows, val: Rows) -> None:
        self._job, self._body, self._train, self._val = job, body, train, val
        self._classes = len(job.dataset.class_names)
        self._mild: Head | None = None
        self.preparation = body.preparation
        self.taps: tuple[int, ...] = ()
        self.learnt: dict[str, Any] = {}
        self.notes: list[str] = []

    def solved(self) -> tuple[Model, NDArray[np.float32]]:
        """The frozen network with the new head, and its class scores (M, K) for the validation images.

        Raises:
            DataError: no training image of a class can be read.
        """
        self.preparation = self._best_preparation()
        features, val_features = self._features()
        self._job.check_all_classes(self._train.class_ids, (*self._train.failures, *self._val.failures))
        self._job.progress("solving for the head", 0, None)
        head = self._fitted(features, val_features)
        self._mild = head.mild or head
        self.learnt |= {"inverse_strength": head.chosen, "strengths_tried": [asdict(each) for each in head.tried]}
        if self.class_weights is not None:
            counts = np.bincount(self._train.class_ids, minlength=self._classes)
            self.notes.append(
                f"The largest class has {counts.max():,} training images, the smallest {counts.min():,}: images were "
                "weighted so that all classes count alike."
            )
        state: State = {f"backbone.{name}": array for name, array in self._body.state.items()}
        state |= {"head.weight": head.weight, "head.bias": head.bias}
        return Model(self._body.backbone, state, self.preparation, self._job.task), head(val_features)

    def taken_up(self, preparation: Preparation) -> None:
        """Stand where an earlier process stood, which had chosen this preparation."""
        self.preparation = preparation
        self._features()

    def mild_head(self) -> Head:
        """A head that is milder than the best for these features."""
        if self._mild is None:
            features, _ = self._features()
            self._mild = self._fitted(features, features[:0])
        return self._mild

    @cached_property
    def class_weights(self) -> NDArray[np.float32] | None:
        """How much an image of each class counts, (K,); None for all alike."""
        return balanced_weights(self._train.class_ids, self._classes)

    def _features(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Of the training and validation images; what the rungs above start from is kept on the way."""
        return (
            self._train.features(self._body, self.preparation, "features of the training images", self.taps),
            self._val.features(self._body, self.preparation, "features of the validation images", self.taps),
        )

    def _fitted(self, features: NDArray[np.float32], val_features: NDArray[np.float32]) -> Head:
        weights = None if self.class_weights is None else self.class_weights[self._train.class_ids]
        val_ids = self._val.class_ids[: len(val_features)]
        return fit_head(features, self._train.class_ids, val_features, val_ids, self._classes, weights=weights)

    def _best_preparation(self) -> Preparation:
        """The preparation that the features of some images are best with."""
        usual = self._body.preparation
        if len(self._val) < FEWEST:
            return usual
        some = self._train.some(some_of_each(self._train.all_class_ids, TRAIN_IMAGES))
        some_val = self._val.some(some_of_each(self._val.all_class_ids, VAL_IMAGES))

        def seen(preparation: Preparation, name: str) -> tuple[Seen, Seen]:
            stage = f"choosing the view: {'as usual' if preparation == usual else name}"
            features = [rows.features(self._body, preparation, stage) for rows in (some, some_val)]
            return Seen(features[0], some.class_ids), Seen(features[1], some_val.class_ids)

        chosen, tried = choose_preparation(usual, seen, self._classes)
        self._train.rate = some.rate
        self.learnt["preparations_tried"] = tried
        return chosen
