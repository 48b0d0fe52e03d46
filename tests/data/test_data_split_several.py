"""Splits of data sets with boxes, masks and several labels, and splits by groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from annotated import coco, draw, write_json, write_mask
from PIL import Image

from mirada.data import Dataset, Split, read, read_manifest, split, verify, write_manifest
from mirada.data.manifest import Changes
from mirada.errors import DataError

Tree = Callable[[Iterable[str]], Path]
Make = Callable[[Path], Dataset]

COUNT = 60


def picture(path: Path, number: int) -> Path:
    """A picture of its own for each number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8, 3), (number, 7 * number % 256, 90), np.uint8)).save(path)
    return path


def which(number: int) -> list[int]:
    """The classes of a picture: 0 in all but a fifth, 1 in a third, 2 in a tenth."""
    return [c for c, has in enumerate((number % 5 > 0, number % 3 == 0, number % 10 == 0)) if has]


def boxes(root: Path) -> Dataset:
    content = coco([f"{i:02}.png" for i in range(COUNT)])
    content["annotations"] = [
        {"image_id": i + 1, "category_id": c, "bbox": [c, c, 2, 2]} for i in range(COUNT) for c in which(i)
    ]
    content["categories"] = [{"id": c, "name": f"c{c}"} for c in range(3)]
    for i in range(COUNT):
        picture(root / f"{i:02}.png", i)
    write_json(root / "labels.json", content)
    return read(root)


def masks(root: Path) -> Dataset:
    for i in range(COUNT):
        picture(root / "images" / f"{i:02}.png", i)
        values = np.full((6, 8), 255)
        for c in which(i):
            values[c] = c
        write_mask(root / "masks" / f"{i:02}.png", values)
    return read(root)


def labels(root: Path) -> Dataset:
    rows = ["path,tags"]
    for i in range(COUNT):
        picture(root / f"{i:02}.png", i)
        rows.append(f"{i:02}.png,{'|'.join(f'c{c}' for c in which(i))}")
    (root / "t.csv").write_text("\n".join(rows))
    return read(root / "t.csv")


@pytest.mark.parametrize("make", [boxes, masks, labels])
def test_each_class_is_in_each_part_by_its_fraction(tmp_path: Path, make: Make) -> None:
    dataset = make(tmp_path)
    drawn = split(dataset, seed=4)
    assert sorted(i for part in drawn.parts.values() for i in part) == list(range(COUNT))
    sizes = np.array([48, 20, 6])
    for indices, fraction in ((drawn.train, 0.65), (drawn.val, 0.15), (drawn.test, 0.2)):
        assert abs(len(indices) - COUNT * fraction) <= 1
        counts = np.bincount([c for i in indices for c in dataset.samples[i].class_ids], minlength=3)
        assert np.abs(counts - sizes * fraction).max() <= 1
    assert drawn.notes == ()
    assert split(dataset, seed=4) == drawn
    assert split(dataset, seed=5).parts != drawn.parts
    backwards = Dataset("", None, "", dataset.class_names, dataset.samples[::-1], (), dataset.task)
    assert keys(backwards, split(backwards, seed=4), "val") == keys(dataset, drawn, "val")


def keys(dataset: Dataset, drawn: Split, part: str) -> frozenset[str]:
    return frozenset(dataset.samples[i].key for i in drawn.parts[part])  # type: ignore[index]


@pytest.mark.parametrize("make", [boxes, masks, labels])
def test_copies_stay_together(tmp_path: Path, make: Make) -> None:
    dataset = make(tmp_path)
    copied = {"07": "01", "08": "02", "09": "03", "11": "01"}  # of the same classes
    for new, old in copied.items():
        found = next(s.path for s in dataset.samples if s.path is not None and s.path.stem == old)
        found.with_stem(new).write_bytes(found.read_bytes())
    for seed in range(4):
        drawn = split(dataset, seed=seed)
        part_of = {Path(dataset.samples[i].key).stem: part for part, every in drawn.parts.items() for i in every}
        assert all(part_of[new] == part_of[old] for new, old in copied.items())
        assert len(drawn.notes) == 1
        assert drawn.notes[0].startswith("Images that are there more than once, byte for byte: 7, such as ")


def test_copies_with_other_boxes_stay_in_train(tmp_path: Path) -> None:
    dataset = boxes(tmp_path)
    (tmp_path / "05.png").write_bytes((tmp_path / "06.png").read_bytes())  # 5 has no object, 6 two
    for seed in range(6):
        drawn = split(dataset, seed=seed)
        assert {5, 6} <= set(drawn.train)
        assert drawn.notes[1] == (
            "Pictures of whose copies different things are said: 1, such as '05.png', '06.png'. "
            "They stay in train: correct one of the copies."
        )


def test_parts_that_are_given_are_kept(tmp_path: Path) -> None:
    for i in range(40):
        picture(tmp_path / ("train" if i < 30 else "val") / f"{i:02}.png", i)
    for part, numbers in (("train", range(30)), ("val", range(30, 40))):
        content = coco([f"{i:02}.png" for i in numbers])
        content["categories"] += [{"id": 2, "name": "dog"}]
        content["annotations"][0]["category_id"] = 2 if part == "val" else 1
        write_json(tmp_path / part / "labels.json", content)
    dataset = read(tmp_path)
    drawn = split(dataset)
    assert keys(dataset, drawn, "val") == {f"val/{i:02}.png" for i in range(30, 40)}
    assert len(drawn.test) == 6
    assert (drawn.fractions.val, drawn.fractions.test) == (None, 0.2)
    assert drawn.notes == (
        "Classes without an image in train: 1 of 2, 'dog'.",
        "Classes without an image in test: 1 of 2, 'dog'.",
    )


def grouped(tree: Tree, rows: Iterable[tuple[str, str]], header: str = "path,label,who") -> Dataset:
    """Images of a class and a group each."""
    listed = [(f"{i:03}_{who.partition(',')[0]}.png", name, who) for i, (name, who) in enumerate(rows)]
    root = tree(name for name, _, _ in listed)
    (root / "t.csv").write_text("\n".join([header, *(",".join(row) for row in listed)]))
    return read(root / "t.csv")


@pytest.mark.parametrize("group", ["who", r"_(p\d+)"])
def test_groups_stay_together(tree: Tree, group: str) -> None:
    rows = [("ab"[i % 2], f"p{i // 4 + 10}") for i in range(100)]
    dataset = grouped(tree, rows)
    for seed in range(4):
        drawn = split(dataset, seed=seed, group=group)
        sides = defaultdict(set)
        for part, indices in drawn.parts.items():
            for i in indices:
                sides[dataset.samples[i].cells["who"]].add(part)
        assert len(sides) == 25
        assert all(len(parts) == 1 for parts in sides.values())
        assert {part: len(indices) for part, indices in drawn.parts.items()} == {"train": 64, "val": 16, "test": 20}
        for indices in drawn.parts.values():
            names = [label.name for i in indices if (label := dataset.samples[i].label) is not None]
            assert names.count("a") == names.count("b")
        assert drawn.notes == ()
    assert split(dataset, seed=1, group=group) == split(dataset, seed=1, group=group)


def test_pictures_of_no_group_and_groups_that_the_source_has_torn(tree: Tree) -> None:
    rows = [("ab"[i % 2], f"p{i // 5}" if i % 5 else "") for i in range(40)]
    dataset = grouped(tree, rows)
    assert split(dataset, group="who").notes == (
        "Images of no group (8): '000_.png', '005_.png', '010_.png', '015_.png', '020_.png' and 3 more. "
        "Each is divided by itself.",
    )
    rows = [("ab"[i % 2], f"p{i // 4},{'test' if i % 8 > 5 else 'train'}") for i in range(40)]
    torn = grouped(tree, [(name, who) for name, who in rows], "path,label,who,split")
    assert split(torn, group="who").notes == (
        "Groups that the source has put into several parts (5): 'p1', 'p3', 'p5', 'p7', 'p9'.",
    )


NEEDED = "At least two different ones are needed: add images, or remove the class."


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([("a", "1"), ("a", "2"), ("b", "3"), ("b", "3"), ("a", "3")], "2 images to learn from, but all of one group"),
        ([("a", "1"), ("a", "2"), ("b", "1")], "only one image to learn from, '002_1.png'"),
    ],
)
def test_a_class_of_one_group_cannot_be_divided(tree: Tree, rows: list[tuple[str, str]], found: str) -> None:
    dataset = grouped(tree, rows)
    with pytest.raises(DataError) as caught:
        split(dataset, group="who")
    assert str(caught.value) == f"{dataset.where}: the class 'b' has {found}. {NEEDED}"
    if len(rows) == 5:
        assert len(split(dataset, group="who", val=0, test=0).train) == 5  # nothing is to be divided


def test_boxes_that_are_all_of_one_group_cannot_be_divided(tmp_path: Path) -> None:
    dataset = boxes(tmp_path)
    with pytest.raises(DataError) as caught:
        split(dataset, group="png")
    assert str(caught.value) == (
        f"{tmp_path}: there is nothing to divide: images to learn from: 60, all copies of one, or of one group. "
        "Add images."
    )


def changed(tmp_path: Path, make: Make, change: Callable[[Path], None]) -> Changes:
    """What a manifest notices of a change."""
    root = tmp_path / "set"
    write_manifest(split(make(root)).manifest, tmp_path / "split.json")
    place = root / "t.csv" if make is labels else root
    manifest = read_manifest(tmp_path / "split.json")
    assert not verify(read(place), manifest)
    change(root)
    return verify(read(place), manifest)


def edited(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / name).read_text()
        assert text.count(old) >= 1
        (root / name).write_text(text.replace(old, new, 1))

    return change


def draw_more(root: Path) -> None:
    values = np.zeros((6, 8), np.uint8)
    values[5, 5] = 1
    write_mask(root / "masks" / "07.png", values)


@pytest.mark.parametrize(
    ("make", "change", "key"),
    [
        (boxes, edited("labels.json", '"image_id": 2, "category_id": 0, "bbox": [0, 0, 2, 2]',
                       '"image_id": 2, "category_id": 0, "bbox": [0, 0, 2, 2.5]'), "01.png"),
        (boxes, edited("labels.json", '"image_id": 2, "category_id": 0', '"image_id": 2, "category_id": 1'), "01.png"),
        (boxes, edited("labels.json", '"image_id": 2, "cat', '"iscrowd": 1, "image_id": 2, "cat'), "01.png"),
        (boxes, edited("labels.json", '"image_id": 2, "cat',
                       '"segmentation": [[0, 0, 2, 0, 2, 2]], "image_id": 2, "cat'), "01.png"),
        (masks, draw_more, "images/07.png"),
        (labels, edited("t.csv", "04.png,c0", "04.png,c0|c2"), "04.png"),
        (labels, edited("t.csv", "04.png,c0", "04.png,"), "04.png"),
    ],
)  # fmt: skip
def test_a_manifest_notices_what_is_said_otherwise(
    tmp_path: Path, make: Make, change: Callable[[Path], None], key: str
) -> None:
    assert changed(tmp_path, make, change) == Changes((), (), (key,))


def test_a_manifest_notices_a_class_of_another_name(tmp_path: Path) -> None:
    found = changed(tmp_path, boxes, edited("labels.json", '"name": "c2"', '"name": "c9"'))
    assert found == Changes((), (), tuple(f"{i:02}.png" for i in range(0, COUNT, 10)))
    classes = tmp_path / "2" / "set" / "classes.txt"
    classes.parent.mkdir(parents=True)
    classes.write_text("c0\nc1\nc2\n")
    found = changed(tmp_path / "2", masks, edited("classes.txt", "c2", "c9"))
    assert found == Changes((), (), tuple(f"images/{i:02}.png" for i in range(0, COUNT, 10)))


def test_a_new_class_elsewhere_changes_nothing_here(tmp_path: Path) -> None:
    def add(root: Path) -> None:
        edited("labels.json", '"name": "c2"}', '"name": "c2"}, {"id": 7, "name": "aa"}')(root)
        edited("labels.json", '"images": [', '"images": [{"id": 99, "file_name": "99.png"}, ')(root)
        edited(
            "labels.json",
            '"annotations": [',
            '"annotations": [{"image_id": 99, "category_id": 7, "bbox": [0, 0, 1, 1]}, ',
        )(root)
        draw(root / "99.png")

    assert changed(tmp_path, boxes, add) == Changes((), ("99.png",), ())  # though all class ids have moved
