"""Views of a data set as one picture."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mirada.data import read
from mirada.data.views import may_mirror, policy_of
from mirada.errors import DataError, ImageError, UsageError
from mirada.image.policy import Policy
from mirada.inspection.augmented import augment


def views(path: Path, rows: int, columns: int) -> NDArray[np.uint8]:
    """The sheet, and that it has a row of views for each row."""
    sheet = np.asarray(Image.open(path).convert("RGB"))
    assert sheet.shape[0] >= rows * 160
    assert sheet.shape[1] >= columns * 160
    return sheet


def test_of_a_data_set(photos: Path, tmp_path: Path) -> None:
    augment(photos, tmp_path / "a.png", rows=3, columns=5)
    augment(photos, tmp_path / "b.png", rows=3, columns=5)
    augment(photos, tmp_path / "c.png", rows=3, columns=5, seed=1)
    augment(photos, tmp_path / "d.png", rows=3, columns=5, policy="none")
    one, same, other, plain = (views(tmp_path / f"{name}.png", 3, 5) for name in "abcd")
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, plain)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "c.png", "d.png", "photos"]


def test_rows_differ_and_a_sheet_replaces_a_sheet(photos: Path, tmp_path: Path) -> None:
    for name in ("sheet.png", "sheet.jpg"):
        augment(photos / "x" / "1.png", tmp_path / name, rows=1, columns=3)
        augment(photos, tmp_path / name, rows=2, columns=3, policy="strong")
        views(tmp_path / name, 2, 3)
    (tmp_path / "same").mkdir()
    for name in "ab":
        shutil.copy(photos / "x" / "1.png", tmp_path / "same" / f"{name}.png")
    same = {"same/a.png": "x", "same/b.png": "y"}
    (tmp_path / "same.csv").write_text("path,label\n" + "".join(f"{path},{k}\n" for path, k in same.items()))
    augment(tmp_path / "same.csv", tmp_path / "rows.png", rows=2, columns=3)
    with Image.open(tmp_path / "rows.png") as image:
        pixels = np.asarray(image)
    half = (len(pixels) - 4) // 2
    assert np.array_equal(pixels[:half, :160], pixels[-half:, :160])  # the picture itself
    assert not np.array_equal(pixels[:half, 164:], pixels[-half:, 164:])


def test_of_one_picture(photos: Path, tmp_path: Path) -> None:
    augment(photos / "x" / "1.png", tmp_path / "sheet.jpg", rows=2, columns=3, policy="strong")
    views(tmp_path / "sheet.jpg", 2, 3)


def test_a_policy_of_ones_own(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps({"name": "mine", "turn": 5, "area": [0.5, 1]}))
    policy = policy_of(str(tmp_path / "mine.json"))
    assert (policy.name, policy.turn, policy.area) == ("mine", 5, (0.5, 1))
    augment(photos, tmp_path / "sheet.png", policy=str(tmp_path / "mine.json"), rows=1, columns=2)
    views(tmp_path / "sheet.png", 1, 2)


def test_a_policy_from_python(photos: Path, tmp_path: Path) -> None:
    assert policy_of({"turn": 5}) == policy_of(Policy(turn=5)) == Policy(turn=5)
    augment(photos, tmp_path / "sheet.png", policy={"turn": 5}, rows=1, columns=2)
    with pytest.raises(UsageError, match="a policy has no 'trun'"):
        policy_of({"trun": 5})


def test_digits_are_not_mirrored(photos: Path, tmp_path: Path) -> None:
    assert may_mirror(read(photos))
    for name in "abc78":
        shutil.copytree(photos / "x", tmp_path / "characters" / name)
    assert not may_mirror(read(tmp_path / "characters"))
    assert not may_mirror(read("digits"))
    (tmp_path / "mirror.json").write_text(json.dumps({"mirror": 1.0}))
    for name, mirror in (("as", None), ("never", False), ("asked", True)):
        augment(
            "digits", tmp_path / f"{name}.png", policy=str(tmp_path / "mirror.json"), mirror=mirror, rows=2, columns=3
        )
    kept, never, asked = ((tmp_path / f"{name}.png").read_bytes() for name in ("as", "never", "asked"))
    assert kept == never
    assert kept != asked


REFUSED = [
    ({"policy": "lihgt"}, UsageError, "there is no policy 'lihgt'.*Did you mean 'light'"),
    ({"policy": "nowhere.json"}, UsageError, "nowhere.json: the policy cannot be read"),
    ({"out": "sheet.webp"}, UsageError, "the name must end with .png or .jpg"),
    ({"out": "no/where/sheet.png"}, UsageError, "the picture cannot be written"),
    ({"rows": 40, "columns": 40}, UsageError, "40 x 40 views: there must be 1 to 1,000"),
    ({"rows": 0}, UsageError, "0 x 2 views"),
    ({"rows": 420, "columns": 1}, UsageError, "up to 399 on a side"),
    ({"source": "photos/x/1.png", "out": "photos/x/1.png"}, UsageError, "and no picture of views"),
    ({"out": "photos/sheet.png"}, UsageError, "lies in photos"),
    ({"source": "nowhere.png"}, ImageError, "does not exist"),
    ({"source": "nowhere"}, DataError, "there is no such file or folder"),
]


@pytest.mark.parametrize(("changes", "error", "message"), REFUSED)
def test_refused(
    changes: dict[str, object], error: type[Exception], message: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    given = {"source": "photos", "out": "sheet.png", "rows": 1, "columns": 2} | changes
    with pytest.raises(error, match=message):
        augment(given.pop("source"), given.pop("out"), **given)  # type: ignore[arg-type]
    assert [path.name for path in photos.parent.iterdir()] == ["photos"]
