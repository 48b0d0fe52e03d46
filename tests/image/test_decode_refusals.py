"""`decode`: every refusal with its reason, and pictures that are cut short anywhere."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st

from mirada.errors import ImageError
from mirada.image import MAX_FILE_BYTES, decode
from pictures import (
    CMYK_NOISE,
    NOISE,
    encoded,
    largest_difference,
    mean_difference,
    photo,
    png,
    reason_of,
    tiff_grey,
)

# Refusals


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty (0 bytes)"),
        (b"hello, this is a text", "is not an image that can be read (bytes begin 68 65 6c 6c 6f 2c 20 74)"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not an image that can be read"),
        (b"%PDF-1.7\n", "is not an image that can be read"),
        (encoded(photo(), "PNG")[:20], "is cut short: "),
        (encoded(photo(), "GIF")[:9], "begins like a GIF picture, but its header is damaged or cut short"),
        (half(encoded(NOISE, "JPEG")), "is cut short: "),
        (half(encoded(NOISE, "JPEG", progressive=True)), "is cut short: "),
        (half(encoded(NOISE, "JPEG")) + b"\xff\xd9", "is cut short: "),
        (half(encoded(CMYK_NOISE, "JPEG")), "is cut short: "),
        (half(encoded(CMYK_NOISE, "JPEG")) + b"\xff\xd9", "is cut short: "),
        (half(encoded(NOISE, "PNG")), "is cut short: "),
        (half(encoded(NOISE, "GIF")), "is cut short: "),
        (half(encoded(NOISE, "BMP")), "is cut short: "),
        (half(encoded(NOISE, "PPM")), "is cut short: "),
        (half(encoded(NOISE, "TGA")), "is cut short: "),
        (half(encoded(NOISE, "QOI")), "is cut short: "),
        (half(encoded(NOISE, "TIFF")), "is cut short: "),
        (half(encoded(NOISE, "WEBP")), "is damaged or cut short: "),
        (half(encoded(NOISE, "JPEG2000")), "is damaged or cut short: "),
        (half(encoded(NOISE, "AVIF")), "begins like a AVIF picture, but its header is damaged or cut short"),
        (half(encoded(NOISE, "TIFF", compression="tiff_lzw")), "begins like a TIFF picture, but its header is"),
        (b"P5 2 1 70000 ab", "is damaged or cut short: maxval must be"),
        (tiff_grey(np.array([[0, 65536]], "<u4"), 32, 1), "has grey levels from 0 to 65536, where black is 0 and"),
        (tiff_grey(np.array([[-1, 9]], "<i2"), 16, 2), "has grey levels from -1 to 9"),
        (tiff_grey(np.array([[0, 1.5]], "<f4"), 32, 3), "has grey levels from 0 to 1.5, where black is 0 and white 1:"),
        (tiff_grey(np.array([[0, np.nan]], "<f4"), 32, 3), "has grey levels from nan to nan"),
    ],
)
def test_refusal_of_bytes(data: bytes, reason: str) -> None:
    assert reason_of(data).startswith(reason)


@given(kept=st.floats(0.0, 0.999))
def test_jpeg_cut_anywhere_is_refused(kept: float) -> None:
    data = encoded(NOISE, "JPEG")
    assert reason_of(data[: int(len(data) * kept)])
    if kept > 0.3:  # past the header, with an end marker that hides the cut
        assert "cut short" in reason_of(data[: int((len(data) - 8) * kept)] + b"\xff\xd9")


def test_second_chance_through_pillow() -> None:
    """Bytes between two segments make libjpeg warn, so simplejpeg refuses; but the picture is whole."""
    whole = encoded(photo(), "JPEG")
    at = whole.index(b"\xff\xdb")
    data = whole[:at] + b"\0\0\0" + whole[at:]
    with pytest.raises(ValueError, match="extraneous bytes"):
        simplejpeg.decode_jpeg(data)
    assert largest_difference(decode(data), decode(whole)) <= 2


def test_bytes_after_the_end_do_no_harm() -> None:
    data = encoded(photo(), "JPEG")
    assert (decode(data + b"trailing bytes" * 50) == decode(data)).all()


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (b"BM" + struct.pack("<6IHH", 0, 0, 54, 40, 2_000_000, 3_000_000, 1, 24) + bytes(24), 6 * 10**12),
        (png(8, 2, b"", 2**30), 2**30),
        (
            b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b"," + bytes(4) + b"\1\0\1\0\0\2\0;",
            65535**2,
        ),
        (b"P6 11000 10000 255 ", 110_000_000),
    ],
)
def test_a_huge_picture_is_refused_by_its_header(data: bytes, pixels: int) -> None:
    assert reason_of(data) == f"is {pixels:,} pixels, more than the limit of 100,000,000"


def test_a_huge_jpeg_is_refused_by_its_header() -> None:
    data = bytearray(encoded(photo(), "JPEG"))
    size_at = data.index(b"\xff\xc0") + 5  # the frame header: marker, length, precision, then height and width
    data[size_at : size_at + 4] = struct.pack(">HH", 65500, 65500)
    assert reason_of(bytes(data)) == "is 4,290,250,000 pixels, more than the limit of 100,000,000"


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "AVIF"])
def test_max_pixels_is_exact(image_format: str) -> None:
    data = encoded(photo(), image_format)
    assert decode(data, max_pixels=6144).shape == (64, 96, 3)
    assert reason_of(data, max_pixels=6143) == "is 6,144 pixels, more than the limit of 6,143"


def test_refusal_of_paths(tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # sparse: takes no room on the disk
    (tmp_path / "empty.jpg").touch()
    assert reason_of(tmp_path) == "is a folder, not a picture"
    assert reason_of(tmp_path / "missing.jpg") == "does not exist"
    assert reason_of(tmp_path / "empty.jpg") == "is empty (0 bytes)"
    assert reason_of(text).startswith("is not an image that can be read (bytes begin 6e 6f 74")
    assert reason_of(tmp_path / "huge.jpg") == "is 1,073,741,825 bytes, more than the limit of 1,073,741,824"
    assert reason_of(os.devnull) == "is not a file: a pipe or a device is not read"
    assert reason_of("zero\0byte.jpg").startswith("cannot be opened: ")


def test_error_carries_the_name(tmp_path: Path) -> None:
    path = tmp_path / "missing.jpg"
    with pytest.raises(ImageError) as caught:
        decode(path)
    assert caught.value.name == str(path)
    assert str(caught.value) == f"{path}: does not exist"
    with pytest.raises(ImageError, match=r"^upload 7: is empty"):
        decode(b"", name="upload 7")


def test_heic_without_its_plugin_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for brand in (b"heic", b"mif1"):
        reason = reason_of(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(64))
        assert "pillow-heif" in reason
        assert "pip install mirada[heif]" in reason


def test_damaged_heic_is_refused() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    data = encoded(photo(), "HEIF", quality=95)
    assert mean_difference(decode(data), photo()) < 4
    assert reason_of(half(data)).startswith("is cut short: ")
