"""How compressed files and archives are called, how they begin, and what unpacks them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["GZIP", "Packing", "is_packed", "is_packed_tar", "packing_of"]


@dataclass(frozen=True, slots=True)
class Packing:
    """One way to compress.

    Attributes:
        name: of the program or format.
        suffixes: of its files, in lower case.
        begins: their first bytes.
        unpack: the command that unpacks one.
        holds_files: whether it is an archive of its own kind, not one compressed file.
    """

    name: str
    suffixes: tuple[str, ...]
    begins: bytes
    unpack: str
    holds_files: bool = False


GZIP: Final = Packing("gzip", (".gz", ".tgz"), b"\x1f\x8b", "gunzip")
PACKINGS: Final = (
    GZIP,
    Packing("bzip2", (".bz2", ".tbz2", ".tbz"), b"BZh", "bunzip2"),
    Packing("xz", (".xz", ".txz"), b"\xfd7zXZ", "unxz"),
    Packing("zstd", (".zst", ".tzst"), b"\x28\xb5\x2f\xfd", "unzstd"),
    Packing("zip", (".zip",), b"PK\x03\x04", "unzip", holds_files=True),
    Packing("7-Zip", (".7z",), b"7z\xbc\xaf\x27\x1c", "7z x", holds_files=True),
    Packing("RAR", (".rar",), b"Rar!", "unrar x", holds_files=True),
)


def is_packed(file: Path) -> bool:
    """Whether it is called like a compressed file."""
    return any(file.suffix.lower() in packing.suffixes for packing in PACKINGS)


def is_packed_tar(file: Path) -> bool:
    """Whether it is called like a compressed tar file."""
    return is_packed(file) and (Path(file.stem).suffix.lower() == ".tar" or file.suffix.lower().startswith(".t"))


def packing_of(begin: bytes) -> Packing | None:
    """What a file that begins so is compressed by; None where it is not.

    Args:
        begin: six bytes, or all of a shorter file.
    """
    return next((packing for packing in PACKINGS if begin.startswith(packing.begins)), None)
