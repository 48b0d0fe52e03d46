"""Pictures of known levels, and how far two are apart: what the tests of decoding share."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mirada.errors import ImageError
from mirada.image import decode

EXIF_ORIENTATION = 0x0112


def photo(width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """A smooth picture without symmetry: red grows to the right, green downwards, blue along one diagonal."""
    y, x = np.mgrid[0:height, 0:width]
    channels = (255 * x / (width - 1), 255 * y / (height - 1), 255 * (x + y) / (width + height - 2))
    return np.stack(channels, axis=2).round().astype(np.uint8)


def encoded(pixels: NDArray[np.generic] | Image.Image, image_format: str, **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png(bits: int, colour_type: int, row: bytes, width: int, transparent: bytes = b"") -> bytes:
    """A PNG of one row, written by hand (PNG specification, 5 and 11): Pillow cannot write all of them."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, bits, colour_type, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0" + row))
    return b"\x89PNG\r\n\x1a\n" + header + (chunk(b"tRNS", transparent) if transparent else b"") + body + PNG_END


PNG_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))


def tiff_grey(
    levels: NDArray[np.generic], bits: int, sample_format: int, photometric: int = 1, width: int | None = None
) -> bytes:
    """A little-endian TIFF of one strip, written by hand (TIFF 6.0, section 2)."""
    data = levels.tobytes()
    tags = [
        (256, width or levels.shape[1]),
        (257, levels.shape[0]),
        (258, bits),
        (259, 1),
        (262, photometric),
        (273, 8),
    ]
    tags += [(277, 1), (278, levels.shape[0]), (279, len(data)), (339, sample_format)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


def grey_row(data: bytes) -> list[int]:
    pixels = decode(data)
    assert (pixels == pixels[:, :, :1]).all()
    return pixels[0, :, 0].tolist()


def largest_difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> int:
    assert first.shape == second.shape
    return int(np.abs(first.astype(int) - second.astype(int)).max())


def mean_difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    assert first.shape == second.shape
    return float(np.abs(first.astype(int) - second.astype(int)).mean())


def reason_of(source: str | Path | bytes, **options: int) -> str:
    with pytest.raises(ImageError) as caught:
        decode(source, **options)
    return caught.value.reason


NOISE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
CMYK_NOISE = Image.fromarray(NOISE).convert("CMYK")
