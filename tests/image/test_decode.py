"""`decode`: every kind of picture against levels known beforehand."""

from __future__ import annotations

import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from mirada.image import IMAGE_SUFFIXES, decode, looks_like_image
from pictures import (
    CMYK_NOISE,
    EXIF_ORIENTATION,
    NOISE,
    encoded,
    grey_row,
    largest_difference,
    mean_difference,
    photo,
    png,
    tiff_grey,
)

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
