"""The text of an annotation file, read within bounds; and a value of it, as an error shows it.

Does not know: what any format means.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mirada.data.walk import is_file
from mirada.errors import DataError

__all__ = ["FAR", "LARGEST", "bytes_of", "class_name", "decoded", "shown", "text_of"]

LARGEST: Final = 16 << 20
"""Bytes of a file that describes one image, or a list of files."""
NEWLINE: Final = b"\n"
FAR: Final = 1e6
"""Pixels: no position of a picture lies further out."""


def bytes_of(path: Path, most: int = LARGEST) -> bytes:
    """The content of a file.

    Raises DataError where it cannot be read, is no file, or is larger than that many bytes.
    """
    if not is_file(path):  # a pipe would be waited for
        raise DataError(f"{path}: there is no such file.")
    try:
        size = path.stat().st_size
        if size > most:
            raise DataError(f"{path}: the file has {size:,} bytes, more than the {most:,} that are read.")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: the file cannot be read ({error.strerror}).") from error


def text_of(path: Path, most: int = LARGEST) -> str:
    """The text of a file in UTF-8, with or without a byte order mark. Raises DataError as `bytes_of` and `decoded`."""
    return decoded(str(path), bytes_of(path, most))


def decoded(name: str, raw: bytes) -> str:
    """A text in UTF-8, with or without a byte order mark.

    Args:
        name: what to call it in an error.

    Raises DataError with the line that is no UTF-8, or has a zero byte.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{name}: the text is UTF-16. Save it as UTF-8.")
    zero = raw.find(b"\0")
    if zero >= 0:
        raise DataError(f"{name}, line {raw.count(NEWLINE, 0, zero) + 1}: there is a zero byte in it.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(NEWLINE, 0, error.start) + 1
        raise DataError(
            f"{name}, line {line}: the byte 0x{raw[error.start]:02x} is not UTF-8. Save it as UTF-8."
        ) from error


def class_name(value: object) -> str | None:
    """The name of a class without the space around it; None where it is no text, empty, or holds half characters."""
    if not isinstance(value, str):
        return None
    name = value.strip()
    return name if name and not any("\ud800" <= letter <= "\udfff" for letter in name) else None


def shown(value: object, most: int = 60) -> str:
    """A value as Python writes it, cut short.

    >>> shown(["a"] * 50, 10)
    "['a', 'a',..."
    """
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested without end, or a number of too many digits
        text = f"what cannot be shown ({type(value).__name__})"
    return text if len(text) <= most else f"{text[:most]}..."
