"""What a page of HTML shows, as arrays."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def decoded(uri: str) -> Pixels:
    """The picture of a data URI in JPEG."""
    head, content = uri.split(",")
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
