"""MNIST's IDX files -> a data set. The header is checked against what is really there before anything is trusted.

Source of the format: Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits. A file is two zero
bytes, the type of the values (8: unsigned byte), the number of dimensions, each dimension as a big-endian uint32, and
then the values.
"""

from __future__ import annotations

import io
import math
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from mirada.data.packings import GZIP
from mirada.data.samples import Dataset, Part, Sample, class_labels
from mirada.data.walk import list_folder
from mirada.errors import DataError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["holds_idx", "read_idx", "read_mnist"]

NAME: Final = re.compile(r"(?P<part>train|t10k)-(?P<content>images|labels)[-.]idx[13]-ubyte(?:\.gz)?", re.IGNORECASE)
PARTS_OF: Final[tuple[tuple[str, Part], ...]] = (("train", "train"), ("t10k", "test"))
MOST_BYTES: Final = (
    2**31
)  # 2.7 million images of 28 x 28: more than any known IDX file, less than a small computer's memory
MOST_DEFLATED: Final = 1032  # deflate cannot shrink by more than this factor (zlib's own documentation)
CHUNK: Final = 2**20


def holds_idx(files: Iterable[Path]) -> bool:
    """Whether one of the files has the name of one of MNIST's four."""
    return any(NAME.fullmatch(file.name) for file in files)


def read_mnist(root: Path) -> Dataset:
    """Read `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-...` and `t10k-labels-...`.

    Each may end in `.gz`, and a dot may stand for the hyphen before `idx`. The `t10k` pair is the test part and may be
    missing. Samples hold read-only (H, W) uint8 views of one array a file; a label is the number as text.

    Raises DataError where a file of a pair is missing, corrupt, or where a pair has different lengths.
    """
    files, notes = _find(root)
    pairs: list[tuple[Part, str, NDArray[np.uint8], NDArray[np.uint8]]] = []
    for prefix, part in PARTS_OF:
        images_file, labels_file = (files.get(f"{prefix}-{content}") for content in ("images", "labels"))
        if images_file is None and labels_file is None and part == "test":
            continue
        for file, content, dimensions in ((images_file, "images", 3), (labels_file, "labels", 1)):
            if file is None:
                raise DataError(f"{root}: the file {prefix}-{content}-idx{dimensions}-ubyte (or with .gz) is missing.")
        assert images_file is not None
        assert labels_file is not None
        images, targets = read_idx(images_file, dimensions=3), read_idx(labels_file, dimensions=1)
        if len(images) != len(targets):
            raise DataError(
                f"{labels_file}: {len(targets):,} labels, but {images_file.name} holds {len(images):,} images. "
                "The two files do not belong together: get both from the same place."
            )
        pairs.append((part, images_file.name, images, targets))
    labels = class_labels(str(target) for _, _, _, targets in pairs for target in np.unique(targets))
    of = {int(name): label for name, label in labels.items()}
    samples = tuple(
        Sample(f"{name}[{index}]", of[target], part, array=image)
        for part, name, images, targets in pairs
        for index, (image, target) in enumerate(zip(images, targets.tolist(), strict=True))
    )
    return Dataset(root.resolve().name, root, "IDX", tuple(labels), samples, tuple(notes))


def _find(root: Path) -> tuple[dict[str, Path], list[str]]:
    """The file for each of "train-images" and so on. Where one is there twice, the one that is not packed is taken."""
    folders, files = list_folder(root)
    found: dict[str, Path] = {}
    ignored = [f"{folder.name}/" for folder in folders]
    for file in sorted(files, key=lambda file: (file.suffix.lower() == ".gz", file.name)):
        match = NAME.fullmatch(file.name)
        if match is None:
            ignored.append(file.name)
            continue
        role = f"{match['part']}-{match['content']}".lower()
        if role in found:
            ignored.append(file.name)
        found.setdefault(role, file)
    return found, [f"Beside the IDX files, this was not read: {', '.join(sorted(ignored))}."] if ignored else []


def read_idx(path: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes, packed with gzip or not (its first bytes tell, not its name).

    Returns a read-only uint8 array of as many dimensions as asked for. Memory stays in proportion to what the file
    really holds and under 2 GiB, whatever its header announces.

    Raises DataError with what was expected and what was found.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(len(GZIP.begins)) == GZIP.begins
            raw.seek(0)
            if not packed:
                return _read_values(path, raw, dimensions, most=path.stat().st_size)
            with io.BufferedReader(_Unpacked(raw)) as unpacked:
                return _read_values(path, unpacked, dimensions, most=path.stat().st_size * MOST_DEFLATED)
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path}: the gzip file is damaged ({error}). Get it again.") from error
    except OSError as error:
        raise DataError(f"{path}: the file cannot be read ({error.strerror}).") from error


class _Unpacked(io.RawIOBase):
    """What a gzip file holds (RFC 1952), unpacked in large pieces.

    The standard library's reader takes 8 KiB at a time and asks for Python's lock after each, which another thread that
    imports torch meanwhile may keep for milliseconds.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self._raw, self._rest = raw, b""
        self._member = zlib.decompressobj(wbits=31)

    def readable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """See `io.RawIOBase`; zlib.error or EOFError where the file is damaged or cut short."""
        place = memoryview(buffer).cast("B")
        while True:
            packed = self._rest or self._raw.read(CHUNK)
            if self._member.eof:
                packed = packed.lstrip(b"\0")  # a file may be filled up with zeros, or hold several members
                if not packed:
                    return 0
                self._member = zlib.decompressobj(wbits=31)
            found = self._member.decompress(packed, len(place))
            self._rest = self._member.unconsumed_tail or self._member.unused_data
            if found:
                place[: len(found)] = found
                return len(found)
            if not packed and not self._member.eof:
                raise EOFError("it ends in the middle")


def _read_values(path: Path, file: BinaryIO, dimensions: int, *, most: int) -> NDArray[np.uint8]:
    header = file.read(4 + 4 * dimensions)
    magic = bytes((0, 0, 8, dimensions))
    if header[:4] != magic:
        raise DataError(
            f"{path}: not an IDX file of unsigned bytes in {dimensions} dimensions: "
            f"it begins with {header[:4].hex(' ') or 'nothing'}, expected {magic.hex(' ')}."
        )
    if len(header) < 4 + 4 * dimensions:
        raise DataError(f"{path}: the header ends after {len(header)} bytes, expected {4 + 4 * dimensions}.")
    shape = tuple(int(size) for size in np.frombuffer(header, dtype=">u4", offset=4))
    sizes, announced = " x ".join(map(str, shape)), math.prod(shape)
    if announced == 0:
        raise DataError(f"{path}: the header announces {sizes} values, which is nothing.")
    if announced > MOST_BYTES:
        raise DataError(
            f"{path}: the header announces {sizes} = {announced:,} bytes, more than the limit of {MOST_BYTES:,}."
        )
    values = bytearray()
    if announced <= most:  # otherwise the file cannot hold them, and reading on would tell nothing more
        while len(values) <= announced and (chunk := file.read(min(CHUNK, announced + 1 - len(values)))):
            values += chunk
    if len(values) != announced:
        found = f"{len(values):,}" if values and len(values) < announced else "more" if values else "fewer"
        raise DataError(
            f"{path}: the header announces {sizes} = {announced:,} bytes of values, found {found}. Get it again."
        )
    array = np.frombuffer(values, dtype=np.uint8).reshape(shape)
    array.flags.writeable = False
    return array
