"""The images of a part as rows of what a frozen network gives for them: features, and activations at a cut."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mirada.backbone.body import Body
from mirada.data import Part, Sample
from mirada.engine import Engine, Program, open_engine
from mirada.engine.extract import extract
from mirada.engine.kept import Kept, Layout, delete_unused
from mirada.engine.program import body_program, trunk_program
from mirada.engine.unchanged import Unchanged
from mirada.errors import ImageError, UsageError
from mirada.image import Preparation
from mirada.image.augment import VIEWS_VERSION
from mirada.image.policy import POLICIES, Policy
from mirada.learn.job import Job
from mirada.machine import cache_folder

if TYPE_CHECKING:
    from mirada.learn.rung import Inputs

__all__ = ["Rows", "Stores", "prune_activations"]

FIRST_RATE = 100.0
"""Images a second, before any was run."""


class Stores:
    """The engine and the kept outputs that a climb has open, each once."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._open: dict[str, Kept] = {}
        self._passing: set[str] = set()
        self._private: set[str] = set()

    def engine(self, program: Program, job: Job) -> Engine:
        """The engine of a program; one at a time is open."""
        if self._engine is None or self._engine.program.key != program.key:
            job.progress("preparing the network", 0, None)
            self._engine = open_engine(program)
        return self._engine

    def kept(self, engine: Engine, preparation: Preparation, policy: Policy, seed: int) -> Kept:
        """Where the outputs of an engine for views framed by a preparation are kept.

        Where another process is at work there, this one keeps its own.

        Args:
            policy: of the views; "none" where only the first is kept, which is the same by all of them.
        """
        content = [
            engine.program.key,
            engine.name,
            preparation.to_json(),
            VIEWS_VERSION,
            policy.to_json() | {"name": ""},
            seed,
        ]
        name = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
        if name not in self._open:
            folder, layout = cache_folder("activations") / name, _layout(engine)
            try:
                self._open[name] = Kept(folder, layout)
            except BlockingIOError:
                self._open[name] = Kept(Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder.parent)), layout)
                self._private.add(name)
            if any(len(shape) > 1 for shape, _ in layout):
                self._passing.add(name)
        return self._open[name]

    def close(self, *, delete: bool = False) -> None:
        """Close them all.

        Args:
            delete: whether the activations, which are large and of no more use, are deleted; features stay.
        """
        for name, kept in self._open.items():
            kept.close()
            if name in self._private or (delete and name in self._passing):
                shutil.rmtree(kept.folder, ignore_errors=True)
        self._open.clear()


@dataclass(frozen=True, eq=False)
class _First:
    """The first view of every sample, which went through the whole network.

    Attributes:
        preparation: which framed it.
        kept, places: where the outputs are, (N,); -1 where a sample could not be read.
        taps: the stages whose inputs are among them.
    """

    preparation: Preparation
    kept: Kept
    places: NDArray[np.int64]
    taps: tuple[int, ...]


@dataclass(eq=False)
class Rows:
    """The readable samples of a part, and their outputs.

    Attributes:
        stores: what is kept, shared with the other parts.
        policy: what the views but the first change.
        failures: those that could not be read.
        rate: images a second that went through the whole network.
        notes: what should be said of the engine.
    """

    job: Job
    part: Part
    stores: Stores
    policy: Policy = POLICIES["light"]
    failures: tuple[ImageError, ...] = ()
    rate: float = FIRST_RATE
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._samples: Sequence[Sample] = self.job.samples(self.part)
        self._contents = self.job.contents(self.part)
        self._ids = self.job.class_ids(self.part)
        self._is_read = np.ones(len(self._samples), bool)
        self._first: _First | None = None

    def __len__(self) -> int:
        return int(self._is_read.sum())

    @property
    def all_class_ids(self) -> NDArray[np.int64]:
        """(N,) of all samples, those that cannot be read too."""
        return self._ids

    @property
    def class_ids(self) -> NDArray[np.int64]:
        """(n,) of the samples that could be read."""
        return self._ids[self._is_read]

    def some(self, places: NDArray[np.int64]) -> Rows:
        """Rows of these samples only."""
        rows = Rows(self.job, self.part, self.stores, self.policy)
        rows._samples = [self._samples[i] for i in places]
        rows._contents = [self._contents[i] for i in places]
        rows._ids, rows._is_read = self._ids[places], np.ones(len(places), bool)
        return rows

    def answered(self, logits: NDArray[np.float32]) -> list[tuple[Sample, NDArray[np.float32] | ImageError]]:
        """Each sample with its row of the logits (n, K), or with the reason why it cannot be read and has none."""
        rows, errors = iter(logits), {error.name: error for error in self.failures}
        return [
            (sample, next(rows) if is_read else errors[sample.key])
            for sample, is_read in zip(self._samples, self._is_read, strict=True)
        ]

    def features(
        self, body: Body, preparation: Preparation, stage: str, taps: tuple[int, ...] = ()
    ) -> NDArray[np.float32]:
        """(n, F) float32 of the samples that can be read; the inputs of the stages `taps` are kept on the way."""
        if not self._samples:
            return np.zeros((0, body.features), np.float32)
        engine = self._engine(body_program(body, taps))
        kept = self.stores.kept(engine, preparation, POLICIES["none"], 0)
        before, begin = len(kept), time.perf_counter()
        places = self._extracted(engine, preparation, kept, (0,), stage)[:, 0]
        if len(kept) - before >= 100:
            self.rate = (len(kept) - before) / (time.perf_counter() - begin)
        self._is_read = places >= 0
        self._first = _First(preparation, kept, places, taps)
        found: NDArray[np.float32] = kept.read(places[self._is_read], len(taps)).astype(np.float32, copy=False)
        return found

    def inputs(self, body: Body, preparation: Preparation, place: int, views: int, stage: str) -> Inputs:
        """What the stage number `place` is given for every view, run where it is not kept.

        The first view is that of `features`, where this stage was among its taps; the others go no further than here.
        """
        import torch

        from mirada.engine.torch_engine import normalised
        from mirada.learn.rung import Inputs

        sources: list[tuple[Kept, int, NDArray[np.int64]]] = []  # of each view: where, which output, which rows
        first = self._first
        if first is not None and first.preparation == preparation and place in first.taps:
            sources.append((first.kept, first.taps.index(place), first.places))
        if self._samples and len(sources) < views:
            engine = self._engine(trunk_program(body, place)) if place else Unchanged(body_program(body))
            kept = self.stores.kept(engine, preparation, self.policy, self.job.seed)
            places = self._extracted(engine, preparation, kept, range(len(sources), views), stage)
            sources += [(kept, 0, column) for column in places.T]
        for _, _, rows in sources:
            self._is_read = self._is_read & (rows >= 0)
        sources = [(kept, output, rows[self._is_read]) for kept, output, rows in sources]

        def read(images: NDArray[np.int64], numbers: NDArray[np.int64]) -> torch.Tensor:
            kept, output, _ = sources[0]
            shape, kind = kept.layout[output]
            found = np.empty((len(images), *shape), kind)
            for number in np.unique(numbers):
                kept, output, rows = sources[number]
                found[numbers == number] = kept.read(rows[images[numbers == number]], output)
            array = torch.from_numpy(found)
            return array.permute(0, 3, 1, 2) if place else normalised(array, preparation)

        return Inputs(read, self.class_ids, views)

    def _engine(self, program: Program) -> Engine:
        engine = self.stores.engine(program, self.job)
        if engine.note:
            self.notes.append(engine.note)
        return engine

    def _extracted(
        self, engine: Engine, preparation: Preparation, kept: Kept, views: Sequence[int], stage: str
    ) -> NDArray[np.int64]:
        """Run what is missing; the rows (N, views) of all samples, -1 where one cannot be read."""
        self._check_room(kept, len(views))
        found = extract(
            engine,
            self._samples,
            self._contents,
            preparation,
            kept,
            views=views,
            policy=self.policy,
            seed=self.job.seed,
            stage=stage,
            progress=self.job.progress,
        )
        self.failures = found.failures
        return found.places

    def _check_room(self, kept: Kept, views: int) -> None:
        needed = (len(self._samples) * views - len(kept)) * kept.row_bytes
        free = shutil.disk_usage(kept.folder).free
        if needed > 0.95 * free:
            raise UsageError(
                f"{kept.folder} has room for {free / 2**30:.1f} GiB, but {needed / 2**30:.1f} GiB of "
                "activations are to be kept there: free some space, name another folder in MIRADA_CACHE, or train "
                "less: --retrain head"
            )


def prune_activations(most: int = 2 * 2**30) -> None:
    """Delete the features and activations that were used longest ago, until the others take no more than so many bytes.

    What another process has open stays.
    """
    used: list[tuple[float, int, Path]] = []
    for folder in cache_folder("activations").iterdir():
        with contextlib.suppress(OSError):  # another process deletes it
            used.append((folder.stat().st_mtime, sum(file.stat().st_size for file in folder.iterdir()), folder))
    total = 0
    for _, size, folder in sorted(used, reverse=True):
        total += size
        if total > most:
            delete_unused(folder)


def _layout(engine: Engine) -> Layout:
    outputs = engine(np.zeros((1, *engine.program.input_shape), np.uint8))
    return tuple((array.shape[1:], array.dtype.str) for array in outputs)
