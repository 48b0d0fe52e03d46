"""Damaged and hostile annotation files end in a MiradaError or in a data set that holds together, in nothing else."""

from __future__ import annotations

import copy
import json
import os
import random
import re
import shutil
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from annotated import coco, draw, write_json, write_mask, xml

from mirada.annotations import Boxes
from mirada.data import Dataset, Fault, convert, read, split
from mirada.data.conversion import FORMATS
from mirada.data.maskfile import MaskFile
from mirada.errors import DataError, MiradaError

SEEDS = 70  # for each of five kinds: 350 mutants

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 0.5, 10**6 + 1, 2**63, 10**400, 1e308, -1e308, 5e-324, float("nan"), float("inf"),
    "", " ", "0", "no", "cat", "a\0b", "a\nb", "../../../etc/passwd", "/dev/null", ".", "..", "x" * 5_000, "%s{}",
    "\u202e", "\ud800", "é" * 200, [], [[]], [[[[[[[]]]]]]], [1, 2, 3, 4], ["a"], {}, {"id": 1},
    {"size": [48, 64], "counts": "o" * 50},
]  # fmt: skip


def flipped(raw: bytes, rng: random.Random) -> bytes:
    """Some bytes are others."""
    changed = bytearray(raw)
    for _ in range(rng.randint(1, 6)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def cut(raw: bytes, rng: random.Random) -> bytes:
    """A piece is gone."""
    begin = rng.randrange(len(raw))
    return raw[:begin] + raw[begin + rng.randint(1, max(1, len(raw) // 3)) :]


def doubled(raw: bytes, rng: random.Random) -> bytes:
    """A piece stands in another place too."""
    begin, place = rng.randrange(len(raw)), rng.randrange(len(raw))
    return raw[:place] + raw[begin : begin + rng.randint(1, 80)] + raw[place:]


def another_value(content: Any, rng: random.Random) -> Any:
    """Lists and mappings with one value replaced, left out, or called otherwise."""
    content = copy.deepcopy(content)
    inner, steps = content, rng.randint(1, 5)
    while True:
        places = list(range(len(inner))) if isinstance(inner, list) else list(inner)
        if not places:
            return content
        place = rng.choice(places)
        steps -= 1
        if steps == 0 or not isinstance(inner[place], list | dict):
            break
        inner = inner[place]
    if rng.random() < 0.15:
        del inner[place]
    elif rng.random() < 0.1 and isinstance(inner, dict):
        inner[str(rng.choice(ODD))] = inner.pop(place)
    else:
        inner[place] = rng.choice(ODD)
    return content


def json_replaced(raw: bytes, rng: random.Random) -> bytes:
    return json.dumps(another_value(json.loads(raw), rng)).encode()


def yaml_replaced(raw: bytes, rng: random.Random) -> bytes:
    if not raw.startswith(b"train"):  # the labels: one word is another
        return words_replaced(raw, rng)
    return yaml.safe_dump(another_value(yaml.safe_load(raw), rng)).encode("utf-8", "replace")


def xml_replaced(raw: bytes, rng: random.Random) -> bytes:
    """The text of an element, or the name of one, is another."""
    text = raw.decode()
    match = rng.choice(list(re.finditer(r">([^<>]+)<|<(\w+)>", text)))
    group = 1 if match.group(1) else 2
    odd = str(rng.choice(ODD)).encode("utf-8", "replace").decode()
    return (text[: match.start(group)] + odd + text[match.end(group) :]).encode()


def words_replaced(raw: bytes, rng: random.Random) -> bytes:
    """A word between commas, spaces or ends of lines is another."""
    match = rng.choice(list(re.finditer(rb"[^,\s]+", raw)))
    odd = rng.choice([str(each).encode("utf-8", "replace") for each in ODD])
    return raw[: match.start()] + odd + raw[match.end() :]


def coco_set(root: Path) -> list[Path]:
    for name in ("a.png", "b.png"):
        draw(root / "images" / name)
    content = coco()
    content["annotations"][0]["segmentation"] = [[10, 20, 40, 20, 40, 25]]
    runs, text = {"size": [48, 64], "counts": [100, 20, 2952]}, {"size": [48, 64], "counts": "T3d0Xl2"}
    content["annotations"] += [
        {"image_id": 2, "category_id": 1, "segmentation": runs, "iscrowd": 1},
        {"image_id": 2, "category_id": 2, "bbox": [1.5, 2, 3, 4], "segmentation": text},
    ]
    content["categories"].append({"id": 2, "name": "dog", "supercategory": "animal"})
    content |= {
        "info": {"year": 2017, "version": "1.0", "url": "cocodataset.org"},
        "licenses": [{"id": 1, "name": "by"}],
    }
    for image in content["images"]:
        image |= {"license": 1, "flickr_url": "", "coco_url": "", "date_captured": "2013-11-14 11:18:45"}
    for number, row in enumerate(content["annotations"], 1):
        row |= {"id": number, "area": 150.0, "attributes": {"occluded": False}}
    return [write_json(root / "annotations" / "instances.json", content)]


def voc_set(root: Path) -> list[Path]:
    head = "<filename>a.png</filename><size><width>64</width><height>48</height></size>"
    for stem in ("a", "b", "c"):
        draw(root / "JPEGImages" / f"{stem}.png")
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{stem}.xml").write_text(xml([("cat", (1, 2, 3, 4)), ("dog", (5, 6, 7, 8))], head))
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\n")
    (lists / "val.txt").write_text("c\n")
    return [root / "Annotations" / "a.xml", root / "Annotations" / "b.xml", lists / "train.txt"]


def yolo_set(root: Path) -> list[Path]:
    for name in ("train/a", "train/b", "val/c"):
        draw(root / "images" / f"{name}.png")
        labels = root / "labels" / f"{name}.txt"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text("0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.9 0.1 0.5 0.75\n")
    (root / "data.yaml").write_text("train: images/train\nval: [images/val]\nnames: {0: cat, 1: dog}\n")
    return [root / "data.yaml", root / "labels" / "train" / "a.txt"]


def csv_set(root: Path) -> list[Path]:
    rows = ["path,labels,split,who"]
    for number in range(6):
        draw(root / f"{number}.png")
        rows.append(f"{number}.png,{'cat;dog' if number % 2 else 'dog'},{'train' if number < 4 else 'val'},p{number}")
    (root / "pets.csv").write_text("\n".join(rows))
    return [root / "pets.csv"]


def mask_set(root: Path) -> list[Path]:
    for number in range(3):
        draw(root / "images" / f"{number}.png", (9, 7))
        values = np.add.outer(np.arange(7), np.arange(9)) % (number + 2)
        write_mask(root / "masks" / f"{number}.png", values, ("L", "P", "I;16")[number])
    (root / "classes.txt").write_text("road\ntree\nsky\ncar\n")
    return [root / "masks" / f"{number}.png" for number in range(3)] + [root / "classes.txt"]


Make = Callable[[Path], list[Path]]
Mutate = Callable[[bytes, random.Random], bytes]
KINDS: dict[str, tuple[Make, Mutate, str]] = {
    "COCO": (coco_set, json_replaced, ""),
    "Pascal VOC": (voc_set, xml_replaced, ""),
    "YOLO": (yolo_set, yaml_replaced, ""),
    "CSV": (csv_set, words_replaced, "pets.csv"),
    "masks": (mask_set, doubled, ""),
}


def mutated(file: Path, replaced: Mutate, rng: random.Random) -> None:
    mutate = rng.choice([flipped, cut, doubled, replaced, replaced, replaced])
    if mutate is xml_replaced and file.suffix == ".txt":
        mutate = words_replaced
    file.write_bytes(mutate(file.read_bytes(), rng))


def holds_together(dataset: Dataset, scratch: Path) -> None:
    """What every data set must be; and it can be divided and written, or it is said why not."""
    assert len({sample.key for sample in dataset.samples}) == len(dataset) > 0
    for sample in dataset.samples:
        assert all(0 <= class_id < len(dataset.class_names) for class_id in sample.class_ids)
        if isinstance(sample.truth, Boxes):
            assert np.isfinite(sample.truth.boxes_xyxy).all()
            assert np.abs(sample.truth.boxes_xyxy).max(initial=0) < 1e7
        if isinstance(sample.truth, MaskFile):
            assert sample.truth.read().class_ids.max() < len(dataset.class_names)
    for name in FORMATS:
        try:
            convert(dataset, scratch / name, name)
        except MiradaError:
            assert not (scratch / name).exists()
        else:
            assert len(read(scratch / name)) == len(dataset)
    try:
        divided = split(dataset)
    except MiradaError:
        return
    assert sorted(i for part in divided.parts.values() for i in part) == list(range(len(dataset)))


def faults_of(place: Path) -> tuple[Fault, ...]:
    """What is left out where all that cannot be understood is to be named; where nothing can be read, nothing is."""
    try:
        dataset = read(place, is_learnt_from=False, may_be_broken=True)
    except MiradaError:
        return ()
    assert len({sample.key for sample in dataset.samples}) == len(dataset)
    return dataset.faults


@pytest.mark.parametrize("kind", KINDS)
def test_mutants_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    make, replaced, given = KINDS[kind]
    refusals: list[str] = []
    first_faults: list[str | None] = []
    read_ones: list[int] = []
    for seed in range(SEEDS):
        rng = random.Random(f"{kind} {seed}")
        root = tmp_path / "set"
        files = make(root)
        assert read(root / given).kind == kind
        mutated(rng.choice(files), replaced, rng)
        try:
            faults = faults_of(root / given)
            dataset = read(root / given)
        except MiradaError as error:
            refusals.append(str(error))
            first_faults.append(faults[0].said if faults else None)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        else:
            read_ones.append(seed)
            assert not faults
            holds_together(dataset, tmp_path / "scratch")
        shutil.rmtree(root)
        shutil.rmtree(tmp_path / "scratch", ignore_errors=True)
    assert len(refusals) + len(read_ones) == SEEDS
    assert all(said in (None, refusal) for said, refusal in zip(first_faults, refusals, strict=True))
    assert min(len(refusals), len(read_ones)) >= 5
    assert [message for message in refusals if not message.startswith(str(tmp_path))] == []


def nested(depth: int) -> str:
    return json.dumps(coco()).replace("[10, 20, 30, 5]", "[" * depth + "]" * depth)


@pytest.mark.parametrize("depth", [5, 300, 900, 960, 985, 995, 1_000, 100_000])
def test_nested_json(tmp_path: Path, depth: int) -> None:
    coco_set(tmp_path)
    (tmp_path / "annotations" / "instances.json").write_text(nested(depth))
    with pytest.raises(DataError, match=r"bbox must be|this is not JSON"):
        read(tmp_path)


def test_nested_yaml(tmp_path: Path) -> None:
    yolo_set(tmp_path)
    for depth in (50, 100_000):
        (tmp_path / "data.yaml").write_text(f"train: images/train\nnames: {'[' * depth}{']' * depth}\n")
        with pytest.raises(DataError, match=r"names: class 0 must have a name|this is not YAML"):
            read(tmp_path)


def test_nested_xml(tmp_path: Path) -> None:
    voc_set(tmp_path)
    deep = "<a>" * 200_000 + "</a>" * 200_000
    (tmp_path / "Annotations" / "a.xml").write_text(f"<annotation>{deep}</annotation>")
    assert len(read(tmp_path)) == 3


@pytest.mark.parametrize(
    "name",
    ["/dev/zero", "/etc/passwd", "a.png/../b.png/x", "x" * 300 + ".png", "\ud800.png", "a\nb.png", "../../x.png", "."],
)
def test_names_of_files_that_lead_nowhere(tmp_path: Path, name: str) -> None:
    coco_set(tmp_path / "1")
    content = json.loads((tmp_path / "1" / "annotations" / "instances.json").read_text())
    content["images"][0]["file_name"] = name
    write_json(tmp_path / "1" / "annotations" / "instances.json", content)
    csv_set(tmp_path / "2")
    text = (tmp_path / "2" / "pets.csv").read_text().replace("3.png", f'"{name}"')
    (tmp_path / "2" / "pets.csv").write_bytes(text.encode("utf-8", "replace"))
    yolo_set(tmp_path / "3")
    (tmp_path / "3" / "data.yaml").write_text(f"train: {json.dumps(name)}\nval: images/val\nnames: [cat, dog]\n")
    voc_set(tmp_path / "4")
    (tmp_path / "4" / "JPEGImages" / "a.png").unlink()
    text = xml(head=f"<filename>{name.encode('utf-8', 'replace').decode()}</filename>")
    (tmp_path / "4" / "Annotations" / "a.xml").write_text(text)
    leads_somewhere = {("3", "."), ("2/pets.csv", "/etc/passwd"), ("3", "/etc/passwd")}  # a folder, and a file
    for place in ("1", "2/pets.csv", "3", "4"):
        if (place, name) in leads_somewhere:
            continue
        with pytest.raises(DataError) as caught:
            read(tmp_path / place)
        assert str(tmp_path / place.split("/")[0]) in str(caught.value)


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    seen: list[str] = []
    for number, make in enumerate((coco_set, voc_set, yolo_set, mask_set)):
        root = tmp_path / str(number)
        for file in make(root):
            text = file.read_bytes()
            file.unlink()
            os.mkfifo(file)
            try:
                seen.append(read(root).kind)
            except DataError as error:
                seen.append(str(error))
            file.unlink()
            file.write_bytes(text)


@pytest.mark.parametrize("which", [0, 1])
def test_files_of_absurd_size(tmp_path: Path, which: int) -> None:
    file = yolo_set(tmp_path)[which]
    with file.open("ab") as opened:
        opened.truncate(1 << 40)  # a file with a hole: it takes no room
    with pytest.raises(DataError) as caught:
        read(tmp_path / "data.yaml")
    most = (1 << 20, 16 << 20)[which]
    assert str(caught.value) == f"{file}: the file has {1 << 40:,} bytes, more than the {most:,} that are read."


def test_a_mask_that_says_it_is_huge(tmp_path: Path) -> None:
    file = mask_set(tmp_path)[0]
    raw = bytearray(file.read_bytes())
    raw[16:24] = (60_000).to_bytes(4, "big") * 2
    raw[29:33] = zlib.crc32(raw[12:29]).to_bytes(4, "big")
    file.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert str(caught.value) == (
        f"{file}: the mask cannot be read: it is 3,600,000,000 pixels, more than the limit of 100,000,000."
    )


@pytest.mark.parametrize("names", [["cat\nsplit: evil", "dog"], ["cat: [", "#dog"], ["- cat", "{dog}"]])
def test_names_of_classes_that_look_like_text_of_the_format(tmp_path: Path, names: Iterable[str]) -> None:
    coco_set(tmp_path / "set")
    file = tmp_path / "set" / "annotations" / "instances.json"
    content = json.loads(file.read_text())
    content["categories"] = [{"id": i, "name": name} for i, name in enumerate(names, 1)]
    write_json(file, content)
    dataset = read(tmp_path / "set")
    assert dataset.class_names == tuple(sorted(names))
    for to in ("coco", "voc", "yolo"):
        if any("\n" in name for name in names):
            with pytest.raises(DataError, match="cannot be written: take odd characters out of its name"):
                convert(dataset, tmp_path / to, to)
        else:
            convert(dataset, tmp_path / to, to)
            assert read(tmp_path / to).class_names == dataset.class_names
