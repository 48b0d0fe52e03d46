"""Images -> an index: what is new or has changed goes through the network, everything else stays as it is.

An image whose file has the size and the time of last change that the index knows is taken as unchanged. Where these
differ, its content is hashed: a file that was touched only, or moved, keeps its vector. What is done is committed every
few seconds, so that a run that was interrupted or killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirada.backbone import BUILTIN
from mirada.data.threads import map_items
from mirada.engine.process import give_back_freed_memory
from mirada.errors import ImageError
from mirada.image.decode import decode, read_file
from mirada.image.facts import facts
from mirada.image.look import look
from mirada.progress import Progress, silent
from mirada.search.collection import Collection, Found, collect, is_below
from mirada.search.database import connect_soon
from mirada.search.embedder import Embedder, Seen, embedder, embedder_of
from mirada.search.embedding import Maker, check_same_maker
from mirada.search.likeness import background
from mirada.search.lookup import is_ready, prepare
from mirada.search.places import packed
from mirada.search.table import Known, Row, Table
from mirada.search.writer import check_free, writing
from mirada.words import visible

__all__ = ["Changes", "build", "forget"]

ROWS: Final = 2_000
SECONDS: Final = 10.0
"""After so many images, or so long, what is done is committed."""
SAMPLE: Final = 1_000
"""Images from whose pairs is learnt how alike any two are."""
FRESH: Final = 2_000_000_000
"""Nanoseconds for which the time of a change does not tell whether a file was changed again."""
STAGE: Final = "indexing images"


@dataclass(frozen=True)
class Changes:
    """What a run did.

    Attributes:
        new: images that were not there before.
        changed: those whose content is another now.
        moved: those whose content was there under another path: the network did not see them.
        gone: those that are no longer there.
        unchanged: those whose content is what it was, also where the file was touched.
        unread: those that could not be read, and why, by path.
        notes: plain sentences about what was passed over.
    """

    new: int = 0
    changed: int = 0
    moved: int = 0
    gone: int = 0
    unchanged: int = 0
    unread: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def build(
    images: Sequence[str | os.PathLike[str]] | Collection,
    place: str,
    *,
    network: str | os.PathLike[str] | None = None,
    layer: str | None = None,
    progress: Progress = silent,
) -> Changes:
    """Make an index of images, or bring one up to date; see `mirada.search.index`."""
    check_free(place)
    connect_soon()
    collection = images if isinstance(images, Collection) else collect(images)
    give_back_freed_memory()  # before the network is opened: torch keeps what it frees, and says so itself
    there = Table.find(place)
    makes = embedder(network or BUILTIN, layer) if there is None else _of(there, network, layer)
    if there is not None:
        unchanged = _Run(there, makes, collection, lambda: None, silent).unchanged()
        if unchanged is not None:
            return unchanged
    with writing(place) as before_change:
        table = Table.find(place) or _created(place, makes)
        # another process may have made it just now
        check_same_maker(Maker.from_json(table.about["maker"]), makes.maker)
        if table.about["maker"] != makes.maker.to_json():  # the same by another name
            table.tell(maker=makes.maker.to_json())
        table.add_columns(collection.columns)
        return _Run(table, makes, collection, before_change, progress).changes()


def forget(paths: Sequence[str | os.PathLike[str]], place: str) -> int:
    """Take images out of an index: those at paths, and those below; whether they are there still or not.

    Returns:
        How many there were.

    Raises:
        DataError: there is no index.
        UsageError: another process is writing to it.
    """
    Table.open(place)
    meant = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100  links stay as they are
    themselves = set(map(os.fsencode, meant))
    with writing(place) as before_change:
        table = Table.open(place)
        unread = table.unread()
        gone = [file for file in table.known() if file in themselves or is_below(file, meant)]
        stay = {file: why for file, why in unread.items() if file not in themselves and not is_below(file, meant)}
        if gone or stay != unread:
            _unsettle(table, before_change)
            table.remove(gone)
            table.tell_unread(stay)
        _settle(table, before_change)
    return len(gone)


def _unsettle(table: Table, before_change: Callable[[], None]) -> None:
    """To be called before each change: what was learnt of the whole is then to be learnt anew."""
    before_change()
    if table.about["settled"]:
        table.tell(settled=False)


def _settle(table: Table, before_change: Callable[[], None]) -> None:
    """Learn what is true of the whole, where it has changed, also in a run that was killed."""
    if table.about["settled"] and is_ready(table):
        return
    before_change()
    table.tidy()
    sample = background(*table.seen(table.drawn(SAMPLE)))
    effort = prepare(table)
    before_change()
    table.tell(background=sample, effort=None if effort is None else effort.to_json(), settled=True)


def _of(table: Table, network: str | os.PathLike[str] | None, layer: str | None) -> Embedder:
    """What makes the vectors of an index that is there; its network may be called otherwise now.

    Raises:
        UsageError: another network or layer was asked for.
    """
    maker = Maker.from_json(table.about["maker"])
    if network is not None or layer not in (None, maker.layer):
        asked = embedder(network or maker.network, maker.layer if layer is None else layer)
        check_same_maker(maker, asked.maker)
        return asked.with_projection(table.about["projection"])
    return embedder_of(maker, table.about["projection"])


def _created(place: str, makes: Embedder) -> Table:
    projection = makes.projection
    values = None if projection is None else projection.to_json()
    return Table.create(place, makes.maker.to_json(), makes.maker.dimension, values)


@dataclass(frozen=True)
class _Read:
    """An image that was read: its row, and its pixels for the network, or None where its vector is there already."""

    row: Row
    pixels: NDArray[np.uint8] | None


class _Run:
    """One run over a collection."""

    def __init__(
        self,
        table: Table,
        makes: Embedder,
        collection: Collection,
        before_change: Callable[[], None],
        progress: Progress,
    ) -> None:
        self.table, self.makes, self.collection = table, makes, collection
        self.before_change, self.progress = before_change, progress
        self.known = table.known()
        self.met = {found.file for found in collection.images}
        self.contents = {known.hash for known in self.known.values()}
        self.unread: dict[bytes, tuple[str, bytes]] = {}
        self.counts = dict.fromkeys(("new", "changed", "moved", "unchanged"), 0)
        self.rows: list[Row] = []
        self.seen: list[tuple[NDArray[np.float16], bytes | None] | None] = []
        self.committed = time.monotonic()

    def unchanged(self) -> Changes | None:
        """What is to be said where there is nothing to be done, so that nobody needs to be the only one who writes."""
        table, collection = self.table, self.collection
        is_known = all(self._is_unchanged(found) for found in collection.images)
        has_columns = collection.columns.keys() <= table.columns.keys()
        is_same = table.about["maker"] == self.makes.maker.to_json()
        if not (is_known and has_columns and is_same and table.about["settled"] and is_ready(table)):
            return None
        if self._gone() or self._still_unread() != table.unread():
            return None
        return Changes(unchanged=len(collection.images), notes=collection.notes)

    def changes(self) -> Changes:
        """Do it all."""
        doubtful = [found for found in self.collection.images if not self._is_unchanged(found)]
        self.counts["unchanged"] = len(self.collection.images) - len(doubtful)
        self._take(doubtful)
        self.makes.rest()  # what comes now needs memory of its own
        gone = self._remove_gone()
        self._tell_unread()
        _settle(self.table, self.before_change)
        unread = {os.fsdecode(file): reason for file, (reason, _) in self.unread.items()}
        return Changes(**self.counts, gone=gone, unread=unread, notes=self.collection.notes)

    def _is_unchanged(self, found: Found) -> bool:
        known = self.known.get(found.file)
        if known is None:
            return False
        try:
            status = found.path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns, found.said) == (known.size, known.modified, known.said)

    def _take(self, doubtful: Sequence[Found]) -> None:
        done = 0
        results = map_items(self._read, doubtful, ahead=32)

        def items() -> Iterator[tuple[Row | None, NDArray[np.uint8] | None]]:
            nonlocal done
            for found, outcome in zip(doubtful, results, strict=True):
                done += 1
                if isinstance(outcome, ImageError):
                    self.unread[found.file] = outcome.reason, os.fsencode(found.source)
                    yield None, None
                else:
                    yield outcome.row, outcome.pixels
                self.progress(STAGE, done, len(doubtful))

        with closing(results):
            try:
                for row, seen in self.makes.stream(items()):
                    if row is not None:
                        self.rows.append(row)
                        self.seen.append(None if seen is None else _small(seen))
                    if len(self.rows) >= ROWS or time.monotonic() - self.committed > SECONDS:
                        self._commit()
            finally:  # also where the person stops it
                self._commit()

    def _read(self, found: Found) -> _Read | ImageError:
        """One image, by one of the threads."""
        name = str(found.path)
        try:
            status = found.path.stat()
            data = read_file(name, found.path)
            content = hashlib.sha256(data).hexdigest()
            is_kept = content in self.contents
            image = decode(data, name=name)
        except ImageError as error:
            return error
        except OSError as error:
            return ImageError(name, f"cannot be opened: {error.strerror}")
        said = facts(data)
        is_fresh = time.time_ns() - status.st_mtime_ns < FRESH
        row: Row = {
            "path": visible(name),
            "label": found.label,
            "width": image.shape[1],
            "height": image.shape[0],
            "bytes": len(data),
            "taken": said.taken,
            "camera": said.camera,
            "hash": content,
            "file": found.file,
            "source": os.fsencode(found.source),
            "said": found.said,
            "modified": -1 if is_fresh else status.st_mtime_ns,
            "look": look(image),
        }
        return _Read(row | found.columns, None if is_kept else self.makes.pixels(image))

    def _commit(self) -> None:
        """Write what is done."""
        if not self.rows:
            return
        rows, vectors = self._filled()
        before = [self.known.get(row["file"]) for row in self.rows]
        _unsettle(self.table, self.before_change)
        for are_new in (True, False):
            chosen = [i for i, known in enumerate(before) if (known is None) is are_new]
            if chosen:
                self.table.put([rows[i] for i in chosen], np.stack([vectors[i] for i in chosen]), are_new=are_new)
        for row, seen, known in zip(self.rows, self.seen, before, strict=True):
            if known is not None and (known.hash, known.said) == (row["hash"], row["said"]):
                self.counts["unchanged"] += 1  # but for the time of its last change
            else:
                self.counts["moved" if seen is None else "changed" if known else "new"] += 1
            self.known[row["file"]] = Known(*(row[name] for name in ("bytes", "modified", "hash", "said", "source")))
        self.rows, self.seen, self.committed = [], [], time.monotonic()

    def _filled(self) -> tuple[list[Row], list[NDArray[np.floating]]]:
        """The rows that are done, whole, and their vectors; what the network did not see has those of its content."""
        had = self.table.seen_of([row["hash"] for row, seen in zip(self.rows, self.seen, strict=True) if seen is None])
        rows: list[Row] = []
        vectors: list[NDArray[np.floating]] = []
        for row, seen in zip(self.rows, self.seen, strict=True):
            small = seen or had.get(row["hash"])
            if small is None:  # the image that had this content has another by now
                small = _small(self.makes.see([decode(os.fsdecode(row["file"]))])[0])
            rows.append(row | {"places": small[1]})
            vectors.append(small[0])
        return rows, vectors

    def _remove_gone(self) -> int:
        """Take out what would have been met, but was not, and what can no longer be read."""
        gone = self._gone()
        lost = [file for file in self.unread if file in self.known]
        if gone or lost:
            _unsettle(self.table, self.before_change)
            self.table.remove([*gone, *lost])
        return len(gone)

    def _gone(self) -> list[bytes]:
        """What would have been met, but was not."""
        covers = self.collection.covers
        return [file for file, known in self.known.items() if file not in self.met and covers(file, known.source)]

    def _still_unread(self) -> dict[bytes, tuple[str, bytes]]:
        """Which images cannot be read; what is said of others stays."""
        covers, before = self.collection.covers, self.table.unread()
        stay = {
            file: (why, source)
            for file, (why, source) in before.items()
            if file not in self.met and not covers(file, source)
        }
        return stay | self.unread

    def _tell_unread(self) -> None:
        """Write which images could not be read."""
        unread = self._still_unread()
        if unread != self.table.unread():
            _unsettle(self.table, self.before_change)
            self.table.tell_unread(unread)


def _small(seen: Seen) -> tuple[NDArray[np.float16], bytes | None]:
    """What was seen of an image, as it is kept."""
    return seen.vector.astype(np.float16), None if seen.places is None else packed(seen.places)
