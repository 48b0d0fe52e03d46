"""Random views of a picture, for training, and what is true of them.

What is random in a view is drawn once, as a `Draw`: the same draw moves the picture, its boxes and its mask, so that
what is true of the picture stays true of the view.

Does not know: batches, how a network is trained.
"""

from __future__ import annotations

import math
import random
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirada.image import colour, geometry
from mirada.image.draw import NOISE, Draw
from mirada.image.policy import Policy
from mirada.image.prepare import Preparation, with_channels
from mirada.image.resample import Border
from mirada.image.tone import CHANGES, Tone, trivial

__all__ = ["VIEWS_VERSION", "draw_view", "drawn", "view_pixels"]

VIEWS_VERSION: Final = 3
"""One more where the same numbers would give other pixels."""
HALF: Final = 0.5
"""The share of views that are blurred, and so on, by a policy that does so."""
LEAST_ERASED: Final = 0.02
ERASED_RATIO: Final = 1.0
"""Of the sides of what is erased, the logarithm, at most."""


def view_pixels(
    image: NDArray[np.uint8], preparation: Preparation, policy: Policy, seed: int, number: int
) -> NDArray[np.uint8]:
    """A view of a picture, of the size and the channels that a network takes.

    Args:
        image: uint8, RGB (H, W, 3) or grey (H, W).
        preparation: whose framing the view varies: what it crops, pads or stretches.
        policy: what may change.
        seed: of the random numbers, at least 0.
        number: which view; 0, and every view of a policy that changes nothing, is `preparation.pixels(image)`.

    Returns:
        uint8, (h, w, channels), C-contiguous.
    """
    if number == 0 or not policy.changes_pictures:
        return preparation.pixels(image)
    draw = draw_view(policy, preparation, (image.shape[1], image.shape[0]), seed, number)
    return with_channels(draw.pixels(image), preparation.channels)


def draw_view(
    policy: Policy,
    preparation: Preparation,
    source_wh: tuple[int, int],
    seed: int,
    number: int,
    *,
    border: Border | None = None,
) -> Draw:
    """What is random in the view of a number.

    Args:
        policy, preparation, source_wh, border: as of `drawn`.
        seed: of the random numbers, at least 0.
        number: which view, at least 1.

    Returns:
        What moves pixels, boxes and masks alike.
    """
    return drawn(policy, preparation, source_wh, random.Random(seed << 64 | number), border=border)


def drawn(
    policy: Policy,
    preparation: Preparation,
    source_wh: tuple[int, int],
    rng: random.Random,
    *,
    border: Border | None = None,
) -> Draw:
    """Draw all that is random in a view.

    Args:
        policy: what may change.
        preparation: what is taken of the picture before it is changed, and of what size the view is.
        source_wh: width and height of the picture, in pixels.
        rng: the random numbers.
        border: what is seen outside of the picture; None for what fits the preparation: with `fit="pad"` one level,
            else the mirror image.

    Returns:
        What moves pixels, boxes and masks alike.
    """
    w, h = preparation.size_wh
    base = _base(policy, preparation, source_wh, rng)
    change, tilt = _shape(policy, (w, h), rng)
    changes = _colours(policy, rng)
    if policy.lighting:
        changes.append(colour.lighting(np.array([rng.gauss(0, policy.lighting) for _ in range(3)])))
    tone: Tone | None = None
    if policy.is_trivial:
        shape, recolour, tone = trivial(CHANGES[_below(rng, len(CHANGES))], _within(rng, 1.0), (w, h))
        change = shape @ change
        changes.append(recolour)
    return Draw(
        source_wh,
        (w, h),
        geometry.about(tilt @ change, w / 2, h / 2) @ base,
        colour.chained(*changes),
        border or ("fill" if preparation.fit == "pad" else "reflect"),
        preparation.pad_value,
        tone,
        blur=_sometimes(rng, policy.blur),
        noise=_sometimes(rng, policy.noise),
        noise_from=_below(rng, NOISE),
        quality=_quality(policy.quality, rng),
        erased_xyxy=_erased(policy.erase, (w, h), rng),
    )


# Of one view a few numbers are drawn: Python's generator is ready for that three times as fast as NumPy's.


def _within(rng: random.Random, most: float) -> float:
    """As much one way as the other."""
    return most * (2 * rng.random() - 1)


def _below(rng: random.Random, count: int) -> int:
    return int(count * rng.random())


def _sometimes(rng: random.Random, most: float) -> float:
    """Up to the greatest, in half of the views, else 0."""
    amount = rng.uniform(0.0, most)
    return amount if rng.random() < HALF else 0.0


def _base(
    policy: Policy, preparation: Preparation, source_wh: tuple[int, int], rng: random.Random
) -> NDArray[np.float64]:
    """From the picture to the view before it is turned and so on: the part that is taken."""
    width, height = source_wh
    w, h = preparation.size_wh
    if policy.area is not None:
        ratio = math.exp(_within(rng, policy.aspect)) * (width / height if preparation.fit == "stretch" else w / h)
        fits = min(width / (height * ratio), height * ratio / width)  # the share of the greatest part of this ratio
        most = min(policy.area[1], fits)
        pixels = rng.uniform(min(policy.area[0], most), most) * width * height
        # Whole pixels, so that a view that is not turned can be cut out.
        across = min(max(round(math.sqrt(pixels * ratio)), 1), width)
        down = min(max(round(math.sqrt(pixels / ratio)), 1), height)
        return _cropped((0, 0, width, height), (across, down), (w, h), rng)
    if policy.inner is not None:
        ratio = width / height if preparation.fit == "stretch" else w / h
        part = min(width, max(1, round(height * ratio))), min(height, max(1, round(width / ratio)))
        begin = (width - part[0]) // 2, (height - part[1]) // 2
        across, down = (max(1, round(policy.inner * side)) for side in part)
        return _cropped((*begin, *part), (across, down), (w, h), rng)
    base = np.eye(3)
    base[:2] = preparation.to_network_matrix(width, height)
    for axis, (side, view) in enumerate(((width, w), (height, h))):
        left_over = max(0.0, side * base[axis, axis] - view)
        base[axis, 2] += _within(rng, policy.shift / 2 * left_over + policy.slide * view)
    return base


def _cropped(
    within_xywh: tuple[int, int, int, int], part_wh: tuple[int, int], size_wh: tuple[int, int], rng: random.Random
) -> NDArray[np.float64]:
    """From the picture to a view of a part of it, which lies anywhere within another part."""
    (x, y, width, height), (across, down) = within_xywh, part_wh
    left, top = x + _below(rng, width - across + 1), y + _below(rng, height - down + 1)
    scale_x, scale_y = size_wh[0] / across, size_wh[1] / down
    return np.array([[scale_x, 0.0, -left * scale_x], [0.0, scale_y, -top * scale_y], [0.0, 0.0, 1.0]])


def _shape(
    policy: Policy, size_wh: tuple[int, int], rng: random.Random
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is changed about the centre of the view: mirrored and scaled, then sheared, turned; and at last tilted."""
    scale, aspect = math.exp(_within(rng, policy.scale)), math.exp(_within(rng, policy.aspect) / 2)
    if policy.area is not None:
        aspect = 1.0  # it is that of the part
    x, y = -1.0 if rng.random() < policy.mirror else 1.0, -1.0 if rng.random() < policy.flip else 1.0
    shape = geometry.scaled(x * scale * aspect, y * scale / aspect)
    lean_x, lean_y = (math.tan(math.radians(_within(rng, policy.shear))) for _ in range(2))
    if policy.shear:
        shape = geometry.sheared(lean_x, lean_y) @ shape
    turn = _within(rng, policy.turn)
    if policy.turn:
        shape = geometry.turned(turn) @ shape
    tilts = [_within(rng, policy.tilt) / (side / 2) for side in size_wh]
    return shape, geometry.tilted(*tilts) if policy.tilt else np.eye(3)


def _colours(policy: Policy, rng: random.Random) -> list[NDArray[np.float64]]:
    """Changes of colour, in this order; those that the policy has."""
    factors = [math.exp(_within(rng, most)) for most in (policy.contrast, policy.brightness, policy.saturation)]
    degrees, levels = _within(rng, policy.hue), _within(rng, policy.light)
    changes = []
    if policy.contrast:
        changes.append(colour.contrast(factors[0]))
    if policy.brightness:
        changes.append(colour.brightness(factors[1]))
    if policy.saturation:
        changes.append(colour.saturation(factors[2]))
    if policy.hue:
        changes.append(colour.hue(degrees))
    if policy.light:
        changes.append(colour.lighter(levels))
    return changes


def _quality(least: int | None, rng: random.Random) -> int | None:
    """Of JPEG, in half of the views."""
    quality = (least or 100) + _below(rng, 101 - (least or 100))
    return quality if rng.random() < HALF and least is not None else None


def _erased(most: float, size_wh: tuple[int, int], rng: random.Random) -> tuple[int, int, int, int] | None:
    """A rectangle somewhere in the view, in half of the views."""
    w, h = size_wh
    share, ratio = rng.uniform(min(LEAST_ERASED, most), most), math.exp(_within(rng, ERASED_RATIO))
    across = min(max(round(math.sqrt(share * w * h * ratio)), 1), w)
    down = min(max(round(math.sqrt(share * w * h / ratio)), 1), h)
    left, top = _below(rng, w - across + 1), _below(rng, h - down + 1)
    return (left, top, left + across, top + down) if rng.random() < HALF and most else None
