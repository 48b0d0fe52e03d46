"""The size from the header is that of the picture which is decoded, and no pixel is decoded for it."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirada.errors import ImageError
from mirada.image import decode
from mirada.image.size import HEADER, size_wh

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 36, 3), np.uint8)


def turned(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = value
    return exif


def written(path: Path, kind: str, value: int | None) -> Path:
    """A picture of 36 x 20 with an orientation."""
    if kind == "HEIF":
        from pillow_heif import from_pillow

        exif = {} if value is None else {"exif": turned(value).tobytes()}
        from_pillow(Image.fromarray(PICTURE)).save(path, **exif)
        return path
    Image.fromarray(PICTURE).save(path, kind, **({} if value is None else {"exif": turned(value)}))
    return path


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "MPO", "HEIF"])
@pytest.mark.parametrize("value", [None, 1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_the_size_is_that_of_the_upright_picture(tmp_path: Path, kind: str, value: int | None) -> None:
    path = written(tmp_path / "a.bin", kind, value)
    height, width, _ = decode(path).shape
    assert size_wh(path) == (width, height)
    if kind in ("JPEG", "PNG", "TIFF"):
        assert size_wh(path) == ((20, 36) if value in (5, 6, 7, 8) else (36, 20))


@pytest.mark.parametrize("kind", ["GIF", "BMP", "PPM", "TGA", "JPEG2000", "ICO"])
def test_formats_without_an_orientation(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.bin"
    Image.fromarray(PICTURE).save(path, kind)
    height, width, _ = decode(path).shape
    assert size_wh(path) == (width, height)
    assert (width, height) == (36, 20) or kind == "ICO"  # which holds several sizes, none of them this


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*, before: bytes = b"", behind: bytes = b"", noise: int = 0) -> bytes:
    """A PNG of 36 x 20 with chunks before and behind its pixels, and so many bytes that mean nothing in between."""
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "PNG")
    raw = buffer.getvalue()
    middle, end = raw.index(b"IDAT") - 4, raw.index(b"IEND") - 4
    filler = chunk(b"miRa", b"\0" * noise) if noise else b""
    return raw[:middle] + before + filler + raw[middle:end] + behind + raw[end:]


EXIF = chunk(b"eXIf", turned(6).tobytes().removeprefix(b"Exif\0\0"))
XMP = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b'<x tiff:Orientation="6"/>')


@pytest.mark.parametrize("noise", [0, 2 * HEADER])
@pytest.mark.parametrize(("name", "tells"), [("EXIF", EXIF), ("XMP", XMP), ("nothing", chunk(b"tEXt", b"a\0b"))])
def test_a_png_may_tell_behind_its_pixels_that_it_is_turned(
    tmp_path: Path, noise: int, name: str, tells: bytes
) -> None:
    for place in ("before", "behind"):
        path = tmp_path / f"{place}.png"
        path.write_bytes(png(**{place: tells}, noise=noise))  # type: ignore[arg-type]
        height, width, _ = decode(path).shape
        assert size_wh(path) == (width, height)
    assert size_wh(tmp_path / "behind.png") == ((36, 20) if name == "nothing" else (20, 36))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "PPM"])
def test_the_pixels_need_not_be_there(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path / "a.bin", kind, None)
    raw = path.read_bytes()
    path.write_bytes(raw[: -len(raw) // 4])
    assert size_wh(path) == (36, 20)
    with pytest.raises(ImageError):
        decode(path)


def test_a_size_that_stands_behind_the_beginning(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "JPEG")
    raw = buffer.getvalue()
    comments = (b"\xff\xfe" + (60_002).to_bytes(2, "big") + b" " * 60_000) * (1 + HEADER // 60_000)
    (tmp_path / "a.jpg").write_bytes(raw[:2] + comments + raw[2:])
    assert size_wh(tmp_path / "a.jpg") == (36, 20)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty (0 bytes)"),
        (b"no image", "is not an image that can be read (bytes begin 6e 6f 20 69 6d 61 67 65)"),
        (b"\x89PNG\r\n\x1a\n", "begins like a PNG picture, but its header is damaged or cut short"),
        (None, "does not exist"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    for given, called in ((str(path), path), (path, path)):
        with pytest.raises(ImageError) as caught:
            size_wh(given)
        assert str(caught.value) == f"{called}: {message}"
    with pytest.raises(ImageError) as caught:
        size_wh(path, name="cat/1.png")
    assert (caught.value.name, caught.value.reason) == ("cat/1.png", message)


def test_paths_that_lead_to_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path, "is a folder, not a picture"),
        (tmp_path / "pipe", "is not a file: a pipe or a device is not read"),
        (tmp_path / ("x" * 300), "cannot be opened: File name too long"),
        (tmp_path / "a\0b", "cannot be opened: embedded null byte"),
    ):
        with pytest.raises(ImageError) as caught:
            size_wh(path, name="x")
        assert str(caught.value) == f"x: {message}"
