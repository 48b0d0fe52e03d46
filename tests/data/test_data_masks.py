from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from annotated import draw, write_mask
from PIL import Image

from mirada.annotations import Mask
from mirada.data import Dataset, read
from mirada.data.maskfile import MaskFile, mask_values, numbers_in
from mirada.errors import DataError

ROWS = [[0, 1, 1], [2, 0, 255]]


def masked(root: Path, *masks: object, mode: str = "L", images: str = "images", folder: str = "masks") -> Path:
    """A folder of images 0.png, 1.png, ... and their masks."""
    for number, values in enumerate(masks):
        draw(root / images / f"{number}.png", (3, 2))
        write_mask(root / folder / f"{number}.png", values, mode)
    return root


def truth_of(dataset: Dataset, place: int = 0) -> MaskFile:
    truth = dataset.samples[place].truth
    assert isinstance(truth, MaskFile)
    return truth


def class_ids(dataset: Dataset, place: int = 0) -> list[list[int]]:
    mask = truth_of(dataset, place).read()
    assert isinstance(mask, Mask)
    assert mask.ignore_id == -1
    return mask.class_ids.tolist()


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_the_numbers_are_classes(tmp_path: Path, mode: str) -> None:
    root = masked(tmp_path / "set", ROWS, [[1, 1, 1], [1, 1, 1]], mode=mode)
    with Image.open(root / "masks" / "0.png") as image:
        assert image.mode == mode
    dataset = read(root)
    assert (dataset.name, dataset.root, dataset.kind, dataset.task) == ("set", root, "masks", "segment")
    assert dataset.class_names == ("0", "1", "2")
    assert class_ids(dataset) == [[0, 1, 1], [2, 0, -1]]
    assert [sample.class_ids for sample in dataset.samples] == [(0, 1, 2), (1,)]
    assert [(sample.key, sample.part) for sample in dataset.samples] == [("images/0.png", None), ("images/1.png", None)]
    assert dataset.notes == ()


@pytest.mark.parametrize("number", [255, 256, 700, 65535])
def test_numbers_of_16_bits(tmp_path: Path, number: int) -> None:
    dataset = read(masked(tmp_path, [[0, number, 3], [0, 0, 0]], mode="I;16"))
    is_ignored = number == 255
    assert dataset.class_names == (("0", "3") if is_ignored else ("0", "3", str(number)))
    assert class_ids(dataset)[0] == [0, -1 if is_ignored else 2, 1]


def test_names_are_sorted_by_number(tmp_path: Path) -> None:
    dataset = read(masked(tmp_path, [[10, 9, 2], [10, 9, 2]]))
    assert dataset.class_names == ("2", "9", "10")
    assert class_ids(dataset)[0] == [2, 1, 0]


def test_a_file_names_the_classes(tmp_path: Path) -> None:
    root = masked(tmp_path, ROWS)
    (root / "classes.txt").write_bytes(b"\xef\xbb\xbfroad\r\n tree \r\nsky\r\ncar\r\n\r\n")
    dataset = read(root)
    assert dataset.class_names == ("road", "tree", "sky", "car")
    assert class_ids(dataset) == [[0, 1, 1], [2, 0, -1]]


def test_255_is_a_class_where_it_has_a_name(tmp_path: Path) -> None:
    root = masked(tmp_path, ROWS)
    (root / "classes.txt").write_text("\n".join(f"c{i}" for i in range(256)))
    assert class_ids(read(root))[1] == [2, 0, 255]


@pytest.mark.parametrize("rows", [[[0, 255, 255], [0, 0, 0]], [[255, 255, 255], [255, 255, 255]]])
def test_black_and_white_are_background_and_object(tmp_path: Path, rows: list[list[int]]) -> None:
    dataset = read(masked(tmp_path, rows))
    assert dataset.class_names == ("background", "object")
    assert class_ids(dataset) == [[value // 255 for value in row] for row in rows]


def test_one_class_alone(tmp_path: Path) -> None:
    assert read(masked(tmp_path, [[0, 0, 0], [0, 0, 0]])).class_names == ("0",)


def png(bits: int, rows: list[list[int]]) -> bytes:
    """A grey PNG of few bits, put together by hand (PNG, third edition, 7.2): Pillow writes none of 2 or 4 bits."""
    packed = b""
    for row in rows:
        text = "".join(f"{value:0{bits}b}" for value in row)
        text = text.ljust(-(-len(text) // 8) * 8, "0")
        packed += b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), bits, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(packed)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_of_few_bits_keeps_its_numbers(tmp_path: Path, bits: int) -> None:
    rows = [[0, 1, 2**bits - 1], [1, 0, min(2, 2**bits - 1)]]
    (tmp_path / "a.png").write_bytes(png(bits, rows))
    assert mask_values(tmp_path / "a.png").tolist() == rows


def test_a_palette_keeps_its_numbers_whatever_its_colours(tmp_path: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putdata([3, 0, 1])
    image.putpalette([9, 9, 9] * 4)
    image.save(tmp_path / "a.png", bits=2)
    assert mask_values(tmp_path / "a.png").tolist() == [[3, 0, 1]]
    assert numbers_in(tmp_path / "a.png") == (0, 1, 3)


def test_grey_that_is_stored_as_colours(tmp_path: Path) -> None:
    grey = np.array(ROWS, np.uint8)
    for mode in ("RGB", "RGBA", "LA"):
        Image.fromarray(grey).convert(mode).save(tmp_path / f"{mode}.png")
        assert mask_values(tmp_path / f"{mode}.png").tolist() == ROWS


LAYOUTS = [
    ({"train": ("train/images", "train/masks"), "val": ("val/images", "val/masks")}),
    ({"train": ("images/train", "masks/train"), "test": ("images/test", "masks/test")}),
    ({"train": ("images/training", "annotations/training"), "val": ("images/validation", "annotations/validation")}),
    ({"train": ("Train/Image", "Train/GT"), "val": ("Valid/imgs", "Valid/mask")}),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts(tmp_path: Path, layout: dict[str, tuple[str, str]]) -> None:
    for number, (images, masks) in enumerate(layout.values()):
        masked(tmp_path, [[0, number, 1], [0, 0, 0]], images=images, folder=masks)
    dataset = read(tmp_path)
    assert [(sample.part, sample.key) for sample in dataset.samples] == [
        (part, f"{images}/0.png") for part, (images, _) in layout.items()
    ]


def test_the_layout_of_voc(tmp_path: Path) -> None:
    rows = [[0, 1, 1], [0, 0, 255]]
    root = masked(tmp_path, rows, rows, rows, mode="P", images="JPEGImages", folder="SegmentationClass")
    draw(root / "JPEGImages" / "unlabelled.png")
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("1\n")
    (lists / "val.txt").write_text("0\nunlabelled\n")
    dataset = read(root)
    assert [(sample.key, sample.part) for sample in dataset.samples] == [
        ("JPEGImages/1.png", "train"),
        ("JPEGImages/0.png", "val"),
    ]
    assert dataset.notes == (
        "Images without a mask were left out (1): 'JPEGImages/unlabelled.png'.",
        "Images that no list names were left out (1): 'JPEGImages/2.png'.",
    )
    (lists / "train.txt").write_text("x\n")
    (lists / "val.txt").write_text("y\n")
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == (f"{lists}: none of the images that it lists has a mask in {root}/SegmentationClass.")


def test_names_of_masks_that_say_so(tmp_path: Path) -> None:
    for stem in ("a", "b", "b_mask", "deep/c"):
        draw(tmp_path / "images" / f"{stem}.jpg", (3, 2))
    for stem in ("a_mask", "b", "b_mask", "deep/c_gt"):
        write_mask(tmp_path / "masks" / f"{stem}.png", ROWS)
    dataset = read(tmp_path)
    found = {sample.key: truth_of(dataset, i).path.name for i, sample in enumerate(dataset.samples)}
    assert found == {
        "images/a.jpg": "a_mask.png",
        "images/b.jpg": "b.png",
        "images/b_mask.jpg": "b_mask.png",
        "images/deep/c.jpg": "c_gt.png",
    }


def test_what_has_no_partner_is_said(tmp_path: Path) -> None:
    root = masked(tmp_path, ROWS)
    draw(root / "images" / "x.png")
    write_mask(root / "masks" / "y.png", ROWS)
    write_mask(root / "masks" / ".hidden.png", ROWS)
    assert read(root).notes == (
        "Images without a mask were left out (1): 'images/x.png'.",
        "Masks without an image were left out (1): 'masks/y.png'.",
        f"'{root}/masks/.hidden.png' was not read: it is hidden.",
    )


def refused(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(root)
    return str(caught.value)


def test_no_mask_has_the_name_of_an_image(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "x.png")
    write_mask(tmp_path / "masks" / "y.png", ROWS)
    assert refused(tmp_path) == (
        f"{tmp_path}: no image in {tmp_path}/images has a mask of the same name in {tmp_path}/masks."
    )


def test_two_files_of_one_name(tmp_path: Path) -> None:
    root = masked(tmp_path, ROWS)
    draw(root / "images" / "0.jpg")
    assert refused(root) == f"{root}/images: 0.jpg and 0.png have the same name. Keep one of them."


def test_numbers_without_a_name(tmp_path: Path) -> None:
    root = masked(tmp_path, [[0, 1, 3], [7, 255, 0]])
    (root / "classes.txt").write_text("road\ntree\n")
    assert refused(root) == (
        f"{root}: the masks have numbers without a class, 3, 7: classes.txt names 2, counted from 0."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": there must be one class a line, and there is none."),
        ("a\n\nb\n", ", line 2: there must be one class a line, each once, found ''."),
        ("a\nb\n a\n", ", line 3: there must be one class a line, each once, found ' a'."),
    ],
)
def test_names_that_cannot_be_understood(tmp_path: Path, text: str, message: str) -> None:
    root = masked(tmp_path, ROWS)
    (root / "classes.txt").write_text(text)
    assert refused(root) == f"{root}/classes.txt{message}"


OBJECTS = (
    "objects rather than classes. Give every object the number of its class. Where they are classes, name all in "
    "classes.txt."
)


def test_masks_that_number_objects(tmp_path: Path) -> None:
    many = np.arange(1200).reshape(30, 40)
    root = masked(tmp_path / "1", many, mode="I;16")
    assert refused(root) == f"{root}/masks: the masks have more than 1,000 different numbers, so these number {OBJECTS}"

    counted = [np.minimum(np.arange(60).reshape(6, 10), most) for most in (3, 12, 30)]
    root = masked(tmp_path / "2", *counted)
    assert refused(root) == (f"{root}: every mask counts from 1 without a gap, up to 30, so these number {OBJECTS}")
    (root / "classes.txt").write_text("\n".join(f"c{i}" for i in range(31)))
    assert len(read(root).class_names) == 31


def test_a_few_classes_that_count_are_classes(tmp_path: Path) -> None:
    root = masked(tmp_path, [[0, 1, 1]], [[0, 1, 2]], [[1, 2, 3]])
    assert read(root).class_names == ("0", "1", "2", "3")


def smeared(path: Path) -> Path:
    """A mask of 0 and 255 that was once a JPEG."""
    disc = np.hypot(*np.mgrid[-40:40, -40:40]) < 25
    once = io.BytesIO()
    Image.fromarray(np.uint8(disc * 255)).save(once, "JPEG", quality=60)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(once).save(path)
    return path


def test_masks_that_jpeg_has_smeared(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "a.png")
    smeared(tmp_path / "masks" / "a.png")
    numbers = numbers_in(tmp_path / "masks" / "a.png")
    hint = (
        " They look like shades of grey, as JPEG and resizing make them of a mask: save masks as PNG, and resize them "
        "without smoothing. Where they are classes, name all in classes.txt."
    )
    assert refused(tmp_path) == f"{tmp_path}: the masks have {len(numbers)} different numbers.{hint}"
    (tmp_path / "classes.txt").write_text("background\nobject\n")
    assert refused(tmp_path) == (
        f"{tmp_path}: the masks have numbers without a class, 2, 3, 4, 5, 6: classes.txt names 2, counted from 0.{hint}"
    )


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_masks_that_are_jpeg(tmp_path: Path, name: str) -> None:
    draw(tmp_path / "images" / "a.png")
    (tmp_path / "masks").mkdir()
    Image.new("L", (64, 48)).save(tmp_path / "masks" / name, "JPEG")
    what = ".jpg" if name == "a.jpg" else "JPEG"
    assert refused(tmp_path) == (
        f"{tmp_path}/masks/{name}: {what} does not keep the numbers of a mask. Save the masks as PNG."
    )


def test_masks_in_colours(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "a.png")
    path = draw(tmp_path / "masks" / "a.png")
    assert refused(tmp_path) == (
        f"{path}: a mask is a palette or a grey image whose numbers are classes, this one has colours (RGB). "
        "Give each class a number."
    )


def test_masks_of_other_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.array([[-3, 5]], np.int32)).save(path)
    with pytest.raises(DataError) as caught:
        mask_values(path)
    assert str(caught.value) == f"{path}: the mask has numbers from -3 to 5, which are no classes."
    Image.fromarray(np.array([[0.5]], np.float32)).save(path)
    with pytest.raises(DataError, match=r"this one has fractions \(F\)"):
        mask_values(path)


def test_a_mask_that_changes_after_it_was_read(tmp_path: Path) -> None:
    root = masked(tmp_path, ROWS)
    truth = truth_of(read(root))
    write_mask(truth.path, [[0, 9, 8], [0, 0, 7]])
    with pytest.raises(DataError) as caught:
        truth.read()
    assert str(caught.value) == f"{truth.path}: the mask has numbers that are no classes: [7, 8, 9]."
    truth.path.unlink()
    with pytest.raises(DataError) as caught:
        truth.read()
    assert str(caught.value) == f"{truth.path}: the mask cannot be read: it does not exist."
    truth.path.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match="the mask cannot be read: it begins like a PNG picture"):
        truth.read()
