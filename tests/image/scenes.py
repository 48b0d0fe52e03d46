"""Draws of all kinds, and pictures of which every place is known: what the tests of random views share."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from mirada.image import Preparation, geometry
from mirada.image.draw import Draw
from mirada.image.policy import Policy

sides = st.tuples(st.integers(30, 140), st.integers(30, 140))
"""Width and height."""
preparations = st.builds(
    lambda size_wh, fit, zoom: Preparation(size_wh, fit, zoom if fit == "crop" else 1.0, pad_value=90),
    st.tuples(st.integers(24, 90), st.integers(24, 90)),
    st.sampled_from(["crop", "pad", "stretch"]),
    st.floats(1, 1.5),
)
upright_policies = st.builds(
    Policy,
    area=st.none() | st.just((0.3, 1.0)),
    aspect=st.floats(0, 0.3),
    scale=st.floats(0, 0.4),
    shift=st.floats(0, 1),
    slide=st.floats(0, 0.2),
    mirror=st.floats(0, 1),
    flip=st.floats(0, 1),
)
"""Nothing is turned."""
policies = st.builds(
    Policy,
    area=st.none() | st.just((0.3, 1.0)),
    aspect=st.floats(0, 0.3),
    scale=st.floats(0, 0.3),
    shift=st.floats(0, 1),
    slide=st.floats(0, 0.2),
    turn=st.floats(0, 180),
    shear=st.floats(0, 30),
    tilt=st.floats(0, 0.3),
    mirror=st.floats(0, 1),
    flip=st.floats(0, 1),
)
"""All geometry, no colour."""
seeds = st.integers(0, 2**32)


def smooth(width: int, height: int) -> NDArray[np.uint8]:
    """Waves as long as the picture is: between two pixels there is nothing unexpected."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    x, y = (x + 0.5) / width, (y + 0.5) / height
    waves = (np.sin(3 * x + 2 * y), np.cos(2 * x - 3 * y), np.sin(4 * x * y + 1))
    return (127 + 100 * np.stack(waves, axis=2)).round().astype(np.uint8)


def centres(width: int, height: int) -> NDArray[np.float64]:
    """Of all pixels, (h, w, 2)."""
    return np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)


def seen_from(draw: Draw) -> NDArray[np.float64]:
    """The place of the picture that each pixel of the view shows, (h, w, 2)."""
    return geometry.moved_points(geometry.inverse(draw.matrix), centres(*draw.size_wh))


def shrinks(draw: Draw) -> float:
    """How many pixels of the picture there are to one of the view, at most: at a corner of the view."""
    w, h = draw.size_wh
    corners = np.array([[0.5, 0.5], [w - 0.5, 0.5], [0.5, h - 0.5], [w - 0.5, h - 0.5]])
    back = geometry.inverse(draw.matrix)
    places = [geometry.moved_points(back, corners + step) for step in ([0, 0], [0.5, 0], [0, 0.5])]
    return float(2 * max(np.hypot(*(place - places[0]).T).max() for place in places[1:]))
