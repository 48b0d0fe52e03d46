"""The size of a picture from the header of its file: no pixel is decoded, but where a PNG says that it is turned."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Final

from mirada.errors import ImageError
from mirada.image.decode import explained, open_picture, orientation, read_file

__all__ = ["size_wh"]

HEADER: Final = 1 << 17
"""Bytes at the beginning in which the size nearly always stands."""
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_WIDTH, _LENGTH = 256, 257  # tags of TIFF 6.0


def size_wh(path: str | os.PathLike[str], *, name: str | None = None) -> tuple[int, int]:
    """Width and height of the upright picture, in pixels: those of what `decode` gives.

    Args:
        path: of the file.
        name: what to call it in an error; by default its path.

    Raises:
        ImageError: there is no picture that can be read.
    """
    file = Path(path)
    called = os.fspath(path) if name is None else name
    try:
        if file.is_file():  # a pipe would be waited for
            with file.open("rb") as opened:
                begin = opened.read(HEADER)
                if not begin.startswith(_PNG):
                    return _size(called, begin)
                if not _png_tells_orientation(opened):
                    return _size(called, begin, may_be_turned=False)
    except (OSError, ImageError):  # of some formats it stands further on; and what is wrong is to be said
        pass
    return _size(called, read_file(called, file))


def _size(name: str, data: bytes, *, may_be_turned: bool = True) -> tuple[int, int]:
    if not data:
        raise ImageError(name, "is empty (0 bytes)")
    with explained(name), open_picture(name, data) as image:
        # Pillow gives the size of a TIFF upright already, but its tags as they are.
        tags = getattr(image, "tag_v2", {})
        width, height = int(tags.get(_WIDTH, image.width)), int(tags.get(_LENGTH, image.height))
        return (height, width) if may_be_turned and orientation(image) >= 5 else (width, height)


def _png_tells_orientation(file: BinaryIO) -> bool:
    """Whether there is EXIF or XMP, before the pixels or behind them, in the chunks of a PNG (third edition, 5.3)."""
    file.seek(len(_PNG))
    while len(head := file.read(8)) == 8:
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        begin = file.read(min(length, 32))
        if kind == b"eXIf" or begin.startswith((b"Raw profile type exif", b"XML:com.adobe.xmp")):
            return True
        file.seek(length - len(begin) + 4, os.SEEK_CUR)  # the rest of it, and its checksum
    return False
