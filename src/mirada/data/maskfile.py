"""The file of a mask -> its numbers -> a class for every pixel.

Does not know: samples, data sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirada.annotations import Mask
from mirada.errors import DataError, ImageError
from mirada.image.decode import MAX_PIXELS, explained, open_picture, read_file

__all__ = ["MaskFile", "mask_values", "numbers_in"]

LOSSY: Final = frozenset({"JPEG", "MPO", "JPEG2000", "WEBP", "AVIF", "HEIF"})
"""Formats that keep what is seen, not the numbers."""
SPREAD: Final = {"L;2": 85, "L;4": 17}
"""What Pillow multiplies grey of 2 and of 4 bits with."""
MOST: Final = 1 << 20
"""The largest number that can be a class."""


@dataclass(frozen=True, slots=True)
class MaskFile:
    """Where the mask of an image lies, and what its values mean.

    Args:
        path: a PNG or another file without loss, palette or grey.
        values: the value of each class id, ascending.
        ignore_value: the value that means "not labelled", or None.
        class_ids: the classes that are in it, ascending.
    """

    path: Path
    values: tuple[int, ...]
    ignore_value: int | None = None
    class_ids: tuple[int, ...] = ()

    def read(self) -> Mask:
        """The mask: class ids (H, W) int32, -1 where a pixel is not labelled.

        Raises:
            DataError: it cannot be read, or has a value that has no meaning.
        """
        return self.meant_by(mask_values(self.path))

    def meant_by(self, values: NDArray[np.integer]) -> Mask:
        """What the numbers (H, W) of the file mean.

        Raises:
            DataError: one has no meaning.
        """
        table = np.full(max(int(values.max(initial=0)), *self.values, self.ignore_value or 0) + 1, -2, np.int32)
        table[list(self.values)] = np.arange(len(self.values))
        if self.ignore_value is not None:
            table[self.ignore_value] = -1
        class_ids = table[values]  # (H, W)
        strange = np.unique(values[class_ids == -2]).tolist()
        if strange:
            raise DataError(f"{self.path}: the mask has numbers that are no classes: {strange[:5]}.")
        return Mask(class_ids, -1)


def numbers_in(path: Path) -> tuple[int, ...]:
    """The distinct numbers of a mask, ascending. Raises DataError as `mask_values` does."""
    return tuple(np.flatnonzero(np.bincount(mask_values(path).ravel())).tolist())


def mask_values(path: Path) -> NDArray[np.integer]:
    """The numbers of a mask, (H, W): of a palette its indices, of grey the levels as they are stored, up to 16 bits.

    Raises:
        DataError: it cannot be read, has colours, or is of a format that does not keep numbers.
    """
    name = str(path)
    try:
        data = read_file(name, path)
        with explained(name), open_picture(name, data, MAX_PIXELS) as image:
            mode, stored = image.mode, image.tile[0][3] if image.tile else None
            is_lossy = image.format in LOSSY
            values = None if is_lossy else _grey(np.asarray(image), mode)
    except ImageError as error:
        raise DataError(f"{path}: the mask cannot be read: it {error.reason}.") from error
    if is_lossy:
        raise DataError(f"{path}: {image.format} does not keep the numbers of a mask. Save the masks as PNG.")
    if values is None:
        what = "fractions" if mode == "F" else "colours"
        raise DataError(
            f"{path}: a mask is a palette or a grey image whose numbers are classes, this one has {what} ({mode}). "
            "Give each class a number."
        )
    if values.size and (int(values.min()) < 0 or int(values.max()) > MOST):
        raise DataError(f"{path}: the mask has numbers from {values.min()} to {values.max()}, which are no classes.")
    return values // SPREAD[stored] if isinstance(stored, str) and stored in SPREAD else values


def _grey(pixels: NDArray[np.generic], mode: str) -> NDArray[np.integer] | None:
    """The one number of each pixel, (H, W); None where there are several that differ."""
    if mode in ("P", "L"):
        return pixels.astype(np.uint8, copy=False)
    if mode == "1" or mode.startswith("I"):
        return pixels.astype(np.int32)
    if mode in ("RGB", "RGBA", "LA"):
        planes = pixels[:, :, : 1 if mode == "LA" else 3].astype(np.uint8, copy=False)
        return planes[:, :, 0] if (planes == planes[:, :, :1]).all() else None
    return None
