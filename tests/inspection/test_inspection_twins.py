"""The same picture twice: planted copies are found, and different pictures are not called the same."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mirada.data import Dataset, read
from mirada.inspection.glance import Glance, glance
from mirada.inspection.proposals import proposed
from mirada.inspection.twins import twin_findings, twins


def _mirrored(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image[:, ::-1])


def _enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)


def _smaller(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)


def _cut(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image[5:175, 28:198]


def _darker(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (image * 0.7).astype(np.uint8)


def _lighter(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.clip(image * 1.3, 0, 255).astype(np.uint8)


WAYS = {
    "mirrored": _mirrored,
    "twice as large": _enlarged,
    "half as large": _smaller,
    "cut": _cut,
    "darker": _darker,
    "lighter": _lighter,
    "compressed": lambda image: image,
    "several": lambda image: _mirrored(_darker(_cut(image))),
}


def saved(root: Path, pictures: dict[str, NDArray[np.uint8]], quality: int = 90) -> Dataset:
    """A data set of these files."""
    for name, picture in pictures.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(root / name, **({"quality": quality} if name.endswith("jpg") else {}))
    return read(root, is_learnt_from=False)


def found(dataset: Dataset) -> list[tuple[set[str], bool]]:
    groups = twins(dataset, [glance(sample) for sample in dataset.samples])
    return [({dataset.samples[place].key for place in group.places}, group.is_one_file) for group in groups]


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_is_found_and_nothing_else(way: str, cuts: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    pictures = {f"a/{number}.png": picture for number, picture in enumerate(cuts)}
    copies = {f"a/{number}-again.jpg": WAYS[way](cuts[number]) for number in (1, 4, 9)}
    dataset = saved(tmp_path, pictures | copies, quality=30 if way == "compressed" else 90)
    groups = found(dataset)
    assert {frozenset(keys) for keys, _ in groups} == {
        frozenset({f"a/{number}.png", f"a/{number}-again.jpg"}) for number in (1, 4, 9)
    }
    assert not any(is_one_file for _, is_one_file in groups)


def test_different_pictures_are_not_the_same(cuts: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    assert found(saved(tmp_path, {f"a/{number}.png": picture for number, picture in enumerate(cuts)})) == []


def test_equal_files_are_one_group_with_what_was_altered(cuts: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    pictures = {f"a/{number}.png": picture for number, picture in enumerate(cuts)}
    dataset = saved(tmp_path, pictures | {"b/copy.png": cuts[0], "b/dark.png": _darker(cuts[0]), "b/two.png": cuts[1]})
    assert found(dataset) == [({"a/1.png", "b/two.png"}, True), ({"a/0.png", "b/copy.png", "b/dark.png"}, False)]


def test_small_pictures_are_the_same_only_byte_for_byte(tmp_path: Path) -> None:
    """Two handwritten ones look alike: that is no copy."""
    digits = read("digits")
    assert len(digits) == 1_797
    glances = [glance(sample) for sample in digits.samples[:300]]
    assert proposed([each for each in glances if isinstance(each, Glance)]) == set()


def test_a_copy_is_proposed_whatever_else_there_is(cuts: list[NDArray[np.uint8]]) -> None:
    """Among 2,000 others."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (6, 6, 3), np.uint8) for _ in range(2_000)]
    others = [np.asarray(cv2.resize(each, (60, 60), interpolation=cv2.INTER_CUBIC), np.uint8) for each in noise]
    pictures = [*others, *cuts, *(_cut(cut) for cut in cuts)]
    glances = [_glance(picture) for picture in pictures]
    pairs = proposed(glances)
    first = len(others)
    assert all((first + i, first + len(cuts) + i) in pairs for i in range(len(cuts)))
    assert len(pairs) <= 5 * len(pictures)


def _glance(picture: NDArray[np.uint8]) -> Glance:
    from mirada.data import Sample

    found = glance(Sample("a", None, array=picture))
    assert isinstance(found, Glance)
    return found


def test_one_file_with_two_masks(tmp_path: Path, cuts: list[NDArray[np.uint8]]) -> None:
    for name in ("a", "b", "c"):
        for folder in ("images", "masks"):
            (tmp_path / folder).mkdir(exist_ok=True)
        Image.fromarray(cuts[0] if name < "c" else cuts[3]).save(tmp_path / "images" / f"{name}.png")
        mask = np.zeros(cuts[0].shape[:2], np.uint8)
        mask[5:20, 5 : 20 + 5 * (name == "b")] = 1
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.png")
    dataset = read(tmp_path)
    groups = twins(dataset, [glance(sample) for sample in dataset.samples])
    (finding,) = twin_findings(dataset, groups)
    assert (finding.kind, finding.items[0].said) == ("contradiction", "the same file, marked in two ways")


def test_what_copies_do(cuts: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    """One leaks from train to test, one stands under two classes, one is only there twice."""
    places = itertools.cycle(("train/x", "train/y"))
    pictures = {f"{next(places)}/{number}.png": picture for number, picture in enumerate(cuts)}
    planted = {
        "test/x/leak.png": _mirrored(cuts[0]),  # 0 is train/x
        "train/x/torn.png": cuts[1],  # 1 is train/y
        "train/x/again.png": _darker(cuts[2]),  # 2 is train/x
        "test/y/other.png": np.full((200, 200, 3), 30, np.uint8),
    }
    dataset = saved(tmp_path, pictures | planted)
    groups = twins(dataset, [glance(sample) for sample in dataset.samples])
    findings = {finding.kind: finding for finding in twin_findings(dataset, groups)}
    told = {kind: [set(item.keys) for item in finding.items] for kind, finding in findings.items()}
    assert told == {
        "leak": [{"train/x/0.png", "test/x/leak.png"}],
        "contradiction": [{"train/y/1.png", "train/x/torn.png"}],
        "copies": [{"train/x/2.png", "train/x/again.png"}],
    }
    assert [findings[kind].weight for kind in ("leak", "contradiction", "copies")] == ["mend", "mend", "look"]
    assert findings["contradiction"].items[0].said == "the same file, as x and as y"
    assert findings["leak"].items[0].said.endswith("sure, in test and train")
