"""Bytes -> pixels -> the input of a network.

| file       | what it does                                                                  |
|------------|-------------------------------------------------------------------------------|
| decode.py  | a path or bytes -> upright RGB uint8 (H, W, 3), or an error that says why not |
| prepare.py | pixels of any size -> the one size a network takes, and coordinates back      |
| augment.py | the same at random, by a policy, with the boxes and masks that are true of it |
"""

from mirada.image.decode import IMAGE_SUFFIXES, MAX_FILE_BYTES, MAX_PIXELS, decode, looks_like_image
from mirada.image.prepare import MAX_SIDE, Fit, Preparation

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "Fit",
    "Preparation",
    "decode",
    "looks_like_image",
]
