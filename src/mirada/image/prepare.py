"""Pixels of any size -> pixels of the one size a network takes, and the way back for coordinates.

A `Preparation` is chosen once, saved in the model, and used by training, evaluation and prediction alike, so that all
of them see the same picture.

What each fit does to a picture of W x H for a target of w x h:

| fit     | what is taken                                             | scale                      | outside          |
|---------|-----------------------------------------------------------|----------------------------|------------------|
| crop    | the middle, w/s x h/s pixels with s = zoom max(w/W, h/H)  | s; the target is filled    | is cut off       |
| pad     | the whole picture                                         | min(w/W, h/H), in the middle | is `pad_value` |
| stretch | the whole picture                                         | w/W and h/H, each by itself | there is none   |

Coordinates are continuous: x runs from 0 at the left edge of the first pixel to W at the right edge of the last, so
pixel i has its centre at i + 0.5. The part taken (crop) or filled (pad) is rounded to whole pixels first, and both the
pixels and the coordinates go by the rounded one: they agree exactly, at the price of up to half a pixel of the wished
scale.

Does not know: augmentation, batches of different sizes, torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeGuard

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mirada.errors import ModelError

__all__ = ["MAX_SIDE", "Fit", "Preparation", "with_channels"]

Fit = Literal["crop", "pad", "stretch"]

MAX_SIDE = 16_384
"""The longest side, in pixels, that a network may be given."""
_COLOURS: Final = {"shrinks": 4, "grows": 64}
"""The most grey pictures that OpenCV is given as the colours of one: it takes 4 with INTER_AREA, else 128 or more."""


@dataclass(frozen=True)
class Preparation:
    """How a decoded picture becomes the input of a network.

    Attributes:
        size_wh: width and height of the input of the network, in pixels.
        fit: how a picture of another shape is made to fit; see the table of this module.
        zoom: with `fit="crop"`, how many times the target the resized picture is before its middle is cut: 256 / 224 is
            the usual evaluation on ImageNet. At least 1; exactly 1 with the other fits.
        channels: 3 for RGB, 1 for luminance, Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).
        mean: subtracted from each channel, in units where black is 0 and white 1.
        std: what each channel is then divided by, in the same units.
        pad_value: the level, 0 to 255, that fills what `fit="pad"` leaves empty. The default, middle grey, is near the
            mean of photographs and so near zero once normalised, like the zero padding of convolutions.

    Raises:
        ValueError: a field is of the wrong type or out of range; the message begins with its name.
    """

    size_wh: tuple[int, int]
    fit: Fit
    zoom: float = 1.0
    channels: Literal[1, 3] = 3
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    pad_value: int = 127

    def __post_init__(self) -> None:
        if not (isinstance(self.size_wh, tuple) and len(self.size_wh) == 2):
            raise ValueError(f"size_wh: expected (width, height), got {self.size_wh!r}")
        if not all(is_whole(side) and 1 <= side <= MAX_SIDE for side in self.size_wh):
            raise ValueError(f"size_wh: expected whole numbers from 1 to {MAX_SIDE:,}, got {self.size_wh!r}")
        if self.fit not in ("crop", "pad", "stretch"):
            raise ValueError(f"fit: expected 'crop', 'pad' or 'stretch', got {self.fit!r}")
        if not (is_number(self.zoom) and self.zoom >= 1):
            raise ValueError(f"zoom: expected a number of at least 1, got {self.zoom!r}")
        if self.fit != "crop" and self.zoom != 1:
            raise ValueError(f"zoom: only fit='crop' can zoom; with fit={self.fit!r} it must be 1, got {self.zoom!r}")
        if not (is_whole(self.channels) and self.channels in (1, 3)):
            raise ValueError(f"channels: expected 1 or 3, got {self.channels!r}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if not (isinstance(values, tuple) and len(values) == self.channels and all(map(is_number, values))):
                raise ValueError(f"{name}: expected {self.channels} number(s), one a channel, got {values!r}")
        if not all(0 <= value <= 1 for value in self.mean):
            raise ValueError(f"mean: expected numbers from 0 (black) to 1 (white), got {self.mean!r}")
        if not all(0 < value <= 1 for value in self.std):
            raise ValueError(f"std: expected numbers above 0 and up to 1, where white is 1, got {self.std!r}")
        if not (is_whole(self.pad_value) and 0 <= self.pad_value <= 255):
            raise ValueError(f"pad_value: expected a whole number from 0 to 255, got {self.pad_value!r}")

    def to_network_matrix(self, width: int, height: int) -> NDArray[np.float64]:
        """The affine map from coordinates of the original picture to coordinates of the network's input.

        Args:
            width: of the original picture, upright, in pixels.
            height: likewise.

        Returns:
            float64, shape (2, 3): (x', y') = M[:, :2] (x, y) + M[:, 2]. Both scales are positive, nothing is rotated.
        """
        source, target = self._regions(width, height)
        scale_x, scale_y = target.width / source.width, target.height / source.height
        return np.array(
            [
                [scale_x, 0.0, target.left - scale_x * source.left],
                [0.0, scale_y, target.top - scale_y * source.top],
            ]
        )

    def to_network(self, coordinates: ArrayLike, width: int, height: int) -> NDArray[np.float64]:
        """Coordinates in the original picture -> coordinates in the network's input. The inverse of `to_original`.

        Args:
            coordinates: points (x, y), shape (..., 2), or boxes (x1, y1, x2, y2), shape (..., 4), in pixels.
            width: of the original picture, upright, in pixels.
            height: likewise.

        Returns:
            float64, the same shape. Not clipped: what a crop cuts off lies outside 0..w, 0..h.

        Raises:
            ValueError: the last axis is neither 2 nor 4 long.
        """
        matrix = self.to_network_matrix(width, height)
        pairs = _as_pairs(coordinates)  # (..., 1 or 2, 2)
        moved: NDArray[np.float64] = pairs * np.diagonal(matrix) + matrix[:, 2]
        return moved.reshape(np.shape(coordinates))

    def to_original(self, coordinates: ArrayLike, width: int, height: int) -> NDArray[np.float64]:
        """Coordinates in the network's input -> coordinates in the original picture. The inverse of `to_network`.

        Args:
            coordinates: points (x, y), shape (..., 2), or boxes (x1, y1, x2, y2), shape (..., 4), in pixels.
            width: of the original picture, upright, in pixels.
            height: likewise.

        Returns:
            float64, the same shape. Not clipped: what lies on padding falls outside 0..W, 0..H.

        Raises:
            ValueError: the last axis is neither 2 nor 4 long.
        """
        matrix = self.to_network_matrix(width, height)
        pairs = _as_pairs(coordinates)  # (..., 1 or 2, 2)
        moved: NDArray[np.float64] = (pairs - matrix[:, 2]) / np.diagonal(matrix)
        return moved.reshape(np.shape(coordinates))

    def pixels(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut, resize and pad one picture, by exactly the geometry of `to_network_matrix`.

        Shrinking averages all the pixels that fall into one (OpenCV's INTER_AREA), so it does not alias; enlarging is
        bilinear. Each axis by itself: a picture may shrink along one and grow along the other.

        Args:
            image: uint8, RGB (H, W, 3) or grey (H, W).

        Returns:
            uint8, shape (h, w, channels), C-contiguous, never a view of `image`.

        Raises:
            ValueError: `image` is of another shape or type, or has no pixels.
        """
        if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
            raise ValueError(f"expected uint8 of shape (H, W, 3) or (H, W), got {image.dtype} of shape {image.shape}")
        source, target = self._regions(image.shape[1], image.shape[0])
        cut = image[source.top : source.top + source.height, source.left : source.left + source.width]
        resized = with_channels(_resized(cut, target.width, target.height), self.channels)
        if (target.width, target.height) == self.size_wh:
            return np.array(resized) if np.may_share_memory(resized, image) else np.ascontiguousarray(resized)
        return self._padded(resized, target)

    def pixels_of_grey(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """What `pixels` gives of grey pictures of one size, in a fraction of the time where they are small.

        Args:
            images: uint8, (H, W) each.

        Returns:
            uint8, shape (N, h, w, channels), C-contiguous.

        Raises:
            ValueError: there is none, or they are of several sizes, of another shape or type.
        """
        kinds = {(image.dtype, image.shape) for image in images}
        if len(kinds) != 1 or images[0].dtype != np.uint8 or images[0].ndim != 2:
            raise ValueError(f"expected grey pictures of one size, uint8 (H, W), got {sorted(map(str, kinds))}")
        height, width = images[0].shape
        source, target = self._regions(width, height)
        found = np.empty((len(images), self.size_wh[1], self.size_wh[0], self.channels), np.uint8)
        shrinks = target.width < source.width or target.height < source.height
        count = _COLOURS["shrinks" if shrinks else "grows"]
        for first in range(0, len(images), count):
            planes = np.stack(images[first : first + count], axis=2)  # (H, W, n)
            cut = planes[source.top : source.top + source.height, source.left : source.left + source.width]
            resized = _resized(np.ascontiguousarray(cut), target.width, target.height)
            resized = resized.reshape(target.height, target.width, -1)
            padded = resized if (target.width, target.height) == self.size_wh else self._padded(resized, target)
            found[first : first + count] = padded.transpose(2, 0, 1)[:, :, :, None]
        return found

    def _padded(self, resized: NDArray[np.uint8], target: _Region) -> NDArray[np.uint8]:
        """A picture (h', w', n) in its place: (h, w, n)."""
        width, height = self.size_wh
        padded = np.full((height, width, resized.shape[2]), self.pad_value, np.uint8)
        padded[target.top : target.top + target.height, target.left : target.left + target.width] = resized
        return padded

    def normalise(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(pixels / 255 - mean) / std, channel by channel, in the order of axes that networks take.

        Args:
            pixels: uint8, shape (N, h, w, channels), as stacked from `pixels`.

        Returns:
            float32, shape (N, channels, h, w), C-contiguous.

        Raises:
            ValueError: `pixels` is of another shape or type.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != self.channels:
            raise ValueError(
                f"expected uint8 of shape (N, h, w, {self.channels}), got {pixels.dtype} of shape {pixels.shape}"
            )
        mean, std = np.array(self.mean), np.array(self.std)
        scale = (1 / (255 * std)).astype(np.float32)[:, None, None]  # (channels, 1, 1)
        shift = (-mean / std).astype(np.float32)[:, None, None]
        planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32)  # (N, channels, h, w)
        planes *= scale
        planes += shift
        return planes

    def to_json(self) -> dict[str, Any]:
        """The fields as values that JSON can carry: numbers, a string, lists. The inverse of `from_json`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: object) -> Preparation:
        """Read back what `to_json` gave.

        Raises:
            ModelError: a field is missing, unknown, of the wrong type or out of range; the message names it.
        """
        if not isinstance(values, Mapping):
            raise ModelError(f"preparation: expected an object with fields, got {values!r}")
        names = {field.name for field in fields(cls)}
        if missing := sorted(names - values.keys()):
            raise ModelError(f"preparation: {', '.join(missing)} missing")
        if unknown := sorted(map(str, values.keys() - names)):
            raise ModelError(f"preparation: unknown field {', '.join(unknown)}: made by a later version of mirada?")
        arguments: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
        try:
            return cls(**arguments)
        except ValueError as error:
            raise ModelError(f"preparation: {error}") from error

    def _regions(self, width: int, height: int) -> tuple[_Region, _Region]:
        """The part of the original that is taken, and the part of the network's input that it fills."""
        if width < 1 or height < 1:
            raise ValueError(f"a picture has at least one pixel, got {width} x {height}")
        w, h = self.size_wh
        whole_source, whole_target = _Region(0, 0, width, height), _Region(0, 0, w, h)
        if self.fit == "crop":
            scale = self.zoom * max(w / width, h / height)
            return _middle(w / scale, h / scale, width, height), whole_target
        if self.fit == "pad":
            scale = min(w / width, h / height)
            return whole_source, _middle(width * scale, height * scale, w, h)
        return whole_source, whole_target


@dataclass(frozen=True)
class _Region:
    """A rectangle of whole pixels."""

    left: int
    top: int
    width: int
    height: int


def _middle(width: float, height: float, outer_width: int, outer_height: int) -> _Region:
    """The rectangle nearest to width x height in whole pixels, in the middle of the outer one and inside it."""
    whole_width = min(max(round(width), 1), outer_width)
    whole_height = min(max(round(height), 1), outer_height)
    return _Region((outer_width - whole_width) // 2, (outer_height - whole_height) // 2, whole_width, whole_height)


def _resized(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Shrink along the axes that shrink, then enlarge along those that grow: INTER_AREA aliases when asked for both."""
    smaller = (min(width, pixels.shape[1]), min(height, pixels.shape[0]))
    if smaller != (pixels.shape[1], pixels.shape[0]):
        pixels = _as_uint8(cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA))
    if smaller != (width, height):
        pixels = _as_uint8(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR))
    return pixels


def with_channels(pixels: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """(h, w) or (h, w, 3) -> (h, w, channels)."""
    if pixels.ndim == 3 and channels == 1:
        return _as_uint8(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))[:, :, None]
    if pixels.ndim == 2:
        return np.repeat(pixels[:, :, None], channels, axis=2)
    return pixels


def _as_uint8(array: cv2.typing.MatLike) -> NDArray[np.uint8]:
    """Tell mypy what OpenCV's types leave open; nothing is copied."""
    return np.asarray(array, np.uint8)


def _as_pairs(coordinates: ArrayLike) -> NDArray[np.float64]:
    """Points (..., 2) or boxes (..., 4) -> pairs (..., 1 or 2, 2)."""
    array = np.asarray(coordinates, np.float64)
    if array.ndim == 0 or array.shape[-1] not in (2, 4):
        raise ValueError(f"expected points (..., 2) or boxes (..., 4), got shape {array.shape}")
    return array.reshape(*array.shape[:-1], array.shape[-1] // 2, 2)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a number that is neither infinite nor none; a whole one may be too large for a float."""
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))
