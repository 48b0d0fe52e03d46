"""What the ladder is given: pictures that cannot be read, classes of different sizes, a test part that waits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mirada.data import Sample
from mirada.learn import train

pytestmark = pytest.mark.usefixtures("a_little_network")


def test_images_that_cannot_be_read_are_left_out(make_textures: Callable[[Path, int], Path], tmp_path: Path) -> None:
    """Also where the view is chosen: there are enough images in val for that."""
    for part, count in (("train", 5), ("val", 9)):
        root = make_textures(tmp_path / "data" / part, count)
        for name in ("checks/01.png", "stripes/03.png"):
            file = root / name
            file.write_bytes(file.read_bytes()[:100])
    model = train(tmp_path / "data", retrain=1)
    assert len(model.training["unreadable"]) == 4
    assert model.training["preparations_tried"]
    assert [rung["val"]["images"] for rung in model.training["rungs"]] == [25, 25]


def test_a_val_part_that_cannot_be_read(make_textures: Callable[[Path, int], Path], tmp_path: Path) -> None:
    make_textures(tmp_path / "data" / "train", 5)
    for file in make_textures(tmp_path / "data" / "val", 1).rglob("*.png"):
        file.write_bytes(b"")
    model = train(tmp_path / "data")
    assert [(rung["name"], rung["val"]) for rung in model.training["rungs"]] == [("head", None)]
    assert "No validation image can be read: only the head was trained." in model.training["notes"]


def test_classes_of_very_different_sizes_count_alike(
    make_textures: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    root = make_textures(tmp_path / "some", 16)
    for number in range(4, 16):
        (root / "dots" / f"{number:02}.png").unlink()
    notes = train(root, retrain="head").training["notes"]
    assert any("so that all classes count alike" in note for note in notes)


def test_the_test_images_are_looked_at_once_at_the_end(textures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    original = Sample.image

    def image(self: Sample) -> Any:
        looked.append(self.key)
        return original(self)

    monkeypatch.setattr(Sample, "image", image)
    stages: list[str] = []

    def progress(name: str, done: int, total: int | None, note: str = "") -> None:
        if not stages or stages[-1] != name:
            stages.append(name)
            looked.append(f"stage {name}")

    model = train(textures, retrain="head", seed=11, progress=progress)
    assert model.manifest is not None
    test = {entry.key for entry in model.manifest.parts["test"]}
    places = [i for i, key in enumerate(looked) if key in test]
    assert len(places) == len(test) == 6
    assert min(places) > looked.index("stage solving for the head")
