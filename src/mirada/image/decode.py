"""One picture, a path or bytes -> upright RGB pixels, or an `ImageError` that says why not.

What comes in, and what it becomes (always uint8 RGB, shape (H, W, 3)):

| what comes in                         | what it becomes                                                          |
|---------------------------------------|--------------------------------------------------------------------------|
| JPEG, 8-bit RGB, YCbCr or grey        | decoded by simplejpeg (libjpeg-turbo); what it refuses, Pillow tries     |
| JPEG or TIFF in CMYK or YCCK          | Pillow: Adobe's inversion undone, then R = 255 - min(255, C + K), ...    |
| palette, 1-bit, 2-bit, 4-bit          | the colours meant: 1-bit is 0 and 255, levels are spread over 0..255     |
| grey of 16 bits (mode I;16, I)        | level / 257, rounded: 0..65535 -> 0..255; TIFF of 12 bits: 0..4095       |
| grey of 32-bit whole numbers (mode I) | the same if all levels are in 0..65535; refused if not                   |
| grey of floats (mode F)               | 0..1 -> 0..255, rounded; refused if a level is outside 0..1 or no number |
| RGB, RGBA of 16 bits a channel        | the high byte of each level, as Pillow gives it                          |
| LAB, YCbCr                            | sRGB                                                                     |
| alpha of any kind, transparent colour | laid over white                                                          |
| animation, MPO, multi-page TIFF, PSD  | the first frame, picture, page; the merged picture                       |
| EXIF or XMP orientation 1 to 8        | turned upright; an orientation that cannot be read counts as 1           |
| HEIC, HEIF                            | through pillow-heif when installed; an error naming it when not          |
| ICC profile                           | not applied: the numbers of the file are used as they are                |

The scale of a picture is fixed by its format, never guessed from its own brightest level: two pictures of one set
stay comparable.

Formats are told by the bytes, never by the name. Only raster formats are tried: nothing that starts a program (EPS
starts Ghostscript), no PDF, no metafile. A truncated picture is an error, never half a picture.

Importing this module tells Python's `warnings` to ignore those that Pillow itself raises (`PIL.*`): damaged EXIF,
pictures near the pixel limit. What matters of them comes as an error here; the rest is about metadata that is not used.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from mirada.errors import ImageError

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "Header",
    "decode",
    "decode_with_header",
    "explained",
    "looks_like_image",
    "open_picture",
    "orientation",
    "read_file",
]

MAX_PIXELS = 100_000_000
"""The most pixels a picture may have: 300 MB of RGB, and about three times that while Pillow decodes it."""

MAX_FILE_BYTES = 2**30
"""The most bytes a file may have: 1 GiB."""

IMAGE_SUFFIXES: frozenset[str] = frozenset(
    (
        *(".apng", ".avif", ".avifs", ".bmp", ".gif", ".heic", ".heics", ".heif", ".heifs", ".hif", ".ico"),
        *(".j2c", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".mpo"),
        *(".pbm", ".pfm", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".qoi", ".tga", ".tif", ".tiff", ".webp"),
    )
)
"""The suffixes, in lower case, of the formats that `decode` reads."""

# Common ones first: Pillow imports all its plugins when it reaches one that is not loaded yet. TGA has no signature of
# its own, so it comes last.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "AVIF", "JPEG2000", "PSD", "ICO", "QOI", "TGA")
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_SIGNS_OF_A_CUT = (
    "truncated",
    "premature end",
    "not enough image data",
    "end of file",
    "unexpected end",
    "reached eof",
)

# Tags of TIFF 6.0, which EXIF shares.
_BITS_PER_SAMPLE, _PHOTOMETRIC_INTERPRETATION, _ORIENTATION = 258, 262, 274

# What Pillow was seen or may be expected to raise on it, its parser being built on struct, slices and arithmetic.
_DAMAGED_EXIF = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError),
    *(RuntimeError, SyntaxError, TypeError, ValueError, struct.error),
)

_PILLOW_WARNINGS = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
_warnings_lock = threading.Lock()


def decode(
    source: str | os.PathLike[str] | bytes, *, max_pixels: int = MAX_PIXELS, name: str | None = None
) -> NDArray[np.uint8]:
    """Decode one picture to upright RGB. The table of this module says what becomes of each kind.

    Safe to call from many threads at once; libjpeg-turbo and Pillow's decoders let other threads run meanwhile.

    Args:
        source: the path of a file, or the bytes of one.
        max_pixels: refuse a picture of more pixels, by its header, before any is decoded. Pillow's own limit, twice
            `PIL.Image.MAX_IMAGE_PIXELS` (178,956,970), holds as well. The pictures inside an ICO are held to Pillow's
            limit only.
        name: what to call the picture in an error. By default its path, or "image" for bytes.

    Returns:
        RGB, uint8, shape (H, W, 3), C-contiguous, writable, owned by the caller.

    Raises:
        ImageError: the picture is missing, empty, too large, cut short, damaged, or of no format that can be read.
    """
    if isinstance(source, bytes):
        name, data = name or "image", source
    else:
        name = name or os.fspath(source)
        data = read_file(name, Path(source))
    return decode_with_header(data, name, max_pixels)[0]


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of the picture in it.

    Attributes:
        format: Pillow's name of it, such as "JPEG".
        mode: Pillow's name of the kind of pixels, such as "RGB".
        orientation: EXIF's, 1 where the picture is stored upright.
    """

    format: str
    mode: str
    orientation: int


def decode_with_header(
    data: bytes, name: str = "image", max_pixels: int = MAX_PIXELS
) -> tuple[NDArray[np.uint8], Header]:
    """Decode the bytes of one picture, see `decode`, and tell what the file says of it."""
    if not data:
        raise ImageError(name, "is empty (0 bytes)")
    _ignore_pillow_warnings()
    with explained(name), open_picture(name, data, max_pixels) as image:
        mode = image.mode
        pixels = _jpeg_pixels(name, data, image) if image.format in ("JPEG", "MPO") else None
        if pixels is None:
            pixels = _pillow_pixels(name, image)
        # Asked after loading: Pillow turns a TIFF, and libheif a HEIF, itself, and then resets the tag.
        turned = orientation(image)
        return _upright(pixels, turned), Header(image.format or "", mode, turned)


def looks_like_image(path: str | os.PathLike[str]) -> bool:
    """Whether a file would be taken for a picture when a folder is walked: by its name alone, the file is not opened.

    True for a suffix of `IMAGE_SUFFIXES` in any case. Hidden files are left out: macOS writes a `._photo.jpg` that is
    no picture beside each `photo.jpg` it copies.
    """
    path = Path(path)
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def read_file(name: str, path: Path) -> bytes:
    """The bytes of a file that may be a picture.

    Args:
        name: what to call it in an error.

    Raises:
        ImageError: it is missing, cannot be opened, is too large, or is no file.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(name, "is a folder, not a picture")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(name, "is not a file: a pipe or a device is not read")
        if status.st_size > MAX_FILE_BYTES:
            raise ImageError(name, f"is {status.st_size:,} bytes, more than the limit of {MAX_FILE_BYTES:,}")
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except FileNotFoundError as error:
        raise ImageError(name, "does not exist") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise ImageError(name, f"cannot be opened: {getattr(error, 'strerror', None) or error}") from error


def open_picture(name: str, data: bytes, max_pixels: int = MAX_PIXELS) -> ImageFile.ImageFile:
    """Read the header and hold its size against the limit; no pixel is decoded yet.

    Raises:
        ImageError: it is of no format that can be read, or too large.
    """
    try:
        image = _open_heif(name, data) if _is_heif(data) else Image.open(BytesIO(data), formats=_FORMATS)
        pixels = image.width * image.height
    except UnidentifiedImageError as error:
        if data.startswith(b"\xff\xd8\xff") and b"Exif\0\0" in data:
            # Pillow lets some kinds of damage in EXIF stop it: hide the EXIF from it. The orientation is lost then.
            return open_picture(name, data.replace(b"Exif\0\0", b"exif\0\0"), max_pixels)
        raise ImageError(name, _why_unidentified(data)) from error
    except Image.DecompressionBombError as error:  # "Image size (<pixels> pixels) exceeds limit of <limit> pixels, ..."
        pixels, pillows_limit = (int(number) for number in re.findall(r"\d+", str(error)))
        max_pixels = min(max_pixels, pillows_limit)
    if pixels > max_pixels:
        raise ImageError(name, f"is {pixels:,} pixels, more than the limit of {max_pixels:,}")
    return image


def _is_heif(data: bytes) -> bool:
    """Whether the `ftyp` box (ISO/IEC 14496-12, 4.3) names a brand of HEIF and none of AVIF."""
    if data[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[start : start + 4] for start in range(16, end, 4))}
    return bool(brands & _HEIF_BRANDS) and not brands & _AVIF_BRANDS


def _open_heif(name: str, data: bytes) -> ImageFile.ImageFile:
    try:
        from pillow_heif import HeifImageFile  # used directly, so nothing is registered in Pillow for the whole process
    except ImportError as error:
        raise ImageError(
            name, "is a HEIC or HEIF picture, which needs the package pillow-heif: pip install mirada[heif]"
        ) from error
    heif_opener: Callable[[BytesIO], ImageFile.ImageFile] = HeifImageFile
    return heif_opener(BytesIO(data))


def _why_unidentified(data: bytes) -> str:
    for format_name in _FORMATS:
        accept = Image.OPEN[format_name][1]
        accepted = accept(data[:16]) if accept else False
        if isinstance(accepted, str):
            return f"is a {format_name} picture, which this Pillow was built without: pip install --upgrade pillow"
        if accepted:
            return f"begins like a {format_name} picture, but its header is damaged or cut short"
    return f"is not an image that can be read (bytes begin {data[:8].hex(' ')})"


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises on hostile bytes, and that is nearly everything, into an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(name, "needs more memory than there is") from error
    except Exception as error:
        cut = isinstance(error, EOFError) or any(sign in str(error).lower() for sign in _SIGNS_OF_A_CUT)
        reason = "is cut short" if cut else "is damaged or cut short"
        raise ImageError(name, f"{reason}: {str(error) or type(error).__name__}") from error


def _jpeg_pixels(name: str, data: bytes, image: ImageFile.ImageFile) -> NDArray[np.uint8] | None:
    """Decode a JPEG by simplejpeg; None where Pillow is to have its say.

    Where the data of a scan ends before the picture does, libjpeg warns and fills the rest with grey. simplejpeg makes
    that warning an error, Pillow ignores it: so here simplejpeg has the last word, for CMYK too, which Pillow decodes.
    """
    is_cmyk = image.mode == "CMYK"
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        if (width, height) != image.size:  # two readings of one header: Pillow's was held against the limit
            return None
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "CMYK" if is_cmyk else "RGB")
    except ValueError as error:
        if "premature end of data segment" in str(error):
            raise ImageError(name, f"is cut short: {error}") from error
        return None
    return None if is_cmyk else pixels


def _pillow_pixels(name: str, image: ImageFile.ImageFile) -> NDArray[np.uint8]:
    """Any mode of Pillow -> RGB uint8 (H, W, 3)."""
    if image.format == "PNG":
        _rescale_transparent_colour(image)
    image.load()
    if image.mode == "F" or image.mode.startswith("I"):
        grey = _grey_8_bits(name, image)  # (H, W)
        return np.repeat(grey[:, :, None], 3, axis=2)  # (H, W, 3)
    if image.has_transparency_data:
        # Without the step over LA, Pillow drops the alpha of La.
        rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        over_white = Image.new("RGB", rgba.size, "white")
        over_white.paste(rgba, mask=rgba)
        return np.array(over_white)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _rescale_transparent_colour(image: ImageFile.ImageFile) -> None:
    """PNG gives its transparent colour in the depth of the file; Pillow compares it with levels of 8 bits."""
    colour = image.info.get("transparency")
    stored = image.tile[0][3] if image.tile else None
    if stored in ("L;2", "L;4") and isinstance(colour, int):
        image.info["transparency"] = colour * (85 if stored == "L;2" else 17)
    elif stored == "RGB;16B" and isinstance(colour, tuple):
        image.info["transparency"] = tuple(level >> 8 for level in colour)


def _grey_8_bits(name: str, image: ImageFile.ImageFile) -> NDArray[np.uint8]:
    """Grey of 12, 16 or 32 bits, or of floats, shape (H, W) -> uint8, the full scale of the format to 0..255."""
    levels = np.asarray(image)
    tiff_tags = getattr(image, "tag_v2", {})
    integer_scale = 4095 if tiff_tags.get(_BITS_PER_SAMPLE) == (12,) else 65535
    full_scale = 1 if image.mode == "F" else integer_scale
    low, high = levels.min(), levels.max()
    if not (low >= 0 and high <= full_scale):  # written so that "not a number" is refused too
        raise ImageError(
            name,
            f"has grey levels from {low:g} to {high:g}, where black is 0 and white {full_scale:,}: "
            "save it with levels in that range, or as a picture of 8 bits",
        )
    if image.mode == "F":
        grey = np.rint(levels * np.float32(255)).astype(np.uint8)
    else:
        grey = ((levels.astype(np.uint32) * 255 + full_scale // 2) // full_scale).astype(np.uint8)
    if tiff_tags.get(_PHOTOMETRIC_INTERPRETATION) == 0:  # white is zero; Pillow heeds it up to 8 bits only
        grey = 255 - grey
    transparent = image.info.get("transparency")
    return grey if transparent is None else np.where(levels == transparent, np.uint8(255), grey)


def orientation(image: ImageFile.ImageFile) -> int:
    """The EXIF (or XMP) orientation, 1 to 8; 1 where there is none or none that makes sense."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _DAMAGED_EXIF:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (Exif 3.0, 4.6.5.1, tag 274): 5 to 8 are stored with rows and columns exchanged."""
    if orientation == 1:
        return pixels
    turned: cv2.typing.MatLike = pixels
    if orientation in (5, 6, 7, 8):
        turned = cv2.transpose(turned)  # (H, W, 3) -> (W, H, 3)
    if orientation in (3, 4, 7, 8):
        turned = cv2.flip(turned, 0)  # top and bottom
    if orientation in (2, 3, 6, 7):
        turned = cv2.flip(turned, 1)  # left and right
    return np.asarray(turned, np.uint8)


def _ignore_pillow_warnings() -> None:
    """Put the filter of this module in front again where something has replaced or overridden it.

    `warnings.catch_warnings` would exchange the list of filters under the feet of other threads; adding a filter that
    is not there does not.
    """
    if warnings.filters[:1] != [_PILLOW_WARNINGS]:
        with _warnings_lock:
            warnings.filterwarnings("ignore", module=r"PIL\.")


_ignore_pillow_warnings()
