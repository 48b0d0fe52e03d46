"""Views of many small pictures at once are those of each alone."""

from __future__ import annotations

import numpy as np
import pytest

from mirada.image import Preparation
from mirada.image.augment import view_pixels
from mirada.image.moves import moved_views, only_moves
from mirada.image.policy import POLICIES, Policy

MOVES = {
    "digits": Policy(turn=10.0, scale=0.12, aspect=0.1, slide=0.08, shear=8.0),
    "mirrored": Policy(mirror=0.5, flip=0.5, turn=3.0),
    "far": Policy(scale=0.9, turn=180.0, slide=0.4),
    "shifted": Policy(shift=1.0, turn=1.0, aspect=0.3),
}


@pytest.mark.parametrize("policy", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
@pytest.mark.parametrize(("channels", "wh"), [(1, (32, 32)), (3, (28, 24))])
def test_they_are_those_of_each_picture_alone(policy: Policy, fit: str, channels: int, wh: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (40, 26, 30, channels), dtype=np.uint8)
    preparation = Preparation(wh, fit, channels=channels, mean=(0.5,) * channels, std=(0.5,) * channels)  # type: ignore[arg-type]
    seeds = [i << 32 | 7 for i in range(40)]
    together = moved_views(pictures, preparation, policy, seeds, 3)
    for picture, seed, view in zip(pictures, seeds, together, strict=True):
        alone = view_pixels(picture if channels == 3 else picture[:, :, 0], preparation, policy, seed, 3)
        assert np.abs(view.astype(int) - alone).max() <= 1


def test_of_none_there_are_none() -> None:
    preparation = Preparation((8, 8), "stretch")
    assert moved_views(np.zeros((0, 8, 8, 3), np.uint8), preparation, MOVES["digits"], [], 1).shape == (0, 8, 8, 3)


def test_which_policies_only_move_pixels() -> None:
    assert all(map(only_moves, MOVES.values()))
    assert only_moves(Policy("own", turn=3.0, mixup=0.2))
    others = [
        Policy(tilt=0.1),
        Policy(turn=3.0, light=1.0),
        Policy(area=(0.5, 1.0)),
        Policy(inner=0.9),
        Policy(erase=0.1),
    ]
    assert not any(map(only_moves, [*others, POLICIES["light"], POLICIES["alexnet"], POLICIES["trivial"]]))
