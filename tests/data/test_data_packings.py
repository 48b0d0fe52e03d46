"""Compressed files by their names and first bytes, against what the programs of the standard library write."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from mirada.data.packings import is_packed, is_packed_tar, packing_of


def zipped(data: bytes) -> bytes:
    into = BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        archive.writestr("a", data)
    return into.getvalue()


@pytest.mark.parametrize(
    ("pack", "name", "unpack"),
    [
        (gzip.compress, "gzip", "gunzip"),
        (bz2.compress, "bzip2", "bunzip2"),
        (lzma.compress, "xz", "unxz"),
        (zipped, "zip", "unzip"),
    ],
)
def test_by_the_first_bytes(pack: Callable[[bytes], bytes], name: str, unpack: str) -> None:
    packing = packing_of(pack(b"something")[:6])
    assert packing is not None
    assert (packing.name, packing.unpack) == (name, unpack)


@pytest.mark.parametrize("begin", [b"", b"\x1f", b"\x89PNG\r\n", b"ustar\0"])
def test_what_is_not_packed(begin: bytes) -> None:
    assert packing_of(begin) is None


@pytest.mark.parametrize(
    ("name", "packed", "packed_tar"),
    [
        ("a.tar.gz", True, True),
        ("A.TAR.ZST", True, True),
        ("a.tgz", True, True),
        ("a.txz", True, True),
        ("a.gz", True, False),
        ("a.zip", True, False),
        ("a.tar", False, False),
        ("gz", False, False),
        ("tar.gz.png", False, False),
    ],
)
def test_by_the_name(name: str, packed: bool, packed_tar: bool) -> None:
    assert (is_packed(Path(name)), is_packed_tar(Path(name))) == (packed, packed_tar)
