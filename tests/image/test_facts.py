"""Date and camera of a file: as they are written, and as nobody should write them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mirada.image.facts import Facts, facts


def jpeg(tags: dict[int, object], inner: dict[int, object] | None = None) -> bytes:
    exif = Image.Exif()
    exif.update(tags)
    exif.get_ifd(0x8769).update(inner or {})
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("tags", "inner", "right"),
    [
        ({}, {}, Facts()),
        (
            {271: "Canon", 272: "Canon EOS 5D"},
            {36867: "2024:05:17 14:03:59"},
            Facts("2024-05-17T14:03:59", "Canon EOS 5D"),
        ),
        ({271: "NIKON", 272: "D850"}, {}, Facts(None, "NIKON D850")),
        ({306: "2020:01:02 03:04:05"}, {}, Facts("2020-01-02T03:04:05", None)),
        ({306: "2020:01:02 03:04:05"}, {36867: "2019:12:31 23:59:59"}, Facts("2019-12-31T23:59:59", None)),
        ({306: "0000:00:00 00:00:00"}, {}, Facts()),
        ({306: "yesterday", 272: "  \x00 "}, {}, Facts()),
        ({272: "a\x1b[31mb" + "x" * 500}, {}, Facts(None, ("a[31mb" + "x" * 500)[:200])),
    ],
)
def test_what_a_file_says(tags: dict, inner: dict, right: Facts) -> None:
    assert facts(jpeg(tags, inner)) == right


@pytest.mark.parametrize("data", [b"", b"no picture", jpeg({272: "D850"})[:60]])
def test_what_cannot_be_read_says_nothing(data: bytes) -> None:
    assert facts(data) == Facts()
