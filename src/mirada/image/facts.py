"""What a file says of its picture besides the pixels: when it was taken, by which camera."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mirada.errors import ImageError
from mirada.image.decode import explained, open_picture

__all__ = ["Facts", "facts"]

_EXIF_IFD, _MAKE, _MODEL, _DATE_TIME, _DATE_TIME_ORIGINAL = 0x8769, 271, 272, 306, 36867
_DATE: Final = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?))?")
LONGEST: Final = 200
"""Letters of the name of a camera."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one file.

    Attributes:
        taken: "2024-05-17T14:03:59", in the camera's own time, or None.
        camera: its maker and model, or None.
    """

    taken: str | None = None
    camera: str | None = None


def facts(data: bytes) -> Facts:
    """The EXIF date and camera of a picture (Exif 3.0, tags 36867, else 306; 271, 272). What cannot be read is None.

    Args:
        data: the bytes of the file.
    """
    try:
        with explained("image"), open_picture("image", data) as image:
            exif = image.getexif()
            taken = exif.get_ifd(_EXIF_IFD).get(_DATE_TIME_ORIGINAL) or exif.get(_DATE_TIME)
            return Facts(_date(taken), _camera(exif.get(_MAKE), exif.get(_MODEL)))
    except ImageError:
        return Facts()


def _date(text: object) -> str | None:
    match = _DATE.match(str(text or ""))
    if match is None or match[1] == "0000":
        return None
    year, month, day, clock = match.groups()
    return f"{year}-{month}-{day}" + (f"T{clock}" if clock else "")


def _camera(make: object, model: object) -> str | None:
    """Maker and model, the maker once: many a model begins with it."""
    maker, name = (" ".join(str(text or "").replace("\0", " ").split()) for text in (make, model))
    whole = name if not maker or name.lower().startswith(maker.lower()) else f"{maker} {name}".strip()
    return "".join(c for c in whole if c.isprintable())[:LONGEST] or None
