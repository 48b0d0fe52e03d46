"""`decode`: every kind of picture against levels known beforehand; every refusal with its reason."""

from __future__ import annotations

import os
import struct
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mirada.errors import ImageError
from mirada.image import IMAGE_SUFFIXES, MAX_FILE_BYTES, decode, looks_like_image

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


# What comes in, and what it becomes


@pytest.mark.parametrize("image_format", ["PNG", "BMP", "TIFF", "PPM", "TGA", "QOI", "JPEG2000"])
def test_lossless_formats_keep_every_level(image_format: str) -> None:
    assert (decode(encoded(photo(), image_format)) == photo()).all()


@pytest.mark.parametrize(("image_format", "tolerance"), [("JPEG", 4), ("WEBP", 6), ("AVIF", 6), ("MPO", 4)])
def test_lossy_formats_keep_the_picture(image_format: str, tolerance: float) -> None:
    assert mean_difference(decode(encoded(photo(), image_format, quality=90)), photo()) < tolerance


def test_result_is_contiguous_writable_uint8() -> None:
    for data in (encoded(photo(), "JPEG"), encoded(photo(), "PNG"), encoded(photo(), "TIFF")):
        pixels = decode(data)
        assert (pixels.dtype, pixels.shape) == (np.uint8, (64, 96, 3))
        assert pixels.flags.c_contiguous
        assert pixels.flags.writeable


def test_path_and_bytes_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(photo(), "JPEG"))
    assert (decode(path) == decode(path.read_bytes())).all()
    assert (decode(str(path)) == decode(path)).all()


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_fast_path_agrees_with_pillow(subsampling: str, progressive: bool) -> None:
    data = encoded(photo(), "JPEG", quality=85, subsampling=subsampling, progressive=progressive)
    assert largest_difference(decode(data), np.asarray(Image.open(BytesIO(data)))) <= 2


def test_grey_jpeg_has_three_equal_channels() -> None:
    grey = np.asarray(Image.fromarray(photo()).convert("L"))
    pixels = decode(encoded(grey, "JPEG", quality=95))
    assert (pixels == pixels[:, :, :1]).all()
    assert mean_difference(pixels[:, :, 0], grey) < 2


def test_rgb_jpeg_is_not_taken_for_ycbcr() -> None:
    pixels = decode(encoded(photo(), "JPEG", quality=95, keep_rgb=True))
    assert mean_difference(pixels, photo()) < 2


@pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
def test_cmyk_is_not_inverted(image_format: str) -> None:
    """C, M, Y, K of (0, 0, 255, 0) is yellow, of (0, 0, 0, 255) black, of no ink white."""
    inks = np.array([[[0, 0, 255, 0]], [[0, 0, 0, 255]], [[0, 0, 0, 0]]], np.uint8).repeat(32, 0).repeat(96, 1)
    options = {"quality": 95} if image_format == "JPEG" else {}
    pixels = decode(encoded(Image.fromarray(inks, "CMYK"), image_format, **options))
    expected = np.array([[[255, 255, 0]], [[0, 0, 0]], [[255, 255, 255]]], np.uint8).repeat(32, 0).repeat(96, 1)
    assert largest_difference(pixels, expected) <= 4


@pytest.mark.parametrize(
    ("data", "levels"),
    [
        (png(1, 0, bytes([0b10110000]), 4), [255, 0, 255, 255]),
        (png(2, 0, bytes([0b00011011]), 4), [0, 85, 170, 255]),
        (png(4, 0, bytes([0x05, 0xAF]), 4), [0, 85, 170, 255]),
        (png(16, 0, struct.pack(">4H", 0, 257, 0x8000, 0xFFFF), 4), [0, 1, 128, 255]),
        (b"P5 4 1 65535 " + struct.pack(">4H", 0, 257, 0x8000, 0xFFFF), [0, 1, 128, 255]),
        (b"P2 3 1 1000 0 500 1000 ", [0, 128, 255]),
        (b"P1 3 1 1 0 1", [0, 255, 0]),
        (tiff_grey(np.array([[0, 257, 0x8000, 0xFFFF]], "<u2"), 16, 1), [0, 1, 128, 255]),
        (tiff_grey(np.array([[0, 257, 0x8000, 0xFFFF]], "<u2"), 16, 1, photometric=0), [255, 254, 127, 0]),
        (tiff_grey(np.array([[0, 257, 0x8000, 0xFFFF]], "<u4"), 32, 1), [0, 1, 128, 255]),
        (tiff_grey(np.array([[0, 257, 0x7FFF]], "<i2"), 16, 2), [0, 1, 127]),
        (tiff_grey(np.array([[0x00, 0x08, 0x00, 0xFF, 0xF0, 0x00]], np.uint8), 12, 1, width=4), [0, 128, 255, 0]),
        (tiff_grey(np.array([[0, 0.25, 0.5, 1]], "<f4"), 32, 3), [0, 64, 128, 255]),
        (b"Pf 3 1 -1.0\n" + struct.pack("<3f", 0, 0.2, 1), [0, 51, 255]),
    ],
)
def test_grey_of_any_depth_uses_the_full_scale(data: bytes, levels: list[int]) -> None:
    assert grey_row(data) == levels


@given(levels=st.lists(st.integers(0, 65535), min_size=1, max_size=40))
def test_16_bit_grey_is_divided_by_257(levels: list[int]) -> None:
    data = png(16, 0, struct.pack(f">{len(levels)}H", *levels), len(levels))
    assert grey_row(data) == [round(level / 257) for level in levels]


def test_16_bit_colour_keeps_the_high_byte() -> None:
    row = struct.pack(">6H", 0xFFFF, 0x1234, 0, 0x80FF, 0x00FF, 0x0100)
    assert decode(png(16, 2, row, 2)).tolist() == [[[0xFF, 0x12, 0], [0x80, 0, 1]]]


def test_palette_gives_its_colours() -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([10, 20, 30, 200, 100, 0, 1, 2, 3])
    for image_format in ("PNG", "GIF", "BMP", "TIFF"):
        assert decode(encoded(image, image_format)).tolist() == [[[10, 20, 30], [200, 100, 0], [1, 2, 3]]]


def test_lab_becomes_srgb() -> None:
    """CIE Lab (54.29, 80.81, 69.89) under D50 is sRGB red; stored are L over 0..255, a and b as signed bytes."""
    lab = np.array([[[138, 81, 70], [255, 0, 0]]], np.uint8)
    pixels = decode(encoded(Image.frombytes("LAB", (2, 1), lab.tobytes()), "TIFF"))
    assert largest_difference(pixels, np.array([[[255, 0, 0], [255, 255, 255]]], np.uint8)) <= 6


# Transparency is laid over white


@given(level=st.integers(0, 255), alpha=st.integers(0, 255))
def test_alpha_is_laid_over_white(level: int, alpha: int) -> None:
    expected = level * alpha / 255 + 255 * (1 - alpha / 255)
    for image in (Image.new("RGBA", (1, 1), (level, level, level, alpha)), Image.new("LA", (1, 1), (level, alpha))):
        assert grey_row(encoded(image, "PNG"))[0] == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(
    ("data", "levels"),
    [
        (png(1, 0, bytes([0b10000000]), 2, struct.pack(">H", 0)), [255, 255]),
        (png(2, 0, bytes([0b00011011]), 4, struct.pack(">H", 1)), [0, 255, 170, 255]),
        (png(4, 0, bytes([0x05, 0xAF]), 4, struct.pack(">H", 10)), [0, 85, 255, 255]),
        (png(8, 0, bytes([7, 8, 9]), 3, struct.pack(">H", 8)), [7, 255, 9]),
        (png(16, 0, struct.pack(">3H", 514, 300, 0), 3, struct.pack(">H", 300)), [2, 255, 0]),
        (png(8, 2, bytes([7, 7, 7, 9, 9, 9]), 2, struct.pack(">3H", 7, 7, 7)), [255, 9]),
        (png(16, 2, struct.pack(">6H", *[0x1234] * 3, *[0x0900] * 3), 2, struct.pack(">3H", *[0x1234] * 3)), [255, 9]),
    ],
)
def test_transparent_colour_of_png_becomes_white(data: bytes, levels: list[int]) -> None:
    assert grey_row(data) == levels


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 255])])
def test_transparent_palette_entry_becomes_white(transparency: int | bytes) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([10, 10, 10, 20, 20, 20, 30, 30, 30])
    assert grey_row(encoded(image, "PNG", transparency=transparency)) == [10, 255, 30]


@pytest.mark.parametrize(("extra_samples", "stored"), [(1, 40), (2, 200)])
def test_premultiplied_alpha_of_tiff(extra_samples: int, stored: int) -> None:
    """Grey 200 at alpha 51/255 is 244 over white, stored as 40 where alpha is associated (TIFF 6.0, section 18)."""
    tags = [(256, 1), (257, 1), (258, 8 | 8 << 16), (259, 1), (262, 1), (273, 8), (277, 2), (278, 1), (279, 2)]
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags]
    entries[2] = struct.pack("<HHIHH", 258, 3, 2, 8, 8)
    entries.append(struct.pack("<HHII", 338, 4, 1, extra_samples))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 0)
    data = b"II*\0" + struct.pack("<I", 10) + bytes([stored, 51]) + directory
    assert grey_row(data)[0] == pytest.approx(244, abs=1)


# Of several pictures, the first


@pytest.mark.parametrize("image_format", ["GIF", "TIFF", "WEBP", "PNG", "AVIF", "MPO"])
def test_first_frame_page_or_picture(image_format: str) -> None:
    first, second = Image.new("RGB", (32, 32), (200, 0, 0)), Image.new("RGB", (32, 32), (0, 0, 200))
    pixels = decode(encoded(first, image_format, save_all=True, append_images=[second]))
    assert mean_difference(pixels, np.full((32, 32, 3), (200, 0, 0), np.uint8)) < 4


# Orientation


UNDO_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def stored_as(orientation: int) -> Image.Image:
    """The picture as a camera held that way stores it."""
    image = Image.fromarray(photo())
    return image.transpose(UNDO_ORIENTATION[orientation]) if orientation in UNDO_ORIENTATION else image


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_the_same_picture(image_format: str, orientation: int) -> None:
    if image_format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    options = {} if image_format in ("PNG", "TIFF") else {"quality": 95}
    data = encoded(stored_as(orientation), image_format, exif=exif.tobytes(), **options)
    assert mean_difference(decode(data), photo()) < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_agrees_with_pillow(orientation: int) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    data = encoded(stored_as(orientation), "JPEG", exif=exif)
    reference = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))))
    assert largest_difference(decode(data), reference) <= 2


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientation_without_meaning_counts_as_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    assert mean_difference(decode(encoded(photo(), "JPEG", exif=exif)), photo()) < 4


@settings(max_examples=150, deadline=None)
@given(damage=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_exif_never_stops_a_jpeg(damage: list[tuple[int, int]]) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION], exif[0x011A], exif[0x0128], exif[0x010F] = 1, 72.0, 2, "Maker"
    body = exif.tobytes()
    data = bytearray(encoded(photo(), "JPEG", exif=body))
    start = data.index(b"Exif\0\0") + 6
    for place, value in damage:
        data[start + place % (len(body) - 6)] = value
    pixels = decode(bytes(data))
    assert sorted(pixels.shape[:2]) == [64, 96]  # damage may hit the orientation itself


def test_exif_that_stops_pillow_does_not_stop_decode() -> None:
    """A resolution of no values: Pillow's header parser fails with an IndexError."""
    tiff = b"II*\0" + struct.pack("<IH", 8, 2)
    tiff += struct.pack("<HHII", 0x011A, 5, 0, 0) + struct.pack("<HHIHH", 0x0128, 3, 1, 2, 0) + struct.pack("<I", 0)
    data = encoded(photo(), "JPEG", exif=b"Exif\0\0" + tiff)
    assert mean_difference(decode(data), photo()) < 4


# Refusals


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


NOISE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
CMYK_NOISE = Image.fromarray(NOISE).convert("CMYK")


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


# Threads and warnings


def test_eight_threads_give_what_one_gives() -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    sources = [encoded(NOISE, "JPEG", exif=exif), encoded(NOISE, "PNG"), encoded(NOISE, "WEBP"), encoded(NOISE, "TIFF")]
    sources += [encoded(CMYK_NOISE, "JPEG"), png(16, 0, struct.pack(">2H", 1, 2), 2)]
    expected = [decode(data) for data in sources]
    with ThreadPoolExecutor(8) as pool:
        for number, pixels in enumerate(pool.map(decode, sources * 20)):
            assert (pixels == expected[number % len(sources)]).all()


def test_pillow_warnings_do_not_escape() -> None:
    """An entry of EXIF that points beyond its end: Pillow warns, and the warning would be an error here."""
    tiff = b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHII", 0x010F, 2, 400, 5000) + struct.pack("<I", 0)
    data = encoded(photo(), "JPEG", exif=b"Exif\0\0" + tiff)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Image.open(BytesIO(data)).getexif()
    assert caught != []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        decode(data)
    assert caught == []


# Names


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/photo.jpg", True),
        ("PHOTO.JPEG", True),
        ("scan.TIF", True),
        ("phone.heic", True),
        ("notes.txt", False),
        ("jpg", False),
        ("movie.mp4", False),
        ("drawing.eps", False),
        ("._photo.jpg", False),
        (".hidden.png", False),
    ],
)
def test_looks_like_image(path: str, expected: bool) -> None:
    assert looks_like_image(path) is expected
    assert looks_like_image(Path(path)) is expected


def test_suffixes_are_lower_case_with_a_dot() -> None:
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in IMAGE_SUFFIXES)
    assert {".jpg", ".jpeg", ".png", ".webp", ".heic", ".tif"} <= IMAGE_SUFFIXES
