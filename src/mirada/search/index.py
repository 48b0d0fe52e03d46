"""The index of a collection: find what looks like this."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence, Set
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirada.errors import DataError, UsageError
from mirada.image import decode
from mirada.image.decode import read_file
from mirada.page import write_page
from mirada.progress import Progress, silent
from mirada.search.atlas import atlas
from mirada.search.build import Changes, build
from mirada.search.collection import Collection
from mirada.search.copies import copies
from mirada.search.effort import Effort
from mirada.search.embedder import Embedder, Seen, embedder_of
from mirada.search.embedding import Embedding, Maker, check_same_maker
from mirada.search.hits import SAME, Hit
from mirada.search.likeness import likeness, share_below
from mirada.search.lookup import Scan, lookup
from mirada.search.places import unit
from mirada.search.similar import Group
from mirada.search.table import Table
from mirada.search.where import sql_of
from mirada.stores import is_far

__all__ = ["Index", "index", "open_index"]

CANDIDATES = 500
"""Images, the nearest by their vectors, whose places are compared."""

Image = str | os.PathLike[str] | NDArray[np.uint8]
"""A file, an image of the index by its path, or a picture as an array."""


class Index:
    """An index that is open. Others may write to it meanwhile: what is seen is how it was when it was opened, for an
    hour after it was changed; then it is to be opened again.

    Args:
        place: the folder, or the address in object storage.
        changes: what the run did that brought it up to date; None where it was opened only.

    Raises:
        DataError: there is no index, or one of a later version of mirada.
    """

    def __init__(self, place: str | os.PathLike[str], changes: Changes | None = None) -> None:
        self.place = os.fspath(place)
        self.changes = changes
        self._table = Table.open(self.place)
        self._lookup = lookup(self._table)

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _count(self) -> int:
        return len(self._table)

    def __repr__(self) -> str:
        return f"<mirada.Index: {len(self):,} images, {self.maker}, {self.place}>"

    @cached_property
    def maker(self) -> Maker:
        """What made its vectors."""
        return Maker.from_json(self._table.about["maker"])

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that a condition may name."""
        return tuple(self._table.columns)

    @property
    def effort(self) -> Effort | None:
        """How much of a large index is looked through, and what share of the nearest is found; None where all is."""
        told = self._table.about.get("effort")
        return None if told is None else Effort.from_json(told)

    @cached_property
    def unread(self) -> dict[str, str]:
        """The images that could not be read, by path, and why."""
        return {os.fsdecode(file): reason for file, (reason, _) in self._table.unread().items()}

    @cached_property
    def embedder(self) -> Embedder:
        """What makes vectors as those of the index."""
        return embedder_of(self.maker, self._table.about["projection"])

    def search(
        self,
        query: Image | Sequence[Image] | Embedding,
        *,
        k: int = 10,
        where: str | None = None,
        region: tuple[int, int, int, int] | None = None,
    ) -> list[Hit]:
        """Find the images of an index that look like a picture.

        An image that is in the index, as it was indexed, is no hit of its own.

        Args:
            query: a file, the path of an image of the index, an array RGB (H, W, 3) or grey (H, W) uint8, several of
                these, or vectors made by the same maker. Several count together: the mean of how alike a picture is to
                each.
            k: how many to find, at least 1.
            where: a condition that hits must meet; see `mirada.search.where`.
            region: left, top, width and height in pixels of the upright picture: only this part of it is looked for.

        Returns:
            Hits, the most alike first; fewer than k where there are not so many.

        Raises:
            UsageError: `k` is below 1, the condition cannot be understood, the region lies outside, or vectors of
                another maker are given.
            DataError: the index is empty.
            ImageError: a picture cannot be read.
        """
        if k < 1:
            raise UsageError(f"k must be at least 1, got {k}")
        condition = None if where is None else sql_of(where, self._table.columns)
        if not len(self):
            raise DataError(f"{self.place}: the index is empty: there is nothing to find")
        seen, own = self._seen(query, region)
        return self._found(seen, k, condition, own)

    def similar(self, *, certainty: float = 0.9, progress: Progress = silent) -> list[Group]:
        """Find the images of an index that are the same: copies of a file, and pictures that were altered.

        A pair is proposed by vectors and hashes, and then looked at: one picture is laid over the other, whatever its
        size, cut and brightness, and the squares that agree are counted. An image whose file is gone is compared by its
        content only.

        Args:
            certainty: that a pair must have, 0 to 1.
            progress: told how far it is.

        Returns:
            Groups, the same files first, then the surest.

        Raises:
            UsageError: `certainty` is not between 0 and 1.
        """
        return copies(self._table, self._lookup, certainty, progress)

    def atlas(self, out: str | os.PathLike[str], *, progress: Progress = silent) -> None:
        """Lay the collection of an index out by likeness, as one page to wander in, offline.

        Of more than 2,500 images, so many are drawn at random, and each stands for those that it is nearest to.

        Args:
            out: the file of the page; an earlier one is replaced.
            progress: told how far it is.

        Raises:
            DataError: the index is empty.
            UsageError: the page cannot be written.
        """
        name = self.place if is_far(self.place) else Path(self.place).absolute().name
        write_page(atlas(self._table, name, progress), Path(out))

    def hash_of(self, file: bytes) -> str | None:
        """The SHA-256 of the content of an image of the index, by its absolute path; None where it is not there."""
        return self._hashes.get(file)

    @cached_property
    def _hashes(self) -> dict[bytes, str]:
        return {file: known.hash for file, known in self._table.known().items()}

    @property
    def is_being_changed(self) -> bool:
        """Whether a large index is not ready to be searched fast, since another run is at work on it."""
        return isinstance(self._lookup, Scan)

    def embed(self, images: Image | Sequence[Image]) -> Embedding:
        """The vectors of pictures as the index has them, to be searched for later.

        Args:
            images: files or arrays, as for `search`.
        """
        pictures = [_picture(image, number, None) for number, image in enumerate(_listed(images))]
        return Embedding(np.stack([seen.vector for seen in self.embedder.see(pictures)]), self.maker)

    def _seen(
        self, query: Image | Sequence[Image] | Embedding, region: tuple[int, int, int, int] | None
    ) -> tuple[list[Seen], set[int]]:
        """What is seen of all that is looked for, and the row ids of those that are in the index."""
        if isinstance(query, Embedding):
            if region is not None:
                raise UsageError("a region is a part of a picture, and vectors were given")
            check_same_maker(self.maker, query.maker)
            return [Seen(vector, None) for vector in query.vectors], set()
        images = _listed(query)
        if region is not None and (len(region) != 4 or not all(isinstance(number, int) for number in region)):
            raise UsageError(f"a region is left, top, width and height in whole pixels, got {region!r}")
        if not images:
            raise UsageError("no image was given to look for")
        if region is not None and len(images) > 1:
            raise UsageError("a region is a part of one picture: give one")
        found, own, pictures = [], set(), []
        for number, image in enumerate(images):
            row = self._own(image)
            own |= set() if row is None else {row}
            if row is None or region is not None:
                pictures.append(_picture(image, number, region))
            else:
                found.append(self._known(row))
        return found + (self.embedder.see(pictures) if pictures else []), own

    def _own(self, image: Image) -> int | None:
        """The row id of an image that is in the index, where its file has not changed since, or is gone."""
        if isinstance(image, np.ndarray):
            return None
        file = os.fsencode(os.path.abspath(image))  # noqa: PTH100  links stay as they are
        known = self._table.row(file)
        if known is None:
            return None
        try:
            status = os.stat(file)  # noqa: PTH116
        except OSError:
            return int(known["_rowid"])
        is_same = status.st_size == known["bytes"] and (
            status.st_mtime_ns == known["modified"]
            or hashlib.sha256(read_file(os.fspath(image), Path(image))).hexdigest() == known["hash"]
        )
        return int(known["_rowid"]) if is_same else None

    def _known(self, row: int) -> Seen:
        """What was seen of an image of the index."""
        vectors, kept = self._table.seen(np.array([row]))
        return Seen(vectors[0], None if kept[0] is None else unit(kept[0]))

    def _found(self, seen: Sequence[Seen], k: int, condition: str | None, own: Set[int]) -> list[Hit]:
        """The k most alike of those that are nearest by their vectors."""
        has_places = all(each.places is not None for each in seen)
        mean = np.mean([each.vector for each in seen], axis=0)
        mean /= max(float(np.linalg.norm(mean)), 1e-12)
        ids, vectors = self._lookup(mean, max(k, CANDIDATES) if has_places else k, condition, own)
        kept = self._lookup.places(ids) if has_places else []
        alike = np.mean([likeness(vectors @ each.vector, each.places, kept) for each in seen], axis=0)
        order = np.argsort(-alike, kind="stable")[:k]
        return self._hits(ids[order], alike[order])

    def _hits(self, ids: NDArray[np.int64], alike: NDArray[np.float32]) -> list[Hit]:
        rows = self._lookup.rows(ids)
        background, knows_where = self._table.about.get("background"), self.maker.has_places
        return [
            Hit(
                os.fsdecode(row["file"]),
                float(value),
                None if background is None else share_below(background, float(value)),
                {name: _plain(row[name]) for name in self._table.columns if name != "path"},
                knows_where and float(value) >= SAME,
            )
            for row, value in zip(rows, alike, strict=True)
        ]


def index(
    images: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | Collection,
    out: str | os.PathLike[str],
    *,
    network: str | os.PathLike[str] | None = None,
    layer: str | None = None,
    progress: Progress = silent,
) -> Index:
    """Make the index of a collection of images, or bring one up to date.

    Only what is new or has changed is read through the network; what is gone from the folders given is taken out. A run
    that was interrupted or killed goes on where it was.

    Args:
        images: folders, images, and tables (CSV with a column path, whose other columns can be asked for); or a
            collection that was found before.
        out: the folder of the index, or an address such as s3://bucket/index; made where there is none.
        network: a pretrained network, or the directory of a trained model, whose features know its classes; by default
            what made the index before, else the built-in network.
        layer: whose output to take instead of the features, such as FC7.
        progress: told how far it is.

    Raises:
        DataError: there is no image, nothing at a path, or a table that cannot be read.
        UsageError: the index was made by another network, cannot be written, or another process is writing to it.
        ModelError: the directory of the model is not whole.
        ArchitectureError: the layer cannot be taken out of the network.
    """
    given: list[str | os.PathLike[str]] | Collection
    if isinstance(images, Collection):
        given = images
    else:
        given = [images] if isinstance(images, (str, os.PathLike)) else list(images)
    changes = build(given, os.fspath(out), network=network, layer=layer, progress=progress)
    return Index(out, changes)


def open_index(place: str | os.PathLike[str]) -> Index:
    """Open the index that is at a place; see `Index`."""
    return Index(place)


def _listed(query: Image | Sequence[Image]) -> list[Image]:
    """What is looked for, one by one."""
    given: list[Any] = [query]
    if isinstance(query, Iterable) and not isinstance(query, (str, os.PathLike, np.ndarray)):
        given = list(query)
    strange = [type(each).__name__ for each in given if not isinstance(each, (str, os.PathLike, np.ndarray))]
    if strange:
        raise UsageError(f"what is looked for is a file, an array (H, W, 3) uint8 or a list of these, got {strange[0]}")
    return given


def _plain(value: object) -> object:
    """A whole number as such, though its column holds fractions too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _picture(image: Image, number: int, region: tuple[int, int, int, int] | None) -> NDArray[np.uint8]:
    pixels = image if isinstance(image, np.ndarray) else decode(image)
    name = f"image[{number}]" if isinstance(image, np.ndarray) else os.fspath(image)
    is_picture = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    if pixels.dtype != np.uint8 or not is_picture or not pixels.size:
        raise UsageError(f"{name}: expected uint8 of shape (H, W, 3) or (H, W), got {pixels.dtype} {pixels.shape}")
    if region is None:
        return pixels
    left, top, width, height = region
    whole_height, whole_width = pixels.shape[:2]
    if min(left, top) < 0 or min(width, height) < 1 or left + width > whole_width or top + height > whole_height:
        raise UsageError(
            f"{name}: the region {left},{top},{width},{height} lies outside its {whole_width} x {whole_height} pixels"
        )
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])
