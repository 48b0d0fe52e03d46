"""What a random view of a picture may change, and by how much: plain data.

| policy | for |
|---|---|
| none | views that are the picture itself |
| light | a pretrained network and few pictures: a little moved, turned, scaled, mirrored, lighter or darker |
| standard | training from scratch: crops of 8 to 100 % of the picture, colours |
| strong | the same, and more: shear, tilt, blur, noise, JPEG, a part erased, pictures mixed |
| trivial | one change a view, of any strength (TrivialAugment, wide: Mueller and Hutter 2021) |
| alexnet | crops of 224 from the middle 256, mirrored, another light (Krizhevsky et al. 2012, section 4.1) |

Does not know: pixels, random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, Final

from mirada.errors import UsageError
from mirada.image.prepare import is_number, is_whole
from mirada.words import meant

__all__ = ["POLICIES", "Policy", "find_policy"]

Range = tuple[float, float]


@dataclass(frozen=True)
class Policy:
    """What a view may change. Every number is the greatest change; 0, or None, is none at all.

    What goes two ways is drawn uniformly between the greatest change one way and the other, what goes one way between
    none and the greatest; `lighting` is normally distributed, shares of `mixup` and `cutmix` have a beta distribution.
    Factors are drawn by their logarithm, so that twice as much is as likely as half as much.

    Attributes:
        name: how to speak of it.
        area: the least and the greatest share of the picture that a random crop takes; a long picture may have no crop
            of the wished ratio that is so large. None for the part that the preparation takes.
        inner: the share of the sides of the middle of the picture, the largest part of the ratio of the view, that a
            crop takes, which lies anywhere in it; None for the part that the preparation takes. Not with `area`.
        aspect: of the ratio of the sides, the logarithm.
        scale: of the size, the logarithm.
        shift: of where the part that is taken lies, as a share of what is left over: with 1 it lies anywhere.
        slide: beyond that, as a share of the view.
        turn: in degrees.
        shear: in degrees, of each side.
        tilt: how much farther away, or nearer, an edge of the part is than its middle, as a share; each axis by itself.
        mirror: the share of views that are mirrored left to right.
        flip: the share of views that are upside down.
        brightness, contrast, saturation: of the factor, the logarithm.
        light: in levels, added to all channels.
        hue: in degrees.
        lighting: the standard deviation of AlexNet's change of light.
        blur: the standard deviation, in pixels of the view, in half of the views.
        noise: the standard deviation, in levels, in half of the views.
        quality: the least quality of JPEG, in half of the views; None for no JPEG.
        erase: the greatest share of the view that is erased, in half of the views; 0.02 is the least.
        is_trivial: one change a view, drawn from those of TrivialAugment, besides the others.
        mixup: the parameter alpha of the beta distribution of the share (Zhang et al. 2018).
        cutmix: likewise (Yun et al. 2019).

    Raises:
        ValueError: a field is of the wrong type or out of range; the message begins with its name.
    """

    name: str = "own"
    area: Range | None = None
    inner: float | None = None
    aspect: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    slide: float = 0.0
    turn: float = 0.0
    shear: float = 0.0
    tilt: float = 0.0
    mirror: float = 0.0
    flip: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    light: float = 0.0
    hue: float = 0.0
    lighting: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    quality: int | None = None
    erase: float = 0.0
    is_trivial: bool = False
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ValueError(f"name: expected text, got {self.name!r}")
        if not isinstance(self.is_trivial, bool):
            raise ValueError(f"is_trivial: expected true or false, got {self.is_trivial!r}")
        for name, most in _MOST.items():
            value = getattr(self, name)
            if not (is_number(value) and 0 <= value <= most):
                raise ValueError(f"{name}: expected a number from 0 to {most:g}, got {value!r}")
        if self.area is not None and not (
            isinstance(self.area, tuple) and len(self.area) == 2 and all(map(is_number, self.area))
        ):
            raise ValueError(f"area: expected two numbers, got {self.area!r}")
        if self.area is not None and not 0 < self.area[0] <= self.area[1] <= 1:
            raise ValueError(f"area: expected shares above 0 and up to 1, the least first, got {self.area!r}")
        if self.inner is not None and not (is_number(self.inner) and 0 < self.inner <= 1 and self.area is None):
            raise ValueError(f"inner: expected a share above 0 and up to 1, and no area, got {self.inner!r}")
        if self.quality is not None and not (is_whole(self.quality) and 1 <= self.quality <= 100):
            raise ValueError(f"quality: expected a whole number from 1 to 100, or none, got {self.quality!r}")

    @cached_property
    def changes_pictures(self) -> bool:
        """Whether a view is ever anything but the picture itself, as it is prepared."""
        return replace(self, name="", mixup=0.0, cutmix=0.0) != Policy("")

    def without_mirror(self) -> Policy:
        """The same for pictures whose mirror image is another thing, such as digits and text."""
        return replace(self, mirror=0.0, flip=0.0)

    def to_json(self) -> dict[str, Any]:
        """The fields as values that JSON can carry. The inverse of `from_json`."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: object) -> Policy:
        """Read back what `to_json` gave; what is left out is no change.

        Raises:
            UsageError: a field is unknown or out of range.
        """
        if not isinstance(values, Mapping):
            raise UsageError(f"a policy is an object with fields, got {values!r}")
        known = {field.name for field in fields(cls)}
        strange = sorted(map(str, values.keys() - known))
        if strange:
            raise UsageError(f"a policy has no '{strange[0]}': it has {', '.join(sorted(known))}")
        arguments: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
        try:
            return cls(**arguments)
        except ValueError as error:
            raise UsageError(f"policy: {error}") from error


_MOST: Final = {
    **dict.fromkeys(("mirror", "flip"), 1.0),
    **dict.fromkeys(("aspect", "scale", "brightness", "contrast", "saturation"), 3.0),
    **dict.fromkeys(("turn", "hue"), 180.0),
    **dict.fromkeys(("mixup", "cutmix", "blur"), 100.0),
    **dict.fromkeys(("light", "noise"), 255.0),
    **dict.fromkeys(("shift", "slide"), 1.0),
    "shear": 40.0,  # from 45 on both together mirror the view
    "tilt": 0.45,  # of both axes together a corner comes as near as a tenth
    "lighting": 10.0,
    "erase": 0.9,
}
"""The greatest value of each number."""

_STANDARD: Final = Policy(
    "standard",
    area=(0.08, 1.0),
    aspect=math.log(4 / 3),
    mirror=0.5,
    brightness=math.log(1.4),
    contrast=math.log(1.4),
    saturation=math.log(1.4),
    hue=10.0,
)

POLICIES: Final[Mapping[str, Policy]] = {
    policy.name: policy
    for policy in (
        Policy("none"),
        Policy(
            "light", aspect=0.1, scale=0.25, shift=0.7, slide=0.035, turn=10.0, mirror=0.5, contrast=0.25, light=20.0
        ),
        _STANDARD,
        replace(
            _STANDARD,
            name="strong",
            turn=15.0,
            shear=10.0,
            tilt=0.2,
            hue=20.0,
            blur=1.5,
            noise=10.0,
            quality=30,
            erase=0.25,
            mixup=0.2,
            cutmix=1.0,
        ),
        Policy("trivial", mirror=0.5, is_trivial=True),
        Policy("alexnet", inner=224 / 256, mirror=0.5, lighting=0.1),
    )
}
"""By name."""


def find_policy(name: str) -> Policy:
    """A policy by its name.

    Raises:
        UsageError: there is none.
    """
    if name not in POLICIES:
        raise UsageError(f"there is no policy '{name}': there are {', '.join(POLICIES)}.{meant(name, POLICIES)}")
    return POLICIES[name]
